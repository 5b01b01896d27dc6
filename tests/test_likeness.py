"""When two definitions are one, and when one index makes another unnecessary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations, product

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_cases import fresh_schema, run
from step_sessions import SPRINT

from fluxlab.indexes.definition import (
    IndexDef,
    parse_index,
    parse_indexes,
    read_indexes,
)
from fluxlab.indexes.known import settled
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT

BASE = ROOT / "sql" / "indexes" / "base.sql"

THINGS = """
create table things (a int, b int, c text, d boolean, e varchar(20), f timestamptz);
insert into things
select g % 97, nullif(g % 7, 0), md5(g::text), g % 3 = 0, 'e' || g % 11,
    timestamptz '2026-01-01 00:00+00' + g * interval '1 hour'
from generate_series(1, 2000) as g;
vacuum (analyze) things
"""


@pytest.fixture(scope="module")
def things(postgres: PostgresServer, module_database: str) -> Iterator[psycopg.Connection]:
    """A session with a table of ours, all of whose rows are visible to everybody."""
    with fresh_schema(postgres, module_database) as connection:
        run(connection, THINGS)
        yield connection


# --- the same ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("(d) where d = true", "(d) where d", True),
        ("(d) where d = false", "(d) where not d", True),
        ("(d) where d = false", "(d) where d", False),
        ("(a) where b = 1 and c = 2", "(a) where c = 2 and b = 1", True),
        ("(a) where b = 1 or c = 2", "(a) where c = 2 and b = 1", False),
        ("(a) include (b, c)", "(a) include (c, b)", True),
        ("(a) include (b)", "(a, b)", False),
        ("(a)", "(a nulls last)", True),
        ("(a desc)", "(a desc nulls first)", True),
        ("(a desc)", "(a)", False),
        ("(a)", "(b)", False),
        ("(a, b)", "(b, a)", False),
        ("(c)", "(c text_pattern_ops)", False),
        ('(c collate "C")', "(c)", False),
        ("(lower(c))", "(LOWER(c))", True),
        ("(lower(c))", "(upper(c))", False),
        ("(lower(e::text))", "(lower(e))", False),  # not without asking the server
        ("(a) where e = '1'", "(a) where e = '2'", False),
        ("using gin (g)", "(g)", False),
        ("(a) with (fillfactor = 70)", "(a)", False),
        (
            "using gin (g) with (fastupdate = off)",
            "using gin (g) with (fastupdate = false)",
            True,
        ),
        ("(a) nulls not distinct", "(a)", False),
        ("(a) tablespace fast", "(a)", True),
        ("(a) tablespace fast", "(a) tablespace slow", False),
        (
            "using gin (to_tsvector('english', c))",
            "using gin (to_tsvector('english'::regconfig, c))",
            True,
        ),
        (
            "using gin (to_tsvector('english', c))",
            "using gin (to_tsvector('german'::regconfig, c))",
            False,
        ),
    ],
)
def test_two_definitions_are_the_same_or_not(one: str, other: str, is_same: bool) -> None:
    first = parse_index(f"create index i on t {one}")
    second = parse_index(f"create index j on t {other}")

    assert first.same_as(second) is is_same
    assert second.same_as(first) is is_same


def test_a_schema_left_open_is_any_and_another_table_is_another_index() -> None:
    index = parse_index("create index i on t (a)")

    assert index.same_as(replace(index, schema="public"))
    assert not replace(index, schema="app").same_as(replace(index, schema="public"))
    assert not index.same_as(replace(index, table="u"))
    assert not index.same_as(replace(index, is_unique=True))


def test_the_101_indexes_of_the_lab_are_recognised_in_its_catalog(
    postgres: PostgresServer, database: str
) -> None:
    wanted = {
        index.name: index for index in parse_indexes(BASE.read_text() + SPRINT.read_text())
    }
    with connect(postgres, database) as connection:
        connection.execute(SPRINT.read_bytes())
        known = {one.definition.name: one for one in read_indexes(connection)}

    for name, index in wanted.items():
        assert index.same_as(known[name].definition), name
        assert known[name].is_valid
        assert not known[name].is_constraint
        assert known[name].size_bytes > 0
        # And with no other of the catalog but a true duplicate, which has another name.
        twins = [one for one in known.values() if index.same_as(one.definition)]
        columns = {tuple(one.definition.keys) for one in twins}
        assert columns == {known[name].definition.keys}
    assert sum(one.is_constraint for one in known.values()) == len(known) - 101


# --- one for two ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("(a, b)", "(a)", "a prefix"),
        ("(a, b)", "(a desc)", "a prefix, read backwards"),
        ("(a, b desc)", "(a desc, b)", "all of it reversed"),
        ("(a, b desc nulls last, c)", "(a desc, b nulls first)", "reversed, nulls too"),
        ("(a)", "(a)", "itself"),
        ("(a, b)", "(a) include (b)", "the key can be returned"),
        ("(a) include (b, c)", "(a) include (c)", "it returns more"),
        ("(a)", "(a) where a is not null", "the predicate is a test of its key"),
        ("(a, d)", "(a) where d", "the predicate is tested in its second key"),
        ("(a, b) where b is not null", "(a) where b = 3", "every row of the other"),
        ("(a, b) where d", "(a) where d = true and b > 3", "every row of the other"),
        ("(lower(c), a)", "(lower(c))", "a prefix that is an expression"),
        ("using gin (c, g)", "using gin (g)", "any key of a GIN will do"),
        ("using gist (a, b)", "using gist (a)", "a prefix"),
    ],
)
def test_an_index_makes_another_unnecessary(one: str, other: str, why: str) -> None:
    first = parse_index(f"create index i on t {one}")
    second = parse_index(f"create index j on t {other}")

    assert first.subsumes(second), why


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("(a)", "(a, b)", "it is shorter"),
        ("(b, a)", "(a)", "a is not its first key"),
        ("(a, b)", "(a, b desc)", "the order is mixed"),
        ("(a desc, b)", "(a, b)", "the order is mixed"),
        ("(a)", "(a desc nulls last)", "nulls stand at the other end"),
        ("(c)", "(c text_pattern_ops)", "other operators"),
        ("(c text_pattern_ops)", "(c)", "other operators"),
        ('(c collate "C")', "(c)", "another order of letters"),
        ("(a) where d", "(a)", "rows are missing"),
        ("(a) where d", "(a) where not d", "the other rows"),
        ("(a) where b = 3", "(a) where b is not null", "fewer rows"),
        ("(a) where b is not null", "(a) where b = 3", "b would be looked up"),
        ("(a) where b is not null", "(a) where c = 'x'", "another column"),
        ("(a) where b is not null", "(a) where b is null", "the other rows"),
        ("(a)", "(a) where d", "a full one would have to look at every row"),
        ("(a, c text_pattern_ops)", "(a) where c > 'x'", "its operators differ"),
        ("(a)", "(a) include (b)", "b is not returned"),
        ("(a) include (b)", "(a, b)", "b is not ordered"),
        ("(lower(c))", "(c)", "an expression is no column"),
        ("(c)", "(lower(c))", "a column is no expression"),
        ("(lower(c), b)", "(lower(e))", "another expression"),
        ("(a)", "using hash (a)", "another method"),
        ("using gin (g)", "using gin (g, c)", "a key is missing"),
        ("using brin (f)", "using brin (f) with (pages_per_range = 8)", "coarser"),
        ("using gist (b, a)", "using gist (a)", "the first key matters"),
    ],
)
def test_the_tempting_but_wrong_index_does_not(one: str, other: str, why: str) -> None:
    first = parse_index(f"create index i on t {one}")
    second = parse_index(f"create index j on t {other}")

    assert not first.subsumes(second), why


def test_a_unique_index_is_subsumed_by_none_that_lets_duplicates_in() -> None:
    def unique(keys: str) -> IndexDef:
        return parse_index(f"create unique index i on t {keys}")

    plain = parse_index("create index i on t (a, b)")

    assert unique("(a, b)").subsumes(plain)
    assert not plain.subsumes(unique("(a)"))
    assert not unique("(a, b)").subsumes(unique("(a)"))
    assert unique("(a) include (b)").subsumes(unique("(a)"))
    assert not unique("(a)").subsumes(unique("(a) where d"))
    assert not unique("(a, d)").subsumes(unique("(a) where d"))
    assert not unique("(a) nulls not distinct").subsumes(unique("(a)"))


def test_a_full_index_finds_the_rows_of_a_partial_one_when_filtering_is_allowed() -> None:
    full, partial = parse_indexes("create index on t (a, b); create index on t (a) where d")

    assert not full.subsumes(partial)
    assert full.subsumes(replace(partial, predicate=None))


KEYS = (
    *("a", "b", "a desc", "b desc nulls last", "c", "d", "e", "lower(c)"),
    *("c text_pattern_ops", 'c collate "C"', "f"),
)
PREDICATES = ("", "b is not null", "b = 3", "d", "not d", "a > 50", "d and b = 3", "a = 7")
SHAPES = [
    *((key,) for key in KEYS),
    *permutations(("a", "b", "c", "d"), 2),
    *[("a", "b desc"), ("a desc", "b"), ("a desc", "b desc"), ("b", "a desc nulls last")],
    *[("a", "b", "d"), ("d", "a", "b"), ("lower(c)", "a"), ("a", "lower(c)")],
]
#: A condition on each key that only an index on just that key can be asked for.
TESTS = {
    "a": "a = 3",
    "b": "b = 2",
    "c": "c = 'x'",
    "d": "d",
    "e": "e = 'e1'",
    "f": "f = '2026-02-01 00:00+00'",
    "lower(c)": "lower(c) = 'x'",
    "c text_pattern_ops": "c ~>=~ 'x'",
    'c collate "C"': "c collate \"C\" > 'x'",
}


def pool() -> list[IndexDef]:
    made = []
    for number, (shape, predicate) in enumerate(product(SHAPES, PREDICATES)):
        if number % 3 and len(shape) > 1 and predicate:
            continue  # enough of them
        where = f" where {predicate}" if predicate else ""
        include = " include (e)" if number % 4 == 0 else ""
        listed = ", ".join(shape)
        made.append(
            parse_index(f"create index i{number} on things ({listed}){include}{where}")
        )
    return made


def questions(index: IndexDef) -> Iterator[str]:
    """Queries that an index is made for: by its keys, in its order, from it alone."""
    tests = [
        TESTS[key.sql.removesuffix(" desc").removesuffix(" desc nulls last")]
        for key in index.keys
    ]
    order = ", ".join(
        key.sql.replace(" text_pattern_ops", " using ~<~") for key in index.keys
    )
    partial = [index.predicate] if index.predicate else []
    returned = [key.target for key in index.keys if not key.is_expression]
    listed = ", ".join([*returned, *index.included]) or "1"
    for wanted in (tests, tests[:1], []):
        where = " and ".join([*wanted, *partial])
        where = f" where {where}" if where else ""
        yield f"select * from things{where} order by {order}"
        if where:
            yield f"select * from things{where}"
            yield f"select {listed} from things{where}"


def answer(connection: psycopg.Connection, query: str) -> tuple[bool, bool, bool, bool]:
    """What the one index of the table does: is used, spares a sort, a filter, the table."""
    rows = connection.execute(f"explain (costs off) {query}".encode()).fetchall()
    plan = "\n".join(row[0] for row in rows)
    is_used = "Seq Scan" not in plan
    return (
        is_used,
        is_used and "Sort" not in plan,
        is_used and "Filter" not in plan,
        "Index Only Scan" in plan,
    )


def test_for_every_query_the_planner_agrees_that_the_other_can_go(
    things: psycopg.Connection, say: Callable[[str], None]
) -> None:
    indexes = settled(things, pool())
    asked = sorted({query for index in indexes for query in questions(index)})
    for parameter in ("seqscan", "sort", "bitmapscan", "incremental_sort"):
        things.execute(f"set enable_{parameter} = off".encode())
    answers = {}
    for index in indexes:
        with things.transaction(force_rollback=True):
            things.execute(index.ddl().encode())
            if any(key.is_expression for key in index.keys):
                things.execute("analyze things")
            answers[index.name] = [answer(things, query) for query in asked]

    redundant = [
        (one, other)
        for one, other in permutations(indexes, 2)
        if one.subsumes(other) and not one.same_as(other)
    ]
    wrong = [
        (one.ddl(), other.ddl(), query, does, must)
        for one, other in redundant
        for query, does, must in zip(
            asked, answers[one.name], answers[other.name], strict=True
        )
        if any(needed and not had for had, needed in zip(does, must, strict=True))
    ]
    say(f"{len(indexes)} indexes, {len(redundant)} pairs, {len(asked)} queries each")
    assert len(redundant) > 100
    assert wrong == []


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_subsumes_does_so_in_chains(data: st.DataObject) -> None:
    chosen = st.sampled_from(POOL)
    first, second, third = (data.draw(chosen) for _ in range(3))

    assert first.subsumes(first)
    if first.subsumes(second) and second.subsumes(third):
        assert first.subsumes(third)
    if first.same_as(second):
        assert first.subsumes(second)
        assert second.subsumes(first)


POOL = pool()
