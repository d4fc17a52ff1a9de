"""ONNX models with If, Loop and Scan, one compile for all sizes, against onnxruntime.

  control.py TENON [-k NAME] [-v]

The models are in ONNX' text form; the last line is `N passed, N failed, N skipped`.
"""
import os, sys

import numpy as np
import onnx.parser

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare import check, main

HEAD = '<ir_version: 8, opset_import: ["" : %d]>\n'
SIZES = ((1, 1), (4, 3), (9, 2))
f32 = lambda rng, *dims: rng.normal(size=dims).astype(np.float32)

MODELS = {}


def model(text, opset=17):
    """Decorates the function that makes the inputs for (rng, T, B)."""
    def keep(make):
        MODELS[make.__name__] = (HEAD % opset + text, make)
        return make
    return keep


@model("""m (float[B,3] h, float[B,T,3] x, float[B,T,3] w, float[3] k) => (float[B,3] n, float[B,T,3] y) {
  n, y = Scan ("", h, x, w) <num_scan_inputs = 2, directions = [0, 1],
    body = b (float[3] p, float[3] s, float[3] t) => (float[3] q, float[3] o) {
      m = Mul(p, k)  a = Add(m, s)  q = Sub(a, t)  o = Sin(q) }>
}""", 8)
def scan_of_opset_8(rng, t, b):
    return {"h": f32(rng, b, 3), "x": f32(rng, b, t, 3), "w": f32(rng, b, t, 3), "k": f32(rng, 3)}


@model("""m (float[B,4] x, bool c) => (float[B,4] y, float[B,4] z) {
  a = Sin(x)
  y, z = If (c) <
    then_branch = yes () => (float[B,4] p, float[B,4] q) { p = Add(a, x)  q = Neg(p) },
    else_branch = no () => (float[B,4] r, float[B,4] s) { k = Constant<value_float: float = 2.5>()  r = Mul(a, k)
                                                          s = Identity(x) }>
}""")
def if_with_captures(rng, t, b):
    return {"x": f32(rng, b, 4), "c": np.array(t > 1)}


@model("""m (float[B,4] x, bool[1] c, bool d) => (float[B,4] y) {
  y = If (c) <
    then_branch = yes () => (float[B,4] p) {
      p = If (d) < then_branch = yy () => (float[B,4] u) { u = Exp(x) },
                   else_branch = yn () => (float[B,4] v) { v = Abs(x) }> },
    else_branch = no () => (float[B,4] q) { h = Tanh(x)  q = Mul(h, x) }>
}""")
def if_in_if(rng, t, b):
    return {"x": f32(rng, b, 4), "c": np.array([b > 1]), "d": np.array(t > 4)}


@model("""m (float[T,B,3] x, float[B,3] h, float[3] k) => (float[B,3] n, float[B,T,3] y, float[T,B,3] z) {
  n, y, z = Scan (h, x) <num_scan_inputs = 1, scan_output_axes = [1, 0], scan_output_directions = [0, 1],
    scan_input_directions = [1],
    body = b (float[B,3] p, float[B,3] s) => (float[B,3] q, float[B,3] o, float[B,3] r) {
      m = Mul(p, k)  q = Add(m, s)  o = Sin(q)  r = Identity(p) }>
}""")
def scan_axes_and_directions(rng, t, b):
    return {"x": f32(rng, t, b, 3), "h": f32(rng, b, 3), "k": f32(rng, 3)}


@model("""m (float[B,3,T] x, float[B,T] w) => (float s, float[T] y) {
  zero = Constant<value_float: float = 0.0>()
  s, y = Scan (zero, x, w) <num_scan_inputs = 2, scan_input_axes = [-1, 1],
    body = b (float a, float[B,3] p, float[B] q) => (float c, float d) {
      axes = Constant<value_ints: ints = [1]>()  u = Unsqueeze(q, axes)
      v = Mul(p, u)  d = ReduceMean<keepdims = 0>(v)  c = Add(a, d) }>
}""")
def scan_scalars(rng, t, b):
    return {"x": f32(rng, b, 3, t), "w": f32(rng, b, t)}


@model("""m (float[T,B,3] x, float[B,3] h) => (float[B,3] n, float[T,B,3] y) {
  n, y = Scan (h, x) <num_scan_inputs = 1,
    body = b (float[B,3] p, float[B,3] s) => (float[B,3] q, float[B,3] o) {
      t = ReduceSum<keepdims = 0>(s)  zero = Constant<value_float: float = 0.0>()  c = Greater(t, zero)
      q = If (c) < then_branch = yes () => (float[B,3] u) { u = Add(p, s) },
                   else_branch = no () => (float[B,3] v) { v = Sub(p, s) }>
      o = Cos(q) }>
}""")
def if_in_scan(rng, t, b):
    return {"x": f32(rng, t, b, 3), "h": f32(rng, b, 3)}


