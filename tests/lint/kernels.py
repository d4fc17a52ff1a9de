"""The code of contractions and convolutions: in the innermost loop, vectors of FMAs and no access to the stack.

Compiles small models for AVX-512 and AVX2, disassembles the objects, and looks, in the function of every kernel whose
anchor is a contraction, at the innermost loop with the most FMAs.   usage: kernels.py ROOT BUILD_DIR
"""
import collections
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lib.common import report

VECTORS = {"x86-64-v4": "zmm", "haswell": "ymm"}

Instruction = collections.namedtuple("Instruction", "address name operands")


# ---- models ----

def weights(name, *shape):
    rng = np.random.default_rng(len(name) + sum(shape))
    return numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name)


def model(nodes, inputs, constants):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def conv(shape, *layers):
    """A chain of convolutions with Relu: layers are (name, shape of the weights, attributes)."""
    nodes, constants, at = [], [], "x"
    for i, (name, kernel, attributes) in enumerate(layers):
        constants += [weights(name + "_w", *kernel), weights(name + "_b", kernel[0])]
        nodes.append(helper.make_node("Conv", [at, name + "_w", name + "_b"], [name + "_c"], name, **attributes))
        at = "y" if i + 1 == len(layers) else name + "_r"
        nodes.append(helper.make_node("Relu", [name + "_c"], [at]))
    return model(nodes, [("x", shape)], constants)


def between(shape, name, kernel, **attributes):
    """One convolution between two of 1x1, so that it reads and writes what the compiler lays out."""
    n, channels, *space = shape
    ones = (1,) * len(space)
    inside = kernel[1] * attributes.get("group", 1)
    return conv((n, channels, *space), ("head", (inside, channels, *ones), {}), (name, kernel, attributes),
                ("tail", (48, kernel[0], *ones), {}))


def gemm(m, k, n):
    return model([helper.make_node("Gemm", ["x", "w", "b"], ["y"], "gemm")], [("x", [m, k])],
                 [weights("w", k, n), weights("b", n)])


def products(a, b):
    return model([helper.make_node("MatMul", ["a", "b"], ["y"], "matmul")], [("a", a), ("b", b)], [])


def attention(heads, rows, size):
    """softmax(q k') v, all of them inputs."""
    nodes = [helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
             helper.make_node("MatMul", ["q", "kt"], ["scores"]),
             helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
             helper.make_node("MatMul", ["shares", "v"], ["y"])]
    return model(nodes, [(name, [1, heads, rows, size]) for name in "qkv"], [])


PAD = {"pads": [1, 1, 1, 1]}
MODELS = {
    "conv3x3": lambda: between((1, 64, 56, 56), "conv", (64, 64, 3, 3), **PAD),
    "conv3x3_strided": lambda: between((1, 64, 56, 56), "conv", (128, 64, 3, 3), strides=[2, 2], **PAD),
    "conv3x3_dilated": lambda: between((1, 64, 28, 28), "conv", (64, 64, 3, 3), dilations=[2, 2], pads=[2] * 4),
    "conv3x3_grouped": lambda: between((1, 64, 28, 28), "conv", (64, 16, 3, 3), group=4, **PAD),
    "conv3x3_depthwise": lambda: between((1, 64, 56, 56), "conv", (64, 1, 3, 3), group=64, **PAD),
    "conv3x3_alone": lambda: conv((1, 64, 56, 56), ("conv", (64, 64, 3, 3), PAD)),
    "conv3x3_alone_odd": lambda: conv((1, 64, 28, 51), ("conv", (64, 64, 3, 3), PAD)),
    "conv5x5_alone": lambda: conv((1, 32, 48, 48), ("conv", (48, 32, 5, 5), {"pads": [2] * 4})),
    "conv3x3_alone_symbolic": lambda: conv((1, 32, "h", "w"), ("conv", (64, 32, 3, 3), PAD)),
    "conv3x3_symbolic_strided": lambda: between((1, 32, "h", "w"), "conv", (64, 32, 3, 3), strides=[2, 2], **PAD),
    "conv5x5_symbolic": lambda: between((1, 32, "h", "w"), "conv", (64, 32, 5, 5), pads=[2] * 4),
    "conv3x3_symbolic": lambda: between((1, 32, "h", "w"), "conv", (64, 32, 3, 3), **PAD),
    "conv1x1": lambda: between((1, 256, 14, 14), "conv", (512, 256, 1, 1)),
    "conv1x1_strided": lambda: between((1, 256, 28, 28), "conv", (512, 256, 1, 1), strides=[2, 2]),
    "conv7x7_stem": lambda: conv((1, 3, 224, 224), ("conv", (64, 3, 7, 7), {"strides": [2, 2], "pads": [3] * 4}),
                                 ("tail", (64, 64, 1, 1), {})),
    "conv3x3_stem": lambda: conv((1, 3, 112, 112), ("conv", (32, 3, 3, 3), {"strides": [2, 2], **PAD}),
                                 ("tail", (64, 32, 1, 1), {})),
    "conv1d": lambda: between((1, 64, 400), "conv", (64, 64, 5), pads=[2, 2]),
    "gemm": lambda: gemm(64, 512, 256),
    "gemm_symbolic": lambda: gemm("m", 512, 256),
    "gemm_row": lambda: gemm(1, 512, 1000),
    "matmul": lambda: products([64, 256], [256, 128]),
    "matmul_batched": lambda: products([12, 64, 64], [12, 64, 64]),
    "attention": lambda: attention(12, 128, 64),
    "attention_symbolic": lambda: attention(12, "rows", 64),
}


