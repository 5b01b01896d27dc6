"""Reading plans of several versions, and what every property of theirs means."""

from __future__ import annotations

import psycopg
import pytest
from recorded_plans import SAMPLES, WHAT_THEY_HOLD, sample

from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan, read_plans
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer


def test_every_sample_is_expected() -> None:
    assert {one.name for one in SAMPLES.iterdir()} == set(WHAT_THEY_HOLD)


@pytest.mark.parametrize("name", WHAT_THEY_HOLD)
def test_a_real_sample_is_read_whole(name: str) -> None:
    plans = read_plans(sample(name))

    assert [(len(one.nodes), one.root.label) for one in plans] == WHAT_THEY_HOLD[name]
    for plan in plans:
        assert plan.is_analyzed == ("odd" not in name)
        assert plan.execution_ms > 0 or "odd" in name
        # A line that was not understood would stand among the facts as text.
        assert not [fact for one in plan.nodes for fact in one.facts if "  " in fact]


@pytest.mark.parametrize("version", ["15", "18"])
def test_the_text_and_the_json_of_a_statement_have_one_shape(version: str) -> None:
    in_json = read_plan(sample(f"{version}-join.json"))
    if version == "18":
        in_text = read_plan(sample("18-join-verbose.txt"))
        assert in_text.shape == in_json.shape
        assert in_text.blocks == in_json.blocks
        assert in_text.settings["random_page_cost"] == "1.1"
    assert in_json.rows_kept == 2


def by_kind(plan: Plan, kind: str) -> dict[str, object]:
    return dict(next(one for one in plan.nodes if one.kind == kind).facts)


def test_the_workers_of_a_text_plan_are_told_apart() -> None:
    for version in ("15", "18"):
        facts = by_kind(read_plan(sample(f"{version}-parallel-workers.txt")), "Seq Scan")
        workers = facts["Workers"]
        assert isinstance(workers, list)
        assert [one["Worker Number"] for one in workers] == [0, 1]
        assert any(one.get("Shared Hit Blocks", 0) > 0 for one in workers)
        assert facts["Shared Hit Blocks"] == 295


def test_the_names_of_subplans_are_those_of_their_version() -> None:
    names = [
        {one.text("Subplan Name") for one in read_plan(sample(name)).nodes} - {None}
        for name in ("15-subplans-border0.txt", "18-subplans-border0.txt")
    ]

    assert names[0] == {"CTE r", "InitPlan 2 (returns $1)", "InitPlan 3 (returns $2)",
                        "SubPlan 4"}  # fmt: skip
    assert names[1] == {"CTE r", "InitPlan 2", "InitPlan 3", "SubPlan 4"}


def test_what_stands_below_the_tree_belongs_to_the_plan() -> None:
    plan = read_plan(sample("18-serialize-window.txt"))

    assert plan.facts["Planning"] == {
        "Shared Hit Blocks": 80, "Memory Used": 17, "Memory Allocated": 32
    }  # fmt: skip
    assert plan.facts["Serialization"] == {
        "Time": 0.005, "Output Volume": 1, "Format": "text"
    }  # fmt: skip
    assert plan.facts["Query Identifier"] == -311414984420322359
    window = by_kind(plan, "WindowAgg")
    assert (window["Storage"], window["Maximum Storage"]) == ("Memory", 17)
    assert str(window["Window"]).startswith("w AS (PARTITION BY orders.customer_id")
    groups = by_kind(plan, "Incremental Sort")["Full-sort Groups"]
    assert groups == {
        "Group Count": 1,
        "Sort Methods Used": ["quicksort"],
        "Sort Space Memory": {"Average Sort Space Used": 25, "Peak Sort Space Used": 25},
    }


def test_the_times_of_jit_are_numbers() -> None:
    jit = read_plan(sample("15-jit.txt")).facts["JIT"]

    assert isinstance(jit, dict)
    assert jit["Functions"] == 5
    assert jit["Options"]["Optimization"] is False
    assert jit["Timing"]["Total"] == 64.318


def test_a_generation_of_jit_with_a_part_is_read_as_17_says_it() -> None:
    text = sample("15-jit.txt").replace("0.355 ms,", "0.355 ms (Deform 0.1 ms),")
    jit = read_plan(text).facts["JIT"]

    assert isinstance(jit, dict)
    assert jit["Timing"]["Generation"] == {"Deform": 0.1, "Total": 0.355}


def test_triggers_and_the_tables_of_an_update_are_kept() -> None:
    of_parts, _, of_orders = read_plans(sample("15-writes.txt"))

    assert [one["Alias"] for one in of_parts.root.facts["Target Tables"]] == [  # type: ignore[union-attr,index,call-overload]
        "parts_1",
        "parts_2",
    ]
    (trigger,) = of_orders.triggers
    assert (trigger.constraint, trigger.calls) == ("orders_customer_id_fkey", 3)
    assert of_parts.wal_records > 0


def test_a_log_gives_the_statement_and_its_time() -> None:
    plans = read_plans(sample("15-auto_explain-log.txt"))

    queries = [str(plan.facts["Query Text"]) for plan in plans]
    assert all(query.startswith("load 'auto_explain'") for query in queries)
    assert all("\nwhere customer_id = 7" in query for query in queries)
    assert all(plan.execution_ms > 0 for plan in plans)


