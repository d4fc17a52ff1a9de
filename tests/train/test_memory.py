"""The memory of training programs: what is planned is what a program takes, close to the least that is possible, and
less where a batch is done in parts.   usage: test_memory.py BUILD
"""
import glob
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

import numpy as np

from common import BUILD, HERE, Count

sys.path.insert(0, os.path.join(HERE, "curves"))
from models import MODELS  # noqa: E402
from programs import source_of  # noqa: E402

TENON = os.path.join(BUILD, "bin", "tenon")
ATTEND = """module Layer(x: f32[B, T, D]) -> f32[B, T, D] {
  let (q, k, v) = x |> linear(3 * D) |> split(3)
  let y = attention(reshape(q, B, T, 2, D / 2), reshape(k, B, T, 2, D / 2), reshape(v, B, T, 2, D / 2))
  let h = x + (reshape(y, B, T, D) |> linear(D)) |> layernorm
  return h + (h |> linear(4 * D) |> gelu |> linear(D)) |> layernorm
}
"""
LAST = "module Last(x: f32[B, T, I]) -> f32[B, 32] {\n  let (all, h, c) = x |> lstm(32)\n  return h\n}\n"
# name: modules, inputs of a sample, the model's body
NETS = {
    "mlp": ("", (20,), "x |> linear(64) |> relu |> linear(64) |> relu |> linear(4)"),
    "deep": ("", (32,), "x |> linear(64) |> tanh |> linear(64) |> gelu |> linear(64) |> sigmoid |> linear(64) |> tanh\n"
             "  |> linear(64) |> softplus |> linear(4)"),
    "conv": ("", (3, 12, 12), "x |> conv(8, 3, pad: 1, bias: false) |> batchnorm |> relu |> maxpool(2)\n"
             "  |> conv(16, 3, pad: 1, bias: false) |> batchnorm |> relu |> flatten |> linear(4)"),
    "lstm": (LAST, (16, 8), "x |> Last |> linear(4)"),
    "encoder": (ATTEND, (12, 16), "x |> Layer |> Layer |> Layer |> mean(1) |> linear(4)"),
}
NETS["dropped"] = (ATTEND, NETS["encoder"][1],
                   "x |> Layer |> dropout(0.2) |> Layer |> dropout(0.2) |> Layer |> mean(1) |> linear(4)")
NETS["tower"] = ("", (3, 12, 12), "x" + " |> conv(8, 3, pad: 1, bias: false) |> batchnorm |> relu\n" * 6
                 + "  |> flatten |> linear(4)")
NETS["looped"] = (ATTEND, NETS["encoder"][1], "{\n  let h = x |> linear(16)\n"
                  "  for i in 0..4 { h = Layer(h) |> dropout(0.1) }\n  return h |> mean(1) |> linear(4)\n}")
NETS["normed first"] = ("""module First(x: f32[B, T, D]) -> f32[B, T, D] {
  let h = x + (x |> layernorm |> linear(2 * D) |> gelu |> linear(D))
  return h + (h |> layernorm |> linear(4 * D) |> gelu |> linear(D))
}
""", NETS["encoder"][1], "{\n  let h = x |> linear(16)\n  for i in 0..6 { h = First(h) }\n"
                        "  return h |> mean(1) |> linear(4)\n}")
NETS["scanned"] = ("dim S = 24\nmodule Cell(x: f32[B, I], h: f32[B, H], c: f32[B, H]) -> (f32[B, H], f32[B, H]) {\n"
                   "  let (i, f, g, o) = linear(x, 4 * H) + linear(h, 4 * H) |> split(4)\n"
                   "  let next = sigmoid(f + 1) * c + sigmoid(i) * tanh(g)\n"
                   "  return (sigmoid(o) * tanh(next), next)\n}\n",
                   (24, 8), "{\n  let e = reshape(x |> linear(16), B, S, 16)\n  sub cell = Cell()\n"
                   "  scan (xt, t) in e along S carry h = zeros(B, 32), c = zeros(B, 32) {\n"
                   "    let (h2, c2) = cell(xt |> dropout(0.1), h, c)\n    h = h2\n    c = c2\n  }\n"
                   "  return h |> linear(4)\n}")
BATCH = 32


