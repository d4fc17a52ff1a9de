"""The C interface: a hundred models linked into one program (many.c), at each level, from C99 and from C++11; what
objects and shared libraries show; results against the reference.

  test_many.py BUILD_DIR              the release tests
  test_many.py BUILD_DIR --sanitize   sixteen threads under ThreadSanitizer and under AddressSanitizer, the generated
                                      code instrumented

Needs numpy and onnx. The last line is `N passed, N failed, N skipped`.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

import models

BUILD = os.path.abspath(sys.argv.pop(1))
SANITIZE = "--sanitize" in sys.argv
TENON = os.path.join(BUILD, "bin", "tenon")
HERE = os.path.dirname(os.path.abspath(__file__))
N_MODELS = 100
LANGUAGES = {"C99": ["gcc", "-std=c99", "-D_GNU_SOURCE"], "C++11": ["g++", "-x", "c++", "-std=c++11"]}
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-O1"]
NUMPY = {"f64": "<f8", "f32": "<f4", "f16": "<f2", "bf16": "<u2", "bool": "|b1",
         **{f"{k}{b}": f"{'<' if b > 8 else '|'}{k}{b // 8}" for k in "iu" for b in (8, 16, 32, 64)}}
PORT = re.compile(r'^ \*   (\w+): (input|output) "(.*)", (\w+)\[(.*)\](, found while running.*)?$', re.MULTILINE)
SIZE = re.compile(r'^ \*   (\w+): size "(.*)", ', re.MULTILINE)
DECLARED = re.compile(r"^(?!typedef)[\w ]+?[ *](m\d+_\w+)(?:\(|;)", re.MULTILINE)


def run(*words, **kw):
    r = subprocess.run([str(w) for w in words], capture_output=True, text=True, errors="replace", **kw)
    if r.returncode:
        raise AssertionError(f"{' '.join(map(str, words))}: {r.returncode}\n{r.stdout[-3000:]}{r.stderr[-3000:]}")
    return r.stdout


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Port:
    """One row of a header's comment: an input or output."""
    def __init__(self, row, sizes):
        self.parameter, self.kind, self.name, self.dtype, extents, late = row
        self.is_late = bool(late)
        self.shape = None
        if self.kind == "input":
            self.shape = [int(e) if e.isdigit() else sizes[e] for e in extents.split(",") if e]

    def sample(self, rng):
        """Contents for an input; small, so that integers do not overflow and indices are right."""
        if self.dtype == "bool":
            return rng.integers(0, 2, self.shape).astype("|b1")
        values = rng.integers(0, 5, self.shape) if self.dtype[0] in "iu" else rng.normal(size=self.shape)
        if self.dtype == "bf16":
            return (np.asarray(values, "<f4").view("<u4") >> 16).astype("<u2")
        return np.asarray(values).astype(NUMPY[self.dtype])


def numbers(array, dtype):
    """As float64, whatever holds them."""
    if dtype == "bf16":
        return (array.astype("<u4") << 16).view("<f4").astype(np.float64)
    return array.astype(np.float64)


