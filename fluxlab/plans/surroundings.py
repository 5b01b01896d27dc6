"""What is known beside a plan: the indexes and statistics of its tables, other plans.

A pasted plan comes alone, and most rules need no more. Where the server can be asked,
`read_surroundings` asks it once, reads only, and rules become more certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fluxlab.plans.plan import Plan

#: What `KnownTable.pages` counts, unless the server was built otherwise.
PAGE_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class KnownColumn:
    """A column with the planner's statistics; `n_distinct` as in pg_stats.

    >>> KnownColumn("id", "bigint", n_distinct=-1, correlation=0.98).null_share is None
    True
    """

    name: str
    type: str
    n_distinct: float | None = None
    correlation: float | None = None
    null_share: float | None = None
    mean_width: int | None = None
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class KnownIndex:
    """An index: key columns or expressions in their order, as pg_get_indexdef has them.

    >>> KnownIndex("by_name", ("lower(name)", '"Price"'), included=("note",)).method
    'btree'
    """

    name: str
    keys: tuple[str, ...]
    included: tuple[str, ...] = ()
    predicate: str | None = None
    method: str = "btree"
    is_unique: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class KnownTable:
    """A table: rows as the planner believes, live and dead ones as counted.

    >>> users = KnownTable("users", "public", rows=10_000, pages=55, dead_rows=300)
    >>> users.dead_rows / users.rows
    0.03
    """

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
    "no_seqscan", "serial", "generic", "custom hot".

    What a rule may suspect of a plan alone, it is sure of where the index is known:

    >>> from fluxlab.plans import find, read_plan
    >>> plan = read_plan('''
    ...  Index Scan using by_day on files (cost=0.3..800.0 rows=1 width=4)
    ...                                   (actual time=0.01..2.00 rows=1 loops=1)
    ...    Index Cond: (id = 7)
    ...    Buffers: shared hit=235''')
    >>> by_day = KnownIndex("by_day", ("created_at", "id"))
    >>> files = KnownTable("files", "public", 60_000, 500, indexes=(by_day,))
    >>> [find(plan, known)[0].confidence for known in (
    ...     NOTHING_KNOWN, Surroundings({"files": files}))]
    ['possible', 'sure']
    """

    tables: Mapping[str, KnownTable] = field(default_factory=dict)
    statement: str | None = None
    alternatives: Mapping[str, Plan] = field(default_factory=dict)

    def table(self, name: str | None) -> KnownTable | None:
        """Return a table where it is known."""
        return self.tables.get(name) if name else None


#: A plan that was pasted.
NOTHING_KNOWN = Surroundings()
