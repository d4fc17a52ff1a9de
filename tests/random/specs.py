"""The operators as data: what each takes, which attributes it may have. A row is a function from a Builder and an
element type to one placed node; the type is that of the operand (or result) that the row counts for."""
from dataclasses import dataclass
from typing import Callable

from build import FLOATS, NUMBERS, Reject, allowed, onnx_type_of, schema_of
from number import TYPES, is_float

TABLE = NUMBERS + ("bool",)  # the columns; two of four bits beside them, for casts and quantisation
ROWS = {}
LEFT_OUT = {}  # operator of tenon -> why it has no row


@dataclass
class Row:
    name: str
    op: str
    domain: str
    make: Callable
    port: int           # whose type counts
    of_output: bool
    only: tuple         # types beyond which the row does not go
    why: str            # what is left out by that, and why
    first: int          # opset
    last: int
    smooth: bool        # fit for bodies of loops: one result of the operand's type and shape

    def dtypes(self, opset):
        return [t for t in self.schema_types(opset) if t in (self.only or TABLE)]

    def schema_types(self, opset):
        """Element types that ONNX allows; of onnxruntime's own operators, which have no schema here, the row's."""
        if not self.first <= opset <= self.last:
            return []
        if self.domain == "com.microsoft":
            return list(self.only)
        try:
            schema = schema_of(self.op, self.domain, opset)
        except Exception:  # onnx raises SchemaError, which it does not export
            return []
        return [] if schema.deprecated else allowed(self.op, self.domain, opset, self.port, self.of_output)


def row(op, name=None, domain="", port=0, of_output=False, only=None, why="", first=7, last=99, smooth=False):
    def add(make):
        key = name or ((domain + "." if domain else "") + op)
        assert key not in ROWS, key
        ROWS[key] = Row(key, op, domain, make, port, of_output, only, why, first, last, smooth)
        return make
    return add


def floats_of(b, names):
    """Positions of the operands that are floats."""
    return tuple(i for i, n in enumerate(names) if n and is_float(b.dtype_of(n)))


# ---- one operand: (domain, rounds, also mixes, {attribute: (lo, hi)}, first opset)

BIG = (-1e4, 1e4)
UNARY = {
    "Neg": (None, 0, 0, {}), "Abs": (None, 0, 0, {}), "Sign": (None, 0, 0, {}), "Floor": (BIG, 0, 0, {}),
    "Ceil": (BIG, 0, 0, {}), "Round": (BIG, 0, 0, {}), "Relu": (None, 0, 0, {}), "Identity": (None, 0, 0, {}),
    "Not": (None, 0, 0, {}), "BitwiseNot": (None, 0, 0, {}), "IsNaN": (None, 0, 0, {}), "IsInf": (None, 0, 0, {}),
    "Sqrt": ((0.01, 1e4), 1, 0, {}), "Exp": ((-8, 7), 1, 1, {}), "Log": ((0.01, 1e4), 1, 1, {}),
    "Sin": ((-50, 50), 1, 1, {}), "Cos": ((-50, 50), 1, 1, {}), "Tan": ((-1.2, 1.2), 1, 1, {}),
    "Asin": ((-0.9, 0.9), 1, 1, {}), "Acos": ((-0.9, 0.9), 1, 1, {}), "Atan": (None, 1, 1, {}),
    "Sinh": ((-6, 6), 1, 1, {}), "Cosh": ((-6, 6), 1, 1, {}), "Tanh": (None, 1, 1, {}), "Asinh": (BIG, 1, 1, {}),
    "Acosh": ((1.1, 1e4), 1, 1, {}), "Atanh": ((-0.9, 0.9), 1, 1, {}), "Erf": (BIG, 1, 1, {}),
    "Reciprocal": ((0.05, 1e3), 1, 0, {}), "Sigmoid": ((-9, 60), 1, 1, {}), "Softplus": ((-9, 60), 1, 1, {}),
    "Softsign": (BIG, 1, 1, {}), "Elu": (BIG, 1, 1, {"alpha": (0.2, 2)}),
    "Selu": (BIG, 1, 1, {"alpha": (0.5, 2), "gamma": (0.5, 2)}), "Celu": (BIG, 1, 1, {"alpha": (0.3, 2)}),
    "LeakyRelu": (BIG, 1, 0, {"alpha": (-0.5, 0.5)}),
    "HardSigmoid": (BIG, 1, 1, {"alpha": (0.05, 1), "beta": (-1, 1)}), "HardSwish": (BIG, 1, 1, {}),
    "Mish": ((-6, 60), 1, 1, {}), "Swish": ((-5, 5), 1, 1, {"alpha": (-2, 2)}),
    "ThresholdedRelu": (None, 0, 0, {"alpha": (-1, 2)}),
}
SMOOTH = ("Neg", "Abs", "Relu", "Sin", "Cos", "Tanh", "Sigmoid", "Atan", "Softsign", "Identity", "HardSigmoid")


