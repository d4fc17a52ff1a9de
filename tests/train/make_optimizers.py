#!/usr/bin/env python3
"""Writes optimizers.json, which test_optimizers.py holds tenon against: losses and last weights of 100 steps on the net
of problem.py, in double (torch_optim.py).
usage: make_optimizers.py   (needs torch)"""
import json
import os

import torch

from problem import CASES, STEPS, data, rate_at, settings, weights
from torch_optim import optimizer_of

torch.set_default_dtype(torch.float64)


def run(text, rates, groups):
    s = settings(text)
    x, y = (torch.tensor(a) for a in data())
    w = {name: torch.tensor(a, requires_grad=True) for name, a in weights().items()}
    params = list(w.values())
    optimizer = optimizer_of(s, [{"params": [p for p, g in zip(params, groups) if g == k], "lr": 1.0}
                                 for k in range(len(rates))])
    losses = []
    for t in range(1, STEPS + 1):
        for group, lr in zip(optimizer.param_groups, rates):
            group["lr"] = rate_at(lr, t)
        out = torch.tanh(x @ w["w1"].T + w["b1"]) @ w["w2"].T + w["b2"]
        loss = torch.nn.functional.mse_loss(out, y)
        for p in params:
            p.grad = None
        loss.backward()
        losses.append(loss.item())
        if "clip" in s:
            kind, limit = s["clip"].split(":")
            clip = torch.nn.utils.clip_grad_norm_ if kind == "norm" else torch.nn.utils.clip_grad_value_
            clip(params, float(limit))
        for p in params:
            p.grad += float(s.get("l1", 0)) * torch.sign(p.data)
        optimizer.step()
    return {"losses": losses, "weights": {k: p.detach().ravel().tolist() for k, p in w.items()}}


def rounded(value):
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else float("%.9g" % value)


rows = {name: rounded(run(*case)) for name, case in CASES.items()}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "optimizers.json"), "w") as f:
    f.write("{\n" + ",\n".join('"%s": %s' % (k, json.dumps(v)) for k, v in rows.items()) + "\n}\n")
