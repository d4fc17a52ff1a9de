#!/usr/bin/env python3
"""Weights from files: .npz, .npy, .safetensors; hostile ones are refused.   usage: test_store.py BUILD_DIRECTORY"""
import json
import os
import struct
import subprocess

import numpy as np

from common import TENON, Folder, finish, read_safetensors, run

TESTS = []
MODEL = "model M(x: f32[B, 2]) -> f32[B, 3] = x |> linear(3)\n"
W, BIAS = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([1, 2, 3], np.float32)


def test(function):
    TESTS.append(function)
    return function


def weights_of(folder, source, *options):
    run(TENON, source, *options, "--emit=safetensors", "-o", folder.at("w.safetensors"), cwd=folder.path)
    return read_safetensors(folder.at("w.safetensors"))


@test
def npz(folder):
    np.savez(folder.at("w.npz"), **{"linear.weight": W, "linear.bias": BIAS})
    got = weights_of(folder, folder.write("m.tn", MODEL), "--weights=" + folder.at("w.npz"))
    assert (got["linear.weight"] == W).all() and (got["linear.bias"] == BIAS).all()


@test
def compressed_npz(folder):
    np.savez_compressed(folder.at("w.npz"), **{"linear.weight": W, "linear.bias": BIAS})
    assert (weights_of(folder, folder.write("m.tn", MODEL), "--weights=w.npz")["linear.weight"] == W).all()


@test
def from_files(folder):
    np.save(folder.at("w.npy"), np.asfortranarray(W))
    folder.write("m.tn", "model M(x: f32[B, 2]) -> f32[B, 3] {\n  param w: f32[3, 2] = from(\"w.npy\")\n"
                 "  param b: f32[3] = from(\"b.safetensors\", \"the bias\")\n"
                 "  return dot(x, w[0..3, ..], over: K) + b\n}\n".replace("f32[3, 2]", "f32[3, K]").replace(
                     "f32[B, 2]", "f32[B, K]"))
    header = json.dumps({"the bias": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}).encode()
    with open(folder.at("b.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header + BIAS.tobytes())
    got = weights_of(folder, folder.at("m.tn"), "-DK=2")
    assert (got["w"] == W).all() and (got["b"] == BIAS).all()


@test
def folder_of_npy(folder):
    os.mkdir(folder.at("weights"))
    np.save(folder.at("weights", "linear.weight.npy"), W)
    np.save(folder.at("weights", "linear.bias.npy"), BIAS)
    source = folder.write("m.tn", MODEL)
    got = weights_of(folder, source, "--weights=weights", "-MD", "-MF", folder.at("d"))
    assert (got["linear.weight"] == W).all() and (got["linear.bias"] == BIAS).all()
    run(TENON, source, "--weights=weights", "-MD", "-c", "-o", folder.at("m.o"), cwd=folder.path)
    with open(folder.at("m.d"), encoding="utf-8") as f:
        assert "weights/linear.bias.npy" in f.read()
    os.mkdir(folder.at("empty"))
    refuse(folder, source, "empty", "folder 'empty' holds no .npy file [TN0602]")
    np.save(folder.at("weights", "linear.wait.npy"), BIAS)
    refuse(folder, source, "weights", "holds 1 tensors that the model has no weight for", "surplus: 'linear.wait'")
    np.save(folder.at("weights", "linear.bias.npy"), BIAS[:2])
    refuse(folder, source, "weights", "weight 'linear.bias' is f32[3], found f32[2] in 'weights' [TN0601]")
    with open(folder.at("weights", "linear.bias.npy"), "wb") as f:
        f.write(b"\x93NUMPY\1")
    refuse(folder, source, "weights", "[TN0602]")


@test
def one_npy(folder):
    np.save(folder.at("w.npy"), W)
    one = folder.write("one.tn", MODEL.replace("linear(3)", "linear(3, bias: false)"))
    assert (weights_of(folder, one, "--weights=w.npy")["linear.weight"] == W).all()
    refuse(folder, folder.write("m.tn", MODEL), "w.npy", "'w.npy' holds one tensor without a name, the model has 2")
    np.save(folder.at("w.npy"), BIAS)
    refuse(folder, one, "w.npy", "weight 'linear.weight' is f32[3,2], found f32[3] in 'w.npy'")


def refuse(folder, source, weights, *wanted):
    r = subprocess.run([TENON, source, "--weights=" + weights, "-c", "-o", "o"], capture_output=True, text=True,
                       timeout=60, cwd=folder.path)
    missing = [text for text in wanted if text not in r.stderr]
    assert r.returncode == 1 and not missing, "%s\n%s" % (missing, r.stderr)


def hostile():
    good = {"linear.weight": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]},
            "linear.bias": {"dtype": "F32", "shape": [3], "data_offsets": [24, 36]}}

    def file(changed=None, prefix=None, data=b"\0" * 36, raw=None):
        header = raw if raw is not None else json.dumps({**good, **(changed or {})}).encode()
        return (struct.pack("<Q", len(header)) if prefix is None else prefix) + header + data

    def bias(**kw):
        return file({"linear.bias": {**good["linear.bias"], **kw}})

    yield "empty", b""
    yield "short", b"\1\2\3"
    yield "header beyond the file", file(prefix=struct.pack("<Q", 1 << 40))
    yield "header of all ones", b"\xff" * 64
    yield "no JSON", file(raw=b"{{{{")
    yield "deep JSON", file(raw=b"[" * 100000)
    yield "an array", file(raw=b"[]")
    yield "a name twice", file(raw=b'{"a": {}, "a": {}}')
    yield "no entry", file({"linear.bias": 7})
    yield "unknown type", bias(dtype="F33")
    yield "negative dim", bias(shape=[-3])
    yield "huge dims", bias(shape=[1 << 62, 1 << 62])
    yield "fractions", bias(shape=[3.5])
    yield "too many dims", bias(shape=[1] * 40)
    yield "data outside", bias(data_offsets=[1 << 40, (1 << 40) + 12])
    yield "data backwards", bias(data_offsets=[36, 24])
    yield "data too short", bias(data_offsets=[24, 28])
    yield "data that overlap", bias(data_offsets=[12, 24])
    yield "negative offsets", bias(data_offsets=[-12, 0])
    yield "cut data", file(data=b"\0" * 20)
    yield "half an npy", b"\x93NUMPY\1\0\xff\xff{"
    yield "half a zip", b"PK\3\4" + b"\xff" * 40


@test
def refused(folder):
    source = folder.write("m.tn", MODEL)
    for what, data in hostile():
        with open(folder.at("w"), "wb") as f:
            f.write(data)
        r = subprocess.run([TENON, source, "--weights=" + folder.at("w"), "-c", "-o", folder.at("o")],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 1 and "error: " in r.stderr and "[TN060" in r.stderr, "%s: %d\n%s" % (
            what, r.returncode, r.stderr)


def main():
    failed = 0
    for t in TESTS:
        try:
            t(Folder())
        except (RuntimeError, AssertionError, KeyError) as e:
            failed += 1
            print("FAILED: %s\n%s" % (t.__name__, e))
    finish(len(TESTS) - failed, failed)


main()