def unary(op):
    domain, rounds, mixes, ranges = UNARY[op]

    def make(b, dtype):
        span = domain if is_float(dtype) else None
        x = b.value(dtype, domain=span)
        attributes = {k: b.number(*v) for k, v in ranges.items() if b.chance(0.8)}
        if op == "IsInf" and b.chance(0.5):
            attributes = {"detect_negative": b.int(0, 1), "detect_positive": b.int(0, 1)}
        return b.add(op, [x], attributes, rounds=bool(rounds), mixes=(0,) if mixes else None)
    return make


for _op in UNARY:
    row(_op, smooth=_op in SMOOTH)(unary(_op))


@row("Gelu", first=20)
def gelu(b, dtype):
    return b.add("Gelu", [b.value(dtype, domain=(-4, 30))],
                 {"approximate": b.pick("none", "tanh")} if b.chance(0.7) else {}, mixes=(0,))


@row("Gelu", name="com.microsoft.Gelu", domain="com.microsoft", only=("f32",))
def gelu_microsoft(b, dtype):
    return b.add("Gelu", [b.value(dtype, domain=(-4, 30))], domain="com.microsoft", mixes=(0,))


@row("Shrink")
def shrink(b, dtype):
    bias, lambd = (b.pick(0.0, 0.5, -1.0), b.pick(0.5, 1.0)) if is_float(dtype) else (b.pick(0.0, 1.0), 2.0)
    return b.add("Shrink", [b.value(dtype)], {"bias": bias, "lambd": lambd})


@row("Dropout")
def dropout(b, dtype):
    return b.add("Dropout", [b.value(dtype)], {"ratio": 0.3} if b.opset < 12 and b.chance(0.5) else {}, rounds=False)


@row("Clip")
def clip(b, dtype):
    x = b.value(dtype)
    lo, hi = (b.number(-2, 0), b.number(0, 2)) if is_float(dtype) else (b.int(0, 3), b.int(3, 20))
    if b.opset < 11:
        return b.add("Clip", [x], {"min": lo, "max": hi}, rounds=False)
    ends = [b.scalar(lo, dtype) if b.chance(0.7) else "", b.scalar(hi, dtype) if b.chance(0.7) else ""]
    return b.add("Clip", [x] + ends, rounds=False)


@row("Cast")
def cast(b, dtype):
    x = b.value(dtype, zero=0.02)
    to = [t for t in allowed("Cast", "", b.opset, 0, True) if t == dtype or b.castable(x, t)]
    to = [t for t in to if not t.startswith("f8") and t not in ("i4", "u4", "f4e2m1")]
    if not to:
        raise Reject("no type holds this")
    to = b.pick(*to)
    return b.add("Cast", [x], {"to": onnx_type_of(to)}, rounds=is_float(to))


def castable(b, dtype):
    found = [n for n in b.pool if b.castable(n, dtype)]
    other = b.pick(*(t for t in ("f32", "i32", "u8") if t != dtype))
    return b.recent(found) if found else b.new(b.shape(), other, 0, 9)


@row("Cast", name="Cast.to", of_output=True)
def cast_to(b, dtype):
    return b.cast(castable(b, dtype), dtype)


