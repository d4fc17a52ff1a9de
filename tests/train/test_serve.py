"""Programs with the weights of a training take records as they stand in the data: what they compute of a field is, bit
for bit, what the training program's own reader makes of it.   usage: test_serve.py BUILD [TEST..]
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from common import BUILD, Count, run_in

TENON = os.path.abspath(os.path.join(BUILD, "bin", "tenon"))


class Folder:
    def __init__(self, **files):
        self.temporary = tempfile.TemporaryDirectory()
        self.path = self.temporary.name
        for name, content in files.items():
            self.write(name.replace("_", "."), content)

    def at(self, *names):
        return os.path.join(self.path, *names)

    def write(self, name, content):
        with open(self.at(name), "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())

    def run(self, *words, rc=0):
        return run_in(self.path, *words, rc=rc)

    def train(self):
        self.run(TENON, "m.tn", "-o", "m")
        self.run("./m", "train", "--quiet")
        return "m.checkpoints/" + sorted(n for n in os.listdir(self.at("m.checkpoints")) if n.endswith("tensors"))[-1]

    def outputs(self, folder):
        return {n[:-4]: np.load(self.at(folder, n)) for n in os.listdir(self.at(folder)) if n.endswith(".npy")}

    def predict(self, folder, weights, inputs):
        """What the model with these weights makes of arrays."""
        os.mkdir(self.at(folder))
        self.run(TENON, "m.tn", "--weights=" + weights, "-o", "predict")
        words = []
        for name, array in inputs.items():
            np.save(self.at(name + ".in.npy"), array)
            words += ["--input", "%s=%s.in.npy" % (name, name)]
        self.run("./predict", "run", *words, "--output-dir", folder)
        return self.outputs(folder)


def same_records(folder, name):
    """./predict reads records as ./m does: the same table, the same arrays, the same words on standard error."""
    said = []
    for program in ("./m", "./predict"):
        out = program[2:] + ".npys"
        os.makedirs(folder.at(out), exist_ok=True)
        text = folder.run(program, "run", "--data", name)
        folder.run(program, "run", "--data", name, "--output", out)
        said.append((text.replace("predict: ", "m: "), folder.outputs(out)))
    if said[0][0] != said[1][0]:
        return "tables: %s\n%s" % (said[1][0][:600], said[0][0][:600])
    return compare(said[0][1], said[1][1])


def program(source, fields, label="y: class[2] = y"):
    """A model that hands on each of its fields beside scores; fields: name -> (type, chain)."""
    lines = ["data d = %s {" % source]
    lines += ["  %s: %s = %s" % (name, kind, chain) for name, (kind, chain) in fields.items()]
    lines += ["  " + label, "}"]
    types = {name: kind for name, (kind, _) in fields.items()}
    batched = {n: k.replace("[", "[B, ") if "[" in k else k + "[B]" for n, k in types.items()}
    results = ["f32[B, 2]"] + list(batched.values())
    lines += ["model M(%s) -> (%s) {" % (", ".join("%s: %s" % row for row in batched.items()), ", ".join(results)),
              "  param w: f32[2] = zeros",
              "  let score = expand(w, B)",
              "  return (%s)" % ", ".join(["score"] + list(fields)),
              "}", "train M on d {",
              "  let (%s) = out" % ", ".join(["s"] + ["o%d" % i for i in range(len(fields))]),
              "  loss = cross_entropy(s, y)", "  optimizer = sgd(lr: 0.1); batch = 16; epochs = 1", "}"]
    return "\n".join(lines) + "\n"


def compare(wanted, found):
    """Arrays by their names, as bits."""
    for name, array in wanted.items():
        other = found.get(name)
        if other is None or other.dtype != array.dtype or other.shape != array.shape:
            return "%s: %s instead of %s%s" % (name, None if other is None else (other.dtype, other.shape),
                                               array.dtype, array.shape)
        if other.tobytes() != array.tobytes():
            differs = [i for i in range(len(array)) if other[i].tobytes() != array[i].tobytes()]
            return "%s: %d records differ: %s, wanted %s" % (name, len(differs), other[differs[0]], array[differs[0]])
    return None


# ---- tables ----

COLUMNS = ("a", "b", "c", "flat", "gaps", "kind", "colour")
COLOURS = ("red", "green", "blue, dark", 'the "other"')
ALL = "(a, b, c, flat)"
TABLE = {
    "minmax": ("f32[4]", ALL + " |> minmax"),
    "clip": ("f32[4]", ALL + " |> clip_outliers(0.5)"),
    "mean": ("f32[2]", "(gaps, a) |> impute"),
    "median": ("f32[1]", "gaps |> impute(with: median)"),
    "zero": ("f32", "gaps |> impute(with: zero)"),
    "all": ("f32[3]", "(a, gaps, flat) |> impute |> clip_outliers(2) |> minmax"),
    "five": ("f32", "b |> bins(5)"),
    "two": ("i32", "a |> bins(2)"),
    "ranges": ("f32[6]", "a |> bins(6) |> one_hot(6)"),
    "even": ("f32[4]", ALL + " |> standardize"),
    "bounded": ("f32[3]", "(a, b, gaps) |> impute(with: zero) |> clamp(-1.5, 0.25) |> minmax"),
    "mixed": ("f32[5]", "(log(c), (a, gaps) |> impute |> standardize |> clamp(-2, 2), b, -(flat / 3) + 1)"),
    "natural": ("f32[2]", "(c, flat) |> log"),
    "one": ("f32", "c |> log1p"),
    "root": ("f32", "c |> sqrt"),
    "size": ("f32[2]", "(a, b) |> abs"),
    "sums": ("f32[2]", "3 - ((a, b) * 2.5 + 1) / 7"),
    "inverse": ("f32", "1 / (c + 0.1) - 2"),
    "less": ("f32", "-(b - 0.3)"),
    "half": ("bf16[2]", "(a, b) |> minmax"),
    "short": ("f16[2]", "(a, b) |> clip_outliers |> minmax"),
    "kinds": ("f32[5]", "kind |> one_hot(5)"),
    "shades": ("f32[4]", "colour |> one_hot(4)"),
}


def cell(x):
    text = "" if isinstance(x, float) and np.isnan(x) else str(x) if isinstance(x, str) else repr(x)
    return '"%s"' % text.replace('"', '""') if "," in text or '"' in text else text


def rows(rng, n, extremes=False):
    out = []
    for i in range(n):
        a, b, c = (float(x) for x in rng.normal(size=3) * (10, 1, 5))
        if extremes and i % 3 == 0:
            a = float(rng.choice([1e30, -1e30, 0.0, -0.0, 5e-324, 1e-310, 1.5e38 / 8]))
            c = float(rng.choice([1e-300, 1e30, 3e37]))
        gaps = float("nan") if rng.random() < 0.3 else float(rng.normal())
        out.append([a, b, abs(c) + 1e-9, 2.5, gaps, int(rng.choice([1, 2, 5, -3])), str(rng.choice(COLOURS))])
    return out


def table(records, labels=None):
    head = list(COLUMNS) + (["y"] if labels is not None else [])
    lines = [r + ([labels[i]] if labels is not None else []) for i, r in enumerate(records)]
    return "\n".join(",".join(cell(x) for x in line) for line in [head] + lines) + "\n"


def raw_inputs(records):
    """The records as the model's inputs."""
    columns = {name: [r[i] for r in records] for i, name in enumerate(COLUMNS)}
    numbers = {n: np.array(v, np.float64) for n, v in columns.items() if n != "colour"}
    names = sorted(COLOURS)
    found = {"mean": "gaps a", "median": "gaps", "zero": "gaps", "all": "a gaps flat", "two": "a", "ranges": "a",
             "natural": "c flat", "even": "a b c flat", "bounded": "a b gaps", "mixed": "c a gaps b flat",
              "one": "c", "root": "c", "inverse": "c", "less": "b", "five": "b", "kinds": "kind",
             **dict.fromkeys(("minmax", "clip"), "a b c flat"),
             **dict.fromkeys(("size", "sums", "half", "short"), "a b")}
    inputs = {}
    for name, (kind, _) in TABLE.items():
        if name == "shades":
            inputs[name] = np.array([names.index(c) for c in columns["colour"]], np.int32)
            continue
        stacked = np.stack([numbers[c] for c in found[name].split()], 1)
        inputs[name] = stacked if "[" in kind and name not in ("ranges", "kinds") else stacked[:, 0]
    return inputs


