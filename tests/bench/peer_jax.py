"""The networks of nets.py in JAX: one jitted step, or the whole loop as one scan.

Pictures are in the order batch, height, width, channel, kernels in height, width, in, out, matrices in in, out.
"""
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nets import NETS, POOL, batches_of

RUNNING = (".mean", ".var")


def linear(w, name, x):
    return x @ w[name + ".weight"] + w[name + ".bias"]


def mlp(w, x):
    x = jax.nn.relu(linear(w, "linear", x))
    return linear(w, "linear_2", jax.nn.relu(linear(w, "linear_1", x))), {}


def conv(w, name, x, stride=1, pad=0):
    return lax.conv_general_dilated(x, w[name + ".weight"], (stride, stride), [(pad, pad)] * 2,
                                    dimension_numbers=("NHWC", "HWIO", "NHWC"))


def maxpool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def lenet5(w, x):
    x = maxpool(jax.nn.relu(conv(w, "conv", x, pad=2) + w["conv.bias"]))
    x = maxpool(jax.nn.relu(conv(w, "conv_1", x) + w["conv_1.bias"]))
    return mlp(w, x.transpose(0, 3, 1, 2).reshape(len(x), -1))


def lstm(w, x):
    forward = (x @ w["Last.lstm.weight_ih"] + w["Last.lstm.bias"]).transpose(1, 0, 2)

    def cell(state, given):
        h, c = state
        i, f, g, o = jnp.split(given + h @ w["Last.lstm.weight_hh"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None
    zero = jnp.zeros((len(x), 128), jnp.float32)
    return linear(w, "linear", lax.scan(cell, (zero, zero), forward)[0][0]), {}


def layernorm(w, name, x):
    x = x - x.mean(-1, keepdims=True)
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w[name + ".weight"] + w[name + ".bias"]


def encoder(w, x):
    for layer in ("Layer.", "Layer_1.", "Layer_2.", "Layer_3."):
        q, k, v = (part.reshape(*x.shape[:2], 4, 64) for part in jnp.split(linear(w, layer + "linear", x), 3, axis=-1))
        mixed = jax.nn.dot_product_attention(q, k, v).reshape(x.shape)
        x = layernorm(w, layer + "layernorm", x + linear(w, layer + "linear_1", mixed))
        y = linear(w, layer + "linear_3", jax.nn.relu(linear(w, layer + "linear_2", x)))
        x = layernorm(w, layer + "layernorm_1", x + y)
    return linear(w, "linear", x.mean(1)), {}


def resnet18(w, x):
    running = {}

    def norm(name, x):
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        n = x.size // x.shape[-1]
        running[name + ".mean"] = 0.9 * w[name + ".mean"] + 0.1 * mean
        running[name + ".var"] = 0.9 * w[name + ".var"] + 0.1 * n / (n - 1) * var
        return (x - mean) * (lax.rsqrt(var + 1e-5) * w[name + ".weight"]) + w[name + ".bias"]

    def block(name, x):
        stride = 2 if name.startswith("Down") else 1
        y = jax.nn.relu(norm(name + ".batchnorm", conv(w, name + ".conv", x, stride, 1)))
        y = norm(name + ".batchnorm_1", conv(w, name + ".conv_1", y, 1, 1))
        skip = norm(name + ".batchnorm_2", conv(w, name + ".conv_2", x, 2)) if stride == 2 else x
        return jax.nn.relu(y + skip)
    x = jax.nn.relu(norm("batchnorm", conv(w, "conv", x, 1, 1)))
    for name in ("Block", "Block_1", "Down", "Block_2", "Down_1", "Block_3", "Down_2", "Block_4"):
        x = block(name, x)
    return linear(w, "linear", x.mean((1, 2))), running


# w, x -> out, the next running statistics
FORWARD = {"mlp30": mlp, "mlp784": mlp, "lenet5": lenet5, "lstm": lstm, "encoder": encoder, "resnet18": resnet18}


def turned(value):
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def loss_of(name):
    forward, is_binary = FORWARD[name], NETS[name][2] == 1

    def loss(trained, kept, x, y):
        z, running = forward({**trained, **kept}, x)
        if is_binary:
            return jnp.mean(jax.nn.softplus(z[:, 0]) - z[:, 0] * y), running
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1)), running
    return loss


class Jax:
    def __init__(self, name, weights, is_scan):
        x, y = batches_of(name)
        x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
        xs, ys = jnp.array(x.reshape(POOL, -1, *x.shape[1:])), jnp.array(y.reshape(POOL, -1))
        gradient = jax.value_and_grad(loss_of(name), has_aux=True)

        def step(state, i):
            trained, kept, m, v, t = state
            t = t + 1
            (loss, running), grads = gradient(trained, kept, xs[i], ys[i])
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
            root = jnp.sqrt(1 - 0.999 ** t)  # w - 1e-3 (m / (1 - 0.9^t)) / (sqrt(v) / root + 1e-8)
            rate, epsilon = 1e-3 * root / (1 - 0.9 ** t), 1e-8 * root
            trained = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + epsilon), trained, m, v)
            return (trained, running, m, v, t), loss
        self.weights, self.is_scan = weights, is_scan
        self.step = jax.jit(step, donate_argnums=0)
        self.loop = jax.jit(lambda state, order: lax.scan(step, state, order), donate_argnums=0)

    def start(self):
        kept = {key: jnp.array(value) for key, value in self.weights.items() if key.endswith(RUNNING)}
        trained = {key: jnp.array(turned(value)) for key, value in self.weights.items() if key not in kept}
        m, v = (jax.tree.map(jnp.zeros_like, trained) for _ in range(2))  # donated, so not the same
        return jax.block_until_ready((trained, kept, m, v, jnp.float32(0)))

    def run(self, state, order):
        losses = []
        if self.is_scan:
            state, losses = self.loop(state, order)
        else:
            for i in order.tolist():
                state, loss = self.step(state, i)
                losses.append(loss)
        jax.block_until_ready(state)
        return losses

    def losses(self, steps):
        """Of the first steps."""
        return [float(loss) for loss in self.run(self.start(), np.arange(steps, dtype=np.int32))]

    def time(self, steps):
        """Seconds of a step. A scan of a length that it did not have before is compiled first."""
        order = np.arange(steps, dtype=np.int32) % POOL
        state = self.start()
        start = time.perf_counter()
        self.run(state, order)
        return (time.perf_counter() - start) / steps
