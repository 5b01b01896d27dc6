"""What holds of every Plan that was executed, whoever recorded it."""

from __future__ import annotations

import pytest

from fluxlab.plans.plan import Plan, PlanNode


def assert_own_amounts_sum(plan: Plan) -> None:
    """Own times and own blocks are never negative, and sum to those of the root."""
    assert all(node.own_time_ms >= 0 for node in plan.nodes)
    assert all(node.own_blocks >= 0 for node in plan.nodes)
    unseen = _unseen(plan)
    root_ms = plan.root.time_ms + sum(one.time_ms for one in unseen)
    total_ms = sum(node.own_time_ms for node in plan.nodes)
    # Processes that run side by side do not end together.
    is_shared = any(node.processes > 1 for node in plan.nodes)
    slack_ms = _rounding_ms(plan) + (0.5 * root_ms if is_shared else 0.0)
    assert total_ms == pytest.approx(root_ms, abs=slack_ms)
    blocks = sum(node.own_blocks for node in plan.nodes)
    assert blocks == plan.blocks + sum(one.blocks for one in unseen)


def _unseen(plan: Plan) -> list[PlanNode]:
    """The CTEs that write and that nobody reads: they run after the rest."""
    read = {node.text("CTE Name") for node in plan.nodes}
    return [
        node
        for node in plan.nodes
        if node.kind == "ModifyTable"
        and (node.text("Subplan Name") or "").removeprefix("CTE ") not in read
        and node is not plan.root
        and node.is_initplan
    ]


def _rounding_ms(plan: Plan) -> float:
    """What rounding to a microsecond can make of the sum, over all loops."""
    return sum(0.001 * node.loops for node in plan.nodes) + 0.001


def assert_rows_flow(plan: Plan) -> None:
    """What a node hands up follows from what its children handed to it."""
    for node in plan.nodes:
        below = [one for one in node.children if one.text("Subplan Name") is None]
        rows = sum(one.rows_kept for one in below)
        # Averages per loop: whole numbers before 18, hundredths from there on.
        slack = sum(one.loops * 0.5 for one in (node, *below) if one.loops > 1)
        if node.kind in ("Limit", "Unique", "Group", "Aggregate") and below:
            most = max(rows, node.loops) * _sets(node)
            assert node.rows_kept <= most + slack
        is_whole = _is_read_whole(plan, node)
        if node.kind in ("Append", "Gather", "Gather Merge", "Subquery Scan"):
            passed = node.rows_kept + node.rows_removed
            # Workers run ahead of who has enough.
            assert passed <= rows + slack
            assert passed >= rows - slack or not is_whole
        if node.kind in ("Sort", "Incremental Sort", "WindowAgg") and is_whole:
            assert node.rows_kept == pytest.approx(rows, abs=slack)


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
