"""What hands rows to a node, and what a scan at the end of that way tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fluxlab.plans.labels import Json
from fluxlab.plans.plan import PlanNode
from fluxlab.plans.rules.expressions import Term, terms_of

#: What hands rows up as they are, in whichever order.
PASSING = ("Sort", "Incremental Sort", "Gather", "Gather Merge", "Materialize", "Memoize")


def inputs(node: PlanNode) -> tuple[PlanNode, ...]:
    """Return the children whose rows a node takes: no InitPlan and no subplan."""
    return tuple(
        child
        for child in node.children
        if child.facts.get("Parent Relationship") not in ("InitPlan", "SubPlan")
    )


def way_down(node: PlanNode) -> tuple[PlanNode, ...]:
    """Return the nodes from this one to the first that does more than pass rows on."""
    is_passing = node.kind in PASSING and inputs(node)
    return (node, *way_down(inputs(node)[0])) if is_passing else (node,)


def scan_below(node: PlanNode) -> PlanNode | None:
    """Return the scan of one table whose rows come up unchanged, if there is no more."""
    last = way_down(node)[-1]
    return last if last.relation and last.kind != "ModifyTable" else None


def terms_below(scan: PlanNode) -> tuple[Term, ...]:
    """Return what a scan tests, wherever it tests it."""
    texts = (scan.text(name) for name in ("Index Cond", "Recheck Cond", "Filter"))
    return tuple(term for text in texts for term in terms_of(text, scan.alias))


def sum_of(node: PlanNode, name: str) -> float:
    """Return a number of the leader and its workers together."""
    return sum(number_in(facts, name) for facts in everybody(node))


def everybody(node: PlanNode) -> Iterator[Mapping[str, Json]]:
    """Yield the facts of the leader, and of each worker that has some of its own."""
    yield node.facts
    workers = node.facts.get("Workers") or ()
    if isinstance(workers, Sequence) and not isinstance(workers, str):
        yield from (worker for worker in workers if isinstance(worker, Mapping))


def number_in(facts: Mapping[str, Json], name: str) -> float:
    """Return a fact that is a number; 0 where it has none."""
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