@row("CastLike", first=15, port=1)
def cast_like(b, dtype):
    return b.add("CastLike", [castable(b, dtype), b.value(dtype)], rounds=is_float(dtype))


@row("BitCast", first=26)
def bit_cast(b, dtype):
    width = {"f64": 64, "f32": 32, "f16": 16, "bf16": 16, "bool": 8}.get(dtype) or int(dtype[1:])
    to = [t for t in ("i64", "u64", "i32", "u32", "i16", "u16", "i8", "u8") if int(t[1:]) == width]
    if is_float(dtype):  # exact operands only: the bits of a rounded number are anybody's
        return b.add("BitCast", [b.new(b.shape(), dtype)], {"to": onnx_type_of(b.pick(*to))}, rounds=False)
    return b.add("BitCast", [b.value(dtype)], {"to": onnx_type_of(b.pick(*to))}, rounds=False)


# ---- two and more operands, broadcast

def pair(b, dtype, domains=(None, None), dtype_b=None):
    x = b.value(dtype, domain=domains[0])
    y = b.value(dtype_b or dtype, shape=b.broadcastable(b.shape_of(x)), domain=domains[1])
    return (x, y) if domains != (None, None) or dtype_b or b.chance(0.6) else (y, x)


BINARY = ("Add", "Sub", "Mul", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Equal", "Less", "Greater",
          "LessOrEqual", "GreaterOrEqual")


def binary(op):
    def make(b, dtype):
        if op == "Equal" and is_float(dtype):  # of inputs: what was rounded may be equal by chance
            shape = b.shape()
            return b.add(op, [b.new(shape, dtype), b.new(b.broadcastable(shape), dtype)])
        x, y = pair(b, dtype)
        return b.add(op, [x, y], rounds=op in ("Add", "Sub", "Mul"))
    return make


for _op in BINARY:
    row(_op, smooth=_op in ("Add", "Sub", "Mul"))(binary(_op))

POSITIVE = {True: (0.05, 100.0), False: (1, 100)}


@row("Div")
def div(b, dtype):
    x, y = pair(b, dtype, (None, POSITIVE[is_float(dtype)]))
    return b.add("Div", [x, y])


@row("Mod", first=10)
def mod(b, dtype):
    x, y = pair(b, dtype, (None, POSITIVE[is_float(dtype)]))
    return b.add("Mod", [x, y], {"fmod": 1} if is_float(dtype) or b.chance(0.4) else {}, rounds=False)


@row("Pow")
def power(b, dtype):
    if is_float(dtype):
        other = b.pick(dtype, dtype, "f32", "i32", "i64") if b.opset >= 12 else dtype
        if b.chance(0.4):
            x = b.value(dtype, domain=(0.1, 20))
            return b.add("Pow", [x, b.scalar(b.pick(2, 2, 0.5, 3, -1) if is_float(other) else b.int(0, 3), other)],
                         mixes=(0,))
        x, y = pair(b, dtype, ((0.2, 6), (-2, 3)), other)
        return b.add("Pow", [x, y], mixes=floats_of(b, (x, y)))
    x, y = pair(b, dtype, ((0, 5), (0, 3)), dtype)
    return b.add("Pow", [x, y])


@row("PRelu")
def prelu(b, dtype):
    x = b.value(dtype)
    return b.add("PRelu", [x, b.value(dtype, shape=b.broadcastable(b.shape_of(x)))])


@row("BitShift", first=11)
def bit_shift(b, dtype):
    x, y = pair(b, dtype, (None, (0, 7)))
    return b.add("BitShift", [x, y], {"direction": b.pick("LEFT", "RIGHT")})


def several(op):
    def make(b, dtype):
        x = b.value(dtype)
        others = [b.value(dtype, shape=b.broadcastable(b.shape_of(x))) for _ in range(b.int(0, 3))]
        xs = others + [x] if b.chance(0.5) else [x] + others
        return b.add(op, xs, rounds=op in ("Sum", "Mean"), mixes=floats_of(b, xs) if op in ("Sum", "Mean") else None)
    return make


