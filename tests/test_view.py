"""A plan as HTML, as terminal text and as an icicle: nothing is lost, nothing escapes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html import escape

import psycopg
import pytest
from plan_samples import (
    STATEMENTS,
    finding,
    large_plan,
    made,
    node,
    problems_of,
    real_plan,
    scan,
    tags_of,
)
from rich.console import Console

from fluxlab.book.icicle import icicle
from fluxlab.errors import FluxlabError
from fluxlab.plans.plan import Plan
from fluxlab.plans.views.html import finding_html, plan_html, plan_text
from fluxlab.plans.views.terminal import plan_tree
from fluxlab.plans.views.words import by_table
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

HOSTILE = "<script>alert('x')</script>\"&"


@pytest.fixture(scope="module")
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with connect(postgres, module_database) as opened:
        yield opened


def printed(plan: Plan, *findings: object, width: int = 80, colour: bool = False) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
    )
    console.print(plan_tree(plan, findings))  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def items_of(page: str) -> dict[int, str]:
    """The HTML of every node without that of the nodes below it, by its number."""
    parts = re.split(r'(?=<li(?: class="plan-never")?><(?:details|div))', page)
    numbered = [(re.search(r"node </span>(\d+)</span>", part), part) for part in parts]
    return {int(found.group(1)): part for found, part in numbered if found}


@pytest.mark.parametrize("analyze", [True, False])
@pytest.mark.parametrize("name", STATEMENTS)
def test_every_view_names_every_node_with_its_conditions(
    connection: psycopg.Connection, name: str, analyze: bool
) -> None:
    plan = real_plan(connection, name, analyze=analyze)

    page, text, tree = plan_html(plan), plan_text(plan), printed(plan)

    assert problems_of(page) == []
    assert len(items_of(page)) == len(plan.nodes)
    for one in plan.nodes:
        assert escape(one.label) in items_of(page)[one.number]
        assert one.label in text
        assert squeezed(one.label) in squeezed(tree)
        for _, condition in one.conditions:
            assert escape(condition) in items_of(page)[one.number]
            assert condition in text
            assert squeezed(condition) in squeezed(tree)


def test_a_node_stands_inside_the_node_that_it_feeds() -> None:
    plan = made(node("Limit", node("Sort", scan("users")), node("Result")))

    page = plan_html(plan)

    order = re.findall(r"<strong>(.*?)</strong>|(</details>)", page.split("Totals")[0])
    assert [label or "end" for label, _ in order] == [
        "Limit",
        "Sort",
        "Seq Scan on users",
        "end",
        "Result",
        "end",
    ]


def test_whatever_a_plan_or_a_finding_quotes_is_escaped() -> None:
    plan = made(
        node(
            HOSTILE,
            scan(HOSTILE, Filter=f"(name = '{HOSTILE}')", Index_Name=HOSTILE),
            Subplan_Name=HOSTILE,
            Sort_Method=HOSTILE,
        ),
        Triggers=[{"Trigger Name": HOSTILE, "Calls": 1, "Time": 1.0}],
    )
    findings = [
        finding(number, sentence=HOSTILE, advice=HOSTILE, fix=HOSTILE)
        for number in (None, 2)
    ]

    page = plan_html(plan, findings)

    assert problems_of(page) == []
    assert "<script" not in page
    assert page.count(escape(HOSTILE)) >= 12
    assert HOSTILE in plan_text(plan, findings)


def test_a_finding_that_stands_alone_is_whole_and_escaped() -> None:
    page = finding_html(finding(3, "medium", HOSTILE, "Try an index.", "analyze files;"))

    assert problems_of(page) == []
    assert escape(HOSTILE) in page
    assert "<pre><code>analyze files;</code></pre>" in page
    assert "</span> medium</span>" in page
    assert 'aria-label="Finding, node 3"' in page


def test_markup_of_rich_in_a_plan_stays_text() -> None:
    plan = made(scan("users", Filter="(tag = '[bold]x[/bold] [/]')"))

    assert "[bold]x[/bold] [/]" in printed(plan)


def test_a_bar_is_as_long_as_the_share_that_stands_beside_it() -> None:
    below = scan("users", Actual_Total_Time=62.0)
    plan = made(node("Sort", below, Actual_Total_Time=70.0), Execution_Time=100.0)

    items = items_of(plan_html(plan))

    assert "--share:0.620" in items[2]
    assert ">62 %<" in items[2]
    assert "--share:0.080" in items[1]
    tree = [line for line in printed(plan).splitlines() if "→" in line]
    assert [line.split("→")[0].split() for line in tree] == [
        ["8", "%", "█───────"],
        ["62", "%", "█████───"],
    ]


def test_a_plan_that_was_not_executed_has_no_bars_and_no_totals() -> None:
    plan = made({"Node Type": "Seq Scan", "Relation Name": "users", "Plan Rows": 7})

    page = plan_html(plan)

    assert not [tag for tag in tags_of(page) if "plan-bar" in str(tag[1].get("class"))]
    assert "<table>" not in page
    assert "about 7 rows" in page


def test_a_node_that_never_ran_says_so_and_is_quiet(connection: psycopg.Connection) -> None:
    connection.execute("set enable_hashjoin = off; set enable_mergejoin = off")
    plan = real_plan(connection, "never")
    connection.execute("reset enable_hashjoin; reset enable_mergejoin")

    idle = [one.number for one in plan.nodes if not one.is_executed]
    assert idle
    items = items_of(plan_html(plan))
    for number, item in items.items():
        is_idle = number in idle
        assert ("never executed" in item) == is_idle
        assert item.startswith('<li class="plan-never">') == is_idle


def test_findings_stand_at_their_node_and_those_of_the_plan_on_top() -> None:
    plan = made(node("Sort", scan("files"), scan("users")))
    fix = "create index on files (project_id);"
    findings = [
        finding(2, "medium", "Reads 300,000 rows.", "Try an index.", fix),
        finding(None, "low", "Planning takes long.", "Prepare it."),
    ]

    page, text, tree = (
        plan_html(plan, findings),
        plan_text(plan, findings),
        printed(plan, *findings),
    )

    assert page.index("Planning takes long.") < page.index("<strong>Sort")
    items = items_of(page)
    assert "Reads 300,000 rows." in items[2]
    assert f"<pre><code>{fix}</code></pre>" in items[2]
    assert "Reads 300,000 rows." not in items[1] + items[3]
    assert "2 findings: 1 medium (node 2); 1 low." in page
    for view in (text, tree):
        lines = [line.strip() for line in view.splitlines()]
        at = next(n for n, line in enumerate(lines) if "medium: Reads 300,000" in line)
        assert "Seq Scan on files" in " ".join(lines[:at])
        assert "Seq Scan on users" in " ".join(lines[at:])
        assert any(fix in line for line in lines[at:])


@pytest.mark.parametrize("weight", ["high", "medium", "low", "note"])
def test_a_weight_is_a_word_in_every_view(weight: str) -> None:
    plan = made(scan("files"))
    found = finding(1, weight)  # type: ignore[arg-type]

    item = items_of(plan_html(plan, [found]))[1]

    # In the line that is seen when the node is folded, and beside the sentence.
    assert len(re.findall(rf"</span> {weight}</span>", item)) == 2
    assert f"{weight}: " in plan_text(plan, [found])
    assert f"{weight}: " in printed(plan, found)


def test_a_plan_of_sixty_nodes_starts_open() -> None:
    page = plan_html(large_plan(60))

    opened = [attrs for tag, attrs in tags_of(page) if tag == "details"]
    assert len(opened) == 60 + 1
    assert [attrs for attrs in opened if "open" not in attrs] == [{}]


def test_a_plan_of_five_hundred_nodes_starts_with_its_deep_levels_closed() -> None:
    plan = large_plan(500)
    cheap = next(one for one in plan.nodes if one.relation == "part_9")

    items = items_of(plan_html(plan, [finding(cheap.number)]))

    assert len(items) == 500
    is_open = {number: "<details open>" in item for number, item in items.items()}
    assert 20 < sum(is_open.values()) < 250
    # The way to what matters is open: to the slowest node, and to the finding.
    for wanted in (plan.slowest, cheap):
        above = plan.parents.get(wanted.number)
        while above is not None:
            assert is_open[above.number], above.number
            above = plan.parents.get(above.number)
    assert is_open[cheap.number]


def test_a_plan_of_three_hundred_levels_is_drawn() -> None:
    tree = scan("users")
    for _ in range(300):
        tree = node("Materialize", tree)
    plan = made(tree)

    assert problems_of(plan_html(plan)) == []
    assert plan_text(plan).count("→") == 301
    assert max(map(len, printed(plan).splitlines())) <= 80


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_terminal_needs_no_more_than_eighty_columns_and_no_colour(
    connection: psycopg.Connection, name: str
) -> None:
    plan = real_plan(connection, name)
    findings = [finding(one.number, sentence="word " * 40) for one in plan.nodes]

    plain = printed(plan, *findings)

    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80
    coloured = printed(plan, *findings, colour=True)
    assert "\x1b[" in coloured
    assert squeezed(re.sub(r"\x1b\[[\d;]*m", "", coloured)) == squeezed(plain)


def test_the_totals_are_closed_and_carry_the_numbers_of_the_summary(
    connection: psycopg.Connection,
) -> None:
    plan = real_plan(connection, "three tables")

    folded = plan_html(plan).rpartition("<details>")[2]

    for one in by_table(plan):
        row = rf'<th scope="row">{one.name or "no table"}</th><td>{one.nodes}</td>'
        rest = f"<td>{one.rows_read:,} → {one.rows_kept:,}</td><td>{one.blocks:,}</td>"
        assert row + rest in folded
    assert folded.count("<caption>") == 3


def test_a_screen_reader_hears_no_bar_and_a_word_for_every_number() -> None:
    plan = made(scan("users", Actual_Total_Time=3.0), Execution_Time=4.0)

    page = plan_html(plan, [finding(1)])

    for tag, attrs in tags_of(page):
        names = str(attrs.get("class"))
        if "plan-bar" in names or "plan-mark" in names:
            assert attrs["aria-hidden"] == "true", tag
    assert '75 %<span class="plan-hidden"> of the time, </span>' in page
    assert 'aria-label="Query plan, 1 node"' in page


def test_the_icicle_adds_up_to_the_plan_and_titles_what_it_shows(
    connection: psycopg.Connection,
) -> None:
    plan = real_plan(connection, "three tables")

    for by, whole in (
        ("blocks", plan.blocks),
        ("time", sum(one.own_time_ms for one in plan.nodes)),
    ):
        figure = icicle(plan, by=by)  # type: ignore[arg-type]
        drawn = figure.data[0]
        assert sum(drawn["values"]) == pytest.approx(whole)
        assert set(drawn.parents) - {""} <= set(drawn.ids)
        own = {
            one.number: one.own_time_ms if by == "time" else one.own_blocks
            for one in plan.nodes
        }
        most = max(plan.nodes, key=lambda one: own[one.number])
        assert figure.layout.title.text.replace("<br>", " ").startswith(most.label)
        assert figure.layout.height > 100


def test_the_icicle_escapes_what_plotly_would_read_as_markup() -> None:
    figure = icicle(made(scan("<b>x</b>", Shared_Hit_Blocks=2)), by="blocks")

    assert figure.data[0].labels == ("Seq Scan on &lt;b&gt;x&lt;/b&gt;",)


def test_a_plan_without_numbers_has_no_icicle() -> None:
    with pytest.raises(FluxlabError, match="says nothing of the blocks of its nodes"):
        icicle(made({"Node Type": "Result"}), by="blocks")
