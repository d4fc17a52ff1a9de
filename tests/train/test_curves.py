#!/usr/bin/env python3
"""Whole models for 100 steps against torch (curves/NAME.json): the model from tenon's language, its loss and its batch
norm of training added to the graph, compiled steps of each optimiser. The loss may differ by 1e-5 in steps 1 to 10
and by 1e-3 at 100, recurrent models and transformers by 1e-2. In mixed precision it may be three times as far from
the curve in double as the furthest of three runs of torch.autocast (a maximum of three says little more of how far
such runs go), or 1e-3.
usage: test_curves.py BUILD_DIRECTORY [MODEL...]"""
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

from common import BUILD, HERE, Count
from test_optimizers import TENON, make, n_states, rates

sys.path.insert(0, os.path.join(HERE, "curves"))
from models import LOSS_SCALE, MODELS, OPTIMIZERS, SHARES, STEPS, batches, weight  # noqa: E402

CONSTANT = re.compile(r"^const @(\S+\.(?:weight|bias|mean|var|weight_ih|weight_hh)) : f32\[([\d,]*)\].*$", re.M)
NORM = re.compile(r"^  %(\d+) = batch_norm (.*?)(?: \{.*?\})? : (f32\[B,(\d+)[\d,]*\]).*$", re.M)


def forward(folder, name):
    """The graph of the model with constants of zeros: text, and the shapes of its weights by their paths."""
    source = os.path.join(folder, name + ".tn")
    with open(source, "w") as f:
        f.write(MODELS[name][0])
    done = subprocess.run([TENON, source, "--init=1", "--emit=ir", "--stop-after=infer", "-o", "-"], check=True,
                          capture_output=True, text=True)
    text = re.sub(r" loc\(\d+\)", "", done.stdout)
    shapes = {path: tuple(int(n) for n in dims.split(",")) for path, dims in CONSTANT.findall(text)}
    return CONSTANT.sub(lambda m: "const @%s : f32[%s] = splat 0" % m.groups(), text), shapes


def with_loss(text, classes):
    """The entry with labels and the loss instead of the scores; batch norms as training has them."""
    running = [c for _, _, _, c in NORM.findall(text)]
    norms = [n for n, _, _, _ in NORM.findall(text)]
    text = NORM.sub(r"  %\1, %m\1, %v\1 = batch_norm_training \2 : \3, f32[\4], f32[\4]", text)
    scores, = re.findall(r"^  return (%\d+)", text, re.M)
    out, = re.findall(r"-> \((f32\[[^\]]*\]) \"out\"\)", text)
    n = "B" if out.count(",") == 1 else "%s*B" % out.split(",")[1]
    y = "i32[B]" if out.count(",") == 1 else "i32[B,%s]" % out.split(",")[1]
    results = ['f32[] "loss"']
    values = ["%loss"]
    for number, c in zip(norms, running):
        results += ['f32[%s] "mean%s"' % (c, number), 'f32[%s] "var%s"' % (c, number)]
        values += ["%m" + number, "%v" + number]
    text = text.replace(') -> (%s "out")' % out, ', %%labels: %s "y") -> (%s)' % (y, ", ".join(results)))
    loss = """  %%flat = reshape %s {dims=[%s, %d]} : f32[%s,%d]
  %%y = reshape %%labels {dims=[%s]} : i32[%s]
  %%logp = log_softmax %%flat {axis=1} : f32[%s,%d]
  %%loss = nll_loss %%logp, %%y : f32[]
  return %s""" % (scores, n, classes, n, classes, n, n, n, classes, ", ".join(values))
    return text.replace("  return " + scores, loss)


def role(path):
    return "r" if path.split(".")[-1] in ("mean", "var") else "t"


def losses_of(folder, name, optimizer, text, shapes, narrow=None):
    settings, lr = OPTIMIZERS[optimizer]
    lr *= SHARES.get(name, 1)
    trained = [p for p in shapes if role(p) == "t"]
    running = [p for p in shapes if role(p) == "r"]
    n = n_states(settings)
    words = settings.split() + ["weight=%s:%s" % (p, role(p)) for p in shapes]
    n_results = 1 + len(running) + len(trained) * (1 + n)
    if narrow:
        words += ["narrow=" + narrow, "scale=1"]
    net = make(folder, "step", text, words, n_results + bool(narrow), "_".join((name, optimizer, narrow or "f32")))
    values = {p: weight(p, s) for p, s in shapes.items()}
    states = [np.zeros(shapes[p], np.float32) for p in trained for _ in range(n)]
    data, losses = batches(name), []
    for t in range(1, STEPS + 1):
        x, y = data[(t - 1) % len(data)]
        r = rates(settings, [lr], t, LOSS_SCALE if narrow else 1.0)
        loss, *rest = [np.array(a) for a in net(x, y, *values.values(), *states, r)]
        losses.append(float(loss))
        if narrow:
            rest = rest[1:]  # behind the norm
        values.update(zip(running, rest))
        values.update(zip(trained, rest[len(running):]))
        states = rest[len(running) + len(trained):]
    return losses


def differ(found, wanted, at_first, at_end):
    off = np.abs(np.array(found) - wanted) / np.abs(wanted)
    text = "relative difference %.2g in steps 1 to 10, %.2g at most, %.2g at 100" % (off[:10].max(), off.max(), off[-1])
    return text, "" if off[:10].max() <= at_first and off.max() <= at_end else text


def main():
    count = Count()
    for name in sys.argv[2:] or MODELS:
        with open(os.path.join(HERE, "curves", name + ".json")) as f:
            table = json.load(f)
        with tempfile.TemporaryDirectory() as folder:
            text, shapes = forward(folder, name)
            text = with_loss(text, MODELS[name][2])
            for optimizer in OPTIMIZERS:
                row = table[optimizer]
                for narrow in [None] + [dtype for dtype in ("bf16", "f16") if dtype in row]:
                    found = losses_of(folder, name, optimizer, text, shapes, narrow)
                    bounds = [max(3 * off, 1e-3) for off in row[narrow]] if narrow else (1e-5, MODELS[name][5])
                    told, problem = differ(found, np.array(row["losses"]), *bounds)
                    print(name, optimizer, narrow or "f32", told, row[narrow] if narrow else "")
                    count.judge(" ".join((name, optimizer, narrow or "f32")), problem)
    count.finish()


if __name__ == "__main__":
    main()
