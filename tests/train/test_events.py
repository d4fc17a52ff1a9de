"""What `on` blocks do: actions behind a signal, and about a step without numbers.

usage: test_events.py BUILD
"""
import glob
import json
import os
import signal
import subprocess
import tempfile
import time

import numpy as np

from common import BUILD, Count

TENON = os.path.abspath(os.path.join(BUILD, "bin", "tenon"))
MODEL = ('data d = npz("d.npz", split: (train: 0.5, valid: 0.5))\n'
         "model M(x: f32[B, 2]) -> f32[B] = %s\n"
         "train M on d { loss = mse(out, y); optimizer = sgd(lr: 0.01); batch = 4; %s }\n")
LINE = "x |> linear(1) |> reshape(-1)"


def build(folder, name, out, settings):
    home = os.path.join(folder, name)
    os.mkdir(home)
    x = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)
    np.savez(os.path.join(home, "d.npz"), x=x, y=x.sum(1))
    with open(os.path.join(home, "m.tn"), "w") as file:
        file.write(MODEL % (out, settings))
    done = subprocess.run([TENON, "m.tn", "-o", "m"], cwd=home, capture_output=True, text=True, timeout=120)
    return home, done.stderr if done.returncode else None


def rows(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def check_interrupt(folder):
    home, problem = build(folder, "interrupt", LINE, "steps = 2_000_000_000; every 1 steps { checkpoint() }; "
                          'on interrupt { eval(valid), log(json: "l"), checkpoint(keep: 2) }')
    if problem:
        return problem
    p = subprocess.Popen(["./m", "train"], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not glob.glob(os.path.join(home, "m.checkpoints", "step-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    p.send_signal(signal.SIGTERM)
    out, told = p.communicate(timeout=60)
    if p.returncode != 75 or "SIGTERM: stops after step" not in told:
        return "exit %d: %s" % (p.returncode, told)
    row = rows(os.path.join(home, "l"))[-1]
    if row["event"] != "log" or "valid.loss" not in row or ": valid loss" not in out:
        return "%s %s" % (row, out)
    kept = glob.glob(os.path.join(home, "m.checkpoints", "step-*"))
    return None if any("%08d" % row["step"] in name for name in kept) else "%s: %s" % (row, kept)


def check_stop_at(folder):
    """That is no interruption."""
    home, problem = build(folder, "stop", LINE, 'steps = 100; on interrupt { log(json: "l") }')
    if problem:
        return problem
    done = subprocess.run(["./m", "train", "--stop-at=3"], cwd=home, capture_output=True, text=True, timeout=60)
    lines = rows(os.path.join(home, "l"))
    return None if done.returncode == 75 and not lines else "exit %d, %s" % (done.returncode, lines)


BOOK = """dim T = 6
data book = text("book.txt", split: (train: 0.9, valid: 0.1)) {
  x: token[T] = window(0)
  y: token[T] = window(1)
}
model M(x: token[B, T]) -> f32[B, T, 256] = embed(x, 256, 16) |> linear(256)
train M on book {
  loss = cross_entropy(out, y); optimizer = adam(lr: 0.05); batch = 8; steps = 120
  every 60 steps { sample("xab", 20), eval(valid) }
  on interrupt { sample("", 3) }
}
"""


def check_sample(folder):
    """Of a text that repeats three letters."""
    home = os.path.join(folder, "sample")
    os.mkdir(home)
    with open(os.path.join(home, "m.tn"), "w") as file:
        file.write(BOOK)
    with open(os.path.join(home, "book.txt"), "w") as file:
        file.write("abc" * 400)
    done = subprocess.run([TENON, "m.tn", "-o", "m"], cwd=home, capture_output=True, text=True, timeout=120)
    if done.returncode:
        return done.stderr
    told = [subprocess.run(["./m", "train", "--checkpoint-dir=" + name], cwd=home, capture_output=True, text=True,
                           timeout=60).stderr.split("the weights")[0] for name in "ab"]
    good = "step 120: 'xab' goes on: \"cabcabcabcabcabcabca\"\n" in told[0] and told[0] == told[1]
    return None if good and "step 60: 'xab' goes on: \"" in told[0] else told


def check_nan(folder):
    home, problem = build(folder, "nan", LINE + " |> log", 'steps = 2; on nan { skip_batch(), eval(valid), '
                          'log(json: "l") }')
    if problem:
        return problem
    done = subprocess.run(["./m", "train"], cwd=home, capture_output=True, text=True, timeout=60)
    lines = rows(os.path.join(home, "l"))
    good = done.returncode == 0 and [row["step"] for row in lines] == [0, 1] and lines[0]["loss"] is None
    return None if good else "exit %d, %s %s" % (done.returncode, lines, done.stderr)


def check_refused(folder):
    for event, reaction, told in (
            ("nan", "resume(from: best)", "it is answered by rollback scale_lr skip_batch, and by actions"),
            ("lost_rank", "skip_batch()", "it is answered by resume, and by actions"),
            ("lost_rank", "eval(test)", "it is answered by resume, checkpoint and log"),
            ("interrupt", "rollback()", "it is answered by actions: the training ends behind them")):
        _, text = build(folder, "%s%d" % (event, len(reaction)), LINE, "steps = 1; on %s { %s }" % (event, reaction))
        name = reaction.split("(")[0]
        if not text or "m.tn:3:" not in text or "%s() does not answer 'on %s' [TN0735]" % (name, event) not in text or \
                told not in text:
            return text or "taken: " + reaction
    return None


def main():
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        count.judge("interrupt", check_interrupt(folder))
        count.judge("stop at", check_stop_at(folder))
        count.judge("nan", check_nan(folder))
        count.judge("sample", check_sample(folder))
        count.judge("refused", check_refused(folder))
    count.finish()


if __name__ == "__main__":
    main()
