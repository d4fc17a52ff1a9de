"""ONNX models with sizes that are found while running, one compile for all, against onnxruntime.

  late.py TENON [-k NAME] [-v]

The models are in ONNX' text form; the last line is `N passed, N failed, N skipped`.
"""
import os, subprocess, sys, tempfile

import numpy as np
import onnx, onnx.parser

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare import check, main, run

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
ROUNDS = 6

MODELS, HOSTILE = {}, {}


def model(text):
    """Decorates the function that makes the inputs of round `i` for a generator of random numbers."""
    def keep(make):
        MODELS[make.__name__] = (text, make)
        return make
    return keep


def hostile(text, *feeds):
    """A model, and inputs each with the words that the refusal of them must hold."""
    def keep(name):
        HOSTILE[name.__name__] = (text, feeds)
        return name
    return keep


def f32(rng, *dims):
    return np.asarray(rng.normal(size=dims), np.float32)


def i64(*values):
    return np.array(values, np.int64)


@model("m (float[3,1] x, int64[3] shape) => (float[A,B,C] y) { y = Expand(x, shape) }")
def expand(rng, i):
    return {"x": f32(rng, 3, 1), "shape": i64(rng.integers(0, 4), (1, 3)[i % 2], rng.integers(0, 40))}


@model("""m (float[N,1] x, int64[2] shape, float[N,5] w) => (float[A,5] y, float[A,5] z) {
  a = Expand(x, shape)  b = Sin(a)  y = Add(b, w)  z = Mul(y, w)
}""")
def expand_meets_a_symbol(rng, i):
    n = int(rng.integers(1, 9))
    return {"x": f32(rng, n, 1), "shape": i64(n, (1, 5)[i % 2]), "w": f32(rng, n, 5)}


@model("""m (float[N,4] x, int64[2] repeats) => (float[A,B] y, float s) {
  t = Tile(x, repeats)  y = Exp(t)  s = ReduceSum<keepdims = 0>(t)
}""")
def tile(rng, i):
    return {"x": f32(rng, int(rng.integers(1, 5)), 4), "repeats": i64(*rng.integers(0, 6, 2))}


@model("m (int64[N] x, int64 depth, float[2] values) => (float[N,D] y) { y = OneHot(x, depth, values) }")
def one_hot(rng, i):
    depth = int(rng.integers(1, 30))
    return {"x": rng.integers(-depth, depth, int(rng.integers(0, 7))), "depth": np.array(depth),
            "values": f32(rng, 2)}


@model("""m (float[N,3] x, int64[3] sizes) => (float[A,3] p, float[B,3] q, float[C,3] r) {
  p, b, r = Split<axis = 0>(x, sizes)  q = Neg(b)
}""")
def split(rng, i):
    sizes = rng.integers(0, 5, 3)
    return {"x": f32(rng, int(sizes.sum()), 3), "sizes": i64(*sizes)}


@model("""m (float[N,20] x, int64[1] k) => (float[N,K] v, int64[N,K] p) { v, p = TopK(x, k) }""")
def top_k(rng, i):
    return {"x": f32(rng, int(rng.integers(1, 5)), 20), "k": i64(rng.integers(0, 21))}


@model("""m (int64 a, int64 b, int64 c, float[1] x) => (int64[N] y, float[N] z) {
  y = Range(a, b, c)  f = Cast<to = 1>(y)  z = Mul(f, x)
}""")
def range_of_integers(rng, i):
    return {"a": np.array(rng.integers(-50, 50)), "b": np.array(rng.integers(-50, 50)),
            "c": np.array(rng.choice([-7, -1, 1, 3])), "x": f32(rng, 1)}


@model("m (float a, float b, float c) => (float[N] y) { y = Range(a, b, c) }")
def range_of_floats(rng, i):
    return {name: np.array(value, np.float32) for name, value in
            zip("abc", (rng.uniform(-9, 9), rng.uniform(-9, 9), rng.choice([-.3, .7])))}


@model("m (float[4,N,6] x, int64[3] shape) => (float[A,B,C] y, float[C] z) {\n"
       "  y = Reshape(x, shape)  z = ReduceSum<keepdims = 0>(y, axes)\n"
       "}".replace("(y, axes)", "(y, k)").replace("  y =", "  k = Constant<value_ints: ints = [0, 1]>()  y ="))
