"""The process that generates code dies: the parent lives, says on what, and names a file to report.
Usage: test_codegen.py BUILD_DIR"""
import os
import re
import resource
import signal
import subprocess
import time
import unittest

from common import BUILD, TENON, FolderTest, contents, model, run


def children_of(pid):
    try:
        return [int(c) for c in contents(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return []


def is_alive(pid):
    try:
        return contents(f"/proc/{pid}/stat").rsplit(b")", 1)[1].split()[0] != b"Z"
    except OSError:
        return False


class CodeGeneration(FolderTest):
    def setUp(self):
        super().setUp()
        with open(os.path.join(BUILD, "CMakeCache.txt")) as f:
            if re.search(r"^TENON_SANITIZE:\w+=.", f.read(), re.M):
                self.skipTest("nothing can be preloaded into an instrumented program")
        self.path("net.tnir", model(1000))
        self.path("net", "old")

    def environment(self, action):
        return dict(os.environ, TENON_CHILD=action, TMPDIR=self.folder,
                    LD_PRELOAD=os.path.join(BUILD, "tests", "preload_child.so"))

    def suffers(self, action, *words, **kw):
        """Compiles while code generation suffers `action`; what is there must stay as it was."""
        env = self.environment(action)
        r = run(TENON, "net.tnir", "-o", "net", *words, check=False, cwd=self.folder, env=env, **kw)
        self.assertEqual(contents(self.path("net")), b"old")
        return r

    def fault_files(self):
        return [n for n in os.listdir(self.folder) if n.startswith("tenon-fault-")]

    def is_fault(self, result, text):
        self.assertEqual(result.returncode, 70, result.stderr)
        self.assertRegex(result.stderr, r"kernels 'y' to 'y': .*" + text + r".* \[TN0901\]")
        [file] = self.fault_files()
        self.assertIn(f"please report it with {self.folder}/{file}", result.stderr)
        self.assertIn("net.tnir -o net", contents(self.path(file)).decode().split("\n")[1])
        run(TENON, self.path(file), "-c", "-o", self.path("again.o"))  # the file holds the whole model
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(["again.h", "again.o", "net", "net.tnir", file]))
        for name in (file, "again.o", "again.h"):
            os.unlink(self.path(name))

    def test_abort_crash_and_exit(self):
        self.is_fault(self.suffers("abort"), r"died of signal 6")
        self.is_fault(self.suffers("segv"), r"died of signal 11")
        self.is_fault(self.suffers("exit"), r"ended with status 3")

    def test_loop_is_ended(self):
        start = time.monotonic()
        r = self.suffers("loop", "--unit-seconds=1")
        self.is_fault(r, r"died of signal 24")
        self.assertIn("note: a unit may take 1 s of processor time; --unit-seconds changes that", r.stderr)
        self.assertLess(time.monotonic() - start, 60)

    def test_memory_is_bounded(self):
        self.is_fault(self.suffers("memory"), r"more memory than a unit may take")
        self.is_fault(self.suffers("malloc"), r"died of signal 6")

    def test_memory_that_the_system_lacks_is_a_resource(self):
        few = 600 << 20
        for action, text in ("memory", "no memory is left"), ("kill", "was killed, perhaps as memory ran short"):
            r = self.suffers(action, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (few, few)))
            self.assertEqual(r.returncode, 71, r.stderr)
            self.assertIn(text, r.stderr)
            self.assertEqual(self.fault_files(), [])

    def test_no_process_outlives_tenon(self):
        for number in signal.SIGKILL, signal.SIGTERM:
            p = subprocess.Popen([TENON, "net.tnir", "-o", "net"], cwd=self.folder, env=self.environment("loop"),
                                 stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 20
            while not (workers := children_of(p.pid)) and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertTrue(workers)
            p.send_signal(number)
            p.wait()
            while any(is_alive(w) for w in workers):
                self.assertLess(time.monotonic(), deadline, "a worker lives on")
                time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()
