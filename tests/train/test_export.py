"""./model export --onnx, --safetensors, --npz of a training program: what onnxruntime makes of the ONNX file is what
the program itself predicts, the weights are those of the checkpoint. And ./model plot.
usage: test_export.py BUILD_DIR"""
import os
import random
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else \
    os.environ.get("TENON_BUILD", "build/release")
DATA = 'data points = csv("points.csv", target: "y", split: (train: 0.8, valid: 0.2), shuffle: 7)\n'
TRAIN = """train Net on points {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = adam(lr: 1e-2); batch = 16; epochs = 3; seed = 3
  every 1 epochs { eval(valid) }
}
"""
MODELS = {
    "mlp": "model Net(x: f32[B, 6]) -> f32[B, 2] = x |> standardize |> linear(16) |> gelu |> linear(2)\n",
    "norms": "model Net(x: f32[B, 6]) -> f32[B, 2] = x |> linear(8) |> layernorm |> batchnorm |> tanh |> linear(2)\n",
}


class Export(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        rng = random.Random(1)
        with open(os.path.join(self.folder, "points.csv"), "w") as f:
            f.write("a,b,c,d,e,f,y\n")
            for _ in range(200):
                row = [rng.gauss(0, 1) for _ in range(6)]
                f.write(",".join(map(str, row)) + f",{int(row[0] * row[1] + row[2] > 0)}\n")

    def run_in(self, *words, code=0):
        r = subprocess.run(list(map(str, words)), cwd=self.folder, capture_output=True, text=True, timeout=300)
        self.assertEqual(r.returncode, code, f"{words}\n{r.stdout}{r.stderr}")
        return r

    def build(self, model):
        with open(os.path.join(self.folder, "net.tn"), "w") as f:
            f.write(DATA + model + TRAIN)
        self.run_in(os.path.join(BUILD, "bin", "tenon"), "net.tn", "-o", "net")

    def test_models(self):
        x = np.random.default_rng(1).standard_normal((50, 6)).astype(np.float32)
        np.save(os.path.join(self.folder, "x.npy"), x)
        for name, model in MODELS.items():
            with self.subTest(name):
                self.build(model)
                self.run_in("./net", "train", "--quiet")
                self.run_in("./net", "export", "--onnx=net.onnx", "--safetensors=net.st", "--npz=net.npz")
                self.run_in("./net", "run", "--input", "x=x.npy", "--output", "y.npy")
                path = os.path.join(self.folder, "net.onnx")
                file = onnx.load(path)
                onnx.checker.check_model(file, full_check=True)
                self.assertEqual([i.name for i in file.graph.input], ["x"])
                y, = onnxruntime.InferenceSession(path).run(None, {"x": x})
                np.testing.assert_allclose(np.load(os.path.join(self.folder, "y.npy")), y, rtol=1e-4, atol=1e-5)
                weights = dict(np.load(os.path.join(self.folder, "net.npz")))
                stored = safetensors.numpy.load_file(os.path.join(self.folder, "net.st"))
                initializers = {i.name: onnx.numpy_helper.to_array(i) for i in file.graph.initializer}
                self.assertEqual(set(weights), set(stored))
                self.assertLessEqual(set(weights), set(initializers))
                for key, value in weights.items():
                    np.testing.assert_array_equal(stored[key], value)
                    np.testing.assert_array_equal(initializers[key], value)

    def test_plot(self):
        self.build(MODELS["mlp"])
        self.run_in("./net", "train", "--log-json=a.jsonl", "--log-csv=a.csv")
        drawn = self.run_in("./net", "plot", "a.jsonl").stdout
        self.assertIn("loss: ", drawn)
        self.assertIn("acc: ", drawn)
        self.assertEqual(self.run_in("./net", "plot", "a.csv").stdout, drawn)
        self.assertIn("plot needs a log", self.run_in("./net", "plot", code=1).stderr)


if __name__ == "__main__":
    unittest.main()
