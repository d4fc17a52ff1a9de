"""Every diagnostic code is well formed and has a test: its name (TN0203) or enumerator (TN_E_SHAPE) stands in a file
under tests/.   usage: codes.py ROOT [BUILD_DIR]
"""
import os
import re
import sys

from lib.common import report

ROW = re.compile(r'^X\((\w+), "(TN\d{4})", (\d+), "(.*)"\)$')


def test_text(root):
    texts = []
    for top, folders, names in os.walk(os.path.join(root, "tests")):
        folders[:] = [f for f in folders if f not in ("lint", "corpus")]
        for name in names:
            with open(os.path.join(top, name), encoding="utf-8", errors="replace") as f:
                texts.append(f.read())
    return "\n".join(texts)


def main():
    root, seen = sys.argv[1], {}
    words = set(re.findall(r"\bTN\w+", test_text(root)))
    with open(os.path.join(root, "ir", "support", "diag.def"), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.startswith("X("):
                continue
            where = f"ir/support/diag.def:{number}"
            row = ROW.match(line.rstrip("\n"))
            if not row:
                yield f"{where}: not a row X(enumerator, \"TNnnnn\", number, \"text\") on one line"
                continue
            enumerator, name, value, text = row.groups()
            if int(name[2:]) != int(value):
                yield f"{where}: {name} has the number {value}"
            if name in seen:
                yield f"{where}: {name} stands in line {seen[name]} too"
            seen[name] = number
            if len(text) < 40:
                yield f"{where}: {name} is hardly explained"
            if name not in words and enumerator not in words:
                yield f"{where}: no test names {name} or {enumerator}"


sys.exit(report(main()))
