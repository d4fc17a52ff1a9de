"""Graphs compiled together, run, and held against the reference, onnxruntime and the ONNX reference evaluator.

Many graphs make one model (each with inputs and outputs of its own), so that one process compiles them for AVX-512 and
AVX2 at once. The truth is the reference in wide arithmetic. How far others may be from it is found by running error
analysis: VARIANTS further copies of each graph, in which every rounded result (and every operand of sums, products
and functions) is multiplied by one plus some units of its type's round-off; what they deviate by, four times, is the
bound of each element. A result that jumps (of a comparison, a rounding to integers, an argmax) may be what any copy
gives, or what the reference gives when it rounds at each node; where no copy moves an integer it must be equal."""
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

import oracle
from graph import Graph, all_nodes, domains_of, model_of, node_proto, parts, tensor
from judged import limit_of
from number import TYPES, is_float, name_of, quantum, unit
from program import execute, load, Refused, save

VARIANTS = 4
TARGETS = ("x86-64-v4", "haswell")
UNITS = 8       # of round-off, that a copy's values are moved by at most
TIMES = 4       # the copies' deviation
CONTROL = ("If", "Loop", "Scan", "RNN", "GRU", "LSTM")


@dataclass
class Finding:
    kind: str       # refused, crashed, compiled, reference, onnx, onnxruntime, size
    index: int
    text: str


# ---- copies that are perturbed

class Perturbed:
    def __init__(self, graph, values, number, index):
        self.graph, self.values, self.number, self.prefix = graph, values, number, f"w{number}_g{index}_"
        self.rng = np.random.default_rng([index, number])
        self.nodes, self.constants, self.n = [], [], 0

    def factor(self, x, most):
        dtype = name_of(x)
        # the first two copies move all values one way: through the jump of a rounding, say
        steps = np.full(x.shape, most * (1 - 2 * self.number)) if self.number < 2 else \
            self.rng.integers(-most, most + 1, x.shape)
        return (1 + steps * 2 * unit(dtype)).astype(TYPES[dtype])

    def moved(self, name, x, most=UNITS, spread=0.0):
        """The name of x times its factors, plus a share of its largest value."""
        self.n += 1
        k, out = f"{self.prefix}k{self.n}", f"{self.prefix}m{self.n}"
        self.constants.append(tensor(self.factor(x, most), k))
        self.nodes.append(helper.make_node("Mul", [name, k], [out]))
        if not spread or not x.size:
            return out
        dtype = name_of(x)
        largest = float(np.abs(x.astype(np.float64)).max()) * unit(dtype) * spread
        d = (self.rng.uniform(-1, 1, x.shape) * largest).astype(TYPES[dtype])
        self.constants.append(tensor(d, k + "d"))
        self.nodes.append(helper.make_node("Add", [out, k + "d"], [out + "d"]))
        return out + "d"

    def floating(self, name):
        return is_float(name_of(self.values[name]))

    def build(self):
        for node in self.graph.nodes:
            proto = node_proto(node, self.prefix)
            composite = node.mixes is not None
            for i in node.mixes or ():
                if i < len(node.inputs) and node.inputs[i] and self.floating(node.inputs[i]):
                    x = self.values[node.inputs[i]]
                    proto.input[i] = self.moved(self.prefix + node.inputs[i], x, 2 * UNITS)
            self.nodes.append(proto)
            if not node.rounds:
                continue
            for i, name in enumerate(node.outputs):
                if name and self.floating(name):
                    proto.output[i] = f"{self.prefix}{name}_r"
                    most = UNITS * (4 if node.op in CONTROL else 1)
                    out = self.moved(proto.output[i], self.values[name], most, 2.0 if composite else 0.0)
                    self.nodes.append(helper.make_node("Identity", [out], [self.prefix + name]))
        inputs = parts(self.graph, self.prefix, static=True)
        return self.nodes, inputs[1], inputs[2] + self.constants


# ---- programs