@model("""m (float[B,4] x) => (float[B,4] y, float[5,B,4] z) {
  n = Constant<value = int64 {5}>()  c = Constant<value = bool {1}>()
  y, z = Loop (n, c, x) <
    body = b (int64 i, bool g, float[B,4] p) => (bool o, float[B,4] q, float[B,4] r) {
      o = Identity(g)  f = Cast<to = 1>(i)  s = Mul(p, f)  q = Add(s, x)  r = Sin(q) }>
}""")
def loop_counted(rng, t, b):
    return {"x": f32(rng, b, 4)}


@model("""m (float[T,4] x) => (float[4] y, float[T,4] z) {
  s = Shape(x)  zero = Constant<value = int64 {0}>()  n = Gather(s, zero)  c = Constant<value = bool {1}>()
  k = Constant<value = float[4] {1.0, 2.0, 3.0, 4.0}>()
  y, z = Loop (n, c, k) <
    body = b (int64 i, bool g, float[4] p) => (bool o, float[4] q, float[4] r) {
      o = Constant<value = bool {1}>()  e = Gather(x, i)  h = Constant<value_float: float = 0.5>()  m = Mul(p, h)
      q = Add(m, e)  r = Neg(q) }>
}""")
def loop_over_an_extent(rng, t, b):
    return {"x": f32(rng, t, 4)}


@model("""m (float[B,4] x, int64 n, bool c) => (float[B,4] y, float s) {
  zero = Constant<value_float: float = 0.0>()
  y, s = Loop (n, c, x, zero) <
    body = b (int64 i, bool g, float[B,4] p, float t) => (bool o, float[B,4] q, float u) {
      h = Constant<value_float: float = 0.75>()  q = Mul(p, h)  a = Abs(q)  u = ReduceSum<keepdims = 0>(a)
      l = Constant<value_float: float = 2.0>()  o = Greater(u, l) }>
}""")
def loop_with_a_condition(rng, t, b):
    return {"x": f32(rng, b, 4) * 3, "n": np.array(t * 2, np.int64), "c": np.array(b != 2)}


@model("""m (float[B,4] x, int64 n) => (float[B,4] y) {
  y = Loop (n, , x) <
    body = b (int64 i, bool g, float[B,4] p) => (bool o, float[B,4] q) {
      o = Identity(g)
      f = Cast<to = 1>(i)  w = Add(p, f)
      q = Loop (i, , w) <
        body = inner (int64 j, bool g2, float[B,4] p2) => (bool o2, float[B,4] q2) {
          o2 = Identity(g2)  e = Sin(p2)  q2 = Add(e, x) }> }>
}""")
def loop_in_loop(rng, t, b):
    return {"x": f32(rng, b, 4), "n": np.array(t, np.int64)}


@model("""m (float[T,B,4] x, bool c) => (float[B,4] y) {
  y = If (c) <
    then_branch = yes () => (float[B,4] p) {
      axes = Constant<value_ints: ints = [0]>()  p = ReduceMax<axes = [0], keepdims = 0>(x) },
    else_branch = no () => (float[B,4] q) {
      zero = Constant<value_float: float = 0.0>()  r = ReduceMin<axes = [0], keepdims = 0>(x)  z = Mul(r, zero)
      q, all = Scan (z, x) <num_scan_inputs = 1,
        body = b (float[B,4] u, float[B,4] v) => (float[B,4] w, float[B,4] a) { w = Add(u, v)  a = Identity(w) }> }>
}""")
def scan_in_if(rng, t, b):
    return {"x": f32(rng, t, b, 4), "c": np.array(b == 3)}


@model("""m (float[B,4] x) => (float[B,7] y) {
  given = Constant<value_ints: ints = [0, 1]>()  n = Constant<value_ints: ints = [2]>()
  rest = ConstantOfShape<value: tensor = int64[1] {0}>(n)  all = Concat<axis = 0>(given, rest)
  pairs = Constant<value_ints: ints = [-1, 2]>()  m2 = Reshape(all, pairs)
  start = Constant<value_ints: ints = [-1]>()  end = Constant<value_ints: ints = [-9]>()
  axis = Constant<value_ints: ints = [0]>()
  turned = Slice(m2, start, end, axis, start)  across = Transpose<perm = [1, 0]>(turned)  flat = Reshape(across, start)
  padded = Pad(x, flat)  s = Shape(padded)  rank = Size(s)  two = Constant<value = int64 {2}>()
  same = Equal(rank, two)  other = Not(same)
  z = If (other) < then_branch = yes () => (float[A] u) { u = Flatten(padded) },
                   else_branch = no () => (float[A,C] v) { zero = Constant<value_float: float = 0.0>()
                     lo = Constant<value_ints: ints = [0, 0, 0, 2]>()  v = Pad(padded, lo, zero) }>
  y = Neg(z)
}""")
def pads_through_a_matrix(rng, t, b):
    return {"x": f32(rng, b, 4)}


