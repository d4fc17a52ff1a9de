"""Several -march: code for each processor in one file, chosen when it runs. Usage: test_variants.py BUILD_DIR"""
import os, re, shutil, struct, unittest

from common import TENON, FolderTest, contents, model, run

N = 1000
QEMU = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
BOTH = ("-march=x86-64-v2", "-march=haswell")
USE = r"""
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
int main(void) {
  static float x[2000], y[2000];
  net_ctx *ctx;
  size_t bytes = net_arena_bytes(2);
  void *arena = bytes ? aligned_alloc(64, (bytes + 63) / 64 * 64) : NULL;
  int status = net_create(&ctx, arena, bytes, 1);
  if (status) return printf("create %d: %.60s\n", status, net_message(ctx)), status;
  status = net_run(ctx, 2, x, y);
  printf("run %d: %g %g\n", status, y[0], y[1009]);
  status = net_run(ctx, 65, x, y);
  printf("run %d: %s\n", status, net_message(ctx));
  net_destroy(ctx);
  free(arena);
  return 0;
}
"""


class Variants(FolderTest):
    def setUp(self):
        super().setUp()
        self.path("net.tnir", model(N))
        self.path("x.raw", struct.pack("<%df" % N, *([0.25] * N)))

    def tenon(self, *words, check=True):
        return run(TENON, "net.tnir", *words, cwd=self.folder, check=check)

    def run_with(self, cpu, *words, check=True, emulate=None):
        env = dict(os.environ, TENON_CPU=cpu) if cpu else {k: v for k, v in os.environ.items() if k != "TENON_CPU"}
        emulator = [QEMU, "-cpu", emulate] if emulate else []
        return run(*emulator, *words, cwd=self.folder, env=env, check=check)

    def result(self, program, cpu=None):
        self.run_with(cpu, "./" + program, "run", "--input", "x=x.raw", "--output-dir", "out")
        return struct.unpack("<%df" % N, contents(self.path("out/y.npy"))[-4 * N:])

    def chosen(self, program, cpu=None, **kw):
        rows = self.run_with(cpu, "./" + program, "info", **kw).stdout.splitlines()
        return [r.split()[1] for r in rows if r.endswith(" (runs here)")]

    def test_the_best_is_chosen_and_any_can_be_forced(self):
        self.tenon(*BOTH, "-o", "both")
        self.tenon(BOTH[0], "-o", "v2")
        self.tenon(BOTH[1], "-o", "haswell")
        self.assertEqual(self.result("both", "x86-64-v2"), self.result("v2"))
        self.assertEqual(self.result("both", "haswell"), self.result("haswell"))
        self.assertEqual(self.result("both"), self.result("haswell"))
        self.assertEqual((self.chosen("both"), self.chosen("both", "x86-64-v2")), (["haswell"], ["x86-64-v2"]))
        self.assertIn('"variants": ["haswell", "x86-64-v2"]', self.run_with(None, "./both", "info", "--json").stdout)
        r = self.run_with("nonesuch", "./both", "info", check=False)
        self.assertEqual(r.stderr,
                         "both: error: TENON_CPU: there is no code for 'nonesuch', only for haswell, x86-64-v2\n")
        self.assertEqual((r.returncode, r.stdout), (1, ""))

    def test_constants_of_equal_bytes_are_stored_once(self):
        self.tenon(*BOTH, "-o", "both", "--constants=external")
        self.tenon(BOTH[1], "-o", "one", "--constants=external")
        self.assertEqual(contents(self.path("both.weights")), contents(self.path("one.weights")))
        self.assertEqual(self.result("both", "x86-64-v2"), self.result("both", "haswell"))

    def test_a_list_and_repeats_give_the_same_bytes(self):
        self.tenon("-march=x86-64-v2,haswell", "-c", "-o", "a.o", "--prefix=net", "--header=a.h")
        self.tenon("-march=haswell", "-march=haswell,x86-64-v2", "-c", "-o", "b.o", "--prefix=net", "--header=b.h")
        self.assertEqual(contents(self.path("a.o")), contents(self.path("b.o")))

    def test_libraries(self):
        self.path("use.c", USE)
        for kind, flag in (("net.o", "-c"), ("net.so", "-shared")):
            self.tenon(*BOTH, flag, "-o", kind)
            run("gcc", "-std=c11", "-Wall", "-Werror", "use.c", kind, "-o", "use", "-lm", "-Wl,-rpath,.",
                cwd=self.folder)
            for cpu in (None, "x86-64-v2", "haswell"):
                self.assertEqual(self.run_with(cpu, "./use").stdout, "run 0: 1 8103.08\nrun 1: input 'x' axis 0 (B): "
                                 "expected at most 64, found 65\n")
            r = self.run_with("nonesuch", "./use", check=False)
            self.assertEqual((r.returncode, r.stdout[:24]), (2, "create 2: TENON_CPU: the"))
        checked = re.search(r"\bnet_(create_\d+_[0-9a-f]{8})\(", contents(self.path("net.h")).decode()).group(1)
        names = run("nm", "-g", "--defined-only", self.path("net.o")).stdout.split()[2::3]
        self.assertEqual(names, ["net_" + n for n in ("arena_bytes", "create", checked, "destroy", "message", "model",
                                                         "run", "run_tensors")])

    @unittest.skipUnless(QEMU, "no qemu-x86_64 (qemu-user)")
    def test_other_processors(self):
        self.tenon(*BOTH, "-o", "both")
        self.tenon("-march=x86-64-v4,haswell", "-o", "new")
        self.assertEqual(self.chosen("both", emulate="Nehalem"), ["x86-64-v2"])
        r = self.run_with(None, "./new", "info", emulate="Nehalem", check=False)
        self.assertEqual(r.returncode, 71)
        self.assertIn("this processor is none that the model was compiled for; for x86-64-v4 it lacks 'avx'", r.stderr)
        self.assertIn("; for haswell it lacks 'avx'", r.stderr)
        r = self.run_with("haswell", "./both", "info", emulate="Nehalem", check=False)
        self.assertIn("cannot run the code that TENON_CPU names; for haswell it lacks 'avx'", r.stderr)

    def test_what_is_of_one_processor_is_refused(self):
        for words in (["-S"], ["--emit=llvm"], ["-g", "-c"], ["-ffreestanding", "-c"], ["--save-temps"]):
            self.assertIn("error: several -march: ", self.tenon(*BOTH, *words, check=False).stderr, words)
        self.assertIn("did you mean 'haswell'?", self.tenon("-march=x86-64-v2,hasswell", check=False).stderr)
        self.assertIn("-march: expected CPU", self.tenon("-march=x86-64-v2,", check=False).stderr)


if __name__ == "__main__":
    unittest.main()
