"""What the rules on the whole statement say beyond their cases."""

from __future__ import annotations

import json
from dataclasses import replace

import psycopg
import pytest
from rule_cases import Case, all_found, found, run
from rule_cases_whole import CASES, PARENTS, SESSIONS, WIDE

from fluxlab.plans.findings import Finding
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.plans.rules.table import find
from fluxlab.plans.surroundings import KnownTable, Surroundings
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

#: Recorded on PostgreSQL 15, because the server of the tests cannot compile: jit_above_cost
#: was 0, and the statement sum, avg … group by kind over 20,000 files.
TREE = {
    "Node Type": "Aggregate",
    "Strategy": "Hashed",
    "Partial Mode": "Simple",
    "Total Cost": 507.42,
    "Plan Rows": 7,
    "Actual Total Time": 121.746,
    "Actual Rows": 7,
    "Actual Loops": 1,
    "Group Key": ["kind"],
    "Plans": [
        {
            "Node Type": "Seq Scan",
            "Parent Relationship": "Outer",
            "Relation Name": "files",
            "Total Cost": 359.00,
            "Plan Rows": 19778,
            "Actual Total Time": 119.776,
            "Actual Rows": 19780,
            "Actual Loops": 1,
            "Filter": "(size > 10)",
            "Rows Removed by Filter": 220,
        }
    ],
}
FULLY_COMPILED = {
    "Plan": TREE,
    "JIT": {
        "Functions": 8,
        "Timing": {
            "Generation": 0.459,
            "Inlining": 56.673,
            "Optimization": 38.457,
            "Emission": 23.392,
            "Total": 118.980,
        },
    },
    "Execution Time": 328.229,
}
#: jit_optimize_above_cost and jit_inline_above_cost raised.
HARDLY_OPTIMISED = {
    "Plan": TREE | {"Actual Total Time": 8.795},
    "JIT": {
        "Functions": 8,
        "Timing": {
            "Generation": 0.474,
            "Inlining": 0.0,
            "Optimization": 0.215,
            "Emission": 4.484,
            "Total": 5.173,
        },
    },
    "Execution Time": 9.350,
}
#: jit = off.
NOT_COMPILED = {"Plan": TREE | {"Actual Total Time": 4.065}, "Execution Time": 4.090}


def compiling(document: object) -> list[Finding]:
    plan = read_plan(json.dumps([document]))
    return [one for one in find(plan) if one.rule == "R41"]


def test_compiling_that_took_a_third_of_the_time_is_found() -> None:
    (finding,) = compiling(FULLY_COMPILED)

    assert finding.saving_ms == pytest.approx(118.98)
    assert finding.fix == "set local jit = off;"
    assert finding.weight == "high"


def test_without_compiling_there_is_nothing_to_find() -> None:
    assert compiling(NOT_COMPILED) == []


def test_compiling_without_optimising_is_still_found() -> None:
    assert compiling(HARDLY_OPTIMISED)


def test_an_insert_is_not_blamed_for_looking_up_its_parents(
    connection: psycopg.Connection,
) -> None:
    run(connection, PARENTS)
    case = next(one for one in CASES if one.rule == "R46")
    insert = "insert into children select n, 1 from generate_series(1, 2000) as n"

    assert found(connection, case, insert) == ()


def test_a_count_behind_a_filter_is_another_matter(
    connection: psycopg.Connection,
) -> None:
    run(connection, WIDE)

    assert found(connection, CASES[0], "select count(*) from wide where id > 10") == ()


def test_stale_statistics_are_said_once_for_each_table(
    connection: psycopg.Connection,
) -> None:
    stale = CASES[-1]
    run(connection, stale.setup)
    twice = "select count(*) from tasks as a join tasks as b using (id)"

    assert len(found(connection, stale, twice)) == 1


def test_a_changed_column_in_a_brin_index_hinders_no_update(
    connection: psycopg.Connection,
) -> None:
    run(connection, SESSIONS + "drop index sessions_last_seen;")
    run(connection, "create index on sessions using brin (last_seen)")
    case = next(one for one in CASES if one.rule == "R48")

    assert found(connection, case) == ()


def test_rules_of_the_whole_statement_stand_at_no_node(
    connection: psycopg.Connection,
) -> None:
    case = next(one for one in CASES if one.rule == "R52")
    run(connection, case.setup)

    assert [one.node for one in found(connection, case)] == [None]


def prepared_for(connection: psycopg.Connection, fault: str) -> Case:
    """The case with this fault, whose setup has run."""
    case = next(one for one in CASES if one.fault == fault)
    run(connection, case.setup)
    return case


def test_values_that_get_other_plans_are_named_by_their_class(
    connection: psycopg.Connection,
) -> None:
    case = prepared_for(
        connection, "walks to the oldest for one status and looks up the other"
    )

    (finding,) = found(connection, case)

    assert "2 plans: one for hot values, one for rare values." in finding.sentence
    assert finding.evidence["plans"] == 2
    assert finding.weight == "low"


