"""Cached results of statements: one entry for one statement, and never an untrue one."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from fluxlab.caching.cache import Cache
from fluxlab.caching.queries.queries import QueryCache, alone
from fluxlab.caching.queries.text import Statement, read_statement
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer

Connection = psycopg.AsyncConnection[tuple[object, ...]]

TABLES = """
create table projects (id int primary key, name text, price numeric, owner text);
create table tasks (id int primary key, project_id int, title text, due timestamptz);
insert into projects values (1, 'Film', 1.50, current_user), (2, 'Song', 2.00, 'nobody');
insert into tasks values (1, 1, 'Cut', '2026-01-01 23:30+00'), (2, 2, 'Mix', null);
create view open_tasks as select t.* from tasks t join projects p on p.id = project_id;
create view recent_tasks as select * from tasks where due > now();
create table events (id int, day date) partition by range (day);
create table events_2025 partition of events
    for values from ('2025-01-01') to ('2026-01-01');
create function count_tasks() returns bigint language sql stable
    return (select count(*) from tasks);
create function title_of(one tasks) returns text language sql stable
    return (select name from projects where id = one.project_id);
"""


@dataclass(frozen=True)
class Place:
    """A schema of its own on the server, and a namespace of its own in the cache."""

    conninfo: str
    url: str
    schema: str
    roles: tuple[str, str]

    @asynccontextmanager
    async def connected(self, **settings: str) -> AsyncIterator[Connection]:
        found = await psycopg.AsyncConnection.connect(self.conninfo, autocommit=True)
        async with found:
            for name, value in {"search_path": self.schema, **settings}.items():
                await found.execute(f'set "{name}" = {value}')
            yield found

    @asynccontextmanager
    async def cached(self) -> AsyncIterator[Cache]:
        async with Cache.open(self.url, namespace=self.schema, deadline_s=5.0) as cache:
            yield cache


@pytest.fixture
def place(
    postgres: PostgresServer, redis: RedisServer, module_database: str
) -> Iterator[Place]:
    name = f"q{uuid.uuid4().hex[:8]}"
    roles = (f"{name}_ann", f"{name}_bob")
    with connect(postgres, module_database) as admin:
        admin.execute(f"create schema {name}")
        admin.execute(f"set search_path = {name}")
        admin.execute(TABLES)
        for role in roles:
            admin.execute(f"create role {role}")
            admin.execute(f"grant usage on schema {name} to {role}")
            admin.execute(f"grant select on all tables in schema {name} to {role}")
        yield Place(
            make_conninfo(postgres.conninfo, dbname=module_database), redis.url, name, roles
        )
        admin.execute("reset role")
        admin.execute(f"drop schema {name} cascade")
        for role in roles:
            admin.execute(f"drop owned by {role}")
            admin.execute(f"drop role {role}")


Body = Callable[[Cache, QueryCache, Connection], Awaitable[None]]


def run(place: Place, body: Body, *, is_alike: bool = False) -> None:
    """Run a test's body with a cache, its queries, and the one connection of both."""

    async def inner() -> None:
        async with place.cached() as cache, place.connected() as connection:
            queries = QueryCache(cache, alone(connection), is_alike=is_alike)
            await body(cache, queries, connection)

    asyncio.run(inner())


def counts(cache: Cache) -> tuple[int, int]:
    """Return hits and misses so far."""
    total = cache.stats().total
    return total.hits, total.misses


def test_two_spellings_of_one_statement_share_an_entry(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        first = await queries.fetch(
            "select id, name, price from projects where id = %s", (1,)
        )
        second = await queries.fetch(
            "SELECT ID, name,\n  price -- the price\nFROM projects WHERE id=%(id)s",
            {"id": 1},
        )
        assert first == second == [{"id": 1, "name": "Film", "price": Decimal("1.50")}]
        assert isinstance(second[0]["price"], Decimal)
        assert counts(cache) == (1, 1)
        first[0]["name"] = "changed by its reader"
        assert (await queries.fetch("select id, name, price from projects where id = 1"))[
            0
        ]["name"] == "Film"

    run(place, body)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select name from projects", 'select name as "Name" from projects'),
        ("select 1", "select '1'"),
        ("select 'a  b'", "select 'a b'"),
        ("select 'A'", "select 'a'"),
        ("select name from projects", "select name from tasks"),
        ("select name from projects", "select distinct name from projects"),
        ("select -1", "select 1"),
        ("select 0", "select null"),
        ("select ''", "select null"),
        ("select a from t order by a", "select a from t order by a desc"),
        ("select '-- no comment'", "select '-- another'"),
    ],
)
def test_different_statements_are_never_one(one: str, other: str) -> None:
    trees = [read_statement(text, False) for text in (one, other)]
    assert all(isinstance(found, Statement) for found in trees)
    assert len({found.tree for found in trees if isinstance(found, Statement)}) == 2


