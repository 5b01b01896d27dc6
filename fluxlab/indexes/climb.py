"""The climb: what the whole Workload takes after each step of the ladder.

A step measures only the pairs whose plan it changes, so nobody ever measures all of them
at all steps. Their times follow all the same: a pair takes what it took in the baseline,
divided by every ratio that it met on the way up. Its blocks follow in the same way, and
need no word: no clock has a part in them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fluxlab.indexes.contribution import Contribution, Effect
from fluxlab.indexes.planner import Key
from fluxlab.workload.stats import Outcome
from fluxlab.workload.store import Measurement

#: The words that move a time; of the others nobody knows that anything changed.
CLEAR: tuple[Outcome, ...] = ("faster", "slower")


@dataclass(frozen=True, slots=True)
class Load:
    """What some pairs take in 1,000 requests: milliseconds, and blocks of 8 kB."""

    ms: float = 0.0
    blocks: float = 0.0

    def __sub__(self, other: Load) -> Load:
        """Return how much more this is."""
        return Load(self.ms - other.ms, self.blocks - other.blocks)


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: the Workload before it and after it.

    `between_ms` are the 95 % intervals of its ratios added up, an interval of `saved.ms`
    that is wider than 95 %.
    """

    number: int
    contribution: Contribution
    before: Load
    after: Load
    between_ms: tuple[float, float]

    @property
    def index(self) -> str:
        """The name of the index that the step adds."""
        return self.contribution.subject

    @property
    def saved(self) -> Load:
        """What the step saves; below zero what it costs other reads."""
        return self.before - self.after

    def __repr__(self) -> str:
        return f"<Rung {self.number}, {self.index}: {self.saved.ms:.3g} ms saved>"


@dataclass(frozen=True, slots=True)
class Climb:
    """The Workload from the baseline to the last step."""

    start: Load
    rungs: tuple[Rung, ...]

    @property
    def end(self) -> Load:
        """What is left after the last step."""
        return self.rungs[-1].after if self.rungs else self.start

    @property
    def largest(self) -> tuple[Rung, ...]:
        """The steps that save or cost time, those that save most first."""
        moved = (one for one in self.rungs if one.saved.ms)
        return tuple(sorted(moved, key=lambda one: -one.saved.ms))

    def find(self, index: str) -> Rung:
        """Return the step of an index; KeyError where there is none."""
        for one in self.rungs:
            if one.index == index:
                return one
        raise KeyError(index)

    def __repr__(self) -> str:
        return (
            f"<Climb of {len(self.rungs)} steps: {self.start.ms:,.3g} → {self.end.ms:,.3g} "
            f"ms, {self.start.blocks:,.0f} → {self.end.blocks:,.0f} blocks>"
        )


def climb(
    baseline: Iterable[Measurement],
    ladder: Sequence[Contribution],
    weights: Mapping[Key, float],
    counted: Collection[Outcome] = CLEAR,
) -> Climb:
    """Follow the pairs of the baseline up the ladder.

    `weights` say how often each pair is asked in 1,000 requests. Pairs that are not in
    `baseline` do not count, so that reads and writes can be followed alone. Only ratios
    whose word is `counted` move a time.
    """
    known = {one.key: one for one in baseline}
    times = {key: one.sample.median_ms for key, one in known.items()}
    blocks = {key: float(one.plan.blocks) for key, one in known.items()}

    def load() -> Load:
        return Load(_total(times, weights), _total(blocks, weights))

    start = before = load()
    rungs = []
    for number, contribution in enumerate(ladder, 1):
        low = high = 0.0
        for effect in contribution.effects:
            key = effect.change.before.key
            if key not in known:
                continue
            blocks[key] = _blocks_after(effect, blocks[key])
            if effect.outcome in counted:
                weighted = weights.get(key, 0.0) * times[key]
                least, most = _shares_saved(effect)
                low, high = low + weighted * least, high + weighted * most
                times[key] /= ratio_of(effect)
        after = load()
        rungs.append(Rung(number, contribution, before, after, (low, high)))
        before = after
    return Climb(start, tuple(rungs))


def load_of(measurements: Iterable[Measurement], weights: Mapping[Key, float]) -> Load:
    """Return what pairs take that were measured directly."""
    known = {one.key: one for one in measurements}
    times = {key: one.sample.median_ms for key, one in known.items()}
    blocks = {key: float(one.plan.blocks) for key, one in known.items()}
    return Load(_total(times, weights), _total(blocks, weights))


def ratio_of(effect: Effect) -> float:
    """Return how many times faster a pair becomes, never against the word for it.

    Where CPU time or blocks gave the word, the client's clock may lean the other way
    within its noise.
    """
    ratio = effect.change.speedup.ratio
    if effect.outcome == "faster":
        return max(1.0, ratio)
    return min(1.0, ratio) if effect.outcome == "slower" else ratio


def _blocks_after(effect: Effect, blocks: float) -> float:
    """Return the blocks of a pair after a step, by the ratio of both plans.

    A ratio, because what a step is measured on has seen more writes than the baseline.
    """
    before, after = (one.plan.blocks for one in (effect.change.before, effect.change.after))
    return blocks * after / before if before and blocks else float(after)


def _shares_saved(effect: Effect) -> tuple[float, float]:
    """Return the shares of its time that a pair saves at both ends of the interval."""
    low, high = effect.change.speedup.low, effect.change.speedup.high
    return (1 - 1 / low if low else -math.inf), (1 - 1 / high if high else -math.inf)


def _total(amounts: Mapping[Key, float], weights: Mapping[Key, float]) -> float:
    return sum(weights.get(key, 0.0) * amount for key, amount in amounts.items())
