"""The documented trainings: each file of examples/ and each one of grammar/LANGUAGE.md compiles, trains on data of the
form it names, and comes to what it promises.   usage: test_examples.py BUILD

Large ones are made small by -D and --set; what cannot be built yet is set aside by name.
"""
import glob
import gzip
import os
import re
import struct
import subprocess

import numpy as np

import datasets
from common import Count
from test_programs import ROOT, TABLES, Folder


def idx(array):
    head = b"\0\0\x08" + bytes([array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes())


def pictures(rng, n):
    """Ten patterns with noise, as MNIST is stored."""
    kinds = rng.integers(0, 10, n)
    patterns = np.random.default_rng(9).random((10, 7, 7)) > 0.6
    big = patterns.repeat(4, 1).repeat(4, 2)[kinds]
    return idx(np.clip(big * 200 + rng.normal(size=(n, 28, 28)) * 20, 0, 255)), idx(kinds)


def news(rng):
    topics = {"sport": "ball goal team win", "money": "stock bank market coin", "science": "atom cell star lab",
              "politics": "vote law party king"}
    rows = ["label\ttitle\tbody"]
    for _ in range(1200):
        label = rng.choice(list(topics))
        words = rng.choice(topics[label].split() + "the a of in".split(), 20)
        rows.append("\t".join([label, " ".join(words[:4]).title(), " ".join(words[4:])]))
    return "\n".join(rows).encode() + b"\n"


def npz(**arrays):
    def write(path):
        with open(path, "wb") as f:
            np.savez(f, **arrays)
    return write


def make_data(folder):
    """Every file that a documented training reads."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 8)).astype(np.float32)
    names = ("train-images.gz", "train-labels.gz", "t10k-images.gz", "t10k-labels.gz")
    files = dict(zip(names, pictures(rng, 900) + pictures(rng, 200)))
    files["news.tsv"] = news(rng)
    for i in range(2):
        files["fineweb-%d.bin" % i] = (np.arange(10000) % 40).astype(np.uint16).tobytes()
    files["points.csv"] = b"a,b,y\n" + b"".join(b"%f,%f,%f\n" % (a, b, a - b / 2) for a, b, *_ in x)
    files["d.npz"] = npz(x=x, y=np.argmax(x[:, :3], 1), v=x[:, 3:5] - x[:, 5:7])
    files["faces.npz"] = npz(x=rng.normal(size=(300, 8)) @ rng.normal(size=(8, 64)) / 8)
    for name, content in files.items():
        path = os.path.join(folder, name)
        if callable(content):
            content(path)
            continue
        with open(path, "wb") as f:
            f.write(content)


SMALL = {  # options, the split and the score that is asked for, whether the least or the most
    "lenet.tn": (["--set", "train.epochs=12", "--set", "train.batch=32", "--set",
                  "train.optimizer=sgd(lr: cosine(0.05, warmup: 20), momentum: 0.9)"], "test", "acc", 0.95),
    "lstm.tn": (["-D", "V=300", "-D", "T=24", "-D", "E=16", "-D", "H=24", "--set",
                 "train.epochs=8"], "test", "f1", 0.9),
    "gpt2.tn": (["-D", "V=40", "-D", "T=16", "-D", "D=32", "-D", "L=2", "-D", "H=4",
                 "--set", "train.mesh=none", "--set", "train.parallel=none", "--set", "train.steps=300", "--set",
                 "train.batch=32", "--set", "train.optimizer=adamw(lr: 3e-3)"], "valid", "loss", 0.5),
    "Two": ([], "valid", "acc", 0.9),
    "characters.tn": (["--set", "train.steps=20"], None, None, 0),  # these three: test_programs.py, as they are
    "digits.tn": (["--set", "train.epochs=1"], None, None, 0),
    "lines.tn": (["--set", "train.epochs=1"], None, None, 0),
}


def check(name, source):
    """name: of the file, or of the model in it."""
    folder = Folder(re.sub(r", sample\(\"[^\"]*\", \d+\)|require static\(peak_memory\) .*", "", source))
    make_data(folder.path)
    words, split, score, bound = SMALL.get(name, ([], None, None, 0))
    folder.make(*words)
    folder.run("./m", "train")
    if not split:
        return None
    checkpoints = ("--checkpoint-dir", "ck") if name == "gpt2.tn" else ()
    value = folder.score(split, score, checkpoints)
    print("  %s: %s.%s %.4f" % (name, split, score, value))
    return None if (value <= bound if score == "loss" else value >= bound) else "%s.%s %g" % (split, score, value)


def documented():
    for path in sorted(glob.glob(os.path.join(ROOT, "examples", "*.tn"))):
        with open(path) as f:
            yield os.path.basename(path), f.read()
    with open(os.path.join(ROOT, "grammar", "LANGUAGE.md")) as f:
        for block in re.findall(r"^```tn\n(.*?)^```", f.read(), re.M | re.S):
            trained = re.search(r"^train (\w+) on ", block, re.M)
            if trained:
                yield trained[1], block


def main():
    count = Count()
    if not datasets.texts(TABLES) or not datasets.fetch(TABLES):
        count.skipped = 1
        return count.finish()
    for name, source in documented():
        try:
            problem = check(name, source)
        except (RuntimeError, subprocess.TimeoutExpired, StopIteration) as error:
            problem = str(error)
        count.judge(name, problem)
    return count.finish()


if __name__ == "__main__":
    main()
