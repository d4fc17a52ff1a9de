"""Texts of the IR made to hurt: refused with the expected code, in at most 2 s, however many errors they hold.
Usage: test_hostile_text.py BUILD_DIR"""
import os
import resource
import subprocess
import sys
import unittest

from common import BUILD, TENON, FolderTest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "onnx"))
from test_hostile import is_sanitized

MEG = 1 << 20
HEAD = 'tnir 1\nfunc @run entry (%x: f32[2] "x") -> (f32[2] "y") {\n'
KINDS = {
    "zero_bytes": ("TN0101", "\0" * 5 * MEG),
    "empty_lines": ("TN0101", "\n" * 10 * MEG),
    "long_name": ("TN0101", "tnir 1\nfunc @" + "a" * 10 * MEG),
    "open_string": ("TN0101", 'tnir 1\nsource "' + "a" * 10 * MEG),
    "parentheses": ("TN0004", "tnir 1\nsym n in [1, 2]\nfunc @f entry (%x: f32[" + "(" * MEG),
    "regions": ("TN0101", HEAD + "  %0 = if %x {\n" * 100000),
    "unknown_operators": ("TN0101", HEAD + "  %0 = foo %x : f32[2]\n" * 200000),
    "negative_extent": ("TN0101", "tnir 1\nconst @w : f32[-1] = splat 1\n"),
    "extents_overflow": ("TN0004", "tnir 1\nconst @w : f32[9223372036854775807,9223372036854775807] = splat 1\n"),
    "few_of_many": ("TN0101", "tnir 1\nconst @w : f32[99999999999] = dense [1]\n"),
    "bytes_of_another_count": ("TN0101", 'tnir 1\nconst @w : f32[2500000] = bytes "' + "ab" * MEG + '"\n'),
    "device": ("TN0101", 'tnir 1\nconst @w : f32[4] = blob "/dev/zero" 0\n'),
}


class HostileText(FolderTest):
    def test_each(self):
        for name, (code, text) in KINDS.items():
            path = self.path(name + ".tnir", text)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            r = subprocess.run([TENON, path, "--emit=ir", "-o", "/dev/null"], capture_output=True, timeout=100)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            with self.subTest(name):
                self.assertEqual(r.returncode, 1, r.stderr[-500:])
                self.assertIn(code.encode(), r.stderr)
                self.assertLess(len(r.stderr), 200000)
                if not is_sanitized(BUILD):
                    self.assertLess(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)


if __name__ == "__main__":
    unittest.main()
