"""What has no place in a commit: unfinished work, paths of one machine, tabs and trailing spaces.

usage: words.py ROOT [BUILD_DIR]
"""
import os
import re
import subprocess
import sys

from lib.common import report

RULES = [
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), "unfinished work"),
    (re.compile(r"(?<![\w.])/(work|root|home/\w+|tmp/w)/"), "a path of one machine"),
    (re.compile(r"[ \t]+$"), "spaces at the end"),
    (re.compile(r"\t"), "a tab"),
]
TEXT = (".c", ".h", ".def", ".py", ".md", ".txt", ".cmake", ".json", ".proto", ".tnir", ".test", "run")


def main():
    root = sys.argv[1]
    files = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True, check=True).stdout
    for path in files.split("\n"):
        full = os.path.join(root, path)
        if not path.endswith(TEXT) or path == "tests/lint/words.py" or not os.path.isfile(full):
            continue
        with open(full, encoding="utf-8", errors="replace") as f:
            for number, line in enumerate(f.read().split("\n"), 1):
                for pattern, what in RULES:
                    if pattern.search(line):
                        yield f"{path}:{number}: {what}: {line.strip()[:80]}"


sys.exit(report(main()))
