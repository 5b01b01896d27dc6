"""The slope of a line in log-log: with which power of the rows a quantity grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from fluxlab.workload.stats import CONFIDENCE


@dataclass(frozen=True, slots=True)
class Slope:
    """An exponent with its 95 % interval: 1 where twice the rows cost twice as much.

    `points` are the sizes behind it. Two of them leave nothing to judge the line by, so
    the interval is without bounds.
    """

    exponent: float
    low: float
    high: float
    points: int

    def __str__(self) -> str:
        if math.isnan(self.exponent):
            return "unclear"
        if not math.isfinite(self.low):
            return f"{_signed(self.exponent)} (no bound)"
        low, high = _signed(self.low), _signed(self.high)
        between = " to " if low.startswith("−") else "–"
        return f"{_signed(self.exponent)} ({low}{between}{high})"


def fit_slope(rows: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit the exponent of `values` over `rows` by least squares on their logarithms.

    The interval is Student's, with the residuals of the line as its only error: a curve
    that bends has a wide one, however quiet the clock was. Source: Draper & Smith,
    Applied Regression Analysis (1998), §1.4.

    >>> str(fit_slope([100, 1_000, 10_000], [2.0, 20.0, 200.0]))
    '1.00 (1.00–1.00)'
    """
    kept = [(x, y) for x, y in zip(rows, values, strict=True) if x > 0 and y > 0]
    if len({x for x, _ in kept}) < 2:
        return Slope(math.nan, -math.inf, math.inf, len(kept))
    x, y = np.log(np.array(kept, dtype=float)).T
    centered = x - x.mean()
    exponent = float(centered @ y / (centered @ centered))
    freedom = len(kept) - 2
    if freedom < 1:
        return Slope(exponent, -math.inf, math.inf, len(kept))
    residuals = y - y.mean() - exponent * centered
    variance = float(residuals @ residuals) / freedom
    error = math.sqrt(variance / float(centered @ centered))
    reach = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
    return Slope(exponent, exponent - reach, exponent + reach, len(kept))


def _signed(number: float) -> str:
    """Write a number with two digits behind the point, and no minus before zero."""
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")
