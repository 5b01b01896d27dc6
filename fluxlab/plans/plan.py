"""A Plan: what EXPLAIN (FORMAT JSON) returned, as a tree of values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from fluxlab.errors import FluxlabError

Json: TypeAlias = Mapping[str, "Json"] | Sequence["Json"] | str | float | int | bool | None

_CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "Sort Key",
    "Group Key",
)
_REMOVED = (
    "Rows Removed by Filter",
    "Rows Removed by Join Filter",
    "Rows Removed by Index Recheck",
)


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node; rows, blocks and times are totals over all its loops.

    `own_time_ms` and `own_blocks` leave out the children. Rows are fractional per
    loop from PostgreSQL 18 on, so totals are rounded. Times are zero without ANALYZE.
    Source: manual, "Using EXPLAIN", and `src/backend/commands/explain.c`.
    """

    kind: str
    relation: str | None
    alias: str | None
    index: str | None
    role: str | None
    conditions: tuple[tuple[str, str], ...]
    planned_rows: float
    rows_kept: int
    rows_read: int
    loops: int
    time_ms: float
    own_time_ms: float
    blocks: int
    own_blocks: int
    spilled_blocks: int
    children: tuple[PlanNode, ...]

    def walk(self) -> Iterator[PlanNode]:
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def label(self) -> str:
        """The node as EXPLAIN's text would begin it."""
        index = f" using {self.index}" if self.index else ""
        alias = f" {self.alias}" if self.alias and self.alias != self.relation else ""
        return f"{self.kind}{index}" + (
            f" on {self.relation}{alias}" if self.relation else ""
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The tree of one statement with its totals; times in ms of the server's clock."""

    root: PlanNode
    is_analyzed: bool
    planning_ms: float
    execution_ms: float
    wal_records: int
    wal_bytes: int
    settings: Mapping[str, str] = field(default_factory=dict)

    def walk(self) -> Iterator[PlanNode]:
        """Yield every node, parents first."""
        return self.root.walk()

    @property
    def indexes(self) -> tuple[str, ...]:
        """The names of the indexes that the plan reads, sorted."""
        return tuple(sorted({node.index for node in self.walk() if node.index}))

    @property
    def blocks(self) -> int:
        """Shared blocks touched, found in cache or read."""
        return self.root.blocks

    @property
    def rows_read(self) -> int:
        """Rows that the scans looked at."""
        return sum(node.rows_read for node in self.walk() if node.relation)

    @property
    def rows_kept(self) -> int:
        """Rows that the statement returned."""
        return self.root.rows_kept

    @property
    def slowest(self) -> PlanNode:
        """The node with the most own time."""
        return max(self.walk(), key=lambda node: node.own_time_ms)

    @property
    def shape(self) -> str:
        """The tree without its numbers: equal for equal plans."""
        return _shape(self.root, 0)

    def __repr__(self) -> str:
        node = self.slowest if self.is_analyzed else self.root
        if not self.is_analyzed:
            return f"<Plan: {node.label}, not executed>"
        return (
            f"<Plan: {node.label}, {self.rows_read:,} rows read for {self.rows_kept:,}, "
            f"{self.blocks:,} blocks, {self.execution_ms:.3g} ms>"
        )


def read_plan(document: str | Json) -> Plan:
    """Build a Plan from the answer of EXPLAIN (FORMAT JSON), text or parsed.

    Raises FluxlabError when the document is not one.
    """
    try:
        parsed = json.loads(document) if isinstance(document, str) else document
        top = parsed[0] if isinstance(parsed, Sequence) else parsed
        assert isinstance(top, Mapping)
        tree = top["Plan"]
        assert isinstance(tree, Mapping)
    except (ValueError, KeyError, IndexError, AssertionError, TypeError):
        raise FluxlabError(
            "This is not a plan in JSON.",
            "Use EXPLAIN (FORMAT JSON) and pass its whole answer.",
        ) from None
    settings = top.get("Settings") or {}
    assert isinstance(settings, Mapping)
    return Plan(
        root=_node(tree),
        is_analyzed="Actual Loops" in tree,
        planning_ms=_number(top, "Planning Time"),
        execution_ms=_number(top, "Execution Time"),
        wal_records=round(_number(tree, "WAL Records")),
        wal_bytes=round(_number(tree, "WAL Bytes")),
        settings={name: str(value) for name, value in settings.items()},
    )


def _node(raw: Mapping[str, Json]) -> PlanNode:
    below = raw.get("Plans") or ()
    assert isinstance(below, Sequence)
    children = tuple(_node(child) for child in below if isinstance(child, Mapping))
    loops = round(_number(raw, "Actual Loops"))
    time_ms = _number(raw, "Actual Total Time") * loops
    blocks = _blocks(raw)
    kept = _number(raw, "Actual Rows") * loops
    removed = sum(_number(raw, name) for name in _REMOVED) * loops
    # An InitPlan runs once and is charged to the node that asks first; a node's
    # total contains every child, whatever its role.
    return PlanNode(
        kind=str(raw["Node Type"]),
        relation=_text(raw, "Relation Name"),
        alias=_text(raw, "Alias"),
        index=_text(raw, "Index Name"),
        role=_text(raw, "Subplan Name") or _text(raw, "Parent Relationship"),
        conditions=tuple(
            (name, value) for name in _CONDITIONS if (value := _text(raw, name)) is not None
        ),
        planned_rows=_number(raw, "Plan Rows"),
        rows_kept=round(kept),
        rows_read=round(kept + removed),
        loops=loops,
        time_ms=time_ms,
        own_time_ms=max(0.0, time_ms - sum(child.time_ms for child in children)),
        blocks=blocks,
        own_blocks=max(0, blocks - sum(child.blocks for child in children)),
        spilled_blocks=round(_number(raw, "Temp Written Blocks")),
        children=children,
    )


def _blocks(raw: Mapping[str, Json]) -> int:
    return round(_number(raw, "Shared Hit Blocks") + _number(raw, "Shared Read Blocks"))


def _number(raw: Mapping[str, Json], name: str) -> float:
    value = raw.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def _text(raw: Mapping[str, Json], name: str) -> str | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(part) for part in value)
    return str(value)


def _shape(node: PlanNode, depth: int) -> str:
    lines = ["  " * depth + node.label]
    lines += [_shape(child, depth + 1) for child in node.children]
    return "\n".join(lines)
