"""What a Trial found, as a value: which Queries an index helps, which it hurts.

All looks of all Trials are judged together, so that of those called faster or slower at
most one in twenty is expected to be false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar, get_args

import pandas as pd

from fluxlab.indexes.trials import Kind, Trial, TrialStore
from fluxlab.workload.change import Change, read_changes
from fluxlab.workload.measure import Pair
from fluxlab.workload.noise import Floors
from fluxlab.workload.stats import Outcome

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Worth:
    """What an index is good for: ms saved in 1,000 requests, and the longest wait spared.

    `waits_ms` is what the statement that misses it most waits longer, once.
    """

    saved_ms: float = 0.0
    waits_ms: float = 0.0

    def __add__(self, other: Worth) -> Worth:
        """Return both together: the times add up, of the waits the longer counts."""
        return Worth(self.saved_ms + other.saved_ms, max(self.waits_ms, other.waits_ms))


@dataclass(frozen=True, slots=True)
class Effect:
    """One pair whose plan an index changes, and how often it is asked.

    `weight` is the number of its executions in 1,000 requests to the application.
    """

    switch: str
    change: Change
    weight: float

    @property
    def outcome(self) -> Outcome:
        """The word for it: *faster* with the index, or *slower*."""
        return self.change.outcome

    @property
    def saved_ms(self) -> float:
        """Milliseconds that the index saves in 1,000 requests; 0 where it is not clear."""
        if self.outcome not in ("faster", "slower"):
            return 0.0
        before, after = (one.sample.median_ms for one in self._sides)
        return self.weight * (before - after)

    @property
    def saved_between_ms(self) -> tuple[float, float]:
        """The 95 % interval of `saved_ms`: that of the ratio, times the time with it."""
        if self.outcome not in ("faster", "slower"):
            return 0.0, 0.0
        after_ms = self.change.after.sample.median_ms
        low, high = self.change.speedup.low, self.change.speedup.high
        return self.weight * after_ms * (low - 1), self.weight * after_ms * (high - 1)

    @property
    def could_save_ms(self) -> float:
        """The most that it could save in one execution, where the clock is not sure.

        The upper end of the interval, and never more than the time without the index.
        0 where the outcome is clear.
        """
        if self.outcome != "unclear":
            return 0.0
        before_ms, after_ms = (one.sample.median_ms for one in self._sides)
        most = after_ms * (self.change.speedup.high - 1)
        return max(0.0, min(before_ms, most))

    @property
    def waits_ms(self) -> float:
        """What one execution waits longer without the index; 0 where it is not clear."""
        if self.outcome != "faster":
            return 0.0
        before_ms, after_ms = (one.sample.median_ms for one in self._sides)
        return before_ms - after_ms

    @property
    def saved_blocks(self) -> float:
        """Blocks that the index saves in 1,000 requests."""
        before, after = (one.plan.blocks for one in self._sides)
        return self.weight * (before - after)

    @property
    def _sides(self) -> Pair:
        return self.change.before, self.change.after


@dataclass(frozen=True)
class Contribution:
    """What one index does in one kind of Trial, or a set of indexes."""

    trial: Trial
    effects: tuple[Effect, ...]

    @property
    def subject(self) -> str:
        """The name of the index."""
        return self.trial.subject

    def of(self, outcome: Outcome) -> tuple[Effect, ...]:
        """Return the Effects of one word, those that save or cost most first."""
        found = (one for one in self.effects if one.outcome == outcome)
        return tuple(sorted(found, key=lambda one: -abs(one.saved_ms)))

    @cached_property
    def helped(self) -> tuple[str, ...]:
        """The Queries that it makes faster with some parameters."""
        return tuple(dict.fromkeys(one.change.query for one in self.of("faster")))

    @cached_property
    def hurt(self) -> tuple[str, ...]:
        """The Queries that it makes slower with some parameters."""
        return tuple(dict.fromkeys(one.change.query for one in self.of("slower")))

    @property
    def saved_ms(self) -> float:
        """Milliseconds saved in 1,000 requests, what it costs other reads taken off."""
        return sum(one.saved_ms for one in self.effects)

    @property
    def saved_between_ms(self) -> tuple[float, float]:
        """An interval for `saved_ms`, wider than 95 %: the ends of all Effects added up.

        Infinite where an Effect has too few rounds for an interval of its own.
        """
        ends = [one.saved_between_ms for one in self.effects]
        low = sum(one for one, _ in ends if not math.isnan(one))
        return low, sum(one for _, one in ends if not math.isnan(one))

    @property
    def saved_blocks(self) -> float:
        """Blocks saved in 1,000 requests."""
        return sum(one.saved_blocks for one in self.effects)

    @property
    def worth(self) -> Worth:
        """What it saves, as far as the clock is sure."""
        waits = max((one.waits_ms for one in self.effects), default=0.0)
        return Worth(self.saved_ms, waits)

    @property
    def could_be_worth(self) -> Worth:
        """The most that it could save, where the clock is not sure."""
        saved = sum(one.weight * one.could_save_ms for one in self.effects)
        waits = max((one.could_save_ms for one in self.effects), default=0.0)
        return Worth(self.saved_ms + saved, max(self.worth.waits_ms, waits))

    def __repr__(self) -> str:
        words = get_args(Outcome)
        counts = ", ".join(f"{len(self.of(word))} {word}" for word in words)
        return f"<Contribution of {self.subject}, {self.trial.kind}: {counts}>"


@dataclass(frozen=True)
class Contributions:
    """Every Trial of a lab with its Changes; `weights` are per pair, by its key."""

    trials: Mapping[Kind, Mapping[str, Trial]]
    changes: Mapping[str, Change]
    weights: Mapping[tuple[str, str], float]
    _found: dict[tuple[Kind, str], Contribution] = field(default_factory=dict, repr=False)

    def of(self, kind: Kind, subject: str) -> Contribution:
        """Return what an index did in one kind of Trial; KeyError where there is none."""
        if (kind, subject) not in self._found:
            trial = self.trials[kind][subject]
            effects = (
                Effect(name, self.changes[name], self.weights.get(_key(change), 0.0))
                for name in trial.switches
                if (change := self.changes.get(name))
            )
            self._found[kind, subject] = Contribution(trial, tuple(effects))
        return self._found[kind, subject]

    def all(self, kind: Kind) -> tuple[Contribution, ...]:
        """Return the Contributions of one kind, in the order they were made."""
        return tuple(self.of(kind, subject) for subject in self.trials.get(kind, {}))

    @property
    def asked(self) -> int:
        """How often the planner was asked about a pair, over all Trials."""
        return sum(one.asked for kind in self.trials.values() for one in kind.values())

    def frame(self, kind: Kind) -> pd.DataFrame:
        """Return one row per index; ms and blocks are those saved in 1,000 requests."""
        return pd.DataFrame(
            {
                "index": one.subject,
                "plans": len(one.effects),
                **{word: len(one.of(word)) for word in get_args(Outcome)},
                "saved_ms": one.saved_ms,
                "saved_blocks": one.saved_blocks,
                "build_ms": one.trial.build_ms,
                "size_bytes": one.trial.size_bytes,
                "wal_bytes": one.trial.wal_bytes,
            }
            for one in self.all(kind)
        )


def read_contributions(
    store: TrialStore,
    kinds: Sequence[Kind],
    floors: Callable[[str], Floors],
    weights: Mapping[tuple[str, str], float],
) -> Contributions:
    """Read all complete Trials of these kinds, with every Change judged at once."""
    trials = {kind: store.trials(kind) for kind in kinds}
    wanted = {
        name for kind in trials.values() for one in kind.values() for name in one.switches
    }
    pairs = {name: pair for name, pair in store.switches.pairs().items() if name in wanted}
    changes = read_changes(list(pairs.values()), floors) if pairs else ()
    return Contributions(trials, dict(zip(pairs, changes, strict=True)), weights)


def tried(
    items: Iterable[Item], look: Callable[[Item], tuple[str, str, bool]]
) -> list[Item]:
    """Return what Trials are made with: reads in every class, writes with one each.

    `look` tells the Query of an item, its class, and whether it writes. What a write
    pays hardly depends on its values, and a slow one would be tried four times.
    """
    ranks = {"typical": 0, "rare": 1, "hot": 2}
    found: list[Item] = []
    writes: dict[str, tuple[int, Item]] = {}
    for item in items:
        query, of_class, is_write = look(item)
        rank = ranks.get(of_class, 3)
        if not is_write:
            found.append(item)
        elif query not in writes or rank < writes[query][0]:
            writes[query] = rank, item
    return [*found, *(item for _, item in writes.values())]


def weights_of(
    keys: Iterable[tuple[str, tuple[str, str]]], weight: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Share out the weight of each Query among its pairs; `keys` are (Query, key).

    A Query asked with four classes of parameters is asked with each a quarter of the
    time: the report does not say how often, and neither do we.
    """
    known = list(keys)
    classes: dict[str, int] = {}
    for query, _ in known:
        classes[query] = classes.get(query, 0) + 1
    return {key: weight.get(query, 0.0) / classes[query] for query, key in known}


def _key(change: Change) -> tuple[str, str]:
    return change.before.key
