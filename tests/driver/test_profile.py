"""profile of a compiled program: what each step does follows from its sizes, also inside loops.
Usage: test_profile.py BUILD_DIR"""
import json
import unittest

from common import TENON, FolderTest, run

MODEL = """tnir 1
sym B in [1, 64]
func @run entry (%x: f32[B,8] "x", %h: f32[16] "h", %w: f32[8,16] "w") -> (f32[B,16] "y", f32[16] "last") {
  %0 = dot %x, %w {sum=[(1,0)]} : f32[B,16]
  %1, %2 = scan %h, %0 {n_carried=1, n_seq=1} { ^(%c: f32[16], %s: f32[16])
    %3 = add %c, %s : f32[16]
    yield %3, %3
  } : f32[16], f32[B,16]
  return %2, %1
}
"""


class Profile(FolderTest):
    def test_costs(self):
        run(TENON, self.path("m.tnir", MODEL), "-o", self.path("m"))
        for b in (5, 6):
            table = run(self.path("m"), "profile", "--dim", "B=%d" % b, "--trace=" + self.path("t.json")).stdout
            self.assertIn("GFLOP/s", table.splitlines()[1])
            with open(self.path("t.json")) as f:
                events = {e["args"]["kernel"]: e for e in json.load(f)["traceEvents"]}
            dot = events["dot"]["args"]
            self.assertEqual((dot["flops"], dot["bytes"]), (2 * b * 8 * 16, 4 * (b * 8 + 8 * 16 + b * 16)))
            self.assertAlmostEqual(dot["gflops"], dot["flops"] / events["dot"]["dur"] / 1e3, delta=0.1 * dot["gflops"])
            self.assertGreater(dot["roofline_percent"], 0)
            add = events["add"]["args"]  # once for each position
            self.assertEqual(add["flops"], 16 * b)
            loop = events["loop"]
            self.assertTrue(loop["ts"] - 0.002 <= events["add"]["ts"] <= loop["ts"] + loop["dur"])
            self.assertLessEqual(events["add"]["dur"], loop["dur"])

    def test_libraries_have_no_costs(self):
        """They stay as small as they were."""
        run(TENON, "-c", self.path("m.tnir", MODEL), "-o", self.path("m.o"))
        self.assertNotIn("costs", run("nm", self.path("m.o")).stdout)


if __name__ == "__main__":
    unittest.main()
