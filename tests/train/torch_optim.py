"""Optimisers for the tables: torch's, and by the formulas of their papers those that it lacks."""
import torch


class Lion:
    """Chen et al., 2023, algorithm 2."""

    def __init__(self, groups, betas, weight_decay):
        self.param_groups, self.betas, self.decay, self.m = groups, betas, weight_decay, {}

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.m.get(p, torch.zeros_like(p))
                c = torch.sign(self.betas[0] * m + (1 - self.betas[0]) * p.grad)
                p.data = p.data - group["lr"] * (c + self.decay * p.data)
                self.m[p] = self.betas[1] * m + (1 - self.betas[1]) * p.grad


class Lamb:
    """You et al., 2020, algorithm 2, phi being the identity."""

    def __init__(self, groups, betas, eps, weight_decay):
        self.param_groups, self.betas, self.eps, self.decay, self.state = groups, betas, eps, weight_decay, {}

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m, v, t = self.state.get(p, (torch.zeros_like(p), torch.zeros_like(p), 0))
                t += 1
                m = self.betas[0] * m + (1 - self.betas[0]) * p.grad
                v = self.betas[1] * v + (1 - self.betas[1]) * p.grad ** 2
                self.state[p] = m, v, t
                r = (m / (1 - self.betas[0] ** t)) / ((v / (1 - self.betas[1] ** t)).sqrt() + self.eps)
                u = r + self.decay * p.data
                p.data = p.data - group["lr"] * p.data.norm() / u.norm() * u


def optimizer_of(s, groups):
    def get(name, default=0.0):
        return float(s.get(name, default))
    betas, decay = (get("beta1"), get("beta2")), get("decay")
    kind, optim = s["optimizer"], torch.optim
    if kind == "sgd":
        return optim.SGD(groups, lr=1, momentum=get("momentum"), nesterov="nesterov" in s, weight_decay=decay)
    if kind == "rmsprop":
        return optim.RMSprop(groups, lr=1, alpha=get("alpha"), eps=get("epsilon"), momentum=get("momentum"),
                             weight_decay=decay)
    if kind == "adagrad":
        return optim.Adagrad(groups, lr=1, eps=get("epsilon"), weight_decay=decay)
    if kind == "lion":
        return Lion(groups, betas, decay)
    if kind == "lamb":
        return Lamb(groups, betas, get("epsilon"), decay)
    return {"adam": optim.Adam, "adamw": optim.AdamW}[kind](groups, lr=1, betas=betas, eps=get("epsilon"),
                                                            weight_decay=decay)
