"""From a .tn file to a trained model: programs that tenon makes are run on real tables.   usage: test_programs.py BUILD

Needs the network once, for scikit-learn's tables (datasets.py); without them everything is skipped.
"""
import glob
import os
import random
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from PIL import Image
from onnx import TensorProto, helper, numpy_helper

import datasets
from common import BUILD, HERE, Count

TENON = os.path.join(BUILD, "bin", "tenon")
TABLES = os.path.join(BUILD, "..", "datasets")
ROOT = os.path.join(HERE, "..", "..")

IRIS = """
data iris = csv("iris.csv", target: "species", split: (train: 0.7, valid: 0.15, test: 0.15), shuffle: 7)
model Mlp(x: f32[B, 4]) -> f32[B, 3] = x |> standardize |> linear(32) |> relu |> linear(3)
train Mlp on iris {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = adamw(lr: 0.01); batch = 32; epochs = 60; seed = 1
  every 1 epochs { eval(valid) }
  stop when stalled(valid.loss, for: 10)
}
"""
DIGITS = """
data digits = csv("digits.csv", target: "digit", split: (train: 0.8, test: 0.2), shuffle: 3)
model Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] =
  x |> standardize |> conv(32, 3, pad: 1) |> batchnorm |> relu |> maxpool(2) |> conv(64, 3, pad: 1) |> batchnorm
    |> relu |> flatten |> dropout(0.3) |> linear(10)
train Net on digits {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = adamw(lr: cosine(2e-3, warmup: 20)); batch = 64; epochs = 12
}
"""
GPT = """
dim V = 256, T = 64, D = 64, L = 2, H = 4, K = D / H
data book = text("book.txt", split: (train: 0.9, valid: 0.1)) {
  x: token[T] = window(0)
  y: token[T] = window(1)
}
module Attn(x: f32[B, T, D]) -> f32[B, T, D] {
  param wqkv: f32[D, 3, H, K] = normal(0.02)
  param wo:   f32[H, K, D]    = normal(0.02)
  let (q, k, v) = dot(x, wqkv, over: D) |> unstack(axis: 2)
  return dot(attention(q, k, v, causal: true), wo, over: (H, K))
}
module Block(x: f32[B, T, D], F: int = 4 * D) -> f32[B, T, D] {
  param w1: f32[D, F] = normal(0.02)
  param w2: f32[F, D] = normal(0.02)
  let h = x + (x |> layernorm |> Attn)
  return h + (h |> layernorm |> dot(w1, over: D) |> gelu |> dot(w2, over: F))
}
model Gpt(x: token[B, T]) -> f32[B, T, V] {
  sub wte = embed(vocab: V, width: D)
  let h = wte(x) + positions(T, D)
  for i in 0..L { h = h |> Block }
  return h |> layernorm |> dot(wte.weight, over: D)
}
train Gpt on book {
  loss = cross_entropy(out, y); metrics = (ppl: perplexity(out, y))
  optimizer = adamw(lr: cosine(4e-3, warmup: 50), decay: 0.01)
  params "*.layernorm*.*" { decay = 0 }
  clip = global_norm(1.0); batch = 16; steps = 500; seed = 1
  every 250 steps { eval(valid) }
}
"""
LINES = """
dim V = 600, T = 24, E = 24, H = 32, C = 3
data news = tsv("lines.tsv", split: (train: 0.8, test: 0.2), shuffle: 1) {
  x: token[T] = line |> lower |> words(V) |> pad_or_cut(T)
  n: i32      = length(x)
  y: class[C] = kind
}
module LstmCell(x: f32[B, E], h: f32[B, H], c: f32[B, H]) -> (f32[B, H], f32[B, H]) {
  param wx: f32[E, 4 * H] = xavier
  param wh: f32[H, 4 * H] = orthogonal
  param b:  f32[4 * H]    = zeros
  let (i, f, g, o) = dot(x, wx, over: E) + dot(h, wh, over: H) + b |> split(4)
  let c2 = sigmoid(f + 1) * c + sigmoid(i) * tanh(g)
  return (sigmoid(o) * tanh(c2), c2)
}
model Classifier(x: token[B, T], n: i32[B]) -> f32[B, C] {
  sub cell = LstmCell()
  let e = x |> embed(V, E) |> dropout(0.2)
  scan (xt, t) in e along T carry h = zeros(B, H), c = zeros(B, H) {
    let (h2, c2) = cell(xt, h, c)
    let live = t < n
    h = where(live, h2, h)
    c = where(live, c2, c)
  }
  return h |> dropout(0.5) |> linear(C)
}
train Classifier on news {
  loss = cross_entropy(out, y), metrics = (acc: accuracy(out, y), f1: macro_f1(out, y))
  optimizer = adam(lr: 5e-3); clip = global_norm(1.0), batch = 32, epochs = 6
}
"""
WINE = """
data wine = csv("wine.csv", split: (train: 0.8, test: 0.2), shuffle: 5) {
  x: f32[3]   = (w0, w6, w9) |> minmax
  y: class[3] = class
}
model M = onnx("m.onnx")
train M on wine {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = sgd(lr: 0.1, momentum: 0.9); batch = 16; epochs = 40
  freeze "first.*"
  require test.acc >= 0.75
}
"""


