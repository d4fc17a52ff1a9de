"""When a curve is near enough to torch's.

In f32 the loss may differ by 1e-5 of itself in steps 1 to 10, and by what the model allows in all.

In a narrow type what tells is how far torch is from itself: three runs that add in other orders. The distance of two
curves is the root of the mean square of their relative differences, in steps 1 to 10 and in all. The spread of three
runs is the distance of the two that are furthest apart, yet at least the median of the six optimisers' spreads: three
runs whose roundings happen to fall the same way are close by chance. One more run of torch would be the outermost of
four in a quarter of all cases, so it may well be further from the mean of the three than their spread: FURTHEST times
as far it is seldom: the tables have a fourth run of torch for each curve, and of all ratios of one run to the three
others at most SHARE_OF_TORCH may be beyond, or the bound says nothing. A bias that hides in there is seen by the number
of curves in which ours is the outermost of four: not more than chance makes it in one of a thousand cases."""
import itertools
from math import comb

import numpy as np

AT_FIRST = 1e-5
FURTHEST = 3.0
SHARE_OF_TORCH = 0.01
WINDOWS = (slice(0, 10), slice(None))


def off(found, wanted):
    """The largest relative difference in steps 1 to 10 and in all."""
    each = np.abs(np.array(found) - wanted) / np.abs(wanted)
    return each[:10].max(), each.max()


def distance(a, b, window):
    a, b = np.array(a)[window], np.array(b)[window]
    return float(np.sqrt(np.mean(((a - b) / b) ** 2)))


def spreads(runs):
    """In both windows."""
    return [max(distance(a, b, window) for a, b in itertools.combinations(runs, 2)) for window in WINDOWS]


def floors(table, dtype):
    """Medians of the spreads of all optimisers of a model."""
    return np.median([spreads(row[dtype]["runs"]) for row in table.values()], axis=0)


def ratios(found, runs, least):
    """Of the distance to the mean of the runs to their spread, in both windows."""
    mean = np.mean(runs, axis=0)
    return [distance(found, mean, window) / max(spread, floor)
            for window, spread, floor in zip(WINDOWS, spreads(runs), least)]


def is_outermost(found, runs):
    """Whether no run is as far from the mean of the others, over all steps."""
    four = [found, *runs]
    far = [distance(one, np.mean(four[:i] + four[i + 1:], axis=0), WINDOWS[1]) for i, one in enumerate(four)]
    return far[0] == max(far)


def most_outermost(n):
    """How many of n curves may be the outermost of four."""
    chance, most = 1.0, -1
    while chance > 1e-3:
        most += 1
        chance -= comb(n, most) * 0.25 ** most * 0.75 ** (n - most)
    return most
