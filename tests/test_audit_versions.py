"""The audit on older servers: every rule's cases, on each PostgreSQL found here.

Looked for are `/usr/lib/postgresql/*/bin` and the directories that FLUXLAB_TEST_PG_BINS
names, separated by colons. The session's own server has tests/test_audit.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from audit_cases import (
    CASES,
    RULES,
    Case,
    audited,
    check_fault,
    check_own_fix,
    check_right_fix,
    fresh_schema,
    run,
)
from servers_scratch import scratch

from fluxlab.servers import postgres as postgres_server
from fluxlab.servers.binaries import version_of
from fluxlab.servers.postgres import PostgresServer

FOLDERS = [
    *(Path(name) for name in os.environ.get("FLUXLAB_TEST_PG_BINS", "").split(":") if name),
    *Path("/usr/lib/postgresql").glob("*/bin"),
]
OTHERS = {
    version_of(folder / "postgres") // 10_000: folder
    for folder in FOLDERS
    if (folder / "initdb").exists() and version_of(folder / "postgres") >= 130_000
}
#: Where no other server is installed there is nothing to compare with.
_ALL = pytest.mark.skipif(
    not OTHERS, reason="no other PostgreSQL in /usr/lib/postgresql or FLUXLAB_TEST_PG_BINS"
)
_VERSIONS = sorted(OTHERS) or [0]


@pytest.fixture(scope="module", params=_VERSIONS, ids=lambda major: f"PostgreSQL {major}")
def older(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server of another version, for as long as its tests last."""
    with scratch() as settings:
        own = replace(settings, postgres_bin=OTHERS[request.param])
        yield postgres_server.start(own)


@pytest.fixture
def connection(older: PostgresServer) -> Iterator[psycopg.Connection]:
    with fresh_schema(older, "postgres") as opened:
        yield opened


@_ALL
def test_every_rule_is_asked_of_an_older_server(connection: psycopg.Connection) -> None:
    run(connection, "create extension pgstattuple")
    version = connection.info.server_version

    result = audited(connection)

    concerned = [rule.slug for rule in RULES if rule.since <= version]
    assert sorted(result.asked) == sorted(concerned)
    assert len(concerned) >= len(RULES) - 1
    assert [one.slug for one in result.unasked] == [
        rule.slug for rule in RULES if rule.since > version
    ]


@_ALL
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_fires_on_an_older_server(
    connection: psycopg.Connection, case: Case
) -> None:
    check_fault(connection, case)


@_ALL
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_right_fix_silences_a_rule_on_an_older_server(
    connection: psycopg.Connection, case: Case
) -> None:
    check_right_fix(connection, case)


@_ALL
@pytest.mark.parametrize("case", [case for case in CASES if case.has_fix], ids=str)
def test_the_fix_that_is_offered_runs_on_an_older_server(
    connection: psycopg.Connection, case: Case
) -> None:
    check_own_fix(connection, case)
