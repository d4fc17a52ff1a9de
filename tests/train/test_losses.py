#!/usr/bin/env python3
"""Losses and metrics of train blocks against their formulas in NumPy, in double: values, gradients by central
differences of the formula, statistics and the number that the runtime makes of them; the formulas and their gradients
against torch.nn.functional, whose numbers losses.json has.
usage: test_losses.py BUILD_DIRECTORY [--write]   (--write makes losses.json anew; it needs torch)"""
import json
import os
import sys

import numpy as np

from common import HERE, Count, tool

rng = np.random.RandomState(11)  # its numbers never change
LOSSES, METRICS, ERRORS = [], [], []
EPSILON = 2.0 ** -23
KINDS = "MEAN ROOT EXP R2 CONFUSION ACCURACY PRECISION RECALL F1 AUC".split()
AVERAGES = "MACRO MICRO BINARY".split()


def f(*dims, scale=2.0):
    return (rng.standard_normal(dims) * scale).astype(np.float32)


class Label:
    """class[.., classes], or a token where classes is 0."""

    def __init__(self, values, classes=0):
        self.values, self.classes = np.asarray(values, np.int32), classes


def labels(classes, *dims, token=False):
    return Label(rng.randint(0, classes, dims), 0 if token else classes)


def words(name, value):
    classes, array = (value.classes, value.values) if isinstance(value, Label) else (0, value)
    dtype = {"float32": "f32", "float64": "f64", "float16": "f16", "int32": "i32", "bool": "bool"}[str(array.dtype)]
    numbers = " ".join(repr(float(v)) for v in array.ravel())
    return "%s %s %d %d %s %s" % (name, dtype, classes, array.ndim, " ".join(map(str, array.shape)), numbers)


def array_of(value):
    return value.values if isinstance(value, Label) else value


def loss(expression, formula, torch, *tensors):
    """formula(first in double, others..) -> value; torch(functional, torch, first, others..) the same, or None."""
    LOSSES.append((expression, formula, torch, tensors))


def metric(expression, kind, statistics, *tensors, average="MACRO"):
    METRICS.append((expression, kind, average, statistics, tensors))


def error(expression, code, text, *tensors):
    ERRORS.append((expression, code, text, tensors))


# --- Losses ---

def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def cross_entropy(x, y, smoothing=0.0, weight=None, ignore=None, reduce="mean"):
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1)
    logp = log_softmax(x)
    w = np.ones(x.shape[1]) if weight is None else np.asarray(weight, float)
    live = np.ones(len(y)) if ignore is None else (y != ignore).astype(float)
    t = np.where(live > 0, y, 0)
    own = -logp[np.arange(len(y)), t] * w[t]
    every = -(logp * w).mean(-1)
    total = (((1 - smoothing) * own + smoothing * every) * live).sum()
    return total if reduce == "sum" else total / (w[t] * live).sum()


def torch_entropy(F, torch, x, y, smoothing=0.0, weight=None, ignore=-100, reduce="mean"):
    weight = None if weight is None else torch.tensor(weight, dtype=x.dtype)
    return F.cross_entropy(x.reshape(-1, x.shape[-1]), y.reshape(-1).long(), weight=weight, ignore_index=ignore,
                           label_smoothing=smoothing, reduction=reduce)


for kw, text in [({}, ""), ({"reduce": "sum"}, ", reduce: sum"), ({"smoothing": 0.1}, ", smoothing: 0.1"),
                 ({"weight": [1, 2, 0.5]}, ", weight: (1, 2, 0.5)"), ({"ignore": 1}, ", ignore: 1"),
                 ({"smoothing": 0.2, "weight": [1, 0, 0.5], "ignore": 2},
                  ", smoothing: 0.2, weight: (1, 0, 0.5), ignore: 2"),
                 ({"smoothing": 0.2, "ignore": 0, "reduce": "sum"}, ", smoothing: 0.2, ignore: 0, reduce: sum")]:
    loss("cross_entropy(a, y%s)" % text, lambda x, y, kw=kw: cross_entropy(x, y, **kw),
         lambda F, torch, x, y, kw=kw: torch_entropy(F, torch, x, y, **kw), f(7, 3), labels(3, 7))
