"""The graphs of this folder with seeded weights, and what they are run with."""
import os

import numpy as np
import onnx
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))


def load(name, seed=0):
    """The graph NAME.onnx; each tensor that lost its data gets normal values of the mean and deviation it had, inside
    the range it had (export.py)."""
    model, rng = onnx.load(os.path.join(HERE, name + ".onnx")), np.random.default_rng(seed)
    attributes = [a for n in model.graph.node for a in n.attribute]
    for tensor in [*model.graph.initializer, *(a.t for a in attributes if a.HasField("t"))]:
        if not tensor.doc_string.startswith("seeded "):
            continue
        mean, deviation, low, high = (float(word) for word in tensor.doc_string.split()[1:])
        values = rng.standard_normal(tuple(tensor.dims)) * deviation + mean
        tensor.raw_data = np.clip(values, low, high).astype("<f4").tobytes()
        tensor.doc_string = ""
    return model


def normal(**shapes):
    return lambda rng: {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def pictures(*sizes):
    return [normal(x=(b, 3, h, w)) for b, h, w in sizes]


def tagged(batch, length):
    return lambda rng: {"ids": rng.integers(1, 400, (batch, length)), **normal(h=(4, batch, 40), c=(4, batch, 40))(rng)}


def spelt(batch, source, target):
    def make(rng):
        feed = {"source": rng.integers(1, 100, (batch, source)), "target": rng.integers(1, 100, (batch, target))}
        feed["source"][batch // 2:, source - source // 3:] = 0
        return feed
    return make


def cached(batch, length, past):
    return lambda rng: {"ids": rng.integers(0, 300, (batch, length)),
                        **normal(**{name: (batch, 2, past, 16) for name in ("k0", "v0", "k1", "v1")})(rng)}


PICTURES = pictures((1, 64, 64), (2, 96, 64), (3, 65, 97))
# name: the inputs, as in nets/catalog.py.
GRAPHS = {
    "script_tagger": [tagged(1, 12), tagged(3, 5)],
    "script_speller": [spelt(1, 9, 5), spelt(3, 9, 5)],
    "script_upscaler": pictures((1, 20, 24), (3, 17, 33)),
    "script_shufflenet": PICTURES,
    "script_segmenter": pictures((1, 64, 64), (2, 65, 97)),
    "script_codec": [normal(wave=(1, 1, 160)), normal(wave=(3, 1, 64))],
    "dynamo_llama": [cached(1, 1, 9), cached(3, 5, 0), cached(2, 4, 17)],
    "dynamo_upscaler": pictures((2, 20, 24), (3, 17, 33)),
    "dynamo_swin": pictures((2, 64, 64), (3, 64, 64)),
    "dynamo_convnext": pictures((2, 64, 64), (3, 65, 97)),
    "dynamo_mixture": [normal(x=(2, 7, 32)), normal(x=(3, 20, 32))],
    "dynamo_mnasnet": pictures((2, 64, 64), (3, 65, 97)),
}
