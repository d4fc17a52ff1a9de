"""onnxruntime's own operators (domain com.microsoft): NumPy's formula, which onnxruntime itself must agree with."""
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from contractions import Geometry, convolve, scale_of, small_ints
from elementwise import sigmoid
from judge import Case, exact, linear
from number import TYPES, name_of
from rows import LEFT_OUT, row
from spatial import windows

DOMAIN = "com.microsoft"
OPTIONS = onnxruntime.SessionOptions()
OPTIONS.log_severity_level = 4
OPTIONS.intra_op_num_threads = 1


def ort(op, inputs, attributes, n_out=1):
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    while not names[-1]:
        names.pop()
    node = helper.make_node(op, names, [f"y{i}" for i in range(n_out)], domain=DOMAIN, **attributes)
    params = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
              for n, x in zip(names, inputs) if n]
    results = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(n_out)]
    model = helper.make_model(helper.make_graph([node], "g", params, results), ir_version=10, opset_imports=[
        helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)])
    session = onnxruntime.InferenceSession(model.SerializeToString(), OPTIONS, providers=["CPUExecutionProvider"])
    return session.run(None, {n: x for n, x in zip(names, inputs) if n})


def agreed(op, inputs, wants, attributes, tolerance=2e-4, **more):
    """The case, after onnxruntime has said the same: floats within the tolerance, integers within one step."""
    for theirs, want in zip(ort(op, inputs, attributes, len(wants)), wants):
        ours = np.asarray(want.value, np.float64)
        assert theirs.shape == ours.shape and name_of(theirs) == want.dtype, (op, theirs.shape, ours.shape)
        limit = 1 if want.dtype[0] in "iu" else tolerance * (1 + np.abs(ours).max(initial=0))
        apart = np.abs(theirs.astype(np.float64) - ours)
        if want.dtype[0] == "f" and want.free is not None:
            apart = np.where(want.free, 0, apart)
        apart = apart.max(initial=0)
        assert apart <= limit, f"onnxruntime's {op} differs from the formula by {apart}"
    return Case(op, inputs, wants, attributes, **more)


def fused(op, **more):
    return row(op + ".microsoft", domain=DOMAIN, weight=2, **more)


def f64(x):
    return None if x is None else x.astype(np.float64)


# ---- quantised


def quantised(y, scale, zero, dtype):
    """To the nearest step; near a tie either one."""
    v = y / float(scale)
    low, high = np.iinfo(TYPES[dtype]).min, np.iinfo(TYPES[dtype]).max
    steps = np.clip(np.rint(v) + int(zero), low, high)
    free = np.abs(np.abs(v - np.floor(v)) - 0.5) < 1e-4 * (1 + np.abs(v))
    return exact(steps.astype(TYPES[dtype]), free=np.asarray(free))


class Quantised:
    """A random quantised tensor: its values, scale, zero point, and what they stand for."""

    def __init__(self, g, shape, dtype):
        self.q, self.scale, self.zero = small_ints(g, shape, dtype), scale_of(g, 0.01, 0.1), small_ints(g, [], dtype)
        self.inputs = [self.q, self.scale, self.zero]
        self.value = (self.q.astype(np.float64) - int(self.zero)) * float(self.scale)


def qlinear_binary(op, function, low, high):
    def make(g):
        dtype = g.pick("u8", "i8")
        a, b = g.broadcast(2, g.rank(1, 3))
        x, y = Quantised(g, a, dtype), Quantised(g, b, dtype)
        scale, zero = scale_of(g, low, high), small_ints(g, [], dtype)
        want = quantised(function(x.value, y.value), scale, zero, dtype)
        return agreed(op, x.inputs + y.inputs + [scale, zero], [want], {}, constant={1, 2, 4, 5, 6, 7})
    fused(op, exact_reference=True)(make)


qlinear_binary("QLinearAdd", np.add, 0.05, 0.2)
qlinear_binary("QLinearMul", np.multiply, 0.05, 0.3)