def reshape(rng, i):
    n = int(rng.integers(1, 6))
    return {"x": f32(rng, 4, n, 6), "shape": i64(*[(0, 0, 0), (-1, n, 2), (2, -1, 12), (0, -1, 6), (24, 1, -1),
                                                  (-1, 0, 3)][i % 6])}


@model("""m (float[N] x, int64[2] shape) => (float[A,B] y) { y = Reshape<allowzero = 1>(x, shape) }""")
def reshape_to_zero(rng, i):
    return [{"x": f32(rng, 0), "shape": i64(0, 7)}, {"x": f32(rng, 6), "shape": i64(2, -1)}][i % 2]


@model("""m (int64[2] shape, float[1] x) => (float[A,B] y) {
  z = ConstantOfShape<value = float[1] {1.5}>(shape)  y = Mul(z, x)
}""")
def constant_of_shape(rng, i):
    return {"shape": i64(*rng.integers(0, 50, 2)), "x": f32(rng, 1)}


@model("""m (float[N,5] x, int64[4] pads, float value) => (float[A,B] y) { y = Pad(x, pads, value) }""")
def pad(rng, i):
    return {"x": f32(rng, 4, 5), "pads": i64(*rng.integers(-2, 6, 4)), "value": f32(rng)}


@model("""m (float[N,5] x, int64[2] starts, int64[2] ends) => (float[A,B] y) {
  axes = Constant<value_ints: ints = [0, 1]>()  steps = Constant<value_ints: ints = [2, -1]>()
  y = Slice(x, starts, ends, axes, steps)
}""")
def slice_both_ways(rng, i):
    return {"x": f32(rng, int(rng.integers(1, 9)), 5), "starts": i64(*rng.integers(-9, 9, 2)),
            "ends": i64(*rng.integers(-9, 9, 2))}


@model("""m (float[1,2,4,5] x, int64[4] sizes) => (float[A,B,C,D] y) { y = Resize<mode = "linear">(x, , , sizes) }""")
def resize(rng, i):
    return {"x": f32(rng, 1, 2, 4, 5), "sizes": i64(1, 2, *rng.integers(1, 13, 2))}


@model("""m (float[N,8] x, int64[2] shape, float[8,6] w) => (float[A,6] y, float[A,6] z) {
  h = Expand(x, shape)  a = MatMul(h, w)  s = Softmax(a)  y = Add(s, a)
  t = Transpose<perm = [1, 0]>(a)  u = Sin(t)  z = Transpose<perm = [1, 0]>(u)
}""")
def products(rng, i):
    return {"x": f32(rng, 1, 8), "shape": i64(rng.integers(1, 200), 8), "w": f32(rng, 8, 6)}


@model("""m (float[4] x, int64[1] n, bool c) => (float[4] y) {
  y = If (c) <
    then_branch = yes () => (float[4] p) {
      axes = Constant<value_ints: ints = [0]>()  f = Constant<value_ints: ints = [4]>()  s = Concat<axis = 0>(n, f)
      e = Expand(x, s)  q = Sin(e)  p = ReduceSum<keepdims = 0>(q, axes) },
    else_branch = no () => (float[4] q) { q = Neg(x) }>
}""")
def inside_a_branch(rng, i):
    return {"x": f32(rng, 4), "n": i64(rng.integers(0, 60)), "c": np.array(i % 3 != 0)}


@model("""m (float[T,4] x, int64[T,1] n) => (float[4] y, float[T,4] z) {
  zero = Constant<value = float[4] {0, 0, 0, 0}>()
  y, z = Scan (zero, x, n) <num_scan_inputs = 2,
    body = b (float[4] p, float[4] s, int64[1] k) => (float[4] q, float[4] r) {
      axes = Constant<value_ints: ints = [0]>()  f = Constant<value_ints: ints = [4]>()  h = Concat<axis = 0>(k, f)
      e = Expand(s, h)  c = Cos(e)  w = MatMul(c, c2)  r = ReduceMax<keepdims = 0, axes = [0]>(w)  q = Add(p, r) }>
}""".replace("w = MatMul(c, c2)", "one = Constant<value_float: float = 1.0>()  w = Sub(c, one)"))
def inside_a_scan(rng, i):
    t = int(rng.integers(1, 8))
    return {"x": f32(rng, t, 4), "n": rng.integers(1, 40, (t, 1))}


