"""Makes the graphs of this folder with PyTorch's two exporters.   usage: export.py [NAME...]

Needs torch, torchvision, onnxscript and onnx (made with 2.15.0, 0.29.2, 0.7.2 and 1.23.2); the tests need none of them
but onnx. The files keep no weights: a tensor of more than 64 floats loses its data and gets the text "seeded MEAN STD
LOW HIGH" instead, what its values were like, from which graphs.py makes new ones. Names of nodes and values stay as
written, the exporters' metadata does not.
"""
import os
import sys

import numpy as np
import onnx
import torch
import torchvision
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

HERE = os.path.dirname(os.path.abspath(__file__))


class Tagger(nn.Module):
    """Two bidirectional LSTM layers over embedded words, states given and returned."""

    def __init__(self):
        super().__init__()
        self.words, self.lstm = nn.Embedding(400, 32), nn.LSTM(32, 40, 2, batch_first=True, bidirectional=True)
        self.tags = nn.Linear(80, 9)

    def forward(self, ids, h, c):
        y, (h, c) = self.lstm(self.words(ids), (h, c))
        return self.tags(y).log_softmax(-1), h, c


class Speller(nn.Module):
    """An encoder and decoder of nn.Transformer with padding and causal masks."""

    def __init__(self):
        super().__init__()
        self.letters, self.out = nn.Embedding(100, 64), nn.Linear(64, 100)
        self.core = nn.Transformer(64, 4, 2, 1, 128, batch_first=True, norm_first=True, activation="gelu")

    def forward(self, source, target):
        causal = torch.triu(torch.ones(target.shape[1], target.shape[1], dtype=torch.bool), 1)
        padding = source == 0
        y = self.core(self.letters(source), self.letters(target), tgt_mask=causal, src_key_padding_mask=padding,
                      memory_key_padding_mask=padding)
        return self.out(y)


class Upscaler(nn.Module):
    """Residual convolutions, squeezing of extents of 1, pixel shuffle, bilinear and bicubic interpolation."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 12, 3, padding=1)
        self.body = nn.ModuleList(nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.PReLU(32), nn.InstanceNorm2d(32),
                                                nn.Conv2d(32, 32, 3, padding=1)) for _ in range(4))
        self.gain = nn.Linear(32, 32)

    def forward(self, x):
        y = F.pad(self.first(x), (1, 1, 1, 1), mode="reflect")[..., 1:-1, 1:-1]
        for block in self.body:
            z = block(y)
            y = y + z * torch.sigmoid(self.gain(z.mean((2, 3))))[..., None, None]
        y = F.pixel_shuffle(self.last(y), 2)
        rough = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
        return y + rough, F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=True)


class Norm(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class Layer(nn.Module):
    """A decoder layer of Llama's kind: two heads of keys for four of queries, rotated by place."""

    def __init__(self, width=64, heads=4, shared=2):
        super().__init__()
        self.heads, self.shared, self.d = heads, shared, width // heads
        self.before, self.after = Norm(width), Norm(width)
        self.q, self.k, self.v = (nn.Linear(width, n * self.d, bias=False) for n in (heads, shared, shared))
        self.o = nn.Linear(width, width, bias=False)
        self.gate, self.up = nn.Linear(width, 160, bias=False), nn.Linear(width, 160, bias=False)
        self.down = nn.Linear(160, width, bias=False)

    def rotate(self, x, at):
        turns = 10000.0 ** (-torch.arange(0, self.d, 2, dtype=torch.float32) / self.d)
        angle = at[:, None].float() * turns
        cos, sin = torch.cat([angle, angle], -1).cos(), torch.cat([angle, angle], -1).sin()
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin

    def forward(self, x, past_k, past_v):
        b, t, _ = x.shape
        p = past_k.shape[2]
        y, at = self.before(x), torch.arange(p, p + t)
        q = self.rotate(self.q(y).view(b, t, self.heads, self.d).transpose(1, 2), at)
        k = self.rotate(self.k(y).view(b, t, self.shared, self.d).transpose(1, 2), at)
        v = self.v(y).view(b, t, self.shared, self.d).transpose(1, 2)
        k, v = torch.cat([past_k, k], 2), torch.cat([past_v, v], 2)
        mask = torch.arange(p + t)[None] <= at[:, None]
        groups = self.heads // self.shared
        wide = [z[:, :, None].expand(b, self.shared, groups, p + t, self.d).reshape(b, self.heads, p + t, self.d)
                for z in (k, v)]
        y = F.scaled_dot_product_attention(q, *wide, attn_mask=mask)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, -1))
        y = self.after(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y)), k, v


class Llama(nn.Module):
    def __init__(self, layers=2):
        super().__init__()
        self.words, self.layers = nn.Embedding(300, 64), nn.ModuleList(Layer() for _ in range(layers))
        self.last, self.out = Norm(64), nn.Linear(64, 300, bias=False)

    def forward(self, ids, k0, v0, k1, v1):
        x, k0, v0 = self.layers[0](self.words(ids), k0, v0)
        x, k1, v1 = self.layers[1](x, k1, v1)
        return self.out(self.last(x)), k0, v0, k1, v1


