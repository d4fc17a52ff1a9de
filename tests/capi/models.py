"""A hundred small models for the tests of the C interface, in every form that tenon reads: ONNX, the language, the IR.

write(folder, n) leaves files m0, m1, ... of the families in turn there and returns [Model]: of each its file, the
options that compile it, and the value of each of its sizes by the name that users know it by.
"""
import collections
import os

import onnx
import onnx.parser

Model = collections.namedtuple("Model", "name file options sizes")
HEAD = '<ir_version: 10, opset_import: ["" : 21]>\n'
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def mlp(k):
    return "tn", f"""dim D = {3 + k}
model M(x: f32[B, D]) -> f32[B, {2 + k % 5}] = x |> linear({4 + k}) |> relu |> linear({2 + k % 5})
""", {"B": 1 + k % 4}


def normed(k):
    n = 4 + k
    return "tn", f"model M(x: f32[B, T, {n}]) -> f32[B, T, {n}] = x |> layernorm |> gelu\n", {"B": 2, "T": 3 + k}


def recurrent(k):
    return "tn", f"""module Cell(x: f32[B, E], h: f32[B, H]) -> f32[B, H] {{
  return tanh((x |> linear(H)) + (h |> linear(H)))
}}
model M(x: f32[B, T, {3 + k}]) -> f32[B, 4] {{
  sub cell = Cell()
  scan (xt, t) in x along T carry h = zeros(B, 4) {{
    h = cell(xt, h)
  }}
  return h
}}
""", {"B": 2, "T": 5}


def conv(k):
    return "onnx", f"""m (float[N,2,H,W] image) => (float[N,3,H,W] y)
    <float[3,2,3,3] w = {{{", ".join(str((i * 7 + k) % 5 - 2) for i in range(54))}}}> {{
      c = Conv<pads = [1, 1, 1, 1]> (image, w)
      y = Relu(c) }}""", {"N": 1, "H": 5 + k, "W": 6}


def half(k):
    n = 5 + k
    return "onnx", f"m (float16[N,{n}] x) => (float16[N,{n}] y) {{ a = Sigmoid(x)  y = Mul(a, x) }}", {"N": 3}


def brain(k):
    n = 4 + k
    return "onnx", f"m (bfloat16[N,{n}] x, bfloat16[{n}] b) => (bfloat16[N,{n}] y) {{ y = Add(x, b) }}", {"N": 2}


def integers(k):
    t, n = INTEGERS[k % 8], 3 + k
    return "onnx", f"m ({t}[N,{n}] x, {t}[{n}] z) => ({t}[N,{n}] y) {{ s = Add(x, z)  y = Mul(s, x) }}", {"N": 4}


def booleans(k):
    return "onnx", f"""m (bool[N,{3 + k}] x, bool[N,{3 + k}] z) => (bool[N,{3 + k}] both, bool[N,{3 + k}] one) {{
      both = And(x, z)  one = Xor(x, z) }}""", {"N": 3}


def choice(k):
    return "onnx", f"""m (float[B,{4 + k}] x, bool c) => (float[B,{4 + k}] y) {{
      y = If (c) < then_branch = yes () => (float[B,{4 + k}] p) {{ p = Exp(x) }},
                   else_branch = no () => (float[B,{4 + k}] q) {{ q = Neg(x) }}> }}""", {"B": 2}


def loop(k):
    return "onnx", f"""m (float[B,{3 + k}] x, int64 n) => (float[B,{3 + k}] y)
    <bool go = {{1}}, float h = {{0.5}}> {{
      y = Loop (n, go, x) < body = b (int64 i, bool c, float[B,{3 + k}] u) => (bool d, float[B,{3 + k}] v) {{
        d = Identity(c)  t = Mul(u, h)  v = Add(t, h) }}> }}""", {"B": 3}


def two_of_each(k):
    return "onnx", f"""m (double[A,B] x, double[B] z) => (double[A,B] sum, double[B,A] turned) {{
      sum = Add(x, z)  p = Mul(x, z)  turned = Transpose<perm = [1, 0]> (p) }}""", {"A": 2 + k, "B": 3}


def gather(k):
    n = 3 + k
    return "onnx", f"m (float[N,{n}] x, int64[M] i) => (float[M,{n}] y) {{ y = Gather(x, i) }}", {"N": 6, "M": 4}


def top(k):
    return "onnx", f"""m (float[N,{6 + k}] x) => (float[N,2] values, int64[N,2] places) <int64[1] two = {{2}}> {{
      values, places = TopK (x, two) }}""", {"N": 3}


def joined(k):
    n = 2 + k
    return "onnx", f"m (float[N,{n}] x, float[M,{n}] z) => (float[L,{n}] y) {{ y = Concat<axis = 0> (x, z) }}", \
        {"N": 2, "M": 3}


def fixed(k):
    return "onnx", f"""m (float[2,{3 + k}] x) => (float[2] y) <int64[1] one = {{1}}> {{
      s = Softmax(x)  y = ReduceMax<keepdims = 0> (s, one) }}""", {}


def wide(k):
    """Enough work for several threads."""
    return "onnx", f"""m (float[N,{400 + k}] x) => (float[N,{400 + k}] y) <float one = {{1.0}}> {{
      e = Softmax(x)  t = Tanh(e)  y = Add(t, one) }}""", {"N": 60}


def found(k):
    """Sizes that are found while running."""
    return "onnx", f"""m (float[N,{3 + k}] x, int64[2] repeats, float[N] z) => (float[A,B] y, float[N] w, float s) {{
      t = Tile(x, repeats)  y = Exp(t)  w = Neg(z)  s = ReduceSum<keepdims = 0> (t) }}""", {"N": 4}


def plain(k):
    n = 4 + k
    return "tnir", f"""tnir 1
sym S "rows" in [1, 64]
const @w : f32[{n}] = dense [{",".join(str(i % 7) for i in range(n))}]
func @run entry (%x: f32[S,{n}] "in put") -> (f32[S,{n}] "out/put") {{
  %0 = broadcast @w {{dims=[S,{n}], map=[1]}} : f32[S,{n}]
  %1 = add %x, %0 : f32[S,{n}] "out/put"
  return %1
}}
""", {"rows": 2}


FAMILIES = (mlp, conv, half, integers, choice, two_of_each, gather, brain, loop, plain, top, wide, booleans, normed,
            joined, fixed, recurrent, found)


def write(folder, n, families=FAMILIES):
    models = []
    for i in range(n):
        k, family = i // len(families), families[i % len(families)]
        kind, text, sizes = family(k)
        file = os.path.join(folder, f"m{i}.{kind}")
        if kind == "onnx":
            onnx.save(onnx.parser.parse_model(HEAD + text), file)
        else:
            with open(file, "w") as f:
                f.write(text)
        options = [f"--init={i + 1}"] if kind == "tn" else []
        if i % 7 == 3:
            options.append("--threads=1")
        models.append(Model(f"m{i}", file, options, sizes))
    return models
