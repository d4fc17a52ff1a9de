"""Builds a random graph: values that exist, or are made to fit by views and clips, become operands. Every node is
evaluated as it is added (oracle.py), so its result's type, shape and contents are known; a node that no oracle
evaluates, or whose result is not finite, is taken back."""
import numpy as np
import onnx.defs

import oracle
from graph import Graph, Node, version_of
from number import FLOATS, FORMATS, INTEGERS, NUMBERS, TYPES, bits, is_float, name_of

EXTENTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17, 20, 33]
CHANCES = np.array([7, 9, 9, 8, 7, 5, 5, 5, 3, 2, 2, 2, 2, 1, 1], float)
CHANCES /= CHANCES.sum()
MOST = 700  # elements
LARGEST = {"f16": 2000.0, "bf16": 1e8, "f32": 1e8, "f64": 1e12}


class Reject(Exception):
    """This operator cannot be placed here; another is tried."""


def schema_of(op, domain, opset):
    return onnx.defs.get_schema(op, version_of(domain, opset), domain)


def allowed(op, domain, opset, port, is_output=False):
    schema = schema_of(op, domain, opset)
    ports = schema.outputs if is_output else schema.inputs
    names = {"float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "bool": "bool"}
    found = set()
    for text in ports[min(port, len(ports) - 1)].types:  # a set: in no order
        text = text[len("tensor("):-1] if text.startswith("tensor(") else ""
        found.add(names.get(text) or text.replace("uint", "u").replace("int", "i"))
    return [t for t in TYPES if t in found]


class Builder:
    def __init__(self, rng, opset, outer=None):
        self.rng, self.opset, self.outer = rng, opset, outer
        self.graph, self.values, self.pool, self.n = Graph(opset), dict(outer.values) if outer else {}, [], 0
        if outer:
            self.pool = list(outer.pool)

    # ---- random choices

    def chance(self, p):
        return bool(self.rng.random() < p)

    def pick(self, *options):
        if not options:
            raise Reject("no choice")
        return options[int(self.rng.integers(len(options)))]

    def int(self, lo, hi):
        return int(self.rng.integers(lo, hi + 1))

    def number(self, lo, hi):
        return float(np.float32(self.rng.uniform(lo, hi)))

    def extent(self, zero=0.03):
        return 0 if self.rng.random() < zero else int(self.rng.choice(EXTENTS, p=CHANCES))

    def shape(self, lo=0, hi=5, zero=0.03):
        return self.small([self.extent(zero) for _ in range(self.int(lo, hi))])

    def small(self, extents, most=MOST):
        extents = list(extents)
        while np.prod(extents, dtype=float) > most:
            i = int(np.argmax(extents))
            extents[i] = max(1, extents[i] // 2)
        return extents

    def axis(self, rank):
        """An axis, and how it is written."""
        if rank < 1:
            raise Reject("rank")
        axis = self.int(0, rank - 1)
        return axis, axis - rank if self.chance(0.4) else axis

    def some_axes(self, rank, at_least=0):
        return sorted(int(a) for a in self.rng.permutation(rank)[:self.int(min(at_least, rank), rank)])

    def broadcastable(self, shape):
        """A shape that broadcasts to `shape`."""
        shape = [1 if self.chance(0.2) else e for e in shape]
        return shape[self.int(0, len(shape)):] if self.chance(0.3) else shape

    # ---- data

    def data(self, shape, dtype, lo=-3.0, hi=3.0):
        if dtype == "bool":
            return self.rng.integers(0, 2, shape).astype(bool)
        if is_float(dtype):
            x = np.asarray(self.rng.uniform(lo, hi, shape))
            if self.chance(0.15):
                x = np.clip(np.rint(x), np.ceil(lo), np.floor(hi)) if np.ceil(lo) <= np.floor(hi) else x
            y = x.astype(TYPES[dtype])
            return y
        n = bits(dtype)
        low, high = (-(1 << (n - 1)), (1 << (n - 1)) - 1) if dtype[0] == "i" else (0, (1 << n) - 1)
        if (lo, hi) != (-3.0, 3.0) or self.chance(0.8):
            wide = (lo, hi) if (lo, hi) != (-3.0, 3.0) else (-9, 20)
            low, high = max(low, int(np.ceil(wide[0]))), min(high, int(np.floor(wide[1])))
        if low > high:
            raise Reject("no such integers")
        v = self.rng.integers(low, high, shape, dtype=np.uint64 if low >= 0 else np.int64, endpoint=True)
        return np.asarray(v).astype(TYPES[dtype])

    # ---- values and nodes

    def name(self, kind):
        self.n += 1
        return f"{self.outer_prefix()}{kind}{self.n}"

    def outer_prefix(self):
        return "" if self.outer is None else f"b{self.outer.n}_"

    def const(self, array):
        name = self.name("c")
        self.graph.constants[name] = self.values[name] = np.asarray(array)
        return name

    def ints(self, *values, dtype="i64"):
        return self.const(np.array(values, TYPES[dtype]).reshape(len(values)))

    def scalar(self, value, dtype="i64"):
        return self.const(np.array(value).astype(TYPES[dtype]))

    def given(self, array):
        """An input or a constant that is this array."""
        if self.outer is not None or self.chance(0.4):
            return self.const(array)
        name = self.name("x")
        self.graph.inputs[name] = self.values[name] = np.asarray(array)
        self.pool.append(name)
        return name

    def new(self, shape, dtype, lo=-3.0, hi=3.0, constant=None):
        x = self.data(shape, dtype, lo, hi)
        if self.outer is not None or (self.chance(0.3) if constant is None else constant):
            return self.const(x)
        name = self.name("x")
        self.graph.inputs[name] = self.values[name] = x
        self.pool.append(name)
        return name

    def add(self, op, inputs, attributes=None, n=1, domain="", mixes=None, rounds=True, limit=True):
        """Adds a node; the names of its results. Names in `n` (a list of 0 and 1) may be left out."""
        inputs = list(inputs)
        while inputs and not inputs[-1]:
            inputs.pop()
        present = [1] * n if isinstance(n, int) else list(n)
        while present and not present[-1]:
            present.pop()
        outputs = [self.name("v") if p else "" for p in present]
        node = Node(op, inputs, outputs, attributes or {}, domain, mixes, rounds)
        try:
            results = oracle.evaluate(node, self.values, self.opset)
        except oracle.Unable as unable:
            raise Reject(str(unable)) from None
        for y in results:
            if name_of(y) in FORMATS and not oracle.finite(y, LARGEST.get(name_of(y)) if limit else None):
                raise Reject("not finite")
            if y.size > 6 * MOST or y.ndim > 8:
                raise Reject("too large")
        self.graph.nodes.append(node)
        for name, y in zip([o for o in outputs if o], results):
            self.values[name] = y
            self.pool.append(name)
        named = [o for o in outputs]
        return named[0] if len(named) == 1 else named

    def of(self, name):
        return self.values[name]

    def shape_of(self, name):
        return list(self.values[name].shape)

    def dtype_of(self, name):
        return name_of(self.values[name])

    # ---- operands

    def fits(self, name, dtype, ranks, domain):
        x = self.values[name]
        if name_of(x) != dtype or not ranks[0] <= x.ndim <= ranks[1]:
            return False
        return domain is None or self.inside(x, domain)

    def inside(self, x, domain):
        if x.size == 0 or x.dtype == bool:
            return True
        w = x.astype(np.float64)
        return bool(w.min() >= domain[0] and w.max() <= domain[1])

    def recent(self, found):
        """Mostly what was made lately, so that chains grow."""
        weights = np.array([1.0 + 3.0 * i / len(found) + (2.0 if n[-1] != "x" else 0) for i, n in enumerate(found)])
        return found[int(self.rng.choice(len(found), p=weights / weights.sum()))]

    def value(self, dtype, lo=0, hi=5, domain=None, shape=None, fresh=0.25, constant=None, zero=0.03):
        """An operand of a type, of a rank of lo..hi or of a given shape, within a domain."""
        if shape is not None:
            return self.shaped(dtype, shape, domain, fresh, constant)
        if not self.chance(fresh):
            found = [n for n in self.pool if self.fits(n, dtype, (lo, hi), None)]
            if zero == 0:
                found = [n for n in found if self.values[n].size]
            if found:
                return self.clipped(self.viewed(self.recent(found), lo, hi), domain)
            found = [n for n in self.pool if lo <= self.values[n].ndim <= hi and self.castable(n, dtype) and
                     (zero or self.values[n].size)]
            if found:
                return self.clipped(self.cast(self.recent(found), dtype), domain)
        span = domain if domain is not None else (-3.0, 3.0)
        return self.new(self.shape(lo, hi, zero), dtype, *span, constant=constant)

    def castable(self, name, dtype):
        """Whether the contents survive: no value outside the type, whose cast nobody defines."""
        x = self.values[name]
        if name_of(x) == dtype or dtype in ("i4", "u4") or name_of(x) in ("i4", "u4"):
            return False
        if dtype == "bool" and is_float(name_of(x)):  # what ought to be zero may be a rounding error
            return name in self.graph.inputs or name in self.graph.constants or \
                bool((np.abs(x.astype(np.float64)) > 1e-4).all())
        if dtype == "bool" or x.size == 0 or x.dtype == bool:
            return True
        limits = (-LARGEST[dtype], LARGEST[dtype]) if dtype in LARGEST else \
            (-(2.0 ** (bits(dtype) - 1)), 2.0 ** (bits(dtype) - 1) - 1) if dtype[0] == "i" else \
            (0.0, 2.0 ** bits(dtype) - 1)
        return self.inside(x, (limits[0], limits[1] * 0.99))

    def cast(self, name, dtype):
        return self.add("Cast", [name], {"to": onnx_type_of(dtype)}, rounds=is_float(dtype))

    def clipped(self, name, domain):
        x = self.values[name]
        if domain is None or self.inside(x, domain):
            return name
        dtype = name_of(x)
        lo, hi = (self.scalar(v, dtype) for v in self.limits(domain, dtype))
        if self.opset >= 12:
            return self.add("Clip", [name, lo, hi])
        if not is_float(dtype) and self.opset < 12:
            raise Reject("no Clip of integers")
        return self.add("Min", [self.add("Max", [name, lo]), hi])

    def limits(self, domain, dtype):
        if is_float(dtype):
            return domain
        n = bits(dtype)
        low, high = (-(1 << (n - 1)), (1 << (n - 1)) - 1) if dtype[0] == "i" else (0, (1 << n) - 1)
        return max(int(np.ceil(domain[0])), low), min(int(np.floor(domain[1])), high)

    def shaped(self, dtype, shape, domain, fresh, constant):
        shape = list(shape)
        span = domain if domain is not None else (-3.0, 3.0)
        if self.outer is not None or not self.chance(fresh):
            same = [n for n in self.pool if self.fits(n, dtype, (0, 8), None)]
            exact = [n for n in same if self.shape_of(n) == shape]
            if exact and self.chance(0.8):
                return self.clipped(self.recent(exact), domain)
            if same and not self.outer:
                return self.clipped(self.fit(self.recent(same), shape), domain)
        return self.new(shape, dtype, *span, constant=constant)

    # ---- views

    def viewed(self, name, lo, hi):
        """Now and then a view of the value instead."""
        x = self.values[name]
        if x.ndim == 0 or not self.chance(0.35):
            return name
        which = self.int(0, 4)
        if which == 0 and x.ndim > 1:
            return self.add("Transpose", [name], {"perm": [int(a) for a in self.rng.permutation(x.ndim)]})
        if which == 1 and lo <= x.ndim:
            return self.slice_some(name)
        if which == 2 and x.size:
            shape = self.factored(x.size, lo, hi)
            return self.add("Reshape", [name, self.ints(*shape)]) if shape else name
        if which == 3 and x.size:
            axis, _ = self.axis(x.ndim)
            other = self.slice_some(name) if self.chance(0.5) else name
            if [e for i, e in enumerate(self.shape_of(other)) if i != axis] == \
               [e for i, e in enumerate(x.shape) if i != axis] and x.size <= MOST:
                return self.add("Concat", [name, other], {"axis": axis})
        return name

    def factored(self, size, lo, hi):
        """Extents with the product `size`, some of them merged as the dice fall."""
        rank, rest, shape = self.int(max(lo, 1), max(hi, 1)), size, []
        for _ in range(rank - 1):
            divisors = [d for d in range(1, min(rest, 20) + 1) if rest % d == 0]
            shape.append(self.pick(*divisors))
            rest //= shape[-1]
        return shape + [rest]

    def slice_some(self, name):
        x = self.values[name]
        starts, ends, axes, steps = [], [], [], []
        for axis in self.some_axes(x.ndim, 1):
            n = x.shape[axis]
            a, b = sorted((self.int(0, n), self.int(0, n)))
            if a == b and n:
                a, b = 0, n
            step = self.pick(1, 1, 1, 2, -1, -2, 3) if self.opset >= 10 else 1
            if step < 0:
                a, b = b - 1, (a - 1 if a > 0 else -(n + 1))
            starts.append(a - n if self.chance(0.2) and a > 0 else a)
            ends.append(1 << 31 if b == n and step > 0 and self.chance(0.3) else b)
            axes.append(axis)
            steps.append(step)
        if self.opset < 10:
            return self.add("Slice", [name], {"starts": starts, "ends": ends, "axes": axes})
        kind = self.pick("i64", "i64", "i32")
        if kind == "i32":
            ends = [min(e, (1 << 31) - 1) for e in ends]
        return self.add("Slice", [name] + [self.ints(*v, dtype=kind) for v in (starts, ends, axes, steps)])

    def fit(self, name, shape):
        """The value made to have a shape by views."""
        x = self.values[name]
        size = int(np.prod(shape))
        if list(x.shape) == shape:
            return name
        if sorted(x.shape) == sorted(shape) and x.ndim > 1 and self.chance(0.7):
            left, perm = list(range(x.ndim)), []
            for e in shape:
                perm.append(next(i for i in left if x.shape[i] == e))
                left.remove(perm[-1])
            return self.add("Transpose", [name], {"perm": perm})
        if x.size == 0 or size == 0:
            raise Reject("empty")
        if x.ndim <= len(shape) and all(a in (1, b) for a, b in zip(x.shape[::-1], shape[::-1])) and \
                self.opset >= 8:
            return self.add("Expand", [name, self.ints(*shape)])
        flat = name if x.ndim == 1 else self.add("Reshape", [name, self.ints(-1)])
        n = x.size
        if n < size:
            flat = self.add("Tile", [flat, self.ints(-(-size // n))])
            n = n * -(-size // n)
        if n > size:
            at = self.int(0, n - size)
            flat = self.add("Slice", [flat, self.ints(at), self.ints(at + size), self.ints(0)] if self.opset >= 10
                            else [flat], None if self.opset >= 10 else
                            {"starts": [at], "ends": [at + size], "axes": [0]})
        return flat if len(shape) == 1 else self.add("Reshape", [flat, self.ints(*shape)])

    # ---- taking back

    def mark(self):
        return len(self.graph.nodes), len(self.pool), list(self.graph.inputs), list(self.graph.constants), \
            set(self.values)

    def back(self, mark):
        nodes, pool, inputs, constants, values = mark
        del self.graph.nodes[nodes:]
        del self.pool[pool:]
        self.graph.inputs = {n: self.graph.inputs[n] for n in inputs}
        self.graph.constants = {n: self.graph.constants[n] for n in constants}
        for name in set(self.values) - values:
            del self.values[name]


def onnx_type_of(dtype):
    from number import onnx_type
    return int(onnx_type(dtype))


KINDS = {"f": FLOATS, "i": INTEGERS, "n": NUMBERS, "a": NUMBERS + ("bool",)}