loss("cross_entropy(a, y)", cross_entropy, torch_entropy, f(3, 4, 6), labels(6, 3, 4, token=True))
loss("cross_entropy(a, y)", cross_entropy, torch_entropy, f(2, 5) * 60 + 100, labels(5, 2))
loss("cross_entropy(a, y, ignore: -1)", lambda x, y: cross_entropy(x, y, ignore=-1),
     lambda F, torch, x, y: torch_entropy(F, torch, x, y, ignore=-1), f(4, 3), Label([-1, 2, -1, 0]))
loss("cross_entropy(a, y)", cross_entropy, torch_entropy, f(4, 3).astype(np.float16), labels(3, 4))
loss("cross_entropy(a, y, weight: w)", lambda x, y, w: cross_entropy(x, y, weight=w),
     lambda F, torch, x, y, w: torch_entropy(F, torch, x, y, weight=w.tolist()), f(5, 5), labels(5, 5),
     np.abs(f(5)) + 0.1)


def bce(x, y, reduce="mean"):
    x, y = x.reshape(-1), y.reshape(-1).astype(float)
    each = np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x)))
    return each.sum() if reduce == "sum" else each.mean()


def torch_bce(F, torch, x, y, reduce="mean"):
    return F.binary_cross_entropy_with_logits(x.reshape(-1), y.reshape(-1).to(x.dtype), reduction=reduce)


loss("bce(a, y)", bce, torch_bce, f(6), labels(2, 6))
loss("bce(a, y)", bce, torch_bce, f(6, 1), labels(2, 6))
loss("bce(a, y)", bce, torch_bce, f(5, 2) * 80, f(5, 2) > 0)
loss("bce(a, y)", bce, torch_bce, f(3, 4), np.abs(f(3, 4, scale=0.3)) % 1)
loss("bce(a, y, reduce: sum)", lambda x, y: bce(x, y, "sum"),
     lambda F, torch, x, y: torch_bce(F, torch, x, y, "sum"), f(9), labels(2, 9))


def huber(d, delta=1.0):
    return np.where(np.abs(d) <= delta, d * d / 2, delta * (np.abs(d) - delta / 2))


loss("mse(a, b)", lambda a, b: ((a - b) ** 2).mean(), lambda F, torch, a, b: F.mse_loss(a, b), f(4, 3), f(4, 3))
loss("mse(a, b, reduce: sum)", lambda a, b: ((a - b) ** 2).sum(),
     lambda F, torch, a, b: F.mse_loss(a, b, reduction="sum"), f(4), f(4))
loss("mae(a, b)", lambda a, b: np.abs(a - b).mean(), lambda F, torch, a, b: F.l1_loss(a, b), f(4, 3, 2), f(4, 3, 2))
loss("huber(a, b)", lambda a, b: huber(a - b).mean(), lambda F, torch, a, b: F.huber_loss(a, b), f(8, 3), f(8, 3))
loss("huber(a, b, delta: 0.5, reduce: sum)", lambda a, b: huber(a - b, 0.5).sum(),
     lambda F, torch, a, b: F.huber_loss(a, b, delta=0.5, reduction="sum"), f(8), f(8))
loss("0.3 * mse(a, b) + mae(a, b) / 2", lambda a, b: 0.3 * ((a - b) ** 2).mean() + np.abs(a - b).mean() / 2, None,
     f(4, 3), f(4, 3))


def hinge(x, y, reduce="mean"):
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1)
    right = x[np.arange(len(y)), y][:, None]
    margin = np.maximum(0, 1 - right + x)
    margin[np.arange(len(y)), y] = 0
    each = margin.mean(-1)
    return each.sum() if reduce == "sum" else each.mean()


loss("hinge(a, y)", hinge, lambda F, torch, x, y: F.multi_margin_loss(x, y.long()), f(6, 4), labels(4, 6))
loss("hinge(a, y, reduce: sum)", lambda x, y: hinge(x, y, "sum"),
     lambda F, torch, x, y: F.multi_margin_loss(x.reshape(-1, 3), y.reshape(-1).long(), reduction="sum"), f(2, 3, 3),
     labels(3, 2, 3))


def kl(logp, q, reduce="mean"):
    q = q.astype(float)
    each = (np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0) - q * logp).sum(-1)
    return each.sum() if reduce == "sum" else each.mean()


def shares(*dims):
    q = np.exp(f(*dims))
    q[0, 0] = 0
    return (q / q.sum(-1, keepdims=True)).astype(np.float32)


loss("kl(a, q)", kl, lambda F, torch, x, q: F.kl_div(x, q, reduction="batchmean"),
     log_softmax(f(4, 5)).astype(np.float32), shares(4, 5))
