"""An Attempt: what an index, or another wording, does to a statement; nothing is kept.

It is tried in a Sandbox: the index is built in a transaction, the statement executed
before and after, and all of it rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from pglast import ast, parse_sql
from pglast.parser import ParseError

from fluxlab.errors import FluxlabError
from fluxlab.indexes.sandbox import Asked, Sandbox
from fluxlab.plans.explain import explain
from fluxlab.plans.plan import Plan

_INDEXES = """
select index_class.relname, pg_relation_size(index_class.oid), index.indexprs is not null
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
where index.indrelid = to_regclass(%s)
"""


@dataclass(frozen=True, slots=True)
class Built:
    """An index that was tried: its name and table, and its size in bytes."""

    name: str
    table: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried, and the Plan of the statement before and after.

    `built` is None where only the statement was another one. `records_before` and
    `records_after` are the WAL records of the writes that were tried as well, by name.
    """

    sql: str
    before: Plan
    after: Plan
    built: Built | None = None
    records_before: Mapping[str, int] = field(default_factory=dict)
    records_after: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_used(self) -> bool:
        """Whether the plan reads the index that was built."""
        return self.built is not None and self.built.name in self.after.indexes

    @property
    def size_bytes(self) -> int:
        """The size of the index, 0 where there is none."""
        return self.built.size_bytes if self.built else 0

    @property
    def records_more(self) -> int:
        """WAL records that the writes cost beyond what they cost without the index."""
        return sum(self.records_after.values()) - sum(self.records_before.values())


def try_index(
    sandbox: Sandbox,
    sql: str,
    asked: Asked,
    *,
    setup: Sequence[str] = (),
    writes: Mapping[str, Asked] | None = None,
) -> Attempt:
    """Build an index, explain a statement before and after, and roll everything back.

    With `writes` their WAL records are counted as well, and the copy is made anew
    after it. Raises FluxlabError for SQL that is not one CREATE INDEX, or that the server
    refuses.
    """
    relation = read_index_table(sql)
    table = _quoted(relation)
    before = sandbox.explain(asked, setup)
    with sandbox.attempt(setup) as connection:
        known = _indexes(connection, table)
        connection.execute(sql.encode())
        new = {
            name: facts
            for name, facts in _indexes(connection, table).items()
            if name not in known
        }
        if not new:
            raise FluxlabError(
                "An index of that name is there already, so none was built.",
                "Leave out `if not exists`, or choose another name.",
            )
        ((name, (size_bytes, is_expression)),) = new.items()
        if is_expression:
            # Only then has the planner statistics of what the expression yields.
            connection.execute(f"analyze {table}".encode())
        after = explain(connection, asked.statement, asked.values, analyze=True)
    records = _records(sandbox, [*setup, sql], writes) if writes else ({}, {})
    return Attempt(sql, before, after, Built(name, relation, size_bytes), *records)


def try_rewrite(
    sandbox: Sandbox, sql: str, before: Asked, after: Asked, *, setup: Sequence[str] = ()
) -> Attempt:
    """Explain a statement and another wording of it, both rolled back."""
    return Attempt(sql, sandbox.explain(before, setup), sandbox.explain(after, setup))


def read_index_table(sql: str) -> str:
    """Return the table of a CREATE INDEX.

    Raises FluxlabError for anything else: several statements, none, another kind.
    """
    try:
        parsed = parse_sql(sql)
    except ParseError as error:
        raise FluxlabError(
            f"That cannot be read: {error.args[0]}.",
            "An index is written: create index on TABLE (COLUMN, …);",
        ) from None
    statements = [one.stmt for one in parsed]
    if len(statements) != 1 or not isinstance(statements[0], ast.IndexStmt):
        kinds = (
            f"{len(statements)} statements" if len(statements) != 1 else "something else"
        )
        raise FluxlabError(
            f"One CREATE INDEX is wanted here, and that is {kinds}.",
            "An index is written: create index on TABLE (COLUMN, …);",
        )
    if statements[0].concurrent:
        raise FluxlabError(
            "CONCURRENTLY cannot be rolled back, so it is not tried here.",
            "Leave it out here; on a database in use it is the right word.",
        )
    relation = statements[0].relation
    assert relation is not None
    return str(relation.relname)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _indexes(connection: psycopg.Connection, table: str) -> dict[str, tuple[int, bool]]:
    rows = connection.execute(_INDEXES, (table,)).fetchall()
    return {name: (size_bytes, is_expression) for name, size_bytes, is_expression in rows}


def _records(
    sandbox: Sandbox, statements: Sequence[str], writes: Mapping[str, Asked]
) -> tuple[dict[str, int], dict[str, int]]:
    """Count the WAL records of writes before and after the last of the statements.

    That one is kept meanwhile: with wal_level = minimal an index writes no WAL in the
    transaction that built it. Each write is executed once before it is counted: the first
    one in a fresh copy also logs what it finds to tidy up.
    """
    found = []
    try:
        for kept in (statements[:-1], statements[-1:]):
            sandbox.keep(kept)
            for one in writes:
                sandbox.explain(writes[one])
            found.append({one: sandbox.explain(writes[one]).wal_records for one in writes})
    finally:
        sandbox.renew()
    return found[0], found[1]
