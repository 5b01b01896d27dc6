"""Real servers for every test: one PostgreSQL and one Valkey for the session.

The session's state lives in a short temporary directory of its own, so that tests
never touch the lab of the person who runs them.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fluxlab.dataset.databases import clone, drop
from fluxlab.dataset.load import Dataset, build_template
from fluxlab.servers import postgres as postgres_server
from fluxlab.servers import redis as redis_server
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings

# A shell that starts us in the background makes us ignore Ctrl-C, and our children
# would inherit that; several tests send it to them.
signal.signal(signal.SIGINT, signal.default_int_handler)

SENTENCES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def settings() -> Iterator[Settings]:
    """Settings of the test session: size tiny, a home of its own, fsync off."""
    # Short, because a unix socket's path is limited to about 100 bytes, and open to
    # the account that the server runs as when the tests run as root.
    home = Path(tempfile.mkdtemp(prefix="flux-"))
    home.chmod(0o755)
    yield Settings(home=home, size="tiny", is_durable=False)
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


@pytest.fixture(autouse=True)
def _no_servers_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test must not find a server of the person who runs it."""
    for name in os.environ:
        if name.startswith(("DB_", "PG", "REDIS_", "FLUXLAB_")) or name == "DATABASE_URL":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def template(postgres: PostgresServer, settings: Settings) -> Dataset:
    """The template database of size tiny."""
    return build_template(postgres, settings)


@pytest.fixture
def database(postgres: PostgresServer, template: Dataset) -> Iterator[str]:
    """The name of a fresh copy of the template, dropped after the test."""
    with fresh_copy(postgres) as name:
        yield name


@pytest.fixture(scope="module")
def module_database(postgres: PostgresServer, template: Dataset) -> Iterator[str]:
    """The same for a whole module, whose tests leave it as they found it."""
    with fresh_copy(postgres) as name:
        yield name


@contextmanager
def fresh_copy(server: PostgresServer) -> Iterator[str]:
    name = f"flux_test_{uuid.uuid4().hex[:12]}"
    clone(server, name)
    try:
        yield name
    finally:
        drop(server, name)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a sentence to the end of the report, whether or not output is captured."""
    return request.config.stash.setdefault(SENTENCES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for sentence in terminalreporter.config.stash.get(SENTENCES, []):
        terminalreporter.write_line(sentence)
