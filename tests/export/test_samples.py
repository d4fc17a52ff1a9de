#!/usr/bin/env python3
"""Every right sample of the op table: written by --emit=onnx and run elsewhere, against the reference (--eval).
usage: test_samples.py BUILD_DIRECTORY [OP...]"""
import os
import re
import subprocess
import sys
import tempfile

import ml_dtypes
import numpy as np

import check

TYPES = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16, "i64": np.int64,
         "i32": np.int32, "i16": np.int16, "i8": np.int8, "u64": np.uint64, "u32": np.uint32, "u16": np.uint16,
         "u8": np.uint8, "bool": np.bool_}
B = 3
# Operations that ONNX cannot say: refusing these by name is right, refusing any other is not.
REFUSED = {"popcount": "no operator counts bits", "bitcast": "other widths",
           "conv": "sums of 32-bit integers", "argwindow": "positions with padding beyond the window",
           "pad": "copies between the elements of an axis that may be empty"}
# The oracles compute these in float, whatever the type.
ALLOWED = {"shrink": 1e-6, "resize": 1e-6}
# The reference of onnx ignores directions and lengths; test_models.py has these layers in onnxruntime.
UNJUDGED = ("rnn", "gru", "lstm")


def parameters(path):
    """Names and types of the entry's parameters."""
    head = re.search(r"func @sample entry \((.*?)\) ->", open(path).read()).group(1)
    return [(name, dtype, [B if d.strip() == "B" else int(d) for d in dims.split(",") if d])
            for dtype, dims, name in re.findall(r"%\S+: (\w+)\[([^\]]*)\] \"(\w+)\"", head)]


def draw(rng, dtype, dims, lo, hi):
    if dtype == np.bool_:
        return rng.integers(0, 2, dims).astype(bool)
    if np.dtype(dtype).kind in "iu":
        return rng.integers(int(np.ceil(lo)), int(np.floor(hi)) + 1, dims).astype(dtype)
    return rng.uniform(lo, hi, dims).astype(dtype)


def one(tenon, folder, name, lo, hi, roles):
    path, rng = os.path.join(folder, name + ".tnir"), np.random.default_rng(5)
    if lo == 0 and hi == 0:
        lo, hi = -2, 2
    inputs, words, least = {}, [], 1
    for i, ((key, dtype, dims), role) in enumerate(zip(parameters(path), roles)):
        if dtype not in TYPES:
            return "type " + dtype
        if i == 0:
            least = min(dims) if dims else 1
        dtype = TYPES[dtype]
        unsigned = np.dtype(dtype).kind == "u"
        if role == "d":
            inputs[key] = draw(rng, dtype, dims, max(lo, 0) if unsigned else lo, hi)
        elif name.rsplit("_", 1)[0] in UNJUDGED:  # lengths; of 0 ONNX says nothing
            inputs[key] = draw(rng, dtype, dims, 1, inputs["x0"].shape[0])
        else:
            inputs[key] = draw(rng, dtype, dims, 0, max(0, least - 1))
        np.save(os.path.join(folder, key + ".npy"), check.storable(inputs[key]))
        words += ["--input", "%s=%s" % (key, os.path.join(folder, key + ".npy"))]
    results = re.search(r"-> \((.*?)\) \{", open(path).read()).group(1)
    if any(t not in TYPES for t in re.findall(r"(\w+)\[", results)):
        return "result of type " + results
    check.run(tenon, path, "--eval", "--output-dir", folder, *words)
    out = os.path.join(folder, "out.onnx")
    check.export(tenon, path, out)
    oracle, got = check.oracle_run(out, inputs)
    op = name.rsplit("_", 1)[0]
    if oracle == "onnx" and op in UNJUDGED:
        return "no oracle"
    for key, value in got.items():
        expected = check.read_like(os.path.join(folder, key + ".npy"), value)
        check.compare(value, expected, ALLOWED.get(op))
    return oracle


def main():
    build, wanted = sys.argv[1], sys.argv[2:]
    tenon = os.path.join(build, "bin", "tenon")
    counts, failed, skipped = {}, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        listed = subprocess.run([os.path.join(build, "tests", "op_samples"), folder], capture_output=True, text=True,
                                check=True).stdout
        for line in listed.splitlines():
            name, lo, hi, roles = (line + " ").split(" ")[:4]
            op = name.rsplit("_", 1)[0]
            if wanted and op not in wanted:
                continue
            try:
                how = one(tenon, folder, name, float(lo), float(hi), roles)
                counts[how] = counts.get(how, 0) + 1
                skipped += how not in ("onnx", "onnxruntime")
            except check.Refused as e:
                counts["refused"] = counts.get("refused", 0) + 1
                if op not in REFUSED:
                    failed += 1
                    print("FAILED: %s: %s" % (name, e))
            except AssertionError as e:
                failed += 1
                print("FAILED: %s: %s" % (name, e))
    print(", ".join("%s %d" % row for row in sorted(counts.items())))
    check.finish(sum(counts.values()) - skipped, failed, skipped)


main()
