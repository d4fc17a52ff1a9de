"""Memory comes from arenas (compiler) and from the context's allocator (runtime): malloc and its kin stand in one file
each.   usage: memory.py ROOT [BUILD_DIR]
"""
import re
import sys

from lib.common import report, sources, without_comments

ALLOWED = ("ir/support/arena.c", "runtime/core/alloc.c")
CALL = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf|vasprintf|posix_memalign|"
                  r"aligned_alloc|alloca)\s*\(")


def main():
    for path, lines in sources(sys.argv[1], ("frontend", "ir", "passes", "backends", "runtime")):
        if path in ALLOWED:
            continue
        for number, line in enumerate(without_comments(lines), 1):
            if CALL.search(line):
                yield f"{path}:{number}: allocates past the arenas: {line.strip()}"


sys.exit(report(main()))
