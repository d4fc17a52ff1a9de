#!/usr/bin/env python3
"""The learning rates in the logs of programs that tenon makes against torch.optim.lr_scheduler's (rates.json).
usage: test_rates.py BUILD_DIRECTORY"""
import json
import os
import subprocess
import tempfile

import numpy as np

from common import BUILD, HERE, Count
from rates import EVERY, SCHEDULES, STEPS

TENON = os.path.join(BUILD, "bin", "tenon")
# Nothing is learned from zeros, so the measured loss stays.
TEXT = """data d = npz("zeros.npz", split: (train: 0.5, valid: 0.5)) {
  x: f32[3] = x
  y: f32[3] = y
}
model M(x: f32[B, 3]) -> f32[B, 3] {
  param w: f32[3] = ones
  return x * w
}
train M on d {
  loss = mse(out, y); optimizer = sgd(lr: %s); batch = 8; steps = %d
  every 1 steps { log(json: "log.jsonl") }
  every %d steps { eval(valid) }
}
"""


def rates(folder, schedule):
    with open(os.path.join(folder, "m.tn"), "w") as f:
        f.write(TEXT % (schedule, STEPS, EVERY))
    for words in ([TENON, "m.tn", "-o", "m"], ["./m", "train", "--quiet"]):
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError("%s: %s" % (words, done.stderr))
    with open(os.path.join(folder, "log.jsonl")) as f:
        return [row["lr"] for row in map(json.loads, f) if row["event"] == "log"]


def main():
    count = Count()
    with open(os.path.join(HERE, "rates.json")) as f:
        table = json.load(f)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(os.path.join(folder, "zeros.npz"), x=np.zeros((32, 3), "f4"), y=np.ones((32, 3), "f4"))
        for name, schedule in SCHEDULES.items():
            found, wanted = np.array(rates(folder, schedule)), np.array(table[name])
            same = found.shape == wanted.shape and np.allclose(found, wanted, rtol=1e-7, atol=1e-12)
            count.judge(schedule, "" if same else "%s, wanted %s" % (found, wanted))
    count.finish()


main()
