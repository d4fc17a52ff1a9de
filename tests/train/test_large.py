"""Files several times as large as the memory that a training may have give the same weights, bit by bit, as files that
are held: of every source that can be read in parts.   usage: test_large.py BUILD [SOURCE..]"""
import gzip
import hashlib
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from common import BUILD, Count

TENON = os.path.join(BUILD, "bin", "tenon")
LIMIT = 32 << 20  # of the address space, the program and its stack included
SIZE = 3 * LIMIT
X = 120
TRAIN = """
train M on d {
  loss = cross_entropy(out, y); metrics = (%s)
  optimizer = adam(lr: 1e-2); batch = %d; steps = 40
  every 40 steps { eval(valid, batches: 20) }
}
"""
NET = "model M(x: f32[B, %d]) -> f32[B, 2] = x |> standardize |> linear(8) |> relu |> linear(2)\n" % X
SPLIT = "split: (train: 0.8, valid: 0.2), shuffle: 1"
BODY = "{\n  x: f32[%d] = x\n  y: class[2] = y\n}\n" % X


def numbers(n):
    g = np.random.default_rng(0)
    x = np.round(g.normal(size=(n, X)), 3)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


def repeat(path, head, block):
    with open(path, "wb") as f:
        f.write(head)
        for _ in range(SIZE // len(block) + 1):
            f.write(block)


def write_csv():
    """Also: a quoted label with a line's end in it, Windows' line ends, rows that are dropped, medians and limits."""
    x, y = numbers(1000)
    rows = [",".join("%g" % v for v in row) + "," + ['"n\no"', "yes"][k] for row, k in zip(x, y)]
    rows[5] = "1,2,3"
    rows[9] = rows[9].replace(",", ",no number,", 1).rpartition(",")[0]
    columns = ",".join("m%d" % i for i in range(X)) + ",kind"
    repeat("d.csv", columns.encode() + b"\r\n", ("\r\n".join(rows) + "\r\n").encode())
    return ('data d = csv("d.csv", target: "kind", bad: drop, %s) {\n  x: f32[%d] = (%s) |> minmax\n'
            "  y: class[2] = kind\n  z: f32 = m0 |> impute(with: median)\n}\n"
            % (SPLIT, X, ", ".join("m%d" % i for i in range(X))) + NET)


def write_jsonl():
    x, y = numbers(1000)
    rows = [json.dumps({"cell": {"x": list(row)}, "y": ["no", "yes"][k]}) for row, k in zip(x, y)]
    repeat("d.jsonl", b"", ("\n".join(rows) + "\n").encode())
    return 'data d = jsonl("d.jsonl", %s) ' % SPLIT + BODY.replace("= x", "= cell.x") + NET


def write_npy():
    x, y = numbers(SIZE // X // 8)
    np.save("x.npy", x.astype(">f8"))
    np.save("y.npy", y)
    return 'data d = npy("x.npy", "y.npy", %s) ' % SPLIT + BODY + NET


def write_idx():
    n = SIZE // 784
    g = np.random.default_rng(0)
    images = g.integers(0, 256, (1000, 28, 28)).astype(np.uint8)
    labels = (images[:, 0, 0] > 127).astype(np.uint8)
    with open("x.idx", "wb") as f:
        f.write(struct.pack(">BBBBIII", 0, 0, 8, 3, n, 28, 28) + np.resize(images, (n, 28, 28)).tobytes())
    with open("y.idx", "wb") as f:
        f.write(struct.pack(">BBBBI", 0, 0, 8, 1, n) + np.resize(labels, n).tobytes())
    return ('data d = idx("x.idx", "y.idx", %s) {\n  x: f32[1, 28, 28] = image / 255 |> pad(2, on: train) '
            "|> random_crop(28, on: train)\n  y: class[2] = label\n}\nmodel M(x: f32[B, 1, 28, 28]) -> f32[B, 2] = "
            "x |> conv(4, 5) |> relu |> maxpool(4) |> flatten |> linear(2)\n" % SPLIT)


def write_npz(save=np.savez):
    x, y = numbers(SIZE // X // 8)
    save("d.npz", x=x, y=y)
    return 'data d = npz("d.npz", %s) ' % SPLIT + BODY + NET


def write_npz_deflated():
    return write_npz(np.savez_compressed)


def write_idx_packed():
    text = write_idx()
    for name in ("x.idx", "y.idx"):
        with open(name, "rb") as plain, gzip.open(name + ".gz", "wb", 1) as packed:
            shutil.copyfileobj(plain, packed)
    return text.replace('.idx"', '.idx.gz"')


def write_images():
    """Small files of large pictures."""
    g = np.random.default_rng(0)
    for k in range(2):
        os.makedirs("pets/%d" % k)
        for i in range(200):
            small = g.integers(100 * k, 100 * k + 100, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(np.kron(small, np.ones((30, 30, 1), np.uint8))).save("pets/%d/%d.jpg" % (k, i))
    return ('data d = images("pets", %s) {\n  x: f32[3, 48, 48] = image / 255 |> random_crop(48)\n'
            "  y: class[2] = label\n}\nmodel M(x: f32[B, 3, 48, 48]) -> f32[B, 2] = x |> flatten |> linear(2)\n"
            % SPLIT)


STREAM = """{
  x: token[256] = window(0)
  y: token[256] = window(1)
}
model M(x: token[B, 256]) -> f32[B, 256, 256] = x |> embed(256, 8) |> linear(256)
"""


def write_text():
    repeat("d.txt", b"", b"In the beginning was the word, and words are many.\n" * 100)
    return 'data d = text("d.txt", %s) ' % SPLIT + STREAM


def write_tokens():
    repeat("d.bin", b"", np.random.default_rng(0).integers(0, 256, 100000).astype("<u2").tobytes())
    return 'data d = tokens("d.bin", dtype: u16, %s) ' % SPLIT + STREAM


SOURCES = {f.__name__[6:]: f for f in (write_csv, write_jsonl, write_npy, write_npz,
                                       write_npz_deflated, write_idx, write_idx_packed, write_images, write_text,
                                       write_tokens)}


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))


def left_behind():
    return [name for name in os.listdir("tmp") if name.startswith("tenon")]


def run(*words, limits=False, rc=0, **env):
    os.makedirs("tmp", exist_ok=True)
    env = {**os.environ, "TMPDIR": "tmp", **env}
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env=env,
                          preexec_fn=limit_memory if limits else None)
    if done.returncode != rc:
        raise RuntimeError("%s: %d\n%s" % (" ".join(words), done.returncode, (done.stdout + done.stderr)[-1500:]))
    return done.stdout + done.stderr


def weights(folder):
    name = max(n for n in os.listdir(folder) if n.endswith(".safetensors"))
    with open(os.path.join(folder, name), "rb") as f:
        data = f.read()
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little"):]).hexdigest()  # all but the header, which counts


def problem_of(name):
    """Trained held, and with limits: the checkpoints are the same, and so is what is told."""
    batch = 2 if name in ("text", "tokens") else 16
    metrics = "acc: accuracy(out, y)" + (", far: mean(abs(z))" if name == "csv" else "")
    with open("m.tn", "w") as f:
        f.write(SOURCES[name]() + TRAIN % (metrics, batch))
    run(TENON, "m.tn", "-o", "m")
    held = run("./m", "train", "--quiet", "--checkpoint-dir=held", "--data-memory=%d" % (64 * SIZE))
    parts = run("./m", "train", "--quiet", "--checkpoint-dir=parts", limits=True)
    bytes_read = sum(os.path.getsize(os.path.join(r, n)) for r, _, names in os.walk(".") for n in names
                     if n.startswith(("d.", "x.")))
    if name not in ("images", "npz_deflated") and bytes_read < SIZE - 1000:
        return "the data are %d bytes only" % bytes_read
    if name in ("npz_deflated", "idx_packed"):  # nothing stays behind, and a folder that is none is told
        if left_behind():
            return "files are left: %s" % left_behind()
        said = run("./m", "train", "--quiet", "--checkpoint-dir=none", "--data-memory=0", rc=71, TMPDIR="/no/folder")
        if "no file can be made in '/no/folder'" not in said:
            return said
    if name == "csv":  # stopped and resumed, too, with a file that is not held
        run("./m", "train", "--quiet", "--checkpoint-dir=again", "--stop-at=17", limits=True, rc=75)
        run("./m", "train", "--quiet", "--checkpoint-dir=again", "--resume", limits=True)
        if weights("again") != weights("held"):
            return "a resumed training has other weights"
    if held != parts:
        return "told:\n%s, with less memory:\n%s" % (held, parts)
    return None if weights("held") == weights("parts") else "the weights differ"


def main():
    count = Count()
    for name in sys.argv[2:] or SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                problem = problem_of(name)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                problem = str(error)
            os.chdir("/")
        count.judge(name, problem)
    return count.finish()


if __name__ == "__main__":
    sys.exit(main())
