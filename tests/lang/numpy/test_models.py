#!/usr/bin/env python3
"""Models in the language, compiled, against the same networks in NumPy.   usage: test_models.py BUILD_DIRECTORY"""
import math
import os

import numpy as np

from common import TENON, Folder, finish, read_safetensors, run
from oracle import attention, causal, conv, erf, gru, lstm, normalised, rotary, sigmoid, softmax, windows

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "..", "examples")
TESTS = []


def test(path, tolerance=2e-5, *options):
    """tolerance: of the largest element; layers add rounding errors of some hundred terms each."""
    def add(function):
        TESTS.append((path, tolerance, options, function))
        return function
    return add


def f(rng, *dims):
    return rng.standard_normal(dims).astype(np.float32)


def linear(w, name, x):
    y = x @ w[name + ".weight"].T
    return y + w[name + ".bias"] if name + ".bias" in w else y


def batchnorm(w, name, x):
    v = {k: w["%s.%s" % (name, k)][:, None, None] for k in ("weight", "bias", "mean", "var")}
    return (x - v["mean"]) / np.sqrt(v["var"] + 1e-5) * v["weight"] + v["bias"]


def relu(x):
    return np.maximum(x, 0)


@test(os.path.join(HERE, "models", "mlp.tn"))
def mlp(rng):
    return {"x": f(rng, 7, 4)}, lambda w, x: {"out": linear(w, "linear_1", relu(linear(w, "linear", x)))}


@test(os.path.join(EXAMPLES, "lenet.tn"))
def lenet(rng):
    def expect(w, x):
        for name in ("ConvBlock", "ConvBlock_1"):
            x = conv(x, w[name + ".conv.weight"], w[name + ".conv.bias"])
            x = windows(relu(batchnorm(w, name + ".batchnorm", x)), 2, 2).max((4, 5))
        x = x.reshape(len(x), -1)
        return {"out": linear(w, "linear_2", relu(linear(w, "linear_1", relu(linear(w, "linear", x)))))}
    return {"x": f(rng, 3, 1, 28, 28)}, expect


@test(os.path.join(HERE, "models", "residual.tn"))
def residual(rng):
    def cnr(w, name, x, pad):
        return relu(batchnorm(w, name + ".batchnorm", conv(x, w[name + ".conv.weight"], pad=pad)))

    def block(w, name, x):
        y = conv(cnr(w, name + ".ConvNormRelu", x, 1), w[name + ".conv.weight"], pad=1)
        return relu(x + batchnorm(w, name + ".batchnorm", y))

    def expect(w, x):
        a = windows(block(w, "ResidualBlock", cnr(w, "ConvNormRelu", x, 1)), 2, 2).max((4, 5))
        a = block(w, "ResidualBlock_1", cnr(w, "ConvNormRelu_1", a, 0))
        return {"out": linear(w, "linear", a.mean((2, 3)))}
    return {"x": f(rng, 2, 3, 12, 10)}, expect


@test(os.path.join(HERE, "models", "lstm_scan.tn"))
@test(os.path.join(HERE, "models", "lstm_layer.tn"))
def lstm_classifier(rng):
    def expect(w, x):
        states, h, _ = lstm(x, np.full(len(x), x.shape[1]),
                            *(w["Lstm." + n] for n in ("weight_ih", "weight_hh", "bias")))
        return {"scores": linear(w, "linear", h), "states": states}
    return {"x": f(rng, 3, 9, 5)}, expect


@test(os.path.join(HERE, "models", "gru_scan.tn"))
@test(os.path.join(HERE, "models", "gru_layer.tn"))
def gru_classifier(rng):
    def expect(w, x, n):
        states, last = np.zeros((len(x), x.shape[1], 6)), np.zeros((len(x), 6))
        for i, k in enumerate(n):
            some, last[i] = gru(x[i:i + 1, :k], *(w["Gru." + s] for s in ("weight_ih", "weight_hh", "bias")))
            states[i, :k] = some[0]
        return {"scores": linear(w, "linear", last), "states": states}
    return {"x": f(rng, 3, 9, 5), "n": np.array([9, 4, 1], np.int32)}, expect


@test(os.path.join(EXAMPLES, "lstm.tn"), 2e-5, "-DT=20", "-DV=50")
def lstm_example(rng):
    def expect(w, x, n):
        e, h, c = w["embed.weight"][x], np.zeros((len(x), 256)), np.zeros((len(x), 256))
        for t in range(20):
            i, fg, g, o = np.split(e[:, t] @ w["cell.wx"] + h @ w["cell.wh"] + w["cell.b"], 4, 1)
            c2 = sigmoid(fg + 1) * c + sigmoid(i) * np.tanh(g)
            live = (t < n)[:, None]
            h, c = np.where(live, sigmoid(o) * np.tanh(c2), h), np.where(live, c2, c)
        return {"out": linear(w, "linear", h)}
    return {"x": rng.integers(0, 50, (3, 20)).astype(np.int32), "n": np.array([20, 1, 7], np.int32)}, expect


