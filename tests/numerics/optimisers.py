"""The optimisers of ai.onnx.preview.training, in double."""
import numpy as np

from judge import Case, linear
from rows import row

DOMAIN = "ai.onnx.preview.training"


def f32(v):
    return float(np.float32(v))


def optimiser(op, n_states, draw, run):
    def make(g):
        dtype, n, attributes = g.pick("f32", "f32", "f64"), g.int(1, 2), draw(g)
        shapes = [g.shape(g.rank(0, 3), lo=1) for _ in range(n)]
        rate, count = np.array(0.1, dtype.replace("f", "float")), np.array(g.pick(0, 3), np.int64)
        groups = [[g.floats(s, dtype, *((0, 3) if k > 1 and op != "Momentum" else (-2, 2))) for s in shapes]
                  for k in range(2 + n_states)]
        results = [run(float(rate), int(count), *(t.astype(np.float64) for t in tensors), attributes)
                   for tensors in zip(*groups)]
        wants = [linear(r[k], dtype, 8, 4 * (np.abs(r[k]) + 3)) for k in range(1 + n_states) for r in results]
        return Case(op, [rate, count] + sum(groups, []), wants, attributes)
    row(op, domain=DOMAIN)(make)


def momentum(rate, count, x, grad, v, a):
    grad = grad + a["norm_coefficient"] * x
    v = a["alpha"] * v + (a["beta"] if count > 0 else 1) * grad
    return x - rate * (grad + a["alpha"] * v if a["mode"] == "nesterov" else v), v


def adagrad(rate, count, x, grad, h, a):
    grad = grad + a["norm_coefficient"] * x
    h = h + grad * grad
    return x - rate / (1 + count * a["decay_factor"]) * grad / (np.sqrt(h) + a["epsilon"]), h


def adam(rate, count, x, grad, v, h, a):
    grad = grad + a["norm_coefficient"] * x
    v, h = a["alpha"] * v + (1 - a["alpha"]) * grad, a["beta"] * h + (1 - a["beta"]) * grad * grad
    if count > 0:
        rate = rate * np.sqrt(1 - a["beta"] ** count) / (1 - a["alpha"] ** count)
    return (1 - a["norm_coefficient_post"]) * (x - rate * v / (np.sqrt(h) + a["epsilon"])), v, h


optimiser("Momentum", 1, lambda g: {"alpha": f32(0.9), "beta": f32(0.7), "norm_coefficient": f32(0.01),
                                    "mode": g.pick("standard", "nesterov")}, momentum)
optimiser("Adagrad", 1, lambda g: {"decay_factor": f32(0.1), "epsilon": f32(1e-3), "norm_coefficient": f32(0.01)},
          adagrad)
optimiser("Adam", 2, lambda g: {"alpha": f32(0.9), "beta": f32(0.99), "epsilon": f32(1e-3),
                                "norm_coefficient": f32(0.01), "norm_coefficient_post": f32(0.05)}, adam)
