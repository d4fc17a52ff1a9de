"""The object merger against gcc, ld -r and the system's linker. Usage: test_object.py BUILD_DIR"""
import os, random, shutil, subprocess, sys, tempfile, unittest

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else os.environ["TENON_BUILD"]
MERGE = os.path.join(BUILD, "tests", "objmerge")
CC = os.environ.get("CC", "gcc")

A = r"""
#include <stdio.h>
static int counter = 10;              /* statics of equal names in both files */
static const char *const words[] = {"alpha", "beta", "gamma"};
int shared_common[16];                /* -fcommon: a common symbol */
extern int other(int), weak_pick(void), absent(void) __attribute__((weak));
extern _Thread_local int per_thread;
__attribute__((weak)) int weak_both(void) { return 1; }
static int bump(void) { return ++counter; }
static int (*const table[])(void) = {bump, weak_both};
extern const unsigned char blob[];
int entry(void) {
  shared_common[3] += 5;
  per_thread += 2;
  printf("%s %s %d %d %d %d %d %d\n", words[1], words[2], bump(), table[0](), other(4), weak_both(),
         absent ? 1 : 0, per_thread);
  printf("%.5s %d\n", (const char *)blob, shared_common[3]);
  return 0;
}
static void __attribute__((constructor)) early(void) { shared_common[3] = 100; }
"""
B = r"""
#include <string.h>
static int counter = 1000;
int shared_common[64];
_Thread_local int per_thread = 40;
int weak_both(void) { return 2; }
static int bump(void) { return counter++; }
int other(int x) { char text[16]; strcpy(text, "beta"); return bump() + x + (int)strlen(text) + shared_common[63]; }
"""
MAIN = "int entry(void);\nint main(void) { return entry(); }\n"


def run(*words, check=True, **kw):
    r = subprocess.run([str(w) for w in words], capture_output=True, text=True, errors="replace", **kw)
    if check and r.returncode:
        raise AssertionError(f"{words}: {r.returncode}\n{r.stdout}{r.stderr}")
    return r


def contents(path):
    with open(path, "rb") as f:
        return f.read()


