"""Reading plans: trees of real statements, and text that is no plan."""

from __future__ import annotations

import psycopg
import pytest

from fluxlab.errors import FluxlabError
from fluxlab.plans.explain import explain
from fluxlab.plans.reading import read_plan
from fluxlab.plans.views.html import plan_html, plan_text
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

JOIN = """
    select users.name, count(*)
    from users
    join messages on messages.author_id = users.id
    where messages.created_at > $1
    group by users.id
    order by count(*) desc
    limit 5
"""


@pytest.fixture
def connection(postgres: PostgresServer, database: str):  # type: ignore[no-untyped-def]
    with connect(postgres, database) as opened:
        yield opened


def test_own_times_sum_to_the_time_of_the_root(connection: psycopg.Connection) -> None:
    plan = explain(connection, JOIN, ["2024-01-01"], analyze=True)

    total_ms = sum(node.own_time_ms for node in plan.walk())
    assert plan.root.time_ms > 0
    assert total_ms == pytest.approx(plan.root.time_ms, rel=0.01, abs=0.05)
    assert plan.root.time_ms <= plan.execution_ms


def test_own_blocks_sum_to_the_blocks_of_the_plan(connection: psycopg.Connection) -> None:
    plan = explain(connection, JOIN, ["2024-01-01"], analyze=True)

    assert plan.blocks > 10
    assert sum(node.own_blocks for node in plan.walk()) == plan.blocks


def test_rows_of_a_loop_are_totals(connection: psycopg.Connection) -> None:
    connection.execute("set enable_hashjoin = off; set enable_mergejoin = off")
    connection.execute("set enable_memoize = off; set enable_material = off")
    (expected,) = connection.execute(
        "select count(*) from projects join files on files.project_id = projects.id"
    ).fetchone() or (0,)

    plan = explain(
        connection,
        "select * from projects join files on files.project_id = projects.id",
        analyze=True,
    )

    inner = plan.root.children[1]
    assert inner.loops > 1
    assert inner.rows_kept == plan.rows_kept == expected


def test_rows_read_count_what_a_filter_threw_away(connection: psycopg.Connection) -> None:
    (every,) = connection.execute("select count(*) from users").fetchone() or (0,)

    plan = explain(connection, "select id from users where name = 'Nobody'", analyze=True)

    assert (plan.rows_read, plan.rows_kept) == (every, 0)


def test_a_plan_that_was_not_executed_has_a_shape_and_no_times(
    connection: psycopg.Connection,
) -> None:
    plan = explain(connection, JOIN, ["2024-01-01"])

    assert not plan.is_analyzed
    assert plan.execution_ms == 0
    assert "messages" in plan.shape
    assert "not executed" in repr(plan)


def test_the_shape_changes_with_the_index_and_not_with_the_rows(
    connection: psycopg.Connection,
) -> None:
    by_key = "select 1 from messages where id = $1"
    known = connection.execute("select id from messages limit 2").fetchall()

    first, second = (explain(connection, by_key, row, analyze=True) for row in known)
    connection.execute("set enable_indexscan = off; set enable_indexonlyscan = off")
    connection.execute("set enable_bitmapscan = off")
    scanned = explain(connection, by_key, known[0])

    assert first.indexes == ("messages_pkey",)
    assert first.shape == second.shape != scanned.shape


def test_wal_records_of_a_write_are_counted(connection: psycopg.Connection) -> None:
    with connection.transaction(force_rollback=True):
        plan = explain(connection, "update users set name = name", analyze=True)

    assert plan.wal_records >= 90


def test_a_refusal_of_the_server_is_said_in_a_sentence(
    connection: psycopg.Connection,
) -> None:
    with pytest.raises(FluxlabError, match='relation "nowhere" does not exist'):
        explain(connection, "select * from nowhere")


@pytest.mark.parametrize("text", ["", "{}", "[]", "Seq Scan on users", '[{"Plan": 1}]'])
def test_what_is_no_plan_is_an_error_that_says_what_to_pass(text: str) -> None:
    with pytest.raises(FluxlabError, match="EXPLAIN \\(FORMAT JSON\\)"):
        read_plan(text)


def test_both_views_name_every_node_and_escape_what_they_quote(
    connection: psycopg.Connection,
) -> None:
    plan = explain(connection, "select id from users where name < '<b>'", analyze=True)

    assert "<b>" in plan_text(plan)
    assert "<b>" not in plan_html(plan)
    assert "&lt;b&gt;" in plan_html(plan)
    for view in (plan_text(plan), plan_html(plan)):
        assert all(node.label in view for node in plan.walk())
