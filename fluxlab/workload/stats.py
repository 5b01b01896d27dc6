"""What may be said when two Samples are compared: a ratio, its interval, a p-value.

The unit is the round: a block of one state beside a block of the other. Their log
ratio cancels whatever both blocks suffered alike. Executions within a block are not
independent, so nothing here counts them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr, stdtrit

from fluxlab.workload.sample import Sample

Outcome = Literal["faster", "slower", "same", "unclear"]
Floats = npt.NDArray[np.float64]

#: Ratios up to this are no difference worth a decision: within it two states are *same*.
MARGIN = 1.10
#: The level of every interval, and one minus that of false discoveries.
CONFIDENCE = 0.95
RESAMPLES = 1_000
#: A bootstrap of fewer rounds than this covers too little: Student's t takes over.
FEW_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Estimate:
    """A location with its interval and standard error, on the log scale, of `rounds`."""

    center: float
    low: float
    high: float
    error: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Speedup:
    """How many times faster *after* is than *before*, with a 95 % interval.

    `error` is the standard error of the log ratio. `is_bound` says that one side was
    cut off: the true ratio is at least, or at most, `ratio`.
    """

    ratio: float
    low: float
    high: float
    error: float = math.inf
    rounds: int = 1
    is_bound: bool = False

    def p_value(self, margin: float = MARGIN) -> float:
        """Return the two-sided p-value of "the ratio lies within the margin".

        A test of a minimum effect: the distance beyond the margin in standard errors,
        by Student's t. Source: Murphy & Myors, J. Applied Psychology 84 (1999).
        """
        if self.rounds < 2 or math.isinf(self.error):
            return 1.0
        beyond = abs(math.log(self.ratio)) - math.log(margin)
        if self.error == 0:
            return 0.0 if beyond > 0 else 1.0
        return min(1.0, 2 * float(stdtr(self.rounds - 1, -beyond / self.error)))

    def is_within(self, margin: float = MARGIN) -> bool:
        """Whether the whole interval lies within the margin, on both sides of one."""
        return 1 / margin <= self.low and self.high <= margin

    def is_beyond(self, margin: float = MARGIN) -> bool:
        """Whether the whole interval lies beyond the margin, on one side of one."""
        return self.low > margin or self.high < 1 / margin

    def widened(self, systematic: float) -> Speedup:
        """Return it with an error that no number of rounds reveals, added in quadrature.

        `systematic` is a standard deviation on the log scale, as `noise` estimates it.
        """
        if not systematic or math.isinf(self.error):
            return self
        error = math.hypot(self.error, systematic)
        # An interval is stretched about its own centre, keeping its asymmetry. Where
        # the rounds agree exactly there is nothing to stretch but the new error.
        reach = _reach(self.rounds) * systematic
        below = math.log(self.ratio / self.low) if self.low else math.inf
        above = math.log(self.high / self.ratio)
        return Speedup(
            self.ratio,
            self.ratio * math.exp(-math.hypot(below, reach)),
            self.ratio * math.exp(math.hypot(above, reach)),
            error,
            self.rounds,
            self.is_bound,
        )

    @property
    def factor(self) -> float:
        """The ratio without its direction: 1 or more."""
        return max(self.ratio, 1 / self.ratio)

    @property
    def interval(self) -> str:
        """The 95 % interval of the factor, in the direction that the ratio has.

        >>> Speedup(2.0, 1.5, 2.5).interval, Speedup(0.5, 0.4, 0.625).interval
        ('1.5–2.5', '1.6–2.5')
        """
        low, high = self.low, self.high
        if self.ratio < 1:
            low, high = 1 / high if high else math.inf, 1 / low if low else math.inf
        return f"{low:.2g}–{high:.2g}" if math.isfinite(high) else f"from {low:.2g}"

    def __str__(self) -> str:
        return show_speedup(self.ratio, is_bound=self.is_bound)


def compare(before: Sample, after: Sample) -> Speedup:
    """Return the ratio of the latencies, round by round, as the client saw them."""
    pairs = _paired(before.levels_ms, after.levels_ms)
    speedup = _speedup(pairs)
    # A cut-off side bounds the ratio from one side, whatever the rounds say.
    is_before_bound = bool(np.any(pairs[:, 0] >= before.timeout_ms))
    is_after_bound = bool(np.any(pairs[:, 1] >= after.timeout_ms))
    if not (is_before_bound or is_after_bound):
        return speedup
    low = 0.0 if is_after_bound else speedup.low
    high = math.inf if is_before_bound else speedup.high
    is_empty = is_before_bound and is_after_bound
    error = math.inf if is_empty else speedup.error
    return Speedup(speedup.ratio, low, high, error, speedup.rounds, is_bound=True)


def compare_cpu(before: Sample, after: Sample) -> Speedup | None:
    """Return the ratio of the CPU times of the backends, or None where one has none.

    A quieter clock than the client's: it does not run while the backend waits, for a
    core, for a lock, for a disk. Nothing is said of a Sample that was cut off.
    """
    if before.is_censored or after.is_censored:
        return None
    if not before.cpu_levels_ms or not after.cpu_levels_ms:
        return None
    return _speedup(_paired(before.cpu_levels_ms, after.cpu_levels_ms))


def estimate(log_ratios: Sequence[float] | Floats) -> Estimate:
    """Return where log ratios of rounds lie, with a 95 % interval.

    From six rounds on the pseudomedian, whose efficiency hardly suffers where there is
    no outlier, with an expanded percentile bootstrap over rounds; below, Student's t.
    Sources: Hodges & Lehmann, Annals of Mathematical Statistics 34 (1963); Hesterberg,
    What Teachers Should Know About the Bootstrap, The American Statistician 69 (2015):
    plain percentiles are too narrow by what his expansion adds.
    """
    values = np.asarray(log_ratios, dtype=float)
    rounds = len(values)
    if rounds < 2:
        return Estimate(float(values[0]), -math.inf, math.inf, math.inf, rounds)
    if rounds < FEW_ROUNDS:
        center = float(values.mean())
        error = float(values.std(ddof=1)) / math.sqrt(rounds)
        reach = _reach(rounds) * error
        return Estimate(center, center - reach, center + reach, error, rounds)
    center = float(_pseudomedians(values[np.newaxis, :])[0])
    resampled = _pseudomedians(values[_resamples(rounds)])
    inflation = math.sqrt(rounds / (rounds - 1))
    tail = float(ndtr(-inflation * _reach(rounds)))
    low, high = np.quantile(resampled, [tail, 1 - tail])
    error = inflation * float(resampled.std())
    return Estimate(center, float(low), float(high), error, rounds)


def discoveries(p_values: Sequence[float], rate: float = 1 - CONFIDENCE) -> list[bool]:
    """Tell which of many looks may be called, so that at most `rate` of them are false.

    Benjamini & Hochberg, Journal of the Royal Statistical Society B 57 (1995).
    """
    if not len(p_values):
        return []
    from scipy.stats import false_discovery_control

    adjusted = false_discovery_control(np.asarray(p_values, dtype=float))
    return [bool(one) for one in adjusted <= rate]


def _speedup(pairs: Floats) -> Speedup:
    found = estimate(np.log(pairs[:, 0] / pairs[:, 1]))
    ratio, low, high = math.exp(found.center), math.exp(found.low), math.exp(found.high)
    return Speedup(ratio, low, high, found.error, found.rounds)


def _paired(before: Sequence[float], after: Sequence[float]) -> Floats:
    """Return one row per round; a side with one block only stands in every round."""
    rounds = max(len(before), len(after)) if 1 in (len(before), len(after)) else 0
    rounds = rounds or min(len(before), len(after))
    sides = [np.resize(np.asarray(side, dtype=float), rounds) for side in (before, after)]
    return np.column_stack(sides)


def _reach(rounds: int) -> float:
    """Return the half-width of the interval in standard errors: Student's t."""
    return float(stdtrit(rounds - 1, 0.5 + CONFIDENCE / 2))


@cache
def _resamples(rounds: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(rounds).integers(0, rounds, (RESAMPLES, rounds))


def _pseudomedians(samples: Floats) -> Floats:
    """Return per row the median of the means of all pairs, each with itself included."""
    first, second = np.triu_indices(samples.shape[1])
    means = (samples[:, first] + samples[:, second]) / 2
    middle = means.shape[1] // 2
    # Half the work of numpy's median, which is most of the time of a Comparison.
    ordered = np.partition(means, (middle - 1, middle), axis=1)
    if means.shape[1] % 2:
        return np.asarray(ordered[:, middle])
    return np.asarray((ordered[:, middle - 1] + ordered[:, middle]) / 2)


def show_speedup(ratio: float, *, is_bound: bool = False) -> str:
    """Write a ratio; above ten only its order of magnitude is meant.

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
