"""A training on several processes (mpirun of Open MPI and of MPICH): results as those of one process within rounding;
with `reproducible = world` the same bits for 1, 2, 3, 4 and 8 processes, also when it goes on with another number of
them; sums beside the backward pass; meshes; requests to stop; a stopped process is named and ends the job.
  usage: test_parallel.py BUILD_DIR
"""
import hashlib
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from common import Count
from processes import TENON, families, read_tensors, run, start

MODEL = """data rows = csv("rows.csv", target: "label", split: (train: 0.7, valid: 0.1, test: 0.2), shuffle: 1)
model Net(x: f32[B, 6]) -> f32[B, 3] = x |> standardize |> linear(16) |> batchnorm |> relu |> dropout(0.1) |> linear(3)
train Net on rows {
  loss = cross_entropy(out, y); metrics = (acc: accuracy(out, y), f1: macro_f1(out, y))
  optimizer = adam(lr: 5e-3); batch = 32; seed = 1; SETTINGS
  every 1 epochs { eval(valid) }
}
"""
count = Count()


def write_rows(path):
    numbers = random.Random(3)
    with open(path, "w") as out:
        out.write("a,b,c,d,e,f,label\n")
        for _ in range(403): # no multiple of the batch, nor of the numbers of processes
            row = [numbers.gauss(0, 1) for _ in range(6)]
            label = "red" if row[0] + row[1] > 0.5 else "green" if row[2] * row[3] > 0 else "blue"
            out.write(",".join([f"{value:.6f}" for value in row] + [label]) + "\n")


def build(folder, name, settings, model=MODEL):
    with open(os.path.join(folder, name + ".tn"), "w") as out:
        out.write(model.replace("SETTINGS", settings))
    subprocess.run([TENON, name + ".tn", "-o", name], cwd=folder, check=True)


def weights(folder, name, *words):
    """{name: numbers} of the newest checkpoint, f32 alone."""
    run(folder, [f"./{name}", "export", "--safetensors=w.st", "--checkpoint=last", *words])
    tensors = read_tensors(os.path.join(folder, "w.st"))
    return {key: struct.unpack(f"<{len(data) // 4}f", data) for key, (_, data) in tensors.items()}


def digest(folder, name, *words):
    numbers = weights(folder, name, *words)
    return hashlib.sha256(repr(sorted(numbers.items())).encode()).hexdigest()


def check_near(folder, family, name, most):
    """Weights of two and three processes are at most so far from those of one."""
    run(folder, [f"./{name}", "train", "--quiet"])
    expected = weights(folder, name)
    for n in (2, 3):
        status, _, err = run(folder, [f"./{name}", "train", "--quiet"], family, n)
        found = weights(folder, name)
        worst = max(abs(a - b) for key in expected for a, b in zip(expected[key], found[key]))
        count.judge(f"{family}: {name} on {n} processes, as on one", status and err or worst > most and worst)


def check_world(folder, family, alone):
    for n in (2, 3, 4, 8):
        for name in ("world", "late"):
            status, _, err = run(folder, [f"./{name}", "train", "--quiet"], family, n)
            found = digest(folder, name)
            count.judge(f"{family}: {name}, {n} processes, the same bits", status and err or found != alone and found)
    status, _, err = run(folder, ["./world", "train", "--quiet", "--stop-at", "13"], family, 3)
    count.judge(f"{family}: stops when asked", status != 75 and (status, err))
    status, _, err = run(folder, ["./world", "train", "--quiet", "--resume"], family, 2)
    found = digest(folder, "world")
    count.judge(f"{family}: goes on with fewer, the same bits", status and err or found != alone and found)


def spans(folder, rank):
    """{step: (the end of its last pass, the begins of its sums of gradients)} of a process."""
    with open(os.path.join(folder, f"trace.json.{rank}")) as file:
        events = [event for event in json.load(file) if event["ph"] == "X"]
    found = {}
    for event in events:
        row = found.setdefault(event["args"]["step"], [0, []])
        if event["name"] == "forward and backward":
            row[0] = event["ts"] + event["dur"]
        elif event["name"].startswith("the sum of gradients"):
            row[1].append(event["ts"])
    return {step: row for step, row in found.items() if row[1]}


