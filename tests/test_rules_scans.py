"""What the rules on scans and filters say beyond their cases, on real plans."""

from __future__ import annotations

import psycopg
import pytest
from rule_cases import Case, found, looked_at, run
from rule_cases_scans import CASES

from fluxlab.plans.rules.expressions import index_on, terms_of
from fluxlab.plans.rules.rule import Seen
from fluxlab.plans.rules.scans import RULES

#: What a rule may say of the filter of one scan: one of these, never two.
DIAGNOSES = {"R01", "R02", "R03", "R04", "R05", "R06", "R18", "R54", "R55"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_scan_gets_one_diagnosis_and_none_before_it_is_executed(
    connection: psycopg.Connection, case: Case
) -> None:
    run(connection, case.setup)

    for analyze in (True, False):
        plan, known = looked_at(connection, case, analyze=analyze)
        for node in plan.nodes:
            spoken = [rule for rule in RULES if rule.check(Seen(plan, node, known))]
            ids = {rule.id for rule in spoken if not rule.of_plan}
            assert len(ids & DIAGNOSES) <= 1
            # That a node is switched off is seen before it runs.
            assert analyze or ids <= {"R51"}


def test_evidence_counts_all_processes_of_a_parallel_scan(
    connection: psycopg.Connection,
) -> None:
    case = CASES[0]
    run(connection, case.setup)
    run(
        connection,
        "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0;"
        "set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0",
    )

    plan, _ = looked_at(connection, case)
    (finding,) = found(connection, case)

    assert plan.root.kind == "Gather"
    assert finding.evidence["rows_kept"] == 80
    # EXPLAIN rounds what each process threw away.
    assert finding.evidence["rows_thrown_away"] == pytest.approx(39_920, abs=3)
    assert finding.saving_ms <= plan.execution_ms


def test_a_scan_that_keeps_a_tenth_is_left_alone(connection: psycopg.Connection) -> None:
    case = CASES[0]
    run(connection, case.setup)
    statement = "select id from files where size < 100"

    plan, known = looked_at(connection, case, statement)

    assert plan.rows_kept == plan.rows_read / 10
    assert [rule.id for rule in RULES if rule.check(Seen(plan, plan.root, known))] == []


def test_a_wide_sort_below_a_limit_is_not_called_right(
    connection: psycopg.Connection,
) -> None:
    case = next(case for case in CASES if case.rule == "R02")
    run(connection, case.setup)
    limited = "select id from files where kind = 'image' order by size limit 5"

    assert found(connection, case)
    assert found(connection, case, limited) == ()


def test_the_fix_puts_equality_before_a_range_and_constant_tests_into_the_predicate(
    connection: psycopg.Connection,
) -> None:
    case = CASES[0]
    run(connection, case.setup)
    statement = (
        "select id from files as f"
        " where created_at > '2024-03-01' and deleted_at is null and project_id = 7"
    )

    (finding,) = found(connection, case, statement)

    assert finding.fix == (
        "create index on files (project_id, created_at) where deleted_at is null;"
    )
    run(connection, finding.fix)
    assert found(connection, case, statement) == ()


def test_names_that_need_quotes_get_them(connection: psycopg.Connection) -> None:
    case = CASES[0]
    run(
        connection,
        """
        create table "My Files" as
        select number as "Id", number % 900 as "select"
        from generate_series(1, 20000) as numbers (number);
        analyze "My Files"
        """,
    )
    statement = 'select "Id" from "My Files" where "select" = 7'

    (finding,) = found(connection, case, statement)

    assert finding.fix == 'create index on "My Files" ("select");'
    run(connection, finding.fix)
    assert found(connection, case, statement) == ()


def test_an_or_offers_only_the_index_that_is_missing(
    connection: psycopg.Connection,
) -> None:
    case = next(case for case in CASES if case.rule == "R18")
    run(connection, case.setup + "create index on files (project_id)")

    (finding,) = found(connection, case)

    assert finding.fix == "create index on files (size);"


def test_a_term_of_another_table_is_a_value_and_a_subplan_survives() -> None:
    terms = terms_of(
        "((f.project_id = p.id) AND (f.size > (InitPlan 1).col1)"
        " AND (NOT (ANY (f.id = (hashed SubPlan 2).col1))) AND (f.kind = $0))",
        "f",
    )

    assert [(term.column, term.operator) for term in terms] == [
        ("project_id", "="),
        ("size", ">"),
        (None, ""),
        ("kind", "="),
    ]
    assert index_on("files", terms) == "create index on files (project_id, kind, size);"


@pytest.mark.parametrize(
    ("condition", "key", "operator"),
    [
        ("((name)::text = 'a'::text)", "name", "="),
        ("(lower((name)::text) = 'a'::text)", "lower(name::text)", "="),
        ("(5 < size)", "size", ">"),
        ("(NOT is_read)", "is_read", "false"),
        ("(id = ANY ('{1,2}'::integer[]))", "id", "= any"),
        ("((facts ->> 'a'::text) = 'b'::text)", "(facts ->> 'a'::text)", "="),
        ("((created_at)::date = '2024-01-01'::date)", "(created_at::date)", "="),
        ("(facts ? 'a'::text)", "facts", "?"),
        ("('(x) ANY (y)'::text = name)", "name", "="),
    ],
)
def test_a_condition_is_taken_apart(condition: str, key: str, operator: str) -> None:
    (term,) = terms_of(condition)

    assert (term.key, term.operator) == (key, operator)
