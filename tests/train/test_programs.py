"""From a .tn file to a trained model: programs that tenon makes are run on real data.
usage: test_programs.py BUILD [TEST..]

Needs the network once, for the data of packages (datasets.py); without them everything is skipped.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from PIL import Image
from onnx import TensorProto, helper, numpy_helper

import datasets
from common import BUILD, HERE, Count, run_in

TENON = os.path.join(BUILD, "bin", "tenon")
TABLES = os.path.join(BUILD, "..", "datasets")
ROOT = os.path.join(HERE, "..", "..")
SKIPPED = "its package cannot be fetched"

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

    def __init__(self, source, files=()):
        self.temporary = tempfile.TemporaryDirectory()
        self.path = self.temporary.name
        for name in [*datasets.TABLES, *datasets.TEXTS, *files]:
            os.symlink(os.path.abspath(os.path.join(TABLES, name)), os.path.join(self.path, name))
        with open(os.path.join(self.path, "m.tn"), "w") as f:
            f.write(source)

    def run(self, *words, rc=0):
        return run_in(self.path, *words, rc=rc)

    def make(self, *words):
        return self.run(TENON, "m.tn", "-o", "m", *words)

    def score(self, split, metric="acc", words=()):
        """What ./m eval tells."""
        lines = [line.split() for line in self.run("./m", "eval", *words).splitlines() if line.strip()]
        head = next(words for words in lines if "loss" in words)
        row = next(words for words in lines if words[0] == split)
        return float(row[1 + head.index(metric)])


def mean_of_seeds(source, split, least, metric="acc", sign=1, seeds=(1, 2, 3), files=()):
    """The mean is at least that (at most, where sign is -1), and no seed more than 0.02 worse."""
    folder = Folder(source, files)
    folder.make()
    scores = []
    for seed in seeds:
        folder.run("./m", "train", "--seed", str(seed), "--checkpoint-dir", "c%d" % seed)
        scores.append(folder.score(split, metric, ("--checkpoint-dir", "c%d" % seed)))
    print("  %s.%s of seeds: %s, mean %.4f" % (split, metric, " ".join("%.4f" % s for s in scores), np.mean(scores)))
    if sign * (np.mean(scores) - least) < 0 or min(sign * (score - least) for score in scores) < -0.02:
        return "%s, wanted %g" % (scores, least)
    return None


def example(name):
    with open(os.path.join(ROOT, "examples", name), encoding="ascii") as f:
        return f.read()


def test_cancer():
    """The README's example: 15 lines, and a second from the file to the trained model."""
    source = example("breast_cancer.tn")
    if len(source.splitlines()) > 15:
        return "%d lines" % len(source.splitlines())
    folder, seconds = Folder(source), []
    for _ in range(3):
        before = os.times()
        folder.make()
        folder.run("./m", "train")
        after = os.times()
        shutil.rmtree(os.path.join(folder.path, "m.checkpoints"))
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    print("  processor time from tenon to a trained model: %.2f s" % min(seconds))
    return "%s seconds" % seconds if min(seconds) > 1 else mean_of_seeds(source, "test", 0.95)


def test_digits():
    """A convolutional net with batch norm and drop-out."""
    return mean_of_seeds(example("digits.tn"), "test", 0.98)


def test_lines():
    """A cell written out, carried by a scan up to the true length of each line; words, drop-out."""
    return mean_of_seeds(example("lines.tn"), "test", 0.88)


def test_characters():
    """A GPT on the characters of a text: two blocks of attention, one tied weight."""
    return mean_of_seeds(example("characters.tn"), "valid", 2.9, "loss", -1)


LENET = """
data mnist = idx("train-images.gz", "train-labels.gz", test: ("t10k-images.gz", "t10k-labels.gz"),
                 split: (train: 0.9, valid: 0.1)) {
  x: f32[1, 28, 28] = image / 255
  y: class[10]      = label
}
model LeNet(x: f32[B, 1, 28, 28]) -> f32[B, 10] =
  x |> conv(6, 5, pad: 2) |> relu |> maxpool(2) |> conv(16, 5) |> relu |> maxpool(2) |> flatten |> linear(120) |> relu
    |> linear(84) |> relu |> linear(10)
train LeNet on mnist {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = adam(lr: cosine(2e-3)); batch = 64; epochs = 1
  every 1 epochs { eval(valid) }
}
"""


