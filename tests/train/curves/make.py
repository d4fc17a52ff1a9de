#!/usr/bin/env python3
"""Writes NAME.json for each model of models.py: its losses in 100 steps by torch, for each optimiser in double, and in
three runs of torch.autocast in bf16 and f16 whose sums are taken in other orders; and some wrong runs, which the test
must tell from right ones.

What is rounded: autocast casts the operands of linear, conv2d and attention to the narrow type, adds in f32 and rounds
the results; their gradients likewise, those of weights too, before they are added to f32 weights' gradients. Batch
norm, relu and pooling take and give the narrow type; layer norm, softmax and the loss compute in f32. tenon differs in
these: the bias is added to the rounded product and rounded with what follows it, batch norm gives f32, gradients of
weights stay f32, and what a kernel hands on inside of it is not rounded at all.
usage: make.py [NAME...]   (needs torch; by hand)"""
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from judge import AT_FIRST, off, spreads
from models import DECAY, LOSS_SCALE, MODELS, OPTIMIZERS, STEPS, batches, narrow_rate, weight  # noqa: E402
from problem import settings  # noqa: E402
from torch_optim import optimizer_of  # noqa: E402

NARROW = {"bf16": torch.bfloat16, "f16": torch.float16}
RUNS = 3
SINGLE_RUNS = 12
SHARES = (1, 0.1, 0.01)  # of the learning rate, for f32
# Weights kept in the narrow type. (In f16 their roundings hide among others where steps are as large as adam's.)
MUTANTS = {("bf16", "adam"): ["masters"], ("bf16", "lion"): ["masters"], ("f16", "lion"): ["masters"]}
WIDE = ("resnet",)  # the spread of its runs hides this
HERE = os.path.dirname(os.path.abspath(__file__))


class Weights:
    """Parameters by their paths, made when they are first asked for, and the sums over them.

    With a generator sums are taken in another order: the axes that they run over are permuted, and a product is
    computed in parts, two of what it adds over and two of the samples, which its gradients add over. Sums of one part
    are made in f32 and rounded once, as torch.autocast does it; the parts' are added in the narrow type. (The order of
    f32 sums alone seldom moves a rounding of bf16: three such runs are often equal to 1e-7 for 100 steps, which says
    nothing of what its roundings do.)"""

    def __init__(self, dtype, generator=None):
        self.dtype, self.generator, self.made = dtype, generator, {}

    def __call__(self, path, *shape):
        if path not in self.made:
            self.made[path] = torch.tensor(weight(path, shape), dtype=self.dtype, requires_grad=True)
        return self.made[path]

    def order(self, n):
        return torch.arange(n) if self.generator is None else torch.tensor(self.generator.permutation(n))

    def in_parts(self, product, x, w, b):
        """product(x, w, b), which adds over axis 1 of x and of w; x [samples, features, ..]."""
        if self.generator is None:
            return product(x, w, b)
        p, q, rows = self.order(w.shape[1]), self.order(w.shape[0]), self.order(len(x))
        some = [part for part in torch.tensor_split(p, 2) if len(part)]
        w, b = w.index_select(0, q), None if b is None else b.index_select(0, q)
        w, x = [w.index_select(1, part) for part in some], x.index_select(0, rows)
        x = [torch.tensor_split(x.index_select(1, part), 2) for part in some]
        out = [sum(product(x[i][half], w[i], b if i == 0 else None) for i in range(len(some))) for half in (0, 1)]
        return torch.cat(out).index_select(0, torch.argsort(rows)).index_select(1, torch.argsort(q))

    def product(self, x, w, b=None):
        """x @ w.T + b"""
        return self.in_parts(F.linear, x.reshape(-1, x.shape[-1]), w, b).reshape(*x.shape[:-1], len(w))

    def linear(self, path, x, out, bias=True):
        return self.product(x, self(path + ".weight", out, x.shape[-1]), self(path + ".bias", out) if bias else None)

    def conv(self, path, x, out, k, bias=True, **kw):
        w, b = self(path + ".weight", out, x.shape[1], k, k), self(path + ".bias", out) if bias else None
        return self.in_parts(lambda *tensors: F.conv2d(*tensors, **kw), x, w, b)

    def batch_norm(self, path, x):
        c = x.shape[1]
        return F.batch_norm(x, None, None, self(path + ".weight", c), self(path + ".bias", c), True)

    def layer_norm(self, path, x):
        d = x.shape[-1]
        p = self.order(d)
        w, b = (self(path + kind, d).index_select(0, p) for kind in (".weight", ".bias"))
        return F.layer_norm(x.index_select(-1, p), (d,), w, b).index_select(-1, torch.argsort(p))

    def mean(self, x, axis):
        return x.index_select(axis, self.order(x.shape[axis])).mean(axis)

    def attention(self, q, k, v, causal):
        """Of [batch, heads, places, width]."""
        t, d = q.shape[-2:]
        p, r, places = self.order(d), self.order(d), self.order(t)
        mask = torch.ones(t, t, dtype=torch.bool).tril()[:, places] if causal else None
        k, v = (a.index_select(-2, places).index_select(-1, axis) for a, axis in ((k, p), (v, r)))
        y = F.scaled_dot_product_attention(q.index_select(-1, p), k, v, mask)
        return y.index_select(-1, torch.argsort(r))

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
        gates = w.product(x[:, t], w("lstm.weight_ih", 96, 16), w("lstm.bias", 96)) + w.product(
            h, w("lstm.weight_hh", 96, 24))
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return w.linear("linear", h, 4)


