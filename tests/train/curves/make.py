#!/usr/bin/env python3
"""Writes NAME.json for each model of models.py: its losses in 100 steps by torch, in double, for each optimiser, and
how far torch in f32 is from these in steps 1 to 10 and in all; for some, the same of torch.autocast in bf16 and f16,
the furthest of three runs whose batches are shuffled, so that sums are added up in another order.
usage: make.py [NAME...]   (needs torch; by hand)"""
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from models import LOSS_SCALE, MODELS, NARROW_OPTIMIZERS, OPTIMIZERS, SHARES, STEPS, batches, weight  # noqa: E402
from problem import rate_at, settings  # noqa: E402
from torch_optim import optimizer_of  # noqa: E402

NARROW = {"bf16": torch.bfloat16, "f16": torch.float16}
HERE = os.path.dirname(os.path.abspath(__file__))


class Weights:
    """Parameters by their paths, made when they are first asked for."""

    def __init__(self, dtype):
        self.dtype, self.made = dtype, {}

    def __call__(self, path, *shape):
        if path not in self.made:
            self.made[path] = torch.tensor(weight(path, shape), dtype=self.dtype, requires_grad=True)
        return self.made[path]

    def linear(self, path, x, out, bias=True):
        return F.linear(x, self(path + ".weight", out, x.shape[-1]), self(path + ".bias", out) if bias else None)

    def conv(self, path, x, out, k, bias=True, **kw):
        return F.conv2d(x, self(path + ".weight", out, x.shape[1], k, k), self(path + ".bias", out) if bias else None,
                        **kw)

    def batch_norm(self, path, x):
        c = x.shape[1]
        return F.batch_norm(x, None, None, self(path + ".weight", c), self(path + ".bias", c), True)

    def layer_norm(self, path, x):
        d = x.shape[-1]
        return F.layer_norm(x, (d,), self(path + ".weight", d), self(path + ".bias", d))

    def embed(self, x, vocab, width):
        return self("embed.weight", vocab, width)[x.long()]


def mlp(w, x):
    x = F.relu(w.linear("linear", x, 64))
    return w.linear("linear_2", F.relu(w.linear("linear_1", x, 64)), 3)


def lenet(w, x):
    x = F.max_pool2d(F.relu(w.conv("conv", x, 6, 5, padding=2)), 2)
    x = F.max_pool2d(F.relu(w.conv("conv_1", x, 16, 5)), 2).flatten(1)
    x = F.relu(w.linear("linear", x, 120))
    return w.linear("linear_2", F.relu(w.linear("linear_1", x, 84)), 10)


def two_convs(w, path, x, out, stride):
    y = F.relu(w.batch_norm(path + "batchnorm", w.conv(path + "conv", x, out, 3, False, padding=1, stride=stride)))
    return w.batch_norm(path + "batchnorm_1", w.conv(path + "conv_1", y, out, 3, False, padding=1))


def resnet(w, x):
    x = F.relu(w.batch_norm("batchnorm", w.conv("conv", x, 8, 3, False, padding=1)))
    x = F.relu(x + two_convs(w, "Block.", x, 8, 1))
    x = F.relu(two_convs(w, "Down.", x, 16, 2) +
               w.batch_norm("Down.batchnorm_2", w.conv("Down.conv_2", x, 16, 2, False, stride=2)))
    x = F.relu(x + two_convs(w, "Block_1.", x, 16, 1))
    return w.linear("linear", x.mean((2, 3)), 10)


def lstm(w, x):
    x = w.embed(x, 50, 16)
    h = c = x.new_zeros(x.shape[0], 24)
    for t in range(x.shape[1]):
        gates = x[:, t] @ w("lstm.weight_ih", 96, 16).T + h @ w("lstm.weight_hh", 96, 24).T + w("lstm.bias", 96)
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return w.linear("linear", h, 4)


def gru(w, x):
    x = w.embed(x, 50, 16)
    h = x.new_zeros(x.shape[0], 24)
    for t in range(x.shape[1]):
        wr, wz, wn = (x[:, t] @ w("gru.weight_ih", 72, 16).T + w("gru.bias", 72)).chunk(3, 1)
        ur, uz, un = (h @ w("gru.weight_hh", 72, 24).T).chunk(3, 1)
        r, z = torch.sigmoid(wr + ur), torch.sigmoid(wz + uz)
        h = (1 - z) * torch.tanh(wn + r * un) + z * h
    return w.linear("linear", h, 4)


