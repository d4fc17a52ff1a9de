"""What the scripts of this folder share: a model compiled once, run on several inputs, compared with onnxruntime."""
import argparse, os, subprocess, tempfile

import numpy as np
import onnx


def run(exe, feed, folder, number):
    args, out = [exe, "run"], os.path.join(folder, f"out{number}")
    for i, (name, value) in enumerate(feed.items()):
        path = os.path.join(folder, f"{number}.{i}.npy")
        np.save(path, value)
        args += ["--input", f"{name}={path}"]
    done = subprocess.run(args + ["--output-dir", out], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return out, None


def different(want, got):
    if want.shape != got.shape or want.dtype != got.dtype:
        return f"{got.dtype}{got.shape}, expected {want.dtype}{want.shape}"
    if want.size == 0 or np.allclose(want, got, rtol=1e-3, atol=1e-5):
        return None
    return f"off by {np.abs(want.astype(np.float64) - got.astype(np.float64)).max():.3g}"


def check(tenon, model, feeds, options=()):
    """None when all is equal, else what is not."""
    import onnxruntime
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options,
                                           providers=["CPUExecutionProvider"])
    with tempfile.TemporaryDirectory() as folder:
        path, exe = os.path.join(folder, "m.onnx"), os.path.join(folder, "m")
        onnx.save(model, path)
        done = subprocess.run([tenon, path, "-o", exe, "--verify-each", "--check-each", *options],
                              capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            return "compile: " + done.stderr.strip()[:600]
        for number, feed in enumerate(feeds):
            wanted = session.run(None, feed)
            out, message = run(exe, feed, folder, number)
            if out is None:
                return "run: " + message
            for port, want in zip(session.get_outputs(), wanted):
                problem = different(np.asarray(want), np.load(os.path.join(out, port.name + ".npy")))
                if problem:
                    return f"output '{port.name}', inputs {number}: {problem}"
    return None


def main(doc, cases):
    """cases: name -> a function of tenon's path and a seeded generator that gives None, or what is wrong."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("tenon")
    parser.add_argument("-k", default="")
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    passed = failed = 0
    for name, case in cases.items():
        if options.k not in name:
            continue
        problem = case(options.tenon, np.random.default_rng(7))
        if problem or options.v:
            print(f"{name}: {problem or 'equal'}")
        passed += not problem
        failed += bool(problem)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0
