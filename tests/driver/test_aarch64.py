"""Programs and libraries for aarch64, run under qemu against the reference. Usage: test_aarch64.py BUILD_DIR"""
import json, os, shutil, struct, unittest

from common import BUILD, TENON, FolderTest, contents, model, run

TRIPLE = "--triple=aarch64-linux-gnu"
SYSROOT = "/usr/aarch64-linux-gnu"
QEMU = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
GCC = shutil.which("aarch64-linux-gnu-gcc")
RUNTIME = os.path.exists(os.path.join(BUILD, "lib", "tenon", "libtnrt_core-aarch64.a"))
LLD = shutil.which("ld.lld") or shutil.which("ld.lld-19")
MLP = """tnir 1
sym B "batch" in [1, 64]
const @w : f32[24,40] = dense [%s]
const @b : f32[40] = dense [%s]
func @run entry (%%x: f32[B,24] "x") -> (f32[B,40] "y") {
  %%0 = dot %%x, @w {sum=[(1, 0)]} : f32[B,40]
  %%1 = broadcast @b {dims=[B,40], map=[1]} : f32[B,40]
  %%2 = add %%0, %%1 : f32[B,40]
  %%3 = relu %%2 : f32[B,40]
  %%4 = softmax %%3 {axis=1} : f32[B,40] "y"
  return %%4
}
"""
CNN = """tnir 1
sym B "batch" in [1, 64]
const @c : f32[8,3,3,3] = dense [%s]
const @d : f32[8,1,3,3] = dense [%s]
const @e : f32[16,8,1,1] = dense [%s]
func @run entry (%%x: f32[B,3,20,22] "x") -> (f32[B,16,5,5] "y") {
  %%0 = conv %%x, @c {stride=[2,2], dilate=[1,1], lo=[1,1], hi=[1,1]} : f32[B,8,10,11]
  %%1 = relu %%0 : f32[B,8,10,11]
  %%2 = conv %%1, @d {stride=[1,1], dilate=[1,1], lo=[1,1], hi=[1,1], groups=8} : f32[B,8,10,11]
  %%3 = sigmoid %%2 : f32[B,8,10,11]
  %%4 = conv %%3, @e {stride=[1,1], dilate=[1,1], lo=[0,0], hi=[0,0]} : f32[B,16,10,11]
  %%5 = window %%4 {op=max, axes=[2,3], size=[2,2], stride=[2,2], dilate=[1,1], lo=[0,0], hi=[0,0]} : f32[B,16,5,5] "y"
  return %%5
}
"""
TRAINING = """data d = csv("d.csv", target: "y", split: (train: 0.8, test: 0.2))
model M(x: f32[B, 4]) -> f32[B, 2] = x |> standardize |> linear(16) |> relu |> linear(2)
train M on d {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y))
  optimizer = adam(lr: 0.01); batch = 32; epochs = 10; clip = global_norm(1.0)
}
"""
PICTURES = """data d = images("pictures") {
  x: f32[1, 2, 2] = image / 255
  y: class[2] = label
}
model M(x: f32[B, 1, 2, 2]) -> f32[B, 2] = x |> flatten |> linear(2)
train M on d { loss = cross_entropy(out, y); epochs = 2; batch = 4 }
"""
USE = r"""
#include <stdio.h>
#include "net.h"
static _Alignas(64) unsigned char arena[1 << 20];
int main(void) {
  static float x[1000], y[1000];
  net_ctx *ctx;
  if (net_create(&ctx, NULL, 0, 1) == 0 || ctx) return 2;
  if (net_create(&ctx, arena, sizeof arena, 1)) return 3;
  int status = net_run(ctx, 1, x, y);
  printf("%d %g %g\n", status, y[0], y[9]);
  status = net_run(ctx, 1000000, x, y);
  printf("%d %s\n", status, net_message(ctx));
  int64_t shape[2] = {1, 1000};
  tn_tensor in = {x, {1, 0}, 2, {2, 32, 1}, shape, NULL, 0}, out = {NULL, {0, 0}, 0, {0, 0, 0}, NULL, NULL, 0};
  status = net_run_tensors(ctx, &in, &out);
  const float *view = out.data;
  const unsigned char *at = out.data;
  int inside = at > arena && at < arena + net_arena_bytes(1) + 4096;
  printf("%d %g %g %d %d\n", status, view[0], view[9], (int)out.shape[1], inside);
  in.dtype.bits = 64;
  status = net_model.run(ctx, &in, &out);
  printf("%d %s\n", status, net_model.message(ctx));
  net_destroy(ctx);
  return 0;
}
"""


