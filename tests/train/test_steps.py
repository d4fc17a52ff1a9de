"""Dropout and batch norm in the body of a scan, in training: other masks in each step, the same in both directions;
running statistics as when the cell is written out step by step.

usage: test_steps.py BUILD
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from common import BUILD, Count

TENON = os.path.abspath(os.path.join(BUILD, "bin", "tenon"))
DATA = 'dim S = 4, W = 1, N = 256\ndata d = npz("d.npz")\n'
TRAIN = "train M on d { loss = %s; optimizer = sgd(lr: %g); batch = 16; steps = %d }\n"

# The product over the steps: its mean is 1 when masks differ, 8 when all steps have one.
PRODUCT = (DATA + "model M(x: f32[B, S]) -> f32[B] {\n  param w: f32[1] = ones\n"
           "  scan (xt, t) in reshape(x, B, S, W) along S carry h = ones(B, N) { h = h * dropout(ones(B, N), 0.5) }\n"
           "  return sum(h, over: N) / N * sum(w)\n}\n" + TRAIN % ("mean(out + 0 * y)", 0.25, 1))
# The same, a scan of two inside of one of two.
NESTED = (DATA.replace("S = 4", "S = 2") + "model M(x: f32[B, S]) -> f32[B] {\n  param w: f32[1] = ones\n"
          "  let e = reshape(x, B, S, W)\n"
          "  scan (xt, t) in e along S carry h = ones(B, N) {\n"
          "    scan (xu, u) in e along S carry g = h { g = g * dropout(ones(B, N), 0.5) }\n"
          "    h = g\n  }\n"
          "  return sum(h, over: N) / N * sum(w)\n}\n" + TRAIN % ("mean(out + 0 * y)", 0.25, 1))
CELL = """
module Cell(x: f32[B, W], h: f32[B, 6]) -> f32[B, 6] = (linear(x, 6) |> batchnorm(momentum: 0.3)) + h
model M(x: f32[B, S]) -> f32[B] {
  sub cell = Cell()
  let e = reshape(x, B, S, W)
  %s
  return linear(h, 1) |> reshape(-1)
}
"""
SCANNED = "scan (xt, t) in e along S carry h = zeros(B, 6) { h = cell(xt, h) }"
WRITTEN = """let (xa, xb, xc, xd) = unstack(e, axis: S)
  let h = cell(xd, cell(xc, cell(xb, cell(xa, zeros(B, 6)))))"""


def train(folder, name, text, extent):
    home = os.path.join(folder, name)
    os.mkdir(home)
    r = np.random.default_rng(0)
    x = r.normal(size=(64, extent)).astype(np.float32)
    np.savez(os.path.join(home, "d.npz"), x=x, y=x.sum(1))
    open(os.path.join(home, "m.tn"), "w").write(text)
    for command in ([TENON, "m.tn", "-o", "m"], ["./m", "train", "--quiet", "--log-json=log"],
                    ["./m", "export", "--npz=w.npz"]):
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(done.stderr)
    with open(os.path.join(home, "log")) as log:
        rows = [json.loads(line) for line in log]
    return rows, dict(np.load(os.path.join(home, "w.npz")))


def check_masks(folder, name, text, extent):
    """loss = w * product, w being 1: the gradient is the loss, where the masks are the same on the way back."""
    _, weights = train(folder, name, text, extent)
    product = (1 - float(weights["w"][0])) / 0.25
    if not 0.5 < product < 1.6:
        return "the mean product is %g" % product
    logged = text.replace("steps = 1", 'steps = 1; every 1 steps { log(json: "l") }')
    _, others = train(folder, name + "2", logged, extent)
    if others["w"][0] != weights["w"][0]:
        return "two runs differ"
    with open(os.path.join(folder, name + "2", "l")) as log:
        loss = json.loads(log.readline())["loss"]
    return None if abs(loss - product) < 1e-4 else "loss %g, gradient %g" % (loss, product)


def check_statistics(folder):
    settings = TRAIN % ("mse(out, y)", 0.02, 7)
    _, scanned = train(folder, "scanned", DATA + CELL % SCANNED + settings, 4)
    _, written = train(folder, "written", DATA + CELL % WRITTEN + settings, 4)
    for name, value in written.items():
        if not np.allclose(scanned[name], value, rtol=1e-4, atol=1e-5):
            return "%s: %s and %s" % (name, scanned[name].ravel()[:4], value.ravel()[:4])
    moved = np.abs(scanned["cell.batchnorm.var"] - 1).max()
    return None if moved > 0.01 else "the statistics stand still"


def main():
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        count.judge("masks", check_masks(folder, "masks", PRODUCT, 4))
        count.judge("nested masks", check_masks(folder, "nested", NESTED, 2))
        count.judge("statistics", check_statistics(folder))
    count.finish()


if __name__ == "__main__":
    main()
