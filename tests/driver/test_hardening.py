"""The compiler and what it makes are hardened: position-independent, all relocations read-only and bound at the start,
no executable stack, stack protector, checked library calls. Usage: test_hardening.py BUILD_DIR"""
import os
import re
import unittest

from common import BUILD, TENON, FolderTest, model, run


def is_sanitized():
    with open(os.path.join(BUILD, "CMakeCache.txt")) as f:
        return re.search(r"^TENON_SANITIZE:\w+=.", f.read(), re.M) is not None


class Hardening(FolderTest):
    def linked(self, file, executable=True):
        text = run("readelf", "-hlWd", file).stdout
        self.assertRegex(text, r"Type:\s+DYN", file)
        self.assertRegex(text, r"\bGNU_RELRO\b", file)
        self.assertRegex(text, r"FLAGS_1\).*\bNOW\b" + (r".*\bPIE\b" if executable else ""), file)
        self.assertRegex(text, r"GNU_STACK\s+(0x\w+\s+){5}RW\s", file)
        self.assertNotRegex(text, r"LOAD\s+(0x\w+\s+){5}RWE", file)

    def calls(self, file, *names):
        text = run("nm", "-D", "--undefined-only", file).stdout
        for name in names:
            self.assertRegex(text, r"\b" + name, file)

    def test_compiler(self):
        module = os.path.join(BUILD, "lib", "tenon", "tenon_llvm.so")
        self.linked(TENON)
        self.linked(module, executable=False)
        if not is_sanitized():
            self.calls(TENON, "__stack_chk_fail", r"__v?snprintf_chk")
            self.calls(module, "__stack_chk_fail", r"__memcpy_chk|__v?s?n?printf_chk")

    def test_what_it_makes(self):
        source = self.path("net.tnir", model(100))
        run(TENON, source, "-o", self.path("net"))
        # A library holds what it uses of the runtime: here the part that reads a file.
        run(TENON, source, "-shared", "--constants=external", "-o", self.path("net.so"))
        self.linked(self.path("net"))
        self.linked(self.path("net.so"), executable=False)
        run(TENON, source, "-o", self.path("bare"), env=dict(os.environ, TENON_LD="ld"))
        self.linked(self.path("bare"))
        for name in "net", "net.so":
            self.calls(self.path(name), "__stack_chk_fail")
            # The runtime becomes part of programs whose C library may not be glibc.
            self.assertNotIn("printf_chk", run("nm", "-D", self.path(name)).stdout)


if __name__ == "__main__":
    unittest.main()
