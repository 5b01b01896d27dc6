"""A Plan: what EXPLAIN said, as a tree of values whose totals are put right.

`reading` makes it from any format; `totals` works out what each node did by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from fluxlab.plans.labels import Json, label_of

if TYPE_CHECKING:
    from fluxlab.plans.differences import PlanDiff

#: What a node tests and orders by, under EXPLAIN's names, in the order of its text.
CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "One-Time Filter",
    "Order By",
    "Filter",
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Cache Key",
    "Run Condition",
    "Conflict Filter",
)


@dataclass(frozen=True, slots=True)
class Amounts:
    """What can be charged to one node: ms of the clock, and blocks of 8 kB.

    `hit` and `read` are of the shared buffers; temporary files are `spilled` when they
    are written and `refetched` when they are read.

    >>> Amounts(time_ms=1.5, hit=3, read=4).blocks
    7
    """

    time_ms: float = 0.0
    hit: float = 0.0
    read: float = 0.0
    spilled: float = 0.0
    refetched: float = 0.0

    @property
    def blocks(self) -> int:
        """Shared blocks touched, found in the buffers or read."""
        return round(self.hit + self.read)


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node of a Plan; every number is a total over its loops and processes.

    `facts` are EXPLAIN's own words for it (FORMAT JSON), which count rows and times per
    loop. `total` is what the node and all below it took, by the clock on the wall: what
    parallel processes did side by side counts once. `own` leaves the others out, each
    InitPlan and CTE charged to the node that waited for it. Times are 0 without ANALYZE
    or with TIMING OFF.

    >>> from fluxlab.plans import read_plan
    >>> scan = {"Node Type": "Seq Scan", "Relation Name": "users", "Actual Rows": 2.5}
    >>> node = read_plan({"Plan": {**scan, "Actual Loops": 4}}).root
    >>> node.label, node.rows_kept, node["Actual Rows"]
    ('Seq Scan on users', 10, 2.5)

    Source: manual, "Using EXPLAIN"; `src/backend/commands/explain.c`.
    """

    number: int
    facts: Mapping[str, Json]
    children: tuple[PlanNode, ...]
    loops: int
    processes: int
    total: Amounts
    own: Amounts

    def __getitem__(self, name: str) -> float:
        """Return a fact that is a number, by EXPLAIN's name for it; 0 where it has none."""
        value = self.facts.get(name)
        return float(value) if isinstance(value, int | float) else 0.0

    def text(self, name: str) -> str | None:
        """Return a fact as text, the parts of a list joined; None where it has none."""
        value = self.facts.get(name)
        if value is None:
            return None
        if isinstance(value, Sequence) and not isinstance(value, str):
            return ", ".join(str(part) for part in value)
        return str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a fact that is a list of texts, such as "Sort Key"."""
        value = self.facts.get(name)
        if value is None:
            return ()
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(str(part) for part in value)
        return (str(value),)

    def walk(self) -> Iterator[PlanNode]:
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def kind(self) -> str:
        """The node type as FORMAT JSON has it, such as "Seq Scan"."""
        return str(self.facts["Node Type"])

    @property
    def relation(self) -> str | None:
        """The table that it reads or writes."""
        return self.text("Relation Name")

    @property
    def alias(self) -> str | None:
        """The name of the table in the statement."""
        return self.text("Alias")

    @property
    def index(self) -> str | None:
        """The index that it reads."""
        return self.text("Index Name")

    @property
    def role(self) -> str | None:
        """What it is to its parent: Outer, Inner, Member, the name of a subplan."""
        return self.text("Subplan Name") or self.text("Parent Relationship")

    @property
    def is_initplan(self) -> bool:
        """Whether it stands outside the flow of rows: an InitPlan or a CTE."""
        return self.facts.get("Parent Relationship") == "InitPlan"

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """What it tests and orders by: EXPLAIN's name and the expression."""
        found = ((name, self.text(name)) for name in CONDITIONS)
        return tuple((name, text) for name, text in found if text is not None)

    @property
    def is_executed(self) -> bool:
        """Whether it ran at least once; False without ANALYZE."""
        return self.loops > 0

    @property
    def planned_rows(self) -> float:
        """Rows that the planner expected of one loop."""
        return self["Plan Rows"]

    @property
    def rows_kept(self) -> int:
        """Rows that it handed up, over all loops."""
        return round(self["Actual Rows"] * self.loops)

    @property
    def rows_removed(self) -> int:
        """Rows that its filters threw away, over all loops."""
        removed = (value for name, value in self.facts.items() if name in _REMOVED)
        per_loop = sum(float(one) for one in removed if isinstance(one, int | float))
        return round(per_loop * self.loops)

    @property
    def rows_read(self) -> int:
        """Rows that it looked at: kept and removed."""
        return self.rows_kept + self.rows_removed

    @property
    def time_ms(self) -> float:
        """What it and all below it took, in ms by the clock on the wall."""
        return self.total.time_ms

    @property
    def own_time_ms(self) -> float:
        """What it took by itself, in ms by the clock on the wall."""
        return self.own.time_ms

    @property
    def blocks(self) -> int:
        """Shared blocks that it and all below it touched."""
        return self.total.blocks

    @property
    def own_blocks(self) -> int:
        """Shared blocks that it touched by itself."""
        return self.own.blocks

    @property
    def spilled_blocks(self) -> int:
        """Blocks that it wrote to temporary files by itself."""
        return round(self.own.spilled)

    @property
    def label(self) -> str:
        """The node as EXPLAIN's text begins it, without its schema."""
        return label_of(self.facts)


