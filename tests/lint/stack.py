"""What the shipped runtime takes of the stack is not more than the headers of models are told: TNRT_STACK_BYTES and its
kin of runtime/abi.h. No function of these files calls itself, so the sum of all their frames is a bound, as GCC's
-fstack-usage gives them.   usage: stack.py ROOT BUILD_DIR
"""
import glob
import os
import re
import sys

from lib.common import report

# Files whose functions may be active at once in a library.
SETS = {
    "TNRT_STACK_BYTES": ("cpu", "ctx", "dtype", "level", "message", "sort", "tensors"),
    "TNRT_STACK_HOSTED_BYTES": ("alloc", "pool", "threads", "variants"),
    "TNRT_STACK_WEIGHTS_BYTES": ("weights",),
}


def frames(build, name):
    """Bytes of each function of a file; None where the frame has no bound."""
    paths = glob.glob(os.path.join(build, "runtime", "CMakeFiles", "tnrt_ship.dir", "core", name + ".c.su"))
    for path in paths:
        with open(path, encoding="utf-8") as f:
            for line in f:
                where, size, kind = line.rstrip("\n").split("\t")
                yield where, int(size), kind in ("static", "dynamic,bounded")
    if not paths:
        yield f"{name}.c.su is missing in {build}", 0, False


def main():
    with open(os.path.join(sys.argv[1], "runtime", "abi.h"), encoding="utf-8") as f:
        text = f.read()
    for macro, names in SETS.items():
        limit = int(re.search(rf"#define {macro} (\d+)u", text).group(1))
        rows = [row for name in names for row in frames(sys.argv[2], name)]
        for where, _, bounded in rows:
            if not bounded:
                yield f"{where}: a frame without a bound"
        total = sum(size for _, size, _ in rows)
        if total > limit:
            yield f"runtime/abi.h: {macro} is {limit}, the frames of {', '.join(names)} have {total} bytes"


sys.exit(report(main()))
