"""A small fixed pool of database connections, and what the database itself counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import psycopg
from psycopg import AsyncRawCursor
from psycopg.rows import dict_row

from fluxlab.errors import FluxlabError
from fluxlab.workload.query import Query

Row = dict[str, object]
Values = tuple[object, ...]

_IDENTIFIER = "explain (verbose, format json) "
_COUNTS = """
select
    statements.queryid,
    sum(statements.calls) as calls,
    sum(statements.total_exec_time) as time_ms
from pg_stat_statements as statements
join pg_database on pg_database.oid = statements.dbid
where pg_database.datname = current_database()
group by statements.queryid
"""
#: Statements of databases that were dropped: nobody asks for them, and they take the room
#: in which ours are counted.
_FORGET_DROPPED = """
select pg_stat_statements_reset(0, dropped.dbid, 0)
from (
    select distinct dbid
    from pg_stat_statements
    where dbid not in (select oid from pg_database)
) as dropped
"""
_EVICTED = "select dealloc from pg_stat_statements_info"


class Pool:
    """Connections that wait to be taken; who finds none waits for the next.

    Those that are not `counted` leave no trace in pg_stat_statements.
    """

    def __init__(self, connections: Sequence[psycopg.AsyncConnection[Row]]) -> None:
        self._connections = connections
        self._free: asyncio.Queue[psycopg.AsyncConnection[Row]] = asyncio.Queue()
        for one in connections:
            self._free.put_nowait(one)

    @classmethod
    async def open(cls, conninfo: str, size: int, *, counted: bool = True) -> Self:
        """Open `size` connections to the database that `conninfo` names."""
        connections: list[psycopg.AsyncConnection[Row]] = []
        for _ in range(size):
            one = await psycopg.AsyncConnection.connect(
                conninfo,
                autocommit=True,
                row_factory=dict_row,
                cursor_factory=AsyncRawCursor,
            )
            if not counted:
                await one.execute(b"set pg_stat_statements.track = 'none'")
            connections.append(one)
        return cls(connections)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        """Take a connection for as long as the block lasts."""
        connection = await self._free.get()
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)

    async def fetch(self, query: Query, values: Values) -> tuple[list[Row], float]:
        """Run a Query; return its rows and the milliseconds, waiting for us left out."""
        async with self.take() as connection:
            start = time.perf_counter()
            cursor = await connection.execute(query.statement.encode(), values)
            rows = await cursor.fetchall() if cursor.description else []
            return rows, (time.perf_counter() - start) * 1_000

    async def write(self, queries: Iterable[tuple[Query, Values]]) -> None:
        """Run Queries in one transaction and commit it."""
        async with self.take() as connection, connection.transaction():
            for query, values in queries:
                await connection.execute(query.statement.encode(), values)

    async def close(self) -> None:
        """Close every connection."""
        for one in self._connections:
            await one.close()


@dataclass(frozen=True, slots=True)
class Counted:
    """What pg_stat_statements counted: calls and milliseconds by the name of a Query."""

    calls: Mapping[str, int]
    time_ms: Mapping[str, float]


class Statements:
    """The statements of one database, as pg_stat_statements knows them.

    `connection` is an uncounted one of a superuser. Queries that differ in their text
    alone, not in their tree, would be counted together: their names are joined.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection
        self._names: dict[int, str] = {}
        self._evicted = 0

    async def prepare(self, queries: Iterable[tuple[Query, Values]]) -> None:
        """Create the extension and learn the identifier of each Query."""
        await self._connection.execute(b"create extension if not exists pg_stat_statements")
        await self._connection.execute(b"set compute_query_id = on")
        for query, values in queries:
            cursor = await self._connection.execute(
                f"{_IDENTIFIER}{query.statement}".encode(), values, prepare=False
            )
            (row,) = await cursor.fetchall()
            (plan,) = row.values()
            identifier = int(plan[0]["Query Identifier"])  # type: ignore[index]
            known = self._names.get(identifier)
            self._names[identifier] = f"{known}, {query.name}" if known else query.name

    async def reset(self) -> None:
        """Forget what was counted in this database, and in those that are gone."""
        await self._connection.execute(_FORGET_DROPPED.encode())
        await self._connection.execute(
            b"select pg_stat_statements_reset(0,"
            b" (select oid from pg_database where datname = current_database()), 0)"
        )
        self._evicted = await self._evictions()

    async def _evictions(self) -> int:
        cursor = await self._connection.execute(_EVICTED.encode())
        (row,) = await cursor.fetchall()
        return int(str(row["dealloc"]))

    async def read(self) -> Counted:
        """Return what was counted since the reset.

        Raises FluxlabError when the server forgot statements meanwhile, for lack of room.
        """
        if await self._evictions() != self._evicted:
            raise FluxlabError(
                "pg_stat_statements forgot statements while they were counted.",
                "Raise pg_stat_statements.max, or reset what other databases have there.",
            )
        cursor = await self._connection.execute(_COUNTS.encode())
        calls: dict[str, int] = {}
        time_ms: dict[str, float] = {}
        for row in await cursor.fetchall():
            if name := self._names.get(int(str(row["queryid"]))):
                calls[name] = int(str(row["calls"]))
                time_ms[name] = float(str(row["time_ms"]))
        return Counted(calls, time_ms)
