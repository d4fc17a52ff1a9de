"""Same request, same bytes: -###, -j, folders, names. Crashes. Usage: test_commands.py BUILD_DIR"""
import os
import signal
import subprocess
import time
import unittest

from common import TENON, FolderTest, contents, model, run


class Commands(FolderTest):
    def setUp(self):
        super().setUp()
        self.path("net.tnir", model(1000))

    def tenon(self, *words, **kw):
        return run(TENON, *words, cwd=self.folder, **kw)

    def test_printed_commands_make_the_same_bytes(self):
        for kind, name in (("-c", "net.o"), ("-static-lib", "net.a"), ("-shared", "net.so"), (None, "net"),
                           ("-S", "net.s"), ("--emit=llvm", "net.ll")):
            words = ["net.tnir", "-O1", "-march=haswell", "-o", name] + ([kind] if kind else [])
            self.tenon(*words, "-v")
            want = contents(self.path(name))
            os.unlink(self.path(name))
            script = self.tenon(*words, "-###").stdout
            self.assertFalse(os.path.exists(self.path(name)), "-### must not make anything")
            run("sh", "-ec", script, cwd=self.folder)
            self.assertTrue(contents(self.path(name)) == want, f"{name}: other bytes from\n{script}")

    def test_names_with_blanks_and_quotes_survive(self):
        source = self.path("a 'b' $c.tnir", model(8))
        words = [source, "-march=haswell", "-o", self.path("out $x")]
        self.tenon(*words)
        want = contents(self.path("out $x"))
        run("sh", "-ec", self.tenon(*words, "-###").stdout, cwd=self.folder)
        self.assertTrue(contents(self.path("out $x")) == want)

    def test_bytes_depend_on_the_request_alone(self):
        made = []
        os.mkdir(self.path("other"))
        ways = (([], {}), (["-j", "1"], {"LC_ALL": "C", "TZ": "UTC"}), (["-j7"], {"HOME": "/x"}),
                (["--no-fork"], {"USER": "nobody"}))
        for i, (extra, env) in enumerate(ways):
            out = self.path(f"other/n{i}" if i % 2 else f"m{i}")
            run(TENON, self.path("net.tnir"), "-o", out, "--prefix=net", *extra, cwd="/tmp" if i % 2 else self.folder,
                env=dict(os.environ, **env))
            made.append(contents(out))
        self.assertTrue(all(m == made[0] for m in made))

    def test_version_is_quick(self):
        times = []
        for _ in range(15):
            start = time.monotonic()
            run(TENON, "--version")
            times.append(time.monotonic() - start)
        self.assertLess(sorted(times)[0], 0.030)

    def test_crash_is_a_fault_that_leaves_no_file(self):
        if "asan" in TENON or "tsan" in TENON:
            self.skipTest("sanitizers report crashes themselves")
        os.mkfifo(self.path("slow"))
        p = subprocess.Popen([TENON, "-x", "tnir", "slow", "-o", "out"], cwd=self.folder, stderr=subprocess.PIPE,
                             text=True, env=dict(os.environ, TMPDIR=self.folder))
        time.sleep(0.3)  # it waits for the pipe to be opened
        p.send_signal(signal.SIGSEGV)
        message = p.communicate(timeout=20)[1]
        self.assertEqual(p.returncode, 70, message)
        self.assertIn("tenon: fault: the compiler crashed", message)
        report = [n for n in os.listdir(self.folder) if n.startswith("tenon-crash-")]
        if len(self.folder) <= 24:
            self.assertEqual(contents(self.path(report[0])).decode().split("\n")[1:3], ["-x", "tnir"])
            self.assertIn(report[0], message)
        self.assertFalse(os.path.exists(self.path("out")))

    def test_out_of_memory_is_a_resource(self):
        import resource
        self.path("big.tnir", model(2000000))
        r = self.tenon("big.tnir", "--emit=ir", "-o", "out", check=False,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (60 << 20, 60 << 20)))
        if r.returncode == -signal.SIGKILL or "Sanitizer" in r.stderr:
            self.skipTest("a sanitizer needs more address space")
        self.assertEqual(r.returncode, 71, r.stderr)
        self.assertIn("out of memory", r.stderr)
        self.assertEqual(sorted(os.listdir(self.folder)), ["big.tnir", "net.tnir"])

    def test_closed_output_is_an_error(self):
        for words in (["--help-all"], ["--print-ops"], ["net.tnir", "--emit=ir"], ["net.tnir", "-c", "-o", "-"]):
            with open("/dev/full", "w") as full:
                r = subprocess.run([TENON, *words], cwd=self.folder, stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertIn(r.returncode, (1, 71), words)
            self.assertIn("cannot write", r.stderr)


if __name__ == "__main__":
    unittest.main()
