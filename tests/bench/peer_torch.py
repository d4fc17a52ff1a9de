"""The networks of nets.py in PyTorch, eager with the fused optimiser or compiled."""
import time

import torch
from torch import nn
from torch.nn import functional as F

from nets import NETS, POOL, batches_of


class Residual(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        stride = 1 if n_in == n_out else 2
        self.body = nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
                                  nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out))
        self.skip = nn.Identity() if stride == 1 else nn.Sequential(
            nn.Conv2d(n_in, n_out, 1, 2, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(32, 128, batch_first=True), nn.Linear(128, 10)
        with torch.no_grad():  # there is one bias to train in ours
            self.lstm.bias_hh_l0.zero_().requires_grad_(False)

    def forward(self, x):
        return self.head(self.lstm(x)[1][0][0])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True)
        self.layers, self.head = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Linear(256, 10)

    def forward(self, x):
        return self.head(self.layers(x).mean(1))


def dense(*sizes):
    parts = [part for a, b in zip(sizes, sizes[1:]) for part in (nn.Linear(a, b), nn.ReLU())]
    return parts[:-1]


def net_of(name):
    if name == "mlp30":
        return nn.Sequential(*dense(30, 64, 64, 1))
    if name == "mlp784":
        return nn.Sequential(*dense(784, 128, 64, 10))
    if name == "lenet5":
        return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                             nn.MaxPool2d(2), nn.Flatten(), *dense(400, 120, 84, 10))
    if name == "resnet18":
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        return nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                             *[Residual(a, b) for a, b in zip(widths, widths[1:])],
                             nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    return Lstm() if name == "lstm" else Encoder()


def place(name):
    """Sorts the weights of an encoder's layer as ours are: its first norm stands between attention and the rest."""
    parts = name.split(".")
    order = ["self_attn", "norm1", "linear1", "linear2", "norm2"]
    return (0, int(parts[2]), order.index(parts[3])) if parts[0] == "layers" else (1,)


def fill(net, weights):
    """Ours come in the same order."""
    left_out = ("num_batches_tracked", "bias_hh_l0")
    own = {key: value for key, value in net.state_dict().items() if not key.endswith(left_out)}
    names = sorted(own, key=place) if isinstance(net, Encoder) else list(own)
    with torch.no_grad():
        for key, value in zip(names, weights.values(), strict=True):
            assert own[key].shape == value.shape, (key, value.shape)
            own[key].copy_(torch.from_numpy(value))


class Torch:
    def __init__(self, name, weights, threads, is_compiled):
        torch.set_num_threads(threads)
        self.batch, self.is_binary = NETS[name][3], NETS[name][2] == 1
        x, y = batches_of(name)
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y).long()
        self.net = net_of(name)
        self.weights = weights
        self.net.train()
        self.forward = torch.compile(self.loss) if is_compiled else self.loss

    def start(self):
        fill(self.net, self.weights)
        trained = [value for value in self.net.parameters() if value.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=1e-3, fused=True)

    def loss(self, x, y):
        out = self.net(x)
        return F.binary_cross_entropy_with_logits(out[:, 0], y.float()) if self.is_binary else F.cross_entropy(out, y)

    def step(self, i):
        at = i % POOL * self.batch
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward(self.x[at:at + self.batch], self.y[at:at + self.batch])
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, steps):
        """Of the first steps."""
        self.start()
        return [self.step(i).item() for i in range(steps)]

    def time(self, steps):
        """Seconds of a step."""
        self.start()
        start = time.perf_counter()
        for i in range(steps):
            self.step(i)
        return (time.perf_counter() - start) / steps
