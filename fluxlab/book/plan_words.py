"""What chapter 04 says of plans, in tables and sentences: its numbers come from here."""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd
import psycopg

from fluxlab.book.sentences import Sentence
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.views.words import (
    count,
    estimate_factor,
    show_ms,
    show_share,
    words_of,
)
from fluxlab.workload.compare import Comparison


class PsqlPlan(str):
    """A plan as psql prints it, which a notebook shows line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


#: What each node does, by EXPLAIN's name in JSON; the order is that of the table.
_KINDS = {
    "Seq Scan": "reads all of a table",
    "Index Scan": "finds entries in an index, then each row in the table",
    "Index Only Scan": "the same, without the table where nothing changed lately",
    "Bitmap Index Scan": "notes in which blocks an index finds rows",
    "Bitmap Heap Scan": "reads those blocks of the table, each once, in their order",
    "BitmapAnd": "keeps the blocks that all indexes noted",
    "BitmapOr": "keeps the blocks that some index noted",
    "Nested Loop": "looks into the second side once for each row of the first",
    "Memoize": "remembers what such a look has found",
    "Hash Join": "looks each row up in a hash table of the other side",
    "Hash": "makes that hash table",
    "Merge Join": "walks along two sides that are in the same order",
    "Materialize": "keeps rows that are read again",
    "Sort": "puts rows in order; with a Limit only the first few",
    "Incremental Sort": "puts rows in order that are half in order already",
    "Limit": "stops when it has enough",
    "Aggregate": "counts and sums, for the whole or for each group",
    "WindowAgg": "counts and ranks along a window",
    "Unique": "drops a row that is the same as the one before",
    "Append": "one input after the other",
    "Merge Append": "several inputs in order, merged",
    "Subquery Scan": "hands up the rows of a subquery",
    "CTE Scan": "reads what a WITH has made",
    "Recursive Union": "repeats its second side until no new row comes",
    "WorkTable Scan": "the rows of the last repetition",
    "Function Scan": "reads what a function returns",
    "Values Scan": "reads a list of VALUES",
    "Result": "computes without a table, or tests once",
    "ModifyTable": "inserts, updates, deletes",
    "LockRows": "locks the rows that it hands up",
}


def nodes(plan: Plan) -> pd.DataFrame:
    """Return how the own time of each node follows from what EXPLAIN prints."""
    frame = pd.DataFrame(
        {
            "node": _short(node),
            "one loop": _ms(node["Actual Total Time"]),
            "loops": f"{node.loops:,}",
            "all loops": _ms(node.time_ms),
            "below it": _ms(max(0.0, node.time_ms - node.own_time_ms)),
            "own time": _ms(node.own_time_ms),
        }
        for node in plan.nodes
        if node.is_executed
    )
    return _named(frame, "node")


def estimates(plan: Plan) -> pd.DataFrame:
    """Return the rows of one loop that the planner expected, and those that came."""
    frame = pd.DataFrame(
        {
            "node": _short(node),
            "expected": f"{node.planned_rows:,.0f}",
            "came": f"{node['Actual Rows']:,.10g}",
            "apart": _apart(plan, node),
        }
        for node in plan.nodes
        if node.is_executed
    )
    return _named(frame, "node")


def _apart(plan: Plan, node: PlanNode) -> str:
    factor = estimate_factor(node)
    if node.kind in ("BitmapAnd", "BitmapOr"):
        return "not counted"
    if "stopped early" in words_of(plan, node).estimate:
        return "stopped early"
    if 0.5 < factor < 2:
        return "near enough"
    return f"{factor:,.0f}× too few" if factor > 1 else f"{1 / factor:,.0f}× too many"


def kept(plan: Plan) -> Sentence:
    """Say how many rows were read for those that were kept, and from how many blocks."""
    read = count(plan.rows_read, "row")
    share = plan.rows_kept / max(1, plan.rows_read)
    return Sentence(
        f"{read} read for {plan.rows_kept:,} kept ({show_share(share)}), "
        f"{count(plan.blocks, 'block')} of 8 kB touched."
    )


def looped(plan: Plan) -> Sentence:
    """Say which node ran most often, and what that makes of its time."""
    node = max(plan.nodes, key=lambda one: one.loops)
    if node.loops == 1:
        return Sentence("No node of this plan runs more than once.")
    return Sentence(
        f"Node {node.number}, `{node.label}`, ran {node.loops:,} times. EXPLAIN prints "
        f"{node['Actual Total Time']:g} ms for it, the mean of one loop; all loops took "
        f"{show_ms(node.time_ms)} of {show_ms(plan.execution_ms)}."
    )


def kinds(comparison: Comparison) -> pd.DataFrame:
    """Return the kinds of nodes, what they do, and in how many plans they stand."""
    sides = [
        [one.before.plan for one in comparison],
        [one.after.plan for one in comparison],
    ]
    before, after = (
        Counter(kind for plan in plans for kind in {node.kind for node in plan.nodes})
        for plans in sides
    )
    known = [kind for kind in _KINDS if before[kind] or after[kind]]
    known += sorted((before.keys() | after.keys()) - _KINDS.keys())
    frame = pd.DataFrame(
        {
            "node": kind,
            "what it does": _KINDS.get(kind, ""),
            "plans before": before[kind],
            "after": after[kind],
        }
        for kind in known
    )
    return _named(frame, "node")


def trapped(plan: Plan) -> Sentence:
    """Say what a Limit waited for: the rows that a scan passed over on the way."""
    passing = max(plan.nodes, key=lambda node: node.rows_removed)
    has_limit = any(node.kind == "Limit" for node in plan.nodes)
    if not has_limit or not passing.index or passing.rows_removed <= plan.rows_kept:
        return Sentence("Here no index is read past rows that a Limit waits for.")
    return Sentence(
        f"`{passing.index}` passes {count(passing.rows_removed, 'row')} over on its way to "
        f"{passing.rows_kept:,}, in {count(passing.loops, 'loop')}."
    )


def spilled(plan: Plan) -> Sentence:
    """Say how many blocks went to temporary files, and which node wrote most of them."""
    blocks = sum(node.spilled_blocks for node in plan.nodes)
    if not blocks:
        return Sentence("Nothing is spilled: what is sorted and hashed fits into memory.")
    node = max(plan.nodes, key=lambda one: one.spilled_blocks)
    return Sentence(
        f"{count(blocks, 'block')} go to temporary files, {node.spilled_blocks:,} of them "
        f"from node {node.number}, `{node.label}`."
    )


def workers(plan: Plan) -> Sentence:
    """Say how many processes shared the work."""
    gathers = [node for node in plan.nodes if "Workers Launched" in node.facts]
    if not gathers:
        return Sentence("The planner takes one process all the same.")
    gather = gathers[0]
    node = max(plan.nodes, key=lambda one: (one.processes, one.rows_read))
    return Sentence(
        f"{gather['Workers Launched']:.0f} of {gather['Workers Planned']:.0f} workers "
        f"came, and {node.processes} processes share `{node.label}`. It reads "
        f"{count(node.rows_read, 'row')} in all, {round(node.rows_read / node.loops):,} in "
        "each of them on average."
    )


def triggers(before: Plan, after: Plan) -> pd.DataFrame:
    """Return the triggers that fired, foreign keys among them, in two plans."""
    old, new = (
        {one.constraint or one.name: one for one in plan.triggers}
        for plan in (before, after)
    )
    rows = [
        (
            name,
            one.relation or "",
            f"{one.calls:,}",
            _ms(one.time_ms),
            _ms(new[name].time_ms) if name in new else "",
        )
        for name, one in sorted(old.items(), key=lambda pair: -pair[1].time_ms)
    ]
    columns = ["trigger", "fired by", "calls", "before", "after"]
    return _named(pd.DataFrame(rows, columns=columns), "trigger")


def planning(comparison: Comparison) -> Sentence:
    """Say how often planning takes longer than executing, before and after."""
    pairs = [
        (one.before.plan, one.after.plan)
        for one in comparison
        if one.before.plan.is_analyzed and one.after.plan.is_analyzed
    ]
    plans = [[pair[side] for pair in pairs] for side in (0, 1)]
    longer = [
        sum(plan.planning_ms > plan.execution_ms for plan in several) for several in plans
    ]
    middle = [
        pd.Series([plan.planning_ms for plan in several]).median() for several in plans
    ]
    return Sentence(
        f"Planning took longer than executing in {longer[0]} of {len(plans[0]):,} plans "
        f"before the sprint, and in {longer[1]} after it. The planning time in the middle "
        f"went from {show_ms(middle[0])} to {show_ms(middle[1])}."
    )


def jit(connection: psycopg.Connection) -> Sentence:
    """Say whether this server can compile expressions, and whether it would."""
    row = connection.execute(
        "select pg_jit_available(), current_setting('jit_above_cost')::float"
    ).fetchone()
    assert row is not None
    if not row[0]:
        return Sentence(
            "This server cannot compile expressions (no JIT), so no plan here shows it. "
            "Where it can, a plan that costs more than "
            f"{row[1]:,.0f} ends with a block JIT; for a short query the compiling can "
            "take longer than what it saves."
        )
    return Sentence(
        f"This server compiles the expressions of plans that cost more than {row[1]:,.0f}. "
        "The block JIT at the end of a plan says how long that took."
    )


def searches(plan: Plan) -> Sentence:
    """Say how often the indexes of a plan were searched, and which were skipped through."""
    found = [node for node in plan.nodes if node.index and node["Index Searches"]]
    skipped = [node for node in found if _is_skipping(node)]
    if not skipped:
        return Sentence("No index is skipped through here: one search finds it all.")
    node = skipped[0]
    return Sentence(
        f"`{node.index}` is searched {node['Index Searches']:,.0f} times in "
        f"{count(node.loops, 'loop')}, and touches {count(node.own_blocks, 'block')} for "
        f"{count(node.rows_read, 'row')}."
    )


def skips(comparison: Comparison) -> pd.DataFrame:
    """Return the plans of the store in which an index is skipped through."""
    rows = [
        (
            change.query,
            side,
            node.index,
            f"{node['Index Searches'] / node.loops:,.0f}",
            f"{node.own_blocks:,}",
            f"{node.rows_kept:,}",
        )
        for change in comparison
        for side, plan in (("before", change.before.plan), ("after", change.after.plan))
        for node in plan.nodes
        if _is_skipping(node)
    ]
    columns = ["query", "state", "index", "searches a loop", "blocks", "rows"]
    frame = pd.DataFrame(rows, columns=columns).drop_duplicates(["query", "state", "index"])
    return _named(frame, "query")


def _is_skipping(node: PlanNode) -> bool:
    """Whether one loop searched an index several times, without a list of values."""
    condition = node.text("Index Cond") or ""
    is_list = "ANY" in condition
    return bool(node.loops) and node["Index Searches"] > node.loops and not is_list


def _short(node: PlanNode) -> str:
    """Name a node for the first column of a table, without its index."""
    return f"{node.number} {re.sub(r' using .+ on ', ' on ', node.label)}"


def _ms(time_ms: float) -> str:
    """Return a time for a cell of a table, which keeps its unit on the line."""
    return show_ms(time_ms).replace(" ", "\N{NO-BREAK SPACE}")


def _named(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Make a column the row labels, named in the head row instead of one of its own."""
    return frame.set_index(column).rename_axis(index=None, columns=column)
