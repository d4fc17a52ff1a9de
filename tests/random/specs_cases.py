"""Rows of operators that tests/numerics draws by itself: a case of its table becomes a node, its operands those values
or others of the graph in the same shape and range. And operators whose extents are found while running."""
import importlib

import numpy as np
import onnx
from onnx import numpy_helper

from build import Reject, onnx_type_of
from number import TYPES, is_float, name_of
from rows import LEFT_OUT as UNTESTED, ROWS as CASES
from specs import LEFT_OUT, floats_of, row
from specs_shapes import scale_of

for _table in ("shapes", "contractions", "spatial", "sampling", "signal_rows", "fused", "ml", "optimisers", "stateful"):
    importlib.import_module(_table)

LEFT_OUT.update({name: why for name, why in UNTESTED.items() if name not in
                 ("Compress", "NonMaxSuppression", "NonZero", "Unique")})
LEFT_OUT.update({name: "random numbers: tests/ops/random_numbers.py holds their distributions" for name in (
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")})
LEFT_OUT.update({"ai.onnx.ml." + name: "the evaluator gives what is of f32 in the input's type: tests/numerics has it"
                 for name in ("Scaler", "Normalizer", "LinearRegressor", "LinearClassifier")})

LARGEST_OPERAND = 700
WIDEST = 1e5
DRAWS = 60
SAME_TYPE = 15  # draws that look for the very type


def usable(case, port):
    there = [x for x in case.inputs if x is not None]
    return not case.refused and len(case.inputs) > port and case.inputs[port] is not None and all(
        x.size <= LARGEST_OPERAND and (not is_float(name_of(x)) or x.size == 0 or
                                       np.abs(x.astype(np.float64)).max() < WIDEST) for x in there)  # no NaN either


def drawn(b, name, dtype, port):
    """(inputs, attributes, positions of constants, number of results) of a small, finite case of the table whose
    operand `port` has the type; where the table has no such, one of another type, turned into it."""
    other = None
    for draw in range(DRAWS):
        try:
            case = CASES[name].case(b.int(1, 1 << 30), b.int(0, 1 << 20), 0)
        except AssertionError:  # onnxruntime and the formula of the table disagree about this one
            continue
        if not usable(case, port):
            continue
        kind = name_of(case.inputs[port])
        if kind == dtype:
            return case.inputs, plain(case.attributes), case.constant, len(case.want)
        if other is None and is_float(kind) == is_float(dtype):
            other = case
        if other is not None and draw >= SAME_TYPE:
            return turned(other, name_of(other.inputs[port]), dtype)
    raise Reject("no small case")


def turned(case, old, new):
    def to(x):
        return x.astype(TYPES[new]) if isinstance(x, np.ndarray) and name_of(x) == old else x
    attributes = plain(case.attributes)
    if case.op == "LabelEncoder":  # lists are of f32 and i64 only
        names = {k.split("_")[0] + "_tensor": v for k, v in attributes.items()}
        values = np.array(names["values_tensor"], np.int64 if "values_int64s" in attributes else np.float32)
        attributes = {"keys_tensor": np.array(names["keys_tensor"]).astype(TYPES[new]), "values_tensor": values,
                      "default_tensor": np.array([names["default_tensor"]]).astype(values.dtype)}
    return [to(x) for x in case.inputs], {k: to(v) for k, v in attributes.items()}, case.constant, len(case.want)


def operand(b, x, is_constant, is_free, span):
    """A value of the graph like x, of its range or of `span`; where not free, x itself."""
    kind = name_of(x)
    if is_constant:
        return b.const(x)
    if is_free and is_float(kind) and x.size:
        w = x.astype(np.float64)
        return b.value(kind, shape=list(x.shape), domain=span or (float(w.min()), float(w.max())), fresh=0.6)
    return b.given(x)


def plain(attributes):
    """As this generator keeps them: tensors as arrays; no graphs."""
    if any(isinstance(v, onnx.GraphProto) for v in attributes.values()):
        raise Reject("a graph")
    return {k: numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for k, v in attributes.items()}


def case_row(op, domain="", port=0, only=None, name=None, rounds=True, free=True, span=None, first=7):
    """free: whether operands of floats may be other values, of the same range, or of span."""
    table = name or op + (".microsoft" if domain == "com.microsoft" else "")

    def make(b, dtype):
        arrays, attributes, constant, n = drawn(b, table, dtype, port)
        inputs = ["" if x is None else operand(b, x, i in constant, free, span) for i, x in enumerate(arrays)]
        mixes = floats_of(b, inputs) or None
        return b.add(op, inputs, attributes, n=n, domain=domain,
                     mixes=mixes if rounds else None, rounds=rounds)
    row(op, domain=domain, port=port, only=only, first=first)(make)


for _op in ("Col2Im", "Det", "DFT", "STFT", "DeformConv", "RoiAlign", "LinearAttention", "CausalConvWithState"):
    case_row(_op)
case_row("MelWeightMatrix")
for _op in ("TensorScatter", "MaxUnpool"):
    case_row(_op, rounds=False)
case_row("TfIdfVectorizer", free=False)
case_row("FlexAttention", "ai.onnx.preview")
for _op in ("Adagrad", "Adam", "Momentum"):
    case_row(_op, "ai.onnx.preview.training", port=2)
case_row("ArrayFeatureExtractor", "ai.onnx.ml", rounds=False)
case_row("LabelEncoder", "ai.onnx.ml", rounds=False, free=False)
case_row("Binarizer", "ai.onnx.ml", rounds=False, free=False)
case_row("TreeEnsemble", "ai.onnx.ml", free=False)
case_row("Imputer", "ai.onnx.ml", rounds=False, free=False)

BYTES = ("u8", "i8")
for _op in ("QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearAveragePool",
            "QLinearGlobalAveragePool", "QGemm", "MatMulIntegerToFloat"):
    case_row(_op, "com.microsoft", only=BYTES)
case_row("QLinearConcat", "com.microsoft", port=2, only=BYTES)
# of the sum with the bias: far below 0 all digits of 1 + tanh cancel
SPANS = {"BiasGelu": (-1.5, 3), "FastGelu": (-1.5, 3)}
for _op in ("DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulNBits", "FusedMatMul", "FusedConv", "BiasGelu",
            "FastGelu", "QuickGelu", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
            "MultiHeadAttention", "Attention", "RotaryEmbedding", "GroupQueryAttention"):
    case_row(_op, "com.microsoft", only=("f32",), span=SPANS.get(_op))
case_row("EmbedLayerNormalization", "com.microsoft", port=2, only=("f32",))


# ---- extents found while running

def exact_value(b, dtype, lo=0, hi=4, zero=0.0):
    """An operand whose equality counts: floats are as they were given, not as they were rounded."""
    if not is_float(dtype):
        return b.value(dtype, lo, hi, zero=zero)
    x = b.data(b.shape(lo, hi, zero), dtype)
    return b.given(np.where(b.rng.random(x.shape) < 0.3, TYPES[dtype].type(0), x).astype(TYPES[dtype]))


@row("NonZero", first=9)
def non_zero(b, dtype):
    return b.add("NonZero", [exact_value(b, dtype, 1)])


@row("Compress", first=9)
def compress(b, dtype):
    x = b.value(dtype, 1, 4, zero=0.0)
    shape = b.shape_of(x)
    axis, written = b.axis(len(shape)) if b.chance(0.7) else (None, None)
    n = b.of(x).size if axis is None else shape[axis]
    which = b.given(b.rng.random(b.int(1, min(n, 40))) < 0.6)
    attributes = {} if axis is None else {"axis": written if b.opset >= 11 else axis}
    return b.add("Compress", [x, which], attributes, rounds=False)


@row("Unique", first=11)
def unique(b, dtype):
    x = exact_value(b, dtype, 1, 3)
    attributes = {"sorted": b.int(0, 1), **({"axis": b.axis(len(b.shape_of(x)))[1]} if b.chance(0.5) else {})}
    return b.add("Unique", [x], attributes, n=b.pick([1], [1, 1], [1, 0, 1], [1, 1, 1, 1]), rounds=False)


@row("NonMaxSuppression", first=10)
def non_max_suppression(b, dtype):
    n, boxes, classes = b.int(1, 2), b.int(1, 9), b.int(1, 3)
    corners = b.rng.uniform(0, 1, [n, boxes, 4]).astype(np.float32)
    scores = b.rng.uniform(0, 1, [n, classes, boxes]).astype(np.float32)
    inputs = [b.given(corners), b.given(scores), b.scalar(b.int(1, 5)), b.scalar(b.pick(0.2, 0.5), "f32"),
              b.scalar(b.pick(0.0, 0.3), "f32")]
    return b.add("NonMaxSuppression", inputs[:b.int(3, 5)], {"center_point_box": b.int(0, 1)})


# ---- elements of four bits

NIBBLES = ("i4", "u4")


def nibbles(b, shape, dtype):
    low = -8 if dtype == "i4" else 0
    return b.given(b.rng.integers(low, low + 16, shape).astype(TYPES[dtype]))


@row("Cast", name="Cast.int4", only=NIBBLES, first=21)
def cast_nibbles(b, dtype):
    to = b.pick("f32", "f16", "bf16", "i8", "i32", "i64", "f64") if dtype == "i4" else b.pick("f32", "u8", "i8", "u64")
    return b.add("Cast", [nibbles(b, b.shape(0, 3), dtype)], {"to": onnx_type_of(to)}, rounds=False)


@row("Cast", name="Cast.to.int4", of_output=True, only=NIBBLES, first=21)
def cast_to_nibbles(b, dtype):
    span = (-8, 7) if dtype == "i4" else (0, 15)
    x = b.value(b.pick("i8", "i32", "i64"), 0, 3, domain=span)
    return b.add("Cast", [x], {"to": onnx_type_of(dtype)}, rounds=False)


@row("DequantizeLinear", name="DequantizeLinear.int4", only=NIBBLES, first=21)
def dequantize_nibbles(b, dtype):
    shape = b.shape(1, 3, 0)
    axis, written = b.axis(len(shape))
    to = b.pick("f32", "f32", "f16", "bf16")
    if b.chance(0.5):
        return b.add("DequantizeLinear", [nibbles(b, shape, dtype), scale_of(b, [], to)])
    n = [shape[axis]]
    return b.add("DequantizeLinear", [nibbles(b, shape, dtype), scale_of(b, n, to), nibbles_at(b, n, dtype)],
                 {"axis": written})


def nibbles_at(b, shape, dtype):
    return b.const(b.rng.integers(0, 4, shape).astype(TYPES[dtype]))


@row("QuantizeLinear", name="QuantizeLinear.to.int4", of_output=True, only=NIBBLES, first=21)
def quantize_nibbles(b, dtype):
    kind = b.pick("f32", "f32", "f16", "bf16")
    x = b.value(kind, 1, 4)
    return b.add("QuantizeLinear", [x, scale_of(b, [], kind), nibbles_at(b, [], dtype)], mixes=(0,))
