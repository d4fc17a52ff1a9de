#!/usr/bin/env python3
"""Steps of training, compiled: 100 steps of each optimiser against the table that torch wrote (optimizers.json), in
double and in f32; grad and update against step, bit by bit; what the norm, the loss scale and gradients that are not
finite do; running weights and noise;
mixed precision.   usage: test_optimizers.py BUILD_DIRECTORY"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from common import BUILD, HERE, Count, tool
from problem import CASES, SHAPES, STEPS, data, rate_at, settings, weights

sys.path.insert(0, os.path.join(HERE, "..", "..", "examples"))
from numpy_model import Net  # noqa: E402

BIAS1, BIAS2, SCALE, RATES = range(4)
TENON = os.path.join(BUILD, "bin", "tenon")

LOSS = """tnir 1
sym B "B" in [1, 1000]
const @w1 : T[5,3] = splat 0
const @b1 : T[5] = splat 0
const @w2 : T[2,5] = splat 0
const @b2 : T[2] = splat 0
func @loss entry (%x: T[B,3] "x", %y: T[B,2] "y") -> (f32[] "loss") {
  %0 = dot %x, @w1 {sum=[(1, 1)]} : T[B,5]
  %1 = broadcast @b1 {dims=[B, 5], map=[1]} : T[B,5]
  %2 = add %0, %1 : T[B,5]
  %3 = tanh %2 : T[B,5]
  %4 = dot %3, @w2 {sum=[(1, 1)]} : T[B,2]
  %5 = broadcast @b2 {dims=[B, 2], map=[1]} : T[B,2]
  %6 = add %4, %5 : T[B,2]
  %7 = sub %6, %y : T[B,2]
  %8 = mul %7, %7 : T[B,2]
  %9 = reduce %8 {op=sum, axes=[0, 1]} : T[]
  %10 = dim_value {dims=[2*B]} : i64[1]
  %11 = reshape %10 {dims=[]} : i64[]
  %12 = cast %11 {dtype=T} : T[]
  %13 = div %9, %12 : T[]
  %14 = cast %13 {dtype=f32} : f32[]
  return %14
}
"""


def make(folder, what, loss, words, n_outputs, name=None):
    name = name or what
    path = os.path.join(folder, name)
    with open(path + ".tnir", "w") as f:
        f.write(tool("train_make", loss, what, *words))
    subprocess.run([TENON, path + ".tnir", "-shared", "-march=x86-64-v3", "-o", path + ".so"], check=True)
    return Net(path + ".so", name, n_outputs)


def rates(text, lrs, t, scale=1.0):
    s = settings(text)
    out = np.ones(RATES + len(lrs), np.float32)
    if "beta1" in s and s["optimizer"] != "lion":
        out[BIAS1] = 1 / (1 - float(s["beta1"]) ** t)
        out[BIAS2] = 1 / np.sqrt(1 - float(s["beta2"]) ** t)
    out[SCALE] = scale
    out[RATES:] = [rate_at(lr, t) for lr in lrs]
    return out


def n_states(text):
    s = settings(text)
    return {"sgd": 0, "rmsprop": 1, "adagrad": 1, "adam": 2, "adamw": 2, "lion": 1,
            "lamb": 2}[s["optimizer"]] + ("momentum" in s)


class Steps:
    """A case's functions and the state of its training."""

    def __init__(self, folder, case, dtype, extra=""):
        self.text, self.lrs, groups = case[0] + " " + extra, case[1], case[2]
        self.loss = LOSS.replace("T[", dtype + "[").replace("dtype=T", "dtype=" + dtype)
        self.words = self.text.split() + ["weight=%s:t:%d" % pair for pair in zip(SHAPES, groups)]
        self.dtype, self.folder, self.n = {"f32": np.float32, "f64": np.float64}[dtype], folder, n_states(case[0])
        self.batch = [a.astype(self.dtype) for a in data()]
        self.start()

    def start(self):
        self.weights = [a.astype(self.dtype) for a in weights().values()]
        self.states = [np.zeros_like(w) for w in self.weights for _ in range(self.n)]

    def make(self, what, n_outputs):
        return make(self.folder, what, self.loss, self.words, n_outputs, "%s_%s" % (what, self.dtype.__name__))

    def keep(self, results):
        results = [np.array(r) for r in results]
        self.norm, self.weights, self.states = results[0], results[1:5], results[5:]

    def step(self, net, t, scale=1.0):
        loss, *rest = net(*self.batch, *self.weights, *self.states, rates(self.text, self.lrs, t, scale))
        loss = float(loss)
        self.keep(rest)
        return loss

    def n_results(self):
        return 1 + 4 * (1 + self.n)


