"""Reductions, running folds, softmax and the normalisations."""
import numpy as np

from judge import Case, exact, linear
from number import TYPES, is_float, wide, wrap
from rows import row


def log(x):
    return np.log(x)


def shifted_sum(x, axes):
    """max, and log(sum(exp(x - max)))."""
    top = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    return top, np.log(np.sum(np.exp(x - top), axis=axes, keepdims=True))


def reduce_floats(kind, x, axes):
    """(y, m), reduced axes kept."""
    total = {"axis": axes, "keepdims": True}
    size = np.abs(x)
    if kind == "Max":
        return np.max(x, initial=-np.inf, **total), None
    if kind == "Min":
        return np.min(x, initial=np.inf, **total), None
    if kind in ("Sum", "Mean"):
        n = np.prod([x.shape[a] for a in axes], dtype=float) if kind == "Mean" else 1.0
        return np.sum(x, **total) / n, np.sum(size, **total) / n
    if kind == "Prod":
        return np.prod(x, **total), np.prod(size, **total)
    if kind == "L1":
        return (np.sum(size, **total),) * 2
    if kind == "L2":
        return (np.sqrt(np.sum(x * x, **total)),) * 2
    if kind == "SumSquare":
        return (np.sum(x * x, **total),) * 2
    if kind == "LogSum":
        y = log(np.sum(x, **total))
        return y, 1 + np.abs(y)
    top, rest = shifted_sum(x, axes)
    return top + rest, 1 + np.abs(rest) + np.max(size, initial=0, **total)


