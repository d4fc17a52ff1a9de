"""The tables of settings and of the blocks' functions in grammar/LANGUAGE.md say what frontend/lang/settings.def says,
row by row: kind, default, example, text.   usage: settings.py ROOT [BUILD_DIR]"""
import os
import re
import sys

from lib.common import report

STRING = r'"((?:[^"\\]|\\.)*)"'
SETTING = re.compile(r"^S\(" + ", ".join([STRING] * 6) + r"\)$")
FUNCTION = re.compile(r"^F\(" + ", ".join([STRING] * 4) + r"\)$")


def read(root, *path):
    with open(os.path.join(root, *path), encoding="utf-8") as f:
        return f.read().split("\n")


def cells(line):
    """The cells of a row; a bar inside of one is written \\|, code stands between backquotes."""
    found = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    return [cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == "`" else cell for cell in found]


def table(lines, head):
    """{(first cell, second cell): (number, cells)} of the table with this head."""
    start = next((i for i, line in enumerate(lines) if line.startswith(head)), None)
    rows = {}
    for i in range(start + 2 if start is not None else len(lines), len(lines)):
        if not lines[i].startswith("|"):
            break
        row = cells(lines[i])
        rows[row[0], row[1].split("(")[0]] = (i + 1, row)
    return rows


def main():
    root = sys.argv[1]
    where, told = "frontend/lang/settings.def", "grammar/LANGUAGE.md"
    reference = read(root, told)
    wanted = {}
    settings, functions = table(reference, "| block | setting |"), table(reference, "| group | function |")
    for number, line in enumerate(read(root, where), 1):
        if not line.startswith(("S(", "F(")):
            continue
        setting, function = SETTING.match(line), FUNCTION.match(line)
        if not setting and not function:
            yield f"{where}:{number}: not a row S(...) or F(...) on one line"
            continue
        row = list((setting or function).groups())
        if setting:
            row[3] = row[3] or "-"
            if not row[4].startswith(row[1] + " = "):
                yield f"{where}:{number}: the example sets something else"
        else:
            row[1:3] = [f"{row[1]}({row[2]})"]
        key = row[0], row[1].split("(")[0]
        if key in wanted:
            yield f"{where}:{number}: {key} stands in line {wanted[key]} too"
        wanted[key] = number
        line_told, found = (settings if setting else functions).get(key, (0, None))
        if found != row:
            yield f"{told}:{line_told}: expected the row {row}, found {found}"
    for key, (number, _) in {**settings, **functions}.items():
        if key not in wanted:
            yield f"{told}:{number}: {key} is no row of {where}"
    if len(wanted) < 50:
        yield f"{where}: only {len(wanted)} rows were found"


sys.exit(report(main()))
