#!/usr/bin/env python3
"""The suite of the onnx package: each model that tenon imports, written back by --emit=onnx and run elsewhere, gives
the outputs that the suite expects.
usage: test_suite.py BUILD_DIRECTORY SUITE [--shard I/N] [-k REGEX]   (SUITE: as tests/conformance/run leaves it)"""
import argparse
import glob
import json
import os
import re
import subprocess
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper

import check

# What is refused, by the words of the message: sums of 32-bit integers, which ConvInteger's import makes; sorts cut to
# a number that is found while running (NonZero, Compress, Unique, NonMaxSuppression).
REFUSED = re.compile(r"'(conv|argsort)' has no form")
SKIPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance", "skips.tsv")


def tensors(folder, kind):
    out = []
    for path in sorted(glob.glob(os.path.join(folder, kind + "_*.pb")), key=lambda p: int(re.findall(r"\d+", p)[-1])):
        proto = onnx.TensorProto()
        with open(path, "rb") as f:
            proto.ParseFromString(f.read())
        out.append(numpy_helper.to_array(proto))
    return out


def limits(folder):
    try:
        with open(os.path.join(folder, "data.json")) as f:
            data = json.load(f)
        return data.get("rtol", 1e-3), data.get("atol", 1e-7)
    except OSError:
        return 1e-3, 1e-7


def undefined():
    """The tests whose results the specification leaves open, as a pattern."""
    with open(SKIPS) as f:
        return re.compile("|".join(line.split("\t")[0] for line in f if line.strip() and line[0] != "#"))


def one(tenon, folder, out):
    """How it ended: passed by an oracle, or why there is nothing to compare."""
    data = os.path.join(folder, "test_data_set_0")
    model = os.path.join(folder, "model.onnx")
    done = subprocess.run([tenon, model, "--emit=onnx", "-o", out], capture_output=True, text=True)
    if done.returncode == 1 and "TN0313" not in done.stderr:
        return "not imported"
    if done.returncode != 0:
        assert REFUSED.search(done.stderr), "exit %d: %s" % (done.returncode, done.stderr.strip()[-300:])
        return "refused"
    onnx.checker.check_model(out)
    graph = onnx.load(out, load_external_data=False).graph
    original = onnx.load(model, load_external_data=False).graph
    if any(not v.type.HasField("tensor_type") for v in [*original.input, *original.output]):
        return "sequences"  # their parts are tensors of their own here
    contents, names = tensors(data, "input"), [i.name for i in original.input]
    if len(contents) < len(names):  # weights may be among the inputs, of which there are no files
        weights = {t.name for t in original.initializer}
        names = [name for name in names if name not in weights]
    given = dict(zip(names, contents))
    expected = dict(zip([o.name for o in original.output], tensors(data, "output")))
    oracle, got = check.oracle_run(out, {i.name: given[i.name] for i in graph.input})
    rtol, atol = limits(folder)
    for name, value in got.items():
        a, b = np.asarray(value), expected[name]
        if a.dtype == np.float16:
            atol = max(atol, 2e-3)
        told = "%s: %s%s, expected %s%s" % (name, a.dtype, a.shape, b.dtype, b.shape)
        assert a.shape == b.shape and a.dtype == b.dtype, told
        if a.dtype.kind in "SUO":
            continue
        a, b = (x.astype(np.float64) if x.dtype.kind not in "?iu" else x for x in (a, b))
        assert np.allclose(a, b, rtol, max(atol, 1e-6), equal_nan=True), "%s: other values" % name
    return oracle


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("build")
    arguments.add_argument("suite")
    arguments.add_argument("--shard", default="0/1")
    arguments.add_argument("-k", default="")
    a = arguments.parse_args()
    shard, n = map(int, a.shard.split("/"))
    folders = sorted(os.path.dirname(p) for p in glob.glob(os.path.join(a.suite, "*", "*", "model.onnx")))
    # The light models' logits are equal numbers of 1e8, which another order of sums turns into anything: test_models.py
    # runs them with other weights.
    folders = [f for f in folders if os.path.basename(os.path.dirname(f)) != "light"]
    counts, failed, open_ones = {}, 0, undefined()
    with tempfile.TemporaryDirectory() as folder:
        for path in [f for f in folders if re.search(a.k, f)][shard::n]:
            if open_ones.search(path):
                counts["undefined"] = counts.get("undefined", 0) + 1
                continue
            try:
                how = one(os.path.join(a.build, "bin", "tenon"), path, os.path.join(folder, "out.onnx"))
                counts[how] = counts.get(how, 0) + 1
            except (AssertionError, onnx.checker.ValidationError) as e:
                failed += 1
                print("FAILED: %s: %s" % (os.path.basename(path), str(e).strip()[:400]))
    print(", ".join("%s %d" % row for row in sorted(counts.items())))
    ran = counts.get("onnxruntime", 0) + counts.get("onnx", 0)
    check.finish(ran, failed, sum(counts.values()) - ran)


main()
