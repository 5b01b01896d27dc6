"""Measure Queries in two states at once: a Plan and the client's clock for each.

Plans tell shape, rows and blocks; the clock tells latency; neither stands in for the
other. The two states take turns in blocks, A B B A, because the fast one looks slow
directly after the slow one. Where the server is ours both backends sit on one core
and the client on another: an unpinned comparison of a state with itself is off by up
to a factor of two. Writes are rolled back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.sql import SQL, Identifier

from fluxlab.errors import FluxlabError
from fluxlab.plans.explain import explain_text
from fluxlab.plans.plan import read_plan
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query
from fluxlab.workload.stats import Sample
from fluxlab.workload.store import Measurement, State, Store

#: SQLSTATE query_canceled: the statement timeout struck.
_CANCELED = b"57014"
#: A write beyond this leaves enough dead rows behind to slow the next one.
_BULK_WAL_RECORDS = 500
#: The order in which the states take turns; a prefix of it where time is short.
_ROUNDS = "ABBAABBA"


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: per pair of states, one Query, one ParameterSet.

    Each state gets up to four blocks of up to `executions` timed executions after one
    that is discarded, as many as fit into `block_ms`. Where that is one, three blocks
    are taken, and two beyond `slow_ms`: its plan has warmed the cache.
    """

    executions: int = 8
    block_ms: float = 40.0
    slow_ms: float = 700.0
    timeout_ms: int = 10_000


#: Latencies on tiny data are over before they mean much: little is spent on them.
EFFORT_OF_SIZE = {
    "tiny": Effort(executions=3, block_ms=15.0, slow_ms=60.0, timeout_ms=2_000)
}


@dataclass(frozen=True, slots=True)
class Probe:
    """A connection to the database of one state."""

    state: State
    connection: psycopg.Connection


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: pairs done, pairs in all, the Query at work."""

    done: int
    total: int
    query: str


def measure_all(
    probes: tuple[Probe, Probe],
    work: Sequence[tuple[Query, ParameterSet]],
    store: Store,
    effort: Effort,
    report: Callable[[Progress], None] = lambda progress: None,
) -> int:
    """Measure what the store does not know yet, and keep it pair by pair.

    Returns the number of pairs measured now. Whoever interrupts it loses at most
    the pair at work.
    """
    bound_ms = effort.timeout_ms
    known = store.known(probes[0].state, bound_ms) & store.known(probes[1].state, bound_ms)
    measured = 0
    for done, (query, parameters) in enumerate(work):
        report(Progress(done, len(work), query.name))
        if (query.fingerprint, parameters.fingerprint) in known:
            continue
        pair = measure_pair(probes, query, parameters, effort)
        store.add((probe.state, one) for probe, one in zip(probes, pair, strict=True))
        measured += 1
    report(Progress(len(work), len(work), ""))
    return measured


def measure_pair(
    probes: tuple[Probe, Probe], query: Query, parameters: ParameterSet, effort: Effort
) -> tuple[Measurement, Measurement]:
    """Return a Measurement of each state, taken in turns."""
    plans = [_explain(probe.connection, query, parameters, effort) for probe in probes]
    calls = [_Call(probe.connection, query, parameters) for probe in probes]
    likely_ms = [_likely_ms(text) for text, _ in plans]
    counts = [_executions(one_ms, effort) for one_ms in likely_ms]
    times: list[list[float]] = [[], []]
    for side in _order(likely_ms, effort):
        is_slow = plans[side][1]
        # EXPLAIN ANALYZE ran into the timeout, the bare statement may just make it.
        if is_slow and times[side]:
            continue
        count = 1 if is_slow else counts[side]
        if count > 1:
            calls[side].time_ms()
        times[side] += [calls[side].time_ms() for _ in range(count)]
    before = _measurement(query, parameters, plans[0][0], times[0], effort)
    after = _measurement(query, parameters, plans[1][0], times[1], effort)
    # A write that was cut off has no count of its records, and left some as well.
    if query.is_write and any(
        plan.wal_records > _BULK_WAL_RECORDS or not plan.is_analyzed
        for plan in (before.plan, after.plan)
    ):
        for probe in probes:
            _remove_dead_rows(probe.connection, query)
    return before, after


def _remove_dead_rows(connection: psycopg.Connection, query: Query) -> None:
    connection.execute("set statement_timeout = 0")
    for table in query.tables:
        connection.execute(SQL("vacuum {}").format(Identifier(table)))


def _order(likely_ms: Sequence[float], effort: Effort) -> list[int]:
    slowest_ms = max(likely_ms)
    blocks = (
        8 if slowest_ms <= effort.block_ms else 6 if slowest_ms <= effort.slow_ms else 4
    )
    return [_ROUNDS.index(letter) for letter in _ROUNDS[:blocks]]


def _executions(likely_ms: float, effort: Effort) -> int:
    return max(1, min(effort.executions, int(effort.block_ms / 2 / max(likely_ms, 0.001))))


def _likely_ms(plan_text: str) -> float:
    plan = read_plan(plan_text)
    return plan.planning_ms + plan.execution_ms


def _measurement(
    query: Query,
    parameters: ParameterSet,
    plan_text: str,
    times: list[float],
    effort: Effort,
) -> Measurement:
    # One execution beyond the timeout makes the whole Sample a bound.
    is_censored = not times or max(times) >= effort.timeout_ms
    bound_ms = float(effort.timeout_ms)
    return Measurement(
        query=query.name,
        of_class=parameters.of_class,
        query_fingerprint=query.fingerprint,
        parameters_fingerprint=parameters.fingerprint,
        parameters=", ".join(
            f"{name} = {_shown(value)}"
            for name, value in zip(query.names, parameters.values, strict=True)
        ),
        sample=Sample((), bound_ms) if is_censored else Sample(tuple(times)),
        plan_text=plan_text,
    )


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)} values from {value[0]}" if value else "no value"
    return str(value)


def _explain(
    connection: psycopg.Connection, query: Query, parameters: ParameterSet, effort: Effort
) -> tuple[str, bool]:
    """Return EXPLAIN's text and whether the statement ran into its timeout."""
    connection.execute(f"set statement_timeout = {effort.timeout_ms}".encode())
    with _rolled_back(connection, query):
        try:
            text = explain_text(
                connection, query.statement, parameters.values, analyze=True
            )
            return text, False
        except psycopg.errors.QueryCanceled:
            pass
        except FluxlabError as error:
            raise FluxlabError(
                f"{query.path.name}:{query.line}: {query.name}, {parameters.of_class}: "
                f"{error.what}",
                error.do,
            ) from None
    return explain_text(connection, query.statement, parameters.values), True


