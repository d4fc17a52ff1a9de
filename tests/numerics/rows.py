"""The table: row name -> a function from a Draw to a Case. Rows of an operator in several forms are called
Operator.form."""
from dataclasses import dataclass
from typing import Callable

import numpy as np

from draw import Draw

ROWS = {}
LEFT_OUT = {  # ONNX operator -> why it has no row
    "ai.onnx.preview.training.Gradient": "tests/ops/gradients.py and tests/unit/gradient_test.c check derivatives",
    **{name: "tests/ops/sequences.py" for name in (
        "SequenceEmpty", "SequenceConstruct", "SequenceInsert", "SequenceErase", "SequenceAt", "SequenceLength",
        "ConcatFromSequence", "SplitToSequence")},
    **{name: "tests/regions/late.py, against onnxruntime" for name in (
        "Compress", "NonMaxSuppression", "NonZero", "Unique")},
    **{name: "a tensor that is there, or an input left out" for name in ("OptionalHasElement", "OptionalGetElement")},
}


@dataclass
class Row:
    name: str
    op: str
    domain: str
    make: Callable
    exact_reference: bool  # discontinuous: the reference rounds each node as compiled code does
    weight: int

    def case(self, seed, index, size):
        with np.errstate(all="ignore"):
            case = self.make(Draw(seed, self.op, index, size, self.domain))
        case.op, case.domain = self.op, self.domain
        return case


def row(name, exact_reference=False, weight=1, domain=""):
    def add(make):
        assert name not in ROWS, name
        ROWS[name] = Row(name, name.split(".")[0], domain, make, exact_reference, weight)
        return make
    return add
