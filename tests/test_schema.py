"""The built catalog against data/facts: every column, constraint and index.

The facts were read from the application's own schema; sql/ was written from them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

import psycopg
import pytest

from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT

MIGRATION = ROOT / "sql" / "migrations" / "005_performance_optimization_indexes.sql"

_COLUMNS = """
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    not a.attnotnull, coalesce(pg_get_expr(d.adbin, d.adrelid), '')
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
order by c.relname, a.attnum
"""

_CONSTRAINTS = """
select c.relname, k.conname, k.contype::text, pg_get_constraintdef(k.oid),
    coalesce((
        select string_agg(a.attname, '|' order by u.place)
        from unnest(k.conkey) with ordinality as u (number, place)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = u.number), '')
from pg_constraint k
join pg_class c on c.oid = k.conrelid
where c.relnamespace = 'public'::regnamespace and k.contype in ('p', 'u', 'f', 'c')
"""

# Indexes that enforce no constraint.
_INDEXES = """
select i.relname, pg_get_indexdef(x.indexrelid), x.indisvalid
from pg_index x
join pg_class i on i.oid = x.indexrelid
where i.relnamespace = 'public'::regnamespace
    and not exists (select from pg_constraint k where k.conindid = i.oid)
"""


def facts(name: str) -> list[dict[str, str]]:
    with (ROOT / "data" / "facts" / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def built(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    with connect(postgres, database) as connection:
        yield connection


def type_of(text: str) -> str:
    """The catalog's name of a type."""
    names = {"VARCHAR": "character varying", "DECIMAL": "numeric"}
    words = re.sub("|".join(names), lambda found: names[found[0]], text)
    plain = {"TIME": "time without time zone"}.get(words, words)
    return plain.lower()


def default_of(text: str) -> str:
    """The default as the facts write it; ids are drawn by a built-in function here."""
    text = text.replace("uuid_generate_v4()", "gen_random_uuid()")
    return text if "'" in text else text.lower()


def test_the_21_tables_have_exactly_the_columns_of_the_facts(
    built: psycopg.Connection,
) -> None:
    wanted = {}
    for row in facts("tables.csv"):
        wanted.setdefault(row["table"], []).append(
            (
                row["column"],
                type_of(row["type"]),
                row["nullable"] == "yes",
                default_of(row["default"]),
            )
        )
    found: dict[str, list[tuple[str, str, bool, str]]] = {}
    for table, column, kind, nullable, default in built.execute(_COLUMNS):
        plain = re.sub(r"('[^']*')::[a-z \[\]]+", r"\1", default)
        found.setdefault(table, []).append((column, kind, nullable, plain))
    assert found == wanted
    assert len(found) == 21
    assert sum(map(len, found.values())) == 271


def test_the_references_and_values_of_every_column_are_those_of_the_facts(
    built: psycopg.Connection,
) -> None:
    constraints = built.execute(_CONSTRAINTS).fetchall()
    for row in facts("tables.csv"):
        own = [c for c in constraints if c[0] == row["table"] and c[4] == row["column"]]
        unique = any(kind in "pu" for _, _, kind, _, _ in own)
        assert unique == (row["unique"] == "yes"), row
        references = [definition for _, _, kind, definition, _ in own if kind == "f"]
        assert len(references) == bool(row["references"]), row
        checks = [definition for _, _, kind, definition, _ in own if kind == "c"]
        values = [re.findall(r"'([^']*)'", check) for check in checks]
        assert values == [row["check_values"].split("|")] * bool(row["check_values"]), row


def described(kind: str, name: str, definition: str) -> str:
    """A constraint of the catalog in the words of the facts."""
    if kind == "p":
        return f"{name} (B-tree)"
    if kind == "u":
        return name
    if kind == "f":
        target, column = re.search(r"REFERENCES (\w+)\((\w+)\)", definition).groups()  # type: ignore[union-attr]
        action = "CASCADE" if definition.endswith("ON DELETE CASCADE") else "NO ACTION"
        return f"-> {target}.{column} on delete {action}"
    values = re.findall(r"'([^']*)'", definition)
    return f"value in {'|'.join(values)}" if values else name


