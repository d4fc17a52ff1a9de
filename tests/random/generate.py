"""A graph from a seed and a number."""
import numpy as np

import specs_cases  # noqa: F401  (adds its rows, and those of specs_shapes)
import oracle
from build import Builder, Reject
from graph import Graph
from number import is_float
from specs import ROWS

BATCH = 25  # graphs of one opset, which make one model
OPSETS = (28, 26, 28, 24, 28, 22, 26, 21, 28, 18, 26, 17, 28, 15, 13, 28, 23, 12, 28, 26, 11, 20, 28, 10, 25, 27, 9, 19)
TURNS = 30  # how often a pair leads graphs because it is short
# Wide models (more digits, more types) are as frequent as they are in the table; free nodes are mostly f32.
FREE_TYPES = ("f32",) * 6 + ("f16", "f64", "bf16", "i64", "i32", "u8", "i8", "bool")


def opset_of(seed, batch):
    return OPSETS[(seed * 5 + batch) % len(OPSETS)]


def pairs_of(opset, only=()):
    """All (row, type) that the operators' schemas and the rows allow."""
    return [(r.name, t) for r in ROWS.values() if not only or r.op in only or r.name in only for t in r.dtypes(opset)]


def leaders(seed, index, opset, n, only, short):
    """The pairs that a graph must have: the table of pairs in an order of the seed, round and round, so that it fills
    evenly. The table is that of the newest opset; what this opset lacks gives way to what it has. Where there are
    pairs in short, all but one of a graph's are of these."""
    table = pairs_of(28, only) or pairs_of(opset, only)
    here, found = set(pairs_of(opset, only)), []
    for i in range(index * n, index * n + n):
        turn, place = divmod(i, len(table))
        order = np.random.default_rng([seed, turn, 77]).permutation(len(table))
        found.append(table[int(order[place])])
    older = sorted(here - set(table))
    found = [p if p in here else older[index % len(older)] if older else None for p in found]
    wanted = [p for p in short if p in here]
    for k in range(n - 1 if wanted else 0):
        turn, place = divmod(index * (n - 1) + k, len(wanted))
        if turn < TURNS:
            found[k] = wanted[int(np.random.default_rng([seed, turn, 78]).permutation(len(wanted))[place])]
    return found


def place(b, name, dtype):
    for _ in range(6):
        mark = b.mark()
        try:
            ROWS[name].make(b, dtype)
            return True
        except Reject:
            b.back(mark)
    return False


def generate(seed, index, opset, only=(), short=()):
    """(graph, {pair: 1} of what it counts for, pairs that could not be placed), or None where nothing came of it.
    short: pairs that are to lead graphs more often than others."""
    rng = np.random.default_rng([seed, index, 5])
    b = Builder(rng, opset)
    n = int(rng.integers(1, 13))
    leading = [p for p in leaders(seed, index, opset, 3, only, short) if p]
    if n == 1:
        leading = leading[:1]
    b.new(b.shape(0, 4), "f32" if b.chance(0.5) else leading[0][1] if leading else "f32")
    rows = [r for r in ROWS.values() if r.op not in ("If", "Loop", "Scan") or rng.random() < 0.3]
    here = {r.name: r.dtypes(opset) for r in rows}
    done, missed = [], []
    schedule = sorted(range(n), key=lambda _: rng.random())[:len(leading)]
    for at in range(n):
        if at in schedule:
            pair = leading[schedule.index(at)]
            (done if place(b, *pair) else missed).append(pair)
            continue
        for _ in range(4):
            dtype = b.pick(*FREE_TYPES)
            fit = [name for name, types in here.items() if dtype in types]
            if not fit:
                continue
            name = b.pick(*fit)
            if place(b, name, dtype):
                done.append((name, dtype))
                break
    if not b.graph.nodes:
        return None
    graph = finished(b)
    return graph, done, missed


def finished(b):
    graph, rng = b.graph, b.rng
    used = {i for n in graph.nodes for i in n.uses()}
    made = [o for n in graph.nodes for o in n.outputs if o]
    outputs = [o for o in made if o not in used]
    outputs += [o for o in made if o in used and rng.random() < 0.15]
    graph.outputs = outputs[:8]
    graph = graph.pruned()
    if rng.random() < 0.4:
        symbolise(graph, rng)
    return graph


def symbolise(graph, rng):
    """Some dims of inputs become symbols; equal extents may share one."""
    shared = rng.random() < 0.5
    for name, x in graph.inputs.items():
        if not x.ndim or rng.random() < 0.3:
            continue
        dims = [(f"n{e}" if shared else f"{name}_{i}") if e > 1 and rng.random() < 0.6 else e
                for i, e in enumerate(x.shape)]
        graph.dims[name] = dims
