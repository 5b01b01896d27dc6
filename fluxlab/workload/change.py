"""A Change: one Query with one ParameterSet before and after, and one word for it.

The clock speaks first, then the CPU time of the backends, then the blocks. All looks
of a Comparison are judged together: of those called faster or slower at most one in
twenty is expected to be false.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from fluxlab.plans.plan import Plan
from fluxlab.workload.noise import Floors, read_floors
from fluxlab.workload.stats import (
    MARGIN,
    Outcome,
    Speedup,
    compare,
    compare_cpu,
    discoveries,
)
from fluxlab.workload.store import Measurement

Witness = Literal["clock", "cpu", "blocks"]

#: Blocks differ a little from run to run: hint bits, pages pruned on the way.
_SAME_BLOCKS = 0.02
#: From here on, 1 MB, it matters where in memory a copy's buffers happen to lie.
MANY_BLOCKS = 128
#: So many times fewer blocks, and so many fewer, are less work without a clock.
FEWER_BLOCKS, BLOCKS_SAVED = 2.0, 50
#: A Speedup is worked out once, however often a growing Comparison asks for it.
_compare = lru_cache(maxsize=20_000)(compare)
_compare_cpu = lru_cache(maxsize=20_000)(compare_cpu)


@dataclass(frozen=True)
class Change:
    """One Query with one ParameterSet, before and after.

    `raw` is what the rounds say, `speedup` the same with the machine's systematic
    error added; `cpu` the like for the CPU time, or None. `by_clock` is the word of
    the two clocks, `outcome` the word of all evidence, decided by `decided_by`.
    """

    query: str
    of_class: str
    before: Measurement
    after: Measurement
    raw: Speedup
    speedup: Speedup
    cpu: Speedup | None
    by_clock: Outcome
    outcome: Outcome
    decided_by: Witness

    @property
    def sentence(self) -> str:
        """The outcome with its evidence, in a few words."""
        blocks = f"{self.before.plan.blocks:,} → {self.after.plan.blocks:,}"
        if self.decided_by == "blocks":
            if self.outcome == "same":
                return "same (by blocks)"
            return f"{self.outcome} by blocks ({blocks})"
        witness = self.cpu if self.decided_by == "cpu" and self.cpu else self.speedup
        by = " by CPU time" if self.decided_by == "cpu" else ""
        if self.outcome in ("same", "unclear"):
            return f"{self.outcome}{by} ({witness.low:.2g}–{witness.high:.2g})"
        if witness.is_bound or witness.factor >= 10:
            return f"{witness}{by}"
        return f"{witness}{by} ({witness.interval})"

    @property
    def factor(self) -> float:
        """The ratio without its direction: 1 or more."""
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


def floors_of(control: Sequence[tuple[Measurement, Measurement]]) -> Floors:
    """Return the noise floors of both clocks under A/A pairs."""
    looks = [
        (
            one.sample.median_ms,
            _compare(one.sample, other.sample),
            _compare_cpu(one.sample, other.sample),
        )
        for one, other in control
        if not (one.sample.is_censored or other.sample.is_censored)
    ]
    return read_floors(looks)


def read_changes(
    pairs: Sequence[tuple[Measurement, Measurement]], floors: Callable[[str], Floors]
) -> tuple[Change, ...]:
    raw = [_compare(one.sample, other.sample) for one, other in pairs]
    speedups, cpus = [], []
    for (one, other), clock in zip(pairs, raw, strict=True):
        floor, latency_ms = floors(one.query), one.sample.median_ms
        speedups.append(clock.widened(floor.clock.systematic(latency_ms)))
        cpu = _compare_cpu(one.sample, other.sample)
        cpus.append(cpu and cpu.widened(floor.cpu.systematic(latency_ms)))
    looks = [*speedups, *(cpu for cpu in cpus if cpu)]
    is_called = dict(
        zip(map(id, looks), discoveries([one.p_value() for one in looks]), strict=True)
    )
    changes = []
    for (one, other), clock, speedup, cpu in zip(pairs, raw, speedups, cpus, strict=True):
        by_clock, witness = _by_clocks(
            speedup if is_called[id(speedup)] else None,
            cpu if cpu and is_called[id(cpu)] else None,
            speedup,
            cpu,
        )
        outcome, decided_by = _by_all(one, other, speedup, by_clock, witness)
        changes.append(
            Change(
                one.query,
                one.of_class,
                one,
                other,
                clock,
                speedup,
                cpu,
                by_clock,
                outcome,
                decided_by,
            )
        )
    return tuple(changes)


def _by_clocks(
    called: Speedup | None, called_cpu: Speedup | None, clock: Speedup, cpu: Speedup | None
) -> tuple[Outcome, Witness]:
    """Return the word of the clocks: the client's first, the CPU's where it has none.

    Neither is believed where the other points clearly the other way.
    """
    if called and called.is_beyond() and not _opposes(cpu, called):
        return _direction(called.ratio), "clock"
    if clock.is_within():
        return "same", "clock"
    if called_cpu and called_cpu.is_beyond() and not _opposes(clock, called_cpu):
        return _direction(called_cpu.ratio), "cpu"
    if cpu and cpu.is_within() and not clock.is_beyond():
        return "same", "cpu"
    return "unclear", "clock"


def _by_all(
    before: Measurement,
    after: Measurement,
    speedup: Speedup,
    by_clock: Outcome,
    witness: Witness,
) -> tuple[Outcome, Witness]:
    is_same_work = does_the_same_work(before.plan, after.plan)
    is_apart = by_clock in ("faster", "slower")
    # Two copies of a large table are not equally fast to scan, stably, for as long as
    # the server runs: the memory of their buffers is not. No index explains that.
    if is_same_work and is_apart and before.plan.blocks >= MANY_BLOCKS:
        return "same", "blocks"
    if by_clock != "unclear":
        return by_clock, witness
    # The clock cannot be sure, but it must not lean to another side: planning with more
    # indexes takes time as well, and no block tells of it.
    leans_away = speedup.factor > MARGIN and not speedup.low <= 1 <= speedup.high
    if is_same_work:
        return ("unclear", "clock") if leans_away else ("same", "blocks")
    by_blocks = _by_blocks(before.plan, after.plan)
    if by_blocks == _direction(speedup.ratio):
        return by_blocks, "blocks"
    return "unclear", "clock"


def does_the_same_work(before: Plan, after: Plan) -> bool:
    """Whether both states read with the same tree over as many blocks and rows.

    By whichever index: two that lead to the same rows over as many blocks do the same
    work. A write is never the same work: its plan leaves out what triggers and foreign
    keys do.
    """
    return (
        _reads(before)
        and _reads(after)
        and before.tree == after.tree
        and before.rows_read == after.rows_read
        and abs(before.blocks - after.blocks) <= _SAME_BLOCKS * before.blocks
    )


def _by_blocks(before: Plan, after: Plan) -> Outcome:
    if not (_reads(before) and _reads(after)):
        return "unclear"
    fewer, more = sorted((before.blocks, after.blocks))
    if more - fewer < BLOCKS_SAVED or more < FEWER_BLOCKS * fewer:
        return "unclear"
    return "faster" if after.blocks < before.blocks else "slower"


def _reads(plan: Plan) -> bool:
    return plan.is_analyzed and all(node.kind != "ModifyTable" for node in plan.walk())


def _opposes(other: Speedup | None, called: Speedup) -> bool:
    if other is None:
        return False
    return other.high < 1 if called.ratio > 1 else other.low > 1


def _direction(ratio: float) -> Outcome:
    return "faster" if ratio > 1 else "slower"
