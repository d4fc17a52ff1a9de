"""Where constants go: --constants=embedded, section:NAME and external. Usage: test_constants.py BUILD_DIR"""
import os, shutil, struct, unittest

from common import TENON, FolderTest, contents, model, run

N = 1000
USE = r"""
#include <stdio.h>
#include <string.h>
#include "net.h"
int main(int argc, char **argv) {
  static float x[1000], y[1000];
  net_ctx *ctx;
  int status = argc > 1 ? CREATE_FROM(&ctx, argv[1], NULL, 0, 1) : net_create(&ctx, NULL, 0, 1);
  if (status) printf("create %d: %s\n", status, net_message(ctx));
  memset(y, 0, sizeof y);
  int ran = ctx ? net_run(ctx, 1, x, y) : -1;
  printf("run %d: %g %g\n", ran, y[0], y[9]);
  net_destroy(ctx);
  return status;
}
"""


class Constants(FolderTest):
    def setUp(self):
        super().setUp()
        self.path("net.tnir", model(N))
        self.path("x.raw", struct.pack("<%df" % N, *([0.5] * N)))

    def tenon(self, *words, check=True):
        return run(TENON, "net.tnir", "-march=x86-64-v3", *words, cwd=self.folder, check=check)

    def result(self, program, *words, check=True, cwd=None):
        r = run(self.path(program), "run", "--input", "x=" + self.path("x.raw"), "--output-dir", self.path("out"),
                *words, check=check, cwd=cwd)
        return contents(self.path("out/y.npy")) if r.returncode == 0 else r

    def files(self):
        return sorted(os.listdir(self.folder))

    def test_all_places_give_the_same_results(self):
        self.tenon("-o", "plain")
        for place in ("embedded", "section:my_weights", "external"):
            self.tenon("--constants=" + place, "-o", "program")
            self.assertEqual(self.result("program"), self.result("plain"), place)
        self.assertEqual(os.path.getsize(self.path("program.weights")), 4 * N + 32)  # whole vectors of 64 bytes
        self.assertIn(f"in 'program.weights', digest ", run(self.path("program"), "info").stdout)
        self.assertIn('"weights_file": "program.weights"', run(self.path("program"), "info", "--json").stdout)

    def test_a_section_has_the_name(self):
        self.tenon("--constants=section:.my.weights", "-c", "-o", "net.o")
        rows = run("readelf", "-SW", self.path("net.o")).stdout
        self.assertRegex(rows, r"\.my\.weights +PROGBITS +0+ [0-9a-f]+ 000fc0 00 +A ")
        for bad in ("section:", "section:a b", "elsewhere"):
            self.assertIn("--constants: expected embedded|section:NAME|external",
                          self.tenon("--constants=" + bad, "-c", check=False).stderr)

    def test_the_file_is_found_beside_the_program_from_anywhere(self):
        self.tenon("--constants=external", "-o", "program")
        want = self.result("program")
        os.mkdir(self.path("deep"))
        for name in ("program", "program.weights"):
            shutil.move(self.path(name), self.path("deep/" + name))
        os.symlink("deep/program", self.path("link"))
        self.assertEqual(self.result("link", cwd="/"), want)

    def refuse(self, *words, status, message):
        r = self.result("program", *words, check=False)
        self.assertEqual(r.returncode, status, r.stderr)
        self.assertIn(message, r.stderr)
        self.assertEqual(r.stdout, "")
        self.assertFalse(os.path.exists(self.path("out")))

    def test_wrong_files_are_refused(self):
        self.tenon("--constants=external", "-o", "program")
        whole = contents(self.path("program.weights"))
        os.remove(self.path("program.weights"))
        self.refuse(status=71, message=f"cannot open the weights '{self.path('program.weights')}': No such file")
        self.path("program.weights", whole[:-1])
        self.refuse(status=1, message="have 4031 bytes, those of this model 4032")
        for at in (0, 31, 32, 4000, 4031):
            self.path("program.weights", whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
            self.refuse(status=1, message="are not those of this model")
        self.path("program.weights", whole[32:64] + whole[:32] + whole[64:])  # the same blocks in another order
        self.refuse(status=1, message="are not those of this model")
        self.refuse("--weights", self.folder, status=1, message="no regular file")
        self.path("kept", whole)
        self.result("program", "--weights", self.path("kept"))

    def test_libraries(self):
        for kind, flag in (("net.o", "-c"), ("net.a", "-static-lib"), ("net.so", "-shared")):
            self.tenon("--constants=external", flag, "-o", kind)
            main = self.path("main.c", USE.replace("CREATE_FROM", "net_create_from"))
            run("gcc", "-std=c99", "-Wall", "-Werror", main, self.path(kind), "-o", self.path("use"), "-lm",
                "-lpthread", "-Wl,-rpath," + self.folder)
            self.assertEqual(run(self.path("use"), cwd="/").stdout, "run 0: 1 8103.08\n", kind)
            shutil.move(self.path("net.weights"), self.path("kept"))
            r = run(self.path("use"), check=False)
            self.assertRegex(r.stdout, r"^create 5: cannot open the weights '.*/net.weights': No such file or "
                                       r"directory\nrun 5: 0 0\n$")
            self.assertEqual(run(self.path("use"), self.path("kept")).stdout, "run 0: 1 8103.08\n")
            self.assertIn("create 2: the weights", run(self.path("use"), main, check=False).stdout)
        self.tenon("-c", "-o", "net.o")
        self.assertNotIn("create_from", contents(self.path("net.h")).decode())
        self.assertNotIn("mmap", run("nm", "-u", self.path("net.o")).stdout)

    def test_files_are_written_together_or_not_at_all(self):
        self.tenon("--constants=external", "-o", "program")
        before = {name: contents(self.path(name)) for name in self.files()}
        os.environ["TENON_LD"] = "false"
        try:
            r = self.tenon("--constants=external", "--dim=batch=1", "-o", "program", check=False)
        finally:
            del os.environ["TENON_LD"]
        self.assertEqual(r.returncode, 1)
        self.assertEqual({name: contents(self.path(name)) for name in self.files()}, before)
        for words, why in ((["-c", "-o", "-"], "a file beside the output, which must be a regular file"),
                           (["-c", "-o", "net.weights"], "this is the name of the file of the constants")):
            self.assertIn(why, self.tenon("--constants=external", *words, check=False).stderr)
        self.assertEqual(set(self.files()), set(before))

    def test_a_program_linked_by_hand_finds_it_too(self):
        lines = self.tenon("--constants=external", "-o", "program", "-###").stdout
        run("sh", "-ec", lines, cwd=self.folder)
        by_hand = self.result("program")
        self.tenon("--constants=external", "-o", "program")
        self.assertEqual(self.result("program"), by_hand)


if __name__ == "__main__":
    unittest.main()
