"""Sequences that are known when compiling, against onnxruntime; what cannot be known is refused by name.
usage: sequences.py BUILD_DIR"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(3)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def model(nodes, inputs, constants=()):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


THREE = [("a", [2, 3]), ("b", [4, 3]), ("c", [1, 3])]
BUILD = node("SequenceConstruct", ["a", "b", "c"], ["s"])
CONCAT = node("ConcatFromSequence", ["r"], ["y"], axis=0)
AT = {"constants": [("p", np.int64(-2)), ("q", np.int64(1))]}
GOOD = {
    "order": model([BUILD, node("SequenceErase", ["s", "p"], ["t"]), node("SequenceInsert", ["t", "b", "q"], ["u"]),
                    node("SequenceInsert", ["u", "a"], ["r"]), CONCAT], THREE, **AT),
    "erase the last": model([BUILD, node("SequenceErase", ["s"], ["r"]), CONCAT], THREE),
    "element": model([BUILD, node("SequenceAt", ["s", "p"], ["t"]), node("Neg", ["t"], ["y"])], THREE, **AT),
    "length": model([BUILD, node("SequenceLength", ["s"], ["n"]), node("Cast", ["n"], ["y"], to=1)], THREE),
    "new axis": model([node("SequenceConstruct", ["a", "b"], ["s"]),
                       node("ConcatFromSequence", ["s"], ["y"], axis=-2, new_axis=1)], [("a", [2, 3]), ("b", [2, 3])]),
    "uneven chunks": model([node("SplitToSequence", ["a", "p"], ["s"], axis=1), node("SequenceAt", ["s", "q"], ["y"])],
                           [("a", [2, 7])], [("p", np.int64(4)), ("q", np.int64(1))]),
    "given sizes": model([node("SplitToSequence", ["a", "p"], ["s"], axis=-1), node("SequenceAt", ["s", "q"], ["y"])],
                         [("a", [2, 7])], [("p", np.array([1, 4, 2])), ("q", np.int64(-1))]),
    "dropped axis": model([node("SplitToSequence", ["a"], ["s"], axis=0, keepdims=0),
                           node("ConcatFromSequence", ["s"], ["y"], axis=1, new_axis=1)], [("a", [3, 4])]),
    "empty": model([node("SequenceEmpty", [], ["s"]), node("SequenceInsert", ["s", "a"], ["r"]), CONCAT],
                   [("a", [2, 3])]),
}
BAD = {
    "is a sequence: 'Neg' takes tensors": model([BUILD, node("Neg", ["s"], ["y"])], THREE),
    "no such position in a sequence of 3 tensors": model(
        [BUILD, node("SequenceAt", ["s", "p"], ["y"])], THREE, [("p", np.int64(3))]),
    "nothing to erase in an empty sequence": model(
        [node("SequenceEmpty", [], ["s"]), node("SequenceErase", ["s"], ["r"]), CONCAT], [("a", [2, 3])]),
    "a position computed at run time": model(
        [BUILD, node("Cast", ["n"], ["p"], to=7), node("SequenceAt", ["s", "p"], ["y"])], [*THREE, ("n", [])]),
    "an empty sequence": model([node("SequenceEmpty", [], ["r"]), CONCAT], [("a", [2, 3])]),
}


def check_good(tenon, folder, name):
    path = os.path.join(folder, "m.onnx")
    onnx.save(GOOD[name], path)
    feed = {port.name: RNG.normal(size=[d.dim_value for d in port.type.tensor_type.shape.dim]).astype(np.float32)
            for port in GOOD[name].graph.input}
    words = []
    for key, value in feed.items():
        np.save(os.path.join(folder, f"{key}.npy"), value)
        words += ["--input", f"{key}={key}.npy"]
    subprocess.run([tenon, path, "-o", os.path.join(folder, "m")], check=True, capture_output=True, text=True)
    subprocess.run(["./m", "run", *words, "--output-dir", "out"], cwd=folder, check=True, capture_output=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    want, = session.run(None, feed)
    got = np.load(os.path.join(folder, "out", "y.npy"))
    assert got.shape == np.shape(want) and (got == want).all(), f"{name}: {got} instead of {want}"


def check_bad(tenon, folder, text):
    path = os.path.join(folder, "m.onnx")
    onnx.save(BAD[text], path)
    done = subprocess.run([tenon, path, "-o", os.path.join(folder, "m")], capture_output=True, text=True)
    assert done.returncode == 1 and text in done.stderr, f"expected '{text}', found {done.returncode}: {done.stderr}"


def main():
    tenon = os.path.join(os.path.abspath(sys.argv[1]), "bin", "tenon")
    passed = failed = 0
    for check, names in ((check_good, GOOD), (check_bad, BAD)):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    check(tenon, folder, name)
                    passed += 1
                except (AssertionError, subprocess.CalledProcessError) as error:
                    print(f"FAILED: {name}: {error} {getattr(error, 'stderr', '')}")
                    failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
