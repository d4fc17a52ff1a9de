"""What the tests of training share: talking to the tools of tests/tools, counting."""
import os
import subprocess
import sys

BUILD = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "build/release"
HERE = os.path.dirname(os.path.abspath(__file__))


def tool(name, text, *words):
    done = subprocess.run([os.path.join(BUILD, "tests", name), *words], input=text, capture_output=True, text=True,
                          timeout=300)
    if done.returncode:
        raise RuntimeError("%s: %d %s" % (name, done.returncode, done.stderr))
    return done.stdout


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def judge(self, name, problem):
        """problem: what is wrong, or nothing."""
        if problem:
            self.failed += 1
            print("FAILED", name, problem)
        else:
            self.passed += 1

    def finish(self):
        print("%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped))
        sys.exit(1 if self.failed else 0)
