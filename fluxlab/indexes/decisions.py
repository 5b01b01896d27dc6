"""Decisions: one row per index, what it gives beside what it costs, and one word.

The rule, in words. An index is *worth its place* when it saves enough time in 1,000
requests, and more than its writes take longer; or when it spares one statement a long
wait, and costs the others nothing for it. *Keep* what is worth its place: by itself, or
once everything else that goes is gone. *Unclear* is what could be worth it, and the noise
wins: it stays until somebody measures longer. Of the rest *replace* says that indexes
that stay serve its queries, and *drop* that nobody needs them served. What keeps rows
unique is kept without asking.

An index is judged by what it is missed for when it is gone together with all others that
go. Of two that can stand in for each other one stays: see `settle`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import pandas as pd

from fluxlab.indexes import reasons
from fluxlab.indexes.contribution import Contribution, Worth
from fluxlab.indexes.definition import IndexDef
from fluxlab.indexes.price import Price, WritePrice

Word = Literal["keep", "drop", "replace", "unclear"]
WORDS: tuple[Word, ...] = get_args(Word)
NOTHING = Worth()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the rule decides by.

    In 1,000 requests an index has to save `least_saved_ms`, and `least_return` times what
    its writes take longer; or to spare one statement a wait of `least_wait_ms`, however
    seldom that is asked. A wait is judged at the size of the data measured: that of a
    scan grows with it.
    """

    least_saved_ms: float = 0.5
    least_return: float = 1.0
    least_wait_ms: float = 5.0


@dataclass(frozen=True, slots=True)
class Loss:
    """What is lost without an index: what the clock is sure of, and the most it could be.

    The most is the upper end of the intervals where the clock is not sure.
    """

    sure: Worth = NOTHING
    most: Worth = NOTHING


NO_LOSS = Loss()


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of one index when it is decided on.

    `without`: taken from all others. `alone`: added to the baseline, None for one that
    was there. `missed` is what decides: the Loss with everything gone that goes, when
    `is_settled`, or that of the index alone. `stand_ins` are the indexes that serve its
    queries instead, the one that serves most first. `has_come_back` says that nobody
    missed it until all that nobody missed were gone.
    """

    index: IndexDef
    is_of_sprint: bool
    size_bytes: int
    is_pillar: bool = False
    build_ms: float = 0.0
    without: Contribution | None = None
    alone: Contribution | None = None
    price: Price | None = None
    missed: Loss = NO_LOSS
    stand_ins: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    is_settled: bool = False
    has_come_back: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The word on one index and the sentence that gives the reason.

    Amounts are per 1,000 requests to the application, unless they say otherwise:
    `write_ms` is what the index costs writes by the clock, `wal_bytes` and `hot_lost` what
    it costs them in log and in HOT updates. Of 1,000 writes on its table
    `wal_of_writes` is the log, None where nothing writes there.
    """

    case: Case
    word: Word
    reason: str
    write_ms: float = 0.0
    wal_bytes: float = 0.0
    hot_lost: float = 0.0
    wal_of_writes: float | None = None
    instead: str | None = None

    @property
    def index(self) -> IndexDef:
        """The index."""
        return self.case.index

    @property
    def goes(self) -> bool:
        """Whether the index is to be dropped, with or without another in its place."""
        return self.word in ("drop", "replace")

    @property
    def saved_ms(self) -> float:
        """What it saves when it is the only one taken away."""
        return self.case.without.saved_ms if self.case.without else 0.0

    @property
    def helped_weight(self) -> float:
        """How many of 1,000 requests it makes faster, taken away by itself."""
        found = self.case.without.of("faster") if self.case.without else ()
        return sum(one.weight for one in found)

    @property
    def row(self) -> dict[str, object]:
        """Everything about it, for a table; see `Decisions.frame`."""
        case = self.case
        low, high = case.without.saved_between_ms if case.without else (0.0, 0.0)
        return {
            "index": self.index.name,
            "table": self.index.table,
            "family": self.index.family,
            "of": "sprint" if case.is_of_sprint else "base",
            "decision": self.word,
            "instead": self.instead or "",
            "helps": len(case.without.helped) if case.without else 0,
            "hurts": len(case.without.hurt) if case.without else 0,
            "helped_weight": self.helped_weight,
            "saved_ms": self.saved_ms,
            "saved_low_ms": low,
            "saved_high_ms": high,
            "missed_ms": case.missed.sure.saved_ms,
            "could_miss_ms": case.missed.most.saved_ms,
            "wait_ms": case.missed.sure.waits_ms,
            "write_ms": self.write_ms,
            "wal_bytes": self.wal_bytes,
            "wal_of_writes": math.nan if self.wal_of_writes is None else self.wal_of_writes,
            "hot_lost": self.hot_lost,
            "size_bytes": case.size_bytes,
            "build_ms": case.build_ms,
            "findings": ", ".join(case.findings),
            "reason": self.reason,
        }

    def __repr__(self) -> str:
        return f"<Decision on {self.index.name}: {self.word}. {self.reason}>"