def without_numbers(path):
    """An exported file as one that lacks what was learned."""
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        head, rest = json.loads(f.read(size)), f.read()
    head["__metadata__"] = {k: v for k, v in head["__metadata__"].items() if not k.startswith(("fitted.", "words."))}
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + rest


def test_lacking():
    """Weights of a training that lack what a field is fitted by; texts that are one number, but two categories; noise
    that is for all."""
    fields = {"x": ("f32", "a |> minmax"), "k": ("f32[3]", "kind |> one_hot(3)")}
    folder = Folder(m_tn=program('csv("d.csv", split: (train: 1.0))', fields))
    kinds = ["1", "1.0", "2"] * 10
    folder.write("d.csv", "a,kind,y\n" + "".join("%d,%s,%s\n" % (i, k, "np"[i % 2]) for i, k in enumerate(kinds)))
    weights = folder.train()
    inputs = {"x": np.arange(30.0), "k": np.array([0, 1, 2] * 10, np.int32)}
    problem = agree(folder, weights, ["--data", "d.csv"], inputs)
    if problem:
        return problem
    folder.run("./m", "export", "--safetensors=w.safetensors")
    folder.write("w.safetensors", without_numbers(folder.at("w.safetensors")))
    said = folder.run(TENON, "m.tn", "--weights=w.safetensors", "-c", rc=1)
    if "m.tn:2:3: error: what field 'x' is fitted by is not in 'w.safetensors' [TN0601]" not in said:
        return said
    folder.write("m.tn", program('csv("d.csv", split: (train: 1.0))', {"k": fields["k"]}))
    said = folder.run(TENON, "m.tn", "--weights=w.safetensors", "-c", rc=1)
    if "m.tn:2:3: error: the categories of field 'k' are not in 'w.safetensors' [TN0601]" not in said:
        return said
    folder.write("m.tn", program('csv("d.csv", split: (train: 1.0))', {"x": ("f32", "a |> noise(0.1)")}))
    folder.run("rm", "-r", "m.checkpoints")
    said = folder.run(TENON, "m.tn", "--weights=" + folder.train(), "-c", rc=1)
    wanted = "m.tn:2:12: error: field 'x': noise that is not for training alone (on: train), in a model with its"
    return None if wanted in said else said


