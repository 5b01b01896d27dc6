"""A contest: one statement with one index and with another, timed by turns.

Both are built in a Sandbox, each for the blocks that it is timed in, and rolled back. The
statistic is that of every other measurement here: the ratio of paired blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from fluxlab.indexes.sandbox import Sandbox
from fluxlab.workload.budget import executions_of
from fluxlab.workload.clock import Call
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query
from fluxlab.workload.sample import Block, Sample
from fluxlab.workload.stats import Speedup, compare

_ROUNDS = 8


def contest(
    sandbox: Sandbox,
    query: Query,
    parameters: ParameterSet,
    indexes: tuple[str, str],
    setup: Sequence[str] = (),
    rounds: int = _ROUNDS,
) -> tuple[Speedup, tuple[Sample, Sample]]:
    """Return how many times faster the second of two indexes is than the first.

    `indexes` are two CREATE INDEX statements, `setup` runs before either. Each block
    begins with executions that are not counted. Raises FluxlabError where the server
    refuses a statement.
    """
    blocks: tuple[list[Block], list[Block]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            with sandbox.attempt([*setup, indexes[side]]) as connection:
                call = Call(connection, query, parameters, is_nested=True)
                likely_ms = min(call.time_ms() for _ in range(3))
                blocks[side].append(call.block(executions_of(likely_ms)))
    one, other = (Sample(tuple(found)) for found in blocks)
    return compare(one, other), (one, other)
