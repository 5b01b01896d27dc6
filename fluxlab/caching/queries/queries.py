"""Results of statements in the cache, by what they say and what they depend on.

A result is found again by the statement's tree, the parameters with their types, who asks
and with which settings, and what the catalog says of everything that is read. It depends
on its tables, and is forgotten when we are told that one of them changed.

A statement whose answer can change without one of its tables being written, or that must
not be answered from memory, runs past the cache: a cache must not break a query. Which,
and why, stands in `refused`. What nobody can see from here:
a write that `changed` is not told of (a cascade, a trigger, another application), and a
role that was given to another one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar, cast
from urllib.parse import quote

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from fluxlab.caching.cache import Cache
from fluxlab.caching.invalidation import Writing
from fluxlab.caching.queries.facts import Connection, Facts, ask, planned
from fluxlab.caching.queries.text import (
    Names,
    Parameters,
    Statement,
    Uncached,
    names_of,
    read_statement,
)

__all__ = ["Lend", "QueryCache", "Refusal", "Row", "alone"]

Row = dict[str, object]
#: Lends a connection that nobody else uses meanwhile, as `pool.connection` does.
Lend = Callable[[], AbstractAsyncContextManager[Connection]]

_K = TypeVar("_K")
_V = TypeVar("_V")

#: Statements that are remembered, and refusals that are counted one by one.
_MOST = 2_048
#: A result that depends on more tables than this costs more to check than it spares.
_MOST_TABLES = 32


@dataclass(frozen=True, slots=True)
class Refusal:
    """A statement that ran past the cache, why, and how often."""

    sql: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What a statement depends on, as a session sees it; or why it is not cached."""

    names: Names
    session: str
    schema: str
    tags: tuple[str, ...] = ()
    reason: str = ""


class Unplanned(Uncached):
    """The database raised an error; it will again, and this is not to be remembered."""


class QueryCache:
    """Cached SELECTs of one database; `lend` gives its connections.

    Who asks, with which settings, and whether the schema still is the same, is asked at
    every fetch: one statement to the catalog, so that only what takes longer than that is
    worth it. With `is_alike` all connections are promised to be of one role with the same
    settings, and a hit asks nothing: a changed schema is then noticed by the next load of
    the statement in this process.
    """

    def __init__(self, cache: Cache, lend: Lend, *, is_alike: bool = False) -> None:
        self._cache = cache
        self._lend = lend
        self._is_alike = is_alike
        self._latest: OrderedDict[tuple[str, ...], _Known] = OrderedDict()
        self._known: OrderedDict[tuple[str, ...], _Known] = OrderedDict()
        self._refused: OrderedDict[str, Refusal] = OrderedDict()

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """The statements that ran past the cache, those that came last at the end."""
        return tuple(self._refused.values())

    async def fetch(
        self,
        sql: str,
        params: Parameters = (),
        *,
        ttl: float | None = None,
        tables: Iterable[str] | None = None,
    ) -> list[Row]:
        """Return the rows of a statement with psycopg's placeholders, cached or not.

        `ttl` in seconds; None is that of the cache. `tables` adds to the tables that were
        found, and vouches for functions of one's own and foreign tables, which may hide
        some. Raises what the database raises.
        """
        given = tuple(sorted({_tag(table) for table in tables or ()}))
        try:
            statement = read_statement(sql, bool(params))
            if isinstance(statement, str):
                raise Uncached(statement)
            typed = statement.typed(params)
            known = await self._learn(statement, params, given)

            async def load() -> object:
                return await self._load(statement, params, given, known)

            key = _key(statement, typed, known)
            answer = await self._cache.read(key, load, ttl, known.tags)
        except Uncached as refusal:
            self._count(sql, str(refusal))
            async with self._lend() as connection:
                return await _rows(connection, sql, params)
        # Readers who share a load must not share its list.
        return [dict(row) for row in cast(list[Row], answer.value)]

    async def changed(self, *tables: str) -> bool:
        """Forget what depends on these tables, after the commit; see Cache.invalidate."""
        return await self._cache.invalidate(tags=tuple(_tag(one) for one in tables))

    def writing(self, *tables: str) -> Writing:
        """Return a block for a transaction on these tables and its commit."""
        return self._cache.writing(tags=tuple(_tag(one) for one in tables))

    async def _learn(
        self, statement: Statement, params: Parameters, given: tuple[str, ...]
    ) -> _Known:
        """Return what a statement depends on now; raise Uncached if it is not cached."""
        asked = (statement.tree, *given)
        latest = self._latest.get(asked)
        if latest is None or latest.reason or not self._is_alike:
            async with self._idle() as connection:
                names = latest.names if latest else statement.names
                facts = await _ask(connection, names)
                place = (*asked, facts.session)
                known = self._known.get(place)
                if known and known.names != names:
                    facts = await _ask(connection, known.names)
                if known is None or known.schema != facts.schema:
                    known = await _judge(connection, statement, params, given, facts)
                    _keep(self._known, place, known)
            latest = known
            _keep(self._latest, asked, known)
        if latest.reason:
            raise Uncached(latest.reason)
        return latest

    async def _load(
        self,
        statement: Statement,
        params: Parameters,
        given: tuple[str, ...],
        known: _Known,
    ) -> list[Row]:
        async with self._idle() as connection:
            facts = await _ask(connection, known.names)
            if (facts.session, facts.schema) != (known.session, known.schema):
                self._latest.pop((statement.tree, *given), None)
                raise Uncached("the schema or the session changed meanwhile")
            return await _rows(connection, statement.sql, params)

    @asynccontextmanager
    async def _idle(self) -> AsyncIterator[Connection]:
        """Lend a connection outside of a transaction, and leave it so.

        In an open one a reader may see what nobody else does, or an old snapshot.
        """
        async with self._lend() as connection:
            if connection.info.transaction_status != TransactionStatus.IDLE:
                raise Uncached("a transaction is open")
            try:
                yield connection
            finally:
                if connection.info.transaction_status != TransactionStatus.IDLE:
                    await connection.rollback()

    def _count(self, sql: str, reason: str) -> None:
        before = self._refused.pop(sql, None)
        _keep(self._refused, sql, Refusal(sql, reason, before.count + 1 if before else 1))


