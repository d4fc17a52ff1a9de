#!/usr/bin/env python3
"""Files made to hurt an ONNX reader. Each kind is a function that gives the bytes and the diagnostic code expected
("ok" where the file is merely odd). `hostile.py DIR` writes them all."""
import os
import random
import struct
import sys

import pb

MEG = 1 << 20
KINDS = {}


def kind(code):
    def add(function):
        KINDS[function.__name__] = (code, function)
        return function

    return add


def small_model(x="x", **kw):
    return pb.model(pb.graph([pb.node("Neg", [x], ["y"])], [pb.info("x", dims=[2])], [pb.info("y", dims=[2])]), **kw)


def of_nodes(nodes, outputs=("y",), initialisers=(), inputs=(("x", [2]),), **kw):
    return pb.model(
        pb.graph(nodes, [pb.info(n, dims=d) for n, d in inputs], [pb.info(o) for o in outputs], initialisers), **kw)


def of_tensor(tensor):
    return of_nodes([pb.node("Neg", ["w"], ["y"])], initialisers=[tensor])


def nested_graphs(depth):
    out = pb.graph([])
    for _ in range(depth):
        out = pb.graph([pb.node("If", ["x"], ["y"], attrs=[pb.attr("then_branch", ("graph", out))])])
    return out


# Bytes that are no message.


@kind("TN0302")
def empty_file():
    return b""


@kind("TN0301")
def text_file():
    return b"this is not a model, it is a text\n" * 100


@kind("TN0301")
def noise():
    return random.Random(1).randbytes(MEG)


@kind("TN0301")
def length_past_the_end():
    return pb.varint(7 << 3 | 2) + pb.varint(1 << 62) + b"abc"


@kind("TN0301")
def endless_varint():
    return b"\x08" + b"\xff" * MEG


@kind("TN0301")
def start_groups():
    return b"\x0b" * MEG


@kind("TN0301")
def two_graphs():
    return small_model() + small_model()


@kind("TN0302")
def unknown_fields_only():
    return (pb.varint(1000 << 3) + b"\x01") * (2 * MEG)


@kind("ok")
def huge_doc_string():
    return small_model() + pb.sub(6, b"x" * 10 * MEG)


# Nesting and counts.


@kind("TN0004")
def graphs_nested_9000_deep():
    return pb.model(nested_graphs(9000))


@kind("TN0302")
def graphs_nested_30_deep():
    return pb.model(nested_graphs(30))


@kind("TN0311")
def type_nested_9000_deep():
    t = b""
    for _ in range(9000):
        t = pb.sub(4, pb.sub(1, t))
    x = pb.sub(1, "x") + pb.sub(2, t)
    return pb.model(pb.graph([pb.node("Neg", ["x"], ["y"])], [x], [pb.info("y")]))


@kind("TN0004")
def ten_megabytes_of_empty_nodes():
    return pb.model(b"\x0a\0" * (5 * MEG))


@kind("TN0004")
def ten_megabytes_of_empty_attributes():
    return pb.model(pb.graph([b"\x2a\0" * (5 * MEG)]))


@kind("TN0004")
def ten_megabytes_of_empty_names():
    return pb.model(pb.graph([b"\x0a\0" * (5 * MEG)]))


@kind("TN0004")
def ten_megabytes_of_single_ints():
    return of_nodes([pb.node("Neg", ["x"], ["y"], attrs=[pb.sub(1, "a") + b"\x40\1" * (5 * MEG)])])


@kind("TN0004")
def ten_megabytes_of_packed_ints():
    return of_nodes([pb.node("Neg", ["x"], ["y"], attrs=[pb.sub(1, "a") + pb.sub(8, b"\1" * 10 * MEG)])])


@kind("TN0004")
def ten_megabytes_of_single_floats():
    return of_tensor(pb.tensor("w", pb.FLOAT, [2 * MEG], None, b"\x25\0\0\0\0" * (2 * MEG)))


@kind("TN0004")
def ten_megabytes_of_dims():
    return of_tensor(pb.tensor("w", pb.FLOAT, [], None, pb.sub(1, b"\1" * 10 * MEG)))


@kind("TN0004")
def a_node_of_100000_attributes():
    attrs = [pb.attr("a%d" % i, 1) for i in range(100000)]
    return of_nodes([pb.node("Neg", ["x"], ["y"], attrs=attrs)])


@kind("TN0004")
def rank_1000():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], inputs=[("x", [1] * 1000)])


