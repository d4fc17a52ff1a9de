"""Polynomials of backends/cpu/llvm/math.c and math_wide.c: near-minimax fits, printed as C tables.

Each fit minimises the largest weighted error on Chebyshev points by iteratively reweighted least squares (Lawson's
algorithm). Only the C library's functions and numpy are needed: python3 tests/tools/fit_math.py
"""
import math

import numpy as np


def fit(name, values, weight, low, high, degree, single):
    """Coefficients c (constant first) so that weight(x) * (sum c_i x^i - values(x)) is as flat as possible."""
    n = 4000
    x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    target = np.array([values(v) for v in x])
    scale = np.array([weight(v) for v in x])
    centre = np.linspace(-1, 1, 2)[0] * 0
    basis = np.vander((x - centre) / max(abs(low), abs(high)), degree + 1, increasing=True)
    importance = np.ones(n) / n
    best, best_error = None, math.inf
    for _ in range(300):
        root = np.sqrt(importance) * scale
        c, *_ = np.linalg.lstsq(basis * root[:, None], target * root, rcond=None)
        error = np.abs((basis @ c - target) * scale)
        if error.max() < best_error:
            best, best_error = c, error.max()
        importance *= error + error.max() * 1e-3
        importance /= importance.sum()
    c = best / max(abs(low), abs(high)) ** np.arange(degree + 1)
    if single:
        c = np.array([float(np.float32(v)) for v in c])
    error = np.abs((np.polynomial.polynomial.polyval(x, c) - target) * scale).max()
    print(f"/* {name}: error 2^{math.log2(error):.1f} */")
    print("{" + ", ".join(v.hex() for v in c.tolist()) + "},")


def ratio(f, at_zero):
    return lambda x: f(x) if abs(x) > 1e-9 else at_zero


def main():
    half_ln2 = math.log(2) / 2 * 1.002

    # exp(r) = 1 + r + r^2 Q(r); expm1 the same without the 1
    def exp_q(r):
        return (math.expm1(r) - r) / (r * r) if abs(r) > 1e-3 else 0.5 + r / 6 + r * r / 24 + r ** 3 / 120
    fit("exp: Q", exp_q, lambda r: r * r, -half_ln2, half_ln2, 4, True)
    fit("expm1: Q", exp_q, lambda r: abs(r), -half_ln2, half_ln2, 4, True)
    fit("wide exp: Q", exp_q, lambda r: r * r, -half_ln2, half_ln2, 6, False)

    # log(1 + f) = f - f^2/2 + f^3 P(f)
    def log_p(f):
        if abs(f) < 0.01:
            return sum((-1) ** k * f ** k / (k + 3) for k in range(12))
        return (math.log1p(f) - f + f * f / 2) / f ** 3
    low, high = math.sqrt(0.5) - 1, math.sqrt(2) - 1
    fit("log: P", log_p, lambda f: f * f, low, high, 8, True)

    # log((1 + s) / (1 - s)) = 2 s (1 + s^2 A(s^2)), in t = s^2
    def atanh_a(t):
        if t < 1e-4:
            return 1 / 3 + t / 5 + t * t / 7 + t ** 3 / 9
        s = math.sqrt(t)
        return (math.atanh(s) / s - 1) / t
    fit("wide log: A", atanh_a, lambda t: t, 0, 0.02945, 5, False)

    quarter = (math.pi / 4 * 1.001) ** 2

    def sin_s(t):
        if t < 1e-3:
            return -1 / 6 + t / 120 - t * t / 5040
        r = math.sqrt(t)
        return (math.sin(r) / r - 1) / t

    def cos_c(t):
        if t < 1e-2:
            return 1 / 24 - t / 720 + t * t / 40320 - t ** 3 / 3628800
        return (math.cos(math.sqrt(t)) - 1 + t / 2) / (t * t)
    fit("wide sin: r + r t S(t)", sin_s, lambda t: t, 0, quarter, 4, False)
    fit("wide cos: 1 - t/2 + t^2 C(t)", cos_c, lambda t: t * t, 0, quarter, 3, False)

    def atan_a(t):
        if t < 1e-3:
            return -1 / 3 + t / 5 - t * t / 7 + t ** 3 / 9
        r = math.sqrt(t)
        return (math.atan(r) / r - 1) / t
    fit("wide atan: r + r t A(t)", atan_a, lambda t: t, 0, (math.sqrt(2) - 1) ** 2 * 1.001, 7, False)

    # sinh(x) = x + x t H(t) for |x| < 0.5
    def sinh_h(t):
        if t < 1e-3:
            return 1 / 6 + t / 120 + t * t / 5040
        r = math.sqrt(t)
        return (math.sinh(r) / r - 1) / t
    fit("wide sinh: H", sinh_h, lambda t: t, 0, 0.26, 3, False)

    # erf(x) = x + x E(x^2) for |x| < 0.921875; -log(erfc(x)) on [0.92, 4]
    def erf_e(t):
        if t < 1e-6:
            return 2 / math.sqrt(math.pi) * (1 - t / 3) - 1
        r = math.sqrt(t)
        return math.erf(r) / r - 1
    fit("erf: E", erf_e, lambda t: 1, 0, 0.921875 ** 2 * 1.001, 6, True)
    for degree in (6, 7, 8):
        fit(f"erf: G, degree {degree}", lambda x: -math.log(math.erfc(x)), math.erfc, 0.92, 4.0, degree, True)


main()
