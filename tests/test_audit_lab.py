"""What the audit finds in the lab by itself, before and after the sprint.

Nothing is expected by name: what must be found follows from data/facts, or is counted in
the data.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import psycopg
import pytest
from audit_cases import RULES, run

from fluxlab.indexes.audit import Audit, audit
from fluxlab.indexes.audit_rules import choose_rules
from fluxlab.lab import MIGRATION, Lab, open_lab
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import ROOT, Settings

STATES = ("baseline", "sprint11")


@dataclass(frozen=True, slots=True)
class Fact:
    """An index as data/facts has it; the unique ones are those of constraints."""

    name: str
    table: str
    method: str
    keys: tuple[str, ...]
    directions: tuple[str, ...]
    predicate: str
    is_unique: bool = False


def rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "data" / "facts" / name).open(newline="") as file:
        return list(csv.DictReader(file))


@cache
def facts(state: str) -> tuple[Fact, ...]:
    files = ["base_indexes.csv"]
    files += ["migration_005_indexes.csv"] if state == "sprint11" else []
    found = []
    for row in (row for name in files for row in rows(name)):
        words = [key.strip().split(" ", 1) for key in row["keys"].split(",")]
        is_expression = "(" in row["keys"]
        found.append(
            Fact(
                row["name"],
                row["table"],
                row["method"],
                () if is_expression else tuple(word[0] for word in words),
                tuple(" ".join(word[1:]) for word in words),
                row["predicate"],
            )
        )
    for row in rows("tables_constraints.csv"):
        if row["kind"] in ("PRIMARY KEY", "UNIQUE"):
            keys = tuple(row["columns"].split("|"))
            name = row["detail"].split()[-1 if row["kind"] == "UNIQUE" else 0]
            found.append(
                Fact(name, row["table"], "btree", keys, ("",) * len(keys), "", True)
            )
    return tuple(found)


def plain(state: str) -> list[Fact]:
    return [one for one in facts(state) if not one.is_unique]


@cache
def types() -> dict[tuple[str, str], str]:
    return {(row["table"], row["column"]): row["type"] for row in rows("tables.csv")}


@pytest.fixture(scope="module")
def lab(settings: Settings, postgres: PostgresServer, redis: RedisServer) -> Lab:
    return open_lab(settings)


@pytest.fixture(scope="module")
def audits(lab: Lab) -> dict[str, Audit]:
    found = {}
    for state in STATES:
        with lab.connection(state) as connection:
            found[state] = audit(connection, RULES)
    return found


def objects(result: Audit, rule: str) -> list[str]:
    return sorted(one.object for one in result.of_rule(rule))


@pytest.mark.parametrize("state", STATES)
def test_every_duplicate_of_a_constraint_is_found(
    audits: dict[str, Audit], state: str
) -> None:
    unique = {(one.table, one.keys) for one in facts(state) if one.is_unique}

    expected = sorted(
        one.name
        for one in plain(state)
        if (one.table, one.keys) in unique and not one.predicate
    )

    assert expected
    assert objects(audits[state], "H02") == expected


@pytest.mark.parametrize("state", STATES)
def test_every_redundant_prefix_is_found_also_of_a_unique_constraint(
    audits: dict[str, Audit], state: str
) -> None:
    expected = {}
    for short in plain(state):
        longer = [
            one
            for one in facts(state)
            if one.table == short.table
            and one.method == short.method == "btree"
            and len(one.keys) > len(short.keys)
            and one.keys[: len(short.keys)] == short.keys
            and one.directions[: len(short.keys)] == short.directions
            and one.predicate == short.predicate
        ]
        if longer and short.keys:
            expected[short.name] = {one.name for one in longer}

    found = {one.object: one.evidence["other"] for one in audits[state].of_rule("H03")}

    assert any(
        name in {one.name for one in facts(state) if one.is_unique}
        for name in found.values()
    )
    assert found.keys() == expected.keys()
    assert all(found[name] in expected[name] for name in expected)


def test_fewer_foreign_keys_are_without_an_index_after_the_sprint(
    audits: dict[str, Audit],
) -> None:
    counts = []
    for state in STATES:
        served = {
            (one.table, one.keys[0])
            for one in facts(state)
            if one.keys
            and one.predicate in ("", f"{one.keys[0]} IS NOT NULL")
            and one.method == "btree"
        }
        expected = sorted(
            (row["table"], row["column"])
            for row in rows("tables.csv")
            if row["references"] and (row["table"], row["column"]) not in served
        )
        found = sorted(
            (one.table, column)
            for one in audits[state].findings
            if one.rule in ("H17", "H18")
            for column in one.evidence["columns"]  # type: ignore[attr-defined]
        )
        assert found == expected
        counts.append(len(found))

    before, after = counts
    assert 0 < after < before


def test_every_partial_index_with_a_constant_key_is_found(
    audits: dict[str, Audit],
) -> None:
    expected = sorted(
        one.name
        for one in plain("sprint11")
        if one.predicate.upper()
        in {
            f"{key} {rest}".upper()
            for key in one.keys
            for rest in ("= TRUE", "= FALSE", "IS NULL")
        }
    )

    assert len(expected) == len(set(expected)) > 0
    assert objects(audits["sprint11"], "H08") == expected
    assert objects(audits["baseline"], "H08") == []


@pytest.mark.parametrize("state", STATES)
def test_every_direction_that_changes_nothing_is_found(
    audits: dict[str, Audit], state: str
) -> None:
    expected = sorted(one.name for one in plain(state) if set(one.directions) == {"DESC"})

    assert objects(audits[state], "needless_direction") == expected
    assert bool(expected) == (state == "sprint11")


@pytest.mark.parametrize("state", STATES)
def test_every_key_of_few_values_is_found_as_the_data_says(
    lab: Lab, audits: dict[str, Audit], state: str
) -> None:
    expected = []
    with lab.connection(state) as connection:
        for one in plain(state):
            if one.predicate or len(one.keys) != 1 or one.method != "btree":
                continue
            if types()[one.table, one.keys[0]] == "BOOLEAN":
                continue
            count, distinct, top = frequencies(connection, one.table, one.keys[0])
            if count >= 100 and distinct <= 10 and top > 0.2 * count:
                expected.append(one.name)

    assert expected or state == "baseline"
    assert objects(audits[state], "H10") == sorted(expected)


def frequencies(connection: psycopg.Connection, table: str, column: str) -> tuple[int, ...]:
    """The rows of a table, the values of a column, and the rows of the most frequent."""
    row = connection.execute(
        f"""select sum(n)::int, count(value)::int, max(n) filter (where value is not null)
        from (select {column} as value, count(*)::int as n from {table} group by 1) as f
        """.encode()
    ).fetchone()
    assert row is not None
    return tuple(row)


def test_every_index_on_a_boolean_alone_is_found(audits: dict[str, Audit]) -> None:
    expected = [
        one.name
        for one in plain("sprint11")
        if not one.predicate
        and len(one.keys) == 1
        and types()[one.table, one.keys[0]] == "BOOLEAN"
    ]

    assert expected
    assert objects(audits["sprint11"], "H11") == sorted(expected)


@pytest.mark.parametrize("state", STATES)
def test_every_index_that_is_named_after_another_column_is_found(
    audits: dict[str, Audit], state: str
) -> None:
    columns = {column for _, column in types()}

    expected = sorted(
        one.name
        for one in plain(state)
        if (named := one.name.removeprefix(f"idx_{one.table}_")) in columns
        and named not in one.keys
    )

    assert objects(audits[state], "H39") == expected
    assert bool(expected) == (state == "sprint11")


def test_the_sprint_adds_faults_and_takes_foreign_keys_away(
    audits: dict[str, Audit],
) -> None:
    before, after = audits["baseline"], audits["sprint11"]
    known = {one.name for one in facts("sprint11")}

    # What was counted depends on what other tests have done with the states.
    steady = {rule.slug for rule in RULES if rule.reads != "counters"}
    assert {one.slug for one in before} & steady < {one.slug for one in after} & steady
    assert len(before.by_index()) < len(after.by_index())
    assert all(name.removeprefix("public.") in known for name in after.by_index())


@pytest.fixture
def copy(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    """A copy of the data with the sprint's indexes, to be used and broken."""
    with connect(postgres, database) as connection:
        path = ROOT / "sql" / "migrations" / MIGRATION
        connection.execute(path.read_bytes())
        yield connection


