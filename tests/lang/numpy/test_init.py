#!/usr/bin/env python3
"""The initialisers, bit by bit: Philox4x32-10 and the formulas of frontend/lang/init.c in plain Python.
usage: test_init.py BUILD_DIRECTORY"""
import math
from statistics import NormalDist

import numpy as np

from common import TENON, Folder, finish, read_safetensors, run

MASK = (1 << 64) - 1
SEED = 12345


def mix(x):
    x = (x + 0x9e3779b97f4a7c15) & MASK
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & MASK
    return x ^ (x >> 31)


def philox(key, counter):
    k0, k1 = key & 0xffffffff, key >> 32
    c = list(counter)
    for _ in range(10):
        p, q = 0xd2511f53 * c[0], 0xcd9e8d57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k0, q & 0xffffffff, (p >> 32) ^ c[3] ^ k1, p & 0xffffffff]
        k0, k1 = (k0 + 0x9e3779b9) & 0xffffffff, (k1 + 0xbb67ae85) & 0xffffffff
    return c


def uniforms(path, n):
    h = 0xcbf29ce484222325
    for byte in path.encode():
        h = ((h ^ byte) * 0x100000001b3) & MASK
    key = mix(SEED ^ mix(h))
    words = [w for i in range((n + 3) // 4) for w in philox(key, (i, 0, 0, 0))]
    return [(w + 0.5) / 2 ** 32 for w in words[:n]]


def normals(path, n):
    return np.array([NormalDist().inv_cdf(p) for p in uniforms(path, n)])


def within(path, n, lo, hi):
    return np.array([lo + (hi - lo) * p for p in uniforms(path, n)])


def orthogonal(path, rows, columns):
    m = normals(path, rows * columns).reshape(rows, columns)
    m = m if rows <= columns else m.T
    for i in range(len(m)):
        for _ in range(2):
            for j in range(i):
                m[i] -= (m[j] @ m[i]) * m[j]
        m[i] /= math.sqrt(m[i] @ m[i])
    return (m if rows <= columns else m.T).reshape(-1)


def truncated(path, n):
    low = NormalDist().cdf(-2)
    return np.array([0.5 * NormalDist().inv_cdf(low + (1 - 2 * low) * p) for p in uniforms(path, n)])


# name, initialiser, dims, what it should be
ROWS = [
    ("a", "zeros", (3, 4), lambda: np.zeros(12)),
    ("b", "ones", (5,), lambda: np.ones(5)),
    ("c", "const(0.25)", (2, 2), lambda: np.full(4, 0.25)),
    ("d", "normal(0.5)", (30, 7), lambda: 0.5 * normals("d", 210)),
    ("e", "normal(std: 0.5, mean: 3)", (11,), lambda: 3 + 0.5 * normals("e", 11)),
    ("f", "uniform(-1, 2)", (9, 3), lambda: within("f", 27, -1, 2)),
    ("g", "trunc_normal(0.5)", (200,), lambda: truncated("g", 200)),
    ("h", "xavier", (8, 4), lambda: within("h", 32, -math.sqrt(6 / 12), math.sqrt(6 / 12))),
    ("i", "he_normal", (2, 4, 3), lambda: math.sqrt(2 / 8) * normals("i", 24)),
    ("j", "he_uniform", (6, 2), lambda: within("j", 12, -1, 1)),
    ("k", "lecun", (16, 2), lambda: 0.25 * normals("k", 32)),
    ("l", "orthogonal", (6, 9), lambda: orthogonal("l", 6, 9)),
    ("m", "orthogonal", (9, 4), lambda: orthogonal("m", 9, 4)),
]


def main():
    folder = Folder()
    params = "".join("  param %s: f32[%s] = %s\n" % (n, ", ".join(map(str, d)), init) for n, init, d, _ in ROWS)
    source = folder.write("m.tn", "model Weights(x: f32[B]) -> f32[B] {\n%s  return x\n}\n" % params)
    run(TENON, source, "--init=%d" % SEED, "--emit=safetensors", "-o", folder.at("w.safetensors"))
    stored, failed = read_safetensors(folder.at("w.safetensors")), 0
    # Known answers of the Random123 distribution.
    assert philox(0, (0, 0, 0, 0)) == [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
    for name, init, dims, expect in ROWS:
        got, expected = stored[name].reshape(-1), expect().astype(np.float32)
        # Quantiles may differ in the last bit of a double, and so, rarely, a float in its own.
        worst = np.abs(got.astype(np.float64) - expected).max()
        if stored[name].shape != dims or worst > np.spacing(np.abs(expected).max()):
            failed += 1
            print("FAILED: %s: off by %g" % (init, worst))
    finish(len(ROWS) - failed, failed)


main()
