"""What others say about a graph: the ONNX reference evaluator node by node, onnxruntime on the whole."""
import os
import tempfile
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

from graph import Graph, model_of, node_proto, parts, all_nodes, domains_of, version_of
from judged import distrusted
from number import TYPES, is_float, name_of, onnx_type
from program import execute, load, save

onnxruntime.set_default_logger_severity(4)
NUMPY = {onnx_type(n): n for n in TYPES}


NEWEST = 26  # opset that onnxruntime reads


def changed_since(op):
    return onnx.defs.get_schema(op, onnx.defs.onnx_opset_version()).since_version > NEWEST


class Unable(Exception):
    """No oracle evaluates this node."""


def single(node, values, opset):
    """A model of one node whose operands, captured values included, are its inputs."""
    names = list(dict.fromkeys(node.uses()))
    inputs = [helper.make_tensor_value_info(n, onnx_type(name_of(values[n])), values[n].shape) for n in names]
    results = [onnx.ValueInfoProto(name=o) for o in node.outputs if o]
    graph = helper.make_graph([node_proto(node)], "one", inputs, results)
    domains = {node.domain, ""} | {n.domain for n in all_nodes([node])}
    model = helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid(d, version_of(d, opset)) for d in sorted(domains)])
    return model, {n: values[n] for n in names}


def types_of(model):
    """[(element type, extents or None)] of the outputs by ONNX's own inference."""
    # outputs without a type are not typed by infer_shapes: as values of the graph they are
    inner = onnx.ModelProto()
    inner.CopyFrom(model)
    names = [o.name for o in inner.graph.output]
    del inner.graph.output[:]
    inferred = onnx.shape_inference.infer_shapes(inner, strict_mode=True, data_prop=True)
    found = {v.name: v.type.tensor_type for v in inferred.graph.value_info}
    return [of_type(found.get(n)) for n in names]


def of_type(tensor):
    if tensor is None:
        return None, None
    dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    return NUMPY.get(tensor.elem_type), dims if tensor.HasField("shape") else None


def has_shape(y, dims):
    return dims is None or (y.ndim == len(dims) and all(d in (None, e) for d, e in zip(dims, y.shape)))


def reference_run(model, feeds):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return ReferenceEvaluator(model).run(None, feeds)


def widened(node, values, opset, run):
    """Short floats as f32, where the evaluator has no arithmetic for them (results are rounded by the caller)."""
    short = [n for n in node.uses() if name_of(values[n]) in ("bf16", "f16")]
    if not short or any(isinstance(v, Graph) for v in node.attributes.values()):
        raise Unable(node.op)
    wide = dict(values)
    for n in short:
        wide[n] = values[n].astype(np.float32)
    return run(*single(node, wide, opset))


def runtime_run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    if model.opset_import[0].version > NEWEST:
        newer = [n.op_type for n in model.graph.node if not n.domain and changed_since(n.op_type)]
        if newer:
            raise Unable(f"onnxruntime has no {newer[0]} of this opset")
        model.opset_import[0].version = NEWEST
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    if any(name_of(x) in ("bf16", "i4", "u4") for x in feeds.values()):
        raise Unable("onnxruntime's Python has no such tensors")
    return session.run(None, feeds)


OWN = {"tenon": None}  # the compiler whose reference says what nobody else does


def own_run(model, feeds):
    """tenon's reference, where neither oracle has the node: then only compiled code is held against something."""
    if OWN["tenon"] is None:
        raise Unable("no oracle")
    with tempfile.TemporaryDirectory(prefix="random-") as folder:
        path = os.path.join(folder, "model.onnx")
        command = [OWN["tenon"], path, "--eval", "--output-dir", folder]
        for n, x in feeds.items():
            save(os.path.join(folder, n + ".npy"), x)
            command += ["--input", f"{n}={folder}/{n}.npy"]
        types = dict(zip((o.name for o in model.graph.output), types_of(model)))
        onnx.save(model, path)
        execute("the reference", command)
        return [load(os.path.join(folder, n + ".npy"), t) for n, (t, _) in types.items()]


def evaluate(node, values, opset):
    """[results] of a node on concrete values, in the types that ONNX gives them; raises Unable."""
    model, feeds = single(node, values, opset)
    try:
        types = types_of(model)
    except Exception as refused:  # the checker's word on a node that is not valid
        raise Unable(f"{node.op}: {refused}") from None
    ways = [lambda: reference_run(model, feeds), lambda: runtime_run(model, feeds),
            lambda: widened(node, values, opset, reference_run), lambda: widened(node, values, opset, runtime_run)]
    if distrusted("onnx", node, values, opset):
        ways = [ways[1], ways[3], ways[0], ways[2]]
    ways.append(lambda: own_run(model, feeds))
    last = None
    for way in ways:
        try:
            results = [np.asarray(y) for y in way()]
        except Exception as failed:  # oracles fail in any way they like
            last = failed
            continue
        if all(y.dtype != object and has_shape(y, dims) for y, (_, dims) in zip(results, types)):
            with np.errstate(all="ignore"):
                return [y if t is None else y.astype(TYPES[t]) for y, (t, _) in zip(results, types)]
    raise Unable(f"{node.op}: {last}")


def evaluate_graph(graph):
    """{name: array} of every value."""
    values = {**graph.inputs, **graph.constants}
    for node in graph.nodes:
        for name, y in zip([o for o in node.outputs if o], evaluate(node, values, graph.opset)):
            values[name] = y
    return values


def runtime(graph, outputs):
    """onnxruntime's results, or None where it cannot run the graph. outputs: [(name, dtype)]."""
    nodes, inputs, constants = parts(graph, "", static=True)
    model = model_of(nodes, inputs, outputs, constants, graph.opset, domains_of([graph]))
    feeds = dict(graph.inputs)
    if any(t in ("bf16", "i4", "u4") for _, t in outputs):
        return None
    try:
        return runtime_run(model, feeds)
    except Exception:  # no kernel for a type, no such opset
        return None


def finite(x, limit=None):
    if not is_float(name_of(x)):
        return True
    w = x.astype(np.float64)
    return bool(np.isfinite(w).all() and (limit is None or (np.abs(w) <= limit).all()))
