"""Writes one of the small models that tests of this folder's subjects compile: make.py NAME FILE."""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def lstm():
    rng = np.random.default_rng(0)
    consts = {"w": (1, 64, 8), "r": (1, 64, 16), "b": (1, 128)}
    node = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=16)
    return ([node], [("x", TensorProto.FLOAT, ["T", 2, 8])], [("y", TensorProto.FLOAT, None)],
            {k: rng.normal(size=v).astype(np.float32) for k, v in consts.items()})


def main():
    nodes, inputs, outputs, consts = globals()[sys.argv[1]]()
    graph = helper.make_graph(nodes, sys.argv[1], [helper.make_tensor_value_info(*i) for i in inputs],
                              [helper.make_tensor_value_info(*o) for o in outputs],
                              [numpy_helper.from_array(v, k) for k, v in consts.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[2])


main()
