"""Fourier transforms and what is made for them."""
import numpy as np

from judge import Case, linear
from number import wide
from rows import row


def complex_of(x):
    w = wide(x).astype(np.complex128)
    return w[..., 0] + 1j * w[..., 1] if x.shape[-1] == 2 else w[..., 0]


def parts_of(z):
    return np.stack([z.real, z.imag], axis=-1)


@row("DFT", weight=2)
def make_dft(g):
    """Any length, cut or padded; half a spectrum of real signals, and back."""
    dtype, rank = g.pick("f32", "f32", "f64"), g.rank(2, 4)
    axis, written = g.axis(rank - 1)
    written = axis if written >= 0 else axis - rank
    inverse, onesided = g.pick(0, 1), g.pick(0, 0, 1)
    parts = 2 if inverse else 1 if onesided else g.pick(1, 2)
    shape = [g.extent(1, 5) for _ in range(rank - 1)] + [parts]
    shape[axis] = g.extent(2, 24)
    x = g.floats(shape, dtype)
    length = g.pick(None, None, 5, 16, 30)
    z = complex_of(x)
    usual = 2 * (shape[axis] - 1) if inverse and onesided else shape[axis]
    n = length or usual
    if inverse:
        y = np.fft.irfft(z, n, axis)[..., None] if onesided else parts_of(np.fft.ifft(z, n, axis))
    else:
        y = np.fft.fft(z, n, axis)
        y = parts_of(np.take(y, range(n // 2 + 1), axis) if onesided else y)
    m = np.abs(z).max() * (3 if inverse else 3 * n)
    inputs = [x, None if length is None else np.array(length, np.int64), np.array(written, np.int64)]
    return Case("DFT", inputs, [linear(y, dtype, n, m)], {"inverse": inverse, "onesided": onesided},
                constant=g.pick({1, 2}, {1, 2}, {1}))


@row("STFT")
def make_stft(g):
    dtype = g.pick("f32", "f32", "f64")
    onesided, step, size = g.pick(0, 1), g.int(1, 7), g.int(1, 12)
    parts = 1 if onesided else g.pick(1, 2)
    x = g.floats([g.extent(1, 3), size + g.extent(0, 30), parts], dtype)
    window = g.floats([size], dtype, 0, 1) if g.chance(0.6) else None
    length = np.array(size, np.int64) if window is None or g.chance(0.3) else None
    frames = (x.shape[1] - size) // step + 1
    z = np.stack([complex_of(x)[:, i * step:i * step + size] for i in range(frames)], 1)
    y = np.fft.fft(z * (1 if window is None else wide(window).astype(np.float64)))
    y = parts_of(y[..., :size // 2 + 1] if onesided else y)
    inputs = [x, np.array(step, np.int64), window, length]
    return Case("STFT", inputs, [linear(y, dtype, size, 3 * size * np.abs(z).max(initial=0))], {"onesided": onesided},
                constant={1, 3})


@row("MelWeightMatrix")
def make_mel(g):
    bins, length, rate = g.int(1, 12), g.int(8, 300), g.pick(8000, 8192, 16000)
    low, high = g.number(0, 500), g.number(1000, rate / 2 - 1)
    points = np.arange(bins + 2) * (2595 / np.log(10)) * (np.log1p(high / 700) - np.log1p(low / 700)) / (bins + 2)
    hertz = 700 * np.expm1((points + 2595 * np.log1p(low / 700) / np.log(10)) / 2595 * np.log(10))
    exact = (length + 1) * hertz / rate
    at = np.floor(exact)
    k, y = np.arange(length // 2 + 1)[:, None], np.zeros([length // 2 + 1, bins])
    with np.errstate(all="ignore"):
        up, down = (k - at[:-2]) / (at[1:-1] - at[:-2]), (at[2:] - k) / (at[2:] - at[1:-1])
    y = np.where((k >= at[:-2]) & (k < at[1:-1]), up, np.where((k >= at[1:-1]) & (k < at[2:]), down, 0))
    y = np.where(k == at[1:-1], 1, y)
    # a point that lies on the border of two bins may count to either
    unsure = np.abs(exact - np.rint(exact)) < 1e-9
    free = np.broadcast_to(unsure[:-2] | unsure[1:-1] | unsure[2:], y.shape)
    inputs = [np.array(bins, np.int64), np.array(length, np.int64), np.array(rate, np.int64),
              np.array(low, np.float32), np.array(high, np.float32)]
    return Case("MelWeightMatrix", inputs, [linear(y, "f32", 1, np.abs(y), free=free)], constant={0, 1, 2})
