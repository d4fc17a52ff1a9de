"""What the tests of --emit=onnx share: an exported model is checked by onnx.checker and run by onnxruntime, or by the
reference of the onnx package where onnxruntime lacks an operator for a type, and its results are held against ours."""
import os
import subprocess

import ml_dtypes
import numpy as np
import onnx
import onnx.reference
import onnxruntime

ALLOWED = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-12}


# Types that onnxruntime exchanges with NumPy.
PLAIN = {"float16", "float32", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
         "uint64"}
# What onnxruntime says of what the standard has and it has not.
LACKS = ("NOT_IMPLEMENTED", "Could not find an implementation", "not support", "only supports", "is supported",
         "Opset 2")


class Refused(Exception):
    """tenon says that the graph has no form in ONNX."""


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if "TN0313" in done.stderr:
        raise Refused(done.stderr.strip())
    if done.returncode != 0:
        raise AssertionError("%s: exit %d: %s" % (" ".join(words), done.returncode, done.stderr.strip()[-600:]))
    return done.stdout


def export(tenon, model, out, *options):
    run(tenon, model, "--emit=onnx", "-o", out, *options)
    onnx.checker.check_model(out, full_check=False)


def ort_run(path, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def reference_run(path, inputs):
    model = onnx.load(path)
    names = [o.name for o in model.graph.output]
    return dict(zip(names, onnx.reference.ReferenceEvaluator(model).run(names, inputs)))


def oracle_run(path, inputs):
    """Which oracle ran, and its outputs by name."""
    types = [v.type.tensor_type.elem_type for g in [onnx.load(path, load_external_data=False).graph]
             for v in list(g.input) + list(g.output)]
    short = any(str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(t))) not in PLAIN for t in types)
    if not short and all(a.size for a in inputs.values()):
        try:
            return "onnxruntime", ort_run(path, inputs)
        except Exception as e:  # onnxruntime has one class for each of its codes, without a common base
            said = str(e)
            if not any(s in said for s in LACKS):
                raise AssertionError("onnxruntime: " + said[:500]) from e
    is_empty = any(a.size == 0 for a in inputs.values())
    try:
        return "onnx", reference_run(path, inputs)
    except TypeError:  # it has no arithmetic of its own for the short floats
        return "no oracle", {}
    except Exception as e:
        if is_empty:  # nor for empty arrays, sometimes
            return "no oracle", {}
        raise AssertionError("the reference of onnx: %s: %s" % (type(e).__name__, str(e)[:500])) from e


def compare(got, expected, allowed=None):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype, "type %s, expected %s" % (got.dtype, expected.dtype)
    assert got.shape == expected.shape, "shape %s, expected %s" % (got.shape, expected.shape)
    kind = str(got.dtype)
    if got.size == 0:
        return
    if got.dtype.kind not in "f" and kind not in ALLOWED:
        wrong = (got.astype(np.int64) != expected.astype(np.int64)) if got.dtype.kind in "iub" else got != expected
        assert not wrong.any(), "%d of %d elements differ" % (wrong.sum(), got.size)
        return
    a, b = got.astype(np.float64), expected.astype(np.float64)
    bound = allowed or ALLOWED[kind]
    finite = np.isfinite(b)
    assert (np.isnan(a) == np.isnan(b)).all() and (a[np.isinf(b)] == b[np.isinf(b)]).all(), "NaN or infinity elsewhere"
    if finite.any():
        error = np.abs(a[finite] - b[finite]).max() / max(1, np.abs(b[finite]).max())
        assert error <= bound, "off by %g of the largest" % error


def storable(array):
    """As .npy files carry it (README: bfloat16 as its bits)."""
    return array.view(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array


def read_like(path, like):
    array = np.load(path)
    return array.view(like.dtype) if like.dtype.itemsize == array.dtype.itemsize and like.dtype.kind not in "fiub" \
        else array


def finish(passed, failed, skipped):
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    raise SystemExit(failed > 0)
