"""Quantise and dequantise: a number, one an index of an axis, or one a block of its elements."""
import numpy as np

from judge import Case, exact, linear
from number import TYPES, wide
from rows import row

SMALL = ("u8", "i8", "u16", "i16")


def layout(g, shape):
    """(shape of the scale, how it spreads to x, attributes)."""
    rank = len(shape)
    form = g.pick("tensor", "axis", "block") if rank else "tensor"
    if form == "tensor":
        return [], lambda s: s, {}
    axis, written = g.axis(rank)
    if form == "axis":
        return [shape[axis]], lambda s: s.reshape([-1 if i == axis else 1 for i in range(rank)]), {"axis": written}
    block = g.int(1, 4)
    blocks = -(-shape[axis] // block)
    return ([blocks if i == axis else e for i, e in enumerate(shape)],
            lambda s: np.repeat(s, block, axis).take(range(shape[axis]), axis), {"axis": written, "block_size": block})


@row("QuantizeLinear", exact_reference=True, weight=2)
def make_quantize(g):
    dtype, to = g.pick("f32", "f32", "f16", "bf16"), g.pick(*SMALL)
    shape = g.shape(g.rank(), lo=1)
    scale_shape, spread, attributes = layout(g, shape)
    x = g.floats(shape, dtype, -30, 30, special=0.2, specials=[np.inf, -np.inf, 0.0, -0.0, 1e4, -1e4])
    scale, zero = g.floats(scale_shape, dtype, 0.1, 2), g.ints(scale_shape, to, -100, 100)
    low, high = np.iinfo(TYPES[to]).min, np.iinfo(TYPES[to]).max
    ratio = x.astype(np.float32) / spread(scale).astype(np.float32)  # in f32, as every operation on narrow types
    steps = np.rint(ratio.astype(np.float64)) + spread(zero).astype(np.float64)
    ratio = np.clip(ratio, -1e6, 1e6)
    # The definition lets 16-bit types divide in their own precision: near a tie either step is right.
    free = None if dtype == "f32" else np.asarray(np.abs(np.abs(ratio - np.floor(ratio)) - 0.5) < 2.0 ** -6 * (
        1 + np.abs(ratio)) / (1 if dtype == "bf16" else 8))
    y = np.clip(steps, low, high).astype(TYPES[to])
    return Case("QuantizeLinear", [x, scale, zero], [exact(np.asarray(y), free=free)], attributes,
                constant={1, 2} if g.chance(0.3) else set())


@row("DequantizeLinear", weight=2)
def make_dequantize(g):
    source, dtype = g.pick("u8", "i8", "u16", "i16", "i32", "u4", "i4"), g.pick("f32", "f32", "f16")
    shape = g.shape(g.rank(), lo=1)
    scale_shape, spread, attributes = layout(g, shape)
    x = g.ints(shape, source, -30000, 30000)
    scale, zero = g.floats(scale_shape, dtype, 0.001, 0.1), g.ints(scale_shape, source, -100, 100)
    has_zero = source != "i32" and g.chance(0.7)
    steps = x.astype(np.float64) - (spread(zero).astype(np.float64) if has_zero else 0)
    y = steps * wide(spread(scale))
    return Case("DequantizeLinear", [x, scale, zero if has_zero else None], [linear(y, dtype, 1, np.abs(y))],
                attributes, constant={1, 2} if g.chance(0.3) else set())


@row("DynamicQuantizeLinear", exact_reference=True)
def make_dynamic_quantize(g):
    x = g.floats(g.shape(g.rank(), lo=1), "f32", *g.pick((-3, 3), (1, 5), (-9, -2)))
    low, high = np.float32(min(0, x.min())), np.float32(max(0, x.max()))
    scale = np.float32((high - low) / np.float32(255))
    start = np.float32(0) - low / scale
    zero = np.clip(np.rint(start), 0, 255)
    ratio = x / scale
    y = np.clip(np.rint(ratio) + zero, 0, 255).astype(np.uint8)
    free = np.abs(np.abs(ratio - np.floor(ratio)) - 0.5) < 1e-4
    tie = np.asarray(np.abs(np.abs(start - np.floor(start)) - 0.5) < 1e-4)
    return Case("DynamicQuantizeLinear", [x], [
        exact(y, free=np.asarray(free | tie)), linear(np.asarray(scale, np.float64), "f32", 1, scale),
        exact(np.asarray(zero, np.uint8), free=tie)])
