"""Transformers as published: BERT, GPT-2 with and without a key-value cache, ViT, and Whisper's encoder."""
import numpy as np
from onnx import TensorProto

from builder import Graph

I64 = TensorProto.INT64


def _qkv(g, x, width, heads, bias=(True, True, True)):
    return [g.heads(g.linear(x, width, width, b), heads, width // heads) for b in bias]


def _post_norm_block(g, x, width, heads, mask):
    """BERT's: attention and feed-forward, each followed by addition and normalisation."""
    y = g.linear(g.attend(*_qkv(g, x, width, heads), heads, width // heads, mask), width, width)
    x = g.layer_norm(g.Add(y, x), width, True)
    y = g.linear(g.linear(x, width, 4 * width, act="gelu"), 4 * width, width)
    return g.layer_norm(g.Add(y, x), width, True)


def bert(width=768, heads=12, layers=12, vocabulary=30522, positions=512):
    """Devlin et al. 2018, base, as PyTorch writes it at opset 13 (normalisation and GELU in pieces)."""
    g = Graph("bert", opset=13)
    ids = g.input("input_ids", ["B", "T"], I64)
    mask = g.input("attention_mask", ["B", "T"], I64)
    types = g.input("token_type_ids", ["B", "T"], I64)
    length = g.Gather(g.Shape(ids), [1], axis=0)
    at = g.Slice(g.const(np.arange(positions)[None]), [0], length, [1])
    y = g.Add(g.Gather(g.weight(vocabulary, width, std=0.5), ids), g.Gather(g.weight(2, width, std=0.5), types))
    y = g.Add(y, g.Gather(g.weight(positions, width, std=0.5), at))
    y = g.layer_norm(y, width, True)
    wide = g.Cast(g.Unsqueeze(g.Unsqueeze(mask, [1]), [2]), to=1)
    bias = g.Mul(g.Sub(1.0, wide), float(np.finfo(np.float32).min))
    for _ in range(layers):
        y = _post_norm_block(g, y, width, heads, bias)
    pooled = g.Tanh(g.gemm(g.Gather(y, g.const(np.array(0)), axis=1), width, width))
    g.output("last_hidden_state", y, ["B", "T", width])
    g.output("pooler_output", pooled, ["B", width])
    return g.model()


def bert_feed(batch, length, vocabulary):
    def make(rng):
        mask = np.ones((batch, length), np.int64)
        mask[batch // 2:, length - length // 4:] = 0
        return {"input_ids": rng.integers(0, vocabulary, (batch, length)), "attention_mask": mask,
                "token_type_ids": (np.arange(length)[None] >= length // 2).repeat(batch, 0).astype(np.int64)}
    return make


def _causal_mask(g, past, length):
    """0 where a position of the text may look, else the lowest number: [T, P+T]. past, length: of one element."""
    zero, one = g.const(np.array(0)), g.const(np.array(1))
    total = g.Add(past, length)
    scalar = lambda x: g.Squeeze(x, [0])
    rows = g.Unsqueeze(g.Range(scalar(past), scalar(total), one), [1])
    columns = g.Unsqueeze(g.Range(zero, scalar(total), one), [0])
    low = g.const(np.array(np.finfo(np.float32).min, np.float32))
    return g.Where(g.LessOrEqual(columns, rows), g.const(np.array(0, np.float32)), low)


def gpt2(width=768, heads=12, layers=12, vocabulary=50257, positions=1024, cache=False):
    """Radford et al. 2019, 124M. With cache: every layer takes keys and values of P earlier positions and gives
    those of P + T; the head is the transposed embedding."""
    g = Graph("gpt2", opset=13)
    d = width // heads
    ids = g.input("input_ids", ["B", "T"], I64)
    past = [g.input(f"past.{i}", [2, "B", heads, "P", d]) for i in range(layers if cache else 0)]
    length = g.Gather(g.Shape(ids), [1], axis=0)
    before = g.Gather(g.Shape(past[0]), [3], axis=0) if cache else g.const(np.array([0]))
    table = g.weight(vocabulary, width, std=0.3)
    places = g.Slice(g.weight(positions, width, std=0.1), before, g.Add(before, length), [0])
    y = g.Add(g.Gather(table, ids), places)
    mask = _causal_mask(g, before, length)
    for i in range(layers):
        z = g.layer_norm(y, width, True)
        z = g.linear(z, width, 3 * width)
        q, k, v = (g.heads(part, heads, d) for part in g.Split(z, [width] * 3, axis=2, outputs=3))
        if cache:
            old = [g.Squeeze(part, [0]) for part in g.Split(past[i], [1, 1], axis=0, outputs=2)]
            k, v = (g.Concat(o, n, axis=2) for o, n in zip(old, (k, v)))
            present = g.Concat(g.Unsqueeze(k, [0]), g.Unsqueeze(v, [0]), axis=0)
            g.output(f"present.{i}", present, [2, "B", heads, "S", d])
        y = g.Add(y, g.linear(g.attend(q, k, v, heads, d, mask), width, width))
        z = g.linear(g.layer_norm(y, width, True), width, 4 * width, act="gelu_tanh")
        y = g.Add(y, g.linear(z, 4 * width, width))
    logits = g.MatMul(g.layer_norm(y, width, True), g.Transpose(table, perm=[1, 0]))
    g.output("logits", logits, ["B", "T", vocabulary])
    return g.model()


def gpt2_feed(batch, length, vocabulary, past=None, layers=0, heads=0, d=0):
    def make(rng):
        feed = {"input_ids": rng.integers(0, vocabulary, (batch, length))}
        for i in range(layers if past is not None else 0):
            feed[f"past.{i}"] = rng.standard_normal((2, batch, heads, past, d), np.float32)
        return feed
    return make


def _pre_norm_block(g, x, width, heads, bias=(True, True, True)):
    z = g.layer_norm(x, width)
    x = g.Add(x, g.linear(g.attend(*_qkv(g, z, width, heads, bias), heads, width // heads), width, width))
    return g.Add(x, g.linear(g.linear(g.layer_norm(x, width), width, 4 * width, act="gelu"), 4 * width, width))


def vit(width=768, heads=12, layers=12, patch=16, size=224, classes=1000):
    """Dosovitskiy et al. 2020, B/16."""
    g = Graph("vit")
    x = g.input("x", ["B", 3, size, size])
    n = (size // patch) ** 2
    y = g.Conv(x, g.weight(width, 3, patch, patch), g.weight(width, std=0.1), strides=[patch, patch])
    y = g.Transpose(g.Reshape(y, [0, width, n]), perm=[0, 2, 1])
    batch = g.Gather(g.Shape(x), [0], axis=0)
    mark = g.Expand(g.weight(1, 1, width, std=0.5), g.Concat(batch, [1, width], axis=0))
    y = g.Add(g.Concat(mark, y, axis=1), g.weight(1, n + 1, width, std=0.5))
    for _ in range(layers):
        y = _pre_norm_block(g, y, width, heads)
    first = g.Gather(g.layer_norm(y, width), g.const(np.array(0)), axis=1)
    g.output("logits", g.gemm(first, width, classes), ["B", classes])
    return g.model()


def whisper_encoder(width=384, heads=6, layers=4, mels=80, positions=1500):
    """Radford et al. 2022: the encoder of the tiny model, for any even number of frames."""
    g = Graph("whisper_encoder")
    x = g.input("mel", ["B", mels, "F"])
    y = g.conv(x, mels, width, 3, act="gelu", norm=False, rank=1)
    y = g.conv(y, width, width, 3, 2, act="gelu", norm=False, rank=1)
    y = g.Transpose(y, perm=[0, 2, 1])
    places = g.weight(positions, width, std=0.5)
    y = g.Add(y, g.Slice(places, [0], g.Gather(g.Shape(y), [1], axis=0), [0]))
    for _ in range(layers):
        y = _pre_norm_block(g, y, width, heads, (True, False, True))
    g.output("hidden", g.layer_norm(y, width), ["B", "T", width])
    return g.model()
