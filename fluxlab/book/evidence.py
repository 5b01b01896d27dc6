"""Evidence: everything that judges look at, as one value, and how it is gathered."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg

from fluxlab.book.cache_evidence import CacheEvidence
from fluxlab.book.claims import Claim, MonitoringClaim
from fluxlab.book.definitions import IndexShape, read_shape
from fluxlab.indexes.catalog import Catalog
from fluxlab.indexes.contribution import Contributions
from fluxlab.indexes.practices import Practices
from fluxlab.indexes.price import Price
from fluxlab.workload.change import Change
from fluxlab.workload.compare import Comparison
from fluxlab.workload.query import Workload
from fluxlab.workload.scaling import Scaling

#: A monitoring statement that takes longer has not answered.
_TIMEOUT = "10s"
_USE_CASE = "report:coverage/"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said to a statement: rows as text, or the message of an error."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    message: str = ""

    def column(self, name: str) -> tuple[str, ...]:
        """Return the values of one column."""
        position = self.columns.index(name)
        return tuple(row[position] for row in self.rows)


@dataclass(frozen=True)
class Evidence:
    """What the states, the Comparison and the server say; judges read nothing else.

    `use_cases` are the queries behind each coverage bullet, `shares` the part of its
    table's rows that an index holds, `distinct_values` those of (table, column),
    `answers` what the server said to a claim's statement, by claim id, and to the files
    of `sql/monitoring/`, by stem. `crossings` is the sentence for each Query on the
    data size at which the report's *before* would be true, once that is measured.
    `indexes` and `prices` tell of each index by itself, `plan_modes` of plans for any
    value (*after*) against custom ones, `practices` of small experiments, `cache` of the
    report's cache and ours; none of them where nobody has measured it.
    """

    before: Catalog
    after: Catalog
    comparison: Comparison
    workload: Workload
    use_cases: Mapping[str, tuple[str, ...]]
    shares: Mapping[str, float]
    distinct_values: Mapping[tuple[str, str], float]
    migration: tuple[str, ...]
    answers: Mapping[str, Answer]
    crossings: Mapping[str, str] = field(default_factory=dict)
    indexes: Contributions | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    plan_modes: Comparison | None = None
    practices: Practices | None = None
    cache: CacheEvidence | None = None

    @cached_property
    def old_indexes(self) -> frozenset[str]:
        """The names of the indexes that stood before the sprint."""
        return frozenset(index.name for index in self.before.indexes)

    @cached_property
    def shapes(self) -> Mapping[str, IndexShape]:
        """Every index after the sprint, parsed, by name."""
        return {index.name: read_shape(index.definition) for index in self.after.indexes}

    @cached_property
    def new_shapes(self) -> tuple[IndexShape, ...]:
        """The indexes that the sprint added."""
        return tuple(
            shape for name, shape in self.shapes.items() if name not in self.old_indexes
        )

    def changes(self, queries: Iterable[str]) -> tuple[Change, ...]:
        """Return the Changes of these Queries, every class of them."""
        wanted = frozenset(queries)
        return tuple(change for change in self.comparison if change.query in wanted)

    def readers(self, indexes: Iterable[str]) -> tuple[Change, ...]:
        """Return the Changes whose plan after the sprint reads one of these indexes."""
        wanted = frozenset(indexes)
        return tuple(
            change
            for change in self.comparison
            if wanted.intersection(change.after.plan.indexes)
        )


def read_crossings(scaling: Scaling) -> dict[str, str]:
    """Say for each Query of the latency table where its *before* would be true.

    Empty while only one size is measured: a curve needs two.
    """
    if len(scaling.sizes) < 2:
        return {}
    rows = [scaling.find(name) for name in scaling.names]
    return {
        row.query: f"Over {len(scaling.sizes)} sizes of the data, {row.expected_ms:g} ms "
        f"for {row.of_class} values: {row.sentence}."
        for row in rows
    }


def read_use_cases(path: Path) -> dict[str, tuple[str, ...]]:
    """Read which queries stand for each coverage bullet, from `data/facts/queries.csv`."""
    found: dict[str, list[str]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            for source in row["source"].split("; "):
                if source.startswith(_USE_CASE):
                    found.setdefault(source.removeprefix(_USE_CASE), []).append(row["id"])
    return {use_case: tuple(queries) for use_case, queries in found.items()}


def read_shares(connection: psycopg.Connection, path: Path) -> dict[str, float]:
    """Return the share of its table's rows that each index holds, from 0 to 1."""
    return {
        str(name): min(1.0, entries / rows)
        for name, entries, rows in connection.execute(path.read_bytes())
        if rows > 0 and entries >= 0
    }


def read_distinct_values(
    connection: psycopg.Connection, path: Path
) -> dict[tuple[str, str], float]:
    """Return the planner's estimate of distinct values, by table and column."""
    return {
        (str(table), str(column)): float(count)
        for table, column, count in connection.execute(path.read_bytes())
    }


def ask_all(
    connection: psycopg.Connection, claims: Iterable[Claim], directory: Path
) -> dict[str, Answer]:
    """Run the report's monitoring statements word for word, and ours; read-only.

    Ours are the files that a claim names and the setting of the slow log; what else
    stands in the directory is for `fluxlab monitor`.
    """
    made = [claim for claim in claims if isinstance(claim, MonitoringClaim)]
    asked = {claim.id: claim.quote for claim in made}
    stems = sorted({claim.corrected for claim in made} | {"slow_log"})
    ours = {stem: (directory / f"{stem}.sql").read_text() for stem in stems}
    return {name: ask(connection, text) for name, text in (asked | ours).items()}


def ask(connection: psycopg.Connection, statement: str) -> Answer:
    """Run one statement in a read-only transaction; an error is an Answer too."""
    try:
        with connection.transaction():
            connection.execute("set transaction read only")
            connection.execute(f"set local statement_timeout = '{_TIMEOUT}'")
            cursor = connection.execute(statement.encode())
            columns = tuple(column.name for column in cursor.description or ())
            rows = tuple(
                tuple("" if value is None else str(value) for value in row)
                for row in cursor
            )
    except psycopg.Error as error:
        return Answer(message=error.diag.message_primary or str(error))
    return Answer(columns, rows)
