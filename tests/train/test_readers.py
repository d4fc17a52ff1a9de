"""What training programs tell, read by the packages that others read it with: safetensors, tensorboard,
prometheus-client.
usage: test_readers.py BUILD_DIR"""
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
import zipfile

import numpy as np
import safetensors
import safetensors.numpy
from prometheus_client.parser import text_string_to_metric_families
from tensorboard.backend.event_processing import event_accumulator

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else \
    os.environ.get("TENON_BUILD", "build/release")
TOOL = os.path.join(BUILD, "tests", "train_records")


def run(*words):
    return subprocess.run([TOOL, *map(str, words)], check=True, capture_output=True, text=True, timeout=60)


class Readers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_safetensors(self):
        folder = os.path.join(self.folder, "ck")
        run("checkpoints", folder, 0, 3, 5000)
        path = os.path.join(folder, "step-00000003.safetensors")
        i = np.arange(5000)
        firsts = {"w": 3000, "optimizer.m.w": 103000}
        want = {name: (first + i % 1000).astype(np.float32) for name, first in firsts.items()}
        read = safetensors.numpy.load_file(path)
        self.assertEqual(set(read), set(want))
        for name, array in want.items():
            np.testing.assert_array_equal(read[name], array)
        with safetensors.safe_open(path, "numpy") as f:
            texts = f.metadata()
        self.assertEqual((texts["format"], texts["step"], texts["model"], texts["labels.y"], texts["value"]),
                         ("tenon", "3", "net", '["a","b"]', "3"))

    def test_exports(self):
        tensors, npz = (os.path.join(self.folder, name) for name in ("e.safetensors", "e.npz"))
        run("export", tensors, npz)
        want = {"net.w": np.array([[0, 1, 2], [3, 4, 5.5]], np.float32), "n": np.array(-7, np.int64),
                "net.\u00e4/h": np.array([[1, 0, 2], [0, 0, -2]], np.float16), "empty": np.zeros((0, 4))}
        with zipfile.ZipFile(npz) as z:
            self.assertIsNone(z.testzip())
        for read in (safetensors.numpy.load_file(tensors), dict(np.load(npz))):
            self.assertEqual(set(read), set(want))
            for name, array in want.items():
                np.testing.assert_array_equal(read[name], array)
                self.assertEqual((read[name].dtype, read[name].shape), (array.dtype, array.shape))
        with safetensors.safe_open(tensors, "numpy") as f:
            self.assertEqual(f.metadata()["labels.y"], '["a"]')
        self.assertEqual(sorted(os.listdir(self.folder)), ["e.npz", "e.safetensors"])

    def test_tensorboard(self):
        folder = os.path.join(self.folder, "tb")
        run("logs", 0, 40, 0, f"tensorboard={folder}")
        run("logs", 30, 30, 0, f"tensorboard={folder}", "appends")
        events = event_accumulator.EventAccumulator(folder)
        events.Reload()
        tags = {"step/loss", "step/norm", "step/loss_scale", "step/lr", "train/loss", "valid/loss", "valid/acc"}
        self.assertEqual(set(events.Tags()["scalars"]), tags)
        acc = events.Scalars("valid/acc")
        # Steps 35 and 40 of the first process were done again by the second: they stand once.
        self.assertEqual([e.step for e in acc], list(range(5, 61, 5)))
        for e in acc:
            self.assertAlmostEqual(e.value, 1 - 1 / e.step, 6)
        self.assertEqual([e.step for e in events.Scalars("train/loss")], [10, 20, 30, 40, 50, 60])

    def test_prometheus(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        p = subprocess.Popen([TOOL, "logs", "0", "100000", "1000", f"port={port}", "quiet"], stderr=subprocess.DEVNULL)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        families = {}
        for _ in range(1500):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    self.assertIn("text/plain", answer.headers["Content-Type"])
                    text = answer.read().decode()
            except OSError:
                text = ""
            families = {f.name: f for f in text_string_to_metric_families(text)}
            if families and families["tenon_train_step"].samples[0].value > 5:
                break
            time.sleep(0.02)
        step, loss = (families["tenon_train_" + name].samples[0].value for name in ("step", "loss"))
        self.assertAlmostEqual(loss, 1 / step, 6)
        measures = families["tenon_train_measure"]
        self.assertEqual(measures.type, "gauge")
        self.assertLessEqual({("valid", "loss"), ("valid", "acc"), ("test", "acc")},
                             {(s.labels["split"], s.labels["name"]) for s in measures.samples})
        self.assertTrue(all(f.documentation for f in families.values()))


if __name__ == "__main__":
    unittest.main()
