"""Shows of each test that skips.tsv keeps out why: computed from the test's own data, not asserted.
usage: test_skips.py SUITE_DIR

At most 30 tests are kept out. Each pattern has a function here, which gets a test's folder and gives None, or what is
not as the file says. Last line: `N passed, N failed, N skipped`.
"""
import glob
import json
import os
import re
import sys

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
MOST = 30
SHOWS = []


def shows(pattern):
    """Decorates what shows that the tests whose names match are left open, or wrong."""
    def keep(function):
        SHOWS.append((re.compile(pattern), function))
        return function
    return keep


def tensors(folder, kind):
    paths = sorted(glob.glob(os.path.join(folder, "test_data_set_0", kind + "_*.pb")))
    return [numpy_helper.to_array(onnx.load_tensor(path)) for path in paths]


def tolerance(folder):
    with open(os.path.join(folder, "data.json"), encoding="utf-8") as f:
        return json.load(f)


def misses(folder, exact, expected):
    """None when the exact result, rounded once, is further from the expected one than the test allows."""
    rounded = exact.astype(expected.dtype).astype(np.float64)
    wanted = expected.astype(np.float64)
    if not np.all(np.isclose(rounded, wanted, rtol=tolerance(folder)["rtol"], atol=tolerance(folder)["atol"])):
        return None
    return "the exact result is within the tolerance"


@shows("FLOAT4E2M1")
def no_form_of_nan(folder):
    """What is not a number has no code in float4e2m1; all else the test expects as IEEE 754 says."""
    codes = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float32)
    x, y = tensors(folder, "input")[0].ravel(), tensors(folder, "output")[0].ravel().astype(np.float32)
    if np.isnan(codes).any() or not np.isnan(x).any():
        return "float4e2m1 has a code for NaN, or the test has none"
    finite = ~np.isnan(x)
    saturated = np.clip(x[finite].astype(np.float32), -6, 6)
    nearest = np.abs(saturated[:, None] - codes[None, :]).min(axis=1)
    return None if np.array_equal(np.abs(saturated - y[finite]), nearest) else "more than NaN is at issue"


@shows("attention_4d_causal_fp16")
def rounded_often(folder):
    """The expected values are rounded to half precision after each operator. Of the two halves next to
    softmax(q k / sqrt(d)) v in double, which are both as near as half precision gets, one is outside the tolerance."""
    q, k, v = (x.astype(np.float64) for x in tensors(folder, "input"))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    exact = weights / weights.sum(-1, keepdims=True) @ v
    nearest = exact.astype(np.float16)
    other = np.nextafter(nearest, np.where(nearest < exact, np.inf, -np.inf).astype(np.float16))
    expected = tensors(folder, "output")[0]
    return misses(folder, nearest, expected) and misses(folder, other, expected)


@shows("dft_inverse")
def rounding_errors(folder):
    """x[n] = sum_k X[k] exp(2 pi i k n / N) / N in double."""
    x, y = tensors(folder, "input")[0].astype(np.float64), tensors(folder, "output")[0]
    axis = 1
    spectrum = x[..., 0] + 1j * x[..., 1] if x.shape[-1] == 2 else x[..., 0] + 0j
    n = spectrum.shape[axis]
    turn = np.exp(2j * np.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n) / n
    signal = np.moveaxis(np.moveaxis(spectrum, axis, -1) @ turn, -1, axis)
    return misses(folder, np.stack([signal.real, signal.imag], -1), y)


@shows("training_dropout|bernoulli")
def random_stream(folder):
    """onnxruntime draws other elements, and is as right: no operator of ONNX says which generator is used."""
    model = onnx.load(os.path.join(folder, "model.onnx"))
    model.opset_import[0].version = 21  # the same operators; it has no kernels for these of 22
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]
    found = session.run(None, dict(zip(names, tensors(folder, "input"))))
    same = all(np.array_equal(a, b) for a, b in zip(found, tensors(folder, "output")))
    return "onnxruntime gives the expected elements" if same else None


def main():
    suite = sys.argv[1]
    with open(os.path.join(HERE, "tiers.tsv"), encoding="utf-8") as f:
        names = [line.split("\t")[0] for line in f if not line.startswith("#")]
    with open(os.path.join(HERE, "skips.tsv"), encoding="utf-8") as f:
        patterns = [line.split("\t")[0] for line in f if line.strip() and not line.startswith("#")]
    kept = {pattern: [name for name in names if re.search(pattern, name)] for pattern in patterns}
    wrong = [f"'{pattern}' matches no test" for pattern, found in kept.items() if not found]
    tests = sorted(sum(kept.values(), []))
    if len(tests) > MOST:
        wrong.append(f"{len(tests)} tests are kept out, at most {MOST} may be")
    for test in tests:
        functions = [function for pattern, function in SHOWS if pattern.search(test)]
        said = functions[0](os.path.join(suite, test)) if len(functions) == 1 else f"{len(functions)} functions show it"
        if said:
            wrong.append(f"{test}: {said}")
    for line in wrong:
        print(line)
    failed = len(wrong)
    print(f"{max(len(tests) - failed, 0)} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
