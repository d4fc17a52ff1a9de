"""What the driver's tests share."""
import os
import subprocess
import sys
import tempfile
import unittest

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else \
    os.environ.get("TENON_BUILD", "build/release")
TENON = os.path.join(BUILD, "bin", "tenon")
MODEL = """tnir 1
sym B "batch" in [1, 64]
const @w : f32[%d] = dense [%s]
func @run entry (%%x: f32[B,%d] "x") -> (f32[B,%d] "y") {
  %%0 = broadcast @w {dims=[B,%d], map=[1]} : f32[B,%d]
  %%1 = add %%x, %%0 : f32[B,%d]
  %%2 = exp %%1 : f32[B,%d] "y"
  return %%2
}
"""


def model(n):
    """A model whose weights are n floats."""
    return MODEL % ((n, ",".join(str(i % 10) for i in range(n))) + (n,) * 6)


def run(*words, check=True, **kw):
    r = subprocess.run([str(w) for w in words], capture_output=True, text=True, errors="replace", **kw)
    if check and r.returncode:
        raise AssertionError(f"{words}: {r.returncode}\n{r.stdout}{r.stderr}")
    return r


def contents(path):
    with open(path, "rb") as f:
        return f.read()


class FolderTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name, text=None):
        p = os.path.join(self.folder, name)
        if text is not None:
            with open(p, "wb") as f:
                f.write(text.encode() if isinstance(text, str) else text)
        return p