def qlinear_unary(op, function, low, high, draw):
    def make(g):
        dtype, attributes = g.pick("u8", "i8"), draw(g)
        # onnxruntime's softmax of one element is 0
        x = Quantised(g, g.shape(g.rank(1, 4), lo=2 if op == "QLinearSoftmax" else 1), dtype)
        scale, zero = scale_of(g, low, high), small_ints(g, [], dtype)
        want = quantised(function(x.value, attributes), scale, zero, dtype)
        return agreed(op, x.inputs + [scale, zero], [want], attributes, constant={1, 2, 3, 4})
    fused(op, exact_reference=True)(make)


def softmax(v, attributes):
    axis = attributes["axis"]
    flat = v.reshape(v.shape[:axis] + (-1,)) if attributes["opset"] < 13 else np.moveaxis(v, axis, -1)
    e = np.exp(flat - flat.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y.reshape(v.shape) if attributes["opset"] < 13 else np.moveaxis(y, -1, axis)


qlinear_unary("QLinearSigmoid", lambda v, a: sigmoid(v), 0.003, 0.02, lambda g: {})
qlinear_unary("QLinearLeakyRelu", lambda v, a: np.where(v >= 0, v, a["alpha"] * v), 0.01, 0.2,
              lambda g: {"alpha": g.number(0, 0.5)})
qlinear_unary("QLinearSoftmax", softmax, 0.003, 0.01, lambda g: {"axis": 0, "opset": g.pick(11, 13)})


@fused("QLinearConcat", exact_reference=True)
def make_qlinear_concat(g):
    dtype, rank = g.pick("u8", "i8"), g.rank(1, 3)
    axis, shape = g.int(0, rank - 1), g.shape(rank, lo=1)
    parts = [Quantised(g, [g.extent(1, 5) if i == axis else e for i, e in enumerate(shape)], dtype)
             for _ in range(g.int(1, 3))]
    scale, zero = scale_of(g, 0.02, 0.1), small_ints(g, [], dtype)
    want = quantised(np.concatenate([p.value for p in parts], axis), scale, zero, dtype)
    inputs = [scale, zero] + sum((p.inputs for p in parts), [])
    return agreed("QLinearConcat", inputs, [want], {"axis": axis},
                  constant={i for i in range(len(inputs)) if i < 2 or i % 3 != 2})


@fused("QLinearAveragePool", exact_reference=True)
def make_qlinear_average_pool(g):
    dtype, last, count_pads = g.pick("u8", "i8"), g.pick(0, 1), g.pick(0, 1)
    geometry = Geometry(g, 2, [g.extent(4, 9), g.extent(4, 9)], dilate=False, auto=False)
    x = Quantised(g, [g.extent(1, 2), g.extent(1, 4)] + geometry.extents, dtype)
    scale, zero = scale_of(g, 0.02, 0.1), small_ints(g, [], dtype)
    total = windows(geometry, x.value, 0).sum(axis=0)
    count = np.prod(geometry.kernel) if count_pads else \
        windows(geometry, np.ones([1, 1] + geometry.extents), 0).sum(axis=0)
    want = quantised(total / count, scale, zero, dtype)
    attributes = {k: v for k, v in geometry.attributes().items() if k in ("kernel_shape", "strides", "pads")}
    values = x.inputs
    if last:
        values = [np.ascontiguousarray(np.moveaxis(x.q, 1, -1))] + x.inputs[1:]
        want.value, want.free, want.bound = (np.moveaxis(a, 1, -1) for a in (want.value, want.free, want.bound))
    return agreed("QLinearAveragePool", values + [scale, zero], [want],
                  {**attributes, "channels_last": last, "count_include_pad": count_pads}, constant={1, 2, 3, 4})


@fused("QLinearGlobalAveragePool", exact_reference=True)
def make_qlinear_global_pool(g):
    dtype, last = g.pick("u8", "i8"), g.pick(0, 1)
    x = Quantised(g, [g.extent(1, 2), g.extent(1, 5), g.extent(1, 6), g.extent(1, 6)], dtype)
    scale, zero = scale_of(g, 0.01, 0.1), small_ints(g, [], dtype)
    want = quantised(x.value.mean((1, 2) if last else (2, 3), keepdims=True), scale, zero, dtype)
    return agreed("QLinearGlobalAveragePool", x.inputs + [scale, zero], [want], {"channels_last": last},
                  constant={1, 2, 3, 4})


@fused("QGemm", exact_reference=True)
def make_qgemm(g):
    dtype, m, k, n = g.pick("u8", "i8"), g.extent(1), g.extent(1), g.extent(1)
    trans_a, trans_b, per_column, floats = g.pick(0, 1), g.pick(0, 1), g.chance(0.4), g.chance(0.4)
    a, b = Quantised(g, [k, m] if trans_a else [m, k], dtype), Quantised(g, [n, k] if trans_b else [k, n], dtype)
    alpha = g.number(0.3, 2)
    if per_column:
        b.scale, b.zero = g.floats([n], "f32", 0.01, 0.1), small_ints(g, [n], dtype)
    x = a.q.astype(np.int64) - int(a.zero)
    w = (b.q.T if trans_b else b.q).astype(np.int64) - b.zero.astype(np.int64)
    c = g.contents.integers(-1000, 1000, [n]).astype(np.int32) if g.chance(0.6) else None
    total = (x.T if trans_a else x) @ w + (0 if c is None else c.astype(np.int64))
    y = total * (alpha * float(a.scale) * b.scale.astype(np.float64))
    scale, zero = (None, None) if floats else (scale_of(g, 0.1, 1), small_ints(g, [], dtype))
    want = linear(y, "f32", 2, np.abs(y)) if floats else quantised(y, scale, zero, dtype)
    return agreed("QGemm", [a.q, a.scale, a.zero, b.q, b.scale, b.zero, c, scale, zero], [want],
                  {"transA": trans_a, "transB": trans_b, "alpha": alpha})


@fused("MatMulIntegerToFloat")
def make_matmul_integer_to_float(g):
    ta, tb, m, k, n = g.pick("u8", "i8"), g.pick("u8", "i8"), g.extent(1), g.extent(1), g.extent(1)
    ta = "u8" if tb == "u8" else ta
    x, w, zx = small_ints(g, [m, k], ta), small_ints(g, [k, n], tb), small_ints(g, [], ta)
    per_column = g.chance(0.5)
    zw, sw = small_ints(g, [n] if per_column else [], tb), g.floats([n] if per_column else [], "f32", 0.01, 0.1)
    sx, bias = scale_of(g, 0.01, 0.1), g.floats([n], "f32") if g.chance(0.5) else None
    y = (x.astype(np.int64) - int(zx)) @ (w.astype(np.int64) - zw.astype(np.int64)) * (float(sx) * f64(sw))
    m = np.abs(y)
    if bias is not None:
        y, m = y + f64(bias), m + np.abs(f64(bias))
    return agreed("MatMulIntegerToFloat", [x, w, sx, sw, zx, zw, bias], [linear(y, "f32", 4, m)], {})


@fused("DynamicQuantizeMatMul", exact_reference=True)
def make_dynamic_quantize_matmul(g):
    tb, m, k, n = g.pick("u8", "i8"), g.extent(1), g.extent(1), g.extent(1)
    x, w, per_column = g.floats([m, k], "f32"), small_ints(g, [k, n], tb), g.chance(0.5)
    zw, sw = small_ints(g, [n] if per_column else [], tb), g.floats([n] if per_column else [], "f32", 0.01, 0.1)
    bias = g.floats([n], "f32") if g.chance(0.5) else None
    low, high = np.float32(min(0, x.min())), np.float32(max(0, x.max()))
    scale = np.float32((high - low) / np.float32(255))
    zero = np.clip(np.rint(np.float32(0) - low / scale), 0, 255)
    steps = np.clip(np.rint(x / scale) + zero, 0, 255) - zero
    weights = w.astype(np.float64) - zw
    y = steps.astype(np.float64) @ weights * (float(scale) * f64(sw)) + (0 if bias is None else f64(bias))
    # an element of x near a tie, or the zero point, may be one step apart
    m = (np.abs(steps) + 1).astype(np.float64) @ np.abs(weights) * (float(scale) * f64(sw)) + 3
    ratio = x / scale
    unsure = (np.abs(np.abs(ratio - np.floor(ratio)) - 0.5) < 1e-4).any() or \
        abs(abs(low / scale - np.floor(low / scale)) - 0.5) < 1e-4
    return agreed("DynamicQuantizeMatMul", [x, w, sw, zw, bias],
                  [linear(y, "f32", 8, m, free=np.full(y.shape, bool(unsure)))], {}, tolerance=0.02)


@fused("MatMulNBits")
def make_matmul_nbits(g):
    bits, block, k, n = g.pick(4, 4, 8), g.pick(16, 32), g.int(1, 80), g.int(1, 20)
    blocks = -(-k // block)
    fixed = np.random.default_rng(g.int(0, 1 << 30))
    q = fixed.integers(0, 1 << bits, [n, blocks, block])
    scales = fixed.uniform(0.01, 0.1, [n, blocks]).astype(np.float32)
    zeros = fixed.integers(0, 1 << bits, [n, blocks]) if g.chance(0.5) else None
    packed = q.astype(np.uint8) if bits == 8 else (q[..., 0::2] | q[..., 1::2] << 4).astype(np.uint8)
    z = None
    if zeros is not None:
        z = zeros.astype(np.uint8)
        if bits == 4:
            z = np.concatenate([z, np.zeros([n, blocks % 2], np.uint8)], 1)
            z = (z[:, 0::2] | z[:, 1::2] << 4).astype(np.uint8)
    middle = 1 << (bits - 1) if zeros is None else zeros[..., None]
    w = ((q - middle) * f64(scales)[..., None]).reshape(n, -1)[:, :k]
    x = g.floats([g.extent(1, 4), g.extent(1, 5), k], "f32")
    bias = g.floats([n], "f32") if g.chance(0.4) else None
    y, m = f64(x) @ w.T, np.abs(f64(x)) @ np.abs(w).T
    if bias is not None:
        y, m = y + f64(bias), m + np.abs(f64(bias))
    return agreed("MatMulNBits", [x, packed, scales, z, None, bias], [linear(y, "f32", k + 4, m)],
                  {"K": k, "N": n, "bits": bits, "block_size": block}, constant={1, 2, 3})


@fused("DynamicQuantizeLSTM")
def make_dynamic_quantize_lstm(g):
    """Of the dequantised weights; onnxruntime rounds what it multiplies with them to 8 bits as well."""
    d, s, batch, i, h = g.pick(1, 2), g.extent(1, 4), g.extent(1, 3), g.int(1, 6), g.int(1, 5)
    x = g.floats([s, batch, i], "f32", -1, 1)
    q = [small_ints(g, [d, n, 4 * h], "i8") for n in (i, h)]
    scale = [g.floats([d], "f32", 0.002, 0.01) for _ in q]
    zero = [np.zeros([d], np.int8) for _ in q]
    w, r = (f64(a) * f64(t)[:, None, None] for a, t in zip(q, scale))
    outs, last, cells = [], [], []
    for k in range(d):
        hidden, cell, ys = np.zeros([batch, h]), np.zeros([batch, h]), np.zeros([s, batch, h])
        for t in range(s)[::-1 if k else 1]:
            gates = np.split(f64(x)[t] @ w[k] + hidden @ r[k], 4, -1)
            cell = sigmoid(gates[2]) * cell + sigmoid(gates[0]) * np.tanh(gates[3])
            hidden = sigmoid(gates[1]) * np.tanh(cell)
            ys[t] = hidden
        outs.append(ys)
        last.append(hidden)
        cells.append(cell)
    wants = [linear(v, "f32", s * (i + h), 4 + 0 * v) for v in (np.stack(outs, 1), np.stack(last), np.stack(cells))]
    inputs = [x, *q, None, None, None, None, None, scale[0], zero[0], scale[1], zero[1]]
    return agreed("DynamicQuantizeLSTM", inputs, wants, {"hidden_size": h, "direction": "bidirectional" if d == 2 else
                  "forward"}, tolerance=0.02, constant={1, 2, 8, 9, 10, 11})


# ---- fused

@fused("FusedMatMul")
def make_fused_matmul(g):
    m, k, n, batch = g.extent(1), g.extent(1), g.extent(1), [g.extent(1, 3) for _ in range(g.int(0, 2))]
    trans_a, trans_b, alpha = g.pick(0, 1), g.pick(0, 1), g.number(0.3, 2)
    a, b = g.floats(batch + [m, k], "f32"), g.floats(batch + [k, n], "f32")
    y, size = alpha * (f64(a) @ f64(b)), alpha * (np.abs(f64(a)) @ np.abs(f64(b)))
    a, b = (np.ascontiguousarray(np.swapaxes(x, -1, -2)) if t else x for x, t in ((a, trans_a), (b, trans_b)))
    attributes = {"transA": trans_a, "transB": trans_b, "alpha": alpha}
    if batch and g.chance(0.4):  # the axis of rows stands before the batch
        a = np.ascontiguousarray(np.moveaxis(a, -2, 0))
        attributes["transBatchA"] = 1
    return agreed("FusedMatMul", [a, b], [linear(y, "f32", k, size)], attributes)


ACTIVATIONS = {"": lambda v, p: v, "Relu": lambda v, p: np.maximum(v, 0), "Tanh": lambda v, p: np.tanh(v),
               "Sigmoid": lambda v, p: sigmoid(v), "LeakyRelu": lambda v, p: np.where(v >= 0, v, p[0] * v),
               "Clip": lambda v, p: np.clip(v, p[0], p[1]),
               "HardSigmoid": lambda v, p: np.clip(p[0] * v + p[1], 0, 1)}


@fused("FusedConv")
def make_fused_conv(g):
    name = g.pick(*ACTIVATIONS)
    params = {"LeakyRelu": [0.125], "Clip": [-0.5, 1.25], "HardSigmoid": [0.25, 0.5]}.get(name)
    geometry = Geometry(g, 2, [g.extent(4, 9), g.extent(4, 9)], auto=False)
    c, o = g.int(1, 4), g.int(1, 5)
    x, w = g.floats([g.extent(1, 2), c] + geometry.extents, "f32"), g.floats([o, c] + geometry.kernel, "f32")
    bias = g.floats([o], "f32") if g.chance(0.5) else None
    y, m = convolve(f64(x), f64(w), geometry, 1), convolve(np.abs(f64(x)), np.abs(f64(w)), geometry, 1)
    added = g.floats(y.shape, "f32") if g.chance(0.4) and name in ("", "Relu") else None
    for term in (None if bias is None else f64(bias).reshape(-1, 1, 1), f64(added)):
        if term is not None:
            y, m = y + term, m + np.abs(term)
    attributes = {**geometry.attributes(), **({"activation": name} if name else {})}
    if params:
        attributes["activation_params"] = params
    return agreed("FusedConv", [x, w, bias, added],
                  [linear(ACTIVATIONS[name](y, params), "f32", c * np.prod(geometry.kernel) + 4, m + 1)], attributes)


def erf(v):
    from math import erf as one
    return np.vectorize(one, otypes=[np.float64])(v)


def gelu_like(op, function, has_bias, draw=lambda g: {}):
    def make(g):
        attributes = draw(g)
        x = g.floats(g.shape(g.rank(1, 3), lo=1), "f32", -4, 4)
        bias = g.floats(x.shape[-1:], "f32") if has_bias == 2 or (has_bias and g.chance(0.6)) else None
        v = f64(x) + (0 if bias is None else f64(bias))
        return agreed(op, [x, bias] if has_bias else [x], [linear(function(v, attributes), "f32", 4, np.abs(v) + 1e-3)],
                      attributes)
    fused(op)(make)


def normal(v, _):
    return v / 2 * (1 + erf(v / np.sqrt(2)))


gelu_like("Gelu", normal, 0)
gelu_like("BiasGelu", normal, 2)
gelu_like("FastGelu", lambda v, _: v / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v ** 3))), 1)
gelu_like("QuickGelu", lambda v, a: v * sigmoid(a["alpha"] * v), 0, lambda g: {"alpha": g.number(0.5, 2)})


