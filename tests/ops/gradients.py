"""Gradients of whole networks, compiled, against the wide reference of the same graph.   usage: gradients.py BUILD_DIR

Each network is an ONNX file with a loss and a Gradient node; its weights are inputs. The reference's own derivatives
are checked against central differences in tests/unit/gradient_test.c. Compiled once for this machine and once for AVX2,
it runs at several batch sizes. An error is at most 2e-5 of the largest element (a handful of f32 roundings of sums).
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BOUND = 2e-5
BATCHES = (1, 3, 8)


class Net:
    """A chain of ONNX nodes; weights are graph inputs with seeded values."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.weights, self.inputs = [], [], {}, {}

    def weight(self, name, *shape, scale=None):
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        scale = scale if scale is not None else (1 / max(fan_in, 1)) ** 0.5
        self.weights[name] = self.rng.normal(0, scale, shape).astype(np.float32)
        return name

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, op, inputs, n_outputs=1, **attributes):
        outputs = [f"t{len(self.nodes)}_{i}" for i in range(n_outputs)]
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs[0] if n_outputs == 1 else outputs

    def finish(self):
        self.nodes[-1].output[0] = "loss"
        names = list(self.weights)
        self.nodes.append(helper.make_node("Gradient", names, [f"d_{name}" for name in names], xs=names, y="loss",
                                           domain="ai.onnx.preview.training"))
        kinds = {np.float32: TensorProto.FLOAT, np.int64: TensorProto.INT64}
        inputs = [helper.make_tensor_value_info(name, kinds[dtype], ["B", *shape])
                  for name, (dtype, shape, _) in self.inputs.items()]
        inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
                   for name, value in self.weights.items()]
        outputs = [helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])]
        outputs += [helper.make_tensor_value_info(f"d_{name}", TensorProto.FLOAT, self.weights[name].shape)
                    for name in names]
        graph = helper.make_graph(self.nodes, "net", inputs, outputs, self.constants)
        return helper.make_model(graph, ir_version=8, opset_imports=[
            helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.preview.training", 1)])

    def input(self, name, *shape, classes=0):
        self.inputs[name] = (np.int64 if classes else np.float32, shape, classes)
        return name

    def feed(self, batch):
        out = dict(self.weights)
        for name, (dtype, shape, classes) in self.inputs.items():
            size = (batch, *shape)
            value = self.rng.integers(0, classes, size) if classes else self.rng.normal(0, 1, size)
            out[name] = value.astype(dtype)
        return out

    def dense(self, x, name, n_in, n_out):
        return self.add("Gemm", [x, self.weight(f"{name}_w", n_out, n_in), self.weight(f"{name}_b", n_out)], transB=1)

    def classify(self, logits, classes):
        return self.add("SoftmaxCrossEntropyLoss", [logits, self.input("label", classes=classes)])


def mlp(net):
    x = net.input("x", 30)
    for i, (n_in, n_out) in enumerate([(30, 64), (64, 64)]):
        x = net.add("Relu", [net.dense(x, f"fc{i}", n_in, n_out)])
    return net.classify(net.dense(x, "out", 64, 5), 5)


def lenet(net):
    x = net.input("x", 1, 28, 28)
    for i, (n_in, n_out) in enumerate([(1, 6), (6, 16)]):
        w, b = net.weight(f"conv{i}_w", n_out, n_in, 5, 5), net.weight(f"conv{i}_b", n_out)
        x = net.add("Tanh", [net.add("Conv", [x, w, b])])
        x = net.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("Flatten", [x])
    return net.classify(net.dense(net.add("Sigmoid", [net.dense(x, "fc", 256, 84)]), "out", 84, 10), 10)


def convolutions(net):
    x = net.input("x", 4, 13, 11)
    layers = [((8, 4, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
              ((8, 4, 3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2], "group": 2}),
              ((8, 1, 3, 3), {"pads": [1, 0, 1, 2], "group": 8})]
    for i, (shape, attributes) in enumerate(layers):
        y = net.add("Conv", [x, net.weight(f"w{i}", *shape)], **attributes)
        mean = net.add("ReduceMean", [y], axes=[0, 2, 3], keepdims=1)
        centred = net.add("Sub", [y, mean])
        variance = net.add("ReduceMean", [net.add("Mul", [centred, centred])], axes=[0, 2, 3], keepdims=1)
        net.constant(f"eps{i}", np.float32(1e-3))
        deviation = net.add("Sqrt", [net.add("Add", [variance, f"eps{i}"])])
        y = net.add("Mul", [net.add("Div", [centred, deviation]), net.weight(f"g{i}", 1, shape[0], 1, 1)])
        x = net.add("LeakyRelu", [y], alpha=0.1)
    x = net.add("ConvTranspose", [x, net.weight("up", 8, 6, 3, 3)], strides=[2, 2])
    x = net.add("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    return net.classify(net.dense(net.add("Flatten", [net.add("GlobalAveragePool", [x])]), "out", 6, 4), 4)


def channels(net):
    """Channels that fill panels of weights and of images, normalised by the batch, with a shortcut and strides."""
    def layer(x, name, n_in, n_out, stride=1, size=3):
        y = net.add("Conv", [x, net.weight(f"{name}_w", n_out, n_in, size, size)], strides=[stride] * 2,
                    pads=[size // 2] * 4)
        return net.add("BatchNormalization", [y, net.weight(f"{name}_g", n_out), net.weight(f"{name}_b", n_out),
                                              net.constant(f"{name}_m", np.zeros(n_out, np.float32)),
                                              net.constant(f"{name}_v", np.ones(n_out, np.float32))], 3,
                       training_mode=1)[0]
    x = net.add("Tanh", [layer(net.input("x", 3, 9, 8), "stem", 3, 64)])
    x = net.add("Tanh", [net.add("Add", [x, layer(x, "same", 64, 64)])])
    y = net.add("Tanh", [layer(x, "down", 64, 256, 2)])
    x = net.add("Tanh", [net.add("Add", [layer(y, "last", 256, 256), layer(x, "skip", 64, 256, 2, 1)])])
    return net.classify(net.dense(net.add("Flatten", [net.add("GlobalAveragePool", [x])]), "out", 256, 4), 4)


def lstm(net):
    x = net.add("Transpose", [net.input("x", 7, 6)], perm=[1, 0, 2])
    w, r = net.weight("w", 2, 4 * 5, 6), net.weight("r", 2, 4 * 5, 5)
    _, h, _ = net.add("LSTM", [x, w, r, net.weight("b", 2, 8 * 5)], 3, hidden_size=5, direction="bidirectional")
    h = net.add("Reshape", [net.add("Transpose", [h], perm=[1, 0, 2]), net.constant("flat", np.array([-1, 10]))])
    return net.classify(net.dense(h, "out", 10, 4), 4)


def gru(net):
    x = net.add("Transpose", [net.input("x", 7, 6)], perm=[1, 0, 2])
    w, r = net.weight("w", 1, 3 * 5, 6), net.weight("r", 1, 3 * 5, 5)
    _, h = net.add("GRU", [x, w, r, net.weight("b", 1, 6 * 5)], 2, hidden_size=5)
    return net.classify(net.dense(net.add("Squeeze", [h, net.constant("first", np.array([0]))]), "out", 5, 4), 4)


def attention(net):
    """Embedded tokens, one block of attention with two heads and a feed-forward part, mean over the positions."""
    x = net.add("Gather", [net.weight("table", 11, 16, scale=1), net.input("tokens", 9, classes=11)])
    net.constant("heads", np.array([0, 9, 2, 8]))
    net.constant("joined", np.array([0, 9, 16]))
    y = net.add("LayerNormalization", [x, net.weight("ln_g", 16), net.weight("ln_b", 16)])
    q, k, v = (net.add("Reshape", [net.add("MatMul", [y, net.weight(f"w{n}", 16, 16)]), "heads"]) for n in "qkv")
    q, k, v = (net.add("Transpose", [part], perm=[0, 2, 1, 3]) for part in (q, k, v))
    scores = net.add("MatMul", [q, net.add("Transpose", [k], perm=[0, 1, 3, 2])])
    mixed = net.add("MatMul", [net.add("Softmax", [scores], axis=-1), v])
    mixed = net.add("Reshape", [net.add("Transpose", [mixed], perm=[0, 2, 1, 3]), "joined"])
    x = net.add("Add", [x, net.add("MatMul", [mixed, net.weight("wo", 16, 16)])])
    hidden = net.add("MatMul", [x, net.weight("w1", 16, 32)])
    for name, value in (("half", 0.5), ("one", 1), ("root", 2 ** -0.5)):
        net.constant(name, np.float32(value))
    erf = net.add("Add", [net.add("Erf", [net.add("Mul", [hidden, "root"])]), "one"])
    x = net.add("Add", [x, net.add("MatMul", [net.add("Mul", [net.add("Mul", [hidden, erf]), "half"]),
                                              net.weight("w2", 32, 16)])])
    return net.classify(net.dense(net.add("ReduceMean", [x], axes=[1], keepdims=0), "out", 16, 4), 4)


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def compare(folder, names, label):
    worst = 0
    for name in names:
        ours = np.load(os.path.join(folder, "ours", f"{name}.npy")).astype(np.float64)
        want = np.load(os.path.join(folder, "want", f"{name}.npy")).astype(np.float64)
        if ours.shape != want.shape or not np.isfinite(ours).all():
            raise RuntimeError(f"{label}: {name} is {ours.shape}, expected {want.shape}, all finite")
        error = np.abs(ours - want).max() / max(np.abs(want).max(), 1e-30)
        if not error <= BOUND:
            raise RuntimeError(f"{label}: the error of {name} is {error:.2e}")
        worst = max(worst, error)
    return worst


def check(tenon, folder, build, march):
    net = Net(len(build.__name__))
    build(net)
    model = net.finish()
    onnx.save(model, os.path.join(folder, "net.onnx"))
    run([tenon, "net.onnx", f"-march={march}", "-o", "net"], folder)
    names = ["loss", *(f"d_{name}" for name in net.weights)]
    worst = 0
    for batch in BATCHES:
        feed = net.feed(batch)
        for name, value in feed.items():
            np.save(os.path.join(folder, f"{name}.npy"), value)
        given = [word for name in feed for word in ("--input", f"{name}={name}.npy")]
        run(["./net", "run", *given, "--output-dir", "ours"], folder)
        run([tenon, "net.onnx", "--eval", "--eval-mode=wide", *given, "--output-dir", "want"], folder)
        worst = max(worst, compare(folder, names, f"{build.__name__}, {march}, batch {batch}"))
    print(f"{build.__name__:12} {march:8} largest error {worst:.1e} over {len(names)} tensors")


def main():
    tenon = os.path.join(os.path.abspath(sys.argv[1]), "bin", "tenon")
    passed = failed = 0
    for build in (mlp, lenet, convolutions, channels, lstm, gru, attention):
        for march in ("native", "haswell"):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    check(tenon, folder, build, march)
                    passed += 1
                except RuntimeError as error:
                    print(f"FAILED: {error}")
                    failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
