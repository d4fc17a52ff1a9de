"""Cases that were wrong once, made by hand; seeds of the rows that they belong to find them only now and then."""
import numpy as np

from judge import Case, exact, linear, ulp
from number import wide
from rows import row


def ints(*values):
    return np.array(values, np.int64).reshape(len(values))


@row("Slice.backward_of_nothing")
def slice_backward_of_nothing(g):
    """A symbolic axis that turns out empty has no element 0 to start from."""
    x = g.floats([3, [4, 0, 1][g.size % 3]], "f32")
    return Case("Slice", [x, ints(-1), ints(-1000), ints(1), ints(-1)], [exact(x[:, ::-1])], constant={1, 2, 3, 4})


@row("Pow.exponent_of_more_digits")
def pow_exponent_of_more_digits(g):
    """The exponent is not rounded to the base's type."""
    base, exponent = g.pick(("f16", "f32"), ("bf16", "f32"), ("bf16", "f16"), ("f32", "f64"), ("f16", "i32"))
    a = g.floats([40], base, 0.5, 3)
    b = g.floats([40], exponent, -3, 8) if exponent[0] == "f" else g.ints([40], exponent, -3, 5)
    y = np.power(a.astype(np.longdouble), b.astype(np.longdouble))
    return Case("Pow", [a, b], [ulp(y, base, 5)])


@row("LayerNormalization.statistics")
def layer_norm_statistics(g):
    """Mean and deviation have the type that stash_type says, not the input's."""
    x = g.floats([2, 5], "f64")
    w, u = wide(x), g.pick("f32", "bf16")
    mean = w.mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt(((w - mean) ** 2).mean(axis=1, keepdims=True) + np.float32(1e-5))
    y = (w - mean) * inverse
    return Case("LayerNormalization", [x, np.ones(5)], [
        linear(y, "f64", 5, 2 * np.abs(w).max() * inverse + np.abs(y)), linear(mean, u, 5, np.abs(w).max()),
        linear(inverse, u, 5, inverse)], {"epsilon": 1e-5, "stash_type": {"f32": 1, "bf16": 16}[u]})


@row("CumSum.axis_out_of_range")
def cumsum_axis_out_of_range(g):
    """An axis that is known only at run time and does not exist is refused."""
    x = g.floats([2, 3], "f32")
    return Case("CumSum", [x, np.array(g.pick(2, -3, 1 << 40), np.int64)], [exact(x)],
                refused="(CumSum, opset 28): an index points outside its tensor")


@row("ConvTranspose.of_nothing")
def conv_transpose_of_nothing(g):
    """No pixel of no image: the scheduler divided by the number of tiles."""
    x, w = np.zeros([0, 9, 1, 7], np.float32), g.floats([9, 6, 1, 1], "f32")
    return Case("ConvTranspose", [x, w], [exact(np.zeros([0, 18, 1, 19], np.float32))],
                {"strides": [1, 3], "group": 3}, constant={1}, fixed=True)
