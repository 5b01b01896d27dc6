"""The shared buffers: what of them tables and indexes of a database take now.

Source: manual, "pg_buffercache". The buffers are those of the whole server, so they are
asked for in one database and named by the catalog of another.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import psycopg

BLOCK_BYTES = 8192

_RELATIONS = """
select
    pg_relation_filenode(class.oid),
    coalesce(index_class.relname, class.relname),
    index_class.oid is not null
from pg_class as class
join pg_namespace as namespace
    on namespace.oid = class.relnamespace
left join pg_index as index
    on index.indexrelid = class.oid
left join pg_class as index_class
    on index_class.oid = index.indexrelid
where namespace.nspname = 'public'
    and class.relkind in ('r', 'i', 'm')
"""
_EXTENSION = "create extension if not exists pg_buffercache"
_BUFFERS = """
select relfilenode, count(*)
from pg_buffercache
where reldatabase = (select oid from pg_database where datname = %s)
    and relforknumber = 0
group by relfilenode
"""
_ALL = "select setting::bigint from pg_settings where name = 'shared_buffers'"


@dataclass(frozen=True, slots=True)
class Buffers:
    """Buffers of 8 kB: those of the server, and those taken by a database, by relation."""

    all: int
    tables: dict[str, int]
    indexes: dict[str, int]

    def of(self, names: Collection[str]) -> int:
        """Return how many buffers some indexes take."""
        return sum(count for name, count in self.indexes.items() if name in names)


def read_buffers(asking: psycopg.Connection, named: psycopg.Connection) -> Buffers:
    """Return what lies in the shared buffers of the database that `named` is connected to.

    `asking` makes the extension where it is missing, in a transaction that its caller
    rolls back. Raises psycopg.Error where it may not.
    """
    relations = {
        filenode: (str(name), bool(is_index))
        for filenode, name, is_index in named.execute(_RELATIONS).fetchall()
    }
    asking.execute(_EXTENSION)
    rows = asking.execute(_BUFFERS, (named.info.dbname,)).fetchall()
    every = asking.execute(_ALL).fetchone()
    assert every is not None
    tables: dict[str, int] = {}
    indexes: dict[str, int] = {}
    for filenode, count in rows:
        if filenode in relations:
            name, is_index = relations[filenode]
            (indexes if is_index else tables)[name] = int(count)
    return Buffers(int(every[0]), tables, indexes)