@contextmanager
def _rolled_back(connection: psycopg.Connection, query: Query) -> Iterator[None]:
    if not query.is_write:
        yield
        return
    connection.execute("begin")
    try:
        yield
    finally:
        connection.execute("rollback")


class _Call:
    """One statement with its values, ready to be sent; times the round trip.

    It speaks to libpq directly: the clock runs from sending to the last byte of the
    answer, and leaves out the making of Python objects. The statement is parsed and
    planned each time, as an unprepared statement of the application is.
    """

    def __init__(
        self, connection: psycopg.Connection, query: Query, parameters: ParameterSet
    ) -> None:
        self._libpq = connection.pgconn
        self._query = query
        adapter = Transformer(connection)
        formats = [psycopg.adapt.PyFormat.AUTO] * len(parameters.values)
        self._values = adapter.dump_sequence(list(parameters.values), formats)
        self._types = adapter.types
        self._formats = adapter.formats
        self._statement = query.statement.encode()

    def time_ms(self) -> float:
        """Execute once and return the milliseconds of the client's clock."""
        if self._query.is_write:
            self._libpq.exec_(b"begin")
        try:
            return self._execute()
        finally:
            if self._query.is_write:
                self._libpq.exec_(b"rollback")

    def _execute(self) -> float:
        start = time.perf_counter_ns()
        result = self._libpq.exec_params(
            self._statement, self._values, self._types, self._formats, Format.TEXT
        )
        elapsed_ms = (time.perf_counter_ns() - start) / 1e6
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            # The plan ran within the timeout and this did not: the bound is honest.
            if result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == _CANCELED:
                return elapsed_ms
            raise FluxlabError(
                f"{self._query.name} failed: {result.get_error_message()}.",
                "Run `fluxlab run` again; what was measured before is kept.",
            )
        return elapsed_ms


@contextmanager
def placed(connections: Sequence[psycopg.Connection], *, is_ours: bool) -> Iterator[str]:
    """Pin all backends to one core and this process to another; yield what was done.

    Only Linux can, only for backends of this machine, only with two cores or more.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if not is_ours or len(cores) < 2:
        yield "not pinned"
        return
    try:
        for connection in connections:
            os.sched_setaffinity(connection.info.backend_pid, {cores[-1]})
    except OSError:
        yield "not pinned"
        return
    os.sched_setaffinity(0, {cores[0]})
    try:
        yield "backends on one core, client on another"
    finally:
        os.sched_setaffinity(0, set(cores))