class Net:
    """A folder with one program; settings: further lines of its train block."""

    def __init__(self, name, settings="", optimizer="adam(lr: 3e-3)"):
        self.folder = tempfile.TemporaryDirectory()
        modules, extents, body = NETS[name]
        rng = np.random.default_rng(1)
        np.save(self.path("x.npy"), rng.standard_normal((5 * BATCH, *extents)).astype(np.float32))
        np.save(self.path("y.npy"), rng.integers(0, 4, 5 * BATCH).astype(np.int32))
        dims = ", ".join(map(str, extents))
        with open(self.path("net.tn"), "w", encoding="ascii") as out:
            out.write(f'data pool = npy("x.npy", y: "y.npy")\n{modules}'
                      f"model Net(x: f32[B, {dims}]) -> f32[B, 4] {body if body[0] == '{' else '= ' + body}\n"
                      "train Net on pool {\n  loss = cross_entropy(out, y)\n"
                      f"  optimizer = {optimizer}; batch = {BATCH}\n"
                      f"  steps = 12; seed = 1\n{settings}\n}}\n")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run(self, *words, rc=0):
        done = subprocess.run(words, cwd=self.folder.name, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == rc, (words, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout + done.stderr

    def make(self, *words, rc=0):
        return self.run(TENON, "net.tn", "-o", "net", "--verify-each", *words, rc=rc)

    def arenas(self):
        return json.loads(self.run("./net", "info", "--json"))["arenas"]

    def train(self):
        """The weights and states after all steps, f32."""
        self.run("./net", "train", "--quiet")
        with open(self.path("net.checkpoints/step-00000012.safetensors"), "rb") as f:
            head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
            data = f.read()
        return {name: np.frombuffer(data[slice(*entry["data_offsets"])], np.float32) for name, entry in head.items()
                if name != "__metadata__" and entry["dtype"] == "F32"}


def check_gap(name, told):
    """The plans of all models of a program are close to their bounds."""
    rows = re.findall(r"^arena (\d+) bytes, ([0-9.]+) % above the least possible", told, re.M)
    gaps = [float(gap) for _, gap in rows]
    if len(gaps) < 5:
        return told
    print("  %-20s %2d models, a step %10s bytes, at most %.2f %% above the least" % (name, len(rows), rows[0][0],
                                                                                   max(gaps)))
    return None if max(gaps) < 3 else told


def plans_of_examples():
    """Of each file the plans; no data is read for them."""
    for path in sorted(glob.glob(os.path.join(HERE, "..", "..", "examples", "*.tn"))):
        name = os.path.basename(path)
        words = ["--set", "train.mesh=none", "--set", "train.parallel=none", "-D", "D=96"] if name == "gpt2.tn" else []
        done = subprocess.run([TENON, path, *words, "--emit=plan", "--verify-each", "-o", "-"], capture_output=True,
                              text=True, timeout=120, check=False)
        yield name, done.stdout + done.stderr
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, name + ".tn")
            with open(path, "w", encoding="ascii") as out:
                out.write(source_of(name, "adam", "f32", 1e-3, name))
            done = subprocess.run([TENON, path, "--emit=plan", "--verify-each", "-o", "-"], capture_output=True,
                                  text=True, timeout=120, check=False)
        yield "curve of " + name, done.stdout + done.stderr


def check_peak(name, settings, optimizer):
    """static(peak_memory) is what the program says it takes."""
    net = Net(name, settings, optimizer)
    net.make()
    a = net.arenas()
    total = a["persistent"] + a["step"] + a["comm"]
    Net(name, settings + f"  require static(peak_memory) <= {total}\n", optimizer).make()
    told = Net(name, settings + f"  require static(peak_memory) < {total}\n", optimizer).make(rc=1)
    return None if f"static(peak_memory) is {total} bytes" in told else told


def check_micro(name):
    """A quarter of the batch at a time: the working memory shrinks, the sums of gradients are a third arena, and the
    weights are the same but for rounding."""
    sgd = "sgd(lr: 0.03, momentum: 0.9)"
    whole, parts = Net(name, "", sgd), Net(name, f"  micro = {BATCH // 4}", sgd)
    whole.make()
    parts.make()
    a, b = whole.arenas(), parts.arenas()
    if b["step"] > 0.6 * a["step"] or a["comm"] or b["comm"] < 2 * 4 * 1000:
        return "%s: %s, in parts %s" % (name, a, b)
    whole, parts = whole.train(), parts.train()
    for key in whole:
        if not np.allclose(whole[key], parts[key], rtol=1e-4, atol=1e-5):
            return "%s: %s is another" % (name, key)
    return None


def check_remat(name, settings=""):
    """Computing again what the backward pass needs takes less memory and changes no bit; so does a budget between."""
    kept, all_again = Net(name, settings), Net(name, settings + "  remat = all\n")
    kept.make()
    all_again.make()
    most, least = kept.arenas()["step"], all_again.arenas()["step"]
    if least > 0.9 * most:
        return "%s: %d bytes, %d with remat = all" % (name, most, least)
    budget = (most + least) // 2
    by_option, by_file = Net(name, settings), Net(name, settings + f"  remat = auto(budget: {budget})\n")
    by_option.make(f"--memory-budget={budget}")
    by_file.make()
    weights = kept.train()
    for net in (all_again, by_option, by_file):
        if net.arenas()["step"] > budget:
            return "%s: %s, budget %d" % (name, net.arenas(), budget)
        again = net.train()
        if any(weights[key].tobytes() != again[key].tobytes() for key in weights):
            return "%s: other weights" % name
    told = Net(name, settings).make("--memory-budget=4K", rc=1)
    found = re.findall(r"net.tn:\d+:\d+: note: '.*' takes (\d+) bytes at the fullest step", told)
    needs = re.search(r"error: the memory plan needs (\d+) bytes, the budget is 4096 \[TN0402\]", told)
    return None if len(found) == 5 and needs and int(needs[1]) <= 1.1 * least else told


def check_keep(name, counts):
    """Of loops every n-th state is kept: each count takes less memory than the one before, and changes no bit."""
    kept = Net(name)
    kept.make()
    bytes_before, weights = kept.arenas()["step"], kept.train()
    for n in counts:
        net = Net(name, f"  remat = keep_every({n})\n")
        net.make()
        held, again = net.arenas()["step"], net.train()
        if held > 0.9 * bytes_before:
            return f"{name}: keep_every({n}) takes {held} bytes, before {bytes_before}"
        if any(weights[key].tobytes() != again[key].tobytes() for key in weights):
            return f"{name}: other weights by keep_every({n})"
        bytes_before = held
    return None


def check_in_place():
    """Second buffers only where a kernel reads more of a weight than it writes at once: of lamb's weights."""
    adam, lamb = Net("mlp"), Net("mlp", optimizer="lamb(lr: 3e-3)")
    adam.make()
    lamb.make()
    weights = 4 * (20 * 64 + 64 + 64 * 64 + 64 + 64 * 4) + 64
    a, b = adam.arenas()["persistent"], lamb.arenas()["persistent"]
    return None if (a, b) == (3 * weights, 4 * weights) else "%s" % ((a, b, weights),)


def main():
    count = Count()
    for name in ("mlp", "deep", "conv", "lstm", "encoder"):
        told = Net(name).run(TENON, "net.tn", "--emit=plan", "--verify-each", "-o", "-")
        count.judge("gap of " + name, check_gap(name, told))
    for name, told in plans_of_examples():
        count.judge("gap of " + name, check_gap(name, told))
    for settings in ("", "  micro = 4; reproducible = world\n", "  on nan { skip_batch() }\n"):
        count.judge("peak of conv with" + settings.rstrip(), check_peak("conv", settings, "lamb(lr: 1e-3)"))
    count.judge("micro", check_micro("deep"))
    count.judge("in place", check_in_place())
    for name, settings in (("dropped", "  precision = bf16; micro = 8\n"), ("tower", "")):
        count.judge("remat of " + name + settings.rstrip(), check_remat(name, settings))
    count.judge("states of a for", check_keep("looped", (2, 1)))
    count.judge("states of a for that norms first", check_keep("normed first", (3, 1)))
    count.judge("states of a scan", check_keep("scanned", (7, 3)))
    count.judge("remat of looped", check_remat("looped"))
    count.finish()


main()
