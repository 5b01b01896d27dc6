"""IndexDef: read and written exactly, compared soundly, and never subsumed by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pglast import parse_sql
from rule_cases import fresh_schema, run

from fluxlab.errors import FluxlabError
from fluxlab.indexes.definition import (
    IndexDef,
    Key,
    parse_index,
    parse_indexes,
    read_indexes,
)
from fluxlab.indexes.known import settled
from fluxlab.plans.rules.expressions import quoted
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT

BASE = ROOT / "sql" / "indexes" / "base.sql"
SPRINT = ROOT / "sql" / "migrations" / "005_performance_optimization_indexes.sql"

TABLE = """
create table things (
    a int, b int, c text, d boolean, e varchar(20), f timestamptz, g int[],
    "Odd ""name" date
);
insert into things
select g % 97, nullif(g % 7, 0), md5(g::text), g % 3 = 0, 'e' || g % 11,
    timestamptz '2026-01-01 00:00+00' + g * interval '1 hour', array[g % 5, g % 3]
from generate_series(1, 2000) as g;
vacuum (analyze) things
"""


@pytest.fixture(scope="module")
def things(postgres: PostgresServer, module_database: str) -> Iterator[psycopg.Connection]:
    """A session with a table of ours, all of whose rows are visible to everybody."""
    with fresh_schema(postgres, module_database) as connection:
        run(connection, TABLE)
        yield connection


# --- reading and writing -----------------------------------------------------------

words = st.one_of(
    st.sampled_from(
        ["a", "Order", "select", "between", "values", "ünï", 'q"q', "x y", "1", "a\n"]
    ),
    st.text(
        st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=9
    ),
)
names = words.filter(lambda word: len(word.encode()) <= 63)
literals = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=8)


def written(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    shapes = st.sampled_from(
        [
            "lower({0})",
            "coalesce({0}, {1})",
            "({0} + {1}) * {0}",
            "{0} - ({1} - {0})",
            "{0} ->> {1}",
            "({0})::date",
            "cast({0} as numeric(9, 2)[])",
            '{0} collate "C" || {1}',
            "case when {0} is null then {1} else {0} end",
            "({0})[1]",
            "{0} at time zone 'utc'",
            "array[{0}, {1}]",
            "({0}, {1})",
            "{0} in ({1}, 7)",
            "not ({0} and {1}) or {0}",
            "{0} is distinct from {1}",
            "{0} between {1} and {0}",
            "-({0})",
            "{0} = any({1})",
            "{0} like {1}",
            "extract(year from {0})",
            "substring({0} from 2)",
            "my.own({0}, variadic {1})",
        ]
    )
    return st.builds(
        lambda shape, one, other: (
            "(" + shape.replace("{0}", one).replace("{1}", other) + ")"
        ),
        shapes,
        inner,
        inner,
    )


expressions = st.recursive(
    st.one_of(
        names.map(quoted), literals.map(written), st.sampled_from(["7", "1.50", "true"])
    ),
    grown,
    max_leaves=6,
)


def as_parsed(expression: str) -> Key:
    """The key as the parser writes it: what `parse_index` would have made."""
    return parse_index(f"create index on t (({expression}))").keys[0]


keys = st.builds(
    lambda key, opclass, collation, down, nulls: replace(
        key,
        opclass=opclass,
        collation=collation,
        is_descending=down,
        nulls_first=nulls,
    ),
    st.one_of(st.builds(Key, names), expressions.map(as_parsed)),
    st.one_of(
        st.none(),
        names.map(quoted),
        st.builds(lambda one: f"{quoted(one)} (siglen = 32)", names),
    ),
    st.one_of(st.none(), st.builds(lambda a, b: f"{quoted(a)}.{quoted(b)}", names, names)),
    st.booleans(),
    st.booleans(),
)
settings_of_storage = st.one_of(
    st.sampled_from(["70", "007", "²", "12345678901", "on", "auto", "-1", "0.5"]), literals
)
definitions = st.builds(
    IndexDef,
    name=names,
    table=names,
    keys=st.lists(keys, min_size=1, max_size=3).map(tuple),
    schema=st.one_of(st.none(), names),
    method=st.sampled_from(["btree", "gin", "gist", "hash", "Own"]),
    included=st.lists(names, max_size=2).map(tuple),
    predicate=st.one_of(
        st.none(),
        expressions.map(
            lambda text: parse_index(f"create index on t (a) where {text}").predicate
        ),
    ),
    is_unique=st.booleans(),
    nulls_not_distinct=st.booleans(),
    options=st.lists(st.tuples(names, settings_of_storage), max_size=2).map(tuple),
    tablespace=st.one_of(st.none(), names),
    is_only=st.booleans(),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(definitions, st.booleans(), st.booleans())
def test_what_is_written_is_read_back_exactly(
    index: IndexDef, concurrently: bool, if_not_exists: bool
) -> None:
    ddl = index.ddl(concurrently=concurrently, if_not_exists=if_not_exists)

    assert parse_index(ddl) == index


@settings(max_examples=200, deadline=None)
@given(expressions)
def test_an_expression_means_what_it_meant_before_it_was_read(text: str) -> None:
    key = as_parsed(text)
    index = IndexDef(name="i", table="t", keys=(key,), predicate=key.expression)

    def tree(sql: str) -> object:
        return parse_sql(sql)[0].stmt.targetList[0].val

    if key.is_expression:
        assert tree(f"select {key.expression}") == tree(f"select {text}")
        (element,) = parse_sql(index.ddl())[0].stmt.indexParams
        assert element.expr == tree(f"select {text}")


def test_every_index_of_the_lab_is_read_and_written_exactly() -> None:
    found = [*parse_indexes(BASE.read_text()), *parse_indexes(SPRINT.read_text())]

    assert len(found) == 101
    assert [parse_index(index.ddl()) for index in found] == found
    assert len({index.name for index in found}) == 101


def test_null_order_is_resolved_to_its_default() -> None:
    plain, down, last, first = parse_index(
        "create index i on t (a, b desc, c desc nulls last, d nulls first)"
    ).keys

    assert (plain.nulls_first, down.nulls_first) == (False, True)
    assert (last.nulls_first, first.nulls_first) == (False, True)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("create index i on t", "not SQL"),
        ("drop index i", "not a CREATE INDEX"),
        ("", "0 statements"),
        ("create index i on t (a); create index j on t (a)", "2 statements"),
    ],
)
def test_anything_but_one_create_index_is_an_error(sql: str, what: str) -> None:
    with pytest.raises(FluxlabError, match=what):
        parse_index(sql)


@pytest.mark.parametrize(
    ("ddl", "families"),
    [
        ("create index on t (a)", ("single",)),
        ("create unique index on t (a)", ("unique",)),
        ("create index on t (a, b desc) where c", ("partial", "composite", "descending")),
        ("create index on t using gin (a)", ("gin",)),
        ("create index on t (lower(a)) include (b)", ("expression", "covering")),
        ("create index on t using brin (a) where b", ("brin", "partial")),
    ],
)
def test_an_index_belongs_to_families(ddl: str, families: tuple[str, ...]) -> None:
    assert parse_index(ddl).families == families
    assert parse_index(ddl).family == families[0]


def test_an_index_without_a_name_gets_the_one_postgres_gives(
    things: psycopg.Connection,
) -> None:
    ddl = "create index on things (a, b) include (c)"

    with things.transaction(force_rollback=True):
        things.execute(ddl)
        (known,) = read_indexes(things, "things")
    assert parse_index(ddl).name == known.definition.name


# --- the same, for the server --------------------------------------------------------

columns = st.sampled_from(["a", "b", "c", "d", "e", "f", '"Odd ""name"'])
server_keys = st.one_of(
    columns,
    st.sampled_from(
        [
            "(a)",
            "lower(c)",
            "lower(e)",
            "(a + b)",
            "(f at time zone 'utc')",
            "coalesce(b, 0)",
            "date_trunc('day', f at time zone 'utc')",
            "(e || 'x')",
            "((c)::text)",
            '(c || e) collate "C"',
            "c text_pattern_ops",
            "c text_ops",
            "e varchar_pattern_ops",
            'c collate "C"',
            'c collate "default"',
        ]
    ),
)
server_predicates = st.sampled_from(
    [
        "",
        "d",
        "d = true",
        "false = d",
        "not d",
        "b is not null",
        "e = 'e1'",
        "e in ('e1', 'e2')",
        "e <> 'e1' and a > 3 and d",
        "a between 3 and 7",
        "c like 'a%'",
        "f > '2026-01-02'::timestamptz",
        "f > timestamptz '2026-01-02 00:00+00'",
        '"Odd ""name" is null or (a = 1 and b = 2)',
        "g @> '{1}'",
        "a = 3::bigint",
        "things.a = 1",
    ]
)


def as_ddl(parts: tuple[list[tuple[str, str]], str, str, bool, str]) -> str:
    chosen, include, predicate, is_unique, options = parts
    listed = ", ".join(f"{key} {order}" for key, order in chosen)
    where = f" where {predicate}" if predicate else ""
    return (
        f"create {'unique ' if is_unique else ''}index i on things ({listed}){include}"
        f"{options}{where}"
    )


orders = st.sampled_from(
    ["", "asc", "desc", "desc nulls last", "nulls first", "nulls last"]
)
server_ddl = st.tuples(
    st.lists(st.tuples(server_keys, orders), min_size=1, max_size=3),
    st.sampled_from(["", " include (b, f)"]),
    server_predicates,
    st.booleans(),
    st.sampled_from(["", " with (fillfactor = 70, deduplicate_items = off)"]),
).map(as_ddl)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(server_ddl)
def test_the_server_s_own_text_of_an_index_is_recognised(
    things: psycopg.Connection, ddl: str
) -> None:
    index = parse_index(ddl)
    with things.transaction(force_rollback=True):
        things.execute("truncate things")  # whatever would not be unique
        things.execute(ddl.encode())
        (known,) = read_indexes(things, "things")
        # What it made of the text makes the same index again.
        things.execute("drop index i")
        things.execute(known.definition.ddl().encode())
        (again,) = read_indexes(things, "things")

    wanted, there, remade = settled(things, [index, known.definition, again.definition])
    assert wanted == there == remade
    assert wanted.same_as(there)


def test_settling_leaves_nothing_behind(things: psycopg.Connection) -> None:
    settled(things, [parse_index("create index i on things (lower(c))")])

    assert read_indexes(things, "things") == ()
    assert things.execute("select to_regclass('pg_temp.things')").fetchone() == (None,)


def test_what_the_server_refuses_is_an_error_with_its_reason(
    things: psycopg.Connection,
) -> None:
    with pytest.raises(FluxlabError, match='column "nothing" does not exist'):
        settled(things, [parse_index("create index i on things (nothing)")])
    with pytest.raises(FluxlabError, match="no table nowhere"):
        settled(things, [parse_index("create index i on nowhere (a)")])
