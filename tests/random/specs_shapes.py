"""Rows that move elements, make index tensors, quantise, run recurrent layers, and control flow."""
import numpy as np

from build import Builder, FLOATS, INTEGERS, NUMBERS, Reject, onnx_type_of
from graph import Graph, Node
from number import TYPES, is_float
from specs import LEFT_OUT, ROWS, floats_of, row, window_of, image


@row("Transpose")
def transpose(b, dtype):
    x = b.value(dtype, 1)
    n = len(b.shape_of(x))
    return b.add("Transpose", [x], {"perm": [int(a) for a in b.rng.permutation(n)]} if b.chance(0.8) else {},
                 rounds=False)


@row("Reshape")
def reshape(b, dtype):
    x = b.value(dtype)
    size = b.of(x).size
    if not size:
        return b.add("Reshape", [x, b.ints(*b.shape_of(x)[::-1])], {"allowzero": 1} if b.opset >= 14 else {},
                     rounds=False) if b.opset >= 14 else b.add("Identity", [x], rounds=False)
    shape = b.factored(size, 1, 4)
    if b.chance(0.4):
        shape[b.int(0, len(shape) - 1)] = -1
    return b.add("Reshape", [x, b.ints(*shape)], rounds=False)


@row("Flatten")
def flatten(b, dtype):
    x = b.value(dtype, 1)
    return b.add("Flatten", [x], {"axis": b.int(0, len(b.shape_of(x)))}, rounds=False)


@row("Squeeze")
def squeeze(b, dtype):
    x = b.value(dtype)
    axes = [i for i, e in enumerate(b.shape_of(x)) if e == 1 and b.chance(0.7)]
    if b.opset >= 13:
        return b.add("Squeeze", [x, b.ints(*axes)] if axes else [x], rounds=False)
    return b.add("Squeeze", [x], {"axes": axes} if axes else {}, rounds=False)


@row("Unsqueeze")
def unsqueeze(b, dtype):
    x = b.value(dtype, 0, 4)
    rank = len(b.shape_of(x)) + 1
    axes = [b.axis(rank)[1]] if b.opset >= 11 else [b.axis(rank)[0]]
    return b.add("Unsqueeze", [x, b.ints(*axes)] if b.opset >= 13 else [x], None if b.opset >= 13 else {"axes": axes},
                 rounds=False)


@row("Concat")
def concat(b, dtype):
    x = b.value(dtype, 1)
    shape = b.shape_of(x)
    axis, written = b.axis(len(shape))
    xs = [x]
    for _ in range(b.int(0, 3)):
        other = list(shape)
        other[axis] = b.extent(0.05)
        xs.append(b.value(dtype, shape=b.small(other) if np.prod(other) <= 700 else shape))
        if [e for i, e in enumerate(b.shape_of(xs[-1])) if i != axis] != [e for i, e in enumerate(shape) if i != axis]:
            raise Reject("too large")
    return b.add("Concat", xs, {"axis": written if b.opset >= 11 else axis}, rounds=False)


@row("Split")
def split(b, dtype):
    x = b.value(dtype, 1, zero=0.0)
    shape = b.shape_of(x)
    axis, written = b.axis(len(shape))
    n = b.int(1, min(3, shape[axis]))
    cuts = sorted(b.int(0, shape[axis]) for _ in range(n - 1))
    sizes = [int(v) for v in np.diff([0] + cuts + [shape[axis]])]
    attributes = {"axis": written if b.opset >= 11 else axis}
    if b.opset < 13:
        return b.add("Split", [x], {**attributes, "split": sizes}, n=n, rounds=False)
    if b.opset >= 18 and b.chance(0.4):
        return b.add("Split", [x], {**attributes, "num_outputs": n}, n=n, rounds=False)
    return b.add("Split", [x, b.ints(*sizes)], attributes, n=n, rounds=False)


@row("Slice")
def slice_(b, dtype):
    return b.slice_some(b.value(dtype, 1))


