"""Rules on order: sorts, the first few rows of many, and offsets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules.below import (
    everybody,
    inputs,
    number_in,
    scan_below,
    terms_below,
)
from fluxlab.plans.rules.blame import blamed
from fluxlab.plans.rules.expressions import (
    EQUALITIES,
    FIXED,
    index_on,
    quoted,
    terms_of,
)
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import (
    Said,
    counted,
    is_worth,
    percent,
    rule,
)
from fluxlab.plans.surroundings import KnownTable

#: A top-N sort that compares this many rows for each that it keeps wants an index.
MANY_PER_ROW = 100
#: Reading in an order is a trap when this many rows fail the filter for each returned.
TRAPPED_PER_ROW = 1_000
#: A group of this many rows is no longer a small sort among many.
LARGE_GROUP = 1_000
#: Rows that OFFSET reads and throws away before they are worth a word.
MANY_SKIPPED = 1_000

_TRAPPED = "The planner expected such rows to be spread evenly, and to stop soon. "
_IN_ORDER = (
    "An index on the filtered columns, followed by those of the order, finds them at once. "
    "Another index on the order alone changes nothing."
)
_DIRECTION = re.compile(r" (?=(?:ASC|DESC|NULLS)\b)")


@rule("R19", "A sort that an index could replace")
def _avoidable_sort(seen: Seen) -> Said | None:
    node, reader = seen.node, _reader(seen)
    if node.kind != "Sort" or reader is None or not node.is_executed or _is_top_n(node):
        return None
    scan, rows = scan_below(node), inputs(node)[0].rows_kept
    fix = index_in_order(seen, scan, node.texts("Sort Key"))
    # Below a limit an index also spares reading the rest.
    time_ms = node.time_ms if reader.kind == "Limit" else node.own_time_ms
    if scan is None or fix is None or rows < LARGE_GROUP or not is_worth(seen, time_ms):
        return None
    return Said(
        f"{counted(rows, 'row')} of {scan.relation} are sorted by "
        f"{node.text('Sort Key')}; no index hands them up in this order.",
        "An index that begins with what is compared by = and goes on in this order spares "
        "the sort. A report that reads the whole table sorts faster than it follows one.",
        {"rows_sorted": rows, "sort_ms": node.own_time_ms},
        wasted=1.0,
        fix=fix,
        time_ms=time_ms,
    )


@rule("R20", "The first few of very many rows")
def _top_n_of_all(seen: Seen) -> Said | None:
    node = seen.node
    if not _is_top_n(node) or not is_worth(seen, node.time_ms):
        return None
    read, scan = inputs(node)[0].rows_kept, scan_below(node)
    of_table = f" of {scan.relation}" if scan else ""
    return Said(
        f"{counted(read, 'row')}{of_table} are read and compared to keep the first "
        f"{node.rows_kept:,} by {node.text('Sort Key')}.",
        "An index on what is compared by =, followed by the order, reads only the rows "
        "that are returned. An index on the filter alone still reads and sorts them all; "
        "where few rows pass the filter, that one is enough.",
        {"rows_read": read, "rows_returned": node.rows_kept},
        wasted=1 - node.rows_kept / read,
        fix=index_in_order(seen, scan, node.texts("Sort Key")),
        time_ms=node.time_ms,
    )


def _is_top_n(node: PlanNode) -> bool:
    """Whether a sort keeps the first few of at least a hundred times as many rows."""
    if node.kind != "Sort" or not node.is_executed:
        return False
    methods = {facts.get("Sort Method") for facts in everybody(node)}
    read = inputs(node)[0].rows_kept
    return "top-N heapsort" in methods and read >= MANY_PER_ROW * max(1, node.rows_kept)


@rule("R21", "An incremental sort of large groups")
def _long_groups(seen: Seen) -> Said | None:
    node = seen.node
    if node.kind != "Incremental Sort" or not node.is_executed:
        return None
    (groups, disk_kb), rows = _groups(node), inputs(node)[0].rows_kept
    if rows < LARGE_GROUP * max(1, groups) and not disk_kb:
        return None
    if not is_worth(seen, node.own_time_ms):
        return None
    spill = f" and {disk_kb:,.0f} kB of temporary files" if disk_kb else ""
    return Said(
        f"The rows come ordered by {node.text('Presorted Key')} only: {rows:,} of them are "
        f"sorted by the rest, in {counted(groups, 'group')}{spill}.",
        "An index on all columns of the order leaves nothing to sort. Where groups are "
        "small an incremental sort is right, and a longer index buys little. More work_mem "
        "keeps the files away and the sort in place.",
        {"rows_sorted": rows, "groups": groups, "disk_kb": disk_kb},
        wasted=1.0,
        fix=index_in_order(seen, scan_below(node), node.texts("Sort Key")),
    )


@rule("R22", "An index read for its order, against the filter")
def _order_trap(seen: Seen) -> Said | None:
    node, reader = seen.node, _reader(seen)
    if reader is None or reader.kind != "Limit" or not node.is_executed:
        return None
    if node.kind not in ("Index Scan", "Index Only Scan") or "Filter" not in node.facts:
        return None
    removed, kept = node.rows_removed, reader.rows_kept
    if removed < TRAPPED_PER_ROW * max(1, kept) or not is_worth(seen, node.own_time_ms):
        return None
    indexes = seen.table.indexes if seen.table else ()
    own = next((one for one in indexes if one.name == node.index), None)
    keys = own.keys if own and own.method == "btree" else ()
    to_blame = blamed(seen, removed / max(1, node.rows_read))
    return Said(
        f"{node.index} is read in its order until the limit is reached: "
        f"{counted(removed, 'row')} fail the filter for {kept:,} returned.",
        _TRAPPED + (_IN_ORDER if to_blame.added else to_blame.advice),
        {"rows_removed": removed, "rows_returned": kept},
        wasted=to_blame.share,
        confidence="possible" if to_blame.confidence == "possible" else "likely",
        fix=index_in_order(seen, node, keys) if keys and to_blame.added else None,
    )


@rule("R36", "A large offset")
def _large_offset(seen: Seen) -> Said | None:
    node = seen.node
    if node.kind != "Limit" or not node.is_executed:
        return None
    read, kept = inputs(node)[0].rows_kept, node.rows_kept
    # A limit pulls rows one by one: it threw away those before its offset, no others.
    if read - kept < MANY_SKIPPED or not is_worth(seen, node.time_ms):
        return None
    return Said(
        f"OFFSET finds {counted(read - kept, 'row')} and throws them away, "
        f"{percent(1 - kept / read)} of all, before the {kept:,} that are returned.",
        "Ask for what follows the last row shown, where (created_at, id) < ($1, $2) order "
        "by created_at desc, id desc, with an index in that order. An index alone makes "
        "skipping cheaper and does not end it.",
        {"rows_skipped": read - kept, "rows_returned": kept},
        wasted=1 - kept / read,
        confidence="sure",
        time_ms=node.time_ms,
    )


def index_in_order(
    seen: Seen, scan: PlanNode | None, sort_keys: Sequence[str]
) -> str | None:
    """Return SQL for an index that finds a scan's rows in an order; None where it exists.

    What is compared for equality comes first. None where a sort key is no column.
    """
    order = _order(sort_keys, scan.alias) if scan else ()
    if scan is None or not scan.relation or not order:
        return None
    terms = [one for one in terms_below(scan) if one.operator in EQUALITIES | FIXED]
    fixed = {term.key for term in terms if term.operator in EQUALITIES - FIXED}
    order = tuple(key for key in order if key.split(" ")[0] not in fixed)
    ordered = {key.split(" ")[0] for key in order}
    fix = index_on(scan.relation, [one for one in terms if one.key not in ordered], order)
    return None if _is_there(seen.known.table(scan.relation), fix) else fix


def _order(sort_keys: Sequence[str], alias: str | None) -> tuple[str, ...]:
    """Return sort keys as an index has them; none unless all are columns of the table."""
    keys = []
    for text in sort_keys:
        key, *words = _DIRECTION.split(text)
        terms = terms_of(key, alias)
        if len(terms) != 1 or terms[0].operator != "true" or terms[0].column is None:
            return ()
        keys.append(" ".join([quoted(terms[0].column), *(word.lower() for word in words)]))
    return tuple(keys)


def _is_there(table: KnownTable | None, fix: str | None) -> bool:
    """Whether the table has an index of these keys already; directions are not known."""
    keys = re.sub(r" (?:desc|nulls \w+)\b", "", fix or "").partition("(")[2]
    return table is not None and any(
        keys == f"{', '.join(index.keys)});" for index in table.indexes
    )


def _reader(seen: Seen) -> PlanNode | None:
    """Return the Limit, GroupAggregate or Unique that wants this node's order, if any."""
    above = seen.plan.parents.get(seen.node.number)
    while above is not None and above.kind in ("Gather Merge", "Result", "LockRows"):
        above = seen.plan.parents.get(above.number)
    if above is None:
        return None
    is_grouping = above.kind == "Aggregate" and above.text("Strategy") == "Sorted"
    return above if is_grouping or above.kind in ("Limit", "Unique") else None


def _groups(node: PlanNode) -> tuple[int, float]:
    """Return the groups of an incremental sort, and the most kB that one took on disk."""
    groups, disk_kb = 0.0, 0.0
    for facts in everybody(node):
        for name in ("Full-sort Groups", "Pre-sorted Groups"):
            found = facts.get(name)
            if isinstance(found, Mapping):
                groups += number_in(found, "Group Count")
                disk = found.get("Sort Space Disk")
                disk = disk if isinstance(disk, Mapping) else {}
                disk_kb = max(disk_kb, number_in(disk, "Peak Sort Space Used"))
    return round(groups), disk_kb


RULES: tuple[Rule, ...] = (
    *(_avoidable_sort, _top_n_of_all, _long_groups, _order_trap, _large_offset),
)
