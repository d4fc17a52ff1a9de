"""A training program that is killed at random moments and resumed each time ends with the very weights of one that was
not; so does one that is asked to stop by signals. Whatever happens to it, its newest checkpoint is whole.
usage: test_kills.py BUILD_DIR
TENON_KILLS: how many times it is killed (20)."""
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else \
    os.environ.get("TENON_BUILD", "build/release")
SOURCE = """data points = csv("points.csv", target: "y", split: (train: 0.8, valid: 0.2), shuffle: 7)
model Net(x: f32[B, 3]) -> f32[B, 2] = x |> standardize |> linear(64) |> relu |> linear(2)
train Net on points {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = adam(lr: cosine(1e-2, warmup: 20)); batch = 16; epochs = %d; seed = 3
  every 1 epochs { eval(valid) }
  every 7 steps { checkpoint(keep: 2, best: valid.acc%s) }
}
"""


def tensors(path):
    """Name -> bytes."""
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(n))
        data = f.read()
    return {k: data[v["data_offsets"][0]:v["data_offsets"][1]] for k, v in header.items() if k != "__metadata__"}


class Kills(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        rng = random.Random(1)
        with open(self.path("points.csv"), "w") as f:
            f.write("a,b,c,y\n")
            for _ in range(300):
                a, b, c = (rng.gauss(0, 1) for _ in range(3))
                f.write(f"{a},{b},{c},{int(a * b + c > 0)}\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def build(self, epochs, extra=""):
        with open(self.path("net.tn"), "w") as f:
            f.write(SOURCE % (epochs, extra))
        subprocess.run([os.path.join(BUILD, "bin", "tenon"), "net.tn", "-o", "net"], cwd=self.folder, check=True)

    def train(self, *words, **kw):
        return subprocess.run(["./net", "train", *words], cwd=self.folder, capture_output=True, text=True, timeout=300,
                              **kw)

    def newest(self, folder):
        with open(self.path(os.path.join(folder, "LATEST"))) as f:
            return self.path(os.path.join(folder, f.read().strip()))

    def whole(self):
        r = self.train("--checkpoint-dir=whole")
        self.assertEqual(r.returncode, 0, r.stderr)
        return tensors(self.newest("whole"))

    def latest(self):
        try:
            with open(self.path("ck/LATEST")) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait_for_checkpoint(self, process):
        before = self.latest()
        while self.latest() == before and process.poll() is None:
            time.sleep(0.0005)

    def interrupt(self, numbers, epochs, extra):
        """Runs it to its end, with so many interruptions before."""
        self.build(epochs, extra)
        start = time.monotonic()
        want = self.whole()
        span = time.monotonic() - start
        each = span * 7 / (15 * epochs)  # seconds from a checkpoint to the next
        rng, struck = random.Random(5), 0
        for number in numbers:
            words = ["./net", "train", "--checkpoint-dir=ck", "--quiet", *(["--resume"] if struck else [])]
            p = subprocess.Popen(words, cwd=self.folder, stderr=subprocess.PIPE, text=True)
            if rng.random() < 0.8:
                self.wait_for_checkpoint(p)
                time.sleep(rng.random() * 2 * each)
            else:
                time.sleep(rng.random() * 0.05)
            p.send_signal(number)
            told = p.stderr.read()
            p.wait()
            p.stderr.close()
            if p.returncode == 0:
                break
            # A signal that comes before the program heeds it ends it as it would any other.
            self.assertIn(p.returncode, (-number, 75) if number != signal.SIGKILL else (-number,), told)
            self.assertNotIn("damaged", told)
            if os.path.exists(self.path("ck/LATEST")):
                struck += 1
                tensors(self.newest("ck"))
        self.assertGreater(struck, len(numbers) // 2, "the signals came too late to mean anything")
        r = self.train("--checkpoint-dir=ck", "--resume")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(tensors(self.newest("ck")), want)
        return struck

    def test_kills(self):
        kills = int(os.environ.get("TENON_KILLS", "20"))
        print(self.interrupt([signal.SIGKILL] * kills, 4 * kills, ""), "kills")

    def test_kills_of_a_thread_that_writes(self):
        kills = int(os.environ.get("TENON_KILLS", "20"))
        print(self.interrupt([signal.SIGKILL] * kills, 4 * kills, ", async: true"), "kills")

    def test_requests_to_stop(self):
        self.interrupt([signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGUSR2] * 2, 100, "")

    def test_weights_that_cannot_be_saved_are_no_success(self):
        env = dict(os.environ, TENON_FAULT="write:1:28", LD_PRELOAD=os.path.join(BUILD, "tests", "preload_fault.so"))
        for extra in ("", ", async: true"):
            self.build(1, extra)
            for words in ["--steps=3"], ["--steps=9", "--stop-at=3"]:
                r = self.train("--checkpoint-dir=ck", *words, env=env)
                self.assertEqual(r.returncode, 71, r.stderr)
                self.assertIn("No space left on device", r.stderr)
                self.assertEqual(self.train("--checkpoint-dir=ck", "--steps=3").returncode, 0)

    def test_nothing_is_allocated_after_the_start(self):
        self.build(1000)
        counts = []
        for steps in (30, 300):
            env = dict(os.environ, MALLOC_COUNT_FILE=self.path("count"),
                       LD_PRELOAD=os.path.join(BUILD, "tests", "preload_malloc.so"))
            r = self.train(f"--steps={steps}", f"--checkpoint-dir=ck{steps}", f"--log-json=a{steps}",
                           f"--log-csv=b{steps}", f"--tensorboard=tb{steps}", "--plot", env=env)
            self.assertEqual(r.returncode, 0, r.stderr)
            with open(self.path("count")) as f:
                counts.append(int(f.read()))
        self.assertGreater(counts[0], 20)
        self.assertEqual(counts[0], counts[1])


if __name__ == "__main__":
    unittest.main()
