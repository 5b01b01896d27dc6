"""Making, copying and dropping databases, and never one that is not ours."""

from __future__ import annotations

import json
from collections.abc import Mapping

import psycopg
from psycopg import sql

from fluxlab.errors import FluxlabError
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

PREFIX = "flux_"
MARK = "fluxlab"

_COMMENT = """
select shobj_description(oid, 'pg_database')
from pg_database
where datname = %s
"""


def maintenance(server: PostgresServer, application: str = "fluxlab") -> psycopg.Connection:
    """A connection from which databases are made and dropped."""
    return connect(server, "postgres", application=application)


def clone(server: PostgresServer, name: str, *, source: str = "flux_template") -> None:
    """Make a database as a copy of another; an older one of that name is dropped first.

    Raises FluxlabError when the source is missing or in use, or when `name` exists and
    is not ours.
    """
    with maintenance(server) as connection:
        drop(server, name)
        strategy = sql.SQL(" strategy file_copy" if server.version >= 150_000 else "")
        query = sql.SQL("create database {} template {}").format(
            sql.Identifier(name), sql.Identifier(source)
        )
        try:
            connection.execute(query + strategy)
        except psycopg.errors.InvalidCatalogName:
            raise FluxlabError(
                f"There is no database {source} to copy.", "Build it first: make run."
            ) from None
        except psycopg.errors.ObjectInUse:
            raise FluxlabError(
                f"Somebody is connected to {source}, so it cannot be copied.",
                "Close the sessions in that database and try again.",
            ) from None
        write_comment(connection, name, {"kind": "clone", "source": source})


def drop(server: PostgresServer, name: str) -> None:
    """Drop a database of ours if it exists, together with the sessions in it.

    On a server of our own the prefix makes it ours; on anybody else's only the comment
    that we wrote does, because `flux_…` is not a name that we own there.
    """
    with maintenance(server) as connection:
        if not exists(connection, name):
            return
        is_marked = read_comment(connection, name) is not None
        if not is_marked and not (server.is_ours and name.startswith(PREFIX)):
            raise FluxlabError(
                f"The database {name} exists, and fluxlab did not make it.",
                "Rename or drop it yourself, or use another server.",
            )
        connection.execute(
            sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
        )


def exists(connection: psycopg.Connection, name: str) -> bool:
    """Whether there is such a database."""
    query = "select 1 from pg_database where datname = %s"
    return connection.execute(query, (name,)).fetchone() is not None


def write_comment(
    connection: psycopg.Connection, name: str, facts: Mapping[str, object]
) -> None:
    """Write what we know of a database into its comment, where it cannot get lost."""
    text = json.dumps({MARK: 1, **facts})
    query = sql.SQL("comment on database {} is {}")
    connection.execute(query.format(sql.Identifier(name), sql.Literal(text)))


def read_comment(connection: psycopg.Connection, name: str) -> dict[str, object] | None:
    """What we wrote into a database's comment; None if it is missing or not ours."""
    row = connection.execute(_COMMENT, (name,)).fetchone()
    try:
        facts = json.loads(row[0]) if row and row[0] else None
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and MARK in facts else None
