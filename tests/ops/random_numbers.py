"""The random operators, whose stream ONNX leaves free: each compiled, its distribution, its repetition from run to run
and its dependence on seed and node.   usage: random_numbers.py BUILD_DIR"""
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper

N = 40000
TENON = os.path.join(sys.argv[1], "bin", "tenon")


def run(nodes, feeds=None, outputs=("y",), dtypes=(TensorProto.FLOAT,), opset=22):
    """Two runs of one program: [(first, second) for each output]."""
    feeds = feeds or {}
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(
        n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in feeds.items()], [
            helper.make_tensor_value_info(n, t, None) for n, t in zip(outputs, dtypes)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m")
        onnx.save(model, path + ".onnx")
        subprocess.run([TENON, path + ".onnx", "-o", path], check=True)
        args = []
        for name, value in feeds.items():
            np.save(f"{path}.{name}.npy", value)
            args += ["--input", f"{name}={path}.{name}.npy"]
        found = []
        for i in range(2):
            subprocess.run([path, "run", *args, "--output-dir", f"{path}{i}"], check=True, capture_output=True)
            found.append([np.load(f"{path}{i}/{n}.npy") for n in outputs])
        return list(zip(*found))


def is_near(found, expected, deviation, what):
    """Five standard deviations of a mean of N numbers."""
    limit = 5 * deviation / math.sqrt(N)
    assert abs(found - expected) <= limit, f"{what}: {found}, expected {expected} +- {limit}"


def uniform_numbers():
    for op, feeds in (("RandomUniform", None), ("RandomUniformLike", {"x": np.zeros(N, np.float32)})):
        shape = {} if feeds else {"shape": [N]}
        (y, again), = run([helper.make_node(op, list(feeds or {}), ["y"], low=-1.0, high=3.0, **shape)], feeds)
        assert np.array_equal(y, again) and y.shape == (N,) and y.min() >= -1 and y.max() < 3
        is_near(y.mean(), 1, 4 / math.sqrt(12), "mean")
        is_near((y * y).mean(), 7 / 3, 3, "mean of squares")
        is_near((y[1:] * y[:-1]).mean(), 1, 3, "neighbours")
        counts = np.histogram(y, 16, (-1, 3))[0]
        chi = ((counts - N / 16) ** 2 / (N / 16)).sum()
        assert chi < 15 + 5 * math.sqrt(30), f"chi square of 16 classes: {chi}"


def normal_numbers():
    for op, feeds, dtype in (("RandomNormal", None, np.float32), ("RandomNormalLike", {"x": np.zeros(N)}, np.float64)):
        shape = {} if feeds else {"shape": [N]}
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        (y, again), = run([helper.make_node(op, list(feeds or {}), ["y"], mean=2.0, scale=3.0, **shape)], feeds,
                          dtypes=(kind,))
        assert np.array_equal(y, again) and y.dtype == dtype and np.isfinite(y).all()
        z = (y.astype(np.float64) - 2) / 3
        for power, moment, deviation in ((1, 0, 1), (2, 1, math.sqrt(2)), (3, 0, math.sqrt(15)), (4, 3, math.sqrt(96))):
            is_near((z ** power).mean(), moment, deviation, f"moment {power}")


def seeds_and_nodes():
    """Equal seeds agree, other seeds and other nodes without one differ."""
    names = ("a", "b", "c", "d", "e")
    nodes = [helper.make_node("RandomUniform", [], [n], shape=[N], **({"seed": s} if s else {}))
             for n, s in zip(names, (1.0, 1.0, 2.0, None, None))]
    a, b, c, d, e = (first for first, _ in run(nodes, outputs=names, dtypes=(TensorProto.FLOAT,) * 5))
    assert np.array_equal(a, b)
    for p, q in ((a, c), (a, d), (d, e)):
        is_near((p * q).mean(), 0.25, 0.5, "product of independent numbers")
        assert (p == q).mean() < 0.001


def bernoulli():
    p = np.repeat(np.array([0, 0.25, 0.5, 1], np.float32), N)
    (y, again), = run([helper.make_node("Bernoulli", ["x"], ["y"], dtype=TensorProto.BOOL)], {"x": p},
                      dtypes=(TensorProto.BOOL,))
    assert np.array_equal(y, again)
    for part, chance in zip(y.reshape(4, N), (0, 0.25, 0.5, 1)):
        is_near(part.mean(), chance, math.sqrt(chance * (1 - chance)), f"chance {chance}")


def multinomial():
    weights = np.log(np.array([[1, 2, 5], [4, 0.0001, 4]], np.float32))
    (y, again), = run([helper.make_node("Multinomial", ["x"], ["y"], sample_size=N)], {"x": weights},
                      dtypes=(TensorProto.INT32,))
    assert np.array_equal(y, again) and y.shape == (2, N)
    for row, w in zip(y, np.exp(weights)):
        for k, chance in enumerate(w / w.sum()):
            is_near((row == k).mean(), chance, math.sqrt(chance * (1 - chance)) + 0.001, f"class {k}")


def dropout():
    """In training, by a constant and by an input that says so; outside of it."""
    x = np.linspace(1, 2, N, dtype=np.float32)
    for training in (True, False):
        feeds = {"x": x, "r": np.array(0.25, np.float32), "t": np.array(training)}
        (y, again), (mask, _) = run([helper.make_node("Dropout", ["x", "r", "t"], ["y", "m"])], feeds, ("y", "m"),
                                    (TensorProto.FLOAT, TensorProto.BOOL))
        assert np.array_equal(y, again)
        if not training:
            assert np.array_equal(y, x) and mask.all()
            continue
        is_near(mask.mean(), 0.75, math.sqrt(0.1875), "kept")
        assert np.allclose(y, np.where(mask, x / 0.75, 0), rtol=1e-6)
    (y, _), (mask, _) = run([helper.make_node("Dropout", ["x"], ["y", "m"], ratio=0.5)], {"x": x}, ("y", "m"),
                            (TensorProto.FLOAT, TensorProto.FLOAT), opset=6)
    is_near(mask.mean(), 0.5, 0.5, "kept before opset 7")
    assert np.allclose(y, x * mask * 2)


def philox(counter, key):
    """Philox4x32-10 in whole numbers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p, q = 0xd2511f53 * c[0], 0xcd9e8d57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k[0], q & 0xffffffff, (p >> 32) ^ c[3] ^ k[1], p & 0xffffffff]
        k = [(k[0] + 0x9e3779b9) & 0xffffffff, (k[1] + 0xbb67ae85) & 0xffffffff]
    return c


def bits_and_dropout():
    """random_bits and dropout: compiled, by the reference and by the definition above, bit for bit."""
    seed, step, first, shape = 0x123456789abcdef0, 5, 2 ** 33, (37, 5, 3)
    text = """tnir 1
func @run entry (%s: u64[3] "s", %x: f32[37,5,3] "x") -> (u32[37,5,3] "bits", f32[37,5,3] "y") {
  %0 = random_bits %s {dims=[37,5,3], axis=1, stream=9} : u32[37,5,3]
  %1 = dropout %x, %s {p=0.25, stream=9, axis=1} : f32[37,5,3]
  return %0, %1
}
"""
    x = np.linspace(1, 2, math.prod(shape), dtype=np.float32).reshape(shape)
    expected = np.empty(shape, np.uint32)
    for i, j, k in np.ndindex(shape):
        place = (first + j) * 37 * 3 + i * 3 + k
        expected[i, j, k] = philox((place & 0xffffffff, place >> 32, step, 9), (seed & 0xffffffff, seed >> 32))[0]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m")
        with open(path + ".tnir", "w") as file:
            file.write(text)
        np.save(path + ".s.npy", np.array([seed, step, first], np.uint64))
        np.save(path + ".x.npy", x)
        given = ["--input", f"s={path}.s.npy", "--input", f"x={path}.x.npy", "--output-dir", path + ".out"]
        subprocess.run([TENON, path + ".tnir", "-o", path], check=True)
        for command in ([path, "run"], [TENON, path + ".tnir", "--eval"]):
            subprocess.run([*command, *given], check=True, capture_output=True)
            assert np.array_equal(np.load(f"{path}.out/bits.npy"), expected), "bits"
            kept = expected >= 2 ** 30
            assert np.array_equal(np.load(f"{path}.out/y.npy"), np.where(kept, x * np.float32(1 / 0.75), 0)), "dropout"


def main():
    passed = 0
    tests = (uniform_numbers, normal_numbers, seeds_and_nodes, bernoulli, multinomial, dropout, bits_and_dropout)
    for test in tests:
        try:
            test()
            passed += 1
        except (AssertionError, subprocess.CalledProcessError) as error:
            print(f"FAILED {test.__name__}: {error}")
    print(f"{passed} passed, {len(tests) - passed} failed, 0 skipped")
    return passed != len(tests)


if __name__ == "__main__":
    sys.exit(main())