def test_table():
    """Every function of numbers and categories, on rows with gaps and with the ends of what f32 holds."""
    rng = np.random.default_rng(1)
    folder = Folder(m_tn=program('csv("d.csv", split: (train: 0.9, valid: 0.1))', TABLE))
    folder.write("d.csv", table(rows(rng, 300), ["no", "yes"] * 150))
    weights = folder.train()
    records = rows(rng, 90, extremes=True)
    folder.write("new.csv", table(records))
    os.mkdir(folder.at("wanted"))
    folder.run("./m", "run", "--data", "new.csv", "--output", "wanted")
    wanted = folder.outputs("wanted")
    problem = compare(wanted, folder.predict("a", weights, raw_inputs(records))) or same_records(folder, "new.csv")
    if problem:
        return problem
    folder.run("./m", "export", "--safetensors=w.safetensors")
    return (compare(wanted, folder.predict("b", "w.safetensors", raw_inputs(records))) or
            same_records(folder, "new.csv"))


# ---- arrays, pictures, lines ----

def agree(folder, weights, run_words, inputs):
    """What ./m run and the model with its weights make of the same records."""
    os.mkdir(folder.at("wanted"))
    folder.run("./m", "run", *run_words, "--output", "wanted")
    return (compare(folder.outputs("wanted"), folder.predict("found", weights, inputs)) or
            same_records(folder, run_words[1]))


ARRAYS = {
    "scaled": ("f32[2, 3]", "x |> minmax"),
    "kinds": ("f32[6]", "k |> one_hot(6)"),
    "filled": ("f32[4]", "g |> impute(with: median) |> clip_outliers(1.5)"),
    "wide": ("f64[4]", "g |> impute(with: mean)"),
}


def test_arrays():
    """Arrays of an .npz; a category that training has not seen; what is missing is NaN."""
    rng = np.random.default_rng(2)

    def arrays(n, kinds):
        g = rng.normal(size=(n, 4))
        g[rng.random((n, 4)) < 0.2] = np.nan
        return {"x": rng.normal(size=(n, 2, 3)).astype(np.float32), "k": rng.choice(kinds, n), "g": g}

    folder = Folder(m_tn=program('npz("d.npz", split: (train: 1.0))', ARRAYS))
    np.savez(folder.at("d.npz"), y=np.arange(200) % 2, **arrays(200, [0.5, -0.0, 3, -7]))
    new = arrays(50, [0.5, 0.0, -0.0, 3, -7, 11])
    np.savez(folder.at("new.npz"), **new)
    weights = folder.train()
    return agree(folder, weights, ["--data", "new.npz"],
                 {"scaled": new["x"].astype(np.float64), "kinds": new["k"], "filled": new["g"], "wide": new["g"]})


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return head + array.tobytes()


