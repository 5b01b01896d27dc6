"""Every way of talking to the servers reaches the database that was asked for."""

from __future__ import annotations

import adbc_driver_postgresql.dbapi
import pytest
import sqlalchemy

from fluxlab.errors import FluxlabError
from fluxlab.servers import connections
from fluxlab.servers.postgres import PostgresServer

DATABASE = "a b/c%"  # needs escaping in every form of address


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    """A database with an awkward name."""
    with connections.connect(postgres, "postgres") as connection:
        connection.execute(f'create database "{DATABASE}"')
    return DATABASE


def test_psycopg_reaches_it_under_the_name_of_the_application(
    postgres: PostgresServer, database: str
) -> None:
    with connections.connect(postgres, database, application="test") as connection:
        row = connection.execute(
            "select current_database(), current_setting('application_name')"
        ).fetchone()
    assert row == (DATABASE, "test")


def test_a_connection_never_prepares_a_statement(postgres: PostgresServer) -> None:
    # A prepared plan would not notice that an index was hidden from the planner.
    with connections.connect(postgres, "postgres") as connection:
        for _ in range(20):
            connection.execute("select %s::int", [1])
        rows = connection.execute("select statement from pg_prepared_statements").fetchall()
    assert rows == []


def test_sqlalchemy_reaches_it_and_rolls_back(
    postgres: PostgresServer, database: str
) -> None:
    engine = connections.engine(postgres, database)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("create table undone (id int)"))
        connection.rollback()
    assert sqlalchemy.inspect(engine).get_table_names() == []
    engine.dispose()


def test_adbc_reaches_it_by_the_uri(postgres: PostgresServer, database: str) -> None:
    uri = connections.uri(postgres, database)
    with (
        adbc_driver_postgresql.dbapi.connect(uri) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select current_database()::text")
        assert cursor.fetchone() == (DATABASE,)


def test_a_missing_database_is_an_error_that_says_how_to_get_it(
    postgres: PostgresServer,
) -> None:
    with pytest.raises(FluxlabError, match="no database missing"):
        connections.connect(postgres, "missing")
