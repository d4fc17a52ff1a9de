"""Reading images between pixels, ways back from patches and poolings, writing into caches."""
import itertools

import numpy as np

from judge import Case, exact, linear
from number import TYPES, is_float, wide
from rows import row


def bilinear(plane, y, x):
    """(the value, the sum of the sizes of its terms) of a plane at a place; zero outside."""
    total, size = 0.0, 0.0
    for i, j in itertools.product((0, 1), repeat=2):
        r, c = int(np.floor(y)) + i, int(np.floor(x)) + j
        if 0 <= r < plane.shape[0] and 0 <= c < plane.shape[1]:
            weight = (1 - abs(y - r)) * (1 - abs(x - c))
            total, size = total + weight * plane[r, c], size + abs(plane[r, c])
    return total, size


@row("DeformConv", weight=2)
def make_deform_conv(g):
    dtype = g.pick("f32", "f32", "f64")
    groups, offset_groups, per, o = g.int(1, 2), g.int(1, 2), g.int(1, 2), g.int(1, 2)
    c, kh, kw = groups * offset_groups * per, g.int(1, 3), g.int(1, 2)
    stride, dilate, pads = [g.int(1, 2) for _ in "hw"], [g.int(1, 2) for _ in "hw"], [g.int(0, 2) for _ in range(4)]
    h, w = g.extent(6, 8), g.extent(5, 7)
    oh = (h + pads[0] + pads[2] - dilate[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (w + pads[1] + pads[3] - dilate[1] * (kw - 1) - 1) // stride[1] + 1
    n = g.extent(1, 2)
    x = g.floats([n, c, h, w], dtype)
    weights = g.floats([o * groups, c // groups, kh, kw], dtype)
    offset = g.floats([n, offset_groups * kh * kw * 2, oh, ow], dtype, -1.5, 1.5)
    bias = g.floats([o * groups], dtype) if g.chance(0.5) else None
    mask = g.floats([n, offset_groups * kh * kw, oh, ow], dtype, 0, 1) if g.chance(0.5) else None
    y, m = np.zeros([n, o * groups, oh, ow]), np.zeros([n, o * groups, oh, ow])
    shift = offset.reshape(n, offset_groups, kh, kw, 2, oh, ow).astype(np.float64)
    gain = np.ones([n, offset_groups, kh, kw, oh, ow]) if mask is None else \
        mask.reshape(n, offset_groups, kh, kw, oh, ow).astype(np.float64)
    for b, ci, i, j, r, s in np.ndindex(n, c, kh, kw, oh, ow):
        og = ci // (c // offset_groups)
        at = (r * stride[0] - pads[0] + i * dilate[0] + shift[b, og, i, j, 0, r, s],
              s * stride[1] - pads[1] + j * dilate[1] + shift[b, og, i, j, 1, r, s])
        value, size = bilinear(x[b, ci].astype(np.float64), *at)
        group, k = divmod(ci, c // groups)
        for oc in range(group * o, group * o + o):
            y[b, oc, r, s] += value * gain[b, og, i, j, r, s] * weights[oc, k, i, j]
            m[b, oc, r, s] += size * gain[b, og, i, j, r, s] * abs(weights[oc, k, i, j])
    if bias is not None:
        y, m = y + bias.reshape(1, -1, 1, 1), m + np.abs(bias).reshape(1, -1, 1, 1)
    # a place is rounded as a number of the size of the extents
    return Case("DeformConv", [x, weights, offset, bias, mask],
                [linear(y, dtype, c * kh * kw + 40, m + 1e-3 * np.abs(x).max() * np.abs(weights).max())],
                {"group": groups, "offset_group": offset_groups, "strides": stride, "dilations": dilate, "pads": pads,
                 "kernel_shape": [kh, kw]})


@row("RoiAlign")
def make_roi_align(g):
    dtype, way = g.pick("f32", "f64"), g.pick("half_pixel", "output_half_pixel")
    size, ratio, scale, mode = [g.int(1, 3), g.int(1, 3)], g.int(1, 3), g.pick(1.0, 0.5), g.pick("avg", "max")
    n, c, rois = g.extent(1, 2), g.extent(1, 2), g.extent(0, 4)
    x = g.floats([n, c, g.extent(4, 7), g.extent(4, 7)], dtype)
    corner = g.floats([rois, 2], dtype, -2, 6)
    boxes = np.concatenate([corner, corner + g.floats([rois, 2], dtype, 0.1, 9)], 1).astype(TYPES[dtype])
    batch = g.positions([rois], n, negative=False)
    y, m = np.zeros([rois, c] + size), np.zeros([rois, c] + size)
    shift = 0.5 if way == "half_pixel" else 0
    limits = np.array(x.shape[2:])
    for r, k, i, j in np.ndindex(rois, c, *size):
        lo, hi = (boxes[r, s].astype(np.float64) * scale - shift for s in (slice(1, None, -1), slice(3, 1, -1)))
        span = hi - lo if shift else np.maximum(hi - lo, 1)
        plane, values = x[batch[r], k].astype(np.float64), []
        for a, b in np.ndindex(ratio, ratio):
            at = lo + (np.array([i, j]) + (np.array([a, b]) + 0.5) / ratio) * span / size
            if (at < -1).any() or (at > limits).any():
                values.append((0.0, 0.0, 0.0))
                continue
            at = np.clip(at, 0, limits - 1)
            terms = []
            for p, q in itertools.product((0, 1), repeat=2):
                rr, cc = int(at[0]) + p, int(at[1]) + q
                inside = rr < limits[0] and cc < limits[1]
                terms.append(plane[rr, cc] * (1 - abs(at[0] - rr)) * (1 - abs(at[1] - cc)) if inside else 0.0)
            values.append((sum(terms), max(terms), np.abs(plane).max()))
        y[r, k, i, j] = max(v[1] for v in values) if mode == "max" else sum(v[0] for v in values) / ratio ** 2
        m[r, k, i, j] = max(v[2] for v in values)
    # at the border of what counts, rounding of the place decides
    return Case("RoiAlign", [x, boxes, batch], [linear(y, dtype, ratio ** 2 + 40, m)],
                {"output_height": size[0], "output_width": size[1], "sampling_ratio": ratio, "spatial_scale": scale,
                 "mode": mode, "coordinate_transformation_mode": way})


@row("Col2Im")
def make_col2im(g):
    dtype, n = g.dtype("n"), g.pick(1, 2, 2, 3)
    block, stride, dilate = ([g.int(1, 3) for _ in range(n)] for _ in range(3))
    pads = [g.int(0, 2) for _ in range(2 * n)]
    image = [g.int((block[i] - 1) * dilate[i] + 1, 9) for i in range(n)]
    counts = [(image[i] + pads[i] + pads[n + i] - (block[i] - 1) * dilate[i] - 1) // stride[i] + 1 for i in range(n)]
    batch, c = g.extent(1, 2), g.int(1, 3)
    x = g.data([batch, c * int(np.prod(block)), int(np.prod(counts))], dtype)
    w = wide(x) if is_float(dtype) else x.astype(np.int64)
    y, m, k = np.zeros([batch, c] + image, w.dtype), np.zeros([batch, c] + image), np.zeros([batch, c] + image)
    split = w.reshape([batch, c] + block + counts)
    for tap in itertools.product(*(range(b) for b in block)):
        for at in itertools.product(*(range(e) for e in counts)):
            place = [at[i] * stride[i] - pads[i] + tap[i] * dilate[i] for i in range(n)]
            if all(0 <= p < e for p, e in zip(place, image)):
                where = (slice(None), slice(None), *place)
                y[where] += split[(slice(None), slice(None), *tap, *at)]
                m[where] += np.abs(split[(slice(None), slice(None), *tap, *at)]).astype(np.float64)
                k[where] += 1
    want = linear(y, dtype, np.prod(block), m) if is_float(dtype) else exact(y.astype(TYPES[dtype]))
    return Case("Col2Im", [x, np.array(image, np.int64), np.array(block, np.int64)], [want],
                {"strides": stride, "dilations": dilate, "pads": pads}, constant={1, 2})


@row("MaxUnpool")
def make_max_unpool(g):
    dtype, kernel = g.pick("f32", "f64", "f16"), [g.int(1, 3), g.int(1, 3)]
    stride = [g.int(k, k + 1) for k in kernel]
    x = g.floats([g.extent(1, 2), g.extent(1, 3), g.extent(1, 4), g.extent(1, 4)], dtype)
    shape = list(x.shape[:2]) + [(x.shape[2 + i] - 1) * stride[i] + kernel[i] for i in range(2)]
    flat = np.zeros(int(np.prod(shape)), x.dtype)
    at = g.contents.permutation(flat.size)[:x.size].reshape(x.shape).astype(np.int64)
    flat[at] = x
    return Case("MaxUnpool", [x, at], [exact(flat.reshape(shape))], {"kernel_shape": kernel, "strides": stride})


@row("TensorScatter")
def make_tensor_scatter(g):
    dtype, rank, mode = g.dtype("a"), g.rank(2, 4), g.pick("linear", "circular")
    axis = g.int(1, rank - 1)
    shape = [g.extent(1, 4) for _ in range(rank)]
    shape[axis] = g.extent(3, 8)
    length = g.extent(1, 3)
    cache, update = g.data(shape, dtype), g.data(shape[:axis] + [length] + shape[axis + 1:], dtype)
    room = shape[axis] - 1 if mode == "circular" else shape[axis] - length
    start = g.contents.integers(0, room + 1, [shape[0]]).astype(np.int64) if g.chance(0.8) else None
    y = cache.copy()
    for b, i in np.ndindex(shape[0], length):
        to = ((0 if start is None else start[b]) + i) % shape[axis]
        np.moveaxis(y[b], axis - 1, 0)[to] = np.moveaxis(update[b], axis - 1, 0)[i]
    return Case("TensorScatter", [cache, update, start], [exact(y)],
                {"axis": g.pick(axis, axis - rank), "mode": mode})


@row("Det")
def make_det(g):
    dtype, n = g.pick("f32", "f64"), g.extent(1, 5)
    x = g.floats([g.extent(1, 3) for _ in range(g.int(0, 2))] + [n, n], dtype)
    y = np.linalg.det(x.astype(np.float64))
    # Hadamard's bound, and the growth of partial pivoting
    m = 2.0 ** (n - 1) * np.prod(np.sqrt((x.astype(np.float64) ** 2).sum(-1)), -1) * n
    want = linear(np.asarray(y), dtype, n * n, np.asarray(m))
    return Case("Det", [x], [want])


@row("TfIdfVectorizer")
def make_tfidf(g):
    dtype, mode = g.pick("i32", "i64"), g.pick("TF", "IDF", "TFIDF")
    longest, skip = g.int(1, 3), g.int(0, 3)
    shortest = g.int(1, longest)
    grams = [sorted({tuple(g.int(0, 3) for _ in range(n)) for _ in range(g.int(1, 5))}) for n in range(1, longest + 1)]
    starts = np.cumsum([0] + [len(p) * (n + 1) for n, p in enumerate(grams)])[:-1].tolist()
    count = sum(map(len, grams))
    columns = [int(c) for c in g.structure.permutation(count)]
    weights = [g.number(0, 2) for _ in range(count)] if g.chance(0.5) else None
    x = g.contents.integers(0, 4, ([g.extent(1, 3)] if g.chance(0.6) else []) + [g.extent(1, 12)]).astype(TYPES[dtype])
    rows = x.reshape(-1, x.shape[-1])
    y = np.zeros([len(rows), count])
    for r, values in enumerate(rows.tolist()):
        found = [gram for n in range(shortest, longest + 1) for s in range(1, (skip if n > 1 else 0) + 2)
                 for gram in (tuple(values[i:i + (n - 1) * s + 1:s]) for i in range(len(values) - (n - 1) * s))]
        every = [gram for pool in grams for gram in pool]
        for gram in found:
            if gram in every:
                y[r, columns[every.index(gram)]] += 1
    w = np.ones(count) if weights is None else np.array(weights)
    y = y if mode == "TF" else (y > 0) * w if mode == "IDF" else y * w
    attributes = {"mode": mode, "min_gram_length": shortest, "max_gram_length": longest, "max_skip_count": skip,
                  "ngram_counts": starts, "ngram_indexes": columns,
                  "pool_int64s": [v for pool in grams for gram in pool for v in gram]}
    if weights:
        attributes["weights"] = weights
    return Case("TfIdfVectorizer", [x], [linear(y.reshape(x.shape[:-1] + (count,)), "f32", 1, y.reshape(
        x.shape[:-1] + (count,)))], attributes)
