"""The processes of a training (runtime/train/world.c, tree.c) under the mpirun of Open MPI and of MPICH: sums, sums
whose bits do not depend on the number of processes, a process that does not come, launchers and libraries that do not
fit.
  usage: test_world.py BUILD_DIR
"""
import os
import shutil
import struct
import subprocess
import sys
import time

BUILD = os.path.abspath(sys.argv[1])
WORLD = os.path.join(BUILD, "tests", "world")
PLUGINS = os.path.join(BUILD, "lib", "tenon")
FLAGS = {"openmpi": ["--allow-run-as-root", "--oversubscribe", "--mca", "btl", "self,vader"], "mpich": []}
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(("OMPI_", "PMI_", "PMIX_", "TENON_MPI"))}
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(what, ok, found=""):
    counts["passed" if ok else "failed"] += 1
    if not ok:
        print(f"FAILED: {what}: {found}")


def run(words, launcher=None, n=1, **env):
    command = [WORLD, *map(str, words)]
    if launcher:
        command = [f"mpirun.{launcher}", *FLAGS[launcher], "-n", str(n), *command]
    env = {**CLEAN, "TENON_MPI_DIR": PLUGINS, **env}
    if launcher:
        env["ASAN_OPTIONS"] = "detect_leaks=0"  # the libraries leave memory behind
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def tree_sum(leaves):
    """The left-complete tree in f32: the first element's sum."""
    while len(leaves) > 1:
        pairs = [leaves[i:i + 2] for i in range(0, len(leaves), 2)]
        leaves = [f32(pair[0] + pair[1]) if len(pair) == 2 else pair[0] for pair in pairs]
    return leaves[0]


def first_element(n_leaves):
    """Of the sum as tests/tools/world.c makes its leaves."""
    return tree_sum([f32(f32(1 / f32(3 + 7 * leaf)) * f32(0.3)) for leaf in range(n_leaves)])


def check_one():
    found = run(["sum"])
    check("a world of one needs no library", found.returncode == 0 and found.stdout == "rank 0 of 1: 1 1 0\n", found)
    found = run(["sum"], WORLD_MPI="lam")
    check("an unknown library", found.returncode == 1 and "expected openmpi, mpich or none" in found.stderr, found)


def check_sums(family):
    for n in (2, 3):
        found = run(["sum"], launcher=family, n=n)
        total = n * (n + 1) // 2
        parts = [sum(r * 10 + k for k in range(n)) for r in range(n)]
        expected = {f"rank {r} of {n}: {total} {n} {parts[r]}" for r in range(n)}
        check(f"{family}: sums of {n}", found.returncode == 0 and set(found.stdout.splitlines()) == expected, found)


def check_trees(family, alone):
    for leaves in alone:
        for n in (2, 3, 4, 8):
            found = run(["tree", leaves, 1000], launcher=family, n=n)
            lines = found.stdout.splitlines()
            check(f"{family}: a tree of {leaves} leaves over {n} processes",
                  found.returncode == 0 and len(lines) == n and set(lines) == {alone[leaves]}, found)


def check_stuck(family):
    start = time.monotonic()
    found = run(["stuck", 1, 2], launcher=family, n=3)
    seconds = time.monotonic() - start
    text = "of 3 processes these did not come to step 17, gradient of fc.weight (mlp.tn:3): 1\n"
    named = found.stderr.count(text) == 1
    check(f"{family}: a process that does not come is named", named and found.returncode != 0, found)
    check(f"{family}: and the job ends", seconds < 60, f"{seconds:.0f} s")


def check_launchers(family):
    other = "mpich" if family == "openmpi" else "openmpi"
    found = run(["sum"], launcher=family, n=2, WORLD_MPI=other)
    check(f"{family}: the other library is refused", found.returncode != 0 and
          f"that of {family}, --mpi names {other}" in found.stderr, found)
    found = run(["sum"], launcher=family, n=2, WORLD_MPI="none")
    check(f"{family}: none is refused under mpirun", found.returncode != 0 and "2 trainings of one process" in
          found.stderr, found)
    path = os.pathsep.join([os.path.join(BUILD, "bin"), CLEAN["PATH"]])
    found = run(["sum"], launcher=family, n=2, TENON_MPI_DIR="")
    check(f"{family}: no plug-in", found.returncode != 0 and f"there is no plug-in tenon_mpi_{family}.so" in
          found.stderr, found)
    found = run(["sum"], launcher=family, n=2, TENON_MPI_DIR="", PATH=path)
    check(f"{family}: the plug-in of the tenon in PATH", found.returncode == 0, found)


def main():
    check_one()
    alone = {leaves: run(["tree", leaves, 1000]).stdout.strip() for leaves in (1, 2, 5, 8, 13, 32)}
    for leaves, text in alone.items():
        check(f"a tree of {leaves} leaves", f32(float(text.split()[1])) == first_element(leaves), text)
    check("trees of other leaves differ", len(set(alone.values())) == len(alone), alone)
    for family in FLAGS:
        if not shutil.which(f"mpirun.{family}") or not os.path.exists(f"{PLUGINS}/tenon_mpi_{family}.so"):
            print(f"skipped: {family} is not installed")
            counts["skipped"] += 1
            continue
        check_sums(family)
        check_trees(family, alone)
        check_stuck(family)
        check_launchers(family)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return counts["failed"] > 0


sys.exit(main())
