"""What a Workload is made of: Query, Parameter, CacheUse, as values.

They are read from `sql/queries/` by `catalogue.load_workload`. The kind of a Query and
the tables it touches are derived with PostgreSQL's own parser, never typed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fluxlab.errors import FluxlabError
from fluxlab.plans.statement import read_statement


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter and how its values are found: exactly one of the three is set.

    `column` is (table, column), sampled by frequency; `choices` and the answer of
    `sql` are read in the order hot, typical, rare, absent, the last one repeated.
    """

    name: str
    column: tuple[str, str] | None = None
    choices: tuple[str, ...] | None = None
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class CacheUse:
    """The key under which the report caches the answer, and for how long."""

    key: str
    ttl: str


@dataclass(frozen=True)
class Query:
    """A named, parameterised statement as the application issues it.

    `sql` has parameters as `:name`, `statement` the same as `$1 …` in the order of
    `names`. `weight` is the number of calls in 1,000 requests to the application.
    `sizes` is empty for a Query that runs at every size.
    """

    name: str
    area: str
    what: str
    weight: float
    sql: str
    statement: str
    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    claim: str | None = None
    cache: CacheUse | None = None
    habits: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    path: Path = Path()
    line: int = 0

    @cached_property
    def is_write(self) -> bool:
        """Whether the statement inserts, updates or deletes anywhere in it."""
        return read_statement(self.statement).is_write

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The tables that the statement names, sorted; CTEs are not tables."""
        return read_statement(self.statement).tables

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change when the statement changes."""
        return hashlib.sha256(self.statement.encode()).hexdigest()[:16]

    def runs_at(self, size: str) -> bool:
        """Whether this Query is meant for a data set of this size."""
        return not self.sizes or size in self.sizes

    def __repr__(self) -> str:
        kind = "write" if self.is_write else "read"
        return f"<Query {self.name}: {kind} of {', '.join(self.tables)}. {self.what}>"


class Workload(Mapping[str, Query]):
    """All Queries, by name, in the order of their files."""

    def __init__(self, queries: Mapping[str, Query]) -> None:
        self._queries = dict(queries)

    def __getitem__(self, name: str) -> Query:
        if name in self._queries:
            return self._queries[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)

    def find(self, name: str) -> Query:
        """Return the Query of this name, or say which names come near."""
        if name in self._queries:
            return self._queries[name]
        near = [known for known in self._queries if name in known or known in name][:5]
        raise FluxlabError(
            f"There is no query {name!r}.",
            f"Did you mean {', '.join(near)}?"
            if near
            else "`fluxlab queries` lists all of them.",
        )

    def select(
        self, *, area: str | None = None, table: str | None = None, claim: str | None = None
    ) -> Workload:
        """Return the Queries of an area, on a table, or behind a claim."""
        return Workload(
            {
                name: query
                for name, query in self._queries.items()
                if (area is None or query.area == area)
                and (table is None or table in query.tables)
                and (claim is None or query.claim == claim)
            }
        )

    @property
    def areas(self) -> tuple[str, ...]:
        """The areas, in the order of their files."""
        return tuple(dict.fromkeys(query.area for query in self._queries.values()))

    def __repr__(self) -> str:
        writes = sum(query.is_write for query in self._queries.values())
        return f"<Workload: {len(self)} queries, {writes} of them write>"
