"""Matrix products, convolutions and their integer forms."""
import itertools

import numpy as np

from judge import Case, exact, linear
from number import TYPES, is_float, wide
from rows import row


def matmul_shapes(g, batch_rank):
    """Shapes of a product: vectors, matrices, batches that broadcast."""
    m, k, n = (g.extent(0) for _ in range(3))
    form = g.pick("matrices", "matrices", "matrices", "left vector", "right vector", "vectors")
    a, b = g.broadcast(2, batch_rank)
    if g.chance(0.3):
        b = []
    a, b = a + [m, k], b + [k, n]
    if "vector" in form:
        if form != "right vector":
            a = [k]
        if form != "left vector":
            b = [k]
    while np.prod(a, dtype=float) * n > 60000:
        a = [1 if i < len(a) - 2 else e for i, e in enumerate(a)] if max(a[:-2], default=1) > 1 else a
        if max(a[:-2], default=1) == 1:
            break
    return a, b


def product_want(dtype, function, a, b, k):
    if is_float(dtype):
        return linear(np.asarray(function(wide(a), wide(b))), dtype, k,
                      np.asarray(function(np.abs(wide(a)), np.abs(wide(b)))))
    # int64 wraps as every narrower type then does
    return exact(np.asarray(function(a.astype(np.int64), b.astype(np.int64))).astype(TYPES[dtype]))


@row("MatMul", weight=3)
def make_matmul(g):
    dtype = g.dtype("n")
    a, b = matmul_shapes(g, g.pick(0, 0, 1, 2, 3))
    y = g.data(b, dtype)
    x = g.ints(a, dtype) if not is_float(dtype) else g.floats(a, dtype, special=0.1, specials=[np.inf, -np.inf, np.nan])
    return Case("MatMul", [x, y], [product_want(dtype, np.matmul, x, y, a[-1])],
                constant={1} if g.chance(0.4) else {0} if g.chance(0.1) else set())


