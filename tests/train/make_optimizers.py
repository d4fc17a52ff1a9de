#!/usr/bin/env python3
"""Writes optimizers.json, which test_optimizers.py holds tenon against: losses and last weights of 100 steps on the net
of problem.py, in double, by torch.optim; Lion and LAMB, which it lacks, by the formulas of their papers.
usage: make_optimizers.py   (needs torch)"""
import json
import os

import torch

from problem import CASES, STEPS, data, rate_at, settings, weights

torch.set_default_dtype(torch.float64)


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


def run(text, rates, groups):
    s = settings(text)
    x, y = (torch.tensor(a) for a in data())
    w = {name: torch.tensor(a, requires_grad=True) for name, a in weights().items()}
    params = list(w.values())
    optimizer = optimizer_of(s, [{"params": [p for p, g in zip(params, groups) if g == k], "lr": 1.0}
                                 for k in range(len(rates))])
    losses = []
    for t in range(1, STEPS + 1):
        for group, lr in zip(optimizer.param_groups, rates):
            group["lr"] = rate_at(lr, t)
        out = torch.tanh(x @ w["w1"].T + w["b1"]) @ w["w2"].T + w["b2"]
        loss = torch.nn.functional.mse_loss(out, y)
        for p in params:
            p.grad = None
        loss.backward()
        losses.append(loss.item())
        if "clip" in s:
            kind, limit = s["clip"].split(":")
            clip = torch.nn.utils.clip_grad_norm_ if kind == "norm" else torch.nn.utils.clip_grad_value_
            clip(params, float(limit))
        for p in params:
            p.grad += float(s.get("l1", 0)) * torch.sign(p.data)
        optimizer.step()
    return {"losses": losses, "weights": {k: p.detach().ravel().tolist() for k, p in w.items()}}


def rounded(value):
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else float("%.9g" % value)


rows = {name: rounded(run(*case)) for name, case in CASES.items()}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "optimizers.json"), "w") as f:
    f.write("{\n" + ",\n".join('"%s": %s' % (k, json.dumps(v)) for k, v in rows.items()) + "\n}\n")
