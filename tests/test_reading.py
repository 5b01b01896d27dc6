"""Reading plans out of any format and frame, and saying where a broken one breaks."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fluxlab.errors import FluxlabError
from fluxlab.plans.formats.unwrap import unwrap
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan, read_plans
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

SAMPLES = Path(__file__).parent / "plans" / "samples"


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


#: Each sample with its plans: how many nodes each has, and its root.
WHAT_THEY_HOLD = {
    "15-auto_explain-log.txt": [
        (2, "Aggregate"),
        (2, "Aggregate"),
        (1, "Index Only Scan using customers_pkey on customers"),
        (2, "Limit"),
    ],
    "15-jit.txt": [(2, "Aggregate")],
    "15-join.json": [(7, "Limit")],
    "15-parallel-workers.txt": [(5, "Sort")],
    "15-subplans-border0.txt": [(8, "CTE Scan on r")],
    "15-writes.txt": [
        (4, "Update on parts"),
        (2, "Delete on customers"),
        (2, "Update on orders"),
    ],
    "18-auto_explain-client.txt": [
        (3, "Aggregate"),
        (2, "Aggregate"),
        (1, "Index Only Scan using customers_pkey on customers"),
        (2, "Limit"),
    ],
    "18-join-verbose.txt": [(7, "Limit")],
    "18-join.json": [(7, "Limit")],
    "18-odd-framed.json": [(1, "Seq Scan on My Table")],
    "18-odd-newline.txt": [(1, "Seq Scan on My Table")],
    "18-parallel-workers.txt": [(5, "Sort")],
    "18-serialize-window.txt": [(4, "Limit")],
    "18-spill-unicode.txt": [(5, "Sort")],
    "18-subplans-border0.txt": [(8, "CTE Scan on r")],
    "18-wrapped.txt": [(5, "MixedAggregate")],
}


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


TEXT = sample("18-parallel-workers.txt")
LINES = [line[1:].rstrip() for line in TEXT.splitlines()[2:-2]]
PLAIN = "\n".join(LINES)


def _framed(corner: str, rule: str, bar: str) -> str:
    width = max(map(len, LINES))
    edge = corner + rule * (width + 2) + corner
    rows = [f"{bar} {line.ljust(width)} {bar}" for line in LINES]
    header = f"{bar} {'QUERY PLAN'.center(width)} {bar}"
    return "\n".join([edge, header, edge, *rows, edge, f"({len(LINES)} rows)"])


def _plus(text: str) -> str:
    width = max(map(len, text.splitlines()))
    *rows, last = text.splitlines()
    header = ["QUERY PLAN".center(width + 2), "-" * (width + 2)]
    marked = [f" {row.ljust(width)}+" for row in rows]
    return "\n".join([*header, *marked, f" {last}", "(1 row)", ""])


def _terminal(width: int) -> str:
    return "\n".join(
        line[at : at + width] for line in LINES for at in range(0, len(line), width)
    )


def _mail(width: int) -> str:
    return "\n".join(
        part
        for line in LINES
        for part in textwrap.wrap(
            line,
            width,
            drop_whitespace=True,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


WRAPPINGS = {
    "psql, border 0": "QUERY PLAN\n" + "-" * max(map(len, LINES)) + "\n" + PLAIN,
    "psql, border 1": TEXT,
    "psql, border 2": _framed("+", "-", "|"),
    "psql, unicode": _framed("┌", "─", "│"),
    "psql, double lines": _framed("╔", "═", "║"),
    "psql, unaligned": f"QUERY PLAN\n{PLAIN}\n({len(LINES)} rows)\n",
    "a prompt around it": f"db=# explain select 1;\n{TEXT}\nTime: 12.3 ms\ndb=# \\q\n",
    "a first line that lost its space": TEXT.strip("\n").split("\n", 2)[2].lstrip(),
    "carriage returns": TEXT.replace("\n", "\r\n"),
    "spaces that do not break": PLAIN.replace(" ", "\u00a0"),
    "a mail's quotes": "\n".join(f"> {line}" for line in LINES),
    "an answer to an answer": "\n".join(f"> > {line}" for line in LINES),
    "CSV by line": '"QUERY PLAN"\n'
    + "\n".join(f'"{line}"' for line in PLAIN.replace('"', '""').splitlines()),
    "CSV as one": '"QUERY PLAN"\n"' + PLAIN.replace('"', '""') + '"\n',
    "markdown": f"Here:\n```sql\n{PLAIN}\n```\nWhy is it slow?\n",
    "a log": "2025-01-01 00:00:00 UTC [1] LOG:  duration: 18.3 ms  plan:\n\tQuery Text: "
    "select '->  Sort'\n"
    + "\n".join(f"\t{line}" for line in LINES)
    + "\n2025-01-01 00:00:01 UTC [1] ERROR:  relation does not exist\n",
    "blank lines between": PLAIN.replace("\n", "\n\n"),
    "an indent": textwrap.indent(PLAIN, "    "),
    "a terminal of 80": _terminal(80),
    "a terminal of 100": _terminal(100),
    "a mail of 72": _mail(72),
    "a mail of 78": _mail(78),
}


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
        _plus(text),
        "\n".join(_plus(text).splitlines()[2:-1]),
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


def test_a_missing_parent_is_said_with_the_line_below_it() -> None:
    at = next(place for place, line in enumerate(LINES) if "Gather" in line)
    broken = [line for place, line in enumerate(LINES) if place != at]
    number = next(
        place for place, line in enumerate(broken, 1) if "->  Partial HashAgg" in line
    )

    with pytest.raises(FluxlabError, match=rf"Line {number}: .*deeper than any node above"):
        read_plans("\n".join(broken))


def test_a_plan_without_its_root_is_said_at_its_second_branch() -> None:
    text = (
        "  ->  Seq Scan on a  (cost=0.00..1.00 rows=1 width=4)\n"
        "  ->  Seq Scan on b  (cost=0.00..1.00 rows=1 width=4)\n"
    )
    with pytest.raises(FluxlabError, match=r"Line 2: .*under none"):
        read_plans(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no plan"),
        ("hello\nworld", "no plan"),
        ("select 1", "no plan"),
        ('[{"Plan": {"Node Type": "Sort", }}]', "Line 1: .*cannot be read as JSON"),
        ('[\n {"Plan":\n  {"Node Type"\n', "cannot be read as JSON"),
        ('[{"Plan": {"Plans": []}}]', "not a plan"),
        ('[{"Plan": {"Node Type": "Sort", "Plans": [1]}}]', "not a plan"),
        ('[{"Plan": {"Node Type": "Sort", "Actual Loops": 1e999}}]', "not a plan"),
        ("[" * 100_000, "JSON"),
        ('- Plan:\n    Node Type: "Sort\n', "YAML"),
        ("- Plan: \n    Node Type: &a [1]\n    Plans: [*a, *a]\n", "alias|YAML"),
        ("<explain>\n<Query>\n<Plan></Query></explain>", "Line 3: .*XML"),
        ("<explain/>", "no plan"),
        (
            "Limit  (cost=1.00..2.00 rows=1 width=4)\n  ->  (cost=1.00..2.00)",
            "Line 2: .*is no node",
        ),
    ],
)
def test_what_is_no_plan_is_said_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(FluxlabError, match=said):
        read_plans(text)


def test_entities_are_refused_before_anything_is_read() -> None:
    bomb = (
        '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n'
        "<explain><Query><Plan><Node-Type>&b;</Node-Type></Plan></Query></explain>"
    )
    with pytest.raises(FluxlabError, match=r"Line 2: .*document type"):
        read_plans(bomb)


def test_a_statement_in_a_log_is_not_taken_for_a_plan() -> None:
    (piece,) = unwrap(WRAPPINGS["a log"])

    assert piece.query == "select '->  Sort'"
    assert piece.duration_ms == 18.3


POOL = [sample(name) for name in WHAT_THEY_HOLD] + [WRAPPINGS["a mail of 72"]]


HOW = ("delete", "double", "cut", "indent", "swap", "junk", "glue")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A real plan with lines deleted, doubled, moved and cut short."""
    lines = draw(st.sampled_from(POOL)).splitlines()
    for _ in range(draw(st.integers(1, 6))):
        if not lines:
            break
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(HOW))
        if what == "delete":
            del lines[at : at + draw(st.integers(1, 4))]
        elif what == "double":
            lines.insert(at, lines[at])
        elif what == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif what == "indent":
            lines[at] = " " * draw(st.integers(0, 12)) + lines[at].lstrip()
        elif what == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif what == "junk":
            place = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:place] + draw(st.text(max_size=8)) + lines[at][place:]
        else:
            lines[at : at + 2] = ["".join(lines[at : at + 2])]
    return "\n".join(lines)


def plans_or_none(text: str) -> tuple[Plan, ...]:
    """The plans of a text; none where a sentence says why."""
    try:
        return read_plans(text)
    except FluxlabError:
        return ()


@given(mutated())
@hypothesis_settings(max_examples=600, deadline=None)
def test_whatever_was_mutated_is_a_plan_or_a_sentence(text: str) -> None:
    for plan in plans_or_none(text):
        assert plan.shape
        assert repr(plan)
        assert all(node.own_time_ms >= 0 for node in plan.nodes)


@given(st.text(alphabet=st.sampled_from('->()[]{}:"\n\t |+ab1.<&*') | st.characters()))
@hypothesis_settings(max_examples=300, deadline=None)
def test_whatever_is_written_is_no_traceback(text: str) -> None:
    for one in (
        text,
        f"[{text}",
        f"- Plan:\n{text}",
        f"<explain>{text}</explain>",
        PLAIN + text,
    ):
        assert all(plan.shape for plan in plans_or_none(one))


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