def test_what_a_workload_leaves_unused_is_found_and_what_enforces_is_not(
    copy: psycopg.Connection,
) -> None:
    run(copy, "select 1")
    run(copy, "select pg_stat_reset()")
    (mail,) = copy.execute("select email from users limit 1").fetchone() or ("",)
    for _ in range(120):
        copy.execute("select id from users where email = %s", (mail,))
        copy.execute("select id from messages order by created_at desc limit 5")
    run(copy, "select 1")

    found = audit(copy, choose_rules(RULES, ["unused_index"]))

    question = ROOT / "sql" / "monitoring" / "unused_indexes.sql"
    expected = sorted(
        (str(table), str(index))
        for _, table, index, _, enforces in copy.execute(question.read_bytes())
        if enforces is None and table in ("users", "messages")
    )
    assert sorted((one.table, one.object) for one in found) == expected
    assert len(expected) > 5
    used = {"idx_messages_created_at"}
    assert used.isdisjoint(name for _, name in expected)
    (reads,) = {one.evidence["reads"] for one in found.of_table("messages")}
    assert reads == 120


def test_an_index_whose_build_failed_is_found(copy: psycopg.Connection) -> None:
    assert audit(copy, choose_rules(RULES, ["H15"])).findings == ()
    with pytest.raises(psycopg.errors.UniqueViolation):
        copy.execute("create unique index concurrently messages_once on messages (status)")

    (finding,) = audit(copy, choose_rules(RULES, ["H15"]))

    assert (finding.object, finding.weight) == ("messages_once", "high")
    assert "maintain it all the same? no." in finding.sentence