def numbers(n, seed):
    """Values in [-0.5, 0.5), as text."""
    return ",".join("%.4f" % ((i * 2654435761 + seed) % 1000 / 1000 - 0.5) for i in range(n))


@unittest.skipUnless(RUNTIME and GCC, "no compiler for aarch64 (gcc-aarch64-linux-gnu)")
class Aarch64(FolderTest):
    def tenon(self, *words, **kw):
        return run(TENON, *words, cwd=self.folder, **kw)

    def compare(self, text, n_inputs, cpu):
        """Batch 3 of the model against the reference."""
        self.path("net.tnir", text)
        values = [(i * 7919 % 1000) / 500 - 1 for i in range(3 * n_inputs)]
        self.path("x.raw", struct.pack("<%df" % len(values), *values))
        shape = text.split("%x: f32[B,")[1].split("]")[0]
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, %s), }" % shape
        header = header.ljust(117) + "\n"
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode()
        self.path("x.npy", start + contents(self.path("x.raw")))
        self.tenon("net.tnir", TRIPLE, "-march=" + cpu, "-o", "net")
        self.tenon("net.tnir", "--eval", "--input", "x=x.npy", "--output-dir", "want")
        for threads in ("1", "3"):
            run(QEMU, "-L", SYSROOT, "./net", "run", "--input", "x=x.npy", "--expect", "want", "--rtol", "1e-5",
                "--atol", "1e-6", "--threads", threads, cwd=self.folder)
        return run(QEMU, "-L", SYSROOT, "./net", "info", cwd=self.folder).stdout

    @unittest.skipUnless(QEMU, "no qemu-aarch64 (qemu-user)")
    def test_an_mlp_equals_the_reference(self):
        for cpu in ("generic", "cortex-a72"):
            info = self.compare(MLP % (numbers(24 * 40, 1), numbers(40, 2)), 24, cpu)
            self.assertIn("for aarch64-linux-gnu " + cpu, info)

    @unittest.skipUnless(QEMU, "no qemu-aarch64 (qemu-user)")
    def test_a_cnn_equals_the_reference(self):
        self.compare(CNN % (numbers(8 * 27, 3), numbers(72, 4), numbers(128, 5)), 3 * 20 * 22, "generic")

    @unittest.skipUnless(QEMU and LLD, "no qemu-aarch64 or no lld")
    def test_lld_links_alone(self):
        self.path("net.tnir", model(1000))
        self.tenon("net.tnir", TRIPLE, "-o", "net", env=dict(os.environ, TENON_LD=LLD))
        run(QEMU, "-L", SYSROOT, "./net", "bench", "-n", "1", cwd=self.folder)

    @unittest.skipUnless(QEMU, "no qemu-aarch64 (qemu-user)")
    def test_external_constants_are_found(self):
        self.path("net.tnir", model(1000))
        self.tenon("net.tnir", TRIPLE, "--constants=external", "-o", "net")
        run(QEMU, "-L", SYSROOT, self.path("net"), "bench", "-n", "1", cwd="/")

    @unittest.skipUnless(QEMU, "no qemu-aarch64 (qemu-user)")
    def test_a_library_without_heap(self):
        self.path("net.tnir", model(1000))
        self.path("use.c", USE)
        self.tenon("net.tnir", TRIPLE, "-ffreestanding", "-c", "-o", "net.o")
        run(GCC, "-std=c11", "-Wall", "-Werror", "use.c", "net.o", "-o", "use", "-lm", cwd=self.folder)
        out = run(QEMU, "-L", SYSROOT, "./use", cwd=self.folder).stdout
        self.assertEqual(out, "0 1 8103.08\n1 input 'x' axis 0 (B): expected at most 64, found 1000000\n"
                         "0 1 8103.08 1000 1\n2 input 'x': expected f32, found float64\n")


    @unittest.skipUnless(QEMU, "no qemu-aarch64 (qemu-user)")
    def test_a_training_equals_that_of_this_machine(self):
        rows = [[(i * k * 7919 + 31 * k) % 1000 / 500 - 1 for k in (1, 3, 7, 11)] for i in range(200)]
        self.path("d.csv", "a,b,c,d,y\n" + "".join("%g,%g,%g,%g,%d\n" % (*r, r[0] * r[1] > r[2]) for r in rows))
        self.path("m.tn", TRAINING)
        told = []
        for emulator, options in (((QEMU, "-L", SYSROOT), (TRIPLE, "-march=generic")), ((), ("-march=native",))):
            self.tenon("m.tn", *options, "-o", "m")
            run(*emulator, "./m", "train", "--quiet", cwd=self.folder)
            told.append(json.loads(run(*emulator, "./m", "eval", "--json", cwd=self.folder).stdout)["test"]["loss"])
        self.assertAlmostEqual(told[0], told[1], delta=1e-4 * told[1])

    @unittest.skipUnless(QEMU, "no qemu-aarch64 (qemu-user)")
    def test_a_training_on_pictures(self):
        for i in range(8):
            label = "ab"[i % 2]
            os.makedirs(os.path.join(self.folder, "pictures", label), exist_ok=True)
            self.path("pictures/%s/%d.pgm" % (label, i), "P5\n2 2\n255\n" + "aAbB"[i % 2::2] * 2)
        self.path("m.tn", PICTURES)
        self.tenon("m.tn", TRIPLE, "-o", "m")
        run(QEMU, "-L", SYSROOT, "./m", "train", "--quiet", cwd=self.folder)
        self.path("pictures/a/9.jpg", b"\xff\xd8\xff\xe0")
        r = run(QEMU, "-L", SYSROOT, "./m", "train", cwd=self.folder, check=False)
        self.assertIn("9.jpg: JPEG, which programs for this machine do not read", r.stderr)


