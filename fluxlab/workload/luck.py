"""What luck announces: one execution of each state, and stopping when it looks good.

Both are worked out from Samples that were measured, chiefly of the A/A run, where the
truth is known: there is no difference. No server is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from fluxlab.workload.change import Change
from fluxlab.workload.compare import Comparison
from fluxlab.workload.sample import Sample
from fluxlab.workload.stats import CONFIDENCE, MARGIN

Floats = npt.NDArray[np.float64]

#: The first look of somebody who peeks: fewer rounds have no spread to speak of.
_FIRST_LOOK = 3
#: A pair with fewer rounds than this says too little about its own spread.
_FEW_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Luck:
    """What one execution of each state announces of the pairs with one true word.

    `faster`, `slower` and `same` are expected numbers of pairs and add up to `pairs`;
    `called` is the number that our rule calls faster or slower.
    """

    truth: str
    pairs: int
    faster: float
    slower: float
    called: int

    @property
    def same(self) -> float:
        """The expected number of pairs of which one execution announces nothing."""
        return self.pairs - self.faster - self.slower

    @property
    def announced(self) -> float:
        """The expected number of pairs of which it announces a change, as a share."""
        return (self.faster + self.slower) / self.pairs if self.pairs else 0.0


@dataclass(frozen=True, slots=True)
class Stopping:
    """Shares of pairs without a difference that are announced after so many rounds.

    Entry i of each belongs to `rounds[i]`: `waiting` looks once, then; `peeking` after
    every round, and stops when the interval leaves one; `margin` peeks as well, but
    waits until the interval leaves the margin.
    """

    rounds: tuple[int, ...]
    waiting: tuple[float, ...]
    peeking: tuple[float, ...]
    margin: tuple[float, ...]


def lucky_pass(changes: Iterable[Change], truth: str, *, margin: float = MARGIN) -> Luck:
    """Return what one execution of each state would have announced, on average.

    Every execution of one side is set against every one of the other: that is the exact
    expectation of a draw, so nothing is drawn. Pairs with a cut-off side are left out.

    The executions stored here are warm, each block after one that was discarded. A real
    single pass is its own first execution, and worse.
    """
    known = [one for one in changes if not _is_cut_off(one)]
    shares = [_announced(one.before.sample, one.after.sample, margin) for one in known]
    return Luck(
        truth,
        len(known),
        faster=sum(faster for faster, _ in shares),
        slower=sum(slower for _, slower in shares),
        called=sum(one.outcome in ("faster", "slower") for one in known),
    )


def lucky_counts(
    changes: Iterable[Change], edges: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return how many pairs lie between the edges: by one execution each, by all rounds.

    `edges` are ratios before ÷ after, ascending; what lies outside counts at the ends.
    The first counts are expectations, as in `lucky_pass`.
    """
    known = [one for one in changes if not _is_cut_off(one)]
    once = np.zeros(len(edges) - 1)
    for one in known:
        ratios = _all_ratios(one.before.sample, one.after.sample)
        once += _histogram(ratios, edges) / len(ratios)
    rounds = _histogram(np.array([one.raw.ratio for one in known]), edges)
    return tuple(map(float, once)), tuple(map(int, rounds))


def optional_stopping(
    control: Comparison, *, rounds: int = 40, pairs: int = 4_000, seed: int = 11
) -> Stopping:
    """Simulate measurements without a difference, and somebody who watches them.

    The log ratios of a simulated pair are normal around no difference, with the spread
    that the rounds of one A/A pair have, and are tested by Student's t. To look again and
    again at the level of one look finds a difference sooner or later. Source: Armitage,
    McPherson & Rowe, Repeated significance tests on accumulating data, Journal of the
    Royal Statistical Society A 132 (1969).
    """
    spreads = [_spread(one) for one in control if _is_known(one)]
    if not spreads:
        return Stopping((), (), (), ())
    looks = tuple(range(_FIRST_LOOK, rounds + 1))
    rng = np.random.default_rng(seed)
    drawn = rng.normal(0, rng.choice(spreads, (pairs, 1)), (pairs, rounds))
    is_outside = _is_outside(drawn, 0.0)
    is_beyond = _is_outside(drawn, float(np.log(MARGIN)))
    return Stopping(
        looks,
        waiting=_shares(is_outside),
        peeking=_shares(np.logical_or.accumulate(is_outside, axis=1)),
        margin=_shares(np.logical_or.accumulate(is_beyond, axis=1)),
    )


def _is_cut_off(change: Change) -> bool:
    return change.before.sample.is_censored or change.after.sample.is_censored


def _is_known(change: Change) -> bool:
    return change.raw.rounds >= _FEW_ROUNDS and math.isfinite(change.raw.error)


def _all_ratios(before: Sample, after: Sample) -> Floats:
    ratios = np.divide.outer(np.array(before.times_ms), np.array(after.times_ms))
    return np.asarray(ratios.ravel())


def _announced(before: Sample, after: Sample, margin: float) -> tuple[float, float]:
    ratios = _all_ratios(before, after)
    return float(np.mean(ratios > margin)), float(np.mean(ratios < 1 / margin))


def _histogram(ratios: Floats, edges: tuple[float, ...]) -> Floats:
    inside = np.clip(ratios, edges[0], np.nextafter(edges[-1], 0))
    return np.histogram(inside, edges)[0].astype(float)


def _spread(change: Change) -> float:
    """Return the standard deviation of one round, from that of the centre of all."""
    return change.raw.error * math.sqrt(change.raw.rounds)


def _is_outside(drawn: Floats, beyond: float) -> npt.NDArray[np.bool_]:
    """Tell per pair and look whether the interval of the mean leaves ± `beyond`."""
    counts = np.arange(1, drawn.shape[1] + 1)
    means = np.cumsum(drawn, axis=1) / counts
    squares = np.cumsum(drawn**2, axis=1) - counts * means**2
    freedom = np.maximum(counts - 1, 1)
    errors = np.sqrt(np.maximum(squares, 0) / freedom / counts)
    reach = stdtrit(freedom, 0.5 + CONFIDENCE / 2) * errors
    outside = np.abs(means) - reach > beyond
    return np.asarray(outside[:, _FIRST_LOOK - 1 :])


def _shares(is_announced: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    return tuple(float(share) for share in is_announced.mean(axis=0))
