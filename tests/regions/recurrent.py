"""RNN, GRU and LSTM of random shapes and attributes, one compile for all sizes, against onnxruntime.

  recurrent.py TENON [-n MODELS] [--seed N] [-v]

The last line is `N passed, N failed, N skipped`.
"""
import argparse, os, subprocess, sys, tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare import check

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ACTIVATIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}
PARAMETERS = {"Tanh": 0, "Sigmoid": 0, "Relu": 0, "Softsign": 0, "LeakyRelu": 1, "HardSigmoid": 2, "ScaledTanh": 2,
              "Elu": 1}


def random_model(rng):
    """A model with one recurrent node, and a function that makes its inputs for (steps, batch)."""
    op = rng.choice(list(GATES))
    g, i, h = GATES[op], int(rng.integers(1, 40)), int(rng.integers(1, 40))
    direction = str(rng.choice(["forward", "reverse", "bidirectional"]))
    d = 2 if direction == "bidirectional" else 1
    attrs = {"hidden_size": h, "direction": direction}
    if rng.random() < 0.3:
        attrs["clip"] = float(rng.uniform(0.3, 2))
    if op == "GRU" and rng.random() < 0.5:
        attrs["linear_before_reset"] = 1
    if rng.random() < 0.4:
        names = [str(n) for n in rng.choice(list(PARAMETERS), ACTIVATIONS[op])]
        if op != "RNN":
            names[0] = str(rng.choice(["Sigmoid", "HardSigmoid"]))
        attrs["activations"] = names * d
        alphas = [0.3 if PARAMETERS[n] else 0 for n in names * d]
        attrs["activation_alpha"] = [a for a, n in zip(alphas, names * d) if PARAMETERS[n] > 0]
        attrs["activation_beta"] = [0.6 for n in names * d if PARAMETERS[n] > 1]
        attrs = {k: v for k, v in attrs.items() if v != []}
    weight = lambda *dims: (rng.normal(size=dims) / np.sqrt(dims[-1])).astype(np.float32)
    consts = {"w": weight(d, g * h, i), "r": weight(d, g * h, h)}
    inputs = ["x", "w", "r", "", "", "", "", ""][:8 if op == "LSTM" else 6]
    graph_inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", "B", i])]
    if rng.random() < 0.8:
        consts["b"] = weight(d, 2 * g * h)
        inputs[3] = "b"
    if rng.random() < 0.4:
        inputs[4] = "lens"
        graph_inputs.append(helper.make_tensor_value_info("lens", TensorProto.INT32, ["B"]))
    for at, name in ((5, "h0"), (6, "c0")):
        if at < len(inputs) and rng.random() < 0.5:
            inputs[at] = name
            graph_inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [d, "B", h]))
    if op == "LSTM" and rng.random() < 0.4:
        consts["p"] = weight(d, 3 * h)
        inputs[7] = "p"
    outputs = ["y", "yh", "yc"][:3 if op == "LSTM" else 2]
    node = helper.make_node(op, inputs, outputs, **attrs)
    graph = helper.make_graph([node], "g", graph_inputs,
                              [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
                              [numpy_helper.from_array(v, k) for k, v in consts.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", int(rng.choice([7, 13, 14, 22])))],
                              ir_version=8)

    def feed(steps, batch):
        sizes = {"x": (steps, batch, i), "h0": (d, batch, h), "c0": (d, batch, h)}
        made = {n.name: rng.normal(size=sizes[n.name]).astype(np.float32) for n in graph_inputs if n.name in sizes}
        if inputs[4]:
            made["lens"] = rng.integers(1, steps + 1, batch).astype(np.int32)
        return made
    return f"{op} {direction} {attrs}", model, feed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tenon")
    parser.add_argument("-n", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    failed = 0
    for k in range(options.n):
        rng = np.random.default_rng([options.seed, k])
        title, model, feed = random_model(rng)
        problem = check(options.tenon, model, [feed(t, b) for t, b in ((1, 1), (5, 3), (17, 2))])
        if problem or options.v:
            print(f"model {k}: {title}: {problem or 'equal'}")
        failed += bool(problem)
    print(f"{options.n - failed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
