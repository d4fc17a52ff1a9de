"""Models that use every kind of kernel the CUDA backend makes: a perceptron and a block of a transformer."""
import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


class Graph:
    def __init__(self, seed):
        self.rng, self.nodes, self.weights, self.n = np.random.default_rng(seed), [], [], 0

    def weight(self, array):
        self.n += 1
        self.weights.append(numpy_helper.from_array(np.asarray(array), f"w{self.n}"))
        return f"w{self.n}"

    def normal(self, *shape, scale=None):
        scale = shape[0] ** -0.5 if scale is None else scale
        return self.weight((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def node(self, op, *inputs, n_outputs=1, **attributes):
        self.n += 1
        outputs = [f"v{self.n}_{i}" for i in range(n_outputs)]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"{op}_{self.n}", **attributes))
        return outputs[0] if n_outputs == 1 else outputs

    def linear(self, x, k, n):
        return self.node("Add", self.node("MatMul", x, self.normal(k, n)), self.normal(n, scale=0.1))

    def model(self, inputs, output, dims):
        self.nodes.append(helper.make_node("Identity", [output], ["y"]))
        ports = [helper.make_tensor_value_info(name, kind, dims) for name, kind, dims in inputs]
        graph = helper.make_graph(self.nodes, "net", ports, [helper.make_tensor_value_info("y", FLOAT, dims)],
                                  self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        checker.check_model(model)
        return model


def perceptron():
    g, at, widths = Graph(1), "x", [20, 640, 33, 7]
    for k, n in zip(widths, widths[1:]):
        at = g.linear(at, k, n)
        if n != widths[-1]:
            at = g.node("Relu", at)
    return g.model([("x", FLOAT, ["batch", widths[0]])], g.node("Softmax", at, axis=-1), ["batch", widths[-1]])


def transformer(width=48, heads=4, vocabulary=50):
    """Pre-norm, with a mask; batch and length are symbols."""
    g, size = Graph(2), width // heads
    def norm(x):
        return g.node("LayerNormalization", x, g.weight(1 + 0.1 * g.rng.standard_normal(width).astype(np.float32)),
                      g.normal(width, scale=0.1), axis=-1, epsilon=1e-5)
    def split(x):
        x = g.node("Reshape", x, g.weight(np.array([0, 0, heads, size])))
        return g.node("Transpose", x, perm=[0, 2, 1, 3])
    x = g.node("Gather", g.normal(vocabulary, width, scale=1), "ids", axis=0)
    q, k, v = g.node("Split", g.linear(norm(x), width, 3 * width), axis=-1, num_outputs=3, n_outputs=3)
    scores = g.node("MatMul", split(q), g.node("Transpose", split(k), perm=[0, 1, 3, 2]))
    scores = g.node("Div", scores, g.weight(np.float32(size ** 0.5)))
    scores = g.node("Where", "mask", scores, g.weight(np.float32(-1e9)))
    mixed = g.node("MatMul", g.node("Softmax", scores, axis=-1), split(v))
    mixed = g.node("Reshape", g.node("Transpose", mixed, perm=[0, 2, 1, 3]), g.weight(np.array([0, 0, width])))
    x = g.node("Add", x, g.linear(mixed, width, width))
    inner = g.node("Gelu", g.linear(norm(x), width, 4 * width), approximate="tanh")
    x = g.node("Add", x, g.linear(g.node("Gelu", inner), 4 * width, width))
    return g.model([("ids", INT64, ["batch", "length"]), ("mask", BOOL, ["batch", 1, "length", "length"])], norm(x),
                   ["batch", "length", width])


def perceptron_inputs(rng, batch):
    return {"x": rng.standard_normal((batch, 20)).astype(np.float32)}


def transformer_inputs(rng, batch, length):
    mask = np.broadcast_to(np.tril(np.ones((length, length), bool)), (batch, 1, length, length)).copy()
    mask[-1] &= rng.random((1, length, length)) < 0.8
    mask |= np.eye(length, dtype=bool)
    return {"ids": rng.integers(0, 50, (batch, length)), "mask": mask}


# name: (model, inputs of some sizes)
MODELS = {
    "perceptron": (perceptron, perceptron_inputs, [(5,), (1,), (130,)]),
    "transformer": (transformer, transformer_inputs, [(2, 17), (1, 1), (1, 70)]),
}
