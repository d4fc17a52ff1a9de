#!/usr/bin/env python3
"""Dump the installed onnx package's backend test suite as plain folders.

onnx >= 1.21 or so no longer ships data/node on disk (node cases are made in memory), so this writes
OUT/{node,simple,pytorch-operator,pytorch-converted,light}/NAME/model.onnx + test_data_set_*/{input,output}_*.pb
and data.json ({"rtol":..,"atol":..}) for each case.   usage: gen_suite.py OUT
"""

import json
import os
import shutil
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
from onnx import numpy_helper, TensorProto
import onnx.backend.test as obt
from onnx.backend.test.loader import load_model_tests, DATA_DIR
from onnx.backend.test.runner import Runner


def ser(v, vi):
    t = vi.type
    if isinstance(v, TensorProto):
        return v.SerializeToString()
    if t.HasField("map_type"):
        return numpy_helper.from_dict(v, vi.name).SerializeToString()
    if t.HasField("sequence_type"):
        return numpy_helper.from_list(v, vi.name).SerializeToString()
    if t.HasField("optional_type"):
        return numpy_helper.from_optional(v, vi.name).SerializeToString()
    return numpy_helper.from_array(np.asarray(v), vi.name).SerializeToString()


def main(out):
    errs, n = [], {}
    for c in load_model_tests(kind="node"):
        d = os.path.join(out, "node", c.name)
        shutil.rmtree(d, ignore_errors=True)
        os.makedirs(d)
        open(os.path.join(d, "model.onnx"), "wb").write(c.model.SerializeToString())
        json.dump({"rtol": c.rtol, "atol": c.atol}, open(os.path.join(d, "data.json"), "w"))
        for i, (ins, outs) in enumerate(c.data_sets):
            dd = os.path.join(d, f"test_data_set_{i}")
            os.makedirs(dd)
            for tag, vals, vis in (("input", ins, c.model.graph.input), ("output", outs, c.model.graph.output)):
                if len(vals) != len(vis):
                    errs.append((c.name, f"{tag}: {len(vals)} values, {len(vis)} declared"))
                for j, (v, vi) in enumerate(zip(vals, vis)):
                    try:
                        b = ser(v, vi)
                    except Exception as e:
                        errs.append((c.name, f"{tag}_{j}: {type(e).__name__} {e}"))
                        continue
                    open(os.path.join(dd, f"{tag}_{j}.pb"), "wb").write(b)
        n["node"] = n.get("node", 0) + 1
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for c in load_model_tests(kind=kind):
            d = os.path.join(out, kind, c.name)
            shutil.rmtree(d, ignore_errors=True)
            shutil.copytree(c.model_dir, d)
            json.dump({"rtol": c.rtol, "atol": c.atol}, open(os.path.join(d, "data.json"), "w"))
            n[kind] = n.get(kind, 0) + 1
    for c in load_model_tests(kind="real"):
        src = os.path.join(DATA_DIR, "light", os.path.basename(c.url))
        d = os.path.join(out, "light", c.name)
        shutil.rmtree(d, ignore_errors=True)
        dd = os.path.join(d, "test_data_set_0")
        os.makedirs(dd)
        shutil.copy(src, os.path.join(d, "model.onnx"))
        m = onnx.load(src)
        json.dump({"rtol": c.rtol, "atol": c.atol}, open(os.path.join(d, "data.json"), "w"))
        inits = {i.name for i in m.graph.initializer}
        k = 0
        for x in m.graph.input:
            if x.name in inits:
                continue
            v = Runner.generate_dummy_data(x, seed=0, name=c.model_name, random=False)
            open(os.path.join(dd, f"input_{k}.pb"), "wb").write(
                numpy_helper.from_array(v, x.name).SerializeToString()
            )
            k += 1
        for i in range(len(m.graph.output)):
            shutil.copy(f"{os.path.splitext(src)[0]}_output_{i}.pb", os.path.join(dd, f"output_{i}.pb"))
        n["light"] = n.get("light", 0) + 1
    print(n)
    [print("ERR", *e) for e in errs]
    json.dump(
        {"onnx": onnx.__version__, "counts": n, "errors": errs},
        open(os.path.join(out, "MANIFEST.json"), "w"),
        indent=1,
    )


main(sys.argv[1])
