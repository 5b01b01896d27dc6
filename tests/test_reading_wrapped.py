"""Reading plans out of whatever people and their tools wrap them in."""

from __future__ import annotations

import json

import pytest
from recorded_plans import PLAIN, WHAT_THEY_HOLD, WRAPPINGS, plus_marked, sample

from fluxlab.plans.formats.unwrap import unwrap
from fluxlab.plans.reading import read_plan, read_plans


@pytest.mark.parametrize("name", WRAPPINGS)
def test_a_plan_is_found_in_whatever_it_is_wrapped_in(name: str) -> None:
    expected = read_plan(PLAIN)

    (plan,) = read_plans(WRAPPINGS[name])

    assert plan.shape == expected.shape
    for node, like in zip(plan.nodes, expected.nodes, strict=True):
        assert node.facts == like.facts
    assert plan.execution_ms == expected.execution_ms == 18.318


@pytest.mark.parametrize("name", ["15-join.json", "18-join.json"])
def test_json_is_found_in_whatever_it_is_wrapped_in(name: str) -> None:
    text = sample(name)
    expected = read_plan(text)
    parsed = json.loads(text)
    wrapped = [
        plus_marked(text),
        "\n".join(plus_marked(text).splitlines()[2:-1]),
        '"QUERY PLAN"\n"' + text.replace('"', '""') + '"\n',
        json.dumps(parsed),
        f"Look:\n```json\n{text}\n```\n",
        json.dumps([{"QUERY PLAN": parsed}]),
        json.dumps(parsed[0]["Plan"]),
        "LOG:  duration: 1.0 ms  plan:\n\t" + text.replace("\n", "\n\t"),
    ]
    for one in wrapped:
        (plan,) = read_plans(one)
        assert [node.facts for node in plan.nodes] == [
            node.facts for node in expected.nodes
        ]


def test_several_plans_of_several_formats_are_read_in_their_order() -> None:
    names = ["18-join.json", "15-writes.txt", "15-auto_explain-log.txt", "18-wrapped.txt"]
    paste = "\n\n".join(sample(name) for name in names)

    plans = read_plans(paste)

    expected = [each for name in names for each in WHAT_THEY_HOLD[name]]
    assert [(len(one.nodes), one.root.label) for one in plans] == expected


def test_two_plans_with_nothing_between_them_are_two() -> None:
    assert len(read_plans(f"{PLAIN}\n{PLAIN}")) == 2


def test_a_statement_in_a_log_is_not_taken_for_a_plan() -> None:
    (piece,) = unwrap(WRAPPINGS["a log"])

    assert piece.query == "select '->  Sort'"
    assert piece.duration_ms == 18.3
