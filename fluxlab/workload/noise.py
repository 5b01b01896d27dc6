"""What this machine can see: a state measured against its own copy (A/A).

Such a comparison has a known answer, one. Its intervals should hold it in 95 of 100
cases; where fewer do, something differs between two copies that no number of rounds
reveals: where a buffer lies in memory, whom a core is shared with. The systematic
error is the smallest that makes the intervals honest again, and every other
comparison is widened by it. Source: empirical calibration with negative controls,
Schuemie et al., Statistics in Medicine 33 (2014).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from fluxlab.workload.stats import CONFIDENCE, MARGIN, Speedup

#: Latencies up to these, in ms, err alike: round trip and planning; a few pages; scans.
STRATA_MS = (1.0, 10.0, math.inf)
#: Fewer A/A pairs than this say nothing about a stratum of their own.
_FEW_PAIRS = 20
#: A machine that cannot tell a factor of two from one can say next to nothing.
_BLIND = 2.0


@dataclass(frozen=True, slots=True)
class Stratum:
    """The noise at latencies up to `up_to_ms`: the systematic error and what it hides.

    `smallest_effect` is the smallest factor that is called in half of the cases, with
    the number of rounds taken: margin and half an interval.
    """

    up_to_ms: float
    pairs: int
    systematic: float
    smallest_effect: float


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """The strata from fast to slow, of one clock; empty before an A/A run."""

    strata: tuple[Stratum, ...] = ()

    def systematic(self, latency_ms: float) -> float:
        """Return the systematic error at a latency, a standard deviation of log ratios."""
        for stratum in self.strata:
            if latency_ms <= stratum.up_to_ms:
                return stratum.systematic
        return self.strata[-1].systematic if self.strata else 0.0

    @property
    def smallest_effect(self) -> float:
        """The smallest effect of the best stratum; infinite before an A/A run."""
        return min((one.smallest_effect for one in self.strata), default=math.inf)

    @property
    def is_blind(self) -> bool:
        """Whether the machine is too noisy, or too little known, to say anything."""
        return self.smallest_effect > _BLIND


@dataclass(frozen=True, slots=True)
class Floors:
    """The noise floors of the client's clock and of the CPU time of the backends."""

    clock: NoiseFloor = NoiseFloor()
    cpu: NoiseFloor = NoiseFloor()


#: Before an A/A run: nothing is known, nothing is widened.
NO_FLOORS = Floors()


def read_floors(control: Sequence[tuple[float, Speedup, Speedup | None]]) -> Floors:
    """Return both floors under A/A pairs: a latency in ms and the raw Speedups."""
    return Floors(
        noise_floor([(ms, clock) for ms, clock, _ in control]),
        noise_floor([(ms, cpu) for ms, _, cpu in control if cpu]),
    )


def noise_floor(control: Sequence[tuple[float, Speedup]]) -> NoiseFloor:
    """Return the floor under A/A pairs, each a latency in ms and its raw Speedup.

    A stratum with few pairs takes the systematic error of all.
    """
    known = [(ms, one) for ms, one in control if math.isfinite(one.error)]
    if len(known) < _FEW_PAIRS:
        return NoiseFloor()
    lower = 0.0
    strata = []
    for up_to_ms in STRATA_MS:
        here = [one for ms, one in known if lower < ms <= up_to_ms]
        lower = up_to_ms
        basis = here if len(here) >= _FEW_PAIRS else [one for _, one in known]
        systematic = systematic_error(basis)
        strata.append(
            Stratum(up_to_ms, len(here), systematic, _smallest_effect(basis, systematic))
        )
    return NoiseFloor(tuple(strata))


def systematic_error(control: Sequence[Speedup]) -> float:
    """Return the least error with which 95 % of the A/A intervals hold one.

    >>> systematic_error([Speedup(1.0, 0.9, 1.1, 0.05, 12)] * 20)
    0.0
    """
    needed = sorted(_needed(one) for one in control)
    return needed[math.ceil(CONFIDENCE * len(needed)) - 1]


def _needed(one: Speedup) -> float:
    """Return the systematic error with which this interval would just hold one."""
    reach = float(stdtrit(one.rounds - 1, 0.5 + CONFIDENCE / 2))
    distance = abs(math.log(one.ratio))
    return math.sqrt(max(0.0, (distance / reach) ** 2 - one.error**2))


def _smallest_effect(control: Sequence[Speedup], systematic: float) -> float:
    half_widths = [
        float(stdtrit(one.rounds - 1, 0.5 + CONFIDENCE / 2))
        * math.hypot(one.error, systematic)
        for one in control
    ]
    return MARGIN * math.exp(statistics.median(half_widths))
