"""A case (one operator on its inputs, what it must give) and the judgement of what came out.

The bound of an operator with a reduction of length K is 4 (K + 8) u m: u the unit round-off of the result's type, m
the sum of the absolute values of the terms (linear()). Elementary functions have a bound in units in the last place
(ulp()); what IEEE 754 or integer arithmetic defines to the bit, and whatever only moves elements, is exact()."""
from dataclasses import dataclass, field

import numpy as np

from number import FORMATS, TYPES, is_float, name_of, quantum, round_to, smallest, unit, wide


@dataclass
class Want:
    value: np.ndarray        # wide floats (not yet rounded), or the very integers
    dtype: str
    bound: np.ndarray        # absolute, of value's shape; 0 = to the bit
    signed_zeros: bool = False
    free: np.ndarray = None  # elements about which nothing is said


@dataclass
class Case:
    op: str
    inputs: list             # arrays, None for an omitted optional input
    want: list
    attributes: dict = field(default_factory=dict)
    constant: set = field(default_factory=set)  # positions of inputs that are initialisers
    domain: str = ""
    fixed: bool = False      # not for symbolic sizes
    refused: str = None      # instead of running, the compiled program must say this


def exact(value, dtype=None, signed_zeros=False, free=None):
    """To the bit. Floats that are wide are rounded to dtype first."""
    value = np.asarray(value)
    dtype = dtype or name_of(value)
    if is_float(dtype):
        v = wide(value) if value.dtype in (TYPES[dtype],) else value
        value = round_to(v, dtype) if value.dtype != TYPES[dtype] else v
    return Want(value, dtype, np.zeros(value.shape), signed_zeros, free)


def linear(value, dtype, k, m, free=None):
    """4 (K + 8) u m, and as many subnormals where terms underflow."""
    value, k = np.asarray(value), np.asarray(k, dtype=np.longdouble)
    with np.errstate(all="ignore"):
        bound = 4 * (k + 8) * (unit(dtype) * np.asarray(m, dtype=np.longdouble) + smallest(dtype))
    return Want(value, dtype, np.broadcast_to(np.asarray(bound), value.shape), False, free)


def ulp(value, dtype, n, free=None):
    """n units in the last place of f32 or f64; the 16-bit types compute in f32 and round once: half a unit of theirs
    more."""
    value = np.asarray(value)
    compute = dtype if dtype in ("f32", "f64") else "f32"
    with np.errstate(all="ignore"):
        bound = n * quantum(value.astype(np.longdouble), compute)
        if compute != dtype:
            bound = bound + 0.5 * quantum(value.astype(np.longdouble), dtype)
    return Want(value, dtype, bound, False, free)


@dataclass
class Fault:
    what: str
    at: tuple = ()
    found: object = None
    expected: object = None
    error: float = 0.0
    bound: float = 0.0

    def __str__(self):
        if not self.at and self.found is None:
            return self.what
        return (f"{self.what} at {list(self.at)}: found {self.found}, expected {self.expected}, "
                f"error {self.error:.3g}, bound {self.bound:.3g}")


def shapes_differ(found, want):
    return Fault(f"shape: found {list(found.shape)}, expected {list(want.value.shape)}")


def judge(found, want, slack=0.0):
    """None, or a Fault at the worst element. slack: further units in the last place."""
    if slack and is_float(want.dtype) and found.dtype == np.float64:  # what the reference keeps in double
        found = round_to(found, want.dtype)
        return judge_floats(found, want, slack) if found.shape == want.value.shape else shapes_differ(found, want)
    if found.shape != want.value.shape:
        return shapes_differ(found, want)
    if name_of(found) != want.dtype:
        return Fault(f"type: found {name_of(found)}, expected {want.dtype}")
    if not is_float(want.dtype):
        return judge_integers(found, want)
    return judge_floats(found, want, slack)


def worst_of(over, what, found, want, error, bound):
    at = np.unravel_index(int(np.argmax(np.where(over, np.nan_to_num(error, nan=np.inf) + 1e-300, -1))), over.shape)
    return Fault(f"{what}, {int(over.sum())} of {over.size} elements; worst", tuple(int(i) for i in at), found[at],
                 want[at], float(error[at]), float(bound[at]))


def judge_integers(found, want):
    over = np.asarray(found != want.value)
    if want.free is not None:
        over = over & ~want.free
    if not over.any():
        return None
    error = np.abs(found.astype(object) - np.asarray(want.value).astype(object)).astype(float)
    return worst_of(over, "differs", found, np.asarray(want.value), error, np.zeros(over.shape))


def judge_floats(found, want, slack):
    with np.errstate(all="ignore"):
        return judge_wide(found, want, slack)


def judge_wide(found, want, slack):
    f, w = np.asarray(found.astype(np.longdouble)), np.asarray(want.value.astype(np.longdouble))
    rounded = round_to(w, want.dtype)
    largest = FORMATS[want.dtype][2]
    bound = want.bound + slack * quantum(w, want.dtype)
    error = np.asarray(np.abs(f - rounded))
    inexact = np.abs(f - w)
    error = np.where(want.bound > 0, np.minimum(error, inexact), error)
    good = error <= bound
    good |= np.isnan(f) & np.isnan(w)
    good |= np.isinf(rounded) & (f == rounded)
    # Within the bound of the largest number either side is right.
    near = (np.abs(w) + bound > largest) & np.isfinite(w) & (want.bound > 0)
    good |= near & np.isinf(f) & (np.sign(f) == np.sign(w))
    good |= np.isinf(rounded) & np.isfinite(w) & (want.bound > 0) & (np.abs(f) >= largest - bound) & (f * w > 0)
    good &= np.isnan(f) == np.isnan(w)
    if want.signed_zeros:
        good &= (f != 0) | (w != 0) | (np.signbit(f) == np.signbit(w))
    if want.free is not None:
        good |= want.free
    if good.all():
        return None
    return worst_of(~good, "differs", found, want.value, error, np.asarray(bound, dtype=np.longdouble))
