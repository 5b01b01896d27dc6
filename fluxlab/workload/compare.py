"""A Comparison: two Runs, query by query and class by class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from fluxlab.workload.query import Workload
from fluxlab.workload.stats import Outcome, Speedup, compare
from fluxlab.workload.store import Measurement, Run

#: Blocks differ a little from run to run: hint bits, pages pruned on the way.
_SAME_BLOCKS = 0.02


@dataclass(frozen=True)
class Change:
    """One Query with one ParameterSet, before and after."""

    query: str
    of_class: str
    before: Measurement
    after: Measurement
    speedup: Speedup

    @property
    def does_the_same_work(self) -> bool:
        """Whether both states read with the same tree over as many blocks.

        Then no index explains a difference. A scan of two copies of one table came out
        apart by 1.6 here, stably, for as long as the server ran: the memory that its
        buffers happen to lie in is not equally fast. Repeats do not cure that.
        A write is never the same work: its plan leaves out what triggers and foreign
        keys do.
        """
        before, after = self.before.plan, self.after.plan
        return (
            before.is_analyzed
            and after.is_analyzed
            and before.shape == after.shape
            and abs(before.blocks - after.blocks) <= _SAME_BLOCKS * before.blocks
            and all(node.kind != "ModifyTable" for node in before.walk())
        )

    @property
    def outcome(self) -> Outcome:
        """*faster*, *slower*, *same* or *unclear*, by the clock.

        *Unclear* as well when the clock tells two states apart that do the same work.
        """
        by_clock = self.speedup.outcome
        is_apart = by_clock in ("faster", "slower")
        return "unclear" if is_apart and self.does_the_same_work else by_clock

    @property
    def sentence(self) -> str:
        """The outcome with its evidence, in a few words."""
        if self.outcome != self.speedup.outcome:
            return "unclear: the same work"
        return self.speedup.sentence

    @property
    def factor(self) -> float:
        """The ratio of the medians without its direction: 1 or more."""
        return self.speedup.factor

    @property
    def has_new_plan(self) -> bool:
        """Whether the planner chose another tree."""
        return self.before.plan.shape != self.after.plan.shape

    def __repr__(self) -> str:
        return (
            f"<Change {self.query}, {self.of_class}: {self.before.sample} → "
            f"{self.after.sample}, {self.sentence}>"
        )


@dataclass(frozen=True)
class Comparison:
    """All Changes between two Runs, in the order of the first."""

    before: Run
    after: Run
    changes: tuple[Change, ...]

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


def compare_runs(before: Run, after: Run) -> Comparison:
    """Pair the Measurements that both Runs hold of the same statement and values."""
    others = {one.key: one for one in after.measurements}
    return Comparison(
        before,
        after,
        tuple(
            Change(one.query, one.of_class, one, other, compare(one.sample, other.sample))
            for one in before.measurements
            if (other := others.get(one.key))
        ),
    )


def _kind(workload: Workload | None, query: str) -> str:
    if workload is None:
        return ""
    return "write" if workload[query].is_write else "read"
