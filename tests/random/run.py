"""Random valid typed graphs: compiled for AVX-512 and AVX2, and in the reference, against onnxruntime and the ONNX
reference evaluator.

  run.py BUILD [-j N] [--seed S | --rotate] [--count N] [--first N] [--only OP[,OP...]] [--replay FILE...] [--kept]
         [--no-reduce] [--save DIR] [--tally FILE] [--short] [--table]

The same seed and number give the same graph. What differs is reduced and printed; --save keeps it as a file that
--replay runs again."""
import argparse
import collections
import multiprocessing
import os
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "numerics"))

import coverage  # noqa: E402
import generate  # noqa: E402
import graph as graphs  # noqa: E402
import oracle  # noqa: E402
import tally  # noqa: E402
from compare import Batch  # noqa: E402
from generate import BATCH  # noqa: E402
from reduce import reduce  # noqa: E402

ROTATION = (48, 49, 50)  # seeds whose first thousand graphs have been judged
REFUSED = 0.03  # the share of graphs that documented limits may refuse
TALLY = os.path.join(HERE, "tally.json")
LEVELS = [[], [], ["-O1"], [], ["-O3"], [], [], ["-O0"], ["-Os"], []]


def run_batch(job):
    args, number = job
    oracle.OWN["tenon"] = args.tenon
    opset = generate.opset_of(args.seed, number)
    made, done, missed = [], collections.Counter(), collections.Counter()
    for index in range(number * BATCH, (number + 1) * BATCH):
        if args.first <= index < args.first + args.count:
            got = generate.generate(args.seed, index, opset, args.only, args.pairs)
            if got is not None:
                made.append((index, got[0]))
                done.update(got[1])
                missed.update(got[2])
    if not made:
        return 0, (0, 0), done, missed, []
    options = LEVELS[number % len(LEVELS)]
    keep = args.save and os.path.join(args.save, f"s{args.seed}_{made[0][0]}_together")
    batch = Batch(args.tenon, made, options, keep=keep)
    try:
        findings = batch.run()
    except Exception:  # a fault of this test
        return len(made), (0, 0), done, missed, [("test", number, traceback.format_exc(limit=-6), "")]
    reported = []
    for finding in findings:
        graph = dict(made)[finding.index]
        if not args.no_reduce:
            graph = reduce(args.tenon, graph, finding, options)
        if args.save:
            graphs.save_json(os.path.join(args.save, f"s{args.seed}_{finding.index}_{finding.kind}.json"), graph,
                             finding.text.split("\n")[0][:300])
        reported.append((finding.kind, finding.index, finding.text, graphs.listing(graph)))
    return len(made), (len(batch.limited), batch.resized), done, missed, reported


def replay(args, files):
    oracle.OWN["tenon"] = args.tenon
    passed = failed = 0
    for path in files:
        graph = graphs.load_json(path)
        findings = Batch(args.tenon, [(0, graph)]).run()
        passed, failed = passed + (not findings), failed + bool(findings)
        for finding in findings:
            print(f"FAILED {path}: {finding.kind}: {finding.text}")
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rotate", action="store_true", help="the seed by the number of commits, of those in ROTATION")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--replay", nargs="+", default=[])
    parser.add_argument("--kept", action="store_true", help="the kept graphs first")
    parser.add_argument("--tally", help="a file to which this run's counts of operators and types are added")
    parser.add_argument("--short", action="store_true", help="the pairs that the tally has too rarely lead graphs")
    parser.add_argument("--table", action="store_true", help="prints those counts; fails where a pair is rare")
    parser.add_argument("--no-reduce", action="store_true")
    parser.add_argument("--save")
    parser.add_argument("--tenon")
    args = parser.parse_args()
    args.tenon = os.path.abspath(args.tenon or os.path.join(args.build, "bin", "tenon"))
    args.only = tuple(o for o in args.only.split(",") if o)
    if args.rotate:
        args.seed = ROTATION[commits() % len(ROTATION)]
    args.pairs = tally.short_of(args.tally or TALLY, args.seed) if args.short else []
    start, passed, failed, skipped = time.monotonic(), 0, 0, 0
    if args.replay or args.kept:
        kept = os.path.join(HERE, "kept")
        passed, failed = replay(args, args.replay or sorted(os.path.join(kept, f) for f in os.listdir(kept)))
    if not args.replay and args.count:
        p, f, skipped = random_graphs(args)
        passed, failed = passed + p, failed + f
    if args.table:
        runs, pairs = tally.load(args.tally or TALLY)
        few = tally.show(list(runs.values()), pairs)
        passed, failed = passed + len(tally.allowed_pairs()) - len(few), failed + len(few)
    print(f"in {time.monotonic() - start:.0f} s")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


def commits():
    counted = subprocess.run(["git", "-C", HERE, "rev-list", "--count", "HEAD"], capture_output=True, text=True)
    return int(counted.stdout or 0)


def random_graphs(args):
    numbers = range(args.first // BATCH, -(-(args.first + args.count) // BATCH))
    print(f"seed {args.seed}, graphs {args.first} to {args.first + args.count - 1}")
    total, limited, sizes, wrong = 0, 0, 0, set()
    done, missed, kinds = collections.Counter(), collections.Counter(), collections.Counter()
    with multiprocessing.Pool(args.j, maxtasksperchild=20) as pool:
        for n, k, d, m, reported in pool.imap_unordered(run_batch, [(args, number) for number in numbers]):
            total += n
            limited, sizes = limited + k[0], sizes + k[1]
            done.update(d)
            missed.update(m)
            for kind, index, text, listing in reported:
                wrong.add(index)
                kinds[kind] += 1
                print(f"FAILED {kind}: {text}\n{listing}\n    again: tests/random/run.py {args.build} --seed "
                      f"{args.seed} --first {index} --count 1" + " --short" * args.short, flush=True)
    print(f"{total} graphs, {sizes} of them with other sizes too, {limited} refused by a documented limit; "
          f"{sum(done.values())} nodes of {len(done)} pairs of operator and type; " +
          ", ".join(f"{k} {n}" for k, n in kinds.items()))
    if args.tally and not args.only:
        run = {"seed": args.seed, "first": args.first, "graphs": total, "failed": len(wrong), "limited": limited,
               "sizes": sizes}
        if args.pairs:
            run["short"] = [" ".join(p) for p in args.pairs]
        tally.add(args.tally, run, done)
    missing = coverage.uncovered(args.tenon)
    for name in missing:
        print(f"FAILED coverage: {name} has no row in the tables of operators, and no reason")
    repeated = coverage.is_reproducible(args.tenon, args.seed, args.first)
    if not repeated:
        print("FAILED coverage: the same seed and number gave another graph")
    too_many = total >= 100 and limited > REFUSED * total
    if too_many:
        print(f"FAILED limits: {limited} of {total} graphs refused, more than {REFUSED:.0%}")
    return (total - len(wrong) - limited + (not missing) + repeated,
            len(wrong) + len(missing) + (not repeated) + too_many, limited)


if __name__ == "__main__":
    sys.exit(main())
