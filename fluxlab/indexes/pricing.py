"""Measure Prices: execute the writes of a table with an index and without it.

In a scratch database, in transactions that roll back. With an index is measured once
for all indexes of a table; without it, once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from fluxlab.errors import FluxlabError
from fluxlab.indexes import wal
from fluxlab.indexes.hiding import hidden
from fluxlab.indexes.planner import Key, Planner, Question
from fluxlab.indexes.price import Operation, Price, WriteCost, priced
from fluxlab.plans.explain import explain_text
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.workload.clock import Call, CpuClock
from fluxlab.workload.sample import Block, Sample
from fluxlab.workload.stats import Speedup, compare

#: Executions to average over: a page splits once in about a hundred insertions.
_EXECUTIONS = 12
#: A write that touches more blocks is executed less often: it has many rows to average.
_MANY_BLOCKS, _FEW_EXECUTIONS = 5_000, 3
#: Rounds of the clocks, A B B A, each side of about this long.
_ROUNDS, _BLOCK_MS = 4, 5.0
_PLANNINGS = 30
#: Free space for new versions of rows, as a table has that autovacuum looks after; with
#: less the versions of the executions before would be in the way.
FILLFACTOR = 70

_COUNTS = """
select
    pg_stat_get_xact_tuples_updated(%(table)s::regclass),
    pg_stat_get_xact_tuples_hot_updated(%(table)s::regclass)
