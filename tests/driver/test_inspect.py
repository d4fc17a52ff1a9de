"""tenon inspect: operators with counts, those that are missing first; signature, weights; as JSON.
Usage: test_inspect.py BUILD_DIR"""
import json
import os
import sys
import unittest

from common import TENON, FolderTest, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "onnx"))
import pb  # noqa: E402

X = pb.info("x", pb.FLOAT, ["batch", 3])
Y = pb.info("y", pb.FLOAT, ["batch", 2])
WEIGHT = pb.floats("w", [3, 2], [0.5] * 6)


def mixed():
    """Two operators that do not exist (one in a body), one in a form that is not supported, and good ones."""
    body = pb.graph([pb.node("Frobnicate", ["x"], ["b"])], (), [pb.info("b", pb.FLOAT, ["batch", 3])])
    nodes = [pb.node("Relu", ["x"], ["a"]), pb.node("Frobnicate", ["a"], ["f"], name="first_one"),
             pb.node("Constant", [], ["c"], value=("tensor", pb.tensor("", pb.BOOL, [], b"\1"))),
             pb.node("If", ["c"], ["i"], then_branch=("graph", body), else_branch=("graph", body)),
             pb.node("Twist", ["a"], ["t"], domain="local"), pb.node("Cast", ["a"], ["s"], to=pb.STRING),
             pb.node("MatMul", ["a", "w"], ["y"]), pb.node("Relu", ["y"], ["z"])]
    return pb.model(pb.graph(nodes, [X], [Y], [WEIGHT]))


class Inspect(FolderTest):
    def inspect(self, name, data, *options):
        return run(TENON, "inspect", *options, self.path(name, data)).stdout

    def test_what_is_missing_comes_first(self):
        text = self.inspect("m.onnx", mixed())
        lines = text.splitlines()
        self.assertIn("ONNX, IR version 8, opset 17, local opset 1", lines[0])
        self.assertIn("inputs    x FLOAT[batch,3]", text)
        self.assertIn("outputs   y FLOAT[batch,2]", text)
        self.assertIn("weights   2 tensors, 25 bytes", text)  # a Constant counts as one
        self.assertIn("nodes     10, 7 operators, 3 not supported", text)
        rows = lines[lines.index("nodes     10, 7 operators, 3 not supported") + 1:]
        self.assertEqual([r.split(":")[0].split() for r in rows[:3]],
                         [["3", "Frobnicate"], ["1", "Cast"], ["1", "local.Twist"]])
        self.assertIn("no such operator; first: node 1 'first_one'", rows[0])
        self.assertIn("NOT SUPPORTED: ", rows[1])
        self.assertEqual(rows[3].split(), ["2", "Relu"])

    def test_json(self):
        found = json.loads(self.inspect("m.onnx", mixed(), "--json"))
        self.assertEqual(found["opsets"], {"": 17, "local": 1})
        self.assertEqual(found["weights"], {"count": 2, "bytes": 25})
        first = found["operators"][0]
        self.assertEqual([first[k] for k in ("name", "version", "count", "supported", "node")],
                         ["Frobnicate", 17, 3, False, 1])
        self.assertTrue(all(o["supported"] for o in found["operators"][3:]))

    def test_of_a_good_model_types_are_inferred(self):
        nodes = [pb.node("MatMul", ["x", "w"], ["h"]), pb.node("Concat", ["h", "h"], ["y"], axis=0)]
        data = pb.model(pb.graph(nodes, [X], [pb.info("y", shape=False)], [WEIGHT]))
        text = self.inspect("m.onnx", data)
        self.assertIn("inputs    x f32[batch,3]", text)
        self.assertIn("outputs   y f32[2*batch,2]", text)
        self.assertIn("2 operators, 0 not supported", text)

    def test_other_formats(self):
        text = self.inspect("m.tnir", "tnir 1\nfunc @run entry (%x: u32[4] \"x\") -> (u8[4,4] \"y\") {\n"
                            "  %0 = not %x : u32[4]\n  %1 = bitcast %0 {dtype=u8} : u8[4,4]\n  return %1\n}\n")
        self.assertIn("1 bitcast: NOT SUPPORTED: 'bitcast' from u32 to u8 has no kernel form yet; first: m.tnir:4:3",
                      text)
        text = self.inspect("m.tn", "model M(x: f32[B, 4]) -> f32[B, 3] = x |> linear(3)\n")
        self.assertIn("tenon's language", text)
        self.assertIn("weights   2 tensors, 60 bytes", text)

    def test_refused(self):
        r = run(TENON, "inspect", self.path("m.onnx", b"\x08\x08\x3a\x7f"), check=False)
        self.assertEqual((r.returncode, "TN0301" in r.stderr), (1, True))
        r = run(TENON, "--json", self.path("m.onnx", mixed()), check=False)
        self.assertEqual((r.returncode, "--json goes with inspect only" in r.stderr), (1, True))


if __name__ == "__main__":
    unittest.main()
