"""The rows of operators whose parameters (axes, starts, sizes, scales ...) can be inputs, once more with none of them
constant: the values are known only when the program runs, and may differ from one size of a case to the next."""
import numpy as np

import reductions  # noqa: F401  (these have the rows)
import shapes  # noqa: F401
import spatial  # noqa: F401
from judge import Case, exact
from rows import ROWS, row

REDUCTIONS = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
READ = tuple("Reduce" + kind for kind in REDUCTIONS) + (
    "Slice", "Pad", "Squeeze", "Unsqueeze", "Expand", "Tile", "Resize", "OneHot", "ConstantOfShape", "CenterCropPad",
    "Split", "CumSum", "Trilu", "Range", "Reshape")


def read(name):
    base = ROWS[name]

    def make(g):
        case = base.make(g)
        case.constant = set()
        return case
    row(name + ".read", base.exact_reference, weight=base.weight)(make)


for each in READ:
    read(each)


# ---- values that an operator does not allow: the program says so, and at which node

def refused(name, what):
    """A row of cases that run and must end with this."""
    def add(make):
        def case(g):
            inputs, attributes = make(g)
            op = name.split(".")[0]
            want = [exact(np.zeros(0, np.float32))] * (2 if op == "Split" else 1)
            return Case(op, inputs, want, attributes, refused=what)
        row(name, weight=1)(case)
        return case
    return add


def ints(*values):
    return np.array(values, np.int64)


def cube(g):
    return g.floats([g.extent(1, 4) for _ in range(3)], "f32")


@refused("ReduceSum.far", "index")
def make_reduce_far(g):
    return [cube(g), ints(g.pick(3, -4, 17))], {"keepdims": g.pick(0, 1)}


@refused("ReduceMean.twice", "expected at most 1, found 2")
def make_reduce_twice(g):
    return [cube(g), ints(1, g.pick(1, -2))], {"keepdims": g.pick(0, 1)}


@refused("Squeeze.long", "extent 1")
def make_squeeze_long(g):
    return [g.floats([1, 3], "f32"), ints(g.pick(1, -1))], {}


@refused("Unsqueeze.twice", "expected at most 1, found 2")
def make_unsqueeze_twice(g):
    return [cube(g), ints(0, g.pick(0, -5))], {}


@refused("Slice.still", "expected at least 0, found -1")
def make_slice_still(g):
    return [cube(g), ints(0), ints(1), ints(1), ints(0)], {}


@refused("Slice.far", "index")
def make_slice_far(g):
    return [cube(g), ints(0), ints(1), ints(g.pick(3, -4)), ints(1)], {}


@refused("Pad.negative", "negative")
def make_pad_negative(g):
    return [cube(g), ints(-3, -3), np.array(0, np.float32), ints(g.int(0, 2))], {}


@refused("Resize.nothing", "expected at least 0, found -1")
def make_resize_nothing(g):
    return [cube(g), None, np.array([1, g.pick(0, -2, np.nan), 1], np.float32)], {}


@refused("Expand.other", "broadcast")
def make_expand_other(g):
    return [g.floats([2, 3], "f32"), ints(2, g.pick(2, 4, 7))], {}


@refused("Split.rest", "sum of the parts")
def make_split_rest(g):
    return [g.floats([7], "f32"), ints(3, g.pick(3, 5))], {}
