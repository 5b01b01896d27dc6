"""Rules on joins and subqueries: what is repeated, and what is wasted."""

from __future__ import annotations

from itertools import pairwise

from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules.below import (
    PASSING,
    inputs,
    scan_below,
    sum_of,
    terms_below,
    way_down,
)
from fluxlab.plans.rules.estimates import (
    FAR_OFF,
    FEW_ROWS,
    JOINS,
    analyze,
    better_estimate,
    factor_of,
    is_surprised,
    name_of,
    nodes_above,
)
from fluxlab.plans.rules.expressions import EQUALITIES, FIXED, index_on, terms_of
from fluxlab.plans.rules.filters import LEAST_REMOVED, SELECTIVE
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import Said, counted, is_worth, percent, rule, share_of
from fluxlab.plans.rules.sorts import index_in_order
from fluxlab.plans.rules.spills import work_mem
from fluxlab.plans.surroundings import KnownTable

MANY_LOOPS = 1_000
#: A part of the plan that takes less is not worth another way of joining.
LARGE_SHARE = 0.3
#: So few rows stand on a page or two, which are read as fast without an index.
SMALL_TABLE = 100
FEW_HITS = 0.2
WASTED_PER_ROW = 10
MANY_SUBPLANS = 100
_KEEPING_INNER = ("Right", "Right Anti", "Full")
#: What finds its rows by an index is cheap until there are so many rounds.
MANY_LOOKUPS = 10_000


@rule("R30", "An inner side read again and again")
def _rescan(seen: Seen) -> Said | None:
    node, join = seen.node, seen.plan.parents.get(seen.node.number)
    if join is None or join.kind != "Nested Loop" or node.role != "Inner":
        return None
    outer = inputs(join)[0]
    is_planned = factor_of(outer) < FAR_OFF
    if node.kind == "Materialize" or is_surprised(join) or "Plan Rows" not in outer.facts:
        return None
    # A thousand lookups that were planned are seldom worse than reading all of a table.
    rounds = (inputs(node)[0] if node.kind == "Memoize" else node).loops
    if rounds < (MANY_LOOKUPS if is_planned else MANY_LOOPS) * node.processes:
        return None
    # EXPLAIN rounds the time of a round to a microsecond, and there are very many.
    time_ms = max(node.time_ms, join.time_ms - outer.time_ms)
    if any(map(_is_whole_scan, node.walk())) or not _is_large(seen, time_ms):
        return None
    return Said(
        f"{node.label} runs {node.loops:,} times, once for each row of {name_of(outer)}, "
        f"and returns {counted(node.rows_kept, 'row')} in all from {node.blocks:,} blocks.",
        "A hash join would read it once. Where the outer side was expected to be smaller, "
        "correct that estimate; else only fewer outer rows help. A wider index does not.",
        {"loops": node.loops, "rows": node.rows_kept, "blocks": node.blocks},
        wasted=1 - 1 / node.loops,
        confidence="possible" if is_planned else "likely",
        fix=better_estimate(seen, outer),
        time_ms=time_ms,
    )


@rule("R31", "A whole table read in each loop")
def _inner_scan(seen: Seen) -> Said | None:
    node, join = seen.node, _loop_above(seen)
    if join is None or not _is_whole_scan(node) or not is_worth(seen, node.own_time_ms):
        return None
    return Said(
        f"All of {node.relation} is read {node.loops:,} times, once for each outer row: "
        f"{counted(node.rows_read, 'row')} to keep {node.rows_kept:,}.",
        "With an index on its joining column each round reads its own rows only; one on "
        "the other table does not serve this loop.",
        {"loops": node.loops, "rows_read": node.rows_read, "rows_kept": node.rows_kept},
        wasted=1 - 1 / node.loops,
        fix=_joining_index(node, join.text("Join Filter")),
    )


def _is_whole_scan(node: PlanNode) -> bool:
    """Whether a table is read from end to end in each of several rounds."""
    is_repeated = node.kind == "Seq Scan" and node.loops > node.processes
    return is_repeated and node.rows_read >= SMALL_TABLE * node.loops


def _loop_above(seen: Seen) -> PlanNode | None:
    """Return the nested loop that repeats this node; None where a subplan does."""
    for node, above in pairwise((seen.node, *nodes_above(seen))):
        is_inner = above.kind == "Nested Loop" and node.role == "Inner"
        if is_inner or node not in inputs(above):
            return above if is_inner else None
    return None


def _joining_index(scan: PlanNode, condition: str | None = None) -> str | None:
    """Return SQL for an index on what a scan compares with a row from elsewhere."""
    found = (*terms_below(scan), *terms_of(condition, scan.alias))
    terms = [one for one in found if one.operator in EQUALITIES | FIXED and one.key]
    is_joining = scan.relation and any(one.operator == "=" for one in terms)
    return index_on(str(scan.relation), terms) if is_joining else None