loss("kl(a, q, reduce: sum)", lambda x, q: kl(x, q, "sum"), lambda F, torch, x, q: F.kl_div(x, q, reduction="sum"),
     log_softmax(f(4, 5)).astype(np.float32), shares(4, 5))

# --- Metrics ---


def counts(answer, truth, classes):
    c = np.zeros((classes, classes))
    np.add.at(c, (truth.reshape(-1), answer.reshape(-1)), 1)
    return [c.ravel()]


def hits(answer, truth):
    return [[(answer == truth).sum(), truth.size]]


X, Y, ONE, TWO = f(12, 4), labels(4, 12), f(12, 1), labels(2, 12)
metric("accuracy(a, y)", "MEAN", lambda x, y: hits(x.argmax(-1), y), X, Y)
metric("accuracy(a, y)", "MEAN", lambda x, y: hits(x.argmax(-1), y), f(3, 5, 4), labels(4, 3, 5, token=True))
metric("accuracy(a, y)", "MEAN", lambda x, y: hits(x[:, 0] > 0, y == 1), ONE, TWO)
metric("accuracy(a, y)", "MEAN", lambda x, y: hits(x > 0, y > 0.5), f(9), (f(9) > 0).astype(np.float32))
metric("topk(a, y, 2)", "MEAN", lambda x, y: hits((np.argsort(-x, -1, kind="stable")[:, :2] == y[:, None]).any(-1),
                                                  np.ones(12, bool)), X, Y)
metric("topk(a, y, k: 1)", "MEAN", lambda x, y: hits(np.argsort(-x, -1, kind="stable")[:, 0], y),
       np.round(X), Y)  # ties
for name, kind in [("precision", "PRECISION"), ("recall", "RECALL"), ("f1", "F1")]:
    for average in AVERAGES[:2]:
        metric("%s(a, y, average: %s)" % (name, average.lower()), kind, lambda x, y: counts(x.argmax(-1), y, 4), X, Y,
               average=average)
    metric("%s(a, y, average: binary)" % name, kind, lambda x, y: counts((x[:, 0] > 0) * 1, y, 2), ONE, TWO,
           average="BINARY")
metric("macro_f1(a, y)", "F1", lambda x, y: counts(x.argmax(-1), y, 4), X, Y)
metric("confusion(a, y)", "CONFUSION", lambda x, y: counts(x.argmax(-1), y, 4), X, Y)
metric("confusion(a, y)", "CONFUSION", lambda x, y: counts((x > 0) * 1, y * 1, 2), f(9), f(9) > 0)
metric("auc(a, y)", "AUC", lambda x, y: [x[:, 0], y], ONE, TWO)
metric("auc(a, y)", "AUC", lambda x, y: [x, y], f(7), f(7) > 0)
metric("rmse(a, b)", "ROOT", lambda a, b: [[((a - b) ** 2).sum(), a.size]], f(4, 3), f(4, 3))
metric("r2(a, b)", "R2", lambda a, b: [[b.size, b.sum(), (b * b).sum(), ((a - b) ** 2).sum()]], f(20), f(20) + 3)
metric("perplexity(a, y)", "EXP", lambda x, y: [[cross_entropy(x, y, reduce="sum"), y.size]], X, Y)

# --- What is refused ---
error("1 - accuracy(a, y)", "TN0723", "'-' has no meaning for the integer 1 and a metric", X, Y)
error("accuracy(a, y) > 0.5", "TN0723", "'>' has no meaning for a metric and a number", X, Y)
error("-f1(a, y)", "TN0723", "'-' has no meaning for a metric", X, Y)
error("abs(accuracy(a, y))", "TN0723", "abs: 'x' is n[], found a metric", X, Y)
error("f1(a, y, average: binary)", "TN0735", "f1: average: binary is for two classes, there are 4", X, Y)
error("huber(a, b, delta: 0)", "TN0735", "huber: 'delta' is above 0, found 0", f(3), f(3))
error("cross_entropy(a, y, weight: (1, 2))", "TN0203",
      "cross_entropy: weight has one number a class, found a tuple of 2", X, Y)
error("kl(a, a)", "TN0202", "kl: expected at least 1 dims, found f32[]", np.float32(1).reshape(()))


