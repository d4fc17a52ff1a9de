"""The loop of training, on models written by hand (hand.c), against the same in numpy: order, splits, statistics,
steps, rates, measures, predictions; then what happens around it: resuming, stopping, wrong numbers, requirements,
options.

usage: test_loop.py BUILD_DIR
"""
import csv
import glob
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import numpy as np

from common import BUILD, Count, save_tensors
from shuffle import order

HAND = os.path.join(BUILD, "tests", "train_hand")
PARTS = os.path.join(BUILD, "tests", "train_hand_parts")
NAMES = ["zeta", 'al "x", b', "mid"]
BATCH, SEED, SHUFFLE = 16, 3, 7


# ---- data ----

def make_data(folder, n=300, bad=True):
    """Three blobs; a byte order mark, CRLF, quoted cells, and (bad) three rows that are wrong in different ways."""
    r = np.random.default_rng(0)
    labels = r.integers(0, 3, n)
    centres = np.array([[0, 0, 0, 0], [2, 2, 0, 10], [0, 2, -2, -10]], float)
    x = np.round(centres[labels] + r.normal(size=(n, 4)) * np.array([1, 1, 1, 5]), 4)
    text = io.StringIO(newline="")
    write = csv.writer(text, lineterminator="\r\n")
    write.writerow(["a", "b b", "c", "kind", "d"])
    for i in range(n):
        if bad and i == 50:
            write.writerow([1, 2])
        if bad and i == 60:
            write.writerow([1, "oops", 2, "mid", 3])
        if bad and i == 70:
            write.writerow([1, 1, 2, "mid", "NA"])
        write.writerow([*x[i, :3], NAMES[labels[i]], x[i, 3]])
    with open(os.path.join(folder, "blobs.csv"), "wb") as f:
        f.write(b"\xef\xbb\xbf" + text.getvalue().encode())
    classes = sorted(NAMES)
    return x.astype(np.float32), np.array([classes.index(NAMES[k]) for k in labels])


def read_checkpoint(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + n])
    types = {"F32": np.float32, "F64": np.float64}
    tensors = {}
    for name, row in head.items():
        if name != "__metadata__":
            first, end = row["data_offsets"]
            tensors[name] = np.frombuffer(data[8 + n + first:8 + n + end], types[row["dtype"]]).reshape(row["shape"])
    return head["__metadata__"], tensors


# ---- the same training ----

def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Reference:
    def __init__(self, x, y, n_steps, weight):
        rows = order(SHUFFLE, 0, 0, len(x))
        n_other = int(np.floor(len(x) * 0.2 + 0.5))
        n_train = len(x) - 2 * n_other
        self.parts = {"train": rows[:n_train], "valid": rows[n_train:n_train + n_other], "test": rows[-n_other:]}
        self.x, self.y, self.n_steps = x.astype(float), y, n_steps
        own = self.x[self.parts["train"]]
        self.mean, self.var = own.mean(axis=0), own.var(axis=0)
        self.weight, self.bias = weight.astype(float), np.zeros(3)
        self.speed = [np.zeros((3, 4)), np.zeros(3)]

    def scores(self, rows):
        z = (self.x[rows] - self.mean) / np.sqrt(self.var + 1e-5)
        return z, z @ self.weight.T + self.bias

    def rate(self, step):
        if step < 5:
            return 0.1 * step / 5
        return 0.1 * (1 + np.cos(np.pi * (step - 5) / (self.n_steps - 5))) / 2

    def train(self):
        step, epoch, own = 0, 0, self.parts["train"]
        while step < self.n_steps:
            rows = own[order(SEED, 1, epoch, len(own))]
            for first in range(0, len(own), BATCH):
                if step == self.n_steps:
                    return
                batch = rows[first:first + BATCH]
                z, scores = self.scores(batch)
                away = (softmax(scores) - np.eye(3)[self.y[batch]]) / len(batch)
                for i, gradient in enumerate((away.T @ z, away.sum(axis=0))):
                    self.speed[i] = 0.9 * self.speed[i] + gradient
                self.weight = self.weight - self.rate(step) * self.speed[0]
                self.bias = self.bias - self.rate(step) * self.speed[1]
                step += 1
            epoch += 1

    def measure(self, part):
        rows = self.parts[part]
        _, scores = self.scores(rows)
        answers, labels = scores.argmax(axis=1), self.y[rows]
        f1 = []
        for c in range(3):
            hits = np.sum((answers == c) & (labels == c))
            total = np.sum(answers == c) + np.sum(labels == c)
            f1.append(2 * hits / total if total else 0)
        loss = -np.log(softmax(scores)[np.arange(len(rows)), labels]).mean()
        return {"loss": loss, "acc": (answers == labels).mean(), "f1": np.mean(f1)}