class Codec(nn.Module):
    """A wave coded by strided convolutions, a GRU in the middle, decoded by transposed ones (weights normalised)."""

    def __init__(self):
        super().__init__()
        norm = torch.nn.utils.parametrizations.weight_norm
        self.down = nn.ModuleList(norm(nn.Conv1d(a, b, 2 * s, s, s // 2)) for a, b, s in ((1, 16, 2), (16, 32, 4)))
        self.up = nn.ModuleList(norm(nn.ConvTranspose1d(a, b, 2 * s, s, s // 2))
                                for a, b, s in ((32, 16, 4), (16, 1, 2)))
        self.gru = nn.GRU(32, 32, batch_first=True)

    def forward(self, x):
        for layer in self.down:
            x = F.elu(layer(x))
        x = x + self.gru(x.transpose(1, 2))[0].transpose(1, 2)
        return torch.tanh(self.up[1](F.elu(self.up[0](x))))


class Mixture(nn.Module):
    """Layers that choose: the two best of four experts for each row, einsum, group norm, cumulative sums."""

    def __init__(self):
        super().__init__()
        self.choose, self.norm = nn.Linear(32, 4), nn.GroupNorm(4, 32)
        self.w = nn.Parameter(torch.randn(4, 32, 48) / 6)
        self.u = nn.Parameter(torch.randn(4, 48, 32) / 7)

    def forward(self, x):
        best, which = self.choose(x).softmax(-1).topk(2, -1)
        gates = torch.zeros(*x.shape[:2], 4).scatter(-1, which, best)
        y = torch.einsum("bti,eij->btej", x, self.w).relu()
        y = torch.einsum("btej,eji,bte->bti", y, self.u, gates)
        y = self.norm((x + y).transpose(1, 2)).transpose(1, 2)
        return y, y.cumsum(1) / torch.arange(1, y.shape[1] + 1)[:, None]


def picture(h, w):
    return (torch.randn(2, 3, h, w),)


def ids(n, *shape):
    return torch.randint(1, n, shape)


models = torchvision.models
SIZES = {0: "B", 2: "H", 3: "W"}
CACHE = {0: "B", 2: "P"}
# name: (module, inputs' names, example, dims that vary, exported by dynamo)
GRAPHS = {
    "script_tagger": (Tagger, ["ids", "h", "c"], lambda: (ids(400, 2, 9), torch.zeros(4, 2, 40), torch.zeros(4, 2, 40)),
                      [{0: "B", 1: "T"}, {1: "B"}, {1: "B"}], False),
    "script_speller": (Speller, ["source", "target"], lambda: (ids(100, 2, 9), ids(100, 2, 5)),
                       [{0: "B"}, {0: "B"}], False),
    "script_upscaler": (Upscaler, ["x"], lambda: picture(20, 24), [SIZES], False),
    "script_shufflenet": (models.shufflenet_v2_x0_5, ["x"], lambda: picture(64, 64), [SIZES], False),
    "script_segmenter": (lambda: models.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None), ["x"],
                         lambda: picture(64, 96), [SIZES], False),
    "script_codec": (Codec, ["wave"], lambda: (torch.randn(2, 1, 160),), [{0: "B", 2: "T"}], False),
    "dynamo_llama": (Llama, ["ids", "k0", "v0", "k1", "v1"],
                     lambda: (ids(300, 2, 5), *(torch.randn(2, 2, 7, 16) for _ in range(4))),
                     [{0: "B", 1: "T"}, CACHE, CACHE, CACHE, CACHE], True),
    "dynamo_upscaler": (Upscaler, ["x"], lambda: picture(20, 24), [SIZES], True),
    "dynamo_swin": (lambda: models.SwinTransformer([4, 4], 32, [2, 2], [2, 4], [4, 4], num_classes=50), ["x"],
                    lambda: picture(64, 64), [{0: "B"}], True),
    "dynamo_convnext": (lambda: models.ConvNeXt([models.convnext.CNBlockConfig(a, b, 2) for a, b in
                                                 ((24, 48), (48, 96), (96, None))], num_classes=50),
                        ["x"], lambda: picture(64, 64), [SIZES], True),
    "dynamo_mixture": (Mixture, ["x"], lambda: (torch.randn(2, 7, 32),), [{0: "B", 1: "T"}], True),
    "dynamo_mnasnet": (models.mnasnet0_5, ["x"], lambda: picture(64, 64), [SIZES], True),
}


def shaken(module):
    """Fresh modules have scales of 1 and biases of 0; some of training's disorder."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if not value.is_floating_point():
                continue
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.std() == 0 or value.ndim < 2:
                value.add_(0.1 * torch.randn_like(value))
    return module.eval()


def without_weights(model):
    attributes = [a for n in model.graph.node for a in n.attribute]
    for tensor in [*model.graph.initializer, *(a.t for a in attributes if a.HasField("t"))]:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) <= 64:
            continue
        x = numpy_helper.to_array(tensor)
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.doc_string = f"seeded {x.mean():.6g} {x.std():.6g} {x.min():.6g} {x.max():.6g}"
    for part in [model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info,
                 *model.graph.initializer, *model.functions]:
        part.ClearField("metadata_props")
    for node in model.graph.node:
        node.ClearField("doc_string")
    del model.metadata_props[:]
    return model


def main(names):
    for name in names or GRAPHS:
        make, inputs, example, dims, is_dynamo = GRAPHS[name]
        path = os.path.join(HERE, name + ".onnx")
        module = shaken(make())
        if is_dynamo:
            Dim = torch.export.Dim
            shapes = tuple({axis: Dim.DYNAMIC for axis in d} for d in dims)
            program = torch.onnx.export(module, example(), input_names=inputs, dynamic_shapes=shapes, dynamo=True)
            model = program.model_proto
        else:
            torch.onnx.export(module, example(), path, input_names=inputs, dynamic_axes=dict(zip(inputs, dims)),
                              opset_version=17, dynamo=False)
            model = onnx.load(path)
        onnx.save(without_weights(model), path)
        print(f"{name}: {len(model.graph.node)} nodes, opset {model.opset_import[0].version}, "
              f"{os.path.getsize(path) / 1024:.0f} KB")


if __name__ == "__main__":
    main(sys.argv[1:])
