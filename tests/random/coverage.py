"""Which pairs of operator and element type no row can place: none, or the run fails. And whether a graph is a function
of its seed and number."""
import hashlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "numerics"))

import generate  # noqa: E402
import graph as graphs  # noqa: E402
import oracle  # noqa: E402
from number import TYPES  # noqa: E402
from specs import LEFT_OUT, ROWS, TABLE  # noqa: E402

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


def digest(tenon, seed, first, count):
    """Of the graphs' contents."""
    oracle.OWN["tenon"] = tenon
    found = hashlib.sha256()
    for index in range(first, first + count):
        made = generate.generate(seed, index, generate.opset_of(seed, index // generate.BATCH))
        found.update(json.dumps(graphs.graph_json(made[0]) if made else None).encode())
    return found.hexdigest()


def is_reproducible(tenon, seed, first=0, count=10):
    """The same in two processes whose sets are in other orders."""
    command = [sys.executable, os.path.abspath(__file__), tenon, str(seed), str(first), str(count)]
    found = [subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": order}, capture_output=True, text=True,
                            check=True).stdout for order in ("1", "2")]
    return found[0] == found[1]


if __name__ == "__main__":
    print(digest(sys.argv[1], *map(int, sys.argv[2:])))
