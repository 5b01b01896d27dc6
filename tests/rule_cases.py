"""Rules under test: a fault, its right fix and the tempting wrong one, on a real server.

Tables of Cases stand in `rule_cases_*.py`, and `test_rules.py` runs them all;
`fresh_schema` gives each test a session of its own in an empty schema.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from pglast.parser import split

from fluxlab.plans.asking import read_surroundings
from fluxlab.plans.findings import Finding
from fluxlab.plans.foreign import Asked, explain_safely
from fluxlab.plans.plan import Plan
from fluxlab.plans.rules.rule import Seen
from fluxlab.plans.rules.table import RULES, find
from fluxlab.plans.surroundings import NOTHING_KNOWN, Surroundings
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer


@dataclass(frozen=True, slots=True)
class Case:
    """A fault that a rule must find, what takes it away, and what only seems to.

    `setup`, `right` and `wrong` are SQL, each statement by itself. Where the fault is in
    the statement, `rewritten` is the right one and `miswritten` the wrong one. With
    `has_fix` the Finding offers SQL, which must run and silence the rule. With
    `is_pasted` the rules see the plan alone; with `is_verbose` it says what nodes return.
    `other_values` are further values of the parameters, by the name of their class.
    """

    rule: str
    fault: str
    setup: str
    statement: str
    right: str = ""
    rewritten: str | None = None
    wrong: str = ""
    miswritten: str | None = None
    values: tuple[object, ...] = ()
    other_values: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    has_fix: bool = False
    is_pasted: bool = False
    is_verbose: bool = False

    def __str__(self) -> str:
        return f"{self.rule} {self.fault}"


@contextmanager
def fresh_schema(server: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    """A session whose search path is a schema of its own, which is dropped after."""
    name = f"case_{uuid.uuid4().hex[:12]}"
    with connect(server, database) as connection:
        run(connection, f"create schema {name}; set search_path = {name}")
        # VACUUM calls no row visible to all whose commit has not been written yet.
        run(connection, "set synchronous_commit = on")
        try:
            yield connection
        finally:
            run(connection, f"drop schema {name} cascade")


def run(connection: psycopg.Connection, sql: str) -> None:
    """Run each statement by itself: VACUUM refuses any company.

    What a statement counted is written down before the next one, not a second later: a
    late count of new rows would be added to what ANALYZE counted.
    """
    for statement in split(sql):
        connection.execute(statement.encode())
        connection.execute("select pg_stat_force_next_flush()")


def found(
    connection: psycopg.Connection, case: Case, statement: str | None = None
) -> tuple[Finding, ...]:
    """What the case's rule finds in the statement, executed as things stand now."""
    plan, known = looked_at(connection, case, statement)
    return tuple(
        finding
        for rule in RULES
        if rule.id == case.rule
        for node in (plan.nodes[:1] if rule.of_plan else plan.nodes)
        if (finding := rule.check(Seen(plan, node, known)))
    )


def all_found(
    connection: psycopg.Connection,
    case: Case,
    statement: str | None = None,
    *,
    analyze: bool = True,
) -> tuple[Finding, ...]:
    """What every rule finds in the statement as things stand now."""
    return find(*looked_at(connection, case, statement, analyze=analyze))


def looked_at(
    connection: psycopg.Connection,
    case: Case,
    statement: str | None = None,
    *,
    analyze: bool = True,
) -> tuple[Plan, Surroundings]:
    """The plan of the statement as things stand now, and what is known beside it."""
    sql = statement or case.statement
    asked = Asked(analyze=analyze, may_write=True, verbose=case.is_verbose)
    plan = explain_safely(connection, sql, case.values, asked)
    if case.is_pasted:
        return plan, NOTHING_KNOWN
    return plan, read_surroundings(
        connection, plan, sql, case.values, other_values=case.other_values
    )


def check_fault(connection: psycopg.Connection, case: Case) -> None:
    """The rule fires on the fault, and says so in sentences with numbers that can be."""
    run(connection, case.setup)

    findings = found(connection, case)

    assert findings
    for finding in findings:
        assert finding.sentence.endswith(".")
        assert finding.advice.endswith(".")
        assert finding.evidence
        assert 0 <= finding.share <= 1
        assert (finding.fix is not None) == case.has_fix


def check_right_fix(connection: psycopg.Connection, case: Case) -> None:
    """The rule is silent after the right fix."""
    run(connection, case.setup)
    assert found(connection, case)

    run(connection, case.right)

    assert found(connection, case, case.rewritten) == ()


def check_wrong_fix(connection: psycopg.Connection, case: Case) -> None:
    """The rule still fires after the tempting wrong fix."""
    run(connection, case.setup)
    run(connection, case.wrong)

    assert found(connection, case, case.miswritten)


def check_own_fix(connection: psycopg.Connection, case: Case) -> None:
    """The SQL that the rule offers runs as it is, and silences the rule."""
    run(connection, case.setup)
    fix = found(connection, case)[0].fix
    assert fix is not None

    # EXPLAIN opens a transaction of its own here: what is local has to outlive it.
    run(connection, fix.replace("set local", "set"))

    assert found(connection, case) == ()
