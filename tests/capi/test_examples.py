"""The examples of the C interface: numpy_model.py (DLPack from Python), host.c (a model that the program does not
know), and the programs of embed and language.   usage: test_examples.py BUILD_DIR

Needs numpy and onnx. The last line is `N passed, N failed, N skipped`.
"""
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx.parser

BUILD = os.path.abspath(sys.argv.pop(1))
TENON = os.path.join(BUILD, "bin", "tenon")
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
EXAMPLES = os.path.join(ROOT, "examples")
TABLE = "0 0 -> 0\n0 1 -> 1\n1 0 -> 1\n1 1 -> 0\n"
MODEL = """<ir_version: 10, opset_import: ["" : 21]>
m (float[N,M] x, float[M] w, int64[K] i) => (float[K,M] rows, bool[N,M] above) {
  p = Mul(x, w)  rows = Gather(p, i)  above = Less(w, x) }"""


def run(*words, **kw):
    r = subprocess.run([str(w) for w in words], capture_output=True, **kw)
    if r.returncode:
        raise AssertionError(f"{words}: {r.returncode}\n{r.stdout.decode()}{r.stderr.decode()}")
    return r.stdout


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = holder.name
        onnx.save(onnx.parser.parse_model(MODEL), os.path.join(cls.folder, "net.onnx"))
        run(TENON, "-shared", "net.onnx", "-o", "net.so", cwd=cls.folder)
        rng = np.random.default_rng(3)
        cls.x, cls.w = rng.normal(size=(5, 4)).astype("f4"), rng.normal(size=4).astype("f4")
        cls.i = np.array([4, 0, 2])
        cls.want = (cls.x * cls.w)[cls.i], cls.w < cls.x

    def python(self):
        spec = importlib.util.spec_from_file_location("numpy_model", os.path.join(EXAMPLES, "numpy_model.py"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.Net

    def test_arrays_are_passed_as_they_are(self):
        for n_threads in 1, 2:
            net = self.python()(os.path.join(self.folder, "net.so"), "net", 2, n_threads)
            rows, above = net(self.x, self.w, self.i)
            np.testing.assert_array_equal(rows, self.want[0])
            np.testing.assert_array_equal(above, self.want[1])
            self.assertEqual((rows.dtype, above.dtype), (np.float32, np.bool_))
            before = rows.copy()
            again, _ = net(self.x[1:2], self.w, self.i * 0)  # other sizes, in the same memory
            np.testing.assert_array_equal(again, np.repeat(self.x[1:2] * self.w, 3, 0))
            self.assertTrue(np.shares_memory(again, rows) and not np.array_equal(rows, before))

    def test_wrong_arrays_are_refused_by_name(self):
        net = self.python()(os.path.join(self.folder, "net.so"), "net", 2)
        for arrays, text in (((self.x.astype("f8"), self.w, self.i), "input 'x': expected f32, found float64"),
                             ((self.x[0], self.w, self.i), r"input 'x': expected \[N,M\], found \[4\]"),
                             ((self.x, self.w[1:], self.i), "input 'w' axis 0.*found 3"),
                             ((self.x[:, ::2], self.w[:2], self.i), "input 'x': must be dense and row-major"),
                             ((self.x, self.w, self.i + 9), "points outside")):
            with self.assertRaisesRegex(ValueError, text):
                net(*arrays)

    def test_alone(self):
        run(TENON, "-shared", os.path.join(EXAMPLES, "language", "gate.tn"), "-o", "gate.so", cwd=self.folder)
        np.save(os.path.join(self.folder, "x.npy"), np.array([[0, 0], [0, 1], [1, 1]], "f4"))
        out = run(sys.executable, os.path.join(EXAMPLES, "numpy_model.py"), "./gate.so", "x.npy", cwd=self.folder)
        self.assertEqual(out, b"[0. 1. 0.]\n")

    def test_a_host_that_knows_no_model(self):
        run("gcc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I", os.path.join(ROOT, "runtime"),
            os.path.join(EXAMPLES, "host.c"), "-o", "host", "-ldl", cwd=self.folder)
        given = b"".join(a.tobytes() for a in (self.x, self.w, self.i))
        words = ["./host", "./net.so", "net_model", "N=5", "M=4", "K=3"]
        self.assertEqual(run(*words, input=given, cwd=self.folder), b"".join(a.tobytes() for a in self.want))
        for changed, data, text in ((words, given[:-1], "host: i: standard input is too short"),
                                    (words[:2] + ["other_model"], given, "undefined symbol: other_model"),
                                    (["./host", "./none.so", "net_model"], given, "cannot open shared object file")):
            r = subprocess.run(changed, input=data, capture_output=True, cwd=self.folder)
            self.assertEqual(r.returncode, 1)
            self.assertIn(text, r.stderr.decode())

    def test_programs(self):
        for folder, model in (("embed", "xor.tnir"), ("language", "gate.tn")):
            stem = model.split(".")[0]
            run(TENON, "-c", os.path.join(EXAMPLES, folder, model), "-o", stem + ".o", cwd=self.folder)
            run("gcc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I.",
                os.path.join(EXAMPLES, folder, "main.c"), stem + ".o", "-o", folder, "-lm", "-lpthread",
                cwd=self.folder)
            self.assertEqual(run("./" + folder, cwd=self.folder).decode(), TABLE)


result = unittest.main(exit=False).result
skipped, failed = len(result.skipped), len(result.failures) + len(result.errors)
print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
