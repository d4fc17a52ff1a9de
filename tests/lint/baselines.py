"""The baselines of the conformance suite only grow: each names, in order and once, at least as many tests as LEAST
says, which is raised with it; the tests of a variant are tests of the suite.   usage: baselines.py ROOT [BUILD_DIR]
"""
import os
import sys

from lib.common import report

LEAST = {"baseline.txt": 1942, "baseline_dynamic.txt": 1823, "baseline_constant.txt": 1938,
         "baseline_debian.txt": 1014}


def main():
    folder = os.path.join(sys.argv[1], "tests", "conformance")
    with open(os.path.join(folder, "tiers.tsv"), encoding="utf-8") as f:
        known = {line.split("\t")[0] for line in f if not line.startswith("#")}
    for name, least in LEAST.items():
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            tests = f.read().splitlines()
        if len(tests) < least:
            yield f"tests/conformance/{name}: {len(tests)} tests, once {least}"
        if tests != sorted(set(tests)):
            yield f"tests/conformance/{name}: not sorted, or a test twice"
        if name == "baseline_debian.txt":  # an older suite
            continue
        for test in sorted(set(tests) - known):
            yield f"tests/conformance/{name}: '{test}' is no test of the suite"


sys.exit(report(main()))