_REMOVED = frozenset(
    (
        "Rows Removed by Filter",
        "Rows Removed by Join Filter",
        "Rows Removed by Index Recheck",
        "Rows Removed by Conflict Filter",
    )
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger that fired, foreign keys among them: its calls and its time in ms.

    >>> from fluxlab.plans import read_plan
    >>> stamp = {"Trigger Name": "stamp", "Relation": "users", "Calls": 3, "Time": 0.5}
    >>> read_plan({"Plan": {"Node Type": "Result"}, "Triggers": [stamp]}).triggers
    (Trigger(name='stamp', constraint=None, relation='users', calls=3, time_ms=0.5),)
    """

    name: str
    constraint: str | None
    relation: str | None
    calls: int
    time_ms: float


@dataclass(frozen=True)
class Plan:
    """The tree of one statement with its totals; times in ms of the server's clock.

    `is_timed` is False with TIMING OFF, where rows are counted and nothing is timed.
    `facts` holds what else EXPLAIN said beside the tree: JIT, Serialization, Planning.

    >>> from fluxlab.plans import read_plan
    >>> plan = read_plan('''
    ...  Limit (actual time=0.020..0.030 rows=5 loops=1)
    ...    ->  Seq Scan on users (actual time=0.010..0.020 rows=5 loops=1)''')
    >>> [(node.number, node.label) for node in plan.walk()]
    [(1, 'Limit'), (2, 'Seq Scan on users')]
    >>> round(plan.slowest.own_time_ms, 3), plan.parents[2].label
    (0.02, 'Limit')
    """

    root: PlanNode
    is_analyzed: bool
    is_timed: bool
    planning_ms: float
    execution_ms: float
    triggers: tuple[Trigger, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)

    def walk(self) -> Iterator[PlanNode]:
        """Yield every node, parents first."""
        return self.root.walk()

    @cached_property
    def nodes(self) -> tuple[PlanNode, ...]:
        """Every node, parents first; the first has the number 1."""
        return tuple(self.walk())

    @cached_property
    def parents(self) -> Mapping[int, PlanNode]:
        """The parent of each node but the root, by the number of the child."""
        return {child.number: node for node in self.nodes for child in node.children}

    @property
    def indexes(self) -> tuple[str, ...]:
        """The names of the indexes that the plan reads, sorted."""
        return tuple(sorted({node.index for node in self.nodes if node.index}))

    @property
    def blocks(self) -> int:
        """Shared blocks touched, found in the buffers or read."""
        return self.root.blocks

    @property
    def rows_read(self) -> int:
        """Rows that the scans of tables looked at."""
        return sum(node.rows_read for node in self.nodes if node.relation)

    @property
    def rows_kept(self) -> int:
        """Rows that the statement returned."""
        return self.root.rows_kept

    @property
    def wal_records(self) -> int:
        """WAL records that the statement wrote."""
        return round(self.root["WAL Records"])

    @property
    def wal_bytes(self) -> int:
        """Bytes of WAL that the statement wrote."""
        return round(self.root["WAL Bytes"])

    @property
    def slowest(self) -> PlanNode:
        """The node with the most own time."""
        return max(self.nodes, key=lambda node: node.own_time_ms)

    @property
    def other_ms(self) -> float:
        """What no node took: triggers, JIT before the first row, starting and ending."""
        return max(0.0, self.execution_ms - sum(node.own_time_ms for node in self.nodes))

    def diff(self, other: Plan) -> PlanDiff:
        """Return what another plan of the same statement does otherwise; see `diff`."""
        # It is made of Plans, and stands above this module.
        from fluxlab.plans.differences import diff

        return diff(self, other)

    @property
    def shape(self) -> str:
        """The tree without its numbers: equal for equal plans."""
        return _shape(self.root, 0)

    @property
    def tree(self) -> str:
        """The shape without the names of indexes."""
        return _shape(self.root, 0, {"Index Name"})

    def __repr__(self) -> str:
        if not self.is_analyzed:
            return f"<Plan: {self.root.label}, not executed>"
        return (
            f"<Plan: {self.slowest.label}, {self.rows_read:,} rows read for "
            f"{self.rows_kept:,}, {self.blocks:,} blocks, {self.execution_ms:.3g} ms>"
        )


def _shape(node: PlanNode, depth: int, without: Collection[str] = ()) -> str:
    facts = {name: value for name, value in node.facts.items() if name not in without}
    lines = ["  " * depth + label_of(facts)]
    lines += [_shape(child, depth + 1, without) for child in node.children]
    return "\n".join(lines)