for _op in ("Max", "Min", "Sum", "Mean"):
    row(_op, first=8)(several(_op))


@row("Where", port=1, first=9)
def where(b, dtype):
    x = b.value(dtype)
    y = b.value(dtype, shape=b.broadcastable(b.shape_of(x)))
    c = b.value("bool", shape=b.broadcastable(b.shape_of(x)))
    return b.add("Where", [c, x, y] if b.chance(0.5) else [c, y, x], rounds=False)


# ---- reductions

def axes_of(b, x, at_least=0):
    rank = len(b.shape_of(x))
    return [a - rank if b.chance(0.3) else a for a in b.some_axes(rank, at_least)]


REDUCE = {"Sum": 1, "Mean": 1, "Max": 0, "Min": 0, "Prod": 1, "L1": 1, "L2": 1, "LogSum": 1, "LogSumExp": 1,
          "SumSquare": 1}


def reduce(kind):
    def make(b, dtype):
        domain = {"Prod": (-1.5, 1.5), "LogSum": (0.1, 50), "LogSumExp": (-20, 20), "L2": (0.1, 100)}.get(kind)
        if not is_float(dtype):
            domain = (-3, 3) if kind == "Prod" else None
        x = b.value(dtype, domain=domain, zero=0.0)
        inputs, attributes = [x], {"keepdims": b.int(0, 1)} if b.chance(0.7) else {}
        axes = axes_of(b, x) if b.chance(0.85) else None
        if axes is not None and b.opset < (13 if kind == "Sum" else 18):
            if axes:
                attributes["axes"] = axes
        elif axes is not None:
            inputs.append(b.ints(*axes))
            if b.chance(0.3):
                attributes["noop_with_empty_axes"] = b.int(0, 1)
        return b.add("Reduce" + kind, inputs, attributes, rounds=bool(REDUCE[kind]),
                     mixes=(0,) if REDUCE[kind] and is_float(dtype) else None)
    return make


ROUNDED = ("Mean", "L2", "LogSum", "LogSumExp")
WHY_ROUNDED = "nobody says how quotients, roots and logarithms of integers round"
for _kind in REDUCE:
    row("Reduce" + _kind, only=FLOATS if _kind in ROUNDED else None,
        why=WHY_ROUNDED if _kind in ROUNDED else "")(reduce(_kind))


def arg_reduce(op):
    def make(b, dtype):
        x = b.value(dtype, 1, zero=0.0)
        attributes = {"axis": b.axis(len(b.shape_of(x)))[1], "keepdims": b.int(0, 1)}
        if b.opset >= 12 and b.chance(0.4):
            attributes["select_last_index"] = b.int(0, 1)
        return b.add(op, [x], attributes)
    return make


row("ArgMax")(arg_reduce("ArgMax"))
row("ArgMin")(arg_reduce("ArgMin"))


@row("TopK")
def top_k(b, dtype):
    x = b.value(dtype, 1, 4, zero=0.0)
    axis, written = b.axis(len(b.shape_of(x)))
    k = b.int(1, b.shape_of(x)[axis])
    attributes = {"axis": written}
    if b.opset < 10:
        return b.add("TopK", [x], {**attributes, "k": k}, n=2, rounds=False)
    if b.opset >= 11:
        attributes["largest"] = b.int(0, 1)
    return b.add("TopK", [x, b.ints(k)], attributes, n=2, rounds=False)


def cumulated(op):
    def make(b, dtype):
        x = b.value(dtype, 1, 4, domain=(-1.5, 1.5) if op == "CumProd" else (-100, 100))
        axis = b.scalar(b.axis(len(b.shape_of(x)))[1], b.pick("i64", "i32"))
        return b.add(op, [x, axis], {"exclusive": b.int(0, 1), "reverse": b.int(0, 1)},
                     mixes=(0,) if is_float(dtype) else None)
    return make


row("CumSum", first=11)(cumulated("CumSum"))
row("CumProd", first=26)(cumulated("CumProd"))