PICTURES = {
    "plain": ("f32[1, 9, 8]", "image / 255"),
    "bytes": ("u8[9, 8]", "image"),
    "larger": ("f32[1, 13, 12]", "image / 255 |> pad(2)"),
    "drawn": ("f32[1, 9, 8]", "image / 255 |> pad(2, on: train) |> random_crop((9, 8), on: train) |> flip(on: train)"),
    "middle": ("f32[1, 7, 5]", "image / 127.5 - 1 |> random_crop((7, 5))"),
    "both": ("f32[8, 8]", "image |> minmax |> pad(1) |> random_crop(8)"),
}


def test_pictures():
    """Pictures as bytes; what is drawn in training is left out, and a part is cut out of the middle."""
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 256, (120, 9, 8), np.uint8)
    fields = dict(PICTURES)
    del fields["both"]  # fitted to pictures of any size
    folder = Folder(m_tn=program('idx("x.idx", "y.idx", split: (train: 1.0))', fields, "y: class[2] = label"))
    folder.write("x.idx", idx(pictures[:100]))
    folder.write("y.idx", idx((np.arange(100) % 2).astype(np.uint8)))
    folder.write("new.idx", idx(pictures[100:]))
    weights = folder.train()
    new = pictures[100:]
    inputs = {name: new[:, None] if kind.count(",") == 2 else new for name, (kind, _) in fields.items()}
    del fields["middle"]  # of pictures of any size
    os.mkdir(folder.at("wanted"))
    folder.run("./m", "run", "--data", "new.idx", "--output", "wanted")
    problem = compare(folder.outputs("wanted"), folder.predict("found", weights, inputs))
    if problem:
        return problem
    said = folder.run("./predict", "run", "--data=new.idx", rc=1)
    if "--data: this program reads no records" not in said:
        return "pictures of any size: " + said
    folder.write("m.tn", program('idx("x.idx", "y.idx", split: (train: 1.0))', fields, "y: class[2] = label"))
    folder.run("rm", "-r", "m.checkpoints")
    folder.run(TENON, "m.tn", "--weights=" + folder.train(), "-o", "predict")
    problem = same_records(folder, "new.idx")
    if problem:
        return problem
    text = program('idx("x.idx", "y.idx", split: (train: 1.0))', {"both": PICTURES["both"]}, "y: class[2] = label")
    folder.write("m.tn", text)
    folder.run("rm", "-r", "m.checkpoints")
    weights = folder.train()
    said = folder.run(TENON, "m.tn", "--weights=" + weights, "-o", "predict", rc=1)
    wanted = "m.tn:2:21: error: field 'both': something fitted to pictures of any size"
    return None if wanted in said and "run --data=FILE" in said else "what is not there yet is not refused: " + said


def test_lines():
    """Keys of lines of JSON: lists of numbers, texts as categories, numbers that are missing."""
    rng = np.random.default_rng(4)
    fields = {"xs": ("f32[3]", "v.list |> minmax"), "k": ("f32[3]", "colour |> one_hot(3)"),
              "g": ("f32", "gap |> impute |> log1p")}
    folder = Folder(m_tn=program('jsonl("d.jsonl", split: (train: 1.0))', fields))

    def lines(n, labels):
        out = []
        for i in range(n):
            row = {"v": {"list": rng.normal(size=3).tolist()}, "colour": str(rng.choice(["b", "a", "c"])),
                   "gap": float(rng.random()) if rng.random() < 0.7 else None}
            out.append({**row, "y": i % 2} if labels else row)
        return out

    folder.write("d.jsonl", "".join(json.dumps(row) + "\n" for row in lines(100, True)))
    weights, new = folder.train(), lines(40, False)
    folder.write("new.jsonl", "".join(json.dumps(row) + "\n" for row in new))
    inputs = {"xs": np.array([r["v"]["list"] for r in new]),
              "k": np.array(["abc".index(r["colour"]) for r in new], np.int32),
              "g": np.array([np.nan if r["gap"] is None else r["gap"] for r in new])}
    return agree(folder, weights, ["--data", "new.jsonl"], inputs)


# ---- libraries ----

