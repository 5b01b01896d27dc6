"""What the rules on scans and filters say beyond their cases, on real plans."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from rule_cases import Case, all_found, found, looked_at, run
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


COUNTED = "select count(*) from files where kind = 'image'"


def test_an_index_on_all_that_is_counted_answers_in_a_fraction_of_the_blocks(
    connection: psycopg.Connection,
) -> None:
    case = next(case for case in CASES if case.rule == "R02")
    run(connection, case.setup)
    before, _ = looked_at(connection, case, COUNTED)
    (finding,) = found(connection, case, COUNTED)
    assert "create index on files (kind)" in finding.advice
    assert (finding.weight, finding.evidence["blocks"]) == ("note", before.blocks)

    run(connection, "create index on files (kind)")

    # Without VACUUM it would visit the table for every row.
    (unvacuumed,) = found(connection, case, COUNTED)
    assert unvacuumed.advice.startswith("files_kind_idx holds all of it")
    run(connection, "vacuum files")
    after, _ = looked_at(connection, case, COUNTED)
    assert [node.kind for node in after.nodes if node.relation] == ["Index Only Scan"]
    assert after.blocks < before.blocks / 5


@pytest.mark.parametrize(
    ("statement", "is_narrow"),
    [
        ("select count(*) from files where kind = 'image' and size < 900", True),
        ("select max(size), min(kind) from files where size < 900 and kind > 'a'", True),
        ("select kind from files where kind <> 'font'", True),
        ("select kind, count(*) from files where kind <> 'font' group by kind", True),
        ("select count(name) from files where kind = 'image'", False),
        ("select name, count(*) from files where kind <> 'font' group by name", False),
        ("select kind from files where kind <> 'font' order by size", False),
        ("select 1 from files where kind = 'image' for update", False),
        ("select count(*) from files where not (facts @> '{\"owner\": 7}')", False),
        ("select count(*) from files where name > '2'", True),
        ("select count(*) from files where name > '2' and tags > '{a}'", False),
    ],
)
def test_verbose_tells_whether_more_is_needed_than_the_filter_tests(
    connection: psycopg.Connection, statement: str, is_narrow: bool
) -> None:
    case = replace(next(case for case in CASES if case.rule == "R02"), is_verbose=True)
    run(connection, case.setup)

    (finding,) = found(connection, case, statement)

    assert ("create index" in finding.advice) == is_narrow
    assert ("the same blocks" in finding.advice) != is_narrow


def test_what_is_counted_is_spoken_of_once(connection: psycopg.Connection) -> None:
    case = next(case for case in CASES if case.rule == "R02")
    run(connection, case.setup)

    for statement, rule in ((COUNTED, "R02"), ("select count(*) from files", "R37")):
        ids = {one.rule for one in all_found(connection, case, statement)}
        assert ids & {"R02", "R37"} == {rule}


def test_rows_that_lie_together_are_not_said_to_be_in_the_same_blocks(
    connection: psycopg.Connection,
) -> None:
    case = next(case for case in CASES if case.rule == "R02")
    run(connection, case.setup)
    statement = "select sum(size) from files where created_at > '2024-02-20'"
    before, _ = looked_at(connection, case, statement)

    (finding,) = found(connection, case, statement)

    kept = before.rows_kept and finding.evidence["share_kept"]
    assert isinstance(kept, float)
    assert 0.3 < kept < 0.8
    assert "in the order of created_at" in finding.sentence
    run(connection, "create index on files (created_at); set enable_seqscan = off")
    after, _ = looked_at(connection, case, statement)
    assert after.blocks == pytest.approx(kept * before.blocks, rel=0.3)


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
