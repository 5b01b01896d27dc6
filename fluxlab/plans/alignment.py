"""Which node of one Plan does the work of which node of another.

Nodes are found again by what they work on, never by their position: a scan by its table,
alias and index, a join by the set of tables that it joins, the others by their kind and
the tables below them. So aligning a with b finds the same pairs as b with a.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from fluxlab.plans.labels import kind_of
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.views.words import table_of

JOINS = frozenset(("Nested Loop", "Hash Join", "Merge Join"))
#: Kinds that do the same work in different ways.
_FAMILIES = {
    **dict.fromkeys(JOINS, "join"),
    **dict.fromkeys(("Sort", "Incremental Sort"), "sort"),
    **dict.fromkeys(("Gather", "Gather Merge"), "gather"),
    **dict.fromkeys(("Aggregate", "Group"), "aggregate"),
    **dict.fromkeys(("Append", "Merge Append"), "append"),
}
_TARGETS = ("Relation Name", "Function Name", "CTE Name", "Tuplestore Name")


def align(before: Plan, after: Plan) -> dict[int, PlanNode]:
    """Return the nodes of `before` by the number of their partner in `after`."""
    left, right = _profiles(before), _profiles(after)
    partners: dict[int, PlanNode] = {}
    for sign in _SIGNS:
        waiting: dict[Hashable, deque[_Profile]] = {}
        for one in left:
            if (key := sign(one)) is not None:
                waiting.setdefault(key, deque()).append(one)
        taken: set[int] = set()
        for other in right:
            found = waiting.get(sign(other))
            if found:
                partner = found.popleft().node
                partners[other.node.number] = partner
                taken.add(partner.number)
        left = [one for one in left if one.node.number not in taken]
        right = [one for one in right if one.node.number not in partners]
    return partners


def names_below(plan: Plan) -> Mapping[int, frozenset[str]]:
    """Return what every node reads, with all below, by its number: aliases of its tables.

    Subplans beside the flow of rows do not count: they are nothing that a join joins.
    """
    found: dict[int, frozenset[str]] = {}
    for node in reversed(plan.nodes):
        own = node.alias or target_of(node) or table_of(plan, node)
        inputs = [one for one in node.children if one.text("Subplan Name") is None]
        names = frozenset((own,)) if own else frozenset()
        found[node.number] = names.union(*(found[one.number] for one in inputs))
    return found


def target_of(node: PlanNode) -> str | None:
    """Return what a scan scans: a table, a function, a CTE."""
    return next((text for name in _TARGETS if (text := node.text(name))), None)


def family_of(node: PlanNode) -> str:
    """Return the work that a node does, whichever way: "scan", "join", "sort" …"""
    if node.kind.endswith("Scan") and node.kind != "Bitmap Index Scan":
        return "scan"
    return _FAMILIES.get(node.kind, node.kind)


@dataclass(frozen=True, slots=True)
class _Profile:
    """What a node is recognised by."""

    node: PlanNode
    family: str
    words: str
    target: str | None
    alias: str | None
    index: str | None
    names: frozenset[str]
    role: str | None

    @property
    def place(self) -> tuple[Hashable, ...]:
        """The work and what it is done on."""
        if self.family == "scan":
            return (self.family, self.target, self.alias)
        return (self.family, self.target, self.index, self.names)


#: From the surest sign to the vaguest; None where it says nothing of a node.
_SIGNS: tuple[Callable[[_Profile], Hashable], ...] = (
    lambda one: (one.place, one.words, one.index, one.names, one.role, one.node.conditions),
    lambda one: (one.place, one.words, one.index, one.names, one.role),
    lambda one: (one.place, one.words, one.index, one.names),
    lambda one: (one.place, one.role),
    lambda one: one.place,
    lambda one: (one.family, one.target) if one.family == "scan" and one.target else None,
    lambda one: (one.family, one.role) if _is_plain(one) else None,
)


def _is_plain(one: _Profile) -> bool:
    """Whether a node is known by its kind alone: neither a join nor a read of something."""
    return one.family not in ("join", "scan") and not one.target and not one.index


def _profiles(plan: Plan) -> list[_Profile]:
    names = names_below(plan)
    return [
        _Profile(
            node=node,
            family=family_of(node),
            words=kind_of(node.facts),
            target=target_of(node),
            alias=node.alias,
            index=node.index,
            names=names[node.number],
            role=node.role,
        )
        for node in plan.nodes
    ]
