"""Where an oracle is wrong: judged by hand, each with what shows it. Its word on such a node is not asked."""
from number import is_float, name_of

# (oracle, operator) -> (condition on (node, values, opset), what is wrong)
FAULTS = {}


def fault(who, op, why, when=lambda node, values, opset: True):
    FAULTS.setdefault((who, op), []).append((when, why))


def distrusted(who, node, values, opset):
    """Why the oracle is not asked about this node, or None."""
    for when, why in FAULTS.get((who, node.op), []):
        if when(node, values, opset):
            return why
    return None


def first(node, values):
    return values[node.inputs[0]] if node.inputs and node.inputs[0] in values else None


def kind(node, values, i=0):
    return name_of(values[node.inputs[i]]) if len(node.inputs) > i and node.inputs[i] in values else None


def of_f64(node, values, opset):
    return kind(node, values) == "f64"


fault("onnx", "LRN", "sums over a window cut at channel 5 of its example, whatever the tensor has")
fault("onnx", "HardSwish", "1/6 rounded to f32 for doubles too", of_f64)
fault("onnx", "Gelu", "erf in f32 for doubles too", of_f64)
for _op in ("ReduceSum", "ReduceSumSquare", "ReduceProd", "ReduceL1"):
    fault("onnxruntime", _op, "integers saturate where ONNX has them wrap",
          lambda n, v, o: kind(n, v) in ("i32", "i64"))
for _op in ("HannWindow", "HammingWindow", "BlackmanWindow"):
    fault("onnxruntime", _op, "constants and angles in f32 for doubles too",
          lambda n, v, o: n.attributes.get("output_datatype") == 11)
fault("onnxruntime", "InstanceNormalization", "of one element a channel: mean * scale / sqrt(epsilon) less itself",
      lambda n, v, o: first(n, v) is None or first(n, v)[:1, :1].size <= 1)

fault("onnx", "Erf", "computed in f32 for doubles too", of_f64)
fault("onnx", "GlobalMaxPool", "the result has more or fewer axes than the operand",
      lambda n, v, o: values_rank(n, v) != 4)
for _op in ("Softmax", "LogSoftmax", "Hardmax"):
    fault("onnx", _op, "before opset 13 all axes from `axis` on are one", lambda n, v, o: o < 13)
fault("onnx", "BatchNormalization", "the forms before opset 14 take the wrong defaults", lambda n, v, o: o < 14)
fault("onnx", "LpNormalization", "p = 1 sums the elements, not their absolute values",
      lambda n, v, o: n.attributes.get("p", 2) == 1)
fault("onnx", "GridSample", "cubic with `border` or `reflection`: weights of the clipped position",
      lambda n, v, o: "cubic" in n.attributes.get("mode", ""))
fault("onnx", "ConvTranspose", "the bias of the second group is the first one's",
      lambda n, v, o: n.attributes.get("group", 1) > 1)
fault("onnx", "Resize", "64-bit integers go through doubles", lambda n, v, o: kind(n, v) in ("i64", "u64"))
fault("onnx", "Upsample", "64-bit integers go through doubles", lambda n, v, o: kind(n, v) in ("i64", "u64"))
fault("onnx", "MaxPool", "the second result counts within a channel, not within the tensor",
      lambda n, v, o: len(n.outputs) > 1)
fault("onnx", "AffineGrid", "the base grid is in f32 for doubles too", of_f64)
fault("onnx", "Resize", "half_pixel_symmetric: a position that rounding moves below an element takes the wrong pair",
      lambda n, v, o: n.attributes.get("coordinate_transformation_mode") == "half_pixel_symmetric")
fault("onnx", "Erf", "of integers, in f32: rounds to 1 from 4 on, in double from 6 on",
      lambda n, v, o: not is_float(kind(n, v) or "f32"))
for _who in ("onnx", "onnxruntime"):
    fault(_who, "Shrink", "integers go through floats", lambda n, v, o: not is_float(kind(n, v) or "f32"))
fault("onnx", "MeanVarianceNormalization", "the variance is a difference of squares, which cancels")
fault("onnxruntime", "AffineGrid", "align_corners with an axis of one element divides by nothing",
      lambda n, v, o: n.attributes.get("align_corners") == 1 and len(n.inputs) > 1 and n.inputs[1] in v and
      1 in v[n.inputs[1]][2:])
fault("onnx", "DynamicQuantizeLinear", "of nothing but zeros the scale is 1 / 255; onnxruntime and tenon have 1",
      lambda n, v, o: first(n, v) is None or not first(n, v).any())
fault("onnx", "Gemm", "alpha makes doubles of integers, which hold no 64 bits and do not wrap where 32 are too few",
      lambda n, v, o: not is_float(kind(n, v) or "f32"))
fault("onnx", "Resize", "cubic with pytorch_half_pixel to one element reads elsewhere; onnxruntime agrees with tenon",
      lambda n, v, o: n.attributes.get("mode") == "cubic" and
      n.attributes.get("coordinate_transformation_mode") == "pytorch_half_pixel")
