"""A plan in totals and words: per table, per index, per kind, and the words of each node.

Every view takes its words from here, so that HTML, terminal and diff say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from fluxlab.plans.findings import WEIGHTS, Finding
from fluxlab.plans.plan import Plan, PlanNode

#: An estimate is worth a word from this factor on (R27).
ESTIMATE_FACTOR = 10
#: The slowest node is named in the summary from this share of the execution on.
_NAMED_SHARE = 0.1
#: They hand up a bitmap, and EXPLAIN always says that it held no rows.
_UNCOUNTED = ("BitmapAnd", "BitmapOr")
#: Nodes that hand a row up as soon as they have one, so that a Limit stops them early.
_STREAMING = frozenset(
    (
        "Append",
        "Gather",
        "Gather Merge",
        "Hash Join",
        "Incremental Sort",
        "Limit",
        "LockRows",
        "Memoize",
        "Merge Append",
        "Merge Join",
        "Nested Loop",
        "ProjectSet",
        "Result",
        "Subquery Scan",
        "Unique",
    )
)


@dataclass(frozen=True, slots=True)
class Total:
    """What the nodes of one table, index or kind took by themselves, together.

    `name` is None for the nodes that have none. Times are ms of the clock on the wall,
    blocks have 8 kB and are of the shared buffers, rows are totals over all loops.

    >>> from fluxlab.plans import read_plan
    >>> by_kind(read_plan({"Plan": {"Node Type": "Result"}}))[0].name
    'Result'
    """

    name: str | None
    nodes: int
    loops: int
    rows_read: int
    rows_kept: int
    time_ms: float
    blocks: int
    spilled_blocks: int


def by_table(plan: Plan) -> tuple[Total, ...]:
    """Return one Total per table, most time first; they sum to the plan.

    The index scans of a bitmap belong to the table that the bitmap is of; rows are
    counted where the table is read. Nodes without a table come last, as one Total.

    >>> from fluxlab.plans.reading import read_plan
    >>> scan = {"Node Type": "Seq Scan", "Relation Name": "users", "Shared Hit Blocks": 3}
    >>> [(total.name, total.blocks) for total in by_table(read_plan({"Plan": scan}))]
    [('users', 3)]
    """
    return _totals(
        plan, lambda node: table_of(plan, node), lambda node: bool(node.relation)
    )


def by_index(plan: Plan) -> tuple[Total, ...]:
    """Return one Total per index, most time first; they sum to the plan.

    An index scan touches blocks of its index and of its table, which EXPLAIN does not
    tell apart. Nodes without an index come last, as one Total.

    >>> from fluxlab.plans import read_plan
    >>> scan = {"Node Type": "Index Scan", "Index Name": "users_pkey"}
    >>> plan = read_plan({"Plan": {"Node Type": "Limit", "Plans": [scan]}})
    >>> [(total.name, total.nodes) for total in by_index(plan)]
    [('users_pkey', 1), (None, 1)]
    """
    return _totals(plan, lambda node: node.index, lambda node: True)


def by_kind(plan: Plan) -> tuple[Total, ...]:
    """Return one Total per node type, most time first; they sum to the plan.

    >>> from fluxlab.plans import read_plan
    >>> scan = {"Node Type": "Seq Scan", "Relation Name": "users"}
    >>> plan = read_plan({"Plan": {"Node Type": "Append", "Plans": [scan, scan]}})
    >>> [(total.name, total.nodes) for total in by_kind(plan)]
    [('Append', 1), ('Seq Scan', 2)]
    """
    return _totals(plan, lambda node: node.kind, lambda node: True)


def table_of(plan: Plan, node: PlanNode) -> str | None:
    """Return the table that a node works on; that of its bitmap for a part of one."""
    above: PlanNode | None = node
    while above and above.kind.startswith("Bitmap") and not above.relation:
        above = plan.parents.get(above.number)
    return above.relation if above else None


def _totals(
    plan: Plan,
    name_of: Callable[[PlanNode], str | None],
    has_rows: Callable[[PlanNode], bool],
) -> tuple[Total, ...]:
    groups: dict[str | None, list[PlanNode]] = {}
    for node in plan.nodes:
        groups.setdefault(name_of(node), []).append(node)
    found = [
        Total(
            name=name,
            nodes=len(nodes),
            loops=sum(one.loops for one in nodes),
            rows_read=sum(one.rows_read for one in nodes if has_rows(one)),
            rows_kept=sum(one.rows_kept for one in nodes if has_rows(one)),
            time_ms=sum(one.own_time_ms for one in nodes),
            blocks=sum(one.own_blocks for one in nodes),
            spilled_blocks=sum(one.spilled_blocks for one in nodes),
        )
        for name, nodes in groups.items()
    ]
    order = sorted(found, key=lambda one: (-one.time_ms, -one.blocks, one.name or ""))
    return tuple(sorted(order, key=lambda one: one.name is None))


@dataclass(frozen=True, slots=True)
class Scale:
    """What bars are shares of: the time of a plan, its blocks if nothing was timed."""

    unit: Literal["time", "blocks", "nothing"]
    whole: float

    @classmethod
    def of(cls, plan: Plan) -> Scale:
        """Choose the scale of a plan; "nothing" for one that was not executed."""
        time_ms = max(plan.execution_ms, sum(node.own_time_ms for node in plan.nodes))
        if plan.is_analyzed and plan.is_timed and time_ms > 0:
            return cls("time", time_ms)
        blocks = sum(node.own_blocks for node in plan.nodes)
        if plan.is_analyzed and blocks > 0:
            return cls("blocks", blocks)
        return cls("nothing", 1.0)

    def share(self, node: PlanNode) -> float:
        """Return the share of a node by itself, from 0 to 1."""
        amount = {"time": node.own_time_ms, "blocks": float(node.own_blocks)}
        return min(1.0, amount.get(self.unit, 0.0) / self.whole)


@dataclass(frozen=True, slots=True)
class NodeWords:
    """What is said of a node, in parts; a part is empty where there is nothing to say."""

    rows: str
    loops: str = ""
    estimate: str = ""
    blocks: str = ""
    time: str = ""
    spill: str = ""

    @property
    def is_misjudged(self) -> bool:
        """Whether the estimate was wrong, and not only cut short by a Limit."""
        return "×" in self.estimate

    def __str__(self) -> str:
        rest = (self.estimate, self.blocks, self.time, self.spill)
        rows = f"{self.rows} {self.loops}".strip()
        return ", ".join(part for part in (rows, *rest) if part)


def words_of(plan: Plan, node: PlanNode) -> NodeWords:
    """Return what is said of a node: rows read → kept, loops, estimate, blocks, time."""
    if not plan.is_analyzed:
        is_planned = "Plan Rows" in node.facts
        return NodeWords(f"about {count(node.planned_rows, 'row')}" if is_planned else "")
    if not node.is_executed:
        return NodeWords("never executed")
    read = f"{node.rows_read:,} → " if node.rows_removed else ""
    spilled = node.spilled_blocks
    return NodeWords(
        rows=f"{read}{count(node.rows_kept, 'row')}",
        loops=_loops(node),
        estimate=_estimate(plan, node),
        blocks=_own_blocks(node),
        time=show_ms(node.own_time_ms) if plan.is_timed else "",
        spill=f"{count(spilled, 'block')} spilled" if spilled else "",
    )


def _own_blocks(node: PlanNode) -> str:
    if not node.own_blocks:
        return ""
    read = round(node.own.read)
    outside = f" ({_part(read, node.own_blocks)} read)" if read else ""
    return count(node.own_blocks, "block") + outside


def _part(number: int, whole: int) -> str:
    return "all" if number == whole else f"{number:,}"


def _loops(node: PlanNode) -> str:
    if node.processes > 1:
        loops = f"{node.loops:,} loops of " if node.loops > node.processes else ""
        return f"in {loops}{node.processes} processes"
    return f"in {node.loops:,} loops" if node.loops > 1 else ""


def estimate_factor(node: PlanNode) -> float:
    """Return how many times more rows a loop had than the planner expected; below 1: fewer.

    Both count as at least one row, as the planner does. 1 where nothing can be compared.
    """
    is_uncounted = node.kind in _UNCOUNTED or "Plan Rows" not in node.facts
    if not node.is_executed or is_uncounted:
        return 1.0
    return max(node["Actual Rows"], 1.0) / max(node.planned_rows, 1.0)


def _estimate(plan: Plan, node: PlanNode) -> str:
    factor = estimate_factor(node)
    if 1 / ESTIMATE_FACTOR < factor < ESTIMATE_FACTOR:
        return ""
    expected = f"{node.planned_rows:,.0f} expected" + (" a loop" if node.loops > 1 else "")
    if factor > 1:
        return f"{expected}, {factor:,.0f}× too few"
    if _is_below_limit(plan, node):
        return f"{expected}, stopped early"
    return f"{expected}, {1 / factor:,.0f}× too many"


def _is_below_limit(plan: Plan, node: PlanNode) -> bool:
    above = plan.parents.get(node.number)
    while above is not None and above.kind in _STREAMING:
        if above.kind == "Limit":
            return True
        above = plan.parents.get(above.number)
    return False


def sentence(plan: Plan) -> str:
    """Say a plan in words: what it read, touched and took, and where most of that went.

    >>> from fluxlab.plans.reading import read_plan
    >>> sentence(read_plan('[{"Plan": {"Node Type": "Result", "Plan Rows": 1}}]'))
    'Not executed: shape and estimates only. The planner expects 1 row.'
    """
    if not plan.is_analyzed:
        return f"Not executed: shape and estimates only.{_expectation(plan.root)}"
    rows = f"{count(plan.rows_read, 'row')} read for {plan.rows_kept:,} kept"
    took = f"{show_ms(plan.execution_ms)} under EXPLAIN ANALYZE"
    parts = [rows, _blocks(plan), took if plan.execution_ms else "not timed"]
    return " ".join([f"{', '.join(part for part in parts if part)}.", *_asides(plan)])


def _expectation(root: PlanNode) -> str:
    if "Plan Rows" not in root.facts:
        return ""
    cost = f" at a cost of {root['Total Cost']:,.0f}" if root["Total Cost"] else ""
    return f" The planner expects {count(root.planned_rows, 'row')}{cost}."


def _blocks(plan: Plan) -> str:
    if not plan.blocks:
        return "" if "Shared Hit Blocks" not in plan.root.facts else "no blocks touched"
    read = round(plan.root.total.read)
    outside = (
        f" ({_part(read, plan.blocks)} of them read from outside the buffers)"
        if read
        else ""
    )
    return f"{count(plan.blocks, 'block')} touched{outside}"


def _asides(plan: Plan) -> Iterable[str]:
    scale = Scale.of(plan)
    most = max(plan.nodes, key=scale.share)
    if scale.share(most) >= _NAMED_SHARE and len(plan.nodes) > 1:
        share, of = show_share(scale.share(most)), "it" if scale.unit == "time" else "these"
        verb = "took" if scale.unit == "time" else "touched"
        yield f"{most.label} (node {most.number}) {verb} {share} of {of}."
    if spilled := sum(node.spilled_blocks for node in plan.nodes):
        yield f"{count(spilled, 'block')} spilled to temporary files."
    if plan.wal_records:
        written = (
            f"{count(plan.wal_records, 'WAL record')}, {count(plan.wal_bytes, 'byte')}"
        )
        yield f"It wrote {written}."
    if trigger_ms := sum(one.time_ms for one in plan.triggers):
        yield f"Triggers took {show_ms(trigger_ms)}."
    if plan.planning_ms > max(1.0, plan.execution_ms):
        yield f"Planning took {show_ms(plan.planning_ms)}, longer than executing."


def of_nodes(findings: Iterable[Finding]) -> dict[int | None, list[Finding]]:
    """Return Findings by the number of their node, None for the plan, heaviest first."""
    found: dict[int | None, list[Finding]] = {}
    for one in sorted(findings, key=lambda one: WEIGHTS.index(one.weight)):
        found.setdefault(one.node, []).append(one)
    return found


def certainty(finding: Finding) -> str:
    """Return how sure a Finding is and what its fix could save, in words."""
    saving = finding.saving_ms
    return finding.confidence + (f", saves at most {show_ms(saving)}" if saving else "")


def count(number: float, noun: str) -> str:
    """Return a number with its noun: "1 row", "2,544 rows"."""
    shown = f"{number:,.0f}"
    return f"{shown} {noun}" + ("" if shown == "1" else "s")


def show_ms(time_ms: float) -> str:
    """Return a time in ms with three digits where it has them.

    >>> show_ms(0.0512), show_ms(15.77), show_ms(1577.29)
    ('0.05 ms', '15.8 ms', '1,577 ms')
    """
    digits = 2 if time_ms < 10 else 1 if time_ms < 100 else 0
    return f"{time_ms:,.{digits}f} ms"


def show_share(share: float) -> str:
    """Return a share in percent; "<1 %" is more than nothing."""
    return "<1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")


#: EXPLAIN's names for what else it says of a node: unit, and the least worth saying.
_EXTRAS: dict[str, tuple[str, int]] = {
    "Sort Method": ("", 0),
    "Sort Space Used": ("kB", 1),
    "Sort Space Type": ("", 0),
    "Hash Batches": ("", 2),
    "Original Hash Batches": ("", 2),
    "HashAgg Batches": ("", 2),
    "Peak Memory Usage": ("kB", 1),
    "Disk Usage": ("kB", 1),
    "Maximum Storage": ("kB", 1),
    "Heap Fetches": ("", 1),
    "Index Searches": ("", 2),
    "Exact Heap Blocks": ("", 1),
    "Lossy Heap Blocks": ("", 1),
    "Rows Removed by Index Recheck": ("a loop", 1),
    "Cache Hits": ("", 1),
    "Cache Misses": ("", 1),
    "Cache Evictions": ("", 1),
    "Workers Planned": ("", 1),
    "Workers Launched": ("", 0),
    "Subplans Removed": ("", 1),
    "WAL Records": ("", 1),
    "WAL Bytes": ("", 1),
    "Disabled": ("", 1),
}


def extras(node: PlanNode) -> tuple[tuple[str, str], ...]:
    """Return what else EXPLAIN says of a node: its name for it, and the value with unit."""
    found = []
    for name, (unit, least) in _EXTRAS.items():
        value = node.facts.get(name)
        if isinstance(value, str):
            found.append((name, value))
        elif isinstance(value, bool):
            found += [(name, "yes")] if value else []
        elif isinstance(value, int | float) and value >= least:
            found.append((name, f"{value:,.10g} {unit}".rstrip()))
    return tuple(found)
