"""Curves that never fall, in logarithms: the nearest fit, its end, where it reaches.

Every function takes one curve per row, so that all resamples of a bootstrap go through
it at once; `log_rows` are the sizes, ascending.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

#: How many times the largest size a curve is followed.
REACH = 10.0
_END_POINTS = 3


def isotonic(log_ms: Floats) -> Floats:
    """Return per row the nearest values that never fall: isotonic regression.

    By its max-min formula: Robertson, Wright & Dykstra, Order Restricted Statistical
    Inference (1988), §1.4.
    """
    count = log_ms.shape[1]
    sums = np.pad(np.cumsum(log_ms, axis=1), ((0, 0), (1, 0)))

    def least_mean(start: int, at: int) -> Floats:
        ends = range(at + 1, count + 1)
        means = [(sums[:, end] - sums[:, start]) / (end - start) for end in ends]
        return np.asarray(np.min(means, axis=0))

    return np.column_stack(
        [
            np.max([least_mean(start, at) for start in range(at + 1)], axis=0)
            for at in range(count)
        ]
    )


def end_slopes(log_rows: Floats, curves: Floats) -> Floats:
    """Return per row the least-squares slope through the last three sizes."""
    x, y = log_rows[-_END_POINTS:], curves[:, -_END_POINTS:]
    if len(x) < 2:
        return np.zeros(len(y))
    centered = x - np.mean(x)
    return np.asarray((y @ centered) / (centered @ centered))


def reached(
    log_rows: Floats,
    curves: Floats,
    target: float,
    is_cut: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """Return per row where the curve reaches the target, in log rows.

    Minus infinity: at the smallest size already; infinity: not within reach. A size
    marked in `is_cut` may lie far above its bound, so the curve may reach the target
    right after the size before it.
    """
    slopes = end_slopes(log_rows, curves)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.asarray(log_rows[-1] + (target - curves[:, -1]) / slopes)
    places[(slopes <= 0) | (places > log_rows[-1] + math.log(REACH))] = math.inf
    for at in range(1, len(log_rows)):
        left, right = curves[:, at - 1], curves[:, at]
        is_here = (left < target) & (target <= right)
        step = (target - left[is_here]) / (right - left)[is_here]
        if is_cut is not None and is_cut[at]:
            step = np.zeros_like(step)
        places[is_here] = log_rows[at - 1] + step * (log_rows[at] - log_rows[at - 1])
    places[curves[:, 0] >= target] = -math.inf
    return places
