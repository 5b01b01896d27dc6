"""What an index scan was asked, what it touched, and what is known of its index."""

from __future__ import annotations

from collections.abc import Iterable

from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules.expressions import (
    EQUALITIES,
    RANGES,
    Term,
    columns_of,
    index_on,
    is_plain,
    quoted,
    terms_of,
)
from fluxlab.plans.rules.filters import LEAST_DISTINCT, distinct_values, type_of
from fluxlab.plans.rules.rule import Seen
from fluxlab.plans.rules.saying import counted
from fluxlab.plans.surroundings import KnownIndex, KnownTable

INDEX_SCANS = ("Index Scan", "Index Only Scan")
#: A good index reads about one block per row, and its own few on the way down.
BLOCKS_PER_ROW = 5
#: Fewer blocks than this are read before anybody notices.
LEAST_BLOCKS = 100
#: Of the server, unless the plan says otherwise.
RANDOM_PAGE_COST = 4.0


def heap_scan(seen: Seen) -> PlanNode:
    """Return the scan of the table: the node, or the heap scan above a bitmap's index."""
    node = seen.node
    while not node.relation and node.number in seen.plan.parents:
        node = seen.plan.parents[node.number]
    return node


def table_of(seen: Seen) -> KnownTable | None:
    """Return what is known of the table behind the node."""
    return seen.known.table(heap_scan(seen).relation)


def index_of(seen: Seen, name: str | None = None) -> KnownIndex | None:
    """Return the index that the node reads, where the server was asked."""
    table = table_of(seen)
    name = name or seen.node.index
    return next((one for one in table.indexes if one.name == name), None) if table else None


def terms_in(seen: Seen, name: str = "Index Cond") -> tuple[Term, ...]:
    """Return the terms of one of the node's conditions."""
    return terms_of(seen.node.text(name), heap_scan(seen).alias)


def plain_in(seen: Seen, terms: Iterable[Term]) -> list[Term]:
    """Return the terms that an ordinary index can serve."""
    table = table_of(seen)
    return [term for term in terms if is_plain(term, type_of(table, term))]


def blocks_per_row(seen: Seen) -> float:
    """Return the blocks that the node touched for each row that it found."""
    return seen.node.own_blocks / max(1, seen.node.rows_read)


def searches_of(node: PlanNode) -> float:
    """Return how often the index was searched from its root; before 18, once per loop."""
    return max(node["Index Searches"], node.loops)


def lead_of(index: KnownIndex | None) -> str | None:
    """Return the first key of a B-tree if it is a column."""
    if index is None or index.method != "btree":
        return None
    columns = columns_of(index.keys[0])
    return columns[0] if columns and quoted(columns[0]) == index.keys[0] else None


def lacks_lead(seen: Seen) -> bool:
    """Whether the index is known to begin with a column that is not asked for."""
    lead = lead_of(index_of(seen))
    terms = terms_in(seen)
    return bool(lead and terms) and all(lead not in term.columns for term in terms)


def is_read_whole(seen: Seen) -> bool:
    """Whether all of an index is read, because its first column is not asked for."""
    return lacks_lead(seen) if index_of(seen) else expects_blocks(seen) is True


def expects_blocks(seen: Seen) -> bool | None:
    """Whether the planner expected many blocks of the index for few rows; None if unclear.

    It knows how much of the index the condition leaves to be read, and nothing of dead
    rows: a scan that it priced high reads the index from end to end, and one that it
    priced low passes what should not be there. Rows that a filter throws away are not
    in its count, so then the price says nothing.

    Source: `btcostestimate` in `src/backend/utils/adt/selfuncs.c`.
    """
    node, terms = seen.node, terms_in(seen)
    is_ordinary = len(plain_in(seen, terms)) == len(terms)
    is_list = any(term.operator == "= any" for term in terms)
    if not terms or not is_ordinary or is_list or has_wrong_order(seen):
        return False
    if not node["Total Cost"]:
        return None
    price = float(seen.plan.settings.get("random_page_cost", RANDOM_PAGE_COST))
    expected = node["Total Cost"] / price
    if expected <= max(LEAST_BLOCKS, BLOCKS_PER_ROW * node.planned_rows):
        return False
    return None if node.text("Filter") else True


def is_skipping(seen: Seen) -> bool:
    """Whether the scan skips from value to value of a column that is not asked for."""
    node = seen.node
    if not node.index or node["Index Searches"] <= node.loops:
        return False
    if index_of(seen) is not None:
        return lacks_lead(seen)
    return not any(term.operator == "= any" for term in terms_in(seen))


def amount_of(seen: Seen) -> dict[str, float | str]:
    """Return the evidence that the rules on index scans share."""
    return {
        "rows": seen.node.rows_read,
        "blocks": seen.node.own_blocks,
        "blocks_per_row": blocks_per_row(seen),
        "index": str(seen.node.index),
    }


def what_it_reads(seen: Seen) -> str:
    """Begin a sentence: what the scan touches, and for how much."""
    node = seen.node
    return (
        f"The scan of {node.index} touches {counted(node.own_blocks, 'block')} for "
        f"{counted(node.rows_read, 'row')}"
    )


def addable(seen: Seen) -> list[Term]:
    """Return the terms of the filter that an ordinary index could test as well."""
    terms = terms_in(seen, "Filter")
    fixed = [one for one in terms if one.operator == "<>" and one.value is not None]
    return [one for one in fixed if not _is_of_many(seen, one)] + plain_in(seen, terms)


def _is_of_many(seen: Seen, term: Term) -> bool:
    """Whether `<>` leaves one of many values out: a parameter, and hardly any row.

    As the predicate of an index it would serve that one value alone.
    """
    distinct = distinct_values(table_of(seen), term)
    return term.value_type == "uuid" if distinct is None else distinct >= LEAST_DISTINCT


def filters_most(seen: Seen) -> bool:
    """Whether most of what the index finds fails a filter that it could test itself."""
    return seen.node.rows_removed > seen.node.rows_kept and bool(addable(seen))


def better_index(seen: Seen) -> str | None:
    """Return SQL for an index in the order that the condition asks for."""
    relation = heap_scan(seen).relation
    return index_on(relation, plain_in(seen, terms_in(seen))) if relation else None


def is_dear(seen: Seen) -> bool:
    """Whether a scan touches many blocks, and many more than its rows explain."""
    return seen.node.own_blocks >= LEAST_BLOCKS and blocks_per_row(seen) > BLOCKS_PER_ROW


def has_wrong_order(seen: Seen) -> bool:
    """Whether a range comes before an equality in the index: all of the range is read."""
    index = index_of(seen)
    if lacks_lead(seen) or (index is not None and index.method != "btree"):
        return False
    terms = plain_in(seen, terms_in(seen))
    # EXPLAIN writes the terms in the order of the index's columns.
    places = {term.key: place for place, term in reversed(list(enumerate(terms)))}
    if index is not None:
        places = {key: place for place, key in enumerate(index.keys)}
    ranges = [places.get(term.key, 0) for term in terms if term.operator in RANGES]
    equal = [places.get(term.key, 0) for term in terms if term.operator in EQUALITIES]
    return bool(ranges and equal) and max(equal) > min(ranges)
