"""Elementwise operators: oracles in a wider type."""
import math

import numpy as np

from judge import Case, Want, exact, linear, ulp
from number import FORMATS, INTEGERS, TYPES, bits, is_float, name_of, onnx_type, round_to, wide, wrap
from rows import row

erf = np.vectorize(math.erf, otypes=[np.float64])


def phi(x):
    return erf(x.astype(np.float64)).astype(x.dtype)


# ---- one operand, a function of the element. In 80-bit floats always: NumPy's functions of doubles go through vector
# code that has its own ideas of infinities (pow(-inf, 0.5) is NaN there), and a scalar exponent takes short cuts.

# name: (function of the wide element, allowed units in the last place, domain lo, hi)
ELEMENTARY = {
    "Exp": (np.exp, 2, -80, 80), "Log": (np.log, 2, 0, 100), "Sin": (np.sin, 2, -50, 50), "Cos": (np.cos, 2, -50, 50),
    "Tan": (np.tan, 2, -20, 20), "Asin": (np.arcsin, 5, -1, 1), "Acos": (np.arccos, 5, -1, 1),
    "Atan": (np.arctan, 5, -20, 20), "Sinh": (np.sinh, 5, -20, 20), "Cosh": (np.cosh, 5, -20, 20),
    "Tanh": (np.tanh, 5, -10, 10), "Asinh": (np.arcsinh, 5, -1000, 1000), "Acosh": (np.arccosh, 5, 1, 1000),
    "Atanh": (np.arctanh, 5, -1, 1), "Erf": (phi, 5, -5, 5),
}


def elementary(op):
    function, n, lo, hi = ELEMENTARY[op]

    def make(g):
        dtype = g.dtype("f")
        limit = {"f16": 11, "bf16": 80}.get(dtype, hi) if op in ("Exp", "Sinh", "Cosh") else hi
        x = g.floats(g.shape(g.rank()), dtype, max(lo, -limit), min(hi, limit), special=0.5, tiny=0.3)
        y = function(x.astype(np.longdouble))
        # the oracle of erf in f64 is itself of double precision
        return Case(op, [x], [ulp(y, dtype, n + (op == "Erf" and dtype == "f64"))])
    return make


for name in ELEMENTARY:
    row(name)(elementary(name))

# name: function that gives the same bits in any type with the digits of the operand's
EXACT_FLOAT = {
    "Floor": np.floor, "Ceil": np.ceil, "Round": np.rint, "Sqrt": np.sqrt, "Reciprocal": lambda x: 1 / x,
    "Relu": lambda x: np.maximum(x, 0), "Abs": np.abs, "Neg": np.negative,
    "Sign": lambda x: np.where(np.isnan(x) | (x == 0), x, np.sign(x)), "Identity": lambda x: x,
}


def native(x):
    """The type in which a single operation on x can be done and then rounded to x's type without a second rounding to
    matter: f64 itself, double for the others (53 >= 2 * 24 + 2 digits)."""
    return x if x.dtype == np.float64 else x.astype(np.float64)


def exact_unary(op):
    def make(g):
        dtype = g.dtype("a" if op == "Identity" else "n")
        x = g.data(g.shape(g.rank()), dtype, -9, 9, special=0.5)
        if is_float(dtype):
            if op == "Round":
                x = np.where(g.contents.random(x.shape) < 0.3, np.rint(wide(x) * 2) / 2, wide(x)).astype(x.dtype)
            y = exact(EXACT_FLOAT[op](native(x)), dtype, signed_zeros=op != "Relu")
        else:
            y = exact(wrap(EXACT_FLOAT[op](x.astype(object)) if op != "Sign" else
                           np.sign(x.astype(np.float64)).astype(int), dtype), dtype)
        return Case(op, [x], [y])
    return make


for name in EXACT_FLOAT:
    row(name, exact_reference=True)(exact_unary(name))


@row("Not")
def make_not(g):
    x = g.ints(g.shape(g.rank()), "bool")
    return Case("Not", [x], [exact(~x)])


