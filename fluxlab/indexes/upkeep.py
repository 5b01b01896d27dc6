"""After a week of writes: what ANALYZE, VACUUM and REINDEX change, in plans and blocks.

Two sessions of one scratch database see other statistics: one has analysed and not
committed. Rows, pages and indexes are the same for both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from psycopg.sql import SQL, Identifier

from fluxlab.indexes.planner import Key, Planner, Question
from fluxlab.indexes.practices import Estimate, Growth, Statistics, Touched, Upkeep
from fluxlab.indexes.switches import Switch, switches
from fluxlab.indexes.trials import TrialStore
from fluxlab.plans.explain import explain
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.workload.measure import Bench, first_look
from fluxlab.workload.week import Week

Blocks = Mapping[str, int]
Sides = tuple[psycopg.Connection, psycopg.Connection]
_Found = dict[Key, tuple[tuple[str, ...], int]]

#: A read that takes longer after the week is not executed for its rows and blocks.
_TIMEOUT_MS = 250
#: So many indexes are rebuilt: those that grew most, beyond a few blocks.
_REBUILT, _FEW_BLOCKS = 12, 8

_SIZES = """
select relname::text, pg_relation_size(oid) / 8192
from pg_class
where relnamespace = 'public'::regnamespace
    and relkind in ('r', 'i')
order by relname
"""
_BTREES = """
select class.relname::text
from pg_class as class
join pg_am as method
    on method.oid = class.relam
where class.relkind = 'i'
    and method.amname = 'btree'
    and class.relname = any(%s)
