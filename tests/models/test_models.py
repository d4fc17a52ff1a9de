"""Real models, compiled once each, against onnxruntime and the reference.

  test_models.py BUILD_DIR MODELS_DIR [NAME...]

With e(x) = max|x - r| / max|r| against the reference r in double precision, e(ours) is at most 4 e(onnxruntime) + 1e-6.
Each size of each model is a test, and so is that no inference after the first allocates.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

from lettering import as_input, line
from measure import judge, run, tally

# name: (input shapes, output to look at besides the graph's). One executable serves all shapes of a model.
MODELS = {
    "magika": ([(1, 2048), (3, 2048)], None),
    "cls": ([(1, 3, 48, 192), (3, 3, 48, 320), (1, 3, 96, 160), (1, 3, 736, 1280)], None),
    "rec": ([(1, 3, 48, 320), (3, 3, 48, 320), (1, 3, 48, 96)], None),  # its height is 48
    "det": ([(1, 3, 32, 64), (3, 3, 96, 160), (1, 3, 736, 1280)], None),
    "squeezenet": ([(1, 3, 224, 224)], None),
    "resnet50": ([(1, 3, 224, 224)], "r174"),  # what its softmax, all but one-hot, is of
    "shufflenet": ([(1, 3, 224, 224)], "r201"),
    "inception_v1": ([(1, 3, 224, 224)], "r143"),
    "inception_v2": ([(1, 3, 224, 224)], None),
    "densenet121": ([(1, 3, 224, 224)], None),
}
# Hundreds of megabytes each: only when named (fetch.py DIR all).
LARGE = {
    "alexnet": ([(1, 3, 224, 224)], None),
    "zfnet512": ([(1, 3, 224, 224)], None),
    "vgg19": ([(1, 3, 224, 224)], None),
}


def make_input(model, shape, seed):
    rng = np.random.default_rng(seed)
    port = next(i for i in model.graph.input if i.name not in {w.name for w in model.graph.initializer})
    if port.type.tensor_type.elem_type == onnx.TensorProto.INT32:
        return port.name, rng.integers(0, 257, shape).astype(np.int32)
    if port.name == "x":  # the three models of PP-OCR: a line of text, for on noise they answer next to nothing
        cell = max(1, min(shape[2] // 12, shape[3] // 46))
        texts = ["".join(rng.choice(list("ACEHKLMNRSTX2457"), 7)) for _ in range(shape[0])]
        return port.name, np.concatenate([as_input(line(text, *shape[2:], cell)) for text in texts])
    return port.name, rng.standard_normal(shape).astype(np.float32)


class Model:
    def __init__(self, build, models, work, name, extra):
        self.tenon = os.path.join(build, "bin", "tenon")
        self.path, self.exe, self.work = os.path.join(models, name + ".onnx"), os.path.join(work, name), work
        self.model = onnx.load(self.path)
        self.outputs = [o.name for o in self.model.graph.output] + ([extra] if extra else [])
        self.options = ["--outputs=" + ",".join(self.outputs)] if extra else []
        if extra:
            self.model.graph.output.append(onnx.helper.make_tensor_value_info(extra, onnx.TensorProto.FLOAT, None))
        subprocess.run([self.tenon, self.path, "-o", self.exe, "--verify-each", *self.options], check=True)
        self.session = onnxruntime.InferenceSession(self.model.SerializeToString(), providers=["CPUExecutionProvider"])

    def check(self, shape, seed, march=None):
        """None, or what is wrong. march: the program is compiled anew for this processor."""
        name, x = make_input(self.model, shape, seed)
        exe = self.exe
        if march:
            exe += "." + march
            subprocess.run([self.tenon, self.path, "-march=" + march, "-o", exe, *self.options], check=True)
        ours = run([exe, "run"], {name: x}, self.outputs, self.work, "ours")
        theirs = self.session.run(self.outputs, {name: x})
        command = [self.tenon, self.path, "--eval", "--eval-mode", "wide", *self.options]
        reference = run(command, {name: x}, self.outputs, self.work, "reference")
        for output, a, b, r in zip(self.outputs, ours, theirs, reference):
            wrong, text = judge(output, a, b, r)
            print(f"   {text}")
            if wrong:
                return wrong
        return None

    def allocations(self, build, shape, n):
        """Calls of the allocator in a bench of n runs."""
        name, x = make_input(self.model, shape, 0)
        np.save(os.path.join(self.work, "x.npy"), x)
        env = dict(os.environ, LD_PRELOAD=os.path.join(build, "tests", "preload_malloc.so"),
                   MALLOC_COUNT_FILE=os.path.join(self.work, "count"))
        subprocess.run([self.exe, "bench", "-n", str(n), "--json", "--input", f"{name}={self.work}/x.npy"], check=True,
                       env=env, stdout=subprocess.DEVNULL)
        with open(os.path.join(self.work, "count"), encoding="ascii") as f:
            return json.load(f)


def main(build, models, only):
    passed, failed = 0, 0
    for name, (shapes, extra) in (MODELS | LARGE).items():
        if name not in (only or MODELS):
            continue
        with tempfile.TemporaryDirectory() as work:
            print(name)
            try:
                model = Model(build, models, work, name, extra)
                found = [model.check(shape, seed) for seed, shape in enumerate(shapes)]
                print("   with AVX2:")
                found.append(model.check(shapes[0], 0, "haswell"))
                few, more = (model.allocations(build, shapes[0], n) for n in (1, 4))
                print(f"   {(more - few) // 3} allocations an inference after the first")
                found.append(f"{more - few} allocations in three inferences" if more != few else None)
            except subprocess.CalledProcessError as e:
                found = [f"{' '.join(e.cmd[:6])} ... ended with status {e.returncode}"]
        right, wrong = tally(name, found)
        passed, failed = passed + right, failed + wrong
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:]))
