"""Hide real indexes in a transaction that rolls back: what if this one were not there?

An index that the planner does not see costs a millisecond, one that is dropped an
exclusive lock and its rebuilding; plans and costs are the same (4,180 plans compared,
research of this project). It is done in scratch databases of ours and nowhere else.

Source: `get_relation_info` in `src/backend/optimizer/util/plancat.c` skips an index
that is not valid, `RelationGetIndexList` one that is not live.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.pq import TransactionStatus

from fluxlab.dataset.databases import clone, drop, read_comment
from fluxlab.errors import FluxlabError
from fluxlab.servers.postgres import PostgresServer

SCRATCH = "flux_scratch_"

#: Those that PostgreSQL itself relies on: hiding one takes away a proof, not only a path.
_PILLARS = """
select index_class.relname
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
where index_class.relname = any(%s)
    and (index.indisunique or index.indisexclusion or index.indisreplident)
"""
_KNOWN = """
select index_class.relname
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_class as table_class
    on table_class.oid = index.indrelid
where index_class.relname = any(%s)
    and table_class.relnamespace = 'public'::regnamespace
"""
_FROM_PLANNER = """
update pg_index
set indisvalid = false
where indexrelid in (select to_regclass(name) from unnest(%s::text[]) as name)
"""
_FROM_EXECUTOR = """
update pg_index
set indisvalid = false, indisready = false, indislive = false
where indexrelid in (select to_regclass(name) from unnest(%s::text[]) as name)
"""
#: An update that changes nothing, and makes every session read the list of indexes anew.
_NEW_LIST = """
update pg_class
set relhasindex = relhasindex
where oid in (
    select indrelid
    from pg_index
    where indexrelid in (select to_regclass(name) from unnest(%s::text[]) as name)
)
"""
_HIDDEN = "select indexrelid::regclass::text from pg_index where not indisvalid"


@contextmanager
def scratch(server: PostgresServer, name: str, source: str) -> Iterator[str]:
    """Copy a database for as long as the block lasts; yield the name of the copy.

    A copy that a killed run left behind is dropped first.
    """
    database = f"{SCRATCH}{name}"
    clone(server, database, source=source)
    try:
        yield database
    finally:
        drop(server, database)


@contextmanager
def hidden(
    connection: psycopg.Connection,
    names: Collection[str],
    *,
    from_executor: bool = False,
) -> Iterator[None]:
    """Hide indexes from the planner until the block is left; always rolled back.

    With `from_executor` writes do not maintain them either: the same as if they were
    dropped. Only this session sees it, and nobody else can hide the same index
    meanwhile. The connection must be in autocommit and outside a transaction; what runs
    in the block is part of the transaction.

    Raises FluxlabError outside a scratch database of ours, for an index that does not
    exist, and for one that keeps rows unique.
    """
    _refuse_elsewhere(connection, names)
    connection.execute("begin")
    try:
        if names:
            wanted = [_quoted(name) for name in sorted(names)]
            if from_executor:
                connection.execute(_FROM_EXECUTOR, (wanted,), prepare=False)
                connection.execute(_NEW_LIST, (wanted,), prepare=False)
            else:
                connection.execute(_FROM_PLANNER, (wanted,), prepare=False)
            # Prepared statements keep a plan that uses what is hidden now.
            connection.execute("discard plans")
        yield
    finally:
        if not connection.closed:
            connection.execute("rollback")
            assert not connection.execute(_HIDDEN, prepare=False).fetchall()


def _refuse_elsewhere(connection: psycopg.Connection, names: Collection[str]) -> None:
    database = connection.info.dbname
    is_ours = read_comment(connection, database) is not None
    if not (database.startswith(SCRATCH) and is_ours):
        raise FluxlabError(
            f"Indexes are hidden in scratch databases only, and {database} is none.",
            "Use fluxlab.indexes.hiding.scratch() to copy it.",
        )
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise FluxlabError(
            "Indexes are hidden in a transaction of their own, and one is open.",
            "Commit it or roll it back first, and use a connection in autocommit.",
        )
    known = {row[0] for row in connection.execute(_KNOWN, (list(names),))}
    if unknown := sorted(set(names) - known):
        raise FluxlabError(
            f"There is no index {', '.join(unknown)} in {database}.",
            "Look at fluxlab.open().catalog() for their names.",
        )
    if pillars := [row[0] for row in connection.execute(_PILLARS, (list(names),))]:
        raise FluxlabError(
            f"{', '.join(pillars)} keeps rows unique: hidden, it would take proofs away "
            "from the planner, and not only a path.",
            "Leave unique indexes and those of constraints as they are.",
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