@kind("TN0004")
def input_of_2_to_the_124_elements():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], inputs=[("x", [1 << 62, 1 << 62])])


@kind("TN0004")
def dims_that_look_alike():
    inputs = [pb.info("x%d" % i, dims=["!" * (i % 7 + 1) + "".join("#$%&"[i >> 2 * k & 3] for k in range(8))])
              for i in range(20000)]
    return pb.model(pb.graph([pb.node("Neg", ["x0"], ["y"])], inputs, [pb.info("y")]))


# Tensors.


@kind("TN0308")
def negative_extent():
    return of_tensor(pb.tensor("w", pb.FLOAT, [-4], b"\0" * 16))


@kind("TN0308")
def extents_overflow():
    return of_tensor(pb.tensor("w", pb.FLOAT, [1 << 32, 1 << 32], b""))


@kind("TN0308")
def zero_times_overflow():
    return of_tensor(pb.tensor("w", pb.FLOAT, [0, 1 << 62, 1 << 62], b""))


@kind("TN0308")
def huge_tensor_without_data():
    return of_tensor(pb.tensor("w", pb.FLOAT, [1 << 40]))


@kind("TN0308")
def raw_data_too_short():
    return of_tensor(pb.tensor("w", pb.FLOAT, [5], b"\0" * 19))


@kind("TN0308")
def numbers_cut_off():
    return of_tensor(pb.tensor("w", pb.INT64, [3], None, pb.sub(7, b"\1\2\x80")))


@kind("TN0308")
def numbers_too_long():
    return of_tensor(pb.tensor("w", pb.INT64, [1], None, pb.sub(7, b"\xff" * 11 + b"\1")))


@kind("TN0308")
def text_tensor():
    return of_tensor(pb.tensor("w", pb.STRING, [1], None, pb.sub(6, "abc")))


@kind("TN0308")
def unknown_element_type():
    return of_tensor(pb.tensor("w", 2**31 - 1, [1], b"\0"))


@kind("TN0308")
def sparse_initialiser():
    return pb.model(pb.graph([pb.node("Neg", ["x"], ["y"])], [pb.info("x", dims=[2])], [pb.info("y")],
                             rest=pb.sub(15, pb.sub(1, pb.floats("w", [1], [1.0])))))


@kind("ok")
def twenty_thousand_scalars():
    return of_nodes([pb.node("Neg", ["x"], ["y"])],
                    initialisers=[pb.floats("w%d" % i, [], [1.0]) for i in range(20000)])


# External data.


def of_external(**entries):
    return of_tensor(pb.external("w", pb.FLOAT, [4], **entries))


@kind("TN0309")
def external_parent():
    return of_external(location="../../../../../../etc/passwd")


@kind("TN0309")
def external_absolute():
    return of_external(location="/etc/passwd")


@kind("TN0309")
def external_device():
    return of_external(location="/dev/zero")


@kind("TN0309")
def external_folder():
    return of_external(location=".")


@kind("TN0309")
def external_itself_past_the_end():
    return of_external(location="external_itself_past_the_end.onnx", offset=str(2**64 - 8))


@kind("TN0309")
def external_without_location():
    return of_external(offset="0")


# Names.


@kind("TN0310")
def nul_in_a_name():
    return small_model("x\0y")


@kind("ok")
def names_that_are_no_text():
    bad = b"\xff\xfe\x80/../\x1b[31m\n"
    return pb.model(
        pb.graph([pb.sub(1, bad) + pb.sub(2, "y") + pb.sub(4, "Neg") + pb.sub(3, bad)],
                 [pb.sub(1, bad) + pb.sub(2, pb.sub(1, pb.num(1, 1) + pb.sub(2, b"")))], [pb.info("y", dims=[])]))


@kind("TN0303")
def operator_of_a_megabyte():
    return of_nodes([pb.node("N" * MEG, ["x"], ["y"])])


@kind("TN0305")
def undefined_names():
    return of_nodes([pb.node("Neg", ["u%d" % i], ["y%d" % i]) for i in range(20000)], ["y0"])


@kind("TN0306")
def one_name_for_all():
    return of_nodes([pb.node("Neg", ["x"], ["y"])] * 20000)


@kind("TN0306")
def one_output_for_all():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], ["y"] * 20000)


@kind("TN0306")
def twice_the_same_attribute():
    return of_nodes([pb.node("Neg", ["x"], ["y"], attrs=[pb.attr("a", 1)] * 200)])