# ---- programs ----

class Runner:
    def __init__(self, folder):
        self.folder = folder

    def run(self, *words, program=HAND, wants=0):
        done = subprocess.run([program, *words], cwd=self.folder, capture_output=True, text=True, timeout=120)
        if done.returncode != wants:
            raise AssertionError("%s: exit status %d, not %d\n%s%s" % (" ".join(words), done.returncode, wants,
                                                                       done.stdout, done.stderr))
        return done.stdout + done.stderr

    def newest(self, folder):
        with open(os.path.join(self.folder, folder, "LATEST"), encoding="utf-8") as f:
            return os.path.join(self.folder, folder, f.read().strip())


def expect(text, pattern):
    assert re.search(pattern, text), "%r is not in: %s" % (pattern, text)


def same(a, b, tolerance, what):
    worst = np.max(np.abs(np.asarray(a, float) - np.asarray(b, float)))
    assert worst <= tolerance, "%s differs by %g" % (what, worst)


def mark_rows(r, name, rows):
    """clean.csv with rows on which the models of hand.c give no number."""
    with open(os.path.join(r.folder, "clean.csv"), encoding="utf-8-sig", newline="") as f:
        lines = f.read().split("\r\n")
    for row in rows:
        lines[1 + row] = "12345," + lines[1 + row].split(",", 1)[1]
    with open(os.path.join(r.folder, name), "w", encoding="utf-8", newline="") as f:
        f.write("\r\n".join(lines))


# ---- tests ----

def test_training(r, data):
    """40 steps end where numpy ends; so do the measures and the predictions."""
    r.run("train", "--steps=40", "--checkpoint-dir=one", "--quiet")
    _, start = read_checkpoint(r.newest("zero"))
    own = Reference(*data, 40, start["weight"])
    same(start["mean"], own.mean, 1e-6, "mean")
    same(start["var"], own.var, 1e-4, "var")
    own.train()
    _, end = read_checkpoint(r.newest("one"))
    same(end["weight"], own.weight, 2e-6, "weight")
    same(end["bias"], own.bias, 2e-6, "bias")
    same(end["optimizer.momentum.weight"], own.speed[0], 2e-6, "momentum")
    told = json.loads(r.run("eval", "--checkpoint=last", "--checkpoint-dir=one", "--json"))
    assert list(told) == ["train", "valid", "test"], told
    for part, values in told.items():
        for name, value in own.measure(part).items():
            same(values[name], value, 2e-6, part + "." + name)
    r.run("run", "--data=clean.csv", "--checkpoint=last", "--checkpoint-dir=one", "--output=out.npy")
    scores = own.scores(np.arange(len(data[0])))[1]
    same(np.load(os.path.join(r.folder, "out.npy")), scores, 2e-5, "predictions")
    text = r.run("run", "--data=clean.csv", "--checkpoint=last", "--checkpoint-dir=one")
    rows = list(csv.reader(io.StringIO(text)))
    classes = sorted(NAMES)
    assert rows[0] == ["kind"] + ["out." + c for c in classes], rows[0]
    assert [row[0] for row in rows[1:]] == [classes[k] for k in scores.argmax(axis=1)]
    np.save(os.path.join(r.folder, "x.npy"), data[0])
    again = r.run("run", "--input=x=x.npy", "--checkpoint=last", "--checkpoint-dir=one")
    assert again == text, "records and arrays give other predictions"


def test_parts(r, _):
    """Batches of 16 in parts of 4 give what whole ones give."""
    r.run("train", "--steps=40", "--checkpoint-dir=parts", "--quiet", program=PARTS)
    whole, parts = (read_checkpoint(r.newest(name))[1] for name in ("one", "parts"))
    for name in ("weight", "bias", "optimizer.momentum.weight"):
        same(parts[name], whole[name], 1e-6, name)


