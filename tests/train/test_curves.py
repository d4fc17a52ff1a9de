#!/usr/bin/env python3
"""Whole models for 100 steps against torch: programs that tenon makes are trained with given weights and batches, by
each optimiser, in f32, bf16 and f16 with a loss scale, and the losses of their logs are held against the tables of
curves/ (curves/make.py), as curves/judge.py says. Programs of which something is wrong must not pass.
usage: test_curves.py BUILD_DIRECTORY [MODEL...]"""
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from common import HERE, Count

sys.path.insert(0, os.path.join(HERE, "curves"))
from judge import AT_FIRST, FURTHEST, SHARE_OF_TORCH, floors, is_outermost, most_outermost, off, ratios  # noqa: E402
from models import MODELS, OPTIMIZERS, narrow_rate  # noqa: E402
from programs import losses_of, prepare  # noqa: E402

NARROW = ("bf16", "f16")
ALL = ("f32", *NARROW)
MODEL_OF_WRONG = "mlp"
# optimiser: what stands in the text, and what is put there
WRONG = {"sgd": ("momentum: 0.9", "momentum: 0"), "rmsprop": ("alpha: 0.99", "alpha: 0.9"),
         "adagrad": ("eps: 1e-10", "eps: 0.01"), "adam": ("(0.9, 0.999)", "(0.999, 0.9)"),
         "adamw": ("eps: 1e-8", "eps: 0.01"), "lion": ("(0.9, 0.99)", "(0.99, 0.9)")}

# A loss so small that gradients of f16 vanish without a loss scale.
SMALL = 2.0 ** -17
SMALL_LOSS = (("cross_entropy(out, y)", "%r * cross_entropy(out, y)" % SMALL),
              ("eps: 1e-8", "eps: %r" % (1e-8 * SMALL)))
SCALED = SMALL_LOSS + (("loss_scale: 1024", "loss_scale: %d" % (1024 / SMALL)),)
NOT_SCALED = SMALL_LOSS + (("loss_scale: 1024", "loss_scale: 1"),)


class Judge:
    """Of one model; outermost: whether ours was, for each narrow curve."""

    def __init__(self, name, outermost):
        with open(os.path.join(HERE, "curves", name + ".json")) as f:
            self.table = json.load(f)
        self.name, self.outermost = name, outermost
        self.floors = {dtype: floors(self.table, dtype) for dtype in NARROW}

    def single(self, optimizer, losses):
        row = self.table[optimizer]["f32"]
        found, allowed = off(losses, row["losses"]), (AT_FIRST, MODELS[self.name][5])
        torch = row["torch"]["%g" % row["lr"]]
        told = "off by %.2g in steps 1 to 10, %.2g in all; torch %.2g, %.2g" % (*found, *torch)
        return told, any(a > b for a, b in zip(found, allowed))

    def narrow(self, optimizer, dtype, losses):
        runs = self.table[optimizer][dtype]["runs"]
        found = ratios(losses, runs, self.floors[dtype])
        told = "%.2f spreads away in steps 1 to 10, %.2f in all" % tuple(found)
        return told, max(found) > FURTHEST

    def judge(self, optimizer, precision, losses):
        """What is told, and whether it is too far."""
        return self.single(optimizer, losses) if precision == "f32" else self.narrow(optimizer, precision, losses)

    def right(self, count, optimizer, precision, what, losses):
        told, is_far = self.judge(optimizer, precision, losses)
        print(self.name, optimizer, precision, what, told)
        count.judge(" ".join((self.name, optimizer, precision, what)), is_far and told)
        if precision in NARROW and not what:
            self.outermost.append(is_outermost(losses, self.table[optimizer][precision]["runs"]))

    def of_torch(self):
        """The ratios of torch's own runs: each of four to the three others."""
        out = []
        for row in self.table.values():
            for dtype in NARROW:
                four = [*row[dtype]["runs"], row[dtype]["fourth"]]
                for i, one in enumerate(four):
                    out.append(max(ratios(one, four[:i] + four[i + 1:], self.floors[dtype])))
        return out

    def wrong(self, count, optimizer, precision, what, losses):
        told, is_far = self.judge(optimizer, precision, losses)
        print(self.name, optimizer, precision, "WRONG", what, told)
        count.judge(" ".join((self.name, optimizer, precision, what)), "" if is_far else "is not noticed: " + told)


def rate(judge, optimizer, precision):
    return judge.table[optimizer]["f32"]["lr"] if precision == "f32" else narrow_rate(judge.name, optimizer)


def judge_all(judge, folder, count):
    cases = [(optimizer, precision, ()) for optimizer in OPTIMIZERS for precision in ALL]
    if judge.name == MODEL_OF_WRONG:
        cases += [(optimizer, precision, (WRONG[optimizer],)) for optimizer in WRONG for precision in ALL]
        cases += [("adam", "f16", SCALED), ("adam", "f16", NOT_SCALED)]
    else:
        cases += [("sgd", precision, (WRONG["sgd"],)) for precision in NARROW]
    with ThreadPoolExecutor(2) as pool:
        curves = list(pool.map(lambda case: losses_of(folder, judge.name, *case[:2], rate(judge, *case[:2]), case[2]),
                               cases))
    for (optimizer, precision, changes), losses in zip(cases, curves):
        if changes[:2] == SMALL_LOSS:
            losses = [loss / SMALL for loss in losses]
        tell = judge.right if changes in ((), SCALED) else judge.wrong
        tell(count, optimizer, precision, changes[-1][1] if changes else "", losses)


def model(name, count, outermost, of_torch):
    judge = Judge(name, outermost)
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder, name)
        judge_all(judge, folder, count)
    for optimizer, rows in judge.table.items():
        for dtype in NARROW:
            for what, losses in rows[dtype]["wrong"].items():
                judge.wrong(count, optimizer, dtype, what, losses)
    of_torch += judge.of_torch()


def main():
    count, outermost, of_torch = Count(), [], []
    for name in sys.argv[2:] or MODELS:
        model(name, count, outermost, of_torch)
    told = "ours is the outermost of four in %d of %d narrow curves; more than %d would not be chance" % (
        sum(outermost), len(outermost), most_outermost(len(outermost)))
    print(told)
    count.judge("the outermost", "" if sum(outermost) <= most_outermost(len(outermost)) else told)
    beyond = sum(ratio > FURTHEST for ratio in of_torch)
    told = "%d of torch's own %d ratios are beyond %g, the largest is %.2f" % (
        beyond, len(of_torch), FURTHEST, max(of_torch))
    print(told)
    count.judge("torch itself", "" if beyond <= SHARE_OF_TORCH * len(of_torch) else told)
    count.finish()


if __name__ == "__main__":
    main()
