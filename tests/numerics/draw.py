"""Random structure (ranks, types, attributes: the same for all sizes of a case) and random contents (extents, data: new
for each size), from two streams of one seed."""
import zlib

import numpy as np
import onnx.defs

from number import FLOATS, FORMATS, INTEGERS, NUMBERS, SIGNED, TYPES, UNSIGNED, bits, is_float

KINDS = {"f": FLOATS, "i": INTEGERS, "s": SIGNED, "u": UNSIGNED, "n": NUMBERS, "b": ("bool",), "a": NUMBERS + ("bool",)}
WEIGHTS = {"f32": 6.0, "f64": 2.0, "f16": 2.0, "bf16": 2.0}
MAX_ELEMENTS = 3000


def allowed(op, domain, port, is_output=False):
    """Element types that the newest schema of the operator has for an input."""
    schema = onnx.defs.get_schema(op, onnx.defs.onnx_opset_version() if domain == "" else 1, domain)
    ports = schema.outputs if is_output else schema.inputs
    names = {"float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "bool": "bool"}
    found = []
    for text in ports[min(port, len(ports) - 1)].types:
        text = text[len("tensor("):-1] if text.startswith("tensor(") else ""
        found.append(names.get(text) or (text.replace("uint", "u").replace("int", "i")))
    return found


class Draw:
    def __init__(self, seed, op, index, size, domain=""):
        key = [seed, zlib.crc32(op.encode()), index]
        self.op, self.domain, self.index, self.size = op, domain, index, size
        self.structure = np.random.default_rng(key + [0])
        self.contents = np.random.default_rng(key + [1 + size])

    # ---- structure

    def chance(self, p):
        return bool(self.structure.random() < p)

    def pick(self, *options):
        return options[int(self.structure.integers(len(options)))]

    def int(self, lo, hi):
        """lo to hi, both included."""
        return int(self.structure.integers(lo, hi + 1))

    def number(self, lo, hi):
        """A float attribute: ONNX stores these in f32."""
        return float(np.float32(self.structure.uniform(lo, hi)))

    def dtype(self, kinds="f", port=0):
        options = [t for t in KINDS[kinds] if t in allowed(self.op, self.domain, port)]
        weights = np.array([WEIGHTS.get(t, 1.0) for t in options])
        return options[int(self.structure.choice(len(options), p=weights / weights.sum()))]

    def rank(self, lo=0, hi=5):
        return self.int(lo, hi)

    def axis(self, rank):
        """An axis and how it is written, perhaps counted from the end."""
        axis = self.int(0, rank - 1)
        return axis, axis - rank if self.chance(0.4) else axis

    def some_axes(self, rank, at_least=0):
        n = self.int(min(at_least, rank), rank)
        return sorted(int(a) for a in self.structure.permutation(rank)[:n])

    # ---- contents

    def extent(self, lo=0, hi=None):
        """Mostly small, sometimes 0 or 1, sometimes longer than a vector or a tile."""
        r = self.contents.random()
        if hi is None:
            hi = 9 if r < 0.75 else 40 if r < 0.95 else 150
        if lo <= 1 and r < 0.12:
            return 1
        if lo == 0 and r < 0.15:
            return 0
        return int(self.contents.integers(max(lo, 1), max(hi, lo, 1) + 1))

    def shape(self, rank, lo=0, limit=MAX_ELEMENTS):
        extents = [self.extent(lo) for _ in range(rank)]
        if limit == MAX_ELEMENTS and rank and self.contents.random() < 0.08:  # one axis longer than any tile
            long = int(self.contents.integers(rank))
            extents = [min(e, 5) for e in extents]
            extents[long] = int(self.contents.integers(100, 2000))
        while np.prod(extents, dtype=float) > limit:
            i = int(np.argmax(extents))
            extents[i] = max(lo, extents[i] // 2, 1)
        return extents

    def broadcast(self, n, rank=None, lo=0):
        """n shapes that broadcast: which axes are 1 or left out is structure; now and then another turns out 1."""
        rank = self.rank() if rank is None else rank
        whole, shapes = self.shape(rank, lo), []
        for _ in range(n):
            left_out = self.int(0, rank) if self.chance(0.3) else 0
            ones = [self.chance(0.2) for _ in range(rank)]
            turns_out = self.contents.random(rank) < 0.08
            shapes.append([1 if ones[i] or turns_out[i] else whole[i] for i in range(left_out, rank)])
        return shapes

    def floats(self, shape, dtype="f32", lo=-3.0, hi=3.0, special=0.0, tiny=0.0, specials=None):
        """Uniform numbers of lo..hi; `tiny`: the share that is scaled down by up to 2^-30; `special`: the chance that
        some elements are infinite, NaN, zero of either sign, huge or subnormal."""
        v = self.contents.uniform(lo, hi, shape)
        if tiny:
            scale = np.ldexp(1.0, -self.contents.integers(0, 30, shape))
            v = np.where(self.contents.random(shape) < tiny, np.clip(v * scale, lo, hi), v)
        v = np.asarray(v).astype(TYPES[dtype])
        if special and self.contents.random() < special and v.size:
            pool = np.array(special_numbers(dtype) if specials is None else specials, dtype=np.float64)
            hit = self.contents.random(shape) < 0.25
            v = np.where(hit, self.contents.choice(pool, shape), v.astype(np.float64)).astype(TYPES[dtype])
        return v

    def ints(self, shape, dtype="i64", lo=None, hi=None):
        """Without bounds: small numbers, or the whole range and often its ends."""
        if dtype == "bool":
            return self.contents.integers(0, 2, shape).astype(bool)
        n = bits(dtype)
        low, high = (-(1 << (n - 1)), (1 << (n - 1)) - 1) if dtype[0] == "i" else (0, (1 << n) - 1)
        if lo is None and self.contents.random() < 0.4:
            lo, hi = -9, 9
        if lo is not None:
            low, high = max(lo, low), min(hi, high)
        v = self.contents.integers(low, high, shape, dtype=np.uint64 if low >= 0 else np.int64, endpoint=True)
        v = np.asarray(v).astype(object)
        if lo is None and v.size:
            ends = np.array([low, low + 1, high, high - 1, 0, 1, 2, 3, low // 2], dtype=object)
            if dtype[0] == "i":
                ends = np.append(ends, [-1, -2, -5])
            hit = self.contents.random(shape) < 0.5
            v = np.where(hit, ends[self.contents.integers(0, len(ends), shape)], v)
        return np.asarray(v, dtype=object).astype(np.int64 if low < 0 else np.uint64).astype(TYPES[dtype])

    def data(self, shape, dtype, lo=-3.0, hi=3.0, special=0.0):
        """Of any type: floats of lo..hi, integers and bool of their whole range."""
        if is_float(dtype):
            return self.floats(shape, dtype, lo, hi, special)
        return self.ints(shape, dtype)

    def positions(self, shape, extent, dtype="i64", negative=True):
        """Indices into an axis."""
        v = self.contents.integers(0, max(extent, 1), shape)
        if negative:
            v = np.where(self.contents.random(shape) < 0.3, v - extent, v)
        return np.asarray(v).astype(TYPES[dtype])


def special_numbers(dtype):
    digits, lowest, largest = FORMATS[dtype]
    small = 2.0 ** (lowest - digits + 1)
    return [np.inf, -np.inf, np.nan, 0.0, -0.0, largest, -largest, largest / 4, small, -small, 3 * small,
            2.0 ** lowest, -(2.0 ** lowest), 1.0, -1.0, 0.5]
