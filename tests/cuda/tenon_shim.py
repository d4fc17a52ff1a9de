#!/usr/bin/env python3
"""tenon for the CUDA backend on a machine without a device: the command line of `tenon MODEL -o EXE`, for scripts that
test compiled programs. The program is the emitted CUDA C, compiled as C with the shim of this folder.

TENON_BUILD names the build directory; SHIM_CC the C compiler (gcc), SHIM_CFLAGS more of its options. What compiles
nothing, such as --eval, is left to tenon itself.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEVICES = ("-march=", "-mcpu=")


def build(tenon, build_dir, words, exe, compiler="gcc", flags=()):
    """The program of `tenon words`; CompletedProcess of what failed, or of the last command."""
    unit, weights = exe + ".cu", exe + ".weights"
    common = [tenon, *words, "--target=cuda", "--prefix=net"]
    for level, path in (("cuda", unit), ("weights", weights)):
        done = subprocess.run([*common, f"--emit={level}", "-o", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            return done
    shim, runtime = os.path.join(HERE, "shim"), os.path.join(build_dir, "lib", "tenon", "libtnrt_core.a")
    return subprocess.run(
        [compiler, "-std=gnu17", "-O1", "-w", "-ffp-contract=off", *flags, f'-DUNIT="{unit}"', "-DTABLE=net_table",
         f'-DWEIGHTS="{weights}"', "-I" + shim, "-I" + ROOT, os.path.join(shim, "runner.c"),
         os.path.join(shim, "shim.c"), runtime, "-o", exe, "-lm", "-lpthread", "-lz"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def main():
    build_dir, words = os.path.abspath(os.environ["TENON_BUILD"]), sys.argv[1:]
    tenon = os.path.join(build_dir, "bin", "tenon")
    if "-o" not in words or "--eval" in words:
        os.execv(tenon, [tenon, *words])
    at = words.index("-o")
    exe = os.path.abspath(words[at + 1])
    words = [w for w in words[:at] + words[at + 2:] if not w.startswith(DEVICES)]
    done = build(tenon, build_dir, words, exe, os.environ.get("SHIM_CC", "gcc"),
                 os.environ.get("SHIM_CFLAGS", "").split())
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
