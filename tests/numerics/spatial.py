"""Poolings, resampling, and attention with its rotary embedding."""
import copy
import itertools

import numpy as np

from contractions import Geometry
from judge import Case, exact, linear
from number import TYPES, is_float, wide
from reductions import softmax_parts
from rows import row


# ---- poolings

def ceil_extra(geometry):
    """What ceil_mode adds at the upper ends: a last window must start inside the input or its lower padding."""
    extra = []
    for i in range(geometry.n):
        free = geometry.extents[i] + geometry.lo[i] + geometry.hi[i] - geometry.span(i)
        out = -(-free // geometry.stride[i]) + 1
        if (out - 1) * geometry.stride[i] >= geometry.extents[i] + geometry.lo[i]:
            out -= 1
        extra.append((out - 1) * geometry.stride[i] + geometry.span(i) -
                     (geometry.extents[i] + geometry.lo[i] + geometry.hi[i]))
    return extra


def pooling_setup(g, dtype, dilate=True, special=0.15):
    n = g.pick(1, 2, 2, 2, 3)
    geometry = Geometry(g, n, [g.extent(1, {1: 60, 2: 12, 3: 6}[n]) for _ in range(n)], dilate)
    shape = [g.extent(0, 3), g.extent(1, 6)] + geometry.extents
    # no huge numbers: a sum of them overflows where its average does not
    x = g.floats(shape, dtype, special=special, specials=[np.inf, -np.inf, np.nan]) if is_float(dtype) else \
        g.ints(shape, dtype)
    attributes, plain_hi = geometry.attributes(), list(geometry.hi)
    if geometry.auto == "NOTSET" and g.chance(0.3):
        attributes["ceil_mode"] = 1
        geometry.hi = [h + e for h, e in zip(geometry.hi, ceil_extra(geometry))]
    return geometry, x, attributes, plain_hi


def windows(geometry, x, value):
    """[taps, N, C, out...] of the padded input."""
    if any(h < 0 for h in geometry.hi):  # ceil_mode can also leave out what no window reaches
        keep = tuple(slice(None, e + min(h, 0)) for e, h in zip(x.shape[2:], geometry.hi))
        x = x[(slice(None), slice(None)) + keep]
    pads = [(0, 0), (0, 0)] + [(a, max(b, 0)) for a, b in zip(geometry.lo, geometry.hi)]
    x = np.pad(x, pads, constant_values=value)
    return np.stack([x[(slice(None), slice(None)) + where] for _, where in geometry.taps()])


@row("MaxPool", exact_reference=True, weight=2)
def make_max_pool(g):
    dtype = g.dtype("n")
    geometry, x, attributes, _ = pooling_setup(g, dtype)
    if is_float(dtype):
        y = windows(geometry, wide(x), -np.inf).max(axis=0)
    else:
        y = windows(geometry, x, np.iinfo(TYPES[dtype]).min).max(axis=0)
    return Case("MaxPool", [x], [exact(y, dtype)], attributes)


@row("MaxPool.indices", exact_reference=True)
def make_max_pool_indices(g):
    x = g.floats([2, 3, g.extent(3, 9), g.extent(3, 9)], "f32")
    geometry = Geometry(g, 2, list(x.shape[2:]), dilate=False, auto=False, kernel=[2, 2])
    geometry.lo = geometry.hi = [0, 0]
    seen = windows(geometry, x, -np.inf)
    flat = windows(geometry, np.arange(x.size).reshape(x.shape), 0)
    return Case("MaxPool", [x], [exact(seen.max(axis=0)), exact(np.take_along_axis(
        flat, seen.argmax(axis=0)[None], 0)[0].astype(np.int64))], geometry.attributes())


@row("AveragePool", weight=2)
def make_average_pool(g):
    dtype, count_pads = g.dtype("f"), g.pick(0, 1)
    geometry, x, attributes, plain_hi = pooling_setup(g, dtype)
    ones = np.ones([1, 1] + list(x.shape[2:]))
    if count_pads:  # the padding counts, but never what ceil_mode adds behind it
        whole = copy.copy(geometry)
        ones = np.pad(ones, [(0, 0), (0, 0)] + list(zip(geometry.lo, plain_hi)), constant_values=1)
        whole.extents = list(ones.shape[2:])
        whole.lo, whole.hi = [0] * geometry.n, [h - p for h, p in zip(geometry.hi, plain_hi)]
        count = windows(whole, ones, 0).sum(axis=0)
    else:
        count = windows(geometry, ones, 0).sum(axis=0)
    y, m = (windows(geometry, f(x), 0).sum(axis=0) for f in (wide, lambda t: np.abs(wide(t))))
    return Case("AveragePool", [x], [linear(y / count, dtype, np.prod(geometry.kernel), m / count)],
                {**attributes, "count_include_pad": count_pads})


@row("LpPool")
def make_lp_pool(g):
    dtype, p = g.dtype("f"), g.pick(1, 2, 3)
    geometry, x, attributes, _ = pooling_setup(g, dtype, special=0)
    y = (windows(geometry, np.abs(wide(x)), 0) ** p).sum(axis=0) ** (wide(x).dtype.type(1) / p)
    return Case("LpPool", [x], [linear(y, dtype, np.prod(geometry.kernel), y)], {**attributes, "p": p})


def global_pool(op):
    def make(g):
        dtype, p = g.dtype("f"), g.pick(1, 2, 3)
        x = g.floats(g.shape(g.rank(3, 5), lo=1), dtype, special=0.15, specials=[np.inf, -np.inf, np.nan])
        total = {"axis": tuple(range(2, x.ndim)), "keepdims": True}
        w, k = wide(x), np.prod(x.shape[2:])
        if op == "GlobalMaxPool":
            return Case(op, [x], [exact(w.max(**total), dtype)])
        if op == "GlobalAveragePool":
            return Case(op, [x], [linear(w.mean(**total), dtype, k, np.abs(w).mean(**total))])
        y = (np.abs(w) ** p).sum(**total) ** (w.dtype.type(1) / p)
        return Case(op, [x], [linear(y, dtype, k, y)], {"p": p})
    return make


for name in ("GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"):
    row(name)(global_pool(name))


# ---- resize: a matrix for each axis, from the definition's formulas

def positions(out, extent, scale, way):
    i = np.arange(out, dtype=np.float64)
    resized = extent * scale
    if way == "half_pixel":
        return (i + 0.5) / scale - 0.5
    if way == "half_pixel_symmetric":
        return extent / 2 * (1 - out / resized) + (i + 0.5) / scale - 0.5
    if way == "pytorch_half_pixel":
        return (i + 0.5) / scale - 0.5 if resized > 1 else 0 * i
    if way == "align_corners":
        return i * (extent - 1) / (resized - 1) if resized != 1 else 0 * i
    return i / scale


def taps(mode, d, a):
    d = np.abs(d)
    if mode == "linear":
        return np.maximum(1 - d, 0)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def matrix(out, extent, scale, way, mode, a, exclude):
    at = positions(out, extent, scale, way)
    w = np.zeros([out, extent])
    base, reach = np.floor(at).astype(int), 1 if mode == "linear" else 2
    for o in range(out):
        for tap in range(base[o] - reach + 1, base[o] + reach + 1):
            if exclude and not 0 <= tap < extent:
                continue
            w[o, min(max(tap, 0), extent - 1)] += taps(mode, at[o] - tap, a)
    return w / w.sum(axis=1, keepdims=True) if exclude else w


def nearest_index(out, extent, scale, way, rounding):
    at = positions(out, extent, scale, way)
    free = np.abs(at - np.rint(at)) < 1e-9 if rounding in ("floor", "ceil") else \
        np.abs(np.abs(at - np.floor(at)) - 0.5) < 1e-9
    if np.log2(scale) % 1 == 0:  # then no rounding decides
        free[:] = False
    pick = {"floor": np.floor, "ceil": np.ceil, "round_prefer_floor": lambda v: np.ceil(v - 0.5),
            "round_prefer_ceil": lambda v: np.floor(v + 0.5)}[rounding]
    return np.clip(pick(at), 0, extent - 1).astype(int), free


@row("Resize", weight=3)
def make_resize(g):
    rank, mode = g.rank(1, 4), g.pick("nearest", "linear", "cubic")
    dtype = g.dtype("f") if mode != "nearest" else g.dtype("n")
    axes = g.some_axes(rank, at_least=1)[:2]
    way = g.pick("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
    rounding = g.pick("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    a, exclude = g.pick(-0.75, -0.5), g.pick(0, 1) if mode == "cubic" else 0
    by_scale = g.chance(0.6)
    shape = g.shape(rank, lo=1, limit=400)
    x = g.data(shape, dtype)
    ratios = [g.pick(2.0, 1.0, 0.5, 3.0, 1.5, 0.75, 2.6) for _ in axes]
    sizes = [g.int(1, 12) for _ in axes]
    y, m, k, free = wide(x), np.abs(wide(x)), 1, np.zeros([1] * rank, bool)
    for i, axis in enumerate(axes):
        extent = shape[axis]
        scale = float(np.float32(ratios[i])) if by_scale else sizes[i] / extent
        # the product in f32, as onnxruntime has it: 5 * 2.6 is 13, although 2.6 rounds to less
        out = int(np.float32(extent) * np.float32(scale)) if by_scale else sizes[i]
        if out == 0:
            by_scale, scale, out = None, 0, 0
            break
        if mode == "nearest":
            index, maybe = nearest_index(out, extent, scale, way, rounding)
            y = np.take(y, index, axis)
            free = free | maybe.reshape([-1 if j == axis else 1 for j in range(rank)])
        else:
            w = matrix(out, extent, scale, way, mode, a, exclude)
            y = np.moveaxis(np.tensordot(w, y, (1, axis)), 0, axis)
            # the weights are computed from positions, each rounded
            m = np.moveaxis(np.tensordot(np.abs(w) + 0.5, m, (1, axis)), 0, axis)
            k *= 4
    if by_scale is None:  # no element left: the smallest case instead
        return Case("Resize", [x, None, np.ones(rank, np.float32)], [exact(x)], constant={2})
    attributes = {"mode": mode, "coordinate_transformation_mode": way, "axes": axes}
    if mode == "nearest":
        attributes["nearest_mode"] = rounding
        y = np.asarray(y)
        want = exact(y.astype(TYPES[dtype]) if not is_float(dtype) else y, dtype, free=np.broadcast_to(free, y.shape))
    else:
        want = linear(y, dtype, k, m)
        if mode == "cubic":
            attributes.update(cubic_coeff_a=a, exclude_outside=exclude)
    scales, target = np.array(ratios, np.float32), np.array(sizes, np.int64)
    return Case("Resize", [x, None, scales if by_scale else None, None if by_scale else target], [want], attributes,
                constant={2, 3})


# ---- grid sample

def reflect(v, lo, hi):
    if hi <= lo:
        return np.zeros_like(v)
    v = np.mod(np.abs(v - lo), 2 * (hi - lo))
    return lo + np.where(v > hi - lo, 2 * (hi - lo) - v, v)


def place(v, extent, padding, align):
    """Positions in [-1, 1] as elements, kept inside by border or reflection padding."""
    v = (v + 1) / 2 * (extent - 1) if align else ((v + 1) * extent - 1) / 2
    return v, (lambda t: np.clip(t, 0, extent - 1)) if padding == "border" else \
        (lambda t: np.clip(reflect(t, *((0, extent - 1) if align else (-0.5, extent - 0.5))), 0, extent - 1)) \
        if padding == "reflection" else (lambda t: t)


@row("GridSample", weight=2)
def make_grid_sample(g):
    dtype, n = g.pick("f32", "f32", "f64"), g.pick(2, 2, 3)
    mode = g.pick("nearest", "linear", "cubic") if n == 2 else g.pick("nearest", "linear")
    padding, align = g.pick("zeros", "border", "reflection"), g.pick(0, 1)
    extents = [g.extent(2, 7) for _ in range(n)]
    batch, c = g.extent(1, 2), g.extent(1, 3)
    x = g.floats([batch, c] + extents, dtype)
    grid = g.floats([batch] + [g.extent(0, 5) for _ in range(n)] + [n], dtype, -1.4, 1.4)
    at, keep = zip(*(place(wide(grid)[..., n - 1 - i], e, padding, align) for i, e in enumerate(extents)))
    y = np.zeros([batch, c] + list(grid.shape[1:-1]), wide(x).dtype)
    m, free = np.zeros_like(y), np.zeros(grid.shape[:-1], bool)
    if mode == "nearest":
        at = [k(v) for k, v in zip(keep, at)]
        # Positions come rounded: near a tie, or near the ends of reflection, either element is right.
        free = np.any([np.abs(np.abs(v - np.floor(v)) - 0.5) < 1e-4 for v in at], axis=0)
        offsets, base = [0], [np.rint(v) for v in at]
    else:
        at = [k(v) for k, v in zip(keep, at)] if mode == "linear" else at
        base, offsets = [np.floor(v) for v in at], [0, 1] if mode == "linear" else [-1, 0, 1, 2]
    for offset in itertools.product(offsets, repeat=n):
        weight, index, inside = np.ones(grid.shape[:-1], wide(x).dtype), [], True
        for i, o in enumerate(offset):
            tap = base[i] + o
            if mode != "nearest":
                weight = weight * taps(mode, at[i] - tap, -0.75)
            tap = keep[i](tap)
            inside = inside & (tap >= 0) & (tap <= extents[i] - 1)
            index.append(np.clip(np.rint(tap), 0, extents[i] - 1).astype(int))
        for b in range(batch):
            seen = np.where(inside[b], wide(x)[b][(slice(None),) + tuple(v[b] for v in index)], 0)
            y[b] += seen * weight[b]
            m[b] += np.abs(seen) * (np.abs(weight[b]) + 1)
    # positions are as large as extents
    want = linear(y, dtype, 4 ** n + max(extents), m + np.abs(wide(x)).max(initial=0),
                  free=np.broadcast_to(free[:, None], y.shape))
    return Case("GridSample", [x, grid], [want],
                {"mode": mode, "padding_mode": padding, "align_corners": align})


# ---- attention

@row("RotaryEmbedding")
def make_rotary(g):
    dtype, interleaved = g.dtype("f"), g.pick(0, 1)
    b, h, s, half = g.extent(1, 3), g.int(1, 3), g.extent(1, 7), g.int(1, 8)
    rest, flat, tables = g.pick(0, 0, 3), g.chance(0.4), g.chance(0.5)
    size = 2 * half + rest
    x = g.floats([b, h, s, size], dtype)
    rows = g.extent(s, s + 5)
    shape = [rows, half] if tables else [b, s, half]
    cos, sin = g.floats(shape, dtype, -1, 1), g.floats(shape, dtype, -1, 1)
    ids = g.positions([b, s], rows, negative=False)
    c, d = (wide(t)[ids] if tables else wide(t) for t in (cos, sin))
    c, d, w = c[:, None], d[:, None], wide(x)
    first, second = ((w[..., 0:2 * half:2], w[..., 1:2 * half:2]) if interleaved else
                     (w[..., :half], w[..., half:2 * half]))
    y, m = w.copy(), np.abs(w)
    parts = [(c * first - d * second, np.abs(c * first) + np.abs(d * second)),
             (d * first + c * second, np.abs(d * first) + np.abs(c * second))]
    for i, (value, size_of) in enumerate(parts):
        where = slice(i, 2 * half, 2) if interleaved else slice(i * half, (i + 1) * half)
        y[..., where], m[..., where] = value, size_of
    attributes = {"interleaved": interleaved, "rotary_embedding_dim": 2 * half if rest else 0}
    if flat:  # [batch, sequence, heads * size]
        x, y, m = (np.ascontiguousarray(np.moveaxis(t, 1, 2)).reshape([b, s, h * size]) for t in (x, y, m))
        attributes["num_heads"] = h
    return Case("RotaryEmbedding", [x, cos, sin, ids if tables else None], [linear(y, dtype, 2, m)], attributes)


@row("Attention", weight=2)
def make_attention(g):
    dtype = g.dtype("f")
    groups, per = g.int(1, 3), g.pick(1, 1, 2)
    b, s, t, d, e = g.extent(1, 3), g.extent(1, 9), g.extent(1, 9), g.int(1, 9), g.int(1, 9)
    h = groups * per
    flat, causal, cap = g.chance(0.3), g.pick(0, 0, 1), g.pick(0.0, 0.0, 5.0)
    scale, mask_kind = g.pick(None, 0.5), g.pick(None, None, "bool", "float")
    q, k, v = g.floats([b, h, s, d], dtype), g.floats([b, groups, t, d], dtype), g.floats([b, groups, t, e], dtype)
    wq, wk, wv = wide(q), np.repeat(wide(k), per, 1), np.repeat(wide(v), per, 1)
    factor = scale or 1 / np.sqrt(wq.dtype.type(d))
    scores = np.einsum("bhsd,bhtd->bhst", wq, wk) * factor
    size = np.einsum("bhsd,bhtd->bhst", np.abs(wq), np.abs(wk)) * factor
    mask = None
    if cap:
        scores = cap * np.tanh(scores / cap)
    mask_shape = [s, t] if g.chance(0.5) else [b, 1, s, t]
    if mask_kind == "bool":
        mask = g.contents.random(mask_shape) < 0.7
        mask[..., 0] = True  # a row without any key is NaN in some definitions, zero in others
        scores = np.where(mask, scores, -np.inf)
    elif mask_kind:
        mask = g.floats(mask_shape, dtype)
        scores, size = scores + wide(mask), size + np.abs(wide(mask))
    if causal:
        scores = np.where(np.tril(np.ones([s, t], bool)), scores, -np.inf)
    p, spread = softmax_parts(scores, -1)
    y = np.einsum("bhst,bhte->bhse", p, wv)
    # each weight carries the error of its score
    m = np.einsum("bhst,bhte->bhse", p * (spread + size + np.max(np.where(p > 0, size, 0), -1, keepdims=True)),
                  np.abs(wv))
    attributes = {"is_causal": causal, "softcap": cap}
    if scale:
        attributes["scale"] = scale
    if flat:
        q, k, v, y, m = (np.ascontiguousarray(np.moveaxis(a, 1, 2)).reshape([b, a.shape[2], -1])
                         for a in (q, k, v, y, m))
        attributes.update(q_num_heads=h, kv_num_heads=groups)
    return Case("Attention", [q, k, v, mask], [linear(y, dtype, d + t, m)], attributes)
