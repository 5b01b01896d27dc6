"""Measure Queries in two states at once: Plans, and the two clocks round by round.

Plans tell shape, rows and blocks; the clocks tell latency; neither stands in for the
other. The two states take turns in blocks, A B B A, because the fast one looks slow
directly after the slow one. Where the server is ours both backends sit on one core
and the client on another: an unpinned comparison of a state with itself is off by up
to a factor of two. Elsewhere the rounds rotate over several connections, so that the
bias of each is part of the spread that we see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import psycopg
from psycopg.sql import SQL, Identifier

from fluxlab.errors import FluxlabError
from fluxlab.plans.explain import explain_prepared, explain_text
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.workload.budget import (
    Budget,
    block_cost_ms,
    executions_of,
    is_self_warming,
)
from fluxlab.workload.change import does_the_same_work
from fluxlab.workload.clock import NOT_PINNED, Call
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query
from fluxlab.workload.sample import Block, Sample
from fluxlab.workload.store import Measurement, State, Store

Work = Sequence[tuple[Query, ParameterSet]]
Pair = tuple[Measurement, Measurement]

#: Writes beyond this leave enough dead rows behind to slow the next one.
_BULK_WAL_RECORDS = 20_000


@dataclass(frozen=True, slots=True)
class Probe:
    """Connections to the database of one state: one where it is pinned, else several."""

    state: State
    connections: tuple[psycopg.Connection, ...]

    @property
    def connection(self) -> psycopg.Connection:
        """The connection that plans are read on."""
        return self.connections[0]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: pairs done, pairs in all, the Query at work."""

    done: int
    total: int
    query: str


@dataclass(slots=True)
class TimeSpent:
    """Where the time went: all of it, and what the server was waited for, in seconds."""

    elapsed_s: float = 0.0
    server_s: float = 0.0
    pairs: int = 0
    rounds: int = 0

    @property
    def overhead(self) -> float:
        """The time of the harness as a share of the time of the server."""
        return self.elapsed_s / self.server_s - 1 if self.server_s else 0.0


@dataclass(frozen=True, slots=True)
class Bench:
    """Two states on the bench, measured against each other.

    `empty_buffers` is called before each execution in the regime *cold*. In the A/A run
    (`is_control`) the plans are the same by design and settle nothing. With `is_nested`
    the connections are inside transactions that have to stay as they are, because
    indexes are hidden there.
    """

    before: Probe
    after: Probe
    budget: Budget
    placement: str = NOT_PINNED
    empty_buffers: Callable[[], None] | None = None
    is_control: bool = False
    is_nested: bool = False
    time_spent: TimeSpent = field(default_factory=TimeSpent)

    @property
    def probes(self) -> tuple[Probe, Probe]:
        """Both sides, before first."""
        return self.before, self.after

    def keep(self, store: Store, work: Callable[[], Pair]) -> None:
        """Do the work and write both Measurements, with the time it took, at once."""
        start = time.perf_counter()
        pair = work()
        elapsed_s = time.perf_counter() - start
        store.add(
            (probe.state, replace(one, seconds=one.seconds + elapsed_s / 2))
            for probe, one in zip(self.probes, pair, strict=True)
        )
        self.time_spent.elapsed_s += time.perf_counter() - start


def measure_all(
    bench: Bench,
    work: Work,
    store: Store,
    report: Callable[[Progress], None] = lambda progress: None,
) -> int:
    """Take a first look at what the store does not know yet, and keep it pair by pair.

    Returns the number of pairs measured now. Whoever interrupts it loses at most
    the pair at work.
    """
    known = [store.known(probe.state, bench.budget.timeout_ms) for probe in bench.probes]
    measured = 0
    for done, (query, parameters) in enumerate(work):
        report(Progress(done, len(work), query.name))
        if all((query.fingerprint, parameters.fingerprint) in keys for keys in known):
            continue
        bench.keep(store, partial(first_look, bench, query, parameters))
        bench.time_spent.pairs += 1
        measured += 1
    report(Progress(len(work), len(work), ""))
    return measured