# PyTorch's squeeze of an axis of unknown extent: the rank depends on it, so only 1 is compiled.
@model("""m (float[B,K,4] x) => (float[B,1,4] y) {
  s = Shape(x)  one = Constant<value_ints: ints = [1]>()  k = Gather<axis = 0>(s, one)  c = Equal(k, one)
  z = If (c) < then_branch = yes () => (float[B,4] u) { u = Squeeze(x, one) },
               else_branch = no () => (float[B,K,4] v) { w = Slice(x, one, one, one)  p = Add(x, x)  v = Sub(p, x) }>
  n = Neg(z)  y = Unsqueeze(n, one)
}""")
def if_squeezes(rng, t, b):
    return {"x": f32(rng, b, 1, 4)}


# While loops as TensorFlow's are written: no trip count, a counter of 32 bits compared as a float.
@model("""m (float[T,B,3] x, float[B,3] h) => (float[B,3] n, float[T,B,3] y, float[T,B] z) {
  s = Shape(x)  zero = Constant<value = int64 {0}>()  t = Gather(s, zero)  e = Cast<to = 6>(t)  f = Cast<to = 1>(e)
  i = Constant<value = int32 {0}>()  first = Constant<value_float: float = 0.0>()  c = Less(first, f)
  il, el, n, y, z = Loop (, c, i, e, h) <body = b (int64 k, bool g, int32 i1, int32 e1, float[B,3] p)
    => (bool o, int32 j, int32 e2, float[B,3] q, float[B,3] r, float[B] w) {
      one = Constant<value = int32 {1}>()  j = Add(i1, one)  a = Gather(x, i1)  u = Tanh(p)  q = Add(u, a)
      r = Neg(q)  w = ReduceMax<axes = [1], keepdims = 0>(q)  e2 = Identity(e1)
      jf = Cast<to = 1>(j)  ef = Cast<to = 1>(e1)  o = Less(jf, ef) }>
}""")
def while_of_time_steps(rng, t, b):
    return {"x": f32(rng, t, b, 3), "h": f32(rng, b, 3)}


# Two counters, one compared by greater, its bound a value; at first the condition holds, whatever they are.
@model("""m (int64 n, int64 at, float[B,3] h) => (float[B,3] m, float[K,B,3] y, int64 l) {
  yes = Constant<value = bool {1}>()  two = Constant<value = int64 {2}>()
  l, m, y = Loop (, yes, at, h) <body = b (int64 k, bool g, int64 i, float[B,3] p)
    => (bool o, int64 j, float[B,3] q, float[B,3] r) {
      one = Constant<value = int64 {1}>()  j = Add(one, i)  f = Cast<to = 1>(i)  w = Sin(f)  q = Mul(p, w)  r = Exp(q)
      most = Constant<value = int64 {7}>()  u = Greater(n, j)  v = LessOrEqual(k, most)  o = And(u, v) }>
}""")
def while_below_two_bounds(rng, t, b):
    return {"n": np.array(t * b), "at": np.array(b - 2), "h": f32(rng, b, 3)}


# What a branch needs of sizes is checked where it is taken: 9 in the first, a multiple of 4 in the second.
@model("""m (float[B,1,T] x, bool c, bool d) => (float[B] y) {
  z = Constant<value_ints: ints = [1, 2]>()
  y = If (c) <
    then_branch = yes () => (float[B] p) { h = AveragePool<kernel_shape = [5]>(x)  g = Mul(h, h)
                                           p = ReduceSum<keepdims = 0>(g, z) },
    else_branch = no () => (float[B] q) {
      q = If (d) <
        then_branch = ny () => (float[B] u) { s = Constant<value_ints: ints = [0, 4, -1]>()  r = Reshape(x, s)
                                              o = Softmax<axis = 1>(r)  n = Exp(o)  u = ReduceSum<keepdims = 0>(n, z) },
        else_branch = nn () => (float[B] v) { a = Abs(x)  v = ReduceSum<keepdims = 0>(a, z) }> }>
}""")
def if_of_other_sizes(rng, t, b):
    return {"x": f32(rng, b, 1, t), "c": np.array(t == 9), "d": np.array(t == 4)}


def compare_model(text, make):
    return lambda tenon, rng: check(tenon, onnx.parser.parse_model(text), [make(rng, t, b) for t, b in SIZES])


if __name__ == "__main__":
    sys.exit(main(__doc__, {name: compare_model(*row) for name, row in MODELS.items()}))
