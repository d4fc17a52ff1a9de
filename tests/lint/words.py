"""What has no place in a commit: unfinished work, paths of one machine, tabs and trailing spaces.

usage: words.py ROOT [BUILD_DIR]
"""
import itertools
import os
import re
import sys

from lib.common import report, sources

RULES = [
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), "unfinished work"),
    (re.compile(r"(?<![\w.])/(work|root|home/\w+|tmp/w)/"), "a path of one machine"),
    (re.compile(r"[ \t]+$"), "spaces at the end"),
    (re.compile(r"\t"), "a tab"),
]
TEXT = (".c", ".h", ".def", ".py", ".md", ".txt", ".cmake", ".json", ".proto", ".tnir", ".test", "run")


def files(root, names):
    for name in names:
        with open(os.path.join(root, name), encoding="utf-8") as f:
            yield name, f.read().split("\n")


def main():
    root = sys.argv[1]
    folders = [name for name in sorted(os.listdir(root)) if not name.startswith((".git", "build", "out"))]
    top = [name for name in folders if name.endswith(TEXT)]
    for path, lines in itertools.chain(sources(root, [f for f in folders if f not in top], TEXT), files(root, top)):
        if path == "tests/lint/words.py" or "/corpus/" in path:
            continue
        for number, line in enumerate(lines, 1):
            for pattern, what in RULES:
                if pattern.search(line):
                    yield f"{path}:{number}: {what}: {line.strip()[:80]}"


sys.exit(report(main()))
