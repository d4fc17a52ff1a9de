"""The models whose losses are compared with torch's: the text in tenon's language, optimisers, batches. Weights
and batches are of NumPy's old generator, whose numbers never change."""
import zlib

import numpy as np

STEPS = 100
N_BATCHES = 20
DECAY = 0.996  # of the learning rate in each step, so that it matters that a step reads its own
LOSS_SCALE = 1024.0
PRECISIONS = {"f32": "f32", "bf16": "bf16()", "f16": "f16(loss_scale: %d)" % LOSS_SCALE}

# name: (settings of torch_optim.py, learning rate, the same in tenon's language)
OPTIMIZERS = {
    "sgd": ("optimizer=sgd momentum=0.9", 0.02, "sgd(lr: %s, momentum: 0.9)"),
    "rmsprop": ("optimizer=rmsprop alpha=0.99 epsilon=1e-8", 0.001, "rmsprop(lr: %s, alpha: 0.99, eps: 1e-8)"),
    "adagrad": ("optimizer=adagrad epsilon=1e-10", 0.01, "adagrad(lr: %s, eps: 1e-10)"),
    "adam": ("optimizer=adam beta1=0.9 beta2=0.999 epsilon=1e-8", 0.002,
             "adam(lr: %s, betas: (0.9, 0.999), eps: 1e-8)"),
    "adamw": ("optimizer=adamw beta1=0.9 beta2=0.999 epsilon=1e-8 decay=0.01", 0.002,
              "adamw(lr: %s, betas: (0.9, 0.999), eps: 1e-8, decay: 0.01)"),
    "lion": ("optimizer=lion beta1=0.9 beta2=0.99", 0.0003, "lion(lr: %s, betas: (0.9, 0.99))"),
}

MLP = """model M(x: f32[B, 30]) -> f32[B, 3] = x |> linear(64) |> relu |> linear(64) |> relu |> linear(3)
"""
LENET = """model M(x: f32[B, 1, 28, 28]) -> f32[B, 10] {
  let f = x |> conv(6, 5, pad: 2) |> relu |> maxpool(2) |> conv(16, 5) |> relu |> maxpool(2)
  return f |> flatten |> linear(120) |> relu |> linear(84) |> relu |> linear(10)
}
"""
RESNET = """module Block(x: f32[B, C, H, W]) -> f32[B, C, H, W] {
  let y = x |> conv(C, 3, pad: 1, bias: false) |> batchnorm |> relu |> conv(C, 3, pad: 1, bias: false) |> batchnorm
  return relu(x + y)
}
module Down(x: f32[B, C, H, W], out: int) -> f32[B, out, H / 2, W / 2] {
  let y = x |> conv(out, 3, stride: 2, pad: 1, bias: false) |> batchnorm |> relu
  let z = y |> conv(out, 3, pad: 1, bias: false) |> batchnorm
  return relu(z + (x |> conv(out, 2, stride: 2, bias: false) |> batchnorm))
}
model M(x: f32[B, 3, 16, 16]) -> f32[B, 10] {
  let f = x |> conv(8, 3, pad: 1, bias: false) |> batchnorm |> relu
  return f |> Block |> Down(16) |> Block |> global_avgpool |> linear(10)
}
"""
LSTM = """model M(x: token[B, 12]) -> f32[B, 4] {
  let (all, h, c) = x |> embed(50, 16) |> lstm(24)
  return h |> linear(4)
}
"""
GRU = """model M(x: token[B, 12]) -> f32[B, 4] {
  let (all, h) = x |> embed(50, 16) |> gru(24)
  return h |> linear(4)
}
"""
LAYER = """module Attend(x: f32[B, T, D], heads: int, causal: bool) -> f32[B, T, D] {
  let (q, k, v) = x |> linear(3 * D) |> split(3)
  let y = attention(reshape(q, B, T, heads, D / heads), reshape(k, B, T, heads, D / heads),
                    reshape(v, B, T, heads, D / heads), causal: causal)
  return reshape(y, B, T, D) |> linear(D)
}
module Layer(x: f32[B, T, D], heads: int, causal: bool) -> f32[B, T, D] {
  let h = x + (x |> layernorm |> Attend(heads, causal))
  return h + (h |> layernorm |> linear(2 * D) |> gelu |> linear(D))
}
"""
ENCODER = LAYER + """model M(x: token[B, 10]) -> f32[B, 4] {
  let h = embed(x, 40, 32) + positions(10, 32)
  for i in 0..4 { h = Layer(h, 4, false) }
  return h |> layernorm |> mean(1) |> linear(4)
}
"""
GPT = LAYER + """model M(x: token[B, 10]) -> f32[B, 10, 40] {
  let h = embed(x, 40, 32) + positions(10, 32)
  for i in 0..2 { h = Layer(h, 4, true) }
  return h |> layernorm |> linear(40, bias: false)
}
"""


def floats(*dims):
    return lambda rng, n: rng.standard_normal((n,) + dims).astype(np.float32)


def tokens(vocab, length):
    return lambda rng, n: rng.randint(0, vocab, (n, length)).astype(np.int32)


# Of the learning rates above, in narrow types. At the whole of them torch's own runs of LeNet are as far apart as a
# run without momentum is: signs of relu and maxima of windows fall one way or the other.
NARROW_SHARES = {"lenet": 0.03}

# name: text, inputs of a batch, classes, samples of a batch, labels a sample (None: one), relative tolerance at 100
MODELS = {
    "mlp": (MLP, floats(30), 3, 32, None, 1e-3),
    "lenet": (LENET, floats(1, 28, 28), 10, 8, None, 1e-3),
    "resnet": (RESNET, floats(3, 16, 16), 10, 8, None, 1e-3),
    "lstm": (LSTM, tokens(50, 12), 4, 16, None, 1e-2),
    "gru": (GRU, tokens(50, 12), 4, 16, None, 1e-2),
    "encoder": (ENCODER, tokens(40, 10), 4, 8, None, 1e-2),
    "gpt": (GPT, tokens(40, 10), 40, 8, 10, 1e-2),
}


def narrow_rate(name, optimizer):
    return float("%g" % (OPTIMIZERS[optimizer][1] * NARROW_SHARES.get(name, 1)))


def batches(name):
    """(x, y) of each batch, gone through in turn."""
    _, inputs, classes, n, labels, _ = MODELS[name]
    rng = np.random.RandomState(zlib.crc32(name.encode()) % 1000)
    return [(inputs(rng, n), rng.randint(0, classes, (n,) if labels is None else (n, labels)).astype(np.int32))
            for _ in range(N_BATCHES)]


def weight(path, shape):
    """The weight called path before training: near what an initialiser gives."""
    kind = path.split(".")[-1]
    rng = np.random.RandomState(zlib.crc32(path.encode()) % 100003)
    draw = rng.standard_normal(shape)
    if kind == "var":
        return np.ones(shape, np.float32)
    if kind == "mean":
        return np.zeros(shape, np.float32)
    if len(shape) == 1:
        return (draw * 0.1 + (kind == "weight")).astype(np.float32)
    embeds = path.split(".")[-2].startswith(("embed", "positions"))
    return (draw * (0.5 if embeds else np.prod(shape[1:]) ** -0.5)).astype(np.float32)
