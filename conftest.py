"""Real servers for tests and for examples: one PostgreSQL and one Valkey a session.

The session's state lives in a short temporary directory of its own, so that neither
touches the lab of the person who runs them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fluxlab.servers import postgres as postgres_server
from fluxlab.servers import redis as redis_server
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings

#: What examples find beside their own names, and the fixture that makes it.
IN_EXAMPLES = {"connection": "connection_to_users", "settings": "settings"}


@pytest.fixture(scope="session")
def settings() -> Iterator[Settings]:
    """Settings of the test session: size tiny, a home of its own, fsync off."""
    # Short, because a unix socket's path is limited to about 100 bytes, and open to
    # the account that the server runs as when the tests run as root.
    home = Path(tempfile.mkdtemp(prefix="flux-"))
    home.chmod(0o755)
    settings = Settings(home=home, size="tiny", is_durable=False)
    yield settings
    # A lab that was opened started both, whether or not a test asked for them.
    redis_server.stop(settings)
    postgres_server.stop(settings)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(settings: Settings) -> Iterator[PostgresServer]:
    """The session's PostgreSQL."""
    yield postgres_server.start(settings)
    postgres_server.stop(settings)


@pytest.fixture(scope="session")
def redis(settings: Settings) -> Iterator[RedisServer]:
    """The session's Valkey."""
    yield redis_server.start(settings)
    redis_server.stop(settings)


@pytest.fixture(scope="session")
def connection_to_users(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    """A session with a table of ten thousand users, which only it sees."""
    with connect(postgres, "postgres") as connection:
        connection.execute("create temp table users (id int primary key, name text)")
        connection.execute(
            "insert into users select n, 'user ' || n from generate_series(1, 10000) as n"
        )
        connection.execute("analyze users")
        yield connection


@pytest.fixture(autouse=True)
def _names_in_examples(
    request: pytest.FixtureRequest, doctest_namespace: dict[str, object]
) -> None:
    """Give an example what it names; nothing is started for those that name nothing."""
    if isinstance(request.node, pytest.DoctestItem):
        text = "".join(example.source for example in request.node.dtest.examples)
        for name, fixture in IN_EXAMPLES.items():
            if name in text:
                doctest_namespace[name] = request.getfixturevalue(fixture)
