"""Texts of the IR made to hurt: refused with the expected code, in at most 2 s and 60 MB + 3 times the file, however
many errors they hold.   usage: test_hostile_text.py BUILD_DIR"""
import os
import sys
import unittest

from common import BUILD, TENON, FolderTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "onnx"))
from test_hostile import is_sanitized, judge, measure

MEG = 1 << 20
HEAD = 'tnir 1\nfunc @run entry (%x: f32[2] "x") -> (f32[2] "y") {\n'
# (head, piece, times): written piece by piece, for a child's peak counts from what its parent had when it was forked.
KINDS = {
    "zero_bytes": ("TN0101", "", "\0", 5 * MEG),
    "empty_lines": ("TN0101", "", "\n", 10 * MEG),
    "long_name": ("TN0101", "tnir 1\nfunc @", "a", 10 * MEG),
    "open_string": ("TN0101", 'tnir 1\nsource "', "a", 10 * MEG),
    "parentheses": ("TN0004", "tnir 1\nsym n in [1, 2]\nfunc @f entry (%x: f32[", "(", MEG),
    "many_words": ("TN0004", "tnir 1\n", "(", 10 * MEG),
    "many_numbers": ("TN0004", "tnir 1\nconst @w : f32[9] = dense [", "1,", 5 * MEG),
    "regions": ("TN0101", HEAD, "  %0 = if %x {\n", 100000),
    "unknown_operators": ("TN0101", HEAD, "  %0 = foo %x : f32[2]\n", 200000),
    "negative_extent": ("TN0101", "tnir 1\nconst @w : f32[-1] = splat 1\n", "", 0),
    "extents_overflow": ("TN0004", "tnir 1\nconst @w : f32[9223372036854775807,9223372036854775807] = splat 1\n", "",
                         0),
    "few_of_many": ("TN0101", "tnir 1\nconst @w : f32[99999999999] = dense [1]\n", "", 0),
    "bytes_of_another_count": ("TN0101", 'tnir 1\nconst @w : f32[2500000] = bytes "', "ab", MEG),
    "device": ("TN0101", 'tnir 1\nconst @w : f32[4] = blob "/dev/zero" 0\n', "", 0),
}


class HostileText(FolderTest):
    def write(self, name, head, piece, times):
        path = os.path.join(self.path(""), name + ".tnir")
        some = piece * min(times, 4096)
        with open(path, "w") as f:
            f.write(head)
            for _ in range(times // 4096 if times >= 4096 else 1):
                f.write(some)
        return path

    def test_each(self):
        for name, (code, head, piece, times) in KINDS.items():
            path = self.write(name, head, piece, times)
            status, output, seconds, peak = measure([TENON, path, "--emit=ir", "-o", "/dev/null"])
            with self.subTest(name):
                self.assertLess(len(output), 200000)
                self.assertIsNone(judge(code, os.path.getsize(path), status, output, seconds, peak,
                                        not is_sanitized(BUILD)))


if __name__ == "__main__":
    unittest.main()