"""
_INDEXES = "select indexrelid::regclass::text from pg_index where indrelid = %s::regclass"
_SAVEPOINT = "savepoint fluxlab_price"
_UNDO = "rollback to savepoint fluxlab_price; release savepoint fluxlab_price"

Sides = tuple[psycopg.Connection, psycopg.Connection]


def make_room(connection: psycopg.Connection, tables: Collection[str]) -> None:
    """Rewrite tables with free space in every page, as vacuumed ones have it.

    Rows just loaded fill their pages to the brim: no update finds room beside the old
    version, none can be HOT, and an index could not be blamed for it.
    """
    for table in sorted(tables):
        name = Identifier(table)
        connection.execute(
            SQL("alter table {} set (fillfactor = {})").format(name, Literal(FILLFACTOR))
        )
        connection.execute(SQL("vacuum (full, analyze) {}").format(name))


def costs_with(
    connection: psycopg.Connection,
    table: str,
    writes: Sequence[Question],
    gin: Sequence[str] = (),
) -> dict[str, WriteCost]:
    """Return what each write on a table does as things stand, by the name of its Query.

    `gin` are the table's indexes that may keep entries pending. Writes that change no
    row are left out. The session must be idle.
    """
    with hidden(connection, ()):
        return _costs(connection, table, writes, gin)


def costs_without(
    connection: psycopg.Connection,
    table: str,
    writes: Sequence[Question],
    names: Collection[str],
    gin: Sequence[str] = (),
) -> dict[str, WriteCost]:
    """Return what each write does without some indexes; `gin` stay. See `costs_with`."""
    with hidden(connection, names, from_executor=True):
        return _costs(connection, table, writes, gin)


def price(
    sides: Sides,
    index: str,
    table: str,
    on: Mapping[str, WriteCost],
    writes: Sequence[Question],
    timed: Sequence[Question] = (),
    planned: Question | None = None,
) -> Price:
    """Return what the writes on a table pay for one of its indexes.

    `sides` are two idle sessions of a scratch database, `on` what the writes do with the
    index. The clock runs for those `timed`, and for planning the statement `planned`.
    Raises FluxlabError as `hiding.hidden` does.
    """
    off_side, on_side = sides
    off = costs_without(off_side, table, writes, (index,))
    clocked = [one for one in timed if one.query.name in on]
    times = times_with(sides, (index,), clocked)
    slowdowns = {one.query.name: times[one.key] for one in clocked}
    planning_ms = 0.0
    if planned is not None:
        with hidden(off_side, (index,)), hidden(on_side, ()):
            planning_ms = _planning_ms(on_side, off_side, planned)
    return priced(index, (index,), on, off, slowdowns, planning_ms)


def times_with(
    sides: Sides, names: Collection[str], writes: Sequence[Question]
) -> dict[Key, tuple[Speedup, float]]:
    """Time writes with some indexes and without them, by the keys of their Questions.

    A Speedup, time with ÷ without, and the median without, in ms. Both sides are idle.
    """
    off_side, on_side = sides
    if not writes:
        return {}
    with hidden(off_side, names, from_executor=True), hidden(on_side, ()):
        return {one.key: _time(on_side, off_side, one) for one in writes}


def _costs(
    connection: psycopg.Connection,
    table: str,
    writes: Sequence[Question],
    gin: Sequence[str],
) -> dict[str, WriteCost]:
    for index in gin:
        _merge(connection, index)
    found = {}
    for write in writes:
        cost = _cost(connection, table, write, gin)
        if cost is not None:
            found[cost.query] = cost
    return found


def _cost(
    connection: psycopg.Connection, table: str, write: Question, gin: Sequence[str]
) -> WriteCost | None:
    first = _execute(connection, write)
    rows = _rows_written(first)
    if not rows:
        return None
    executions = _FEW_EXECUTIONS if first.blocks > _MANY_BLOCKS else _EXECUTIONS
    before, start = _counts(connection, table), wal.place(connection)
    plans = [_execute(connection, write) for _ in range(executions)]
    written = wal.written_since(connection, start)
    names = {str(row[0]) for row in connection.execute(_INDEXES, (table,), prepare=False)}
    entries = {name: one for name, one in written.items() if name in names}
    rows_wal = {name: one for name, one in written.items() if name not in names}
    after = _counts(connection, table)
    updates, hot = (
        (last - first) / executions for first, last in zip(before, after, strict=True)
    )
    return WriteCost(
        query=write.query.name,
        operation=operation_of(first),
        executions=executions,
        rows=rows,
        blocks=sum(plan.blocks for plan in plans) / executions,
        rows_wal=wal.total(rows_wal).per(executions),
        entries={name: one.per(executions) for name, one in entries.items()},
        updates=updates,
        hot_updates=hot,
        deferred={one: _merge(connection, one) / (executions + 1) for one in gin},
    )


def hot_share(
    connection: psycopg.Connection, table: str, write: Question, executions: int = 2
) -> float:
    """Return which share of a write's updates is HOT; 0 where it updates nothing.

    Call it in the block of `hiding.hidden`. What it writes is rolled back.
    """
    before = _counts(connection, table)
    for _ in range(executions):
        _execute(connection, write)
    after = _counts(connection, table)
    updates, hot = (last - first for first, last in zip(before, after, strict=True))
    return hot / updates if updates else 0.0


def _execute(connection: psycopg.Connection, write: Question) -> Plan:
    connection.execute(_SAVEPOINT)
    try:
        text = explain_text(
            connection, write.query.statement, write.parameters.values, analyze=True
        )
    finally:
        connection.execute(_UNDO)
    return read_plan(text)


def _counts(connection: psycopg.Connection, table: str) -> tuple[int, int]:
    row = connection.execute(_COUNTS, {"table": table}, prepare=False).fetchone()
    assert row is not None
    return int(row[0] or 0), int(row[1] or 0)


def operation_of(plan: Plan) -> Operation:
    """Return what the first node that writes does."""
    for node in plan.nodes:
        if node.kind == "ModifyTable":
            word = str(node.facts.get("Operation", "")).lower()
            if word in ("insert", "update", "delete"):
                return word  # type: ignore[return-value]
    raise FluxlabError("The statement writes nothing.", "Price only statements that write.")


def _rows_written(plan: Plan) -> int:
    """Return the rows that the write was given: it need not return any."""
    writer = next(node for node in plan.nodes if node.kind == "ModifyTable")
    return sum(child.rows_kept for child in writer.children)


def _time(
    on_side: psycopg.Connection, off_side: psycopg.Connection, write: Question
) -> tuple[Speedup, float]:
    """Time a write on both sides, A B B A; return time with ÷ without, and without."""
    calls = [
        Call(side, write.query, write.parameters, is_nested=True)
        for side in (on_side, off_side)
    ]
    likely_ms = max(0.01, *(call.time_ms() for call in calls))
    executions = max(1, min(50, round(_BLOCK_MS / likely_ms)))
    blocks: list[list[Block]] = [[], []]
    for number in range(_ROUNDS):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            calls[side].time_ms()
            blocks[side].append(calls[side].block(executions))
    on, off = (Sample(tuple(one)) for one in blocks)
    return compare(on, off), off.median_ms


def _planning_ms(
    on_side: psycopg.Connection, off_side: psycopg.Connection, question: Question
) -> float:
    """Return what planning takes longer with the index, in ms of the backend's CPU time.

    Of the client's clock where the system does not tell CPU time.
    """
    runs: list[tuple[Callable[[], object], CpuClock]] = []
    for side in (on_side, off_side):
        planner = Planner(side)
        planner.plans((question,))
        clock = CpuClock(side.info.backend_pid)
        runs.append((lambda one=planner: one.plans((question,)), clock))  # type: ignore[misc]
    spent: list[list[float]] = [[], []]
    for number in range(_ROUNDS):
        for side_number in (0, 1) if number % 2 == 0 else (1, 0):
            run, clock = runs[side_number]
            start = clock.read_ns()
            for _ in range(_PLANNINGS):
                run()
            spent[side_number].append((clock.read_ns() - start) / _PLANNINGS / 1e6)
    on, off = (sorted(one)[len(one) // 2] for one in spent)
    return on - off


def _merge(connection: psycopg.Connection, index: str) -> float:
    """Merge the pending list of a GIN index; return the bytes of WAL that it took."""
    start = wal.place(connection)
    connection.execute("select gin_clean_pending_list(%s::regclass)", (index,))
    return wal.total(wal.written_since(connection, start)).size_bytes
