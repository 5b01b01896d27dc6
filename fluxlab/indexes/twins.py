"""A partial index beside its twin: the same keys over all rows of the table.

One session sees the partial index only, the other its twin only, in one scratch database.
Rows, pages and buffers are the same; what differs is the predicate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg

from fluxlab.indexes.decisions import used_in
from fluxlab.indexes.definition import IndexDef
from fluxlab.indexes.hiding import hidden
from fluxlab.indexes.planner import Planner, Question
from fluxlab.indexes.practices import Twin
from fluxlab.indexes.switches import Switch
from fluxlab.indexes.trials import TrialStore
from fluxlab.progress import Report, Tick
from fluxlab.workload.measure import Bench, first_look

#: Queries that are measured for each index, those asked most often first; and fewer
#: where time is short.
_QUERIES, _FEW_QUERIES = 3, 1
_SIZE = "select pg_relation_size(to_regclass(%s))"


def twin_of(index: IndexDef) -> IndexDef:
    """Return the full index on the keys of a partial one."""
    return replace(index, name=f"{index.name}_twin"[:63], predicate=None, is_unique=False)


def compare_twins(
    bench: Bench,
    builder: psycopg.Connection,
    indexes: Sequence[IndexDef],
    questions: Sequence[Question],
    store: TrialStore,
    report: Report,
) -> tuple[Twin, ...]:
    """Build the twin of each partial index, measure who reads it, and drop the twin.

    The bench is nested, both sides on the scratch database of the `builder`, which is a
    third session. The pairs are kept in the store.
    """
    reads = [one for one in questions if not one.query.is_write]
    plans = Planner(bench.before.connection).plans(reads)
    found = []
    for done, index in enumerate(indexes):
        report(Tick("partial and full", done, len(indexes), index.name))
        readers = [one for one in reads if used_in(plans[one.key], (index.name,))]
        chosen = _chosen(readers)[: _FEW_QUERIES if bench.budget.is_frugal else _QUERIES]
        found.append(_compare(bench, builder, index, chosen, store))
    report(Tick("partial and full", len(indexes), len(indexes)))
    return tuple(found)


def _compare(
    bench: Bench,
    builder: psycopg.Connection,
    index: IndexDef,
    questions: Sequence[Question],
    store: TrialStore,
) -> Twin:
    twin = twin_of(index)
    builder.execute(twin.ddl().encode())
    try:
        sizes = [_size(builder, name) for name in (index.name, twin.name)]
        full, partial = bench.before.connection, bench.after.connection
        with hidden(full, (index.name,)), hidden(partial, (twin.name,)):
            pairs = tuple(_measure(bench, index, twin, questions, store))
    finally:
        builder.execute(twin.undo().encode())
    return Twin(index.name, sizes[0], sizes[1], pairs)


def _measure(
    bench: Bench,
    index: IndexDef,
    twin: IndexDef,
    questions: Sequence[Question],
    store: TrialStore,
) -> Iterator[str]:
    """Yield the pairs in which either index is read; of the others nothing follows."""
    for one in questions:
        before, after = (
            Planner(probe.connection).plans((one,))[one.key] for probe in bench.probes
        )
        if used_in(before, (twin.name,)) and used_in(after, (index.name,)):
            switch = Switch(one, before, after)
            store.switches.add(switch, first_look(bench, one.query, one.parameters))
            yield switch.fingerprint


def _chosen(questions: Sequence[Question]) -> tuple[Question, ...]:
    """Return one class per Query, typical where there is one, those asked most first."""
    first: dict[str, Question] = {}
    for one in sorted(questions, key=lambda one: one.parameters.of_class != "typical"):
        first.setdefault(one.query.name, one)
    return tuple(sorted(first.values(), key=lambda one: -one.query.weight))


def _size(connection: psycopg.Connection, name: str) -> int:
    row = connection.execute(_SIZE, (name,)).fetchone()
    assert row is not None
    return int(row[0] or 0)
