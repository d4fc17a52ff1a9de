#!/usr/bin/env python3
"""Run ONNX backend-style test folders against an ahead-of-time compiler.

A test is a folder with model.onnx and test_data_set_*/{input,output}_*.pb (and optionally data.json with
"rtol"/"atol").  For each one: the model is compiled with --compile, the result is run with --run once per data
set, and the .npy files it writes are compared as onnx's own backend runner compares (shape, dtype, allclose).

  run_suite.py SUITE_DIR... [-j N] [-k REGEX] [--skip-file F] [--expect F] [--json OUT]
               [--compile 'tenon {model} -o {exe}'] [--run '{exe} run {inputs} --output-dir {outdir}']
               [--input-arg '--input {name}={file}'] [--variant static|dynamic|constant]

Templates are split with shlex, then the fields are put in, so no field is ever seen by a shell:
  {model} {exe} {outdir} {workdir} {dir} (the test's folder) {inputs} (one --input-arg group per input)

Conventions an executable must follow
  * input given as NAME=FILE.npy, split at the LAST '='; output written to OUTDIR/enc(NAME).npy where enc()
    percent-encodes every byte of the UTF-8 name outside [A-Za-z0-9_.-] and a leading '.'  ("a/b" -> "a%2Fb").
  * types numpy lacks travel as bits: bfloat16 -> uint16; float8*/float8e8m0 -> uint8; int4/int2 -> int8 and
    uint4/uint2/float4e2m1 (code) -> uint8, one element per byte, not packed.  Strings -> '<U' arrays.
  * sequence/optional/map inputs or outputs have no form here: such tests are skipped.

With --expect, a model that the compiler refuses with a diagnostic (exit 1) counts as skipped unless it is listed;
whatever is listed and does not pass, crashes, or computes something wrong has failed.

Last line: 'N passed, N failed, N skipped'.  Exit status 0 if nothing failed, else 1; 2 for a usage error or when no
test was found.
"""

import argparse
import collections
import concurrent.futures as cf
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import numpy as np
import onnx
from onnx import TensorProto as TP, numpy_helper

# ---------------------------------------------------------------- naming, data
SAFE = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")


def enc(name):
    b = name.encode("utf-8", "surrogateescape")
    return "".join(chr(c) if c in SAFE and not (c == 46 and i == 0) else "%%%02X" % c for i, c in enumerate(b))


def _codes(*names):
    return {getattr(TP, n) for n in names if hasattr(TP, n)}


BITS16, BITS8 = _codes("BFLOAT16"), _codes(
    "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0"
)
S_SUB, U_SUB, F_SUB = _codes("INT4", "INT2"), _codes("UINT4", "UINT2"), _codes("FLOAT4E2M1")


def store(a, elem):
    """array as numpy_helper gives it -> array as it travels in .npy"""
    if elem in BITS16:
        return np.ascontiguousarray(a).view(np.uint16).reshape(a.shape)
    if elem in BITS8 or elem in F_SUB:
        return np.ascontiguousarray(a).view(np.uint8).reshape(a.shape)
    if elem in S_SUB:
        return a.astype(np.int8)
    if elem in U_SUB:
        return a.astype(np.uint8)
    if elem == TP.STRING:
        return np.array(
            [s.decode() if isinstance(s, bytes) else str(s) for s in a.ravel().tolist()], dtype=np.str_
        ).reshape(a.shape)
    return a


def value_of(a, elem, like):
    """stored array -> comparable array"""
    if elem in BITS16 or elem in BITS8 or elem in F_SUB:
        return a.view(like.dtype).astype(np.float32)
    if elem in S_SUB or elem in U_SUB:
        return a.astype(np.int32)
    return a


def io_kind(vi):
    return (vi.type.WhichOneof("value") or "untyped").replace("_type", "")


def load_tensor(path):
    t = TP()
    with open(path, "rb") as f:
        t.ParseFromString(f.read())
    return t


def bind_inputs(model, files):
    """[(name, TensorProto)]: by the tensor's own name where it is a graph input, else by position"""
    inits = {i.name for i in model.graph.initializer} | {s.values.name for s in model.graph.sparse_initializer}
    every = [i.name for i in model.graph.input]
    free = [n for n in every if n not in inits]
    ts = [load_tensor(f) for f in files]
    if len({t.name for t in ts}) == len(ts) and all(t.name in every for t in ts):
        return [(t.name, t) for t in ts]
    order = free if len(ts) <= len(free) else every
    return list(zip(order, ts))