def check_overlap(folder, family, name, overlaps):
    """Whether all sums but the last one begin while the backward pass goes on."""
    status, _, err = run(folder, [f"./{name}", "train", "--quiet", "--steps", "20", "--trace", "trace.json"], family, 2)
    count.judge(f"{family}: {name} with a trace", status and err)
    wrong = [(rank, step, end, begins) for rank in range(2) for step, (end, begins) in spans(folder, rank).items()
             if len(begins) < 3 or any((begin < end) != overlaps for begin in sorted(begins)[:-1])]
    count.judge(f"{family}: sums of {name} {'beside' if overlaps else 'behind'} the backward pass", wrong[:3])


def check_mesh(folder, family):
    status, _, err = run(folder, ["./meshed", "train", "--quiet"], family, 3)
    text = "meshed.tn:1: mesh 'M' has 2 processes, this is a training of 3 (mpirun -n 2 starts as many"
    count.judge(f"{family}: a mesh of another size", (status != 1 or text not in err) and (status, err))
    status, _, err = run(folder, ["./meshed", "train", "--quiet"], family, 2)
    count.judge(f"{family}: a mesh of this size", status and err)


def children(name):
    """Processes that train, by their ids."""
    found = subprocess.run(["pgrep", "-f", f"^./{name} train"], capture_output=True, text=True).stdout.split()
    return sorted(int(word) for word in found)


def wait_for(folder, name, n):
    """Until n processes train: a checkpoint is there."""
    path = os.path.join(folder, f"{name}.checkpoints", "LATEST")
    for _ in range(600):
        found = children(name)
        if len(found) == n and os.path.exists(path):
            return found
        time.sleep(0.05)
    raise RuntimeError(f"{name} did not begin")


def check_signal(folder, family):
    shutil.rmtree(os.path.join(folder, "long.checkpoints"), ignore_errors=True)
    process = start(folder, ["./long", "train", "--quiet"], family, 2)
    os.kill(wait_for(folder, "long", 2)[-1], signal.SIGUSR1)
    _, err = process.communicate(timeout=60)
    count.judge(f"{family}: SIGUSR1 to one stops all", process.returncode != 75 and (process.returncode, err))
    status, _, err = run(folder, ["./long", "eval"])
    count.judge(f"{family}: the checkpoint is there", status and err)


def check_stuck(folder, family):
    shutil.rmtree(os.path.join(folder, "long.checkpoints"), ignore_errors=True)
    process = start(folder, ["./long", "train", "--quiet", "--comm-timeout", "2"], family, 3)
    stopped = wait_for(folder, "long", 3)[1]
    os.kill(stopped, signal.SIGSTOP)
    begin = time.monotonic()
    _, err = process.communicate(timeout=60)
    # The process, and what the others wait for: weights with their line, or what follows them.
    text = r"of 3 processes these did not come to step \d+, (the sum of .* \(long\.tn:2\).*|(the|a) .*): \d\n"
    named = re.search(text, err)
    count.judge(f"{family}: a stopped process is named", (not named or process.returncode == 0) and err)
    count.judge(f"{family}: and the job ends in time", time.monotonic() - begin > 50 and time.monotonic() - begin)
    for _ in range(200):  # the launcher ends them, perhaps behind its own end
        left = children("long")
        if not left:
            break
        time.sleep(0.05)
    count.judge(f"{family}: no process is left", left)
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def end_all(name):
    for pid in children(name):
        os.kill(pid, signal.SIGKILL)


