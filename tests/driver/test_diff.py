"""tenon diff: compiled values beside the reference and beside recorded ones; the first that differs is named. Usage:
test_diff.py BUILD_DIR"""
import os
import struct
import unittest

from common import TENON, FolderTest, run

MODEL = """tnir 1
sym B "batch" in [1, 64]
const @w : f32[3,3] = dense [1, 2, 3, 4, 5, 6, 7, 8, 9]
func @run entry (%x: f32[B,3] "x") -> (f32[B] "y") {
  %0 = dot %x, @w {sum=[(1,0)]} : f32[B,3] "h/1"
  %1 = tanh %0 : f32[B,3] "t"
  %2 = argreduce %1 {op=max, axis=1} : i64[B] "where"
  %3 = reduce %1 {op=sum, axes=[1]} : f32[B] "y"
  return %3
}
"""


def npy(path, dtype, shape, values):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (dtype, "".join("%d," % d for d in shape))
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        f.write(struct.pack("<%d%s" % (len(values), {"<f4": "f", "<i8": "q"}[dtype]), *values))


class Diff(FolderTest):
    def setUp(self):
        super().setUp()
        self.model = self.path("m.tnir", MODEL)
        os.mkdir(self.path("seen"))

    def diff(self, *options):
        r = run(TENON, "diff", self.model, *options, check=False, env=dict(os.environ, TMPDIR=self.folder))
        self.assertEqual([f for f in os.listdir(self.folder) if f.endswith((".so", ".o", ".h"))], [])
        return r

    def test_the_reference_agrees(self):
        for options in ((), ("--ref=eval", "--tolerance=1e-5")):
            r = self.diff(*options)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            self.assertRegex(r.stdout, r"^4 values compared, 0 differ; the largest difference of the others is \S+ of "
                             r"the value's largest element \('\S+', where rounding alone may come to \S+\)$")

    def test_inputs_from_files(self):
        npy(self.path("x.npy"), "<f4", (2, 3), [0.1, 0.2, 0.3, -0.1, 0, 0.1])
        self.assertEqual(self.diff("--input", "x=" + self.path("x.npy")).returncode, 0)
        npy(self.path("x.npy"), "<f4", (2, 4), [0] * 8)
        r = self.diff("--input", "x=" + self.path("x.npy"))
        self.assertEqual((r.returncode, "TN0203" in r.stderr), (1, True))

    def record(self, h=(3.0, 3.6, 4.2)):
        """x W for one row; `where` is a value of another type."""
        npy(self.path("seen/x.npy"), "<f4", (1, 3), [0.1, 0.2, 0.3])
        npy(self.path("seen/h%2F1.npy"), "<f4", (1, 3), list(h))
        npy(self.path("seen/where.npy"), "<i8", (1,), [2])

    def test_recorded_values(self):
        self.record()
        r = self.diff("--ref=onnx", "--recorded=" + self.path("seen"))
        self.assertEqual((r.returncode, r.stdout.split(";")[0]), (0, "2 values compared, 0 differ"))

    def test_the_first_difference_is_named(self):
        self.record(h=(3.0, 3.5, 4.2))
        npy(self.path("seen/where.npy"), "<i8", (1,), [1])
        r = self.diff("--ref=onnx", "--recorded=" + self.path("seen"))
        self.assertEqual((r.returncode, r.stdout.split(";")[0]), (1, "2 values compared, 2 differ"))
        self.assertIn("m.tnir:5:3: error: value 'h/1' f32[B,3] differs from the reference by 0.0238 of its largest "
                      "element: [0,1] is 3.6000", r.stderr)
        self.assertIn("expected 3.5 [TN0405]", r.stderr)
        self.assertEqual(r.stderr.count("error:"), 1)
        self.assertEqual(self.diff("--ref=onnx", "--recorded=" + self.path("seen"), "--tolerance=0.03").returncode, 1)
        os.unlink(self.path("seen/where.npy"))
        self.assertEqual(self.diff("--ref=onnx", "--recorded=" + self.path("seen"), "--tolerance=0.03").returncode, 0)

    def test_refused(self):
        for text, words in (("--ref=onnx and --recorded=DIR go together", ("--ref=onnx",)),
                            ("--ref=onnx and --recorded=DIR go together", ("--recorded=" + self.folder,)),
                            ("cannot read", ("--ref=onnx", "--recorded=" + self.path("seen"))),
                            ("--tolerance", ("--tolerance=-1",)), ("--ref", ("--ref=numpy",))):
            r = self.diff(*words)
            self.assertEqual((r.returncode, text in r.stderr), (1, True), r.stderr)
        r = run(TENON, self.model, "--ref=eval", check=False)
        self.assertIn("--ref, --recorded and --tolerance go with diff only", r.stderr)
        npy(self.path("seen/x.npy"), "<f4", (1, 3), [0.1, 0.2, 0.3])
        r = self.diff("--ref=onnx", "--recorded=" + self.path("seen"))
        self.assertIn("holds NAME.npy of none of the model's values", r.stderr)


if __name__ == "__main__":
    unittest.main()
