"""The write-ahead log of one session, counted exactly: records, bytes, page images.

EXPLAIN's figures leave out what triggers and foreign keys write, and tell neither the
bytes of page images from the rest nor one index from another. `pg_walinspect` reads the
log itself.

Source: manual, "pg_walinspect"; `src/backend/access/transam/xloginsert.c` for images.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

_HERE = "select pg_current_wal_insert_lsn()::text"
#: What is not written out yet cannot be read: a message that is flushed takes it along.
_FLUSH = "select pg_logical_emit_message(false, 'fluxlab', '', true)"
_FLUSHES_SINCE = 170_000
#: What is logged for a relation; ends of transactions and checkpoints are of none, and
#: images that hint bits call for are no work of the statement.
_AMOUNTS = """
with records as (
    select
        start_lsn,
        min(relfilenode) as filenode,
        max(record_length) - sum(coalesce(block_fpi_length, 0)) as size_bytes
    from pg_get_wal_block_info(%s::pg_lsn, %s::pg_lsn, false)
    where resource_manager <> 'XLOG'
    group by start_lsn
)
select coalesce(class.relname, '?'), count(*), sum(records.size_bytes)
from records
left join pg_class as class
    on pg_relation_filenode(class.oid) = records.filenode
group by 1
"""


@dataclass(frozen=True, slots=True)
class Wal:
    """An amount of write-ahead log; `size_bytes` is without the images of pages."""

    records: float = 0.0
    size_bytes: float = 0.0

    def __add__(self, other: Wal) -> Wal:
        """Return both together."""
        return Wal(self.records + other.records, self.size_bytes + other.size_bytes)

    def per(self, executions: float) -> Wal:
        """Return the amount of one of several executions."""
        return Wal(self.records / executions, self.size_bytes / executions)


def can_read(connection: psycopg.Connection) -> bool:
    """Whether the log can be read here; makes the extension where it is missing.

    PostgreSQL 17 or newer with pg_walinspect, and the right to use it.
    """
    if connection.info.server_version < _FLUSHES_SINCE:
        return False
    try:
        with connection.transaction():
            connection.execute("create extension if not exists pg_walinspect")
    except psycopg.Error:
        return False
    return True


def place(connection: psycopg.Connection) -> str:
    """Return where the log ends now."""
    row = connection.execute(_HERE).fetchone()
    assert row is not None
    return str(row[0])


def written_since(connection: psycopg.Connection, start: str) -> dict[str, Wal]:
    """Return what was written for each table and index since a place, by its name.

    Nobody else may write meanwhile.
    """
    end = place(connection)
    if end == start:
        return {}
    connection.execute(_FLUSH)
    rows = connection.execute(_AMOUNTS, (start, end), prepare=False)
    return {str(name): Wal(float(count), float(size)) for name, count, size in rows}


def total(amounts: dict[str, Wal]) -> Wal:
    """Return all amounts together."""
    return sum(amounts.values(), Wal())