@row("Expand", first=8)
def expand(b, dtype):
    x = b.value(dtype, 0, 4)
    shape = [e if e != 1 else b.int(1, 4) for e in b.shape_of(x)]
    shape = ([b.int(1, 3)] if b.chance(0.4) else []) + [1 if b.chance(0.2) else e for e in shape]
    return b.add("Expand", [x, b.ints(*shape)], rounds=False)


@row("Tile")
def tile(b, dtype):
    x = b.value(dtype, 1, 4)
    return b.add("Tile", [x, b.ints(*(b.pick(1, 1, 2, 3) for _ in b.shape_of(x)))], rounds=False)


@row("Pad")
def pad(b, dtype):
    x = b.value(dtype, 1, 4, zero=0.0)
    shape = b.shape_of(x)
    modes = ["constant", "reflect", "edge"] + (["wrap"] if b.opset >= 19 else [])
    mode = b.pick(*modes)
    most = [min(3, e - 1) if mode == "reflect" else min(3, e) if mode == "wrap" else 3 for e in shape]
    pads = [b.int(0, m) if b.chance(0.6) else 0 for m in most * 2]
    if mode == "constant" and b.chance(0.2):
        pads = [p if shape[i % len(shape)] < 3 or b.chance(0.7) else -1 for i, p in enumerate(pads)]
    if b.opset < 11:
        if not is_float(dtype):
            raise Reject("floats only")
        return b.add("Pad", [x], {"mode": mode, "pads": pads, "value": b.pick(0.0, 1.5)}, rounds=False)
    value = b.scalar(b.int(0, 3), dtype) if mode == "constant" and b.chance(0.5) else ""
    inputs = [x, b.ints(*pads), value]
    if b.opset >= 18 and b.chance(0.3):
        axes = b.some_axes(len(shape), 1)
        inputs = [x, b.ints(*[pads[a] for a in axes], *[pads[a + len(shape)] for a in axes]), value, b.ints(*axes)]
    return b.add("Pad", inputs, {"mode": mode} if mode != "constant" or b.chance(0.5) else {}, rounds=False)


@row("CenterCropPad", first=18)
def center_crop_pad(b, dtype):
    x = b.value(dtype, 1, 4, zero=0.0)
    axes = b.some_axes(len(b.shape_of(x)), 1)
    return b.add("CenterCropPad", [x, b.ints(*(b.int(1, 7) for _ in axes))], {"axes": axes}, rounds=False)


@row("DepthToSpace")
def depth_to_space(b, dtype):
    s = b.int(1, 3)
    x = b.value(dtype, shape=[b.int(1, 2), s * s * b.int(1, 2), b.int(1, 4), b.int(1, 4)])
    return b.add("DepthToSpace", [x], {"blocksize": s, **({"mode": b.pick("DCR", "CRD")} if b.opset >= 11 else {})},
                 rounds=False)


@row("SpaceToDepth")
def space_to_depth(b, dtype):
    s = b.int(1, 3)
    x = b.value(dtype, shape=[b.int(1, 2), b.int(1, 3), s * b.int(1, 3), s * b.int(1, 3)])
    return b.add("SpaceToDepth", [x], {"blocksize": s}, rounds=False)


def indices(b, shape, extent, dtype=None, negative=True):
    if extent < 1:
        raise Reject("no element to point to")
    low = -extent if negative and b.opset >= 11 and b.chance(0.4) else 0
    x = np.asarray(b.rng.integers(low, extent, shape)).astype(TYPES[dtype or b.pick("i64", "i64", "i32")])
    if b.chance(0.5) or b.outer is not None:
        return b.const(x)
    name = b.name("x")
    b.graph.inputs[name] = b.values[name] = x
    return name


@row("Gather")
def gather(b, dtype):
    x = b.value(dtype, 1, 4, zero=0.0)
    axis, written = b.axis(len(b.shape_of(x)))
    index = indices(b, b.shape(0, 2, 0.05)[:2], b.shape_of(x)[axis])
    return b.add("Gather", [x, index], {"axis": written if b.opset >= 11 else axis}, rounds=False)


