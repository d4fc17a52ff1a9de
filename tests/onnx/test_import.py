#!/usr/bin/env python3
"""What the importer makes of models and says about wrong ones. usage: test_import.py BUILD_DIRECTORY"""
import os
import re
import struct
import subprocess
import sys
import tempfile

import pb

TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Loader:
    def __init__(self, build, folder):
        self.tool, self.folder = os.path.join(build, "tests", "onnx_load"), folder

    def __call__(self, data, *options, stdin=False):
        path = os.path.join(self.folder, "m.onnx")
        with open(path, "wb") as f:
            f.write(data)
        command = [self.tool, *options, "-" if stdin else path]
        done = subprocess.run(command, input=data if stdin else None, stdout=subprocess.PIPE, timeout=60)
        assert done.returncode in (0, 1), done.returncode
        return done.stdout.decode().replace(path, "m.onnx")


def expect(text, *parts):
    for part in parts:
        assert part in text, "expected %r in:\n%s" % (part, text)


def errors(text):
    return [line for line in text.splitlines() if re.search(r"\berror: .*\[TN\d+\]$", line)]


def neg(x="x", y="y"):
    return pb.node("Neg", [x], [y])


def model(nodes, inputs, outputs=("y",), initialisers=(), **kw):
    return pb.model(
        pb.graph(nodes, [pb.info(n, t, d) for n, t, d in inputs], [pb.info(o) for o in outputs], initialisers), **kw)


X = ("x", pb.FLOAT, [2, 3])


def twelve_errors():
    f = lambda op, i, o, **kw: pb.node(op, i, o, name=o[0] + "_node", **kw)
    w, i64 = pb.floats("w", [4, 2], [0.0] * 8), pb.ints("i", [2, 3], [0] * 6)
    nodes = [
        f("Frobnicate", ["x"], ["a0"]),  # 1: three nodes of an operator that does not exist
        f("Frobnicate", ["a0"], ["a1"]),
        f("Frobnicate", ["x"], ["a2"]),
        f("Neg", ["nowhere"], ["b"]),  # 2
        f("Neg", ["x"], ["c"]),
        f("Abs", ["x"], ["c"]),  # 3: defined twice
        f("Add", ["x", "short"], ["d"]),  # 4: an initialiser whose data is too short
        f("Add", ["x", "elsewhere"], ["e"]),  # 5: external data that is not there
        f("Mul", ["c", "w"], ["g"]),  # 6: [2,3] and [4,2] have no common shape
        f("Add", ["x", "i"], ["h"]),  # 7: float32 + int64
        f("Neg", ["k2"], ["k1"]),  # 8: a circle
        f("Neg", ["k1"], ["k2"]),
        f("Concat", ["x", "x"], ["l"], attrs=[pb.attr("axis", "one")]),  # 9: a string as axis
        f("Thing", ["x"], ["m"], domain="com.example"),  # 10: no version of its operator set
        f("Transpose", ["x"], ["n"], attrs=[pb.attr("perm", [0, 0])]),  # 11
        f("Concat", ["a1", "b", "d", "e", "g", "h", "k1", "l", "m", "n"], ["y"], axis=0),  # nothing to add
    ]
    tensors = [w, i64, pb.tensor("short", pb.FLOAT, [2, 3], b"\0" * 20),
               pb.external("elsewhere", pb.FLOAT, [2, 3], location="no.bin")]
    return model(nodes, [X], ["y", "absent"], tensors)  # 12: an output that nothing defines


@test
def twelve_planted_errors_give_twelve(load):
    text = load(twelve_errors())
    found = errors(text)
    assert len(found) == 12 and "\n12 errors\n" in text, text
    expect(text, "m.onnx: node 0 'a0_node' (Frobnicate, opset 17): error: operator 'Frobnicate'", "3 nodes",
           "m.onnx: node 3 'b_node' (Neg, opset 17): error: 'nowhere' is not defined",
           "m.onnx: node 5 'c_node' (Abs, opset 17): error: tensor 'c' is defined twice",
           "m.onnx: node 4 'c_node' (Neg, opset 17): note: it is defined here first",
           "m.onnx: 'short': error: tensor f32[2,3]: expected 24 bytes of data, found 20 [TN0308]",
           "m.onnx: 'elsewhere': error: cannot use external data 'no.bin'",
           "m.onnx: node 8 'g_node' (Mul, opset 17): error",
           "m.onnx: node 4 'c_node' (Neg, opset 17): note: input 0 'c' is f32[2,3], made by this node",
           "m.onnx: 'w': note: input 1 'w' is f32[4,2], an initialiser", "(Add, opset 17): error",
           "2 nodes depend on each other in a circle", "m.onnx: node 12 'l_node' (Concat, opset 17): error",
           "operator set 'com.example'", "m.onnx: node 14 'n_node' (Transpose, opset 17): error",
           "m.onnx: 'absent': error: 'absent' is not defined")