@rule("R57", "A whole table read to join a few rows")
def _unindexed_join(seen: Seen) -> Said | None:
    node, way = seen.node, _way_to_join(seen)
    if not way or not _finds_few_partners(node, way):
        return None
    *_, below, join = (node, *way)
    others = next(one for one in inputs(join) if one is not below)
    fix = _joining_index(node, join.text("Hash Cond") or join.text("Merge Cond"))
    time_ms = sum(one.own_time_ms for one in (node, *way))
    if fix is None or _is_indexed(seen.table, fix) or not is_worth(seen, time_ms):
        return None
    return Said(
        f"All {counted(node.rows_read, 'row')} of {node.relation} are read to be joined "
        f"with {counted(others.rows_kept, 'row')}, and {join.rows_kept:,} come out.",
        "With an index on its joining column only the partners are read. One on the other "
        "table does not help, nor does more memory. Not where the other side is often "
        "large: then reading all is right.",
        {
            "rows_read": node.rows_read,
            "rows_of_other_side": others.rows_kept,
            "rows_joined": join.rows_kept,
        },
        wasted=1 - join.rows_kept / max(1, node.rows_read),
        confidence="sure" if seen.table else "likely",
        fix=fix,
        time_ms=time_ms,
    )


def _way_to_join(seen: Seen) -> tuple[PlanNode, ...]:
    """Return the nodes above a whole scan up to the join that takes its rows, if any."""
    node, way = seen.node, []
    if node.kind != "Seq Scan" or node.loops != node.processes or "Filter" in node.facts:
        return ()
    for below, above in pairwise((node, *nodes_above(seen))):
        if below not in inputs(above):
            return ()
        way.append(above)
        if above.kind in ("Hash Join", "Merge Join"):
            return tuple(way)
        if above.kind not in (*PASSING, "Hash"):
            return ()
    return ()


def _finds_few_partners(scan: PlanNode, way: tuple[PlanNode, ...]) -> bool:
    """Whether nearly no row of a scan is joined, because the other side has few rows."""
    below, join = (scan, *way)[-2:]
    others = next(one for one in inputs(join) if one is not below)
    most = max(others.rows_kept, join.rows_kept)
    is_few = scan.rows_read >= LEAST_REMOVED and most < SELECTIVE * scan.rows_read
    # These keep rows that have no partner: no index leads to such.
    kept = ("Left", "Anti", "Full") if below.role == "Outer" else _KEEPING_INNER
    return is_few and join.facts.get("Join Type") not in kept


def _is_indexed(table: KnownTable | None, fix: str) -> bool:
    """Whether there is such an index, so that the planner left it aside."""
    key = fix.partition("(")[2].split(",")[0].rstrip(");")
    return table is not None and any(one.keys[0] == key for one in table.indexes)


@rule("R32", "A cache of lookups that does not help")
def _memoize(seen: Seen) -> Said | None:
    node = seen.node
    if node.kind != "Memoize" or not is_worth(seen, node.time_ms):
        return None
    hits, misses = sum_of(node, "Cache Hits"), sum_of(node, "Cache Misses")
    forgotten, asked = sum_of(node, "Cache Evictions"), hits + misses
    if asked < FEW_ROWS or (hits >= FEW_HITS * asked and not forgotten):
        return None
    outer = inputs(seen.plan.parents[node.number])[0]
    needed = node["Peak Memory Usage"] * 1024 * misses / max(1.0, misses - forgotten)
    return Said(
        f"Of {counted(asked, 'lookup')} {percent(hits / asked)} were answered from memory; "
        f"{forgotten:,.0f} answers were forgotten for want of room.",
        "More work_mem keeps what is forgotten; it does not make keys repeat. Where they "
        "were expected to, renew the statistics of the outer side.",
        {"hits": hits, "misses": misses, "evictions": forgotten},
        wasted=1.0,
        confidence="possible" if forgotten else "likely",
        fix=work_mem(needed) if forgotten else analyze(outer),
        time_ms=node.time_ms if forgotten else node.own_time_ms,
    )


