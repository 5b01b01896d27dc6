"""Rules on estimates: where the planner expected something else, and what it chose then."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.rules.below import inputs, terms_below
from fluxlab.plans.rules.expressions import EQUALITIES, FIXED, RANGES, quoted
from fluxlab.plans.rules.planning import is_stale
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.rules.saying import Said, counted, is_worth, rule

#: A smaller error has seldom changed a plan for the worse.
FAR_OFF = 10
#: Among so few rows every plan is good.
FEW_ROWS = 100

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
        fix=analyze(node) if node.relation and is_old else None,
        time_ms=_stake_ms(seen),
        weight=None if _chose_something(seen) else "low",
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
        weight=None if _chose_something(seen) else "low",
    )


@rule("R29", "A nested loop for one expected row")
def _one_row(seen: Seen) -> Said | None:
    node = seen.node
    if not is_surprised(node) or not is_worth(seen, node.time_ms):
        return None
    outer, inner = inputs(node)
    return Said(
        f"The planner expected {counted(outer.planned_rows, 'row')} of {name_of(outer)} to "
        f"look up in {name_of(inner)} one by one; {outer.rows_kept:,} came.",
        "Correct the estimate of the outer side, and the planner chooses a join for many "
        "rows by itself. Forbidding nested loops helps this statement and harms others.",
        {"outer_rows_expected": outer.planned_rows, "outer_rows": outer.rows_kept},
        wasted=1.0,
        fix=better_estimate(seen, outer),
        time_ms=node.own_time_ms + inner.time_ms,
    )


def is_surprised(node: PlanNode) -> bool:
    """Whether a nested loop was planned for a row or two, and met a hundred or more."""
    outer = inputs(node)[0] if node.kind == "Nested Loop" else node
    is_many = outer.rows_kept * outer.processes >= FEW_ROWS * max(1, outer.loops)
    is_one = "Plan Rows" in outer.facts and outer.planned_rows <= 2
    return outer is not node and is_one and is_many


def nodes_above(seen: Seen) -> Iterator[PlanNode]:
    """Yield the nodes above this one, the nearest first."""
    node: PlanNode | None = seen.node
    while node and (node := seen.plan.parents.get(node.number)):
        yield node


def name_of(node: PlanNode) -> str:
    return node.alias or f"the {node.label}"


def _expected(node: PlanNode) -> float:
    return node.planned_rows * node.loops


def factor_of(node: PlanNode) -> float:
    """Return how far off the estimate is; less than a row a loop cannot be expected.

    1 where EXPLAIN was told to leave its estimates out.
    """
    if "Plan Rows" not in node.facts:
        return 1.0
    expected = max(1.0, node.planned_rows)
    found = max(1.0, node.rows_kept / max(1, node.loops))
    return max(expected / found, found / expected)


def _surprise(node: PlanNode) -> str:
    way = "many" if _expected(node) > node.rows_kept else "few"
    came = f"{node.rows_kept:,} came: {factor_of(node):,.0f} times too {way}"
    return f"expected {counted(_expected(node), 'row')} of {name_of(node)}, and {came}"


def _is_far_off(plan: Plan, node: PlanNode) -> bool:
    if node.kind in _UNCOUNTED or not node.is_executed or factor_of(node) < FAR_OFF:
        return False
    parent = next(nodes_above(Seen(plan, node)), None)
    is_merged = parent is not None and parent.kind == "Merge Join" and node.role == "Inner"
    if (is_merged and node.kind in _REREAD) or max(
        _expected(node), node.rows_kept
    ) < FEW_ROWS:
        return False
    return node.rows_kept > _expected(node) or not _may_stop(plan, node)


def _may_stop(plan: Plan, node: PlanNode) -> bool:
    """Whether something above may have had enough before a node was done."""
    for below, above in pairwise((node, *nodes_above(Seen(plan, node)))):
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
    is_source = node.relation or node.kind in (*JOINS, "Function Scan")
    is_judged = is_source or _are_groups(node)
    if not (is_judged and _is_far_off(seen.plan, node) and is_worth(seen, _stake_ms(seen))):
        return False
    below = (one for child in node.children for one in child.walk())
    return not any(_is_far_off(seen.plan, one) for one in below)


def _chose_something(seen: Seen) -> bool:
    """Whether a join, or what is kept in memory, was chosen for an estimate.

    An estimate that nothing depended on is wrong, and harmless in this plan.
    """
    path = [seen.node]
    for above in nodes_above(seen):
        if path[-1] not in inputs(above):
            break
        path.append(above)
    is_joined = any(one.kind in JOINS for one in path[1:])
    return is_joined or _are_groups(seen.node) or any(one.own.spilled for one in path)


def _are_groups(node: PlanNode) -> bool:
    """Whether an aggregate sorted, or made ready to spill, for groups that did not come."""
    if node.kind != "Aggregate" or node.facts.get("Partial Mode", "Simple") != "Simple":
        return False
    # What HAVING throws away was a group as well.
    is_off = node.planned_rows >= FAR_OFF * max(1, node.rows_read)
    is_sorted = node.text("Strategy") == "Sorted" and inputs(node)[0].kind == "Sort"
    return is_off and (is_sorted or node["Planned Partitions"] > 0)


def _stake_ms(seen: Seen) -> float:
    """Return the time of what was chosen for the estimate: the join above, or all."""
    return next(
        (one for one in nodes_above(seen) if one.kind in JOINS), seen.plan.root
    ).time_ms


def _correlated_columns(seen: Seen) -> tuple[str, ...]:
    """Return columns compared with constants, if they alone may explain an error."""
    is_fresh = seen.node.relation and not is_stale(seen.table)
    terms = terms_below(seen.node) if is_fresh else ()
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


def better_estimate(seen: Seen, outer: PlanNode) -> str | None:
    """Return the SQL that corrects what is to blame for the estimate of a subtree."""
    for one in (Seen(seen.plan, node, seen.known) for node in outer.walk()):
        if one.node.relation and _is_to_blame(one):
            columns = _correlated_columns(one)
            return _statistics(one.node, columns) if columns else analyze(one.node)
    return None


def analyze(node: PlanNode) -> str | None:
    """Return SQL that renews the statistics of every table below."""
    names = dict.fromkeys(one.relation for one in node.walk() if one.relation)
    return "\n".join(f"analyze {quoted(name)};" for name in names) or None


RULES: tuple[Rule, ...] = (_misjudged, _correlated, _one_row)