class Folder:
    """A folder with one program, run in it."""

    def __init__(self, source):
        self.temporary = tempfile.TemporaryDirectory()
        self.path = self.temporary.name
        for name in datasets.TABLES:
            os.symlink(os.path.abspath(os.path.join(TABLES, name)), os.path.join(self.path, name))
        with open(os.path.join(self.path, "m.tn"), "w") as f:
            f.write(source)

    def run(self, *words, rc=0):
        done = subprocess.run(words, cwd=self.path, capture_output=True, text=True, timeout=300)
        if done.returncode != rc:
            raise RuntimeError("%s: %d, not %d\n%s%s" % (" ".join(words), done.returncode, rc, done.stdout[-2000:],
                                                        done.stderr[-2000:]))
        return done.stdout + done.stderr

    def make(self, *words):
        return self.run(TENON, "m.tn", "-o", "m", *words)

    def score(self, split, metric="acc", words=()):
        """What ./m eval tells."""
        lines = [line.split() for line in self.run("./m", "eval", *words).splitlines() if line.strip()]
        head = next(words for words in lines if "loss" in words)
        row = next(words for words in lines if words[0] == split)
        return float(row[1 + head.index(metric)])


def mean_of_seeds(source, split, least, metric="acc", sign=1, prepare=None, seeds=(1, 2, 3)):
    """The mean is at least that (at most, where sign is -1), and no seed more than 0.02 worse."""
    folder = Folder(source)
    if prepare:
        prepare(folder.path)
    folder.make()
    scores = []
    for seed in seeds:
        folder.run("./m", "train", "--seed", str(seed), "--checkpoint-dir", "c%d" % seed)
        scores.append(folder.score(split, metric, ("--checkpoint-dir", "c%d" % seed)))
    print("  %s.%s of seeds: %s, mean %.4f" % (split, metric, " ".join("%.4f" % s for s in scores), np.mean(scores)))
    if sign * (np.mean(scores) - least) < 0 or min(sign * (score - least) for score in scores) < -0.02:
        return "%s, wanted %g" % (scores, least)
    return None


def test_cancer():
    with open(os.path.join(HERE, "..", "..", "examples", "breast_cancer.tn")) as f:
        return mean_of_seeds(f.read(), "test", 0.95)


def test_digits():
    return mean_of_seeds(DIGITS, "test", 0.98)


def write_book(folder):
    """The documents of this repository as one text."""
    with open(os.path.join(folder, "book.txt"), "w") as out:
        for name in ("README.md", "ir/IR.md", "grammar/LANGUAGE.md"):
            with open(os.path.join(ROOT, name)) as f:
                out.write(f.read())