def test_mnist():
    """LeNet-5, once through MNIST's 54,000 pictures, as IDX packed by gzip."""
    if not datasets.mnist(TABLES):
        return SKIPPED
    return mean_of_seeds(LENET, "test", 0.98, seeds=(1,), files=datasets.MNIST)


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
    Image.new("RGB", (20, 16)).save(damaged)
    told = folder.run("./m", "train", rc=1)
    if "/cat/007.jpg: array 'image': field 'x' has 768 elements, the data 960\nm.tn:3:3: note: field 'x'" not in told:
        return "of a picture of another size: " + told[-300:]
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


CONSTANTS = """
data d = npz("d.npz", split: (train: 0.8, valid: 0.2)) {
  x: f32[1, 6, 5] = x
  y: class[2]     = y
}
model M = onnx("m.onnx")
train M on d {
  loss = cross_entropy(out, y), metrics = (acc: accuracy(out, y)), optimizer = adam(lr: 0.02), epochs = 15
  every 15 epochs { eval(valid) }
}
"""


def test_onnx_constants():
    """Weights that an ONNX file has as nodes (PaddlePaddle's have) are trained, factors of one element are not; dims
    that it leaves open are those of the fields; a part that is called twice has its weights once."""
    folder = Folder(CONSTANTS)
    rng = np.random.default_rng(1)
    weights = {"conv.w": rng.normal(size=(4, 1, 3, 3)), "conv.b": np.zeros(4), "fc.w": 0.3 * rng.normal(size=(4, 2)),
               "half": np.full(1, 0.5)}
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    nodes = [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
             for name, value in weights.items()]
    nodes += [helper.make_node("Conv", ["x", "conv.w", "conv.b"], ["a"], pads=[1, 1, 1, 1]),
              helper.make_node("Relu", ["a"], ["b"]), helper.make_node("GlobalMaxPool", ["b"], ["c"]),
              helper.make_node("Flatten", ["c"], ["d"]), helper.make_node("MatMul", ["d", "fc.w"], ["e"]),
              helper.make_node("Mul", ["e", "half"], ["y"])]
    graph = helper.make_graph(nodes, "m", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, "H", None])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              os.path.join(folder.path, "m.onnx"))
    kinds = rng.integers(0, 2, 400)
    x = rng.normal(size=(400, 1, 6, 5)).astype(np.float32)
    x[kinds == 1, 0, 2:4, 2:4] += 3
    np.savez(os.path.join(folder.path, "d.npz"), x=x, y=kinds.astype(np.int32))
    np.savez(os.path.join(folder.path, "other.npz"), x=x)
    folder.make()
    if "other.npz: there is no array 'y', which field 'y' takes; there is x\nm.tn:4:3: note" not in folder.run(
            "./m", "train", "--data=other.npz", rc=1):
        return "a file without an array"
    said = folder.run("./m", "train")
    folder.run("./m", "export", "--safetensors=w.safetensors")
    after = read_safetensors(os.path.join(folder.path, "w.safetensors"))
    if sorted(after) != ["conv.b", "conv.w", "fc.w"] or any(np.array_equal(after[k], weights[k]) for k in after):
        return "weights %s" % sorted(after)
    if float(re.search(r"valid .* acc (\S+)", said).group(1)) < 0.9:
        return said
    twice = CONSTANTS.replace("model M =", "model Part =").replace(
        "train M", "model M(x: f32[B, 1, 6, 5]) -> f32[B, 2] {\n  sub p = Part()\n  return p(x) + p(flip(x, 2))\n}\n"
        "train M")
    with open(os.path.join(folder.path, "m.tn"), "w") as f:
        f.write(twice)
    folder.make()
    folder.run("./m", "train")
    folder.run("./m", "export", "--safetensors=w.safetensors", "--npz=w.npz")
    after = np.load(os.path.join(folder.path, "w.npz"))
    return None if sorted(after.files) == ["p.conv.b", "p.conv.w", "p.fc.w"] else "weights %s" % after.files


