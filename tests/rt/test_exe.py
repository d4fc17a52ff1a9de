"""The runtime's executable, end to end, with the model written by hand in toy.c.   usage: test_exe.py BUILD_DIR

The model: inputs x f32 [B,N] and pick i64 [B]; outputs "scaled/x" = 2x + 1, picked[b] = x[b, pick[b]], n = B N.
"""
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

import numpy as np

BUILD = sys.argv.pop(1)
EXE = os.path.join(BUILD, "tests", "rt_toy")
X = np.arange(6, dtype=np.float32).reshape(2, 3) / 4
PICK = np.array([2, 0], dtype=np.int64)


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Exe(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        self.save("x.npy", X)
        self.save("pick.npy", PICK)

    def path(self, name):
        return os.path.join(self.dir, name)

    def save(self, name, array):
        np.save(self.path(name), array)
        return self.path(name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def exe(self, *args, code=0, stdin=None, env=None):
        p = subprocess.run([EXE, *args], input=stdin, capture_output=True, env=env)
        self.assertEqual(p.returncode, code, p.stderr.decode())
        return p.stdout, p.stderr.decode()

    def run_toy(self, x=None, pick=None, **kw):
        out = self.path("out")
        self.exe("run", "--input", "x=" + (x or self.path("x.npy")), "--input",
                 "pick=" + (pick or self.path("pick.npy")), "--output-dir", out, **kw)
        return np.load(os.path.join(out, "scaled%2Fx.npy")), np.load(os.path.join(out, "picked.npy")), \
            np.load(os.path.join(out, "n.npy"))

    def check(self, **kw):
        scaled, picked, n = self.run_toy(**kw)
        np.testing.assert_array_equal(scaled, 2 * X + 1)
        np.testing.assert_array_equal(picked, X[np.arange(2), PICK])
        self.assertEqual((scaled.dtype, picked.dtype, n.dtype, n.shape, int(n)),
                         (np.float32, np.float32, np.int64, (), 6))

    def refused(self, text, *args, code=1):
        self.assertIn(text, self.exe(*args, code=code)[1])

    def test_npy(self):
        self.check()
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["n.npy", "picked.npy", "scaled%2Fx.npy"])

    def test_npy_variants(self):
        for version in (1, 0), (2, 0), (3, 0):
            with open(self.path("v.npy"), "wb") as f:
                np.lib.format.write_array(f, X, version=version)
            self.check(x=self.path("v.npy"))
        self.check(x=self.save("f.npy", np.asfortranarray(X)))
        self.check(x=self.save("b.npy", X.astype(">f4")), pick=self.save("p.npy", PICK.astype(">i8")))
        self.check(x=self.save("bf.npy", np.asfortranarray(X.astype(">f4"))))

    def test_npz(self):
        np.savez(self.path("a.npz"), other=X + 1, x=X, pick=PICK)
        np.savez_compressed(self.path("c.npz"), other=X + 1, x=X, pick=PICK)
        for name in "a.npz", "c.npz":
            self.check(x=self.path(name), pick=self.path(name))
        np.savez_compressed(self.path("one.npz"), whatever=X)
        self.check(x=self.path("one.npz"))
        np.savez(self.path("two.npz"), a=X, b=X)
        self.refused("none of its 2 arrays is called 'x'", "run", "--input", "x=" + self.path("two.npz"), "--input",
                     "pick=" + self.path("pick.npy"))

    def test_npz_large_members(self):
        x = np.random.default_rng(1).standard_normal((64, 5000)).astype(np.float32)
        pick = np.arange(64)
        np.savez_compressed(self.path("l.npz"), x=x, pick=pick)
        scaled, picked, n = self.run_toy(x=self.path("l.npz"), pick=self.path("l.npz"))
        np.testing.assert_array_equal(scaled, 2 * x + 1)
        np.testing.assert_array_equal(picked, x[pick, pick])

    def test_npz_bomb(self):
        with zipfile.ZipFile(self.path("bomb.npz"), "w", zipfile.ZIP_DEFLATED) as z:
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (1, 1 << 26)})
            with z.open("x.npy", "w") as f:
                f.write(head.getvalue())
                for _ in range(256):
                    f.write(bytes(1 << 20))
        self.refused("more than the", "run", "--input", "x=" + self.path("bomb.npz"), "--input",
                     "pick=" + self.path("pick.npy"))

    def test_npz_damaged(self):
        np.savez_compressed(self.path("d.npz"), x=X)
        data = read(self.path("d.npz"))
        for i in range(0, len(data), 3):
            changed = bytearray(data)
            changed[i] ^= 0x55
            for blob in bytes(changed), data[:i]:
                p = subprocess.run([EXE, "run", "--input", "x=" + self.write("e.npz", blob), "--input",
                                    "pick=" + self.path("pick.npy")], capture_output=True)
                self.assertIn(p.returncode, (0, 1), (i, p.stderr))

    def test_raw(self):
        raw, args = self.write("x.bin", X.tobytes()), ["--input", "pick=" + self.path("pick.npy")]
        self.assertIn(b"scaled/x: f32 [2,3]: 1 1.5 2", self.exe("run", "--input", "x=" + raw, "--dim", "B=2", *args)[0])
        self.refused("a raw file does not tell all sizes of [B,N]; give --dim", "run", "--input", "x=" + raw, *args)
        self.refused("does not fit a raw file of 24 bytes", "run", "--input", "x=" + raw, "--dim", "B=5", *args)

    def test_names_and_positions(self):
        self.check_args("--input", "0=" + self.path("x.npy"), "--input=1=" + self.path("pick.npy"))
        self.check_args("--input", "1=" + self.path("pick.npy"), "--input", "x=" + self.path("x.npy"))

    def check_args(self, *args):
        self.assertIn(b"n: i64 []: 6", self.exe("run", *args)[0])

    def test_streams(self):
        stdin = read(self.path("x.npy"))
        out, _ = self.exe("run", "--input", "x=-", "--input", "pick=" + self.path("pick.npy"), "--output-dir", "-",
                          stdin=stdin)
        f = io.BytesIO(out)
        np.testing.assert_array_equal(np.load(f), 2 * X + 1)
        np.load(f)
        self.assertEqual(np.load(f), 6)

    def test_wrong_inputs(self):
        x, pick = "x=" + self.path("x.npy"), "pick=" + self.path("pick.npy")
        self.refused("missing inputs 'x', 'pick'", "run")
        self.refused("missing input 'pick'", "run", "--input", x)
        self.refused("the model has no input 'y'", "run", "--input", "y=" + self.path("x.npy"))
        self.refused("the model has no input '2'", "run", "--input", "2=" + self.path("x.npy"))
        self.refused("input 'x' is given twice", "run", "--input", x, "--input", x)
        self.refused("cannot open", "run", "--input", "x=/nowhere", "--input", pick)
        self.refused("expected f32, found f64", "run", "--input", "x=" + self.save("d.npy", X.astype("f8")), "--input",
                     pick)
        self.refused("expected [B,N], found [6]", "run", "--input", "x=" + self.save("r.npy", X.ravel()), "--input",
                     pick)
        self.refused("axis 0: expected B = 2, found 3", "run", "--input", x, "--input",
                     "pick=" + self.save("p3.npy", np.zeros(3, np.int64)))
        self.refused("expected at most 64, found 65", "run", "--input",
                     "x=" + self.save("big.npy", np.zeros((65, 2), np.float32)), "--input", pick)
        self.refused("node 1 'gather': an index points outside", "run", "--input", x, "--input",
                     "pick=" + self.save("bad.npy", np.array([0, 3])))

    def test_wrong_options(self):
        self.refused("'walk' is none of run, bench, info, profile", "walk")
        self.refused("unknown option '--speed'", "bench", "--speed")
        self.refused("'-n' has no meaning for 'run'", "run", "-n", "3")
        self.refused("'--input' needs a value", "run", "--input")
        self.refused("--threads: expected a whole number from 1 to 1024, found '0'", "bench", "--threads", "0")
        self.refused("--rtol: expected a number of at least 0, found 'x'", "run", "--rtol", "x")
        self.refused("--atol: expected a number of at least 0, found '-1'", "run", "--atol", "-1")
        self.refused("the model has no symbol 'C'", "info", "--dim", "C=1")
        self.refused("--dim B: expected 1 to 64, found '65'", "info", "--dim", "B=65")

    def test_expect(self):
        self.run_toy()
        args = ["run", "--input", "x=" + self.path("x.npy"), "--input", "pick=" + self.path("pick.npy"), "--expect",
                self.path("out")]
        self.assertEqual(self.exe(*args)[0].count(b"equal"), 3)
        changed = 2 * X + 1
        changed[1, 2] += 0.5
        self.save("out/scaled%2Fx.npy", changed)
        self.refused("element 5: expected 4, found 3.5", *args)
        self.exe(*args, "--atol", "0.6")
        self.exe(*args, "--rtol", "0.2")
        self.save("out/scaled%2Fx.npy", changed[:1])
        self.refused("output 'scaled/x': expected [1,3], found [2,3]", *args)

    def test_output_failures(self):
        args = ["run", "--input", "x=" + self.path("x.npy"), "--input", "pick=" + self.path("pick.npy"), "--output-dir"]
        self.refused("cannot make", *args, "/proc/none", code=71)
        os.makedirs(self.path("out/scaled%2Fx.npy/in-the-way"))
        self.refused("cannot write", *args, self.path("out"), code=71)
        self.assertEqual(os.listdir(self.path("out")), ["scaled%2Fx.npy"])
        with open("/dev/full", "w") as full:
            self.assertEqual(subprocess.run([EXE, "--help"], stdout=full, stderr=subprocess.DEVNULL).returncode, 1)

    def test_help_and_info(self):
        text = self.exe("--help")[0].decode()
        for part in "x: f32 [B,N]", "pick: i64 [B]", "scaled/x: f32 [B,N]", "B: at least 1, at most 64", "--output-dir":
            self.assertIn(part, text)
        info = json.loads(self.exe("info", "--json", "--dim", "B=4", "--dim", "N=100")[0])
        self.assertEqual(info["arena_bytes"], 1600)
        self.assertEqual(info["inputs"][0], {"name": "x", "dtype": "f32", "shape": "[B,N]"})
        self.assertEqual(info["symbols"][1], {"name": "N", "lo": 0, "hi": None})
        self.assertIn(b"symbol  B: at least 1, at most 64", self.exe("info")[0])

    def test_bench(self):
        for threads in "1", "2":
            r = json.loads(self.exe("bench", "-n", "20", "--json", "--dim", "B=4", "--dim", "N=50", "--threads",
                                    threads)[0])
            self.assertEqual((r["iterations"], r["dims"], r["threads"]), (20, {"B": 4, "N": 50}, int(threads)))
            self.assertTrue(0 < r["min_ns"] <= r["p10_ns"] <= r["median_ns"] <= r["p90_ns"])
            self.assertGreater(r["cpu_median_ns"], 0)
        self.assertIn(b"median", self.exe("bench", "-n", "5", "--input", "x=" + self.path("x.npy"))[0])

    def test_profile(self):
        table = self.exe("profile", "--trace=" + self.path("t.json"), "--dim", "N=4")[0].decode().splitlines()
        self.assertRegex(table[0], r"^toy: [\d.]+ us in 3 steps, 1 thread$")
        self.assertRegex(table[1], r"^at best [\d.]+ GFLOP/s \(f32\), [\d.]+ GB/s in caches \(\d+ bytes\), "
                                   r"[\d.]+ GB/s in memory$")
        self.assertRegex(table[3], r"^ +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+  toy.onnx: node 0 'scale' \(scale\)$")
        self.assertRegex(table[4], r" - +- +-  loop$")
        self.assertRegex(table[5], r" - +- +-    toy.onnx: node 1 'gather' \(pick\)$")
        events = json.loads(read(self.path("t.json")))["traceEvents"]
        self.assertEqual([e["args"]["kernel"] for e in events], ["scale", "loop", "pick"])
        scale, loop, pick = events
        self.assertEqual([scale["args"][k] for k in ("flops", "bytes")], [2 * 4, 8 * 4 + 8])
        self.assertGreater(scale["args"]["roofline_percent"], 0)
        self.assertNotIn("flops", pick["args"])
        self.assertLessEqual(loop["ts"], pick["ts"])
        self.assertLessEqual(pick["ts"] + pick["dur"], loop["ts"] + loop["dur"] + 0.002)
        self.assertLessEqual(scale["ts"] + scale["dur"], loop["ts"] + 0.002)
        alone = self.exe("profile", "--trace=-", "--dim", "N=4")[0]
        self.assertEqual(len(json.loads(alone)["traceEvents"]), 3)

    def test_nothing_allocated_per_run(self):
        def count(n):
            env = dict(os.environ, LD_PRELOAD=os.path.join(BUILD, "tests", "preload_malloc.so"),
                       MALLOC_COUNT_FILE=self.path("count"))
            self.exe("bench", "-n", str(n), "--json", "--threads", "2", "--dim", "N=64", env=env)
            return int(read(self.path("count")))
        if b"-fsanitize" in read(os.path.join(BUILD, "build.ninja")):
            self.skipTest("the sanitizers replace the allocator")
        self.assertGreater(count(200), 0)
        self.assertEqual(count(200), count(2000))

    def test_needs_only_libc(self):
        undefined = subprocess.run(["readelf", "-d", EXE], capture_output=True, text=True).stdout
        needed = {line.split("[")[1].rstrip("]") for line in undefined.splitlines() if "NEEDED" in line}
        if any("san" in n for n in needed):
            self.skipTest("instrumented")
        self.assertLessEqual(needed, {"libc.so.6", "libm.so.6"})

    def test_runtime_is_small(self):
        """What all of the runtime would bring into a program: code and data, not the archive's symbol tables. Two
        fifths are zlib's; clang's code is a tenth larger than gcc's."""
        archive = os.path.join(BUILD, "lib", "tenon", "libtnrt_core.a")
        totals = subprocess.run(["size", "-t", archive], capture_output=True, text=True, check=True).stdout.split("\n")
        self.assertLessEqual(int(totals[-2].split()[3]), 104 * 1024)


if __name__ == "__main__":
    unittest.main()
