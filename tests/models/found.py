"""Models that packages carry (fetch.py), with inputs as their users give them.

FOUND[name] is a list of functions from a random generator to inputs by name; one executable serves all of a model.
"""
import numpy as np


def heard(batch, samples, rate=None):
    """A stretch of sound, what the model remembers of the one before, and the rate where the model asks for it."""
    def make(rng):
        feed = {"input": 0.1 * rng.standard_normal((batch, samples), np.float32),
                "state": rng.standard_normal((2, batch, 128), np.float32)}
        return feed if rate is None else {**feed, "sr": np.array(rate, np.int64)}
    return make


def sequence(n):
    return lambda rng: {"input": 0.1 * rng.standard_normal((n, 576), np.float32),
                        **{name: rng.standard_normal((1, 1, 128), np.float32) for name in "hc"}}


def tensor(name, *shape, scale=1, dtype=np.float32):
    return lambda rng: {name: (scale * rng.standard_normal(shape)).astype(dtype)}


def numbers(name, below, *shape):
    return lambda rng: {name: rng.integers(0, below, shape)}


def sung(samples):
    return lambda rng: {"audio": 0.3 * rng.standard_normal((1, samples), np.float32),
                        "fmin": np.array(46.875, np.float32), "fmax": np.array(2093.75, np.float32)}


def echoed(frames):
    return lambda rng: {"input": rng.standard_normal((1, 3, frames, 160), np.float32),
                        "h0": np.zeros((4, 1, 64), np.float32)}


def degraded(frames):
    return lambda rng: {"degraded_audio": rng.standard_normal((1, 1, frames, 257), np.float32),
                        "rater_embed": rng.standard_normal((1, 64), np.float32)}


def molecules(atoms, bonds, n):
    def make(rng):
        normal = lambda *shape: rng.standard_normal(shape, np.float32)
        return {"feat": normal(atoms, 85), "edge_feat": normal(bonds, 13),
                "edge_index": rng.integers(0, atoms, (2, bonds)), "laplacian_eigvec": normal(atoms, 8),
                "laplacian_eigval": normal(atoms, 8), "rw_return_probs": normal(atoms, 16),
                "batch": np.sort(rng.integers(0, n, atoms)), "graph_slots": normal(n)}
    return make


FOUND = {
    "silero_vad": [heard(2, 288, 8000), heard(1, 576, 16000), heard(3, 300, 16000)],
    "silero_vad_half": [heard(1, 576), heard(3, 576)],
    "silero_vad_16k_op15": [heard(1, 576, 16000), heard(3, 576, 16000)],
    "silero_vad_16k_sequence": [sequence(1), sequence(7)],
    "silero_vad_op18_ifless": [heard(1, 576, 16000), heard(3, 576, 16000), heard(2, 288, 8000)],
    "silero_vad_openvino_16k": [heard(1, 576)],
    "silero_vad_v6": [sequence(1), sequence(5)],
    "basic_pitch": [tensor("serving_default_input_2:0", 1, 43844, 1, scale=0.2)],
    "swift_f0": [sung(16000), sung(5000)],
    "dnsmos": [tensor("input_1", 2, 900, 120)],
    "aecmos": [echoed(50), echoed(17)],
    "plcmos": [degraded(40), degraded(7)],
    "trees": [tensor("X", n, 229, dtype=np.float64) for n in (5, 1)],
    "signals": [tensor("x", n, 15, t) for n, t in ((3, 100), (1, 517))],
    "tashkeel": [numbers("input_ids", 54, n, t) for n, t in ((1, 17), (3, 5))],
    "minimol": [molecules(9, 14, 2), molecules(3, 4, 1)],
    "nudenet": [tensor("images", n, 3, h, w) for n, h, w in ((1, 160, 96), (2, 64, 64))],
}