def test_resume(r, _):
    """100 steps are 37 and 63, bit by bit, whether it was asked to stop or killed."""
    r.run("train", "--steps=100", "--checkpoint-dir=whole", "--quiet")
    r.run("train", "--steps=100", "--stop-at=37", "--checkpoint-dir=cut", "--quiet", wants=75)
    r.run("train", "--steps=100", "--resume", "--checkpoint-dir=cut", "--quiet")
    whole, cut = read_checkpoint(r.newest("whole")), read_checkpoint(r.newest("cut"))
    assert whole[0]["step"] == cut[0]["step"] == "100"
    assert whole[1].keys() == cut[1].keys()
    for name, values in whole[1].items():
        assert values.tobytes() == cut[1][name].tobytes(), name + " is not what it was"
    expect(r.run("train", "--resume", "--checkpoint-dir=nowhere", wants=1), "nowhere")


def test_weights(r, _):
    """Given weights are what it begins with (the first rate is 0); statistics are those of the data."""
    given = {"weight": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4), "bias": np.ones(3, np.float32),
             "optimizer.other": np.zeros(7, np.float32)}
    save_tensors(os.path.join(r.folder, "given.safetensors"), given)
    words = ["train", "--checkpoint-dir=given", "--quiet", "--weights=given.safetensors"]
    r.run(*words, "--steps=40", "--stop-at=1", wants=75)
    begun, start = read_checkpoint(r.newest("given"))[1], read_checkpoint(r.newest("zero"))[1]
    for name, values in (("weight", given["weight"]), ("bias", given["bias"]), ("mean", start["mean"])):
        assert begun[name].tobytes() == values.tobytes(), name
    del given["bias"]
    save_tensors(os.path.join(r.folder, "given.safetensors"), given)
    expect(r.run(*words, wants=1), r"'bias': nothing in the checkpoint, f32\[3\] in the program")
    expect(r.run(*words, "--resume", wants=1), "--weights begins a training, --resume goes on with one")


