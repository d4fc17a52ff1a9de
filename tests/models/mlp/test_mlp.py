"""A perceptron from ONNX through every form of output, against onnxruntime. Usage: test_mlp.py BUILD_DIR"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(sys.argv.pop(1))
TENON = os.path.join(BUILD, "bin", "tenon")
MAIN = r"""
#include "net.h"
#include <stdio.h>
int main(void) {
  static float x[5 * 20], y[5 * 7];
  net_ctx *ctx = NULL;
  if (fread(x, sizeof(float), 5 * 20, stdin) != 5 * 20) return 2;
  if (net_create(&ctx, NULL, 0, 1) != 0) { fprintf(stderr, "%s\n", net_message(ctx)); return 3; }
  if (net_run(ctx, 5, x, y) != 0) { fprintf(stderr, "%s\n", net_message(ctx)); return 4; }
  net_destroy(ctx);
  return fwrite(y, sizeof(float), 5 * 7, stdout) == 5 * 7 && net_arena_bytes(5) > 0 ? 0 : 5;
}
"""


def run(*words, cwd, check=True, **kw):
    r = subprocess.run([str(w) for w in words], capture_output=True, cwd=cwd, **kw)
    if check and r.returncode:
        raise AssertionError(f"{words}: {r.returncode}\n{r.stdout.decode()}{r.stderr.decode()}")
    return r


class Mlp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.folder = cls.holder.name
        run(sys.executable, os.path.join(HERE, "make_model.py"), cls.folder, cwd=cls.folder)
        cls.x, cls.want = (np.load(os.path.join(cls.folder, n)) for n in ("x.npy", "want.npy"))
        run(TENON, "mlp.onnx", "--eval", "--eval-mode=wide", "--input", "x=x.npy", "--output-dir", "wide",
            cwd=cls.folder)
        cls.truth = np.load(os.path.join(cls.folder, "wide", "y.npy"))

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def error(self, y):
        return np.abs(y.astype(np.float64) - self.truth).max() / np.abs(self.truth).max()

    def check(self, y):
        self.assertEqual((y.dtype, y.shape), (np.dtype(np.float32), (5, 7)))
        self.assertLessEqual(self.error(y), 4 * self.error(self.want) + 1e-6)

    def test_reference_agrees_with_onnxruntime(self):
        self.assertEqual(self.truth.dtype, np.float64)
        self.assertLess(self.error(self.want), 1e-5)
        run(TENON, "mlp.onnx", "--eval", "--eval-mode", "exact", "--input", "0=x.npy", "--output-dir=exact",
            cwd=self.folder)
        self.check(np.load(os.path.join(self.folder, "exact", "y.npy")))

    def test_program(self):
        for flags in ([], ["-march=haswell"], ["--threads=1", "-O0"], ["-O3", "-g"]):
            run(TENON, "mlp.onnx", "-o", "mlp", *flags, cwd=self.folder)
            run("./mlp", "run", "--input", "x=x.npy", "--output-dir", "out", cwd=self.folder)
            self.check(np.load(os.path.join(self.folder, "out", "y.npy")))

    def test_libraries(self):
        with open(os.path.join(self.folder, "use.c"), "w") as f:
            f.write(MAIN)
        for kind, name in (("-c", "net.o"), ("-static-lib", "libnet.a"), ("-shared", "libnet.so")):
            run(TENON, "mlp.onnx", kind, "-o", name, "--prefix=net", "--header=net.h", cwd=self.folder)
            run("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "use.c", name, "-o", "use", "-lm",
                "-Wl,-rpath,.", cwd=self.folder)
            out = run("./use", cwd=self.folder, input=self.x.tobytes()).stdout
            self.check(np.frombuffer(out, np.float32).reshape(5, 7))

    def test_what_libraries_show(self):
        run(TENON, "mlp.onnx", "-shared", "-o", "libnet.so", "--prefix=net", "--header=net.h", cwd=self.folder)
        table = run("nm", "-D", "--defined-only", "libnet.so", cwd=self.folder).stdout.decode()
        with open(os.path.join(self.folder, "net.h")) as f:
            checked = re.search(r"\bnet_(create_\d+_[0-9a-f]{8})\(", f.read()).group(1)
        names = ("arena_bytes", "create", checked, "destroy", "message", "model", "run", "run_tensors")
        self.assertEqual(sorted(row.split()[-1] for row in table.splitlines()), [f"net_{n}" for n in names])
        for flags in ([], ["--threads=1"]):
            run(TENON, "mlp.onnx", "-c", "-o", "net.o", *flags, cwd=self.folder)
            missing = run("nm", "-u", "net.o", cwd=self.folder).stdout.decode()
            self.assertNotIn("tnrt_", missing)
            self.assertEqual("pthread_create" in missing, not flags)  # a context may have threads

    def test_two_models_in_one_program(self):
        main = """#include "a.h"\n#include "b.h"\n#include <stdio.h>
int main(void) { static float x[20], y[7], z[7]; a_ctx *a; b_ctx *b; x[3] = 2;
  int bad = a_create(&a, 0, 0, 1) | b_create(&b, 0, 0, 1) | a_run(a, 1, x, y) | b_run(b, 1, x, z);
  a_destroy(a); b_destroy(b); printf("%g", y[0] - z[0]); return bad || A_ABI != B_ABI; }"""
        with open(os.path.join(self.folder, "two.c"), "w") as f:
            f.write(main)
        for name, flags in (("a", []), ("b", ["-march=haswell", "--threads=1"])):
            run(TENON, "mlp.onnx", "-c", "-o", name + ".o", *flags, cwd=self.folder)
        compilers = [["gcc", "-std=c99", "-pedantic-errors"], ["gcc", "-x", "c++", "-Wall", "-Werror"]]
        if run("gcc", "-x", "c++", "-fsyntax-only", os.devnull, cwd=self.folder, check=False).returncode:
            compilers.pop()  # no C++ compiler here
        for compiler in compilers:
            run(*compiler, "two.c", "-c", "-o", "two.o", cwd=self.folder)
        run("gcc", "-std=c99", "two.c", "a.o", "b.o", "-o", "two", "-lm", cwd=self.folder)
        self.assertLess(abs(float(run("./two", cwd=self.folder).stdout)), 1e-6)

    def test_wrong_input_is_refused_by_name(self):
        run(TENON, "mlp.onnx", "-o", "mlp", cwd=self.folder)
        np.save(os.path.join(self.folder, "bad.npy"), np.zeros((2, 19), np.float32))
        r = run("./mlp", "run", "--input", "x=bad.npy", "--output-dir", "out", cwd=self.folder, check=False)
        self.assertEqual(r.returncode, 1)
        self.assertRegex(r.stderr.decode(), r"'x'.*axis 1.*20.*19|'x'.*20.*19")


if __name__ == "__main__":
    unittest.main()
