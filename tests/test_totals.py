"""Totals of real plans in four formats: own times, own blocks, and how rows flow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fluxlab.plans.labels import Json
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.reading import read_plan
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

PARALLEL = (
    "max_parallel_workers_per_gather = 2",
    "parallel_setup_cost = 0",
    "parallel_tuple_cost = 0",
    "min_parallel_table_scan_size = 0",
    "min_parallel_index_scan_size = 0",
)
#: Name, settings of the session, statement.
STATEMENTS: dict[str, tuple[tuple[str, ...], str]] = {
    "filter": ((), "select id from users where name = 'Nobody'"),
    "hash join": (
        ("enable_nestloop = off", "enable_mergejoin = off"),
        "select m.id from messages m join users u on u.id = m.author_id",
    ),
    "left join": (
        ("enable_nestloop = off",),
        "select u.id, f.id from users u left join files f on f.uploaded_by = u.id",
    ),
    "full join": (
        (),
        "select u.id, f.id from users u full join files f on f.uploaded_by = u.id",
    ),
    "semi join": (
        (),
        "select id from users u where exists "
        "(select from messages m where m.author_id = u.id)",
    ),
    "anti join": (
        (),
        "select id from users u where not exists "
        "(select from messages m where m.author_id = u.id)",
    ),
    "merge join with rescans": (
        ("enable_nestloop = off", "enable_hashjoin = off"),
        "select count(*) from (select author_id from messages limit 900) a "
        "join (select author_id from messages limit 900) b using (author_id)",
    ),
    "nested loop over an index": (
        ("enable_hashjoin = off", "enable_mergejoin = off", "enable_memoize = off"),
        "select m.id, u.name from messages m join users u on u.id = m.author_id",
    ),
    "memoize": (
        ("enable_hashjoin = off", "enable_mergejoin = off"),
        "select m.id, u.name from messages m join users u on u.id = m.author_id",
    ),
    "materialized inner side": (
        (
            "enable_hashjoin = off",
            "enable_mergejoin = off",
            "enable_indexscan = off",
            "enable_bitmapscan = off",
            "enable_indexonlyscan = off",
            "enable_memoize = off",
        ),
        "select p.id from projects p join users u on u.id > p.manager_id limit 500",
    ),
    "hash aggregate": ((), "select author_id, count(*) from messages group by author_id"),
    "hash aggregate that spills": (
        ("work_mem = '64kB'", "enable_sort = off"),
        "select id, count(*) from messages group by id",
    ),
    "sort that spills": (
        ("work_mem = '64kB'",),
        "select id, content from messages order by content desc nulls last, id",
    ),
    "top sort": ((), 'select id, name from users order by name collate "C", id limit 3'),
    "incremental sort": (
        ("enable_seqscan = off", "enable_sort = on"),
        "select id from (select id, name from users order by id limit 90) u "
        "order by id, name",
    ),
    "grouping sets": (
        (),
        "select message_type, priority, status, count(*) from messages "
        "group by grouping sets ((message_type, priority), (priority), (status), ())",
    ),
    "rollup": (
        ("enable_hashagg = off",),
        "select message_type, priority, count(*) from messages "
        "group by rollup (message_type, priority)",
    ),
    "sorted grouping sets": (
        ("enable_hashagg = off",),
        "select message_type, priority, status, count(*) from messages "
        "group by grouping sets ((message_type, priority), (priority), (status))",
    ),
    "window": (
        (),
        "select id, row_number() over (partition by author_id order by created_at), "
        "sum(length(content)) over (order by id) from messages",
    ),
    "set operations": (
        (),
        "(select author_id from messages intersect select id from users) "
        "except all select uploaded_by from files",
    ),
    "append": (
        (),
        "select id from users union all select id from projects "
        "union all select id from files where mime_type = 'a, b'",
    ),
    "distinct": ((), "select distinct status, priority from messages"),
    "cte used twice": (
        (),
        "with talkers as materialized (select author_id, count(*) as n from messages "
        "group by author_id) select * from talkers a join talkers b using (n)",
    ),
    "cte within a cte": (
        (),
        "with a as materialized (select id, author_id from messages), "
        "b as materialized (select author_id, count(*) n from a group by 1) "
        "select (select max(n) from b), count(*) from a",
    ),
    "recursive cte": (
        (),
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50) "
        "select sum(i) from n",
    ),
    "initplan": (
        (),
        "select id from messages where created_at = (select max(created_at) from messages)",
    ),
    "initplan within an initplan": (
        (),
        "select id from users where created_at >= (select min(created_at) from projects "
        "where created_at > (select avg(extract(epoch from created_at)) from files "
        "where file_size > 10)::int * interval '1 second' + 'epoch'::timestamptz)",
    ),
    "correlated subplan": (
        (),
        "select name, (select count(*) from files f where f.project_id = p.id) "
        "from projects p",
    ),
    "hashed subplan": (
        (),
        "select id from users where id not in (select uploaded_by from files)",
    ),
    "never executed": (
        ("enable_hashjoin = off", "enable_mergejoin = off"),
        "select u.id from users u join files f on f.uploaded_by = u.id "
        "where u.email = 'nobody@nowhere'",
    ),
    "bitmaps": (
        ("enable_seqscan = off", "enable_indexscan = off"),
        "select id from messages where id = gen_random_uuid() or id in "
        "(select id from messages limit 20)",
    ),
    "one-time filter": ((), "select id from users where current_user = 'nobody'"),
    "values": ((), "select * from (values (1, 'a'), (2, 'b, c')) as t(n, \"Two Words\")"),
    "functions": (
        (),
        "select * from generate_series(1, 30) as g(n), rows from "
        "(unnest(array[1, 2]), unnest(array['x'])) as r(a, b), "
        "json_table('[1]'::jsonb, '$[*]' columns (v int path '$')) as j",
    ),
    "sample": ((), "select id from messages tablesample bernoulli (50) repeatable (1)"),
    "tid": ((), "select id from users where ctid = '(0,1)' or ctid = '(0,2)'"),
    "quoted text": (
        (),
        "select id from users where name in ('a', 'b: c', 'it''s (x, y)', '->  Sort')",
    ),
    "disabled": (("enable_seqscan = off",), "select content from messages"),
    "parallel": (PARALLEL, "select count(*) from messages where content like '%a%'"),
    "parallel without its leader": (
        (*PARALLEL, "parallel_leader_participation = off"),
        "select author_id, count(*) from messages group by author_id",
    ),
    "parallel join": (
        PARALLEL,
        "select u.name, count(*) from messages m join users u on u.id = m.author_id "
        "group by u.name order by 2 desc, 1",
    ),
    "parallel merge": (
        (*PARALLEL, "enable_hashagg = off"),
        "select id, content from messages order by content, id",
    ),
    "parallel with an initplan": (
        PARALLEL,
        "select count(*) from messages where created_at < (select max(created_at) "
        "from users) and author_id <> (select min(id::text)::uuid from projects)",
    ),
    "insert": (
        (),
        "insert into conversations (type, created_by) select 'direct', id from users "
        "limit 5 on conflict (id) do nothing",
    ),
    "update with triggers": ((), "update users set name = name where email like 'a%'"),
    "delete with foreign keys": (
        (),
        "delete from files where id in (select id from files limit 3)",
    ),
    "merge": (
        (),
        "merge into users u using (select id from users limit 9) s on s.id = u.id "
        "when matched then update set phone = '1' when not matched then do nothing",
    ),
    "cte that writes": (
        (),
        "with moved as (update users set phone = '1' where email like 'b%' returning id) "
        "select count(*) from moved",
    ),
    "cte that writes unseen": (
        (),
        "with moved as (update users set phone = '1' returning id) select 1",
    ),
}
#: What FORMAT TEXT leaves out, or says elsewhere.
UNSAID_IN_TEXT = ("Inner Unique", "Single Copy")


@pytest.fixture(scope="module")
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with connect(postgres, module_database) as opened:
        opened.execute("vacuum analyze")
        yield opened


@contextmanager
def prepared(connection: psycopg.Connection, name: str) -> Iterator[str]:
    """A transaction with the settings of a statement; what it writes is undone."""
    changed, statement = STATEMENTS[name]
    with connection.transaction(force_rollback=True):
        for setting in changed:
            connection.execute(f"set local {setting}".encode())
        yield statement


def answer(connection: psycopg.Connection, options: str, statement: str) -> str:
    rows = connection.execute(f"explain ({options}) {statement}".encode()).fetchall()
    if "format json" in options:
        return json.dumps(rows[0][0])
    return "\n".join(["QUERY PLAN", *(row[0] for row in rows)])


def said(facts: Mapping[str, Json]) -> dict[str, object]:
    """Facts without those that say nothing: 0, false, empty."""
    return {
        name: value
        for name, value in facts.items()
        if value not in (0, False, None, "Simple") and value != [] and value != {}
        if name not in UNSAID_IN_TEXT
        # Of several functions at once there is an alias only.
        if name != "Function Name" or value != facts.get("Alias")
    }


@pytest.mark.parametrize("options", ["costs off", "costs", "verbose, settings"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_plan_is_the_same_in_all_four_formats(
    connection: psycopg.Connection, name: str, options: str
) -> None:
    with prepared(connection, name) as statement:
        plans = {
            one: read_plan(answer(connection, f"{options}, format {one}", statement))
            for one in ("json", "text", "yaml", "xml")
        }
    expected = plans.pop("json")
    for format_name, plan in plans.items():
        assert plan.shape == expected.shape, format_name
        for node, like in zip(plan.nodes, expected.nodes, strict=True):
            if format_name == "text":
                assert said(node.facts) == said(like.facts)
            else:
                assert node.facts == like.facts, format_name
        assert plan.settings == expected.settings


@pytest.mark.parametrize("name", STATEMENTS)
def test_text_and_json_of_two_executions_count_the_same_rows(
    connection: psycopg.Connection, name: str
) -> None:
    options = "analyze, buffers, wal, verbose"
    plans = []
    for format_name in ("json", "text", "yaml", "xml"):
        with prepared(connection, name) as statement:
            text = answer(connection, f"{options}, format {format_name}", statement)
            plans.append(read_plan(text))
    expected, *others = plans
    for plan in others:
        assert plan.shape == expected.shape
        assert plan.is_timed
        assert plan.execution_ms > 0
        assert plan.planning_ms > 0
        assert [one.calls for one in plan.triggers] == [
            one.calls for one in expected.triggers
        ]
        for node, like in zip(plan.nodes, expected.nodes, strict=True):
            assert node.facts.keys() >= said(like.facts).keys() - _VARYING
            # An index finds the dead rows of what was undone before, too.
            if "parallel" not in name and node.kind != "Bitmap Index Scan":
                assert (node.rows_kept, node.loops) == (like.rows_kept, like.loops)


#: What may be there in one execution and not in the next.
_VARYING = {
    *(
        f"{kind} {what} Blocks"
        for kind in ("Shared", "Local")
        for what in ("Hit", "Read", "Dirtied", "Written")
    ),
    *(f"{kind} I/O {way} Time" for kind in ("Shared", "Temp") for way in ("Read", "Write")),
    "WAL FPI",
    "WAL Bytes",
    "WAL Records",
    "WAL Buffers Full",
}


def analyzed(connection: psycopg.Connection, name: str) -> Plan:
    with prepared(connection, name) as statement:
        text = answer(connection, "analyze, buffers, wal, format json", statement)
    return read_plan(text)


def rounding_ms(plan: Plan) -> float:
    """What rounding to a microsecond can make of the sum, over all loops."""
    return sum(0.001 * node.loops for node in plan.nodes) + 0.001


@pytest.mark.parametrize("name", STATEMENTS)
def test_own_times_and_own_blocks_sum_to_the_root(
    connection: psycopg.Connection, name: str
) -> None:
    plan = analyzed(connection, name)
    is_shared = "parallel" in name

    assert all(node.own_time_ms >= 0 for node in plan.nodes)
    assert all(node.own_blocks >= 0 for node in plan.nodes)
    total_ms = sum(node.own_time_ms for node in plan.nodes)
    unseen = [one for one in plan.nodes if one.role == "CTE moved" and "unseen" in name]
    root_ms = plan.root.time_ms + sum(one.time_ms for one in unseen)
    # Processes that run side by side do not end together.
    slack_ms = rounding_ms(plan) + (0.5 * root_ms if is_shared else 0.0)
    assert total_ms == pytest.approx(root_ms, abs=slack_ms)
    blocks = sum(node.own_blocks for node in plan.nodes)
    assert blocks == plan.blocks + sum(one.blocks for one in unseen)


@pytest.mark.parametrize("name", STATEMENTS)
def test_rows_flow_from_the_children_to_their_parent(
    connection: psycopg.Connection, name: str
) -> None:
    plan = analyzed(connection, name)
    for node in plan.nodes:
        below = [one for one in node.children if one.text("Subplan Name") is None]
        rows = sum(one.rows_kept for one in below)
        if node.kind in ("Limit", "Unique", "Group", "Aggregate") and below:
            extra = node.loops * _sets(node)
            assert node.rows_kept <= max(rows * _sets(node), extra)
        if node.kind in ("Append", "Gather", "Gather Merge", "Subquery Scan"):
            assert node.rows_kept + node.rows_removed == rows
        if node.kind in ("Sort", "Incremental Sort", "WindowAgg") and _is_read_whole(
            plan, node
        ):
            assert node.rows_kept == rows


def _sets(node: PlanNode) -> int:
    """How many rows one input row can make: one for each grouping set."""
    sets = node.facts.get("Grouping Sets")
    if not isinstance(sets, list):
        return 1
    return sum(
        len(value) for one in sets for name, value in one.items() if name.endswith("Keys")
    )


def _is_read_whole(plan: Plan, node: PlanNode) -> bool:
    """Whether nothing above stops early or reads a row twice."""
    while (parent := plan.parents.get(node.number)) is not None:
        if parent.kind in ("Limit", "Merge Join", "Nested Loop"):
            return False
        node = parent
    return True


def test_the_statements_have_every_sort_of_node(connection: psycopg.Connection) -> None:
    kinds, relations = set(), set()
    for name in STATEMENTS:
        plan = analyzed(connection, name)
        kinds |= {node.kind for node in plan.nodes}
        relations |= {str(node.facts.get("Parent Relationship")) for node in plan.nodes}
        relations |= {"never" for node in plan.nodes if not node.is_executed}

    assert kinds >= {
        "Aggregate", "Append", "Bitmap Heap Scan", "CTE Scan", "Function Scan", "Gather",
        "Gather Merge", "Hash Join", "Incremental Sort", "Index Scan", "Limit",
        "Materialize", "Memoize", "Merge Join", "ModifyTable", "Nested Loop",
        "Recursive Union", "SetOp", "Sort", "Subquery Scan", "Table Function Scan",
        "Tid Scan", "Values Scan", "WindowAgg", "WorkTable Scan",
    }  # fmt: skip
    assert relations >= {"InitPlan", "SubPlan", "Member", "Subquery", "Inner", "never"}


@dataclass(frozen=True)
class Made:
    """A tree made up, with the own time that each node was given, in its order."""

    facts: dict[str, Json]
    own_ms: tuple[float, ...]


@st.composite
def trees(draw: st.DrawFn, depth: int = 0, loops: int = 1, processes: int = 1) -> Made:
    """Trees whose inclusive times follow from own times, as the executor adds them up.

    Times are whole numbers of milliseconds of one loop, so that nothing is rounded.
    """
    kinds = ["Sort", "Nested Loop", "Append", "Result"]
    if processes == 1 and depth < 3:
        kinds.append("Gather")
    kind = "Result" if depth >= 4 else draw(st.sampled_from(kinds))
    facts: dict[str, Json] = {"Node Type": kind, "Actual Rows": 1, "Plan Rows": 1}
    facts["Actual Loops"] = loops
    own_per_loop = draw(st.integers(0, 50))
    own = own_per_loop * loops / processes
    children: list[Made] = []
    if kind == "Gather":
        workers = draw(st.integers(1, 4))
        facts["Workers Launched"] = workers
        # With the leader among them, or without.
        ran = workers + draw(st.integers(0, 1))
        children.append(draw(trees(depth + 1, loops * ran, ran)))
    elif kind == "Nested Loop":
        inner = draw(st.integers(1, 3))
        children.append(draw(trees(depth + 1, loops, processes)))
        children.append(draw(trees(depth + 1, loops * inner, processes)))
    elif kind in ("Sort", "Append"):
        number = 1 if kind == "Sort" else draw(st.integers(1, 3))
        children += [draw(trees(depth + 1, loops, processes)) for _ in range(number)]
    initplans: list[Made] = []
    if processes == 1 and kind != "Gather" and depth < 3 and draw(st.booleans()):
        made = draw(trees(depth + 1, 1, 1))
        name = f"InitPlan {draw(st.integers(1, 10**9))}"
        made.facts.update({"Parent Relationship": "InitPlan", "Subplan Name": name})
        facts["Filter"] = f"(id = ({name}).col1)"
        initplans.append(made)
    below = sum(wall_ms(one) for one in children + initplans)
    total = own + below
    facts["Actual Total Time"] = total * processes / loops
    facts["Plans"] = [one.facts for one in initplans + children]
    order = (own, *(ms for one in initplans + children for ms in one.own_ms))
    return Made(facts, order)


def wall_ms(made: Made) -> float:
    """What a tree took by the clock: the sum of what its nodes took."""
    return sum(made.own_ms)


@given(trees())
@hypothesis_settings(max_examples=150, deadline=None)
def test_own_times_are_found_again_in_trees_made_up(made: Made) -> None:
    plan = read_plan({"Plan": made.facts})

    found = [node.own_time_ms for node in plan.nodes]
    assert found == pytest.approx(made.own_ms, abs=1e-6)