def write_lines(folder):
    """Lines of this repository: which are C, which Python, which prose?"""
    rng, rows = random.Random(1), []
    kinds = {"c": ["runtime/core/*.c", "ir/*.c"], "python": ["tests/*/*.py"],
             "prose": ["README.md", "ir/IR.md", "grammar/LANGUAGE.md"]}
    for kind, patterns in kinds.items():
        lines = set()
        for path in (path for pattern in patterns for path in glob.glob(os.path.join(ROOT, pattern))):
            with open(path, errors="replace") as f:
                words = [re.findall(r"[A-Za-z_]+|[0-9]+|[^\sA-Za-z0-9\"]", line) for line in f]
            lines |= {" ".join(line) for line in words if len(line) >= 4}
        lines = sorted(lines)
        rng.shuffle(lines)
        rows += [(kind, line) for line in lines[:1000]]
    rng.shuffle(rows)
    with open(os.path.join(folder, "lines.tsv"), "w") as out:
        out.write("kind\tline\n" + "".join("%s\t%s\n" % row for row in rows))


def test_lstm():
    """A cell written out, carried by a scan up to the true length of each line; words, drop-out."""
    return mean_of_seeds(LINES, "test", 0.88, prepare=write_lines)


def test_gpt():
    """Bytes of a text, two blocks of attention, one tied weight."""
    return mean_of_seeds(GPT, "valid", 3.0, "loss", -1, write_book)


def test_verbs():
    """train, eval, export, and an inference program of the checkpoint that agrees with ./m run."""
    folder = Folder(IRIS)
    folder.make()
    folder.run("./m", "train")
    if folder.score("test") < 0.85:
        return "accuracy %g" % folder.score("test")
    folder.run("./m", "export", "--safetensors=w.safetensors")
    checkpoints = os.path.join(folder.path, "m.checkpoints")
    newest = sorted(name for name in os.listdir(checkpoints) if name.endswith(".safetensors"))[-1]
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.save(os.path.join(folder.path, "x.npy"), x)
    results = []
    for weights in (os.path.join("m.checkpoints", newest), "w.safetensors"):
        folder.run(TENON, "m.tn", "--weights=" + weights, "-o", "predict")
        folder.run("./predict", "run", "--input", "x=x.npy", "--output-dir", "out")
        results.append(np.load(os.path.join(folder.path, "out", "out.npy")))
    if not np.array_equal(results[0], results[1]):
        return "checkpoint and export differ"
    return None if results[0].shape == (5, 3) and np.isfinite(results[0]).all() else "no scores"


def test_settings():
    """--set takes the place of a setting; a requirement that is not met is status 1 and named with its line."""
    folder = Folder(IRIS.replace("stop when", "require valid.acc > 2\n  stop when"))
    folder.make("--set", "train.steps=7", "--set", "train.batch=8")
    text = folder.run("./m", "train", rc=1)
    if not re.search(r"m\.tn:8: .*valid\.acc > 2", text):
        return "no word of the requirement: " + text[-500:]
    steps = re.findall(r"step (\d+), epoch 1", text)
    return None if steps and steps[-1] == "7" else "steps: " + text[-300:]


ARRAYS = """
data d = npz("d.npz", split: (train: 0.8, valid: 0.2)) {
  x: f32[8]   = x
  y: class[3] = y
  v: f32[2]   = v
}
model Two(x: f32[B, 8]) -> (f32[B, 3], f32[B, 2]) {
  let h = x |> linear(32) |> relu
  return (h |> linear(3), h |> linear(2))
}
train Two on d {
  let (kind, value) = out
  loss    = cross_entropy(kind, y, smoothing: 0.1) + 0.5 * mse(value, v)
  metrics = (acc: accuracy(kind, y), rmse: rmse(value, v), far: mean(abs(value - v)))
  optimizer = adam(lr: 0.01); steps = 300; batch = 50
  every 100 steps { eval(valid), checkpoint(best: valid.acc) }
}
"""


def test_arrays():
    """A result of two parts, fields of three kinds, and a metric that is an expression of its own."""
    folder = Folder(ARRAYS)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 8)).astype(np.float32)
    np.savez(os.path.join(folder.path, "d.npz"), x=x, y=np.argmax(x[:, :3], 1).astype(np.int64),
             v=x[:, 3:5] - x[:, 5:7])
    folder.make()
    folder.run("./m", "train")
    accuracy, far, rmse = (folder.score("valid", name) for name in ("acc", "far", "rmse"))
    return None if accuracy > 0.9 and far < rmse < 0.3 else "acc %g, far %g, rmse %g" % (accuracy, far, rmse)