@row("GatherElements", first=11)
def gather_elements(b, dtype):
    x = b.value(dtype, 1, 4, zero=0.0)
    axis, written = b.axis(len(b.shape_of(x)))
    shape = [b.int(1, e) for e in b.shape_of(x)]
    shape[axis] = b.int(1, 6)
    return b.add("GatherElements", [x, indices(b, shape, b.shape_of(x)[axis])], {"axis": written}, rounds=False)


def places(b, extents, lead, unique=False):
    """Indices of GatherND and ScatterND: [..., k]."""
    if not all(extents):
        raise Reject("no element to point to")
    n = int(np.prod(lead))
    flat = b.rng.permutation(int(np.prod(extents)))[:n] if unique else b.rng.integers(0, int(np.prod(extents)), n)
    if len(flat) < n:
        raise Reject("too few places")
    at = np.stack(np.unravel_index(np.asarray(flat, np.int64), extents), -1).reshape(*lead, len(extents))
    return b.const(np.asarray(at, np.int64))


@row("GatherND", first=11)
def gather_nd(b, dtype):
    x = b.value(dtype, 1, 4, zero=0.0)
    shape = b.shape_of(x)
    batch = b.int(0, min(1, len(shape) - 1)) if b.opset >= 12 else 0
    k = b.int(1, len(shape) - batch)
    lead = shape[:batch] + [b.int(1, 4)]
    return b.add("GatherND", [x, places(b, shape[batch:batch + k], lead)], {"batch_dims": batch} if batch else {},
                 rounds=False)


@row("ScatterElements", first=11)
def scatter_elements(b, dtype):
    x = b.value(dtype, 1, 3, zero=0.0, domain=(-50, 50) if is_float(dtype) else None)
    shape = b.shape_of(x)
    axis, written = b.axis(len(shape))
    kinds = ["none"] if dtype == "bool" else ["none"] + (["add", "mul"] if b.opset >= 16 else []) + (
        ["max", "min"] if b.opset >= 18 else [])
    kind = b.pick(*kinds)
    part = [b.int(1, e) for e in shape]
    if kind == "none":  # no place twice
        index = np.argsort(b.rng.random(part[:axis] + [shape[axis]] + part[axis + 1:]), axis=axis)
        index = b.const(np.take(index, range(part[axis]), axis).astype(np.int64))
    else:
        index = indices(b, part, shape[axis])
    updates = b.value(dtype, shape=part, domain=(-20, 20) if is_float(dtype) else None)
    attributes = {"axis": written, **({"reduction": kind} if kind != "none" else {})}
    return b.add("ScatterElements", [x, index, updates], attributes, rounds=kind in ("add", "mul"),
                 mixes=(0, 2) if kind in ("add", "mul") and is_float(dtype) else None)


@row("ScatterND", first=11)
def scatter_nd(b, dtype):
    x = b.value(dtype, 1, 4, zero=0.0, domain=(-50, 50) if is_float(dtype) else None)
    shape = b.shape_of(x)
    k = b.int(1, len(shape))
    kinds = ["none"] if dtype == "bool" else ["none"] + (["add", "mul"] if b.opset >= 16 else []) + (
        ["max", "min"] if b.opset >= 18 else [])
    kind = b.pick(*kinds)
    lead = [b.int(1, min(4, int(np.prod(shape[:k]))))]
    index = places(b, shape[:k], lead, unique=kind == "none")
    updates = b.value(dtype, shape=lead + shape[k:], domain=(-20, 20) if is_float(dtype) else None)
    return b.add("ScatterND", [x, index, updates], {"reduction": kind} if kind != "none" else {},
                 rounds=kind in ("add", "mul"), mixes=(0, 2) if kind in ("add", "mul") and is_float(dtype) else None)


@row("Scatter", first=9, last=10)
def scatter(b, dtype):
    x = b.value(dtype, 1, 3, zero=0.0)
    axis, _ = b.axis(len(b.shape_of(x)))
    part = [b.int(1, e) for e in b.shape_of(x)]
    index = np.argsort(b.rng.random(part[:axis] + [b.shape_of(x)[axis]] + part[axis + 1:]), axis=axis)
    index = b.const(np.take(index, range(part[axis]), axis).astype(np.int64))
    return b.add("Scatter", [x, index, b.value(dtype, shape=part)], {"axis": axis}, rounds=False)


