"""Databases and sessions for the tests; the servers stand one directory up."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from rule_cases import fresh_schema

from fluxlab.dataset.databases import clone, drop
from fluxlab.dataset.load import Dataset, build_template
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings

# A shell that starts us in the background makes us ignore Ctrl-C, and our children
# would inherit that; several tests send it to them.
signal.signal(signal.SIGINT, signal.default_int_handler)

SENTENCES = pytest.StashKey[list[str]]()


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


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    """A session in an empty schema of its own, which is dropped after the test."""
    with fresh_schema(postgres, module_database) as opened:
        yield opened


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest: whole runs, beside which all others have ended by then."""
    items.sort(key=lambda item: "test_cli.py" not in item.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the sentences of a worker to the session that reports (pytest-xdist)."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["sentences"] = session.config.stash.get(SENTENCES, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take over the sentences of a worker that is done; one that crashed has none."""
    said = getattr(node, "workeroutput", {}).get("sentences", [])
    config = node.config  # type: ignore[attr-defined]
    config.stash.setdefault(SENTENCES, []).extend(said)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for sentence in terminalreporter.config.stash.get(SENTENCES, []):
        terminalreporter.write_line(sentence)