CALLER = r"""
#include <stdio.h>
#include "model.h"

int main(void) {
  model_ctx *ctx;
  double x[] = {X};
  int32_t shade[] = {2, 0, -1};
  float seen[3], shades[3 * 4], out[3 * 2];
  if (model_create(&ctx, NULL, 0, 1)) return 1;
  if (model_run(ctx, 3, x, shade, out, seen, shades)) return 2;
  for (int i = 0; i < 3; i++) {
    printf("%.9g %s", seen[i], shade[i] < 0 ? "none" : model_shade_categories[shade[i]]);
    for (int k = 0; k < 4; k++) printf(" %g", shades[4 * i + k]);
    printf(" %s\n", model_y_classes[i % 2]);
  }
  model_destroy(ctx);
  return 0;
}
"""


def test_library():
    """A library's header says what categories, words and classes the numbers of its inputs and results stand for."""
    rng = np.random.default_rng(7)
    folder = Folder(m_tn=program('csv("d.csv", split: (train: 1.0))', {"x": ("f32", "a |> minmax"),
                                                                      "shade": ("f32[4]", "colour |> one_hot(4)")}))
    folder.write("d.csv", table(rows(rng, 60), ["no", "yes"] * 30))
    weights = folder.train()
    folder.run(TENON, "m.tn", "--weights=" + weights, "-c", "-o", "model.o")
    records = rows(rng, 3)
    for record, colour in zip(records, ("red", "blue, dark", "pink")):
        record[6] = colour
    folder.write("new.csv", table(records))
    folder.write("main.c", CALLER.replace("X", ", ".join(repr(r[0]) for r in records)))
    folder.run("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "main.c", "model.o", "-lm", "-lpthread", "-o", "main")
    folder.run("c++", "-Wall", "-Wextra", "-Werror", "-x", "c++", "-fsyntax-only", "model.h")
    lines = folder.run("./main").splitlines()
    os.mkdir(folder.at("wanted"))
    folder.run("./m", "run", "--data=new.csv", "--output=wanted")
    found = folder.outputs("wanted")
    seen, shades = (found[name] for name in sorted(found)[1:])
    names = ("red", "blue, dark", "none")
    wanted = ["%.9g %s %s %s" % (seen[i], names[i], " ".join("%g" % v for v in shades[i]), ("no", "yes")[i % 2])
              for i in range(3)]
    if lines != wanted:
        return "%s\n%s" % (lines, wanted)
    with open(folder.at("model.h"), encoding="ascii") as f:
        text = f.read()
    for said in ("The place of a category in shade_categories; -1: none of them.", "done here: a |> minmax.",
                 r'"the \042other\042"'):
        if said not in text:
            return "the header lacks: " + said
    folder.write("m.tn", NEWS)
    folder.write("vocab.txt", "[PAD]\n[UNK]\nthe\n")
    folder.write("d.jsonl", '{"title": "b a", "body": "a", "topic": "x"}\n{"title": "a", "body": "c", "topic": "y"}\n')
    folder.run("rm", "-r", "m.checkpoints")
    folder.run(TENON, "m.tn", "--weights=" + folder.train(), "-c", "-o", "model.o")
    with open(folder.at("model.h"), encoding="ascii") as f:
        text = f.read()
    words = text.split("model_a_words[5] = {")[-1].split("}")[0].split()
    return None if words == ['"",', '"",', '"a",', '"b",', '"c"'] else "words: %s" % words


# ---- records whose texts a program reads itself ----

PLAIN = """
data d = csv("d.csv", target: "kind", split: (train: 1.0))
model M(x: f32[B, 3]) -> f32[B, 3] = x |> standardize |> linear(3)
train M on d { loss = cross_entropy(out, y); optimizer = sgd(lr: 0.1); batch = 4; epochs = 2 }
"""
NEWS = """dim T = 9, E = 4
data d = jsonl("d.jsonl", split: (train: 1.0)) {
  a: token[T] = join(title, body) |> lower |> words(20) |> pad_or_cut(T)
  b: token[T] = body |> bpe(270) |> pad_or_cut(T, 3)
  c: token[T] = body |> wordpiece("vocab.txt") |> pad_or_cut(T)
  n: i32      = length(a)
  s: f32      = length(b) / 9
  y: class[2] = topic
}
model M(a: token[B, T], b: token[B, T], c: token[B, T], n: i32[B], s: f32[B]) -> (f32[B, 2], i32[B, T], i32[B, T],
    i32[B, T], i32[B], f32[B]) {
  let h = embed(a, 20, E) + embed(b, 270, E) + embed(c, 9, E)
  return (h |> mean(over: T) |> linear(2), cast(a, i32), cast(b, i32), cast(c, i32), n, s)
}
train M on d {
  let (out1, o1, o2, o3, o4, o5) = out
  loss = cross_entropy(out1, y); optimizer = sgd(lr: 0.1); batch = 4; epochs = 2
}
"""
PHOTOS = """
data d = images("photos", split: (train: 1.0)) {
  x: f32[3, 6, 5] = image / 255 |> flip(on: train)
  y: class[2]     = label
}
model M(x: f32[B, 3, 6, 5]) -> f32[B, 2] = x |> flatten |> linear(2)
train M on d { loss = cross_entropy(out, y); optimizer = sgd(lr: 0.1); batch = 4; epochs = 2 }
"""


def serve(folder, source, name, *options):
    folder.write("m.tn", source)
    folder.run("rm", "-rf", "m.checkpoints", "m.npys", "predict.npys")
    folder.run(TENON, "m.tn", "--weights=" + folder.train(), "-o", "predict", *options)
    return same_records(folder, name)


def test_records():
    """Tables without a body, texts of all kinds, their lengths, pictures in folders, files of windows; columns are
    found by their names; wrong rows are told alike."""
    from PIL import Image
    rng, folder = np.random.default_rng(6), Folder()
    lines = ["%r,%r,%r,%s" % (*rng.normal(size=3).tolist(), rng.choice(["ash", "elm", "fir"])) for _ in range(40)]
    folder.write("d.csv", "p,q,r,kind\n" + "\n".join(lines) + "\n")
    turned = [",".join(("x y", *line.split(",")[2::-1])) for line in lines]
    folder.write("new.csv", "more,r,q,p\n" + "\n".join(turned) + "\n")
    problem = serve(folder, PLAIN, "new.csv")
    if problem:
        return "a table: " + problem
    folder.write("bad.csv", "p,q,r\n1,2,3\n1,x,3\n")
    said = [folder.run(program, "run", "--data=bad.csv", rc=1) for program in ("./m", "./predict")]
    wanted = "m: error: bad.csv:3: column 'q': expected a number, found 'x'\n"
    if not said[0].startswith(wanted) or said[1] != said[0].replace("m:", "predict:", 1):
        return "a wrong cell: %s" % said
    folder.write("vocab.txt", "[PAD]\n[UNK]\nthe\ncat\n##s\nsat\n.\n!\na\n")
    texts = ["the cats sat.", "a cat!", "The naïve cat sat on the mat and sat and sat", "", "the the cat"]
    rows = [{"title": texts[i % 3], "body": texts[i % 5], "topic": "ab"[i % 2]} for i in range(30)]
    folder.write("d.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    folder.write("new.jsonl", "".join(json.dumps({"title": t, "body": t[::-1]}) + "\n" for t in texts + ["cats"]))
    problem = serve(folder, NEWS, "new.jsonl", "-D", "T=9")
    if problem:
        return "texts: " + problem
    os.rename(folder.at("vocab.txt"), folder.at("kept.txt"))  # the program has it
    found = folder.run("./predict", "run", "--data=new.jsonl")
    os.rename(folder.at("kept.txt"), folder.at("vocab.txt"))
    if found != folder.run("./m", "run", "--data=new.jsonl"):
        return "without vocab.txt: " + found
    for i in range(12):
        for top in ("photos", "more"):
            os.makedirs(folder.at(top, "ab"[i % 2]), exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (6, 5, 3), np.uint8)).save(folder.at(top, "ab"[i % 2], "%d.png" % i))
    problem = serve(folder, PHOTOS, "more")
    if problem:
        return "pictures: " + problem
    folder.write("book.txt", "abcdefgh" * 50)
    folder.write("more.txt", "hgfedcba" * 30)
    problem = serve(folder, BOOK, "more.txt", "-D", "T=6")
    if problem:
        return "a stream: " + problem
    said = folder.run("./predict", "run", "--data=more.txt", "--input", "x=x.npy", rc=1)
    return None if "--data and --input cannot both be given" in said else said


BOOK = """dim T = 6
data book = text("book.txt", split: (train: 0.9, valid: 0.1)) {
  x: token[T] = window(0)
  y: token[T] = window(1)
}
model M(x: token[B, T]) -> f32[B, T, 256] = embed(x, 256, 4) |> linear(256)
train M on book { loss = cross_entropy(out, y); optimizer = adam(lr: 0.05); batch = 8; steps = 9 }
"""


# ---- categories that training did not see ----

UNSEEN = """
data d = csv("d.csv", split: (train: 1.0)%s) {
  k: f32[2] = colour |> one_hot(2)
  n: f32[3] = kind |> one_hot(3)
  y: f32    = y
}
model M(k: f32[B, 2], n: f32[B, 3]) -> f32[B, 1] = concat(k, n) |> linear(1)
train M on d { loss = mse(out |> reshape(-1), y); optimizer = sgd(lr: 0.1); batch = 4; epochs = 1 }
"""
SEEN = "colour,kind,y\n" + "red,1,0\nblue,2,1\nred,3,0.5\n" * 4
NEW = "colour,kind,y\nred,1,0\n\npink,7,1\nblue,9,1\n" + '"a\nb",2,0\n'
TOLD = "m: warning: %s:4: column 'colour': 'pink' is no category of the training split; zeros stand for it, and for " \
       "those of 2 more samples\n"


def test_unknown():
    """They are told once, with the place of the first, by run, eval and train; `bad: fatal` makes them an error."""
    folder = Folder(m_tn=UNSEEN % "", d_csv=SEEN, new_csv=NEW, one_csv="colour,kind,y\nred,4,0\n")
    newest = folder.train()
    out = folder.run("./m", "run", "--data=new.csv")
    if not out.endswith(TOLD % "new.csv"):
        return "run: " + out
    folder.run(TENON, "m.tn", "--weights=" + newest, "-o", "predict")
    problem = same_records(folder, "new.csv")
    if problem:
        return problem
    said = folder.run("./m", "eval", "--data=new.csv")
    if not said.endswith(TOLD % "new.csv"):
        return "eval: " + said
    said = folder.run("./m", "run", "--data=one.csv")
    if not said.endswith("m: warning: one.csv:2: column 'kind': '4' is no category of the training split; zeros stand "
                         "for it\n"):
        return "one: " + said
    if "warning" in folder.run("./m", "run", "--data=d.csv"):
        return "a warning without a reason"
    folder.write("m.tn", UNSEEN % ', valid: "new.csv"')
    folder.run(TENON, "m.tn", "-o", "m")
    said = folder.run("./m", "train")
    if said.count("is no category") != 1 or "new.csv:4: column 'colour': 'pink'" not in said:
        return "train: " + said
    folder.write("m.tn", UNSEEN % ", bad: fatal")
    folder.train()
    for verb in ("run", "eval"):
        said = folder.run("./m", verb, "--data=new.csv", rc=1)
        if said != "m: error: new.csv:4: column 'colour': 'pink' is no category of the training split\n":
            return "%s, fatal: %s" % (verb, said)
    return None


# ---- tokens as a text ----

TEXTS = ["The cat's on the mat, isn't it? Well... they've gone!", "naïve café – straße 東京 и \U0001f600 ok", "a\tb\n  c",
         "unaffable unhappiness don't do not we're I'm 3.14", "  two  blanks ", "'s 've . , ! ? n't"]


def byte_pairs(prefix):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<|endoftext|>", AddedToken("<pad>", special=True)],
                                  show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def word_pieces(cleans, lowers=False):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowers)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=cleans)
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=["[PAD]", "[UNK]", "[CLS]"],
                                        show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def test_decode():
    """Tokens of files become the text that the tokenizers package makes of them: of texts, and any at all."""
    rng, folder = np.random.default_rng(5), Folder()
    for number, tokenizer in enumerate((byte_pairs(False), byte_pairs(True), word_pieces(True), word_pieces(False),
                                        word_pieces(True, True))):
        tokenizer.save(folder.at("t.json"))
        rows = [tokenizer.encode(text).ids for text in TEXTS]
        rows += [rng.integers(0, tokenizer.get_vocab_size() + 3, rng.integers(1, 40)).tolist() for _ in range(300)]
        text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
        done = subprocess.run([os.path.join(BUILD, "tests", "train_decode"), folder.at("t.json")], input=text,
                              capture_output=True, text=True, timeout=60)
        found = [bytes.fromhex(line).decode("utf-8", "replace") for line in done.stdout.splitlines()]
        for row, line in zip(rows, found, strict=True):
            if line != tokenizer.decode(row):
                return "%d: %s: %r, the package has %r" % (number, row, line, tokenizer.decode(row))
    return None