@row("ReverseSequence", first=10)
def reverse_sequence(b, dtype):
    x = b.value(dtype, 2, 4, zero=0.0)
    time = b.int(0, 1)
    shape = b.shape_of(x)
    lengths = b.const(b.rng.integers(1, shape[time] + 1, shape[1 - time]).astype(np.int64))
    return b.add("ReverseSequence", [x, lengths], {"time_axis": time, "batch_axis": 1 - time}, rounds=False)


@row("OneHot", first=9, port=2)
def one_hot(b, dtype):
    depth = b.int(1, 6)
    index = indices(b, b.shape(1, 3, 0.02)[:3], depth, b.pick("i64", "i32", "f32"))
    values = b.value(dtype, shape=[2], fresh=0.8)
    rank = len(b.shape_of(index)) + 1
    return b.add("OneHot", [index, b.scalar(depth), values], {"axis": b.axis(rank)[1]}, rounds=False)


@row("Trilu", first=14)
def trilu(b, dtype):
    x = b.value(dtype, 2, 4)
    return b.add("Trilu", [x, b.scalar(b.int(-3, 3))] if b.chance(0.6) else [x], {"upper": b.int(0, 1)}, rounds=False)


@row("Range", first=11)
def range_(b, dtype):
    step = b.pick(1, 2, 3)
    return b.add("Range", [b.scalar(b.int(0, 3), dtype), b.scalar(b.int(2, 12), dtype), b.scalar(step, dtype)])


@row("EyeLike", first=9)
def eye_like(b, dtype):
    x = b.value(dtype, 2, 2)
    return b.add("EyeLike", [x], {"k": b.int(-2, 2)} if b.chance(0.6) else {}, rounds=False)


def window_function(op):
    def make(b, dtype):
        return b.add(op, [b.scalar(b.int(3, 12), b.pick("i32", "i64"))],
                     {"output_datatype": onnx_type_of(dtype), "periodic": b.int(0, 1)}, mixes=())
    return make


for _op in ("HannWindow", "HammingWindow", "BlackmanWindow"):
    row(_op, first=17, of_output=True, only=FLOATS,
        why="as integers a window's fractions are 0, and its largest, 1, is by chance")(window_function(_op))


@row("ConstantOfShape", first=9, of_output=True)
def constant_of_shape(b, dtype):
    shape = b.shape(0, 4)
    value = b.data([1], dtype)
    if b.opset >= 9 and b.chance(0.5):
        x = b.value("f32", 1, 4)
        where = b.add("Shape", [x])
        return b.add("ConstantOfShape", [where], {"value": value}, rounds=False)
    return b.add("ConstantOfShape", [b.ints(*shape)], {"value": value}, rounds=False)


@row("Shape")
def shape(b, dtype):
    x = b.value(dtype)
    attributes = {}
    if b.opset >= 15 and b.chance(0.5):
        attributes = {"start": b.int(-2, 2), "end": b.int(-1, 4)}
    return b.add("Shape", [x], attributes)


@row("Size")
def size(b, dtype):
    return b.add("Size", [b.value(dtype)])


# ---- images

RESIZES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")