def fetch(rows):
    """The lines of the tool for each row."""
    names = {2: ["a", "y"], 3: ["a", "y", "w"], 1: ["a"]}
    text = []
    for row in rows:
        tensors = row[-1]
        called = list(names[len(tensors)])
        if "(a, b" in row[0] or "(a, q" in row[0]:
            called[1] = row[0][row[0].index("(a, ") + 4]
        text += [row[0], str(len(tensors))] + [words(n, t) for n, t in zip(called, tensors)]
    groups = []
    for line in tool("lang_loss", "\n".join(text) + "\n").splitlines():
        if line.split()[0] in ("loss", "metric", "error"):
            groups.append([])
        groups[-1].append(line)
    assert len(groups) == len(rows), (len(groups), len(rows))
    return groups


def numbers(line):
    return np.array([float(word) for word in line.split()[1:]])


def differ(found, wanted, scale):
    wanted = np.asarray(wanted, float).ravel()
    if found.shape != wanted.shape:
        return "%s numbers, wanted %s" % (found.shape, wanted.shape)
    worst = np.max(np.abs(found - wanted), initial=0)
    bound = scale * (np.max(np.abs(wanted), initial=0) + 1e-3)
    return "" if worst <= bound else "off by %g, allowed %g: %s %s" % (worst, bound, found, wanted)


def slope(formula, x, others):
    """Central differences."""
    out, step = np.zeros(x.size), 1e-6
    for i in range(x.size):
        side = []
        for sign in (1, -1):
            moved = x.ravel().copy()
            moved[i] += sign * step
            side.append(formula(moved.reshape(x.shape), *others))
        out[i] = (side[0] - side[1]) / (2 * step)
    return out


def by_torch(torch, row):
    """The loss and its gradient, rounded."""
    _, _, function, tensors = row
    first = torch.tensor(array_of(tensors[0]).astype(float), requires_grad=True)
    others = [array_of(t) for t in tensors[1:]]
    result = function(torch.nn.functional, torch, first,
                      *[torch.tensor(o.astype(float) if o.dtype == np.float32 else o) for o in others])
    result.backward()
    return [row[0], float("%.15g" % result.item()), [float("%.9g" % g) for g in first.grad.numpy().ravel()]]


def write(path):
    torch = __import__("torch")
    rows = [by_torch(torch, row) for row in LOSSES if row[2]]
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def judge_loss(row, lines, count, kept):
    """kept: what torch found, an iterator."""
    expression, formula, function, tensors = row
    x, others = array_of(tensors[0]).astype(float), [array_of(t) for t in tensors[1:]]
    name, scale = "%s %s" % (expression, x.shape), EPSILON * (16 if tensors[0].dtype == np.float32 else 16 * 2 ** 13)
    value, gradient = formula(x, *others), slope(formula, x, others)
    if function:
        of, torch_value, torch_gradient = next(kept)
        count.judge(name + " torch", "the table has " + of if of != expression else
                    differ(np.array([value]), [torch_value], 1e-12) or differ(gradient, torch_gradient, 1e-6))
    if lines[0].startswith("error"):
        count.judge(name, lines[0])
        return
    count.judge(name, differ(numbers(lines[0]), [value], EPSILON * 16))
    count.judge(name + " gradient", differ(numbers(lines[1]), gradient, scale + 1e-7))


def main():
    path = os.path.join(HERE, "losses.json")
    if sys.argv[2:] == ["--write"]:
        write(path)
    count = Count()
    with open(path) as f:
        kept = iter(json.load(f))
    for row, lines in zip(LOSSES, fetch(LOSSES)):
        judge_loss(row, lines, count, kept)
    for (expression, kind, average, statistics, tensors), lines in zip(METRICS, fetch(METRICS)):
        wanted = statistics(*[array_of(t).astype(float) if array_of(t).dtype == np.float32 else array_of(t)
                              for t in tensors])
        head = "metric %d %d %d" % (KINDS.index(kind), AVERAGES.index(average), len(wanted))
        problem = "" if lines[0] == head else "%s, wanted %s" % (lines[0], head)
        for line, part in zip(lines[1:], wanted):
            problem = problem or differ(numbers(line), part, 1e-6 if kind == "EXP" else 1e-12)
        count.judge(expression, problem)
    for (expression, code, text, _), lines in zip(ERRORS, fetch(ERRORS)):
        count.judge(expression, "" if lines[0] == "error %s %s" % (code, text) else lines[0])
    count.finish()


main()
