"""What the rules on scans of indexes say beyond their cases, on real plans."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from rule_cases import Case, found, looked_at, run
from rule_cases_indexes import CASES, READERS, TASKS

from fluxlab.plans.findings import Finding
from fluxlab.plans.reading import read_plan
from fluxlab.plans.rules.index_use import RULES
from fluxlab.plans.rules.rule import Seen
from fluxlab.plans.rules.table import find

#: Why an index reads too much: a scan gets one of these, never two.
REASONS = {"R08", "R09", "R11", "R44", "R45"}
#: What to do about rows that lie far apart: these three exclude each other as well.
PLACES = {"R12", "R13", "R15"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_scan_gets_one_reason_and_none_before_it_is_executed(
    connection: psycopg.Connection, case: Case
) -> None:
    run(connection, case.setup)

    for analyze in (True, False):
        plan, known = looked_at(connection, case, analyze=analyze)
        for node in plan.nodes:
            ids = {rule.id for rule in RULES if rule.check(Seen(plan, node, known))}
            assert len(ids & REASONS) <= 1
            assert len(ids & PLACES) <= 1
            assert analyze or ids == set()


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.rule == "R07" and case.has_fix], ids=str
)
def test_an_index_that_filters_spares_the_rows_that_are_promised(
    connection: psycopg.Connection, case: Case
) -> None:
    run(connection, case.setup)
    before, _ = looked_at(connection, case)
    (finding,) = found(connection, case)
    assert finding.fix is not None

    run(connection, finding.fix)
    after, _ = looked_at(connection, case)

    spared = sum(one.rows_removed for one in before.nodes)
    spared -= sum(one.rows_removed for one in after.nodes)
    found_rows = finding.evidence["rows_found"]
    assert isinstance(found_rows, float | int)
    assert finding.evidence["share_to_spare"] == pytest.approx(spared / found_rows, abs=0.1)
    assert after.blocks < before.blocks


def test_a_test_that_nearly_all_rows_pass_is_not_blamed_and_its_index_spares_little(
    connection: psycopg.Connection,
) -> None:
    case = next(case for case in CASES if "over two tables" in case.fault)
    run(connection, case.setup)
    before, _ = looked_at(connection, case)
    (finding,) = found(connection, case)
    (pasted,) = found(connection, replace(case, is_pasted=True))

    run(connection, case.wrong)
    after, _ = looked_at(connection, case)

    for one, confidence in ((finding, "likely"), (pasted, "possible")):
        assert "the filter on created_at throws" in one.sentence
        assert "created_at > coalesce(readers.seen_at, …)" in one.advice
        assert (one.confidence, one.fix) == (confidence, None)
    removed = [sum(one.rows_removed for one in plan.nodes) for plan in (before, after)]
    assert 0.95 < removed[1] / removed[0] < 1


def test_where_nobody_knows_which_test_throws_rows_away_less_is_promised(
    connection: psycopg.Connection,
) -> None:
    case = next(case for case in CASES if "keeps every row" in case.fault)
    run(connection, case.setup)

    (finding,) = found(connection, case)
    (pasted,) = found(connection, replace(case, is_pasted=True))

    assert (finding.confidence, pasted.confidence) == ("likely", "possible")
    assert "the filter on user_id throws" in finding.sentence
    assert "does not say which of user_id, title throws" in pasted.advice
    assert pasted.evidence["share_to_spare"] == 0.5
    assert finding.evidence["share_to_spare"] == pytest.approx(0.99, abs=0.01)
    assert pasted.fix == finding.fix == "create index on tasks (project_id, user_id);"


def test_one_value_of_many_that_is_left_out_is_no_predicate_of_an_index(
    connection: psycopg.Connection,
) -> None:
    case = next(case for case in CASES if "is left out" in case.fault)
    run(connection, case.setup)
    of_few = "select id from tasks where project_id = 7 and grade <> 3 and priority = 3"

    (finding,) = found(connection, case)
    (other,) = found(connection, case, of_few)

    assert finding.fix == "create index on tasks (project_id, priority);"
    assert other.fix == "create index on tasks (project_id, priority) where grade <> 3;"


def test_a_pattern_is_blamed_where_a_test_beside_it_keeps_every_row(
    connection: psycopg.Connection,
) -> None:
    case = CASES[0]
    run(connection, READERS)
    statement = """select id from tasks
        where squad = 7 and deleted_at is null and title like '%abc%'"""
    of_order = """select id from tasks
        where deleted_at is null and title like '%abcde%'
        order by created_at limit 5"""

    (finding,) = found(connection, case, statement)

    assert "the filter on title throws" in finding.sentence
    assert finding.fix is None
    run(connection, "create index on tasks (created_at); set enable_seqscan = off")
    (trap,) = found(connection, replace(case, rule="R22"), of_order)
    assert trap.fix is None
    assert "no ordinary index can test title" in trap.advice


def test_rows_that_stand_close_together_are_not_surely_found_by_another_index(
    connection: psycopg.Connection,
) -> None:
    case = CASES[0]
    run(connection, case.setup)
    close = "select id from tasks where project_id = 7 and grade = 3"
    before, _ = looked_at(connection, case, close)

    (finding,) = found(connection, case, close)

    assert finding.confidence == "possible"
    assert "stand close together" in finding.advice
    assert finding.fix == "create index on tasks (project_id, grade);"
    run(connection, finding.fix)
    run(connection, "drop index tasks_project_id_idx")
    after, _ = looked_at(connection, case, close)
    assert after.rows_read < before.rows_read / 5
    assert after.blocks > before.blocks / 2


def test_an_index_for_rows_that_are_updated_is_not_surely_worth_it(
    connection: psycopg.Connection,
) -> None:
    case = CASES[0]
    run(connection, case.setup)
    update = "update tasks set priority = 4 where project_id = 7 and priority = 3"

    (finding,) = found(connection, case, update)

    assert finding.confidence == "possible"


def test_one_ordinary_index_is_not_offered_for_what_gin_finds(
    connection: psycopg.Connection,
) -> None:
    case = next(case for case in CASES if case.rule == "R17")
    run(
        connection,
        TASKS
        + "alter table tasks add tags int[]; update tasks set tags = array[id % 90];"
        + "create index on tasks (user_id); create index on tasks using gin (tags);"
        + "vacuum full tasks; vacuum analyze tasks",
    )
    statement = "select title from tasks where user_id = 7 and tags @> array[3]"

    plan, _ = looked_at(connection, case, statement)

    assert "BitmapAnd" in {node.kind for node in plan.nodes}
    assert found(connection, case, statement) == ()


def test_lookups_by_key_in_a_nested_loop_are_no_fault(
    connection: psycopg.Connection,
) -> None:
    case = CASES[0]
    run(
        connection,
        case.setup
        + "; create table owners as select number as id, md5(number::text) as name"
        " from generate_series(1, 30000) as numbers (number);"
        "; alter table owners add primary key (id); vacuum analyze owners;"
        "set enable_hashjoin = off; set enable_mergejoin = off; set enable_memoize = off",
    )
    statement = (
        "select title, name from tasks join owners on owners.id = tasks.id * 7"
        " where project_id = 7"
    )

    plan, known = looked_at(connection, case, statement)

    (inner,) = (node for node in plan.nodes if node.index == "owners_pkey")
    assert inner.loops == 5_000
    assert inner.own_blocks > 5_000
    assert [rule.id for rule in RULES if rule.check(Seen(plan, inner, known))] == []


def test_a_range_before_an_equality_is_seen_in_the_plan_alone(
    connection: psycopg.Connection,
) -> None:
    case = next(case for case in CASES if case.rule == "R11")
    run(connection, case.setup)

    pasted = found(connection, replace(case, is_pasted=True))

    assert [one.confidence for one in pasted] == ["likely"]
    assert [one.fix for one in pasted] == [one.fix for one in found(connection, case)]


def test_a_fix_runs_where_other_tables_are_joined(connection: psycopg.Connection) -> None:
    case = CASES[0]
    run(connection, case.setup)
    statement = (
        "select t.title from (values (7)) as wanted (id)"
        " join tasks as t on t.project_id = wanted.id and t.priority = 3"
    )

    (finding,) = found(connection, case, statement)

    assert finding.fix == "create index on tasks (project_id, priority);"


def test_an_index_that_is_read_for_its_order_keeps_it_in_the_fix(
    connection: psycopg.Connection,
) -> None:
    case = CASES[0]
    run(connection, TASKS + "create index on tasks (created_at)")
    run(connection, "alter table tasks alter created_at drop not null")
    # The planner expects to meet one soon; they are all at the other end.
    statement = "select max(created_at) from tasks where project_id = 0"

    (finding,) = found(connection, case, statement)

    assert finding.evidence["rows_thrown_away"] == 55_001
    assert finding.fix == "create index on tasks (project_id, created_at);"
    run(connection, finding.fix)
    assert found(connection, case, statement) == ()


def test_a_filter_that_no_ordinary_index_tests_gets_advice_and_no_sql(
    connection: psycopg.Connection,
) -> None:
    case = CASES[0]
    run(connection, case.setup)
    statement = "select id from tasks where project_id = 7 and length(title) > 99"

    (finding,) = found(connection, case, statement)

    assert finding.fix is None
    assert "no ordinary index can test title" in finding.advice


def test_an_index_that_lacks_a_key_is_not_told_to_carry_it_along(
    connection: psycopg.Connection,
) -> None:
    covering = next(case for case in CASES if case.rule == "R15")
    run(connection, covering.setup)
    statement = (
        "select hours from tasks where user_id between 7 and 12 and hours = 3"
        " order by user_id, created_at"
    )

    assert found(connection, covering, statement) == ()


PASTED = {
    "Node Type": "Index Scan",
    "Relation Name": "tasks",
    "Index Name": "tasks_one",
    "Index Cond": "(id = 777)",
    "Total Cost": 8.3,
    "Plan Rows": 1,
    "Actual Total Time": 2.0,
    "Actual Rows": 1,
    "Actual Loops": 1,
    "Shared Hit Blocks": 300,
}


def scan_of_an_index(page_cost: float = 4, **facts: object) -> list[Finding]:
    """What is said of an index that touches 300 blocks for a row, in the plan alone."""
    settings = {"random_page_cost": str(page_cost)}
    document = {"Plan": PASTED | facts, "Settings": settings, "Execution Time": 2.0}
    return list(find(read_plan(document)))


def test_the_price_of_a_scan_tells_an_index_read_whole_from_dead_rows() -> None:
    (cheap,) = scan_of_an_index()
    (dear,) = scan_of_an_index(**{"Total Cost": 1_382.3})

    assert (cheap.rule, cheap.confidence) == ("R44", "likely")
    assert (dear.rule, dear.confidence) == ("R08", "possible")
    assert dear.fix == "create index on tasks (id);"


@pytest.mark.parametrize(
    "facts",
    [
        {"Total Cost": 1_382.3, "Filter": "(title <> 'none'::text)"},
        {"Total Cost": None, "Plan Rows": None},
    ],
    ids=["a filter", "no costs"],
)
def test_a_scan_whose_price_says_nothing_gets_both_reasons(
    facts: dict[str, object],
) -> None:
    (finding,) = scan_of_an_index(**facts)

    assert (finding.rule, finding.confidence) == ("R44", "possible")
    assert "begins with a column that the condition does not name" in finding.sentence
    assert "begin with what is asked for" in finding.advice


@pytest.mark.parametrize(
    "condition",
    [
        "(id = ANY ('{1,2,3}'::integer[]))",
        "(tags @> '{a}'::text[])",
    ],
)
def test_a_list_and_a_search_inside_values_have_their_price_for_other_reasons(
    condition: str,
) -> None:
    facts = {"Total Cost": 1_382.3, "Index Cond": condition}

    assert "R08" not in {one.rule for one in scan_of_an_index(**facts)}


def test_random_pages_that_are_cheap_make_the_price_mean_more() -> None:
    (of_disks,) = scan_of_an_index(**{"Total Cost": 350.0})
    (of_flash,) = scan_of_an_index(1.1, **{"Total Cost": 350.0})

    assert (of_disks.rule, of_flash.rule) == ("R44", "R08")
