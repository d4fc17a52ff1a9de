"""Which folder may include which (the table of the README).   usage: includes.py ROOT [BUILD_DIR]

The first rule whose folder holds the file counts; what is included must begin with one of its prefixes.
"""
import re
import sys

from lib.common import report, sources

ABI = "runtime/abi.h"
BACKEND = "backends/backend.h"
RULES = [
    ("grammar/", []),
    ("frontend/driver/", ["frontend/", "ir/", "passes/pass.h", BACKEND, "backends/object/object.h", ABI,
                          "runtime/core/array.h", "runtime/share.h", "runtime/tenon.h",
                          "runtime/term.h", "runtime/training.h"]),
    ("frontend/onnx/", ["frontend/onnx/", "grammar/", "ir/"]),
    ("frontend/lang/", ["frontend/lang/", "frontend/onnx/source.h", "frontend/onnx/onnx.h", "grammar/", "ir/",
                        "runtime/core/array.h", "runtime/initial.h", "runtime/training.h",
                        "train/train.h"]),
    ("frontend/", ["frontend/", "ir/"]),
    ("ir/support/", ["ir/support/", "ir/ctx.h"]),
    ("ir/", ["ir/"]),
    ("train/", ["train/", "ir/", "runtime/training.h"]),
    ("passes/", ["passes/", "ir/", BACKEND]),
    ("backends/cpu/", ["backends/cpu/", BACKEND, "ir/", ABI]),
    ("backends/cuda/", ["backends/cuda/", BACKEND, "ir/", ABI]),
    ("backends/object/", ["backends/object/", BACKEND, "ir/", ABI]),
    ("backends/null/", ["backends/null/", BACKEND, "ir/", ABI]),
    ("backends/", ["backends/", "ir/", ABI]),
    ("runtime/core/", ["runtime/core/", ABI]),
    ("runtime/", ["runtime/"]),
]


def main():
    for path, lines in sources(sys.argv[1], ("grammar", "frontend", "ir", "train", "passes", "backends", "runtime")):
        allowed = next(rule[1] for rule in RULES if path.startswith(rule[0]))
        for number, line in enumerate(lines, 1):
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if found and not found.group(1).startswith(tuple(allowed)):
                yield f"{path}:{number}: includes {found.group(1)}; allowed here: {' '.join(allowed) or 'nothing'}"


sys.exit(report(main()))