@row("BitwiseNot")
def make_bitwise_not(g):
    dtype = g.dtype("i")
    x = g.ints(g.shape(g.rank()), dtype)
    return Case("BitwiseNot", [x], [exact(~x)])


@row("IsNaN")
def make_is_nan(g):
    dtype = g.dtype("f")
    x = g.floats(g.shape(g.rank()), dtype, special=0.9)
    return Case("IsNaN", [x], [exact(np.isnan(wide(x)))])


@row("IsInf")
def make_is_inf(g):
    dtype = g.dtype("f")
    x = g.floats(g.shape(g.rank()), dtype, special=0.9)
    low, high = g.pick(0, 1), g.pick(0, 1)
    w = wide(x)
    y = (np.isposinf(w) & bool(high)) | (np.isneginf(w) & bool(low))
    return Case("IsInf", [x], [exact(y)], {"detect_negative": low, "detect_positive": high})


# ---- activations: several operations, each rounded; m is the sum of the terms' absolute values

def sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def gelu_erf(x):
    return 0.5 * x * (1 + phi(x / np.sqrt(np.longdouble(2)).astype(x.dtype)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def absolute(x, y, **_):
    return np.abs(y)


SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875
# name: (function, m as a function of x, y and the attributes, {attribute: (lo, hi)}, extra element types?)
ACTIVATIONS = {
    "Sigmoid": (sigmoid, absolute, {}),
    "Softplus": (softplus, absolute, {}),
    "Softsign": (lambda x: x / (1 + np.abs(x)), absolute, {}),
    "Elu": (lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), absolute, {"alpha": (0.2, 2)}),
    "Selu": (lambda x, alpha, gamma: gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), absolute,
             {"alpha": (0.5, 2), "gamma": (0.5, 2)}),
    "Celu": (lambda x, alpha: np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(np.minimum(x, 0) / alpha)),
             lambda x, y, alpha: np.maximum(x, 0) + alpha * (np.exp(np.minimum(x, 0) / alpha) *
                                                            (1 - np.minimum(x, 0) / alpha) + 1), {"alpha": (0.3, 2)}),
    "LeakyRelu": (lambda x, alpha: np.where(x >= 0, x, alpha * x), absolute, {"alpha": (-0.5, 0.5)}),
    "HardSigmoid": (lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
                    lambda x, y, alpha, beta: np.minimum(np.abs(alpha * x), 2) + np.abs(beta),
                    {"alpha": (0.05, 1), "beta": (-1, 1)}),
    "HardSwish": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1), lambda x, y: np.abs(x) * np.minimum(np.abs(x) / 6 + 0.5, 2),
                  {}),
    "Mish": (lambda x: x * np.tanh(softplus(x)), absolute, {}),
    "Swish": (lambda x, alpha: x * sigmoid(alpha * x), lambda x, y, alpha: np.abs(y) * (1 + np.abs(alpha * x)),
              {"alpha": (-2, 2)}),
}
# 1 + exp(-x) is infinite where the result is subnormal: IR.md has the formula, not its limit.
SMALL_TAIL = ("Sigmoid", "Swish", "Mish")


def activation(op):
    function, m, ranges = ACTIVATIONS[op]

    def make(g):
        dtype = g.dtype("f")
        attributes = {name: g.number(*span) for name, span in ranges.items()}
        lo, hi = (-9, 9) if dtype == "f16" else (-30, 30)
        x = g.floats(g.shape(g.rank()), dtype, lo, hi, special=0.0 if op in SMALL_TAIL else 0.3, tiny=0.3,
                     specials=[np.nan, 0.0, -0.0, np.inf if op != "Softsign" else 1e4, 100.0, 2.0 ** -30])
        w = wide(x)
        y = function(w, **attributes)
        bound = linear(y, dtype, 1, m(w, y, **attributes))
        return Case(op, [x], [bound], attributes)
    return make


for name in ACTIVATIONS:
    row(name)(activation(name))


