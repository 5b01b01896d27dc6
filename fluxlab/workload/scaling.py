"""At which amount of data a latency reaches a figure: curves over measured sizes.

Latencies bend where a plan changes, a sort spills or a cache is full, so no law is
fitted through all sizes. Between two sizes a curve is straight in log-log and never
falls; beyond the largest it goes on as its last three sizes do, and ends at ten times
the largest: further out a guess would pass for a measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from fluxlab.workload.rising import REACH, Floats, end_slopes, isotonic, reached
from fluxlab.workload.sample import Sample

Kind = Literal["below", "measured", "extrapolated", "beyond", "unclear", "never"]

_KINDS: tuple[Kind, ...] = get_args(Kind)

RESAMPLES = 1_000
#: Two starts of one server differ by this much where everything is pinned, as a
#: standard deviation of the logarithm: a size is one start.
LEAST_SPREAD = 0.04
#: Ten times the rows cost at most 1.4 times the latency: a B-tree grew by a level.
FLAT_SLOPE = 0.15
#: The quartiles of a normal distribution lie this many standard deviations apart.
_QUARTILES = 1.349
_QUARTILE_EFFICIENCY = 0.37


@dataclass(frozen=True, slots=True)
class Point:
    """One Query at one size: users, rows of the whole database, its Sample.

    `is_served` says that its Plan reads no table from end to end.
    """

    users: int
    rows: int
    sample: Sample
    is_served: bool = False

    @property
    def spread(self) -> float:
        """The standard deviation of the log latency at this size, from the quartiles.

        Not divided by the root of the executions: those of one block resemble each
        other, and the level of a size is drawn once per start of its server. The error
        of the median itself is added.
        """
        if self.sample.is_censored:
            return 0.0
        low, high = self.sample.quartiles_ms
        single = max(LEAST_SPREAD, math.log(high / low) / _QUARTILES)
        return single * math.sqrt(1 + math.pi / 2 / self.sample.executions)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of that spread: quartiles use 0.37 of what a sample knows.

        Source: Rousseeuw & Croux, Journal of the American Statistical Association 88
        (1993), the efficiency of the interquartile range.
        """
        return max(2.0, _QUARTILE_EFFICIENCY * self.sample.executions)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where a curve reaches a latency, in rows of the whole database.

    `low` and `high` are a 95 % interval; 0 stands for below the smallest size, infinity
    for more than can be said. `is_bound`: a statement was cut off, so the place is at
    most `rows`. Kinds: *measured* between two sizes, *extrapolated*, *below* the smallest
    size, *beyond* ten times the largest, *never* because it is flat, *unclear*.
    """

    kind: Kind
    rows: float
    low: float
    high: float
    users: float
    is_bound: bool = False

    @property
    def sentence(self) -> str:
        """The place with its interval, in a few words; k and M are thousands, millions."""
        match self.kind:
            case "measured" | "extrapolated":
                bound = "at most " if self.is_bound else ""
                tail = ", extrapolated" if self.kind == "extrapolated" else ""
                return f"{bound}{show_rows(self.rows)} rows ({self._interval}){tail}"
            case "below":
                return f"below {show_rows(self.rows)} rows"
            case "beyond":
                interval = "" if math.isinf(self.low) else f" ({self._interval})"
                return f"beyond {show_rows(self.rows)} rows{interval}"
            case "never":
                return "never: flat"
            case _:
                return "unclear"

    @property
    def _interval(self) -> str:
        if self.low and math.isfinite(self.high):
            return f"{show_rows(self.low)}–{show_rows(self.high)}"
        if math.isfinite(self.high):
            return f"{show_rows(self.high)} or less"
        return f"{show_rows(self.low)} or more" if self.low else "no bound"


@dataclass(frozen=True)
class Curve:
    """The latency of one Query in one state over the sizes, smallest first."""

    points: tuple[Point, ...]

    @cached_property
    def _log_rows(self) -> Floats:
        return np.log([point.rows for point in self.points])

    @cached_property
    def _log_ms(self) -> Floats:
        return np.log([point.sample.median_ms for point in self.points])

    @cached_property
    def _is_cut(self) -> npt.NDArray[np.bool_]:
        return np.array([point.sample.is_censored for point in self.points])

    @property
    def slope(self) -> float:
        """The exponent at the large end: 1 where twice the rows take twice the time."""
        return float(end_slopes(self._log_rows, isotonic(self._log_ms[np.newaxis]))[0])

    @property
    def is_served(self) -> bool:
        """Whether the largest size still reads no table from end to end."""
        return self.points[-1].is_served

    def latency_ms(self, rows: float) -> float:
        """Return the latency at an amount of data, in ms; a bound where one was cut off.

        Raises ValueError outside the sizes measured and ten times the largest.
        """
        at, log_rows = math.log(rows), self._log_rows
        if not log_rows[0] <= at <= log_rows[-1] + math.log(REACH) + 1e-9:
            raise ValueError(f"{rows:,.0f} rows are outside the curve")
        fitted = isotonic(self._log_ms[np.newaxis])[0]
        if at <= log_rows[-1]:
            return math.exp(float(np.interp(at, log_rows, fitted)))
        return math.exp(float(fitted[-1]) + self.slope * (at - float(log_rows[-1])))

    def crossing(self, target_ms: float, *, seed: int = 0) -> Crossing:
        """Return where the curve reaches a latency, with a bootstrap 95 % interval.

        The latency of every size is drawn anew from its spread (the parametric
        bootstrap: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, §6.5). It
        knows the noise of the clock, not that other data of that size differ.
        """
        seen = self._before_weak_bounds(target_ms)
        log_rows, is_cut = seen._log_rows, seen._is_cut
        if not len(log_rows):
            return Crossing("unclear", math.nan, 0.0, math.inf, math.nan)
        drawn = isotonic(seen._drawn(seed))
        target = math.log(target_ms)
        highest = reached(log_rows, drawn, target)
        lowest = reached(log_rows, drawn, target, is_cut)
        best, least = float(highest[0]), float(lowest[0])
        low = float(np.exp(np.quantile(lowest, 0.025, method="inverted_cdf")))
        high = float(np.exp(np.quantile(highest, 0.975, method="inverted_cdf")))
        kind = seen._kind(best, drawn)
        if len(seen.points) < len(self.points) and kind != "measured":
            kind, high = ("below", high) if kind == "below" else ("unclear", math.inf)
        rows = seen._place(kind, best)
        return Crossing(kind, rows, low, high, seen._users(rows), is_bound=least < best)

    def _before_weak_bounds(self, target_ms: float) -> Curve:
        """Leave out what follows a cut-off below the target: it may lie on either side."""
        for number, point in enumerate(self.points):
            if point.sample.is_censored and point.sample.median_ms < target_ms:
                return Curve(self.points[:number])
        return self

    def _drawn(self, seed: int) -> Floats:
        """Return the log latencies as measured, and below them drawn anew."""
        spread = np.array([point.spread for point in self.points])
        freedom = [point.freedom for point in self.points]
        draws = (RESAMPLES, len(spread))
        noise = np.random.default_rng(seed).standard_t(freedom, draws)
        return np.vstack([self._log_ms, self._log_ms + noise * spread])

    def _kind(self, best: float, drawn: Floats) -> Kind:
        if math.isinf(best) and best < 0:
            return "below"
        if math.isfinite(best):
            return "measured" if best <= self._log_rows[-1] else "extrapolated"
        if len(self.points) < 2:
            return "unclear"
        slopes = end_slopes(self._log_rows, drawn)
        return "never" if np.quantile(slopes, 0.975) <= FLAT_SLOPE else "beyond"

    def _place(self, kind: Kind, best: float) -> float:
        smallest, largest = float(self.points[0].rows), float(self.points[-1].rows)
        if kind in ("measured", "extrapolated"):
            return math.exp(best)
        return {"below": smallest, "beyond": largest * REACH, "never": math.inf}.get(
            kind, largest
        )

    def _users(self, rows: float) -> float:
        nearest = min(self.points, key=lambda point: abs(math.log(rows / point.rows)))
        return rows * nearest.users / nearest.rows


@dataclass(frozen=True)
class Growth:
    """One row of the report's latency table with one class, over the sizes."""

    name: str
    query: str
    of_class: str
    expected_ms: float
    before: Curve
    after: Curve

    @cached_property
    def crossing(self) -> Crossing:
        """Where the latency before the sprint is what the report says it was."""
        return self.before.crossing(self.expected_ms)

    @property
    def sentence(self) -> str:
        """The crossing in a few words, and whether an index served the Query before."""
        is_far = self.crossing.kind in ("never", "beyond")
        served = ", an index serves it" if is_far and self.before.is_served else ""
        return self.crossing.sentence + served