@model("""m (float[N,3,4] x, float[N,3,4] z) => (int64[3,C] y, float[C] v) {
  zero = Constant<value_float: float = 0.0>()  m = Greater(x, zero)  y = NonZero(m)
  t = Transpose<perm = [1, 0]>(y)  g = GatherND(z, t)  v = Exp(g)
}""")
def non_zero(rng, i):
    n = int(rng.integers(0, 6))
    return {"x": f32(rng, n, 3, 4) - i, "z": f32(rng, n, 3, 4)}


@model("m (int32[7] x) => (int64[1,C] y) { y = NonZero(x) }")
def non_zero_of_static_extents(rng, i):
    return {"x": rng.integers(0, 2, 7).astype(np.int32)}


@model("""m (float[N,M] x, bool[K] c, bool[M] d) => (float[A] y, float[N,B] z) {
  y = Compress(x, c)  z = Compress<axis = -1>(x, d)
}""")
def compress(rng, i):
    n, m = (int(v) for v in rng.integers(1, 6, 2))
    return {"x": f32(rng, n, m), "c": rng.random(int(rng.integers(1, n * m + 1))) > .5, "d": rng.random(m) > .4}


@model("m (int64[N,M] x) => (int64[C] y, int64[C] p, int64[D] q, int64[C] n) { y, p, q, n = Unique(x) }")
def unique(rng, i):
    return {"x": rng.integers(-3, 4, rng.integers(1, 8, 2))}


@model("m (float[N] x) => (float[C] y, int64[C] p, int64[N] q, int64[C] n) { y, p, q, n = Unique<sorted = 0>(x) }")
def unique_in_order_of_appearance(rng, i):
    return {"x": rng.integers(-4, 5, int(rng.integers(1, 60))).astype(np.float32) / 2}


@model("""m (float[N,M,2] x) => (float[N,C,2] y, int64[C] p, int64[M] q, int64[C] n, float s) {
  y, p, q, n = Unique<axis = 1>(x)  a = Sin(y)  s = ReduceSum<keepdims = 0>(a)
}""")
def unique_along_an_axis(rng, i):
    return {"x": rng.integers(0, 2, (int(rng.integers(1, 3)), int(rng.integers(1, 9)), 2)).astype(np.float32)}


@model("""m (float[B,N,4] x, float[B,C,N] s, int64 k, float[1] u, float[1] t) => (int64[D,3] y) {
  y = NonMaxSuppression(x, s, k, u, t)
}""")
def suppression(rng, i):
    b, c, n = int(rng.integers(1, 3)), int(rng.integers(1, 4)), int(rng.integers(1, 40))
    corner = rng.random((b, n, 2))
    boxes = np.concatenate([corner, corner + rng.random((b, n, 2)) * .5 * rng.choice([-1, 1], (b, n, 2))], 2)
    return {"x": boxes.astype(np.float32), "s": rng.random((b, c, n)).astype(np.float32),
            "k": np.array(rng.integers(0, 9)), "u": np.array([.3], np.float32), "t": np.array([.2], np.float32)}


@model("""m (float[1,12,4] x, float[1,2,12] s) => (int64[D,3] y, float[D,1,4] z) {
  k = Constant<value = int64[1] {5}>()  u = Constant<value = float[1] {0.5}>()
  y = NonMaxSuppression<center_point_box = 1>(x, s, k, u)  two = Constant<value_ints: ints = [2]>()
  i = Gather<axis = 1>(y, two)  b = Constant<value_ints: ints = [0]>()
  f = Squeeze(x, b)  z = Gather(f, i)
}""")
def suppression_of_centred_boxes(rng, i):
    return {"x": (rng.random((1, 12, 4)) * [1, 1, .6, .6]).astype(np.float32), "s": f32(rng, 1, 2, 12)}


@model("""m (float[N,3] x, float[M,3] z, bool c) => (float[A,3] y, float[B,D] w) {
  y, w = If (c) <
    then_branch = yes () => (float[P,3] p, float[Q,R] q) { a = Sin(x)  p = Concat<axis = 0>(a, z)
      q = Transpose<perm = [1, 0]>(x) },
    else_branch = no () => (float[S,3] r, float[T,U] s) { r = Neg(z)  s = Exp(x) }>
}""")
def branches_of_other_extents(rng, i):
    return {"x": f32(rng, int(rng.integers(0, 5)), 3), "z": f32(rng, int(rng.integers(1, 5)), 3),
            "c": np.array(i % 2 == 0)}


