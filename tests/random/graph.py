"""Typed ONNX graphs as plain data: made by the generator, written as models, kept as JSON, cut down by the reducer."""
import copy
import json
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from number import TYPES, is_float, name_of, onnx_type


@dataclass
class Node:
    op: str
    inputs: list                # names, "" where omitted
    outputs: list
    attributes: dict = field(default_factory=dict)  # numbers, strings, lists, arrays (tensors), Graphs
    domain: str = ""
    mixes: tuple = None         # operands on whose rounding errors the results depend beyond their own rounding
    rounds: bool = True         # whether float results are rounded

    def captures(self):
        """Names that bodies take from outside."""
        found = []
        for body in self.attributes.values():
            if isinstance(body, Graph):
                inside = {o for n in body.nodes for o in n.outputs} | set(body.inputs) | set(body.constants)
                used = [i for n in body.nodes for i in n.inputs + n.captures()] + body.outputs
                found += [i for i in used if i and i not in inside]
        return found

    def uses(self):
        return [i for i in self.inputs if i] + self.captures()


@dataclass
class Graph:
    opset: int = 28
    inputs: dict = field(default_factory=dict)     # name -> array, the value it is run with
    dims: dict = field(default_factory=dict)       # name -> [extent or symbol]; absent: the array's shape
    constants: dict = field(default_factory=dict)  # name -> array
    nodes: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    types: dict = field(default_factory=dict)      # of a body: output -> element type of ONNX

    def dims_of(self, name):
        return self.dims.get(name) or list(self.inputs[name].shape)

    def pruned(self):
        """Without what no output needs; inputs that remain."""
        needed, nodes = set(self.outputs), []
        for node in reversed(self.nodes):
            if needed & set(node.outputs):
                nodes.insert(0, node)
                needed |= set(node.uses())
        return Graph(self.opset, {n: x for n, x in self.inputs.items() if n in needed},
                     {n: d for n, d in self.dims.items() if n in needed},
                     {n: x for n, x in self.constants.items() if n in needed}, nodes, list(self.outputs))


# ---- as ONNX

def version_of(domain, opset):
    return opset if domain == "" else 5 if domain == "ai.onnx.ml" else 1


def tensor(x, name=""):
    return helper.make_tensor(name, onnx_type(name_of(x)), x.shape, pack(x), raw=True) if x.dtype.itemsize and \
        name_of(x) in ("i4", "u4") else numpy_helper.from_array(np.ascontiguousarray(x).reshape(x.shape), name)


def pack(x):
    low = [int(v) & 15 for v in x.ravel()] + [0]
    return bytes(low[i] | low[i + 1] << 4 for i in range(0, x.size, 2))


def attribute(name, value, prefix):
    if isinstance(value, Graph):
        return helper.make_attribute(name, body_proto(value, prefix))
    if isinstance(value, np.ndarray):
        return helper.make_attribute(name, tensor(value))
    return helper.make_attribute(name, value, attr_type=onnx.AttributeProto.INTS if value == [] else None)


def renamed(name, prefix):
    return prefix + name if name else ""


def node_proto(node, prefix="", label=None):
    proto = helper.make_node(node.op, [renamed(i, prefix) for i in node.inputs],
                             [renamed(o, prefix) for o in node.outputs], domain=node.domain,
                             name=prefix + (label or (node.outputs + ["node"])[0]))
    for name, value in node.attributes.items():
        proto.attribute.append(attribute(name, value, prefix))
    return proto


def body_proto(body, prefix):
    """A Graph as the body of a control-flow node: `inputs` are its parameters."""
    params = [helper.make_tensor_value_info(prefix + n, onnx_type(name_of(x)), body.dims.get(n, list(x.shape)))
              for n, x in body.inputs.items()]
    results = [helper.make_tensor_value_info(prefix + n, body.types[n], None) for n in body.outputs]
    constants = [tensor(x, prefix + n) for n, x in body.constants.items()]
    return helper.make_graph([node_proto(n, prefix) for n in body.nodes], "body", params, results, constants)


def parts(graph, prefix, static=False):
    """(nodes, inputs, constants) of a graph in a model of several; symbols have the prefix too."""
    nodes = [node_proto(n, prefix) for n in graph.nodes]
    inputs = []
    for name, x in graph.inputs.items():
        dims = list(x.shape) if static else [d if isinstance(d, int) else prefix + d for d in graph.dims_of(name)]
        inputs.append(helper.make_tensor_value_info(prefix + name, onnx_type(name_of(x)), dims))
    return nodes, inputs, [tensor(x, prefix + n) for n, x in graph.constants.items()]


