"""Rules on what an index is asked: the order of its columns, and what it lacks.

Several reasons make an index read too much, and a scan gets the one that explains it: the
order of its columns (R08, R09, R11), a part of the condition that it lacks (R07), and
where neither does, what `rules_visits` knows of the table behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from fluxlab.plans.rules import visits
from fluxlab.plans.rules.blame import blamed
from fluxlab.plans.rules.expressions import (
    EQUALITIES,
    FIXED,
    RANGES,
    Term,
    index_on,
    terms_of,
)
from fluxlab.plans.rules.filters import LEAST_REMOVED, is_mismatched
from fluxlab.plans.rules.index_scans import (
    INDEX_SCANS,
    addable,
    amount_of,
    better_index,
    has_wrong_order,
    heap_scan,
    index_of,
    is_dear,
    is_read_whole,
    is_skipping,
    lead_of,
    plain_in,
    searches_of,
    terms_in,
    what_it_reads,
)
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import Said, counted, matters, percent, rule, share_of

#: Searches of one scan that skipping through the first column should not need.
MANY_SKIPS = 100
#: From here on a list of values is a table, and a join reads it better.
LONG_LIST = 1_000
#: Of the execution: what two indexes cost where one would do.
BITMAP_SHARE = 0.1
#: Kept rows of one block: with more, rows stand so close that fewer of them are hardly
#: fewer blocks, and the planner may stay with the index that it has.
CLOSE_ROWS = 2.0

_CLOSE = (
    " The rows stand close together, all in {blocks:,} blocks: passing some is cheap "
    "there, and the planner may stay with the index that it has."
)


@rule("R07", "An index that finds too many rows")
def _inefficient(seen: Seen) -> Said | None:
    node = seen.node
    condition = terms_in(seen) if node.kind in INDEX_SCANS else _bitmap_terms(seen)
    removed = round(node["Rows Removed by Filter"] * node.loops)
    if not condition or not node.relation or not matters(seen):
        return None
    if removed < LEAST_REMOVED or removed <= node.rows_kept:
        return None
    if not addable(seen) and any(
        is_mismatched(seen.table, term) for term in terms_in(seen, "Filter")
    ):
        return None  # R54 says why
    index = node.index or node.children[0].index
    share = removed / max(1, removed + node.rows_kept)
    to_blame = blamed(seen, share)
    is_close = node.rows_kept > CLOSE_ROWS * node.own_blocks > 0
    is_doubtful = to_blame.added and (is_close or _is_updated(seen))
    return Said(
        f"The index {index} finds {counted(removed + node.rows_kept, 'row')} of "
        f"{node.relation}, and the filter{to_blame.on_columns} throws {removed:,} of them "
        f"away, {percent(share)}.",
        to_blame.advice + (_CLOSE.format(blocks=node.own_blocks) if is_close else ""),
        {
            "rows_found": removed + node.rows_kept,
            "rows_thrown_away": removed,
            "share_to_spare": to_blame.share,
        },
        wasted=to_blame.share,
        confidence="possible" if is_doubtful else to_blame.confidence,
        fix=_with_filter(node.relation, plain_in(seen, condition), to_blame.added),
        # The index below a bitmap found what is thrown away.
        time_ms=node.time_ms if node.kind == "Bitmap Heap Scan" else None,
    )


def _is_updated(seen: Seen) -> bool:
    """Whether the rows are found to be updated: then an index more is written as well."""
    return any(
        one.kind == "ModifyTable"
        and one.text("Operation") == "Update"
        and one.relation == seen.node.relation
        for one in seen.plan.nodes
    )


def _with_filter(relation: str, found: Sequence[Term], added: Sequence[Term]) -> str | None:
    """Return SQL for an index that tests the filter as well."""
    if not added:
        return None
    # `is not null` in an Index Cond says that the index is there for its order.
    order = [str(one.key) for one in found if one.operator == "is not null"]
    sought = [one for one in found if one.operator != "is not null"]
    # What follows a range finds nothing, and yet is tested before the table is visited.
    tested = [str(one.key) for one in added if one.operator not in FIXED]
    return index_on(relation, [*sought, *added], order, tested)


def _bitmap_terms(seen: Seen) -> tuple[Term, ...]:
    """Return what the one index below a Bitmap Heap Scan was asked."""
    node = seen.node
    if node.kind != "Bitmap Heap Scan" or node.children[0].kind != "Bitmap Index Scan":
        return ()
    return terms_of(node.children[0].text("Index Cond"), node.alias)


@rule("R08", "An index read from end to end")
def _wrong_lead(seen: Seen) -> Said | None:
    is_whole = is_read_whole(seen) and not is_skipping(seen)
    if not matters(seen) or not is_whole or not is_dear(seen):
        return None
    lead = lead_of(index_of(seen))
    known = (
        f"it begins with {lead}, which the condition does not name, so all of it is read"
    )
    supposed = (
        f"the planner expected that, at a cost of {seen.node['Total Cost']:,.0f}, as where "
        "an index begins with a column that the condition does not name"
    )
    return Said(
        f"{what_it_reads(seen)}: {known if lead else supposed}.",
        "Try an index that begins with what is asked for. One more that begins with "
        f"{lead or 'the other column'} does not help, whatever follows.",
        amount_of(seen) | ({"first_column": lead} if lead else {}),
        wasted=_beyond_its_rows(seen),
        confidence="sure" if lead else "possible",
        fix=better_index(seen),
    )


def _beyond_its_rows(seen: Seen) -> float:
    """Return the share of the blocks that a block for each row would not explain."""
    return max(0.0, 1 - seen.node.rows_read / max(1, seen.node.own_blocks))


@rule("R09", "An index skipped through")
def _skip_scan(seen: Seen) -> Said | None:
    node = seen.node
    if not node.is_executed or not is_skipping(seen):
        return None
    searches = searches_of(node)
    costs = matters(seen) and (searches > MANY_SKIPS * node.loops or is_dear(seen))
    lead = lead_of(index_of(seen)) or "its first column"
    advice = (
        "Try an index that begins with what is asked for. One more that begins with "
        f"{lead} would be skipped through in the same way."
        if costs
        else f"An index of its own would save little as long as {lead} has few values, and "
        "would have to be written. Look again when there are more of them."
    )
    return Said(
        f"The condition does not name {lead}, with which {node.index} begins: PostgreSQL "
        f"searches it {counted(searches, 'time')}, skipping from value to value, and "
        f"touches {counted(node.own_blocks, 'block')} for "
        f"{counted(node.rows_read, 'row')}.",
        advice,
        amount_of(seen) | {"searches": searches},
        wasted=_beyond_its_rows(seen) if costs else 0.0,
        confidence="sure" if index_of(seen) else "likely",
        fix=better_index(seen) if costs else None,
        is_note=not costs,
    )


@rule("R10", "An index searched once for each value of a long list")
def _long_list(seen: Seen) -> Said | None:
    node = seen.node
    searches = node["Index Searches"]
    lists = [term for term in terms_in(seen) if term.operator == "= any"]
    if not lists or not matters(seen) or searches < LONG_LIST * node.loops:
        return None
    return Said(
        f"{node.index} is searched {counted(searches, 'time')} from its root for the "
        f"values of one list of {', '.join(str(term.column) for term in lists)}.",
        "A list this long is a table: join with unnest of it, or send it in batches of "
        "some hundred. Where the values stand close together, a range finds them in one "
        "search. Another index does not help.",
        {"searches": searches, "rows": node.rows_read, "blocks": node.own_blocks},
        wasted=_beyond_its_rows(seen),
    )


@rule("R11", "A range before an equality in the index")
def _range_first(seen: Seen) -> Said | None:
    if not matters(seen) or not is_dear(seen) or not has_wrong_order(seen):
        return None
    terms = plain_in(seen, terms_in(seen))
    range_ = next(str(term.column) for term in terms if term.operator in RANGES)
    equal = next(str(term.column) for term in terms if term.operator in EQUALITIES)
    return Said(
        f"{what_it_reads(seen)}: it is sorted by {range_} before {equal}, so the whole "
        f"range of {range_} is read to find the few rows with that {equal}.",
        f"Try the columns in the other order: {equal} first, because it is compared for "
        f"equality, then {range_}. Adding columns at the end does not help.",
        amount_of(seen),
        wasted=_beyond_its_rows(seen),
        confidence="sure" if index_of(seen) else "likely",
        fix=better_index(seen),
    )


@rule("R17", "Two indexes where one would do")
def _two_bitmaps(seen: Seen) -> Said | None:
    node = seen.node
    if node.kind != "BitmapAnd" or not node.is_executed or not node.blocks:
        return None
    if share_of(seen, node.time_ms, node.blocks) < BITMAP_SHARE:
        return None
    heap = heap_scan(seen)
    parts = [one for one in node.walk() if one.index]
    terms = [term for one in parts for term in terms_of(one.text("Index Cond"), heap.alias)]
    if len(plain_in(seen, terms)) < len(terms):
        return None  # what GIN finds, no ordinary index can
    entries = sum(one.rows_kept for one in parts)
    names = " and ".join(str(one.index) for one in parts)
    is_whole = all(one.index for one in node.children)
    return Said(
        f"{counted(entries, 'entry', 'entries')} are read from {names} to find what they "
        f"have in common: {counted(heap.rows_read, 'row')}.",
        "Try one index with the columns of both. INCLUDE does not help. Not where each "
        "column is asked for alone as often as both together.",
        {"entries_read": entries, "rows": heap.rows_read, "blocks": node.blocks},
        wasted=1 - min(1.0, heap.rows_read / max(1, entries)),
        fix=index_on(str(heap.relation), plain_in(seen, terms)) if is_whole else None,
        time_ms=node.time_ms,
    )


RULES: tuple[Rule, ...] = (
    _inefficient,
    _wrong_lead,
    _skip_scan,
    _long_list,
    _range_first,
    _two_bitmaps,
    *visits.RULES,
)
