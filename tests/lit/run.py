#!/usr/bin/env python3
"""Runs the tests of this folder with lit, found in Debian's llvm-19-tools.   usage: run.py BUILD_DIR [lit's arguments]

Prints what failed and ends with the counts.
"""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LLVM = "/usr/lib/llvm-19"


def main():
    build, rest = os.path.abspath(sys.argv[1]), sys.argv[2:]
    lit = os.path.join(LLVM, "build", "utils", "lit", "lit.py")
    env = dict(os.environ, TENON_BUILD=build, TENON_LLVM_BIN=os.path.join(LLVM, "bin"))
    env.setdefault("TENON_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        named = [a for a in rest if os.path.exists(a) and not a.isdigit()]
        subprocess.run([sys.executable, lit, "-q", "--time-tests" if "-v" in rest else "-q", "-o", report, *rest,
                        *([] if named else [HERE])], env=env)
        with open(report) as f:
            codes = [t["code"] for t in json.load(f)["tests"]]
    passed = sum(c in ("PASS", "XFAIL", "FLAKYPASS") for c in codes)
    skipped = sum(c in ("UNSUPPORTED", "SKIPPED", "EXCLUDED") for c in codes)
    failed = len(codes) - passed - skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
