"""Ask a server what it knows of the tables of a plan; nothing is changed there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import RawCursor
from psycopg.rows import class_row

from fluxlab.errors import FluxlabError
from fluxlab.plans.labels import Json
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.plans.statement import Statement, read_statement
from fluxlab.plans.surroundings import KnownColumn, KnownIndex, KnownTable, Surroundings
from fluxlab.settings import ROOT

QUESTION = ROOT / "sql" / "catalog" / "plan_surroundings.sql"
#: The setting through which the question learns which tables are meant.
_TABLES = "fluxlab.tables"
_GENERIC_SINCE = 160_000
_EXPLAIN = "explain (settings, {options}format json) "
#: What a plan with such nodes would be without them: a name, and the setting.
_CONDITIONS: Mapping[str, tuple[frozenset[str], str]] = {
    "no_seqscan": (frozenset({"Seq Scan"}), "enable_seqscan = off"),
    "serial": (
        frozenset({"Gather", "Gather Merge"}),
        "max_parallel_workers_per_gather = 0",
    ),
}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the question's answer."""

    name: str
    schema: str
    rows: float
    pages: int
    live_rows: int
    dead_rows: int
    modified_rows: int
    is_analyzed: bool
    updates: int
    hot_updates: int
    columns: list[Mapping[str, Json]]
    indexes: list[Mapping[str, Json]]


def read_surroundings(
    connection: psycopg.Connection,
    plan: Plan,
    statement: str | None = None,
    values: Sequence[object] = (),
    question: Path = QUESTION,
    *,
    other_values: Mapping[str, Sequence[object]] | None = None,
) -> Surroundings:
    """Return what the server knows of the tables of a plan, and how else it would plan.

    Tables are looked up in the plan's schemas, or along the search path where it names
    none. With the `statement` that was explained, and the `values` of its parameters, it
    is planned again, never executed: "no_seqscan" without sequential scans, where the
    plan has one; "serial" without workers, where it has some; "generic" for any values,
    from PostgreSQL 16 on; and "custom NAME" for each of `other_values`. Needs no more
    than the right to explain. Raises FluxlabError where the server refuses to answer.

    >>> from fluxlab.plans import explain_safely
    >>> plan = explain_safely(connection, "select id from users where name = 'user 7'")
    >>> users = read_surroundings(connection, plan).tables["users"]
    >>> users.rows, [index.keys for index in users.indexes]
    (10000.0, [('id',)])
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set local transaction_read_only = on")
            tables = _tables(connection, plan, question)
    except psycopg.Error as error:
        raise FluxlabError(
            f"The server does not say what it knows: {str(error).splitlines()[0]}.",
            "Check that the session is open and in no failed transaction.",
        ) from None
    alternatives: Mapping[str, Plan] = {}
    if statement is not None:
        alternatives = _alternatives(
            connection, plan, statement, values, other_values or {}
        )
    return Surroundings({one.name: one for one in tables}, statement, alternatives)


def _tables(
    connection: psycopg.Connection, plan: Plan, question: Path
) -> tuple[KnownTable, ...]:
    names = sorted(_names(plan))
    if not names:
        return ()
    connection.execute(
        "select set_config(%s, array_to_json(%s::text[])::text, true)", (_TABLES, names)
    )
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        rows = cursor.execute(question.read_bytes()).fetchall()
    return tuple(_table(row) for row in rows)


def _names(plan: Plan) -> Iterable[str]:
    """Yield the tables of a plan as SQL writes them, with the schemas that it names."""
    for node in plan.nodes:
        if node.relation:
            parts = (node.text("Schema"), node.relation)
            yield ".".join(_quoted(part) for part in parts if part)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _table(row: _Row) -> KnownTable:
    columns = [_column(one) for one in row.columns]
    return KnownTable(
        name=row.name,
        schema=row.schema,
        rows=row.rows,
        pages=row.pages,
        live_rows=row.live_rows,
        dead_rows=row.dead_rows,
        modified_rows=row.modified_rows,
        is_analyzed=row.is_analyzed,
        updates=row.updates,
        hot_updates=row.hot_updates,
        columns={column.name: column for column in columns},
        indexes=tuple(_index(one) for one in row.indexes),
    )


def _column(facts: Mapping[str, Json]) -> KnownColumn:
    width = _number(facts["mean_width"])
    return KnownColumn(
        name=str(facts["name"]),
        type=str(facts["type"]),
        n_distinct=_number(facts["n_distinct"]),
        correlation=_number(facts["correlation"]),
        null_share=_number(facts["null_share"]),
        mean_width=None if width is None else round(width),
        collation=_text(facts["collation"]),
    )


def _index(facts: Mapping[str, Json]) -> KnownIndex:
    return KnownIndex(
        name=str(facts["name"]),
        keys=_texts(facts["keys"]),
        included=_texts(facts["included"]),
        predicate=_text(facts["predicate"]),
        method=str(facts["method"]),
        is_unique=facts["is_unique"] is True,
        size_bytes=round(_number(facts["size_bytes"]) or 0),
    )


def _text(value: Json) -> str | None:
    return None if value is None else str(value)


def _texts(value: Json) -> tuple[str, ...]:
    assert isinstance(value, Sequence)
    return tuple(str(one) for one in value)


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _alternatives(
    connection: psycopg.Connection,
    plan: Plan,
    sql: str,
    values: Sequence[object],
    other_values: Mapping[str, Sequence[object]],
) -> Mapping[str, Plan]:
    """Plan the statement under other conditions; nothing where the server will not."""
    found: dict[str, Plan] = {}
    kinds = {node.kind for node in plan.nodes}
    try:
        statement = read_statement(sql)
        # Without values there is only the generic plan, and that is no alternative to one
        # that was executed.
        is_comparable = bool(values) or not statement.parameters or not plan.is_analyzed
        for name, (of_kinds, setting) in _CONDITIONS.items():
            if is_comparable and kinds & of_kinds:
                found[name] = _planned(connection, statement, values, setting)
        if statement.parameters and connection.info.server_version >= _GENERIC_SINCE:
            found["generic"] = _planned(connection, statement, ())
        for name, others in other_values.items() if statement.parameters else ():
            found[f"custom {name}"] = _planned(connection, statement, others)
    except (psycopg.Error, FluxlabError):
        # The rules know less then; the plan itself is there.
        return found
    return found


def _planned(
    connection: psycopg.Connection,
    statement: Statement,
    values: Sequence[object],
    setting: str | None = None,
) -> Plan:
    """Return the plan of a statement under a setting; never executed."""
    is_generic = statement.parameters > 0 and not values
    explain = _EXPLAIN.format(options="generic_plan, " if is_generic else "")
    with connection.transaction(force_rollback=True):
        connection.execute("set local transaction_read_only = on")
        if setting:
            connection.execute(f"set local {setting}".encode())
        cursor = RawCursor(connection)
        # Parameters without values pass only where the driver sends none.
        given = list(values) if values else None
        cursor.execute((explain + statement.sql).encode(), given, prepare=False)
        row = cursor.fetchone()
    assert row is not None
    return read_plan(row[0])