def check_lost(folder, family):
    """on lost_rank: resume() after a process that is stopped, and one that is killed: the same command goes on."""
    checkpoints = os.path.join(folder, "lost.checkpoints")
    shutil.rmtree(checkpoints, ignore_errors=True)
    process = start(folder, ["./lost", "train", "--quiet", "--comm-timeout", "2"], family, 3)
    os.kill(wait_for(folder, "lost", 3)[-1], signal.SIGSTOP)
    _, err = process.communicate(timeout=60)
    end_all("lost")
    count.judge(f"{family}: a lost process asks for a restart", process.returncode != 75 and (process.returncode, err))
    saved = re.search(r"goes on, with any number of processes, from (step (\d+)|the last checkpoint) in 'lost\.ch", err)
    count.judge(f"{family}: and says from where", not saved and err)
    process = start(folder, ["./lost", "train", "--quiet"], family, 2)
    os.kill(wait_for(folder, "lost", 2)[-1], signal.SIGKILL)  # a moment after it went on
    process.communicate(timeout=60)
    end_all("lost")
    newest = max(int(name[5:13]) for name in os.listdir(checkpoints) if name.startswith("step-"))
    count.judge(f"{family}: what was done is there", saved and newest < int(saved[2] or 0) and newest)
    steps = str(newest + 20)
    status, _, err = run(folder, ["./lost", "train", "--steps", steps], family, 2)
    count.judge(f"{family}: a training goes on by itself", (status != 0 or "did not end: this one goes on" not in err)
                and err)
    shutil.rmtree(os.path.join(folder, "once"), ignore_errors=True)
    run(folder, ["./lost", "train", "--quiet", "--steps", steps, "--checkpoint-dir", "once"])
    same = digest(folder, "lost") == digest(folder, "lost", "--checkpoint-dir=once")
    count.judge(f"{family}: with the bits of one that was never lost", not same)
    status, _, err = run(folder, ["./lost", "train", "--steps", "5"], family, 2)
    count.judge(f"{family}: one that has ended does not go on", (status != 0 or "goes on with it (on" in err) and err)


def check_errors(folder, family):
    status, _, err = run(folder, ["./net", "train", "--quiet", "--data", "none.csv"], family, 3)
    count.judge(f"{family}: a missing file is told once", (status == 0 or err.count("none.csv") != 1) and err)
    other = "mpich" if family == "openmpi" else "openmpi"
    status, _, err = run(folder, ["./net", "train", "--quiet", "--mpi", other], family, 2)
    count.judge(f"{family}: the wrong library is refused", (status == 0 or f"that of {family}" not in err) and err)


def main():
    with tempfile.TemporaryDirectory() as folder:
        write_rows(os.path.join(folder, "rows.csv"))
        build(folder, "net", "epochs = 3")
        build(folder, "world", "epochs = 3; reproducible = world; parallel = (bucket: 256B)")
        build(folder, "late", "epochs = 3; reproducible = world; parallel = (overlap: false)")
        mesh = "mesh M = (data: 2, tensor: 1)\n"
        build(folder, "meshed", "epochs = 1; mesh = M", mesh + MODEL.replace("f32[B, 6]", "f32[B@data, 6]"))
        build(folder, "long", "epochs = 1000000; every 5 steps { checkpoint() }")
        build(folder, "lost", "epochs = 1000000; reproducible = world; every 5 steps { checkpoint() }; "
              "on lost_rank { resume() }")
        plain = MODEL.replace("|> batchnorm |>", "|>")
        build(folder, "plain", "epochs = 3; parallel = (bucket: 256B)", plain)
        build(folder, "behind", "epochs = 3; parallel = (bucket: 256B, overlap: false)", plain)
        status, _, err = run(folder, ["./world", "train", "--quiet"])
        count.judge("one process", status and err)
        alone = digest(folder, "world")
        for family in families(count):
            check_near(folder, family, "plain", 1e-4)  # rounding alone
            check_near(folder, family, "behind", 1e-4)
            check_overlap(folder, family, "plain", True)
            check_overlap(folder, family, "world", True)
            check_overlap(folder, family, "behind", False)
            check_mesh(folder, family)
            # Batch norm's statistics are those of each process's share, so that only the neighbourhood is the same.
            check_near(folder, family, "net", 0.2)
            check_world(folder, family, alone)
            check_signal(folder, family)
            check_stuck(folder, family)
            check_lost(folder, family)
            check_errors(folder, family)
    count.finish()


main()
