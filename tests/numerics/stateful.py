"""Attention in its linear and its flexible form, and the convolution that remembers."""
import numpy as np

from elementwise import sigmoid
from judge import Case, exact, linear
from number import wide
from reductions import softmax_parts
from rows import row


@row("LinearAttention", weight=2)
def make_linear_attention(g):
    dtype, rule = g.dtype("f"), g.pick("linear", "gated", "delta", "gated_delta")
    kv, group, d, e = g.int(1, 3), g.int(1, 3), g.int(1, 6), g.int(1, 6)
    b, t = g.extent(1, 3), g.extent(1, 6)
    by_key, shared, scale = g.chance(0.5), g.chance(0.3), g.pick(None, 0.75)
    q, k, v = (g.floats([b, t, n], dtype, -0.8, 0.8) for n in (kv * group * d, kv * d, kv * e))
    decay = g.floats([b, t, kv * (d if by_key else 1)], dtype, -1, 0) if "gated" in rule else None
    beta = g.floats([b, t, 1 if shared else kv], dtype, 0, 1) if "delta" in rule else None
    past = g.floats([b, kv, d, e], dtype) if g.chance(0.5) else None
    state = np.zeros([b, kv, d, e]) if past is None else wide(past).astype(np.float64)
    queries, keys, values = (wide(x).astype(np.float64).reshape(b, t, h, s)
                             for x, h, s in ((q, kv * group, d), (k, kv, d), (v, kv, e)))
    size, out, m = np.abs(state), [], []
    for i in range(t):
        key, value = keys[:, i], values[:, i]
        if decay is not None:
            fade = np.exp(wide(decay).astype(np.float64)[:, i].reshape(b, kv, -1))[..., None]
            state, size = state * fade, size * fade
        bound = np.abs(value)
        if beta is not None:
            rate = np.broadcast_to(wide(beta).astype(np.float64)[:, i], [b, kv])[..., None]
            bound = rate * (bound + np.einsum("bhkv,bhk->bhv", size, np.abs(key)))
            value = rate * (value - np.einsum("bhkv,bhk->bhv", state, key))
        state = state + key[..., None] * value[..., None, :]
        size = size + np.abs(key)[..., None] * bound[..., None, :]
        read, whole = np.repeat(state, group, 1), np.repeat(size, group, 1)
        out.append(np.einsum("bhk,bhkv->bhv", queries[:, i], read))
        m.append(np.einsum("bhk,bhkv->bhv", np.abs(queries[:, i]), whole))
    factor = scale or 1 / np.sqrt(d)
    y, m = (np.stack(x, 1).reshape(b, t, -1) * factor for x in (out, m))
    attributes = {"q_num_heads": kv * group, "kv_num_heads": kv, "update_rule": rule}
    if scale:
        attributes["scale"] = scale
    length = (t + 1) * (2 * d + 4)
    # the state is rounded to its type once; until then all is f32 or wider
    return Case("LinearAttention", [q, k, v, past, decay, beta],
                [linear(y, dtype, length, m), linear(state, dtype, length, size)], attributes)


@row("CausalConvWithState")
def make_causal_conv(g):
    dtype, c, k, silu = g.dtype("f"), g.int(1, 5), g.int(1, 5), g.pick("none", "silu", "swish")
    b, length = g.extent(1, 3), g.extent(1, 9)
    x, w = g.floats([b, c, length], dtype), g.floats([c, 1, k], dtype)
    bias = g.floats([c], dtype) if g.chance(0.5) else None
    past = g.floats([b, c, k - 1], dtype) if g.chance(0.5) else None
    whole = np.concatenate([np.zeros([b, c, k - 1], x.dtype) if past is None else past, x], 2)

    def run(f):
        y = sum(f(wide(whole))[:, :, i:i + length] * f(wide(w))[None, :, :, i] for i in range(k))
        return y + (0 if bias is None else f(wide(bias))[None, :, None])
    y, m = run(lambda t: t), run(np.abs)
    if silu != "none":
        y, m = y * sigmoid(y), m * 1.1
    return Case("CausalConvWithState", [x, w, bias, past],
                [linear(y, dtype, k + 8, m), exact(whole[:, :, length:])], {"activation": silu})


@row("FlexAttention", domain="ai.onnx.preview")
def make_flex_attention(g):
    """Without graphs of its own; the conformance suite has those."""
    dtype = g.pick("f32", "f32", "f64", "f16")
    kv, group, d, e = g.int(1, 3), g.int(1, 2), g.int(1, 6), g.int(1, 6)
    b, s, t, scale = g.extent(1, 2), g.extent(1, 6), g.extent(1, 6), g.pick(None, 0.375)
    q, k, v = (g.floats(n, dtype) for n in ([b, kv * group, s, d], [b, kv, t, d], [b, kv, t, e]))
    wq, wk, wv = wide(q), np.repeat(wide(k), group, 1), np.repeat(wide(v), group, 1)
    factor = scale or 1 / np.sqrt(wq.dtype.type(d))
    scores = np.einsum("bhsd,bhtd->bhst", wq, wk) * factor
    size = np.einsum("bhsd,bhtd->bhst", np.abs(wq), np.abs(wk)) * factor
    p, spread = softmax_parts(scores, -1)
    y = np.einsum("bhst,bhte->bhse", p, wv)
    m = np.einsum("bhst,bhte->bhse", p * (spread + size + size.max(-1, keepdims=True)), np.abs(wv))
    return Case("FlexAttention", [q, k, v], [linear(y, dtype, d + t, m)], {} if scale is None else {"scale": scale})
