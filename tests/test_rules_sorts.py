"""Rules on order and memory, each against its fault, the right fix and the wrong one."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from rule_cases import (
    Case,
    check_fault,
    check_own_fix,
    check_right_fix,
    check_wrong_fix,
    found,
    fresh_schema,
    run,
)

from fluxlab.plans.rules.sorts import work_mem
from fluxlab.servers.postgres import PostgresServer

#: 50,000 files of ten projects, in no order of size; names are long and all different.
FILES = """
    create table files (id int, project_id int, size int, name text);
    insert into files
    select n, n % 10, n * 7919 % 50000, repeat(md5(n::text), 2)
    from generate_series(1, 50000) as n;
    vacuum (analyze) files;
"""
#: Five days of 20,000 lines, day after day, and an index that knows the day.
LINES = """
    create table lines (day int, at int, note text);
    insert into lines
    select n / 20000, n * 7919 % 20000, md5(n::text) from generate_series(0, 99999) as n;
    create index on lines (day);
    vacuum (analyze) lines;
"""
#: The thousand open tasks are the oldest ones, and the newest are asked for.
TASKS = """
    create table tasks (id int, created_at int, status text, note text);
    insert into tasks
    select n, n, case when n <= 1000 then 'open' else 'done' end, md5(n::text)
    from generate_series(1, 100000) as n;
    create index tasks_created on tasks (created_at);
    vacuum (analyze) tasks;
"""
LITTLE_MEMORY = "set work_mem = '256kB';"
ENOUGH_MEMORY = "set work_mem = '64MB'"
#: What people raise who have read that memory was short.
OTHER_MEMORY = "set maintenance_work_mem = '512MB'; set temp_buffers = '64MB'"

CASES = (
    Case(
        "R19",
        "sorts a tenth of the table for a page of it",
        FILES,
        "select id from files where project_id = 7 order by size desc limit 60",
        right="create index on files (project_id, size)",
        wrong="create index on files (project_id)",
        has_fix=True,
    ),
    Case(
        "R19",
        "sorts the table to count what differs in each group",
        FILES,
        "select project_id, count(distinct id) from files group by project_id",
        right="create index on files (project_id, id)",
        wrong=ENOUGH_MEMORY,
        has_fix=True,
    ),
    Case(
        "R20",
        "compares thousands of rows for the first ten",
        FILES,
        "select id from files where project_id = 3 order by size limit 10",
        right="create index on files (project_id, size)",
        wrong="create index on files (project_id)",
        has_fix=True,
    ),
    Case(
        "R21",
        "sorts a whole day for its first lines",
        LINES,
        "select day, at, note from lines order by day, at limit 100",
        right="create index on lines (day, at)",
        wrong=ENOUGH_MEMORY,
        has_fix=True,
    ),
    Case(
        "R22",
        "walks from the newest task to the oldest ones",
        TASKS,
        "select id from tasks where status = 'open' order by created_at desc limit 10",
        right="create index on tasks (status, created_at)",
        wrong="create index on tasks (created_at desc)",
        has_fix=True,
    ),
    Case(
        "R23",
        "sorts long names",
        FILES + LITTLE_MEMORY,
        "select id from files order by name",
        right=ENOUGH_MEMORY,
        wrong=OTHER_MEMORY,
        has_fix=True,
    ),
    Case(
        "R24",
        "hashes a table that is larger than the memory",
        FILES
        + LITTLE_MEMORY
        + "set enable_mergejoin = off; set enable_nestloop = off;"
        + "create table links as select id, id * 3 % 50000 as file_id from files;"
        + "analyze links;",
        "select count(*) from links join files on files.id = links.file_id",
        right=ENOUGH_MEMORY,
        wrong="create index on links (file_id)",
        has_fix=True,
    ),
    Case(
        "R25",
        "groups by what is different in every row",
        FILES + LITTLE_MEMORY + "set enable_sort = off;",
        "select name, count(*) from files group by name",
        right=ENOUGH_MEMORY,
        wrong=OTHER_MEMORY,
        has_fix=True,
    ),
    Case(
        "R26",
        "writes down a WITH query to read it twice",
        FILES + LITTLE_MEMORY,
        """with listed as materialized (select id, name from files)
        select (select count(*) from listed), (select max(id) from listed)""",
        right=ENOUGH_MEMORY,
        wrong=OTHER_MEMORY,
        has_fix=True,
    ),
    Case(
        "R36",
        "turns to page two thousand",
        FILES,
        "select id from files order by id limit 10 offset 20000",
        right="create index on files (id)",
        rewritten="select id from files where id > 20000 order by id limit 10",
        wrong="create index on files (id)",
    ),
)


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with fresh_schema(postgres, module_database) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_fires_on_the_fault(connection: psycopg.Connection, case: Case) -> None:
    check_fault(connection, case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_silent_after_the_right_fix(
    connection: psycopg.Connection, case: Case
) -> None:
    check_right_fix(connection, case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_still_fires_after_the_wrong_fix(
    connection: psycopg.Connection, case: Case
) -> None:
    check_wrong_fix(connection, case)


@pytest.mark.parametrize("case", [one for one in CASES if one.has_fix], ids=str)
def test_the_fix_that_it_offers_runs_and_silences_it(
    connection: psycopg.Connection, case: Case
) -> None:
    check_own_fix(connection, case)


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