def along(op, least=1, **limits):
    def make(b, dtype):
        x = b.value(dtype, least, domain=(-30, 30), zero=0.0)
        axis, written = b.axis(len(b.shape_of(x)))
        attributes = {"axis": written if b.opset >= 11 or op == "LpNormalization" else axis}
        if op == "LpNormalization":
            attributes["p"] = b.pick(1, 2)
        return b.add(op, [x], attributes if b.chance(0.8) else {}, mixes=(0,), rounds=op != "Hardmax")
    return make


for _op in ("Softmax", "LogSoftmax", "LpNormalization"):
    row(_op)(along(_op))


@row("Hardmax")
def hardmax(b, dtype):
    x = b.value(dtype, 1, zero=0.0)
    return b.add("Hardmax", [x], {"axis": b.axis(len(b.shape_of(x)))[0]}, rounds=False)


# ---- normalisation

@row("MeanVarianceNormalization", first=9)
def mvn(b, dtype):
    x = b.value(dtype, 4, 4, domain=(-30, 30), zero=0.0, fresh=0.6)
    return b.add("MeanVarianceNormalization", [x], {"axes": b.some_axes(4, 1)} if b.chance(0.6) else {}, mixes=(0,))


def statistics(b, dtype):
    """Of doubles in double: the default is single, whose rounding would be all that is seen."""
    return {"epsilon": b.pick(1e-5, 1e-2), **({"stash_type": onnx_type_of("f64")} if dtype == "f64" else {})}


@row("LayerNormalization", first=17)
def layer_norm(b, dtype):
    x = b.value(dtype, 1, domain=(-30, 30), zero=0.0)
    shape = b.shape_of(x)
    axis, written = b.axis(len(shape))
    scale = b.value(dtype, shape=shape[axis:], fresh=0.8)
    bias = b.value(dtype, shape=shape[axis:], fresh=0.8) if b.chance(0.5) else ""
    return b.add("LayerNormalization", [x, scale, bias], {"axis": written, **statistics(b, dtype)},
                 mixes=(0, 1), n=1 if b.chance(0.8) else 3)


@row("RMSNormalization", first=23)
def rms_norm(b, dtype):
    x = b.value(dtype, 1, domain=(-30, 30), zero=0.0)
    shape = b.shape_of(x)
    axis, written = b.axis(len(shape))
    scale = b.value(dtype, shape=shape[axis:], fresh=0.8)
    return b.add("RMSNormalization", [x, scale], {"axis": written, **statistics(b, dtype)}, mixes=(0, 1))


@row("GroupNormalization", first=21)
def group_norm(b, dtype):
    groups, per = b.int(1, 3), b.int(1, 3)
    x = b.value(dtype, shape=b.small([b.int(1, 3), groups * per, *b.shape(1, 3, 0)]), domain=(-30, 30))
    scale, bias = (b.value(dtype, shape=[groups * per], fresh=0.8) for _ in range(2))
    return b.add("GroupNormalization", [x, scale, bias], {"num_groups": groups, **statistics(b, dtype)},
                 mixes=(0, 1))


@row("InstanceNormalization")
def instance_norm(b, dtype):
    x = b.value(dtype, 3, 5, domain=(-30, 30), zero=0.0)
    scale, bias = (b.value(dtype, shape=[b.shape_of(x)[1]], fresh=0.8) for _ in range(2))
    return b.add("InstanceNormalization", [x, scale, bias], {"epsilon": b.pick(1e-5, 1e-2)}, mixes=(0, 1))


@row("BatchNormalization")
def batch_norm(b, dtype):
    x = b.value(dtype, 2, 5, domain=(-30, 30))
    c = [b.shape_of(x)[1]]
    others = [b.value(dtype, shape=c, fresh=0.8) for _ in range(3)] + [
        b.value(dtype, shape=c, domain=(0.2, 3), fresh=0.8)]
    return b.add("BatchNormalization", [x] + others, {"epsilon": b.pick(1e-5, 1e-2)}, mixes=(0, 1, 3, 4))


