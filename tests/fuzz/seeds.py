#!/usr/bin/env python3
"""Writes the seed corpus of the ONNX fuzz target: small models that together reach most of the reader.
usage: seeds.py DIRECTORY"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "onnx"))
import hostile
import pb

MAX_SEED_BYTES = 4096


def seeds():
    x, y = [pb.info("x", dims=["N", 3])], [pb.info("y", dims=["N", 2])]
    w, b = pb.floats("w", [3, 2], [1.0] * 6), pb.floats("b", [2], [0.5, -0.5])
    mlp = [pb.node("MatMul", ["x", "w"], ["h"]), pb.node("Add", ["h", "b"], ["s"]), pb.node("Relu", ["s"], ["y"])]
    yield "mlp", pb.model(pb.graph(mlp, x, y, [w, b]))
    yield "ir3", pb.model(pb.graph(mlp, x + [pb.info("w", dims=[3, 2]), pb.info("b", dims=[2])], y, [w, b]), ir_version=3)
    shape = pb.ints("s", [2], [-1, 2])
    yield "reshape", pb.model(pb.graph([pb.node("Reshape", ["x", "s"], ["y"])], x, y, [shape]))
    image, kernel = [pb.info("x", dims=[1, 2, 8, 8])], pb.floats("k", [2, 2, 3, 3], [0.1] * 36)
    conv = pb.node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3])
    pool = pb.node("MaxPool", ["c"], ["y"], kernel_shape=[2, 2])
    yield "conv", pb.model(pb.graph([conv, pool], image, [pb.info("y")], [kernel]))
    f = pb.function("f", ["a"], ["b"], [pb.node("LeakyRelu", ["a"], ["b"], attrs=[pb.reference("alpha", "slope")])], ["slope"])
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