def first_look(bench: Bench, query: Query, parameters: ParameterSet) -> Pair:
    """Return both Plans and the first rounds."""
    plans = [_explain(bench, probe, query, parameters) for probe in bench.probes]
    if any(is_cut_off for _, is_cut_off in plans):
        samples = _rounds_beside_a_bound(bench, query, parameters, plans)
    else:
        before, after = (read_plan(text) for text, _ in plans)
        likely = [_likely_ms(before), _likely_ms(after)]
        is_settled = does_the_same_work(before, after) and not bench.is_control
        samples = _take_turns(bench, query, parameters, likely, is_settled=is_settled)
    pair = tuple(
        _measurement(bench, query, parameters, text, sample)
        for (text, _), sample in zip(plans, samples, strict=True)
    )
    _tidy(bench, query, pair)
    return pair[0], pair[1]


def more_rounds(
    bench: Bench, query: Query, parameters: ParameterSet, pair: Pair, rounds: int
) -> Pair:
    """Return the pair with more rounds; the Plans stay."""
    likely = [one.sample.median_ms for one in pair]
    if any(one.sample.is_censored for one in pair):
        return pair
    taken = len(pair[0].sample.blocks)
    samples = _take_turns(bench, query, parameters, likely, first=taken, rounds=rounds)
    joined = tuple(
        replace(one, sample=one.sample.joined(sample.blocks), placement=bench.placement)
        for one, sample in zip(pair, samples, strict=True)
    )
    _tidy(bench, query, joined)
    return joined[0], joined[1]


def _take_turns(
    bench: Bench,
    query: Query,
    parameters: ParameterSet,
    likely: Sequence[float],
    *,
    first: int = 0,
    rounds: int | None = None,
    is_settled: bool = False,
) -> list[Sample]:
    """Take rounds of blocks, A B B A; `first` is the number of the first round.

    Without a number of rounds the budget has one, smaller where the plans have settled
    the matter already.
    """
    calls = [_calls(bench, probe, query, parameters) for probe in bench.probes]
    is_cold, block_ms = bench.empty_buffers is not None, bench.budget.block_ms
    if rounds is None:
        if not is_cold:
            likely = [
                one_ms if is_self_warming(one_ms) else min(one_ms, lanes[0].time_ms())
                for one_ms, lanes in zip(likely, calls, strict=True)
            ]
        round_ms = sum(block_cost_ms(one_ms, block_ms) for one_ms in likely)
        is_claimed = bool(query.claim) and parameters.of_class == "typical"
        rounds = bench.budget.first_rounds(
            round_ms, is_claimed=is_claimed, is_settled=is_settled
        )
    blocks: list[list[Block]] = [[], []]
    for number in range(first, first + rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            lanes = calls[side]
            # The lanes of the two sides drift apart, so that every two of them meet.
            turn = number if side == 0 else number + number // len(lanes)
            call = lanes[turn % len(lanes)]
            if not (is_cold or is_self_warming(likely[side])):
                call.time_ms()
            blocks[side].append(
                call.block(1 if is_cold else executions_of(likely[side], block_ms))
            )
    bench.time_spent.rounds += rounds
    bench.time_spent.server_s += sum(call.waited_s for lanes in calls for call in lanes)
    return [Sample(tuple(one), bench.budget.timeout_ms) for one in blocks]


def _rounds_beside_a_bound(
    bench: Bench,
    query: Query,
    parameters: ParameterSet,
    plans: Sequence[tuple[str, bool]],
) -> list[Sample]:
    """Measure a pair of which EXPLAIN ANALYZE cut off one side or both.

    That side is executed once, bare. Cut off again it is a bound, which stands beside
    every round of the other. Where it just makes it there is one round and no more: its
    one latency, repeated, would look like agreement.
    """
    samples = []
    for probe, (text, is_cut_off) in zip(bench.probes, plans, strict=True):
        (call, *_) = _calls(bench, probe, query, parameters)
        blocks = [call.block(1)]
        if not is_cut_off:
            likely_ms = _likely_ms(read_plan(text))
            rounds = bench.budget.first_rounds(
                2 * block_cost_ms(likely_ms, bench.budget.block_ms)
            )
            blocks = [
                call.block(executions_of(likely_ms, bench.budget.block_ms))
                for _ in range(rounds)
            ]
        bench.time_spent.server_s += call.waited_s
        samples.append(Sample(tuple(blocks), bench.budget.timeout_ms))
    if any(one.is_censored for one in samples):
        return samples
    return [replace(one, blocks=one.blocks[:1]) for one in samples]


def _calls(
    bench: Bench, probe: Probe, query: Query, parameters: ParameterSet
) -> list[Call]:
    """Return one Call per connection, the statement timeout set."""
    calls = []
    for connection in probe.connections:
        _set_up(connection, probe.state, bench.budget)
        calls.append(
            Call(
                connection,
                query,
                parameters,
                is_prepared=probe.state.regime in ("custom", "generic"),
                is_nested=bench.is_nested,
                before_each=bench.empty_buffers,
            )
        )
    return calls


def _set_up(connection: psycopg.Connection, state: State, budget: Budget) -> None:
    connection.execute(f"set statement_timeout = {budget.timeout_ms}".encode())
    if state.regime in ("custom", "generic"):
        mode = f"force_{state.regime}_plan"
        connection.execute(f"set plan_cache_mode = {mode}".encode())


def _likely_ms(plan: Plan) -> float:
    return plan.planning_ms + plan.execution_ms


def _measurement(
    bench: Bench, query: Query, parameters: ParameterSet, plan_text: str, sample: Sample
) -> Measurement:
    return Measurement(
        query=query.name,
        of_class=parameters.of_class,
        query_fingerprint=query.fingerprint,
        parameters_fingerprint=parameters.fingerprint,
        parameters=", ".join(
            f"{name} = {_shown(value)}"
            for name, value in zip(query.names, parameters.values, strict=True)
        ),
        sample=sample,
        plan_text=plan_text,
        placement=bench.placement,
    )


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)} values from {value[0]}" if value else "no value"
    return str(value)


