"""What each node of a plan took by itself: EXPLAIN's numbers, put right.

EXPLAIN gives averages per loop, adds up what parallel processes did side by side, lets
a node's total contain its children, and leaves an InitPlan or a CTE in the total of
whichever node waited for it. Here that becomes totals by the clock on the wall, and own
amounts that sum to them again.

Source: `src/backend/commands/explain.c`, `src/backend/executor/instrument.c` and
`nodeGather.c`; manual, "Parallel Plans".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite

from fluxlab.plans.labels import Json
from fluxlab.plans.plan import Amounts, Plan, PlanNode, Trigger

_QUANTITIES = tuple(one.name for one in fields(Amounts))
#: What is multiplied and rounded.
_FINITE = ("Plan Rows", "Actual Rows", "Actual Loops", "Actual Total Time")
_GATHERS = ("Gather", "Gather Merge")
#: What an InitPlan is called where it is used: `$0`, or `(InitPlan 1).col1` from 17 on.
_RETURNS = re.compile(r"\$\d+")
_NAME = re.compile(r"^(InitPlan \d+|CTE .+?)(?: \(returns .+\))?$", re.DOTALL)


@dataclass(eq=False)
class _Draft:
    """A node in the making; `own` loses what turns out to be somebody else's."""

    facts: Mapping[str, Json]
    children: list[_Draft]
    loops: int
    processes: int
    total: dict[str, float]
    own: dict[str, float] = field(default_factory=dict)

    def walk(self) -> Iterator[_Draft]:
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def is_initplan(self) -> bool:
        return self.facts.get("Parent Relationship") == "InitPlan"

    def mentions(self, names: Iterable[re.Pattern[str]]) -> bool:
        """Whether one of its expressions names one of these."""
        return any(
            pattern.search(text)
            for key, value in self.facts.items()
            if key not in ("Subplan Name", "Plans")
            for text in _texts(value)
            for pattern in names
        )


def build_plan(document: Mapping[str, Json]) -> Plan:
    """Return the Plan of one document of EXPLAIN (FORMAT JSON): an object with "Plan".

    Raises KeyError and AssertionError for a document that is none.
    """
    tree = document["Plan"]
    assert isinstance(tree, Mapping)
    root = _draft(tree, 1)
    for draft in root.walk():
        draft.own = {
            name: total
            - sum(one.total[name] for one in draft.children if not one.is_initplan)
            for name, total in draft.total.items()
        }
    # The inner ones first: what waits for an outer one may be waiting for them.
    for owner in reversed(list(root.walk())):
        for initplan in owner.children:
            if initplan.is_initplan:
                _charge(initplan, owner)
    numbers = iter(range(1, 1 << 30))
    is_timed = "Actual Total Time" in tree
    settings = document.get("Settings") or {}
    assert isinstance(settings, Mapping)
    return Plan(
        root=_node(root, numbers),
        is_analyzed="Actual Loops" in tree or "Actual Rows" in tree,
        is_timed=is_timed,
        planning_ms=_number(document, "Planning Time"),
        execution_ms=_number(document, "Execution Time"),
        triggers=tuple(_triggers(document.get("Triggers") or ())),
        settings={name: str(value) for name, value in settings.items()},
        facts={
            name: value
            for name, value in document.items()
            if name not in ("Plan", "Settings", "Triggers")
        },
    )


def _draft(facts: Mapping[str, Json], processes: int) -> _Draft:
    assert isinstance(facts["Node Type"], str)
    assert all(isfinite(_number(facts, name)) for name in _FINITE)
    loops = round(_number(facts, "Actual Loops"))
    below = facts.get("Plans") or ()
    assert isinstance(below, Sequence)
    total = {
        # Each process has a clock of its own, and they ran side by side.
        "time_ms": _number(facts, "Actual Total Time") * loops / processes,
        "hit": _number(facts, "Shared Hit Blocks"),
        "read": _number(facts, "Shared Read Blocks"),
        "spilled": _number(facts, "Temp Written Blocks"),
        "refetched": _number(facts, "Temp Read Blocks"),
    }
    children = []
    for child in below:
        assert isinstance(child, Mapping)
        children.append(_draft(child, _processes(facts, child, processes)))
    return _Draft(facts, children, loops, processes, total)