@row("Gelu")
def make_gelu(g):
    dtype = g.dtype("f")
    x = g.floats(g.shape(g.rank()), dtype, -8, 8, tiny=0.3)
    tanh, w = g.chance(0.5), wide(x)
    y = (gelu_tanh if tanh else gelu_erf)(w)
    return Case("Gelu", [x], [linear(y, dtype, 1, np.abs(w))], {"approximate": "tanh" if tanh else "none"})


@row("ThresholdedRelu", exact_reference=True)
def make_thresholded_relu(g):
    dtype, alpha = g.dtype("f"), g.pick(0.5, 1.0, -0.25, 2.0)
    x = g.floats(g.shape(g.rank()), dtype, special=0.3)
    w = wide(x)
    return Case("ThresholdedRelu", [x], [exact(np.where(w > alpha, w, 0), dtype)], {"alpha": alpha})


@row("Shrink", exact_reference=True)
def make_shrink(g):
    dtype, bias, lambd = g.dtype("n"), g.pick(0.0, 0.5, -1.0), g.pick(0.5, 1.0)
    if not is_float(dtype):
        bias, lambd = g.pick(0.0, 1.0), g.pick(1.0, 2.0)
    shape = g.shape(g.rank())
    x = g.floats(shape, dtype, special=0.3) if is_float(dtype) else g.ints(shape, dtype, -20, 20)
    w = native(x) if is_float(dtype) else x.astype(object)
    y = np.where(w < -lambd, w + bias, np.where(w > lambd, w - bias, 0))
    y = exact(y, dtype) if is_float(dtype) else exact(wrap(np.asarray(y, dtype=object).astype(int), dtype))
    return Case("Shrink", [x], [y], {"bias": bias, "lambd": lambd})


@row("PRelu")
def make_prelu(g):
    dtype, rank = g.dtype("n"), g.rank()
    shape = g.shape(rank)
    slope = [1 if g.chance(0.4) else e for e in shape][g.int(0, rank):]
    if is_float(dtype):
        x, s = g.floats(shape, dtype, special=0.3), g.floats(slope, dtype)
        y = np.where(wide(x) >= 0, wide(x), wide(x) * wide(s))
        return Case("PRelu", [x, s], [linear(y, dtype, 0, np.abs(y))])
    x, s = g.ints(shape, dtype), g.ints(slope, dtype)
    return Case("PRelu", [x, s], [exact(np.where(x >= 0, x, wrap(x.astype(object) * s.astype(object), dtype)))])


@row("Clip", exact_reference=True)
def make_clip(g):
    dtype = g.dtype("n")
    shape, low, high = g.shape(g.rank()), None, None
    x = g.data(shape, dtype, special=0.3)
    constant = {i for i in (1, 2) if g.chance(0.5)}
    has = g.pick((1, 1), (1, 0), (0, 1), (0, 0))
    # constant bounds must be the same for all sizes of a case
    if is_float(dtype):
        bounds = [np.array(v).astype(TYPES[dtype]) for v in (g.number(-2, 0.5), g.number(0, 2))]
    else:
        bounds = [np.array(v).astype(TYPES[dtype]) for v in (g.int(0, 9), g.int(5, 100))]
    y = wide(x)
    if has[0]:
        low = bounds[0]
        y = np.maximum(y, wide(low)[()])
    if has[1]:
        high = bounds[1]
        y = np.minimum(y, wide(high)[()])
    y = np.asarray(y)
    return Case("Clip", [x, low, high], [exact(y if is_float(dtype) else wrap(y, dtype), dtype)], constant=constant)


# ---- two and more operands

def divide(a, b):
    """Toward zero; by zero 0."""
    safe = np.where(b == 0, 1, b)
    q = np.abs(a) // np.abs(safe)
    return np.where(b == 0, 0, np.where((a < 0) != (b < 0), -q, q))