@row("LRN")
def lrn(b, dtype):
    x = b.value(dtype, 3, 4, domain=(-10, 10))
    return b.add("LRN", [x], {"size": b.pick(1, 3, 5), "alpha": b.pick(0.0001, 0.5), "beta": b.pick(0.75, 0.5),
                              "bias": b.pick(1.0, 2.0)}, mixes=(0,))


# ---- contractions

@row("MatMul", first=9)
def mat_mul(b, dtype):
    x = b.value(dtype, 1, 4, domain=(-20, 20))
    shape = b.shape_of(x)
    k, n = shape[-1], b.extent(0.02)
    lead = b.broadcastable(shape[:-2])
    other = [k] if b.chance(0.15) else [*lead, k, n]
    y = b.value(dtype, shape=b.small(other) if other[-1:] != [k] or len(other) > 1 and k < 40 else other,
                domain=(-20, 20))
    if b.shape_of(y)[-2 if len(b.shape_of(y)) > 1 else -1] != k:
        raise Reject("k")
    return b.add("MatMul", [x, y], mixes=(0, 1) if is_float(dtype) else None)


@row("Gemm")
def gemm(b, dtype):
    x = b.value(dtype, 2, 2, domain=(-20, 20), zero=0.0)
    ta, tb = b.int(0, 1), b.int(0, 1)
    m, k = b.shape_of(x)[::-1] if ta else b.shape_of(x)
    n = min(b.extent(0), max(1, 700 // max(k, m)))
    y = b.value(dtype, shape=[n, k] if tb else [k, n], domain=(-20, 20))
    inputs = [x, y]
    if b.opset < 11 or b.chance(0.6):
        inputs.append(b.value(dtype, shape=b.broadcastable([m, n])))
    attributes = {"transA": ta, "transB": tb}
    if is_float(dtype) and b.chance(0.5):
        attributes.update(alpha=b.number(-2, 2), beta=b.number(-2, 2))
    return b.add("Gemm", inputs, attributes, mixes=(0, 1) if is_float(dtype) else None)


EQUATIONS = ("ij,jk->ik", "bij,bjk->bik", "ij->ji", "ij->", "ij,ij->", "i,j->ij", "bij,jk->bki", "ij,kj->ik", "abc->ca",
             "...ij,...jk->...ik", "...a->...", "ab,bc,cd->ad", "ij,ij->ij", "bhqd,bhkd->bhqk", "ii->i", "i,i->")


@row("Einsum", first=12)
def einsum(b, dtype):
    equation = b.pick(*EQUATIONS)
    extents = {c: b.int(1, 6) for c in "abcdhijkq"}
    dots = [b.int(1, 3) for _ in range(b.int(0, 2))]
    names = []
    for term in equation.split("->")[0].split(","):
        shape = (dots if "..." in term else []) + [extents[c] for c in term if c != "."]
        names.append(b.value(dtype, shape=shape, domain=(-20, 20)))
    return b.add("Einsum", names, {"equation": equation}, mixes=floats_of(b, names) or None)


# ---- convolution and pooling

def window_of(b, extents, transposed=False):
    """Attributes of a window over spatial extents that give at least one position."""
    n = len(extents)
    kernel = [b.int(1, min(4, max(e, 1))) for e in extents]
    attributes = {"kernel_shape": kernel}
    if b.chance(0.6):
        attributes["strides"] = [b.int(1, 3) for _ in range(n)]
    auto = b.pick("NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    if auto != "NOTSET":
        attributes["auto_pad"] = auto
    elif b.chance(0.6):
        attributes["pads"] = [b.int(0, k - 1) for k in kernel] + [b.int(0, k - 1) for k in kernel]
    return attributes


def dilations_of(b, kernel, extents):
    """Such that the window fits: of one that does not the oracles read what is not there."""
    return [b.int(1, 2) if 2 * k - 1 <= e else 1 for k, e in zip(kernel, extents)]


def image(b, dtype, channels=None, domain=(-20, 20)):
    n = b.pick(1, 2, 2, 2, 3)
    shape = [b.int(1, 3), channels or b.pick(1, 2, 3, 4, 6, 8), *(b.int(1, 9) for _ in range(n))]
    return b.value(dtype, shape=b.small(shape), domain=domain)


@row("Conv")
def conv(b, dtype):
    groups = b.pick(1, 1, 1, 2, 3)
    x = image(b, dtype, groups * b.pick(1, 2, 3, 4))
    shape = b.shape_of(x)
    if shape[1] % groups:
        raise Reject("groups")
    attributes = window_of(b, shape[2:])
    if groups > 1 or b.chance(0.2):
        attributes["group"] = groups
    if b.chance(0.3) and "auto_pad" not in attributes:
        attributes["dilations"] = dilations_of(b, attributes["kernel_shape"], shape[2:])
    out = groups * b.int(1, 5)
    w = b.value(dtype, shape=[out, shape[1] // groups, *attributes["kernel_shape"]], fresh=0.8, domain=(-20, 20))
    bias = b.value(dtype, shape=[out], fresh=0.8) if b.chance(0.5) else ""
    if b.chance(0.3):
        del attributes["kernel_shape"]
    return b.add("Conv", [x, w, bias], attributes, mixes=(0, 1))


@row("ConvTranspose")
def conv_transpose(b, dtype):
    groups = b.pick(1, 1, 2)
    x = image(b, dtype, groups * b.int(1, 3))
    shape = b.shape_of(x)
    if shape[1] % groups:
        raise Reject("groups")
    kernel = [b.int(1, 3) for _ in shape[2:]]
    attributes = {"kernel_shape": kernel, "group": groups, "strides": [b.int(1, 3) for _ in kernel]}
    if b.chance(0.4):
        attributes["pads"] = [b.int(0, (k - 1) // 2) for k in kernel] * 2
    if b.chance(0.3):
        attributes["output_padding"] = [b.int(0, s - 1) for s in attributes["strides"]]
    if b.chance(0.2):
        attributes["dilations"] = [b.int(1, 2) for _ in kernel]
    out = b.int(1, 4)
    w = b.value(dtype, shape=[shape[1], out, *kernel], fresh=0.8, domain=(-20, 20))
    bias = b.value(dtype, shape=[out * groups], fresh=0.8) if b.chance(0.5) else ""
    return b.add("ConvTranspose", [x, w, bias], attributes, mixes=(0, 1))


def pool(op):
    def make(b, dtype):
        x = image(b, dtype, domain=(-20, 20) if is_float(dtype) else None)
        attributes = window_of(b, b.shape_of(x)[2:])
        if "strides" in attributes and attributes.get("auto_pad", "").startswith("SAME"):
            # a stride beyond the kernel makes this padding negative, about which the oracles disagree
            attributes["strides"] = [min(s, k) for s, k in zip(attributes["strides"], attributes["kernel_shape"])]
        if op != "LpPool" and b.opset >= 10 and b.chance(0.3) and "auto_pad" not in attributes:
            attributes["ceil_mode"] = 1
        if op == "AveragePool" and b.chance(0.4):
            attributes["count_include_pad"] = 1
        if (op == "MaxPool" and b.opset >= 10) and b.chance(0.3) and "auto_pad" not in attributes:
            attributes["dilations"] = dilations_of(b, attributes["kernel_shape"], b.shape_of(x)[2:])
        if op == "LpPool":
            attributes["p"] = b.pick(1, 2)
        n = 2 if op == "MaxPool" and b.chance(0.2) else 1
        return b.add(op, [x], attributes, rounds=op != "MaxPool", mixes=(0,) if op != "MaxPool" else None, n=n)
    return make


for _op in ("MaxPool", "AveragePool", "LpPool"):
    row(_op)(pool(_op))


def global_pool(op):
    def make(b, dtype):
        return b.add(op, [image(b, dtype)], {"p": b.pick(1, 2)} if op == "GlobalLpPool" else {},
                     rounds=op != "GlobalMaxPool", mixes=(0,) if op != "GlobalMaxPool" else None)
    return make


for _op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
    row(_op)(global_pool(_op))
