"""A plan in totals and words: every sum is the plan's, and every word is true."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from plan_samples import STATEMENTS, made, node, real_plan, scan

from fluxlab.plans.plan import Plan
from fluxlab.plans.views.words import (
    Scale,
    Total,
    by_index,
    by_kind,
    by_table,
    extras,
    sentence,
    show_share,
    words_of,
)
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

GROUPINGS = (by_table, by_index, by_kind)


@pytest.fixture(scope="module")
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with connect(postgres, module_database) as opened:
        yield opened


@pytest.mark.parametrize("totals_of", GROUPINGS)
@pytest.mark.parametrize("name", STATEMENTS)
def test_totals_sum_to_the_plan(
    connection: psycopg.Connection,
    name: str,
    totals_of: Callable[[Plan], tuple[Total, ...]],
) -> None:
    plan = real_plan(connection, name)

    totals = totals_of(plan)

    assert sum(one.nodes for one in totals) == len(plan.nodes)
    own_ms = sum(one.own_time_ms for one in plan.nodes)
    assert sum(one.time_ms for one in totals) == pytest.approx(own_ms)
    assert sum(one.blocks for one in totals) == plan.blocks
    if totals_of is by_table:
        assert sum(one.rows_read for one in totals) == plan.rows_read


def test_a_bitmap_belongs_to_the_table_that_it_is_of(
    connection: psycopg.Connection,
) -> None:
    connection.execute("set enable_seqscan = off; set enable_indexscan = off")
    try:
        plan = real_plan(connection, "bitmaps")
    finally:
        connection.execute("reset enable_seqscan; reset enable_indexscan")

    bitmaps = [one for one in plan.nodes if one.kind == "Bitmap Index Scan"]
    assert bitmaps
    tables = {one.name: one for one in by_table(plan)}
    assert tables["messages"].nodes >= 1 + len(bitmaps)
    indexes = {one.name for one in by_index(plan)}
    assert {one.index for one in bitmaps} <= indexes


def test_the_most_time_comes_first_and_the_nameless_last() -> None:
    quick = scan("quick", Actual_Total_Time=1.0)
    slow = scan("slow", Actual_Total_Time=5.0)
    plan = made(node("Append", quick, slow, Actual_Total_Time=20.0))

    assert [one.name for one in by_table(plan)] == ["slow", "quick", None]
    assert [one.time_ms for one in by_table(plan)] == [5.0, 1.0, 14.0]


def test_shares_are_of_the_time_and_without_timing_of_the_blocks() -> None:
    timed = made(scan("users", Actual_Total_Time=3.0), Execution_Time=12.0)
    counted = made({**scan("users", Shared_Hit_Blocks=4), "Actual Total Time": None})
    planned = made({"Node Type": "Seq Scan", "Plan Rows": 7})

    assert (Scale.of(timed).unit, Scale.of(timed).share(timed.root)) == ("time", 0.25)
    assert (Scale.of(counted).unit, Scale.of(counted).share(counted.root)) == ("blocks", 1)
    assert (Scale.of(planned).unit, Scale.of(planned).share(planned.root)) == ("nothing", 0)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"Actual_Rows": 99, "Plan_Rows": 10}, "99 rows"),
        ({"Actual_Rows": 100, "Plan_Rows": 10}, "100 rows, 10 expected, 10× too few"),
        ({"Actual_Rows": 2, "Plan_Rows": 500}, "2 rows, 500 expected, 250× too many"),
        ({"Actual_Rows": 0, "Plan_Rows": 1}, "0 rows"),
        ({"Actual_Rows": 0.25, "Actual_Loops": 40}, "10 rows in 40 loops"),
        ({"Actual_Rows": 1, "Rows_Removed_by_Filter": 99}, "100 → 1 row"),
        ({"Actual_Loops": 0, "Actual_Rows": 0}, "never executed"),
    ],
)
def test_the_words_of_a_node_are_totals_and_say_a_wrong_estimate(
    facts: dict[str, object], said: str
) -> None:
    timed = made(node("Append", scan("users", **facts)))

    words = str(words_of(timed, timed.nodes[1])).removesuffix(", 0.00 ms")

    assert words == said


def test_a_node_that_a_limit_stopped_is_not_blamed_for_its_estimate() -> None:
    def plan_of(between: str) -> Plan:
        below = scan("users", Actual_Rows=5, Plan_Rows=50_000)
        return made(node("Limit", node(between, below, Actual_Rows=5), Actual_Rows=5))

    streamed, sorted_first = plan_of("Nested Loop"), plan_of("Sort")

    assert (
        words_of(streamed, streamed.nodes[2]).estimate == "50,000 expected, stopped early"
    )
    assert not words_of(streamed, streamed.nodes[2]).is_misjudged
    blamed = words_of(sorted_first, sorted_first.nodes[2])
    assert "10,000× too many" in blamed.estimate
    assert blamed.is_misjudged


def test_processes_are_told_apart_from_loops() -> None:
    inner = scan("users", Actual_Loops=3, Actual_Rows=100)
    plan = made(node("Gather", inner, Workers_Launched=2, Actual_Rows=300))

    assert str(words_of(plan, plan.nodes[1])).startswith("300 rows in 3 processes")


def test_the_sentence_names_the_slowest_node_and_what_spilled() -> None:
    slow = scan("files", Actual_Total_Time=80.0, Actual_Rows=10, Shared_Read_Blocks=1_200)
    sort = node("Sort", slow, Actual_Total_Time=90.0, Temp_Written_Blocks=7)
    plan = made({**sort, "Shared Read Blocks": 1_200}, Execution_Time=100.0)

    assert sentence(plan) == (
        "10 rows read for 1 kept, 1,200 blocks touched (all of them read from outside "
        "the buffers), 100 ms under EXPLAIN ANALYZE. Seq Scan on files (node 2) took 80 % "
        "of it. 7 blocks spilled to temporary files."
    )


def test_the_sentence_of_a_write_counts_what_it_wrote(
    connection: psycopg.Connection,
) -> None:
    plan = real_plan(connection, "write")

    assert plan.wal_records > 0
    assert f"It wrote {plan.wal_records:,} WAL record" in sentence(plan)


def test_the_sentence_says_that_nothing_was_executed(
    connection: psycopg.Connection,
) -> None:
    said = sentence(real_plan(connection, "join", analyze=False))

    assert said.startswith("Not executed: shape and estimates only. The planner expects 5")


def test_what_else_explain_says_is_kept_with_its_unit_and_noise_is_not() -> None:
    facts = {
        "Sort_Method": "external merge",
        "Sort_Space_Used": 2_048,
        "Hash_Batches": 1,
        "Heap_Fetches": 0,
        "Disabled": False,
    }

    assert extras(made(node("Sort", **facts)).root) == (
        ("Sort Method", "external merge"),
        ("Sort Space Used", "2,048 kB"),
    )


def test_a_share_that_rounds_to_nothing_is_still_more_than_nothing() -> None:
    assert [show_share(share) for share in (0, 0.001, 0.624, 1)] == [
        "0 %",
        "<1 %",
        "62 %",
        "100 %",
    ]
