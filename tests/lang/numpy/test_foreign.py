#!/usr/bin/env python3
"""model NAME = onnx("FILE"): as an entry and inside of other models, against onnxruntime; what does not fit is said of
the .tn file and of the ONNX file.   usage: test_foreign.py BUILD_DIRECTORY"""
import subprocess

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

from common import TENON, Folder, finish, read_safetensors, run


def save(path, nodes, inputs, outputs, weights):
    """inputs and outputs: {name: (type, dims)}"""
    graph = h.make_graph(nodes, "g", [h.make_tensor_value_info(n, *t) for n, t in inputs.items()],
                         [h.make_tensor_value_info(n, *t) for n, t in outputs.items()],
                         [numpy_helper.from_array(w, n) for n, w in weights.items()])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), path)


def make_models(folder):
    rng = np.random.default_rng(3)
    weights = {"fc.weight": rng.standard_normal((4, 3)).astype(np.float32),
               "fc.bias": rng.standard_normal(3).astype(np.float32)}
    save(folder.at("head.onnx"),
         [h.make_node("MatMul", ["x", "fc.weight"], ["m"]), h.make_node("Add", ["m", "fc.bias"], ["y"]),
          h.make_node("Softmax", ["y"], ["p"])],
         {"x": (T.FLOAT, ["N", 4])}, {"y": (T.FLOAT, ["N", 3]), "p": (T.FLOAT, ["N", 3])}, weights)
    save(folder.at("two.onnx"), [h.make_node("Add", ["a", "b"], ["s"])],
         {"a": (T.FLOAT, ["N", "K"]), "b": (T.FLOAT, ["N", "K"])}, {"s": (T.FLOAT, ["N", "K"])}, {})


def reference(folder, name, **inputs):
    session = onnxruntime.InferenceSession(folder.at(name), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs)))


def f(*dims):
    return np.random.default_rng(9).standard_normal(dims).astype(np.float32)


def close(found, wanted):
    assert found.shape == wanted.shape and np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max(), (found, wanted)


def entry(folder):
    path = folder.write("a.tn", 'model R = onnx("head.onnx")\n')
    x = f(5, 4)
    folder.compile(path, "-MD")
    found, wanted = folder.execute({"x": x}), reference(folder, "head.onnx", x=x)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        close(found[name], value)
    with open(folder.at("program.d"), encoding="utf-8") as file:
        depends = file.read()
    assert "a.tn" in depends and "head.onnx" in depends, depends


def fixed_dims(folder):
    path = folder.write("a.tn", 'model R = onnx("head.onnx")\n')
    assert "f32[3,4]" in run(TENON, path, "-D", "N=3", "--emit=ir", "-o", "-")
    assert "in [1, 8]" in run(TENON, path, "--dim", "N=1..8", "--emit=ir", "-o", "-")


def parts(folder):
    """By position, by name, with two results, twice with one set of weights, in a loop."""
    path = folder.write("b.tn", """model Head = onnx("head.onnx")
model Two = onnx("two.onnx")
dim K = 4
model Top(x: f32[B, K]) -> (f32[B, K], f32[B, 3], f32[B, 3]) {
  sub head = Head()
  let (y, p) = head(Two(b: x, a: x * 2))
  let (again, q) = x |> head
  let h = x
  for i in 0..3 { h = Two(h, x) }
  return (h: h, p: p, y: y + again)
}
""")
    x = f(5, 4)
    folder.compile(path, "--entry=Top")
    found = folder.execute({"x": x})
    three, one = reference(folder, "head.onnx", x=3 * x), reference(folder, "head.onnx", x=x)
    close(found["h"], 4 * x)
    close(found["p"], three["p"])
    close(found["y"], three["y"] + one["y"])
    run(TENON, path, "--entry=Top", "--emit=safetensors", "-o", folder.at("w.safetensors"))
    assert set(read_safetensors(folder.at("w.safetensors"))) == {"head.fc.weight", "head.fc.bias"}


def labels_are_kept(folder):
    path = folder.write("c.tn", """model Two = onnx("two.onnx")
dim K = 4
model Top(x: f32[B, K], live: bool[B]) -> f32[B, K] = where(live, Two(x, x), 0)
""")
    x = f(3, 4)
    live = np.array([True, False, True])
    folder.compile(path, "--entry=Top")
    close(folder.execute({"x": x, "live": live})["out"], np.where(live[:, None], 2 * x, 0))


def training_knows_it(folder):
    text = """model R = onnx("two.onnx")
data d = npz("d.npz") {
  a: f32[8] = a
  b: f32[%d] = b
  t: f32[8] = t
}
train R on d { loss = mse(out, t), steps = 3 }
"""
    run(TENON, "check", folder.write("d.tn", text % 8))
    expect_error(folder, text.replace("t: f32[8]", "t: f32[9, 2]") % 8, "do not fit")


def expect_error(folder, text, *wanted):
    path = folder.write("wrong.tn", text)
    done = subprocess.run([TENON, "check", path], capture_output=True, text=True, timeout=60)
    missing = [word for word in wanted if word not in done.stderr]
    assert done.returncode == 1 and not missing, (missing, done.stderr)


def errors(folder):
    top = 'model O = onnx("head.onnx")\nmodel Top(x: f32[B, 5], n: i32[B, 4]) -> f32[B, 3] {\n  let (a, b) = %s\n' \
          "  return a\n}\n"
    here = "wrong.tn:1:11: note: 'O' is read because of this line"
    there = "head.onnx: 'x': note: "
    expect_error(folder, top % "O(x)", "wrong.tn:3:18: error: input 'x' of O is f32[N, 4], found f32[B,5] [TN0203]",
                 there, here)
    expect_error(folder, top % "O(n)", "error: input 'x' of O is f32[N, 4], found i32[B,4] [TN0201]", there, here)
    expect_error(folder, top % "O(z: x)", "error: argument 'x' of O is missing [TN0722]",
                 "error: O has no argument 'z' [TN0722]", there)
    expect_error(folder, top % "O()", "wrong.tn:3:16: error: argument 'x' of O is missing [TN0722]")
    expect_error(folder, top % "O(x, n)", "error: O takes 1 arguments, this is one more [TN0722]")
    expect_error(folder, top % "O(3)", "error: an input of O is a tensor, found the integer 3 [TN0723]")
    expect_error(folder, 'model O = onnx("none.onnx")\n', "none.onnx: error: cannot read", here)
    expect_error(folder, 'model O = onnx("wrong.tn")\n', "malformed ONNX file", here)
    expect_error(folder, "model O = onnx(3)\n", "wrong.tn:1:11: error: a model has arguments and a body, or is onnx")
    expect_error(folder, 'model O = tflite("a")\n', "a model has arguments and a body, or is onnx")


def main():
    tests = [entry, fixed_dims, parts, labels_are_kept, training_knows_it, errors]
    failed = 0
    for test in tests:
        folder = Folder()
        make_models(folder)
        try:
            test(folder)
        except (AssertionError, RuntimeError) as e:
            failed += 1
            print("FAILED: %s\n  %s" % (test.__name__, e))
    finish(len(tests) - failed, failed)


if __name__ == "__main__":
    main()
