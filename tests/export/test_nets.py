#!/usr/bin/env python3
"""The networks of tests/models/nets and the graphs of PyTorch's exporters: each, written back by --emit=onnx, gives in
onnxruntime what the model gives there, in all its sizes.   usage: test_nets.py BUILD_DIRECTORY [NAME...]"""
import os
import sys
import tempfile
from functools import partial

import numpy as np
import onnx

import check

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, "..", "models", folder) for folder in ("nets", "graphs")]
from catalog import NETS  # noqa: E402
from graphs import GRAPHS, load  # noqa: E402

ALLOWED = 1e-3  # of the largest element: both are rounded after every operator, in other orders


def one(tenon, folder, build, feeds):
    path, out = os.path.join(folder, "in.onnx"), os.path.join(folder, "out.onnx")
    onnx.save(build(), path)
    check.export(tenon, path, out)
    for seed, make in enumerate(feeds):
        feed = make(np.random.default_rng(seed))
        expected, got = check.ort_run(path, feed), check.ort_run(out, feed)
        assert sorted(expected) == sorted(got)
        for name, value in got.items():
            check.compare(value, expected[name], ALLOWED)


def main():
    tenon, wanted = os.path.join(sys.argv[1], "bin", "tenon"), sys.argv[2:]
    cases = {name: case[0] for name, case in NETS.items()}
    cases |= {name: (partial(load, name), feeds) for name, feeds in GRAPHS.items()}
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, (build, feeds) in cases.items():
            if wanted and name not in wanted:
                continue
            try:
                one(tenon, folder, build, feeds)
                passed += 1
            except (AssertionError, check.Refused, onnx.checker.ValidationError) as e:
                failed += 1
                print("FAILED: %s: %s" % (name, str(e)[:500]))
            except Exception as e:  # onnxruntime has one class for each of its codes, without a common base
                failed += 1
                print("FAILED: %s: %s: %s" % (name, type(e).__name__, str(e)[:500]))
    check.finish(passed, failed, 0)


main()
