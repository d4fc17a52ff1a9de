#!/usr/bin/env python3
"""Each built-in function of the language against NumPy in double.   usage: test_builtins.py BUILD_DIRECTORY

A row is a model: its arguments, its result, its expression, the inputs, and what NumPy says, given the inputs (and the
weights, for those that own some). A float may differ by (K + 8) units in the last place of the largest element, K the
number of terms that are added for one.
"""
import math
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from common import TENON, Folder, finish, read_safetensors, run
from oracle import (attention, causal, conv, conv_transpose, erf, gru, linear_at, lstm, normalised, rotary, sigmoid,
                    softmax, windows)

ROWS = []
rng = np.random.default_rng(5)


def f(*dims, lo=-2.0, hi=2.0):
    return rng.uniform(lo, hi, dims).astype(np.float32)


def row(formals, result, body, inputs, expect, k=1):
    ROWS.append((formals, result, body, inputs, expect, k))


def one(body, expect, x=None, k=1, dtype="f32"):
    """Element by element."""
    x = f(3, 5) if x is None else x
    dims = "N, M" if x.ndim == 2 else "N"
    row("x: f32[%s]" % dims, "%s[%s]" % (dtype, dims), body, {"x": x}, lambda x: expect(x), k)


# --- Operators, group 1 ---
A, B_, H = f(4, 3), f(4), f(3)
row("x: f32[B, H], y: f32[H]", "f32[B, H]", "x + y * x - 2", {"x": A, "y": H}, lambda x, y: x + y * x - 2)
row("x: f32[B, H], y: f32[B]", "f32[B, H]", "x / (y + 3)", {"x": A, "y": B_}, lambda x, y: x / (y[:, None] + 3))
row("x: f32[B, H], y: f32[H, B]", "f32[B, H]", "x * y", {"x": A, "y": f(3, 4)}, lambda x, y: x * y.T)
row("x: f32[B, H], y: f32[H, B]", "f32[H, B]", "-(y - x)", {"x": A, "y": f(3, 4)}, lambda x, y: -(y - x.T))
row("y: f32[H], x: f32[B, H]", "f32[B, H]", "y - x", {"y": H, "x": A}, lambda y, x: y - x)
row("x: f32[B, H], live: bool[B]", "f32[B, H]", "where(live, x, 0)", {"x": A, "live": A[:, 0] > 0},
    lambda x, live: np.where(live[:, None], x, 0))
row("x: f32[B, H]", "bool[B, H]", "x > 0 and not (x >= 1) or x == 5", {"x": A}, lambda x: (x > 0) & ~(x >= 1))
row("x: f32[B, H]", "f32[B, H]", "x ^ 2 + 2.0 ^ x", {"x": A}, lambda x: x ** 2 + 2 ** x, 4)
row("x: i32[N], y: i32[N]", "i32[N]", "x / y + x % y * 10 + x ^ 3", {
    "x": np.array([7, -7, 9, 4], np.int32), "y": np.array([2, 2, -4, 3], np.int32)},
    lambda x, y: np.trunc(x / y).astype(int) + np.mod(x, y) * 10 + x ** 3)
row("x: f32[N, M], y: f32[N, M]", "f32[N, M]", "min(x, y) + max(x, 0.5)", {"x": A, "y": f(4, 3)},
    lambda x, y: np.minimum(x, y) + np.maximum(x, 0.5))
for name, fn, k in [("abs", np.abs, 0), ("sign", np.sign, 0), ("exp", np.exp, 2), ("expm1", np.expm1, 2),
                    ("square", np.square, 0), ("sin", np.sin, 2), ("cos", np.cos, 2), ("tanh", np.tanh, 2),
                    ("erf", erf, 5), ("floor", np.floor, 0), ("ceil", np.ceil, 0), ("round", np.round, 0),
                    ("relu", lambda x: np.maximum(x, 0), 0), ("sigmoid", sigmoid, 4),
                    ("silu", lambda x: x * sigmoid(x), 4), ("softplus", lambda x: np.log1p(np.exp(x)), 4),
                    ("hardsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), 1),
                    ("hardswish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1), 1),
                    ("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), 1),
                    ("leaky_relu(alpha: 0.3)", lambda x: np.where(x > 0, x, 0.3 * x), 1),
                    ("elu", lambda x: np.where(x > 0, x, np.expm1(x)), 3),
                    ("elu(0.5)", lambda x: np.where(x > 0, x, 0.5 * np.expm1(x)), 3),
                    ("gelu", lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))), 5),
                    ("gelu(approx: tanh)",
                     lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))), 5),
                    ("clamp(-0.5, 1)", lambda x: np.clip(x, -0.5, 1), 0), ("dropout(0.5)", lambda x: x, 0),
                    ("stop_gradient", lambda x: x, 0)]:
    one("x |> " + name, fn, k=k)