def all_nodes(nodes):
    for node in nodes:
        yield node
        for value in node.attributes.values():
            if isinstance(value, Graph):
                yield from all_nodes(value.nodes)


def model_of(nodes, inputs, outputs, constants, opset, domains=("",)):
    """outputs: [(name, dtype)]."""
    results = [helper.make_tensor_value_info(n, onnx_type(t), None) for n, t in outputs]
    graph = helper.make_graph(nodes, "random", inputs, results, constants)
    imports = [helper.make_opsetid(d, version_of(d, opset)) for d in sorted(set(domains) | {""})]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def domains_of(graphs):
    return {n.domain for g in graphs for n in all_nodes(g.nodes)}


# ---- as JSON

def array_json(x):
    kind = name_of(x)
    flat = x.ravel()
    data = [float(v) for v in flat] if is_float(kind) else [int(v) for v in flat]
    return {"dtype": kind, "shape": list(x.shape), "data": data}


def array_of(j):
    if "data" not in j:
        return np.zeros(j["shape"], TYPES[j["dtype"]])
    kind = TYPES[j["dtype"]]
    return np.array(j["data"], np.float64 if is_float(j["dtype"]) else object).astype(kind).reshape(j["shape"])


def attribute_json(value):
    if isinstance(value, Graph):
        j = graph_json(value)
        for x in j["inputs"].values():  # parameters: their contents come from the node
            del x["data"]
        return {"graph": {**j, "types": value.types}}
    return {"tensor": array_json(value)} if isinstance(value, np.ndarray) else value


def attribute_of(j):
    if isinstance(j, dict):
        return graph_of(j["graph"]) if "graph" in j else array_of(j["tensor"])
    return j


def graph_json(graph):
    nodes = [{"op": n.op, "in": n.inputs, "out": n.outputs,
              **({"attr": {k: attribute_json(v) for k, v in n.attributes.items()}} if n.attributes else {}),
              **({"domain": n.domain} if n.domain else {}), **({"mixes": list(n.mixes)} if n.mixes else {}),
              **({} if n.rounds else {"rounds": False})} for n in graph.nodes]
    return {"opset": graph.opset, "inputs": {n: array_json(x) for n, x in graph.inputs.items()}, "dims": graph.dims,
            "constants": {n: array_json(x) for n, x in graph.constants.items()}, "nodes": nodes,
            "outputs": graph.outputs}


def graph_of(j):
    nodes = [Node(n["op"], n["in"], n["out"], {k: attribute_of(v) for k, v in n.get("attr", {}).items()},
                  n.get("domain", ""), tuple(n["mixes"]) if n.get("mixes") else None, n.get("rounds", True))
             for n in j["nodes"]]
    return Graph(j["opset"], {n: array_of(x) for n, x in j["inputs"].items()}, j.get("dims", {}),
                 {n: array_of(x) for n, x in j["constants"].items()}, nodes, j["outputs"], j.get("types", {}))


def save_json(path, graph, why=""):
    """One node and one tensor a line, so that a kept file reads like a listing."""
    j = {"why": why, **graph_json(graph)}
    lines = []
    for key, value in j.items():
        if key == "nodes":
            text = "[\n  " + ",\n  ".join(json.dumps(n) for n in value) + "]"
        elif key in ("inputs", "constants") and value:
            text = "{\n  " + ",\n  ".join(f"{json.dumps(n)}: {json.dumps(x)}" for n, x in value.items()) + "}"
        else:
            text = json.dumps(value)
        lines.append(f"{json.dumps(key)}: {text}")
    with open(path, "w") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")


def load_json(path):
    with open(path) as f:
        return graph_of(json.load(f))


def listing(graph):
    """For people."""
    lines = [f"  {n}: {name_of(x)}{graph.dims_of(n)}" for n, x in graph.inputs.items()]
    lines += [f"  {n} = {name_of(x)}{list(x.shape)} constant" + (f" {x.ravel().tolist()}" if x.size < 9 else "")
              for n, x in graph.constants.items()]
    for n in graph.nodes:
        attributes = {k: f"<{len(v.nodes)} nodes>" if isinstance(v, Graph) else v for k, v in n.attributes.items()}
        lines.append(f"  {', '.join(n.outputs)} = {n.op}({', '.join(n.inputs)})" +
                     (f" {attributes}" if attributes else ""))
    return "\n".join(lines + [f"  opset {graph.opset}, outputs {', '.join(graph.outputs)}"])


def copied(graph):
    return copy.deepcopy(graph)
