"""The Catalog: what a database says of its own tables, indexes and foreign keys."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
import psycopg
from psycopg.rows import class_row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table; `table_bytes` includes TOAST, sizes are on disk."""

    name: str
    rows: int
    columns: int
    table_bytes: int
    index_bytes: int


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """One index; `columns` are those in its keys, also inside expressions."""

    name: str
    table_name: str
    definition: str
    columns: list[str]
    is_unique: bool
    is_constraint: bool
    is_partial: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ForeignKeyFacts:
    """One foreign key and the index that finds its referencing rows, or None."""

    name: str
    table_name: str
    columns: list[str]
    referenced_table: str
    cascades: bool
    supporting_index: str | None


@dataclass(frozen=True)
class Catalog:
    """Tables, indexes and foreign keys of the schema `public`, each sorted by table."""

    tables: tuple[TableFacts, ...]
    indexes: tuple[IndexFacts, ...]
    foreign_keys: tuple[ForeignKeyFacts, ...]

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over all index definitions: the name of an index set."""
        text = "\n".join(sorted(index.definition for index in self.indexes))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def indexed_columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table that stand in the key of some index."""
        return frozenset(
            column
            for index in self.indexes
            if index.table_name == table
            for column in index.columns
        )

    @property
    def unindexed_foreign_keys(self) -> tuple[ForeignKeyFacts, ...]:
        """The foreign keys whose referencing rows no index finds."""
        return tuple(key for key in self.foreign_keys if key.supporting_index is None)

    def table_frame(self) -> pd.DataFrame:
        """Return one row per table: rows, columns, indexes and sizes in bytes."""
        frame = pd.DataFrame(asdict(table) for table in self.tables).set_index("name")
        counts = pd.Series([index.table_name for index in self.indexes]).value_counts()
        frame.insert(2, "indexes", counts.reindex(frame.index, fill_value=0))
        return frame

    def __repr__(self) -> str:
        return (
            f"<Catalog: {len(self.tables)} tables, {len(self.indexes)} indexes, "
            f"{len(self.foreign_keys)} foreign keys, "
            f"{len(self.unindexed_foreign_keys)} of them without an index>"
        )


def read_catalog(connection: psycopg.Connection, directory: Path) -> Catalog:
    """Ask the questions of `sql/catalog/`, the `directory`; reads only."""
    return Catalog(
        _ask(connection, directory / "tables.sql", TableFacts),
        _ask(connection, directory / "indexes.sql", IndexFacts),
        _ask(connection, directory / "foreign_keys.sql", ForeignKeyFacts),
    )


def _ask(connection: psycopg.Connection, path: Path, row_class: type[T]) -> tuple[T, ...]:
    with connection.cursor(row_factory=class_row(row_class)) as cursor:
        return tuple(cursor.execute(path.read_bytes()).fetchall())
