"""Two plans side by side, as HTML and in a terminal: all of both, in words and marks."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import psycopg
import pytest
from diff_trees import TREES, changes
from hypothesis import given, settings
from plan_samples import made, node, problems_of, real_plan, scan, tags_of

from fluxlab.plans.differences import diff
from fluxlab.plans.views.side_by_side import MARKS, diff_html, diff_text
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def reader(postgres: PostgresServer, module_database: str) -> Iterator[psycopg.Connection]:
    with connect(postgres, module_database) as opened:
        yield opened


@settings(max_examples=50, deadline=None)
@given(TREES, TREES)
def test_any_comparison_can_be_drawn(
    before: dict[str, object], after: dict[str, object]
) -> None:
    found = diff(made(before), made(after))

    assert problems_of(diff_html(found)) == []
    assert diff_text(found).startswith(found.sentence)
    assert len(found.rows) == len(found.pairs)


@pytest.mark.parametrize("name", ["join", "cte", "three tables", "write"])
def test_both_drawings_show_every_node_of_both_plans(
    reader: psycopg.Connection, name: str
) -> None:
    before = real_plan(reader, name)
    reader.execute("set enable_hashjoin = off")
    after = real_plan(reader, name)
    reader.execute("reset enable_hashjoin")
    found = diff(before, after)

    page, text = diff_html(found), diff_text(found)

    assert problems_of(page) == []
    for plan in (before, after):
        for one in plan.nodes:
            assert escape(one.label) in page
            assert one.label in text
    rows = [attrs for tag, attrs in tags_of(page) if tag == "li"]
    assert len(rows) == len(found.pairs)


def test_a_change_is_a_word_and_a_mark_in_both_drawings() -> None:
    before = made(node("Limit", node("Sort", scan("users", Actual_Rows=7))))
    after = made(node("Limit", node("Unique", scan("users"))))
    found = diff(before, after)

    assert set(changes(found)) == set(MARKS)
    for change, mark in MARKS.items():
        assert f">{mark}</span> {change}<" in diff_html(found)
        assert f"\n{mark} {change} " in diff_text(found)


def test_what_a_plan_quotes_is_escaped() -> None:
    hostile = "<script>alert('x')</script>"
    before = made(scan(hostile, Filter=hostile))
    after = made(scan("users", Filter=f"{hostile}2", Subplan_Name=hostile))

    page = diff_html(diff(before, after))

    assert problems_of(page) == []
    assert "<script" not in page