@model("""m (float[9] x, bool c) => (float[A] y, float[A] z) {
  y = If (c) <
    then_branch = yes () => (float[P] p) { zero = Constant<value_float: float = 0.0>()  m = Greater(x, zero)
      p = Compress(x, m) },
    else_branch = no () => (float[1] q) { q = Constant<value = float[1] {7.5}>() }>
  z = Exp(y)
}""")
def a_branch_that_counts(rng, i):
    return {"x": f32(rng, 9), "c": np.array(i % 3 != 0)}


@model("""m (float[N,M] x, int64[N,900] k) => (float[N,M] y, float[N,M] z, int64[N,900] w) {
  a = Constant<value = int64 {1}>()  z = CumSum<exclusive = 1>(x, a)  b = Constant<value = int64 {0}>()
  y = CumSum<reverse = 1>(x, b)  w = CumSum<reverse = 1, exclusive = 1>(k, a)
}""")
def running_sums(rng, i):
    n = int(rng.integers(0, 5))
    return {"x": f32(rng, n, int(rng.integers(0, 700))), "k": rng.integers(-2**40, 2**40, (n, 900))}


@model("""m (int64 n, float[2] x) => (float[2] y, float[K,2] z, int64[K] i) {
  y, z, i = Loop (n, , x) <
    body = b (int64 k, bool g, float[2] p) => (bool o, float[2] q, float[2] r, int64 s) {
      o = Identity(g)  q = Sin(p)  r = Neg(q)  s = Identity(k) }>
}""")
def loop_counted_while_running(rng, i):
    return {"n": np.array(rng.integers(0, 20)), "x": f32(rng, 2)}


@model("""m (int64 n, bool c, float[3] x) => (float[3] y, float[K,3] z, float s) {
  y, z = Loop (n, c, x) <
    body = b (int64 k, bool g, float[3] p) => (bool o, float[3] q, float[3] r) {
      h = Constant<value_float: float = 0.75>()  q = Mul(p, h)  a = Abs(q)  u = ReduceSum<keepdims = 0>(a)
      l = Constant<value_float: float = 0.5>()  o = Greater(u, l)  r = Exp(q) }>
  s = ReduceSum<keepdims = 0>(z)
}""")
def loop_that_stops_stacking(rng, i):
    return {"n": np.array(rng.integers(0, 30)), "c": np.array(i != 3), "x": f32(rng, 3)}


@model("""m (bool c, float[3] x) => (float[3] y, float[K,3] z, int64[K] i, float s) {
  y, z, i = Loop (, c, x) <
    body = b (int64 k, bool g, float[3] p) => (bool o, float[3] q, float[3] r, int64 j) {
      h = Constant<value_float: float = 0.75>()  q = Mul(p, h)  a = Abs(q)  u = ReduceSum<keepdims = 0>(a)
      l = Constant<value_float: float = 0.5>()  o = Greater(u, l)  r = Exp(q)  j = Identity(k) }>
  s = ReduceSum<keepdims = 0>(z)
}""")
def loop_that_only_its_condition_ends(rng, i):
    return {"c": np.array(i != 3), "x": f32(rng, 3) * 10 ** (i % 3)}


@model("""m (bool c, int64 n) => (int64 m, int64[K] z) {
  most = Constant<value = int64 {9223372036854775807}>()
  m, z = Loop (most, c, n) <
    body = b (int64 k, bool g, int64 p) => (bool o, int64 q, int64 r) {
      one = Constant<value = int64 {1}>()  q = Sub(p, one)  o = Greater(q, one)  r = Mul(q, k) }>
}""")
def loop_of_the_greatest_trip_count(rng, i):
    return {"c": np.array(i != 1), "n": np.array(rng.integers(-3, 40))}


@model("""m (float[N,2] x, int64 n) => (float[A,2] y, float s) {
  none = Constant<value = float[1,2] {1, 2}>()
  y = Loop (n, , none) <
    body = b (int64 k, bool g, float[P,2] p) => (bool o, float[Q,2] q) {
      o = Identity(g)  axes = Constant<value_ints: ints = [0]>()  at = Unsqueeze(k, axes)  row = Gather(x, at)
      half = Constant<value_float: float = 0.5>()  h = Mul(p, half)  q = Concat<axis = 0>(h, row) }>
  s = ReduceSum<keepdims = 0>(y)
}""")
def loop_that_grows_a_list(rng, i):
    return {"x": f32(rng, 30, 2), "n": np.array(rng.integers(0, 30) if i else 0)}