@kind("TN0302")
def node_without_operator():
    return of_nodes([pb.sub(1, "x") + pb.sub(2, "y")])


# Order.


@kind("TN0307")
def a_node_that_needs_itself():
    return of_nodes([pb.node("Neg", ["y"], ["y"])])


@kind("TN0307")
def a_circle_of_30000():
    n = 30000
    return of_nodes([pb.node("Neg", ["t%d" % ((i + 1) % n)], ["t%d" % i]) for i in range(n)], ["t0"])


@kind("ok")
def a_chain_of_30000_backwards():
    n = 30000
    names = ["y"] + ["t%d" % i for i in range(1, n)] + ["x"]
    return of_nodes([pb.node("Neg", [names[i + 1]], [names[i]]) for i in range(n)])


# Functions.


def call(name, x="x", y="y"):
    return pb.node(name, [x], [y], domain="local")


@kind("TN0004")
def function_bomb():
    fs = [pb.function("f%d" % i, ["x"], ["y"], [call("f%d" % (i + 1), "x", "a"), call("f%d" % (i + 1), "a", "y")])
          for i in range(40)]
    fs.append(pb.function("f40", ["x"], ["y"], [pb.node("Neg", ["x"], ["y"])]))
    return of_nodes([call("f0")], functions=fs)


@kind("TN0312")
def function_that_calls_itself():
    return of_nodes([call("f")], functions=[pb.function("f", ["x"], ["y"], [call("f")])])


@kind("TN0312")
def functions_in_a_circle():
    fs = [pb.function("f%d" % i, ["x"], ["y"], [call("f%d" % ((i + 1) % 50))]) for i in range(50)]
    return of_nodes([call("f0")], functions=fs)


@kind("TN0004")
def functions_1000_deep():
    fs = [pb.function("f%d" % i, ["x"], ["y"], [call("f%d" % (i + 1))]) for i in range(1000)]
    return of_nodes([call("f0")], functions=fs)


@kind("TN0306")
def one_function_twice():
    f = pb.function("f", ["x"], ["y"], [pb.node("Neg", ["x"], ["y"])])
    return of_nodes([call("f")], functions=[f] * 1000)


@kind("TN0312")
def attribute_of_no_function():
    return of_nodes([pb.node("Neg", ["x"], ["y"], attrs=[pb.reference("alpha", "a")])])


# What two parts of a file say of one thing.


@kind("TN0311")
def initialiser_of_another_shape_than_its_input():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], initialisers=[pb.floats("x", [3], [1, 2, 3])])


@kind("TN0311")
def initialiser_of_another_type_than_its_input():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], initialisers=[pb.ints("x", [2], [1, 2])])


@kind("TN0306")
def initialiser_that_a_node_makes():
    return of_nodes([pb.node("Neg", ["x"], ["w"]), pb.node("Neg", ["w"], ["y"])],
                    initialisers=[pb.floats("w", [2], [1, 2])])


@kind("TN0306")
def input_that_a_node_makes():
    return of_nodes([pb.node("Neg", ["x"], ["x"]), pb.node("Neg", ["x"], ["y"])])


@kind("TN0306")
def inputs_of_one_name():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], inputs=[("x", [2]), ("x", [3])])


@kind("TN0306")
def output_listed_twice():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], outputs=("y", "y"))


@kind("TN0305")
def output_without_a_name():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], outputs=("y", ""))


@kind("TN0302")
def input_without_a_name():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], inputs=[("x", [2]), ("", [2])])


@kind("TN0308")
def elements_twice():
    numbers = b"".join(b"\x25" + struct.pack("<f", v) for v in (1, 2))
    return of_tensor(pb.tensor("w", pb.FLOAT, [2], struct.pack("<2f", 1, 2), numbers))


@kind("TN0308")
def segment_of_a_tensor():
    return of_tensor(pb.tensor("w", pb.FLOAT, [2], struct.pack("<2f", 1, 2), pb.sub(3, pb.num(1, 0) + pb.num(2, 1))))


@kind("TN0308")
def extents_that_wrap_to_nothing():
    return of_tensor(pb.tensor("w", pb.FLOAT, [1 << 62, 4], b""))


@kind("TN0308")
def sparse_index_past_the_end():
    sparse = pb.sub(1, pb.floats("w", [1], [1.0])) + pb.sub(2, pb.ints("i", [1], [99])) + pb.num(3, 2)
    return pb.model(pb.graph([pb.node("Add", ["x", "w"], ["y"])], [pb.info("x", dims=[2])], [pb.info("y")],
                             rest=pb.sub(15, sparse)))


