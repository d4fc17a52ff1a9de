"""Where a number is lost: programs that tenon makes name the operator that first gave no number, with its place in the
file, besides step, epoch and records.

usage: test_nan.py BUILD
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from common import BUILD, Count

TENON = os.path.abspath(os.path.join(BUILD, "bin", "tenon"))
PLUGINS = os.path.abspath(os.path.join(BUILD, "lib", "tenon"))

DATA = 'data d = csv("d.csv") { x: f32[2] = (a, b)\n t: f32 = y }\n'
ROWS = "a,b,y\n1,2,1\n3,4,0\n5,6,1\n0,0,1\n"
TRAIN = "train M on d { loss = mse(out, t); optimizer = sgd(lr: 0.1); batch = 4; epochs = 3; %s }\n"
CLIP = "clip = global_norm(1.0)"

# name -> the file behind the data, what the failure says, options of mpirun
CASES = {
    "log of zero": ("model M(x: f32[B, 2]) -> f32[B] {\n  param w: f32[2] = zeros\n"
                    "  return x * w |> relu |> log |> sum(over: 1)\n}\n" + TRAIN % "",
                    "step 1, epoch 1: the loss is not a number; first -inf in m.tn:5:27: 'log'; its batch of 4: "),
    "overflow of exp": ("model M(x: f32[B, 2]) -> f32[B] {\n  let h = exp(x * 100)\n  return h |> linear(1) |> "
                        "reshape(-1)\n}\n" + TRAIN % "",
                        "the loss is not a number; first inf in m.tn:4:11: 'exp(x * 100)'; its batch"),
    "0/0 in a derivative": ("model M(x: f32[B, 2]) -> f32[B] {\n  param w: f32[2] = zeros\n  let h = x * w\n"
                            "  return sqrt(h * h) |> sum(over: 1)\n}\n" + TRAIN % CLIP,
                            "the gradient is not a number; first NaN in the derivative of m.tn:6:10: 'sqrt(h * h)'"),
    "parts of a batch": ("model M(x: f32[B, 2]) -> f32[B] {\n  param w: f32[2] = zeros\n"
                         "  return log(sum(x * w + x, over: 1))\n}\n" + TRAIN % "micro = 2",
                         "step 1, epoch 1: the loss is not a number; first -inf in m.tn:5:10: 'log(sum(x * w + x"),
    "inside a scan": ("dim S = 2, W = 1\nmodule Cell(x: f32[B, W], h: f32[B, 3]) -> f32[B, 3] {\n"
                      "  param u: f32[W, 3] = zeros\n  return sqrt(dot(x, u, over: W) ^ 2) + h\n}\n"
                      "model M(x: f32[B, S]) -> f32[B] {\n  sub cell = Cell()\n  let e = reshape(x, B, S, W)\n"
                      "  scan (xt, t) in e along S carry h = zeros(B, 3) { h = cell(xt, h) }\n"
                      "  return h |> linear(1) |> reshape(-1)\n}\n" + TRAIN % CLIP,
                      "the gradient is not a number; first NaN in the derivative of m.tn:6:10: 'sqrt("),
    "a mask is no fault": ("dim S = 2, D = 4\nmodel M(x: f32[B, S]) -> f32[B] {\n"
                           "  let (q, k, v) = reshape(x, B, S, 1) |> linear(3 * D) |> split(3)\n"
                           "  let y = attention(reshape(q, B, S, 2, 2), reshape(k, B, S, 2, 2), "
                           "reshape(v, B, S, 2, 2), causal: true)\n  let s = sum(y, over: (1, 2, 3))\n"
                           "  return s / (s - s)\n}\n" + TRAIN % "",
                           "the loss is not a number; first NaN in m.tn:8:10: 's / (s - s)'"),
    "narrow types": ("model M(x: f32[B, 2]) -> f32[B] =\n"
                     "  x * 60000 |> linear(4, init: ones) |> linear(1) |> reshape(-1)\n"
                     + TRAIN % "precision = f16(loss_scale: 1024)",
                     "the loss is not a number; first inf in m.tn:4:16: 'linear(4, init: ones)'"),
    "what was done about it": ("model M(x: f32[B, 2]) -> f32[B] {\n  param w: f32[2] = zeros\n"
                               "  return sum(x * w, over: 1) |> log\n}\n"
                               + TRAIN % "on nan { skip_batch() }; steps = 2",
                               "step 1: the loss or a gradient is not a number; first -inf in m.tn:5:33: 'log', batch "
                               "left out"),
    "a norm that no f32 holds": ("model M(x: f32[B, 2]) -> f32[B] {\n  param small: f32[2] = zeros\n"
                                 "  param big: f32[2] = ones\n"
                                 "  return sum(x * small, over: 1) + sum(x * big * 5e11, over: 1)\n}\n" + TRAIN % "",
                                 "step 1, epoch 1: the gradient is not a number; its elements are, but no f32 holds "
                                 "its norm: the largest, 1.25e+25, is of the weight 'big'; its batch of 4: "),
    "nobody asked for the norm": ("model M(x: f32[B, 2]) -> f32[B] {\n  param w: f32[2] = zeros\n"
                                  "  return sqrt(sum(x * w, over: 1) ^ 2)\n}\n" + TRAIN % "",
                                  "step 1, epoch 1: the gradient is not a number; first NaN in the derivative of "
                                  "m.tn:5:10: 'sqrt(sum(x * w, over: 1) ^ 2)'"),
}


def build(folder, name, text):
    home = os.path.join(folder, name.replace(" ", "_").replace("/", "_"))
    os.mkdir(home)
    open(os.path.join(home, "m.tn"), "w").write(text)
    open(os.path.join(home, "d.csv"), "w").write(ROWS)
    done = subprocess.run([TENON, "m.tn", "-o", "m"], cwd=home, capture_output=True, text=True, timeout=120)
    return home, done.stderr if done.returncode else None


def said(home, expected, command=("./m",), ok=False):
    done = subprocess.run([*command, "train"], cwd=home, capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, TENON_MPI_DIR=PLUGINS))
    text = done.stdout + done.stderr
    if (done.returncode == 0) != ok:
        return "exit %d: %s" % (done.returncode, text[-300:])
    return None if expected in text else "lacks %r: %s" % (expected, text[-500:])


def check_onnx(folder):
    """Names of nodes where the model is a file of ONNX."""
    home = os.path.join(folder, "onnx")
    os.mkdir(home)
    w = numpy_helper.from_array(np.full((2, 1), -1, np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
             helper.make_node("Log", ["h"], ["out"], name="logarithm")]
    shapes = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["B", k]) for n, k in (("x", 2), ("out", 1))]
    graph = helper.make_graph(nodes, "g", shapes[:1], shapes[1:], [w])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    open(os.path.join(home, "m.onnx"), "wb").write(model.SerializeToString())
    open(os.path.join(home, "d.csv"), "w").write(ROWS)
    text = ('data d = csv("d.csv") { x: f32[2] = (a, b)\n t: f32[1] = y }\nmodel M = onnx("m.onnx")\n' + TRAIN % "")
    open(os.path.join(home, "m.tn"), "w").write(text)
    done = subprocess.run([TENON, "m.tn", "-o", "m"], cwd=home, capture_output=True, text=True, timeout=120)
    return done.stderr if done.returncode else said(home, "first NaN in m.onnx: node 1 'logarithm' (Log, opset 17)")


def check_field(folder):
    text = "model M(x: f32[B, 2]) -> f32[B] = x |> linear(1) |> reshape(-1)\n" + TRAIN % ""
    home, problem = build(folder, "field", 'data d = npz("d.npz") { x: f32[2] = x\n t: f32 = t }\n' + text)
    np.savez(os.path.join(home, "d.npz"), x=np.array([[1, 2], [3, np.inf]], np.float32), t=np.ones(2, np.float32))
    return problem or said(home, "; field 'x' of d.npz[1] holds inf; its batch")


def check_own_step(folder):
    """The first sample whose gradient is no number: told at its step, of which no weight knows."""
    text = ("model M(x: f32[B, 2]) -> f32[B] {\n  param w: f32[2] = ones\n  return sqrt(sum(x * w, over: 1) ^ 2)\n}\n"
            "train M on d { loss = mse(out, t); optimizer = sgd(lr: 0.001); batch = 1; epochs = 1; seed = %d\n"
            "  every 1 steps { checkpoint(keep: 9) }\n}\n")
    seen = set()
    for seed in range(1, 4):
        home, problem = build(folder, "own step %d" % seed, DATA + text % seed)
        done = problem or subprocess.run(["./m", "train"], cwd=home, capture_output=True, text=True, timeout=120)
        at = re.search(r"step (\d), epoch 1: the gradient is not a number; first -inf in the derivative of m.tn:5:10: "
                       r"'sqrt\(.*d.csv:5", problem or done.stderr)
        if not at:
            return problem or done.stdout + done.stderr
        kept = len(glob.glob(os.path.join(home, "*.checkpoints", "step-*.safetensors")))
        if kept != int(at[1]) - 1:
            return "%s: %d checkpoints" % (at[0], kept)
        seen.add(at[1])
        if kept == 0:
            continue
        subprocess.run(["./m", "export", "--npz=w.npz"], cwd=home, check=True, capture_output=True, timeout=120)
        with np.load(os.path.join(home, "w.npz")) as weights:
            if not all(np.isfinite(weights[name]).all() for name in weights):
                return "%s: weights %s" % (at[0], dict(weights))
    return None if seen - {"1"} else "step 1 only"


def check_processes(folder):
    """The process that does not have the record says the same."""
    text = "model M(x: f32[B, 2]) -> f32[B] = log(sum(x, over: 1)) * 2 |> linear(1) |> reshape(-1)\n"
    text = text.replace("|> linear(1) |> reshape(-1)", "* sum(linear(x, 2), over: 1)")
    home, problem = build(folder, "processes", DATA + text + TRAIN % "")
    words = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", "./m"]
    return problem or said(home, "process 0: error: step 1, epoch 1: the loss is not a number; first -inf in "
                           "m.tn:3:35: 'log(sum(x, over: 1))'", words)


def main():
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        for name, (text, expected) in CASES.items():
            home, problem = build(folder, name, DATA + text)
            count.judge(name, problem or said(home, expected, ok="on nan" in text))
        count.judge("onnx", check_onnx(folder))
        count.judge("field", check_field(folder))
        count.judge("own step", check_own_step(folder))
        if shutil.which("mpirun") and os.path.exists(os.path.join(PLUGINS, "tenon_mpi_openmpi.so")):
            count.judge("processes", check_processes(folder))
        else:
            count.skipped += 1
    count.finish()


if __name__ == "__main__":
    sys.exit(main())