STREAM = """dim T = 8
data book = tokens("book.bin", dtype: u16, tokenizer: "t.json", split: (train: 0.9, valid: 0.1)) {
  x: token[T] = window(0)
  y: token[T] = window(1)
}
model M(x: token[B, T]) -> f32[B, T, V] = embed(x, V, 24) |> gru(48) |> PICK |> linear(V)
train M on book {
  loss = cross_entropy(out, y); optimizer = adam(lr: 0.02); batch = 16; steps = 300
  every 300 steps { sample("PROMPT", N) }
}
"""
ROWS = """dim T = 12
data book = jsonl("book.jsonl", split: (train: 1.0)) { x: token[T] = body |> CHAIN |> pad_or_cut(T) }
model M(x: token[B, T]) -> f32[B, T, V] = embed(x, V, 24) |> gru(48) |> PICK |> linear(V)
train M on book {
  loss = cross_entropy(out[T: 0..T - 1], x[T: 1..T]); optimizer = adam(lr: 0.02); batch = 16; steps = 300
  every 300 steps { sample("PROMPT", N) }
}
"""


def model_of(source, size, prompt, n, chain=""):
    """gru gives a tuple: a module takes the first of it."""
    first = "module Pick(x: f32[B, T, I]) -> f32[B, T, 48] {\n  let (all, last) = gru(x, 48)\n  return all\n}\n"
    text = source.replace("gru(48) |> PICK", "Pick").replace("PROMPT", prompt).replace(", N)", ", %d)" % n)
    head, rest = text.split("\n", 1)
    return (head + "\ndim V = %d\n" % size + rest.replace("CHAIN", chain)).replace("model M", first + "model M")