@rule("R33", "Pairs made only to be thrown away")
def _join_filter(seen: Seen) -> Said | None:
    node = seen.node
    removed = round(node["Rows Removed by Join Filter"] * node.loops)
    is_wasted = removed > max(MANY_LOOPS, WASTED_PER_ROW * node.rows_kept)
    if not is_wasted or not is_worth(seen, node.own_time_ms):
        return None
    condition = node.text("Join Filter")
    inner = scan_below(inputs(node)[1]) if node.kind == "Nested Loop" else None
    return Said(
        f"{counted(removed + node.rows_kept, 'pair')} of rows were put together and tested "
        f"against {condition}; {node.rows_kept:,} passed.",
        "Join by an equality that leaves few pairs. OR between two equalities is two joins "
        "put together by UNION. An index on what is not compared by = alone does not help.",
        {"pairs_removed": removed, "rows_kept": node.rows_kept},
        wasted=removed / (removed + node.rows_kept),
        fix=_joining_index(inner, condition) if inner else None,
    )


@rule("R34", "A subquery for each row")
def _subplan(seen: Seen) -> Said | None:
    node = seen.node
    is_subplan = node.facts.get("Parent Relationship") == "SubPlan"
    if not is_subplan or node.loops < MANY_SUBPLANS * node.processes:
        return None
    scan = next((one for one in node.walk() if _is_whole_scan(one)), None)
    is_many = node.loops >= MANY_LOOKUPS * node.processes and _is_large(seen, node.time_ms)
    if not (is_many or scan) or not is_worth(seen, node.time_ms):
        return None
    read = sum(one.rows_read for one in node.walk() if one.relation)
    return Said(
        f"{node.role} runs {node.loops:,} times, once for each row above, and reads "
        f"{counted(read, 'row')} and {node.blocks:,} blocks in all.",
        "Write it as a join with the inner side grouped first: then the planner may choose "
        "how. For some hundred outer rows an index on what correlates is enough.",
        {"loops": node.loops, "rows_read": read, "blocks": node.blocks},
        wasted=1 - 1 / node.loops,
        fix=_joining_index(scan) if scan else None,
        time_ms=node.time_ms,
    )


@rule("R35", "A merge join that sorts first")
def _sorting_join(seen: Seen) -> Said | None:
    node = seen.node
    below = [inputs(one)[0] if one.kind == "Materialize" else one for one in inputs(node)]
    ordered = [one for one in below if one.kind in ("Sort", "Incremental Sort")]
    sort_ms = sum(one.own_time_ms for one in ordered)
    if node.kind != "Merge Join" or not ordered or not _is_large(seen, sort_ms):
        return None
    rows = sum(inputs(one)[0].rows_kept for one in ordered)
    pairs = [(scan_below(one), one.texts("Sort Key")) for one in ordered]
    fixes = [fix for scan, keys in pairs if (fix := index_in_order(seen, scan, keys))]
    return Said(
        f"{counted(rows, 'row')} are sorted before the two sides can be merged.",
        "An index on the joined column hands a side up in order. More work_mem still sorts "
        "unless it lets the planner choose a hash join, which needs no order.",
        {"rows_sorted": rows, "sort_ms": sort_ms},
        wasted=1.0,
        fix="\n".join(fixes) or None,
        time_ms=sort_ms,
    )


@rule("R38", "Copies made by a join, then removed")
def _fan_out(seen: Seen) -> Said | None:
    node = seen.node
    if not node.is_executed or not inputs(node) or not _is_distinct(seen):
        return None
    *ways, join = way_down(inputs(node)[0])
    read = inputs(node)[0].rows_kept
    time_ms = sum(one.own_time_ms for one in (node, *ways, join))
    is_copying = read >= max(MANY_LOOPS, WASTED_PER_ROW * node.rows_kept)
    if join.kind not in JOINS or not is_copying or not is_worth(seen, time_ms):
        return None
    return Said(
        f"The join makes {counted(read, 'row')} and DISTINCT keeps {node.rows_kept:,}: the "
        "others are copies, one for each partner.",
        "If a table is only asked whether it has a partner, write WHERE EXISTS (…), which "
        "stops at the first. An index on the join leaves the copies.",
        {"rows_joined": read, "rows_kept": node.rows_kept},
        wasted=1 - node.rows_kept / read,
        confidence="possible",
        time_ms=time_ms,
    )


def _is_distinct(seen: Seen) -> bool:
    """Whether a node drops equal rows because the statement says DISTINCT."""
    node = seen.node
    if any(one.kind in JOINS for one in nodes_above(seen)):  # there the planner wants it
        return False
    if node.kind != "Aggregate":
        return node.kind == "Unique"
    if output := set(node.texts("Output")):
        return output <= set(node.texts("Group Key"))
    words = (seen.known.statement or "").lower().split()
    return ("select", "distinct") in pairwise(words)


def _is_large(seen: Seen, time_ms: float) -> bool:
    return not seen.plan.is_timed or share_of(seen, time_ms) >= LARGE_SHARE


RULES: tuple[Rule, ...] = (
    *(_rescan, _inner_scan, _unindexed_join),
    *(_memoize, _join_filter, _subplan, _sorting_join, _fan_out),
)
