"""Steps where things are not as in the lab: partitions, lost sessions, other owners."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from step_sessions import SPRINT, known, tidy_session

from fluxlab.errors import FluxlabError
from fluxlab.indexes.definition import parse_index
from fluxlab.indexes.steps import apply, apply_all, read_steps, undo
from fluxlab.progress import Tick
from fluxlab.servers.connections import connect, uri
from fluxlab.servers.postgres import PostgresServer


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with tidy_session(postgres, module_database) as opened:
        yield opened


def test_a_partitioned_table_is_indexed_in_place_only(
    connection: psycopg.Connection,
) -> None:
    index = parse_index("create index i on parts (at, id)")
    before = known(connection)
    with connection.transaction(force_rollback=True):
        connection.execute("create table parts (id int, at date) partition by range (at)")
        for year in (2025, 2026):
            connection.execute(
                f"create table parts_{year} partition of parts "
                f"for values from ('{year}-01-01') to ('{year + 1}-01-01')".encode()
            )
        connection.execute(
            "insert into parts "
            "select g, date '2025-06-01' + g from generate_series(1, 500) as g"
        )

        assert apply(connection, index).was == "built"
        there = apply(connection, index)

        every = known(connection)
        parts = [one for name, one in every.items() if name.startswith("parts_")]
        assert there.was == "there"
        assert there.size_bytes == sum(one.size_bytes for one in parts) > 0
        assert undo(connection, index)
        # An index of a partitioned table takes those of the partitions with it.
        assert {name for name in known(connection) if name not in before} == set()


def test_what_only_another_way_of_building_allows_is_said(
    postgres: PostgresServer, database: str
) -> None:
    with connect(postgres, database) as connection:
        connection.execute("create table parts (id int) partition by range (id)")

        with pytest.raises(FluxlabError, match="partitioned") as caught:
            apply(
                connection, parse_index("create index i on parts (id)"), concurrently=True
            )

    assert "in place" in caught.value.do


@pytest.mark.parametrize("concurrently", [False, True])
def test_a_session_that_is_ended_is_an_error_and_the_next_one_goes_on(
    postgres: PostgresServer,
    database: str,
    concurrently: bool,
) -> None:
    steps = read_steps(SPRINT)
    with connect(postgres, database) as connection, connect(postgres, database) as other:

        def end(tick: Tick) -> None:
            if tick.done == 3:
                pid = connection.info.backend_pid
                other.execute("select pg_terminate_backend(%s, 5000)", (pid,))

        with pytest.raises(FluxlabError, match="broke off") as caught:
            apply_all(connection, steps[:6], concurrently=concurrently, report=end)

        assert "Run the same again" in caught.value.do
        found = [one.was for one in apply_all(other, steps[:6])]
    assert found == ["there"] * 3 + ["built"] * 3


# --- a database of somebody else's -------------------------------------------------------


@pytest.fixture
def shop(postgres: PostgresServer) -> Iterator[tuple[psycopg.Connection, str]]:
    """A database that fluxlab did not make, its owner's session, and its URL."""
    with connect(postgres, "postgres") as keeper:
        keeper.execute("create role keeper login")
        keeper.execute("create role clerk login")
        keeper.execute("create database shop owner keeper")
        try:
            url = uri(postgres, "shop")
            with psycopg.connect(url, user="keeper", autocommit=True) as owner:
                owner.execute("create table orders (id int, code text)")
                owner.execute(
                    "insert into orders select g, 'x' || g from generate_series(1, 999) g"
                )
                yield owner, url
        finally:
            keeper.execute("drop database shop with (force)")
            keeper.execute("drop role keeper")
            keeper.execute("drop role clerk")


def test_the_owner_of_a_table_needs_no_other_right(
    shop: tuple[psycopg.Connection, str],
) -> None:
    owner, url = shop
    index = parse_index("create index by_code on orders (lower(code)) where code <> ''")

    assert apply(owner, index, concurrently=True).was == "built"
    assert apply(owner, index, concurrently=True).was == "there"
    assert owner.execute("select from pg_stats where tablename = 'by_code'").fetchall()
    with (
        psycopg.connect(url, user="clerk", autocommit=True) as clerk,
        pytest.raises(FluxlabError, match="must be owner of table orders") as caught,
    ):
        apply(clerk, parse_index("create index own on orders (id)"))
    assert "Connect as the owner" in caught.value.do
    assert undo(owner, index)
