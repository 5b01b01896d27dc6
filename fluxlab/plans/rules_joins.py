"""Rules on joins and estimates: what was not expected, what is repeated, what is wasted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from fluxlab.plans import rules_sorts as sorts
from fluxlab.plans.expressions import EQUALITIES, FIXED, RANGES, index_on, quoted, terms_of
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.rule import Rule, Seen
from fluxlab.plans.rules_sorts import inputs, is_worth, scan_below
from fluxlab.plans.rules_whole import is_stale
from fluxlab.plans.saying import Said, counted, percent, rule, share_of

#: A smaller error has seldom changed a plan for the worse.
FAR_OFF = 10
#: Among so few rows every plan is good.
FEW_ROWS = 100
MANY_LOOPS = 1_000
#: A part of the plan that takes less is not worth another way of joining.
LARGE_SHARE = 0.3
#: So few rows stand on a page or two, which are read as fast without an index.
SMALL_TABLE = 100
FEW_HITS = 0.2
WASTED_PER_ROW = 10
MANY_SUBPLANS = 100
#: Subqueries that find their rows by an index are cheap until there are so many.
MANY_LOOKUPS = 10_000

JOINS = ("Nested Loop", "Hash Join", "Merge Join")
#: They count entries instead of rows, or nothing.
_UNCOUNTED = ("BitmapAnd", "BitmapOr", "Bitmap Index Scan", "ModifyTable")
#: They can go back to a row they returned, and count it again.
_REREAD = ("Sort", "Materialize", "Index Scan", "Index Only Scan")


@rule("R27", "An estimate that is far off")
def _misjudged(seen: Seen) -> Said | None:
    node, is_old = seen.node, seen.table is None or is_stale(seen.table)
    if not _is_to_blame(seen) or _correlated_columns(seen):
        return None
    return Said(
        f"The planner {_surprise(node)}.",
        "ANALYZE renews the statistics; where they are fresh, a larger statistics target "
        "helps, or statistics on the expression. An index does not correct an estimate.",
        {"rows_expected": _expected(node), "rows": node.rows_kept},
        confidence="sure" if seen.table and is_old else "likely",
        fix=_analyze(node) if node.relation and is_old else None,
        time_ms=_stake_ms(seen),
    )


@rule("R28", "Columns that depend on each other")
def _correlated(seen: Seen) -> Said | None:
    node, columns = seen.node, _correlated_columns(seen)
    if not columns or not _is_to_blame(seen):
        return None
    names = ", ".join(columns)
    return Said(
        f"The planner takes {names} for independent of each other: it {_surprise(node)}.",
        "Extended statistics tell it how they depend. ANALYZE alone looks at each by "
        "itself, and an index on both leaves the estimate as wrong as it is.",
        {"rows_expected": _expected(node), "rows": node.rows_kept, "columns": names},
        confidence="likely" if seen.table else "possible",
        fix=_statistics(node, columns),
        time_ms=_stake_ms(seen),
    )


@rule("R29", "A nested loop for one expected row")
def _one_row(seen: Seen) -> Said | None:
    node = seen.node
    if not _is_surprised(node) or not is_worth(seen, node.time_ms):
        return None
    outer, inner = inputs(node)
    return Said(
        f"The planner expected {counted(outer.planned_rows, 'row')} of {_name(outer)} to "
        f"look up in {_name(inner)} one by one; {outer.rows_kept:,} came.",
        "Correct the estimate of the outer side, and the planner chooses a join for many "
        "rows by itself. Forbidding nested loops helps this statement and harms others.",
        {"outer_rows_expected": outer.planned_rows, "outer_rows": outer.rows_kept},
        wasted=1.0,
        fix=_better_estimate(seen, outer),
        time_ms=node.own_time_ms + inner.time_ms,
    )


def _is_surprised(node: PlanNode) -> bool:
    """Whether a nested loop was planned for a row or two, and met a hundred or more."""
    outer = inputs(node)[0] if node.kind == "Nested Loop" else node
    is_many = outer.rows_kept * outer.processes >= FEW_ROWS * max(1, outer.loops)
    return outer is not node and outer.planned_rows <= 2 and is_many


@rule("R30", "An inner side read again and again")
def _rescan(seen: Seen) -> Said | None:
    node, join = seen.node, seen.plan.parents.get(seen.node.number)
    if join is None or join.kind != "Nested Loop" or node.role != "Inner":
        return None
    if node.kind == "Materialize" or node.loops < MANY_LOOPS or _is_surprised(join):
        return None
    if any(map(_is_whole_scan, node.walk())) or not _is_large(seen, node.time_ms):
        return None
    outer = inputs(join)[0]
    return Said(
        f"{node.label} runs {node.loops:,} times, once for each row of {_name(outer)}, and "
        f"returns {counted(node.rows_kept, 'row')} in all from {node.blocks:,} blocks.",
        "A hash join would read it once. Where the outer side was expected to be smaller, "
        "correct that estimate; else only fewer outer rows help. A wider index does not.",
        {"loops": node.loops, "rows": node.rows_kept, "blocks": node.blocks},
        wasted=1 - 1 / node.loops,
        confidence="likely" if _factor(outer) >= FAR_OFF else "possible",
        fix=_better_estimate(seen, outer),
        time_ms=node.time_ms,
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
    for node, above in pairwise((seen.node, *_above(seen))):
        is_inner = above.kind == "Nested Loop" and node.role == "Inner"
        if is_inner or node not in inputs(above):
            return above if is_inner else None
    return None


def _joining_index(scan: PlanNode, condition: str | None = None) -> str | None:
    """Return SQL for an index on what a scan compares with a row from elsewhere."""
    found = (*sorts.terms_below(scan), *terms_of(condition, scan.alias))
    terms = [one for one in found if one.operator in EQUALITIES | FIXED and one.key]
    is_joining = scan.relation and any(one.operator == "=" for one in terms)
    return index_on(str(scan.relation), terms) if is_joining else None


@rule("R32", "A cache of lookups that does not help")
def _memoize(seen: Seen) -> Said | None:
    node = seen.node
    if node.kind != "Memoize" or not is_worth(seen, node.time_ms):
        return None
    hits, misses = sorts.sum_of(node, "Cache Hits"), sorts.sum_of(node, "Cache Misses")
    forgotten, asked = sorts.sum_of(node, "Cache Evictions"), hits + misses
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
        fix=sorts.work_mem(needed) if forgotten else _analyze(outer),
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
    fixes = [fix for scan, keys in pairs if (fix := sorts.index_in_order(seen, scan, keys))]
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
    *ways, join = sorts.way_down(inputs(node)[0])
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
    if any(one.kind in JOINS for one in _above(seen)):  # there the planner wants it
        return False
    if node.kind != "Aggregate":
        return node.kind == "Unique"
    if output := set(node.texts("Output")):
        return output <= set(node.texts("Group Key"))
    words = (seen.known.statement or "").lower().split()
    return ("select", "distinct") in pairwise(words)


def _above(seen: Seen) -> Iterator[PlanNode]:
    """Yield the nodes above this one, the nearest first."""
    node: PlanNode | None = seen.node
    while node and (node := seen.plan.parents.get(node.number)):
        yield node


def _name(node: PlanNode) -> str:
    return node.alias or f"the {node.label}"


def _is_large(seen: Seen, time_ms: float) -> bool:
    return not seen.plan.is_timed or share_of(seen, time_ms) >= LARGE_SHARE


def _expected(node: PlanNode) -> float:
    return node.planned_rows * node.loops


def _factor(node: PlanNode) -> float:
    """Return how far off the estimate is; less than a row a loop cannot be expected."""
    expected = max(1.0, node.planned_rows)
    found = max(1.0, node.rows_kept / max(1, node.loops))
    return max(expected / found, found / expected)


def _surprise(node: PlanNode) -> str:
    way = "many" if _expected(node) > node.rows_kept else "few"
    came = f"{node.rows_kept:,} came: {_factor(node):,.0f} times too {way}"
    return f"expected {counted(_expected(node), 'row')} of {_name(node)}, and {came}"


def _is_far_off(plan: Plan, node: PlanNode) -> bool:
    if node.kind in _UNCOUNTED or not node.is_executed or _factor(node) < FAR_OFF:
        return False
    above = next(_above(Seen(plan, node)), None)
    is_merged = above is not None and above.kind == "Merge Join" and node.role == "Inner"
    if (is_merged and node.kind in _REREAD) or max(
        _expected(node), node.rows_kept
    ) < FEW_ROWS:
        return False
    return node.rows_kept > _expected(node) or not _may_stop(plan, node)


def _may_stop(plan: Plan, node: PlanNode) -> bool:
    """Whether something above may have had enough before a node was done."""
    for below, above in pairwise((node, *_above(Seen(plan, node)))):
        is_semi = above.facts.get("Join Type") in ("Semi", "Anti")
        is_short = (is_semi or above.facts.get("Inner Unique")) and below.role == "Inner"
        if (
            below not in inputs(above)
            or "Run Condition" in above.facts
            or above.kind in ("Limit", "Merge Join")
            or (above.kind == "Nested Loop" and is_short)
            # Nobody looks for partners in an empty hash table.
            or (above.kind == "Hash Join" and not inputs(above)[1].rows_kept)
        ):
            return True
        # These read all of their input before they hand up a row.
        is_hashed = above.facts.get("Strategy") in ("Hashed", "Plain", "Mixed")
        if above.kind in ("Sort", "Hash", "ModifyTable") or is_hashed:
            return False
    return False


def _is_to_blame(seen: Seen) -> bool:
    """Whether an estimate goes wrong here: at a scan or join, with all below it right."""
    node = seen.node
    is_judged = node.relation or node.kind in (*JOINS, "Function Scan")
    if not (is_judged and _is_far_off(seen.plan, node) and is_worth(seen, _stake_ms(seen))):
        return False
    below = (one for child in node.children for one in child.walk())
    return not any(_is_far_off(seen.plan, one) for one in below)


def _stake_ms(seen: Seen) -> float:
    """Return the time of what was chosen for the estimate: the join above, or all."""
    return next((one for one in _above(seen) if one.kind in JOINS), seen.plan.root).time_ms


def _correlated_columns(seen: Seen) -> tuple[str, ...]:
    """Return columns compared with constants, if they alone may explain an error."""
    is_fresh = seen.node.relation and not is_stale(seen.table)
    terms = sorts.terms_below(seen.node) if is_fresh else ()
    known = EQUALITIES | RANGES | FIXED
    is_plain = all(term.column and term.operator in known for term in terms)
    columns = sorted({term.column for term in terms if term.column})
    return tuple(columns) if is_plain and len(columns) > 1 else ()


def _statistics(node: PlanNode, columns: tuple[str, ...]) -> str:
    # A name of its own: before PostgreSQL 16 none is made up.
    name = quoted("_".join((str(node.relation), *columns, "together"))[:63])
    table, names = quoted(str(node.relation)), ", ".join(map(quoted, columns))
    # The default keeps no more than the hundred most frequent combinations.
    more = f"alter statistics {name} set statistics 1000;"
    return f"create statistics {name} on {names} from {table};\n{more}\nanalyze {table};"


def _better_estimate(seen: Seen, outer: PlanNode) -> str | None:
    """Return the SQL that corrects what is to blame for the estimate of a subtree."""
    for one in (Seen(seen.plan, node, seen.known) for node in outer.walk()):
        if one.node.relation and _is_to_blame(one):
            columns = _correlated_columns(one)
            return _statistics(one.node, columns) if columns else _analyze(one.node)
    return None


def _analyze(node: PlanNode) -> str | None:
    """Return SQL that renews the statistics of every table below."""
    names = dict.fromkeys(one.relation for one in node.walk() if one.relation)
    return "\n".join(f"analyze {quoted(name)};" for name in names) or None


RULES: tuple[Rule, ...] = (
    *(_misjudged, _correlated, _one_row, _rescan, _inner_scan),
    *(_memoize, _join_filter, _subplan, _sorting_join, _fan_out),
)
