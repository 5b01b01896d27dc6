"""Traps of measuring, shown live: where careful repetition still gives a wrong number.

Each function is a small experiment of a few seconds and returns a value. Two kinds of
numbers stand side by side in it: what a plausible method says, and what ours says.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import psycopg

from fluxlab.errors import FluxlabError
from fluxlab.plans.explain import explain
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.workload.change import Change
from fluxlab.workload.clock import PINNED, Call, placed
from fluxlab.workload.compare import Comparison
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query
from fluxlab.workload.sample import Sample
from fluxlab.workload.stats import Speedup, compare
from fluxlab.workload.turns import in_blocks

#: A Query and the values it is asked with.
Asked = tuple[Query, ParameterSet]

#: Executions of one connection before its first counts: it fills its own caches.
_WARMING = 5
#: A pair whose sides differ this much shows what the slow side does to the fast one.
_LOPSIDED = 10.0
_LONGEST_MS = 15.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Ratios of a Query to itself, one per pair of connections: left alone, and pinned.

    `pinned` is empty where nothing can be pinned. The true ratio is one.
    """

    query: str
    free: tuple[float, ...]
    pinned: tuple[float, ...]

    @property
    def is_possible(self) -> bool:
        """Whether this process may choose the cores of the backends."""
        return bool(self.pinned)


@dataclass(frozen=True, slots=True)
class Alternation:
    """One pair of states measured in two orders, with as many executions in each."""

    query: str
    of_class: str
    strict: Speedup
    blocks: Speedup
    after_strict: Sample
    after_blocks: Sample

    @property
    def slowed(self) -> float:
        """How many times slower the fast side is directly after the slow one."""
        return self.after_strict.median_ms / self.after_blocks.median_ms


@dataclass(frozen=True, slots=True)
class ExplainClock:
    """One Query by three clocks, medians in ms.

    `bare` at the client without EXPLAIN; `explained` the same with EXPLAIN (ANALYZE)
    before it; `execution_ms` the plan's own "Execution Time".
    """

    query: str
    of_class: str
    bare: Sample
    explained: Sample
    execution_ms: float

    @property
    def explained_ratio(self) -> float:
        """What EXPLAIN (ANALYZE) makes of a latency, as a factor."""
        return self.explained.median_ms / self.bare.median_ms

    @property
    def execution_ratio(self) -> float:
        """What "Execution Time" shows of a latency, as a factor."""
        return self.execution_ms / self.bare.median_ms


def placement(
    server: PostgresServer, database: str, asked: Asked, *, pairs: int = 12, rounds: int = 6
) -> Placement:
    """Measure a Query against itself over fresh pairs of connections, two ways in turn.

    The scheduler puts a new backend beside the client or away from it, and leaves it
    there: every execution of a connection is off alike, so no repetition shows it.
    Source: Mytkowicz et al., Producing Wrong Data Without Doing Anything Obviously
    Wrong, ASPLOS 2009, on bias that repetition does not reveal.
    """
    ratios: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(pairs):
        for is_asked_for in (False, True):
            with ExitStack() as stack:
                two = [stack.enter_context(connect(server, database)) for _ in range(2)]
                is_ours = is_asked_for and server.is_ours
                done = stack.enter_context(placed(two, is_ours=is_ours))
                if is_asked_for and done != PINNED:
                    continue
                before, after = in_blocks(_calls(two, asked), rounds)
                ratios[is_asked_for].append(compare(before, after).ratio)
    return Placement(asked[0].name, tuple(ratios[False]), tuple(ratios[True]))


def lopsided(comparison: Comparison) -> tuple[str, str]:
    """Return the query and class of a read with a slow and a fast side, both quick.

    The slowest before of those up to 15 ms that are ten times faster or more; where no
    index did that, as in a small data set, the one with the largest gain. Raises
    FluxlabError when no read is that quick.
    """
    quick = [
        change
        for change in comparison
        if change.before.sample.median_ms <= _LONGEST_MS and _is_read(change)
    ]
    if not quick:
        raise FluxlabError(
            f"No read takes {_LONGEST_MS:g} ms or less.",
            "Measure a smaller data set: `make run SIZE=small`.",
        )
    chosen = max(
        (one for one in quick if one.speedup.ratio >= _LOPSIDED),
        key=lambda one: one.before.sample.median_ms,
        default=max(quick, key=lambda one: one.speedup.ratio),
    )
    return chosen.query, chosen.of_class


def _is_read(change: Change) -> bool:
    return all(node.kind != "ModifyTable" for node in change.before.plan.walk())


def alternation(
    server: PostgresServer,
    databases: tuple[str, str],
    asked: Asked,
    *,
    rounds: int = 12,
) -> Alternation:
    """Measure two states one execution each in turn, then in blocks, A B B A.

    A slow execution leaves the caches of the core full of its own pages, and the fast
    one after it pays for that. In blocks the fast side is measured after itself, as
    under load it mostly is. Neither is wrong; they answer different questions.
    """
    with ExitStack() as stack:
        two = [stack.enter_context(connect(server, name)) for name in databases]
        stack.enter_context(placed(two, is_ours=server.is_ours))
        calls = _calls(two, asked)
        blocks = in_blocks(calls, rounds, executions=5)
        strict = _strictly(calls, rounds * 5)
    query, parameters = asked
    return Alternation(
        query.name,
        parameters.of_class,
        strict=compare(*strict),
        blocks=compare(*blocks),
        after_strict=strict[1],
        after_blocks=blocks[1],
    )


def explain_clocks(
    server: PostgresServer, database: str, work: Sequence[Asked], *, rounds: int = 8
) -> tuple[ExplainClock, ...]:
    """Measure Queries bare and under EXPLAIN (ANALYZE), in turns, on one connection.

    EXPLAIN ANALYZE adds the cost of watching every node; its "Execution Time" leaves
    out parsing, planning, the making of the answer and the way to the client. The two
    errors have opposite signs and do not cancel. Source: PostgreSQL manual, section
    Using EXPLAIN, Caveats.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(connect(server, database))
        stack.enter_context(placed([connection], is_ours=server.is_ours))
        return tuple(_explain_clock(connection, asked, rounds) for asked in work)


def _explain_clock(
    connection: psycopg.Connection, asked: Asked, rounds: int
) -> ExplainClock:
    query, parameters = asked
    explained_query = replace(query, statement=f"explain (analyze) {query.statement}")
    bare = Call(connection, query, parameters)
    explained = Call(connection, explained_query, parameters)
    samples = in_blocks((bare, explained), rounds, executions=5)
    times = []
    for _ in range(rounds):
        with connection.transaction(force_rollback=True):
            plan = explain(connection, query.statement, parameters.values, analyze=True)
        times.append(plan.execution_ms)
    return ExplainClock(
        query.name,
        parameters.of_class,
        bare=samples[0],
        explained=samples[1],
        execution_ms=statistics.median(times),
    )


def _calls(connections: Sequence[psycopg.Connection], asked: Asked) -> tuple[Call, Call]:
    one, other = (Call(connection, *asked) for connection in connections)
    for call in (one, other):
        call.block(_WARMING)
    return one, other


def _strictly(calls: tuple[Call, Call], rounds: int) -> tuple[Sample, Sample]:
    """Take single executions in strict alternation, A B A B."""
    samples = [Sample(()), Sample(())]
    for _ in range(rounds):
        for side in (0, 1):
            samples[side] = samples[side].joined([calls[side].block(1)])
    return samples[0], samples[1]
