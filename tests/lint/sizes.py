"""Functions of at most 120 lines, files of at most 900, lines of at most 120 columns.

usage: sizes.py ROOT [BUILD_DIR]

A longer file or function says why in a comment with the words "long because": the file in its first 30 lines, the
function in the comment before it or inside.
"""
import re
import sys

from lib.common import report, sources

FOLDERS = ("frontend", "ir", "train", "passes", "backends", "runtime", "tests", "examples")


def functions(lines):
    """(first line, last line) of blocks that begin with code and '{' and end with '}' in the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and line and not line[0].isspace() and line.endswith("{") and "(" in line:
            start = number
        elif line.startswith("}") and start is not None:
            yield start, number
            start = None


def reasoned(lines):
    return "long because" in " ".join(line.strip(" */") for line in lines).lower()


def main():
    for path, lines in sources(sys.argv[1], FOLDERS, (".c", ".h", ".py")):
        if len(lines) > 900 and not reasoned(lines[:30]):
            yield f"{path}: {len(lines)} lines, more than 900 without a reason"
        for number, line in enumerate(lines, 1):
            if len(line) > 120:
                yield f"{path}:{number}: {len(line)} columns, more than 120"
        if not path.endswith((".c", ".h")):
            continue
        for first, last in functions(lines):
            if last - first + 1 > 120 and not reasoned(lines[max(0, first - 12):last]):
                yield f"{path}:{first}: a function of {last - first + 1} lines, more than 120 without a reason"


sys.exit(report(main()))