def far(found, wanted, bound):
    found, wanted = np.asarray(found, float), np.asarray(wanted, float)
    worst = np.max(np.abs(found - wanted) / (np.abs(wanted) + np.abs(wanted).max() * 1e-2))
    return "" if worst <= bound else "relative difference %g, allowed %g" % (worst, bound)


def trajectory(count, name, case, table, folder):
    for dtype, bound in (("f64", 1e-5), ("f32", 1e-4 if name != "lion" else 1e-2)):
        s = Steps(folder, case, dtype)
        net = s.make("step", 1 + s.n_results())
        losses = [s.step(net, t) for t in range(1, STEPS + 1)]
        problem = far(losses, table["losses"], bound)
        for w, found in zip(SHAPES, s.weights):
            problem = problem or far(found.ravel(), table["weights"][w], bound)
        count.judge("%s %s" % (name, dtype), problem)


def halves(count, name, case, folder):
    """grad and update are step; over two micro-batches within rounding."""
    s, other = Steps(folder, case, "f32"), Steps(folder, case, "f32")
    step, grad, update = s.make("step", 1 + s.n_results()), s.make("grad", 5), s.make("update", s.n_results())
    problem = ""
    for t in range(1, 6):
        loss = s.step(step, t)
        r = rates(s.text, s.lrs, t)
        found, *gradients = [np.array(a) for a in grad(*other.batch, *other.weights, r)]
        parts = [[np.array(a) for a in grad(*(b[k:k + 4] for b in other.batch), *other.weights, r)] for k in (0, 4)]
        for g, a, b in zip(gradients, parts[0][1:], parts[1][1:]):
            problem = problem or far(a / 2 + b / 2, g, 1e-4)
        other.keep(update(*other.weights, *other.states, *gradients, r))
        same = float(found) == loss and all((a == b).all() for a, b in zip(s.weights + s.states,
                                                                           other.weights + other.states))
        problem = problem or ("" if same else "step %d differs" % t)
    count.judge(name + " in parts", problem)


def scales(count, folder):
    """A loss scale changes nothing; gradients that are not finite change neither weights nor states."""
    case = CASES["adam"]
    plain, scaled = Steps(folder, case, "f32"), Steps(folder, case, "f32", "scale=1 clip=norm:1000")
    one = make(folder, "step", plain.loss, plain.words, 1 + plain.n_results(), "plain")
    two = make(folder, "step", scaled.loss, scaled.words, 1 + scaled.n_results(), "scaled")
    problem = ""
    for t in range(1, 11):
        losses = plain.step(one, t), scaled.step(two, t, 2.0 ** 12)
        problem = problem or far(losses[1], losses[0], 1e-6) or far(scaled.norm, plain.norm, 1e-6)
    for a, b in zip(plain.weights, scaled.weights):
        problem = problem or far(a, b, 1e-5)
    count.judge("a loss scale", problem)
    before = [a.copy() for a in scaled.weights + scaled.states]
    scaled.step(two, 11, np.inf)
    same = all((a == b).all() for a, b in zip(before, scaled.weights + scaled.states))
    count.judge("a scale that overflows", "" if same and not np.isfinite(scaled.norm) else "weights changed")
    update = make(folder, "update", plain.loss, plain.words, plain.n_results())
    gradients = [np.full_like(w, 0.5) for w in plain.weights]
    r = rates(plain.text, plain.lrs, 11)
    norm, *moved = [np.array(a) for a in update(*plain.weights, *plain.states, *gradients, r)]
    count.judge("the norm", far(norm, np.sqrt(0.25 * sum(w.size for w in plain.weights)), 1e-6))
    changed = [(a != b).any() for a, b in zip(moved, plain.weights + plain.states)]
    count.judge("every weight and state moves", "" if all(changed) else str(changed))
    for bad in (np.nan, np.inf, 3e38):
        gradients[2][1, 3] = bad
        norm, *moved = [np.array(a) for a in update(*plain.weights, *plain.states, *gradients, r)]
        same = all((a == b).all() for a, b in zip(moved, plain.weights + plain.states))
        count.judge("a gradient of %s" % bad, "" if same and not np.isfinite(norm) else "weights changed")


RUNNING = """tnir 1
sym B "B" in [1, 1000]
const @w : f32[3] = splat 0
const @mean : f32[3] = splat 0
const @shift : f32[3] = splat 0
func @loss entry (%x: f32[B,3] "x", %noise: f32[3] "noise") -> (f32[] "loss", f32[3] "mean") {
  %0 = broadcast @w {dims=[B, 3], map=[1]} : f32[B,3]
  %1 = mul %x, %0 : f32[B,3]
  %2 = reduce %1 {op=sum, axes=[0, 1]} : f32[]
  %3 = add @mean, %noise : f32[3]
  %4 = add %3, @shift : f32[3]
  return %2, %4
}
"""


