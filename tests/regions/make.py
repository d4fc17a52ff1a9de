"""Writes one of the small models that tests of this folder's subjects compile: make.py NAME FILE."""
import sys

import numpy as np
import onnx
import onnx.parser
from onnx import TensorProto, helper, numpy_helper


def lstm():
    rng = np.random.default_rng(0)
    consts = {"w": (1, 64, 8), "r": (1, 64, 16), "b": (1, 128)}
    node = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=16)
    return ([node], [("x", TensorProto.FLOAT, ["T", 2, 8])], [("y", TensorProto.FLOAT, None)],
            {k: rng.normal(size=v).astype(np.float32) for k, v in consts.items()})


def text(body):
    onnx.save(onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]>\n' + body), sys.argv[2])
    sys.exit()


def unknown_capture():
    text("""m (float[4] x, bool c) => (float[4] y) {
      y = If (c) < then_branch = yes () => (float[4] p) { p = Add(x, nowhere) },
                   else_branch = no () => (float[4] q) { q = Neg(x) }> }""")


def unequal_branches():
    text("""m (float[4] x, bool c) => (float[4] y) {
      y = If (c) < then_branch = yes () => (float[4] p) { p = Neg(x) },
                   else_branch = no () => (bool[4] q) { q = Less(x, x) }> }""")


def changing_carry():
    text("""m (float[4] x, int64 n) => (float[A] y) {
      y = Loop (n, , x) < body = b (int64 i, bool g, float[P] p) => (bool o, float[Q] q) {
        o = Identity(g)  q = Concat<axis = 0>(p, p) }> }""")


def changing_rank():
    text("""m (float[4] x, int64 n) => (float[A] y) {
      y = Loop (n, , x) < body = b (int64 i, bool g, float[P] p) => (bool o, float[P,1] q) {
        o = Identity(g)  one = Constant<value_ints: ints = [1]>()  q = Unsqueeze(p, one) }> }""")


def changing_stack():
    text("""m (float[4] x, int64 n) => (float[A] y, float[N,B] z) {
      y, z = Loop (n, , x) < body = b (int64 i, bool g, float[P] p) => (bool o, float[Q] q, float[Q] r) {
        o = Identity(g)  q = Concat<axis = 0>(p, x)  r = Neg(q) }> }""")


def body_inputs():
    text("""m (float[3,4] x) => (float[3,4] y) {
      y = Scan (x) <num_scan_inputs = 1, body = b (float[4] p, float[4] r) => (float[4] q) { q = Add(p, r) }> }""")


def counted_stack():
    text("""m (float[4] x, int64 n) => (float[4] y, int64[N,1,B] z) {
      y, z = Loop (n, , x) < body = b (int64 i, bool g, float[4] p) => (bool o, float[4] q, int64[1,C] r) {
        o = Identity(g)  q = Sin(p)  r = NonZero(p) }> }""")


def endless_stack():
    text("""m (float[4] x) => (float[4] y, float[N,4] z) {
      y, z = Loop (, , x) < body = b (int64 i, bool g, float[4] p) => (bool o, float[4] q, float[4] r) {
        o = Identity(g)  q = Sin(p)  r = Neg(p) }> }""")


def loops_that_grow():
    """Five, each in the body of the one before."""
    graph = "q5 = Concat<axis = 0>(p5, x)"
    for k in range(5, 0, -1):
        graph = (f"q{k - 1} = Loop (three, , p{k - 1}) <body = b{k} (int64 i{k}, bool g{k}, float[P{k}] p{k}) => "
                 f"(bool o{k}, float[Q{k}] q{k}) {{ o{k} = Identity(g{k})  {graph} }}>")
    text(f"m (float[4] p0, float[2] x) => (float[A] q0) {{ three = Constant<value = int64 {{3}}>()  {graph} }}")


def squeezing():
    text("""m (float[B,K,4] x) => (float[B,1,4] y) {
      s = Shape(x)  one = Constant<value_ints: ints = [1]>()  k = Gather<axis = 0>(s, one)  c = Equal(k, one)
      z = If (c) < then_branch = yes () => (float[B,4] u) { r = ReduceSum<keepdims = 0>(x, one)  u = Neg(r) },
                   else_branch = no () => (float[B,K,4] v) { v = Identity(x) }>
      y = Unsqueeze(z, one) }""")


def deep():
    graph = "p0 = Neg(x)"
    for k in range(1, 31):
        graph = (f"p{k} = If (c) <then_branch = t{k} () => (float[4] p{k - 1}) {{ {graph} }}, "
                 f"else_branch = e{k} () => (float[4] z{k}) {{ z{k} = Abs(x) }}>")
    text(f"m (float[4] x, bool c) => (float[4] p30) {{ {graph} }}")


def main():
    nodes, inputs, outputs, consts = globals()[sys.argv[1]]()
    graph = helper.make_graph(nodes, sys.argv[1], [helper.make_tensor_value_info(*i) for i in inputs],
                              [helper.make_tensor_value_info(*o) for o in outputs],
                              [numpy_helper.from_array(v, k) for k, v in consts.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[2])


main()
