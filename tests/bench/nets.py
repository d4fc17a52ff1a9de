"""The networks that tests/bench/train and tests/bench/parallel train, in tenon's language, and their data."""
import json
import os
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "train"))
from shuffle import order  # noqa: E402

POOL = 16  # batches

LAYERS = """module Layer(x: f32[B, T, D]) -> f32[B, T, D] {
  let (q, k, v) = x |> linear(3 * D) |> split(3)
  let y = attention(reshape(q, B, T, 4, D / 4), reshape(k, B, T, 4, D / 4), reshape(v, B, T, 4, D / 4))
  let h = x + (reshape(y, B, T, D) |> linear(D)) |> layernorm
  return h + (h |> linear(1024) |> relu |> linear(D)) |> layernorm
}
"""
RESIDUAL = """module Block(x: f32[B, C, H, W]) -> f32[B, C, H, W] {
  let y = x |> conv(C, 3, pad: 1, bias: false) |> batchnorm |> relu |> conv(C, 3, pad: 1, bias: false) |> batchnorm
  return relu(x + y)
}
module Down(x: f32[B, C, H, W], out: int) -> f32[B, out, H / 2, W / 2] {
  let y = x |> conv(out, 3, stride: 2, pad: 1, bias: false) |> batchnorm |> relu
  let z = y |> conv(out, 3, pad: 1, bias: false) |> batchnorm
  return relu(z + (x |> conv(out, 1, stride: 2, bias: false) |> batchnorm))
}
"""
# name: modules, inputs of a sample, classes (1: binary), batch, the model's body
NETS = {
    "mlp30": ("", (30,), 1, 32, "x |> linear(64) |> relu |> linear(64) |> relu |> linear(1)"),
    "mlp784": ("", (784,), 10, 64, "x |> linear(128) |> relu |> linear(64) |> relu |> linear(10)"),
    "lenet5": ("", (1, 28, 28), 10, 64, "x |> conv(6, 5, pad: 2) |> relu |> maxpool(2) |> conv(16, 5) |> relu\n"
               "  |> maxpool(2) |> flatten |> linear(120) |> relu |> linear(84) |> relu |> linear(10)"),
    "lstm": ("module Last(x: f32[B, T, I]) -> f32[B, 128] {\n  let (all, h, c) = x |> lstm(128)\n  return h\n}\n",
             (64, 32), 10, 32, "x |> Last |> linear(10)"),
    "encoder": (LAYERS, (128, 256), 10, 8, "x |> Layer |> Layer |> Layer |> Layer |> mean(1) |> linear(10)"),
    "resnet18": (RESIDUAL, (3, 32, 32), 10, 32, "x |> conv(64, 3, pad: 1, bias: false) |> batchnorm |> relu |> Block\n"
                 "  |> Block |> Down(128) |> Block |> Down(256) |> Block |> Down(512) |> Block |> global_avgpool\n"
                 "  |> linear(10)"),
}


SEED = 1


def data_of(name):
    """x and y of the whole pool."""
    _, extents, classes, batch, _ = NETS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((POOL * batch, *extents)).astype(np.float32)
    return x, rng.integers(0, max(classes, 2), POOL * batch).astype(np.int32)


def batches_of(name):
    """x and y in the order in which a program takes them in its first epoch."""
    x, y = data_of(name)
    places = order(SEED, 1, 0, len(x))
    return x[places], y[places]


def program_of(name, event=""):
    """The text of a program that trains on x.npy and y.npy."""
    modules, extents, classes, batch, body = NETS[name]
    loss = "bce" if classes == 1 else "cross_entropy"
    dims = ", ".join(map(str, extents))
    return (f'data pool = npy("x.npy", y: "y.npy")\n{modules}'
            f"model Net(x: f32[B, {dims}]) -> f32[B, {classes}] = {body}\n"
            f"train Net on pool {{ loss = {loss}(out, y); optimizer = adam(lr: 1e-3); batch = {batch}; "
            f"steps = 1000; seed = {SEED} {event}}}\n")


def weights_of(path):
    """The weights of a checkpoint, all f32, by their paths and in the model's order, without the optimiser's states."""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        head, data = json.loads(file.read(length)), file.read()
    return {key: np.frombuffer(data[slice(*row["data_offsets"])], "<f4").reshape(row["shape"]).copy()
            for key, row in head.items() if key != "__metadata__" and not key.startswith("optimizer.")}