for name, fn in [("sqrt", np.sqrt), ("rsqrt", lambda x: 1 / np.sqrt(x)), ("log", np.log), ("log1p", np.log1p)]:
    one(name + "(x)", fn, f(3, 5, lo=0.1, hi=9), 3)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 1.5, -2.5, 3e9], np.float32)
one("is_nan(x)", np.isnan, SPECIAL, dtype="bool")
one("is_inf(x)", np.isinf, SPECIAL, dtype="bool")
one("cast(x, to: i32)", lambda x: [0, 2147483647, -2147483648, 1, -2, 2147483647], SPECIAL, dtype="i32")
row("x: i32[N]", "f32[N]", "cast(x, to: f32) * 0.5", {"x": np.array([1, 2, 3], np.int32)}, lambda x: x * 0.5)

# --- Group 2 ---
X = f(3, 4, 5)
S3 = "x: f32[B, C, T]"
for name, fn in [("sum", np.sum), ("mean", np.mean), ("prod", np.prod), ("amax", np.max), ("amin", np.min),
                 ("var", np.var), ("std", np.std)]:
    row(S3, "f32", name + "(x)", {"x": X}, lambda x, fn=fn: fn(x), 60)
    row(S3, "f32[B, T]", name + "(x, over: C)", {"x": X}, lambda x, fn=fn: fn(x, axis=1), 4)
    row(S3, "f32[1, C, 1]", name + "(x, over: (B, T), keep: true)", {"x": X},
        lambda x, fn=fn: fn(x, axis=(0, 2), keepdims=True), 15)
row(S3, "f32[B]", "var(x, over: (C, T), correction: 1)", {"x": X}, lambda x: x.var(axis=(1, 2), ddof=1), 20)
row(S3, "f32[B, C]", "norm(x, over: T)", {"x": X}, lambda x: np.sqrt((x * x).sum(2)), 5)
row(S3, "f32[B, C]", "norm(x, over: -1, p: 1)", {"x": X}, lambda x: abs(x).sum(2), 5)
row(S3, "f32[B, C]", "norm(x, over: 2, p: inf)", {"x": X}, lambda x: abs(x).max(2))
row(S3, "f32[B, C]", "logsumexp(x * 100, over: T)", {"x": X},
    lambda x: (m := (x * 100).max(2)) + np.log(np.exp(x * 100 - m[..., None]).sum(2)), 8)
row("x: bool[B, T]", "bool[B]", "any(x, over: T)", {"x": f(4, 3) > 0.9}, lambda x: x.any(1))
row("x: bool[B, T]", "bool[B]", "all(x, over: T)", {"x": f(4, 3) > -1}, lambda x: x.all(1))
TIES = np.array([[1, 3, 3, 0], [2, 2, 1, 2]], np.float32)
row("x: f32[B, T]", "i64[B]", "argmax(x)", {"x": TIES}, lambda x: x.argmax(1))
row("x: f32[B, T]", "i64[1, T]", "argmin(x, axis: B, keep: true)", {"x": TIES}, lambda x: x.argmin(0)[None])
one("cumsum(x)", lambda x: x.cumsum(-1), k=5)
one("cumsum(x, axis: 0, exclusive: true)", lambda x: x.cumsum(0) - x, k=5)
one("cumsum(x, reverse: true)", lambda x: x[:, ::-1].cumsum(-1)[:, ::-1], k=5)
row("x: f32[B, T]", "(f32[B, 2], i64[B, 2])", "top_k(x, 2)", {"x": TIES},
    lambda x: (-np.sort(-x, 1)[:, :2], np.argsort(-x, 1, kind="stable")[:, :2]), 0)
row("x: f32[B, T]", "(f32[B, T], i64[B, T])", "sort(x)", {"x": TIES},
    lambda x: (np.sort(x, 1), np.argsort(x, 1, kind="stable")), 0)
row("x: f32[B, T]", "(f32[B, T], i64[B, T])", "sort(x, axis: B, descending: true)", {"x": TIES},
    lambda x: (-np.sort(-x, 0), np.argsort(-x, 0, kind="stable")), 0)

