"""What the experiments' caches stand before: rows with a version, in a real database.

A read answers as of its begin, however long it takes, as a query does. PostgreSQL where
there is one to write to; else a SQLite file, which several processes can share as well.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Protocol

import psycopg

TABLE = "flux_cache_experiment"
_TABLE_SQL = f"""
create table if not exists {TABLE} (id text primary key, version bigint not null)
"""
_FILL_SQL = f"insert into {TABLE} (id, version) values ({{0}}, 1) on conflict do nothing"
_WRITE_SQL = f"update {TABLE} set version = version + 1 where id = {{0}} returning version"
_READ_SQL = f"select id, version from {TABLE} where id = ?"
# The snapshot is of the begin, and the row is found before the sleep.
_SLOW_SQL = f"select id, version, pg_sleep(%s) from {TABLE} where id = %s"

Row = dict[str, object]


class Rows(Protocol):
    """A table of rows that count their writes."""

    async def read(self, identity: str, wait_s: float = 0.0) -> Row | None:
        """Return a row as it is now, after `wait_s` seconds; None where there is none."""
        ...

    async def write(self, identity: str) -> int:
        """Write and commit a row; return its new version."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows are: PostgreSQL when there is a conninfo, else a file of SQLite."""

    conninfo: str | None = field(repr=False)
    path: str

    @property
    def name(self) -> str:
        """The database by its name."""
        return "PostgreSQL" if self.conninfo is not None else "SQLite"

    async def open(self, connections: int) -> Rows:
        """Connect; PostgreSQL executes `connections` statements at once."""
        if self.conninfo is None:
            return _SqliteRows(self.path)
        opened = [
            await psycopg.AsyncConnection.connect(self.conninfo, autocommit=True)
            for _ in range(connections)
        ]
        return _PostgresRows(opened)

    def create(self, identities: Iterable[str]) -> None:
        """Make the table with these rows, each at version 1."""
        rows = [(one,) for one in identities]
        if self.conninfo is None:
            with closing(sqlite3.connect(self.path)) as file, file:
                file.execute("pragma journal_mode = wal")
                file.execute(_TABLE_SQL)
                file.executemany(_FILL_SQL.format("?"), rows)
            return
        with psycopg.connect(self.conninfo) as connection:
            connection.execute(_TABLE_SQL)
            with connection.cursor() as cursor:
                cursor.executemany(_FILL_SQL.format("%s").encode(), rows)

    def drop(self) -> None:
        """Drop the table."""
        if self.conninfo is not None:
            with psycopg.connect(self.conninfo) as connection:
                connection.execute(f"drop table if exists {TABLE}".encode())


class _PostgresRows:
    def __init__(self, connections: Iterable[psycopg.AsyncConnection]) -> None:
        self._all = list(connections)
        self._free: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()
        for one in self._all:
            self._free.put_nowait(one)

    async def read(self, identity: str, wait_s: float = 0.0) -> Row | None:
        async with self._lent() as connection:
            cursor = await connection.execute(_SLOW_SQL.encode(), (wait_s, identity))
            row = await cursor.fetchone()
        return None if row is None else {"id": row[0], "version": row[1]}

    async def write(self, identity: str) -> int:
        async with self._lent() as connection:
            sql = _WRITE_SQL.format("%s").encode()
            row = await (await connection.execute(sql, (identity,))).fetchone()
        return int(row[0]) if row else 0

    async def close(self) -> None:
        for one in self._all:
            await one.close()

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[psycopg.AsyncConnection]:
        connection = await self._free.get()
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)


class _SqliteRows:
    def __init__(self, path: str) -> None:
        self._file = sqlite3.connect(path, isolation_level=None, timeout=10)

    async def read(self, identity: str, wait_s: float = 0.0) -> Row | None:
        row = self._file.execute(_READ_SQL, (identity,)).fetchone()
        await asyncio.sleep(wait_s)
        return None if row is None else {"id": row[0], "version": row[1]}

    async def write(self, identity: str) -> int:
        row = self._file.execute(_WRITE_SQL.format("?"), (identity,)).fetchone()
        return int(row[0]) if row else 0

    async def close(self) -> None:
        self._file.close()