def test_every_constraint_is_one_of_the_facts_and_the_reverse(
    built: psycopg.Connection,
) -> None:
    kinds = {"p": "PRIMARY KEY", "u": "UNIQUE", "f": "FOREIGN KEY", "c": "CHECK"}
    found = {
        (table, kinds[kind], columns, described(kind, name, definition))
        for table, name, kind, definition, columns in built.execute(_CONSTRAINTS)
    }
    wanted = set()
    for row in facts("tables_constraints.csv"):
        detail = row["detail"]
        if row["kind"] == "UNIQUE":
            detail = detail.split()[-1]
        elif "_check:" in detail:
            detail = detail.split(":")[0]
        wanted.add((row["table"], row["kind"], row["columns"], detail))
    assert found == wanted


def test_a_permission_takes_exactly_one_of_person_and_team(
    built: psycopg.Connection,
) -> None:
    for change in ("user_id = null, team_id = null", "user_id = t.lead_id, team_id = t.id"):
        query = (
            f"update file_permissions set {change} from teams t where t.lead_id is not null"
        )
        with pytest.raises(psycopg.errors.CheckViolation):
            built.execute(query.encode())


def test_twelve_tables_keep_updated_at(built: psycopg.Connection) -> None:
    columns = {r["table"] for r in facts("tables.csv") if r["column"] == "updated_at"}
    query = "select tgrelid::regclass::text from pg_trigger where not tgisinternal"
    assert {row[0] for row in built.execute(query)} == columns
    assert len(columns) == 12
    built.execute("update service_packages set description = 'x'")
    query = "select bool_and(updated_at > created_at) from service_packages"
    assert built.execute(query).fetchone() == (True,)


def test_the_base_indexes_are_those_of_the_facts(built: psycopg.Connection) -> None:
    wanted = facts("base_indexes.csv")
    assert len(wanted) == 11
    assert index_definitions(built) == definitions_by_postgres(built, wanted)


def test_the_migration_adds_exactly_its_90_indexes(built: psycopg.Connection) -> None:
    built.execute(MIGRATION.read_bytes())
    wanted = [*facts("base_indexes.csv"), *facts("migration_005_indexes.csv")]
    found = index_definitions(built)
    assert len(found) == 101
    assert found == definitions_by_postgres(built, wanted)


def index_definitions(built: psycopg.Connection) -> dict[str, str]:
    rows = built.execute(_INDEXES).fetchall()
    assert all(is_valid for _, _, is_valid in rows)
    return {name: definition for name, definition, _ in rows}


def definitions_by_postgres(
    built: psycopg.Connection, wanted: list[dict[str, str]]
) -> dict[str, str]:
    """Every index of the facts as PostgreSQL writes it, from an index made of the facts."""
    with built.transaction(force_rollback=True):
        for row in wanted:
            where = f" where {row['predicate']}" if row["predicate"] else ""
            built.execute(f"drop index if exists {row['name']}".encode())
            built.execute(
                f"create index {row['name']} on {row['table']}"
                f" using {row['method']} ({row['keys']}){where}".encode()
            )
        return {
            name: definition
            for name, definition in index_definitions(built).items()
            if name in {row["name"] for row in wanted}
        }


def test_every_sql_file_runs_in_an_empty_database_as_it_stands(
    postgres: PostgresServer,
) -> None:
    name = "flux_test_files"
    files = [
        *sorted((ROOT / "sql" / "schema").glob("*.sql")),
        ROOT / "sql/indexes/base.sql",
    ]
    with connect(postgres, "postgres") as admin:
        admin.execute(f"create database {name}".encode())
        try:
            with connect(postgres, name) as connection:
                for path in [*files, MIGRATION]:
                    connection.execute(path.read_bytes())
                assert len(index_definitions(connection)) == 101
        finally:
            admin.execute(f"drop database {name} with (force)".encode())
