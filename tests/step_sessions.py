"""Help for the tests of Steps: a session that leaves no index, and others in its way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from fluxlab.indexes.definition import KnownIndex, parse_index, read_indexes
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT

SPRINT = ROOT / "sql" / "migrations" / "005_performance_optimization_indexes.sql"
ACTIVE = parse_index("create index active on users (is_active) where is_active")


@contextmanager
def tidy_session(server: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    """A session after which the database has the indexes that it had before."""
    with connect(server, database) as connection:
        before = set(known(connection))
        yield connection
    with connect(server, database) as keeper:
        for name, one in known(keeper).items():
            if name not in before:
                keeper.execute(one.definition.undo().encode())


def known(connection: psycopg.Connection) -> dict[str, KnownIndex]:
    """Every index of the database, by name."""
    return {one.definition.name: one for one in read_indexes(connection)}


def written(connection: psycopg.Connection) -> dict[str, str]:
    """Every index of the database that works, as the server writes it."""
    every = known(connection).items()
    return {name: one.definition.ddl() for name, one in every if one.is_valid}


@contextmanager
def held(
    server: PostgresServer, connection: psycopg.Connection, statement: str
) -> Iterator[psycopg.Connection]:
    """Another session's transaction that has executed a statement and stays open."""
    with connect(server, connection.info.dbname) as other:
        other.execute("begin")
        other.execute(statement.encode())
        yield other