def _processes(
    parent: Mapping[str, Json], child: Mapping[str, Json], processes: int
) -> int:
    """Return how many processes share a child: those below a Gather, leader or not.

    The node below a Gather runs once in each of them, so its loops tell; an InitPlan is
    the leader's.
    """
    if parent["Node Type"] not in _GATHERS:
        return processes
    if child.get("Parent Relationship") == "InitPlan":
        return processes
    loops = max(1.0, _number(parent, "Actual Loops"))
    most = round(_number(parent, "Workers Launched")) + 1
    return max(1, min(most, round(_number(child, "Actual Loops") / loops)))


def _charge(initplan: _Draft, owner: _Draft) -> None:
    """Take an InitPlan or CTE out of the own amounts of the nodes that waited for it.

    A CTE is pulled by its scans; whoever names the InitPlan ran it, or the Gather above,
    which runs it before its workers start. Where nobody names it, as in plans without
    VERBOSE, it is in the total of its owner or of a node below.
    """
    payers = [one for one in _payers(initplan, owner) if one.loops]
    for name in _QUANTITIES:
        left = initplan.total[name]
        # The one that can pay it all did; else each pays what it has.
        able = [one for one in payers if one.own[name] >= left * 0.999]
        for payer in able[:1] or payers:
            paid = min(left, max(0.0, payer.own[name]))
            payer.own[name] -= paid
            left -= paid


def _payers(initplan: _Draft, owner: _Draft) -> list[_Draft]:
    name = str(initplan.facts.get("Subplan Name") or "")
    found = _NAME.match(name)
    label = found.group(1) if found else name
    if label.startswith("CTE "):
        return [
            one
            for one in owner.walk()
            if one.facts.get("Node Type") == "CTE Scan"
            and one.facts.get("CTE Name") == label.removeprefix("CTE ")
        ]
    inside = set(map(id, initplan.walk()))
    around = [one for one in owner.walk() if id(one) not in inside]
    names = [re.compile(re.escape(f"({label})"))]
    names += [re.compile(re.escape(f"({label}).col"))]
    names += [re.compile(rf"{re.escape(one)}(?!\d)") for one in _RETURNS.findall(name)]
    naming = [one for one in around if one.mentions(names)]
    gathers = [one for one in around if one.facts["Node Type"] in _GATHERS]
    above = [
        gather
        for gather in gathers
        if any(one in naming for one in gather.walk() if one is not gather)
    ]
    return [*above, *naming, *(one for one in around if one not in above + naming)]


def _node(draft: _Draft, numbers: Iterator[int]) -> PlanNode:
    number = next(numbers)
    return PlanNode(
        number=number,
        facts={name: value for name, value in draft.facts.items() if name != "Plans"},
        children=tuple(_node(child, numbers) for child in draft.children),
        loops=draft.loops,
        processes=draft.processes,
        total=Amounts(**draft.total),
        # Averages are rounded to a microsecond before they are multiplied.
        own=Amounts(**{name: max(0.0, value) for name, value in draft.own.items()}),
    )


def _triggers(found: Json) -> Iterator[Trigger]:
    assert isinstance(found, Sequence)
    for one in found:
        assert isinstance(one, Mapping)
        constraint, relation = one.get("Constraint Name"), one.get("Relation")
        yield Trigger(
            name=str(one.get("Trigger Name") or constraint),
            constraint=None if constraint is None else str(constraint),
            relation=None if relation is None else str(relation),
            calls=round(_number(one, "Calls")),
            time_ms=_number(one, "Time"),
        )


def _number(facts: Mapping[str, Json], name: str) -> float:
    value = facts.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Sequence):
        for one in value:
            yield from _texts(one)