def running(count, folder):
    """x, w, shift, mean, momentum, rates, noise -> loss, norm, mean, w, momentum"""
    words = "optimizer=sgd momentum=0.5 noise=1 weight=w:t weight=shift:k weight=mean:r".split()
    net = make(folder, "step", RUNNING, words, 5, "running")
    x, w, shift, mean, noise = (np.arange(3, dtype=np.float32) * 10 ** i for i in range(5))
    x = np.stack([x, x + 1])
    r = np.array([1, 1, 1, 0.5], np.float32)
    loss, norm, new_mean, new_w, momentum = [np.array(a) for a in net(x, w, shift, mean, w * 0 + 2, r, noise)]
    g = x.sum(0)
    count.judge("running weights and noise", far(loss, (x * w).sum(), 1e-6) or far(norm, np.sqrt((g * g).sum()), 1e-6)
                or far(new_mean, mean + noise + shift, 1e-6) or far(momentum, 1 + g, 1e-6) or
                far(new_w, w - 0.5 * (1 + g), 1e-6))
    net = make(folder, "grad", RUNNING, words, 3, "running_grad")
    loss, new_mean, gradient = [np.array(a) for a in net(x, w, shift, mean, r, noise)]
    count.judge("running weights of grad", far(new_mean, mean + noise + shift, 1e-6) or far(gradient, g, 1e-6))


CLASSES = """tnir 1
sym B "B" in [1, 1000]
const @w : f32[4,3,3,3] = splat 0
const @b : f32[4] = splat 0
const @v : f32[2,4] = splat 0
func @loss entry (%x: f32[B,3,6,6] "x", %y: i32[B] "y") -> (f32[] "loss") {
  %c = conv %x, @w {stride=[1, 1], dilate=[1, 1], lo=[0, 0], hi=[0, 0]} : f32[B,4,4,4]
  %d = broadcast @b {dims=[B, 4, 4, 4], map=[1]} : f32[B,4,4,4]
  %e = add %c, %d : f32[B,4,4,4]
  %1 = relu %e : f32[B,4,4,4]
  %2 = reduce %1 {op=max, axes=[2, 3]} : f32[B,4]
  %3 = dot %2, @v {sum=[(1, 1)]} : f32[B,2]
  %4 = log_softmax %3 {axis=1} : f32[B,2]
  %5 = nll_loss %4, %y : f32[]
  return %5
}
"""


def precision(count, folder):
    """Contractions on a narrow type, the rest in f32; weights are f32 and follow the f32 run."""
    case = CASES["adam"]
    with open(os.path.join(HERE, "optimizers.json")) as f:
        wanted = json.load(f)["adam"]["losses"]
    for dtype, bound in (("bf16", 3e-2), ("f16", 4e-3)):
        s = Steps(folder, case, "f32", "scale=1 narrow=" + dtype)
        net = make(folder, "step", s.loss, s.words, 1 + s.n_results(), dtype)
        losses = [s.step(net, t, 256.0) for t in range(1, STEPS + 1)]
        near = "" if far(losses, wanted, 1e-5) else "as exact as f32"
        count.judge(dtype, far(losses, wanted, bound) or near)
        text = tool("train_make", CLASSES, "grad", "narrow=" + dtype, "weight=w", "weight=b", "weight=v")
        types = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) > 2 and words[1] == "=":
                types.setdefault(words[2], set()).add(line.split("} : ")[-1].split(" : ")[-1].split("[")[0])
        same = all(types[op] == {dtype} for op in ("conv", "relu", "dot")) and types["log_softmax"] == {"f32"}
        count.judge(dtype + " classes", "" if same else str(types))


def main():
    count = Count()
    with open(os.path.join(HERE, "optimizers.json")) as f:
        table = json.load(f)
    for i, (name, case) in enumerate(CASES.items()):
        with tempfile.TemporaryDirectory() as folder:
            trajectory(count, name, case, table[name], folder)
        if name in ("sgd_momentum", "adam_decay", "lamb", "clip_norm"):
            with tempfile.TemporaryDirectory() as folder:
                halves(count, name, case, folder)
    with tempfile.TemporaryDirectory() as folder:
        scales(count, folder)
    with tempfile.TemporaryDirectory() as folder:
        precision(count, folder)
    with tempfile.TemporaryDirectory() as folder:
        running(count, folder)
    count.finish()


if __name__ == "__main__":
    main()
