"""What chapter 04 says of plans: its sentences and tables follow from the plans."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from fluxlab.book import findings, plan_words
from fluxlab.book.lessons import asked
from fluxlab.indexes.sandbox import Asked, Sandbox
from fluxlab.lab import Lab, open_lab
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.settings import Settings
from fluxlab.workload.compare import Comparison

SCAN = """
Seq Scan on messages  (cost=0.00..9000.00 rows=100 width=8) (actual time=0.1..40.0 rows=100.00 loops=1)
  Filter: (thread_id = 1)
  Rows Removed by Filter: 249900
  Buffers: shared hit=7160
Planning Time: 0.1 ms
Execution Time: 40.0 ms
"""  # noqa: E501
BY_INDEX = """
Index Scan using idx_thread on messages  (cost=0.42..9.00 rows=100 width=8) (actual time=0.01..0.2 rows=100.00 loops=1)
  Index Cond: (thread_id = 1)
  Index Searches: 1
  Buffers: shared hit=103
Planning Time: 0.5 ms
Execution Time: 0.3 ms
"""  # noqa: E501
IN_ORDER = """
Limit  (cost=0.4..1.5 rows=1 width=8) (actual time=9.0..9.0 rows=1.00 loops=10)
  ->  Index Scan using idx_time on messages  (cost=0.42..900.00 rows=900 width=8) (actual time=9.0..9.0 rows=1.00 loops=10)
        Filter: (conversation_id = 7)
        Rows Removed by Filter: 5000
