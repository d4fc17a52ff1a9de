"""The networks of this folder: how each is built and with which inputs it is run.

NETS[name] is a pair, narrow (at most 10 MB, for every run of the tests) and published; each is (build, feeds): a
function without arguments that gives the model, and functions from a random generator to inputs by name. One executable
serves all feeds of a model; the first of the published ones is what is timed.
"""
import os
import sys
from functools import partial

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sequences
import transformers
import vision


def pictures(*sizes):
    return [vision.picture(b, 3, h, w) for b, h, w in sizes]


def values(name, *shapes):
    return [lambda rng, shape=shape: {name: rng.standard_normal(shape, np.float32)} for shape in shapes]


def words(vocabulary, *shapes):
    return [lambda rng, shape=shape: {"ids": rng.integers(0, vocabulary, shape)} for shape in shapes]


NARROW, BROAD = ((1, 64, 64), (2, 96, 64), (3, 65, 97)), ((1, 224, 224), (2, 192, 160))


def _vision(build, narrow, broad=None, sizes=NARROW):
    return ((partial(build, **narrow), pictures(*sizes)), (partial(build, **broad or {}), pictures(*BROAD)))


def _frames(*rows):
    return [vision.frames(*row) for row in rows]


def _berts(vocabulary, *shapes):
    return [transformers.bert_feed(b, t, vocabulary) for b, t in shapes]


def _gpts(vocabulary, *rows, **cache):
    return [transformers.gpt2_feed(b, t, vocabulary, p, **cache) for b, t, p in rows]


def _classifier(kind):
    return ((partial(sequences.classifier, kind, 48, vocabulary=500), words(500, (1, 7), (3, 20), (2, 1))),
            (partial(sequences.classifier, kind), words(10000, (1, 64), (8, 33))))


SMALL_GPT = {"width": 96, "heads": 4, "layers": 3, "vocabulary": 1000, "positions": 64}

NETS = {
    "resnet18": _vision(partial(vision.resnet, 18), {"width": 0.25}),
    "resnet50": _vision(partial(vision.resnet, 50), {"width": 0.25, "classes": 100}),
    "mobilenet_v2": _vision(vision.mobilenet_v2, {"width": 0.5}),
    "mobilenet_v3": _vision(vision.mobilenet_v3, {"width": 0.5}),
    "efficientnet_b0": _vision(vision.efficientnet_b0, {"width": 0.5}),
    "unet": _vision(vision.unet, {"width": 0.25}, sizes=((1, 64, 64), (2, 48, 80))),
    "detector": (
        (partial(vision.detector, 0.25), _frames((1, 64, 64, 5, 0.5, 0.51), (2, 96, 64, 100, 0.7, 0.4),
                                                 (3, 64, 128, 3, 0.2, 0), (1, 96, 96, 100, 0.5, 1))),
        (vision.detector, _frames((1, 224, 224, 20, 0.5, 0.6), (2, 192, 160, 100, 0.7, 0.55)))),
    "lstm_classifier": _classifier("LSTM"),
    "gru_classifier": _classifier("GRU"),
    "bert": ((partial(transformers.bert, 128, 4, 3, 1000, 64), _berts(1000, (1, 16), (3, 7), (2, 64))),
             (transformers.bert, _berts(30522, (1, 128), (4, 50)))),
    "gpt2": ((partial(transformers.gpt2, **SMALL_GPT), _gpts(1000, (1, 16, None), (2, 5, None), (1, 1, None))),
             (transformers.gpt2, _gpts(50257, (1, 64, None), (2, 17, None)))),
    "gpt2_cache": (
        (partial(transformers.gpt2, **SMALL_GPT, cache=True),
         _gpts(1000, (1, 1, 9), (2, 5, 0), (3, 4, 31), layers=3, heads=4, d=24)),
        (partial(transformers.gpt2, cache=True),
         _gpts(50257, (1, 1, 128), (2, 5, 0), (1, 8, 40), layers=12, heads=12, d=64))),
    "vit": ((partial(transformers.vit, 96, 4, 3, 16, 64, 100), pictures((1, 64, 64), (3, 64, 64))),
            (transformers.vit, pictures((1, 224, 224), (2, 224, 224)))),
    "conformer": ((partial(sequences.conformer, 64, 4, 2, 40, 15, 64),
                   values("mel", (1, 40, 40), (3, 17, 40), (2, 101, 40))),
                  (sequences.conformer, values("mel", (1, 400, 80), (2, 123, 80)))),
    "whisper_encoder": ((partial(transformers.whisper_encoder, 96, 4, 2, 40, 100),
                         values("mel", (1, 40, 60), (2, 40, 14), (1, 40, 200))),
                        (transformers.whisper_encoder, values("mel", (1, 80, 3000), (2, 80, 600)))),
    "wavenet": ((partial(sequences.wavenet, 24, 5, 2, 64), values("wave", (1, 1, 100), (3, 1, 17), (1, 1, 301))),
                (sequences.wavenet, values("wave", (1, 1, 8000), (2, 1, 1500)))),
}
