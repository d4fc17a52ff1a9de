"""The models of models.py trained by programs that tenon makes: given weights, given batches, losses out of the log."""
import json
import os
import struct
import subprocess
import zlib

import numpy as np

from common import BUILD, save_tensors
from models import DECAY, MODELS, N_BATCHES, OPTIMIZERS, PRECISIONS, STEPS, batches, weight
from shuffle import order

TENON = os.path.join(BUILD, "bin", "tenon")
SEED = 1
TEXT = """%(model)s
data batches = npz("%(name)s.npz") {
  x: %(x)s = x
  y: %(y)s = y
}
train M on batches {
  loss = cross_entropy(out, y)
  optimizer = %(optimizer)s
  precision = %(precision)s
  batch = %(batch)d; epochs = 1; seed = %(seed)d
  every 1 steps { log(json: "%(stem)s.jsonl") }
}
"""


def run(*words, folder, status=0):
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != status:
        raise RuntimeError("%s: %d %s" % (" ".join(words), done.returncode, done.stderr))
    return done.stdout


def source_of(name, optimizer, precision, lr, stem):
    text, _, classes, batch, labels, _ = MODELS[name]
    x, _ = batches(name)[0]
    kind = "f32" if x.dtype == np.float32 else "token"
    return TEXT % {"model": text, "name": name, "x": "%s%s" % (kind, list(x.shape[1:])), "stem": stem, "seed": SEED,
                   "y": "class[%d]" % classes if labels is None else "token[%d]" % labels, "batch": batch,
                   "optimizer": OPTIMIZERS[optimizer][2] % ("exponential(%g, %g)" % (lr, DECAY)),
                   "precision": PRECISIONS[precision]}


def weights_of(path):
    """The weights called and shaped as those of a checkpoint, with what models.py gives them."""
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        head = json.loads(f.read(n))
    return {name: weight(name, row["shape"]) for name, row in head.items()
            if name != "__metadata__" and not name.startswith("optimizer.")}


def prepare(folder, name):
    """Writes the batches and the weights to begin with."""
    write_data(folder, name)
    stem = build(folder, name, "sgd", "f32", 1.0)
    run("./" + stem, "train", "--quiet", "--stop-at=1", folder=folder, status=75)
    checkpoints = os.path.join(folder, stem + ".checkpoints")
    with open(os.path.join(checkpoints, "LATEST")) as f:
        weights = weights_of(os.path.join(checkpoints, f.read().strip()))
    save_tensors(os.path.join(folder, name + ".safetensors"), weights)


def write_data(folder, name):
    """So that the program's own order of samples gives the batches in turn."""
    rows = [batches(name)[t % N_BATCHES] for t in range(STEPS)]
    x, y = (np.concatenate(part) for part in zip(*rows))
    places = order(SEED, 1, 0, len(x))
    arrays = {"x": np.empty_like(x), "y": np.empty_like(y)}
    arrays["x"][places], arrays["y"][places] = x, y
    np.savez(os.path.join(folder, name + ".npz"), **arrays)


def build(folder, name, optimizer, precision, lr, changes=()):
    """The program's name. changes: parts of the text and what is put there."""
    stem = "_".join((name, optimizer, precision, *("%08x" % zlib.crc32(new.encode()) for _, new in changes)))
    text = source_of(name, optimizer, precision, lr, stem)
    for old, new in changes:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    with open(os.path.join(folder, stem + ".tn"), "w") as f:
        f.write(text)
    run(TENON, stem + ".tn", "-march=x86-64-v3", "-o", stem, folder=folder)
    return stem


def losses_of(folder, name, optimizer, precision, lr, changes=()):
    """In a folder that is prepared."""
    stem = build(folder, name, optimizer, precision, lr, changes)
    run("./" + stem, "train", "--quiet", "--weights=%s.safetensors" % name, folder=folder)
    with open(os.path.join(folder, stem + ".jsonl")) as f:
        return [row["loss"] for row in map(json.loads, f) if row["event"] == "log"]
