"""`zero: 1`: processes that share out the optimiser's states and the update train as those that do not: the same bits
for two processes and wherever `reproducible = world` says so, else within rounding; checkpoints are the same and go on
with other numbers of processes, with and without it; a process has its share of the states alone.
  usage: test_parallel_zero.py BUILD_DIR
"""
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import time

from common import Count
from processes import TENON, families, newest, run, start

MODEL = """data rows = csv("rows.csv", target: "label", split: (train: 0.7, valid: 0.1, test: 0.2), shuffle: 1)
model Net(x: f32[B, 6]) -> f32[B, 3] = x |> standardize |> linear(50) |> BODY |> linear(37) |> relu |> linear(3)
train Net on rows {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  batch = 32; seed = 1; epochs = 3; parallel = (ZERO, bucket: 2KiB)
  SETTINGS
  every 1 epochs { eval(valid) }
}
"""
# Weights of several buckets, cut within tensors; the bodies of two of them run statistics.
PROGRAMS = {
    "sgd": "optimizer = sgd(lr: 0.05, momentum: 0.9)",
    "plain": "optimizer = sgd(lr: 0.05)",
    "rmsprop": "optimizer = rmsprop(lr: 2e-3, momentum: 0.5); clip = value(0.01)",
    "adagrad": "optimizer = adagrad(lr: 0.02, l1: 1e-4)",
    "adam": "optimizer = adam(lr: 5e-3, decay: 1e-3); params \"*.bias\" { lr = 1e-2; decay = 0 }",
    "adamw": "optimizer = adamw(lr: 5e-3); params \"linear_1.*\" { decay = 0.3 }; freeze \"linear_2.bias\"",
    "lion": "optimizer = lion(lr: 1e-3, decay: 0.1)",
    "half": "optimizer = adam(lr: 5e-3); precision = f16(loss_scale: dynamic(1073741824))",
    "kept": "optimizer = adamw(lr: 5e-3); precision = bf16(master: bf16)",
    "world": "optimizer = adam(lr: 5e-3); clip = global_norm(0.5); reproducible = world",
}
ROUNDED = {"norm": "optimizer = adam(lr: 5e-3); clip = global_norm(0.5)"}
count = Count()


def write_rows(path, n=403):
    """403: no multiple of the batch, nor of the numbers of processes."""
    numbers = random.Random(3)
    with open(path, "w", encoding="ascii") as out:
        out.write("a,b,c,d,e,f,label\n")
        for _ in range(n):
            row = [numbers.gauss(0, 1) for _ in range(6)]
            label = "red" if row[0] + row[1] > 0.5 else "green" if row[2] * row[3] > 0 else "blue"
            out.write(",".join([f"{value:.6f}" for value in row] + [label]) + "\n")


def build(folder, name, settings, body="relu"):
    """NAME, and NAME1 with `zero: 1`."""
    for zero in (0, 1):
        text = MODEL.replace("BODY", body).replace("SETTINGS", settings).replace("ZERO", f"zero: {zero}")
        file = name + "1" * zero + ".tn"
        with open(os.path.join(folder, file), "w", encoding="ascii") as out:
            out.write(text)
        subprocess.run([TENON, file, "-o", file[:-3]], cwd=folder, check=True)


def train(folder, name, words=(), family=None, n=1, wants=0):
    """The newest checkpoint then; all are in NAME.checkpoints, or where words say."""
    status, out, err = run(folder, [f"./{name}", "train", "--quiet", *words], family, n)
    if status != wants:
        count.judge(f"{family}: {name} {words} on {n} processes", (status, out, err) if status else "no status")
        return {}
    where = [word.split("=")[1] for word in words if word.startswith("--checkpoint-dir=")]
    return newest(folder, where[0] if where else f"{name}.checkpoints")


def distance(a, b):
    """The largest difference between f32 tensors of the same names, or infinity."""
    if not a or a.keys() != b.keys():
        return float("inf")
    worst = 0.0
    for name in a:
        if a[name][0] == "F32" and len(a[name][1]) == len(b[name][1]):
            pairs = zip(*(struct.unpack(f"<{len(t[name][1]) // 4}f", t[name][1]) for t in (a, b)))
            worst = max([worst] + [abs(x - y) for x, y in pairs])
        elif a[name][0] == "F32":
            return float("inf")
    return worst


def differing(a, b):
    """Names of tensors whose bits differ."""
    return "no checkpoint" if not a or not b else [name for name in a | b if a.get(name) != b.get(name)]


def check_same(folder, family, name, n, most, words=()):
    """most: how far from one another the weights may be; None: not at all."""
    plain, shared = train(folder, name, words, family, n), train(folder, name + "1", words, family, n)
    if most is None:
        count.judge(f"{family}: {name} on {n} processes, the same bits with zero", differing(plain, shared))
    else:
        found = distance(plain, shared)
        count.judge(f"{family}: {name} on {n} processes, as without zero", not found <= most and found)
    return shared