@dataclass(frozen=True)
class Decisions:
    """One Decision per index, in the order of tables, and what they were decided by."""

    rows: tuple[Decision, ...]
    limits: Thresholds = Thresholds()

    def of(self, word: Word) -> tuple[Decision, ...]:
        """Return the Decisions with one word."""
        return tuple(one for one in self.rows if one.word == word)

    def find(self, index: str) -> Decision:
        """Return the Decision on an index; KeyError where there is none."""
        for one in self.rows:
            if one.index.name == index:
                return one
        raise KeyError(index)

    @property
    def goes(self) -> tuple[Decision, ...]:
        """What goes: dropped and replaced."""
        return tuple(one for one in self.rows if one.goes)

    @property
    def stays(self) -> tuple[Decision, ...]:
        """What stays: kept, and unclear."""
        return tuple(one for one in self.rows if not one.goes)

    def frame(self) -> pd.DataFrame:
        """Return one row per index; amounts per 1,000 requests, times in ms.

        `saved_…` is by itself, with its interval; `missed_ms` and `wait_ms` with all that
        go gone. `wal_of_writes` are bytes per 1,000 writes on its table.
        """
        return pd.DataFrame([one.row for one in self.rows])

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self.of(word))} {word}" for word in WORDS)
        return f"<Decisions on {len(self.rows)} indexes: {counts}>"


def decide_all(
    cases: Iterable[Case], weights: Mapping[str, float], limits: Thresholds
) -> Decisions:
    """Decide on every index, and together: nobody goes whose stand-in goes as well.

    That holds for what was not measured together. Those that are settled were.
    `weights` say how often each Query is asked in 1,000 requests.
    """
    found = [decide(case, weights, limits) for case in cases]
    gone = {
        one.index.name: one.case.stand_ins
        for one in found
        if one.goes and one.case.is_settled
    }
    waiting = [one for one in found if one.goes and not one.case.is_settled]
    held: dict[str, Decision] = {}
    for one in sorted(waiting, key=lambda one: one.case.missed.sure.saved_ms):
        if partners := _partners(one, gone):
            reason = reasons.held(partners)
            held[one.index.name] = replace(one, word="unclear", reason=reason, instead=None)
        else:
            gone[one.index.name] = one.case.stand_ins
    return Decisions(tuple(held.get(one.index.name, one) for one in found), limits)


def decide(case: Case, weights: Mapping[str, float], limits: Thresholds) -> Decision:
    """Return the Decision on one index; see the rule at the top of this module."""
    costs_ms = write_ms(case.price, weights)
    word, reason = _word(case, costs_ms, limits)
    instead = case.stand_ins[0] if word == "replace" else None
    price = case.price
    if price is None:
        return Decision(case, word, reason, costs_ms, instead=instead)
    wal_bytes = price.per_thousand(weights, lambda one: one.wal_bytes)
    writes = price.per_thousand(weights, lambda one: 1.0)
    return Decision(
        case,
        word,
        reason,
        costs_ms,
        wal_bytes,
        price.per_thousand(weights, lambda one: one.hot_lost),
        1_000 * wal_bytes / writes if writes else None,
        instead,
    )


def write_ms(price: Price | None, weights: Mapping[str, float]) -> float:
    """Return what an index costs the writes of 1,000 requests, in ms of the clock.

    Only what the clock is sure of, and never less than nothing.
    """
    return max(0.0, price.per_thousand(weights, sure_ms)) if price else 0.0


def sure_ms(one: WritePrice) -> float:
    """Return what an execution takes longer; 0 where the interval holds no change."""
    if one.slowdown is None or one.slowdown.low <= 1 <= one.slowdown.high:
        return 0.0
    return one.extra_ms


def is_worth(worth: Worth, costs_ms: float, limits: Thresholds) -> bool:
    """Whether what an index is good for is enough for what its writes pay, in ms."""
    if worth.waits_ms >= limits.least_wait_ms and worth.saved_ms >= 0:
        return True
    least = max(limits.least_saved_ms, limits.least_return * costs_ms)
    return worth.saved_ms >= least


def _word(case: Case, costs_ms: float, limits: Thresholds) -> tuple[Word, str]:
    if case.is_pillar:
        return "keep", reasons.PILLAR
    if case.without is None:
        return "unclear", reasons.NOT_MEASURED
    if is_worth(case.missed.sure, costs_ms, limits):
        return "keep", reasons.worth(case, costs_ms, limits)
    if is_worth(case.missed.most, costs_ms, limits):
        return "unclear", reasons.unclear(case, limits)
    if case.stand_ins:
        return "replace", reasons.served(case)
    return "drop", reasons.needless(case, costs_ms, limits)


def _partners(one: Decision, gone: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Return those gone that stand in for an index, or that it stands in for."""
    name = one.index.name
    return tuple(
        other
        for other, stand_ins in gone.items()
        if other in one.case.stand_ins or name in stand_ins
    )


def used_in(plan: str, names: Collection[str]) -> tuple[str, ...]:
    """Return which of these indexes a plan's text names.

    >>> used_in("Index Scan using idx_a on t", ("idx_a", "idx_b"))
    ('idx_a',)
    """
    words = set(plan.replace("\n", " ").split())
    return tuple(sorted(name for name in names if name in words))
