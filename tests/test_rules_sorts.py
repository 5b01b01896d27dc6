"""What the rules on order and memory say beyond their cases, on real plans."""

from __future__ import annotations

import psycopg
from rule_cases import found, run
from rule_cases_sorts import CASES, FILES, LINES

from fluxlab.plans.rules.spills import work_mem


def test_an_index_for_a_sort_begins_with_what_is_compared_and_keeps_the_direction(
    connection: psycopg.Connection,
) -> None:
    (finding,) = (run(connection, FILES), found(connection, CASES[0]))[1]

    assert finding.fix == "create index on files (project_id, size desc);"


def test_a_sort_that_is_no_shorter_by_index_is_not_said_to_be(
    connection: psycopg.Connection,
) -> None:
    run(connection, FILES)
    of_all = "select id, name from files order by size"

    assert found(connection, CASES[0], of_all) == ()


def test_a_subquery_that_is_run_first_is_not_taken_for_what_is_sorted(
    connection: psycopg.Connection,
) -> None:
    run(connection, FILES)
    case = next(one for one in CASES if one.rule == "R20")
    nested = """select id from files
        where project_id = (select min(project_id) + 3 from files)
        order by size
        limit 10"""

    (finding,) = found(connection, case, nested)

    assert finding.evidence["rows_read"] == 5_000
    assert finding.fix == "create index on files (project_id, size);"


def test_an_incremental_sort_of_small_groups_is_right(
    connection: psycopg.Connection,
) -> None:
    run(connection, LINES + "create index on lines (day, at);")
    small = "select day, at, note from lines order by day, at, note limit 5000"

    assert found(connection, CASES[3], small) == ()


def test_the_rows_of_a_spill_are_those_of_all_processes(
    connection: psycopg.Connection,
) -> None:
    case = next(one for one in CASES if one.rule == "R23")
    run(connection, case.setup + "alter table files set (parallel_workers = 2);")
    run(connection, "set max_parallel_workers_per_gather = 2; set parallel_tuple_cost = 0")
    run(connection, "set parallel_setup_cost = 0; set min_parallel_table_scan_size = 0")

    (finding,) = found(connection, case)

    assert finding.evidence["rows_sorted"] == 50_000


def test_no_statement_is_told_to_take_the_memory_of_the_server() -> None:
    assert work_mem(1) == "set local work_mem = '4MB';"
    assert work_mem(700 * 2**20) == "set local work_mem = '1024MB';"
    assert work_mem(2**31) is None
