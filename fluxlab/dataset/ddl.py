"""The statements of sql/schema and sql/indexes, each with the tables it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pglast
from pglast import ast

from fluxlab.settings import ROOT

TABLES_FILE = ROOT / "sql" / "schema" / "01_tables.sql"
TRIGGERS_FILE = ROOT / "sql" / "schema" / "05_triggers.sql"

#: What follows the data, in the order in which one table can take it.
_AFTER_DATA = (
    ROOT / "sql" / "schema" / "02_keys.sql",
    ROOT / "sql" / "schema" / "03_checks.sql",
    ROOT / "sql" / "indexes" / "base.sql",
    ROOT / "sql" / "schema" / "04_foreign_keys.sql",
)

#: Everything that decides what the finished database looks like.
SCHEMA_FILES = (TABLES_FILE, *_AFTER_DATA, TRIGGERS_FILE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and the tables that must be loaded before it runs."""

    sql: str
    tables: frozenset[str]


def statements_of(path: Path) -> tuple[Statement, ...]:
    """The statements of a file, in order."""
    text = path.read_text()
    return tuple(
        Statement(sql, _tables_of(parsed.stmt))
        for sql, parsed in zip(pglast.split(text), pglast.parse_sql(text), strict=True)
    )


def after_data() -> tuple[Statement, ...]:
    """Keys, checks, base indexes and foreign keys, in an order that works."""
    return tuple(statement for path in _AFTER_DATA for statement in statements_of(path))


def _tables_of(statement: ast.Node | None) -> frozenset[str]:
    """The table a statement changes and the one a foreign key points at."""
    relations = [getattr(statement, "relation", None)]
    if isinstance(statement, ast.AlterTableStmt):
        relations += [
            getattr(command.def_, "pktable", None) for command in statement.cmds or ()
        ]
    return frozenset(
        str(relation.relname) for relation in relations if relation is not None
    )
