"""Two ways to ask one thing, measured against each other on one state.

Another statement with the same answer, or the same one prepared: what differs is not the
database, so a Bench of two states is no help. Plans and clocks are read as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import psycopg

from fluxlab.plans.explain import explain_prepared, explain_text
from fluxlab.workload.budget import LEAST_ROUNDS, block_cost_ms
from fluxlab.workload.clock import Call
from fluxlab.workload.measure import Pair
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query
from fluxlab.workload.store import Measurement
from fluxlab.workload.turns import in_blocks

#: Parsed and planned each time; prepared and planned for its values; prepared and
#: planned once for any.
Mode = Literal["plain", "custom", "generic"]

#: Rounds beyond this tell little more of statements that differ by a few percent.
_MOST_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to ask: a read with its values, on a connection of its own."""

    connection: psycopg.Connection
    query: Query
    parameters: ParameterSet
    mode: Mode = "plain"

    def plan_text(self) -> str:
        """Return EXPLAIN (ANALYZE)'s JSON as text; the second execution is shown."""
        explained = explain_text if self.mode == "plain" else explain_prepared
        for _ in range(2):  # the first one prunes and sets hint bits on its way
            text = explained(
                self.connection,
                self.query.statement,
                self.parameters.values,
                analyze=True,
            )
        return text

    def set_up(self) -> None:
        """Let the session plan as this variant does."""
        mode = "auto" if self.mode == "plain" else f"force_{self.mode}_plan"
        self.connection.execute(f"set plan_cache_mode = {mode}".encode())


def look(one: Variant, other: Variant, *, milliseconds: float, placement: str = "") -> Pair:
    """Measure both, in turns, for about so long; three rounds at least."""
    sides = one, other
    for side in sides:
        side.set_up()
    texts = [side.plan_text() for side in sides]
    calls = _call(one), _call(other)
    round_ms = sum(block_cost_ms(call.time_ms()) for call in calls)
    rounds = max(LEAST_ROUNDS, min(_MOST_ROUNDS, int(milliseconds / round_ms)))
    samples = in_blocks(calls, rounds)
    before, after = (
        Measurement(
            query=one.query.name,
            of_class=one.parameters.of_class,
            query_fingerprint=one.query.fingerprint,
            parameters_fingerprint=one.parameters.fingerprint,
            parameters=side.mode,
            sample=sample,
            plan_text=text,
            placement=placement,
        )
        for side, sample, text in zip(sides, samples, texts, strict=True)
    )
    return before, after


def _call(side: Variant) -> Call:
    is_prepared = side.mode != "plain"
    return Call(side.connection, side.query, side.parameters, is_prepared=is_prepared)


def answer_size(side: Variant) -> tuple[int, int]:
    """Return how many columns the answer has, and the bytes of its values as text."""
    cursor = psycopg.RawCursor(side.connection)
    cursor.execute(side.query.statement.encode(), list(side.parameters.values))
    result = cursor.pgresult
    assert result is not None
    cells = (
        len(result.get_value(row, column) or b"")
        for row in range(result.ntuples)
        for column in range(result.nfields)
    )
    return result.nfields, sum(cells)