def data_sets(d):
    def num(p):
        return int(re.search(r"_(\d+)(?:\.pb)?$", p).group(1))

    for s in sorted((x for x in os.listdir(d) if re.fullmatch(r"test_data_set_\d+", x)), key=num):
        p = os.path.join(d, s)
        fs = os.listdir(p)

        def pick(tag):
            return [
                os.path.join(p, f) for f in sorted((f for f in fs if re.fullmatch(tag + r"_\d+\.pb", f)), key=num)
            ]

        yield s, pick("input"), pick("output")


def ops_of(model):
    out = set()

    def walk(nodes):
        for n in nodes:
            out.add((n.domain + "." if n.domain not in ("", "ai.onnx") else "") + n.op_type)
            for a in n.attribute:
                if a.type == a.GRAPH:
                    walk(a.g.node)
                for g in a.graphs:
                    walk(g.node)

    walk(model.graph.node)
    for f in model.functions:
        walk(f.node)
    return sorted(out)


# ---------------------------------------------------------------- compare (what onnx.backend.test.runner does)
class Mismatch(Exception):
    pass


def compare(name, got, ref_t, rtol, atol):
    ref = numpy_helper.to_array(ref_t)
    elem = ref_t.data_type
    want = store(ref, elem)
    if got.shape != want.shape:
        raise Mismatch(f"{name}: shape {got.shape}, expected {want.shape}")
    if elem == TP.STRING:
        if got.dtype.kind != "U":
            raise Mismatch(f"{name}: dtype {got.dtype}, expected a '<U' array")
        if not np.array_equal(got, want):
            raise Mismatch(f"{name}: strings differ")
        return 0.0
    if got.dtype != want.dtype:
        raise Mismatch(f"{name}: dtype {got.dtype}, expected {want.dtype}")
    g, w = value_of(got, elem, ref), value_of(want, elem, ref)
    if elem in BITS16:
        rtol = max(rtol, 2.0**-6)  # two bfloat16 ULPs, as onnx's runner allows
    with np.errstate(all="ignore"):
        ok = (
            np.isclose(g, w, rtol=rtol, atol=atol, equal_nan=True)
            if g.dtype.kind in "fc" or w.dtype.kind in "fc"
            else np.isclose(g, w, rtol=rtol, atol=atol)
        )
        if g.size == 0:
            return 0.0
        if g.dtype.kind in "fc":
            err = np.abs(g.astype(np.complex128) - w.astype(np.complex128))
            err = float(np.nanmax(np.where(np.isfinite(err), err, 0)))
        else:
            err = float((g != w).sum())
    if not ok.all():
        i = tuple(int(x[0]) for x in np.nonzero(~np.atleast_1d(ok)))
        raise Mismatch(
            f"{name}: {int((~ok).sum())}/{ok.size} elements differ (rtol {rtol:g} atol {atol:g}, max abs {err:.3g}); "
            f"first at {i}: got {np.atleast_1d(g)[i]!r}, expected {np.atleast_1d(w)[i]!r}"
        )
    return err