def run_all(command, graphs, folder, types):
    """Runs a program or an evaluation of the graphs: [{output: array}]. graphs: [(prefix, graph)]."""
    for prefix, graph in graphs:
        for name, x in graph.inputs.items():
            path = os.path.join(folder, prefix + name + ".npy")
            if not os.path.exists(path):
                save(path, x)
            command += ["--input", f"{prefix}{name}={path}"]
    out = tempfile.mkdtemp(dir=folder)
    execute(command[0], command + ["--output-dir", out])
    return [{o: load(os.path.join(out, f"{prefix}{o}.npy"), types[id(graph)][o]) for o in graph.outputs}
            for prefix, graph in graphs]


class Batch:
    """graphs: [(index, Graph)], all of one opset. keep: a folder to be made for the files of a failure that no graph
    has alone."""

    def __init__(self, tenon, graphs, options=(), oracles=True, keep=None):
        self.keep = keep
        self.tenon, self.graphs, self.options, self.oracles = tenon, graphs, list(options), oracles
        self.opset = graphs[0][1].opset
        self.findings, self.limited, self.invalid = [], [], []
        self.judged = self.resized = 0

    def explained(self):
        """How many graphs are known to make a batch fail."""
        return len(self.findings) + len(self.limited) + len(self.invalid)

    def found(self, kind, index, text):
        self.findings.append(Finding(kind, index, text))

    def run(self):
        self.values, self.types, good = {}, {}, []
        for index, graph in self.graphs:
            values = oracle.evaluate_graph(graph)
            self.values[index] = values
            self.types[id(graph)] = {o: name_of(values[o]) for o in graph.outputs}
            good.append((index, graph))
        self.together(good)
        return self.findings

    def together(self, graphs):
        """Compiles and judges; a batch that fails is halved until single graphs do."""
        if not graphs:
            return
        with tempfile.TemporaryDirectory(prefix="random-") as folder:
            try:
                results = self.results(graphs, folder)
            except (Refused, subprocess.TimeoutExpired) as failed:
                if len(graphs) > 1:
                    before = self.explained()
                    named = {int(i) for i in re.findall(r"\bg(\d+)_|_g(\d+)_", str(failed)) for i in i if i}
                    first = [g for g in graphs if g[0] in named]
                    if not first or len(first) == len(graphs):  # nobody is named
                        first = graphs[:len(graphs) // 2]
                    for part in [[g] for g in first] if len(first) < 4 else [first]:
                        self.together(part)
                    self.together([g for g in graphs if g not in first])
                    if self.explained() == before:
                        self.found("together", graphs[0][0], f"only together with others: {failed}")
                        self.keep_files(folder, str(failed))
                    return
                limit = limit_of(getattr(failed, "text", ""))
                if limit:
                    self.limited.append(limit)
                    return
                status = getattr(failed, "status", "time")
                self.found("refused" if status == 1 else "crashed", graphs[0][0], str(failed))
                return
        for (index, graph), found in zip(graphs, results):
            self.judge(index, graph, found)

    def keep_files(self, folder, why):
        if not self.keep:
            return
        shutil.copytree(folder, self.keep, dirs_exist_ok=True)
        with open(os.path.join(self.keep, "why.txt"), "w") as f:
            f.write(why + "\n")

    def results(self, graphs, folder):
        named = [(f"g{index}_", graph) for index, graph in graphs]
        model, exe = os.path.join(folder, "model.onnx"), os.path.join(folder, "model")
        onnx.save(self.model(named), model)
        march = [f"-march={t}" for t in TARGETS]
        execute("compiling", [self.tenon, model, "-o", exe, "-j", "1", "--verify-each", *march, *self.options])
        answers = {}
        for target in TARGETS:
            os.environ["TENON_CPU"] = target
            answers[target] = run_all([exe, "run"], named, folder, self.types)
        del os.environ["TENON_CPU"]
        answers["exact"] = run_all([self.tenon, model, "--eval", "--eval-mode", "exact"], named, folder, self.types)
        self.other_sizes(graphs, model, exe, folder)
        truth = self.truth(graphs, self.values, folder)
        return [{**{k: v[i] for k, v in answers.items()}, **truth[i]} for i in range(len(graphs))]

    def truth(self, graphs, values, folder):
        """What the reference and its moved copies say in wide arithmetic. A copy in which something counted comes to
        another number is no valid graph where an extent after that is fixed: of one graph the others are asked."""
        try:
            return self.widely(graphs, values, folder, range(VARIANTS))
        except Refused as refused:
            if len(graphs) > 1 or refused.status != 1:
                raise
            found = []
            for copy in range(VARIANTS):
                try:
                    found += self.widely(graphs, values, folder, [copy])
                except Refused:
                    pass
            if not found:
                raise
            self.invalid.append(graphs[0][0])
        return [{"wide": found[0]["wide"], "copies": [f["copies"][0] for f in found]}]

    def widely(self, graphs, values, folder, numbers):
        copies, wide = self.copies(graphs, values, numbers), os.path.join(folder, "wide.onnx")
        onnx.save(copies[0], wide)
        found = run_all([self.tenon, wide, "--eval", "--eval-mode", "wide"], copies[1], folder, self.types)
        n = len(graphs)
        return [{"wide": found[i], "copies": [found[n * (c + 1) + i] for c in range(len(numbers))]} for i in range(n)]

    # ---- the same program with other sizes

    def other_sizes(self, graphs, model, exe, folder):
        changed, values = {}, {}
        for index, graph in graphs:
            other = resized(graph, np.random.default_rng([index, 9]))
            try:
                values[index] = oracle.evaluate_graph(other) if other else None
            except oracle.Unable:  # only its own size is valid
                continue
            if other and all(oracle.finite(x) for x in values[index].values()):
                changed[index] = other
                self.types[id(other)] = self.types[id(graph)]
        if changed:
            self.resize(graphs, changed, values, (model, exe, folder))

    def resize(self, graphs, changed, values, files):
        model, exe, folder = files
        named = [(f"g{index}_", changed.get(index, graph)) for index, graph in graphs]
        inner = tempfile.mkdtemp(dir=folder)
        try:
            compiled = run_all([exe, "run"], named, inner, self.types)
            exact = run_all([self.tenon, model, "--eval", "--eval-mode", "exact"], named, inner, self.types)
            truth = dict(zip(changed, self.truth(list(changed.items()), values, inner)))
        except Refused as refused:
            if len(changed) > 1:
                for index in changed:
                    self.resize(graphs, {index: changed[index]}, values, files)
            elif refused.status != 1:  # a refusal by name may be right: the evaluator checks less (no idle branch)
                self.found("size", next(iter(changed)), str(refused))
            return
        for (index, graph), mine, reference in zip(graphs, compiled, exact):
            if index in changed:
                self.resized += 1
                faults = self.judged_by(changed[index], [("compiled", "other size", mine),
                                                         ("reference", "other size", reference),
                                                         ("onnx", "other size", self.from_onnx(changed[index], values,
                                                                                               index))],
                                        {**truth[index], "exact": reference})
                for text in faults.values():
                    self.found("size", index, text)

    def from_onnx(self, graph, values, index):
        """Results of the ONNX reference evaluator, or None where it is not asked."""
        if any(oracle.distrusted("onnx", n, values[index], graph.opset) for n in all_nodes(graph.nodes)):
            return None
        return {o: values[index][o] for o in graph.outputs}

    def outputs(self, named):
        return [(prefix + o, self.types[id(graph)][o]) for prefix, graph in named for o in graph.outputs]

    def model(self, named):
        made = [parts(graph, prefix) for prefix, graph in named]
        return model_of([n for m in made for n in m[0]], [i for m in made for i in m[1]], self.outputs(named),
                        [c for m in made for c in m[2]], self.opset, domains_of([g for _, g in named]))

    def copies(self, graphs, values, numbers):
        """The model of the graphs as they are and perturbed, once a number, with concrete sizes."""
        named, made = [], []
        for index, graph in graphs:
            named.append((f"g{index}_", graph))
            made.append(parts(graph, f"g{index}_", static=True))
        for copy in numbers:
            for index, graph in graphs:
                named.append((f"w{copy}_g{index}_", graph))
                made.append(Perturbed(graph, values[index], copy, index).build())
        model = model_of([n for m in made for n in m[0]], [i for m in made for i in m[1]], self.outputs(named),
                         [c for m in made for c in m[2]], self.opset, domains_of([g for _, g in named]))
        return model, named

    # ---- judging

    def judge(self, index, graph, found):
        answers = [("compiled", t, found[t]) for t in TARGETS] + [("reference", "exact", found["exact"])]
        if self.oracles:
            answers.append(("onnx", "", self.from_onnx(graph, self.values, index)))
            if not any(oracle.distrusted("onnxruntime", n, self.values[index], graph.opset)
                       for n in all_nodes(graph.nodes)):
                ran = oracle.runtime(graph, [(o, self.types[id(graph)][o]) for o in graph.outputs])
                if ran is not None:
                    answers.append(("onnxruntime", "", dict(zip(graph.outputs, ran))))
        self.judged += 1
        for (kind, _), text in self.judged_by(graph, answers, found).items():
            self.found(kind, index, text)

    def judged_by(self, graph, answers, found):
        """{(kind, which): what is wrong} of the answers that there are."""
        faults = {}
        for kind, which, results in answers:
            for o in graph.outputs if results is not None else ():
                fault = differs(results[o], found["wide"][o], found["exact"][o], [c[o] for c in found["copies"]],
                                self.types[id(graph)][o], kind in ("onnx", "onnxruntime"))
                if fault and (kind, which) not in faults:
                    faults[kind, which] = f"{kind} {which}: output {o} {fault}"
        return faults


def resized(graph, rng):
    """The graph with other extents for some of its symbols and inputs to match, or None where it has no symbols."""
    symbols = sorted({d for dims in graph.dims.values() for d in dims if isinstance(d, str)})
    if not symbols:
        return None
    more = {s: int(rng.choice([-1, 0, 1, 2, 5])) for s in symbols}
    inputs = {}
    for name, x in graph.inputs.items():
        for axis, d in enumerate(graph.dims_of(name)):
            if isinstance(d, str):
                x = np.take(x, range(max(1, x.shape[axis] + more[d])), axis, mode="wrap")
        inputs[name] = x
    return Graph(graph.opset, inputs, graph.dims, graph.constants, graph.nodes, graph.outputs)


def differs(found, wide, exact, copies, dtype, is_oracle):
    """None, or how an answer is wrong. Oracles have three times the room, and may compute doubles in f32 (attributes,
    tables and whole functions are) and short floats with each step rounded."""
    found = np.asarray(found)
    if any(np.shape(c) != wide.shape for c in [exact, *copies]):  # an extent that depends on a jump
        known = {np.shape(c) for c in [wide, exact, *copies]}
        return None if found.shape in known else f"has shape {list(found.shape)}, none of {sorted(known)}"
    if found.shape != wide.shape:
        return f"has shape {list(found.shape)}, not {list(wide.shape)}"
    if not found.size:
        return None
    if not is_float(dtype):
        good = (found == wide) | (found == exact)
        f = found.astype(object)
        every = [np.asarray(c).astype(object) for c in copies] + [wide.astype(object)]
        low, high = np.minimum.reduce(every), np.maximum.reduce(every)
        good = good | np.asarray((low != high) & (f >= low) & (f <= high)).astype(bool)
        return worst(good, found, wide, np.zeros(found.shape))
    with np.errstate(all="ignore"):
        f, w, e = (x.astype(np.longdouble) for x in (found, wide, exact))
        moved = np.max([np.abs(np.asarray(c).astype(np.longdouble) - w) for c in copies], axis=0)
        bound = TIMES * moved + 1.5 * quantum(w, dtype)
        if is_oracle:
            loose = 2.0 ** -20 if dtype == "f64" else 8 * unit(dtype) if dtype in ("f16", "bf16") else 0
            bound = 3 * bound + loose * np.nanmax(np.abs(w), initial=0)
        good = (np.abs(f - w) <= bound) | (np.isnan(moved)) | (f == w) | (np.isnan(f) & np.isnan(w))
        good |= (np.abs(f - e) <= bound) & (bound > 0)
        return worst(good, found, wide, bound)


def worst(good, found, wide, bound):
    good = np.asarray(good)
    if good.all():
        return None
    error = np.where(good, -1, np.nan_to_num(np.abs(found.astype(np.float64) - wide.astype(np.float64)), nan=1e300))
    at = np.unravel_index(int(np.argmax(error)), good.shape)
    return (f"{int((~good).sum())} of {good.size} elements; at {[int(i) for i in at]} {found[at]}, "
            f"the reference {wide[at]}, bound {float(bound[at]):.3g}")