@test
def unknown_dims_are_symbols_of_their_own(load):
    dims = [None, "?", "", -1, "N", "N", 3]
    text = load(model([neg()], [("x", pb.FLOAT, dims)]))
    expect(text, "input 'x' f32[x_0,x_1,x_2,x_3,N,N,3]", "output 'y' f32[x_0,x_1,x_2,x_3,N,N,3]",
           "symbol N 'N' 0..1000000000")
    assert text.count("symbol ") == 5, text


@test
def names_of_dims_become_identifiers_and_stay_as_labels(load):
    text = load(model([neg()], [("x", pb.FLOAT, ["batch size", "2nd", "batch_size"])]))
    expect(text, "symbol batch_size 'batch size'", "'2nd'", "symbol batch_size_2 'batch_size'")


@test
def dims_can_be_fixed_and_bounded(load):
    two = [("x", pb.FLOAT, ["B", "S"]), ("z", pb.FLOAT, ["B", None])]
    text = load(model([neg()], two), "--dim=B=4", "--dim=S=1..512", "--dim=z_1=7..")
    expect(text, "input 'x' f32[4,S]", "symbol S 'S' 1..512", "input 'z' f32[4,z_1]",
           "symbol z_1 '' 7..9223372036854775807")
    expect(load(model([neg()], two), "--dim=Q=4"), "no input of the model has a dim 'Q'", "there is 'B'", "[TN0001]")


@test
def input_shape_replaces_the_shape(load):
    two = [("x", pb.FLOAT, ["B", 3]), ("z", pb.FLOAT, ["B"])]
    text = load(model([neg()], two), "--input-shape=x:5,?")
    expect(text, "input 'x' f32[5,x_1]", "input 'z' f32[5]")
    expect(load(model([neg()], two), "--input-shape=x:5"), "has 2 dims, 1 are given [TN0001]")
    expect(load(model([neg()], two), "--input-shape=q:5"), "the model has no input 'q' [TN0001]")
    expect(load(model([neg()], two), "--input-shape=x:5,3", "--input-shape=z:6"), "[TN0001]")
    expect(load(model([neg()], two), "--input-shape=x:M,3"), "input 'x' f32[M,3]", "input 'z' f32[B]")


@test
def an_input_without_rank_needs_a_shape(load):
    data = pb.model(pb.graph([neg()], [pb.info("x", shape=False)], [pb.info("y")]))
    expect(load(data), "graph input 'x' has no shape", "[TN0311]", "--input-shape")
    expect(load(data, "--input-shape=x:N,2"), "input 'x' f32[N,2]")


@test
def initialisers_that_are_inputs_are_constants(load):
    w = pb.floats("w", [2, 3], [1.0] * 6)
    data = model([pb.node("Add", ["x", "w"], ["y"])], [X, ("w", pb.FLOAT, [2, 3])], ["y"], [w], ir_version=3)
    assert "input 'w'" not in load(data)
    expect(load(data, "--input-shape=w:2,3"), "input 'w' f32[2,3]")


@test
def outputs_choose_any_tensor_and_only_what_it_needs(load):
    data = model([neg("x", "a"), pb.node("Frobnicate", ["a"], ["y"]), pb.node("Neg", ["a"], ["b"])], [X])
    expect(load(data), "operator 'Frobnicate'")
    expect(load(data, "--outputs=b,a"), "output 'b' f32[2,3]\noutput 'a' f32[2,3]\n")
    expect(load(data, "--outputs=q"), "'q' is not defined", "[TN0305]")


@test
def a_declared_output_type_must_be_right(load):
    data = pb.model(pb.graph([neg()], [pb.info("x", dims=[2])], [pb.info("y", pb.INT64, [2])]))
    expect(load(data), "graph output 'y' is declared INT64, its node computes f32 [TN0311]")


@test
def nodes_may_come_in_any_order(load):
    data = model([neg("b", "y"), neg("a", "b"), neg("x", "a")], [X])
    expect(load(data), "output 'y' f32[2,3]")