Execution Time: 91.0 ms
"""  # noqa: E501


@pytest.fixture(scope="module")
def lab(settings: Settings) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def sandbox(lab: Lab) -> Iterator[Sandbox]:
    with Sandbox(lab.server) as one:
        yield one


def comparison(*pairs: tuple[Plan, Plan]) -> Comparison:
    """A Comparison of these plans: the parts of it that are read here."""
    changes = [
        SimpleNamespace(
            query="thread_messages",
            of_class="typical",
            before=SimpleNamespace(plan=before),
            after=SimpleNamespace(plan=after),
        )
        for before, after in pairs
    ]

    class Some(list[SimpleNamespace]):
        by_query = ("thread_messages", "others")

    return cast(Comparison, Some(changes))


def test_the_table_of_nodes_multiplies_loops_and_subtracts_what_is_below() -> None:
    frame = plan_words.nodes(read_plan(IN_ORDER))

    assert list(frame.index) == ["1 Limit", "2 Index Scan on messages"]
    assert list(frame.loc["2 Index Scan on messages"]) == [
        "9.00\xa0ms",
        "10",
        "90.0\xa0ms",
        "0.00\xa0ms",
        "90.0\xa0ms",
    ]


def test_estimates_are_compared_in_one_loop_and_a_limit_excuses_them() -> None:
    frame = plan_words.estimates(read_plan(IN_ORDER))
    off = plan_words.estimates(read_plan(SCAN.replace("rows=100 width", "rows=9000 width")))

    assert frame["apart"].to_list() == ["near enough", "stopped early"]
    assert off["apart"].to_list() == ["90× too many"]


def test_the_order_trap_is_said_where_a_limit_waits_and_only_there() -> None:
    said = plan_words.trapped(read_plan(IN_ORDER))

    assert said == "`idx_time` passes 50,000 rows over on its way to 10, in 10 loops."
    assert "no index is read past" in plan_words.trapped(read_plan(SCAN))
    assert plan_words.looped(read_plan(IN_ORDER)).startswith(
        "Node 1, `Limit`, ran 10 times"
    )
    assert "more than once" in plan_words.looped(read_plan(SCAN))


def test_rows_and_blocks_are_said_with_the_share_that_was_kept() -> None:
    assert plan_words.kept(read_plan(SCAN)) == (
        "250,000 rows read for 100 kept (<1 %), 7,160 blocks of 8 kB touched."
    )


def test_a_workload_is_surveyed_rule_by_rule_and_query_by_query() -> None:
    both = comparison((read_plan(SCAN), read_plan(BY_INDEX)))
    survey = findings.survey(both)

    frame = findings.by_rule(survey)
    said = findings.common(survey, both)

    assert frame.loc["A scan that throws away nearly all it reads"].to_list() == [1, 0]
    assert said.startswith("In 1 of 2 queries some rule finds something to look at")
    assert "and in 0 after it" in said
    assert findings.common((), both) == "No rule finds anything in any plan."


def test_findings_are_worth_what_they_save_times_the_calls(lab: Lab) -> None:
    both = comparison((read_plan(SCAN), read_plan(BY_INDEX)))
    survey = findings.survey(both)
    weight = lab.workload.find("thread_messages").weight

    frame = findings.worth(survey, lab.workload, "before")

    saving = max(one.finding.saving_ms for one in survey if one.side == "before")
    assert frame.loc["thread_messages", "at most saved in 1,000"] == (
        plan_words.show_ms(saving * weight).replace(" ", "\xa0")
    )
    assert findings.worth(survey, lab.workload, "after").empty


def test_kinds_of_nodes_are_counted_once_a_plan_and_explained() -> None:
    frame = plan_words.kinds(comparison((read_plan(SCAN), read_plan(BY_INDEX))))

    assert list(frame.index) == ["Seq Scan", "Index Scan"]
    assert frame["plans before"].to_list() == [1, 0]
    assert frame["after"].to_list() == [0, 1]
    assert all(frame["what it does"])


def test_planning_is_compared_with_executing_in_both_states() -> None:
    said = plan_words.planning(comparison((read_plan(SCAN), read_plan(BY_INDEX))))

    assert said.startswith(
        "Planning took longer than executing in 0 of 1 plans before the sprint, and in 1 "
        "after it."
    )
    assert said.endswith("from 0.10 ms to 0.50 ms.")


def test_what_little_memory_spills_is_said_with_its_node(
    lab: Lab, sandbox: Sandbox
) -> None:
    mean = asked(lab, "analytics_message_rolling_mean")

    narrow = sandbox.explain(mean, ["set local work_mem = '64kB'"])

    spilled = sum(node.spilled_blocks for node in narrow.nodes)
    assert spilled > 0
    assert plan_words.spilled(narrow).startswith(f"{spilled:,} block")
    assert plan_words.spilled(sandbox.explain(mean)).startswith("Nothing is spilled")


def test_workers_share_rows_and_one_process_is_said_too(lab: Lab, sandbox: Sandbox) -> None:
    count = asked(lab, "messages_live_count")
    settings = [
        "set local max_parallel_workers_per_gather = 2",
        "set local min_parallel_table_scan_size = 0",
        "set local parallel_setup_cost = 0",
    ]

    parallel = sandbox.explain(count, settings)

    assert "processes share `Parallel Seq Scan on messages`" in plan_words.workers(parallel)
    assert "one process" in plan_words.workers(sandbox.explain(count))


def test_a_skip_scan_is_told_from_a_list_and_from_a_join(sandbox: Sandbox) -> None:
    setup = [
        "create temporary table calls as "
        "select n % 3 as kind, n as call from generate_series(1, 60000) as n",
        "create index calls_kind on calls (kind, call)",
        "analyze calls",
        "set local enable_seqscan = off",
    ]
    skipping = Asked("select kind from calls where call = $1", (17,))
    of_list = Asked("select kind from calls where kind = any ($1) and call = 9", ([0, 2],))

    found = plan_words.searches(sandbox.explain(skipping, setup))
    listed = plan_words.searches(sandbox.explain(of_list, setup))

    assert found.startswith("`calls_kind` is searched")
    assert found.endswith("for 1 row.")
    assert "No index is skipped through" in listed


def test_triggers_of_both_plans_stand_side_by_side(lab: Lab, sandbox: Sandbox) -> None:
    delete = asked(lab, "project_delete")
    try:
        before = sandbox.explain(delete)
        after = sandbox.explain(delete, ["create index on messages (reply_to_id)"])
    finally:
        sandbox.renew()

    frame = plan_words.triggers(before, after)

    assert {one.constraint for one in before.triggers} == set(frame.index)
    assert all(frame["after"])


def test_whether_the_server_compiles_is_asked_of_it(lab: Lab) -> None:
    with lab.connection() as connection:
        row = connection.execute("select pg_jit_available()").fetchone()
        said = plan_words.jit(connection)

    assert row is not None
    assert said.startswith("This server c" + ("ompiles" if row[0] else "annot compile"))