@kind("TN0309")
def external_offset_that_wraps():
    return of_tensor(pb.external("w", pb.FLOAT, [2], location="external_offset_that_wraps.onnx",
                                 offset=(1 << 64) - 8, length=8))


@kind("TN0309")
def external_offset_below_zero():
    return of_tensor(pb.external("w", pb.FLOAT, [2], location="external_offset_below_zero.onnx", offset=-8, length=8))


@kind("TN0309")
def external_length_of_another_type():
    return of_tensor(pb.external("w", pb.FLOAT, [2], location="external_length_of_another_type.onnx", offset=0,
                                 length=4))


@kind("TN0309")
def external_place_twice():
    places = [pb.sub(13, pb.sub(1, "location") + pb.sub(2, v)) for v in ("external_place_twice.onnx", "../../passwd")]
    return of_tensor(pb.tensor("w", pb.FLOAT, [2], None, b"".join(places) + pb.num(14, 1)))


@kind("TN0205")
def constant_of_two_results():
    return of_nodes([pb.node("Constant", [], ["y", "z"], value_int=1)], outputs=("y", "z"))


@kind("TN0004")
def node_of_71_outputs():
    return of_nodes([pb.node("Split", ["x"], ["y"] + ["y%d" % i for i in range(70)], axis=0)])


@kind("TN0204")
def attribute_without_a_name():
    return of_nodes([pb.node("Neg", ["x"], ["y"], attrs=[pb.sub(1, "") + pb.num(3, 1) + pb.num(20, 2)])])


@kind("TN0312")
def attribute_that_the_function_does_not_declare():
    f = pb.function("f", ["a"], ["b"], [pb.node("LeakyRelu", ["a"], ["b"], attrs=[pb.reference("alpha", "q")])])
    return of_nodes([call("f")], functions=[f])


@kind("TN0204")
def attribute_of_a_function_of_another_kind():
    f = pb.function("f", ["a"], ["b"], [pb.node("LeakyRelu", ["a"], ["b"], attrs=[pb.reference("alpha", "p")])], ["p"])
    return of_nodes([pb.node("f", ["x"], ["y"], domain="local", p="text")], functions=[f])


@kind("TN0304")
def function_without_opset():
    f = pb.function("f", ["a"], ["b"], [pb.node("Neg", ["a"], ["b"])], opsets=[])
    return of_nodes([call("f")], functions=[f])


@kind("TN0305")
def function_that_uses_the_graph():
    f = pb.function("f", ["a"], ["b"], [pb.node("Add", ["a", "x"], ["b"])])
    return of_nodes([call("f")], functions=[f])


@kind("TN0307")
def function_with_a_circle():
    f = pb.function("f", ["a"], ["b"], [pb.node("Neg", ["c"], ["b"]), pb.node("Neg", ["b"], ["c"])])
    return of_nodes([call("f")], functions=[f])


@kind("TN0205")
def function_of_too_many_inputs():
    f = pb.function("f", ["a"], ["b"], [pb.node("Neg", ["a"], ["b"])])
    return of_nodes([pb.node("f", ["x", "x"], ["y"], domain="local")], functions=[f])


# Versions.


@kind("TN0304")
def opset_of_the_far_future():
    return small_model(opsets=[pb.opset(2**63 - 1)])


@kind("TN0304")
def opset_below_zero():
    return small_model(opsets=[pb.opset(-1)])


@kind("TN0304")
def no_opset():
    return small_model(opsets=[])


@kind("TN0304")
def domain_without_opset():
    return of_nodes([pb.node("Thing", ["x"], ["y"], domain="com.example")])


@kind("TN0306")
def opset_twice():
    return small_model(opsets=[pb.opset(17), pb.opset(18)])


@kind("TN0004")
def opsets_many_times():
    return small_model(opsets=[pb.opset(17)] * 20000)


@kind("TN0302")
def no_outputs():
    return of_nodes([pb.node("Neg", ["x"], ["y"])], [])


@kind("TN0302")
def no_graph():
    return pb.model(None)


def main():
    for name, (_, make) in KINDS.items():
        with open(os.path.join(sys.argv[1], name + ".onnx"), "wb") as f:
            f.write(make())


if __name__ == "__main__":
    main()
