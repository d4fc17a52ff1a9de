#!/usr/bin/env python3
"""Writes the seed corpus of the ONNX fuzz target: small models that together reach most of the reader.
usage: seeds.py DIRECTORY"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "onnx"))
import hostile
import pb

MAX_SEED_BYTES = 4096


def operators():
    """One node each, with inputs of the shapes that its inference looks at most closely."""
    f, i = pb.FLOAT, pb.INT64
    x4, x3 = ("x", f, ["N", 4, 6, 6]), ("x", f, [2, "T", 8])
    yield "softmax", pb.node("Softmax", ["x"], ["y"], axis=1), [x4]
    yield "slice", pb.node("Slice", ["x", "s", "e"], ["y"]), [x4, ("s", i, [2]), ("e", i, [2])]
    yield "split", pb.node("Split", ["x"], ["y", "z"], axis=1, num_outputs=2), [x4]
    yield "concat", pb.node("Concat", ["x", "x"], ["y"], axis=-1), [x4]
    yield "gather", pb.node("Gather", ["x", "g"], ["y"], axis=1), [x4, ("g", i, [3])]
    yield "scatter_nd", pb.node("ScatterND", ["x", "g", "u"], ["y"]), [("x", f, [4]), ("g", i, [2, 1]), ("u", f, [2])]
    yield "resize", pb.node("Resize", ["x", "", "", "s"], ["y"], mode="cubic"), [x4, ("s", i, [4])]
    yield "attention", pb.node("Attention", ["x", "x", "x"], ["y"], q_num_heads=4, kv_num_heads=4, is_causal=1), [x3]
    yield "layer_norm", pb.node("LayerNormalization", ["x", "w"], ["y"]), [x3, ("w", f, [8])]
    yield "quantize", pb.node("QuantizeLinear", ["x", "s"], ["y"], axis=1, block_size=2), [x4, ("s", f, ["N", 2, 6, 6])]
    yield "einsum", pb.node("Einsum", ["x", "x"], ["y"], equation="btc,bsc->bts"), [x3]
    yield "reduce", pb.node("ReduceMean", ["x"], ["y"], keepdims=0), [x4]
    yield "top_k", pb.node("TopK", ["x", "k"], ["v", "y"], axis=2), [x4, ("k", i, [1])]
    yield "range", pb.node("Range", ["a", "b", "c"], ["y"]), [("a", i, []), ("b", i, []), ("c", i, [])]
    yield "conv_transpose", pb.node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]), [x4, ("w", f, [4, 3, 3, 3])]
    yield "loss", pb.node("SoftmaxCrossEntropyLoss", ["x", "t"], ["y"], ignore_index=-1), [x4, ("t", i, ["N", 6, 6])]


def seeds():
    x, y = [pb.info("x", dims=["N", 3])], [pb.info("y", dims=["N", 2])]
    w, b = pb.floats("w", [3, 2], [1.0] * 6), pb.floats("b", [2], [0.5, -0.5])
    mlp = [pb.node("MatMul", ["x", "w"], ["h"]), pb.node("Add", ["h", "b"], ["s"]), pb.node("Relu", ["s"], ["y"])]
    yield "mlp", pb.model(pb.graph(mlp, x, y, [w, b]))
    weights = [pb.info("w", dims=[3, 2]), pb.info("b", dims=[2])]
    yield "ir3", pb.model(pb.graph(mlp, x + weights, y, [w, b]), ir_version=3)
    shape = pb.ints("s", [2], [-1, 2])
    yield "reshape", pb.model(pb.graph([pb.node("Reshape", ["x", "s"], ["y"])], x, y, [shape]))
    image, kernel = [pb.info("x", dims=[1, 2, 8, 8])], pb.floats("k", [2, 2, 3, 3], [0.1] * 36)
    conv = pb.node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3])
    pool = pb.node("MaxPool", ["c"], ["y"], kernel_shape=[2, 2])
    yield "conv", pb.model(pb.graph([conv, pool], image, [pb.info("y")], [kernel]))
    body = pb.node("LeakyRelu", ["a"], ["b"], attrs=[pb.reference("alpha", "slope")])
    f = pb.function("f", ["a"], ["b"], [body], ["slope"])
    yield "function", pb.model(pb.graph([pb.node("f", ["x"], ["y"], domain="local", slope=0.1)], x, y), functions=[f])
    constant = pb.node("Constant", [], ["c"], value_floats=[1.0, 2.0])
    yield "constant", pb.model(pb.graph([constant, pb.node("Mul", ["c", "c"], ["y"])], x, y))
    branch = pb.graph([pb.node("Relu", ["x"], ["t"])], [], [pb.info("t")])
    both = [pb.attr("then_branch", ("graph", branch)), pb.attr("else_branch", ("graph", branch))]
    yield "if", pb.model(pb.graph([pb.node("If", ["c"], ["y"], attrs=both)], x + [pb.info("c", pb.BOOL)], y))
    for dtype, field, data in [(pb.INT64, 7, b"\1\xac\2"), (pb.FLOAT16, 5, b"\1\2"), (pb.INT4, 5, b"\x21"),
                               (pb.BOOL, 9, b"\1\7"), (pb.DOUBLE, 10, b"\0" * 16), (13, 11, b"\1\2")]:
        t = pb.tensor("w", dtype, [2], None, pb.sub(field, data))
        yield "dtype%d" % dtype, pb.model(pb.graph([pb.node("Identity", ["w"], ["y"])], [], [pb.info("y", dtype)], [t]))
    for name, node, inputs in operators():
        data = pb.model(pb.graph([node], [pb.info(n, t, d) for n, t, d in inputs], [pb.sub(1, "y")]),
                        opsets=[pb.opset(25)])
        yield "op_" + name, data
    for name, (_, make) in hostile.KINDS.items():
        if "megabyte" in name or "00" in name or name in ("huge_doc_string", "noise", "endless_varint", "start_groups"):
            continue
        data = make()
        if len(data) <= MAX_SEED_BYTES:
            yield name, data


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, data in seeds():
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