@model("""m (float[N,3] x) => (float[A,3] y, float[B,M] z) {
  none = Constant<value = float[0,3] {}>()  shape = Shape(x)  zero = Constant<value = int64 {0}>()
  n = Gather(shape, zero)  wide = Transpose<perm = [1, 0]>(none)
  y, z = Loop (n, , none, wide) <
    body = b (int64 k, bool g, float[P,3] p, float[3,W] w) => (bool o, float[Q,3] q, float[3,V] v) {
      o = Identity(g)  axes = Constant<value_ints: ints = [0]>()  at = Unsqueeze(k, axes)  row = Gather(x, at)
      e = Exp(row)  q = Concat<axis = 0>(p, row, e)  t = Transpose<perm = [1, 0]>(q)  v = Sin(t) }>
}""")
def loop_that_grows_two(rng, i):
    return {"x": f32(rng, int(rng.integers(0, 9)), 3)}


@model("""m (float[N] x, int64 n) => (float[A] y, float[K] s) {
  y, s = Loop (n, , x) <
    body = b (int64 k, bool g, float[P] p) => (bool o, float[Q] q, float r) {
      o = Identity(g)  zero = Constant<value_float: float = 0.0>()  t = Sub(p, m)  c = Greater(t, zero)
      q = Compress(t, c)  r = ReduceSum<keepdims = 0>(q) }>
}""".replace("(p, m)", "(p, tenth)").replace("t = Sub", "tenth = Constant<value_float: float = 0.1>()  t = Sub"))
def loop_that_drops_elements(rng, i):
    return {"x": f32(rng, int(rng.integers(1, 60))), "n": np.array(rng.integers(0, 12))}


@model("""m (float[N] x, int64 n, bool c) => (float[A] y, int64[K] z) {
  y, z = Loop (n, c, x) <
    body = b (int64 k, bool g, float[P] p) => (bool o, float[Q] q, int64 r) {
      a = Sin(p)  q = Concat<axis = 0>(a, x)  r = Size(q)  most = Constant<value = int64 {40}>()  o = Less(r, most) }>
}""")
def loop_that_grows_until_it_is_large(rng, i):
    return {"x": f32(rng, int(rng.integers(1, 9))), "n": np.array(rng.integers(0, 20)), "c": np.array(i != 2)}


@model("""m (float[N] x, int64 n) => (float[A] y) {
  none = Constant<value = float[0] {}>()  three = Constant<value = int64 {3}>()
  y = Loop (n, , none) <
    body = b (int64 k, bool g, float[P] p) => (bool o, float[Q] q) {
      o = Identity(g)
      q = Loop (three, , p) < body = d (int64 kk, bool gg, float[R] r) => (bool oo, float[S] s) {
        oo = Identity(gg)  c = Cos(r)  s = Concat<axis = 0>(c, x) }> }>
}""")
def loops_that_grow_in_each_other(rng, i):
    return {"x": f32(rng, int(rng.integers(1, 4))), "n": np.array(rng.integers(0, 6))}


@hostile("m (float[1] x, int64[2] shape) => (float[A,B] y) { y = Expand(x, shape) }",
         ({"shape": i64(-1, 3)}, "expected at least 0, found -1; needed by"),
         ({"shape": i64(2**62, 2**62)}, "2^63 bytes"), ({"shape": i64(2**63 - 1, 1)}, "2^63 bytes"),
         ({"shape": i64(2**40, 2**20)}, "no memory for"), ({"shape": i64(2**63 - 1, 2**63 - 1)}, "2^63 bytes"),
         ({"shape": i64(-2**63, 0)}, "found -9223372036854775808"))
def expand_without_end():
    pass


@hostile("m (float[6] x, int64[2] shape) => (float[A,B] y) { y = Reshape(x, shape) }",
         ({"shape": i64(4, 2)}, "number of elements"), ({"shape": i64(-1, 5)}, "number of elements"),
         ({"shape": i64(-2, 3)}, "found -2"), ({"shape": i64(-1, 0)}, "needed by m.onnx: node 0 (Reshape"))