@test(os.path.join(HERE, "models", "gru_both.tn"))
def gru_both(rng):
    def expect(w, x, n):
        forth = [gru(x[i:i + 1, :k], *(w["gru." + s] for s in ("weight_ih", "weight_hh", "bias")))[1]
                 for i, k in enumerate(n)]
        back = [gru(x[i:i + 1, :k], *(w["gru_1." + s] for s in ("weight_ih", "weight_hh", "bias")), reverse=True)[1]
                for i, k in enumerate(n)]
        return {"out": linear(w, "linear", np.concatenate((np.concatenate(forth), np.concatenate(back)), 1))}
    return {"x": f(rng, 3, 8, 4), "n": np.array([8, 3, 5], np.int32)}, expect


@test(os.path.join(HERE, "models", "encoder.tn"))
def encoder(rng):
    def norm(w, name, x):
        return normalised(x, -1, 1e-5) * w[name + ".weight"] + w[name + ".bias"]

    def expect(w, ids):
        h = w["embed.weight"][ids]
        for i in range(2):
            p = "for.%d.EncoderLayer." % i
            q, k, v = linear(w, p + "SelfAttention.linear", h).reshape(*h.shape[:2], 3, 4, 4).transpose(2, 0, 1, 3, 4)
            o = attention(q, k, v).reshape(h.shape)
            h = norm(w, p + "layernorm", h + linear(w, p + "SelfAttention.linear_1", o))
            h = norm(w, p + "layernorm_1", h + linear(w, p + "linear_1", relu(linear(w, p + "linear", h))))
        return {"out": h}
    return {"ids": rng.integers(0, 40, (2, 7)).astype(np.int32)}, expect


@test(os.path.join(HERE, "models", "gpt_cache.tn"))
def gpt_cache(rng):
    def rms(w, name, x):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w[name + ".weight"]

    def expect(w, x, keys, values, at):
        n = rms(w, "rmsnorm", x)
        q = rotary(np.einsum("btd,dhk->bthk", n, w["Attention.wq"]), offset=at)
        k, v = np.einsum("btd,dcgk->cbtgk", n, w["Attention.wkv"])
        k = np.concatenate((keys, rotary(k, offset=at)), 1)
        v = np.concatenate((values, v), 1)
        o = attention(q, k, v, causal(x.shape[1], k.shape[1]))
        h = x + np.einsum("bthk,hkd->btd", o, w["Attention.wo"])
        g = linear(w, "linear", rms(w, "rmsnorm_1", h))
        return {"y": h + linear(w, "linear_1", g * 0.5 * (1 + erf(g / math.sqrt(2)))), "keys": k, "values": v}
    return {"x": f(rng, 2, 3, 16), "keys": f(rng, 2, 5, 2, 4), "values": f(rng, 2, 5, 2, 4),
            "at": np.array(5, np.int32)}, expect


def run_test(path, tolerance, options, function):
    folder = Folder()
    inputs, expect = function(np.random.default_rng(11))
    run(TENON, path, "--init=5", *options, "--emit=safetensors", "-o", folder.at("w.safetensors"))
    weights = {n: w.astype(np.float64) for n, w in read_safetensors(folder.at("w.safetensors")).items()}
    folder.compile(path, "--weights=" + folder.at("w.safetensors"), *options)
    got = folder.execute(inputs)
    wide = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in inputs.items()}
    for name, value in expect(weights, **wide).items():
        error = np.abs(got[name] - value).max() / np.abs(value).max()
        assert got[name].shape == value.shape and error <= tolerance, "%s: off by %g of its largest" % (name, error)


def layers_equal_scans(pair, inputs):
    """The built-in layer and the scan that writes it out, from one file of weights: what they sum, they sum alike."""
    folder, results = Folder(), []
    for name in pair:
        path = os.path.join(HERE, "models", name)
        if not results:
            run(TENON, path, "--init=5", "--emit=safetensors", "-o", folder.at("w.safetensors"))
        folder.compile(path, "--weights=" + folder.at("w.safetensors"))
        results.append(folder.execute(inputs))
    for name, value in results[0].items():
        error = np.abs(results[1][name] - value).max() / np.abs(value).max()
        assert error <= 2e-6, "%s: they differ by %g of the largest" % (name, error)


def sequences(**more):
    return {"x": f(np.random.default_rng(3), 3, 9, 5), **more}


PAIRS = [
    (("lstm_scan.tn", "lstm_layer.tn"), sequences()),
    (("gru_scan.tn", "gru_layer.tn"), sequences(n=np.array([9, 4, 1], np.int32))),
]


def main():
    failed = 0
    for path, tolerance, options, function in TESTS:
        try:
            run_test(path, tolerance, options, function)
        except (RuntimeError, AssertionError, KeyError, ValueError) as e:
            failed += 1
            print("FAILED: %s, %s\n  %r" % (function.__name__, os.path.basename(path), e))
    for pair, inputs in PAIRS:
        try:
            layers_equal_scans(pair, inputs)
        except (RuntimeError, AssertionError) as e:
            failed += 1
            print("FAILED: %s and %s\n  %r" % (*pair, e))
    finish(len(TESTS) + len(PAIRS) - failed, failed)


if __name__ == "__main__":
    main()
