"""Single operators at random: compiled programs, and the reference, against oracles in wider arithmetic.

  run.py BUILD [-j N] [--seed S] [--count N] [--only ROW[,ROW...]] [--index I] [--opset V] [-v] [--list]

Each row of the table (elementwise.py, contractions.py, ...) makes `count` cases from the seed: an operator with random
ranks, types, attributes, shapes and data, and what it must give, within 4 (K + 8) u m (judge.py). Odd cases are
compiled once for symbolic sizes and run with three, on two threads; every fourth is compiled for AVX2, some with other
efforts (-O0 to -O3, -Os). The operators of several cases make one model, with inputs and outputs of their own. A
failure names the row, seed and index that make the same case again."""
import argparse
import collections
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import traceback

import onnx.defs

import contractions  # noqa: F401  (each of these adds its rows)
import elementwise  # noqa: F401
import fused  # noqa: F401
import known  # noqa: F401
import parameters  # noqa: F401
import ml  # noqa: F401
import optimisers  # noqa: F401
import quantised  # noqa: F401
import recurrent  # noqa: F401
import reductions  # noqa: F401
import sampling  # noqa: F401
import shapes  # noqa: F401
import signal_rows  # noqa: F401
import spatial  # noqa: F401
import stateful  # noqa: F401
from judge import judge
from number import name_of
from program import Program, Refused, common_sizes, complaints
from rows import LEFT_OUT, ROWS

N_SIZES = 3
FOLDED = 6  # cases of this index have constant inputs only: the compiler computes them
LEVELS = [[], [], ["-O1"], [], ["-O3"], [], [], ["-O0"], ["-Os"], []]
BATCH = 20
NO_KERNEL = "TN0401"
Job = collections.namedtuple("Job", "tenon seed opset index rows")
Result = collections.namedtuple("Result", "row index verdict text")


def describe(case):
    def one(x):
        return "-" if x is None else f"{name_of(x)}{list(x.shape)}"
    inputs = ", ".join(one(x) + (" constant" if i in case.constant else "") for i, x in enumerate(case.inputs))
    attributes = {k: v for k, v in case.attributes.items()}
    return f"{case.op} ({inputs}) {attributes}"


class Batch:
    """The cases of one index of some rows, as one program; where that is refused, each as a program of its own."""

    def __init__(self, job, folder):
        self.job, self.folder, self.results = job, folder, []
        self.options = (["-march=haswell"] if job.index % 4 == 3 else []) + LEVELS[job.index % len(LEVELS)]
        self.n_sizes = N_SIZES if job.index % 2 == 1 else 1
        self.mode = "exact" if ROWS[job.rows[0]].exact_reference else "wide"

    def entry(self, number):
        row = ROWS[self.job.rows[number]]
        sizes = [row.case(self.job.seed, self.job.index, size) for size in range(self.n_sizes)]
        if self.job.index % len(LEVELS) == FOLDED:
            for case in (c for c in sizes if not c.refused):
                case.constant = set(range(len(case.inputs)))
        return number, common_sizes(sizes), self.job.index % 4 == 1

    def add(self, number, verdict, text=""):
        self.results.append(Result(self.job.rows[number], self.job.index, verdict, text))

    def program(self, entries):
        return Program(self.job.tenon, self.folder, entries, self.job.opset, self.options, self.mode)

    def compile(self, entries):
        """The program of what compiles; what does not is skipped (no kernel form) or has failed."""
        while entries:
            program = self.program(entries)
            try:
                program.compile()
                return program, entries
            except Refused as refused:
                wrong = complaints(refused.text)
                wrong = {n: t for n, t in wrong.items() if n in [e[0] for e in entries]}
                if not wrong and len(entries) == 1:
                    wrong = {entries[0][0]: str(refused)}
                if refused.status != 1 and len(entries) > 1 or not wrong:
                    for entry in entries:
                        self.run([entry])
                    return None, []
                for entry in entries:
                    if entry[0] in wrong:
                        text = wrong[entry[0]]
                        verdict = "skipped" if NO_KERNEL in text or NO_KERNEL in refused.text and len(wrong) == 1 \
                            else "failed"
                        self.add(entry[0], verdict, f"{describe(entry[1][0])}\n    {text}")
                entries = [e for e in entries if e[0] not in wrong]
        return None, []

    def refuses(self, entry):
        """A case that the program must refuse, which it does alone."""
        number, sizes, _ = entry
        try:
            program = self.program([entry])
            program.compile()
            program.run(0, reference=False)
            self.add(number, "failed", f"{describe(sizes[0])}\n    ran, expected '{sizes[0].refused}'")
        except Refused as refused:
            verdict = "passed" if sizes[0].refused in str(refused) else "failed"
            if verdict == "failed" and refused.status == 1 and NO_KERNEL in refused.text:
                verdict = "skipped"
            self.add(number, verdict, f"{describe(sizes[0])}\n    {refused}")

    def run(self, entries):
        program, entries = self.compile(entries)
        if program is None:
            return
        faults = {number: [] for number, _, _ in entries}
        try:
            for size in range(max(len(sizes) for _, sizes, _ in entries)):
                for reference in (False, True):
                    found = program.run(size, reference)
                    for (number, sizes, _), outputs in zip(entries, found):
                        if size < len(sizes):
                            self.compare(faults[number], sizes[size], outputs, reference, size)
        except Refused as refused:
            if len(entries) > 1:
                for entry in entries:
                    self.run([entry])
                return
            number, sizes, _ = entries[0]
            faults[number].append(f"{describe(sizes[0])}\n    {refused}")
        except subprocess.TimeoutExpired as late:
            for number in faults:
                faults[number].append(f"took longer than {late.timeout} s")
        for number, texts in faults.items():
            self.add(number, "failed" if texts else "passed", "\n    ".join(texts[:2]))

    def compare(self, texts, case, outputs, reference, size):
        for i, (found, want) in enumerate(zip(outputs, case.want)):
            fault = judge(found, want, slack=0.5 if reference else 0)
            if fault:
                who = "the reference" if reference else "compiled"
                sizes = f", size {size} of {self.n_sizes}" if self.n_sizes > 1 else ""
                target = "".join(f", {m}" for m in self.options)
                texts.append(f"{describe(case)}{sizes}{target}\n    {who}, output {i} {want.dtype}"
                             f"{list(want.value.shape)}: {fault}")