def reshape_that_does_not_fit():
    pass


@model("m (float[A,1,B] x) => (float[A,B] y) { y = Squeeze(x) }")
def squeeze_without_axes(rng, i):
    return {"x": f32(rng, *(int(n) for n in rng.integers(2, 9, 1)), 1, int(rng.integers(2, 9)))}


@hostile("m (float[A,1,B] x) => (float[A,B] y) { y = Squeeze(x) }",
         ({"x": np.zeros((1, 1, 3), np.float32)}, "axis 0: A, expected at least 2, found 1; needed by"),
         ({"x": np.zeros((3, 1, 1), np.float32)}, "axis 2: B, expected at least 2, found 1; needed by"))
def squeeze_of_another_rank():
    pass


@hostile("m (float[4] x, bool[K] c) => (float[A] y) { y = Compress(x, c) }",
         ({"c": np.ones(6, bool)}, "an index points outside"))
def compress_beyond_the_end():
    pass


@hostile("""m (int64 n, float[1] x) => (float[1] y, float[K,1] z) {
  y, z = Loop (n, , x) < body = b (int64 k, bool g, float[1] p) => (bool o, float[1] q, float[1] r) {
    o = Identity(g)  q = Neg(p)  r = Identity(q) }>
}""", ({"n": np.array(2**63 - 1)}, "2^63 bytes"), ({"n": np.array(2**45)}, "no memory for"))
def loop_without_end():
    pass


@hostile("m (float[6] x, int64[1] k) => (float[A] v, int64[A] p) { v, p = TopK(x, k) }",
         ({"k": i64(7)}, "at most 6"), ({"k": i64(-1)}, "found -1"), ({"k": i64(2**63 - 1)}, "at most 6"))
def top_of_too_many():
    pass


@hostile("m (float[N] x, int64[2] sizes) => (float[A] p, float[B] q) { p, q = Split(x, sizes) }",
         ({"x": np.zeros(5, np.float32), "sizes": i64(3, 3)}, "sum of the parts"),
         ({"x": np.zeros(5, np.float32), "sizes": i64(-1, 6)}, "not negative"),
         ({"x": np.zeros(5, np.float32), "sizes": i64(2**62, 2**62)}, "sum of the parts"))
def split_that_does_not_fit():
    pass


@hostile("""m (float[T] x, bool c) => (float y) {
  y = If (c) <
    then_branch = yes () => (float p) { s = Constant<value_ints: ints = [4, -1]>()  r = Reshape(x, s)
                                        e = Exp(r)  p = ReduceSum<keepdims = 0>(e) },
    else_branch = no () => (float q) { q = ReduceMax<keepdims = 0>(x) }>
}""", ({"x": np.zeros(6, np.float32), "c": np.array(True)},
       "expected T = 6, found 4; needed by m.onnx: in 'yes': node 1"))
def branch_that_does_not_fit():
    pass


def refusals(tenon, text, feeds):
    """None when each of the inputs is refused with its words and status 1 or 71, and good ones still are run."""
    with tempfile.TemporaryDirectory() as folder:
        path, exe = os.path.join(folder, "m.onnx"), os.path.join(folder, "m")
        parsed = onnx.parser.parse_model(HEAD + text)
        onnx.save(parsed, path)
        done = subprocess.run([tenon, path, "-o", exe], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            return "compile: " + done.stderr.strip()[:600]
        for number, (feed, words) in enumerate(feeds):
            full = dict(feed)
            for port in parsed.graph.input:
                dims = [d.dim_value or 1 for d in port.type.tensor_type.shape.dim]
                full.setdefault(port.name, np.zeros(dims, np.float32))
            out, message = run(exe, full, folder, number)
            if out is not None:
                return f"inputs {number} were taken"
            if words not in message or "error:" not in message:
                return f"inputs {number}: {message}"
    return None


def compare_model(name):
    text, make = MODELS[name]
    return lambda tenon, rng: check(tenon, onnx.parser.parse_model(HEAD + text), [make(rng, i) for i in range(ROUNDS)])


def refuse(name):
    return lambda tenon, rng: refusals(tenon, *HOSTILE[name])


if __name__ == "__main__":
    sys.exit(main(__doc__, {name: compare_model(name) for name in MODELS} | {name: refuse(name) for name in HOSTILE}))
