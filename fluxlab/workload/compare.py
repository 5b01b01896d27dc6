"""A Comparison: two Runs, query by query and class by class, each with one word."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import pandas as pd

from fluxlab.workload.budget import LEAST_ROUNDS, Budget, block_cost_ms
from fluxlab.workload.change import Change, floors_of, read_changes
from fluxlab.workload.noise import NO_FLOORS, Floors
from fluxlab.workload.query import Workload
from fluxlab.workload.stats import Outcome
from fluxlab.workload.store import Measurement, Run

#: An interval whose ends are closer than this is as good as the clock gets.
_TIGHT = 1.04


@dataclass(frozen=True)
class Comparison:
    """All Changes between two Runs, in the order of the first."""

    before: Run
    after: Run
    changes: tuple[Change, ...]
    floors: Floors = NO_FLOORS

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def of(self, outcome: Outcome) -> tuple[Change, ...]:
        """Return the Changes with this outcome."""
        return tuple(change for change in self.changes if change.outcome == outcome)

    def find(self, query: str, of_class: str = "typical") -> Change:
        """Return the Change of a Query; of its first class where this one is missing."""
        known = {
            change.of_class: change for change in self.changes if change.query == query
        }
        if not known:
            raise KeyError(query)
        return known.get(of_class) or next(iter(known.values()))

    @cached_property
    def largest(self) -> tuple[Change, ...]:
        """The largest clear Change, either way, of each Query that has one."""
        best: dict[str, Change] = {}
        for change in (*self.of("faster"), *self.of("slower")):
            if change.query not in best or change.factor > best[change.query].factor:
                best[change.query] = change
        return tuple(sorted(best.values(), key=lambda change: change.factor, reverse=True))

    @cached_property
    def by_query(self) -> Mapping[str, frozenset[Outcome]]:
        """The outcomes of the parameter classes of each Query."""
        outcomes: dict[str, set[Outcome]] = {}
        for change in self.changes:
            outcomes.setdefault(change.query, set()).add(change.outcome)
        return {query: frozenset(found) for query, found in outcomes.items()}

    def frame(self, workload: Workload | None = None) -> pd.DataFrame:
        """Return one row per Change; times in ms, blocks of 8 kB, ratio before ÷ after."""
        return pd.DataFrame(
            {
                "query": change.query,
                "class": change.of_class,
                "area": workload[change.query].area if workload else "",
                "kind": _kind(workload, change.query),
                "before_ms": change.before.sample.median_ms,
                "after_ms": change.after.sample.median_ms,
                "ratio": change.speedup.ratio,
                "low": change.speedup.low,
                "high": change.speedup.high,
                "outcome": change.outcome,
                "decided_by": change.decided_by,
                "cpu_ratio": change.cpu.ratio if change.cpu else math.nan,
                "rounds": change.speedup.rounds,
                "executions": min(
                    change.before.sample.executions, change.after.sample.executions
                ),
                "blocks_before": change.before.plan.blocks,
                "blocks_after": change.after.plan.blocks,
                "has_new_plan": change.has_new_plan,
            }
            for change in self.changes
        )

    def __repr__(self) -> str:
        words = ("faster", "slower", "same", "unclear")
        counts = ", ".join(f"{len(self.of(word))} {word}" for word in words)  # type: ignore[arg-type]
        return f"<Comparison of {len(self)}: {counts}>"


def compare_runs(before: Run, after: Run, floors: Floors = NO_FLOORS) -> Comparison:
    """Pair the Measurements that both Runs hold of the same statement and values.

    Without `floors` the machine is taken to have no systematic error.
    """
    pairs = _pairs(before, after)
    return Comparison(before, after, read_changes(pairs, lambda query: floors), floors)


def compare_control(before: Run, after: Run) -> Comparison:
    """Compare a state with its own copy, as strictly as any two states.

    Its floors say what the machine can see. They come from all pairs; each pair is
    judged by those of the other half of the Queries, or the A/A would judge itself.
    """
    pairs = _pairs(before, after)
    halves = {
        half: floors_of([pair for pair in pairs if _half(pair[0].query) != half])
        for half in (0, 1)
    }
    changes = read_changes(pairs, lambda query: halves[_half(query)])
    return Comparison(before, after, changes, floors_of(pairs))


def unsettled(comparison: Comparison, budget: Budget) -> list[Change]:
    """Return the Changes whose word more rounds can still change, the cheapest first.

    Those without any word come before those that the blocks decided, and those that
    had hardly a round before both, unless the budget has no time for them. Where the
    ratio is known to 2 % more rounds add nothing.
    """

    def rank(change: Change) -> int:
        if change.raw.rounds < LEAST_ROUNDS and not budget.is_frugal:
            return 0
        return 1 if change.outcome == "unclear" else 2

    found = [
        change
        for change in comparison
        if (change.outcome == "unclear" or change.decided_by == "blocks")
        and not change.speedup.is_bound
        and change.raw.rounds < budget.max_rounds
        and change.raw.high > _TIGHT * change.raw.low
    ]
    return sorted(found, key=lambda one: (rank(one), _round_ms(one)))


def _round_ms(change: Change) -> float:
    return sum(block_cost_ms(one.sample.median_ms) for one in (change.before, change.after))


def _half(query: str) -> int:
    return sha256(query.encode()).digest()[0] % 2


def _pairs(before: Run, after: Run) -> list[tuple[Measurement, Measurement]]:
    others = {one.key: one for one in after.measurements}
    return [(one, others[one.key]) for one in before.measurements if one.key in others]


def _kind(workload: Workload | None, query: str) -> str:
    if workload is None:
        return ""
    return "write" if workload[query].is_write else "read"