@test
def every_element_type_is_read(load):
    rows = [(1, "f32", 4), (2, "u8", 1), (3, "i8", 1), (4, "u16", 2), (5, "i16", 2), (6, "i32", 4), (7, "i64", 8),
            (9, "bool", 1), (10, "f16", 2), (11, "f64", 8), (12, "u32", 4), (13, "u64", 8), (16, "bf16", 2),
            (17, "f8e4m3", 1), (18, "f8e4m3uz", 1), (19, "f8e5m2", 1), (20, "f8e5m2uz", 1), (24, "f8e8m0", 1),
            (21, "u4", .5), (22, "i4", .5), (23, "f4e2m1", .5), (25, "u2", .25), (26, "i2", .25)]
    for number, name, size in rows:
        raw = bytes(-(-5 * int(size * 4) // 4))
        t = pb.tensor("w", number, [5], raw)
        data = pb.model(pb.graph([], [], [pb.info("w", number)], [t]))
        expect(load(data), "output 'w' %s[5]" % name)
        expect(load(pb.model(pb.graph([], [], [pb.info("w", number)], [pb.tensor("w", number, [5], raw + b"\0")]))),
               "[TN0308]")


@test
def constants_of_every_form(load):
    t = ("tensor", pb.floats(None, [2], [1.0, 2.0]))
    for value, shape in [(t, "f32[2]"), (1, "i64[]"), (1.5, "f32[]"), ([1, 2, 3], "i64[3]"), ([1.0], "f32[1]")]:
        name = {tuple: "value", int: "value_int", float: "value_float"}.get(type(value)) or (
            "value_ints" if isinstance(value[0], int) else "value_floats")
        data = pb.model(pb.graph([pb.node("Constant", [], ["y"], attrs=[pb.attr(name, value)])], [], [pb.sub(1, "y")]))
        expect(load(data), "output 'y' " + shape)
    data = pb.model(pb.graph([pb.node("Constant", [], ["y"], value_string="a")], [], [pb.sub(1, "y")]))
    expect(load(data), "value_string", "[TN0303]")


@test
def functions_are_inlined_with_their_attributes(load):
    body = [pb.node("Concat", ["a", "a"], ["t"], attrs=[pb.reference("axis", "along")]), neg("t", "b")]
    f = pb.function("f", ["a", "unused"], ["b"], body, ["along"])
    data = model([pb.node("f", ["x"], ["y"], domain="local", along=1)], [X], functions=[f])
    expect(load(data), "output 'y' f32[2,6]")
    wrong = pb.function("f", ["a"], ["b"], [pb.node("Frobnicate", ["a"], ["b"], name="inner")])
    data = model([pb.node("f", ["x"], ["t"], domain="local"), pb.node("f", ["t"], ["y"], domain="local")], [X],
                 functions=[wrong])
    expect(load(data), "m.onnx: in 'f@0': node 0 'inner' (Frobnicate, opset 17): error")
    assert len(errors(load(data))) == 1


@test
def external_data_is_read_in_place_and_listed(load):
    with open(os.path.join(load.folder, "w.bin"), "wb") as f:
        f.write(b"\0" * 16 + struct.pack("<6f", *range(6)))
    w = pb.external("w", pb.FLOAT, [2, 3], location="w.bin", offset=16, length=24)
    data = model([pb.node("Add", ["x", "w"], ["y"])], [X], ["y"], [w])
    expect(load(data, "--files"), "output 'y' f32[2,3]", "file m.onnx\n", "w.bin")


@test
def standard_input_is_a_model_too(load):
    expect(load(model([neg()], [X]), stdin=True), "output 'y' f32[2,3]")
    expect(load(model([neg("q")], [X]), stdin=True), "<stdin>: node 0 (Neg, opset 17): error")


@test
def operator_sets_may_be_declared_again_alike(load):
    expect(load(model([neg()], [X], opsets=[pb.opset(17), pb.opset(17)])), "output 'y' f32[2,3]")
    expect(load(model([neg()], [X], opsets=[pb.opset(17), pb.opset(18)])), "declared twice, as version 17 and 18")


@test
def squeeze_without_axes_looks_at_the_declared_rank(load):
    def squeeze(**declared):
        graph = pb.graph([pb.node("Squeeze", ["x"], ["y"])], [pb.info("x", pb.FLOAT, ["B", 1])],
                         [pb.info("y", **declared)])
        return load(pb.model(graph))
    expect(squeeze(dims=[]), "output 'y' f32[]")
    expect(squeeze(dims=["B"]), "output 'y' f32[B]")
    expect(squeeze(shape=False), "output 'y' f32[B]")


@test
def odd_names_are_shown_safely(load):
    text = load(model([pb.node("Neg", [b"q\x1b[31m\xff".decode("latin1")], ["y"])], [X]))
    assert "\x1b" not in text
    expect(text, "\\x1b")


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        load = Loader(sys.argv[1], folder)
        for function in TESTS:
            try:
                function(load)
                print("ok   " + function.__name__)
            except AssertionError as wrong:
                failed += 1
                print("FAIL %s: %s" % (function.__name__, wrong))
    print("%d passed, %d failed, 0 skipped" % (len(TESTS) - failed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
