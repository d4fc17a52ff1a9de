"""What is installed, in other people's builds: examples/embed by CMake, Make and Meson from an installed tree that was
moved; what is built again and what is not; equal bytes from different places.   usage: test_install.py BUILD_DIR
Ends with `N passed, N failed, N skipped`."""
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.path.abspath(sys.argv.pop(1))
EXAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "examples")
TABLE = "0 0 -> 0\n0 1 -> 1\n1 0 -> 1\n1 1 -> 0\n"
PACKAGE = ("bin/tenon", "lib/tenon/tenon_llvm.so", "lib/cmake/Tenon/TenonConfig.cmake",
           "lib/cmake/Tenon/TenonConfigVersion.cmake", "lib/cmake/Tenon/TenonAddModel.cmake",
           "include/tenon.h", "share/pkgconfig/tenon.pc", "share/pkgconfig/tenon-rt.pc", "share/tenon/tenon.mk",
           "share/man/man1/tenon.1.gz", "share/bash-completion/completions/tenon",
           "share/zsh/vendor-completions/_tenon", "share/fish/vendor_completions.d/tenon.fish",
           "share/doc/tenon/copyright")


def run(*words, **kw):
    got = subprocess.run(words, capture_output=True, text=True, timeout=300, **kw)
    if got.returncode:
        raise AssertionError(f"{' '.join(words)}: status {got.returncode}\n{got.stdout}{got.stderr}")
    return got.stdout


def tool(name):
    if shutil.which(name) is None:
        raise unittest.SkipTest(name + " is not installed")
    return name


class Installed(unittest.TestCase):
    example, model, weights = "embed", "xor.tnir", "xor.weights"

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        first = os.path.join(cls.folder.name, "first")
        run("cmake", "--install", BUILD, "--prefix", first)
        cls.prefix = os.path.join(cls.folder.name, "moved")
        os.rename(first, cls.prefix)
        cls.env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(cls.prefix, "share/pkgconfig"),
                       CMAKE_PREFIX_PATH=cls.prefix, LC_ALL="C.UTF-8")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = os.path.join(folder.name, self.example)
        shutil.copytree(os.path.join(EXAMPLES, self.example), self.source)

    def in_source(self, *words, **kw):
        return run(*words, cwd=self.source, env=kw.pop("env", self.env), **kw)

    def touch_weights(self):
        time.sleep(0.05)
        os.utime(os.path.join(self.source, self.weights))

    def stem(self):
        return os.path.splitext(self.model)[0]

    def cmake(self, generator, program):
        tool(program)
        self.in_source("cmake", "-S", ".", "-B", "build", "-G", generator)
        self.in_source("cmake", "--build", "build")
        self.assertEqual(self.in_source("build/" + self.example), TABLE)

    def test_cmake_ninja(self):
        self.cmake("Ninja", "ninja")
        self.assertIn("no work to do", self.in_source("ninja", "-C", "build", "-n"))
        self.touch_weights()
        again = self.in_source("ninja", "-C", "build")
        self.assertIn("Compiling the model " + self.stem(), again)
        self.assertIn("no work to do", self.in_source("ninja", "-C", "build", "-n"))

    def test_cmake_make(self):
        self.cmake("Unix Makefiles", "make")
        self.assertNotIn("Compiling the model", self.in_source("cmake", "--build", "build"))
        self.touch_weights()
        self.assertIn("Compiling the model " + self.stem(), self.in_source("cmake", "--build", "build"))
        self.assertNotIn("Compiling the model", self.in_source("cmake", "--build", "build"))

    def test_make(self):
        tool("make")
        self.in_source("make")
        self.assertEqual(self.in_source("./" + self.example), TABLE)
        self.assertIn("up to date", self.in_source("make"))
        self.touch_weights()
        self.assertIn(f"{self.model} -o {self.stem()}.o", self.in_source("make"))
        self.assertIn("up to date", self.in_source("make"))

    def test_meson(self):
        tool("meson")
        self.in_source("meson", "setup", "build")
        self.in_source("ninja", "-C", "build")
        self.assertEqual(self.in_source("build/" + self.example), TABLE)
        self.assertIn("no work to do", self.in_source("ninja", "-C", "build", "-n"))
        self.touch_weights()
        self.assertIn(self.model, self.in_source("ninja", "-C", "build", "-v"))
        self.assertIn("no work to do", self.in_source("ninja", "-C", "build", "-n"))


