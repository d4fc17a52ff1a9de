"""Writes ONNX files byte by byte, right and wrong ones, with nothing but Python: messages are bytes, fields are
concatenated. The numbers are those of onnx.proto."""
import struct

FLOAT, UINT8, INT8, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE, UINT4, INT4 = 1, 2, 3, 6, 7, 8, 9, 10, 11, 21, 22


def varint(v):
    v &= (1 << 64) - 1
    out = bytearray()
    while v >= 0x80:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


def num(field, v):
    return varint(field << 3) + varint(v)


def sub(field, payload):
    if isinstance(payload, str):
        payload = payload.encode()
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def each(field, payloads):
    return b"".join(sub(field, p) for p in payloads)


def tensor(name, dtype, dims, raw=None, rest=b""):
    out = b"".join(num(1, d) for d in dims) + num(2, dtype) + rest
    if name is not None:
        out += sub(8, name)
    return out + (sub(9, raw) if raw is not None else b"")


def floats(name, dims, values):
    return tensor(name, FLOAT, dims, struct.pack("<%df" % len(values), *values))


def ints(name, dims, values):
    return tensor(name, INT64, dims, struct.pack("<%dq" % len(values), *values))


def external(name, dtype, dims, **entries):
    fields = b"".join(sub(13, sub(1, k) + sub(2, str(v))) for k, v in entries.items())
    return tensor(name, dtype, dims, None, fields + num(14, 1))


def attr(name, value):
    """int, float, str, list of ints or floats, ("tensor", t) or ("graph", g)."""
    if isinstance(value, tuple):
        field, kind = {"tensor": (5, 4), "graph": (6, 5)}[value[0]]
        return sub(1, name) + sub(field, value[1]) + num(20, kind)
    if isinstance(value, int):
        return sub(1, name) + num(3, value) + num(20, 2)
    if isinstance(value, float):
        return sub(1, name) + b"\x15" + struct.pack("<f", value) + num(20, 1)
    if isinstance(value, str):
        return sub(1, name) + sub(4, value) + num(20, 3)
    if value and isinstance(value[0], float):
        return sub(1, name) + sub(7, struct.pack("<%df" % len(value), *value)) + num(20, 6)
    return sub(1, name) + b"".join(num(8, v) for v in value) + num(20, 7)


def reference(name, of):
    """An attribute that stands for one of the function around the node."""
    return sub(1, name) + sub(21, of)


def node(op, inputs, outputs, name="", domain="", attrs=(), **named):
    fields = [attr(k, v) for k, v in named.items()] + list(attrs)
    out = each(1, inputs) + each(2, outputs) + sub(4, op) + each(5, fields)
    return out + (sub(3, name) if name else b"") + (sub(7, domain) if domain else b"")


def dim(d):
    if d is None:
        return b""
    return num(1, d) if isinstance(d, int) else sub(2, d)


def info(name, dtype=FLOAT, dims=(), shape=True):
    inner = num(1, dtype) + (sub(2, each(1, [dim(d) for d in dims])) if shape else b"")
    return sub(1, name) + sub(2, sub(1, inner))


def graph(nodes=(), inputs=(), outputs=(), initialisers=(), name="g", rest=b""):
    return each(1, nodes) + sub(2, name) + each(5, initialisers) + each(11, inputs) + each(12, outputs) + rest


def opset(version, domain=""):
    return sub(1, domain) + num(2, version)


def function(name, inputs, outputs, nodes, attributes=(), domain="local", opsets=None, defaults=()):
    out = sub(1, name) + each(4, inputs) + each(5, outputs) + each(6, attributes) + each(7, nodes)
    opsets = opsets if opsets is not None else [opset(17), opset(1, "local")]
    return out + each(9, opsets) + sub(10, domain) + each(11, defaults)


def model(graph_bytes, opsets=None, functions=(), ir_version=8, rest=b""):
    opsets = opsets if opsets is not None else [opset(17), opset(1, "local")]
    return num(1, ir_version) + (sub(7, graph_bytes) if graph_bytes is not None else b"") + each(8, opsets) + each(
        25, functions) + rest
