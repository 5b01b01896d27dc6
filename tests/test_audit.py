"""Each rule of the audit on a real server: the fault, its fix, the tempting wrong fix."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from audit_cases import (
    CASES,
    RULES,
    Case,
    check_fault,
    check_own_fix,
    check_right_fix,
    check_wrong_fix,
    fresh_schema,
)

from fluxlab.servers.postgres import PostgresServer


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with fresh_schema(postgres, module_database) as opened:
        yield opened


def test_every_rule_has_a_case() -> None:
    assert sorted(case.slug for case in CASES) == sorted(rule.slug for rule in RULES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_fires_on_its_fault(connection: psycopg.Connection, case: Case) -> None:
    check_fault(connection, case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_is_silent_after_the_right_fix(
    connection: psycopg.Connection, case: Case
) -> None:
    check_right_fix(connection, case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_still_fires_after_the_tempting_wrong_fix(
    connection: psycopg.Connection, case: Case
) -> None:
    check_wrong_fix(connection, case)


@pytest.mark.parametrize("case", [case for case in CASES if case.has_fix], ids=str)
def test_the_fix_that_is_offered_silences_the_rule_and_undo_brings_it_back(
    connection: psycopg.Connection, case: Case
) -> None:
    check_own_fix(connection, case)
