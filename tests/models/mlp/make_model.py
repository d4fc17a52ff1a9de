"""Writes mlp.onnx, x.npy and want.npy (by onnxruntime) into a folder: a perceptron of three layers, symbolic batch."""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTHS = [20, 64, 33, 7]


def main(folder):
    rng = np.random.default_rng(7)
    nodes, weights, at = [], [], "x"
    for i, (k, n) in enumerate(zip(WIDTHS, WIDTHS[1:])):
        w = (rng.standard_normal((k, n)) * np.sqrt(2 / k)).astype(np.float32)
        weights += [numpy_helper.from_array(w, f"w{i}"),
                    numpy_helper.from_array(rng.standard_normal(n).astype(np.float32), f"b{i}")]
        nodes.append(helper.make_node("MatMul", [at, f"w{i}"], [f"m{i}"], name=f"fc{i}"))
        nodes.append(helper.make_node("Add", [f"m{i}", f"b{i}"], [f"a{i}"], name=f"bias{i}"))
        at = f"a{i}"
        if i + 2 < len(WIDTHS):
            nodes.append(helper.make_node("Relu", [at], [f"r{i}"], name=f"relu{i}"))
            at = f"r{i}"
    nodes.append(helper.make_node("Softmax", [at], ["y"], name="softmax", axis=-1))
    graph = helper.make_graph(
        nodes, "mlp", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTHS[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", WIDTHS[-1]])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, f"{folder}/mlp.onnx")
    x = rng.standard_normal((5, WIDTHS[0])).astype(np.float32)
    np.save(f"{folder}/x.npy", x)
    import onnxruntime as ort
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.save(f"{folder}/want.npy", session.run(None, {"x": x})[0])


if __name__ == "__main__":
    main(sys.argv[1])
