"""Networks along a line of time: LSTM and GRU classifiers, WaveNet, a Conformer."""
import numpy as np
from onnx import TensorProto

from builder import Graph


def _recurrent(g, kind, x, nin, hidden, directions, **attributes):
    """One layer [T, B, nin] to [T, B, directions * hidden]."""
    gates, std = {"LSTM": 4, "GRU": 3}[kind], np.sqrt(1 / hidden)
    w, r = g.weight(directions, gates * hidden, nin, std=std), g.weight(directions, gates * hidden, hidden, std=std)
    b = g.weight(directions, 2 * gates * hidden, std=std)
    names = getattr(g, kind)(x, w, r, b, outputs=3 if kind == "LSTM" else 2, hidden_size=hidden,
                             direction="bidirectional" if directions == 2 else "forward", **attributes)
    return g.Reshape(g.Transpose(names[0], perm=[0, 2, 1, 3]), [0, 0, -1]), names[1]


def classifier(kind, width=256, layers=2, directions=2, vocabulary=10000, classes=10):
    """Words to a class: embedding, recurrent layers, the last states of both directions."""
    g = Graph(kind.lower() + "_classifier")
    ids = g.input("ids", ["B", "T"], TensorProto.INT64)
    y = g.Transpose(g.Gather(g.weight(vocabulary, width, std=1.0), ids), perm=[1, 0, 2])
    extra, nin, last = {"linear_before_reset": 1} if kind == "GRU" else {}, width, None
    for _ in range(layers):
        y, last = _recurrent(g, kind, y, nin, width, directions, **extra)
        nin = directions * width
    state = g.Reshape(g.Transpose(last, perm=[1, 0, 2]), [0, -1])
    g.output("logits", g.gemm(state, nin, classes), ["B", classes])
    return g.model()


def wavenet(width=64, layers=10, stacks=3, classes=256):
    """van den Oord et al. 2016 (and its denoising kin): dilated causal convolutions with gates, skips added up."""
    g = Graph("wavenet")
    x = g.input("wave", ["B", 1, "T"])
    y, skips = g.conv(x, 1, width, 1, act=None, norm=False, rank=1), []
    for i in range(stacks * layers):
        dilation = 1 << i % layers
        z = g.conv(y, width, 2 * width, 2, act=None, norm=False, dilation=dilation, rank=1, pads=[dilation, 0])
        signal, gate = g.Split(z, [width, width], axis=1, outputs=2)
        z = g.Mul(g.Tanh(signal), g.Sigmoid(gate))
        skips.append(g.conv(z, width, width, 1, act=None, norm=False, rank=1))
        y = g.Add(y, g.conv(z, width, width, 1, act=None, norm=False, rank=1))
    total = skips[0]
    for skip in skips[1:]:
        total = g.Add(total, skip)
    z = g.conv(g.Relu(total), width, width, 1, norm=False, rank=1)
    g.output("logits", g.conv(z, width, classes, 1, act=None, norm=False, rank=1), ["B", classes, "T"])
    return g.model()


def _relative_attention(g, x, width, heads, places):
    """Transformer-XL's attention: scores of contents and of distances, the latter shifted row by row (a column is put
    before, rows are read with another length, the first one dropped). places: [1, 2T-1, width]."""
    d = width // heads
    q, k, v = (g.heads(g.linear(x, width, width), heads, d) for _ in range(3))
    p = g.heads(g.linear(places, width, width, bias=False), heads, d)
    by_content = g.MatMul(g.Add(q, g.weight(heads, 1, d, std=0.1)), g.Transpose(k, perm=[0, 1, 3, 2]))
    by_place = g.MatMul(g.Add(q, g.weight(heads, 1, d, std=0.1)), g.Transpose(p, perm=[0, 1, 3, 2]))
    shape = g.Shape(by_place)
    b, t, s = (g.Slice(shape, [i], [e], [0]) for i, e in ((0, 1), (2, 3), (3, 4)))
    padded = g.Pad(by_place, [0, 0, 0, 1, 0, 0, 0, 0])
    turned = g.Reshape(padded, g.Concat(b, [heads], g.Add(s, [1]), t, axis=0))
    shifted = g.Reshape(g.Slice(turned, [1], [2**31 - 1], [2]), g.Concat(b, [heads], t, s, axis=0))
    shifted = g.Slice(shifted, [0], t, [3])
    scores = g.Div(g.Add(by_content, shifted), float(np.sqrt(d)))
    y = g.MatMul(g.Softmax(scores, axis=-1), v)
    return g.linear(g.Reshape(g.Transpose(y, perm=[0, 2, 1, 3]), [0, 0, width]), width, width)


def _half_step(g, x, width):
    y = g.linear(g.layer_norm(x, width), width, 4 * width, act="silu")
    return g.Add(x, g.Mul(g.linear(y, 4 * width, width), 0.5))


def _convolution(g, x, width, kernel):
    y = g.Transpose(g.layer_norm(x, width), perm=[0, 2, 1])
    y = g.conv(y, width, 2 * width, 1, act=None, norm=False, rank=1)
    signal, gate = g.Split(y, [width, width], axis=1, outputs=2)
    y = g.conv(g.Mul(signal, g.Sigmoid(gate)), width, width, kernel, groups=width, act="silu", rank=1)
    y = g.conv(y, width, width, 1, act=None, norm=False, rank=1)
    return g.Add(x, g.Transpose(y, perm=[0, 2, 1]))


def conformer(width=256, heads=4, blocks=1, mels=80, kernel=31, longest=512):
    """Gulati et al. 2020: two strided convolutions over time and pitch, then blocks of feed-forward, attention with
    relative places, convolution, feed-forward."""
    g = Graph("conformer")
    x = g.input("mel", ["B", "F", mels])
    y = g.Unsqueeze(x, [1])
    y = g.conv(g.conv(y, 1, width, 3, 2, norm=False), width, width, 3, 2, norm=False)
    y = g.Reshape(g.Transpose(y, perm=[0, 2, 1, 3]), [0, 0, -1])
    y = g.linear(y, width * ((mels + 3) // 4), width)
    length = g.Gather(g.Shape(y), [1], axis=0)
    middle = g.const(np.array([longest - 1]))  # the row of distance 0
    places = g.Slice(g.weight(1, 2 * longest - 1, width, std=0.5), g.Sub(middle, g.Sub(length, [1])),
                     g.Add(middle, length), [1])
    for _ in range(blocks):
        y = _half_step(g, y, width)
        y = g.Add(y, _relative_attention(g, g.layer_norm(y, width), width, heads, places))
        y = _half_step(g, _convolution(g, y, width, kernel), width)
        y = g.layer_norm(y, width)
    g.output("hidden", y, ["B", "T", width])
    return g.model()