def reduce_integers(kind, x, axes, dtype):
    """Sums and products wrap; what needs roots and logarithms goes through f64 and is cut."""
    total = {"axis": axes, "keepdims": True}
    n = int(np.prod([x.shape[a] for a in axes]))
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(TYPES[dtype]).min, np.iinfo(TYPES[dtype]).max)
    if kind == "Max":
        return np.max(x, initial=low, **total)
    if kind == "Min":
        return np.min(x, initial=high, **total)
    if kind == "Prod":
        return np.prod(x, **total)
    y = np.sum({"Sum": x, "Mean": x, "L1": np.abs(x), "SumSquare": x * x}[kind], **total)
    if kind == "Mean":
        y = np.where(n == 0, 0, np.where(y < 0, -(-y // max(n, 1)), y // max(n, 1)))
    return y


def drop(y, axes, keep):
    return y if keep else np.squeeze(y, axis=axes)


def reduction(kind):
    op = "Reduce" + kind

    def make(g):
        kinds = "f" if kind in ("L2", "LogSum", "LogSumExp") else "a" if kind in ("Max", "Min") else "n"
        dtype, rank = g.dtype(kinds), g.rank()
        axes = tuple(g.some_axes(rank, at_least=1))
        written = [a - rank if g.chance(0.3) else a for a in axes]
        keep, noop = g.pick(0, 1), g.pick(0, 0, 1)
        given = bool(axes) and g.chance(0.8)
        shape = g.shape(rank, 0)
        lo = 0.1 if kind == "LogSum" else -1.3 if kind == "Prod" else -3
        specials = [np.inf, -np.inf, np.nan] if kind in ("Max", "Min", "Sum", "Mean", "L1") else [0.0, 1.0]
        if is_float(dtype):
            x = g.floats(shape, dtype, lo, 1.3 if kind == "Prod" else 3, special=0.15, specials=specials)
        elif kind in ("Mean", "L1", "SumSquare"):
            x = g.ints(shape, dtype, -3, 3) if dtype in ("i8", "u8") else g.ints(shape, dtype, -20, 20)
        else:
            x = g.ints(shape, dtype)
        over = axes if given else () if noop else tuple(range(rank))
        k = np.prod([shape[a] for a in over], dtype=float)
        if is_float(dtype):
            y, m = reduce_floats(kind, wide(x), over)
            y = np.asarray(drop(y, over, keep))
            want = exact(y, dtype) if m is None else linear(y, dtype, k, drop(m, over, keep))
        else:
            y = reduce_integers(kind, x.astype(object), over, dtype)
            want = exact(wrap(np.asarray(drop(np.asarray(y, dtype=object), over, keep)), dtype))
        return Case(op, [x, np.array(written, np.int64) if given else None], [want],
                    {"keepdims": keep, "noop_with_empty_axes": noop}, constant={1})
    return make


for name in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"):
    row("Reduce" + name, exact_reference=name in ("Max", "Min"))(reduction(name))


@row("ReduceSum.long")
def make_long_sum(g):
    """Long rows and columns: vector tails, several accumulators."""
    dtype = g.dtype("f")
    axis = g.int(0, 1)
    shape = [g.extent(1, 6), g.extent(200, 3000)]
    x = g.floats(shape if axis == 1 else shape[::-1], dtype, -3, 3, tiny=0.3)
    w = wide(x)
    return Case("ReduceSum", [x, np.array([axis])], [linear(w.sum(axis=axis, keepdims=True), dtype, shape[1],
                                                            np.abs(w).sum(axis=axis, keepdims=True))], constant={1})


def arg(op):
    def make(g):
        dtype, rank = g.dtype("n"), g.rank(1)
        axis, written = g.axis(rank)
        keep, last = g.pick(0, 1), g.pick(0, 1)
        x = g.data(g.shape(rank, lo=1), dtype, special=0.3)
        if is_float(dtype) and g.chance(0.6):  # so that there are ties
            x = np.rint(wide(x)).astype(x.dtype)
        find = np.argmax if op == "ArgMax" else np.argmin
        w = wide(x) if is_float(dtype) else x
        y = x.shape[axis] - 1 - find(np.flip(w, axis), axis) if last else find(w, axis)
        y = np.asarray(y, dtype=np.int64)
        return Case(op, [x], [exact(np.expand_dims(y, axis) if keep else y)],
                    {"axis": written, "keepdims": keep, "select_last_index": last})
    return make


row("ArgMax", exact_reference=True)(arg("ArgMax"))
row("ArgMin", exact_reference=True)(arg("ArgMin"))


def cumulative(op):
    def make(g):
        dtype, rank = g.dtype("n"), g.rank(1)
        axis, written = g.axis(rank)
        reverse, exclusive = g.pick(0, 1), g.pick(0, 1)
        span = 1.4 if op == "CumProd" else 3
        x = g.floats(g.shape(rank), dtype, -span, span) if is_float(dtype) else g.ints(g.shape(rank), dtype)
        fold, identity = (np.cumsum, 0) if op == "CumSum" else (np.cumprod, 1)

        def run(v):
            v = np.flip(v, axis) if reverse else v
            if exclusive:
                first = np.full_like(np.take(v, [0], axis) if v.shape[axis] else v, identity)
                v = np.concatenate([first, v.take(range(v.shape[axis] - 1), axis)], axis) if v.shape[axis] else v
            v = fold(v, axis)
            return np.flip(v, axis) if reverse else v
        if is_float(dtype):
            want = linear(run(wide(x)), dtype, x.shape[axis], run(np.abs(wide(x))))
        else:
            want = exact(wrap(run(x.astype(object)), dtype))
        return Case(op, [x, np.array(written, g.pick(np.int32, np.int64))], [want],
                    {"reverse": reverse, "exclusive": exclusive}, constant={1} if g.chance(0.7) else set())
    return make


row("CumSum")(cumulative("CumSum"))
row("CumProd")(cumulative("CumProd"))


# ---- softmax

def softmax_parts(w, axis):
    """softmax(w), and by how many roundings each element's error may be larger: x - max is rounded before exp."""
    top = np.max(w, axis, keepdims=True)
    e = np.exp(w - top)
    return e / e.sum(axis, keepdims=True), 1 + np.where(np.isinf(w), 0, top - w)


def softmax_case(op):
    def make(g):
        dtype, rank = g.dtype("f"), g.rank(1)
        axis, written = g.axis(rank)
        x = g.floats(g.shape(rank), dtype, *g.pick((-3, 3), (-30, 30), (80, 90)), special=0.2,
                     specials=[-np.inf, -np.inf, np.nan, np.inf, 0.0])
        w = wide(x)
        if not x.shape[axis]:
            return Case(op, [x], [exact(x)], {"axis": written})
        if op == "Softmax":
            y, spread = softmax_parts(w, axis)
            m = y * spread
        else:
            top = np.max(w, axis, keepdims=True)
            total = np.exp(w - top).sum(axis, keepdims=True)
            y = w - top - np.log(total)
            m = top - w + np.log(total) + 1
        return Case(op, [x], [linear(y, dtype, x.shape[axis], m)], {"axis": written})
    return make


row("Softmax", weight=2)(softmax_case("Softmax"))
row("LogSoftmax")(softmax_case("LogSoftmax"))


@row("Hardmax", exact_reference=True)
def make_hardmax(g):
    dtype, rank = g.dtype("f"), g.rank(1)
    axis, written = g.axis(rank)
    x = g.floats(g.shape(rank, lo=1), dtype)
    w = np.rint(wide(x)) if g.chance(0.5) else wide(x)
    x = w.astype(x.dtype)
    y = np.zeros(x.shape)
    np.put_along_axis(y, np.expand_dims(np.argmax(w, axis), axis), 1, axis)
    return Case("Hardmax", [x], [exact(y, dtype)], {"axis": written})


# ---- normalisation

def normalise(x, axes, epsilon, dtype):
    """(y, the sum of terms of y, mean, its terms, 1 / deviation, its terms), reduced axes kept."""
    total = {"axis": axes, "keepdims": True}
    mean, mean_size = np.mean(x, **total), np.mean(np.abs(x), **total)
    d = x - mean
    variance = np.mean(d * d, **total)
    inverse = 1 / np.sqrt(variance + epsilon)
    # relative error of the variance, from the rounding of x - mean
    spread = 1 + np.mean(np.abs(d) * (np.abs(x) + mean_size), **total) * inverse * inverse
    y = d * inverse
    return y, (np.abs(x) + mean_size) * inverse + np.abs(y) * spread, mean, mean_size, inverse, inverse * spread


@row("LayerNormalization", weight=2)
def make_layer_norm(g):
    dtype, rank = g.dtype("f"), g.rank(1)
    axis, written = g.axis(rank)
    shape = g.shape(rank, lo=1)
    epsilon, has_bias, outputs = g.pick(1e-5, 1e-3), g.chance(0.7), g.pick(1, 1, 3)
    scale, bias = (g.floats(shape[axis:], dtype) for _ in range(2))
    x = g.floats(shape, dtype, special=0.1, specials=[np.nan, 0.0])
    y, m, mean, mean_m, inverse, inverse_m = normalise(wide(x), tuple(range(axis, rank)), np.float32(epsilon), dtype)
    y, m = y * wide(scale), m * np.abs(wide(scale))
    if has_bias:
        y, m = y + wide(bias), m + np.abs(wide(bias))
    k = np.prod(shape[axis:])
    want = [linear(y, dtype, k, m), linear(mean, "f32", k, mean_m), linear(inverse, "f32", k, inverse_m)]
    return Case("LayerNormalization", [x, scale, bias if has_bias else None], want[:outputs],
                {"axis": written, "epsilon": epsilon})


@row("RMSNormalization")
def make_rms_norm(g):
    dtype, rank = g.dtype("f"), g.rank(1)
    axis, written = g.axis(rank)
    shape, epsilon = g.shape(rank, lo=1), g.pick(1e-5, 1e-3)
    x, scale = g.floats(shape, dtype), g.floats(shape[axis:], dtype)
    w = wide(x)
    y = w / np.sqrt(np.mean(w * w, axis=tuple(range(axis, rank)), keepdims=True) + np.float32(epsilon)) * wide(scale)
    return Case("RMSNormalization", [x, scale], [linear(y, dtype, np.prod(shape[axis:]), np.abs(y))],
                {"axis": written, "epsilon": epsilon})


def along(v, rank, axis=1):
    return v.reshape([-1 if i == axis else 1 for i in range(rank)])


@row("BatchNormalization")
def make_batch_norm(g):
    dtype, rank = g.dtype("f"), g.rank(2)
    shape, epsilon = g.shape(rank), g.pick(1e-5, 1e-2)
    c = shape[1]
    x = g.floats(shape, dtype)
    scale, bias, mean = (g.floats([c], dtype) for _ in range(3))
    variance = g.floats([c], dtype, 0.3, 2)
    s, b, mu, v = (along(wide(t), rank) for t in (scale, bias, mean, variance))
    factor = s / np.sqrt(v + np.float32(epsilon))
    y = (wide(x) - mu) * factor + b
    m = (np.abs(wide(x)) + np.abs(mu)) * np.abs(factor) + np.abs(b)
    return Case("BatchNormalization", [x, scale, bias, mean, variance], [linear(y, dtype, 1, m)],
                {"epsilon": epsilon}, constant={1, 2, 3, 4} if g.chance(0.5) else set())


def grouped_norm(op):
    def make(g):
        dtype, rank = g.dtype("f"), g.rank(3)
        epsilon = g.pick(1e-5, 1e-3)
        shape = g.shape(rank, lo=1)
        groups = g.pick(1, 2, 3)
        if op == "GroupNormalization":
            shape[1] = groups * g.int(1, 4)
        else:
            groups = shape[1]
        x, scale, bias = (g.floats(s, dtype) for s in (shape, [shape[1]], [shape[1]]))
        split = [shape[0], groups, shape[1] // groups] + shape[2:]
        y, m, *_ = normalise(wide(x).reshape(split), tuple(range(2, rank + 1)), np.float32(epsilon), dtype)
        s, b = along(wide(scale), rank), along(wide(bias), rank)
        y, m = y.reshape(shape) * s + b, m.reshape(shape) * np.abs(s) + np.abs(b)
        attributes = {"epsilon": epsilon}
        if op == "GroupNormalization":
            attributes["num_groups"] = groups
        return Case(op, [x, scale, bias], [linear(y, dtype, np.prod(split[2:]), m)], attributes)
    return make


row("GroupNormalization")(grouped_norm("GroupNormalization"))
row("InstanceNormalization")(grouped_norm("InstanceNormalization"))


@row("LpNormalization")
def make_lp_norm(g):
    dtype, rank, p = g.dtype("f"), g.rank(1), g.pick(1, 2)
    axis, written = g.axis(rank)
    x = g.floats(g.shape(rank), dtype, special=0.3, specials=[0.0])
    w = wide(x)
    norm = np.abs(w).sum(axis, keepdims=True) if p == 1 else np.sqrt((w * w).sum(axis, keepdims=True))
    y = np.where(norm == 0, 0, w / np.where(norm == 0, 1, norm))
    return Case("LpNormalization", [x], [linear(y, dtype, x.shape[axis], np.abs(y))], {"axis": written, "p": p})


@row("MeanVarianceNormalization")
def make_mvn(g):
    dtype, rank = g.dtype("f"), g.rank(2)
    axes = g.some_axes(rank, at_least=1)
    shape = g.shape(rank, lo=2)
    x = g.floats(shape, dtype)
    y, m, _, _, inverse, _ = normalise(wide(x), tuple(axes), 0, dtype)
    y = y / (1 + wide(np.array(1e-9, np.float32)) * inverse)  # the definition divides by deviation + 1e-9
    return Case("MeanVarianceNormalization", [x], [linear(y, dtype, np.prod([shape[a] for a in axes]), m)],
                {"axes": axes})


@row("LRN")
def make_lrn(g):
    dtype, size = g.dtype("f"), g.pick(1, 2, 3, 5)
    alpha, beta, bias = g.number(0.01, 1), g.pick(0.75, 0.5, 1.0), g.pick(1.0, 2.0)
    x = g.floats(g.shape(g.rank(3)), dtype)
    w = wide(x)
    square, c = np.zeros_like(w), x.shape[1]
    for i in range(c):
        lo, hi = max(0, i - (size - 1) // 2), min(c - 1, i + size // 2)
        square[:, i] = (w[:, lo:hi + 1] ** 2).sum(axis=1)
    y = w / (bias + alpha / size * square) ** beta
    return Case("LRN", [x], [linear(y, dtype, size, np.abs(y) * (1 + beta))],
                {"size": size, "alpha": alpha, "beta": beta, "bias": bias})


def log_probabilities(w):
    top = np.max(w, 1, keepdims=True)
    total = np.exp(w - top).sum(1, keepdims=True)
    return w - top - np.log(total), top - w + np.log(total) + 1


def loss(op):
    """Negative log-likelihood, of given or of computed log-probabilities."""
    def make(g):
        dtype, rank = g.dtype("f"), g.rank(2, 4)
        shape = g.shape(rank, lo=1)
        reduction, weighted = g.pick("none", "sum", "mean"), g.chance(0.5)
        ignore, outputs = g.pick(None, -1, 2), g.pick(1, 2)
        x, weight = g.floats(shape, dtype), g.floats([shape[1]], dtype, 0.1, 2)
        target = g.positions([shape[0]] + shape[2:], shape[1], g.pick("i32", "i64"), negative=False)
        logits, size = log_probabilities(wide(x)) if op[0] == "S" else (wide(x), np.abs(wide(x)))
        per_class = wide(weight)[target] if weighted else np.ones(target.shape)
        if ignore is not None:
            target = np.where(g.contents.random(target.shape) < 0.2, ignore, target).astype(target.dtype)
            per_class = np.where(target == ignore, 0, per_class)
        at = np.expand_dims(np.clip(target, 0, shape[1] - 1), 1)
        y = -np.take_along_axis(logits, at, 1)[:, 0] * per_class
        m = np.take_along_axis(size, at, 1)[:, 0] * per_class
        if reduction != "none":
            divisor = per_class.sum() if reduction == "mean" else 1
            y, m = y.sum() / divisor, m.sum() / divisor + (np.abs(y).sum() / divisor)
        want = [linear(np.asarray(y), dtype, target.size + shape[1], m)]
        if op[0] == "S" and outputs == 2:
            want.append(linear(logits, dtype, shape[1], size))
        attributes = {"reduction": reduction}
        if ignore is not None:
            attributes["ignore_index"] = ignore
        return Case(op, [x, target, weight if weighted else None], want, attributes)
    return make


row("NegativeLogLikelihoodLoss")(loss("NegativeLogLikelihoodLoss"))
row("SoftmaxCrossEntropyLoss")(loss("SoftmaxCrossEntropyLoss"))
