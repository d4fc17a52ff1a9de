"""The table of errors in grammar/LANGUAGE.md, row by row: each class has a code of ir/support/diag.def and a golden
test in tests/lit/errors, whose whole output is checked; every test there, and every code of the language, has a row.
usage: errors.py ROOT [BUILD_DIR]"""
import os
import re
import sys

from lib.common import report

ROW = re.compile(r"^\| ([^|]+) \| (TN\d{4}) \| `(\w+)` \|$")
FOLDER = os.path.join("tests", "lit", "errors")


def read(root, *path):
    with open(os.path.join(root, *path), encoding="utf-8") as f:
        return f.read()


def check_test(where, code, text):
    checks = re.findall(r"^# CHECK(?:-NEXT)?:(.*)$", text, re.MULTILINE)
    if not re.search(r"^# RUN: .*--strict-whitespace --implicit-check-not=error:", text, re.MULTILINE):
        yield f"{where}: the test does not look at the whole output"
    if not checks or f"[{code}]" not in checks[0]:
        yield f"{where}: its first error is not {code}: {checks[:1]}"
    if len(re.findall(r"(?:error|warning): ", text.split("# CHECK", 1)[-1])) < 1:
        yield f"{where}: no error is expected"


def main():
    root = sys.argv[1]
    lines = read(root, "grammar", "LANGUAGE.md").split("\n")
    codes = dict(re.findall(r'^X\((\w+), "(TN\d{4})"', read(root, "ir", "support", "diag.def"), re.MULTILINE))
    told, seen = "grammar/LANGUAGE.md", {}
    start = next((i for i, line in enumerate(lines) if line.startswith("| class of error |")), len(lines))
    used = set()
    for number in range(start + 2, len(lines)):
        if not lines[number].startswith("|"):
            break
        row = ROW.match(lines[number])
        if not row:
            yield f"{told}:{number + 1}: not a row | class | code | `test` |"
            continue
        _, code, test = row.groups()
        used.add(code)
        if test in seen:
            yield f"{told}:{number + 1}: '{test}' stands in line {seen[test]} too"
        seen[test] = number + 1
        path = os.path.join(FOLDER, test + ".tn")
        if code not in codes.values():
            yield f"{told}:{number + 1}: there is no code {code}"
        if not os.path.exists(os.path.join(root, path)):
            yield f"{told}:{number + 1}: there is no {path}"
            continue
        yield from check_test(path, code, read(root, path))
    for name in sorted(os.listdir(os.path.join(root, FOLDER))):
        if name.endswith(".tn") and name.removesuffix(".tn") not in seen:
            yield f"{FOLDER}/{name}: the table of errors in {told} does not name it"
    for enumerator, code in codes.items():
        if "_LANG_" in enumerator and code not in used:
            yield f"{told}: no row of the table of errors has {code}"
    if len(seen) < 50:
        yield f"{told}: only {len(seen)} rows were found"


sys.exit(report(main()))
