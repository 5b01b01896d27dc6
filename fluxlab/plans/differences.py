"""What changed between two Plans of one statement: node by node, and in a sentence.

`alignment` finds the pairs; `views.side_by_side` draws them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fluxlab.plans.alignment import JOINS, align, family_of, names_below, target_of
from fluxlab.plans.labels import kind_of
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.views.words import count

#: `same` also where the clock differs: one execution says little of it.
Change = Literal["same", "changed", "gone", "new"]

#: An estimate changed when it is so many times what it was.
_ESTIMATE_FACTOR = 2.0
#: The sentence says so many changes, and how many more there are.
_MOST_CLAUSES = 6


@dataclass(frozen=True, slots=True)
class NodePair:
    """A node of each plan that do the same work; None where a plan has none.

    `differences` say in words what changed from before to after, beside the label.

    >>> from fluxlab.plans import read_plan
    >>> limit, bare = ({"Node Type": one} for one in ("Limit", "Result"))
    >>> pairs = diff(read_plan({"Plan": {**limit, "Plans": [bare]}}),
    ...     read_plan({"Plan": bare})).pairs
    >>> [(pair.change, pair.before.label) for pair in pairs]
    [('gone', 'Limit'), ('same', 'Result')]
    """

    change: Change
    before: PlanNode | None
    after: PlanNode | None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiffRow:
    """A line of the table of both plans: labels with their depth, and what changed.

    >>> from fluxlab.plans import read_plan
    >>> plan = read_plan({"Plan": {"Node Type": "Result"}})
    >>> diff(plan, plan).rows[0]  # doctest: +NORMALIZE_WHITESPACE
    DiffRow(change='same', before='Result', before_depth=0, after='Result',
        after_depth=0, words='')
    """

    change: Change
    before: str
    before_depth: int
    after: str
    after_depth: int
    words: str


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """Two Plans and their nodes in pairs, in the order of a reader of both.

    >>> from fluxlab.plans import read_plan
    >>> found = diff(*(read_plan({"Plan": {"Node Type": "Seq Scan", "Filter": test}})
    ...     for test in ("(id = 1)", "(id = 2)")))
    >>> found.has_same_shape, found.sentence
    (True, 'Seq Scan tests something else.')
    """

    before: Plan
    after: Plan
    pairs: tuple[NodePair, ...]

    @property
    def is_counted(self) -> bool:
        """Whether both plans were executed, so that rows and blocks were counted."""
        return self.before.is_analyzed and self.after.is_analyzed

    @property
    def has_same_shape(self) -> bool:
        """Whether both plans do the same steps on the same indexes."""
        return self.before.shape == self.after.shape

    @property
    def sentence(self) -> str:
        """What changed, in words; the clock is left out, since one execution is a guess."""
        return _sentence(self)

    @property
    def rows(self) -> tuple[DiffRow, ...]:
        """The pairs as lines of a table."""
        before, after = depths(self.before), depths(self.after)
        return tuple(
            DiffRow(
                change=pair.change,
                before=pair.before.label if pair.before else "",
                before_depth=before[pair.before.number] if pair.before else 0,
                after=pair.after.label if pair.after else "",
                after_depth=after[pair.after.number] if pair.after else 0,
                words="; ".join(pair.differences),
            )
            for pair in self.pairs
        )

    def __repr__(self) -> str:
        return f"<PlanDiff: {self.sentence}>"


def diff(before: Plan, after: Plan) -> PlanDiff:
    """Align the nodes of two plans and say what changed.

    >>> from fluxlab.plans.reading import read_plan
    >>> scan = {"Node Type": "Seq Scan", "Relation Name": "users"}
    >>> by_key = {**scan, "Node Type": "Index Scan", "Index Name": "users_pkey"}
    >>> diff(read_plan({"Plan": scan}), read_plan({"Plan": by_key}))
    <PlanDiff: The scan of users reads users_pkey instead of the whole table.>
    """
    partners = align(before, after)
    return PlanDiff(before, after, tuple(_in_order(before, after, partners)))


def depths(plan: Plan) -> Mapping[int, int]:
    """Return the depth of every node by its number; that of the root is 0."""
    found = {plan.root.number: 0}
    for node in plan.nodes[1:]:
        found[node.number] = found[plan.parents[node.number].number] + 1
    return found


def _in_order(
    before: Plan, after: Plan, partners: Mapping[int, PlanNode]
) -> Iterator[NodePair]:
    """Yield the pairs in the order of after; what is gone stands where it stood before."""
    kept = {node.number for node in partners.values()}
    gone = deque(node for node in before.nodes if node.number not in kept)
    is_counted = before.is_analyzed and after.is_analyzed
    for node in after.nodes:
        partner = partners.get(node.number)
        while partner is not None and gone and gone[0].number < partner.number:
            yield NodePair("gone", gone.popleft(), None)
        if partner is None:
            yield NodePair("new", None, node)
            continue
        found = tuple(_differences(partner, node, is_counted=is_counted))
        is_same = not found and partner.label == node.label
        yield NodePair("same" if is_same else "changed", partner, node, found)
    for node in gone:
        yield NodePair("gone", node, None)


def _differences(before: PlanNode, after: PlanNode, *, is_counted: bool) -> Iterator[str]:
    if before.text("Subplan Name") != after.text("Subplan Name"):
        yield f"stands as {after.role or 'root'} instead of {before.role or 'root'}"
    yield from _conditions(dict(before.conditions), dict(after.conditions))
    if is_counted:
        yield from _amounts(before, after)
    expected = max(before.planned_rows, 1.0), max(after.planned_rows, 1.0)
    if max(expected) / min(expected) >= _ESTIMATE_FACTOR:
        rows = count(after.planned_rows, "row")
        yield f"{rows} expected instead of {before.planned_rows:,.0f}"


def _conditions(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield f"{name} is gone"
        elif name not in before:
            yield f"{name} is new"
        elif before[name] != after[name]:
            yield f"another {name}"


def _amounts(before: PlanNode, after: PlanNode) -> Iterator[str]:
    if before.is_executed != after.is_executed:
        yield "executed" if after.is_executed else "never executed"
        return
    pairs: Sequence[tuple[str, int, int]] = (
        ("loop", before.loops, after.loops),
        ("process", before.processes, after.processes),
        ("row read", before.rows_read, after.rows_read),
        ("row kept", before.rows_kept, after.rows_kept),
        ("block", before.own_blocks, after.own_blocks),
        ("block spilled", before.spilled_blocks, after.spilled_blocks),
    )
    for noun, old, new in pairs:
        if old != new:
            yield f"{_several(new, noun)} instead of {old:,}"


def _several(number: int, noun: str) -> str:
    first, space, rest = noun.partition(" ")
    plural = {"process": "processes"}.get(first, f"{first}s")
    return f"{number:,} {first if number == 1 else plural}{space}{rest}"


def _sentence(found: PlanDiff) -> str:
    clauses = [*_steps(found), *_scans(found), *_joins(found), *_conditions_said(found)]
    clauses = list(dict.fromkeys(clauses))
    if len(clauses) > _MOST_CLAUSES:
        more = len(clauses) - _MOST_CLAUSES
        clauses = [*clauses[:_MOST_CLAUSES], f"{count(more, 'more change')}"]
    if not clauses:
        same = "the plans are the same" if _is_same(found) else "the steps are the same"
        clauses = [same]
    said = "; ".join([*clauses, *_price(found)])
    return f"{said[0].upper()}{said[1:]}."


def _is_same(found: PlanDiff) -> bool:
    return all(pair.change == "same" for pair in found.pairs)


#: What a step that came or went is called; None where something else tells it already.
_STEPS: Mapping[str, str | None] = {
    "Sort": "the sort",
    "Incremental Sort": "the incremental sort",
    "Hash": None,
    "Bitmap Index Scan": None,
    "BitmapAnd": None,
    "BitmapOr": None,
    "Result": None,
    "Materialize": "the materialized copy of the inner side",
    "Memoize": "the memory of inner results (Memoize)",
    "Gather": "the parallel part",
    "Gather Merge": "the parallel part",
}


def _steps(found: PlanDiff) -> Iterator[str]:
    """Say which steps came, went or are done otherwise, but for scans and joins."""
    for pair in found.pairs:
        node = pair.after or pair.before
        if node is None or family_of(node) in ("scan", "join"):
            continue
        kind = kind_of(node.facts)
        name = _STEPS.get(node.kind, f"the {kind}")
        if name is None:
            continue
        if pair.before is None or pair.after is None:
            yield f"{name} {'is new' if pair.before is None else 'disappeared'}"
        elif kind != kind_of(pair.before.facts):
            yield f"{kind} instead of {kind_of(pair.before.facts)}"


def _scans(found: PlanDiff) -> Iterator[str]:
    for pair in found.pairs:
        node = pair.after or pair.before
        if node is None or family_of(node) != "scan":
            continue
        name = _scanned(node)
        if pair.before is None:
            yield f"the scan of {name} is new and reads {_access(node)}"
        elif pair.after is None:
            yield f"the scan of {name} disappeared"
        else:
            old, new = _access(pair.before), _access(pair.after)
            if old != new:
                yield f"the scan of {name} reads {new} instead of {old}"
            if pair.before.is_executed and not node.is_executed and found.is_counted:
                yield f"the scan of {name} is never executed"


def _scanned(node: PlanNode) -> str:
    target = target_of(node) or node.alias or node.kind
    return target if node.alias in (None, target) else f"{target} {node.alias}"


def _access(node: PlanNode) -> str:
    """Say what a scan reads to find its rows."""
    if node.kind == "Seq Scan":
        return "the whole table"
    backward = " backward" if node.text("Scan Direction") == "Backward" else ""
    if node.index:
        only = " alone" if node.kind == "Index Only Scan" else ""
        return f"{node.index}{only}{backward}"
    indexes = [one.index for one in node.walk() if one.index]
    if node.kind == "Bitmap Heap Scan" and indexes:
        return f"{' and '.join(dict.fromkeys(indexes))} as a bitmap"
    return {"Tid Scan": "row addresses", "Sample Scan": "a sample"}.get(
        node.kind, "its rows"
    )


def _joins(found: PlanDiff) -> Iterator[str]:
    names = names_below(found.after)
    gone = new = 0
    for pair in found.pairs:
        node = pair.after or pair.before
        if node is None or node.kind not in JOINS:
            continue
        gone += pair.after is None
        new += pair.before is None
        if pair.before and pair.after:
            old, now = (_join_words(one) for one in (pair.before, pair.after))
            if old != now:
                tables = _listed(sorted(names[pair.after.number]))
                yield f"the join of {tables} is a {now} instead of a {old}"
    if gone and new:
        yield "the tables are joined in another order"
    elif gone or new:
        yield f"{count(gone or new, 'join')} {'disappeared' if gone else 'more'}"


def _join_words(node: PlanNode) -> str:
    return kind_of(node.facts).removeprefix("Parallel ").lower()


def _listed(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{len(names)} tables"
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def _conditions_said(found: PlanDiff) -> Iterator[str]:
    """Say, of plans with the same steps only, that they test something else."""
    if not found.has_same_shape:
        return
    changed = [
        pair.after.label
        for pair in found.pairs
        if pair.before and pair.after and pair.before.conditions != pair.after.conditions
    ]
    if changed:
        who = changed[0] if len(changed) == 1 else f"{len(changed)} nodes"
        yield f"{who} {'tests' if len(changed) == 1 else 'test'} something else"


def _price(found: PlanDiff) -> Iterator[str]:
    """Say what the change is worth: spills and blocks, or cost if nothing was executed."""
    before, after = found.before, found.after
    if not found.is_counted:
        old, new = before.root["Total Cost"], after.root["Total Cost"]
        if old != new:
            yield f"the planner's cost of {old:,.0f} became {new:,.0f}"
        return
    spills = [sum(one.spilled_blocks for one in plan.nodes) for plan in (before, after)]
    if spills[0] != spills[1]:
        yield f"{count(spills[0], 'spilled block')} became {spills[1]:,}"
    if before.blocks != after.blocks:
        yield f"{count(before.blocks, 'block')} became {after.blocks:,}"
    elif before.rows_read != after.rows_read:
        yield f"{count(before.rows_read, 'row')} read became {after.rows_read:,}"
