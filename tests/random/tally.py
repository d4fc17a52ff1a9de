"""How often each operator had each element type, over runs: counts of this run, or of all runs in a file."""
import json
import os

import generate

COLUMNS = ("f32", "f64", "f16", "bf16", "i64", "i32", "i16", "i8", "i4", "u64", "u32", "u16", "u8", "u4", "bool")
LEAST = 10


def allowed_pairs():
    return {p for opset in set(generate.OPSETS) for p in generate.pairs_of(opset)}


def load(path):
    """({(seed, first): numbers of a run}, {pair: count})."""
    if not os.path.exists(path):
        return {}, {}
    with open(path) as f:
        j = json.load(f)
    return ({(r["seed"], r["first"]): r for r in j["runs"]},
            {(name, t): n for name, row in j["pairs"].items() for t, n in row.items()})


def add(path, run, done):
    """A run that the file has already counts once."""
    runs, pairs = load(path)
    if (run["seed"], run["first"]) in runs:
        return
    runs[run["seed"], run["first"]] = run
    for pair, n in done.items():
        pairs[pair] = pairs.get(pair, 0) + n
    rows = {}
    for (name, t), n in sorted(pairs.items()):
        rows.setdefault(name, {})[t] = n
    with open(path + ".new", "w") as f:
        f.write('{"runs": [\n' + ",\n".join(json.dumps(r) for _, r in sorted(runs.items())) + '],\n"pairs": {\n' +
                ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()) + "}}\n")
    os.replace(path + ".new", path)


def short_of(path, seed):
    """The pairs that came fewer than LEAST times by the file, or when the seed's run was counted, so that it can be
    made again."""
    runs, pairs = load(path)
    for run in runs.values():
        if run["seed"] == seed:
            return [tuple(p.split(" ")) for p in run.get("short", [])]
    return rare(pairs)


def rare(pairs):
    return sorted(p for p in allowed_pairs() if pairs.get(p, 0) < LEAST)


def show(runs, pairs):
    """Prints the table; the pairs that came fewer than LEAST times."""
    allowed = allowed_pairs()
    print(f"{'operator':42}" + "".join(f"{t:>5}" for t in COLUMNS))
    for name in sorted({p[0] for p in allowed}):
        cells = [f"{pairs.get((name, t), 0):5d}" if (name, t) in allowed or (name, t) in pairs else "    ."
                 for t in COLUMNS]
        print(f"{name:42}" + "".join(cells))
    few = sorted((pairs.get(p, 0), *p) for p in rare(pairs))
    total = {k: sum(r[k] for r in runs) for k in ("graphs", "failed", "limited")}
    print(f"{total['graphs']} graphs of seeds {', '.join(str(s) for s in sorted({r['seed'] for r in runs}))}: "
          f"{total['failed']} failed when first run, {total['limited']} refused by a documented limit")
    print(f"{len(allowed)} pairs of operator and type, the rarest {min(pairs.get(p, 0) for p in allowed)} times; "
          f"{len(few)} fewer than {LEAST} times" + "".join(f", {name} {t} ({n})" for n, name, t in few[:20]))
    return few
