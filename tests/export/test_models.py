#!/usr/bin/env python3
"""Models in the language and recurrent layers, written by --emit=onnx and run by onnxruntime, against our own programs;
weights beside the model; real models where they are there.   usage: test_models.py BUILD_DIRECTORY [MODEL_FOLDER]"""
import importlib.util
import os
import sys

import numpy as np
import onnx

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lang", "numpy"))

import check
from common import TENON, Folder, run  # noqa: E402


sys.path.append(os.path.join(HERE, "..", "models"))


def load(name, path):
    """A test file, as a module: some are called as files of this folder are."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


language = load("language", os.path.join(HERE, "..", "lang", "numpy", "test_models.py"))
found = load("found_models", os.path.join(HERE, "..", "models", "found.py"))


def language_model(path, tolerance, options, function):
    folder = Folder()
    inputs, _ = function(np.random.default_rng(11))
    run(TENON, path, "--init=5", *options, "--emit=safetensors", "-o", folder.at("w.safetensors"))
    weights = "--weights=" + folder.at("w.safetensors")
    folder.compile(path, weights, *options)
    check.export(TENON, path, folder.at("out.onnx"), weights, *options)
    expected = folder.execute(inputs)
    got = check.ort_run(folder.at("out.onnx"), inputs)
    # ONNX has one name for one tensor: an output that is called as an input is gets a number.
    plain = {name if name in expected else name.rsplit("_", 1)[0]: value for name, value in got.items()}
    assert sorted(plain) == sorted(expected), "outputs %s, expected %s" % (sorted(plain), sorted(expected))
    for name, value in plain.items():
        check.compare(value, expected[name], 2 * tolerance)


RECURRENT = """tnir 1
func @layer entry (%%0: f32[T,2,4] "x", %%1: f32[%(g)d,4] "w", %%2: f32[%(g)d,5] "r", %%3: f32[%(b)d] "b",
                   %%4: i64[2] "lengths", %%5: f32[2,5] "h"%(p)s) -> (f32[T,2,5] "y", f32[2,5] "last") {
  %%7, %%8%(m)s = %(op)s %%0, %%1, %%2, %%3, %%4, %%5%(o)s {reverse=%(r)s%(a)s} : f32[T,2,5], f32[2,5]%(t)s
  return %%7, %%8
}
"""


def recurrent(op, reverse, attrs=""):
    """All that a layer may be given, the number of steps symbolic; onnxruntime has these in f32 only."""
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[op]
    is_lstm = op == "lstm"
    text = RECURRENT % {
        "op": op, "g": 5 * gates, "b": 10 * gates, "r": reverse, "a": attrs,
        "p": ', %6: f32[2,5] "c", %9: f32[15] "p"' if is_lstm else "", "o": ", %6, %9" if is_lstm else "",
        "m": ", %10" if is_lstm else "", "t": ", f32[2,5]" if is_lstm else ""}
    folder, rng = Folder(), np.random.default_rng(3)
    shapes = {"x": (4, 2, 4), "w": (5 * gates, 4), "r": (5 * gates, 5), "b": (10 * gates,), "h": (2, 5)}
    if is_lstm:
        shapes.update(c=(2, 5), p=(15,))
    inputs = {n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    inputs["lengths"] = np.array([4, 2])
    path = folder.write("layer.tnir", text.replace("tnir 1", "tnir 1\nsym T in [1, 64]"))
    check.export(TENON, path, folder.at("out.onnx"))
    run(TENON, path, "--eval", "--output-dir", folder.at("out"), *folder.inputs(inputs))
    expected = folder.outputs()
    for name, value in check.ort_run(folder.at("out.onnx"), inputs).items():
        check.compare(value, expected[name])


def weights_beside():
    """--constants=external: the same model, its weights in a file of their own."""
    folder = Folder()
    path = os.path.join(language.EXAMPLES, "lenet.tn")
    x = {"x": np.random.default_rng(2).standard_normal((2, 1, 28, 28)).astype(np.float32)}
    for name, how in (("whole.onnx", "embedded"), ("parts.onnx", "external")):
        check.export(TENON, path, folder.at(name), "--init=5", "--constants=" + how)
    parts = onnx.load(folder.at("parts.onnx"), load_external_data=False)
    beside = [t for t in parts.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    sizes = [4 * int(np.prod(t.dims)) for t in beside]
    assert beside and sum(sizes) <= os.path.getsize(folder.at("parts.weights")) < sum(sizes) + 64 * len(sizes)
    assert os.path.getsize(folder.at("parts.onnx")) < os.path.getsize(folder.at("whole.onnx")) // 10
    a, b = (check.ort_run(folder.at(n), x) for n in ("whole.onnx", "parts.onnx"))
    for name, value in a.items():
        check.compare(b[name], value)


def make_inputs(path):
    """As the model's users give them, where that is known, else contents of images or bytes."""
    rng, stem = np.random.default_rng(7), os.path.splitext(os.path.basename(path))[0]
    if stem in found.FOUND:
        return found.FOUND[stem][0](rng)
    graph = onnx.load(path, load_external_data=False).graph
    weights = {t.name for t in graph.initializer}
    sizes = {"N": 1, "batch": 1, "batch_size": 1}
    inputs = {}
    for i in graph.input:
        if i.name in weights:
            continue
        shape = i.type.tensor_type.shape.dim
        dims = [d.dim_value if d.HasField("dim_value") else sizes.get(d.dim_param, 0) for d in shape]
        typical = [1, 3, 64, 64] if len(dims) == 4 else [1, 2048]
        dims = [d if d > 0 else t for d, t in zip(dims, typical)]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type)
        is_integer = np.dtype(dtype).kind in "iu"
        inputs[i.name] = (rng.integers(0, 256, dims) if is_integer else rng.uniform(0, 1, dims)).astype(dtype)
    return inputs