@row("MatMul.large")
def make_large_matmul(g):
    """Whole tiles, several panels and long sums; weights packed at compile time."""
    dtype, n, k = g.dtype("f"), *g.pick((130, 300), (130, 300), (40, 2000), (700, 60))
    n, k = g.int(1, n), g.int(1, k)
    m = g.extent(1, 40) if g.chance(0.7) else g.extent(60, max(61, 1500000 // (n * k * 4)))
    x = g.floats([m, k], dtype, tiny=0.2)
    y = np.random.default_rng(g.int(0, 1 << 30)).uniform(-2, 2, [k, n]).astype(TYPES[dtype])
    return Case("MatMul", [x, y], [product_want(dtype, np.matmul, x, y, k)], constant={1} if g.chance(0.6) else set())


@row("Gemm", weight=2)
def make_gemm(g):
    dtype = g.dtype("n")
    m, k, n = (g.extent(0) for _ in range(3))
    trans_a, trans_b = g.pick(0, 1), g.pick(0, 1)
    has_c, c_shape = g.chance(0.7), [[], [n], [1, n], [m, 1], [m, n], [1]][g.int(0, 5)]
    alpha, beta = (g.number(-2, 2), g.number(-2, 2)) if is_float(dtype) and g.chance(0.6) else (1.0, 1.0)
    a, b, c = (g.data(s, dtype) for s in ([k, m] if trans_a else [m, k], [n, k] if trans_b else [k, n], c_shape))
    attributes = {"transA": trans_a, "transB": trans_b, "alpha": alpha, "beta": beta}

    def run(a, b, c, alpha, beta):
        y = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
        return y + beta * c if has_c else y + 0 * y
    if is_float(dtype):
        args = [wide(t) for t in (a, b, c)]
        want = linear(run(*args, alpha, beta), dtype, k, run(*(np.abs(t) for t in args), abs(alpha), abs(beta)))
    else:
        want = exact(run(*(t.astype(np.int64) for t in (a, b, c)), 1, 1).astype(TYPES[dtype]))
    return Case("Gemm", [a, b, c if has_c else None], [want], attributes,
                constant={1, 2} if g.chance(0.4) else set())


EQUATIONS = ("ij,jk->ik", "bij,bjk->bik", "ij,kj->ik", "i,i->", "i,j->ij", "ij->ji", "ij->", "ijk->ik",
             "bhqd,bhkd->bhqk", "bqhd,bkhd->bhqk", "ijk,ilm,kl->jm", "ab,cd->acbd", "ij,ij->ij", "bij,j->bi",
             "abc,acd->bd", "ij,j", "ii->i",
             "ii->", "...ij,...jk->...ik", "ab,bc,cd->ad")


def random_equation(g):
    """Two terms of a few letters, some repeated within one, and any of them in the result."""
    terms = ["".join(g.pick(*"abcd") for _ in range(g.int(1, 4))) for _ in range(g.pick(1, 2, 2, 2))]
    seen = sorted(set("".join(terms)))
    kept = [seen[i] for i in g.structure.permutation(len(seen)) if g.chance(0.6)]
    return ",".join(terms) + "->" + "".join(kept)


@row("Einsum", weight=2)
def make_einsum(g):
    dtype, equation = g.dtype("f"), g.pick(*EQUATIONS) if g.chance(0.5) else random_equation(g)
    extents, batch = {}, [g.extent(1, 4) for _ in range(g.int(0, 2))]
    terms = equation.split("->")[0].split(",")
    shapes = []
    for term in terms:
        shape = list(batch) if "..." in term else []
        for letter in term.replace("...", ""):
            shape.append(extents.setdefault(letter, g.extent(0, 9)))
        shapes.append(shape)
    xs = [g.floats(s, dtype) for s in shapes]
    y = np.einsum(equation, *(wide(x) for x in xs))
    m = np.einsum(equation, *(np.abs(wide(x)) for x in xs))
    k = np.prod([e for letter, e in extents.items()
                 if "->" in equation and letter not in equation.split("->")[1]], dtype=float)
    # the order of three products is free: intermediate ones are rounded
    return Case("Einsum", xs, [linear(np.asarray(y), dtype, k * (1 + (len(xs) > 2)), m)], {"equation": equation})


# ---- convolution

class Geometry:
    """Random kernel, strides, dilations and padding of a convolution or pooling; extents: of the spatial axes."""

    def __init__(self, g, n, extents, dilate=True, auto=True, kernel=None):
        self.n = n
        self.kernel = kernel or [g.int(1, 4) if g.chance(0.8) else 1 for _ in range(n)]
        self.stride = [g.int(1, 3) if g.chance(0.5) else 1 for _ in range(n)]
        self.dilate = [g.int(1, 3) if dilate and g.chance(0.3) else 1 for _ in range(n)]
        self.auto = g.pick("NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID") if auto else "NOTSET"
        lo, hi = ([g.int(0, k - 1) if g.chance(0.6) else 0 for k in self.kernel] for _ in range(2))
        if self.auto != "NOTSET":
            lo = hi = [0] * n
        self.extents = [max(e, self.span(i) - lo[i] - hi[i]) for i, e in enumerate(extents)]
        self.lo, self.hi = lo, hi
        if self.auto.startswith("SAME"):
            for i, e in enumerate(self.extents):
                out = -(-e // self.stride[i])
                total = max(0, (out - 1) * self.stride[i] + self.span(i) - e)
                small = total // 2
                self.lo, self.hi = list(self.lo), list(self.hi)
                self.lo[i], self.hi[i] = (small, total - small) if self.auto == "SAME_UPPER" else (total - small, small)

    def span(self, i):
        return self.dilate[i] * (self.kernel[i] - 1) + 1

    def out(self, i):
        return (self.extents[i] + self.lo[i] + self.hi[i] - self.span(i)) // self.stride[i] + 1

    def attributes(self):
        a = {"kernel_shape": self.kernel, "strides": self.stride, "dilations": self.dilate}
        if self.auto == "NOTSET":
            a["pads"] = list(self.lo) + list(self.hi)
        else:
            a["auto_pad"] = self.auto
        return a

    def taps(self):
        """For each position in the kernel: it, and the slices of the padded input that it meets."""
        for at in itertools.product(*(range(k) for k in self.kernel)):
            yield at, tuple(slice(p * d, p * d + (self.out(i) - 1) * s + 1, s)
                            for i, (p, d, s) in enumerate(zip(at, self.dilate, self.stride)))

    def padded(self, x, value=0):
        return np.pad(x, [(0, 0), (0, 0)] + list(zip(self.lo, self.hi)), constant_values=value)


def convolve(x, w, geometry, groups):
    """x[N,C,S..], w[O,C/g,K..]; accumulates in the arrays' type."""
    n, c = x.shape[:2]
    o = w.shape[0]
    x = geometry.padded(x)
    y = np.zeros([n, o] + [geometry.out(i) for i in range(geometry.n)], dtype=x.dtype)
    for at, where in geometry.taps():
        seen = x[(slice(None), slice(None)) + where]
        for q in range(groups):
            rows, columns = slice(q * o // groups, (q + 1) * o // groups), slice(q * c // groups, (q + 1) * c // groups)
            tap = w[(rows, slice(None)) + at]
            y[:, rows] += np.einsum("nc...,oc->no...", seen[:, columns], tap)
    return y


def conv_setup(g, dilate=True):
    n = g.pick(1, 2, 2, 2, 3)
    groups = g.pick(1, 1, 1, 2, 3)
    c, o = groups * g.int(1, 5), groups * g.int(1, 6)
    if g.chance(0.2):  # depthwise
        groups = c = g.int(1, 20)
        o = c * g.pick(1, 1, 2)
    elif g.chance(0.15):  # several tiles of channels
        groups, c, o = 1, g.int(8, 40), g.int(16, 70)
    most = {1: 60, 2: 14, 3: 6}[n]
    geometry = Geometry(g, n, [g.extent(1, most) for _ in range(n)], dilate)
    return n, groups, c, o, geometry


def weights(g, shape, dtype):
    """The same for all sizes of a case."""
    v = np.random.default_rng(g.int(0, 1 << 30)).uniform(-2, 2, shape)
    return v.astype(TYPES[dtype])


@row("Conv", weight=4)
def make_conv(g):
    dtype = g.dtype("f")
    n, groups, c, o, geometry = conv_setup(g)
    x = g.floats([g.extent(0, 3), c] + geometry.extents, dtype, special=0.1, specials=[np.inf, -np.inf, np.nan, 0.0])
    w, b = weights(g, [o, c // groups] + geometry.kernel, dtype), weights(g, [o], dtype)
    has_bias = g.chance(0.6)
    y, m = (convolve(f(x), f(w), geometry, groups) for f in (wide, lambda t: np.abs(wide(t))))
    if has_bias:
        bias = wide(b).reshape([-1] + [1] * n)
        y, m = y + bias, m + np.abs(bias)
    return Case("Conv", [x, w, b if has_bias else None], [linear(y, dtype, w[0].size, m)],
                {**geometry.attributes(), "group": groups}, constant={1, 2} if g.chance(0.7) else set())


@row("Conv.large")
def make_large_conv(g):
    """Whole tiles of channels and pixels, as the layers of networks have them."""
    dtype, size, stride = g.pick("f32", "f32", "f16"), g.pick(1, 3, 3, 5), g.pick(1, 1, 2)
    if g.chance(0.4):
        groups = c = o = g.int(16, 70)
        most = 34
    else:
        groups, c, o, most = 1, g.int(3, 50), g.int(8, 90), 14 if size > 1 else 28
    geometry = Geometry(g, 2, [g.extent(7, most) for _ in range(2)], dilate=False, kernel=[size, size])
    geometry.stride = [stride, stride]
    geometry.auto, geometry.lo, geometry.hi = "NOTSET", [size // 2] * 2, [size // 2] * 2
    x = g.floats([g.extent(1, 2), c] + geometry.extents, dtype)
    w, b = weights(g, [o, c // groups, size, size], dtype), weights(g, [o], dtype)
    y, m = (convolve(f(x), f(w), geometry, groups) + f(b).reshape([-1, 1, 1])
            for f in (wide, lambda t: np.abs(wide(t))))
    return Case("Conv", [x, w, b], [linear(y, dtype, w[0].size, m)], {**geometry.attributes(), "group": groups},
                constant={1, 2})


@row("ConvTranspose", weight=2)
def make_conv_transpose(g):
    dtype = g.dtype("f")
    n, groups, c, o, geometry = conv_setup(g)
    if max(c, o) > 20:
        c, o = groups * 2, groups * 3
    extents = [g.extent(1, {1: 20, 2: 7, 3: 4}[n]) for _ in range(n)]
    x = g.floats([g.extent(0, 3), c] + extents, dtype, special=0.1, specials=[np.inf, -np.inf, np.nan, 0.0])
    w, b = weights(g, [c, o // groups] + geometry.kernel, dtype), weights(g, [o], dtype)
    extra = [g.int(0, s - 1) if s > 1 and g.chance(0.4) else 0 for s in geometry.stride]
    lo, hi = ([g.int(0, geometry.span(i) // 2) if g.chance(0.4) else 0 for i in range(n)] for _ in range(2))
    full = [(e - 1) * s + geometry.span(i) for i, (e, s) in enumerate(zip(extents, geometry.stride))]
    while any(f + t - a - b < 1 for f, t, a, b in zip(full, extra, lo, hi)):
        lo, hi = [0] * n, [0] * n

    def run(x, w):
        y = np.zeros([x.shape[0], o] + [f + t for f, t in zip(full, extra)], dtype=x.dtype)
        for at in itertools.product(*(range(k) for k in geometry.kernel)):
            where = tuple(slice(p * d, p * d + (e - 1) * s + 1, s)
                          for p, d, e, s in zip(at, geometry.dilate, extents, geometry.stride))
            for q in range(groups):
                rows, columns = (slice(q * t // groups, (q + 1) * t // groups) for t in (c, o))
                y[(slice(None), columns) + where] += np.einsum("nc...,co->no...", x[:, rows],
                                                               w[(rows, slice(None)) + at])
        return y[(slice(None), slice(None)) + tuple(slice(a, y.shape[i + 2] - b) for i, (a, b) in
                                                    enumerate(zip(lo, hi)))]
    has_bias = g.chance(0.6)
    y, m = run(wide(x), wide(w)), run(np.abs(wide(x)), np.abs(wide(w)))
    if has_bias:
        bias = wide(b).reshape([-1] + [1] * n)
        y, m = y + bias, m + np.abs(bias)
    k = c // groups * np.prod(geometry.kernel)
    return Case("ConvTranspose", [x, w, b if has_bias else None], [linear(y, dtype, k, m)],
                {"kernel_shape": geometry.kernel, "strides": geometry.stride, "dilations": geometry.dilate,
                 "group": groups, "pads": lo + hi, "output_padding": extra},
                constant={1, 2} if g.chance(0.6) else set())


# ---- integers

def small_ints(g, shape, dtype):
    return g.ints(shape, dtype, -128, 255)


@row("MatMulInteger")
def make_matmul_integer(g):
    ta, tb = g.pick("u8", "i8"), g.pick("u8", "i8")
    m, k, n = g.extent(0), g.extent(0), g.extent(0)
    batch = [g.extent(1, 3) for _ in range(g.pick(0, 0, 1))]
    x, y = small_ints(g, batch + [m, k], ta), small_ints(g, [k, n], tb)
    zx = small_ints(g, [] if not g.chance(0.3) or batch else [m], ta)
    zy = small_ints(g, [] if not g.chance(0.3) else [n], tb)
    has_zx, has_zy = g.chance(0.6), g.chance(0.6)
    a, b = x.astype(np.int64), y.astype(np.int64)
    if has_zx:
        a = a - (zx[:, None] if zx.ndim else zx).astype(np.int64)
    if has_zy:
        b = b - zy.astype(np.int64)
    return Case("MatMulInteger", [x, y, zx if has_zx else None, zy if has_zy else None],
                [exact((a @ b).astype(np.int32))], constant={1, 3} if g.chance(0.3) else set())


@row("ConvInteger")
def make_conv_integer(g):
    ta, tb = g.pick("u8", "i8"), g.pick("u8", "i8")
    n, groups, c, o, geometry = conv_setup(g)
    x = small_ints(g, [g.extent(0, 3), c] + geometry.extents, ta)
    w = np.random.default_rng(g.int(0, 1 << 30)).integers(-60, 60, [o, c // groups] + geometry.kernel)
    w = np.abs(w).astype(np.uint8) if tb == "u8" else w.astype(np.int8)
    zx, zw = small_ints(g, [], ta), small_ints(g, [], tb)
    has_zx, has_zw = g.chance(0.6), g.chance(0.4)
    a = x.astype(np.int64) - (int(zx) if has_zx else 0)
    b = w.astype(np.int64) - (int(zw) if has_zw else 0)
    y = convolve(a, b, geometry, groups).astype(np.int32)
    return Case("ConvInteger", [x, w, zx if has_zx else None, zw if has_zw else None], [exact(y)],
                {**geometry.attributes(), "group": groups}, constant={1} if g.chance(0.5) else set())


def requantise(total, scale, zero, dtype):
    """round(total * scale) + zero, saturated; and where the rounding of the product may decide (near a tie)."""
    v = total.astype(np.float64) * scale
    y = np.clip(np.rint(v) + int(zero), np.iinfo(TYPES[dtype]).min, np.iinfo(TYPES[dtype]).max)
    free = np.abs(np.abs(v - np.floor(v)) - 0.5) < 1e-6 * (8 + np.abs(v)) * 4
    return exact(y.astype(TYPES[dtype]), free=np.asarray(free))


def scale_of(g, lo, hi):
    return np.array(g.number(lo, hi), np.float32)


@row("QLinearMatMul", exact_reference=True)
def make_qlinear_matmul(g):
    ta, tb, ty = g.pick("u8", "i8"), g.pick("u8", "i8"), g.pick("u8", "i8")
    m, k, n = g.extent(0), g.extent(0), g.extent(0)
    x, y = small_ints(g, [m, k], ta), small_ints(g, [k, n], tb)
    zx, zy, zo = (small_ints(g, [], t) for t in (ta, tb, ty))
    sx, sy, so = scale_of(g, 0.01, 0.1), scale_of(g, 0.01, 0.1), scale_of(g, 0.5, 5)
    total = (x.astype(np.int64) - int(zx)) @ (y.astype(np.int64) - int(zy))
    scale = float(sx) * float(sy) / float(so)
    return Case("QLinearMatMul", [x, sx, zx, y, sy, zy, so, zo], [requantise(total, scale, zo, ty)],
                constant={1, 4, 6} if g.chance(0.5) else set())


@row("QLinearConv", exact_reference=True)
def make_qlinear_conv(g):
    ta, tb, ty = g.pick("u8", "i8"), g.pick("u8", "i8"), g.pick("u8", "i8")
    n, groups, c, o, geometry = conv_setup(g)
    x = small_ints(g, [g.extent(0, 3), c] + geometry.extents, ta)
    w = np.random.default_rng(g.int(0, 1 << 30)).integers(-60, 60, [o, c // groups] + geometry.kernel)
    w = np.abs(w).astype(np.uint8) if tb == "u8" else w.astype(np.int8)
    zx, zo = small_ints(g, [], ta), small_ints(g, [], ty)
    zw = np.array(g.int(0, 5), TYPES[tb])
    sx, sw, so = scale_of(g, 0.01, 0.1), scale_of(g, 0.01, 0.1), scale_of(g, 0.5, 5)
    b = np.random.default_rng(g.int(0, 1 << 30)).integers(-1000, 1000, [o]).astype(np.int32)
    has_bias = g.chance(0.5)
    total = convolve(x.astype(np.int64) - int(zx), w.astype(np.int64) - int(zw), geometry, groups)
    if has_bias:
        total = total + b.astype(np.int64).reshape([-1] + [1] * n)
    scale = float(sx) * float(sw) / float(so)
    return Case("QLinearConv", [x, sx, zx, w, sw, zw, so, zo, b if has_bias else None],
                [requantise(total, scale, zo, ty)], {**geometry.attributes(), "group": groups},
                constant={1, 3, 4, 6, 8} if g.chance(0.5) else set())