@unittest.skipIf(RUNTIME, "there is a compiler for aarch64")
class Without(FolderTest):
    def test_what_is_missing_is_said(self):
        self.path("net.tnir", model(10))
        r = run(TENON, "net.tnir", TRIPLE, "-c", cwd=self.folder, check=False)
        self.assertIn("this tenon has no runtime for 'aarch64-linux-gnu' [TN0503]", r.stderr)
        self.assertIn("it was built without a compiler for that machine (Debian: gcc-aarch64-linux-gnu)", r.stderr)
        self.assertEqual(os.listdir(self.folder), ["net.tnir"])


class Freestanding(FolderTest):
    def missing(self, *words):
        self.path("mlp.tnir", MLP % (numbers(24 * 40, 1), numbers(40, 2)))
        run(TENON, "mlp.tnir", "-ffreestanding", "-c", "-o", "net.o", *words, cwd=self.folder)
        return sorted(l.split()[-1] for l in run("nm", "-u", self.path("net.o")).stdout.splitlines())

    def test_it_calls_nothing_but_memory_functions(self):
        allowed = {"memcpy", "memset", "memmove", "memcmp"}
        self.assertLessEqual(set(self.missing()), allowed)
        self.assertLessEqual(set(self.missing("-march=x86-64-v2", "-O0")), allowed)
        if RUNTIME:
            self.assertLessEqual(set(self.missing(TRIPLE)), allowed)

    def test_programs_have_a_heap(self):
        self.path("net.tnir", model(10))
        for words in (["-o", "net"], ["-c", "--constants=external"]):
            r = run(TENON, "net.tnir", "-ffreestanding", *words, cwd=self.folder, check=False)
            self.assertIn("-ffreestanding goes with -c, -static-lib or -shared", r.stderr)


if __name__ == "__main__":
    unittest.main()
