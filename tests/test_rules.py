"""Every rule against its fault, the right fix, the tempting wrong one and its own.

The cases stand in `rule_cases_*.py`; what a rule says beyond them in `test_rules_*.py`.
"""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest
import rule_cases_indexes
import rule_cases_joins
import rule_cases_scans
import rule_cases_sorts
import rule_cases_whole
from rule_cases import Case, check_fault, check_own_fix, check_right_fix, check_wrong_fix

from fluxlab.plans.rules.table import RULES

CASES: tuple[Case, ...] = (
    *rule_cases_scans.CASES,
    *rule_cases_indexes.CASES,
    *rule_cases_joins.CASES,
    *rule_cases_sorts.CASES,
    *rule_cases_whole.CASES,
)
#: Why no case on the server of the tests shows the fault of a rule.
WITHOUT_CASE = {
    "R41": "that server cannot compile; test_rules_whole.py reads recorded plans"
}


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
def test_the_sql_that_a_rule_offers_runs_and_silences_it(
    connection: psycopg.Connection, case: Case
) -> None:
    check_own_fix(connection, case)


def test_every_rule_has_a_case_or_a_reason_to_have_none() -> None:
    ids = [rule.id for rule in RULES]

    assert max(Counter(ids).values()) == 1
    assert {case.rule for case in CASES} == set(ids) - set(WITHOUT_CASE)
    assert set(WITHOUT_CASE) <= set(ids)


def test_every_case_has_a_name_of_its_own_and_both_fixes() -> None:
    assert max(Counter(map(str, CASES)).values()) == 1
    for case in CASES:
        assert case.right or case.rewritten
        assert case.wrong or case.miswritten
