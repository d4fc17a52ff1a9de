"""Single-operator cases as one model: written, compiled, run, run by the reference."""
import os
import re
import subprocess

import numpy as np
import onnx
from onnx import helper, numpy_helper

from number import TRAVELS, TYPES, name_of, onnx_type

SECONDS = 180


class Refused(Exception):
    """The compiler or the program said no: status and what it wrote."""

    def __init__(self, stage, status, text):
        super().__init__(f"{stage}: exit {status}: {text.strip()[-700:]}")
        self.status, self.text = status, text


def same_constants(a, b):
    return a.attributes == b.attributes and [i is None for i in a.inputs] == [i is None for i in b.inputs] and all(
        a.inputs[i].shape == b.inputs[i].shape and a.inputs[i].tobytes() == b.inputs[i].tobytes() for i in a.constant
        if a.inputs[i] is not None)


def common_sizes(cases):
    """The sizes that one program can serve: those whose attributes, constants and ranks are the first one's."""
    first = cases[0]
    if first.fixed:
        return [first]
    return [c for c in cases if repr(c.attributes) == repr(first.attributes) and same_constants(first, c) and
            all(x is None or (x.ndim == y.ndim and x.dtype == y.dtype) for x, y in zip(first.inputs, c.inputs))]


def symbols(number, sizes, port, shared):
    """The dims of an input: a number where all sizes agree, else a symbol; equal extents may be one symbol."""
    dims = []
    for axis in range(sizes[0].inputs[port].ndim):
        extents = [s.inputs[port].shape[axis] for s in sizes]
        if len(set(extents)) == 1:
            dims.append(extents[0])
        else:
            dims.append(f"c{number}_" + ("n" + "_".join(map(str, extents)) if shared else f"{port}_{axis}"))
    return dims


def is_constant(case, i):
    return i in case.constant and case.inputs[i] is not None


def make_model(entries, opset):
    """entries: [(number, cases by size, whether axes of one extent share a symbol)]."""
    nodes, params, results, constants, domains = [], [], [], [], {"": opset}
    for number, sizes, shared in entries:
        case = sizes[0]
        names = ["" if x is None else f"x{number}_{i}" for i, x in enumerate(case.inputs)]
        while names and not names[-1]:
            names.pop()
        outputs = [f"y{number}_{i}" for i in range(len(case.want))]
        node = helper.make_node(case.op, names, outputs, name=f"c{number}", domain=case.domain)
        for name, value in case.attributes.items():
            kind = onnx.AttributeProto.INTS if value == [] else None
            node.attribute.append(helper.make_attribute(name, value, attr_type=kind))
        nodes.append(node)
        domains.setdefault(case.domain, 5 if case.domain == "ai.onnx.ml" else 1)
        for i, x in enumerate(case.inputs):
            if x is None:
                continue
            if is_constant(case, i):
                constants.append(numpy_helper.from_array(np.ascontiguousarray(x).reshape(x.shape), names[i]))
            else:
                params.append(helper.make_tensor_value_info(names[i], helper.np_dtype_to_tensor_dtype(x.dtype),
                                                            symbols(number, sizes, i, shared)))
        for name, want in zip(outputs, case.want):
            results.append(helper.make_tensor_value_info(name, onnx_type(want.dtype), None))
    graph = helper.make_graph(nodes, "numerics", params, results, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(d, v) for d, v in domains.items()],
                             ir_version=10)


def save(path, x):
    name = name_of(x)
    if name in ("i4", "u4"):
        x = x.astype(TRAVELS[name])
    elif name in TRAVELS:
        x = np.ascontiguousarray(x).reshape(x.shape).view(TRAVELS[name])
    np.save(path, x)


def load(path, dtype):
    x = np.load(path)
    if dtype in ("i4", "u4"):
        return x.astype(TYPES[dtype])
    if dtype in TRAVELS:
        return x.view(TYPES[dtype]) if x.dtype == TRAVELS[dtype] else x
    return x


def execute(stage, command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    if done.returncode != 0:
        raise Refused(stage, done.returncode, done.stderr + done.stdout)


class Program:
    def __init__(self, tenon, folder, entries, opset, options, mode):
        self.tenon, self.folder, self.entries, self.options, self.mode = tenon, folder, entries, options, mode
        self.threads = 2 if any(len(sizes) > 1 for _, sizes, _ in entries) else 1
        self.model = os.path.join(folder, "model.onnx")
        self.exe = os.path.join(folder, "model")
        onnx.save(make_model(entries, opset), self.model)

    def compile(self):
        execute("compiling", [self.tenon, self.model, "-o", self.exe, "-j", "1", "--verify-each", *self.options])

    def run(self, size, reference):
        """[results of each entry] for the inputs of a size."""
        command = ([self.tenon, self.model, "--eval", "--eval-mode", self.mode] if reference else
                   [self.exe, "run", "--threads", str(self.threads)])
        for number, sizes, _ in self.entries:
            case = sizes[size % len(sizes)]
            for i, x in enumerate(case.inputs):
                if x is None or is_constant(case, i):
                    continue
                path = os.path.join(self.folder, f"x{number}_{i}.npy")
                save(path, x)
                command += ["--input", f"x{number}_{i}={path}"]
        execute("the reference" if reference else "running", command + ["--output-dir", self.folder])
        return [[load(os.path.join(self.folder, f"y{number}_{i}.npy"), w.dtype)
                 for i, w in enumerate(sizes[size % len(sizes)].want)] for number, sizes, _ in self.entries]


def complaints(text):
    """{number of a case: the first line about it} from the compiler's diagnostics."""
    found = {}
    for line in text.splitlines():
        for number in re.findall(r"'c(\d+)'", line):
            if "error" in line:
                found.setdefault(int(number), line)
    return found
