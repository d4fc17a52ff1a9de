"""RNN, GRU and LSTM with their default functions, step by step."""
import numpy as np

from elementwise import sigmoid
from judge import Case, linear
from number import wide
from rows import row

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def step(op, x, h, c, w, r, b, rb, linear_before):
    """One step of one direction: (h, c)."""
    split = GATES[op]
    parts = [np.split(t, split, axis=-1) for t in (x @ w.T + b, h @ r.T + rb)]
    if op == "RNN":
        return np.tanh(parts[0][0] + parts[1][0]), c
    if op == "LSTM":
        i, o, f, g = (p + q for p, q in zip(*parts))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    z, reset = (sigmoid(p + q) for p, q in zip(parts[0][:2], parts[1][:2]))
    size = h.shape[-1]
    again = reset * parts[1][2] if linear_before else (reset * h) @ r[2 * size:].T + rb[2 * size:]
    return (1 - z) * np.tanh(parts[0][2] + again) + z * h, c


def run(op, x, w, r, b, rb, h, c, backward, linear_before):
    """Y[S,B,H] and the last h and c."""
    y = np.zeros((x.shape[0],) + h.shape, x.dtype)
    for t in range(x.shape[0])[::-1 if backward else 1]:
        h, c = step(op, x[t], h, c, w, r, b, rb, linear_before)
        y[t] = h
    return y, h, c


def recurrent(op):
    gates = GATES[op]

    def make(g):
        dtype, direction = g.pick("f32", "f32", "f64"), g.pick("forward", "reverse", "bidirectional")
        n = 2 if direction == "bidirectional" else 1
        s, batch, i, h = g.extent(1, 6), g.extent(1, 4), g.int(1, 7), g.int(1, 6)
        has_bias, has_start, linear_before = g.chance(0.6), g.chance(0.5), g.pick(0, 1)
        x, w = g.floats([s, batch, i], dtype), g.floats([n, gates * h, i], dtype, -0.5, 0.5)
        r, b = g.floats([n, gates * h, h], dtype, -0.3, 0.3), g.floats([n, 2 * gates * h], dtype, -0.5, 0.5)
        first, cell = (g.floats([n, batch, h], dtype, -1, 1) for _ in range(2))
        parts = []
        for d in range(n):
            wb, rb = np.split(wide(b)[d] if has_bias else 0 * wide(b)[d], 2)
            start, kept = (wide(t)[d] if has_start else 0 * wide(t)[d] for t in (first, cell))
            parts.append(run(op, wide(x), wide(w)[d], wide(r)[d], wb, rb, start, kept,
                             direction == "reverse" or d == 1, linear_before))
        values = [np.stack([p[0] for p in parts], 1)] + [np.stack([p[k] for p in parts]) for k in (1, 2)]
        # all gates' terms, and what each step takes over of the error of the one before
        m = 1 + np.abs(wide(x)).max(initial=0) * 0.5 * i + 0.3 * h + 1
        inputs = [x, w, r, b if has_bias else None, None, first if has_start else None]
        if op == "LSTM":
            inputs.append(cell if has_start else None)
        attributes = {"hidden_size": h, "direction": direction}
        if op == "GRU":
            attributes["linear_before_reset"] = linear_before
        want = [linear(v, dtype, s * (i + h), m) for v in values[:3 if op == "LSTM" else 2]]
        return Case(op, inputs, want, attributes)
    return make


for name in GATES:
    row(name)(recurrent(name))