def normalised(v, gamma, beta, epsilon, rms):
    centred = v if rms else v - v.mean(-1, keepdims=True)
    root = np.sqrt((centred ** 2).mean(-1, keepdims=True) + epsilon)
    y = centred / root * f64(gamma) + (0 if beta is None else f64(beta))
    m = (np.abs(v).max(-1, keepdims=True) * 2 / root) * np.abs(f64(gamma)) + np.abs(y)
    return y, m


def skip_norm(op, rms):
    def make(g):
        batch, s, n, epsilon = g.extent(1, 3), g.extent(1, 5), g.extent(2, 40), float(np.float32(1e-3))
        x, skip = g.floats([batch, s, n], "f32"), g.floats([batch, s, n] if g.chance(0.6) else [1, s, n], "f32")
        gamma, beta = g.floats([n], "f32"), g.floats([n], "f32") if not rms and g.chance(0.6) else None
        bias = g.floats([n], "f32") if g.chance(0.5) else None
        total = f64(x) + f64(skip) + (0 if bias is None else f64(bias))
        y, m = normalised(total, gamma, beta, epsilon, rms)
        inputs = [x, skip, gamma, bias] if rms else [x, skip, gamma, beta, bias]
        return agreed(op, inputs, [linear(y, "f32", n, m)], {"epsilon": epsilon})
    fused(op)(make)


