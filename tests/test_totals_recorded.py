"""Totals of plans that servers of several versions printed, in JSON and in text."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_invariants import assert_own_amounts_sum, assert_rows_flow
from recorded_plans import PLANS, every_plan_file

from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plans

FILES = every_plan_file()


def executed(path: Path) -> list[Plan]:
    """The plans of a file that were executed."""
    return [one for one in read_plans(path.read_text("utf-8")) if one.is_analyzed]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLANS)))
def test_own_amounts_sum_and_rows_flow(path: Path) -> None:
    for plan in executed(path):
        assert_own_amounts_sum(plan)
        assert_rows_flow(plan)


def test_the_recorded_plans_have_what_is_hard_to_add_up() -> None:
    plans = [plan for path in FILES for plan in executed(path)]
    nodes = [node for plan in plans for node in plan.nodes]

    assert any(node.processes > 1 for node in nodes)
    assert any(node.is_initplan for node in nodes)
    assert any(node.kind == "CTE Scan" for node in nodes)
    assert any(node.facts.get("Parent Relationship") == "SubPlan" for node in nodes)
    assert any(not node.is_executed for node in nodes)