class Built:
    """The models compiled into objects, with models.h and inputs.bin."""
    def __init__(self, folder, *options, n=N_MODELS):
        self.folder = folder
        self.has_heap = "-ffreestanding" not in options
        needs_heap = (models.found,)
        families = [f for f in models.FAMILIES if self.has_heap or f not in needs_heap]
        self.models = models.write(folder, n, families)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda m: run(TENON, "-c", m.file, "-o", f"{folder}/{m.name}.o", "-march=x86-64-v3",
                                        *m.options, *options, cwd=folder), self.models))
        self.headers = {m.name: read(f"{folder}/{m.name}.h").decode() for m in self.models}
        self.symbols = {m.name: SIZE.findall(self.headers[m.name]) for m in self.models}
        self.sizes = {m.name: {c: m.sizes[name] for c, name in self.symbols[m.name]} for m in self.models}
        self.ports = {m.name: [Port(row, self.sizes[m.name]) for row in PORT.findall(self.headers[m.name])]
                      for m in self.models}
        with open(f"{folder}/models.h", "w") as f:
            f.write(self.table())
        rng = np.random.default_rng(7)
        self.inputs = {m.name: [p.sample(rng) for p in self.ports[m.name] if p.kind == "input"] for m in self.models}
        with open(f"{folder}/inputs.bin", "wb") as f:
            for m in self.models:
                for array in self.inputs[m.name]:
                    f.write(array.tobytes())

    def wrappers(self, m):
        """Functions of one model over untyped contexts and buffers, and its row."""
        name, header = m.name, self.headers[m.name]
        sizes = ", ".join(f"sizes[{i}]" for i in range(len(self.symbols[name])))
        types = re.search(rf"^int {name}_run\((.*)\);$", header, re.MULTILINE).group(1).split(", ")
        values = ["c"] + [f"sizes[{i}]" for i in range(len(self.symbols[name]))]
        kinds = {"input": 0, "output": 0}
        declared, before, after = types[len(values):], "", ""
        for port in self.ports[name]:
            base, k = declared.pop(0).split("*")[0].strip(), kinds[port.kind]
            if port.is_late:
                declared.pop(0)
                before += f"  {base} *view_{k} = NULL;\n  int64_t extents_{k}[MOST_DIMS];\n"
                after += f"  if (status == 0) copy_view(out[{k}], view_{k}, extents_{k}, &{name}_model.outputs[{k}]);\n"
                values += [f"&view_{k}", f"extents_{k}"]
            else:
                values.append(f"({base} *){'in' if port.kind == 'input' else 'out'}[{k}]")
            kinds[port.kind] += 1
        assert not declared, name
        constant = f"{name.upper()}_ARENA_BYTES" if f"{name.upper()}_ARENA_BYTES" in header else "0"
        listed = ", ".join(str(self.sizes[name][c]) for c, _ in self.symbols[name]) or "0"
        return f"""
static const int64_t sizes_{name}[] = {{{listed}}};
static int create_{name}(void **ctx, void *arena, size_t bytes, int n_threads) {{
  {name}_ctx *made;
  int status = {name}_create(&made, arena, bytes, n_threads);
  *ctx = made;
  return status;
}}
static size_t arena_{name}(const int64_t *sizes) {{ (void)sizes; return {name}_arena_bytes({sizes}); }}
static int run_{name}(void *ctx, const int64_t *sizes, void *const *in, void *const *out) {{
  {name}_ctx *c = ({name}_ctx *)ctx;
  (void)sizes; (void)in; (void)out;
{before}  int status = {name}_run({", ".join(values)});
{after}  return status;
}}
static int tensors_{name}(void *ctx, const tn_tensor *in, tn_tensor *out) {{
  return {name}_run_tensors(({name}_ctx *)ctx, in, out);
}}
static const char *message_{name}(const void *ctx) {{ return {name}_message((const {name}_ctx *)ctx); }}
static void destroy_{name}(void *ctx) {{ {name}_destroy(({name}_ctx *)ctx); }}
""", f"""    {{"{name}", &{name}_model, sizes_{name}, {constant}, {name.upper()}_STACK_BYTES, {int(self.has_heap)},
     create_{name}, arena_{name}, run_{name}, tensors_{name},
     message_{name}, destroy_{name}}},
"""

    def table(self):
        texts = [self.wrappers(m) for m in self.models]
        return "".join(f'#include "{m.name}.h"\n' for m in self.models) + """
enum { MOST_DIMS = 8 };

/* What a late output's pointer was set to, into a buffer of the caller's. */
static inline void copy_view(void *to, const void *view, const int64_t *extents, const tn_port *port) {
  size_t bytes = port->dtype.bits / 8u;
  for (uint32_t axis = 0; axis < port->ndim; axis++) bytes *= (size_t)extents[axis];
  if (bytes > 0) memcpy(to, view, bytes);
}

typedef struct entry {
  const char *name;
  const tn_model *model;
  const int64_t *sizes;
  size_t constant_bytes; /* 0: the header has no number for this model */
  size_t stack_bytes;
  int has_heap;
  int (*create)(void **ctx, void *arena, size_t bytes, int n_threads);
  size_t (*arena_bytes)(const int64_t *sizes);
  int (*run)(void *ctx, const int64_t *sizes, void *const *in, void *const *out);
  int (*run_tensors)(void *ctx, const tn_tensor *in, tn_tensor *out);
  const char *(*message)(const void *ctx);
  void (*destroy)(void *ctx);
} entry;
""" + "".join(t[0] for t in texts) + "static const entry entries[] = {\n" + "".join(t[1] for t in texts) + "};\n"

    def link(self, language, program, *options):
        objects = [f"{m.name}.o" for m in self.models]
        run(*LANGUAGES[language], *WARNINGS, *options, "-I.", "-c", os.path.join(HERE, "many.c"), "-o", program + ".o",
            cwd=self.folder)
        run("gcc", *options, program + ".o", *objects, "-o", program, "-lm", "-lpthread", cwd=self.folder)
        return os.path.join(self.folder, program)