def _explain(
    bench: Bench, probe: Probe, query: Query, parameters: ParameterSet
) -> tuple[str, bool]:
    """Return EXPLAIN's text and whether the statement ran into its timeout."""
    connection = probe.connection
    _set_up(connection, probe.state, bench.budget)
    is_prepared = probe.state.regime in ("custom", "generic")
    explained = explain_prepared if is_prepared else explain_text
    if bench.empty_buffers:
        bench.empty_buffers()
    start = time.perf_counter()
    try:
        with _undone(connection, bench, query):
            text = explained(connection, query.statement, parameters.values, analyze=True)
        return text, False
    except psycopg.errors.QueryCanceled:
        return explained(connection, query.statement, parameters.values), True
    except FluxlabError as error:
        raise FluxlabError(
            f"{query.path.name}:{query.line}: {query.name}, {parameters.of_class}: "
            f"{error.what}",
            error.do,
        ) from None
    finally:
        bench.time_spent.server_s += time.perf_counter() - start


def _tidy(bench: Bench, query: Query, pair: Sequence[Measurement]) -> None:
    """Remove the dead rows that rolled-back writes of many rows leave behind.

    A write that was cut off has no count of its records, and left some as well.
    """
    if bench.is_nested or not query.is_write:
        return  # VACUUM runs in no transaction
    if not any(
        one.plan.wal_records * one.sample.executions > _BULK_WAL_RECORDS
        or not one.plan.is_analyzed
        for one in pair
    ):
        return
    start = time.perf_counter()
    for probe in bench.probes:
        probe.connection.execute("set statement_timeout = 0")
        for table in query.tables:
            probe.connection.execute(SQL("vacuum {}").format(Identifier(table)))
    bench.time_spent.server_s += time.perf_counter() - start


@contextmanager
def _undone(connection: psycopg.Connection, bench: Bench, query: Query) -> Iterator[None]:
    """Undo what is done in the block; what is open around it stays open."""
    if bench.is_nested:
        with connection.transaction(force_rollback=True):
            yield
        return
    if not query.is_write:
        yield
        return
    connection.execute("begin")
    try:
        yield
    finally:
        connection.execute("rollback")
