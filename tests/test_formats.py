"""Real plans in four formats: they say the same of every node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import psycopg
import pytest
from plan_statements import STATEMENTS, answer, prepared

from fluxlab.plans.labels import Json
from fluxlab.plans.reading import read_plan
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

#: What FORMAT TEXT leaves out, or says elsewhere.
UNSAID_IN_TEXT = ("Inner Unique", "Single Copy")


@pytest.fixture(scope="module")
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with connect(postgres, module_database) as opened:
        opened.execute("vacuum analyze")
        yield opened


def said(facts: Mapping[str, Json]) -> dict[str, object]:
    """Facts without those that say nothing: 0, false, empty."""
    return {
        name: value
        for name, value in facts.items()
        if value not in (0, False, None, "Simple") and value != [] and value != {}
        if name not in UNSAID_IN_TEXT
        # Of several functions at once there is an alias only.
        if name != "Function Name" or value != facts.get("Alias")
    }


@pytest.mark.parametrize("options", ["costs off", "costs", "verbose, settings"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_plan_is_the_same_in_all_four_formats(
    connection: psycopg.Connection, name: str, options: str
) -> None:
    with prepared(connection, name) as statement:
        plans = {
            one: read_plan(answer(connection, f"{options}, format {one}", statement))
            for one in ("json", "text", "yaml", "xml")
        }
    expected = plans.pop("json")
    for format_name, plan in plans.items():
        assert plan.shape == expected.shape, format_name
        for node, like in zip(plan.nodes, expected.nodes, strict=True):
            if format_name == "text":
                assert said(node.facts) == said(like.facts)
            else:
                assert node.facts == like.facts, format_name
        assert plan.settings == expected.settings


@pytest.mark.parametrize("name", STATEMENTS)
def test_text_and_json_of_two_executions_count_the_same_rows(
    connection: psycopg.Connection, name: str
) -> None:
    options = "analyze, buffers, wal, verbose"
    plans = []
    for format_name in ("json", "text", "yaml", "xml"):
        with prepared(connection, name) as statement:
            text = answer(connection, f"{options}, format {format_name}", statement)
            plans.append(read_plan(text))
    expected, *others = plans
    for plan in others:
        assert plan.shape == expected.shape
        assert plan.is_timed
        assert plan.execution_ms > 0
        assert plan.planning_ms > 0
        assert [one.calls for one in plan.triggers] == [
            one.calls for one in expected.triggers
        ]
        for node, like in zip(plan.nodes, expected.nodes, strict=True):
            assert node.facts.keys() >= said(like.facts).keys() - _VARYING
            # An index finds the dead rows of what was undone before, too.
            if "parallel" not in name and node.kind != "Bitmap Index Scan":
                assert (node.rows_kept, node.loops) == (like.rows_kept, like.loops)


#: What may be there in one execution and not in the next.
_VARYING = {
    *(
        f"{kind} {what} Blocks"
        for kind in ("Shared", "Local")
        for what in ("Hit", "Read", "Dirtied", "Written")
    ),
    *(f"{kind} I/O {way} Time" for kind in ("Shared", "Temp") for way in ("Read", "Write")),
    "WAL FPI",
    "WAL Bytes",
    "WAL Records",
    "WAL Buffers Full",
}
