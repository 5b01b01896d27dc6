"""Round numbers for a log axis, however short it is."""

from __future__ import annotations

import math


def log_ticks(low: float, high: float, least: int = 3) -> tuple[list[float], list[str]]:
    """Return at least three round numbers of a log axis, if it has them, and labels.

    >>> log_ticks(3, 900)[1], log_ticks(1.6e6, 2.4e6)[1]
    (['5', '10', '20', '50', '100', '200', '500'], ['1.75 M', '2 M', '2.25 M'])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    within: list[float] = []
    fine = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 3.5, 4.0, 4.5, *range(5, 10))
    for digits in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, *range(2, 10)), fine):
        ticks = (digit * 10.0**power for power in powers for digit in digits)
        within = [tick for tick in ticks if low <= tick <= high]
        if len(within) >= least:
            break
    return within, [_rounded(tick) for tick in within]


def _rounded(number: float) -> str:
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"
