"""Writers fail around their commits: they die, roll back, interleave; and old snapshots.

What writers commit is in a real PostgreSQL. Numbers are those of the list of faults.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Iterator

import psycopg
import pytest
from cache_faults import (
    Fault,
    LoaderFailed,
    Model,
    in_thread,
    opened,
    play,
    told,
    until,
)
from cache_process import process
from cache_servers import Valkey, valkey
from psycopg.conninfo import make_conninfo

from fluxlab.caching.cache import Cache
from fluxlab.caching.keys import build_key
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

USER = "1"
KEY, TAG = build_key.user(USER), build_key.user(USER)


@pytest.fixture(scope="module", autouse=True)
def _told(say: Callable[[str], None]) -> Iterator[None]:
    with told(say, "writers"):
        yield


@pytest.fixture(scope="module")
def running() -> Iterator[Valkey]:
    with valkey() as server:
        yield server


@pytest.fixture
def server(running: Valkey) -> Valkey:
    """An empty server."""
    running.say("FLUSHALL")
    return running


@pytest.fixture
def table(postgres: PostgresServer) -> Iterator[Table]:
    """A table of one user in the session's PostgreSQL."""
    name = f"cache_faults_{secrets.token_hex(4)}"
    with connect(postgres, "postgres") as connection:
        connection.execute(f"create table {name} (id text primary key, version integer)")
        connection.execute(f"insert into {name} values ('{USER}', 1)")
        try:
            yield Table(make_conninfo(postgres.conninfo, dbname="postgres"), name)
        finally:
            connection.execute(f"drop table {name}")


class Table(Model):
    """The same as a model, in a table: loads are statements of a session."""

    def __init__(self, conninfo: str, name: str) -> None:
        super().__init__()
        self.conninfo, self.name = conninfo, name
        self.read = f"select version from {name} where id = '{USER}'"
        self.update = f"update {name} set version = version + 1 where id = '{USER}'"
        self.reading: psycopg.AsyncConnection | None = None

    async def load(self, user: str) -> list[object]:
        self.loads += 1
        assert self.reading is not None
        cursor = await self.reading.execute(self.read)
        row = await cursor.fetchone()
        assert row is not None
        return [user, row[0]]

    async def session(self, *, autocommit: bool = True) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(self.conninfo, autocommit=autocommit)


def play_on(
    table: Table,
    url: str,
    number: int,
    what: str,
    scene: Callable[[Fault, Cache, psycopg.AsyncConnection], Awaitable[None]],
) -> None:
    """Play a scene with a cache, a session of the readers and one of a writer."""

    async def whole(fault: Fault) -> None:
        fault.model = table
        async with await table.session() as reading, await table.session() as writing:
            table.reading = reading
            async with opened(url) as (cache,):
                await until(lambda: hits(fault, cache), "a hit")
                await scene(fault, cache, writing)
                await until(lambda: hits(fault, cache), "a hit afterwards")
                fault.has_recovered = True

    play(number, what, whole)


async def hits(fault: Fault, cache: Cache) -> bool:
    answer = await fault.read(cache, USER)
    return answer is not None and answer.outcome == "hit"


async def version_read(fault: Fault, cache: Cache) -> tuple[object, str]:
    answer = await fault.read(cache, USER)
    assert answer is not None
    assert isinstance(answer.value, list)
    return answer.value[1], answer.outcome


def test_a_writer_that_dies_before_its_commit_keeps_readers_away_for_a_barrier(
    server: Valkey, table: Table
) -> None:
    async def scene(fault: Fault, cache: Cache, _: psycopg.AsyncConnection) -> None:
        with process("writes", server.url, table.conninfo, table.update) as writer:
            assert await version_read(fault, cache) == (1, "bypass")
            writer.kill()
        assert await version_read(fault, cache) == (1, "bypass")
        await until(lambda: hits(fault, cache), "a hit")
        assert await version_read(fault, cache) == (1, "hit")

    play_on(table, server.url, 24, "writer killed before its commit", scene)


def test_a_writer_that_dies_after_its_commit_leaves_nothing_older_behind(
    server: Valkey, table: Table
) -> None:
    async def scene(fault: Fault, cache: Cache, _: psycopg.AsyncConnection) -> None:
        with process("commits", server.url, table.conninfo, table.update) as writer:
            # It never came to its invalidation: the barrier has to do.
            fault.done(cache, USER, 2, told=True)
            assert await version_read(fault, cache) == (2, "bypass")
            writer.kill()
        async with opened(server.url) as (another,):
            assert await version_read(fault, another) == (2, "bypass")
            await until(lambda: hits(fault, another), "a hit")
        assert await version_read(fault, cache) == (2, "hit")

    play_on(table, server.url, 25, "writer killed after its commit", scene)