def test_signal(r, _):
    """A signal saves and ends with 75."""
    words = [HAND, "train", "--epochs=1000000", "--checkpoint-dir=stopped", "--steps=100000000"]
    with subprocess.Popen(words, cwd=r.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as p:
        while not glob.glob(os.path.join(r.folder, "stopped", "step-*2.safetensors")) and p.poll() is None:
            time.sleep(0.001)
        p.send_signal(signal.SIGUSR1)
        told = p.communicate(timeout=60)[1]
    # It may have stalled before the signal came: then it ends as it does without one.
    assert p.returncode == 75 or "stalled" in told, (p.returncode, told)
    assert int(read_checkpoint(r.newest("stopped"))[0]["step"]) > 0


def test_bad_rows(r, _):
    """Wrong rows are left out and counted; where they are fatal, place and reason are told."""
    told = r.run("train", "--steps=3", "--checkpoint-dir=bad", "--data=blobs.csv", wants=1)
    expect(told, r"3 wrong records.*blobs.csv:52: expected 5 cells")
    expect(r.run("run", "--data=blobs.csv", "--checkpoint-dir=one", wants=1), "blobs.csv:5|blobs.csv:6")


def test_requirement(r, _):
    """What does not hold is told with what was measured."""
    expect(r.run("train", "--steps=1", "--checkpoint-dir=weak", wants=1),
           r"hand.tn:9: required: test.acc >= 0.9; measured: test.acc = 0\.\d+")


def test_nan(r, data):
    """A batch that gives no number is left out after going back; where every batch does, there is an end."""
    rows = order(SHUFFLE, 0, 0, len(data[0]))
    mark_rows(r, "one.csv", [rows[5]])
    told = r.run("train", "--data=one.csv", "--checkpoint-dir=marked", "--steps=40")
    notes = re.findall(r"step (\d+): the loss or a gradient is not a number, back to the last checkpoint", told)
    places = [list(order(SEED, 1, epoch, 180)).index(5) // BATCH + 1 + 12 * epoch for epoch in range(4)]
    assert notes == [str(step) for step in places if step <= 40], (notes, places)
    for name, values in read_checkpoint(r.newest("marked"))[1].items():
        assert name == "optimizer.loop" or np.isfinite(values).all(), name
    mark_rows(r, "all.csv", range(len(data[0])))
    told = r.run("train", "--data=all.csv", "--checkpoint-dir=lost", wants=1)
    expect(told, r"step \d+, epoch \d+: the loss is not a number, after 64 batches were left out; its batch of \d+: "
                 r"all.csv:\d+, all.csv:\d+")


def test_memory(r, _):
    """Nothing is allocated after the first step: 20 steps and 400 take as many calls; so where files are not held."""
    count = os.path.join(r.folder, "count")
    seen = []
    for steps, more in ((20, []), (400, []), (20, ["--data-memory=0"]), (400, ["--data-memory=0"])):
        environment = dict(os.environ, LD_PRELOAD=os.path.join(BUILD, "tests", "preload_malloc.so"),
                           MALLOC_COUNT_FILE=count)
        words = [HAND, "train", "--steps=%d" % steps, "--checkpoint-dir=memory%d%d" % (steps, len(more)), *more]
        done = subprocess.run(words, cwd=r.folder, env=environment, capture_output=True, timeout=60, check=False)
        if b"ASan runtime does not come first" in done.stderr:
            return  # nothing can be preloaded into an instrumented program
        with open(count, encoding="ascii") as f:
            seen.append(int(f.read()))
    assert seen[0] == seen[1] > 0 and seen[2] == seen[3] > 0, seen


def test_made_samples(r, _):
    """Without room for arrays a thread makes the samples of the next step: the weights are the same, bit by bit."""
    for name, program in (("made", HAND), ("made_parts", PARTS)):
        r.run("train", "--steps=40", "--checkpoint-dir=" + name, "--quiet", "--data-memory=16", program=program)
    for name, other in (("made", "one"), ("made_parts", "parts")):
        made, kept = (read_checkpoint(r.newest(folder))[1] for folder in (name, other))
        for tensor, values in kept.items():
            assert values.tobytes() == made[tensor].tobytes(), (name, tensor)


def test_options(r, _):
    """Wrong options are refused; the help names every verb."""
    expect(r.run("train", "--epochs=0", wants=1), "--epochs: expected a whole number from 1")
    expect(r.run("train", "--what", wants=1), r"unknown option '--what'")
    expect(r.run("eval", "--seed=1", wants=1), "'--seed' has no meaning for 'eval'")
    expect(r.run("eval", "--split=all", wants=1), "'all' is none of train, valid, test")
    expect(r.run("eval", "--checkpoint=none.safetensors", wants=1), "none.safetensors")
    expect(r.run("walk", wants=1), "'walk' is none of train, eval, run, export, plot, info")
    expect(r.run("run", "--checkpoint-dir=one", wants=1), "run needs --data FILE with records, or --input NAME=FILE")
    expect(r.run("export", "--checkpoint-dir=one", wants=1), "export needs --onnx, --safetensors or --npz")
    text = r.run("--help")
    for verb in ("train", "eval", "run", "export", "info"):
        expect(text, r"\n  %s  " % verb)
    expect(r.run("info"), "x: f32 \\[4\\]\n  y: i32 \\[\\], 3 classes")
    assert json.loads(r.run("info", "--json"))["parameters"] == 15


def main():
    count = Count()
    folder = tempfile.mkdtemp()
    data = make_data(folder, bad=False)
    os.rename(os.path.join(folder, "blobs.csv"), os.path.join(folder, "clean.csv"))
    make_data(folder)
    r = Runner(folder)
    r.run("train", "--stop-at=1", "--steps=40", "--checkpoint-dir=zero", "--quiet", wants=75)
    for test in (test_training, test_parts, test_resume, test_weights, test_signal, test_bad_rows, test_requirement,
                 test_nan, test_memory, test_made_samples, test_options):
        problem = None
        try:
            test(r, data)
        except (AssertionError, OSError, KeyError, ValueError) as e:
            problem = e
        count.judge(test.__name__, problem)
    shutil.rmtree(folder)
    count.finish()


main()