# --- Group 3 ---
row("a: f32[B, T, D], w: f32[D, E]", "f32[B, T, E]", "dot(a, w, over: D)", {"a": f(2, 3, 4), "w": f(4, 5)},
    lambda a, w: a @ w, 4)
row("a: f32[T, B, D], w: f32[B, E, D]", "f32[T, B, E]", "dot(a, w, over: D)", {"a": f(3, 2, 4), "w": f(2, 5, 4)},
    lambda a, w: np.einsum("tbd,bed->tbe", a, w), 4)
row("a: f32[B, H, K], w: f32[K, D, H]", "f32[B, D]", "dot(a, w, over: (H, K))", {"a": f(2, 3, 4), "w": f(4, 5, 3)},
    lambda a, w: np.einsum("bhk,kdh->bd", a, w), 12)
row("x: f32[B, T, I]", "f32[B, T, 6]", "x |> linear(6)", {"x": f(2, 3, 4)},
    lambda x, weight, bias: x @ weight.T + bias, 5)
row("x: f32[B, I]", "f32[B, 6]", "linear(x, 6, bias: false, init: xavier)", {"x": f(2, 4)},
    lambda x, weight: x @ weight.T, 4)
IDS = np.array([[0, 2, 4], [3, 3, 1]], np.int32)
row("x: i32[B, T]", "f32[B, T, 7]", "embed(x, 5, 7)", {"x": IDS}, lambda x, weight: weight[x], 0)
row("x: f32[T, D]", "f32[T, D]", "x + positions(T, D)", {"x": f(3, 4)}, lambda x, weight: x + weight, 1)


IMG = f(2, 4, 9, 8)
N4 = "x: f32[B, C, H, W]"
row(N4, "f32[B, 6, 7, 6]", "x |> conv(6, 3)", {"x": IMG}, lambda x, weight, bias: conv(x, weight, bias), 37)
row(N4, "f32[B, 6, 5, 4]", "x |> conv(6, 3, stride: 2, pad: 1, bias: false)", {"x": IMG},
    lambda x, weight: conv(x, weight, stride=2, pad=1), 36)
row(N4, "f32[B, 6, H, W]", "x |> conv(6, 3, pad: same)", {"x": IMG},
    lambda x, weight, bias: conv(x, weight, bias, pad=1), 37)
row(N4, "f32[B, 8, 5, 4]", "x |> conv(8, k: 3, dilation: 2, groups: 4)", {"x": IMG},
    lambda x, weight, bias: conv(x, weight, bias, dilate=2, groups=4), 10)
row("x: f32[B, C, T]", "f32[B, 5, 4]", "x |> conv(5, 2, stride: 2)", {"x": f(2, 3, 8)},
    lambda x, weight, bias: np.einsum("ncti,oci->not", x.reshape(2, 3, 4, 2), weight) + bias[:, None], 7)
row(N4, "f32[B, 3, 18, 16]", "x |> conv_transpose(3, 3, stride: 2, pad: 1, output_pad: 1, bias: false)", {"x": IMG},
    lambda x, weight: conv_transpose(x, weight, 2, 1, 1), 36)
row(N4, "f32[B, C, 4, 4]", "x |> maxpool(2)", {"x": IMG}, lambda x: windows(x, 2, 2).max((4, 5)), 0)
row(N4, "f32[B, C, 5, 4]", "x |> maxpool(3, stride: 2, pad: 1)", {"x": IMG},
    lambda x: windows(x, 3, 2, 1, -np.inf).max((4, 5)), 0)
row(N4, "f32[B, C, 5, 4]", "x |> maxpool(2, ceil: true)", {"x": IMG},
    lambda x: windows(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=-np.inf), 2, 2).max((4, 5)), 0)
row(N4, "f32[B, C, 4, 4]", "x |> avgpool((2, 2))", {"x": IMG}, lambda x: windows(x, 2, 2).mean((4, 5)), 4)
row(N4, "f32[B, C, 9, 8]", "x |> avgpool(3, stride: 1, pad: 1)", {"x": IMG},
    lambda x: windows(x, 3, 1, 1).sum((4, 5)) / windows(np.ones_like(x), 3, 1, 1).sum((4, 5)), 9)
row(N4, "f32[B, C, 9, 8]", "x |> avgpool(3, stride: 1, pad: 1, count_pad: true)", {"x": IMG},
    lambda x: windows(x, 3, 1, 1).mean((4, 5)), 9)