def test_values_that_share_a_plan_are_no_trap(connection: psycopg.Connection) -> None:
    case = prepared_for(
        connection, "walks to the oldest for one status and looks up the other"
    )
    alike = replace(case, other_values={"hot": ("done",), "typical": ("done",)})

    assert found(connection, alike) == ()


def test_workers_for_a_small_task_are_seen_before_it_is_executed(
    connection: psycopg.Connection,
) -> None:
    case = prepared_for(connection, "starts workers for a hundred rows")

    planned = all_found(connection, case, analyze=False)

    (finding,) = (one for one in planned if one.rule == "R40")
    assert finding.evidence == {"workers": 2, "cost_of_one_process": pytest.approx(2.26)}
    (executed,) = found(connection, case)
    assert executed.confidence == "sure"
    assert executed.evidence["rows_read"] == 100


def test_workers_for_what_is_priced_higher_than_their_start_are_left_alone(
    connection: psycopg.Connection,
) -> None:
    case = prepared_for(connection, "plans for workers where none are allowed")
    run(connection, "set max_parallel_workers = 8; vacuum (analyze) tasks")

    planned = all_found(connection, case, analyze=False)

    assert "R40" not in {one.rule for one in planned}


def gathered(work_ms: float) -> list[Finding]:
    """What R40 finds in 8 ms of a Gather, if each of three processes worked so long."""
    scan = {
        "Node Type": "Seq Scan",
        "Parent Relationship": "Outer",
        "Relation Name": "tasks",
        "Actual Total Time": work_ms,
        "Actual Rows": 1_000,
        "Actual Loops": 3,
    }
    gather = {
        "Node Type": "Gather",
        "Workers Planned": 2,
        "Workers Launched": 2,
        "Actual Total Time": 8.0,
        "Actual Rows": 3_000,
        "Actual Loops": 1,
        "Plans": [scan],
    }
    plan = read_plan([{"Plan": gather, "Execution Time": 8.1}])
    return [one for one in find(plan) if one.rule == "R40"]


def test_workers_pay_when_one_process_had_worked_for_longer() -> None:
    assert gathered(work_ms=5.0) == []

    (finding,) = gathered(work_ms=0.5)
    assert finding.confidence == "likely"
    assert finding.saving_ms == pytest.approx(7.5)


def planned_in(planning_ms: float, blocks: int = 0) -> Finding:
    """What R42 says of a plan that took so long to make, and 0.1 ms to execute."""
    users = {
        "Node Type": "Seq Scan",
        "Relation Name": "users",
        "Actual Total Time": 0.1,
        "Actual Rows": 1,
        "Actual Loops": 1,
    }
    plan = read_plan(
        {
            "Plan": users,
            "Planning": {"Shared Hit Blocks": blocks},
            "Planning Time": planning_ms,
            "Execution Time": 0.1,
        }
    )
    (finding,) = (one for one in find(plan) if one.rule == "R42")
    return finding


def test_planning_is_weighed_by_its_own_time() -> None:
    weights = [planned_in(ms).weight for ms in (2.0, 20.0, 200.0)]

    assert weights == ["low", "medium", "high"]
    assert planned_in(200.0, blocks=300).weight == "low"


def test_a_new_session_is_told_from_a_plan_that_takes_long(
    connection: psycopg.Connection, postgres: PostgresServer, module_database: str
) -> None:
    case = prepared_for(connection, "plans eight joins to find nothing")
    (schema,) = connection.execute("select current_schema").fetchone() or ("",)

    with connect(postgres, module_database) as new:
        new.execute(f"set search_path = {schema}".encode())
        (first,) = found(new, case)
        (second,) = found(new, case)

    assert "The session is new" in first.advice
    assert first.weight == "low"
    assert "Prepare the statement" in second.advice


def trap(generic: float | None, hot: float, rare: float, pages: int = 500) -> list[str]:
    """What R52 says where hot and rare values get other plans at these costs."""

    def at(cost: float, index: str) -> Plan:
        scan = {"Node Type": "Index Scan", "Relation Name": "tasks", "Index Name": index}
        return read_plan({"Plan": scan | {"Total Cost": cost}})

    plans = {"custom hot": at(hot, "by_id"), "custom rare": at(rare, "by_status")}
    if generic is not None:
        plans["generic"] = at(generic, "by_id")
    tables = {"tasks": KnownTable("tasks", "public", rows=50_000, pages=pages)}
    known = Surroundings(tables, alternatives=plans)
    found = find(plans["custom hot"], known)
    return [one.sentence for one in found if one.rule == "R52"]


def test_a_plan_for_any_value_is_a_trap_where_it_may_be_kept_and_matters() -> None:
    split = "The planner has 2 plans: one for hot values, one for rare values."

    assert trap(generic=16, hot=12, rare=5) == [split]
    assert trap(generic=None, hot=12, rare=5) == [split]
    # With planning the plans for hot values cost 17 each, so it is never kept.
    assert trap(generic=18, hot=12, rare=5) == []
    assert trap(generic=16, hot=12, rare=5, pages=50) == []
    (dear,) = trap(generic=60, hot=12, rare=5)
    assert dear == "A plan for any value costs 60, one for rare values 5."
