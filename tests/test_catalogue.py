"""The loader of `sql/queries/`, its errors, and what it derives."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fluxlab.errors import FluxlabError
from fluxlab.settings import ROOT
from fluxlab.workload.catalogue import load_file, load_workload, number_parameters
from fluxlab.workload.query import CacheUse, Parameter

BLOCK = """\
-- A line about the file.

-- name: newest_page
-- what: The newest page.
-- weight: 12
-- claim: Conversation messages
-- cache: conv:{convId}:messages:page:{page} ttl: very long
-- habits: offset, select_star
-- param conversation_id: messages.conversation_id
-- param author_id: select author_id from messages
--     where conversation_id = :conversation_id limit 1
-- param offset: one of 0 | 50
select * from messages as m
where m.conversation_id = :conversation_id
    and m.created_at < :now::timestamptz  -- not ':this'
    and author_id = :author_id
offset :offset;
"""
FACTS = list(csv.DictReader((ROOT / "data" / "facts" / "queries.csv").open()))
WORKLOAD = load_workload(ROOT / "sql" / "queries")


def write(directory: Path, text: str, name: str = "messaging.sql") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_a_block_is_read_with_all_its_headers(tmp_path: Path) -> None:
    (query,) = load_file(write(tmp_path, BLOCK))

    assert query.name == "newest_page"
    assert query.area == "messaging"
    assert query.weight == 12
    assert query.claim == "Conversation messages"
    assert query.cache == CacheUse("conv:{convId}:messages:page:{page}", "very long")
    assert query.habits == ("offset", "select_star")
    assert query.line == 3
    assert query.names == ("conversation_id", "now", "author_id", "offset")
    assert query.parameters == (
        Parameter("conversation_id", column=("messages", "conversation_id")),
        Parameter(
            "author_id",
            sql="select author_id from messages\n"
            "where conversation_id = :conversation_id limit 1",
        ),
        Parameter("offset", choices=("0", "50")),
    )


def test_the_tables_and_the_kind_come_from_the_parser() -> None:
    text = (
        "-- name: n\n-- what: w\n-- weight: 1\n"
        "with gone as (delete from files where id = $1 returning id)\n"
        "select * from gone join users on users.id = gone.id;"
    )
    # `$1` stands for itself here: what counts is the statement.
    from fluxlab.plans.statement import read_statement

    facts = read_statement(text.split("weight: 1\n")[1])

    assert facts.tables == ("files", "users")
    assert facts.is_write


@pytest.mark.parametrize(
    ("change", "line", "expected"),
    [
        (("-- weight: 12", "-- wieght: 12"), 5, "not a header"),
        (("-- weight: 12", "-- weight: often"), 3, "weight is 'often'"),
        (("-- what: The newest page.\n", ""), 3, "no header `what`"),
        (("-- weight: 12", "-- weight: 12\n-- weight: 13"), 6, "second header `weight`"),
        (("ttl: very long", "ttl: forever"), 3, "no cache use"),
        (("one of 0 | 50", "0 to 50"), 12, "does not say where offset comes from"),
        (("one of 0 | 50", "one of 1|2|3|4|5"), 12, "5 choices"),
        (("-- param offset: one of 0 | 50\n", ""), 12, "where :offset comes from"),
        ((":author_id\noffset", ":now\noffset"), 13, ":author_id is not used"),
        (("offset :offset;", "ofset :offset;"), 17, "syntax error"),
        (("offset :offset;", "offset :offset"), 13, "1 statements"),
        (("offset :offset;", "offset :offset; select 1;"), 13, "2 statements"),
        (
            ("-- name: newest_page", "select 1;\n-- name: newest_page"),
            3,
            "before the first",
        ),
    ],
)
def test_an_error_of_the_loader_names_file_line_and_what_was_expected(
    tmp_path: Path, change: tuple[str, str], line: int, expected: str
) -> None:
    assert change[0] in BLOCK

    with pytest.raises(FluxlabError) as caught:
        load_file(write(tmp_path, BLOCK.replace(*change)))

    assert f"messaging.sql:{line}: " in caught.value.what
    assert expected in caught.value.what


def test_a_name_that_is_taken_is_an_error_that_names_both_places(tmp_path: Path) -> None:
    write(tmp_path, BLOCK, "a.sql")
    write(tmp_path, BLOCK, "b.sql")

    with pytest.raises(
        FluxlabError, match=r"b\.sql:3: the name newest_page is taken by a\.sql:3"
    ):
        load_workload(tmp_path)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select ':a'", "select ':a'"),
        ('select ":a"', 'select ":a"'),
        ("select a::text", "select a::text"),
        ("select 'it''s :a', :b", "select 'it''s :a', $1"),
        ("select :a -- :b\n, :a", "select $1 -- :b\n, $1"),
        ("select /* :a */ :b", "select /* :a */ $1"),
        ("select '12:30'::time", "select '12:30'::time"),
    ],
)
def test_only_what_is_a_parameter_is_numbered(sql: str, expected: str) -> None:
    assert number_parameters(sql)[0] == expected


def test_every_row_of_the_facts_is_a_query_of_that_kind_on_those_tables() -> None:
    assert len(WORKLOAD) == len(FACTS) == 358
    expected = {
        row["id"]: (row["area"], row["kind"], set(row["tables"].split("|")), row["claim"])
        for row in FACTS
    }
    found = {
        query.name: (
            query.area,
            "write" if query.is_write else "read",
            set(query.tables),
            query.claim or "",
        )
        for query in WORKLOAD.values()
    }

    assert found == expected


def test_all_344_distinct_shapes_and_at_least_60_writes_are_there() -> None:
    columns = (
        *("kind", "tables", "filters", "joins"),
        *("group/aggregate", "order_by", "limit/offset"),
    )
    shapes = {
        tuple(row[column] for column in columns) for row in FACTS if row["id"] in WORKLOAD
    }

    assert len(shapes) == 344
    # Two rows that differ in columns or stand for a loop may issue one statement.
    assert len({query.fingerprint for query in WORKLOAD.values()}) >= 344
    assert sum(query.is_write for query in WORKLOAD.values()) >= 60


def test_every_cache_key_of_the_facts_is_said_by_its_query() -> None:
    for row in FACTS:
        cache = WORKLOAD[row["id"]].cache
        assert (cache.key if cache else "") == row["cache_key"], row["id"]


def test_a_star_stands_only_where_the_application_has_that_habit() -> None:
    for row in FACTS:
        query = WORKLOAD[row["id"]]
        has_star = "select *" in query.sql or ".*" in query.sql
        assert has_star == ("select_star" in row["special"]), row["id"]
        assert has_star == ("select_star" in query.habits), row["id"]


def test_a_name_that_is_nearly_right_gets_a_suggestion() -> None:
    with pytest.raises(FluxlabError, match="user_by_email"):
        WORKLOAD.find("user_by_emai")