row(N4, "f32[B, C]", "global_avgpool(x)", {"x": IMG}, lambda x: x.mean((2, 3)), 72)
row(N4, "f32[B, C]", "global_maxpool(x)", {"x": IMG}, lambda x: x.max((2, 3)), 0)
row(N4, "f32[B, C, 18, 16]", "resize(x, scale: 2, mode: nearest, align: asymmetric)", {"x": IMG},
    lambda x: x.repeat(2, 2).repeat(2, 3)[:, :, [max(math.ceil(i / 2 - 0.5), 0) * 2 for i in range(18)]]
    [:, :, :, [max(math.ceil(i / 2 - 0.5), 0) * 2 for i in range(16)]], 0)


row(N4, "f32[B, C, 5, 16]", "resize(x, size: (5, 16))", {"x": IMG},
    lambda x: linear_at(linear_at(x, 2, (np.arange(5) + 0.5) * 9 / 5 - 0.5), 3, (np.arange(16) + 0.5) / 2 - 0.5), 8)
row(N4, "f32[B, C, 5, 15]", "resize(x, size: (5, 15), align: corners)", {"x": IMG},
    lambda x: linear_at(linear_at(x, 2, np.arange(5) * 2.0), 3, np.arange(15) / 2), 8)


Q, K_, V = f(2, 5, 4, 6), f(2, 7, 2, 6), f(2, 7, 2, 3)
QKV = "q: f32[B, T, H, K], k: f32[B, S, G, K], v: f32[B, S, G, V]"
row(QKV, "f32[B, T, H, V]", "attention(q, k, v)", {"q": Q, "k": K_, "v": V}, attention, 20)
row(QKV, "f32[B, T, H, V]", "attention(q, k, v, causal: true, scale: 0.3)", {"q": Q, "k": K_, "v": V},
    lambda q, k, v: attention(q, k, v, causal(5, 7), 0.3), 20)
row(QKV + ", m: bool[T, S]", "f32[B, T, H, V]", "attention(q, k, v, mask: m)",
    {"q": Q, "k": K_, "v": V, "m": (np.arange(35).reshape(5, 7) % 3) > 0},
    lambda q, k, v, m: attention(q, k, v, np.where(m, 0, -np.inf)), 20)
row(QKV + ", m: f32[B, 1, T, S]", "f32[B, T, H, V]", "attention(q, k, v, mask: m, causal: true)",
    {"q": Q, "k": K_, "v": V, "m": f(2, 1, 5, 7)}, lambda q, k, v, m: attention(q, k, v, m + causal(5, 7)), 20)


row("x: f32[B, T, H, K]", "f32[B, T, H, K]", "rotary(x)", {"x": Q}, rotary, 4)
row("x: f32[B, T, H, K], at: i32", "f32[B, T, H, K]", "rotary(x, base: 100, offset: at, interleaved: true)",
    {"x": Q, "at": np.array(3, np.int32)}, lambda x, at: rotary(x, 100, at, True), 4)


SEQ = f(3, 6, 4)
row("x: f32[B, T, I]", "(f32[B, T, 5], f32[B, 5], f32[B, 5])", "lstm(x, 5)", {"x": SEQ},
    lambda x, **w: lstm(x, np.full(3, 6), **w), 60)
row("x: f32[B, T, I], n: i32[B]", "(f32[B, T, 5], f32[B, 5], f32[B, 5])", "lstm(x, 5, reverse: true, length: n)",
    {"x": SEQ, "n": np.array([6, 2, 4], np.int32)}, lambda x, n, **w: lstm(x, n, reverse=True, **w), 60)
row("x: f32[B, T, I]", "(f32[B, T, 5], f32[B, 5])", "gru(x, 5)", {"x": SEQ}, gru, 60)
row("x: f32[B, T, I]", "(f32[B, T, 5], f32[B, 5])", "gru(x, 5, reverse: true)", {"x": SEQ},
    lambda x, **w: gru(x, reverse=True, **w), 60)

# --- Group 4 ---


row("x: f32[B, T, D]", "f32[B, T, D]", "layernorm(x)", {"x": f(2, 3, 8)},
    lambda x, weight, bias: normalised(x, -1, 1e-5) * weight + bias, 20)
row("x: f32[B, D]", "f32[B, D]", "layernorm(x, eps: 0.1, affine: false)", {"x": f(2, 8)},
    lambda x: normalised(x, -1, 0.1), 20)