def alone(connection: Connection) -> Lend:
    """Lend one connection to one caller after the other."""
    turn = asyncio.Lock()

    @asynccontextmanager
    async def lend() -> AsyncIterator[Connection]:
        async with turn:
            yield connection

    return lend


async def _judge(
    connection: Connection,
    statement: Statement,
    params: Parameters,
    given: tuple[str, ...],
    facts: Facts,
) -> _Known:
    """Find everything that a statement reads, and whether its result may be kept."""
    names = facts.names
    try:
        while True:
            for definition in facts.definitions():
                names |= names_of(definition)
            if names == facts.names:
                break
            facts = await _ask(connection, names)
        facts.check(names, is_vouched=bool(given))
        missing = facts.missing & statement.names.relations
        if missing - statement.subqueries:
            raise Uncached(f"there is no table {min(missing)}")
        hidden = await _hidden(connection, statement, params, facts)
        if hidden and not given:
            raise Uncached(f"its plan reads {min(hidden)[1]}, which it does not name")
        tags = {*given, *(_tag(name) for _, name in facts.read | hidden)}
        if len(tags) > _MOST_TABLES:
            raise Uncached(f"it depends on {len(tags)} tables")
    except Unplanned:
        raise
    except Uncached as refusal:
        return _Known(names, facts.session, facts.schema, reason=str(refusal))
    return _Known(names, facts.session, facts.schema, tuple(sorted(tags)))


async def _hidden(
    connection: Connection, statement: Statement, params: Parameters, facts: Facts
) -> frozenset[tuple[str, str]]:
    """Return what the plan of a statement reads and nobody has named."""
    try:
        return await planned(connection, statement.sql, params) - facts.read
    except psycopg.Error:
        raise Unplanned("it cannot be planned") from None


async def _ask(connection: Connection, names: Names) -> Facts:
    try:
        return await ask(connection, names)
    except psycopg.Error:
        raise Unplanned("the server does not say what it reads") from None


async def _rows(connection: Connection, sql: str, params: Parameters) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), params or None)
        return await cursor.fetchall() if cursor.description else []


def _key(statement: Statement, typed: bytes, known: _Known) -> str:
    schema = blake2b(known.schema.encode(), digest_size=8).hexdigest()
    digest = blake2b(digest_size=16)
    for part in (
        statement.tree.encode(),
        typed,
        known.session.encode(),
        *(tag.encode() for tag in known.tags),
    ):
        # With its length, so that no two lists of parts run into one.
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"q:{schema}:{digest.hexdigest()}"


def _tag(table: str) -> str:
    """Return the tag of a table, `projects` and `public.projects` alike.

    Tables of one name in two schemas share a tag: both are forgotten with either.
    """
    name = table.rpartition(".")[2].strip('"').lower()
    return f"table:{quote(name, safe='')}"


def _keep(kept: OrderedDict[_K, _V], place: _K, value: _V) -> None:
    kept[place] = value
    kept.move_to_end(place)
    if len(kept) > _MOST:
        kept.popitem(last=False)