@row("Resize", first=11)
def resize(b, dtype):
    x = image(b, dtype, domain=(-100, 100) if is_float(dtype) else None)
    shape = b.shape_of(x)
    mode = b.pick("nearest", "nearest", "linear", "cubic") if is_float(dtype) else "nearest"
    if mode == "cubic" and len(shape) != 4:
        mode = "linear"
    attributes = {"mode": mode, "coordinate_transformation_mode": b.pick(*RESIZES[:5 if b.opset >= 19 else 4])}
    if mode == "nearest":
        attributes["nearest_mode"] = b.pick("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        attributes["cubic_coeff_a"] = b.pick(-0.5, -0.75)
        attributes["exclude_outside"] = b.int(0, 1)
    if b.opset >= 18 and b.chance(0.2) and mode != "nearest":
        attributes["antialias"] = 1
    nothing = b.const(np.zeros(0, np.float32)) if b.opset < 13 else ""
    if b.chance(0.5):
        sizes = b.ints(*shape[:2], *(b.int(1, 9) for _ in shape[2:]))
        return b.add("Resize", [x, nothing, nothing, sizes], attributes, mixes=(0,) if mode != "nearest" else None,
                     rounds=mode != "nearest")
    scales = b.const(np.array([1, 1] + [b.pick(0.5, 1, 1.5, 2, 3) for _ in shape[2:]], np.float32))
    return b.add("Resize", [x, nothing, scales], attributes, mixes=(0,) if mode != "nearest" else None,
                 rounds=mode != "nearest")


@row("Upsample", first=9, last=9)
def upsample(b, dtype):
    x = b.value(dtype, 4, 4)
    scales = b.const(np.array([1, 1, b.pick(1, 2, 3), b.pick(1, 2)], np.float32))
    mode = b.pick("nearest", "linear") if is_float(dtype) else "nearest"
    return b.add("Upsample", [x, scales], {"mode": mode}, mixes=(0,) if mode == "linear" else None)


@row("GridSample", first=16)
def grid_sample(b, dtype):
    n, c = b.int(1, 2), b.int(1, 3)
    x = b.value(dtype, shape=[n, c, b.int(1, 6), b.int(1, 6)])
    shape = [n, b.int(1, 4), b.int(1, 4), 2]
    names = ("linear", "nearest", "cubic") if b.opset >= 20 else ("bilinear", "nearest", "bicubic")
    attributes = {"align_corners": b.int(0, 1), "padding_mode": b.pick("zeros", "border", "reflection")}
    if not is_float(dtype):  # nobody says how interpolated integers round
        grid = b.new(shape, "f32", -1.2, 1.2)
        return b.add("GridSample", [x, grid], {"mode": "nearest", **attributes}, rounds=False)
    grid = b.value(dtype, shape=shape, domain=(-1.2, 1.2), fresh=0.7)
    return b.add("GridSample", [x, grid], {"mode": b.pick(*names), **attributes}, mixes=(0, 1))


@row("AffineGrid", first=20)
def affine_grid(b, dtype):
    n = b.int(1, 2)
    theta = b.value(dtype, shape=[n, 2, 3], domain=(-2, 2))
    return b.add("AffineGrid", [theta, b.ints(n, 1, b.int(1, 5), b.int(1, 5))], {"align_corners": b.int(0, 1)},
                 mixes=(0,))


# ---- quantisation

def zero_point(b, shape, dtype, near=False):
    low = 0 if dtype[0] == "u" else -5
    return b.const(np.asarray(b.rng.integers(low, 6, shape)).astype(TYPES[dtype]))


def scale_of(b, shape, dtype="f32", lo=0.02, hi=0.3):
    return b.const(np.asarray(b.rng.uniform(lo, hi, shape)).astype(TYPES[dtype]))


def quantized(b, x, to):
    kind = b.dtype_of(x) if is_float(b.dtype_of(x)) else "f32"
    mixes = (0,) if is_float(b.dtype_of(x)) else ()
    if b.opset >= 13 and b.chance(0.4):
        axis, written = b.axis(len(b.shape_of(x)))
        n = [b.shape_of(x)[axis]]
        return b.add("QuantizeLinear", [x, scale_of(b, n, kind), zero_point(b, n, to)], {"axis": written}, mixes=mixes)
    return b.add("QuantizeLinear", [x, scale_of(b, [], kind), zero_point(b, [], to)], mixes=mixes)


@row("QuantizeLinear", first=10, only=FLOATS + ("i32",))
def quantize_linear(b, dtype):
    to = b.pick("u8", "i8") if b.opset < 21 else b.pick("u8", "i8", "u16", "i16")
    return quantized(b, b.value(dtype, 0 if b.opset < 13 else 1, 4), to)


@row("QuantizeLinear", name="QuantizeLinear.to", first=10, of_output=True, only=("u8", "i8", "u16", "i16"))
def quantize_linear_to(b, dtype):
    return quantized(b, b.value("f32", 0 if b.opset < 13 else 1, 4), dtype)


@row("DequantizeLinear", first=10)
def dequantize_linear(b, dtype):
    x = b.value(dtype, 0 if b.opset < 13 else 1, 4)
    to = "f32" if b.opset < 19 else b.pick("f32", "f32", "f16", "bf16")
    zero = "" if dtype == "i32" else zero_point(b, [], dtype)
    if b.opset >= 13 and b.chance(0.4):
        axis, written = b.axis(len(b.shape_of(x)))
        n = [b.shape_of(x)[axis]]
        zero = "" if dtype == "i32" else zero_point(b, n, dtype)
        return b.add("DequantizeLinear", [x, scale_of(b, n, to), zero], {"axis": written})
    return b.add("DequantizeLinear", [x, scale_of(b, [], to), zero])


@row("DynamicQuantizeLinear", first=11)
def dynamic_quantize(b, dtype):
    return b.add("DynamicQuantizeLinear", [b.value(dtype, 1, 3, zero=0.0, domain=(-50, 50))], n=3, mixes=(0,))


@row("MatMulInteger", first=10)
def mat_mul_integer(b, dtype):
    x = b.value(dtype, 2, 3, zero=0.0)
    other = b.pick("u8", "i8")
    y = b.value(other, shape=[b.shape_of(x)[-1], b.int(1, 9)])
    zeros = [zero_point(b, [], dtype), zero_point(b, [], other)] if b.chance(0.6) else []
    return b.add("MatMulInteger", [x, y] + zeros)


@row("ConvInteger", first=10)
def conv_integer(b, dtype):
    x = image(b, dtype, domain=None)
    shape = b.shape_of(x)
    attributes = window_of(b, shape[2:])
    w = b.value(b.pick("u8", "i8"), shape=[b.int(1, 4), shape[1], *attributes["kernel_shape"]], fresh=0.9)
    zeros = [zero_point(b, [], dtype)] if b.chance(0.6) else []
    return b.add("ConvInteger", [x, w] + zeros, attributes)


@row("QLinearMatMul", first=10)
def q_linear_mat_mul(b, dtype):
    x = b.value(dtype, 2, 3, zero=0.0)
    y = b.value(dtype, shape=[b.shape_of(x)[-1], b.int(1, 9)])
    return b.add("QLinearMatMul", [x, scale_of(b, []), zero_point(b, [], dtype), y, scale_of(b, []),
                                   zero_point(b, [], dtype), scale_of(b, [], lo=0.1, hi=2),
                                   zero_point(b, [], dtype)], mixes=(1, 4, 6))


@row("QLinearConv", first=10)
def q_linear_conv(b, dtype):
    x = image(b, dtype, domain=None)
    shape = b.shape_of(x)
    attributes = window_of(b, shape[2:])
    out = b.int(1, 4)
    w = b.value(dtype, shape=[out, shape[1], *attributes["kernel_shape"]], fresh=0.9)
    per = [out] if b.chance(0.4) else []
    zero = b.const(np.zeros(per, TYPES[dtype])) if per else zero_point(b, [], dtype)
    bias = [b.value("i32", shape=[out])] if b.chance(0.5) else []
    return b.add("QLinearConv", [x, scale_of(b, []), zero_point(b, [], dtype), w, scale_of(b, per), zero,
                                 scale_of(b, [], lo=0.1, hi=2), zero_point(b, [], dtype)] + bias, attributes,
                 mixes=(1, 4, 6))


# ---- recurrent layers, attention, losses

def recurrent(op, gates):
    def make(b, dtype):
        t, n, i, h = b.int(1, 4), b.int(1, 3), b.int(1, 5), b.int(1, 5)
        direction = b.pick("forward", "forward", "reverse", "bidirectional")
        d = 2 if direction == "bidirectional" else 1
        x = b.value(dtype, shape=[t, n, i], domain=(-5, 5))
        w = b.new([d, gates * h, i], dtype, -1, 1)
        r = b.new([d, gates * h, h], dtype, -1, 1)
        bias = b.new([d, 2 * gates * h], dtype, -1, 1) if b.chance(0.6) else ""
        state = b.value(dtype, shape=[d, n, h], domain=(-2, 2)) if b.chance(0.4) else ""
        inputs = [x, w, r, bias, "", state]
        if op == "LSTM" and state:
            inputs.append(b.value(dtype, shape=[d, n, h], domain=(-2, 2)))
        attributes = {"hidden_size": h, "direction": direction}
        if op == "GRU":
            attributes["linear_before_reset"] = b.int(0, 1)
        return b.add(op, inputs, attributes, n=b.pick([1], [1, 1], [0, 1]), mixes=floats_of(b, inputs))
    return make


row("RNN")(recurrent("RNN", 1))
row("GRU")(recurrent("GRU", 3))
row("LSTM")(recurrent("LSTM", 4))


@row("Attention", first=23)
def attention(b, dtype):
    n, groups, kv = b.int(1, 2), b.int(1, 2), b.int(1, 2)
    q, k, e, v = b.int(1, 5), b.int(1, 5), b.int(1, 6), b.int(1, 6)
    query = b.value(dtype, shape=[n, kv * groups, q, e], domain=(-4, 4))
    key = b.value(dtype, shape=[n, kv, k, e], domain=(-4, 4))
    value = b.value(dtype, shape=[n, kv, k, v], domain=(-4, 4))
    mask = b.value(dtype, shape=[q, k], domain=(-4, 4)) if b.chance(0.4) else ""
    attributes = {"is_causal": 1} if b.chance(0.3) and not mask else {}
    if b.chance(0.3):
        attributes["scale"] = b.number(0.1, 1)
    if b.chance(0.2):
        attributes["softcap"] = b.number(1, 5)
    return b.add("Attention", [query, key, value, mask], attributes, mixes=(0, 1, 2))


@row("RotaryEmbedding", first=23)
def rotary(b, dtype):
    n, heads, t, half = b.int(1, 2), b.int(1, 3), b.int(1, 5), b.int(1, 4)
    x = b.value(dtype, shape=[n, heads, t, 2 * half], domain=(-20, 20))
    cos, sin = (b.new([n, t, half], dtype, -1, 1) for _ in range(2))
    return b.add("RotaryEmbedding", [x, cos, sin], {"interleaved": b.int(0, 1)}, mixes=(0, 1, 2))


def loss(op):
    def make(b, dtype):
        n, c, rest = b.int(1, 4), b.int(1, 5), b.shape(0, 2, 0)[:2]
        rest = [min(e, 4) for e in rest]
        x = b.value(dtype, shape=[n, c, *rest], domain=(-10, 10))
        target = indices(b, [n, *rest], c, negative=False)
        weights = [b.value(dtype, shape=[c], domain=(0.2, 2), fresh=0.8)] if b.chance(0.5) else []
        attributes = {"reduction": b.pick("none", "sum", "mean")}
        if b.chance(0.3):
            attributes["ignore_index"] = b.int(0, c - 1)
        two = op == "SoftmaxCrossEntropyLoss" and b.chance(0.4)
        return b.add(op, [x, target] + weights, attributes, n=2 if two else 1, mixes=(0,) + ((2,) if weights else ()))
    return make


row("NegativeLogLikelihoodLoss", first=12)(loss("NegativeLogLikelihoodLoss"))
row("SoftmaxCrossEntropyLoss", first=12)(loss("SoftmaxCrossEntropyLoss"))


@row("SwiGLU", first=28)
def swiglu(b, dtype):
    gate = b.value(dtype, 0, 4, domain=(-20, 20))
    value = b.value(dtype, shape=b.shape_of(gate), domain=(-20, 20))
    return b.add("SwiGLU", [gate, value], {"alpha": b.number(0.2, 2)} if b.chance(0.4) else {}, mixes=(0, 1))


# ---- control flow

BODY = [r for r in ROWS.values() if r.smooth]


def body_of(b, params, n, wants):
    """A body over the values of b: `n` nodes, then results as `wants` (name of an inner value -> (dtype, shape))."""
    inner = Builder(b.rng, b.opset, b)
    inner.graph.inputs = dict(params)
    inner.values.update(params)
    inner.pool = [p for p in inner.pool if b.of(p).size <= 100] + list(params) * 2
    for _ in range(n):
        dtype = wants[0][0]
        rows = [r for r in BODY if dtype in r.dtypes(b.opset)]
        mark = inner.mark()
        try:
            inner.pick(*rows).make(inner, dtype)
        except Reject:
            inner.back(mark)
    outputs, types = [], {}
    for dtype, shape in wants:
        found = [p for p in inner.pool if inner.dtype_of(p) == dtype and inner.shape_of(p) == list(shape) and
                 p not in b.values]
        source = inner.recent(found) if found else inner.new(shape, dtype, -1, 1)
        op = "Tanh" if is_float(dtype) and inner.chance(0.5) else "Identity"
        outputs.append(inner.add(op, [source], mixes=(0,) if op == "Tanh" else None, rounds=op == "Tanh"))
    graph = inner.graph
    graph.outputs = outputs
    b.n += inner.n
    kept = Graph(graph.opset, graph.inputs, {}, graph.constants, graph.nodes, graph.outputs).pruned()
    kept.inputs = dict(graph.inputs)
    kept.types = {o: onnx_type_of(inner.dtype_of(o)) for o in outputs}
    kept.dims = {p: [f"{p}_d{i}" for i in range(x.ndim)] for p, x in params.items()} if b.chance(0.0) else {}
    return kept


CONTROL = ("f32", "f32", "f64", "i64", "i32", "f16")


@row("If", of_output=True, first=11)
def if_(b, dtype):
    x = b.value(dtype, 0, 3, domain=(-20, 20))
    condition = b.value("bool", shape=[], fresh=0.6, constant=False)
    wants = [(dtype, b.shape_of(x))]
    bodies = {w: body_of(b, {}, b.int(1, 3), wants) for w in ("then_branch", "else_branch")}
    return b.add("If", [condition], bodies, mixes=())


@row("Loop", port=2, first=11)
def loop(b, dtype):
    x = b.value(dtype, 0, 3, domain=(-3, 3))
    shape, trips = b.shape_of(x), b.int(0, 4)
    number, go, state = b.name("p"), b.name("p"), b.name("p")
    scans = b.int(0, 1)
    params = {number: np.array(0, np.int64), go: np.array(True), state: b.of(x)}
    body = body_of(b, params, b.int(1, 3), [(dtype, shape)] * (1 + scans))
    body.outputs.insert(0, go_on(b, body, go))
    body.types[body.outputs[0]] = onnx_type_of("bool")
    return b.add("Loop", [b.scalar(trips), "", x], {"body": body}, n=1 + scans, mixes=(2,) if is_float(dtype) else None)


def go_on(b, body, go):
    name = b.name("v")
    body.nodes.append(Node("Identity", [go], [name], rounds=False))
    return name


@row("Scan", first=11)
def scan(b, dtype):
    t, shape = b.int(1, 4), b.small(b.shape(0, 2, 0), 60)
    xs = b.value(dtype, shape=[t, *shape], domain=(-3, 3))
    start = b.value(dtype, shape=shape, domain=(-3, 3))
    state, one = b.name("p"), b.name("p")
    params = {state: b.of(start), one: b.of(xs)[0]}
    body = body_of(b, params, b.int(1, 3), [(dtype, shape)] * 2)
    attributes = {"body": body, "num_scan_inputs": 1}
    if b.chance(0.3):
        attributes["scan_input_directions"] = [1]
    if b.chance(0.3):
        attributes["scan_output_directions"] = [1]
    return b.add("Scan", [start, xs], attributes, n=2, mixes=(0, 1) if is_float(dtype) else None)