def sampled(folder, source):
    folder.write("m.tn", source)
    folder.run(TENON, "m.tn", "-o", "m")
    said = folder.run("./m", "train", "--checkpoint-dir=" + str(len(os.listdir(folder.path))))
    lines = [line for line in said.splitlines() if "goes on" in line]
    return lines[0].split("goes on: ", 1)[1] if len(lines) == 1 else said


def test_sample():
    """Models of tokens go on with a prompt, which becomes tokens, and what they give a text again."""
    folder = Folder()
    text = "the naïve cat sat on 東京. " * 60
    pairs = byte_pairs(False)
    pairs.save(folder.at("t.json"))
    ids = pairs.encode(text).ids
    folder.write("book.bin", np.array(ids, "<u2").tobytes())
    behind = pairs.encode("the naïve cat").ids
    n = len(pairs.encode(" sat on 東京. the naïve cat sat").ids)
    found = sampled(folder, model_of(STREAM, pairs.get_vocab_size(), "the naïve cat", n))
    wanted = json.dumps(pairs.decode(ids[len(behind):len(behind) + n]), ensure_ascii=False)
    if found != wanted:
        return "pairs of bytes of a file: %s, wanted %s" % (found, wanted)
    body = "The cats don't sit."
    folder.write("book.jsonl", (json.dumps({"body": body}) + "\n") * 64)
    folder.write("vocab.txt", "[PAD]\n[UNK]\nthe\ncat\n##s\ndo\n##n\n'\nt\nsit\n.\n")
    for chain, size, n, wanted in (("words(20)", 20, 3, " don't sit."), ("lower |> words(20)", 20, 3, " don't sit."),
                                   ("bpe(270)", 270, 4, " don't sit."),
                                   ('wordpiece("vocab.txt")', 11, 5, " don ' t sit"),
                                   ('lower |> wordpiece("vocab.txt")', 11, 7, " don ' t sit.")):
        found = sampled(folder, model_of(ROWS, size, "The cats", n, chain))
        if found != json.dumps(wanted):
            return "%s: %s" % (chain, found)
    return None


TESTS = [value for name, value in sorted(globals().items()) if name.startswith("test_")]


def main():
    count = Count()
    for test in TESTS:
        if len(sys.argv) > 2 and test.__name__ not in sys.argv[2:]:
            continue
        try:
            problem = test()
        except (RuntimeError, OSError, ValueError, subprocess.TimeoutExpired) as e:
            problem = str(e)
        print("%-20s %s" % (test.__name__, problem or "passed"))
        count.judge(test.__name__, problem)
    count.finish()


if __name__ == "__main__":
    main()
