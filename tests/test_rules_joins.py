"""What the rules on joins and estimates say beyond their cases, on real plans."""

from __future__ import annotations

import psycopg
from rule_cases import all_found, found, run
from rule_cases_joins import (
    ADDRESSES,
    CASES,
    LONG_NOTES,
    NOTES,
    ONLY_LOOPS,
    OPEN_NOTES,
    SMALL,
    TASKS,
)

from fluxlab.plans.reading import read_plan
from fluxlab.plans.rules.table import find

MISJUDGED = CASES[0]


def test_a_scan_that_a_limit_stopped_was_not_misjudged(
    connection: psycopg.Connection,
) -> None:
    run(connection, TASKS + "analyze tasks;")
    first = "select id from tasks where status = 'open' limit 3"

    assert found(connection, MISJUDGED, first) == ()


def test_an_inner_side_that_stops_at_the_first_partner_was_not_misjudged(
    connection: psycopg.Connection,
) -> None:
    run(connection, SMALL + ONLY_LOOPS + "set enable_material = off;")
    semi = """select id from tasks
    where exists (select from notes where notes.task_id % 200 = tasks.id % 200)"""

    assert found(connection, MISJUDGED, semi) == ()


def test_a_merge_join_that_ended_early_did_not_misjudge_its_longer_side(
    connection: psycopg.Connection,
) -> None:
    run(connection, SMALL + "truncate notes;" + LONG_NOTES)
    run(connection, "set enable_hashjoin = off; set enable_nestloop = off")
    joined = "select count(*) from tasks join notes on notes.task_id = tasks.id"

    assert found(connection, MISJUDGED, joined) == ()


def test_rows_that_came_in_spite_of_a_limit_were_misjudged(
    connection: psycopg.Connection,
) -> None:
    run(connection, TASKS)
    many = "select id from tasks where status = 'open' limit 15000"

    assert found(connection, MISJUDGED, many)


def test_only_the_lowest_wrong_estimate_is_reported(
    connection: psycopg.Connection,
) -> None:
    run(connection, TASKS + NOTES)

    findings = all_found(connection, MISJUDGED, OPEN_NOTES)

    (finding,) = (one for one in findings if one.rule in ("R27", "R28"))
    assert "of tasks" in finding.sentence


def test_one_scan_gets_one_reason_for_its_wrong_estimate(
    connection: psycopg.Connection,
) -> None:
    run(connection, ADDRESSES)
    findings = all_found(connection, CASES[1])
    assert [one.rule for one in findings if one.rule in ("R27", "R28")] == ["R28"]

    run(connection, "update addresses set id = -id where city < 15")

    findings = all_found(connection, CASES[1])
    assert [one.rule for one in findings if one.rule in ("R27", "R28")] == ["R27"]


def test_nothing_is_said_of_rows_that_were_not_counted(
    connection: psycopg.Connection,
) -> None:
    run(connection, TASKS + NOTES)

    findings = all_found(connection, MISJUDGED, OPEN_NOTES, analyze=False)

    assert {one.rule for one in findings} & {case.rule for case in CASES} == set()


def test_a_plan_that_was_told_to_leave_its_estimates_out_is_not_judged_by_them(
    connection: psycopg.Connection,
) -> None:
    run(connection, TASKS + NOTES)
    kinds = {"R27", "R28", "R29", "R30"}
    for options, expected in (("analyze", True), ("analyze, costs off", False)):
        rows = connection.execute(f"explain ({options}) {OPEN_NOTES}".encode()).fetchall()
        plan = read_plan("\n".join(row[0] for row in rows))

        assert bool({one.rule for one in find(plan)} & kinds) is expected
