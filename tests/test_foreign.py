"""Explaining on somebody else's database: what is refused, and that nothing changes."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from fluxlab.errors import FluxlabError
from fluxlab.plans.foreign import Asked, explain_safely
from fluxlab.plans.statement import read_statement
from fluxlab.servers.connections import connect, connect_foreign, uri
from fluxlab.servers.postgres import PostgresServer

EXECUTED = Asked(analyze=True)
BY_EMAIL = "select id from users where email = $1"


@pytest.fixture
def foreign(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    """A session as a reader's own database gets it, with functions that do more."""
    with connect(postgres, database) as owner:
        owner.execute("create table witness (number int)")
        owner.execute(
            "create function careless() returns int language sql as "
            "$$ insert into witness values (1) returning number $$"
        )
        owner.execute("create sequence counted")
    with connect_foreign(uri(postgres, database)) as connection:
        yield connection


def test_a_statement_is_planned_and_not_executed(foreign: psycopg.Connection) -> None:
    plan = explain_safely(foreign, "delete from users")

    assert plan.root.label == "Delete on users"
    assert not plan.is_analyzed


def test_a_read_is_executed_where_that_is_asked_for(foreign: psycopg.Connection) -> None:
    plan = explain_safely(foreign, BY_EMAIL, ["nobody"], EXECUTED)

    assert plan.is_analyzed
    assert plan.root.kind == "Index Scan"
    assert plan.rows_kept == 0


@pytest.mark.parametrize(
    "sql",
    [
        "delete from users",
        "with gone as (delete from files returning id) select count(*) from gone",
        "select id from users for update",
        "create table copied as select 1",
        "select 1 into copied",
    ],
)
def test_a_write_is_not_executed_unless_that_is_allowed(
    foreign: psycopg.Connection, sql: str
) -> None:
    with pytest.raises(FluxlabError, match="--rollback-writes"):
        explain_safely(foreign, sql, (), EXECUTED)


def test_a_write_that_is_allowed_leaves_every_row_as_it_was(
    foreign: psycopg.Connection, postgres: PostgresServer, database: str
) -> None:
    with connect(postgres, database) as owner:
        before = owner.execute("select count(*), sum(hashtext(u::text)) from users u")
        kept = before.fetchone()

        plan = explain_safely(
            foreign,
            "update users set name = 'gone'",
            (),
            Asked(analyze=True, may_write=True),
        )

        after = owner.execute("select count(*), sum(hashtext(u::text)) from users u")
        assert after.fetchone() == kept
    assert plan.is_analyzed
    assert plan.wal_records > 0


def test_a_function_that_writes_is_stopped_by_the_session(
    foreign: psycopg.Connection,
) -> None:
    with pytest.raises(FluxlabError, match="writes through a function"):
        explain_safely(foreign, "select careless()", (), EXECUTED)
    with pytest.raises(FluxlabError, match="writes through a function"):
        explain_safely(foreign, "select nextval('counted')", (), EXECUTED)


@pytest.mark.parametrize(
    "sql",
    ["select 1; drop table users", "", "-- nothing", "vacuum users", "set role x"],
)
def test_what_is_not_one_planned_statement_is_refused(
    foreign: psycopg.Connection, sql: str
) -> None:
    with pytest.raises(FluxlabError, match=r"one has a plan|no statement|has no plan"):
        explain_safely(foreign, sql)


@pytest.mark.parametrize("rest", ["", " where $1::int = 1"])
def test_a_string_that_the_server_reads_otherwise_hides_no_second_statement(
    foreign: psycopg.Connection, postgres: PostgresServer, database: str, rest: str
) -> None:
    with connect(postgres, database) as owner:
        owner.execute(
            f"alter database {database} set standard_conforming_strings = off".encode()
        )
    with connect_foreign(uri(postgres, database)) as odd:
        # With that setting the first string would end where the second seems to begin.
        sql = r"select '\', '; rollback; drop table witness; --'" + rest
        plan = explain_safely(odd, sql)
        assert plan.root.label == "Result"
        found = odd.execute("select to_regclass('witness') is not null").fetchone()
        assert found == (True,)


def test_a_statement_without_values_gets_its_generic_plan(
    foreign: psycopg.Connection,
) -> None:
    plan = explain_safely(foreign, BY_EMAIL)

    assert "$1" in (plan.root.text("Index Cond") or "")


@pytest.mark.parametrize(
    ("values", "asked", "expected"),
    [
        ((), EXECUTED, "without their values"),
        (("a", "b"), Asked(), "has 1 parameters, and 2"),
    ],
)
def test_values_that_are_missing_or_too_many_are_an_error(
    foreign: psycopg.Connection,
    values: tuple[str, ...],
    asked: Asked,
    expected: str,
) -> None:
    with pytest.raises(FluxlabError, match=expected):
        explain_safely(foreign, BY_EMAIL, values, asked)


def test_a_slow_statement_is_stopped(foreign: psycopg.Connection) -> None:
    with pytest.raises(FluxlabError, match=r"longer than 0\.05 s"):
        explain_safely(
            foreign, "select pg_sleep(5)", (), Asked(analyze=True, timeout_s=0.05)
        )


def test_it_does_not_queue_behind_a_lock(
    foreign: psycopg.Connection, postgres: PostgresServer, database: str
) -> None:
    with connect(postgres, database, autocommit=False) as holder:
        holder.execute("lock table users in access exclusive mode")
        with pytest.raises(FluxlabError, match="holds a lock"):
            explain_safely(foreign, "select 1 from users", (), Asked(lock_timeout_s=0.05))
        holder.rollback()


def test_an_account_without_privileges_is_told_so(
    foreign: psycopg.Connection, postgres: PostgresServer, database: str
) -> None:
    with connect(postgres, database) as owner:
        owner.execute("create role flux_nobody")
        try:
            foreign.execute("set role flux_nobody")
            with pytest.raises(FluxlabError, match="may not do this: permission denied"):
                explain_safely(foreign, "select name from users")
        finally:
            foreign.execute("reset role")
            owner.execute("drop role flux_nobody")


def test_a_line_that_the_parser_refuses_is_named() -> None:
    with pytest.raises(FluxlabError, match=r'Line 2 .* at or near "x"'):
        read_statement("select *\nfrom users wher x")


def test_an_explain_around_a_statement_is_taken_off() -> None:
    sql = "explain (analyze, buffers) select name from users where id = $1 order by 1"

    assert read_statement(sql).sql == "SELECT name FROM users WHERE id = $1 ORDER BY 1"
