"""Element types and their arithmetic, apart from NumPy's casts: rounding to any float type, units in the last place."""
import ml_dtypes
import numpy as np
from onnx import helper

TYPES = {
    "f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
    "f8e4m3": ml_dtypes.float8_e4m3fn, "f8e5m2": ml_dtypes.float8_e5m2, "f8e4m3uz": ml_dtypes.float8_e4m3fnuz,
    "f8e5m2uz": ml_dtypes.float8_e5m2fnuz, "f4e2m1": ml_dtypes.float4_e2m1fn,
    "i64": np.int64, "i32": np.int32, "i16": np.int16, "i8": np.int8, "i4": ml_dtypes.int4,
    "u64": np.uint64, "u32": np.uint32, "u16": np.uint16, "u8": np.uint8, "u4": ml_dtypes.uint4, "bool": np.bool_,
}
TYPES = {name: np.dtype(t) for name, t in TYPES.items()}
NAMES = {t: name for name, t in TYPES.items()}
# digits of the significand, exponent of the smallest normal number, largest finite number
FORMATS = {
    "f64": (53, -1022, float(np.finfo(np.float64).max)), "f32": (24, -126, float(np.finfo(np.float32).max)),
    "f16": (11, -14, 65504.0), "bf16": (8, -126, float.fromhex("0x1.fep127")), "f8e4m3": (4, -6, 448.0),
    "f8e5m2": (3, -14, 57344.0), "f8e4m3uz": (4, -7, 240.0), "f8e5m2uz": (3, -15, 57344.0), "f4e2m1": (2, 0, 6.0),
}
FLOATS, SIGNED, UNSIGNED = ("f32", "f64", "f16", "bf16"), ("i64", "i32", "i16", "i8"), ("u64", "u32", "u16", "u8")
INTEGERS = SIGNED + UNSIGNED
NUMBERS = FLOATS + INTEGERS
# How an element travels in .npy where NumPy has no such type (README of the runtime: bits, or one element a byte).
TRAVELS = {"bf16": np.uint16, "i4": np.int8, "u4": np.uint8,
           **{name: np.uint8 for name in FORMATS if name.startswith(("f8", "f4"))}}


def name_of(array):
    return NAMES[array.dtype]


def onnx_type(dtype):
    return helper.np_dtype_to_tensor_dtype(TYPES[dtype])


def is_float(dtype):
    return dtype in FORMATS


def bits(dtype):
    return {"bool": 1, "i4": 4, "u4": 4, "f4e2m1": 4, "bf16": 16}.get(dtype, TYPES[dtype].itemsize * 8)


def unit(dtype):
    """The unit round-off u."""
    return 2.0 ** -FORMATS[dtype][0]


def wide(x):
    """x with more digits than its type has: an 80-bit float for f64, a double for other floats, else Python ints."""
    name = name_of(x)
    if name == "f64":
        return x.astype(np.longdouble)
    return x.astype(np.float64) if is_float(name) else x.astype(object)


def quantum(v, dtype):
    """The distance of neighbours of dtype around v: one unit in the last place."""
    digits, lowest, _ = FORMATS[dtype]
    exponent = np.frexp(np.where(np.isfinite(v), v, 1))[1] - 1
    return np.ldexp(np.ones_like(v), np.maximum(exponent, lowest) - digits + 1)


def smallest(dtype):
    """The smallest positive number, a subnormal one."""
    digits, lowest, _ = FORMATS[dtype]
    return np.ldexp(np.longdouble(1), lowest - digits + 1)


def round_to(v, dtype, saturate=False):
    """v (double or wider) rounded once to the nearest number of dtype, halves to even; overflow to infinity, or to the
    largest number. As an array of v's own type, for not all of these types have infinities."""
    v = np.asarray(v)
    step = quantum(v, dtype)
    with np.errstate(all="ignore"):
        y = np.where(np.isfinite(v), np.rint(v / step) * step, v)
    largest = FORMATS[dtype][2]
    over = np.abs(y) > largest
    return np.where(over, np.copysign(largest if saturate else np.inf, y), y)


def wrap(v, dtype):
    """Python ints (an object array) kept modulo 2^n."""
    if dtype == "bool":
        return np.asarray(v).astype(bool)
    n, v = bits(dtype), np.asarray(v, dtype=object)
    low = [int(e) & ((1 << n) - 1) for e in v.ravel()]
    if dtype[0] == "i":
        low = [e - (1 << n) if e >> (n - 1) else e for e in low]
    return np.array(low, dtype=object).reshape(v.shape).astype(TYPES[dtype])