SERVED = """
data cancer = csv("breast_cancer.csv", split: (train: 0.7, test: 0.3), shuffle: 1) {
  x: f32[6]   = (m0, m1, m2, m3, m4, m5)
  z: f32[6]   = (m6, m7, m8, m9, m10, m11) |> clip_outliers(sigma: 3) |> minmax
  y: class[2] = benign
}
model Net(x: f32[B, 6], z: f32[B, 6]) -> f32[B, 2] =
  concat(x |> standardize, z, axis: 1) |> linear(16) |> relu |> linear(2)
train Net on cancer {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = adam(lr: 1e-2); batch = 32; epochs = 5
}
"""


def test_served():
    """What was fitted is kept: predictions of ./m run for raw rows are those that ./m eval measures, and a row's does
    not depend on the others of its file."""
    folder = Folder(SERVED)
    folder.make()
    folder.run("./m", "train")
    with open(os.path.join(folder.path, "breast_cancer.csv"), encoding="ascii") as f:
        head, *rows = f.read().splitlines()
    for name, some in (("all.csv", rows), ("half.csv", rows[250:400])):  # of other rows nothing is fitted
        with open(os.path.join(folder.path, name), "w", encoding="ascii") as f:
            f.write("\n".join([head, *some]) + "\n")
        folder.run("./m", "run", "--data=" + name, "--output=%s.npy" % name)
    out = np.load(os.path.join(folder.path, "all.csv.npy"))
    if not np.array_equal(out[250:400], np.load(os.path.join(folder.path, "half.csv.npy"))):
        return "a row's prediction depends on its neighbours"
    told = json.loads(folder.run("./m", "eval", "--test=half.csv", "--split=test", "--json"))["test"]
    scores, y = out[250:400].astype(np.float64), np.array([row[-1] == "1" for row in rows[250:400]], int)
    most = scores.max(axis=1, keepdims=True)
    loss = np.mean(np.log(np.exp(scores - most).sum(axis=1)) + most[:, 0] - scores[np.arange(150), y])
    if abs(told["loss"] - loss) > 1e-5 * loss or told["acc"] != np.mean(scores.argmax(1) == y):
        return "measured %s, predicted %g" % (told, loss)
    return None


def test_inference():
    """An inference program of a checkpoint standardises raw rows itself: bit for bit what ./m run predicts for them."""
    folder = Folder(IRIS)
    folder.make()
    folder.run("./m", "train")
    folder.run("./m", "run", "--data=iris.csv", "--output=of_rows.npy")
    folder.run("./m", "export", "--safetensors=w.safetensors")
    folder.run(TENON, "m.tn", "--weights=w.safetensors", "-o", "predict")
    with open(os.path.join(folder.path, "iris.csv"), encoding="ascii") as f:
        rows = np.array([line.split(",")[:4] for line in f.read().splitlines()[1:]], np.float32)
    np.save(os.path.join(folder.path, "x.npy"), rows)
    folder.run("./predict", "run", "--input", "x=x.npy", "--output-dir", "out")
    one, two = np.load(os.path.join(folder.path, "of_rows.npy")), np.load(os.path.join(folder.path, "out", "out.npy"))
    return None if one.tobytes() == two.tobytes() else "predictions differ"


def main():
    count = Count()
    tests = [test_verbs, test_settings, test_arrays, test_pictures, test_onnx, test_onnx_constants, test_served,
             test_inference, test_cancer, test_digits, test_lines, test_characters, test_mnist]
    for name in datasets.TEXTS:  # they change as this repository does
        if os.path.exists(os.path.join(TABLES, name)):
            os.remove(os.path.join(TABLES, name))
    datasets.texts(TABLES)
    if not datasets.fetch(TABLES):
        count.skipped = len(tests)
        return count.finish()
    if len(sys.argv) > 2:
        tests = [test for test in tests if test.__name__[5:] in sys.argv[2:]]
    for test in tests:
        try:
            problem = test()
        except (RuntimeError, subprocess.TimeoutExpired, StopIteration) as error:
            problem = str(error)
        if problem == SKIPPED:
            count.skipped += 1
        else:
            count.judge(test.__name__, problem)
    return count.finish()


if __name__ == "__main__":
    sys.exit(main())