skip_norm("SkipLayerNormalization", False)
skip_norm("SkipSimplifiedLayerNormalization", True)


@fused("EmbedLayerNormalization")
def make_embed(g):
    batch, s, n, words = g.extent(1, 3), g.extent(1, 6), g.int(2, 30), g.int(3, 20)
    tables = [g.floats([rows, n], "f32") for rows in (words, 12, 2)]
    ids = g.contents.integers(0, words, [batch, s]).astype(np.int32)
    segments = g.contents.integers(0, 2, [batch, s]).astype(np.int32) if g.chance(0.7) else None
    places = g.contents.integers(0, 12, [batch, s]).astype(np.int32) if g.chance(0.4) else None
    mask = g.contents.integers(0, 2, [batch, s]).astype(np.int32) if g.chance(0.5) else None
    total = f64(tables[0])[ids] + f64(tables[1])[np.arange(s) if places is None else places]
    if segments is not None:
        total = total + f64(tables[2])[segments]
    gamma, beta, epsilon = g.floats([n], "f32"), g.floats([n], "f32"), float(np.float32(1e-3))
    y, m = normalised(total, gamma, beta, epsilon, False)
    lengths = np.zeros([batch], np.int32) if mask is None else mask.sum(1).astype(np.int32)
    third = tables[2] if segments is not None else None
    inputs = [ids, segments, tables[0], tables[1], third, gamma, beta, mask, places]
    return agreed("EmbedLayerNormalization", inputs, [linear(y, "f32", n, m), exact(lengths)], {"epsilon": epsilon})


