"""Models of thousands of nodes compile in time and memory that grow with their size, and compute what onnxruntime does.

usage: many_nodes.py BUILD_DIR       two sizes, of which one is four times the other; processor time, not elapsed
       many_nodes.py NODES FILE      only writes such a model, to measure by hand
"""
import os
import resource
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

WIDTH, FEW, MANY = 16, 1500, 6000


def build_model(n):
    """Layers with residuals, each with weights of its own; every second one with a softmax."""
    rng = np.random.default_rng(0)
    nodes, constants, at = [], [], "x"
    while len(nodes) < n:
        i = len(constants) // 2
        constants += [numpy_helper.from_array(rng.normal(0, 0.2, (WIDTH, WIDTH)).astype(np.float32), f"w{i}"),
                      numpy_helper.from_array(rng.normal(0, 0.2, WIDTH).astype(np.float32), f"b{i}")]
        nodes += [helper.make_node("MatMul", [at, f"w{i}"], [f"m{i}"]),
                  helper.make_node("Add", [f"m{i}", f"b{i}"], [f"a{i}"]),
                  helper.make_node("Tanh", [f"a{i}"], [f"r{i}"])]
        inner = f"r{i}"
        if i % 2:
            nodes.append(helper.make_node("Softmax", [inner], [f"s{i}"], axis=-1))
            inner = f"s{i}"
        nodes.append(helper.make_node("Sub", [inner, at], [f"o{i}"]))
        at = f"o{i}"
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def compile_seconds(tenon, model, exe):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([tenon, model, "-o", exe], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime


def main():
    if sys.argv[1].isdigit():
        onnx.save(build_model(int(sys.argv[1])), sys.argv[2])
        return 0
    tenon, seconds, faults = os.path.join(sys.argv[1], "bin", "tenon"), [], []
    with tempfile.TemporaryDirectory() as work:
        for n in (FEW, MANY):
            model = build_model(n)
            onnx.save(model, f"{work}/m.onnx")
            seconds.append(compile_seconds(tenon, f"{work}/m.onnx", f"{work}/exe"))
        megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{FEW} nodes: {seconds[0]:.2f} s, {MANY} nodes: {seconds[1]:.2f} s, at most {megabytes:.0f} MB")
        if seconds[1] > 8 * seconds[0]:
            faults.append("the time grows faster than the model")
        if megabytes > 300:
            faults.append("more than 300 MB")
        x = np.random.default_rng(1).normal(0, 1, (3, WIDTH)).astype(np.float32)
        np.save(f"{work}/x.npy", x)
        subprocess.run([f"{work}/exe", "run", "--input", f"x={work}/x.npy", "--output-dir", work], check=True)
        expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
        if not np.allclose(np.load(f"{work}/y.npy"), expected, rtol=1e-3, atol=1e-3):
            faults.append("another result than onnxruntime's")
    for fault in faults:
        print(f"FAILED: {fault}")
    print(f"{3 - len(faults)} passed, {len(faults)} failed, 0 skipped")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
