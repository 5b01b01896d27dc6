"""Scans that keep many rows, and for which an index is worth a thought all the same.

Where no more is needed than the filter tests, an index that holds it answers by itself: it
touches its own blocks and not the table's, however many rows pass. And where rows stand
in the order of what is compared, those that pass lie together.
"""

from __future__ import annotations

from collections.abc import Iterator

from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules.expressions import (
    RANGES,
    Term,
    columns_of,
    is_plain,
    quoted,
    terms_of,
)
from fluxlab.plans.rules.filters import column_of, type_of
from fluxlab.plans.rules.rule import Seen
from fluxlab.plans.surroundings import PAGE_BYTES, KnownIndex, KnownTable

#: What an index can hold before it is a second table.
MOST_COLUMNS = 3
MOST_BYTES = 64
#: An entry of a B-tree without its values: a line pointer and the header of a tuple.
ENTRY_BYTES = 12
#: Rows stand in the order of a column, save a few.
ORDERED = 0.95
#: A value whose width nobody knows.
VALUE_BYTES = 8
#: An index that is not this many times smaller than the table spares too little.
LEAST_SMALLER = 2.0

#: No B-tree is made for these, or none that is small.
_NO_KEYS = ("json", "xml", "tsvector", "box", "circle", "polygon", "point", "path", "line")
#: Operators that look inside a value, and not at its place in an order.
_INSIDE = ("@>", "<@", "&&", "?", "@@", "@?")


def narrow_enough(seen: Seen) -> tuple[str, ...]:
    """Return the filter's columns where they are all that is needed, and few and short.

    Nothing where an index on them would not be much smaller than what the scan touches.
    """
    node, table = seen.node, seen.table
    terms = terms_of(node.text("Filter"), node.alias)
    tested = tuple(dict.fromkeys(name for term in terms for name in term.columns))
    if not 0 < len(tested) <= MOST_COLUMNS or not set(_needed(seen) or ()) <= set(tested):
        return ()
    if _needed(seen) is None or not all(_is_key(table, name) for name in tested):
        return ()
    if any(one.is_list_side or one.operator.startswith(_INSIDE) for one in _all(terms)):
        return ()
    width = sum(_width(table, name) for name in tested)
    index_blocks = node.rows_read * (ENTRY_BYTES + width) / PAGE_BYTES
    is_smaller = node.own_blocks >= LEAST_SMALLER * index_blocks or not node.own_blocks
    return tested if width <= MOST_BYTES and is_smaller else ()


def _all(terms: tuple[Term, ...]) -> Iterator[Term]:
    for term in terms:
        yield term
        for arm in term.arms:
            yield from _all(arm)


def _needed(seen: Seen) -> frozenset[str] | None:
    """Return the columns that are needed beside the filter's; None where nobody says.

    A row without any width is only counted. VERBOSE lists columns; below an aggregate
    it is the one to ask, because a scan then hands up its rows as they are.
    """
    node = seen.node
    if "Plan Width" in node.facts and not node["Plan Width"]:
        return frozenset()
    above = seen.plan.parents.get(node.number)
    is_made_up = above is not None and above.kind == "Aggregate"
    asked: PlanNode = above if above is not None and is_made_up else node
    texts = [*asked.texts("Output"), *asked.texts("Group Key")]
    texts += asked.texts("Filter") if is_made_up else ()
    found = (columns_of(one.removeprefix("PARTIAL "), node.alias) for one in texts)
    # A row of some width without a column is a text that we do not read.
    return frozenset(name for names in found for name in names) or None


def _is_key(table: KnownTable | None, name: str) -> bool:
    column = table.columns.get(name) if table else None
    return column is None or not (
        column.type.startswith(_NO_KEYS) or column.type.endswith("[]")
    )


def _width(table: KnownTable | None, name: str) -> float:
    column = table.columns.get(name) if table else None
    return (column.mean_width if column else None) or VALUE_BYTES


def in_index_alone(seen: Seen, names: tuple[str, ...]) -> str:
    """Return what to try where an index could answer without the table."""
    table = seen.node.relation
    if index := _holding(seen.table, names):
        return (
            f"{index.name} holds all of it and could answer without the table, in fewer "
            f"blocks: run VACUUM on {table}, which writes down where every row is visible "
            "to all. A second index does not help, nor does ANALYZE."
        )
    keys = ", ".join(map(quoted, names))
    return (
        f"Reading the whole table is right as long as no index holds {keys}. One that does "
        f"answers without the table once that is vacuumed, in fewer blocks: create index "
        f"on {table} ({keys}). Every write would pay for it, so only where this is asked "
        "often. An index that lacks a column of these does not help."
    )


def follows_the_table(seen: Seen) -> str | None:
    """Return a column whose range is asked for, and in whose order the rows stand."""
    for term in terms_of(seen.node.text("Filter"), seen.node.alias):
        column = column_of(seen.table, term)
        order = column.correlation if column and term.operator in RANGES else None
        if is_plain(term, type_of(seen.table, term)) and abs(order or 0.0) >= ORDERED:
            return term.column
    return None


def _holding(table: KnownTable | None, names: tuple[str, ...]) -> KnownIndex | None:
    """Return an ordinary index of all rows that has all the columns."""
    wanted = set(map(quoted, names))
    return next(
        (
            one
            for one in (table.indexes if table else ())
            if one.method == "btree"
            and one.predicate is None
            and wanted <= {*one.keys, *one.included}
        ),
        None,
    )
