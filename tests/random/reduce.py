"""Cuts a graph down while it goes wrong in the same way."""
import re

import numpy as np

import oracle
from compare import Batch
from graph import Graph, Node, copied
from number import is_float, name_of

TRIES = 60


def way(finding):
    """What must stay the same: the kind, and for messages their code."""
    codes = re.findall(r"\[TN\d+\]|internal", finding.text)
    return finding.kind, codes[0] if codes else ""


class Reducer:
    def __init__(self, tenon, finding, options):
        self.tenon, self.way, self.options, self.tries = tenon, way(finding), options, 0
        self.oracles = finding.kind in ("onnx", "onnxruntime")
        self.text = finding.text

    def fails(self, graph):
        if self.tries >= TRIES or not graph.nodes or not graph.outputs:
            return False
        self.tries += 1
        try:
            findings = Batch(self.tenon, [(0, graph)], self.options, self.oracles).run()
        except Exception:  # not a valid graph any more
            return False
        for finding in findings:
            if way(finding) == self.way:
                self.text = finding.text
                return True
        return False

    def candidates(self, graph):
        values = oracle.evaluate_graph(graph)
        for output in graph.outputs:  # one output only
            if len(graph.outputs) > 1:
                yield with_outputs(graph, [output])
        for node in graph.nodes:  # results of a node as outputs, what follows gone
            made = [o for o in node.outputs if o]
            if made and made != graph.outputs and all(o in values for o in made):
                yield with_outputs(graph, made[:1])
        for i, node in enumerate(graph.nodes):  # a node's results as inputs
            made = [o for o in node.outputs if o]
            cut = copied(graph)
            del cut.nodes[i]
            cut.inputs.update({o: values[o] for o in made})
            cut.outputs = [o for o in cut.outputs if o not in made]
            yield cut.pruned()
        for i, node in enumerate(graph.nodes):  # a node passed by
            for use in node.inputs:
                out = node.outputs[0] if len(node.outputs) == 1 else ""
                if use and out and node.op != "Identity" and values[use].dtype == values[out].dtype and \
                        values[use].shape == values[out].shape and out not in graph.outputs:
                    yield without(graph, i, use)
        if graph.dims:
            cut = copied(graph)
            cut.dims = {}
            yield cut
            for name in graph.dims:
                cut = copied(graph)
                del cut.dims[name]
                yield cut
        for i, node in enumerate(graph.nodes):
            for key in node.attributes:
                cut = copied(graph)
                del cut.nodes[i].attributes[key]
                yield cut
        for name in graph.constants:
            cut = copied(graph)
            cut.inputs[name] = cut.constants.pop(name)
            yield cut
        for name, x in graph.inputs.items():  # smaller inputs
            for axis, n in enumerate(x.shape):
                for less in {1, n // 2, n - 1} - {0, n}:
                    if n > less > 0:
                        cut = copied(graph)
                        for other, y in cut.inputs.items():
                            if axis < y.ndim and y.shape[axis] == n and y.ndim == x.ndim:
                                cut.inputs[other] = np.take(y, range(less), axis)
                                if other in cut.dims and isinstance(cut.dims[other][axis], int):
                                    cut.dims[other][axis] = less
                        yield cut.pruned()

    def run(self, graph):
        progress = True
        while progress and self.tries < TRIES:
            progress = False
            for cut in self.candidates(graph):
                if len(cut.nodes) <= len(graph.nodes) and self.fails(cut):
                    graph, progress = cut, True
                    break
        return graph


def with_outputs(graph, outputs):
    cut = copied(graph)
    cut.outputs = list(outputs)
    return cut.pruned()


def without(graph, i, use):
    cut = copied(graph)
    gone = cut.nodes.pop(i).outputs[0]
    for node in cut.nodes:
        node.inputs = [use if n == gone else n for n in node.inputs]
    return cut.pruned()


def reduce(tenon, graph, finding, options):
    if finding.kind == "together":
        return graph
    reducer = Reducer(tenon, finding, options)
    graph = reducer.run(graph)
    finding.text = reducer.text
    return graph
