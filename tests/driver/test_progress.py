"""Work longer than a second shows progress: a bar on a terminal, a line each ten seconds elsewhere.
Usage: test_progress.py BUILD_DIR"""
import os
import pty
import re
import subprocess
import unittest

from common import BUILD, TENON, FolderTest, model, run


class Progress(FolderTest):
    def setUp(self):
        super().setUp()
        with open(os.path.join(BUILD, "CMakeCache.txt")) as f:
            if re.search(r"^TENON_SANITIZE:\w+=.", f.read(), re.M):
                self.skipTest("nothing can be preloaded into an instrumented program")
        self.path("net.tnir", model(1000))

    def slow(self, seconds, **more):
        preload = os.path.join(BUILD, "tests", "preload_child.so")
        return dict(os.environ, TENON_CHILD=f"sleep:{seconds}", LD_PRELOAD=preload, **more)

    def on_terminal(self, *words, env):
        """What appears on the terminal."""
        ours, theirs = pty.openpty()
        p = subprocess.Popen([TENON, "net.tnir", "-c", "-o", "net.o", *words], cwd=self.folder, env=env, stderr=theirs)
        os.close(theirs)
        text = b""
        try:
            while block := os.read(ours, 4096):
                text += block
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        self.assertEqual(p.wait(), 0, text)
        return text.decode()

    def test_bar(self):
        text = self.on_terminal(env=self.slow(2, TERM="xterm"))
        self.assertRegex(text, r"^\r\[\.{24}\] generating code, 0 %, 1 s\x1b\[K")
        self.assertTrue(text.endswith("\r\x1b[K"), text)  # nothing stays
        self.assertNotIn("\n", text)

    def test_quick_work_shows_nothing(self):
        self.assertEqual(self.on_terminal(env=dict(os.environ, TERM="xterm")), "")

    def test_dumb_terminals_get_no_bar(self):
        self.assertEqual(self.on_terminal(env=self.slow(2, TERM="dumb")), "")
        self.assertNotIn("\r", self.on_terminal("-v", env=self.slow(2, TERM="xterm")).replace("\r\n", "\n"))

    def test_no_color(self):
        self.assertNotRegex(self.on_terminal(env=self.slow(2, TERM="xterm", NO_COLOR="1")), r"\x1b\[[0-9;]*m")

    def test_lines(self):
        env = self.slow(11)
        words = [TENON, "net.tnir", "-c", "-o"]
        streams = {"stderr": subprocess.PIPE, "text": True}
        forms = [subprocess.Popen([*words, f"{i}.o", *more], cwd=self.folder, env=env, **streams)
                 for i, more in enumerate(([], ["-fdiagnostics-format=json"]))]
        lines, json = [p.communicate()[1] for p in forms]
        self.assertEqual((lines, json), ("tenon: net.tnir: generating code, 0 %, 10 s\n", ""))
        self.assertEqual(run(*words, "quick.o", cwd=self.folder).stderr, "")


if __name__ == "__main__":
    unittest.main()
