#!/usr/bin/env python3
"""Writes metrics.json, which test_metrics.py holds tenon against: what scikit-learn measures on the data of
measured.py.
usage: make_metrics.py   (needs scikit-learn)"""
import json
import os

import numpy as np
from sklearn import metrics

from measured import DATA


def of_classes(x, y):
    x = x.astype(float)
    answer, shares = x.argmax(1), np.exp(x) / np.exp(x).sum(1, keepdims=True)
    out = {"acc": metrics.accuracy_score(y, answer),
           "top2": metrics.top_k_accuracy_score(y, x, k=2, labels=range(4)),
           "ppl": np.exp(metrics.log_loss(y, shares, labels=range(4))),
           "confusion": metrics.confusion_matrix(y, answer, labels=range(4)).tolist()}
    for kind in ("precision", "recall", "f1"):
        for average in ("macro", "micro"):
            score = getattr(metrics, kind + "_score")
            out[kind + "_" + average] = score(y, answer, labels=range(4), average=average, zero_division=0)
    return out


def of_two(x, y):
    answer = x[:, 0] > 0
    out = {"acc": metrics.accuracy_score(y, answer), "auc": metrics.roc_auc_score(y, x[:, 0].astype(float))}
    for kind in ("precision", "recall", "f1"):
        out[kind] = getattr(metrics, kind + "_score")(y, answer)
    return out


def of_numbers(x, y):
    x, y = x.astype(float), y.astype(float)
    return {"mae": metrics.mean_absolute_error(y, x), "rmse": metrics.root_mean_squared_error(y, x),
            "r2": metrics.r2_score(y, x)}


rows = {"classes": of_classes(*DATA["classes"]), "two": of_two(*DATA["two"]), "numbers": of_numbers(*DATA["numbers"])}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics.json"), "w") as f:
    f.write("{\n" + ",\n".join('"%s": %s' % (k, json.dumps(v, default=float)) for k, v in rows.items()) + "\n}\n")