def test_two_statements_on_the_same_table_have_entries_of_their_own(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        for _ in range(2):
            assert await queries.fetch("select id from tasks where id = 1") == [{"id": 1}]
            assert await queries.fetch("select id from tasks where id = 2") == [{"id": 2}]
        assert counts(cache) == (2, 2)

    run(place, body)


def test_equal_values_of_different_types_have_entries_of_their_own() -> None:
    statement = read_statement("select %s", True)
    assert isinstance(statement, Statement)
    moment = datetime.datetime(2026, 1, 1)
    values = [1, 1.0, True, "1", Decimal(1), Decimal("1.0"), b"1", None, "", [1], (1,)]
    values += [moment, moment.date(), moment.replace(tzinfo=datetime.UTC), 0.0, -0.0]
    assert len({statement.typed((value,)) for value in values}) == len(values)


def test_who_asks_and_with_which_settings_is_part_of_the_key(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        sql = "select due::text as due, current_user::text as me from tasks where id = 1"
        answers = []
        for command in (
            "set timezone = 'UTC'",
            "set timezone = 'Asia/Tokyo'",
            "set datestyle = 'German'",
            f"set role {place.roles[0]}",
            f"set role {place.roles[1]}",
            f"set search_path = {place.schema}, public",
        ):
            await connection.execute(command)
            answers.append((await queries.fetch(sql))[0])
        assert counts(cache) == (0, 6)
        assert [one["due"] for one in answers[:3]] == [
            "2026-01-01 23:30:00+00",
            "2026-01-02 08:30:00+09",
            "02.01.2026 08:30:00 JST",
        ]
        assert [one["me"] for one in answers[3:5]] == list(place.roles)
        await queries.fetch(sql)
        assert counts(cache) == (1, 6)

    run(place, body)


def test_a_table_of_the_same_name_in_another_schema_is_another_one(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        sql = "select count(*) as count from projects"
        assert await queries.fetch(sql) == [{"count": 2}]
        other = f"{place.schema}_other"
        await connection.execute(f"create schema {other}")
        await connection.execute(f"set search_path = {other}, {place.schema}")
        try:
            assert await queries.fetch(sql) == [{"count": 2}]
            # The search path stays; what it finds changes.
            await connection.execute(f"create table {other}.projects ()")
            assert await queries.fetch(sql) == [{"count": 0}]
        finally:
            await connection.execute(f"drop schema {other} cascade")

    run(place, body)


def test_row_security_is_obeyed_by_every_role(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        ann, bob = place.roles
        sql = "select name from projects order by id"
        await connection.execute(f"set role {ann}")
        assert len(await queries.fetch(sql)) == 2
        await connection.execute("reset role")
        await connection.execute("alter table projects enable row level security")
        await connection.execute(
            "create policy own on projects using (owner = current_user)"
        )
        await connection.execute(f"update projects set owner = '{bob}' where id = 2")
        await queries.changed("projects")
        found = {}
        for _ in range(2):
            for role in (ann, bob):
                await connection.execute(f"set role {role}")
                found[role] = await queries.fetch(sql)
        assert found == {ann: [], bob: [{"name": "Song"}]}
        hits, _ = counts(cache)
        assert hits == 2
        # A policy that reads what is not in the key cannot be cached.
        await connection.execute("reset role")
        await connection.execute("drop policy own on projects")
        await connection.execute(
            "create policy own on projects using (owner = current_setting('app.me', true))"
        )
        await connection.execute(f"set role {bob}")
        assert await queries.fetch(sql) == []
        await connection.execute(f"set app.me = '{bob}'")
        assert await queries.fetch(sql) == [{"name": "Song"}]
        assert "current_setting" in queries.refused[-1].reason

    run(place, body)


def test_what_may_no_longer_be_read_is_not_read_from_the_cache(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        await connection.execute(f"set role {place.roles[0]}")
        await queries.fetch("select name from projects")
        await connection.execute("reset role")
        await connection.execute(f"revoke select on projects from {place.roles[0]}")
        await connection.execute(f"set role {place.roles[0]}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await queries.fetch("select name from projects")

    run(place, body)


def test_a_changed_schema_is_another_key(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        for change, expected in (
            ("select 1", {"id": 2, "project_id": 2, "title": "Mix", "due": None}),
            ("alter table tasks rename title to name", {"name": "Mix"}),
            ("alter table tasks add column note text default 'x'", {"note": "x"}),
            ("alter table tasks drop note, add note text default 'y'", {"note": "y"}),
        ):
            await connection.execute(change.encode())
            row = (await queries.fetch("select * from tasks where id = 2"))[0]
            assert row | expected == row
        sql = "select title_of(t) as title from tasks as t where id = 1"
        assert await queries.fetch(sql, tables=["projects"]) == [{"title": "Film"}]
        await connection.execute(
            "create or replace function title_of(one tasks) returns text "
            "language sql stable return 'none'"
        )
        assert await queries.fetch(sql, tables=["projects"]) == [{"title": "none"}]

    run(place, body)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select random()", "random is volatile"),
        ("select now()", "now reads more than its arguments"),
        ("select current_date", "it reads the clock"),
        ("select localtimestamp", "it reads the clock"),
        ("select age(due) from tasks", "it reads the clock"),
        ("select id from tasks where due > 'yesterday'", "stand for a moment"),
        ("select * from recent_tasks", "now reads more"),
        ("select id from tasks for update", "it locks rows"),
        ("select id from tasks for key share", "it locks rows"),
        ("insert into tasks values (9) returning id", "it writes"),
        (
            "with gone as (delete from tasks returning id) select id from gone",
            "it writes",
        ),
        ("select relname from pg_class limit 1", "it reads the catalog"),
        ("select table_name from information_schema.tables limit 1", "reads the catalog"),
        ("select 'tasks'::regclass::oid", "it reads the catalog"),
        ("select ctid::text from tasks", "where rows lie"),
        ("select id from tasks tablesample system (100)", "random sample"),
        ("select count_tasks()", "count_tasks may hide tables"),
        ("select t.title_of from tasks t", "title_of may hide tables"),
        ("select pg_backend_pid()", "pg_backend_pid reads more"),
        ("select current_setting('application_name')", "current_setting reads more"),
        ("show timezone", "it is not a SELECT"),
        ("explain select 1", "it is not a SELECT"),
    ],
)
def test_what_changes_by_itself_runs_past_the_cache(
    place: Place, sql: str, reason: str
) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        async with connection.transaction(force_rollback=True):
            expected = await (await connection.execute(sql.encode())).fetchall()
        rows = await queries.fetch(sql)
        assert len(rows) == len(expected)
        (refused,) = queries.refused
        assert reason in refused.reason
        assert (refused.sql, refused.count) == (sql, 1)
        assert cache.stats().total.reads == 0

    run(place, body)


def test_a_parameter_that_is_a_moment_in_words_is_refused(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        assert len(await queries.fetch("select %s::date as day", ("today",))) == 1
        assert len(await queries.fetch("select %s::text as name", ("Now or never",))) == 1
        assert len(await queries.fetch("select %s::text as name", ("Nowhere",))) == 1
        assert [one.sql for one in queries.refused] == [
            "select %s::date as day",
            "select %s::text as name",
        ]

    run(place, body)


def test_temporary_tables_and_open_transactions_are_refused(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        sql = "select count(*) as count from tasks"
        assert await queries.fetch(sql) == [{"count": 2}]
        async with connection.transaction(force_rollback=True):
            await connection.execute("delete from tasks")
            assert await queries.fetch(sql) == [{"count": 0}]
            assert queries.refused[-1].reason == "a transaction is open"
        assert await queries.fetch(sql) == [{"count": 2}]
        await connection.execute("create temp table tasks ()")
        await connection.execute(f"set search_path = pg_temp, {place.schema}")
        assert await queries.fetch(sql) == [{"count": 0}]
        assert "temporary" in queries.refused[-1].reason
        assert queries.refused[-1].count == 2

    run(place, body)


def test_a_view_a_join_and_a_partition_are_forgotten_with_their_tables(
    place: Place,
) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        of_view = "select count(*) as count from open_tasks"
        # The planner leaves the other table out of this one.
        of_join = (
            "select count(*) as count from tasks left join projects on projects.id = "
            "project_id"
        )
        of_all = "select count(*) as count from events where day > '2025-06-01'"
        for sql, table, command in (
            (of_view, "tasks", "delete from tasks where id = 1"),
            (of_view, "projects", "delete from projects where id = 2"),
            (of_join, "projects", "delete from tasks where id = 2"),
            (of_all, "events", "insert into events values (1, '2025-07-01')"),
            (of_all, "events_2025", "insert into events_2025 values (2, '2025-07-01')"),
            (of_all, "public.Events", "insert into events values (3, '2025-07-01')"),
        ):
            before = await queries.fetch(sql)
            await connection.execute(command)
            assert await queries.fetch(sql) == before
            assert await queries.changed(table)
            assert await queries.fetch(sql) != before
        assert queries.refused == ()

    run(place, body)


def test_a_named_table_vouches_for_a_function_that_hides_it(place: Place) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        sql = "select count_tasks() as count"
        assert await queries.fetch(sql, tables=["tasks"]) == [{"count": 2}]
        await connection.execute("delete from tasks")
        assert await queries.fetch(sql, tables=["tasks"]) == [{"count": 2}]
        await queries.changed("tasks")
        assert await queries.fetch(sql, tables=["tasks"]) == [{"count": 0}]
        assert queries.refused == ()

    run(place, body)


@pytest.mark.parametrize("is_in_block", [False, True])
def test_a_load_that_a_commit_overtakes_is_not_served_afterwards(
    place: Place, is_in_block: bool
) -> None:
    """The load has read the old row when the writer commits and tells us."""

    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        sql = "select id, name from projects, slowly(%s) where id = %s"
        await connection.execute(
            "create function slowly(n int) returns int language plpgsql immutable as "
            "$$ begin perform pg_sleep(0.4); return n; end $$"
        )
        async with place.connected() as writer:
            await queries.fetch(sql, (1, 2), tables=["projects"])  # learns
            fill = asyncio.create_task(queries.fetch(sql, (1, 1), tables=["projects"]))
            await asyncio.sleep(0.2)
            command = "update projects set name = 'Opera' where id = 1"
            if is_in_block:
                async with queries.writing("projects"):
                    await writer.execute(command)
            else:
                await writer.execute(command)
                await queries.changed("projects")
            await fill
        after = await queries.fetch(sql, (1, 1), tables=["projects"])
        assert after == [{"id": 1, "name": "Opera"}]
        again = await queries.fetch(sql, (1, 1), tables=["projects"])
        assert again == after
        assert queries.refused == ()

    run(place, body)


def test_alike_connections_ask_nothing_for_a_hit_and_check_at_every_load(
    place: Place,
) -> None:
    async def body(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        sql = "select count(*) as count from tasks where id > %s"
        assert await queries.fetch(sql, (0,)) == [{"count": 2}]
        await connection.close()
        assert await queries.fetch(sql, (0,)) == [{"count": 2}]
        assert counts(cache) == (1, 1)
        with pytest.raises(psycopg.OperationalError):
            await queries.fetch(sql, (1,))

    async def differs(cache: Cache, queries: QueryCache, connection: Connection) -> None:
        sql = "select count(*) as count from tasks where id > %s"
        await queries.fetch(sql, (0,))
        await connection.execute("set timezone = 'Asia/Tokyo'")
        assert await queries.fetch(sql, (2,)) == [{"count": 0}]
        assert "changed meanwhile" in queries.refused[-1].reason
        await queries.fetch(sql, (2,))
        assert queries.refused[-1].count == 1

    run(place, body, is_alike=True)
    run(place, differs, is_alike=True)


def test_a_statement_s_error_reaches_its_caller_and_a_connection_stays_usable(
    place: Place,
) -> None:
    async def inner() -> None:
        async with place.cached() as cache:
            found = await psycopg.AsyncConnection.connect(place.conninfo)
            async with found as connection:
                await connection.execute(f"set search_path = {place.schema}")
                await connection.commit()
                queries = QueryCache(cache, alone(connection))
                with pytest.raises(psycopg.errors.UndefinedTable):
                    await queries.fetch("select id from nothing")
                await connection.rollback()
                with pytest.raises(psycopg.errors.DivisionByZero):
                    await queries.fetch("select id / (id - id) from tasks")
                for _ in range(2):
                    assert len(await queries.fetch("select id from tasks")) == 2
                idle = psycopg.pq.TransactionStatus.IDLE
                assert connection.info.transaction_status == idle
                await connection.execute("create table nothing (id int)")
                await connection.commit()
                assert await queries.fetch("select id from nothing") == []
                assert cache.stats().total.hits == 1

    asyncio.run(inner())