def gru(w, x):
    x = w.embed(x, 50, 16)
    h = x.new_zeros(x.shape[0], 24)
    for t in range(x.shape[1]):
        wr, wz, wn = w.product(x[:, t], w("gru.weight_ih", 72, 16), w("gru.bias", 72)).chunk(3, 1)
        ur, uz, un = w.product(h, w("gru.weight_hh", 72, 24)).chunk(3, 1)
        r, z = torch.sigmoid(wr + ur), torch.sigmoid(wz + uz)
        h = (1 - z) * torch.tanh(wn + r * un) + z * h
    return w.linear("linear", h, 4)


def layer(w, path, x, causal, heads=4):
    b, t, d = x.shape
    q, k, v = (a.reshape(b, t, heads, d // heads).transpose(1, 2) for a in
               w.linear(path + "Attend.linear", w.layer_norm(path + "layernorm", x), 3 * d).chunk(3, -1))
    y = w.attention(q, k, v, causal).transpose(1, 2).reshape(b, t, d)
    h = x + w.linear(path + "Attend.linear_1", y, d)
    y = F.gelu(w.linear(path + "linear", w.layer_norm(path + "layernorm_1", h), 2 * d))
    return h + w.linear(path + "linear_1", y, d)


def transformer(w, x, n_layers, causal):
    h = w.embed(x, 40, 32) + w("positions.weight", 10, 32)
    for i in range(n_layers):
        h = layer(w, "for.%d.Layer." % i, h, causal)
    return w.layer_norm("layernorm", h)


def encoder(w, x):
    return w.linear("linear", w.mean(transformer(w, x, 4, False), 1), 4)


def gpt(w, x):
    return w.linear("linear", transformer(w, x, 2, True), 40, False)


def shuffled(batch, generator):
    if generator is None:
        return batch
    order = generator.permutation(len(batch[0]))
    return batch[0][order], batch[1][order]


def curve(name, optimizer, lr, dtype, narrow=None, seed=None, mutant=None):
    """narrow: the type of autocast. seed: of the order of sums. mutant: what is wrong, of MUTANTS."""
    generator = None if seed is None else np.random.RandomState(seed)
    w, forward = Weights(dtype, generator), globals()[name]
    data = [shuffled(batch, generator) for batch in batches(name)]
    data = [(torch.tensor(x), torch.tensor(y).long().reshape(-1)) for x, y in data]
    data = [(x.to(dtype) if x.is_floating_point() else x, y) for x, y in data]
    forward(w, data[0][0])
    scale = LOSS_SCALE if narrow == torch.float16 else 1.0
    params, losses = list(w.made.values()), []
    steps = optimizer_of(settings(OPTIMIZERS[optimizer][0]), [{"params": params, "lr": 1.0}])
    for t in range(STEPS):
        x, y = data[t % len(data)]
        steps.param_groups[0]["lr"] = float(np.float32(lr * DECAY ** t))
        with torch.autocast("cpu", dtype=narrow, enabled=narrow is not None):
            out = forward(w, x)
            loss = F.cross_entropy(out.reshape(-1, out.shape[-1]), y)
        for p in params:
            p.grad = None
        (loss * scale).backward()
        for p in params:
            p.grad /= scale
        losses.append(loss.item())
        steps.step()
        for p in params if mutant == "masters" else ():
            p.data = p.data.to(narrow).to(dtype)
    return losses


def short(number):
    return float("%.2g" % number)


def exact(name, optimizer):
    """The curve in double, at the first of the rates at which torch in f32 keeps to half of what tenon is allowed,
    and how far its runs are from it at most, there and at the rates before."""
    single = {}
    for share in SHARES:
        lr = float("%g" % (OPTIMIZERS[optimizer][1] * share))
        wanted = curve(name, optimizer, lr, torch.float64)
        each = [off(curve(name, optimizer, lr, torch.float32, None, k), wanted) for k in (None, *range(SINGLE_RUNS))]
        single["%g" % lr] = [short(max(run[i] for run in each)) for i in (0, 1)]
        if all(far <= bound / 2 for far, bound in zip(single["%g" % lr], (AT_FIRST, MODELS[name][5]))):
            return {"lr": lr, "torch": single, "losses": [float("%.8g" % v) for v in wanted]}
    raise ValueError("%s %s: torch in f32 is too far from torch in double: %s" % (name, optimizer, single))


def spread(name, optimizer, dtype):
    """Three runs, a fourth one, and wrong ones."""
    lr, narrow = narrow_rate(name, optimizer), NARROW[dtype]
    runs = [curve(name, optimizer, lr, torch.float32, narrow, k) for k in range(RUNS + 1)]
    kept = [[float("%.6g" % v) for v in run] for run in runs[:RUNS]]
    row = {"runs": kept, "fourth": [float("%.6g" % v) for v in runs[RUNS]], "wrong": {}}
    for mutant in MUTANTS.get((dtype, optimizer), ()) if name not in WIDE else ():
        wrong = curve(name, optimizer, lr, torch.float32, narrow, RUNS + 1, mutant)
        row["wrong"][mutant] = [float("%.6g" % v) for v in wrong]
    return row


def main():
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False  # its bf16 kernels ask for more than some virtual machines have
    for name in sys.argv[1:] or MODELS:
        rows = {}
        for optimizer in OPTIMIZERS:
            row = rows[optimizer] = {"f32": exact(name, optimizer)}
            row.update((dtype, spread(name, optimizer, dtype)) for dtype in NARROW)
            print(name, optimizer, row["f32"]["torch"], [spreads(row[dtype]["runs"]) for dtype in NARROW], flush=True)
        with open(os.path.join(HERE, name + ".json"), "w") as f:
            f.write("{\n" + ",\n".join('"%s": %s' % (k, json.dumps(v, separators=(",", ":")))
                                       for k, v in rows.items()) + "\n}\n")


if __name__ == "__main__":
    main()