fault("onnxruntime", "Resize", "align_corners and pytorch_half_pixel by a scale take an unrounded length; onnx "
      "agrees with tenon", lambda n, v, o: len(n.inputs) < 4 and
      n.attributes.get("coordinate_transformation_mode") in ("align_corners", "pytorch_half_pixel"))
fault("onnx", "MaxPool", "with SAME_UPPER and SAME_LOWER windows lie elsewhere; onnxruntime agrees with tenon",
      lambda n, v, o: n.attributes.get("auto_pad", "").startswith("SAME"))
fault("onnx", "AveragePool", "ceil_mode: elements of a last window that overhangs count though they are not there",
      lambda n, v, o: n.attributes.get("ceil_mode") == 1)
for _who in ("onnx", "onnxruntime"):
    fault(_who, "TreeEnsemble", "post_transform is not applied: LOGISTIC of 0 comes out as 0, not 1 / 2",
          lambda n, v, o: n.attributes.get("post_transform", 0) != 0)
fault("onnx", "TreeEnsemble", "0 is no member of the set {0}; onnxruntime agrees with tenon",
      lambda n, v, o: "membership_values" in n.attributes)
fault("onnxruntime", "Col2Im", "along one or three spatial axes with dilations; the evaluator and a program of loops "
      "agree with tenon", lambda n, v, o: n.inputs[1] in v and v[n.inputs[1]].size != 2 and
      max(n.attributes.get("dilations", [1])) > 1)
fault("onnxruntime", "TfIdfVectorizer", "weights by column, not by n-gram; the evaluator agrees with tenon",
      lambda n, v, o: n.attributes.get("mode") != "TF")
fault("onnx", "Unique", "sorted = 0: sorted when there is one result; else taken along axis 0 whatever the axis",
      lambda n, v, o: n.attributes.get("sorted", 1) == 0)
fault("onnxruntime", "Mod", "fmod of 64-bit integers goes through doubles",
      lambda n, v, o: kind(n, v) in ("i64", "u64"))
for _who in ("onnx", "onnxruntime"):  # both names: of operators of onnxruntime's own, its word is the evaluator's too
    fault(_who, "QLinearSoftmax", "a table in single: one step off where the exact result lies near a tie")
    fault(_who, "DynamicQuantizeLSTM", "up to 3e-4 from the formula that tests/numerics/fused.py holds tenon to")
    fault(_who, "GroupQueryAttention", "present keys and values behind the sequence's length are anything",
          lambda n, v, o: len(n.outputs) > 1)
fault("onnx", "QLinearConv", "122 * scales = 1.57, and 4, comes out as 5; onnxruntime and the formula say 6")
fault("onnx", "Resize", "antialias from one element: the weights' sum is not 1; onnxruntime agrees with tenon",
      lambda n, v, o: n.attributes.get("antialias") == 1)
fault("onnx", "QuantizeLinear", "of i32: 179440135 / 0.029 goes through 32 bits, wraps and becomes 0, not 255",
      lambda n, v, o: kind(n, v) == "i32")
fault("onnxruntime", "DFT", "inverse and onesided: the inverse of nothing; the evaluator agrees with tenon",
      lambda n, v, o: n.attributes.get("inverse") == 1 and n.attributes.get("onesided") == 1)
fault("onnx", "OneHot", "off + (on - off) rounds: off is one step away",
      lambda n, v, o: is_float(kind(n, v, 2) or "f32"))
fault("onnxruntime", "ReduceMax", "of i64 beyond 32 bits it is not the largest; NumPy agrees with tenon",
      lambda n, v, o: kind(n, v) == "i64" and (abs(first(n, v).astype(float)) >= 2 ** 31).any())
fault("onnxruntime", "Loop", "of no turn: a result's extents that the graph does not state are 0, known or not",
      lambda n, v, o: any(y in v and v[y].size == 0 for y in n.outputs))
fault("onnx", "GRU", "1 - z in f32: for an update gate near 1 a result near 1e-5 has two digits; the formula in double "
      "agrees with tenon",
      lambda n, v, o: any(((abs(v[y]) > 0) & (abs(v[y]) < 1e-3)).any() for y in n.outputs if y in v))
fault("onnx", "Sigmoid", "of f16, steps in f16: of 7.8 it is 1, not 1 - 2 ** -11, which an argmin after it shows",
      lambda n, v, o: n.outputs[0] in v and kind(n, v) == "f16" and (first(n, v) > 4).any())
fault("onnx", "Loop", "carried values come out as they went in")


def values_rank(node, values):
    x = first(node, values)
    return None if x is None else x.ndim


# What tenon refuses by name and documents (README, "Where it stands"): (part of the message, why).
LIMITS = (
    ("extents of one broadcast", "two computed extents that meet must be equal"),
    ("'if': result", "branches whose results differ in size, of symbols that are equal only by chance"),
    ("that is not fixed is not supported yet", "how many heads, groups or channels there are shapes the code"),
    ("with a mask of this length is not supported yet", "com.microsoft.Attention: the mask's kind depends on its size"),
    ("'Squeeze' without axes", "the rank depends on the size"),
)


def limit_of(text):
    return next((why for part, why in LIMITS if part in text), None)
