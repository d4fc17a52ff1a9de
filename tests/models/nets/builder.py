"""Graphs of ONNX nodes with seeded weights, written as functions of values' names."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """g.Relu(x) adds a node and gives its output's name; attributes are keywords, `outputs` says how many there are."""

    def __init__(self, name, seed=0, opset=17):
        self.name, self.opset, self.rng = name, opset, np.random.default_rng(seed)
        self.nodes, self.initializers, self.inputs, self.outputs = [], [], [], []
        self.constants = {}

    def __getattr__(self, op):
        if not op[0].isupper():
            raise AttributeError(op)

        def add(*operands, outputs=1, **attributes):
            names = [f"{op}_{len(self.nodes)}" + (f".{i}" if outputs > 1 else "") for i in range(outputs)]
            operands = [x if isinstance(x, str) else "" if x is None else self.const(x) for x in operands]
            self.nodes.append(helper.make_node(op, operands, names, **attributes))
            return names[0] if outputs == 1 else names
        return add

    def input(self, name, shape, dtype=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name, x, shape, dtype=TensorProto.FLOAT):
        """The last node's output gets this name, or a node is added that gives it."""
        if self.nodes[-1].output[0] == x and len(self.nodes[-1].output) == 1:
            self.nodes[-1].output[0] = name
        else:
            self.nodes.append(helper.make_node("Identity", [x], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def const(self, value):
        """An initializer: of a list of int64 or an array; equal ones are one."""
        array = value if isinstance(value, np.ndarray) else np.array(
            value, np.float32 if isinstance(value, float) else np.int64)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 else object()
        if key not in self.constants:
            self.constants[key] = f"w{len(self.initializers)}"
            self.initializers.append(numpy_helper.from_array(array, self.constants[key]))
        return self.constants[key]

    def weight(self, *shape, std=None, mean=0.0):
        """Normal values; without std He's for a fan-in of all axes but the first."""
        std = np.sqrt(2 / np.prod(shape[1:])) if std is None else std
        return self.const((self.rng.standard_normal(shape, np.float32) * np.float32(std) + np.float32(mean)))

    def uniform(self, low, high, *shape):
        return self.const(self.rng.uniform(low, high, shape).astype(np.float32))

    # ---- layers ----

    def batch_norm(self, x, n):
        return self.BatchNormalization(x, self.uniform(0.5, 1.2, n), self.weight(n, std=0.1), self.weight(n, std=0.1),
                                       self.uniform(0.5, 1.5, n))

    def act(self, x, kind):
        if kind is None:
            return x
        if kind == "silu":
            return self.Mul(x, self.Sigmoid(x))
        if kind == "gelu":
            half = self.Mul(x, 0.5)
            return self.Mul(half, self.Add(self.Erf(self.Div(x, float(np.sqrt(2)))), 1.0))
        if kind == "gelu_tanh":
            cube = self.Mul(self.Pow(x, 3.0), 0.044715)
            return self.Mul(self.Mul(x, 0.5), self.Add(self.Tanh(self.Mul(self.Add(x, cube), 0.7978845608)), 1.0))
        if kind == "relu6":
            return self.Clip(x, 0.0, 6.0)
        return getattr(self, kind)(x)

    def conv(self, x, cin, cout, k=3, stride=1, groups=1, act="Relu", norm=True, dilation=1, rank=2, pads=None):
        """Convolution of `rank` axes that keeps extents at stride 1, with batch normalisation or else a bias."""
        fan_in = cin // groups * k ** rank
        w = self.weight(cout, cin // groups, *[k] * rank, std=np.sqrt((2 if act else 1) / fan_in))
        bias = [] if norm else [self.weight(cout, std=0.1)]
        pads = [dilation * (k - 1) // 2] * 2 * rank if pads is None else pads
        y = self.Conv(x, w, *bias, kernel_shape=[k] * rank, strides=[stride] * rank, group=groups, pads=pads,
                      dilations=[dilation] * rank)
        return self.act(self.batch_norm(y, cout) if norm else y, act)

    def linear(self, x, nin, nout, bias=True, act=None):
        y = self.MatMul(x, self.weight(nin, nout, std=np.sqrt(1 / nin)))
        return self.act(self.Add(y, self.weight(nout, std=0.1)) if bias else y, act)

    def gemm(self, x, nin, nout):
        """The classifier of a flattened picture, as PyTorch writes it."""
        return self.Gemm(x, self.weight(nout, nin, std=np.sqrt(1 / nin)), self.weight(nout, std=0.1), transB=1)

    def layer_norm(self, x, n, decomposed=False):
        scale, bias = self.uniform(0.5, 1.5, n), self.weight(n, std=0.1)
        if not decomposed:
            return self.LayerNormalization(x, scale, bias, axis=-1, epsilon=1e-5)
        centred = self.Sub(x, self.ReduceMean(x, axes=[-1]))
        variance = self.ReduceMean(self.Pow(centred, 2.0), axes=[-1])
        return self.Add(self.Mul(self.Div(centred, self.Sqrt(self.Add(variance, 1e-5))), scale), bias)

    def pool_to_classes(self, x, channels, classes, name="logits"):
        y = self.Flatten(self.GlobalAveragePool(x), axis=1)
        self.output(name, self.gemm(y, channels, classes), ["B", classes])

    def heads(self, x, n, d):
        """[B, T, n*d] to [B, n, T, d]."""
        return self.Transpose(self.Reshape(x, [0, 0, n, d]), perm=[0, 2, 1, 3])

    def attend(self, q, k, v, n, d, mask=None):
        """Softmax attention over [B, n, T, d]; gives [B, T, n*d]. mask is added to the scores."""
        scores = self.Div(self.MatMul(q, self.Transpose(k, perm=[0, 1, 3, 2])), float(np.sqrt(d)))
        scores = scores if mask is None else self.Add(scores, mask)
        y = self.MatMul(self.Softmax(scores, axis=-1), v)
        return self.Reshape(self.Transpose(y, perm=[0, 2, 1, 3]), [0, 0, n * d])

    def model(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