def libc_names():
    """What libc, libm and the loader define."""
    names = set()
    for library in ("libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"):
        path = run("gcc", "-print-file-name=" + library).strip()
        names |= {row.split()[-1].split("@")[0] for row in run("nm", "-D", "--defined-only", path).splitlines()}
    return names


class Many(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.holder.cleanup)
        cls.built = Built(cls.holder.name)
        cls.folder = cls.holder.name

    def test_each_level_from_each_language(self):
        for language in LANGUAGES:
            program = self.built.link(language, "check_" + language)
            run(program, "check", self.folder)
            run(program, "threads", self.folder)
        self.compare_with_reference()

    def compare_with_reference(self):
        data, at = read(os.path.join(self.folder, "outputs.bin")), 0
        for m in self.built.models:
            words = []
            ports = self.built.ports[m.name]
            for k, array in enumerate(self.built.inputs[m.name]):
                np.save(f"{self.folder}/in{k}.npy", array)
                words += ["--input", f"{k}=in{k}.npy"]
            shutil.rmtree(f"{self.folder}/want", ignore_errors=True)
            run(TENON, m.file, "--eval", *words, *m.options, "--output-dir", "want", cwd=self.folder)
            for port in ports:
                if port.kind == "input":
                    continue
                name = re.sub(r"[^A-Za-z0-9_.-]", lambda c: "%%%02X" % ord(c.group()), port.name)
                want = np.load(f"{self.folder}/want/{name}.npy")
                have = np.frombuffer(data, NUMPY[port.dtype], want.size, at).reshape(want.shape)
                at += have.nbytes
                tolerance = {"f16": 2e-3, "bf16": 1e-2, "f32": 1e-5, "f64": 1e-12}.get(port.dtype, 0)
                np.testing.assert_allclose(numbers(have, port.dtype), numbers(want, port.dtype), tolerance, tolerance,
                                           err_msg=f"{m.name} {m.file}")
        self.assertEqual(at, len(data))

    def test_calls_allocate_nothing(self):
        program = self.built.link("C99", "calls")
        def count(n):
            env = dict(os.environ, LD_PRELOAD=os.path.join(BUILD, "tests", "preload_malloc.so"),
                       MALLOC_COUNT_FILE=os.path.join(self.folder, "count"))
            run(program, "calls", self.folder, str(n), env=env)
            return int(read(os.path.join(self.folder, "count")))
        few = count(2)
        self.assertGreater(few, N_MODELS)
        self.assertEqual(count(20), few)

    def test_the_stack_is_as_deep_as_the_header_says(self):
        """Most of the bound is kept for the C library; without one it is what the code was found to take."""
        run(self.built.link("C99", "stack"), "stack", self.folder)
        with tempfile.TemporaryDirectory() as folder:
            for level in ("-O0", "-O2"):
                alone = Built(folder, "-ffreestanding", level, n=2 * len(models.FAMILIES))
                percent = int(run(alone.link("C99", "stack" + level), "stack", folder))
                self.assertIn(percent, range(15, 101), level)

    def test_objects_need_libc_and_libm_only(self):
        known = libc_names()
        for m in self.built.models:
            missing = {row.split()[-1] for row in run("nm", "-u", f"{self.folder}/{m.name}.o").splitlines()}
            self.assertLessEqual(missing, known, m.name)
            self.assertFalse([name for name in missing if name.startswith("tnrt_")], m.name)
            if "--threads=1" in m.options:
                self.assertFalse([name for name in missing if name.startswith("pthread_")], m.name)

    def test_symbols_are_those_of_the_header(self):
        for m in self.built.models:
            table = run("nm", "-g", "--defined-only", f"{self.folder}/{m.name}.o")
            self.assertEqual(sorted(row.split()[-1] for row in table.splitlines()),
                             sorted(set(DECLARED.findall(self.built.headers[m.name]))), m.name)
        for m in self.built.models[:3]:
            run(TENON, "-shared", m.file, *m.options, "-o", f"{m.name}.so", cwd=self.folder)
            table = run("nm", "-D", "--defined-only", f"{self.folder}/{m.name}.so")
            self.assertEqual(sorted(row.split()[-1] for row in table.splitlines()),
                             sorted(set(DECLARED.findall(self.built.headers[m.name]))), m.name)

    def test_another_interface_does_not_link(self):
        """The header of another model under the same name, and of another ABI."""
        for name in ("changed", "use"):
            os.mkdir(f"{self.folder}/{name}")
        with open(f"{self.folder}/use/other.c", "w") as f:
            f.write('#include "m0.h"\nint main(void) { m0_ctx *c; return m0_create(&c, 0, 0, 1); }\n')
        link = ["gcc", "use/other.c", "m0.o", "-o", "other", "-lm", "-lpthread"]
        run(*link, "-I.", cwd=self.folder)
        one, two = self.built.headers["m0"], self.built.headers[f"m{len(models.FAMILIES)}"]
        of = r"#define m\d+_create m\d+_create_(\d+)_([0-9a-f]{8})"
        (abi, digest), (same, other) = re.search(of, one).groups(), re.search(of, two).groups()
        self.assertEqual(abi, same)
        self.assertNotEqual(digest, other)
        for changed in (one.replace(digest, other), one.replace(f"_create_{abi}_", f"_create_{int(abi) + 1}_")):
            with open(f"{self.folder}/changed/m0.h", "w") as f:
                f.write(changed)
            with self.assertRaisesRegex(AssertionError, r"undefined reference to `m0_create_\d+_[0-9a-f]{8}'"):
                run(*link, "-Ichanged", cwd=self.folder)