class Merge(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name, text=None):
        p = os.path.join(self.folder.name, name)
        if text is not None:
            with open(p, "w" if isinstance(text, str) else "wb") as f:
                f.write(text)
        return p

    def cc(self, name, text, *flags):
        out = self.path(name + ".o")
        run(CC, "-c", *flags, self.path(name + ".c", text), "-o", out)
        return out

    def globals_of(self, obj):
        rows = [l.split() for l in run("nm", obj).stdout.splitlines()]
        return sorted(r[2] for r in rows if len(r) == 3 and r[1].isupper())

    def undefined_of(self, obj):
        return sorted(l.split()[-1] for l in run("nm", "-u", obj).stdout.splitlines())

    def test_merge_links_and_runs_as_ld_does(self):
        blob = self.path("blob", "HELLO weights" * 1000)
        want = None
        for flags in (["-O0", "-g"], ["-O2", "-ffunction-sections", "-fdata-sections"], ["-O2", "-fPIC", "-g"],
                      ["-O2", "-mcmodel=medium"], ["-Os", "-gz"]):
            a, b = self.cc("a", A, "-fcommon", *flags), self.cc("b", B, "-fcommon", *flags)
            m = self.cc("main", MAIN)
            out = self.path("merged.o")
            run(MERGE, "-o", out, "-g", "entry", "-d", "blob=" + blob, a, b)
            self.assertEqual(self.globals_of(out), ["entry"])
            exe = self.path("exe")
            run(CC, "-Wl,--fatal-warnings", m, out, "-o", exe)
            got = run(exe).stdout
            # the same through ld -r, the weights made by objcopy's way: a C array
            c = self.cc("c", "const unsigned char blob[] = \"HELLO weights\";\n")
            ref, ref_exe = self.path("ref.o"), self.path("ref")
            run("ld", "-r", a, b, c, "-o", ref)
            run(CC, m, ref, "-o", ref_exe)
            self.assertEqual(got, run(ref_exe).stdout)
            self.assertTrue(set(self.undefined_of(out)) <= set(self.undefined_of(ref)))
            want = want or got
            self.assertEqual(got, want)

    def test_same_bytes_each_time(self):
        a, b = self.cc("a", A, "-fcommon"), self.cc("b", B, "-fcommon")
        blob = self.path("blob", "x" * 4097)
        files = []
        for i in range(2):
            run(MERGE, "-o", self.path(f"o{i}"), "-g", "entry", "-d", "blob=" + blob, a, b)
            files.append(contents(self.path(f"o{i}")))
        self.assertEqual(files[0], files[1])
        self.assertNotIn(self.folder.name.encode(), files[0])

    def test_readelf_and_both_linkers_accept_it(self):
        a, b, m = self.cc("a", A, "-g", "-fcommon"), self.cc("b", B, "-g", "-fcommon"), self.cc("main", MAIN)
        blob, out = self.path("blob", "HELLO" * 9), self.path("o.o")
        run(MERGE, "-o", out, "-g", "entry", "-d", "blob=" + blob, a, b)
        r = run("readelf", "-aW", out)
        self.assertNotIn("arning", r.stdout + r.stderr)
        self.assertNotIn("rror", r.stderr)
        lld = shutil.which("ld.lld") or shutil.which("ld.lld-19")  # Debian's lld-19 has the name with the version only
        os.symlink(lld, self.path("ld.lld"))
        run(CC, "-B" + self.folder.name, "-fuse-ld=lld", "-Wl,--fatal-warnings", m, out, "-o", self.path("exe"))
        run(self.path("exe"))
        dump = run("readelf", "--debug-dump=info", out)
        self.assertNotIn("rror", dump.stderr)
        self.assertIn("b.c", dump.stdout)

    def test_unwinding_crosses_merged_code(self):
        text = r"""
        #include <execinfo.h>
        int depth_%s(int n) { void *frames[64]; if (n == 0) return backtrace(frames, 64);
          return (%s ? %s(n - 1) : depth_%s(n - 1)) + 0 * n; }
        int %s(int);
        """
        one = self.cc("one", "int two(int);" + text % ("a", "1", "two", "a", "one") +
                      "int one(int n){return depth_a(n);}", "-O0")
        two = self.cc("two", "int one(int);" + text % ("b", "1", "one", "b", "two") +
                      "int two(int n){return depth_b(n);}", "-O0")
        m = self.cc("main", "int one(int);\n#include <stdio.h>\nint main(void){printf(\"%d\\n\", one(6));return 0;}")
        run(MERGE, "-o", self.path("o.o"), "-g", "one", one, two)
        run(CC, m, self.path("o.o"), "-o", self.path("exe"))
        run(CC, m, one, two, "-o", self.path("ref"))
        self.assertEqual(run(self.path("exe")).stdout, run(self.path("ref")).stdout)
        self.assertGreater(int(run(self.path("exe")).stdout), 12)

    def test_comdat_groups_keep_the_first(self):
        asm = """
        .section .text.pick,"axG",@progbits,pick,comdat
        .weak pick
        .type pick,@function
        pick: .cfi_startproc
          movl $%d, %%eax
          ret
          .cfi_endproc
        .text
        .globl call_%s
        call_%s: jmp pick
        """
        parts = []
        for name, value in (("a", 7), ("b", 9)):
            src = self.path(name + ".s", asm % (value, name, name))
            run(CC, "-c", src, "-o", self.path(name + ".o"))
            parts.append(self.path(name + ".o"))
        m = self.cc("main", "int call_a(void), call_b(void);int pick(void){return 1;}\n"
                    "int main(void){return call_a()*10+call_b()+pick();}")
        run(MERGE, "-o", self.path("o.o"), "-g", "call_a", "-g", "call_b", *parts)
        run(CC, m, self.path("o.o"), "-o", self.path("exe"))
        self.assertEqual(run(self.path("exe"), check=False).returncode, 78)
        self.assertNotIn("GROUP", run("readelf", "-SW", self.path("o.o")).stdout)

    def test_archive_members_are_pulled_when_needed(self):
        names = []
        for name, text in (("top", "int mid(void);int top(void){return mid()+1;}"),
                           ("a_member_with_a_long_name", "int low(void);int mid(void){return low()+10;}"),
                           ("low", "int low(void){return 100;}"),
                           ("not_needed", "int extra(void){return nothing_has_this();}")):
            names.append(self.cc(name, text, "-w"))
        lib = self.path("lib.a")
        run("ar", "rcs", lib, *names[1:])
        run(MERGE, "-o", self.path("o.o"), "-g", "top", "-a", lib, names[0])
        self.assertEqual(self.undefined_of(self.path("o.o")), [])
        m = self.cc("main", "int top(void);int main(void){return top();}")
        run(CC, m, self.path("o.o"), "-o", self.path("exe"))
        self.assertEqual(run(self.path("exe"), check=False).returncode, 111)
        run(MERGE, "-o", self.path("p.o"), "-g", "mid", "-a", lib)  # a global that only an archive has
        self.assertEqual(self.globals_of(self.path("p.o")), ["mid"])

    def test_archive_written_is_an_archive(self):
        a = self.cc("a", "int one(void){return 41;}int two(void){return 1;}")
        m = self.cc("main", "int one(void),two(void);int main(void){return one()+two();}")
        for member in ("net.o", "a_name_longer_than_fifteen.o"):
            lib = self.path("libnet.a")
            run(MERGE, "-o", lib, "-A", member, "-g", "one", "-g", "two", a)
            self.assertEqual(run("ar", "t", lib).stdout.split(), [member])
            self.assertIn("one in " + member, run("nm", "-s", lib).stdout)
            run(CC, m, lib, "-o", self.path("exe"))
            self.assertEqual(run(self.path("exe"), check=False).returncode, 42)

    def test_errors(self):
        a, b = self.cc("a", "int f(void){return 1;}"), self.cc("b", "int f(void){return 2;}")
        r = run(MERGE, "-o", self.path("o"), "-g", "f", a, b, check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("symbol 'f' is defined in 'code part 0' and again in 'code part 1' [TN0501]", r.stderr)
        r = run(MERGE, "-o", self.path("o"), "-g", "g", a, check=False)
        self.assertIn("symbol 'g' is to be exported but nothing defines it", r.stderr)
        r = run(MERGE, "-o", self.path("o"), self.path("text", "hello" * 100), check=False)
        self.assertIn("not an ELF file", r.stderr)
        r = run(MERGE, "-o", self.path("o"), "-a", a, check=False)
        self.assertIn("not an archive", r.stderr)
        self.assertEqual(sorted(os.listdir(self.folder.name)), ["a.c", "a.o", "b.c", "b.o", "text"])

    def damaged(self, data, seed):
        rng = random.Random(seed)
        data = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)):]
        return bytes(data)

    def test_damaged_objects_are_refused_or_merged_never_crash(self):
        a = self.cc("a", A, "-fcommon", "-Os")
        lib = self.path("lib.a")
        run("ar", "rcs", lib, self.cc("b", B, "-fcommon", "-Os"))
        blob = self.path("blob", "HELLO")
        codes = {0: 0, 1: 0}
        for seed in range(int(os.environ.get("TENON_DAMAGE_RUNS", "400"))):
            hurt_archive = seed % 4 == 0
            bad = self.path("bad", self.damaged(contents(lib if hurt_archive else a), seed))
            words = [MERGE, "-o", self.path("o"), "-g", "entry", "-d", "blob=" + blob]
            words += ["-a", bad, a] if hurt_archive else ["-a", lib, bad]
            r = run(*words, check=False, timeout=20)
            self.assertIn(r.returncode, (0, 1), f"seed {seed}: {r.returncode}\n{r.stderr}")
            codes[r.returncode] += 1
        self.assertGreater(codes[0], 20)
        self.assertGreater(codes[1], 20)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:])
