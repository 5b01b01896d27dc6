"""Hidden indexes: gone for the planner and the executor, back after, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from fluxlab.dataset.databases import exists, maintenance
from fluxlab.errors import FluxlabError
from fluxlab.indexes import wal
from fluxlab.indexes.hiding import SCRATCH, hidden, scratch
from fluxlab.plans.explain import explain
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

BY_CONVERSATION = "select id from messages where conversation_id = $1"
NOBODY = ("00000000-0000-0000-0000-000000000000",)
INDEX = "idx_messages_conversation"


@pytest.fixture(scope="module")
def database(postgres: PostgresServer, template: object) -> Iterator[str]:
    with scratch(postgres, "hiding", "flux_template") as name:
        yield name


@pytest.fixture
def connection(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    with connect(postgres, database) as opened:
        yield opened


def indexes(connection: psycopg.Connection) -> tuple[str, ...]:
    return explain(connection, BY_CONVERSATION, NOBODY).indexes


def test_a_hidden_index_is_in_no_plan_and_back_when_the_block_is_left(
    connection: psycopg.Connection,
) -> None:
    assert indexes(connection) == (INDEX,)

    with hidden(connection, (INDEX,)):
        assert INDEX not in indexes(connection)

    assert indexes(connection) == (INDEX,)


def test_an_error_in_the_block_brings_the_index_back_as_well(
    connection: psycopg.Connection,
) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), hidden(connection, (INDEX,)):
        connection.execute("select 1 / 0")

    assert indexes(connection) == (INDEX,)


def test_another_session_keeps_what_this_one_hides(
    connection: psycopg.Connection, postgres: PostgresServer, database: str
) -> None:
    with hidden(connection, (INDEX,)), connect(postgres, database) as other:
        assert INDEX not in indexes(connection)
        assert indexes(other) == (INDEX,)


def test_hiding_from_the_planner_alone_leaves_the_index_maintained(
    connection: psycopg.Connection,
) -> None:
    assert wal.can_read(connection)

    def entries() -> float:
        start = wal.place(connection)
        connection.execute("savepoint here")
        connection.execute("update messages set conversation_id = conversation_id")
        written = wal.written_since(connection, start)
        connection.execute("rollback to savepoint here")
        return written.get(INDEX, wal.Wal()).records

    with hidden(connection, (INDEX,)):
        assert entries() > 100
    with hidden(connection, (INDEX,), from_executor=True):
        assert entries() == 0


def test_a_unique_index_is_not_hidden(connection: psycopg.Connection) -> None:
    with (
        pytest.raises(FluxlabError, match="keeps rows unique"),
        hidden(connection, ("users_email_key",)),
    ):
        pass


def test_an_index_that_is_not_there_is_named(connection: psycopg.Connection) -> None:
    with (
        pytest.raises(FluxlabError, match="no index idx_nowhere"),
        hidden(connection, ("idx_nowhere",)),
    ):
        pass


def test_nothing_is_hidden_in_an_open_transaction(connection: psycopg.Connection) -> None:
    connection.execute("begin")

    with pytest.raises(FluxlabError, match="transaction"), hidden(connection, (INDEX,)):
        pass


@pytest.mark.parametrize("name", ["flux_template", "postgres"])
def test_nothing_is_hidden_outside_a_scratch_database(
    postgres: PostgresServer, template: object, name: str
) -> None:
    with (
        connect(postgres, name) as opened,
        pytest.raises(FluxlabError, match="scratch databases only"),
        hidden(opened, (INDEX,)),
    ):
        pass


def test_a_name_alone_makes_no_scratch_database(postgres: PostgresServer) -> None:
    name = f"{SCRATCH}of_somebody"
    with maintenance(postgres) as keeper:
        keeper.execute(f"create database {name}".encode())
        try:
            with (
                connect(postgres, name) as opened,
                pytest.raises(FluxlabError, match="scratch databases only"),
                hidden(opened, ()),
            ):
                pass
        finally:
            keeper.execute(f"drop database {name}".encode())


def test_a_scratch_database_is_dropped_whatever_happens(
    postgres: PostgresServer, template: object
) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        scratch(postgres, "short", "flux_template") as name,
    ):
        raise ZeroDivisionError

    with maintenance(postgres) as keeper:
        assert not exists(keeper, name)


def test_hiding_gives_the_plan_that_dropping_gives(connection: psycopg.Connection) -> None:
    statement = "select id from messages where conversation_id = $1 order by created_at"
    with hidden(connection, (INDEX,)):
        without = explain(connection, statement, NOBODY)
    connection.execute("begin")
    connection.execute(f"drop index {INDEX}".encode())
    dropped = explain(connection, statement, NOBODY)
    connection.execute("rollback")

    assert without.shape == dropped.shape
    assert without.root["Total Cost"] == dropped.root["Total Cost"]