class Language(Installed):
    """The same with a model in tenon's language, whose weights are a file too."""
    example, model, weights = "language", "gate.tn", "gate.safetensors"


class Tree(Installed):
    """What does not depend on the example."""
    test_cmake_ninja = test_cmake_make = test_make = test_meson = None

    def test_files(self):
        missing = [name for name in PACKAGE if not os.path.exists(os.path.join(self.prefix, name))]
        self.assertEqual(missing, [])
        version = run(os.path.join(self.prefix, "bin/tenon"), "--version").split()[1]
        with open(os.path.join(self.prefix, "share/pkgconfig/tenon.pc")) as f:
            self.assertIn(f"Version: {version}\n", f.read())
        with open(os.path.join(os.path.dirname(__file__), "../../cmake/package/changelog")) as f:
            self.assertTrue(f.read().startswith(f"tenon ({version}) "))

    def test_every_kind_of_target(self):
        tool("ninja")
        with open(os.path.join(self.source, "CMakeLists.txt"), "w") as f:
            f.write("cmake_minimum_required(VERSION 3.21)\nproject(kinds LANGUAGES C)\nfind_package(Tenon REQUIRED)\n")
            for kind in ("OBJECT", "STATIC", "SHARED"):
                f.write(f"tenon_add_model(net_{kind} SOURCE xor.tnir {kind} PREFIX xor OUTPUT_DIRECTORY in_{kind})\n"
                        f"add_executable(use_{kind} main.c)\ntarget_link_libraries(use_{kind} PRIVATE net_{kind})\n")
            f.write("tenon_add_model(alone SOURCE xor.tnir EXECUTABLE)\n")
        self.in_source("cmake", "-S", ".", "-B", "build", "-G", "Ninja")
        self.in_source("cmake", "--build", "build")
        for kind in ("OBJECT", "STATIC", "SHARED"):
            self.assertEqual(self.in_source("build/use_" + kind), TABLE)
        self.assertIn("batch", self.in_source("build/alone", "info"))

    def test_equal_bytes(self):
        """Other folders, times, locales, zones, homes and users: the same object."""
        tenon = os.path.join(self.prefix, "bin/tenon")
        other = os.path.join(os.path.dirname(self.source), "an other")
        shutil.copytree(self.source, other)
        run(tenon, "-c", "xor.tnir", "-o", "xor.o", "-march=x86-64-v3", cwd=self.source, env=self.env)
        time.sleep(1.1)
        env = dict(self.env, LC_ALL="de_DE.UTF-8", LANG="tr_TR.UTF-8", TZ="Asia/Tokyo", HOME="/nonexistent", USER="x")
        words = [tenon, "-c", other + "/xor.tnir", "-o", other + "/xor.o", "-march=x86-64-v3", "-j", "1"]
        if os.getuid() == 0:
            for top in (os.path.dirname(self.source), other, self.folder.name):
                os.chmod(top, 0o777)
            words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + words
        run(*words, cwd="/", env=env)
        self.assertTrue(filecmp.cmp(os.path.join(self.source, "xor.o"), os.path.join(other, "xor.o"), shallow=False))
        self.assertTrue(filecmp.cmp(os.path.join(self.source, "xor.h"), os.path.join(other, "xor.h"), shallow=False))


result = unittest.main(exit=False).result
skipped = len(result.skipped)
failed = len(result.failures) + len(result.errors)
print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