def modulo(a, b):
    """With the sign of b; by zero 0."""
    return np.where(b == 0, 0, a - np.where(b == 0, 1, b) * (a // np.where(b == 0, 1, b)))


def remainder(a, b):
    return np.where(b == 0, 0, a - b * divide(a, b))


ARITHMETIC = {"Add": (np.add, np.add), "Sub": (np.subtract, np.subtract), "Mul": (np.multiply, np.multiply),
              "Div": (np.divide, divide)}


def arithmetic(op):
    def make(g):
        dtype = g.dtype("n")
        a, b = (g.data(s, dtype, -9, 9, special=0.4) for s in g.broadcast(2))
        if is_float(dtype):
            y = exact(ARITHMETIC[op][0](native(a), native(b)), dtype, signed_zeros=True)
        else:
            y = exact(wrap(ARITHMETIC[op][1](a.astype(object), b.astype(object)), dtype))
        return Case(op, [a, b], [y], constant={1} if g.chance(0.2) else set())
    return make


for name in ARITHMETIC:
    row(name, exact_reference=True, weight=2)(arithmetic(name))


@row("Mod", exact_reference=True)
def make_mod(g):
    dtype = g.dtype("n")
    fmod = 1 if is_float(dtype) else g.pick(0, 1)
    a, b = (g.data(s, dtype, -9, 9, special=0.3) for s in g.broadcast(2))
    if is_float(dtype):
        y = exact(np.fmod(native(a), native(b)), dtype, signed_zeros=True)
    else:
        y = exact(wrap((remainder if fmod else modulo)(a.astype(object), b.astype(object)), dtype))
    return Case("Mod", [a, b], [y], {"fmod": fmod})


@row("Pow")
def make_pow(g):
    dtype = g.dtype("n")
    shape_a, shape_b = g.broadcast(2)
    if is_float(dtype):
        dtype_b = g.pick(dtype, dtype, "f32", "i32", "i64")
        a = g.floats(shape_a, dtype, 0, 5, special=0.3, specials=[0.0, 1.0, np.inf, np.nan, 0.5, 2.0])
        if dtype_b[0] == "i":
            b = g.ints(shape_b, dtype_b, -4, 5)
            a = np.where(g.contents.random(a.shape) < 0.3, -wide(a), wide(a)).astype(a.dtype)
        else:
            b = g.floats(shape_b, dtype_b, -3, 3, special=0.3, specials=[0.0, 1.0, 2.0, 3.0, -1.0, 0.5, np.inf])
        y = np.power(a.astype(np.longdouble), b.astype(np.longdouble))
        return Case("Pow", [a, b], [ulp(np.asarray(y), dtype, 5)])
    # through f64, which holds these results
    a, b = g.ints(shape_a, dtype, -5, 5), g.ints(shape_b, g.pick("i32", "i64"), 0, 6)
    y = wrap(np.asarray(a.astype(object) ** b.astype(object), dtype=object), dtype)
    low, high = np.iinfo(y.dtype).min, np.iinfo(y.dtype).max
    whole = np.asarray(a.astype(object) ** b.astype(object))
    free = np.asarray((whole < low) | (whole > high)).astype(bool)
    return Case("Pow", [a, b], [exact(y, free=free)])


@row("Pow.square")
def make_square(g):
    dtype = g.dtype("f")
    a, b = g.floats(g.shape(g.rank()), dtype, special=0.3), np.array(g.pick(2.0, 0.5, 3.0, -1.0)).astype(TYPES[dtype])
    y = np.power(a.astype(np.longdouble), np.broadcast_to(b.astype(np.longdouble), a.shape))
    return Case("Pow", [a, b], [ulp(y, dtype, 5)], constant={1})


def extreme(op):
    def make(g):
        dtype, n = g.dtype("n"), g.int(1, 4)
        xs = [g.data(s, dtype, special=0.4) for s in g.broadcast(n)]
        y = wide(xs[0])
        for x in xs[1:]:
            y = (np.maximum if op == "Max" else np.minimum)(y, wide(x))
        return Case(op, xs, [exact(np.asarray(y), dtype) if is_float(dtype) else exact(wrap(y, dtype))])
    return make


row("Max", exact_reference=True)(extreme("Max"))
row("Min", exact_reference=True)(extreme("Min"))


def sums(op):
    def make(g):
        dtype, n = g.dtype("f"), g.int(1, 5)
        xs = [g.floats(s, dtype, special=0.2, specials=[np.inf, np.nan, 0.0, -0.0]) for s in g.broadcast(n)]
        y, m = sum(wide(x) for x in xs), sum(np.abs(wide(x)) for x in xs)
        if op == "Mean":
            y, m = y / n, m / n
        return Case(op, xs, [linear(y, dtype, n, m)])
    return make


row("Sum")(sums("Sum"))
row("Mean")(sums("Mean"))

LOGICAL = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor, "BitwiseAnd": np.bitwise_and,
           "BitwiseOr": np.bitwise_or, "BitwiseXor": np.bitwise_xor}
COMPARE = {"Equal": np.equal, "Less": np.less, "LessOrEqual": np.less_equal, "Greater": np.greater,
           "GreaterOrEqual": np.greater_equal}


def logical(op):
    def make(g):
        dtype = g.dtype("i") if op.startswith("Bitwise") else "bool"
        a, b = (g.ints(s, dtype) for s in g.broadcast(2))
        return Case(op, [a, b], [exact(LOGICAL[op](a, b))])
    return make


def compare(op):
    def make(g):
        dtype = g.dtype("a" if op == "Equal" else "n")
        a, b = (g.data(s, dtype, special=0.4) for s in g.broadcast(2))
        if is_float(dtype) and g.chance(0.5):  # so that some are equal
            a, b = (np.rint(wide(x)).astype(x.dtype) for x in (a, b))
        return Case(op, [a, b], [exact(np.asarray(COMPARE[op](wide(a), wide(b))).astype(bool))])
    return make


for name in LOGICAL:
    row(name)(logical(name))
for name in COMPARE:
    row(name, exact_reference=True)(compare(name))


@row("BitShift")
def make_bit_shift(g):
    dtype, left = g.dtype("u"), g.chance(0.5)
    shape_a, shape_b = g.broadcast(2)
    a, b = g.ints(shape_a, dtype), g.ints(shape_b, dtype, 0, bits(dtype) + 3)
    wide_a, wide_b = a.astype(object), b.astype(object)
    y = wide_a << wide_b if left else wide_a >> wide_b
    return Case("BitShift", [a, b], [exact(wrap(y, dtype))], {"direction": "LEFT" if left else "RIGHT"})


@row("Where", exact_reference=True)
def make_where(g):
    dtype = g.dtype("a", 1)
    shapes = g.broadcast(3)
    c, a, b = g.ints(shapes[0], "bool"), g.data(shapes[1], dtype, special=0.3), g.data(shapes[2], dtype, special=0.3)
    return Case("Where", [c, a, b], [exact(np.where(c, a, b), signed_zeros=True)])


@row("SwiGLU")
def make_swiglu(g):
    dtype, alpha = g.dtype("f"), g.number(0.5, 2)
    shape = g.shape(g.rank(1))
    a, b = g.floats(shape, dtype, -9, 9), g.floats(shape, dtype)
    w = wide(a)
    y = w * sigmoid(alpha * w) * wide(b)
    return Case("SwiGLU", [a, b], [linear(y, dtype, 2, np.abs(y) * (1 + np.abs(alpha * w)))], {"alpha": alpha})


# ---- casts

CAST_TYPES = ("f64", "f32", "f16", "bf16") + INTEGERS + ("bool",)
SMALL_FLOATS = ("f8e4m3", "f8e5m2", "f8e4m3uz", "f8e5m2uz")


def cast_value(x, to):
    """As IR.md section 7 has it: toward zero and saturating to integers, NaN gives 0."""
    source = wide(x) if is_float(name_of(x)) else x.astype(object)
    if is_float(to):
        v = source if source.dtype != object else source.astype(np.longdouble)
        return exact(v, to, signed_zeros=True)
    if to == "bool":
        return exact(np.asarray(source != 0).astype(bool))
    if source.dtype == object:
        return exact(wrap(source, to))
    low, high = int(np.iinfo(TYPES[to]).min), int(np.iinfo(TYPES[to]).max)
    flat = [0 if math.isnan(v) else (high if v > 0 else low) if math.isinf(v) else min(max(int(v), low), high)
            for v in source.ravel()]
    return exact(np.array(flat, dtype=object).reshape(source.shape).astype(TYPES[to]))


def cast_input(g, source):
    shape = g.shape(g.rank())
    span = g.pick(3, 300, 1e5, 1e10, 1e19) if source in ("f32", "f64", "bf16") else g.pick(3, 300, 6e4)
    return g.data(shape, source, -span, span, special=0.4)


@row("Cast", exact_reference=True, weight=4)
def make_cast(g):
    source, to = (g.pick(*CAST_TYPES) for _ in range(2))
    x = cast_input(g, source)
    return Case("Cast", [x], [cast_value(x, to)], {"to": onnx_type(to)})


@row("CastLike", exact_reference=True)
def make_cast_like(g):
    source, to = (g.pick(*CAST_TYPES) for _ in range(2))
    x, like = cast_input(g, source), g.data([2], to)
    return Case("CastLike", [x, like], [cast_value(x, to)])


@row("Cast.i4", exact_reference=True)
def make_cast_nibble(g):
    """Between 4-bit integers and others; from floats ONNX keeps the low bits of what is out of range."""
    small, other = g.pick("i4", "u4"), g.pick("f32", "f16", "i32", "u8", "i8")
    if g.chance(0.5):
        x = g.floats(g.shape(g.rank()), other, -20, 20) if is_float(other) else g.ints(g.shape(g.rank()), other)
        whole = np.trunc(wide(x)).astype(np.int64) if is_float(other) else x
        return Case("Cast", [x], [exact(wrap(whole, small))], {"to": onnx_type(small)})
    x = wrap(g.contents.integers(0, 16, g.shape(g.rank())), small)
    return Case("Cast", [x], [exact(x.astype(np.int64).astype(TYPES[other]))], {"to": onnx_type(other)})


@row("Cast.f8", exact_reference=True)
def make_cast_small(g):
    small, other = g.pick(*SMALL_FLOATS), g.pick("f32", "f16", "bf16")
    largest = FORMATS[small][2]
    if g.chance(0.5):
        x = g.floats(g.shape(g.rank()), other, -largest * 1.2, largest * 1.2, tiny=0.5, special=0.2,
                     specials=[0.0, largest, -largest, 2 * largest])
        y = round_to(wide(x), small, saturate=True)
        return Case("Cast", [x], [Want(y, small, np.zeros(y.shape))], {"to": onnx_type(small)})
    x = g.contents.integers(0, 256, g.shape(g.rank())).astype(np.uint8).view(TYPES[small])
    return Case("Cast", [x], [exact(x.astype(np.float64), other)], {"to": onnx_type(other)})


@row("Cast.no_saturate", exact_reference=True)
def make_cast_overflowing(g):
    """Beyond the largest number: infinity where the format has one, else NaN."""
    small, other = g.pick(*SMALL_FLOATS), g.pick("f32", "f64", "f16", "bf16")
    largest, step = FORMATS[small][2], 2.0 ** (np.floor(np.log2(FORMATS[small][2])) + 1 - FORMATS[small][0])
    x = g.floats(g.shape(g.rank()), other, -largest * 1.2, largest * 1.2, tiny=0.5, special=0.6, specials=[
        0.0, largest, -largest, 2 * largest, largest + step / 2, -largest - step / 2, largest + step / 2.1,
        largest + step / 1.9, np.inf, -np.inf, np.nan])
    y = np.asarray(round_to(wide(x), small).astype(np.float64))
    # a tie at the end goes to the even neighbour: the power above, or the largest number
    y = np.where(np.isinf(y) & (small != "f8e5m2"), np.nan, y)
    return Case("Cast", [x], [exact(y, small)], {"to": onnx_type(small), "saturate": 0})
