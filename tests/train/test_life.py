"""What becomes of a trained model by the hands of people: other tables, other settings, folders that are there already,
questions for help.   usage: test_life.py BUILD"""
import os
import re
import subprocess

import numpy as np

from common import Count
from test_programs import Folder, TENON, small_onnx

TABLE = """
data d = csv("d.csv", target: "kind", split: (train: 0.7, valid: 0.15, test: 0.15), shuffle: 7)
model Mlp(x: f32[B, 3]) -> f32[B, 3] = x |> standardize |> linear(8) |> relu |> linear(3)
train Mlp on d {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y), table: confusion(out, y))
  optimizer = adam(lr: 0.02); batch = 32; epochs = 20; seed = 1
}
"""
KINDS = ("apple", "fig, dried", "pear")


def write_table(path, rows=200, columns=("a", "b", "c", "kind")):
    """Three clouds of points; columns in any order, more than the model's, or fewer."""
    rng = np.random.default_rng(3)
    kinds = rng.integers(0, 3, rows)
    points = rng.normal(size=(rows, 3)) * (1, 5, 0.2) + 3 * np.eye(3)[kinds] * (1, 5, 0.2)
    cells = {"a": points[:, 0], "b": points[:, 1], "c": points[:, 2], "more": np.full(rows, "x"),
             "kind": np.array(['"%s"' % KINDS[k] for k in kinds])}
    with open(path, "w") as f:
        f.write(",".join(columns) + "\n")
        f.writelines(",".join(str(cells[name][i]) for name in columns) + "\n" for i in range(rows))


def folder_of(source=TABLE):
    folder = Folder(source)
    write_table(os.path.join(folder.path, "d.csv"))
    folder.make()
    return folder


def test_columns():
    """Columns are those of the training by their names, wherever they stand; one that is missing is named."""
    folder = folder_of()
    folder.run("./m", "train")
    results = []
    for i, columns in enumerate([("a", "b", "c", "kind"), ("a", "b", "c"), ("kind", "c", "a", "b"),
                                 ("more", "b", "a", "c")]):
        write_table(os.path.join(folder.path, "new.csv"), 40, columns)
        results.append(folder.run("./m", "run", "--data=new.csv"))
        if i and results[i] != results[0]:
            return "columns %s: %s" % (columns, results[i][:200])
    if results[0].split("\n")[0] != 'kind,out.apple,"out.fig, dried",out.pear':
        return "head " + results[0].split("\n")[0]
    write_table(os.path.join(folder.path, "new.csv"), 40, ("a", "c", "kind"))
    text = folder.run("./m", "run", "--data=new.csv", rc=1)
    if "new.csv:1: there is no column 'b', which field 'x' took in the training" not in text:
        return text
    write_table(os.path.join(folder.path, "d.csv"), 200, ("kind", "b", "a", "c"))
    return None if folder.score("test") > 0.9 else "eval of columns in another order"


def test_matrix():
    """A confusion matrix has the names of the classes."""
    folder = folder_of()
    folder.run("./m", "train")
    text = folder.run("./m", "eval", "--split=train")
    rows = re.findall(r"^ +(\d+) +(\d+) +(\d+)  (.+)$", text, re.M)
    return None if tuple(row[3] for row in rows) == KINDS else text


def test_resume():
    """What goes on otherwise than it began is refused or said."""
    folder = folder_of()
    folder.run("./m", "train", "--stop-at=30", rc=75)
    if "goes on with its own seed, 1" not in folder.run("./m", "train", "--resume", "--seed=2", rc=1):
        return "another seed"
    folder.run("./m", "train", "--resume")
    if "nothing is left to do" not in folder.run("./m", "train", "--resume"):
        return "nothing is said of a training that is done"
    if "parted otherwise" in folder.run("./m", "eval") + folder.run("./m", "train", "--resume", "--epochs=21"):
        return "the same data"
    with open(os.path.join(folder.path, "m.tn"), "w") as f:
        f.write(TABLE.replace("shuffle: 7", "shuffle: 8").replace("adam(", "sgd("))
    folder.make()
    said = "parted otherwise than in the training: train 140, valid 30, test 30, shuffle 8; then train 140"
    if said not in folder.run("./m", "eval"):
        return "eval does not say that the splits are others"
    text = folder.run("./m", "train", "--resume", "--epochs=22")
    return None if said in text and "another optimizer" in text else text


