"""Weights that are kept as bf16 or f16: their type in checkpoints, f32 states, whole and parted batches, resuming, and
the model that is made of them.

usage: test_masters.py BUILD
"""
import json
import os
import struct
import subprocess
import tempfile

import numpy as np

from common import BUILD, Count

TENON = os.path.abspath(os.path.join(BUILD, "bin", "tenon"))
MODEL = """data d = npz("d.npz")
model M(x: f32[B, 4]) -> f32[B] = x |> linear(8) |> tanh |> linear(1) |> reshape(-1)
train M on d {
  loss = mse(out, y); optimizer = adam(lr: 0.02); batch = 16; steps = 150
  precision = %s(master: %s)
  %s
}
"""


def command(home, *words, wants=0):
    done = subprocess.run(words, cwd=home, capture_output=True, text=True, timeout=120)
    if done.returncode != wants:
        raise RuntimeError("%s: %d %s" % (" ".join(words), done.returncode, done.stderr))
    return done.stdout


def build(folder, name, precision, settings=""):
    home = os.path.join(folder, name)
    os.mkdir(home)
    r = np.random.default_rng(0)
    x = r.normal(size=(64, 4)).astype(np.float32)
    np.savez(os.path.join(home, "d.npz"), x=x, y=np.tanh(x.sum(1)))
    with open(os.path.join(home, "m.tn"), "w") as file:
        file.write(MODEL % (precision, precision, settings))
    command(home, TENON, "m.tn", "-o", "m")
    return home, x


def tensors(path):
    """{name: (dtype, bytes)} of a file of safetensors."""
    with open(path, "rb") as file:
        data = file.read()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + n])
    head.pop("__metadata__", None)
    return {name: (row["dtype"], data[8 + n + row["data_offsets"][0]:8 + n + row["data_offsets"][1]])
            for name, row in head.items()}


def newest(home, folder="m.checkpoints"):
    names = [name for name in os.listdir(os.path.join(home, folder)) if name.startswith("step-")]
    return tensors(os.path.join(home, folder, max(names)))


def weights(found):
    return {name: row for name, row in found.items() if "linear" in name and not name.startswith("optimizer.")}


def loss_of(text):
    return float(next(line for line in text.split("\n") if line.startswith("train")).split()[1])


def check(folder, precision):
    home, x = build(folder, precision, precision)
    command(home, "./m", "train", "--quiet")
    found = newest(home)
    kinds = {row[0] for row in weights(found).values()}
    states = {row[0] for name, row in found.items() if name.startswith("optimizer.") and name.endswith("linear.weight")}
    if kinds != {precision.upper()} or states != {"F32"}:
        return "%s, %s" % (kinds, states)
    loss = loss_of(command(home, "./m", "eval"))
    if loss > 0.02:
        return "loss %g" % loss
    command(home, "./m", "train", "--quiet", "--checkpoint-dir=cut", "--stop-at=37", wants=75)
    command(home, "./m", "train", "--quiet", "--checkpoint-dir=cut", "--resume")
    if weights(newest(home, "cut")) != weights(found):
        return "a resumed training ends with other weights"
    # The model alone, by f32.
    command(home, "./m", "export", "--safetensors=w.safetensors")
    command(home, TENON, "m.tn", "--weights=w.safetensors", "-o", "predict")
    np.save(os.path.join(home, "x.npy"), x)
    command(home, "./predict", "run", "--input", "x=x.npy", "--output-dir", "out")
    command(home, "./m", "run", "--input=x=x.npy", "--output=o.npy")
    got, other = np.load(os.path.join(home, "out", "out.npy")), np.load(os.path.join(home, "o.npy"))
    return None if np.abs(got - other).max() < 0.05 else "predictions differ by %g" % np.abs(got - other).max()


def check_parts(folder, precision):
    """Gradients of parts are summed in f32."""
    home, _ = build(folder, precision + "_parts", precision, "micro = 4")
    command(home, "./m", "train", "--quiet")
    loss = loss_of(command(home, "./m", "eval"))
    return None if loss < 0.02 else "loss %g" % loss


def main():
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("bf16", "f16"):
            count.judge(precision, check(folder, precision))
            count.judge(precision + " in parts", check_parts(folder, precision))
    count.finish()


if __name__ == "__main__":
    main()
