"""Only the driver and the program's main end the process or write to stderr.   usage: exits.py ROOT [BUILD_DIR]

_exit is for forked children and is not meant here.
"""
import re
import sys

from lib.common import report, sources, without_comments

ALLOWED = ("frontend/driver/", "runtime/core/main.c", "runtime/train/main.c")
CALL = re.compile(r"(?<![\w.>])(exit|abort|quick_exit|perror)\s*\(|\bfprintf\s*\(\s*stderr\b|\bfputs\s*\(.*\bstderr\b")


def main():
    for path, lines in sources(sys.argv[1], ("frontend", "ir", "passes", "backends", "runtime")):
        if path.startswith(ALLOWED):
            continue
        for number, line in enumerate(without_comments(lines), 1):
            if CALL.search(line):
                yield f"{path}:{number}: ends the process or writes to stderr: {line.strip()}"


sys.exit(report(main()))
