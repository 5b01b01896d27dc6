"""Samples of latencies and what may be said when two of them are compared.

The rule here is the plain one: medians, a bootstrap interval of their ratio, and a
band inside which we call two states the same. It knows nothing yet of the noise floor
of the machine, so it asks for a wide margin before it says *faster* or *slower*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Outcome = Literal["faster", "slower", "same", "unclear"]

#: A ratio inside this band is called *same*; one outside must clear it entirely.
SAME_BAND = 1.25
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Latencies of one Query with one ParameterSet in one state, in milliseconds.

    A censored Sample hit the statement timeout: it holds no times, only the bound.
    """

    times_ms: tuple[float, ...]
    timeout_ms: float | None = None

    @property
    def is_censored(self) -> bool:
        """Whether all we know is that the statement takes longer than the timeout."""
        return self.timeout_ms is not None

    @property
    def executions(self) -> int:
        """The number of executions behind the median."""
        return len(self.times_ms)

    @property
    def median_ms(self) -> float:
        """The median, or the timeout as its lower bound.

        >>> Sample((3.0, 1.0, 2.0)).median_ms
        2.0
        """
        if self.timeout_ms is not None:
            return self.timeout_ms
        return float(np.median(self.times_ms))

    @property
    def quartiles_ms(self) -> tuple[float, float]:
        """The first and the third quartile; both the bound when censored."""
        if self.timeout_ms is not None:
            return self.timeout_ms, self.timeout_ms
        low, high = np.quantile(self.times_ms, [0.25, 0.75])
        return float(low), float(high)

    def __str__(self) -> str:
        if self.timeout_ms is not None:
            return f"> {self.timeout_ms / 1000:g} s"
        median = show_ms(self.median_ms)
        if self.executions == 1:
            return f"{median} (n=1)"
        low, high = (show_ms(edge) for edge in self.quartiles_ms)
        unit = median.split()[-1]
        if low.endswith(f" {unit}") and high.endswith(f" {unit}"):
            low, high = low.split()[0], high.split()[0]
        return f"{median} ({low}–{high}, n={self.executions})"


@dataclass(frozen=True, slots=True)
class Speedup:
    """How many times faster *after* is than *before*, with a 95 % interval.

    `is_bound` says that *before* was censored: the true ratio is at least `ratio`.
    """

    ratio: float
    low: float
    high: float
    is_bound: bool = False

    @property
    def outcome(self) -> Outcome:
        """*faster*, *slower*, *same*, or *unclear* when the interval straddles an edge."""
        if self.low > SAME_BAND:
            return "faster"
        if self.high < 1 / SAME_BAND:
            return "slower"
        if self.low >= 1 / SAME_BAND and self.high <= SAME_BAND:
            return "same"
        return "unclear"

    @property
    def sentence(self) -> str:
        """The outcome with its evidence, in a few words.

        >>> Speedup(2.0, 1.5, 2.5).sentence, Speedup(1.1, 0.5, 2.5).sentence
        ('2.0× faster (1.5–2.5)', 'unclear (0.5–2.5)')
        """
        if self.is_bound:
            return str(self) if self.outcome != "unclear" else "unclear"
        if self.outcome in ("same", "unclear"):
            return f"{self.outcome} ({self.low:.2g}–{self.high:.2g})"
        low, high = self.low, self.high
        if self.ratio < 1:
            low, high = 1 / high, 1 / low
        return f"{self} ({low:.2g}–{high:.2g})" if self.factor < 10 else str(self)

    @property
    def factor(self) -> float:
        """The ratio without its direction: 1 or more."""
        return max(self.ratio, 1 / self.ratio)

    def __str__(self) -> str:
        return show_speedup(self.ratio, is_bound=self.is_bound)


def compare(before: Sample, after: Sample, *, seed: int = 0) -> Speedup:
    """Return the ratio of the medians with a percentile bootstrap interval.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. A Sample
    of fewer than three executions says nothing about its own spread: below a ratio of
    ten its interval is open, beyond ten it is that of the extremes observed.
    """
    ratio = before.median_ms / after.median_ms
    if before.is_censored and after.is_censored:
        return Speedup(ratio, 0.0, float("inf"), is_bound=True)
    if before.is_censored:
        return Speedup(ratio, ratio, float("inf"), is_bound=True)
    if after.is_censored:
        return Speedup(ratio, 0.0, ratio, is_bound=True)
    if min(before.executions, after.executions) < 3:
        return Speedup(ratio, *_extremes(before, after, ratio))
    rng = np.random.default_rng(seed)
    ratios = _medians(before.times_ms, rng) / _medians(after.times_ms, rng)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Speedup(ratio, float(low), float(high))


def _extremes(before: Sample, after: Sample, ratio: float) -> tuple[float, float]:
    if 0.1 < ratio < 10:
        return 0.0, float("inf")
    low = min(before.times_ms) / max(after.times_ms)
    return low, max(before.times_ms) / min(after.times_ms)


def _medians(times_ms: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    times = np.asarray(times_ms)
    return np.asarray(
        np.median(times[rng.integers(0, len(times), (RESAMPLES, len(times)))], axis=1)
    )


def show_median(sample: Sample) -> str:
    """Write the median of a Sample, or its bound when it is censored."""
    return str(sample) if sample.is_censored else show_ms(sample.median_ms)


def show_ms(time_ms: float) -> str:
    """Write a time with two or three significant digits and its unit.

    >>> show_ms(0.1234), show_ms(56.78), show_ms(2345.0)
    ('0.12 ms', '57 ms', '2.3 s')
    """
    if time_ms >= 1000:
        return f"{time_ms / 1000:.2g} s" if time_ms < 10_000 else f"{time_ms / 1000:.0f} s"
    return f"{time_ms:.2g} ms" if time_ms < 10 else f"{time_ms:.0f} ms"


def show_speedup(ratio: float, *, is_bound: bool = False) -> str:
    """Write a ratio of medians; above ten only its order of magnitude is meant.

    >>> show_speedup(1.5), show_speedup(0.5), show_speedup(123.4), show_speedup(0.98)
    ('1.5× faster', '2.0× slower', 'about 120× faster', 'as fast as before')
    """
    word, factor = ("faster", ratio) if ratio >= 1 else ("slower", 1 / ratio)
    if factor < 1.05:
        return "as fast as before"
    if factor >= 10:
        digits = float(f"{factor:.2g}")
        start = "over" if is_bound else "about"
        return f"{start} {digits:,.0f}× {word}"
    return f"{'over ' if is_bound else ''}{factor:.1f}× {word}"
