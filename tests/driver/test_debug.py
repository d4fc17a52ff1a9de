"""-g: DWARF that names the kernels and leads to lines of their text.   usage: test_debug.py BUILD_DIR"""
import os
import re
import shutil
import unittest

from common import TENON, FolderTest, contents, run

N = 12  # maps that are not fused (each is an output): more than one unit of code generation
DWARFDUMP = next(filter(None, map(shutil.which, ("llvm-dwarfdump-19", "llvm-dwarfdump"))), None)


def model():
    lines = ["tnir 1", 'sym B "batch" in [1, 64]']
    types = ", ".join(f'f32[B,{40 + i}] "y{i}"' for i in range(N))
    inputs = ", ".join(f'%x{i}: f32[B,{40 + i}] "x{i}"' for i in range(N))
    lines.append(f"func @run entry ({inputs}) -> ({types}) {{")
    for i in range(N):
        lines.append(f'  %{i} = {"exp" if i % 2 else "tanh"} %x{i} : f32[B,{40 + i}] "y{i}"')
    return "\n".join([*lines, "  return " + ", ".join(f"%{i}" for i in range(N)), "}", ""])


def sections(path):
    return set(re.findall(r"\s(\.debug_\w+)\s+PROGBITS", run("readelf", "-SW", path).stdout))


def functions(path):
    """{symbol: (address, bytes)} of kernels in the symbol table."""
    rows = re.findall(r"([0-9a-f]{8,}) +(\d+) FUNC .* (\w+_kernel_\w+)$", run("readelf", "-sW", path).stdout, re.M)
    return {name: (int(address, 16), int(size)) for address, size, name in rows}


class Debug(FolderTest):
    def compile(self, *words, output="m"):
        out = self.path(output)
        run(TENON, self.path("model.tnir", model()), "-o", out, *words)
        return out

    def test_without(self):
        for words in ([], ["-c"]):
            out = self.compile(*words)
            self.assertEqual(sections(out), set())
            self.assertTrue(functions(out))
            self.assertFalse([f for f in os.listdir(self.folder) if "kernels" in f])

    def test_sections(self):
        for words in (["-g"], ["-g", "-c"], ["-g", "-shared"], ["-g", "-static-lib"], ["-g", "-O0"]):
            self.assertLessEqual({".debug_info", ".debug_line", ".debug_abbrev"}, sections(self.compile(*words)), words)

    def test_lines(self):
        """The lines of every kernel's code are those of its text."""
        out = self.compile("-g", output="m")
        text = contents(self.path("m.kernels.tnir")).decode().splitlines()
        found = functions(out)
        self.assertEqual(len(found), N)
        for symbol, (address, size) in found.items():
            places = [hex(a) for a in range(address, address + size, 4)]
            places = run("addr2line", "-f", "-e", out, *places).stdout.split("\n")
            names, lines = set(places[0:-1:2]), set(places[1::2])
            self.assertEqual(names, {symbol})
            name = re.fullmatch(r"m_kernel_(\w+)_[0-9a-f]{16}", symbol).group(1)
            first = next(i for i, line in enumerate(text) if line.startswith(f"kernel @{name} "))
            last = text.index("}", first)
            numbers = {int(m.group(1)) for m in (re.match(r".*/m\.kernels\.tnir:(\d+)", line) for line in lines) if m}
            self.assertTrue(all(first < n <= last for n in numbers), (name, first, last, numbers))
            inside = " ".join(text[n - 1] for n in numbers)
            for word in ("read", "write", "exp" if "exp" in "".join(text[first:last]) else "tanh"):
                self.assertIn(word, inside)

    def test_steps(self):
        """The calls of the kernels have the lines of the steps."""
        out = self.compile("-g", output="m")
        text = contents(self.path("m.kernels.tnir")).decode().splitlines()
        table = run("objdump", "--dwarf=decodedline", out).stdout
        rows = re.findall(r"^\S+\s+(\d+)\s", table, re.M)
        steps = [i + 1 for i, line in enumerate(text) if line.startswith("  step ")]
        self.assertEqual(len(steps), N)
        self.assertLessEqual({str(i) for i in steps}, set(rows))

    def test_training(self):
        """Each model of a training program has a text, to whose steps the code leads."""
        source = self.path("t.tn", 'data d = csv("d.csv", target: "y")\n'
                           "model M(x: f32[B, 4]) -> f32[B, 3] = x |> linear(8) |> relu |> linear(3)\n"
                           "train M on d { loss = cross_entropy(out, y); steps = 1 }\n")
        out = self.path("t")
        run(TENON, source, "-g", "-o", out)
        table = run("objdump", "--dwarf=decodedline", out).stdout
        for part in ("step", "grad", "update", "eval", "predict", "trace"):
            name = f"t.{part}.kernels.tnir"
            text = contents(self.path(name)).decode().splitlines()
            steps = {str(i + 1) for i, line in enumerate(text) if line.startswith("  step ")}
            rows = set(re.findall(rf"^{re.escape(name)}\s+(\d+)\s", table, re.M))
            self.assertTrue(steps)
            self.assertLessEqual(steps, rows, part)
        self.assertIn("train", run(out, "--help").stdout)

    def test_verifies(self):
        if not DWARFDUMP:
            self.skipTest("no llvm-dwarfdump")
        self.assertIn("No errors.", run(DWARFDUMP, "--verify", self.compile("-g", "-c")).stdout)

    def test_same_bytes(self):
        first = contents(self.compile("-g", "-c"))
        self.assertEqual(contents(self.compile("-g", "-c", "-j1")), first)

    def test_stdout(self):
        self.assertIn(".debug_info", run(TENON, self.path("model.tnir", model()), "-g", "-S", "-o", "-").stdout)
        self.assertFalse([f for f in os.listdir(self.folder) if "kernels" in f])


if __name__ == "__main__":
    unittest.main()