def test_again():
    """A training in the place of an earlier one says so; info tells of the checkpoint; --help of one verb."""
    folder = folder_of()
    if "no checkpoint: there is no folder 'm.checkpoints'" not in folder.run("./m", "info"):
        return "info before a training"
    text = folder.run("./m", "train")
    if "earlier" in text or "the weights of step 100 are in 'm.checkpoints'" not in text:
        return text
    wanted = "step-00000100.safetensors: step 100, epoch 20, seed 1; records: train 140"
    if wanted not in folder.run("./m", "info"):
        return "info"
    if "an earlier training, at step 100, which this one replaces" not in folder.run("./m", "train", "--seed=4"):
        return "nothing is said of the training that goes"
    help_of_run = folder.run("./m", "run", "--help")
    return None if "--output" in help_of_run and "--tensorboard" not in help_of_run else help_of_run


def test_paths():
    """What is not there is named with what names another."""
    folder = folder_of()
    for words, wanted in [(("eval",), "there is no folder 'm.checkpoints' of checkpoints: the verb train makes it"),
                          (("train", "--data=no.csv"), "there is no no.csv, which the data 'd' are read from (--data"),
                          (("train", "--valid=no.csv"), "(--valid FILE reads another)"),
                          (("eval", "--checkpoint=d.csv"), "is no safetensors file")]:
        text = folder.run("./m", *words, rc=1)
        if wanted not in text:
            return text
    return test_patterns(folder)


def test_patterns(folder):
    """A name with '*' means all files that it matches, unless one is called so."""
    for name, rows in (("part-2.csv", 80), ("part-1.csv", 120), ("odd*.csv", 60), ("odder.csv", 60)):
        write_table(os.path.join(folder.path, name), rows)
    for pattern, n in (("part-*.csv", 140), ("odd*.csv", 42)):
        folder.run("./m", "train", "--data", pattern)
        text = folder.run("./m", "info")
        if "records: train %d," % n not in text:
            return "%s: %s" % (pattern, text)
    return None


BEST = """
data d = csv("d.csv", target: "kind", split: (train: 0.7, valid: 0.15, test: 0.15), shuffle: 7)
model Mlp(x: f32[B, 3]) -> f32[B, 3] = x |> standardize |> linear(8) |> relu |> linear(3)
train Mlp on d {
  loss = cross_entropy(out, y)
  metrics = (acc: accuracy(out, y), far: mean(square(out - 1)))
  optimizer = adam(lr: 0.02); batch = 32; epochs = 20; seed = 1
  EVENTS
}
"""


def test_best():
    """The best has its number, whatever is measured besides; more of accuracy is better, for `stalled` too."""
    for events, wanted in [
            ("every 1 epochs { checkpoint(best: valid.acc, keep: 30) }", r"step 100, epoch 20: valid "),
            ("every 1 epochs { checkpoint(best: valid.acc, keep: 30), eval(valid) }", r"step 100, epoch 20: valid "),
            ("every 1 epochs { checkpoint(best: valid.far, keep: 30, mode: max) }", r"step 100, epoch 20: valid "),
            ("every 1 epochs { eval(valid) }\n stop when stalled(valid.acc, for: 8)", "stops: stalled")]:
        folder = folder_of(BEST.replace("EVENTS", events))
        text = folder.run("./m", "train")
        scores = re.findall(r"step (\d+), epoch (\d+): valid loss \S+, acc (\S+), far (\S+)", text)
        if not re.search(wanted, text) or len({step for step, *_ in scores}) != len(scores):
            return events + text
        values = [float(row[3 if ".far" in events else 2]) for row in scores]
        best = int(scores[int(np.argmax(values))][0])
        if "best:" in events:
            with open(os.path.join(folder.path, "m.checkpoints", "BEST")) as f:
                if f.read().strip() != "step-%08d.safetensors" % best:
                    return "%s: best is not step %d\n%s" % (events, best, text)
        elif int(scores[-1][0]) != best + 8 * 5:  # five steps an epoch
            return "%s: the best is step %d\n%s" % (events, best, text)
    return None