@dataclass(frozen=True)
class Scaling:
    """The report's latency rows over the sizes; `missing` are users not yet measured."""

    growths: tuple[Growth, ...]
    missing: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The rows of the report, in its order."""
        return tuple(dict.fromkeys(growth.name for growth in self.growths))

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Users and rows of every size measured, smallest first."""
        points = (point for growth in self.growths for point in growth.before.points)
        return tuple(sorted({(point.users, point.rows) for point in points}))

    def of(self, name: str) -> tuple[Growth, ...]:
        """Return the classes of one row of the report."""
        return tuple(growth for growth in self.growths if growth.name == name)

    def find(self, name: str, of_class: str = "typical") -> Growth:
        """Return a row in a class; in its first where it has not that one."""
        classes = {growth.of_class: growth for growth in self.of(name)}
        return classes.get(of_class) or next(iter(classes.values()))

    def first(self, name: str) -> Growth:
        """Return the class of a row that reaches its figure on the least data.

        Where none does, the one that is nearest to it at the largest size.
        """

        def distance(growth: Growth) -> tuple[int, float, float]:
            found = growth.crossing
            rows = 0.0 if found.kind == "below" else found.rows
            latency_ms = growth.before.points[-1].sample.median_ms
            return _KINDS.index(found.kind), rows, -latency_ms

        return min(self.of(name), key=distance)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{users:,}" for users, _ in self.sizes)
        return f"<Scaling: {len(self.names)} rows of the report at {sizes} users>"


def show_rows(rows: float) -> str:
    """Write a number of rows with two significant digits.

    >>> show_rows(380_424), show_rows(3_804_022), show_rows(999_600)
    ('380 k', '3.8 M', '1 M')
    """
    rounded = float(f"{rows:.2g}")
    return f"{rounded / 1e6:g} M" if rounded >= 1e6 else f"{rounded / 1e3:g} k"
