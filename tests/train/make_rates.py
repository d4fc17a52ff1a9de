#!/usr/bin/env python3
"""Writes rates.json, which test_rates.py holds tenon against: the learning rate in each step by
torch.optim.lr_scheduler.
usage: make_rates.py   (needs torch)"""
import json
import os

import torch
from torch.optim import lr_scheduler as lrs

from rates import EVERY, SCHEDULES, STEPS

MAKE = {
    "constant": lambda o: lrs.ConstantLR(o, 1.0),
    "constant_warmup": lambda o: late(o, 7, lrs.ConstantLR(o, 1.0)),
    "step": lambda o: lrs.StepLR(o, 11, 0.3),
    "step_warmup": lambda o: late(o, 7, lrs.StepLR(o, 11, 0.1)),
    "exponential": lambda o: lrs.ExponentialLR(o, 0.5 ** (1 / 13)),
    "cosine": lambda o: lrs.CosineAnnealingLR(o, STEPS, 0.001),
    "cosine_warmup": lambda o: late(o, 10, lrs.CosineAnnealingLR(o, STEPS - 10)),
    "one_cycle": lambda o: lrs.OneCycleLR(o, 0.1, STEPS, pct_start=0.3, div_factor=25, final_div_factor=40),
    "plateau": lambda o: lrs.ReduceLROnPlateau(o, "min", 0.5, 2, threshold=0),
    "plateau_to": lambda o: lrs.ReduceLROnPlateau(o, "max", 0.2, 1, threshold=0, min_lr=0.003),
}


def late(optimizer, steps, schedule):
    """Behind a rise from 0."""
    return lrs.SequentialLR(optimizer, [lrs.LambdaLR(optimizer, lambda t: t / steps), schedule], [steps])


def rates(name):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule, out = MAKE[name](optimizer), []
    for t in range(1, STEPS + 1):
        out.append(float("%.12g" % optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if not name.startswith("plateau"):
            schedule.step()
        elif t % EVERY == 0:
            schedule.step(1.0)
    return out


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "rates.json"), "w") as f:
    f.write("{\n" + ",\n".join('"%s": %s' % (name, json.dumps(rates(name))) for name in SCHEDULES) + "\n}\n")