class Sanitized(unittest.TestCase):
    def test_addresses(self):
        with tempfile.TemporaryDirectory() as folder:
            built = Built(folder, "-fsanitize=address", n=2 * len(models.FAMILIES))
            program = built.link("C99", "check", "-fsanitize=address")
            self.assertIn("__asan_report_load", run("nm", "-u", f"{folder}/m0.o"))
            for verb in ("check", "threads"):
                run(program, verb, folder)
            r = subprocess.run([program, "overflow", folder], capture_output=True, text=True)
            self.assertIn("AddressSanitizer: heap-buffer-overflow", r.stderr)

    def test_sixteen_threads(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Built(folder, "-fsanitize=thread").link("C99", "threads", "-fsanitize=thread")
            self.assertIn("__tsan_read", run("nm", "-u", f"{folder}/m0.o"))
            env = dict(os.environ, TSAN_OPTIONS="halt_on_error=1 exitcode=66")
            run(program, "threads", folder, env=env)
            r = subprocess.run([program, "race", folder], capture_output=True, text=True, env=env)
            self.assertEqual(r.returncode, 66, "a race was not found")
            self.assertIn("data race", r.stderr)


suite = unittest.defaultTestLoader.loadTestsFromTestCase(Sanitized if SANITIZE else Many)
result = unittest.TextTestRunner(verbosity=1).run(suite)
skipped, failed = len(result.skipped), len(result.failures) + len(result.errors)
print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
