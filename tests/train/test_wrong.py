"""Training files, data files and command lines that are wrong: each is an error at its place, before anything is
trained where it can be known then, and nothing half-written stays behind. The files stand in wrong.txt.

usage: test_wrong.py BUILD
"""
import os
import shutil
import subprocess
import tempfile

from common import BUILD, HERE, Count

TENON = os.path.abspath(os.path.join(BUILD, "bin", "tenon"))
BASE = """data d = csv("d.csv", target: "y", split: (train: 0.5, valid: 0.25, test: 0.25))
model M(x: f32[B, 3]) -> f32[B, 2] = x |> linear(2)
train M on d {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = sgd(lr: 0.1); batch = 4; epochs = 2
  every 1 epochs { eval(valid) }
}
"""
CSV = "a,b,c,y\n" + "".join("%d,%d,%d,%d\n" % (i, i % 3, i % 5, i % 2) for i in range(16))
OWN = {"m.tn", "d.csv", "m"}
NPY = b"\x93NUMPY\x01\x00\x3c\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, %d), }\n" + bytes(8)

# What other files hold, the words behind ./m, the exit status, what is said.
VERBS = [
    ("a,b,c\n1,2,x\n", "run --data=FILE --output=o.csv", 1, "FILE:2: column 'c': expected a number, found 'x'"),
    ("a,b\n1,2\n", "run --data=FILE --output=o.csv", 1, "FILE:1: there is no column 'c', which field 'x' took"),
    ("", "run --data=FILE --output=o.csv", 1, "FILE: the file has no row"),
    ("a,b,c\n1,2,3\n1,2\n", "run --data=FILE --output=o.csv", 1, "FILE:3: expected 3 cells as in the first row"),
    ("\x93NUMPY\x01", "run --input=x=FILE --output=o.csv", 1, "FILE: npy: "),
    (NPY % 2, "run --input=x=FILE --output=o.csv", 1, "input 'x' is [1,2], the model takes [B,3]"),
    (NPY % 3, "run --input=z=FILE", 1, "--input z: the model has no such input"),
    (None, "run --data=FILE --output=o.csv", 1, "there is no FILE, which the data 'd' are read from"),
    (None, "run", 1, "run needs --data FILE with records, or --input NAME=FILE"),
    (CSV, "run --data=FILE --output=no/such/o.csv", 71, "cannot write no/such/o.csv"),
    (CSV, "run --data=FILE --output=o.txt", 1, "--output: 'o.txt' is none of a .csv, a .npy, a folder"),
    (None, "eval --split=vald", 1, "--split: 'vald' is none of train, valid, test"),
    (None, "eval --checkpoint=FILE", 1, "cannot read the checkpoint 'FILE': No such file or directory"),
    (CSV, "eval --checkpoint=FILE", 1, "the checkpoint 'FILE' cannot be used: it is no safetensors file"),
    (None, "export", 1, "export needs --onnx, --safetensors or --npz"),
    (None, "export --npz=no/such/w.npz", 71, "cannot write 'no/such/w.npz': No such file or directory"),
    (CSV, "export --npz=w.npz --checkpoint=FILE", 1, "the checkpoint 'FILE' cannot be used"),
    (None, "export --safetensors=fifo", 71, "cannot write 'fifo': something stands there that is no file"),
    (None, "export --npz=folder", 71, "cannot write 'folder': something stands there that is no file"),
    (None, "train --epochs=0", 1, "--epochs: expected a whole number from 1 to "),
    (None, "train --resume --checkpoint-dir=none", 1, "there is no folder 'none' of checkpoints"),
    (None, "train extra", 1, "unknown argument 'extra' (see --help)"),
    (None, "train --steps", 1, "'--steps' needs a value"),
    (None, "frobnicate", 1, "'frobnicate' is none of train, eval, run, export, plot, info (see --help)"),
    (None, "plot FILE", 1, "cannot open FILE: No such file or directory"),
    (CSV, "plot FILE", 1, "'FILE' has no numbers to draw"),
]


