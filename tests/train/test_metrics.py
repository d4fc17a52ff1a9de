#!/usr/bin/env python3
"""What programs that tenon makes measure on given answers, against scikit-learn's numbers (metrics.json).
usage: test_metrics.py BUILD_DIRECTORY"""
import json
import os
import subprocess
import tempfile

import numpy as np

from common import BUILD, HERE, Count
from measured import DATA

TENON = os.path.join(BUILD, "bin", "tenon")
# The model hands its input on: its one weight is 1, and moves by nothing that a float could hold.
TEXT = """data d = npz("train.npz", test: "test.npz") {
  x: f32[%(width)d] = x
  y: %(y)s = y
}
model M(x: f32[B, %(width)d]) -> f32[B, %(width)d] {
  param w: f32[%(width)d] = ones
  return x * w
}
train M on d {
  loss = %(loss)s
  metrics = (%(metrics)s)
  optimizer = sgd(lr: 1e-30); batch = 8; steps = 1
}
"""
AVERAGED = ", ".join("%s_%s: %s(out, y, average: %s)" % (kind, average, kind, average)
                     for kind in ("precision", "recall", "f1") for average in ("macro", "micro"))
PROGRAMS = {
    "classes": {"width": 4, "y": "class[4]", "loss": "cross_entropy(out, y)",
                "metrics": "acc: accuracy(out, y), top2: topk(out, y, 2), ppl: perplexity(out, y), "
                           "confusion: confusion(out, y), " + AVERAGED},
    "two": {"width": 1, "y": "class[2]", "loss": "bce(out, y)",
            "metrics": "acc: accuracy(out, y), auc: auc(out, y), precision: precision(out, y, average: binary), "
                       "recall: recall(out, y, average: binary), f1: f1(out, y, average: binary)"},
    "numbers": {"width": 1, "y": "f32[1]", "loss": "mse(out, y)",
                "metrics": "mae: mae(out, y), rmse: rmse(out, y), r2: r2(out, y)"},
}


def measure(folder, name):
    x, y = DATA[name]
    shown = y[:8] if y.dtype == np.float32 else np.arange(8, dtype=np.int32) % int(PROGRAMS[name]["y"][6:-1])
    np.savez(os.path.join(folder, "train.npz"), x=x[:8], y=shown)  # in which each class is there
    np.savez(os.path.join(folder, "test.npz"), x=x, y=y)
    with open(os.path.join(folder, "m.tn"), "w") as f:
        f.write(TEXT % PROGRAMS[name])
    for words in ([TENON, "m.tn", "-o", "m"], ["./m", "train", "--quiet"], ["./m", "eval", "--split=test", "--json"]):
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError("%s: %s" % (words, done.stderr))
    return json.loads(done.stdout)["test"]


def main():
    count = Count()
    with open(os.path.join(HERE, "metrics.json")) as f:
        table = json.load(f)
    for name, wanted in table.items():
        with tempfile.TemporaryDirectory() as folder:
            found = measure(folder, name)
        for metric, value in wanted.items():
            same = metric in found and np.allclose(np.ravel(found[metric]), np.ravel(value), rtol=1e-6, atol=0)
            count.judge("%s %s" % (name, metric), "" if same else "%s, wanted %s" % (found.get(metric), value))
    count.finish()


main()
