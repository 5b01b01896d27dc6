"""Budgets: how long to measure, and how a first look at each pair is shared out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

#: A block lasts at least this long: shorter ones measure the clock's own hiccups.
BLOCK_MS = 5.0
#: Beyond this, no execution before it matters: caches of the CPU were filled meanwhile.
_SELF_WARMING_MS = 100.0
#: Two rounds leave Student's t one degree of freedom, and no effect is large enough.
LEAST_ROUNDS = 3
_SHORT_BLOCK_MS = 3.0
#: The first look of a trial of an index, as a share of that at the whole sprint.
_TRIAL_SHARE = 0.45

Control = Literal["all", "one of each", "one of every second"]


@dataclass(frozen=True, slots=True)
class Budget:
    """A stated time for the clocks, in seconds, and the bounds it works in.

    The first look at every pair is always taken, of about `first_ms` each; what is left
    of `seconds` goes where it can still change a verdict. Statements slower than
    `slow_ms` have no part in the A/A run, with cold buffers and among generic plans.
    A round of `long_round_ms` and more is taken once only, where the first look is short.
    One that `is_frugal` hardly times what the plans have settled. `control` says what
    is measured against itself: every class of each Query, one class of each, or one
    of every second.
    """

    name: str
    seconds: float
    first_ms: float
    max_rounds: int
    looked_rounds: int = 8
    timeout_ms: int = 10_000
    slow_ms: float = math.inf
    long_round_ms: float = 1_000.0
    block_ms: float = BLOCK_MS
    is_frugal: bool = False
    control: Control = "all"
    has_every_regime: bool = True

    def first_rounds(
        self, round_ms: float, *, is_claimed: bool = False, is_settled: bool = False
    ) -> int:
        """Return the rounds of a first look: as many as fit, three or more.

        Two where the plans do the same work and settle the matter. A round of a second
        and more is taken once where little time was given: then the blocks have to
        decide, unless a claim of the report rests on it.
        """
        fitting = min(self.looked_rounds, int(self.first_ms / round_ms))
        if round_ms > self.long_round_ms and not is_claimed:
            return max(1, fitting)
        if is_settled and self.is_frugal:
            return 2
        return max(LEAST_ROUNDS, fitting)

    def of_trials(self) -> Budget:
        """Return the Budget of the trials of single indexes: many, and each brief.

        What is slow without an index reads so many more blocks that one look is enough.
        A frugal one has shorter blocks: both sides read the same pages, and differ less
        by chance than two databases do.
        """
        return replace(
            self,
            block_ms=_SHORT_BLOCK_MS if self.is_frugal else self.block_ms,
            first_ms=self.first_ms * _TRIAL_SHARE,
            looked_rounds=max(LEAST_ROUNDS, self.looked_rounds - 1),
            long_round_ms=self.long_round_ms / 5,
        )


def executions_of(likely_ms: float, block_ms: float = BLOCK_MS) -> int:
    """Return how many executions make a block: as many as last so long, three or more.

    One that lasts as long by itself is a block of its own.
    """
    if likely_ms > block_ms:
        return 1
    return max(3, math.ceil(block_ms / max(likely_ms, 0.01)))


def is_self_warming(likely_ms: float) -> bool:
    """Whether an execution is so long that none has to be discarded before it."""
    return likely_ms >= _SELF_WARMING_MS


def block_cost_ms(likely_ms: float, block_ms: float = BLOCK_MS) -> float:
    """Return what a block takes, the discarded execution included."""
    executions = executions_of(likely_ms, block_ms)
    return likely_ms * (executions + (not is_self_warming(likely_ms)))


BUDGETS = {
    "quick": Budget(
        "quick",
        seconds=150,
        first_ms=45,
        looked_rounds=4,
        max_rounds=24,
        slow_ms=100,
        is_frugal=True,
        control="one of every second",
        has_every_regime=False,
    ),
    "standard": Budget(
        "standard",
        seconds=900,
        first_ms=600,
        looked_rounds=8,
        max_rounds=60,
        control="one of each",
    ),
    "thorough": Budget(
        "thorough", seconds=3_600, first_ms=4_000, looked_rounds=12, max_rounds=200
    ),
}


def budget_of(name: str, size: str) -> Budget:
    """Return a Budget by name, smaller where data is tiny: little is at stake there."""
    budget = BUDGETS[name]
    if size != "tiny":
        return budget
    return replace(
        budget, seconds=budget.seconds / 2, first_ms=budget.first_ms / 2, timeout_ms=2_000
    )