def read_cases():
    """(title, substitutions, changes of the data, message) of each block of wrong.txt."""
    with open(os.path.join(HERE, "wrong.txt")) as file:
        blocks = file.read().split("\n\n")[1:]
    for block in blocks:
        title, *lines = block.strip("\n").split("\n")
        changes, data, expected = [], [], []
        for line in lines:
            line = line[2:]
            for written, meant in (("\\n", "\n"), ("\\0", "\0"), ("\\s", " "), ("\\e", "")):
                line = line.replace(written, meant)
            if line.startswith(("= ", "+ ")):
                expected.append(line[2:])
            elif line.split(" ")[0] in ("csv", "data", "folder"):
                data.append(line)
            else:
                changes.append(line.split(" => ", 1))
        yield title, changes, data, expected


def put_data(home, data):
    path, text = os.path.join(home, "d.csv"), CSV
    if data == ["folder"]:
        os.mkdir(path)
        return
    for line in data:
        kind, rest = line.split(" ", 1)
        old, new = rest.split(" => ", 1) if kind == "csv" else (text, rest)
        assert old in text, line
        text = text.replace(old, new, 1)
    with open(path, "w") as file:
        file.write(text)


def build(home, changes):
    text = BASE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    with open(os.path.join(home, "m.tn"), "w") as file:
        file.write(text)
    return subprocess.run([TENON, "m.tn", "-o", "m"], cwd=home, capture_output=True, text=True, timeout=60)


def check_case(folder, changes, data, expected):
    home = tempfile.mkdtemp(dir=folder)
    put_data(home, data)
    done = build(home, changes)
    expected, *more = expected
    is_run = expected.startswith("train: ")
    if is_run and done.returncode:
        return done.stderr
    if is_run:
        done = subprocess.run(["./m", "train"], cwd=home, capture_output=True, text=True, timeout=60)
        expected = "m: error: " + expected[len("train: "):]
    lines = done.stderr.split("\n")
    at = next((i for i, line in enumerate(lines) if "error: " in line), 0)
    if done.returncode not in ((1, 71) if is_run else (1,)) or lines[at:at + 1 + len(more)] != [expected, *more]:
        return "exit %d, %r" % (done.returncode, lines[at:])
    # A requirement is known behind the training.
    left = set(os.listdir(home)) - OWN - ({"m.checkpoints"} if is_run and "required:" in expected else set())
    shutil.rmtree(home)
    return "left: %s" % left if left or (not is_run and "m" in left) else None


def check_verb(home, content, words, status, expected):
    if content is not None:
        with open(os.path.join(home, "FILE"), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("latin-1"))
    before = set(os.listdir(home))
    done = subprocess.run(["./m", *words.split()], cwd=home, capture_output=True, text=True, timeout=60)
    left = set(os.listdir(home)) - before
    if content is not None:
        os.remove(os.path.join(home, "FILE"))
    if done.returncode != status or not done.stderr.startswith("m: error: " + expected):
        return "exit %d, %r" % (done.returncode, done.stderr)
    return "left: %s" % left if left else None


def check_verbs(count, folder):
    home = os.path.join(folder, "verbs")
    os.mkdir(home)
    put_data(home, [])
    done = build(home, [])
    early = check_verb(home, None, "eval", 1, "there is no folder 'm.checkpoints' of checkpoints")
    count.judge("a program", done.stderr or early)
    subprocess.run(["./m", "train", "--quiet"], cwd=home, check=True, timeout=60)
    os.mkfifo(os.path.join(home, "fifo"))
    os.mkdir(os.path.join(home, "folder"))
    for content, words, status, expected in VERBS:
        count.judge(words, check_verb(home, content, words, status, expected))


def main():
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        for title, changes, data, expected in read_cases():
            count.judge(title, check_case(folder, changes, data, expected))
        check_verbs(count, folder)
    if count.passed < 100:
        count.judge("number of cases", "%d" % count.passed)
    count.finish()


if __name__ == "__main__":
    main()
