"""Two plans compared: what is the same, what changed, what came and what went."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from diff_trees import TREES, changes, index_scan
from hypothesis import given, settings
from plan_samples import (
    STATEMENTS,
    large_plan,
    made,
    node,
    real_plan,
    scan,
)

from fluxlab.plans.differences import Change, PlanDiff, diff
from fluxlab.plans.explain import explain
from fluxlab.plans.plan import Plan
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

PAGE = """
    select id, content from messages
    where conversation_id = (
        select conversation_id from messages group by 1 order by count(*) desc limit 1
    )
    order by created_at desc limit 50
"""


@pytest.fixture
def connection(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    with connect(postgres, database) as opened:
        yield opened


@pytest.fixture(scope="module")
def reader(postgres: PostgresServer, module_database: str) -> Iterator[psycopg.Connection]:
    with connect(postgres, module_database) as opened:
        yield opened


def labels(found: PlanDiff, change: Change) -> list[str]:
    pairs = [pair for pair in found.pairs if pair.change == change]
    return [(one.after or one.before).label for one in pairs]  # type: ignore[union-attr]


def test_an_index_that_replaces_scan_and_sort_is_said_in_a_sentence(
    connection: psycopg.Connection,
) -> None:
    connection.execute("drop index idx_messages_conversation, idx_messages_created_at")
    before = explain(connection, PAGE, analyze=True)
    connection.execute(
        "create index idx_page on messages (conversation_id, created_at desc)"
    )
    connection.execute("vacuum analyze messages")
    after = explain(connection, PAGE, analyze=True)

    found = diff(before, after)

    assert "the scan of messages reads idx_page instead of the whole table" in (
        found.sentence.lower()
    )
    assert "sort disappeared" in found.sentence
    assert f"{before.blocks:,} blocks became {after.blocks:,}." in found.sentence
    pair = next(one for one in found.pairs if one.after and one.after.index == "idx_page")
    assert pair.before is not None
    assert (pair.before.kind, pair.change) == ("Seq Scan", "changed")


def test_the_sentence_of_the_simplest_case_reads_as_people_say_it() -> None:
    before = made(
        node("Sort", scan("messages", Shared_Hit_Blocks=41_000), Shared_Hit_Blocks=41_000)
    )
    after = made(index_scan("messages", "idx_messages_conv", Shared_Hit_Blocks=9))

    assert diff(before, after).sentence == (
        "The sort disappeared; the scan of messages reads idx_messages_conv instead of the "
        "whole table; 41,000 blocks became 9."
    )


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_real_plan_is_the_same_as_itself(reader: psycopg.Connection, name: str) -> None:
    plan = real_plan(reader, name)

    found = diff(plan, plan)

    assert changes(found) == {"same": len(plan.nodes)}
    assert [(pair.before, pair.after) for pair in found.pairs] == [
        (one, one) for one in plan.nodes
    ]
    assert found.sentence == "The plans are the same."


@pytest.mark.parametrize("name", STATEMENTS)
def test_two_executions_have_the_same_shape_whatever_the_clock_says(
    reader: psycopg.Connection, name: str
) -> None:
    first, second = (real_plan(reader, name, analyze=False) for _ in range(2))

    assert changes(diff(first, second)) == {"same": len(first.nodes)}


JOIN_SETTINGS = ("hashjoin", "mergejoin", "nestloop", "seqscan", "bitmapscan", "sort")


@pytest.mark.parametrize("name", STATEMENTS)
@pytest.mark.parametrize("setting", JOIN_SETTINGS)
def test_real_plans_that_differ_are_compared_the_same_both_ways(
    reader: psycopg.Connection, name: str, setting: str
) -> None:
    before = real_plan(reader, name)
    reader.execute(f"set enable_{setting} = off".encode())
    after = real_plan(reader, name)
    reader.execute(f"reset enable_{setting}".encode())

    assert_mirrored(before, after)


def assert_mirrored(before: Plan, after: Plan) -> None:
    found, mirrored = diff(before, after), diff(after, before)
    mirror = {"gone": "new", "new": "gone", "same": "same", "changed": "changed"}
    assert {
        (one.before and one.before.number, one.after and one.after.number, one.change)
        for one in found.pairs
    } == {
        (
            one.after and one.after.number,
            one.before and one.before.number,
            mirror[one.change],
        )
        for one in mirrored.pairs
    }
    # Every node of both stands in exactly one pair.
    for plan, nodes in (
        (before, [one.before for one in found.pairs if one.before]),
        (after, [one.after for one in found.pairs if one.after]),
    ):
        assert sorted(one.number for one in nodes) == [one.number for one in plan.nodes]


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_any_plan_is_the_same_as_itself(tree: dict[str, object]) -> None:
    plan = made(tree)

    found = diff(plan, plan)

    assert changes(found) == {"same": len(plan.nodes)}
    assert found.sentence == "The plans are the same."


@settings(max_examples=200, deadline=None)
@given(TREES, TREES)
def test_any_two_plans_are_compared_the_same_both_ways(
    before: dict[str, object], after: dict[str, object]
) -> None:
    assert_mirrored(made(before), made(after))


def test_nodes_are_found_by_what_they_read_and_not_by_their_position() -> None:
    before = made(node("Append", scan("users"), scan("files"), scan("teams")))
    after = made(node("Append", scan("teams"), scan("users"), scan("files")))

    found = diff(before, after)

    assert changes(found) == {"same": 4}
    assert all(one.before.relation == one.after.relation for one in found.pairs)  # type: ignore[union-attr]


def test_a_table_that_is_read_twice_is_told_apart_by_its_alias() -> None:
    def plan_of(first: str, second: str) -> Plan:
        one = index_scan("users", "users_pkey") | {"Alias": first}
        return made(node("Nested Loop", one, scan("users") | {"Alias": second}))

    found = diff(plan_of("boss", "clerk"), plan_of("clerk", "boss"))

    assert labels(found, "changed") == [
        "Index Scan using users_pkey on users clerk",
        "Seq Scan on users boss",
    ]
    assert "The scan of users clerk reads users_pkey instead of the whole" in found.sentence


def test_a_renamed_alias_is_still_the_same_table() -> None:
    before = made(scan("users") | {"Alias": "u"})
    after = made(index_scan("users", "users_pkey") | {"Alias": "people"})

    assert changes(diff(before, after)) == {"changed": 1}


def test_another_method_of_a_join_is_a_change_and_its_hash_is_gone() -> None:
    before = made(node("Hash Join", scan("files"), node("Hash", scan("users"))))
    after = made(node("Nested Loop", scan("files"), index_scan("users", "users_pkey")))

    found = diff(before, after)

    assert labels(found, "gone") == ["Hash"]
    assert "the join of files and users is a nested loop instead of a hash join" in (
        found.sentence
    )
    assert "Hash disappeared" not in found.sentence


def test_a_join_over_other_tables_is_another_join() -> None:
    def plan_of(first: str, second: str, third: str) -> Plan:
        inner = node("Hash Join", scan(first), scan(second))
        return made(node("Nested Loop", inner, scan(third)))

    found = diff(plan_of("a", "b", "c"), plan_of("b", "c", "a"))

    assert labels(found, "gone") == labels(found, "new") == ["Hash Join"]
    assert labels(found, "same") == [
        "Nested Loop",
        "Seq Scan on b",
        "Seq Scan on c",
        "Seq Scan on a",
    ]
    assert found.sentence == "The tables are joined in another order."


def test_a_join_of_the_same_tables_is_found_in_another_role() -> None:
    before = made(node("Limit", node("Hash Join", scan("a"), scan("b"))))
    nested = node("Nested Loop", scan("a"), scan("b"), Parent_Relationship="Inner")
    after = made(node("Append", nested))

    assert labels(diff(before, after), "changed") == ["Nested Loop"]


def test_a_subplan_beside_the_rows_does_not_make_another_join() -> None:
    subplan = scan("c", Subplan_Name="SubPlan 1", Parent_Relationship="SubPlan")
    before = made(node("Hash Join", scan("a"), scan("b"), subplan))
    within = {**scan("a"), "Plans": [subplan]}
    after = made(node("Nested Loop", within, scan("b")))

    found = diff(before, after)

    assert labels(found, "changed") == ["Nested Loop"]
    assert "the join of a and b is a nested loop" in found.sentence.lower()


def test_processes_that_share_a_scan_are_a_change() -> None:
    alone = made(scan("a", Actual_Loops=3))
    shared = made(node("Gather", scan("a", Actual_Loops=3), Workers_Launched=2))

    found = diff(alone, shared)

    (pair,) = [one for one in found.pairs if one.before]
    assert pair.differences == ("3 processes instead of 1",)
    assert found.sentence == "The parallel part is new."


def test_a_bitmap_is_another_way_to_read_the_same_table() -> None:
    bitmap = node(
        "Bitmap Heap Scan",
        node("Bitmap Index Scan", Index_Name="idx_users_email"),
        Relation_Name="users",
        Alias="users",
    )

    found = diff(made(scan("users")), made(bitmap))

    assert found.sentence == (
        "The scan of users reads idx_users_email as a bitmap instead of the whole table."
    )
    assert (labels(found, "changed"), labels(found, "new")) == (
        ["Bitmap Heap Scan on users"],
        ["Bitmap Index Scan on idx_users_email"],
    )


def test_the_same_steps_with_fewer_blocks_say_both() -> None:
    before, after = (made(scan("users", Shared_Hit_Blocks=blocks)) for blocks in (40, 2))

    found = diff(before, after)

    assert found.sentence == "The steps are the same; 40 blocks became 2."
    assert found.pairs[0].differences == ("2 blocks instead of 40",)


def test_every_amount_that_differs_is_said_and_the_clock_is_not() -> None:
    before = made(scan("users", Actual_Total_Time=1.0, Plan_Rows=4))
    later = {"Rows_Removed_by_Filter": 9, "Temp_Written_Blocks": 3, "Plan_Rows": 8}
    after = made(scan("users", Actual_Total_Time=900.0, Actual_Loops=2, **later))

    (pair,) = diff(before, after).pairs

    assert pair.differences == (
        "2 loops instead of 1",
        "20 rows read instead of 1",
        "2 rows kept instead of 1",
        "3 blocks spilled instead of 0",
        "8 rows expected instead of 4",
    )
    slower = made(scan("users", Actual_Total_Time=900.0, Plan_Rows=4))
    assert changes(diff(before, slower)) == {"same": 1}


def test_a_condition_that_changed_is_named() -> None:
    before = made(scan("users", Filter="(id = 1)", Recheck_Cond="(id = 1)"))
    after = made(scan("users", Filter="(id = 2)", Index_Cond="(id = 2)"))

    (pair,) = diff(before, after).pairs

    assert pair.differences == (
        "Recheck Cond is gone",
        "another Filter",
        "Index Cond is new",
    )
    assert diff(before, after).sentence == "Seq Scan on users tests something else."


def test_plans_that_were_not_executed_are_compared_by_their_cost(
    reader: psycopg.Connection,
) -> None:
    before = explain(reader, "select * from users where id = gen_random_uuid()")
    after = explain(reader, "select * from users")

    said = diff(before, after).sentence

    old, new = (plan.root["Total Cost"] for plan in (before, after))
    assert said.endswith(f"the planner's cost of {old:,.0f} became {new:,.0f}.")


def test_a_step_that_is_new_stands_where_it_is_and_one_that_is_gone_where_it_was() -> None:
    before = made(node("Limit", node("Sort", scan("users"))))
    after = made(node("Limit", node("Gather", scan("users"))))

    found = diff(before, after)

    assert [(row.change, row.before, row.after) for row in found.rows] == [
        ("same", "Limit", "Limit"),
        ("new", "", "Gather"),
        ("gone", "Sort", ""),
        ("same", "Seq Scan on users", "Seq Scan on users"),
    ]
    assert [(row.before_depth, row.after_depth) for row in found.rows] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 2),
    ]
    assert found.sentence == "The parallel part is new; the sort disappeared."


def test_five_hundred_nodes_are_aligned() -> None:
    before, after = large_plan(500), large_plan(480)

    found = changes(diff(before, after))

    assert found["same"] + found["changed"] == 480
    assert (found["gone"], found["new"]) == (20, 0)
