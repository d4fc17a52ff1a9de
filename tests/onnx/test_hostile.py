#!/usr/bin/env python3
"""Runs a reader on each file of hostile.py: no crash, the expected code, at most 2 s and 60 MB + 3 times the file.
usage: test_hostile.py BUILD_DIRECTORY"""
import os
import re
import subprocess
import sys
import tempfile

import hostile


def measure(command):
    """Exit status, output, seconds of the process (a busy machine does not count), peak bytes."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = usage.ru_utime + usage.ru_stime
        out.seek(0)
        return child.returncode, out.read().decode(errors="replace"), seconds, usage.ru_maxrss * 1024


def is_sanitized(build):
    with open(os.path.join(build, "CMakeCache.txt")) as f:
        return re.search(r"^TENON_SANITIZE:\w+=.", f.read(), re.M) is not None


def judge(expected, size, status, output, seconds, peak, bounded):
    codes = set(re.findall(r"\[(TN\d+)\]", output))
    if status not in (0, 1):
        return "exit status %d" % status
    if (status == 0) != (expected == "ok") or (status == 1 and expected not in codes):
        return "expected %s, found %s" % (expected, sorted(codes) or "ok")
    if not bounded:
        return None
    if seconds > 2:
        return "%.2f s" % seconds
    if peak > (60 << 20) + 3 * size:
        return "%d MB for a file of %d MB" % (peak >> 20, size >> 20)
    return None


def main():
    failed = 0
    bounded = not is_sanitized(sys.argv[1])  # sanitizers multiply time and memory
    reader = os.path.join(sys.argv[1], "tests", "onnx_load")
    with tempfile.TemporaryDirectory() as folder:
        # Made by another process: a child's peak counts from what its parent had in memory when it was forked.
        subprocess.run([sys.executable, hostile.__file__, folder], check=True)
        for name, (expected, _) in hostile.KINDS.items():
            path = os.path.join(folder, name + ".onnx")
            status, output, seconds, peak = measure([reader, path])
            wrong = judge(expected, os.path.getsize(path), status, output, seconds, peak, bounded)
            failed += wrong is not None
            print("%-4s %-40s %5.2f s %5d MB%s" % ("FAIL" if wrong else "ok", name, seconds, peak >> 20,
                                                  ": " + wrong if wrong else ""))
    print("%d passed, %d failed, 0 skipped" % (len(hostile.KINDS) - failed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
