"""The rules on scans of indexes: fault, right fix, tempting wrong fix, on real plans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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
    looked_at,
    run,
)

from fluxlab.plans.rules.index_use import RULES
from fluxlab.plans.rules.rule import Seen
from fluxlab.servers.postgres import PostgresServer

# Rows come in the order of project_id, in no order of user_id.
TASKS = """
create table tasks (
    id int not null,
    project_id int not null,
    user_id int not null,
    priority int not null,
    grade int not null,
    hours numeric(6, 2) not null,
    created_at timestamptz not null,
    title text not null
);
insert into tasks
select
    number,
    number / 5000,
    hashint4(number) & 127,
    number % 50,
    hashint4(number) & 7,
    number % 16,
    timestamptz '2024-01-01' + number * interval '3 minutes',
    'task ' || md5(number::text)
from generate_series(1, 60000) as numbers (number);
vacuum analyze tasks;
"""

# A queue: all but the last rows are done and deleted, and nobody has vacuumed.
QUEUE = """
create table queue (id int primary key, payload text);
insert into queue select number, 'job' from generate_series(1, 60000) as numbers (number);
vacuum analyze queue;
delete from queue where id <= 56000;
"""

CASES = (
    Case(
        "R07",
        "the filter throws most rows away",
        setup=TASKS + "create index on tasks (project_id)",
        statement="select id, title from tasks where project_id = 7 and priority = 3",
        right="create index on tasks (project_id, priority)",
        wrong="create index on tasks (project_id) include (priority)",
        has_fix=True,
    ),
    Case(
        "R07",
        "a bitmap finds most rows for nothing",
        setup=TASKS + "create index on tasks (user_id); set enable_indexscan = off",
        statement="select id, title from tasks"
        " where user_id between 1 and 12 and title <> 'none' and priority = 3",
        right="create index on tasks (priority, user_id)",
        wrong="create index on tasks (user_id) include (priority)",
        has_fix=True,
        is_pasted=True,
    ),
    Case(
        "R08",
        "the first column is not asked for",
        setup=TASKS + "create index on tasks (created_at, id); set enable_seqscan = off",
        statement="select title from tasks where id = 777",
        right="create index on tasks (id)",
        wrong="create index on tasks (created_at desc, id)",
        has_fix=True,
    ),
    Case(
        "R09",
        "a first column of few values",
        setup=TASKS + "create index on tasks (grade, id)",
        statement="select title from tasks where id = 777",
        right="create index on tasks (id)",
        wrong="create index on tasks (grade)",
    ),
    Case(
        "R09",
        "a first column of many values",
        setup=TASKS + "create index on tasks (user_id, id)",
        statement="select title from tasks where id = 777",
        right="create index on tasks (id)",
        wrong="create index on tasks (user_id)",
        has_fix=True,
    ),
    Case(
        "R10",
        "a list of many values",
        setup=TASKS + "create index on tasks (id) with (fillfactor = 10)",
        statement="select title from tasks"
        " where id = any (array(select generate_series(1, 60000, 45)))",
        rewritten="select title from tasks"
        " where id in (select * from generate_series(1, 60000, 45))",
        wrong="create unique index on tasks (id) with (fillfactor = 10)",
    ),
    Case(
        "R11",
        "a range before an equality",
        setup=TASKS + "create index on tasks (created_at, id)",
        statement="select title from tasks where created_at > '2024-02-01' and id = 50000",
        right="create index on tasks (id, created_at)",
        wrong="create index on tasks (created_at, id, user_id)",
        has_fix=True,
    ),
    Case(
        "R12",
        "an index for half the table",
        setup=TASKS + "create index on tasks (user_id)",
        statement="select sum(hours) from tasks where user_id < 64",
        right="set random_page_cost = 4",
        wrong="create index on tasks (user_id, title)",
    ),
    Case(
        "R13",
        "rows of a user lie everywhere",
        setup=TASKS + "create index by_user on tasks (user_id, created_at)",
        statement="select * from tasks where user_id = 7 order by created_at limit 400",
        right="cluster tasks using by_user; analyze tasks",
        wrong="vacuum tasks",
        has_fix=True,
    ),
    Case(
        "R14",
        "nobody has vacuumed",
        setup=TASKS + "create index on tasks (id); update tasks set hours = 1",
        statement="select sum(id) from tasks where id < 3000",
        right="vacuum tasks",
        wrong="analyze tasks",
        has_fix=True,
    ),
    Case(
        "R15",
        "one narrow column is missing",
        setup=TASKS + "create index on tasks (user_id, created_at)",
        statement="select hours from tasks where user_id = 7 order by created_at limit 400",
        right="create index on tasks (user_id, created_at) include (hours)",
        wrong="create index on tasks (hours)",
        has_fix=True,
        is_verbose=True,
    ),
    Case(
        "R16",
        "no memory for a bitmap",
        setup=TASKS
        + "create table wide as select user_id, repeat('x', 300) as filler from tasks;"
        + "create index on wide (user_id); analyze wide; set work_mem = '64kB';"
        + "set enable_indexscan = off; set enable_seqscan = off",
        statement="select max(filler) from wide where user_id < 20",
        right="set work_mem = '4MB'",
        wrong="create index on wide (user_id desc)",
        has_fix=True,
    ),
    Case(
        "R16",
        "an index that answers perhaps",
        setup=TASKS
        + "create index on tasks using brin (user_id); set enable_seqscan = off",
        statement="select title from tasks where user_id = 7",
        right="create index on tasks (user_id)",
        wrong="set work_mem = '64MB'",
    ),
    Case(
        "R17",
        "two columns, two indexes",
        setup=TASKS + "create index on tasks (user_id); create index on tasks (priority)",
        statement="select title from tasks where user_id = 7 and priority = 3",
        right="create index on tasks (user_id, priority)",
        wrong="create index on tasks (user_id) include (priority)",
        has_fix=True,
    ),
    Case(
        "R44",
        "deleted rows on the way, seen in the plan alone",
        setup=QUEUE,
        statement="select payload from queue order by id limit 1",
        right="vacuum queue",
        wrong="analyze queue",
        has_fix=True,
        is_pasted=True,
    ),
    Case(
        "R45",
        "deleted rows on the way",
        setup=QUEUE,
        statement="select payload from queue order by id limit 1",
        right="vacuum queue",
        wrong="analyze queue",
        has_fix=True,
    ),
)


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with fresh_schema(postgres, module_database) as opened:
        yield opened


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
