"""Whatever happens to a compile, its output is the old file or the whole new one. Usage: test_atomic.py BUILD_DIR"""
import errno
import os
import random
import signal
import subprocess
import time
import unittest

from common import BUILD, TENON, FolderTest, contents, model, run

KINDS = {"-c": "net.o", "-static-lib": "net.a", "-shared": "net.so", "": "net", "--emit=ir": "net.tnir"}


def words(kind, source, output):
    return [TENON, source, "-o", output, "-march=haswell"] + ([kind] if kind else [])


class Atomic(FolderTest):
    def leftovers(self, process=""):
        return sorted(n for n in os.listdir(self.folder) if n.endswith(f".{process}.tmp" if process else ".tmp"))

    def expected(self, kind, source):
        """Files that a compile leaves: name -> bytes."""
        before = set(os.listdir(self.folder))
        run(*words(kind, source, self.path(KINDS[kind])))
        made = sorted(set(os.listdir(self.folder)) - before)
        return {n: contents(self.path(n)) for n in made}

    def put_old(self, want):
        for name in want:
            self.path(name, "old")

    def check(self, want, what):
        for name, new in want.items():
            self.assertTrue(contents(self.path(name)) in (b"old", new), f"{what}: {name} is neither old nor new")

    def test_kills(self):
        source = self.path("net-source.tnir", model(100000))
        rng = random.Random(1)
        kills = int(os.environ.get("TENON_KILLS", "200")) // len(KINDS)
        struck = 0
        for kind in KINDS:
            want = self.expected(kind, source)
            start = time.monotonic()
            run(*words(kind, source, self.path(KINDS[kind])))
            span = time.monotonic() - start
            for i in range(kills):
                self.put_old(want)
                number = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
                p = subprocess.Popen(words(kind, source, self.path(KINDS[kind])), start_new_session=True,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(rng.random() * span * 1.1)
                p.send_signal(number)
                p.wait()
                struck += p.returncode == -number
                self.check(want, f"{kind or 'program'} kill {i}")
                if number != signal.SIGKILL:  # what SIGKILL leaves is told apart by the process number in its name
                    self.assertEqual(self.leftovers(p.pid), [], f"{kind or 'program'} kill {i} by {number}")
                for name in self.leftovers():
                    os.unlink(self.path(name))
        self.assertGreater(struck, kills * len(KINDS) // 3, "the signals came too late to mean anything")

    def test_failing_calls(self):
        source = self.path("net-source.tnir", model(100000))
        log = self.path("faults")
        for kind in KINDS:
            want = self.expected(kind, source)
            for call, code in (("write", errno.ENOSPC), ("rename", errno.EIO), ("fsync", errno.EIO),
                               ("open", errno.EACCES)):
                n = 0
                while n < 60:
                    n += 1
                    self.put_old(want)
                    self.path("faults", "")
                    env = dict(os.environ, TENON_FAULT=f"{call}:{n}:{code}", TENON_FAULT_LOG=log,
                               LD_PRELOAD=os.path.join(BUILD, "tests", "preload_fault.so"))
                    r = run(*words(kind, source, self.path(KINDS[kind])), "--no-fork", check=False, env=env)
                    what = f"{kind or 'program'}: {call} {n}"
                    if "ASan runtime does not come first" in r.stderr:
                        self.skipTest("nothing can be preloaded into an instrumented program")
                    self.check(want, what)
                    self.assertEqual(self.leftovers(), [], what)
                    if not contents(log):
                        self.assertEqual(r.returncode, 0, what + r.stderr)
                        break
                    self.assertIn(r.returncode, (0, 1, 71), what + r.stderr)
                    if r.returncode == 0:
                        self.assertTrue(all(contents(self.path(k)) == want[k] for k in want), what)
                    else:
                        self.assertIn("error:", r.stderr, what)
                self.assertGreater(n, 1, f"{kind}: {call} was never called")

    def test_disk_full_is_a_resource(self):
        source = self.path("net-source.tnir", model(100000))
        r = run(TENON, source, "-c", "-o", "/dev/full", check=False)
        self.assertEqual(r.returncode, 71, r.stderr)
        self.assertIn("No space left on device", r.stderr)

    def test_output_that_is_no_regular_file(self):
        source = self.path("net-source.tnir", model(100))
        run(TENON, source, "-c", "-o", "/dev/null")
        self.assertTrue(os.path.exists("/dev/null") and not os.path.isfile("/dev/null"))
        os.mkdir(self.path("folder"))
        r = run(TENON, source, "-c", "-o", self.path("folder"), check=False)
        self.assertEqual(r.returncode, 1, r.stderr)
        os.symlink("real.o", self.path("link.o"))
        self.path("real.o", "old")
        run(TENON, source, "-c", "-o", self.path("link.o"))
        self.assertTrue(os.path.islink(self.path("link.o")))
        self.assertNotEqual(contents(self.path("real.o")), b"old")


if __name__ == "__main__":
    unittest.main()