# ---- what the compiler says ----

def tenon(build, *arguments):
    command = [os.path.join(build, "bin", "tenon"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def contractions(kernels):
    """Names of the kernels whose anchor is a contraction."""
    return set(re.findall(r'^kernel @("[^"]*"|\S+) anchor=contract\b', kernels, re.MULTILINE))


def steps(program):
    """(kernel, strategy) of the steps in order."""
    return re.findall(r'^  step \d+ kernel @("[^"]*"|\S+) .* as "([^"]*)"', program, re.MULTILINE)


# ---- what the object says ----

def disassemble(path):
    """{function: [Instruction]}, and the kernels called by the functions that do the steps, in order."""
    text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", path], check=True, capture_output=True,
                          text=True).stdout
    functions, calls, code, name = {}, [], [], ""
    for line in text.splitlines():
        if found := re.match(r"^[0-9a-f]+ <(.*)>:$", line):
            name = found.group(1)
            code = functions.setdefault(name, [])
        elif found := re.match(r"^\s+([0-9a-f]+):\s+([a-z]\S*)\s*(.*)$", line):
            code.append(Instruction(int(found.group(1), 16), found.group(2), found.group(3)))
        elif found := re.search(r"R_X86_64_PLT32\s+(\w+_kernel_[0-9a-f]{16})", line):
            if re.search(r"_run_\d+$", name):
                calls.append(found.group(1))
    return functions, calls


def innermost_loops(code):
    """The instructions of each loop, from the target of a jump back to the jump, that holds no other."""
    ranges = set()
    for i in code:
        if i.name.startswith("j") and (found := re.match(r"([0-9a-f]+) ", i.operands)):
            if int(found.group(1), 16) <= i.address:
                ranges.add((int(found.group(1), 16), i.address))
    for low, high in sorted(ranges):
        if not any(low <= a and b <= high for a, b in ranges - {(low, high)}):
            yield [i for i in code if low <= i.address <= high]


def count_fmas(loop, vector):
    return sum(i.name.startswith("vfmadd") and i.name.endswith("ps") and vector in i.operands for i in loop)


def stack_accesses(code, loop):
    framed = any(i.name == "mov" and i.operands == "%rsp,%rbp" for i in code)
    bases = ("(%rsp", "(%rbp") if framed else ("(%rsp",)
    return [i for i in loop if any(base in i.operands for base in bases)]


def faults(code, vector):
    """What is wrong with a kernel's code; empty: nothing."""
    loops = [(count_fmas(loop, vector), loop) for loop in innermost_loops(code)]
    most = max((n for n, _ in loops), default=0)
    if most == 0:
        return f"no innermost loop holds an FMA of {vector}"
    spills = [len(stack_accesses(code, loop)) for n, loop in loops if n == most]
    return f"{max(spills)} accesses to the stack among {most} FMAs" if max(spills) else ""


# ---- the check ----

def check(build, path, name, cpu):
    """(kernel, strategy, what is wrong or "") of every contraction of a model."""
    march, stem = f"-march={cpu}", os.path.splitext(path)[0]
    anchors = contractions(tenon(build, path, march, "--emit=kernels", "-o", "-"))
    done = steps(tenon(build, path, march, "--emit=program", "-o", "-"))
    tenon(build, "-c", path, march, "-o", stem + ".o")
    functions, calls = disassemble(stem + ".o")
    if len(calls) != len(done) or not any(kernel in anchors for kernel, _ in done):
        yield "", "", f"{len(done)} steps, {len(calls)} calls of kernels, {len(anchors)} contractions"
        return
    for (kernel, strategy), function in zip(done, calls):
        if kernel in anchors:
            yield kernel, strategy, faults(functions[function], VECTORS[cpu])


def main():
    build, n = sys.argv[2], 0
    with tempfile.TemporaryDirectory() as work:
        for name, make in MODELS.items():
            path = os.path.join(work, name + ".onnx")
            onnx.save(make(), path)
            for cpu in VECTORS:
                for kernel, strategy, wrong in check(build, path, name, cpu):
                    n += 1
                    if wrong:
                        yield f"{name}: kernel {kernel} ({strategy}) for {cpu}: {wrong}"
    print(f"{n} contractions disassembled")


sys.exit(report(main()))
