"""Every way of talking to the two servers: psycopg, SQLAlchemy, ADBC, redis-py."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import psycopg
import redis
import sqlalchemy
from psycopg.conninfo import conninfo_to_dict

from fluxlab.servers import dial
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer

FOREIGN_STATEMENT_TIMEOUT = "30s"
FOREIGN_LOCK_TIMEOUT = "2s"


def connect(
    server: PostgresServer,
    database: str,
    *,
    application: str = "fluxlab",
    autocommit: bool = True,
) -> psycopg.Connection:
    """Open a connection to a database of the server, without prepared statements.

    Raises FluxlabError, with no password in it.
    """
    return dial.dial(
        server.conninfo, database=database, application=application, autocommit=autocommit
    )


def connect_foreign(url: str) -> psycopg.Connection:
    """Open a session that can only read, and neither runs nor waits for long.

    For a database that we did not create: every statement and every transaction of this
    connection is read-only, and a statement that would wait for a lock gives up.
    """
    connection = dial.dial(url)
    try:
        connection.read_only = True  # for transactions that psycopg begins
        connection.execute("set default_transaction_read_only = on")
        connection.execute(f"set statement_timeout = '{FOREIGN_STATEMENT_TIMEOUT}'")
        connection.execute(f"set lock_timeout = '{FOREIGN_LOCK_TIMEOUT}'")
    except BaseException:
        connection.close()
        raise
    return connection


def engine(server: PostgresServer, database: str) -> sqlalchemy.Engine:
    """Make an SQLAlchemy engine for a database of the server."""
    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(server, database, autocommit=False),
    )


def uri(server: PostgresServer, database: str) -> str:
    """Return a postgresql:// URI, which ADBC needs; it may hold a password.

    Everything but the database is a parameter, because that form has room for socket
    directories, several hosts and TLS settings alike.
    """
    words = conninfo_to_dict(server.conninfo)
    words.pop("dbname", None)
    rest = urlencode(
        {key: str(value) for key, value in words.items()}, quote_via=quote, safe=""
    )
    return f"postgresql:///{quote(database, safe='')}?{rest}"


def redis_client(server: RedisServer) -> redis.Redis:
    """Make a client of the Redis protocol; it answers in bytes."""
    return redis.Redis.from_url(server.url)