def run_job(job):
    with tempfile.TemporaryDirectory(prefix="numerics-") as folder:
        batch = Batch(job, folder)
        entries = []
        for number in range(len(job.rows)):
            try:
                entries.append(batch.entry(number))
            except Exception:  # a fault of the table
                batch.add(number, "failed", "no case: " + traceback.format_exc(limit=-2).strip())
        for entry in entries:
            if entry[1][0].refused:
                batch.refuses(entry)
        batch.run([e for e in entries if not e[1][0].refused])
        return batch.results


def jobs_of(args, names):
    most = args.count * max(ROWS[n].weight for n in names)
    indices = [args.index] if args.index is not None else range(most)
    for index in indices:
        for exact in (False, True):
            chosen = [n for n in names if ROWS[n].exact_reference == exact]
            # rows with a larger weight have more cases
            chosen = [n for n in chosen if args.index is not None or index < args.count * ROWS[n].weight]
            for start in range(0, len(chosen), BATCH):
                yield Job(args.tenon, args.seed, args.opset, index, chosen[start:start + BATCH])


def compiled_operators(tenon):
    """The ONNX operators that tenon knows: {name}."""
    def ask(*words):
        return subprocess.run([tenon, *words], capture_output=True, text=True, check=True).stdout
    names = set()
    for line in ask("--print-ops").splitlines():
        for text in ask("--help-op=" + line.split()[0]).splitlines():
            if text.startswith("  ONNX "):
                names.add(text.split()[1])
    return names


def check_coverage(tenon):
    """Every operator of tenon has a row or a reason."""
    tested = {(r.domain + "." if r.domain else "") + r.op for r in ROWS.values()}
    known = compiled_operators(tenon)
    for name in sorted(known - tested):
        print(f"left out {name}: {LEFT_OUT.get(name, 'NO ROW AND NO REASON')}")
    return sorted(known - tested - set(LEFT_OUT)), sorted(tested - known)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--only", default="")
    parser.add_argument("--index", type=int)
    parser.add_argument("--opset", type=int, default=onnx.defs.onnx_opset_version())
    parser.add_argument("--tenon", help="what compiles instead of the build's tenon, with the same command line")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-v", action="store_true", help="also what is skipped")
    args = parser.parse_args()
    args.tenon = os.path.abspath(args.tenon or os.path.join(args.build, "bin", "tenon"))
    if args.list:
        print("\n".join(ROWS))
        return 0
    names = [n for n in ROWS if not args.only or n in args.only.split(",") or ROWS[n].op in args.only.split(",")]
    print(f"seed {args.seed}, {args.count} cases a row, {len(names)} rows, opset {args.opset}")
    start = time.monotonic()
    untested, unknown = check_coverage(args.tenon) if not args.only else ([], [])
    results = []
    with multiprocessing.Pool(args.j) as pool:
        for found in pool.imap_unordered(run_job, list(jobs_of(args, names))):
            results += found
    counts = report(args, results)
    for name in untested:
        print(f"FAILED: tenon has the operator {name}, and the table neither a row nor a reason")
    for name in unknown:
        print(f"FAILED: the table has a row for {name}, which tenon does not know")
    failed = counts["failed"] + len(untested) + len(unknown)
    print(f"{len(results)} cases in {time.monotonic() - start:.0f} s")
    print(f"{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped")
    return 1 if failed or not counts["passed"] else 0


def report(args, results):
    results.sort(key=lambda r: (r.row, r.index))
    skipped = collections.Counter(r.row for r in results if r.verdict == "skipped")
    for r in results:
        if r.verdict == "failed" or (args.v and r.verdict == "skipped"):
            print(f"{r.verdict.upper()} {r.row}: {r.text}\n    again: tests/numerics/run.py {args.build} "
                  f"--only {r.row} --seed {args.seed} --index {r.index}")
    if skipped:
        print(f"no kernel form yet ({NO_KERNEL}): " + ", ".join(f"{row} {n}" for row, n in sorted(skipped.items())))
    return collections.Counter(r.verdict for r in results)


if __name__ == "__main__":
    sys.exit(main())
