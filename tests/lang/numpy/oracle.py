"""Layers in NumPy, in double where their inputs are: what the tests of the language compare with."""
import math

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def erf(x):
    return np.vectorize(math.erf)(x)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def windows(x, k, stride=1, pad=0, value=0.0, dilate=1):
    """[N, C, oh, ow, k, k] of x [N, C, h, w]."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=value)
    span = (k - 1) * dilate + 1
    oh, ow = (x.shape[2] - span) // stride + 1, (x.shape[3] - span) // stride + 1
    y = np.empty(x.shape[:2] + (oh, ow, k, k), x.dtype)
    for i in range(k):
        for j in range(k):
            y[..., i, j] = x[:, :, i * dilate:i * dilate + (oh - 1) * stride + 1:stride,
                             j * dilate:j * dilate + (ow - 1) * stride + 1:stride]
    return y


def conv(x, w, b=None, groups=1, **kw):
    parts, o = [], w.shape[0] // groups
    for g in range(groups):
        c = w.shape[1]
        v = windows(x[:, g * c:(g + 1) * c], w.shape[2], **kw)
        parts.append(np.einsum("ncpqij,ocij->nopq", v, w[g * o:(g + 1) * o]))
    y = np.concatenate(parts, 1)
    return y if b is None else y + b[:, None, None]


def conv_transpose(x, w, stride, pad, out_pad):
    n, c, h, v = x.shape
    k = w.shape[2]
    full = np.zeros((n, w.shape[1], (h - 1) * stride + k + out_pad, (v - 1) * stride + k + out_pad))
    for i in range(k):
        for j in range(k):
            full[:, :, i:i + (h - 1) * stride + 1:stride, j:j + (v - 1) * stride + 1:stride] += np.einsum(
                "nchw,co->nohw", x, w[:, :, i, j])
    return full[:, :, pad:full.shape[2] - pad, pad:full.shape[3] - pad]


def linear_at(x, axis, positions):
    n = x.shape[axis]
    at = np.clip(positions, 0, n - 1)
    lo = np.minimum(np.floor(at).astype(int), n - 1)
    hi = np.minimum(lo + 1, n - 1)
    t = (at - lo).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return x.take(lo, axis) * (1 - t) + x.take(hi, axis) * t


def attention(q, k, v, bias=0.0, scale=None):
    group = q.shape[2] // k.shape[2]
    k, v = k.repeat(group, 2), v.repeat(group, 2)
    s = np.einsum("bthk,bshk->bhts", q, k) * (scale or 1 / math.sqrt(q.shape[3])) + bias
    return np.einsum("bhts,bshv->bthv", softmax(s), v)


def causal(t, s):
    return np.where(np.arange(s)[None] <= np.arange(t)[:, None] + s - t, 0, -np.inf)


def rotary(x, base=10000.0, offset=0, interleaved=False):
    n = x.shape[-1] // 2
    a = ((np.arange(x.shape[-3]) + offset)[:, None] * base ** (-np.arange(n) / n))[:, None]
    y = np.array(x, np.float64)
    p, q = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :n], x[..., n:])
    u, w = np.cos(a) * p - np.sin(a) * q, np.sin(a) * p + np.cos(a) * q
    if interleaved:
        y[..., 0::2], y[..., 1::2] = u, w
    else:
        y[..., :n], y[..., n:] = u, w
    return y


def normalised(x, axes, eps):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def lstm(x, length, weight_ih, weight_hh, bias, reverse=False):
    n, steps, hidden = x.shape[0], x.shape[1], weight_hh.shape[1]
    h, c, out = np.zeros((n, hidden)), np.zeros((n, hidden)), np.zeros((n, steps, hidden))
    for t in reversed(range(steps)) if reverse else range(steps):
        i, g_f, g, o = np.split(x[:, t] @ weight_ih.T + h @ weight_hh.T + bias, 4, 1)
        new_c = sigmoid(g_f) * c + sigmoid(i) * np.tanh(g)
        new_h = sigmoid(o) * np.tanh(new_c)
        live = (t < length)[:, None]
        h, c, out[:, t] = np.where(live, new_h, h), np.where(live, new_c, c), np.where(live, new_h, 0)
    return out, h, c


def gru(x, weight_ih, weight_hh, bias, reverse=False):
    n, steps, hidden = x.shape[0], x.shape[1], weight_hh.shape[1]
    h, out = np.zeros((n, hidden)), np.zeros((n, steps, hidden))
    for t in reversed(range(steps)) if reverse else range(steps):
        wr, wz, wn = np.split(x[:, t] @ weight_ih.T + bias, 3, 1)
        ur, uz, un = np.split(h @ weight_hh.T, 3, 1)
        r, z = sigmoid(wr + ur), sigmoid(wz + uz)
        h = (1 - z) * np.tanh(wn + r * un) + z * h
        out[:, t] = h
    return out, h
