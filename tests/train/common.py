"""What the tests of training share: talking to the tools of tests/tools, files of weights, counting."""
import json
import os
import struct
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


def run_in(folder, *words, rc=0):
    """What a command says that is run there and ends with this status; else RuntimeError."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != rc:
        raise RuntimeError("%s: %d, not %d\n%s%s" % (" ".join(words), done.returncode, rc, done.stdout[-2000:],
                                                    done.stderr[-2000:]))
    return done.stdout + done.stderr


def save_tensors(path, tensors):
    """f32 arrays by their names, as safetensors."""
    head, at = {}, 0
    for name, values in tensors.items():
        head[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + 4 * values.size]}
        at += 4 * values.size
    text = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(v.astype("<f4").tobytes() for v in tensors.values()))


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