def layer(w, path, x, causal, heads=4):
    b, t, d = x.shape
    q, k, v = (a.reshape(b, t, heads, d // heads).transpose(1, 2) for a in
               w.linear(path + "Attend.linear", w.layer_norm(path + "layernorm", x), 3 * d).chunk(3, -1))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).reshape(b, t, d)
    h = x + w.linear(path + "Attend.linear_1", y, d)
    y = F.gelu(w.linear(path + "linear", w.layer_norm(path + "layernorm_1", h), 2 * d))
    return h + w.linear(path + "linear_1", y, d)


def transformer(w, x, n_layers, causal):
    h = w.embed(x, 40, 32) + w("positions.weight", 10, 32)
    for i in range(n_layers):
        h = layer(w, "for.%d.Layer." % i, h, causal)
    return w.layer_norm("layernorm", h)


def encoder(w, x):
    return w.linear("linear", transformer(w, x, 4, False).mean(1), 4)


def gpt(w, x):
    return w.linear("linear", transformer(w, x, 2, True), 40, False)


def shuffled(batch, generator):
    if generator is None:
        return batch
    order = generator.permutation(len(batch[0]))
    return batch[0][order], batch[1][order]


def curve(name, optimizer, dtype, narrow=None, generator=None):
    """narrow: the type of autocast. generator: of the order of samples."""
    text, lr = OPTIMIZERS[optimizer]
    w, forward = Weights(dtype), globals()[name]
    data = [shuffled(batch, generator) for batch in batches(name)]
    data = [(torch.tensor(x), torch.tensor(y).long().reshape(-1)) for x, y in data]
    data = [(x.to(dtype) if x.is_floating_point() else x, y) for x, y in data]
    forward(w, data[0][0])
    scale = 1.0 if narrow is None else LOSS_SCALE
    groups = [{"params": list(w.made.values()), "lr": 1.0}]
    steps, losses = optimizer_of(settings(text), groups), []
    for t in range(1, STEPS + 1):
        x, y = data[(t - 1) % len(data)]
        steps.param_groups[0]["lr"] = rate_at(lr * SHARES.get(name, 1), t)
        with torch.autocast("cpu", dtype=narrow, enabled=narrow is not None):
            out = forward(w, x)
            loss = F.cross_entropy(out.reshape(-1, out.shape[-1]), y)
        for p in groups[0]["params"]:
            p.grad = None
        (loss * scale).backward()
        for p in groups[0]["params"]:
            p.grad /= scale
        losses.append(loss.item())
        steps.step()
    return losses


def off(found, exact):
    """The largest relative difference in steps 1 to 10 and in all."""
    each = [abs(a - b) / abs(b) for a, b in zip(found, exact)]
    return max(each[:10]), max(each)


def furthest(name, optimizer, narrow, exact):
    runs = [off(curve(name, optimizer, torch.float32, narrow, np.random.RandomState(k)), exact) for k in range(3)]
    return [max(run[i] for run in runs) for i in (0, 1)]


def short(numbers):
    return [float("%.2g" % v) for v in numbers]


def main():
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False  # its bf16 kernels ask for more than some virtual machines have
    for name in sys.argv[1:] or MODELS:
        rows = {}
        for optimizer in OPTIMIZERS:
            exact, single = (curve(name, optimizer, d) for d in (torch.float64, torch.float32))
            row = rows[optimizer] = {"losses": [float("%.8g" % v) for v in exact], "f32": short(off(single, exact))}
            for dtype in NARROW if optimizer in NARROW_OPTIMIZERS else ():
                row[dtype] = short(furthest(name, optimizer, NARROW[dtype], exact))
            print(name, optimizer, exact[0], exact[9], exact[-1], {k: v for k, v in row.items() if k != "losses"},
                  flush=True)
        with open(os.path.join(HERE, name + ".json"), "w") as f:
            f.write("{\n" + ",\n".join('"%s": %s' % (k, json.dumps(v)) for k, v in rows.items()) + "\n}\n")


main()