def test_an_unknown_property_keeps_its_name() -> None:
    scan = "Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)"
    plan = read_plan(f"{scan}\n  Remote Weather: rain, (and wind)\n  Wheels: 3")

    assert plan.root.facts["Remote Weather"] == "rain, (and wind)"
    assert plan.root.facts["Wheels"] == 3


def test_an_unknown_node_keeps_its_name() -> None:
    (plan,) = read_plans(
        "Custom Scan (Sorcery) on t  (cost=0.00..1.00 rows=1 width=4)\n"
        "  ->  Crystal Ball  (cost=0.00..1.00 rows=1 width=4)"
    )

    assert plan.root.facts["Custom Plan Provider"] == "Sorcery"
    assert plan.root.children[0].kind == "Crystal Ball"


def test_rows_of_18_are_fractions_and_those_of_13_are_not() -> None:
    scan = "Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)"
    old, new = (
        read_plan(f"{scan} (actual time=0.010..0.020 rows={rows} loops=4)").root
        for rows in ("1", "1.25")
    )

    assert (old.rows_kept, new.rows_kept) == (4, 5)
    assert old["Actual Total Time"] == 0.02


def test_without_timing_rows_are_counted_and_nothing_is_timed() -> None:
    scan = "Seq Scan on t  (cost=0.00..1.00 rows=1 width=4) (actual rows=3 loops=2)"
    plan = read_plan(
        f"{scan}\n  ->  Result  (cost=0.00..1.00 rows=1 width=4) (never executed)"
    )

    assert (plan.root.rows_kept, plan.is_timed) == (6, False)
    assert not plan.root.children[0].is_executed


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("I/O Timings: read=0.5 write=1.0", {"I/O Read Time": 0.5, "I/O Write Time": 1.0}),
        (
            "I/O Timings: shared/local read=0.5, temp read=0.1 write=0.2",
            {"I/O Read Time": 0.5, "Temp I/O Read Time": 0.1, "Temp I/O Write Time": 0.2},
        ),
        (
            "I/O Timings: shared read=0.5, local write=0.1",
            {"Shared I/O Read Time": 0.5, "Local I/O Write Time": 0.1},
        ),
        (
            "Buffers: shared hit=1 read=2 dirtied=3 written=4, temp read=5 written=6",
            {"Shared Dirtied Blocks": 3, "Temp Read Blocks": 5, "Temp Written Blocks": 6},
        ),
        (
            "WAL: records=1 fpi=2 bytes=3 buffers full=4",
            {"WAL Records": 1, "WAL FPI": 2, "WAL Bytes": 3, "WAL Buffers Full": 4},
        ),
        ("Heap Blocks: exact=1 lossy=2", {"Exact Heap Blocks": 1, "Lossy Heap Blocks": 2}),
        (
            "Hits: 9  Misses: 1  Evictions: 2  Overflows: 3  Memory Usage: 4kB",
            {"Cache Hits": 9, "Cache Misses": 1, "Cache Evictions": 2,
             "Cache Overflows": 3, "Peak Memory Usage": 4},
        ),
        (
            "Sampling: bernoulli ('50'::real) REPEATABLE ('1'::double precision)",
            {"Sampling Method": "bernoulli", "Sampling Parameters": ["'50'::real"],
             "Repeatable Seed": "'1'::double precision"},
        ),
        ("Tuples: inserted=1 updated=2 skipped=3", {"Tuples Updated": 2}),
        ("Output: a, f(b, c), 'x, ''y'", {"Output": ["a", "f(b, c)", "'x, ''y'"]}),
        ("Filter: false", {"Filter": "false"}),
        ("Disabled: true", {"Disabled": True}),
        ("Heap Fetches: 12", {"Heap Fetches": 12}),
    ],
)  # fmt: skip
def test_a_property_has_the_names_and_units_of_json(
    line: str, facts: dict[str, object]
) -> None:
    plan = read_plan(f"Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n  {line}")

    assert dict(plan.root.facts).items() >= facts.items()


def test_buckets_that_grew_say_how_many_they_were() -> None:
    line = "Buckets: 2048 (originally 1024)  Batches: 4 (originally 1)  Memory Usage: 9kB"
    facts = read_plan(f"Hash  (cost=0.00..1.00 rows=1 width=4)\n  {line}").root.facts

    assert (facts["Hash Buckets"], facts["Original Hash Buckets"]) == (2048, 1024)
    assert (facts["Hash Batches"], facts["Original Hash Batches"]) == (4, 1)
    assert facts["Peak Memory Usage"] == 9


def test_a_session_of_the_server_and_its_text_make_one_plan(
    postgres: PostgresServer, database: str
) -> None:
    with connect(postgres, database) as connection:
        plan = _by_rows(connection, "costs off")

    assert plan.shape == "Seq Scan on users"


def _by_rows(connection: psycopg.Connection, options: str) -> Plan:
    rows = connection.execute(
        f"explain ({options}) select id from users where name = 'x'".encode()
    ).fetchall()
    return read_plan("\n".join(row[0] for row in rows))
