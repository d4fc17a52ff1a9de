"""Networks of all kinds, one compile each for all sizes, against onnxruntime and the reference.

  test_nets.py BUILD_DIR MODELS_DIR [NAME...] [-j JOBS] [--published] [--keep DIR]

Those of nets/ (narrow ones; --published: in their published sizes, which takes an hour, most of it the
reference's), the graphs of graphs/, and those of found.py from MODELS_DIR. The rule of accuracy is that of
test_models.py. Each set of inputs is a test. The processor time of each compile is told; --keep leaves the models and
the programs made of them in DIR.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import onnx
import onnxruntime

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, "nets"), os.path.join(HERE, "graphs")]
from catalog import NETS
from found import FOUND
from graphs import GRAPHS, load
from measure import judge, run, tally


def catalogue(models, published):
    """name: (a function that gives the model, its inputs)."""
    cases = {name: case[1 if published else 0] for name, case in NETS.items()}
    if published:
        return cases
    cases |= {name: (partial(load, name), feeds) for name, feeds in GRAPHS.items()}
    return cases | {name: (partial(onnx.load, os.path.join(models, name + ".onnx")), feeds)
                    for name, feeds in FOUND.items()}


def compile_model(tenon, path, exe):
    """The compile's processor time in seconds."""
    pid = os.posix_spawn(tenon, [tenon, path, "-o", exe], os.environ)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), [tenon, path])
    return usage.ru_utime + usage.ru_stime


def check(tenon, name, case, folder):
    """(lines to print, a list with None or what is wrong for each set of inputs)."""
    build, feeds = case
    path, exe = os.path.join(folder, name + ".onnx"), os.path.join(folder, name)
    onnx.save(build(), path)
    lines = [f"{name} ({os.path.getsize(path) / 1e6:.1f} MB):"]
    try:
        lines[0] += f" compiled in {compile_model(tenon, path, exe):.1f} s"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        outputs, found = [o.name for o in session.get_outputs()], []
        for seed, make in enumerate(feeds):
            feed = make(np.random.default_rng(seed))
            work = os.path.join(folder, f"{name}.{seed}")
            os.makedirs(work, exist_ok=True)
            ours = run([exe, "run"], feed, outputs, work, "ours")
            theirs = session.run(outputs, feed)
            reference = run([tenon, path, "--eval", "--eval-mode", "wide"], feed, outputs, work, "reference")
            judged = [judge(*one) for one in zip(outputs, ours, theirs, reference)]
            lines += ["   " + line for _, line in judged]
            found.append(next((wrong for wrong, _ in judged if wrong), None))
        return lines, found
    except subprocess.CalledProcessError as e:
        return lines, [f"{' '.join(e.cmd[:4])} ... ended with status {e.returncode}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("models")
    parser.add_argument("names", nargs="*")
    parser.add_argument("-j", type=int, default=1)
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--keep")
    a = parser.parse_intermixed_args()
    cases = catalogue(a.models, a.published)
    passed, failed = 0, 0
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(a.j) as pool:
        folder = a.keep or scratch
        os.makedirs(folder, exist_ok=True)
        tenon = os.path.join(os.path.abspath(a.build), "bin", "tenon")
        names = a.names or list(cases)
        for name, (lines, found) in zip(names, pool.map(lambda n: check(tenon, n, cases[n], folder), names)):
            print("\n".join(lines), flush=True)
            right, wrong = tally(name, found)
            passed, failed = passed + right, failed + wrong
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