def rounds_on_the_way(path):
    """onnxruntime's DynamicQuantizeLSTM rounds activations to 8 bits; ours, and so what is written of it, does not."""
    return any(node.op_type == "DynamicQuantizeLSTM" for node in onnx.load(path, load_external_data=False).graph.node)


def real_model(path):
    """onnxruntime on what we write of the model, and on the model itself or our own program of it."""
    folder, inputs = Folder(), make_inputs(path)
    check.export(TENON, path, folder.at("out.onnx"))
    got = check.ort_run(folder.at("out.onnx"), inputs)
    allowed = 2e-4  # hundreds of layers, other orders of sums
    if rounds_on_the_way(path):
        folder.compile(path)
        expected, allowed = folder.execute(inputs), 1 / 255  # of its other 8-bit roundings one may fall the other way
    else:
        expected = check.ort_run(path, inputs)
    for name, value in expected.items():
        check.compare(got[name], value, allowed)


def tests():
    for path, tolerance, options, function in language.TESTS:
        yield function.__name__, lambda a=(path, tolerance, options, function): language_model(*a)
    for op in ("rnn", "gru", "lstm"):
        for reverse in ("false", "true"):
            yield "%s reverse=%s" % (op, reverse), lambda o=op, r=reverse: recurrent(o, r)
    yield "gru linear_before_reset", lambda: recurrent("gru", "true", ", linear_before_reset=true")
    yield "weights beside", weights_beside
    models = sys.argv[2] if len(sys.argv) > 2 else None
    for name in sorted(os.listdir(models)) if models else []:
        if name.endswith(".onnx"):
            yield name, lambda n=name: real_model(os.path.join(models, n))


def main():
    passed = failed = 0
    for name, test in tests():
        try:
            test()
            passed += 1
        except (RuntimeError, AssertionError, KeyError, ValueError, check.Refused) as e:
            failed += 1
            print("FAILED: %s: %s" % (name, str(e)[:600]))
    check.finish(passed, failed, 0)


main()
