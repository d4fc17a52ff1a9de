"""What the tests of the language share: compiling .tn text, running programs, reading .safetensors."""
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

BUILD = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "build/release"
TENON = os.path.join(BUILD, "bin", "tenon")
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}


def run(*words, **kw):
    r = subprocess.run([str(w) for w in words], capture_output=True, text=True, errors="replace", **kw)
    if r.returncode:
        raise RuntimeError("%s: %d\n%s%s" % (" ".join(map(str, words)), r.returncode, r.stdout, r.stderr))
    return r.stdout


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n, = struct.unpack("<Q", data[:8])
    out = {}
    for name, t in json.loads(data[8:8 + n]).items():
        begin, end = (8 + n + at for at in t["data_offsets"])
        out[name] = np.frombuffer(data[begin:end], DTYPES[t["dtype"]]).reshape(t["shape"])
    return out


class Folder:
    """A folder for one model: its text, its program, its inputs and outputs."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.path = self.temporary.name

    def at(self, *names):
        return os.path.join(self.path, *names)

    def write(self, name, text):
        with open(self.at(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.at(name)

    def inputs(self, arrays):
        words = []
        for name, array in arrays.items():
            np.save(self.at(name + ".npy"), array)
            words += ["--input", "%s=%s" % (name, self.at(name + ".npy"))]
        return words

    def outputs(self):
        folder = self.at("out")
        return {f[:-4]: np.load(os.path.join(folder, f)) for f in os.listdir(folder)}

    def compile(self, source, *options):
        run(TENON, source, "-march=x86-64-v3", *options, "-o", self.at("program"))

    def execute(self, arrays):
        run(self.at("program"), "run", *self.inputs(arrays), "--output-dir", self.at("out"))
        return self.outputs()


def finish(passed, failed, skipped=0):
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    sys.exit(1 if failed else 0)