# ---------------------------------------------------------------- model variants
def make_variant(model, kind, first_inputs):
    """dynamic: every dim of every graph input becomes symbolic, declared output shapes are dropped;
    constant: data set 0's inputs become initializers.  None if the variant does not apply."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    if kind == "dynamic":
        hit = False
        for i, v in enumerate(m.graph.input):
            if io_kind(v) != "tensor":
                continue
            for j, d in enumerate(v.type.tensor_type.shape.dim):
                d.Clear()
                d.dim_param = f"d{i}_{j}"
                hit = True
        for v in m.graph.output:
            if io_kind(v) == "tensor":
                v.type.tensor_type.ClearField("shape")
        del m.graph.value_info[:]
        return m if hit else None
    if kind == "constant":
        if not first_inputs:
            return None
        names = {n for n, _ in first_inputs}
        for n, t in first_inputs:
            i = m.graph.initializer.add()
            i.CopyFrom(t)
            i.name = n
        keep = [v for v in m.graph.input if v.name not in names]
        del m.graph.input[:]
        m.graph.input.extend(keep)
        return m
    return m


# ---------------------------------------------------------------- processes
def run_proc(argv, timeout, log, mem_mb, cwd):
    """-> (class, returncode, seconds); class in ok error crash timeout noexec"""

    def limits():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if mem_mb:
            resource.setrlimit(resource.RLIMIT_AS, (mem_mb << 20, mem_mb << 20))

    t = time.monotonic()
    with open(log, "ab") as f:
        try:
            p = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=f,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=limits,
            )
        except OSError as e:
            f.write(f"{argv[0]}: {e}\n".encode())
            return "noexec", 127, 0.0
        try:
            rc = p.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
            return "timeout", -9, time.monotonic() - t
    dt = time.monotonic() - t
    if rc == 0:
        return "ok", 0, dt
    return ("crash" if rc < 0 or rc >= 70 else "error"), rc, dt


def tail(path, n=300):
    try:
        with open(path, "rb") as f:
            s = f.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return s[-n:]


def fill(tmpl, fields, groups=None):
    out = []
    for w in shlex.split(tmpl):
        if w == "{inputs}":
            out += groups or []
        else:
            for k, v in fields.items():
                w = w.replace("{" + k + "}", v)
            out.append(w)
    return out


# ---------------------------------------------------------------- one test
def one(t, a, skips):
    r = {
        "test": t["id"],
        "status": "skip",
        "why": "",
        "detail": "",
        "ops": [],
        "compile_s": 0.0,
        "run_s": 0.0,
        "max_err": 0.0,
    }
    d = t["dir"]
    mp = os.path.join(d, "model.onnx")
    for rx, cls, why in skips:
        if rx.search(t["id"]):
            r["why"], r["detail"] = cls, why
            break
    try:
        model = onnx.load(mp, load_external_data=False)
    except Exception as e:
        r.update(status="fail", why="unreadable", detail=str(e)[:300])
        return r
    r["ops"] = ops_of(model)
    r["key_ops"] = sorted(
        {(n.domain + "." if n.domain not in ("", "ai.onnx") else "") + n.op_type for n in model.graph.node}
    )
    if r["why"]:
        return r
    kinds = {io_kind(v) for v in list(model.graph.input) + list(model.graph.output)} - {"tensor"}
    if kinds:
        r.update(why="io-kind", detail="graph has " + ",".join(sorted(kinds)) + " input/output")
        return r
    sets = list(data_sets(d))
    if not sets:
        r.update(why="no-data", detail="no test_data_set_*")
        return r
    tol = {}
    if os.path.exists(os.path.join(d, "data.json")):
        tol = json.load(open(os.path.join(d, "data.json")))
    rtol = a.rtol if a.rtol is not None else tol.get("rtol", 1e-3)
    atol = a.atol if a.atol is not None else tol.get("atol", 1e-7)
    work = tempfile.mkdtemp(prefix="suite_", dir=a.tmp)
    log = os.path.join(work, "log.txt")
    try:
        bound = [bind_inputs(model, i) for _, i, _ in sets]
        if a.variant != "static":
            m = make_variant(model, a.variant, bound[0])
            if m is None:
                r.update(why="variant", detail=f"no {a.variant} variant")
                return r
            mp = os.path.join(work, "model.onnx")
            onnx.save(m, mp)
            if a.variant == "constant":
                sets, bound = sets[:1], [[]]
        f = {"model": mp, "exe": os.path.join(work, "model.exe"), "workdir": work, "dir": d}
        cls, rc, r["compile_s"] = run_proc(fill(a.compile, f), a.compile_timeout, log, a.mem, work)
        if cls != "ok":
            r.update(status="fail", why="compile-" + cls, detail=f"exit {rc}: {tail(log)}")
            return r
        for (sname, _, outs), ins in zip(sets, bound):
            groups, outdir = [], os.path.join(work, "out_" + sname)
            os.makedirs(outdir)
            for k, (name, tp) in enumerate(ins):
                fn = os.path.join(work, f"{sname}_in{k}.npy")
                np.save(fn, store(numpy_helper.to_array(tp), tp.data_type), allow_pickle=False)
                groups += [w.replace("{name}", name).replace("{file}", fn) for w in shlex.split(a.input_arg)]
            cls, rc, dt = run_proc(fill(a.run, dict(f, outdir=outdir), groups), a.timeout, log, a.mem, work)
            r["run_s"] += dt
            if cls != "ok":
                r.update(status="fail", why="run-" + cls, detail=f"exit {rc}: {tail(log)}")
                return r
            if len(outs) != len(model.graph.output):
                r.update(
                    status="skip",
                    why="no-data",
                    detail=f"{len(outs)} expected outputs, model has {len(model.graph.output)}",
                )
                return r
            for k, o in enumerate(outs):
                name = model.graph.output[k].name
                fn = os.path.join(outdir, enc(name) + ".npy")
                if not os.path.exists(fn):
                    r.update(status="fail", why="no-output", detail=f"{name}: no {enc(name)}.npy")
                    return r
                try:
                    got = np.load(fn, allow_pickle=False)
                except Exception as e:
                    r.update(status="fail", why="bad-npy", detail=f"{name}: {e}")
                    return r
                try:
                    r["max_err"] = max(r["max_err"], compare(name, got, load_tensor(o), rtol, atol))
                except Mismatch as e:
                    r.update(status="fail", why="mismatch", detail=str(e))
                    return r
        r["status"] = "pass"
        return r
    except Exception as e:
        r.update(status="fail", why="runner", detail=f"{type(e).__name__}: {e}")
        return r
    finally:
        if a.keep and r["status"] == "fail":
            r["work"] = work
        else:
            shutil.rmtree(work, ignore_errors=True)


# ---------------------------------------------------------------- main
def find_tests(roots):
    seen = {}
    for root in roots:
        root = os.path.abspath(root)
        for dp, dn, fn in os.walk(root):
            dn.sort()
            if "model.onnx" in fn:
                dn[:] = []
                rel = os.path.relpath(dp, root)
                tid = (
                    os.path.join(os.path.basename(root.rstrip("/")), rel)
                    if len(roots) > 1
                    else (rel if rel != "." else os.path.basename(dp))
                )
                seen[tid] = {"id": tid, "dir": dp}
    return [seen[k] for k in sorted(seen)]


def parse_arguments():
    p = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=__doc__.split("\n\n", 1)[1],
    )
    p.add_argument("suite", nargs="+")
    p.add_argument("--compile", default="tenon {model} -o {exe}")
    p.add_argument("--run", default="{exe} run {inputs} --output-dir {outdir}")
    p.add_argument("--input-arg", default="--input {name}={file}")
    p.add_argument("-j", type=int, default=1)
    p.add_argument("-k", action="append", default=[], help="only tests whose id matches (repeatable)")
    p.add_argument("--timeout", type=float, default=30)
    p.add_argument("--compile-timeout", type=float, default=60)
    p.add_argument("--mem", type=int, default=0, help="address-space limit in MiB for each child")
    p.add_argument("--skip-file", action="append", default=[], help="lines: REGEX<TAB>CLASS<TAB>REASON")
    p.add_argument("--tiers", help="lines: TEST<TAB>TIER<TAB>REASON; passes are counted by tier")
    p.add_argument("--expect", help="file of test ids that must pass (a baseline)")
    p.add_argument("--write-expect", help="add the ids that passed to this file; none is removed")
    p.add_argument("--json")
    p.add_argument("--variant", default="static", choices=["static", "dynamic", "constant"])
    p.add_argument("--rtol", type=float)
    p.add_argument("--atol", type=float)
    p.add_argument("--shard", default="0/1", help="I/N")
    p.add_argument("--keep", action="store_true", help="keep the work folder of a failing test")
    p.add_argument("--tmp")
    p.add_argument("-v", action="store_true")
    p.add_argument("-q", action="store_true", help="do not list the tests that the compiler refused")
    return p.parse_args()


def read_lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [ln.rstrip("\n") for ln in f if ln.strip() and not ln.startswith("#")]


def run_all(tests, a, skips):
    res = []
    with cf.ThreadPoolExecutor(a.j) as ex:
        for r in ex.map(lambda t: one(t, a, skips), tests):
            res.append(r)
            quiet = r["status"] != "fail" or (a.q and r["why"] == "compile-error")
            if a.v or not quiet:
                detail = r["detail"].splitlines()[-1][:200] if r["detail"] else ""
                print(f"{r['status'].upper():4} {r['test']}  [{r['why']}] {detail}", flush=True)
    return res


def by_operator(res):
    byop = collections.defaultdict(lambda: {"pass": 0, "fail": 0, "skip": 0, "failing": []})
    for r in res:
        for o in r.get("key_ops") or r["ops"]:
            byop[o][r["status"]] += 1
            if r["status"] == "fail":
                byop[o]["failing"].append(r["test"])
    return byop


def print_reports(res, byop, tiers):
    bad = sorted((o for o in byop if byop[o]["fail"]), key=lambda o: (-byop[o]["fail"], o))
    if bad:
        print("\nfailures by operator (top-level nodes; failed/run):")
    for o in bad:
        b = byop[o]
        more = " ..." if len(b["failing"]) > 3 else ""
        print(f"  {o:32} {b['fail']:4}/{b['fail'] + b['pass']:<4} {', '.join(b['failing'][:3])}{more}")
    for status, title in ("fail", "failures"), ("skip", "skips"):
        why = collections.Counter(r["why"] for r in res if r["status"] == status)
        if why:
            print(f"{title} by cause: " + ", ".join(f"{k} {v}" for k, v in why.most_common()))
    if tiers:
        tier_of = dict(ln.split("\t")[:2] for ln in read_lines(tiers))
        count = collections.Counter((tier_of.get(r["test"], "?"), r["status"]) for r in res)
        names = sorted({t for t, _ in count})
        sums = {t: sum(n for (u, _), n in count.items() if u == t) for t in names}
        print("passed by tier: " + ", ".join(f"{t} {count[t, 'pass']}/{sums[t]}" for t in names))


def judge(res, expect):
    """(passed, failed, skipped, regressed)"""
    cnt = collections.Counter(r["status"] for r in res)
    if not expect:
        return cnt["pass"], cnt["fail"], cnt["skip"], []
    must, got = set(read_lines(expect)), {r["test"]: r["status"] for r in res}
    regressed = sorted(t for t in must if t in got and got[t] != "pass")
    new = sum(s == "pass" and t not in must for t, s in got.items())
    print(f"baseline: {len(regressed)} regressed, {new} newly passing")
    for t in regressed:
        print("  REGRESSED " + t)
    refused = sum(r["status"] == "fail" and r["why"] == "compile-error" and r["test"] not in must for r in res)
    lost = sum(r["status"] == "skip" and r["test"] in must for r in res)
    return cnt["pass"], cnt["fail"] - refused + lost, cnt["skip"] + refused - lost, regressed


def main():
    a = parse_arguments()
    skips = []
    for ln in (ln for f in a.skip_file for ln in read_lines(f)):
        c = ln.split("\t") + ["", ""]
        skips.append((re.compile(c[0]), c[1] or "skip-file", c[2]))
    tests = find_tests(a.suite)
    i, n = map(int, a.shard.split("/"))
    tests = [t for k, t in enumerate(tests) if k % n == i and (not a.k or any(re.search(x, t["id"]) for x in a.k))]
    if not tests:
        print("run_suite: no test found", file=sys.stderr)
        return 2
    t0 = time.monotonic()
    res = run_all(tests, a, skips)
    byop = by_operator(res)
    print_reports(res, byop, a.tiers)
    passed, failed, skipped, regressed = judge(res, a.expect)
    summary = {
        "passed": passed,
        "failed": failed,
        "skipped": skipped,
        "regressed": regressed,
        "variant": a.variant,
        "seconds": round(time.monotonic() - t0, 1),
        "compile_s": round(sum(r["compile_s"] for r in res), 1),
        "run_s": round(sum(r["run_s"] for r in res), 1),
        "onnx": onnx.__version__,
    }
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump({"summary": summary, "by_operator": byop, "tests": res}, f, indent=1)
    if a.write_expect:
        all_ids = set(read_lines(a.write_expect)) | {r["test"] for r in res if r["status"] == "pass"}
        with open(a.write_expect, "w", encoding="utf-8") as f:
            f.write("".join(t + "\n" for t in sorted(all_ids)))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
