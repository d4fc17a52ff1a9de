"""No mutable globals: .data, .bss and their thread-local kin are empty in every object of our static libraries and of
the code generator (.data.rel.ro is constant and fine). libjpeg-turbo keeps what the processor can do in eight bytes a
thread, which all threads find the same.   usage: state.py ROOT BUILD_DIR
"""
import glob
import os
import re
import subprocess
import sys

from lib.common import report

WRITABLE = re.compile(r"^\.(data|bss|tdata|tbss)(\.(?!rel\.ro)|$)")

KNOWN = {("jpeg_library.o", ".tdata", 8)}


def sections(path):
    """(object, section, bytes) of an archive or object."""
    member = os.path.basename(path)
    for line in subprocess.run(["size", "-A", path], capture_output=True, text=True, check=True).stdout.splitlines():
        found = re.match(r"^(\S+)\s*(?:\(ex .*\))?\s*:$", line)
        if found:
            member = found.group(1)
        words = line.split()
        if len(words) >= 2 and words[0].startswith(".") and words[1].isdigit():
            yield member, words[0], int(words[1])


def main():
    build = sys.argv[2]
    files = sorted(set(glob.glob(os.path.join(build, "**", "libtn*.a"), recursive=True) +
                       glob.glob(os.path.join(build, "**", "tenon_llvm.dir", "**", "*.o"), recursive=True)))
    if not files:
        yield f"{build}: holds no library to look into"
    for path in files:
        for member, section, size in sections(path):
            if size and WRITABLE.match(section) and (member, section, size) not in KNOWN:
                yield f"{os.path.relpath(path, build)}: {member}: {section} holds {size} bytes that can be written"


sys.exit(report(main()))
