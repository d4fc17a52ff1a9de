"""Writes a small ONNX model: y = relu-free chain of x[batch,?] with two outputs."""
import sys

import onnx
from onnx import TensorProto, helper

nodes = [helper.make_node("Exp", ["x"], ["e"], name="exponential"), helper.make_node("Neg", ["e"], ["y"], name="minus")]
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
