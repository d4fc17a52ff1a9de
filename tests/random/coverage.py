"""Which pairs of operator and element type no row can place: none, or the run fails."""
import os
import subprocess

import generate
from number import TYPES
from specs import LEFT_OUT, ROWS, TABLE

NIBBLES = {"i4": ("Cast", "QuantizeLinear", "DequantizeLinear"), "u4": ("Cast", "QuantizeLinear", "DequantizeLinear")}


def operators_of(tenon):
    """The ONNX operators that tenon reads: {name}, with its domain unless that is the standard one."""
    def ask(*words):
        return subprocess.run([tenon, *words], capture_output=True, text=True, check=True).stdout
    found = set()
    for line in ask("--print-ops").splitlines():
        for text in ask("--help-op=" + line.split()[0]).splitlines():
            if text.startswith("  ONNX "):
                found.add(text.split()[1])
    return found


def full_name(row):
    return (row.domain + "." if row.domain else "") + row.op


def uncovered(tenon):
    """[what has neither a row nor a reason]: operators, and types that a row's port allows."""
    rows, found = {}, []
    for r in ROWS.values():
        rows.setdefault(full_name(r), []).append(r)
    for name in sorted(operators_of(tenon) - set(LEFT_OUT)):
        here = rows.get(name)
        if here is None:
            found.append(name)
            continue
        opsets = sorted({o for o in generate.OPSETS})
        for port in sorted({(r.of_output, r.port) for r in here}):
            there = [r for r in here if (r.of_output, r.port) == port]
            asked = {t for r in there for o in opsets for t in r.schema_types(o)}
            wanted = {t for t in asked if t in TABLE or name in NIBBLES.get(t, ())}
            placed = {t for r in there for o in opsets for t in r.dtypes(o)}
            if not any(r.why for r in there):
                found += [f"{name} {t}" for t in TYPES if t in wanted - placed]
            if not placed:
                found.append(f"{name}: its rows place nothing")
    return found
