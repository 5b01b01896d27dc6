"""The two clocks, and the place where they are read.

The client's clock runs from sending a statement to the last byte of the answer. The
backend's CPU time is the second, quieter one: `/proc/<pid>/schedstat`, on Linux only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult

from fluxlab.errors import FluxlabError
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query
from fluxlab.workload.sample import Block

#: SQLSTATE query_canceled: the statement timeout struck.
_CANCELED = b"57014"
_STATEMENT = b"fluxlab_call"
#: What opens and undoes an execution: a transaction, or a part of one that is open.
_TRANSACTION = b"begin", b"rollback"
_SAVEPOINT = (
    b"savepoint fluxlab_call",
    b"rollback to savepoint fluxlab_call; release savepoint fluxlab_call",
)
PINNED = "backends on one core, client on another"
NOT_PINNED = "not pinned"


class Call:
    """One statement with its values on one connection, ready to be sent and timed.

    It speaks to libpq directly, so that the making of Python objects is no part of a
    latency. Unless `is_prepared` the statement is parsed and planned each time, as an
    unprepared statement of the application is. `before_each` runs off the clock. A
    write is rolled back, off the clock as well. With `is_nested` a transaction is open
    that must survive: each block of reads has a savepoint, each write one of its own.
    `waited_s` grows by all the time that the server was waited for.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        query: Query,
        parameters: ParameterSet,
        *,
        is_prepared: bool = False,
        is_nested: bool = False,
        before_each: Callable[[], None] | None = None,
    ) -> None:
        self._libpq = connection.pgconn
        self._query = query
        adapter = Transformer(connection)
        formats = [PyFormat.AUTO] * len(parameters.values)
        self._values = adapter.dump_sequence(list(parameters.values), formats)
        self._types = adapter.types
        self._formats = adapter.formats
        self._statement = query.statement.encode()
        self._before_each = before_each
        self._cpu = CpuClock(connection.info.backend_pid)
        self.waited_s = 0.0
        self._opening, self._undoing = _SAVEPOINT if is_nested else _TRANSACTION
        self._is_nested = is_nested
        self._is_prepared = is_prepared
        if is_prepared:
            # Of the Call before; an error when there was none.
            self._libpq.exec_(b"deallocate " + _STATEMENT)
            self._check(self._libpq.prepare(_STATEMENT, self._statement, self._types))

    def block(self, executions: int) -> Block:
        """Execute several times in one go; return the latencies and the CPU time each."""
        times, cpu_ns = [], 0
        with self._saved():
            for _ in range(executions):
                time_ms, spent_ns = self._once()
                times.append(time_ms)
                cpu_ns += spent_ns
        cpu_ms = cpu_ns / 1e6 / executions if self._cpu.runs else None
        return Block(tuple(times), cpu_ms)

    def time_ms(self) -> float:
        """Execute once and return the milliseconds of the client's clock."""
        with self._saved():
            return self._once()[0]

    @contextmanager
    def _saved(self) -> Iterator[None]:
        """Keep the transaction around reads alive: one that is cut off aborts it."""
        if not self._is_nested or self._query.is_write:
            yield
            return
        self._libpq.exec_(self._opening)
        try:
            yield
        finally:
            self._libpq.exec_(self._undoing)

    def _once(self) -> tuple[float, int]:
        start = time.perf_counter()
        try:
            if self._before_each:
                self._before_each()
            if self._query.is_write:
                self._libpq.exec_(self._opening)
            return self._execute()
        finally:
            if self._query.is_write:
                self._libpq.exec_(self._undoing)
            self.waited_s += time.perf_counter() - start

    def _execute(self) -> tuple[float, int]:
        cpu_ns = self._cpu.read_ns()
        start = time.perf_counter_ns()
        if self._is_prepared:
            result = self._libpq.exec_prepared(
                _STATEMENT,
                self._values,  # type: ignore[arg-type]
                self._formats,
            )
        else:
            result = self._libpq.exec_params(
                self._statement, self._values, self._types, self._formats, Format.TEXT
            )
        elapsed_ms = (time.perf_counter_ns() - start) / 1e6
        self._check(result)
        return elapsed_ms, self._cpu.read_ns() - cpu_ns

    def _check(self, result: PGresult) -> None:
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return
        # The plan ran within the timeout and this did not: the bound is honest.
        if result.error_field(DiagnosticField.SQLSTATE) != _CANCELED:
            raise FluxlabError(
                f"{self._query.name} failed: {result.get_error_message()}.",
                "Run `fluxlab run` again; what was measured before is kept.",
            )
        if self._is_nested:
            self._libpq.exec_(self._undoing)
            self._libpq.exec_(self._opening)


class CpuClock:
    """The CPU time of a process of this machine, in ns since it began.

    The first field of `/proc/<pid>/schedstat`. It stands still, at 0, where there is no
    such file. Source: Linux, Documentation/scheduler/sched-stats.
    """

    def __init__(self, pid: int) -> None:
        try:
            self._file = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY)
        except OSError:
            self._file = -1

    @property
    def runs(self) -> bool:
        """Whether the system offers this clock."""
        return self._file >= 0

    def read_ns(self) -> int:
        """Return the CPU time now; a read takes about two microseconds."""
        if self._file < 0:
            return 0
        return int(os.pread(self._file, 64, 0).split(b" ", 1)[0])

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


def can_pin(*, is_ours: bool) -> bool:
    """Whether backends and client can be given a core each."""
    return (
        is_ours and hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) >= 2
    )


@contextmanager
def placed(connections: Sequence[psycopg.Connection], *, is_ours: bool) -> Iterator[str]:
    """Pin all backends to one core and this process to another; yield what was done.

    Only Linux can, only for backends of this machine, only with two cores or more.
    """
    if not can_pin(is_ours=is_ours):
        yield NOT_PINNED
        return
    cores = sorted(os.sched_getaffinity(0))
    try:
        for connection in connections:
            os.sched_setaffinity(connection.info.backend_pid, {cores[-1]})
    except OSError:
        yield NOT_PINNED
        return
    os.sched_setaffinity(0, {cores[0]})
    try:
        yield PINNED
    finally:
        os.sched_setaffinity(0, set(cores))


def stolen_seconds() -> float:
    """Return the time that a hypervisor has kept this machine's cores from running.

    Column *steal* of `/proc/stat`, summed over cores; 0 where there is none.
    """
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text().split("\n", 1)[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK") if len(fields) > 8 else 0.0