"""


def flickering(bench: Bench, questions: Sequence[Question]) -> frozenset[Key]:
    """Return the reads whose plan ANALYZE changes though nothing has been written.

    It looks at a sample of the rows, and two samples are not alike.
    """
    with _statistics(bench) as sides:
        found = _changed(sides, _reads(questions))
    return frozenset(one.question.key for one in found)


def compare_statistics(
    bench: Bench,
    questions: Sequence[Question],
    week: Week,
    flickering: Collection[Key],
    store: TrialStore,
) -> Statistics:
    """Plan every read with the statistics from before the week and with new ones.

    The bench is nested, both sides idle in the database of the week. Pairs whose plan
    changes are measured and kept in the store, but for those that are `flickering`.
    """
    reads = _reads(questions)
    with _statistics(bench) as sides:
        found = _changed(sides, [one for one in reads if one.key not in flickering])
        for switch in found:
            one = switch.question
            store.switches.add(switch, first_look(bench, one.query, one.parameters))
        estimates = tuple(_estimates(*sides, typical(reads)))
    return Statistics(
        asked=len(reads),
        flickering=len(flickering),
        estimates=estimates,
        pairs=tuple(one.fingerprint for one in found),
        written=dict(week.written),
        rows=dict(week.rows_at_start),
    )


def _changed(sides: Sides, reads: Sequence[Question]) -> tuple[Switch, ...]:
    before, after = (Planner(side).plans(reads) for side in sides)
    return switches(reads, before, after)


@contextmanager
def _statistics(bench: Bench) -> Iterator[Sides]:
    """Let the second side see new statistics, and nobody else, until the block is left.

    Counts of rows and pages are updated in place, which both sides see; the planner asks
    the files for their size anyway.
    """
    stale, fresh = (probe.connection for probe in bench.probes)
    with _open(stale), _open(fresh):
        fresh.execute("analyze")
        yield stale, fresh


def _reads(questions: Iterable[Question]) -> list[Question]:
    return [one for one in questions if not one.query.is_write]


@contextmanager
def _open(connection: psycopg.Connection) -> Iterator[None]:
    connection.execute("begin")
    try:
        yield
    finally:
        connection.execute("rollback")


def typical(questions: Iterable[Question]) -> tuple[Question, ...]:
    """Return one class of each Query: typical, or the first there is."""
    chosen: dict[str, Question] = {}
    for one in questions:
        if one.parameters.of_class == "typical" or one.query.name not in chosen:
            chosen[one.query.name] = one
    return tuple(chosen.values())


def _estimates(
    stale: psycopg.Connection, fresh: psycopg.Connection, questions: Sequence[Question]
) -> Iterator[Estimate]:
    """Yield the worst estimate of each read that has the same plan either way."""
    for one in questions:
        old = _executed(stale, one)
        if old is None:
            continue
        new = explain(fresh, one.query.statement, one.parameters.values)
        if old.shape != new.shape:
            continue
        # Equal shapes are numbered alike.
        nodes = ((node, new.nodes[node.number - 1]) for node in _whole_scans(old.root))
        found = [
            Estimate(
                one.query.name,
                one.parameters.of_class,
                node.label,
                node.planned_rows,
                other.planned_rows,
                node["Actual Rows"],
            )
            for node, other in nodes
        ]
        if found:
            yield max(found, key=lambda node: abs(node.stale - node.rows))


def _whole_scans(node: PlanNode) -> Iterator[PlanNode]:
    """Yield the scans that ran to their end: what a Limit cuts short tells nothing."""
    if node.kind == "Limit" or (node.kind == "Materialize" and node.loops > 1):
        return
    if node.relation:
        yield node
    for child in node.children:
        yield from _whole_scans(child)


def _executed(connection: psycopg.Connection, one: Question) -> Plan | None:
    """Return the plan with its rows and blocks; None where it takes too long."""
    connection.execute(f"set statement_timeout = {_TIMEOUT_MS}".encode())
    try:
        with connection.transaction():
            return explain(
                connection, one.query.statement, one.parameters.values, analyze=True
            )
    except psycopg.errors.QueryCanceled:
        return None
    finally:
        connection.execute("set statement_timeout = 0")


def look_after(
    connection: psycopg.Connection,
    questions: Sequence[Question],
    week: Week,
    start: Blocks,
    daily: Blocks,
) -> Upkeep:
    """VACUUM and REINDEX after a week without; count blocks before and after each.

    `start` and `daily` are sizes before the week and after one with VACUUM each day.
    """
    never = sizes(connection)
    tables = {name for name in week.columns if week.written.get(name)}
    reads = [
        one for one in typical(_reads(questions)) if tables.intersection(one.query.tables)
    ]
    after_week = _blocks(connection, reads)
    connection.execute("vacuum")
    after_vacuum = _blocks(connection, reads)
    ending = sizes(connection)
    grown = _grown(connection, start, ending)
    for name in grown:
        connection.execute(SQL("reindex index {}").format(Identifier(name)))
    rebuilt = sizes(connection)
    readers = [
        one
        for one in reads
        if set(grown).intersection(after_vacuum.get(one.key, ((), 0))[0])
    ]
    after_reindex = after_vacuum | _blocks(connection, readers)
    growths = {
        name: Growth(start[name], never[name], daily[name])
        for name in start
        if never[name] != start[name] or daily[name] != start[name]
    }
    return Upkeep(
        tables={name: one for name, one in growths.items() if name in week.columns},
        indexes={name: one for name, one in growths.items() if name not in week.columns},
        rebuilt={name: (ending[name], rebuilt[name]) for name in grown},
        reads=tuple(
            Touched(
                one.query.name,
                one.parameters.of_class,
                after_vacuum[one.key][0],
                after_week[one.key][1],
                after_vacuum[one.key][1],
                after_reindex[one.key][1],
            )
            for one in reads
            if one.key in after_week and one.key in after_vacuum
        ),
    )


def sizes(connection: psycopg.Connection) -> dict[str, int]:
    """Return the blocks of every table and index, TOAST left out."""
    return {str(name): int(blocks) for name, blocks in connection.execute(_SIZES)}


def _blocks(connection: psycopg.Connection, questions: Sequence[Question]) -> _Found:
    """Return the indexes and the blocks of each read that ends in time."""
    plans = ((one.key, _executed(connection, one)) for one in questions)
    return {key: (plan.indexes, plan.blocks) for key, plan in plans if plan is not None}


def _grown(connection: psycopg.Connection, start: Blocks, ending: Blocks) -> list[str]:
    """Return the B-trees that grew most, as a factor."""
    large = [name for name in start if ending[name] >= _FEW_BLOCKS]
    rows = connection.execute(_BTREES, (large,))
    btrees = [str(row[0]) for row in rows]
    btrees.sort(key=lambda name: -ending[name] / max(1, start[name]))
    return btrees[:_REBUILT]
