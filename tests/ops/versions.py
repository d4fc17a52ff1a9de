"""Operators whose form changed between opsets, against onnxruntime: one small model a case and opset, run in the
reference. Before opset 7, which onnxruntime does not run, NumPy says what is right. Needs numpy, onnx and onnxruntime.
usage: versions.py BUILD_DIR [NAME...]"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(7)


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


X = floats(2, 3, 4, 5)
# name: (opsets, operator, inputs (arrays; ("const", array) for initialisers), attributes, number of outputs)
CASES = {}


def case(name, opsets, op, inputs, outputs=1, **attributes):
    CASES[name] = (opsets, op, inputs, attributes, outputs)


def const(array):
    return ("const", np.asarray(array))


OLD, ALL = range(7, 13), (7, 8, 9, 10, 11, 12, 13, 15, 17, 18, 20, 22)
for axis in (0, 1, 2, 3):
    case(f"softmax_{axis}", ALL, "Softmax", [X], axis=axis)
    case(f"log_softmax_{axis}", ALL, "LogSoftmax", [X], axis=axis)
    case(f"hardmax_{axis}", ALL, "Hardmax", [X], axis=axis)
case("softmax_default", ALL, "Softmax", [X])
case("clip_attr", range(7, 11), "Clip", [X], min=-0.5, max=0.7)
case("clip_input", (11, 12, 13, 17), "Clip", [X, const(np.float32(-0.5)), const(np.float32(0.7))])
case("clip_max", (11, 13), "Clip", [X, None, const(np.float32(0.7))])
case("pad_attr", range(7, 11), "Pad", [X], pads=[0, 1, 0, 2, 1, 0, 0, 1], value=3.5)
for mode in ("reflect", "edge"):
    case(f"pad_{mode}_attr", range(7, 11), "Pad", [X], pads=[0, 1, 2, 2, 0, 1, 1, 3], mode=mode)
    case(f"pad_{mode}", (11, 13, 18), "Pad", [X, const(ints(0, 1, 2, 2, 0, 1, 1, 3))], mode=mode)
case("pad_axes", (18, 19, 21), "Pad", [X, const(ints(1, 2)), const(np.float32(2)), const(ints(-2))])
case("pad_crop", (11, 13), "Pad", [X, const(ints(0, 0, -1, 1, 0, 0, -1, -2))])
case("slice_attr", range(7, 10), "Slice", [X], starts=[1, -3], ends=[1000, -1], axes=[1, 3])
case("slice_plain", range(7, 10), "Slice", [X], starts=[0, 1], ends=[2, 3])
case("slice_input", (10, 11, 13), "Slice", [X, const(ints(-1, 3)), const(ints(-1000, 0)), const(ints(1, 3)),
                                            const(ints(-1, -2))])
case("slice_empty", (10, 13), "Slice", [X, const(ints(3)), const(ints(1)), const(ints(2))])
case("squeeze_attr", (7, 11, 12), "Squeeze", [floats(1, 3, 1)], axes=[0, 2])
case("squeeze_input", (13, 21), "Squeeze", [floats(1, 3, 1), const(ints(-1))])
case("squeeze_all", (7, 13), "Squeeze", [floats(1, 3, 1)])
case("unsqueeze_attr", (7, 11, 12), "Unsqueeze", [floats(3, 4)], axes=[0, 3])
case("unsqueeze_input", (13, 21), "Unsqueeze", [floats(3, 4), const(ints(-1, 1))])
for kind in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSumExp", "SumSquare"):
    attr_until = 12 if kind == "Sum" else 17
    case(f"reduce_{kind}_attr", [v for v in ALL if v <= attr_until], f"Reduce{kind}", [X], axes=[1, 3], keepdims=0)
    case(f"reduce_{kind}_all", ALL, f"Reduce{kind}", [X])
    case(f"reduce_{kind}_input", [v for v in (13, 18, 20) if v > attr_until], f"Reduce{kind}",
         [X, const(ints(-1, 0))])
case("reduce_negative", (11, 13), "ReduceMean", [X], axes=[-1])
case("split_attr", (7, 11, 12), "Split", [X], 2, axis=3, split=[2, 3])
case("split_equal", (7, 11, 13, 17), "Split", [X], 2, axis=2)
case("split_input", (13, 18), "Split", [X, const(ints(1, 4))], 2, axis=-1)
case("split_outputs", (18, 21), "Split", [X], 3, axis=3, num_outputs=3)
case("upsample_attr", (7, 8), "Upsample", [X], scales=[1.0, 1.0, 2.0, 3.0], mode="nearest")
case("upsample_input", (9,), "Upsample", [X, const(np.array([1, 1, 2, 3], np.float32))], mode="nearest")
case("upsample_linear", (9,), "Upsample", [X, const(np.array([1, 1, 2, 2], np.float32))], mode="linear")
case("resize_10", (10,), "Resize", [X, const(np.array([1, 1, 2, 3], np.float32))], mode="nearest")
case("resize_10_down", (10,), "Resize", [X, const(np.array([1, 1, 0.5, 0.6], np.float32))], mode="linear")
for mode in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
    for way in ("nearest", "linear", "cubic"):
        case(f"resize_{way}_{mode}", (11, 13, 18, 19), "Resize",
             [X, const(np.zeros(0, np.float32)), const(np.zeros(0, np.float32)), const(ints(2, 3, 7, 4))],
             mode=way, coordinate_transformation_mode=mode)
case("topk_attr", (7, 9), "TopK", [X], 2, axis=3, k=2)
case("topk_input", (10, 11, 13), "TopK", [X, const(ints(3))], 2, axis=2)
case("topk_smallest", (11, 13), "TopK", [X, const(ints(3))], 2, axis=2, largest=0)
case("dropout", (7, 10, 12, 13), "Dropout", [X])
case("dropout_mask", (12, 13), "Dropout", [X], 2)
STATS = [const(a) for a in (floats(3), floats(3), floats(3), np.abs(floats(3)) + 0.5)]
case("batch_norm", (7, 9, 14, 15), "BatchNormalization", [X, *STATS], epsilon=1e-3)
case("gemm_7", (7, 9, 11, 13), "Gemm", [floats(3, 4), floats(5, 3), floats(5)], transA=1, transB=1, alpha=0.5, beta=2.0)
case("gemm_no_c", (11, 13), "Gemm", [floats(3, 4), floats(4, 5)])
case("flatten", (7, 9, 11, 13, 21), "Flatten", [X], axis=2)
case("flatten_negative", (11, 13), "Flatten", [X], axis=-1)
case("reshape", (7, 13, 14), "Reshape", [X, const(ints(0, -1, 5))])
case("expand", (8, 13), "Expand", [floats(3, 1), const(ints(2, 1, 6))])
case("tile", (7, 13), "Tile", [floats(2, 3), const(ints(2, 2))])
case("one_hot", (9, 11), "OneHot", [ints(1, -2, 4), const(ints(5)), const(np.array([2, 7], np.float32))], axis=0)
case("cumsum", (11, 14), "CumSum", [X, const(np.int32(-2))], reverse=1, exclusive=1)
case("max_pool", (7, 8, 10, 11, 12), "MaxPool", [X], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
case("max_pool_ceil", (10, 11, 12), "MaxPool", [X], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)
case("max_pool_index", (8, 10, 12), "MaxPool", [X], 2, kernel_shape=[2, 2], strides=[1, 2])
for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
    case(f"max_pool_{auto}", (7, 11, 12), "MaxPool", [X], kernel_shape=[2, 3], strides=[2, 2], auto_pad=auto)
    case(f"average_pool_{auto}", (7, 11, 19), "AveragePool", [X], kernel_shape=[2, 3], strides=[2, 2], auto_pad=auto)
    case(f"conv_{auto}", (7, 11, 22), "Conv", [X, const(floats(2, 3, 2, 3))], strides=[2, 2], auto_pad=auto)
case("average_pool", (7, 10, 11, 19), "AveragePool", [X], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
case("average_pool_pads", (7, 10, 11, 19), "AveragePool", [X], kernel_shape=[3, 2], pads=[1, 1, 1, 1],
     count_include_pad=1)
case("average_pool_ceil", (10, 11, 19), "AveragePool", [X], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)
case("lp_pool", (11, 18), "LpPool", [X], kernel_shape=[2, 2], p=2)
case("global_lp", (7,), "GlobalLpPool", [X], p=1)
case("conv_1d_groups", (7, 11), "Conv", [floats(2, 4, 9), const(floats(6, 2, 3)), const(floats(6))], group=2,
     dilations=[2], pads=[1, 2])
case("conv_3d", (7, 11), "Conv", [floats(1, 2, 4, 5, 3), const(floats(3, 2, 2, 3, 1))], strides=[1, 2, 1])
WT = const(floats(3, 2, 3, 2))
case("conv_transpose", (7, 11), "ConvTranspose", [X, WT], strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 0])
case("conv_transpose_shape", (7, 11), "ConvTranspose", [X, WT], strides=[2, 3], output_shape=[9, 14])
case("conv_transpose_group", (7, 11), "ConvTranspose", [floats(1, 4, 5), const(floats(4, 3, 3))], group=2,
     dilations=[2])
case("conv_transpose_same", (11,), "ConvTranspose", [X, WT], strides=[2, 2], auto_pad="SAME_UPPER")
case("argmax", (7, 11, 12, 13), "ArgMax", [X], axis=2, keepdims=0)
case("argmin_last", (12, 13), "ArgMin", [np.round(X)], axis=-1, select_last_index=1)
case("gather", (7, 11, 13), "Gather", [X, const(np.array([[0, 2], [1, 1]]))], axis=1)
case("gather_negative", (11, 13), "Gather", [X, ints(-1, 0)], axis=3)
case("scatter", (9, 10), "Scatter", [floats(3, 3), const(np.array([[0, 2]])), floats(1, 2)], axis=1)
case("scatter_add", (16, 18), "ScatterElements", [floats(3, 3), const(np.array([[0, 0], [1, -1]])), floats(2, 2)],
     axis=0, reduction="add")
case("instance_norm", (7,), "InstanceNormalization", [X, const(floats(3)), const(floats(3))])
case("layer_norm", (17,), "LayerNormalization", [X, const(floats(4, 5)), const(floats(4, 5))], 3, axis=2)
case("group_norm", (21,), "GroupNormalization", [floats(2, 4, 5), const(floats(4)), const(floats(4))], num_groups=2)
case("lrn", (7, 13), "LRN", [X], size=3, alpha=0.3)
case("sum", (8, 13), "Sum", [X, floats(5), floats(4, 1)])
case("mean", (8, 13), "Mean", [X, floats(5), floats(4, 1)])
case("max", (8, 12, 13), "Max", [X, floats(5), floats(4, 1)])
case("prelu", (7, 9, 16), "PRelu", [X, const(floats(3, 1, 1))])
case("pow_int", (12, 13), "Pow", [floats(3, 4), const(np.array([2], np.int64))])
case("mod_float", (10, 13), "Mod", [X, floats(5)], fmod=1)
case("mod_int", (10, 13), "Mod", [np.arange(-6, 6), const(ints(4))])
case("where", (9, 16), "Where", [X > 0, X, floats(5)])
case("depth_crd", (11, 13), "DepthToSpace", [floats(1, 8, 2, 3)], blocksize=2, mode="CRD")
case("depth", (7, 11), "DepthToSpace", [floats(1, 8, 2, 3)], blocksize=2)
case("einsum_bij", (12,), "Einsum", [floats(2, 3, 4), floats(2, 4, 5)], equation="bij, bjk -> bik")
case("einsum_dots", (12,), "Einsum", [floats(2, 3, 4), floats(1, 4, 5)], equation="...ij,...jk->...ik")
case("einsum_diag", (12,), "Einsum", [floats(3, 3)], equation="ii->i")
case("einsum_three", (12,), "Einsum", [floats(2, 3), floats(3, 4), floats(4, 5)], equation="ab,bc,cd->da")
case("matmul_nd", (9, 13), "MatMul", [floats(2, 1, 3, 4), floats(5, 4, 2)])
case("matmul_2_3", (9, 13), "MatMul", [floats(3, 4), floats(5, 4, 2)])
case("matmul_vector", (9, 13), "MatMul", [floats(4), floats(5, 4, 2)])
case("trilu", (14,), "Trilu", [X, const(np.int64(-1))], upper=0)
case("range", (11,), "Range", [const(np.float32(1)), const(np.float32(2.05)), const(np.float32(0.35))])

# name: (opsets, operator, inputs, attributes, expected results, or a part of the message that refuses it)
OLD_CASES = {}


def old(name, opsets, op, inputs, want, **attributes):
    OLD_CASES[name] = (opsets, op, inputs, attributes, want if isinstance(want, list) else [want])


ROW3, PLANE, FIVE = floats(3), floats(3, 4), floats(5)
old("add_equal", (1, 6), "Add", [X, X], X + X)
old("add_last", (1, 6), "Add", [X, FIVE], X + FIVE, broadcast=1)
old("sub_axis", (1, 6), "Sub", [X, PLANE], X - PLANE[:, :, None], broadcast=1, axis=1)
old("mul_negative_axis", (6,), "Mul", [X, ROW3], X * ROW3[:, None, None], broadcast=1, axis=-3)
old("div_one", (1, 6), "Div", [X, np.full([1, 1], 4, np.float32)], X / 4, broadcast=1)
old("pow_axis", (1, 6), "Pow", [np.abs(X), ROW3], np.abs(X) ** ROW3[:, None, None], broadcast=1, axis=1)
old("less_axis", (1,), "Less", [X, ROW3], X < ROW3[:, None, None], broadcast=1, axis=1)
old("and_last", (1, 6), "And", [X > 0, FIVE > 0], (X > 0) & (FIVE > 0), broadcast=1)
old("add_no_broadcast", (6,), "Add", [X, FIVE], "without `broadcast`: expected 4 dimensions, found 1")
old("add_past_the_end", (6,), "Add", [X, PLANE], "axis: 3, with 4 and 2 dimensions", broadcast=1, axis=3)
old("prelu_channels", (1, 6), "PRelu", [X, ROW3], np.where(X >= 0, X, X * ROW3[:, None, None]))
old("prelu_one", (6,), "PRelu", [X, floats(1) * 0 + 3], np.where(X >= 0, X, X * 3))
old("clip", (1, 6), "Clip", [X], np.clip(X, -0.5, 0.7), min=-0.5, max=0.7)
old("cast_by_name", (1, 5), "Cast", [X], X.astype(np.int32), to="INT32")
old("cast", (6,), "Cast", [X], X.astype(np.int64), to=TensorProto.INT64)
old("reshape_attribute", (1, 4), "Reshape", [X], X.reshape(2, 12, 5), shape=[0, -1, 5])
old("pad_paddings", (1,), "Pad", [PLANE], np.pad(PLANE, [(1, 0), (2, 3)], constant_values=2), paddings=[1, 2, 0, 3],
    value=2.0)
old("concat_default", (1,), "Concat", [X, X], np.concatenate([X, X], 1))
old("upsample_height_width", (1, 6), "Upsample", [X], X.repeat(2, 2).repeat(3, 3), height_scale=2.0, width_scale=3.0)
old("upsample_bilinear", (6,), "Upsample", [floats(1, 1, 1, 2) * 0 + ints(0, 2).astype(np.float32)],
    np.array([[[[0, 1, 2, 2]]]], np.float32), height_scale=1.0, width_scale=2.0, mode="bilinear")
OLD_STATS = [floats(3), floats(3), floats(3), np.abs(floats(3)) + 0.5]
SPREAD = [s[:, None, None] for s in OLD_STATS]
old("batch_norm_test", (1, 6), "BatchNormalization", [X, *OLD_STATS],
    (X - SPREAD[2]) / np.sqrt(SPREAD[3] + 1e-5) * SPREAD[0] + SPREAD[1], is_test=1)
MEAN, VARIANCE = X.mean((0, 2, 3)), X.var((0, 2, 3))
old("batch_norm_training", (6,), "BatchNormalization", [X, *OLD_STATS],
    [(X - MEAN[:, None, None]) / np.sqrt(VARIANCE[:, None, None] + 1e-5) * SPREAD[0] + SPREAD[1],
     OLD_STATS[2] * np.float32(0.9) + MEAN * np.float32(0.1), OLD_STATS[3] * np.float32(0.9) +
     VARIANCE * np.float32(0.1)])
old("dropout_test", (1, 6), "Dropout", [X], [X, np.ones_like(X)], is_test=1)
old("sum_mean", (1, 6), "Mean", [X, X * 2], X * 1.5)
old("gemm_broadcast", (6,), "Gemm", [floats(3, 4) * 0 + 1, floats(4, 5) * 0 + 2, FIVE],
    np.full([3, 5], 8, np.float32) + FIVE, broadcast=1)


def model_of(op, opset, inputs, attributes, outputs):
    names, params, initialisers, feeds = [], [], [], {}
    for i, value in enumerate(inputs):
        name = "" if value is None else f"x{i}"
        names.append(name)
        if isinstance(value, tuple):
            initialisers.append(numpy_helper.from_array(value[1], name))
        elif value is not None:
            dtype = helper.np_dtype_to_tensor_dtype(value.dtype)
            params.append(helper.make_tensor_value_info(name, dtype, value.shape))
            feeds[name] = np.asarray(value)
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, **attributes)
    infos = [helper.make_empty_tensor_value_info(r) for r in results]
    graph = helper.make_graph([node], "g", params, infos, initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    for info in model.graph.output:  # what inference leaves open: an element type alone
        if not info.type.HasField("tensor_type"):
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    return model, feeds, results


def run_reference(tool, model, feeds, results):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        onnx.save(model, path)
        command = [tool, path]
        for name, value in feeds.items():
            np.save(os.path.join(folder, f"in_{name}.npy"), value)
            command += ["--input", f"{name}={os.path.join(folder, f'in_{name}.npy')}"]
        done = subprocess.run(command + ["--output-dir", folder], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            return f"exit {done.returncode}: {done.stderr.strip()[:300]}"
        return [np.load(os.path.join(folder, f"{r}.npy")) for r in results]


def compare(found, expected):
    if isinstance(found, str):
        return found
    for f, e in zip(found, expected):
        if f.shape != e.shape or f.dtype != e.dtype:
            return f"expected {e.dtype}{e.shape}, found {f.dtype}{f.shape}"
        if not np.allclose(f, e, rtol=2e-5, atol=2e-6, equal_nan=True):
            return f"differs by {np.abs(f.astype(float) - e).max():g}"
    return None


def compare_old(tool, op, opset, inputs, attributes, want):
    model, feeds, results = model_of(op, opset, inputs, attributes, len(want))
    for info, value in zip(model.graph.output, want):
        if not isinstance(value, str):
            info.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(value.dtype)
    found = run_reference(tool, model, feeds, results)
    if isinstance(want[0], str):
        return None if isinstance(found, str) and want[0] in found else f"expected '{want[0]}', found {found}"
    return compare(found, want)


def main():
    tool = os.path.join(sys.argv[1], "tests", "onnx_eval")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    n_passed, n_failed, n_skipped = 0, 0, 0
    for name, (opsets, op, inputs, attributes, outputs) in CASES.items():
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        for opset in opsets:
            model, feeds, results = model_of(op, opset, inputs, attributes, outputs)
            try:
                session = onnxruntime.InferenceSession(model.SerializeToString(), options)
                expected = session.run(None, feeds)
            except Exception as error:  # the oracle lacks this version: say so
                n_skipped += 1
                print(f"skipped {name} opset {opset}: onnxruntime: {str(error)[:120]}")
                continue
            problem = compare(run_reference(tool, model, feeds, results), expected)
            n_passed += problem is None
            n_failed += problem is not None
            if problem:
                print(f"FAILED {name} opset {opset}: {problem}")
    for name, (opsets, op, inputs, attributes, want) in OLD_CASES.items():
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        for opset in opsets:
            problem = compare_old(tool, op, opset, inputs, attributes, want)
            n_passed += problem is None
            n_failed += problem is not None
            if problem:
                print(f"FAILED {name} opset {opset}: {problem}")
    print(f"{n_passed} passed, {n_failed} failed, {n_skipped} skipped")
    return n_failed != 0 or n_passed == 0


if __name__ == "__main__":
    sys.exit(main())
