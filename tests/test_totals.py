"""Totals of real plans: own times, own blocks, and how rows flow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from plan_invariants import assert_own_amounts_sum, assert_rows_flow
from plan_statements import STATEMENTS, analyzed

from fluxlab.plans.labels import Json
from fluxlab.plans.reading import read_plan
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with connect(postgres, module_database) as opened:
        opened.execute("vacuum analyze")
        yield opened


@pytest.mark.parametrize("name", STATEMENTS)
def test_own_times_and_own_blocks_sum_to_the_root(
    connection: psycopg.Connection, name: str
) -> None:
    assert_own_amounts_sum(analyzed(connection, name))


@pytest.mark.parametrize("name", STATEMENTS)
def test_rows_flow_from_the_children_to_their_parent(
    connection: psycopg.Connection, name: str
) -> None:
    assert_rows_flow(analyzed(connection, name))


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