def test_a_writer_that_rolls_back_shows_nobody_what_it_did_not_do(
    server: Valkey, table: Table
) -> None:
    async def scene(fault: Fault, cache: Cache, writer: psycopg.AsyncConnection) -> None:
        async def give_up() -> None:
            async with cache.writing(tags=[TAG]), writer.transaction():
                await writer.execute(table.update)
                assert await version_read(fault, cache) == (1, "bypass")
                raise LoaderFailed

        with pytest.raises(LoaderFailed):
            await give_up()
        # No barrier is left to be waited for.
        assert await version_read(fault, cache) == (1, "miss")

    play_on(table, server.url, 26, "writer rolls back", scene)


def test_two_writers_interleaved_in_every_way_leave_nothing_stale(
    server: Valkey, table: Table
) -> None:
    steps = sorted({*itertools.permutations("aaabbb")})
    assert len(steps) == 20

    async def scene(fault: Fault, cache: Cache, session: psycopg.AsyncConnection) -> None:
        async with opened(server.url) as (elsewhere,):
            for order in steps:
                writers = {
                    "a": _Writer(fault, cache, session),
                    "b": _Writer(fault, elsewhere, session),
                }
                for name in order:
                    await writers[name].step()
                    await asyncio.gather(
                        *(fault.read(one, USER) for one in (cache, elsewhere, cache))
                    )
                await until(lambda: hits(fault, cache), "a hit")
                cursor = await session.execute(table.read)
                assert await cursor.fetchone() == ((await version_read(fault, cache))[0],)

    play_on(table, server.url, 27, "two writers", scene)


class _Writer:
    """A writer in three steps: raise the barrier, commit, take it away."""

    def __init__(
        self, fault: Fault, cache: Cache, session: psycopg.AsyncConnection
    ) -> None:
        self.fault, self.cache, self.session = fault, cache, session
        self.writing = cache.writing(tags=[TAG])
        self.version = 0
        self.steps = iter((self.begin, self.commit, self.end))

    async def step(self) -> None:
        await next(self.steps)()

    async def begin(self) -> None:
        await self.writing.__aenter__()
        assert self.writing.is_barred

    async def commit(self) -> None:
        table = self.fault.model
        assert isinstance(table, Table)
        cursor = await self.session.execute(f"{table.update} returning version")
        row = await cursor.fetchone()
        assert row is not None
        self.version = row[0]
        # From its commit on: under the barrier every reader goes to the database.
        self.fault.done(self.cache, USER, self.version, told=True)

    async def end(self) -> None:
        await self.writing.__aexit__(None, None, None)


def test_a_loader_on_an_older_snapshot_is_the_limit_that_is_documented(
    server: Valkey, table: Table
) -> None:
    async def scene(fault: Fault, cache: Cache, writer: psycopg.AsyncConnection) -> None:
        async with await table.session(autocommit=False) as old:
            await old.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await old.execute(table.read)  # its snapshot is taken
            await writer.execute(table.update)
            assert await cache.invalidate.user(USER)

            async def load() -> object:
                cursor = await old.execute(table.read)
                row = await cursor.fetchone()
                return [USER, row[0] if row else None]

            # The load begins after the invalidation, and still reads what was before.
            assert (await cache.read(KEY, load)).value == [USER, 1]
            await until(lambda: cache.exists(KEY), "stored")
            assert await version_read(fault, cache) == (1, "hit")
            fault.within_limits += 1
        # It lasts until the next invalidation, or the lifetime of the entry.
        assert await cache.invalidate.user(USER)
        fault.done(cache, USER, 2, told=True)
        assert await version_read(fault, cache) == (2, "miss")

    play_on(table, server.url, 28, "older snapshot", scene)


def test_writers_and_readers_at_once_on_postgresql_leave_nothing_stale(
    server: Valkey, table: Table
) -> None:
    async def scene(fault: Fault, cache: Cache, session: psycopg.AsyncConnection) -> None:
        async with opened(server.url) as (elsewhere,):

            async def read(one: Cache) -> None:
                for _ in range(100):
                    await fault.read(one, USER)

            async def write(one: Cache) -> None:
                for _ in range(15):
                    writer = _Writer(fault, one, session)
                    for _ in range(3):
                        await writer.step()
                    await asyncio.sleep(0.005)

            both = (cache, elsewhere)
            await asyncio.gather(
                *(work(one) for one in both for work in (read, read, read, write))
            )
            await in_thread(lambda: server.say("PING"))

    play_on(table, server.url, 27, "writers and readers", scene)
