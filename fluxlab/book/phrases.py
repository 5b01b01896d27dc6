"""Words for numbers and plans that the reasons of Verdicts are made of."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.workload.change import Change
from fluxlab.workload.stats import Speedup

_SHOWN = 3


def saved_percent(ratio: float) -> float:
    """Return by how many percent a time fell that became `ratio` times shorter.

    >>> saved_percent(2.0), saved_percent(0.5)
    (50.0, -100.0)
    """
    return 100 * (1 - 1 / ratio) if ratio > 0 else -math.inf


def saved(speedup: Speedup) -> str:
    """Say the percentage saved with its 95 % interval, below zero when it is lost."""
    return f"{_percent(speedup.ratio)} ({saved_interval(speedup)})"


def saved_interval(speedup: Speedup) -> str:
    """Say the 95 % interval of the percentage saved."""
    return f"{_percent(speedup.low)} to {_percent(speedup.high)}"


def _percent(ratio: float) -> str:
    percent = saved_percent(ratio)
    if math.isinf(percent):
        return "no bound"
    if 99.995 <= percent < 100:
        return "over 99.99 %"
    # 99.97 is not 100: a percentage near its end keeps the digit that matters.
    digits = 1 if 99 <= percent < 99.95 else 2 if 99.95 <= percent < 100 else 0
    return f"{percent:.{digits}f} %".replace("-", "−").replace("−0 ", "0 ")


def share(part: float) -> str:
    """Write a share from 0 to 1 as a percentage.

    >>> share(0.136)
    '14 %'
    """
    return f"{100 * part:.0f} %"


def scan_of(plan: Plan) -> PlanNode:
    """Return the node that touches most blocks among those that read a table."""
    return _heaviest(_scans(plan)) or plan.root


def scan_label(node: PlanNode) -> str:
    """Name a scan as EXPLAIN does, a bitmap scan with the index that made its bitmap."""
    bitmap = "" if node.index else " and ".join(_indexes(node))
    return f"{node.label} by {bitmap}" if bitmap else node.label


def blocks(change: Change) -> str:
    """Say how many blocks the two plans touch."""
    return f"{change.before.plan.blocks:,} → {change.after.plan.blocks:,} blocks"


def plans(change: Change, old_indexes: Collection[str], about: Collection[str] = ()) -> str:
    """Say what the plans before and after read, and whether that index is new.

    Of plans that differ, the scans that only one of them has are shown, those of the
    indexes that it is `about` first, of one table where that is possible.
    """
    before, after = change.before.plan, change.after.plan
    if not before.is_analyzed:
        return f"before, no plan ended in time; after, {_said(scan_of(after), old_indexes)}"
    if not change.has_new_plan:
        return f"both plans are {_said(scan_of(after), old_indexes)} ({blocks(change)})"
    known = {scan_label(node) for node in _scans(before)}
    came = [node for node in _scans(after) if scan_label(node) not in known]
    known = {scan_label(node) for node in _scans(after)}
    came = [node for node in came if set(_indexes(node)) & set(about)] or came
    gone = [node for node in _scans(before) if scan_label(node) not in known]
    tables = {node.relation for node in came}
    of_table = [node for node in gone if node.relation in tables]
    old = _heaviest(of_table) or _heaviest(gone) or scan_of(before)
    of_table = [node for node in came if node.relation == old.relation]
    new = _heaviest(of_table) or _heaviest(came) or scan_of(after)
    if scan_label(old) == scan_label(new):
        return f"the plans differ around {_said(new, old_indexes)} ({blocks(change)})"
    return f"`{scan_label(old)}` became {_said(new, old_indexes)} ({blocks(change)})"


def _said(node: PlanNode, old_indexes: Collection[str]) -> str:
    indexes = _indexes(node)
    since = ""
    if indexes:
        is_old = all(index in old_indexes for index in indexes)
        since = ", whose index stood before" if is_old else ", a new index"
    return f"`{scan_label(node)}`{since}"


def _scans(plan: Plan) -> list[PlanNode]:
    return [node for node in plan.walk() if node.relation and node.kind != "ModifyTable"]


def _heaviest(nodes: Sequence[PlanNode]) -> PlanNode | None:
    # A bitmap's blocks are those of its index as well.
    return max(nodes, key=lambda node: (node.own_blocks, node.rows_read), default=None)


def _indexes(node: PlanNode) -> list[str]:
    nodes = node.walk() if "Bitmap" in node.kind else [node]
    return [one.index for one in nodes if one.index]


def change_in_words(change: Change) -> str:
    """Say which pair it is and what became of it."""
    return f"`{change.query}` ({change.of_class}): {change.sentence}"


def listed(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Name the first few and count the others.

    >>> listed(["a", "b", "c"], 2), listed(["a"])
    ('`a`, `b` and 1 more', '`a`')
    """
    known = list(names)
    text = ", ".join(f"`{name}`" for name in known[:shown])
    more = len(known) - shown
    return f"{text} and {more} more" if more > 0 else text


def outcomes(changes: Sequence[Change]) -> str:
    """Count the outcomes of some pairs."""
    words = ("faster", "slower", "same", "unclear")
    counts = {word: sum(one.outcome == word for one in changes) for word in words}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "none"


def noise_wins(changes: Sequence[Change]) -> bool:
    """Whether most of some pairs are unclear, so that nothing follows from the others."""
    return 2 * sum(one.outcome == "unclear" for one in changes) > len(changes)


def best(changes: Iterable[Change]) -> Change | None:
    """Return the pair that gained most among those called faster."""
    faster = [change for change in changes if change.outcome == "faster"]
    return max(faster, key=lambda change: change.speedup.ratio, default=None)
