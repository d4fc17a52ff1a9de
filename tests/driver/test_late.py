"""Sizes found while running, through the typed C functions: C99 and C++, allocations, refusals, the caller's arena.
Usage: test_late.py BUILD_DIR"""
import os, shutil, subprocess, sys, tempfile, unittest

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else os.environ["TENON_BUILD"]
TENON = os.path.join(BUILD, "bin", "tenon")
CC = os.environ.get("CC", "gcc")

# y has a bound, so it lies in the arena; z has none; w is known at entry.
MODEL = """tnir 1
sym N in [1, 100]
sym ?0 in [0, inf] read
sym ?1 in [0, 50] read
func @run entry (%x: f32[N] "x", %s: i32[2] "s") -> (f32[?1,N] "y", f32[N,?0] "z", f32[N] "w") {
  %0 = dim_read %s {dims=[?0, ?1]} : i64[2]
  %1 = broadcast %x {dims=[N, ?0], map=[0]} : f32[N,?0]
  %2 = neg %1 : f32[N,?0]
  %3 = broadcast %x {dims=[?1, N], map=[1]} : f32[?1,N]
  %4 = add %3, %3 : f32[?1,N]
  %5 = abs %x : f32[N]
  return %4, %2, %5
}
"""
BOUNDED = MODEL.replace("?0 in [0, inf]", "?0 in [0, 9]")
USE = r"""
#include "m.h"
#include <stdio.h>
#include <stdlib.h>
static int n_allocations;
#ifdef __cplusplus
extern "C" {
#endif
void *__real_malloc(size_t n);
void *__real_aligned_alloc(size_t a, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_aligned_alloc(size_t a, size_t n);
int __real_posix_memalign(void **p, size_t a, size_t n);
int __wrap_posix_memalign(void **p, size_t a, size_t n);
void *__wrap_malloc(size_t n) { n_allocations++; return __real_malloc(n); }
void *__wrap_aligned_alloc(size_t a, size_t n) { n_allocations++; return __real_aligned_alloc(a, n); }
int __wrap_posix_memalign(void **p, size_t a, size_t n) { n_allocations++; return __real_posix_memalign(p, a, n); }
#ifdef __cplusplus
}
#endif
static m_ctx *ctx;
static void call(int32_t a, int32_t b) {
  static const float x[3] = {1, -2, 3};
  int32_t s[2];
  float w[3] = {0, 0, 0};
  const float *y = NULL, *z = NULL;
  int64_t ye[2] = {-1, -1}, ze[2] = {-1, -1}, i;
  int before = n_allocations, status;
  s[0] = a, s[1] = b;
  status = m_run(ctx, 3, x, s, &y, ye, &z, ze, w);
  if (status) {
    printf("%d %s\n", status, m_message(ctx));
    return;
  }
  for (i = 0; i < ye[0] * ye[1]; i++) if (y[i] != 2 * x[i % 3]) printf("y[%d] is %g\n", (int)i, y[i]);
  for (i = 0; i < ze[0] * ze[1]; i++) if (z[i] != -x[i / ze[1]]) printf("z[%d] is %g\n", (int)i, z[i]);
  printf("%dx%d %dx%d %g", (int)ye[0], (int)ye[1], (int)ze[0], (int)ze[1], w[1]);
  printf(" allocations %d\n", n_allocations - before);
}
int main(int argc, char **argv) {
  size_t bytes = m_arena_bytes(3);
  void *arena = argc > 1 ? __real_aligned_alloc(64, (bytes + 63) / 64 * 64) : NULL;
  if (m_create(&ctx, arena, arena ? bytes : 0, 1)) return 2;
  call(4, 5);
  call(2, 50);
  call(4, 0);
  call(4000, 1);
  call(4000, 2);
  call(-1, 2);
  call(1, 51);
  call(0, 7);
  m_destroy(ctx);
  free(arena);
  return argv[0] == NULL;
}
"""
REFUSED = ["1 value 0 of 's' (?0): expected at least 0, found -1; needed by m.tnir:6:3",
           "1 value 1 of 's' (?1): expected at most 50, found 51; needed by m.tnir:6:3"]


def run(*words, check=True, **kw):
    r = subprocess.run([str(w) for w in words], capture_output=True, text=True, errors="replace", **kw)
    if check and r.returncode:
        raise AssertionError(f"{words}: {r.returncode}\n{r.stdout}{r.stderr}")
    return r


class Late(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def build(self, text, *options, language="c"):
        path = lambda name: os.path.join(self.folder.name, name)
        for name, content in (("m.tnir", text), ("use." + language, USE)):
            with open(path(name), "w") as f:
                f.write(content)
        run(TENON, path("m.tnir"), "-c", "-o", path("m.o"), "--prefix=m", *options)
        flags = ["-std=c++11"] if language == "cc" else ["-std=c99", "-D_ISOC11_SOURCE"]
        cc = "g++" if language == "cc" else CC
        run(cc, *flags, "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-O1", "-I", self.folder.name,
            path("use." + language), path("m.o"), "-Wl,--wrap=malloc,--wrap=aligned_alloc,--wrap=posix_memalign", "-lm",
            "-o", path("use"))
        return path("use")

    def test_views_extents_and_refusals(self):
        for language in ("c", "cc") if shutil.which("g++") else ("c",):
            lines = run(self.build(MODEL, language=language)).stdout.splitlines()
            shapes = [line.split(" allocations ")[0] for line in lines]
            self.assertEqual(shapes, ["5x3 3x4 2", "50x3 3x2 2", "0x3 3x4 2", "1x3 3x4000 2", "2x3 3x4000 2", *REFUSED,
                                      "7x3 3x0 2"])

    def test_only_growing_allocates(self):
        for arena in ([], ["arena"]):
            lines = run(self.build(MODEL), *arena).stdout.splitlines()
            counts = [int(line.split(" allocations ")[1]) for line in lines if "allocations" in line]
            self.assertEqual(counts, [1 if arena else 2, 0, 0, 1, 0, 0], lines)

    def test_bounds_make_it_free_of_allocations(self):
        lines = run(self.build(BOUNDED), "arena").stdout.splitlines()
        self.assertEqual([line for line in lines if "allocations" in line and not line.endswith(" 0")], [])
        self.assertIn("1 value 0 of 's' (?0): expected at most 9, found 4000; needed by m.tnir:6:3", lines)

    def test_bounded_sizes_need_no_heap(self):
        exe = self.build(BOUNDED, "-ffreestanding")
        names = run("nm", "-u", os.path.join(self.folder.name, "m.o")).stdout.split()
        self.assertEqual([n for n in names if "alloc" in n or "free" in n], [])
        lines = run(exe, "arena").stdout.splitlines()
        self.assertIn("50x3 3x2 2 allocations 0", lines)

    def test_no_name_of_the_runtime_is_left_open(self):
        self.build(MODEL)
        names = run("nm", "-u", os.path.join(self.folder.name, "m.o")).stdout.split()
        self.assertEqual([n for n in names if n.startswith("tnrt_")], [])


if __name__ == "__main__":
    unittest.main()