AUTO = """
data d = csv("d.csv", split: (train: 0.8, valid: 0.2)) { x: f32[3] = (a, b, c) |> minmax }
model Auto(x: f32[B, 3]) -> f32[B, 3] = x |> linear(3) |> tanh |> linear(3)
train Auto on d {
  loss = mse(out, x); metrics = (r2: r2(out, x))
  optimizer = adam(lr: 0.01); batch = 16; epochs = 300
}
"""


def test_inputs_in_the_loss():
    """An autoencoder: the loss compares the result with an input."""
    folder = folder_of(AUTO)
    folder.run("./m", "train")
    return None if folder.score("valid", "r2") > 0.97 else "r2 %g" % folder.score("valid", "r2")


HEAD = """
data d = csv("d.csv", split: (train: 0.8, valid: 0.2)) {
  x: f32[3]   = (a, b, c) |> minmax
  y: class[3] = kind
}
model Body = onnx("m.onnx")
model M(x: f32[B, 3]) -> f32[B, 3] = x |> Body |> relu |> linear(3)
train M on d { loss = cross_entropy(out, y), optimizer = adam(lr: 0.01), batch = 16, epochs = 5 }
"""
ALONE = HEAD.replace("model Body", "model M").replace("model M(x: f32[B, 3]) -> f32[B, 3] = x |> Body |> relu |> "
                                                      "linear(3)\n", "")


def test_weights_of_onnx():
    """Trained weights of an ONNX model, as it is and as a part of another, take the place of the file's own."""
    for source in (HEAD, ALONE):
        folder = Folder(source)
        write_table(os.path.join(folder.path, "d.csv"))
        small_onnx(os.path.join(folder.path, "m.onnx"))
        folder.make()
        folder.run("./m", "train")
        rows = np.loadtxt(os.path.join(folder.path, "d.csv"), delimiter=",", skiprows=1, usecols=(0, 1, 2))[:7]
        folder.run("./m", "run", "--data=d.csv", "--output=trained.npy")
        newest = "m.checkpoints/step-00000050.safetensors"
        results = [np.load(os.path.join(folder.path, "trained.npy"))[:7]]
        for words, x in ((("--weights=" + newest,), rows), (("--init=0",), rows.astype(np.float32))):
            np.save(os.path.join(folder.path, "x.npy"), x)
            folder.run(TENON, "m.tn", "-o", "predict", *words)
            folder.run("./predict", "run", "--input", "x=x.npy", "--output-dir", "out")
            name = os.listdir(os.path.join(folder.path, "out"))[0]
            results.append(np.load(os.path.join(folder.path, "out", name)))
        if np.abs(results[1] - results[0]).max() > 1e-5 or np.abs(results[2] - results[0]).max() < 1e-3:
            return "%s\n%s" % (source, results)
    return None


def test_entry():
    """Of several models the one that is trained is built; of several such ones the last, which is said."""
    more = TABLE + "model Other(x: f32[B, 2]) -> f32[B, 2] = x |> linear(2)\n"
    folder = Folder(more)
    write_table(os.path.join(folder.path, "d.csv"))
    if "TN0733" in folder.make() or "Mlp, from" not in folder.run("./m", "info"):
        return "the model that is trained"
    with open(os.path.join(folder.path, "m.tn"), "w") as f:
        f.write(more + "train Other on d { loss = mean(out), epochs = 1 }\n")
        f.write(TABLE[TABLE.index("model"):].replace("Mlp", "Z"))
    text = folder.run(TENON, "m.tn", "--entry=Mlp", "-o", "m") + folder.make()
    return None if text.count("'Z' is built, the last of 3 models that are trained") == 1 else text


def main():
    count = Count()
    for test in (test_columns, test_matrix, test_resume, test_again, test_paths, test_best, test_inputs_in_the_loss,
                 test_weights_of_onnx, test_entry):
        try:
            problem = test()
        except (RuntimeError, subprocess.TimeoutExpired, StopIteration) as error:
            problem = str(error)
        count.judge(test.__name__, problem)
    return count.finish()


if __name__ == "__main__":
    main()