row("x: f32[B, D]", "f32[B, D]", "rmsnorm(x)", {"x": f(2, 8)},
    lambda x, weight: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * weight, 12)
row(N4, "f32[B, C, H, W]", "batchnorm(x)", {"x": IMG},
    lambda x, weight, bias, mean, var: (x - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    * weight[:, None, None] + bias[:, None, None], 6)
row(N4, "f32[B, C, H, W]", "groupnorm(x, 2)", {"x": IMG},
    lambda x, weight, bias: normalised(x.reshape(2, 2, -1), -1, 1e-5).reshape(x.shape), 160)
row("x: f32[B, T, D]", "f32[B, T, D]", "softmax(x)", {"x": f(2, 3, 8)}, softmax, 10)
row("x: f32[B, T, D]", "f32[B, T, D]", "softmax(x, axis: T)", {"x": f(2, 3, 8)}, lambda x: softmax(x, 1), 8)
row("x: f32[B, D]", "f32[B, D]", "log_softmax(x)", {"x": f(2, 8)}, lambda x: np.log(softmax(x)), 12)
row("x: class[B, 5]", "f32[B, 5]", "one_hot(x)", {"x": np.array([0, 4, 2], np.int32)}, lambda x: np.eye(5)[x], 0)

# --- Group 5 ---
row(N4, "f32[B, C * H * W]", "flatten(x)", {"x": IMG}, lambda x: x.reshape(2, -1), 0)
row("x: f32[B, T, D]", "f32[B, T, 2, 3]", "reshape(x, B, T, 2, -1)", {"x": f(2, 4, 6)},
    lambda x: x.reshape(2, 4, 2, 3), 0)
row("x: f32[B, T, D]", "f32[D, B, T]", "transpose(x, D, 0, -2)", {"x": f(2, 4, 6)}, lambda x: x.transpose(2, 0, 1), 0)
row("x: f32[B, T], y: f32[S]", "f32[B, T]", "x + rename(y, S: T)", {"x": f(2, 4), "y": f(4)}, lambda x, y: x + y)
row("x: f32[B, T, D]", "(f32[B, T, 2], f32[B, T, 2], f32[B, T, 2])", "split(x, 3)", {"x": f(2, 4, 6)},
    lambda x: np.split(x, 3, -1), 0)
row("x: f32[B, T, D]", "(f32[B, 1, D], f32[B, 3, D])", "split(x, (1, 3), axis: T)", {"x": f(2, 4, 6)},
    lambda x: (x[:, :1], x[:, 1:]), 0)
row("x: f32[B, T, D]", "(f32[B, D], f32[B, D])", "unstack(x, axis: T)", {"x": f(2, 2, 6)},
    lambda x: (x[:, 0], x[:, 1]), 0)
row("x: f32[B, D], y: f32[B, D]", "f32[B, 2, D]", "stack((x, y), axis: 1)", {"x": f(2, 3), "y": f(2, 3)},
    lambda x, y: np.stack((x, y), 1), 0)
row("x: f32[B, D], y: f32[B, E]", "f32[B, D + E]", "concat(x, y)", {"x": f(2, 3), "y": f(2, 5)},
    lambda x, y: np.concatenate((x, y), 1), 0)
row("x: f32[B, T, D]", "f32[B, 2, D]", "x[T: 1..4..2]", {"x": f(2, 5, 6)}, lambda x: x[:, 1:4:2], 0)
row("x: f32[B, T, D]", "f32[B, 3]", "x[.., -1, 0..3]", {"x": f(2, 5, 6)}, lambda x: x[:, -1, :3], 0)
row("x: f32[B, T, D]", "f32[T - 1, D]", "x[1, 1..T]", {"x": f(2, 5, 6)}, lambda x: x[1, 1:], 0)
row("x: f32[V, D], i: i32[B, T]", "f32[B, T, D]", "gather(x, i, axis: V)", {"x": f(5, 3), "i": IDS - 2},
    lambda x, i: x[i], 0)
row("x: f32[B, V, D], i: i64[T]", "f32[B, T, D]", "gather(x, i, axis: 1)",
    {"x": f(2, 5, 3), "i": np.array([4, 0, -1])}, lambda x, i: x[:, i], 0)
PADS = ((0, 0), (0, 0), (2, 2), (2, 2))
row(N4, "f32[B, C, H + 4, W + 4]", "pad(x, 2)", {"x": IMG}, lambda x: np.pad(x, PADS), 0)
row(N4, "f32[B, C, H + 4, W + 4]", "pad(x, 2, mode: value, value: -1.5)", {"x": IMG},
    lambda x: np.pad(x, PADS, constant_values=-1.5), 0)
row(N4, "f32[B, C, H + 4, W + 4]", "pad(x, 2, mode: edge)", {"x": IMG}, lambda x: np.pad(x, PADS, "edge"), 0)
row(N4, "f32[B, C, H + 4, W + 4]", "pad(x, 2, mode: reflect)", {"x": IMG}, lambda x: np.pad(x, PADS, "reflect"), 0)
row("x: f32[B, T]", "f32[B, T + 3]", "pad(x, (1, 2), axes: T)", {"x": f(2, 4)},
    lambda x: np.pad(x, ((0, 0), (1, 2))), 0)
row("x: f32[B, T]", "f32[3, B, T]", "expand(x, 3)", {"x": f(2, 4)}, lambda x: np.stack([x] * 3), 0)
row("x: f32[B, T]", "f32[B, T]", "flip(x, axis: T)", {"x": f(2, 4)}, lambda x: x[:, ::-1], 0)
row("x: f32[B, T]", "f32[B * 3, T]", "repeat(x, 3, axis: B)", {"x": f(2, 4)}, lambda x: np.tile(x, (3, 1)), 0)
row("x: f32[B, T, U]", "f32[B, T, U]", "tril(x, k: 1)", {"x": f(2, 4, 5)}, lambda x: np.tril(x, 1), 0)
row("x: f32[T, U]", "f32[T, U]", "triu(x)", {"x": f(4, 5)}, np.triu, 0)
row("x: f32[B, T]", "f32[B, T]", "x + zeros(B, T) + ones(T) + full(2.5, B)", {"x": f(2, 4)}, lambda x: x + 3.5, 2)
row("x: i64[B, T]", "i64[B, T]", "x + iota(T, dtype: i64)", {"x": np.ones((2, 4), np.int64)},
    lambda x: x + np.arange(4), 0)
row("x: f32[T]", "i32[T]", "iota(T) * 2", {"x": f(4)}, lambda x: np.arange(4) * 2, 0)


def check(got, expected, k):
    expected = np.asarray(expected)
    if got.shape != expected.shape:
        return "dims %s, expected %s" % (got.shape, expected.shape)
    if got.dtype.kind in "ib":
        return None if (got == expected).all() else "%s, expected %s" % (got, expected)
    scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
    bound = (k + 8) * 2.0 ** -23 * max(scale, 1e-30)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    worst = np.where(same, 0, np.nan_to_num(np.abs(got - expected), nan=np.inf)).max(initial=0)
    return None if worst <= bound else "off by %g, allowed %g" % (worst, bound)


def wide(arrays):
    return {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}


def fixed(formals, inputs):
    """-D for the named dims but B, N and M, which stay open: weights need known ones."""
    words = []
    for name, dims in re.findall(r"(\w+): \w+\[([^]]*)\]", formals):
        for dim, extent in zip(dims.split(", "), inputs[name].shape):
            if re.fullmatch("[A-Z]", dim) and dim not in "BNM":
                words.append("-D%s=%d" % (dim, extent))
    return words


def try_row(r):
    """What is wrong, or None."""
    formals, result, body, inputs, expect, k = r
    folder = Folder()
    source = folder.write("m.tn", "model Row(%s) -> %s = %s\n" % (formals, result, body))
    try:
        options = ["--init=3", *fixed(formals, inputs)]
        run(TENON, source, *options, "--emit=safetensors", "-o", folder.at("w.safetensors"))
        weights = {n.split(".")[-1]: w for n, w in read_safetensors(folder.at("w.safetensors")).items()}
        folder.compile(source, *options, "-O1")
        got = folder.execute(inputs)
        value = expect(*wide(inputs).values(), **wide(weights))
        if not isinstance(value, (tuple, list)) or "out" in got:
            return check(got["out"], value, k)
        said = [check(got["out_%d" % i], v, k) for i, v in enumerate(value)]
        return next((s for s in said if s), None)
    except (RuntimeError, ValueError, TypeError, KeyError) as e:
        return str(e)


def main():
    failed = 0
    np.seterr(all="ignore")
    with ThreadPoolExecutor(2) as pool:
        for r, said in zip(ROWS, pool.map(try_row, ROWS)):
            if said:
                failed += 1
                print("FAILED: %s   (%s)\n  %s" % (r[2], r[0], said))
    finish(len(ROWS) - failed, failed)


main()
