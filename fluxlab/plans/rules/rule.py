"""A Rule, what it looks at, and the words that all rules share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fluxlab.plans.findings import Finding
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.surroundings import NOTHING_KNOWN, KnownTable, Surroundings


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule looks at: a node, its plan, and what is known of its tables."""

    plan: Plan
    node: PlanNode
    known: Surroundings = NOTHING_KNOWN

    @property
    def table(self) -> KnownTable | None:
        """The table that the node reads, where the server was asked."""
        return self.known.table(self.node.relation)

    @property
    def share(self) -> float:
        """The own time of the node as a share of the execution, from 0 to 1."""
        if not self.plan.execution_ms:
            return 0.0
        return min(1.0, self.node.own_time_ms / self.plan.execution_ms)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its id in the book, its name, and the function that looks.

    `of_plan` rules look once, at the root; the others at each node.

    >>> from fluxlab.plans import RULES
    >>> [rule.id for rule in RULES if rule.name == "A sort on disk"]
    ['R23']
    """

    id: str
    name: str
    check: Callable[[Seen], Finding | None]
    of_plan: bool = False
