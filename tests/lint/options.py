"""Every option of the driver, and of compiled programs, stands in a test.   usage: options.py ROOT [BUILD_DIR]"""
import os
import re
import sys

from lib.common import report

TABLES = [
    ("frontend/driver/options.def", re.compile(r'^X\(\w+, "(-[^"]+)"')),
    ("runtime/core/options.c", re.compile(r'^\s*\[\w+\] = \{"(-[^"]+)"')),
]


def test_words(root):
    words = set()
    for top, folders, names in os.walk(os.path.join(root, "tests")):
        folders[:] = [f for f in folders if f not in ("lint", "corpus")]
        for name in names:
            with open(os.path.join(top, name), encoding="utf-8", errors="replace") as f:
                words.update(re.findall(r"(?<![\w-])-{1,2}[A-Za-z#][\w#-]*", f.read()))
    return words


def main():
    root = sys.argv[1]
    words = test_words(root)
    for path, pattern in TABLES:
        if not os.path.exists(os.path.join(root, path)):
            continue
        with open(os.path.join(root, path), encoding="utf-8") as f:
            rows = [(n, m.group(1)) for n, line in enumerate(f, 1) if (m := pattern.match(line))]
        if not rows:
            yield f"{path}: no row of an option was recognised"
        for number, option in rows:
            # -O2, -W..., -D... have their argument right behind.
            option = option.rstrip(",=")
            joined = len(option) == 2 and any(word.startswith(option) for word in words)
            if option not in words and not joined:
                yield f"{path}:{number}: no test uses {option}"


sys.exit(report(main()))
