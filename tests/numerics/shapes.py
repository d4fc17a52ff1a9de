"""Operators that move, select, repeat or state extents: equal to the bit. An extent that an attribute or a constant
says is structure; where a row draws it from the contents instead, the case has one size."""
import numpy as np
from onnx import numpy_helper

from judge import Case, exact, linear
from number import INTEGERS, TYPES, is_float, onnx_type, wide
from rows import LEFT_OUT, row

ANY = ("f32", "f64", "f16", "bf16") + INTEGERS + ("bool",)


def anything(g, shape, dtype=None):
    return g.data(shape, dtype or g.pick(*ANY), special=0.2)


def whole(y):
    """What was only moved."""
    return exact(np.ascontiguousarray(y).reshape(y.shape), signed_zeros=True)


def ints(*values):
    return np.array(values, np.int64).reshape(len(values))


@row("Reshape", weight=2)
def make_reshape(g):
    rank = g.rank()
    x = anything(g, g.shape(rank, lo=0 if g.chance(0.3) else 1))
    form = g.pick("split", "flat", "zeros", "ones")
    if form == "flat" or rank == 0 or x.size == 0:
        shape = [0 for _ in range(g.int(0, rank))] if x.size and rank else []
        target = shape + [-1] if x.size else list(x.shape) + [1]
        attributes = {} if x.size else {"allowzero": 1}
        y = x.reshape(list(x.shape[:len(shape)]) + [-1] if x.size else target)
        return Case("Reshape", [x, ints(*target)], [whole(y)], attributes, constant={1})
    if form == "split":
        axis = g.int(0, rank - 1)
        e = x.shape[axis]
        f = next(f for f in (4, 3, 2, 5, 7, e, 1) if f and e % f == 0)
        target = list(x.shape[:axis]) + [f, e // f] + list(x.shape[axis + 1:])
    elif form == "ones":
        target = [0] * rank + [1, 1]
        return Case("Reshape", [x, ints(*target[:rank], 1, 1)], [whole(x.reshape(list(x.shape) + [1, 1]))],
                    constant={1})
    else:
        target = [0] * (rank - 1) + [-1, 1]
        return Case("Reshape", [x, ints(*target)], [whole(x.reshape(list(x.shape) + [1]))], constant={1})
    written = list(target)
    written[g.int(0, len(written) - 1)] = -1
    return Case("Reshape", [x, ints(*written)], [whole(x.reshape(target))], constant={1})


@row("Flatten")
def make_flatten(g):
    rank = g.rank()
    axis = g.int(-rank, rank)
    x = anything(g, g.shape(rank))
    at = axis + rank if axis < 0 else axis
    y = x.reshape([int(np.prod(x.shape[:at])), int(np.prod(x.shape[at:]))])
    return Case("Flatten", [x], [whole(y)], {"axis": axis})


@row("Squeeze")
def make_squeeze(g):
    rank = g.rank(1)
    axes = g.some_axes(rank, at_least=1)
    shape = [1 if i in axes else e for i, e in enumerate(g.shape(rank))]
    x = anything(g, shape)
    if g.chance(0.2) and all(e != 1 for i, e in enumerate(shape) if i not in axes):
        # which extents are 1 must be known when compiling (TN0303)
        return Case("Squeeze", [x, None], [whole(np.squeeze(x))], fixed=True)
    written = ints(*(a - rank if g.chance(0.3) else a for a in axes))
    return Case("Squeeze", [x, written], [whole(np.squeeze(x, tuple(axes)))], constant={1})


@row("Unsqueeze")
def make_unsqueeze(g):
    rank = g.rank(0, 4)
    x, n = anything(g, g.shape(rank)), g.int(1, 3)
    axes = [int(a) for a in g.structure.permutation(rank + n)[:n]]
    written = ints(*(a - rank - n if g.chance(0.3) else a for a in axes))
    return Case("Unsqueeze", [x, written], [whole(np.expand_dims(x, tuple(axes)))], constant={1})


@row("Transpose", weight=2)
def make_transpose(g):
    rank = g.rank()
    perm = [int(a) for a in g.structure.permutation(rank)]
    x = anything(g, g.shape(rank))
    if g.chance(0.2):
        return Case("Transpose", [x], [whole(np.transpose(x))])
    return Case("Transpose", [x], [whole(np.transpose(x, perm))], {"perm": perm})


@row("Concat", weight=2)
def make_concat(g):
    rank, n, dtype = g.rank(1), g.int(1, 5), g.pick(*ANY)
    axis, written = g.axis(rank)
    shape = g.shape(rank, limit=800)
    xs = [anything(g, [g.extent() if i == axis else e for i, e in enumerate(shape)], dtype) for _ in range(n)]
    return Case("Concat", xs, [whole(np.concatenate(xs, axis))], {"axis": written},
                constant={n - 1} if n > 1 and g.chance(0.2) else set())


@row("Split", weight=2)
def make_split(g):
    rank, n = g.rank(1), g.int(1, 4)
    axis, written = g.axis(rank)
    shape = g.shape(rank)
    if g.chance(0.5):
        sizes = [g.int(0, 5) for _ in range(n)]
        shape[axis] = sum(sizes)
        x = anything(g, shape)
        parts = np.split(x, np.cumsum(sizes)[:-1], axis)
        return Case("Split", [x, ints(*sizes)], [whole(p) for p in parts], {"axis": written}, constant={1})
    shape[axis] = max(shape[axis], n * n)
    part = -(-shape[axis] // n)
    x = anything(g, shape)
    parts = np.split(x, [part * i for i in range(1, n)], axis)
    return Case("Split", [x], [whole(p) for p in parts], {"axis": written, "num_outputs": n})


@row("Slice", weight=3)
def make_slice(g):
    rank = g.rank(1)
    axes = g.some_axes(rank, at_least=1)
    x = anything(g, g.shape(rank))
    starts, ends, steps, where = [], [], [], [slice(None)] * rank
    for axis in axes:
        step = g.pick(1, 1, 1, 2, 3, -1, -2)
        start, end = ((g.int(-12, 12), g.int(-12, 12)) if g.chance(0.6) else
                      (g.int(0, 3), g.pick(1 << 62, -1, 7)) if step > 0 else
                      (g.pick(-1, 1 << 62), g.pick(-(1 << 62), 2)))
        starts, ends, steps = starts + [start], ends + [end], steps + [step]
        if step < 0 and start < -x.shape[axis]:  # ONNX clamps such a start to element 0, NumPy takes nothing
            start = 0
        where[axis] = slice(start, end, step)
    written = ints(*(a - rank if g.chance(0.3) else a for a in axes))
    plain = all(s == 1 for s in steps) and g.chance(0.5)
    inputs = [x, ints(*starts), ints(*ends), written, None if plain else ints(*steps)]
    return Case("Slice", inputs, [whole(x[tuple(where)])], constant={1, 2, 3, 4})


@row("Pad", weight=3)
def make_pad(g):
    rank, mode = g.rank(1), g.pick("constant", "constant", "reflect", "edge", "wrap")
    dtype = g.pick("f32", "f64", "f16", "i64", "i32", "u8", "bool", "bf16")
    axes = g.some_axes(rank, at_least=1)
    shape = g.shape(rank, lo=0 if mode == "constant" else 1)
    lo, hi = [0] * rank, [0] * rank
    for axis in axes:
        least = -2 if mode == "constant" and g.chance(0.3) else 0
        lo[axis], hi[axis] = g.int(least, 4), g.int(least, 4)
        shape[axis] = max(shape[axis], -lo[axis] - hi[axis], max(lo[axis], hi[axis]) + 1 if mode != "constant" else 0,
                          -lo[axis], -hi[axis])
    x = anything(g, shape, dtype)
    value = g.data([], dtype) if mode == "constant" and g.chance(0.7) else None
    cut = x[tuple(slice(max(0, -a), e - max(0, -b)) for a, b, e in zip(lo, hi, shape))]
    width = [(max(a, 0), max(b, 0)) for a, b in zip(lo, hi)]
    fill = {"constant_values": value if value is not None else 0} if mode == "constant" else {}
    y = np.pad(cut, width, mode, **fill)
    if g.chance(0.5):
        return Case("Pad", [x, ints(*lo, *hi), value], [whole(y.astype(x.dtype))], {"mode": mode}, constant={1})
    pads = [lo[a] for a in axes] + [hi[a] for a in axes]
    return Case("Pad", [x, ints(*pads), value, ints(*axes)], [whole(y.astype(x.dtype))], {"mode": mode},
                constant={1, 3})


@row("CenterCropPad")
def make_center_crop_pad(g):
    rank = g.rank(1)
    axes = g.some_axes(rank, at_least=1)
    target = [g.int(0, 9) for _ in axes]
    x = anything(g, g.shape(rank), g.pick("f32", "f64", "i64", "u8"))
    y = x
    for axis, t in zip(axes, target):
        e = x.shape[axis]
        cut, grow = max(e - t, 0), max(t - e, 0)
        lo = cut // 2
        y = np.take(y, range(lo, lo + min(e, t)), axis)
        y = np.pad(y, [(grow // 2, grow - grow // 2) if i == axis else (0, 0) for i in range(rank)])
    return Case("CenterCropPad", [x, ints(*target)], [whole(y)], {"axes": axes}, constant={1})


@row("Expand")
def make_expand(g):
    rank = g.rank()
    target = [g.int(0, 5) if g.chance(0.9) else 1 for _ in range(rank)]
    shape = [1 if g.chance(0.5) else t for t in target][g.int(0, rank):]
    written = [1 if t == s and g.chance(0.3) else t for t, s in zip(target, [-1] * (rank - len(shape)) + shape)]
    x = anything(g, shape)
    return Case("Expand", [x, ints(*written)], [whole(np.broadcast_to(x, target))], constant={1})


@row("Tile")
def make_tile(g):
    rank = g.rank(0, 4)
    repeats = [g.int(0, 3) if g.chance(0.7) else 1 for _ in range(rank)]
    x = anything(g, g.shape(rank, limit=300))
    return Case("Tile", [x, ints(*repeats)], [whole(np.tile(x, repeats))], constant={1})


@row("Shape")
def make_shape(g):
    rank = g.rank()
    x = anything(g, g.shape(rank))
    start, end = g.int(-6, 6), g.pick(None, g.int(-6, 6))
    attributes = {"start": start} if end is None else {"start": start, "end": end}
    return Case("Shape", [x], [exact(ints(*x.shape[start:end]))], attributes)


@row("Size")
def make_size(g):
    x = anything(g, g.shape(g.rank()))
    return Case("Size", [x], [exact(np.array(x.size, np.int64))])


@row("ConstantOfShape")
def make_constant_of_shape(g):
    shape = [g.int(0, 6) for _ in range(g.rank())]
    dtype = g.pick(*ANY)
    value = np.array([g.int(0, 1)]).astype(TYPES[dtype])
    attributes = {"value": numpy_helper.from_array(value)} if g.chance(0.8) else {}
    y = np.full(shape, value[0] if attributes else np.float32(0), value.dtype if attributes else np.float32)
    return Case("ConstantOfShape", [ints(*shape)], [exact(y)], attributes, constant={0})


def blocks(op):
    def make(g):
        size, mode = g.int(1, 3), g.pick("DCR", "CRD")
        n, c, h, w = g.extent(0, 3), g.int(1, 4), g.extent(1, 8), g.extent(1, 8)
        dtype = g.pick("f32", "f16", "i64", "u8")
        if op == "DepthToSpace":
            x = anything(g, [n, c * size * size, h, w], dtype)
            split, perm = (([n, size, size, c, h, w], (0, 3, 4, 1, 5, 2)) if mode == "DCR" else
                           ([n, c, size, size, h, w], (0, 1, 4, 2, 5, 3)))
            y = x.reshape(split).transpose(perm).reshape([n, c, h * size, w * size])
        else:
            x = anything(g, [n, c, h * size, w * size], dtype)
            perm = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
            y = x.reshape([n, c, h, size, w, size]).transpose(perm).reshape([n, c * size * size, h, w])
        return Case(op, [x], [whole(y)], {"blocksize": size, "mode": mode})
    return make


row("DepthToSpace")(blocks("DepthToSpace"))
row("SpaceToDepth")(blocks("SpaceToDepth"))


@row("Gather", weight=2)
def make_gather(g):
    rank = g.rank(1, 4)
    axis, written = g.axis(rank)
    x = anything(g, g.shape(rank, lo=1, limit=500))
    index = g.positions(g.shape(g.rank(0, 3), limit=40), x.shape[axis], g.pick("i32", "i64"))
    return Case("Gather", [x, index], [whole(np.take(x, index, axis))], {"axis": written},
                constant=set([[], [0]][g.pick(0, 0, 1)]))


@row("GatherElements")
def make_gather_elements(g):
    rank = g.rank(1, 4)
    axis, written = g.axis(rank)
    x = anything(g, g.shape(rank, lo=1))
    shape = [g.extent(0, 6) if i == axis else int(g.contents.integers(1, e + 1)) for i, e in enumerate(x.shape)]
    index = g.positions(shape, x.shape[axis], g.pick("i32", "i64"))
    cut = x[tuple(slice(None) if i == axis else slice(e) for i, e in enumerate(shape))]
    y = np.take_along_axis(cut, index % x.shape[axis], axis)
    return Case("GatherElements", [x, index], [whole(y)], {"axis": written})


@row("GatherND")
def make_gather_nd(g):
    rank = g.rank(1, 4)
    batch = g.int(0, rank - 1)
    k = g.int(1, rank - batch)
    x = anything(g, g.shape(rank, lo=1, limit=500))
    shape = list(x.shape[:batch]) + g.shape(g.int(0, 2), limit=12)
    index = np.stack([g.positions(shape, x.shape[batch + i]) for i in range(k)], -1)
    y = np.empty(list(shape) + list(x.shape[batch + k:]), x.dtype)
    for at in np.ndindex(*shape):
        y[at] = x[at[:batch] + tuple(int(i) for i in index[at])]
    return Case("GatherND", [x, index], [whole(y)], {"batch_dims": batch})


@row("ReverseSequence")
def make_reverse_sequence(g):
    rank, time = g.rank(2, 4), g.pick(0, 1)
    x = anything(g, g.shape(rank, lo=1))
    lengths = g.contents.integers(1, x.shape[time] + 1, [x.shape[1 - time]])
    y = x.copy()
    for b, n in enumerate(lengths):
        at = (slice(None), b) if time == 0 else (b,)
        rows = y[at]
        rows[:n] = x[at][:n][::-1]
        y[at] = rows
    return Case("ReverseSequence", [x, lengths.astype(np.int64)], [whole(y)],
                {"time_axis": time, "batch_axis": 1 - time})


@row("Trilu")
def make_trilu(g):
    upper, k = g.pick(0, 1), g.pick(None, -2, -1, 0, 1, 3)
    x = anything(g, g.shape(g.rank(2)))
    y = (np.triu if upper else np.tril)(x.astype(x.dtype) if x.dtype != TYPES["bf16"] else x.view(np.int16), k or 0)
    y = y.view(x.dtype) if x.dtype == TYPES["bf16"] else y
    return Case("Trilu", [x, None if k is None else np.array(k, np.int64)], [whole(y)], {"upper": upper},
                constant={1} if g.chance(0.5) else set())


@row("OneHot")
def make_one_hot(g):
    rank, depth = g.rank(0, 3), g.int(1, 9)
    axis, written = g.axis(rank + 1)
    dtype = g.pick("f32", "i64", "i32", "f16")
    index = g.contents.integers(-depth - 2, depth + 3, g.shape(rank, limit=100)).astype(TYPES[g.pick("i64", "i32")])
    off, on = g.data([], dtype), g.data([], dtype)
    inside = (index >= -depth) & (index < depth)
    at = np.where(inside, index % depth, -1)
    hit = np.expand_dims(at, axis) == np.arange(depth).reshape([-1 if i == axis else 1 for i in range(rank + 1)])
    return Case("OneHot", [index, np.array(depth, np.int64), np.stack([off, on])], [whole(np.where(hit, on, off))],
                {"axis": written}, constant={1})


@row("Range")
def make_range(g):
    dtype = g.pick("f32", "f64", "i64", "i32", "i16")
    if is_float(dtype):
        start, delta = g.number(-5, 5), g.number(0.1, 2) * g.pick(1, -1)
        limit = start + delta * g.number(-3, 30)
    else:
        start, delta, limit = g.int(-9, 9), g.pick(1, 2, -1, -3, 7), g.int(-40, 40)
    v = [np.array(t, TYPES[dtype]) for t in (start, limit, delta)]
    n = max(0, int(np.ceil((float(v[1]) - float(v[0])) / float(v[2]))))
    y = wide(v[0])[()] + np.arange(n) * wide(v[2])[()]
    if is_float(dtype):
        m = np.abs(v[0].astype(float)) + np.arange(n) * np.abs(v[2].astype(float))
        return Case("Range", v, [linear(y, dtype, 1, m)], constant={0, 1, 2})
    return Case("Range", v, [exact(np.asarray(y).astype(TYPES[dtype]))], constant={0, 1, 2})


@row("EyeLike")
def make_eye_like(g):
    source, to, k = g.pick("f32", "i64", "u8", "bool"), g.pick(None, "f64", "i32", "f16", "bool"), g.int(-4, 4)
    x = anything(g, g.shape(2), source)
    y = np.eye(x.shape[0], x.shape[1], k).astype(TYPES[to or source])
    return Case("EyeLike", [x], [exact(y)], {"k": k} if to is None else {"k": k, "dtype": onnx_type(to)})


WINDOWS = {"HannWindow": (0.5, 0.5, 0.0), "HammingWindow": (25 / 46, 21 / 46, 0.0), "BlackmanWindow": (0.42, 0.5, 0.08)}


def window(op):
    def make(g):
        a, b, c = WINDOWS[op]
        periodic, to = g.pick(0, 1), g.pick("f32", "f64", "f16")
        n = g.int(2 - periodic, 60)  # the definition divides by n - 1
        at = 2 * np.pi * np.arange(n, dtype=np.longdouble) / (n if periodic else n - 1)
        y = a - b * np.cos(at) + c * np.cos(2 * at)
        # the definition is computed in f32, whatever the result's type
        want = linear(y, to, 1, np.full(n, 1 + 2 * np.pi))
        if to == "f64":
            want.bound = linear(y, "f32", 1, np.full(n, 1 + 2 * np.pi)).bound
        return Case(op, [np.array(n, np.int64)], [want], {"periodic": periodic, "output_datatype": onnx_type(to)},
                    constant={0})
    return make


for name in WINDOWS:
    row(name)(window(name))


@row("Dropout")
def make_dropout(g):
    x = g.floats(g.shape(g.rank()), g.dtype("f"), special=0.3)
    want = [whole(x), exact(np.ones(x.shape, bool))]
    return Case("Dropout", [x], want[:g.int(1, 2)])


@row("AffineGrid")
def make_affine_grid(g):
    dtype, n, align = g.dtype("f"), g.pick(2, 3), g.pick(0, 1)
    # with align_corners the definition divides by extent - 1
    batch, size = g.int(1, 3), [g.int(1 + align, 6) for _ in range(n)]
    theta = g.floats([batch, n, n + 1], dtype)
    axes = [np.arange(e, dtype=np.longdouble) for e in size]
    axes = [2 * i / (len(i) - 1) - 1 if align else (2 * i + 1) / len(i) - 1 for i in axes]
    at = np.stack([*reversed(np.meshgrid(*axes, indexing="ij")), np.ones(size, np.longdouble)], -1)
    y = np.einsum("...k,nik->n...i", at, wide(theta))
    m = np.einsum("...k,nik->n...i", np.ones_like(at), np.abs(wide(theta)))
    return Case("AffineGrid", [theta, ints(batch, 1, *size)], [linear(y, dtype, n + 1, m)], {"align_corners": align},
                constant={1})


# ---- no kernel form yet: counted as skipped by their own cases

@row("TopK")
def make_top_k(g):
    rank = g.rank(1, 4)
    axis, written = g.axis(rank)
    largest = g.pick(0, 1)
    dtype, k = g.dtype("n"), g.int(1, 3)
    shape = g.shape(rank, lo=1)
    shape[axis] = max(shape[axis], k)
    x = g.data(shape, dtype)
    order = np.argsort(-wide(x) if largest else wide(x), axis, kind="stable").take(range(k), axis).astype(np.int64)
    return Case("TopK", [x, ints(k)], [whole(np.take_along_axis(x, order, axis)), exact(order)],
                {"axis": written, "largest": largest}, constant={1})


def scattered(op):
    def make(g):
        reduction = g.pick("none", "add", "mul", "max", "min")
        dtype, rank = g.pick("f32", "i64", "i32"), g.rank(1, 3)
        x = g.ints(g.shape(rank, lo=1, limit=200), dtype if dtype[0] == "i" else "i16", -9, 9)
        x = x.astype(TYPES[dtype])
        combine = {"none": lambda a, b: b, "add": lambda a, b: a + b, "mul": lambda a, b: a * b, "max": max,
                   "min": min}[reduction]
        y = x.copy()
        attributes = {"reduction": reduction}
        if op == "ScatterElements":
            axis, attributes["axis"] = g.axis(rank)
            shape = [int(g.contents.integers(1, e + 1)) for e in x.shape]
            index, shape_u = g.positions(shape, x.shape[axis]), shape
            places = [tuple(int(index[at]) % x.shape[axis] if i == axis else at[i] for i in range(rank))
                      for at in np.ndindex(*shape)]
            if reduction == "none":  # repeated places have no defined winner in ONNX
                index = np.broadcast_to(np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(rank)]),
                                        shape).astype(np.int64)
                places = list(np.ndindex(*shape))
        else:
            k = g.int(1, rank)
            n = int(g.contents.integers(1, 5)) if reduction != "none" else 1
            index = np.stack([g.positions([n], x.shape[i]) for i in range(k)], -1)
            shape_u = [n] + list(x.shape[k:])
            places = None
        u = g.ints(shape_u, "i16", -9, 9).astype(x.dtype)
        if places is None:
            for i in range(n):
                at = tuple(int(p) % e for p, e in zip(index[i], x.shape))
                y[at] = np.vectorize(combine, otypes=[y.dtype])(y[at], u[i]) if y[at].size else y[at]
        else:
            for place, v in zip(places, u.ravel()):
                y[place] = combine(y[place], v)
        return Case(op, [x, index, u], [exact(y)], attributes)
    return make


row("ScatterElements")(scattered("ScatterElements"))
row("ScatterND")(scattered("ScatterND"))


@row("BitCast")
def make_bit_cast(g):
    source, to = g.pick(("f32", "i32"), ("i32", "f32"), ("f64", "u64"), ("u16", "f16"), ("bf16", "i16"), ("u8", "i8"))
    x = g.data(g.shape(g.rank()), source)
    if source == "u16":
        x = x & 0x7BFF  # finite numbers: the bits of a NaN may change in f16
    if source == "i32":
        x = g.ints(x.shape, "i32", 0, 0x7F000000)
    return Case("BitCast", [x], [exact(x.view(TYPES[to]), signed_zeros=True)], {"to": onnx_type(to)})


LEFT_OUT["Scatter"] = "withdrawn in opset 11; ScatterElements is the same op (tests/ops/versions.py runs it)"
for _op in ("If", "Loop", "Scan"):
    LEFT_OUT[_op] = "its body is a graph; tests/regions compares bodies with onnxruntime"
for _op in ("RandomUniform", "RandomUniformLike", "RandomNormal", "RandomNormalLike", "Bernoulli", "Multinomial"):
    LEFT_OUT[_op] = "ONNX leaves its numbers free; tests/ops/random_numbers.py looks at their distribution"
LEFT_OUT["Upsample"] = "withdrawn in opset 10; Resize is the same op (tests/ops/versions.py runs it)"
