"""Requests to stop that come while a training measures, or waits for samples: one process and several save and end with
status 75 before that is done, and what was cut off is made up for when the training goes on: the weights and the log
are those of a training that nobody stopped.   usage: test_stops.py BUILD_DIR
"""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import numpy as np

from common import BUILD, Count

TENON = os.path.join(BUILD, "bin", "tenon")
ENV = {key: value for key, value in os.environ.items() if not key.startswith(("OMPI_", "PMI_", "PMIX_", "TENON_MPI"))}
ENV["TENON_MPI_DIR"] = os.path.join(BUILD, "lib", "tenon")
LAUNCH = {"openmpi": ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "--mca", "btl", "self,vader"],
          "mpich": ["mpirun.mpich"]}
# Nearly all time goes by in evaluations; there is one behind each step.
MEASURES = """data d = npy("x.npy", y: "y.npy", split: (train: 0.1, valid: 0.9))
model M(x: f32[B, 64]) -> f32[B, 3] = x |> linear(512) |> relu |> linear(512) |> relu |> linear(3)
train M on d {
  loss = cross_entropy(out, y); optimizer = adam(lr: plateau(1e-3, patience: 1, factor: 0.9, watch: valid.loss))
  batch = 64; steps = 6; reproducible = world
  every 1 steps { eval(valid) }
}
"""
# Nearly all time goes by in the noise of samples.
WAITS = """data d = npy("big.npy", y: "few.npy") {
  x: f32[1, 256, 256] = x |> noise(0.1, on: train)
  y: class[3] = y
}
model M(x: f32[B, 1, 256, 256]) -> f32[B, 3] = x |> maxpool(64) |> flatten |> linear(3)
train M on d { loss = cross_entropy(out, y); optimizer = sgd(lr: 0.01); batch = 64; steps = 6; reproducible = world }
"""
count = Count()


def build(folder, name, text):
    with open(os.path.join(folder, name + ".tn"), "w") as out:
        out.write(text)
    subprocess.run([TENON, name + ".tn", "-o", name], cwd=folder, check=True)


def start(folder, name, words, family, n):
    launch = [*LAUNCH[family], "-n", str(n)] if family else []
    return subprocess.Popen([*launch, f"./{name}", "train", "--quiet", "--log-json", "log.jsonl", *words], cwd=folder,
                            env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def children(name):
    found = subprocess.run(["pgrep", "-f", f"^./{name} train"], capture_output=True, text=True).stdout.split()
    return sorted(int(word) for word in found)


def result(folder, name):
    """The weights' bytes, and the rows of evaluations without their times."""
    with open(os.path.join(folder, "log.jsonl")) as file:
        rows = [json.loads(line) for line in file]
    subprocess.run([f"./{name}", "export", "--npz", "w.npz", "--checkpoint", "last"], cwd=folder, check=True)
    with np.load(os.path.join(folder, "w.npz")) as arrays:
        weights = {key: arrays[key].tobytes() for key in arrays.files}
    return weights, [(row["step"], row["valid.loss"]) for row in rows if "valid.loss" in row]


def stop(folder, name, family, n, number, seconds):
    """Stops one of the processes after so long; returns the status and stderr."""
    process = start(folder, name, [], family, n)
    while len(children(name)) < n:
        time.sleep(0.01)
    time.sleep(seconds)
    for pid in children(name)[-1:]:
        os.kill(pid, number)
    return finish(process)


def check(folder, name, family, n, number):
    """Whether an evaluation was cut off."""
    what = f"{name}, {family or 'alone'}, {n} processes, {signal.Signals(number).name}"
    begin = time.monotonic()
    status, err = finish(start(folder, name, [], family, n))
    whole = time.monotonic() - begin
    expected = result(folder, name)
    count.judge(f"{what}: undisturbed", status and err)
    shutil.rmtree(os.path.join(folder, f"{name}.checkpoints"))
    status, err = stop(folder, name, family, n, number, 0.45 * whole)
    for share in (0.2, 0.1):  # others used the machine when it ran undisturbed, and now it was at its end
        if status == 0:
            shutil.rmtree(os.path.join(folder, f"{name}.checkpoints"))
            status, err = stop(folder, name, family, n, number, share * whole)
    count.judge(f"{what}: status 75", status != 75 and (status, err))
    if status != 75:
        return False
    with open(os.path.join(folder, f"{name}.checkpoints", "LATEST")) as file:
        step = int(file.read().split("-")[1].split(".")[0])
    is_cut = len(result(folder, name)[1]) < step
    status, err = finish(start(folder, name, ["--resume"], family, n))
    found = result(folder, name)
    count.judge(f"{what}: goes on as if nobody had stopped it", (status and err) or found != expected and
                (found[0] == expected[0], found[1], expected[1]))
    return is_cut


def main():
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        np.save(os.path.join(folder, "x.npy"), rng.standard_normal((6000, 64)).astype(np.float32))
        np.save(os.path.join(folder, "y.npy"), rng.integers(0, 3, 6000).astype(np.int32))
        np.save(os.path.join(folder, "big.npy"), rng.standard_normal((128, 1, 256, 256)).astype(np.float32))
        np.save(os.path.join(folder, "few.npy"), rng.integers(0, 3, 128).astype(np.int32))
        build(folder, "measures", MEASURES)
        build(folder, "waits", WAITS)
        ways = [(None, 1), *((family, 2) for family in LAUNCH if shutil.which(f"mpirun.{family}"))]
        for family, n in ways:
            n_cut = 0
            for number in (signal.SIGTERM, signal.SIGUSR1):
                n_cut += check(folder, "measures", family, n, number)
                check(folder, "waits", family, n, number)
            count.judge(f"{family or 'alone'}: a stop in the middle of an evaluation", n_cut == 0)
    count.finish()


main()
