"""What is known beside a plan: the indexes and statistics of its tables, other plans.

A pasted plan comes alone, and most rules need no more. Where the server can be asked,
`read_surroundings` asks it once, reads only, and rules become more certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fluxlab.plans.plan import Plan


@dataclass(frozen=True, slots=True)
class KnownColumn:
    """A column with the planner's statistics; `n_distinct` as in pg_stats."""

    name: str
    type: str
    n_distinct: float | None = None
    correlation: float | None = None
    null_share: float | None = None
    mean_width: int | None = None
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class KnownIndex:
    """An index: key columns or expressions in their order, as pg_get_indexdef has them."""

    name: str
    keys: tuple[str, ...]
    included: tuple[str, ...] = ()
    predicate: str | None = None
    method: str = "btree"
    is_unique: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class KnownTable:
    """A table: rows as the planner believes, live and dead ones as counted."""

    name: str
    schema: str
    rows: float
    pages: int
    live_rows: int = 0
    dead_rows: int = 0
    modified_rows: int = 0
    is_analyzed: bool = True
    updates: int = 0
    hot_updates: int = 0
    columns: Mapping[str, KnownColumn] = field(default_factory=dict)
    indexes: tuple[KnownIndex, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The tables of a plan by name, its statement, and what else could be planned.

    `alternatives` are plans of the same statement under other conditions, by name:
    "no_seqscan", "generic", "custom", "without IDX".
    """

    tables: Mapping[str, KnownTable] = field(default_factory=dict)
    statement: str | None = None
    alternatives: Mapping[str, Plan] = field(default_factory=dict)

    def table(self, name: str | None) -> KnownTable | None:
        """Return a table where it is known."""
        return self.tables.get(name) if name else None


#: A plan that was pasted.
NOTHING_KNOWN = Surroundings()