PICTURES = """
data pets = images("pets", split: (train: 0.8, test: 0.2), shuffle: 3) {
  x: f32[3, 16, 16] = image / 255
  y: class[2]       = label
}
model Net(x: f32[B, 3, 16, 16]) -> f32[B, 2] = x |> conv(4, 3) |> relu |> flatten |> linear(2)
train Net on pets {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = adam(lr: 1e-2); batch = 16; epochs = 10
}
"""


def test_pictures():
    """JPEG and PNG in folders; a damaged one is named; programs without pictures do without libjpeg."""
    folder, rng = Folder(PICTURES), np.random.default_rng(0)
    for k, label in enumerate(("dog", "cat")):
        os.makedirs(os.path.join(folder.path, "pets", label))
        for i in range(40):
            pixels = rng.integers(0, 100, (16, 16, 3)).astype(np.uint8)
            pixels[:, :, k] += 100
            name = "%03d.%s" % (i, "jpg" if i % 3 else "png")
            Image.fromarray(pixels).save(os.path.join(folder.path, "pets", label, name))
    folder.make()
    folder.run("./m", "train")
    if folder.score("test") < 0.9:
        return "accuracy %g" % folder.score("test")
    damaged = os.path.join(folder.path, "pets", "cat", "007.jpg")
    os.truncate(damaged, os.path.getsize(damaged) - 100)
    told = folder.run("./m", "train", rc=1)
    if "pets/cat/007.jpg: a damaged JPEG" not in told:
        return "of a damaged picture: " + told[-300:]
    table = Folder(IRIS)
    table.make()
    sizes = [os.path.getsize(os.path.join(f.path, "m")) for f in (folder, table)]
    return None if sizes[1] < sizes[0] - 200000 else "sizes %s" % sizes


def small_onnx(path):
    rng = np.random.default_rng(1)
    first, second = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 32), (32, 3)))
    nodes = [helper.make_node("MatMul", ["x", "first.weight"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("MatMul", ["b", "second.weight"], ["c"]),
             helper.make_node("Add", ["c", "second.bias"], ["y"])]
    weights = {"first.weight": first, "second.weight": 0.1 * second, "second.bias": np.zeros(3, np.float32)}
    graph = helper.make_graph(nodes, "m", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
                              [numpy_helper.from_array(value, name) for name, value in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return weights


def read_safetensors(path):
    import json
    import struct
    with open(path, "rb") as f:
        data = f.read()
    n, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + n])
    return {name: np.frombuffer(data[8 + n + row["data_offsets"][0]:8 + n + row["data_offsets"][1]],
                                np.float32).reshape(row["shape"])
            for name, row in header.items() if name != "__metadata__" and row["dtype"] == "F32"}


def test_onnx():
    """A model of another format is trained from its own weights; what is frozen stays bit for bit."""
    folder = Folder(WINE)
    before = small_onnx(os.path.join(folder.path, "m.onnx"))
    folder.make()
    folder.run("./m", "train")
    folder.run("./m", "export", "--safetensors=w.safetensors")
    after = read_safetensors(os.path.join(folder.path, "w.safetensors"))
    if sorted(after) != sorted(before):
        return "weights %s" % sorted(after)
    if not np.array_equal(after["first.weight"], before["first.weight"]):
        return "a frozen weight moved"
    return "nothing moved" if np.array_equal(after["second.weight"], before["second.weight"]) else None


def main():
    count = Count()
    tests = [test_verbs, test_settings, test_arrays, test_pictures, test_onnx, test_cancer, test_digits, test_lstm,
             test_gpt]
    if not datasets.fetch(TABLES):
        count.skipped = len(tests)
        return count.finish()
    for test in tests:
        try:
            problem = test()
        except (RuntimeError, subprocess.TimeoutExpired, StopIteration) as error:
            problem = str(error)
        count.judge(test.__name__, problem)
    return count.finish()


if __name__ == "__main__":
    sys.exit(main())