def check_chain(folder, family, alone):
    """One training of other numbers of processes, now with the states shared out, now without."""
    where = f"--checkpoint-dir=chain-{family}"
    stops = [("world1", 2, 7), ("world", 3, 11), ("world1", 4, 16), ("world1", 1, 19), ("world1", 3, None)]
    found = {}
    for i, (name, n, stop) in enumerate(stops):
        words = [where] + (["--resume"] if i else []) + ([f"--stop-at={stop}"] if stop else [])
        found = train(folder, name, words, family if n > 1 else None, n, 75 if stop else 0)
    count.judge(f"{family}: parts of a training with and without zero", differing(alone, found))


def children(name):
    found = subprocess.run(["pgrep", "-f", f"^./{name} train"], capture_output=True, text=True, check=False).stdout
    return sorted(int(word) for word in found.split())


def check_kill(folder, family, expected):
    """A killed process ends the others; what they saved goes on to the same end."""
    where = f"killed-{family}"
    process = start(folder, ["./long1", "train", "--quiet", "--epochs=1000000", f"--checkpoint-dir={where}"], family, 3)
    for _ in range(600):
        if os.path.exists(os.path.join(folder, where, "LATEST")) and len(children("long1")) == 3:
            break
        time.sleep(0.05)
    for pid in children("long1")[-1:]:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    count.judge(f"{family}: a killed process ends the training", process.returncode == 0 and "it went on")
    for pid in children("long1"):
        os.kill(pid, signal.SIGKILL)
    step = int(open(os.path.join(folder, where, "LATEST"), encoding="ascii").read().split("-")[1].split(".")[0])
    more = [f"--steps={step + 25}", "--epochs=1000000"]
    found = train(folder, "long1", [f"--checkpoint-dir={where}", "--resume", *more], family, 2)
    straight = train(folder, "long", ["--checkpoint-dir=straight", *more])
    shutil.rmtree(os.path.join(folder, "straight"))
    count.judge(f"{family}: and goes on to the same end, from step {step}", differing(straight, found))


def check_back(folder, family):
    """Steps without a number go back to the last checkpoint in all processes."""
    found = check_same(folder, family, "back", 3, None)
    alone = train(folder, "back")
    count.judge(f"{family}: back to the last checkpoint, as one process", differing(alone, found))


def check_memory(folder):
    """States are a share of all; weights are whole."""
    facts = json.loads(run(folder, ["./wide1", "info", "--json"])[1])
    alone, shares = facts["arenas"]["persistent"], facts["persistent_of_one_of"]
    weights = 4 * facts["parameters"]
    count.judge("info tells of shares", list(shares) != ["2", "4", "8"] and shares)
    for n in (2, 4, 8):
        states, scratch = shares[str(n)] - weights, 3 * 4 * 32768
        count.judge(f"states of one of {n}", abs(states - scratch - 2 * weights / n) > 0.02 * weights and
                    (alone, weights, shares))


def main():
    with tempfile.TemporaryDirectory() as folder:
        write_rows(os.path.join(folder, "rows.csv"))
        for name, settings in {**PROGRAMS, **ROUNDED}.items():
            build(folder, name, settings, "batchnorm |> relu" if name in ("world", "rmsprop") else "relu")
        build(folder, "long", "optimizer = adam(lr: 1e-4); reproducible = world; every 5 steps { checkpoint() }")
        build(folder, "wide", "optimizer = adam(lr: 1e-4)", "linear(1000) |> linear(1000)")
        # The steepest of steps: soon there are no numbers; half the rate each time.
        build(folder, "back", "optimizer = sgd(lr: 1e38, momentum: 0.9); reproducible = world; on nan { rollback(), "
              "scale_lr(0.000001) }; every 3 steps { checkpoint() }")
        check_memory(folder)
        alone = train(folder, "world")
        count.judge("one process has the same with zero", differing(alone, train(folder, "world1")))
        for family in families(count):
            for name in PROGRAMS:
                check_same(folder, family, name, 2, None)
            check_same(folder, family, "norm", 2, 1e-4)
            for name in ("sgd", "adam", "norm"): # the library adds in another order for slices than for all
                check_same(folder, family, name, 3, 1e-4)
            check_same(folder, family, "wide", 2, None, ["--steps=3"]) # pieces that are updated by several runs
            for n in (3, 4, 8):
                count.judge(f"{family}: world on {n}, as alone",
                            differing(alone, train(folder, "world1", (), family, n)))
            check_chain(folder, family, alone)
            check_kill(folder, family, alone)
            check_back(folder, family)
    count.finish()


main()
