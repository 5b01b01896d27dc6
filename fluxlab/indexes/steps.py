"""Steps: apply index definitions to a database and take them away again.

The catalog is the ledger. An index that is there, valid and equal needs nothing; an
invalid one, which a failed concurrent build left behind, is dropped and built again; one
of the same name and another definition is an error. So whatever interrupts a migration,
running it again ends in the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal

import psycopg
from psycopg.pq import TransactionStatus

from fluxlab.errors import FluxlabError
from fluxlab.indexes.building import Builder, Built
from fluxlab.indexes.definition import IndexDef
from fluxlab.indexes.known import find_presence, located
from fluxlab.indexes.migration import Step, read_steps
from fluxlab.indexes.patience import Patience, migrating, patiently
from fluxlab.progress import Report, Tick

__all__ = [
    "Built",
    "Step",
    "apply",
    "apply_all",
    "outlook",
    "read_steps",
    "undo",
    "undo_all",
]

PHASE = "indexes"
_HAS_STATISTICS = """
select
from pg_stats
where schemaname = %s
    and tablename = %s
"""


def apply(
    connection: psycopg.Connection,
    index: IndexDef,
    *,
    concurrently: bool = False,
    lock_timeout_s: float = 2.0,
    attempts: int = 5,
    wait_s: float = 300.0,
) -> Built:
    """Build one index where it is missing; see `apply_all`."""
    (built,) = apply_all(
        connection,
        [Step(1, index, "")],
        concurrently=concurrently,
        lock_timeout_s=lock_timeout_s,
        attempts=attempts,
        wait_s=wait_s,
    )
    return built


def undo(
    connection: psycopg.Connection,
    index: IndexDef,
    *,
    concurrently: bool = False,
    lock_timeout_s: float = 2.0,
    attempts: int = 5,
    wait_s: float = 300.0,
) -> bool:
    """Drop one index; tell whether it was there. See `undo_all`."""
    (was_there,) = undo_all(
        connection,
        [Step(1, index, "")],
        concurrently=concurrently,
        lock_timeout_s=lock_timeout_s,
        attempts=attempts,
        wait_s=wait_s,
    )
    return was_there


def apply_all(
    connection: psycopg.Connection,
    steps: Sequence[Step],
    *,
    concurrently: bool = False,
    lock_timeout_s: float = 2.0,
    attempts: int = 5,
    wait_s: float = 300.0,
    report: Report = lambda tick: None,
) -> tuple[Built, ...]:
    """Build every index that is missing or broken, one after the other, in their order.

    In place each is a transaction of its own, and writers of its table wait for it; where
    the caller is in a transaction, all of them are part of that. With `concurrently`
    nobody waits, and the connection must be in autocommit. A lock on a table is waited
    for `lock_timeout_s`, as many times as there are `attempts`; a concurrent build then
    waits up to `wait_s` for older transactions to end. Tables with new indexes on
    expressions are analysed at the end: only then has the planner statistics on them.

    Raises FluxlabError where an index of the name has another definition, where the
    server refuses one, where a lock is not to be had, and where another migration runs.
    What is built by then stays, and is found by the next call.
    """
    patience = Patience(lock_timeout_s, attempts, wait_s)
    _check_session(connection, is_concurrent=concurrently)
    built = []
    with migrating(connection):
        for done, step in enumerate(steps):
            report(Tick(PHASE, done, len(steps), step.index.name))
            index = located(connection, step.index)
            builder = Builder(connection, index, patience, concurrently)
            built.append(patiently(connection, index, patience, builder.build))
        _analyse(connection, [one.index for one in built], patience)
        report(Tick(PHASE, len(steps), len(steps)))
    return tuple(built)


def undo_all(
    connection: psycopg.Connection,
    steps: Sequence[Step],
    *,
    concurrently: bool = False,
    lock_timeout_s: float = 2.0,
    attempts: int = 5,
    wait_s: float = 300.0,
    report: Report = lambda tick: None,
) -> tuple[bool, ...]:
    """Drop every index of the steps, the last one first; tell which were there.

    What a failed concurrent build left of them goes too. Waits, and raises, as `apply_all`
    does; also for an index that a constraint is made of.
    """
    patience = Patience(lock_timeout_s, attempts, wait_s)
    _check_session(connection, is_concurrent=concurrently)
    were_there = []
    with migrating(connection):
        for done, step in enumerate(reversed(steps)):
            report(Tick(PHASE, done, len(steps), step.index.name))
            index = located(connection, step.index)
            builder = Builder(connection, index, patience, concurrently)
            were_there.append(patiently(connection, index, patience, builder.drop))
        report(Tick(PHASE, len(steps), len(steps)))
    return tuple(reversed(were_there))


def outlook(
    connection: psycopg.Connection, steps: Iterable[Step]
) -> tuple[Literal["there", "missing", "broken"], ...]:
    """Return how far a database is with each step, and change nothing.

    Raises FluxlabError where `apply_all` would before it builds anything.
    """
    found: list[Literal["there", "missing", "broken"]] = []
    for step in steps:
        index = located(connection, step.index)
        find = partial(find_presence, connection, index)
        presence = patiently(connection, index, Patience(attempts=1), find)
        if presence.is_built:
            found.append("there")
        else:
            found.append("broken" if presence.leftovers else "missing")
    return tuple(found)


def _check_session(connection: psycopg.Connection, *, is_concurrent: bool) -> None:
    status = connection.info.transaction_status
    if is_concurrent and not (connection.autocommit and status == TransactionStatus.IDLE):
        raise FluxlabError(
            "A concurrent build cannot be part of a transaction.",
            "Use a connection in autocommit and outside a transaction, or build in place.",
        )


def _analyse(
    connection: psycopg.Connection, indexes: Iterable[IndexDef], patience: Patience
) -> None:
    """Analyse the tables whose indexes on expressions have no statistics yet.

    Asked of the catalog, too: whoever built them may have been killed before this.
    """
    lacking = {
        index.relation: index
        for index in indexes
        if any(key.is_expression for key in index.keys)
        and not connection.execute(_HAS_STATISTICS, (index.schema, index.name)).fetchone()
    }
    for relation, index in lacking.items():
        analyse = partial(connection.execute, f"analyze {relation}".encode())
        patiently(connection, index, patience, analyse)
