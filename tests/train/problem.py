"""The small problem on which optimisers are tested: a net 3-5-2 with tanh, squared error, 8 samples. Numbers are sines,
so that they are the same everywhere."""
import numpy as np

STEPS = 100
SHAPES = {"w1": (5, 3), "b1": (5,), "w2": (2, 5), "b2": (2,)}
BETAS = (0.9, 0.999)

# name: (settings of train_make, learning rates of the groups, groups of the weights)
ONE, TWO = [0, 0, 0, 0], [0, 1, 0, 1]
CASES = {
    "sgd": ("optimizer=sgd", [0.1], ONE),
    "sgd_momentum": ("optimizer=sgd momentum=0.9 decay=0.01", [0.05], ONE),
    "sgd_nesterov": ("optimizer=sgd momentum=0.9 nesterov=1 l1=0.001", [0.05], ONE),
    "rmsprop": ("optimizer=rmsprop alpha=0.99 epsilon=1e-8 decay=0.01", [0.01], ONE),
    "rmsprop_momentum": ("optimizer=rmsprop alpha=0.9 epsilon=1e-8 momentum=0.5", [0.003], ONE),
    "adagrad": ("optimizer=adagrad epsilon=1e-10 decay=0.01 l1=0.001", [0.05], ONE),
    "adam": ("optimizer=adam beta1=0.9 beta2=0.999 epsilon=1e-8", [0.01], ONE),
    "adam_decay": ("optimizer=adam beta1=0.8 beta2=0.99 epsilon=1e-6 decay=0.02", [0.02, 0.005], TWO),
    "adamw": ("optimizer=adamw beta1=0.9 beta2=0.999 epsilon=1e-8 decay=0.05", [0.01, 0.02], TWO),
    "lion": ("optimizer=lion beta1=0.9 beta2=0.99 decay=0.1", [0.003], ONE),
    "lamb": ("optimizer=lamb beta1=0.9 beta2=0.999 epsilon=1e-6 decay=0.01 l1=0.001", [0.01], ONE),
    "clip_norm": ("optimizer=sgd momentum=0.9 clip=norm:0.3", [0.1], ONE),
    "clip_value": ("optimizer=sgd clip=value:0.05", [0.2], ONE),
}


def settings(text):
    return {k: v for k, v in (word.split("=") for word in text.split())}


def waves(shape, phase, scale=1.0):
    return np.sin(np.arange(int(np.prod(shape))) * 1.7 + phase).reshape(shape) * scale


def data():
    x = waves((8, 3), 0.3)
    return x, np.tanh(x @ waves((3, 2), 2.0)) + waves((8, 2), 5.0, 0.2)


def weights():
    return {name: waves(shape, i + 1.0, 0.6) for i, (name, shape) in enumerate(SHAPES.items())}


def rate_at(lr, t):
    """A schedule, so that it matters that each step reads its own rate; as f32, as the step gets it."""
    return float(np.float32(lr * (1 - 0.004 * t)))
