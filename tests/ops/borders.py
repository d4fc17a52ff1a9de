"""Convolutions whose tiles meet the borders in every way, against onnxruntime.   usage: borders.py BUILD_DIR

Each case is compiled once for this machine and once for AVX2 and runs at many sizes: shorter than a tile, of a few
tiles, with and without a remainder. Beside channels last, as between convolutions, there are planes (a convolution
alone). Errors are at most 4 (K + 8) u m, with K the length of the sums and m the largest sum of the terms' absolute
values.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

U = 2.0 ** -24
SIZES = (1, 2, 5, 6, 7, 8, 10, 12, 13, 14, 16, 17, 18, 23, 24, 25, 40, 50, 79)
# name: (kernel, attributes)
CASES = {
    "3x3": ((24, 16, 3, 3), {"pads": [1, 1, 1, 1]}),
    "3x3 strided": ((24, 16, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "3x3 dilated": ((24, 16, 3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
    "5x5": ((20, 16, 5, 5), {"pads": [2, 2, 2, 2]}),
    "5x5 to one side": ((24, 16, 5, 5), {"pads": [0, 0, 4, 4]}),
    "1x7 strided": ((24, 16, 1, 7), {"pads": [0, 3, 0, 3], "strides": [1, 3]}),
    "same upper": ((24, 16, 4, 4), {"pads": [1, 1, 2, 2]}),
    "depthwise": ((16, 1, 3, 3), {"pads": [1, 1, 1, 1], "group": 16}),
}


def conv(name, node, shape, constants):
    rng = np.random.default_rng(len(name) + sum(shape))
    w = rng.normal(0, 0.2, shape).astype(np.float32)
    constants.append(numpy_helper.from_array(w, name))
    return node


def build_model(kernel, attributes, width, is_between):
    """One convolution over (1, 16, 6, width), between two of 1x1 or alone; width is a number or a name."""
    constants, nodes = [], []
    steps = [("w", kernel, attributes)]
    if is_between:
        steps = [("head", (16, 16, 1, 1), {}), *steps, ("tail", (16, kernel[0], 1, 1), {})]
    at = "x"
    for i, (name, shape, extra) in enumerate(steps):
        to = "y" if i + 1 == len(steps) else f"t{i}"
        nodes.append(conv(name, helper.make_node("Conv", [at, name], [to], **extra), shape, constants))
        at = to
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 6, width])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def theirs(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def absolute(model):
    """The model with the absolute values of its weights."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for w in copy.graph.initializer:
        w.CopyFrom(numpy_helper.from_array(np.abs(numpy_helper.to_array(w)), w.name))
    return copy


def run_at(exe, work, model, width):
    """What is wrong at one width; "": nothing; None: the model has no output there."""
    x = np.random.default_rng(width).normal(0, 1, (1, 16, 6, width)).astype(np.float32)
    try:
        expected = theirs(model, x)
    except onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException:
        return None  # no output at this width
    np.save(f"{work}/x.npy", x)
    done = subprocess.run([exe, "run", "--input", f"x={work}/x.npy", "--output-dir", work], capture_output=True,
                          text=True)
    if done.returncode:
        return f"status {done.returncode}: {done.stderr.strip()}"
    ours = np.load(f"{work}/y.npy")
    n = sum(int(np.prod(w.dims[1:])) for w in model.graph.initializer)
    bound = 4 * (n + 8) * U * float(theirs(absolute(model), np.abs(x)).max())
    if ours.shape != expected.shape:
        return f"shape {ours.shape}, expected {expected.shape}"
    worst = float(np.abs(ours - expected).max())
    return "" if worst <= bound else f"off by {worst:g}, allowed {bound:g}"


def check(tenon, work, name, width_is_known, is_between):
    kernel, attributes = CASES[name]
    widths = (13, 50, 56) if width_is_known else SIZES
    for options in ([], ["-march=haswell"]):
        exe = os.path.join(work, "exe")
        for i, width in enumerate(widths):
            model = build_model(kernel, attributes, width if width_is_known else "w", is_between)
            if width_is_known or i == 0:
                onnx.save(model, f"{work}/m.onnx")
                subprocess.run([tenon, f"{work}/m.onnx", "-o", exe, *options], check=True)
            wrong = run_at(exe, work, model, width)
            if wrong is not None:
                place = "between" if is_between else "alone"
                yield f"{name}, {place}, width {width}{'' if width_is_known else ' at run time'} {options}", wrong


def main():
    tenon, passed, failed = os.path.join(sys.argv[1], "bin", "tenon"), 0, 0
    with tempfile.TemporaryDirectory() as work:
        for name in CASES:
            for variant in range(4):
                for what, wrong in check(tenon, work, name, variant < 2, variant % 2 == 0):
                    passed += not wrong
                    failed += bool(wrong)
                    if wrong:
                        print(f"FAILED: {what}: {wrong}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