# ---- attention

def attention(q, k, v, scale, bias):
    """[B,H,S,D] and the bound of its error."""
    scores = np.einsum("bhsd,bhtd->bhst", q, k) * scale + bias
    size = np.einsum("bhsd,bhtd->bhst", np.abs(q), np.abs(k)) * scale
    e = np.exp(scores - scores.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    y = np.einsum("bhst,bhte->bhse", p, v)
    m = np.einsum("bhst,bhte->bhse", p * (10 + size.max(-1, keepdims=True) * 2), np.abs(v))
    return y, m


def split(x, n):
    return np.moveaxis(f64(x).reshape(x.shape[0], x.shape[1], n, -1), 1, 2)


def join(y):
    return np.moveaxis(y, 1, 2).reshape(y.shape[0], y.shape[2], -1)


def padding(g, batch, length):
    """(a mask of ones at the start of each row, [B,1,1,T] of what it adds)."""
    lengths = g.contents.integers(1, length + 1, [batch])
    mask = (np.arange(length) < lengths[:, None]).astype(np.int32)
    return mask, np.where(mask[:, None, None] != 0, 0, -10000.0)


@fused("MultiHeadAttention")
def make_multi_head_attention(g):
    batch, h, d, e = g.extent(1, 3), g.int(1, 3), g.int(1, 8), g.int(1, 8)
    s, t, n_past = g.extent(1, 6), g.extent(1, 6), g.extent(1, 4)
    causal, has_past = g.pick(0, 0, 1), g.chance(0.3)
    t, e = (s, d) if has_past or causal else (t, e)
    q, k, v = g.floats([batch, s, h * d], "f32"), g.floats([batch, t, h * d], "f32"), g.floats([batch, t, h * e], "f32")
    bias = g.floats([h * (2 * d + e)], "f32") if g.chance(0.5) and not has_past else None
    past = [g.floats([batch, h, n_past, n], "f32") if has_past else None for n in (d, e)]
    parts = [f64(x) + (0 if bias is None else f64(b)) for x, b in zip((q, k, v), np.split(
        np.zeros(h * (2 * d + e), np.float32) if bias is None else bias, [h * d, 2 * h * d]))]
    wq, wk, wv = (split(x, h) for x in parts)
    if has_past:
        wk, wv = np.concatenate([f64(past[0]), wk], 2), np.concatenate([f64(past[1]), wv], 2)
    total, added, mask, term = wk.shape[2], 0, None, None
    if g.chance(0.4):
        mask, term = padding(g, batch, total)
        added = added + term
    extra = g.floats([g.pick(1, batch), 1, s, total], "f32") if g.chance(0.3) else None
    if extra is not None:
        added = added + f64(extra)
    if causal:
        added = added + np.where(np.arange(total) <= np.arange(s)[:, None] + total - s, 0, -np.inf)
    y, m = attention(wq, wk, wv, 1 / np.sqrt(d), added)
    wants = [linear(join(y), "f32", d + total, join(m))]
    if has_past:
        wants += [exact(x.astype(np.float32)) for x in (wk, wv)]
    return agreed("MultiHeadAttention", [q, k, v, bias, mask, extra] + past, wants,
                  {"num_heads": h, "unidirectional": causal})


@fused("Attention")
def make_attention(g):
    batch, s, n, h, d = g.extent(1, 3), g.extent(1, 6), g.int(1, 8), g.int(1, 3), g.int(1, 6)
    causal, has_past, n_past = g.pick(0, 1), g.chance(0.3), g.extent(1, 4)
    x, w, bias = g.floats([batch, s, n], "f32"), g.floats([n, 3 * h * d], "f32", -1, 1), g.floats([3 * h * d], "f32")
    past = g.floats([2, batch, h, n_past, d], "f32") if has_past else None
    wq, wk, wv = (split(p, h) for p in np.split(f64(x) @ f64(w) + f64(bias), 3, -1))
    if has_past:
        wk, wv = np.concatenate([f64(past[0]), wk], 2), np.concatenate([f64(past[1]), wv], 2)
    total, added, mask = wk.shape[2], 0, None
    form = g.pick(None, "lengths", "rows", "full")
    if form:
        mask, added = padding(g, batch, total)
        if form == "lengths":
            mask = mask.sum(1).astype(np.int32)
        if form == "full":
            mask = np.ascontiguousarray(np.broadcast_to(mask[:, None], [batch, s, total]))
    if causal:
        added = added + np.where(np.arange(total) <= np.arange(s)[:, None] + total - s, 0, -np.inf)
    y, m = attention(wq, wk, wv, 1 / np.sqrt(d), added)
    wants = [linear(join(y), "f32", d + total + n, 8 * n * join(m))]
    if has_past:
        present = np.stack([wk, wv])
        wants.append(linear(present, "f32", n, 9 * n + 3 + np.abs(present)))
    return agreed("Attention", [x, w, bias, mask, past], wants, {"num_heads": h, "unidirectional": causal},
                  constant={1})


def rotated(x, positions, cos, sin, interleaved):
    """x [B,H,S,D] by the rows `positions` [B,S] of the tables."""
    c, s, n = f64(cos)[positions][:, None], f64(sin)[positions][:, None], cos.shape[1]
    a, b = (x[..., 0:2 * n:2], x[..., 1:2 * n:2]) if interleaved else (x[..., :n], x[..., n:2 * n])
    y = x.copy()
    y[..., slice(0, 2 * n, 2) if interleaved else slice(0, n)] = c * a - s * b
    y[..., slice(1, 2 * n, 2) if interleaved else slice(n, 2 * n)] = s * a + c * b
    return y


@fused("RotaryEmbedding")
def make_rotary(g):
    batch, s, h, half, interleaved = g.extent(1, 3), g.extent(1, 5), g.int(1, 3), g.int(1, 5), g.pick(0, 1)
    x, rows = g.floats([batch, s, h * 2 * half], "f32"), 12
    cos, sin = g.floats([rows, half], "f32", -1, 1), g.floats([rows, half], "f32", -1, 1)
    one = g.chance(0.4)
    at = g.contents.integers(0, rows - 5, [1] if one else [batch, s]).astype(np.int64)
    places = np.broadcast_to(at[0] + np.arange(s), [batch, s]) if one else at
    y = join(rotated(split(x, h), places, cos, sin, interleaved))
    return agreed("RotaryEmbedding", [x, at, cos, sin], [linear(y, "f32", 2, np.abs(y) + 3)],
                  {"interleaved": interleaved})


@fused("GroupQueryAttention")
def make_group_query(g):
    """A first prompt, or one token behind a cache of its own for each sequence."""
    batch, kv, group, d = g.extent(1, 3), g.int(1, 2), g.int(1, 3), 16 * g.int(1, 2)
    first, rotary, window, cap = g.chance(0.5), g.pick(0, 1), g.pick(-1, -1, 3), g.pick(0.0, 0.0, 4.0)
    h, packed = kv * group, g.chance(0.3)
    s = g.int(1, 6) if first else 1
    room = 0 if first else g.int(2, 7)
    total = s if first else room + 1
    lengths = np.full([batch], s) if first else g.contents.integers(2, total + 1, [batch])
    lengths[0] = total
    q, k, v = (g.floats([batch, s, n * d], "f32") for n in (h, kv, kv))
    past = [None if first else g.floats([batch, kv, room, d], "f32") for _ in "kv"]
    cos, sin = (g.floats([16, d // 2], "f32", -1, 1) if rotary else None for _ in "cs")
    places = np.arange(s) + (0 if first else 1) * (lengths[:, None] - s)
    places = np.broadcast_to(places, [batch, s])
    wq, wk, wv = (split(x, n) for x, n in ((q, h), (k, kv), (v, kv)))
    if rotary:
        wq, wk = rotated(wq, places, cos, sin, 0), rotated(wk, places, cos, sin, 0)
    caches = []
    for old, new in zip(past, (wk, wv)):
        cache = np.zeros([batch, kv, total, d])
        if old is not None:
            cache[:, :, :room] = old
        for b in range(batch):
            cache[b][:, places[b]] = new[b]
        caches.append(cache)
    key = np.arange(total)
    seen = (key <= places[..., None]) & ((window < 0) | (key > places[..., None] - window))
    fk, fv = (np.repeat(c, group, 1) for c in caches)
    scores = np.einsum("bhsd,bhtd->bhst", wq, fk) / np.sqrt(d)
    if cap:
        scores = cap * np.tanh(scores / cap)
    scores = np.where(seen[:, None], scores, -np.inf)
    size = np.einsum("bhsd,bhtd->bhst", np.abs(wq), np.abs(fk)).max(-1, keepdims=True)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    y, m = np.einsum("bhst,bhtd->bhsd", p, fv), np.einsum("bhst,bhtd->bhsd", p * (10 + 2 * size), np.abs(fv))
    inputs = [np.concatenate([q, k, v], 2), None, None] if packed else [q, k, v]
    inputs += past + [(lengths - 1).astype(np.int32), np.array(total, np.int32), cos, sin]
    # nothing is said about what lies behind a sequence's own end
    free = np.broadcast_to((key > places[:, -1:])[:, None, :, None], caches[0].shape)
    wants = [linear(join(y), "f32", d + total, join(m))]
    wants += [linear(c, "f32", 2, np.abs(c) + 6, free=free) for c in caches]
    attributes = {"num_heads": h, "kv_num_heads": kv, "do_rotary": rotary, "local_window_size": window, "softcap": cap}
    return agreed("GroupQueryAttention", inputs, wants, attributes, constant={6})


LEFT_OUT["SimplifiedLayerNormalization"] = "onnxruntime's name for RMSNormalization, whose import it shares"
for _op in ("QuantizeLinear", "DequantizeLinear"):
    LEFT_OUT[f"{DOMAIN}.{_op}"] = "what the standard operator was called before it took 16 bits; they share an import"
