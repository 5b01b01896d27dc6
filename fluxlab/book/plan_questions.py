"""Questions about a plan as psql prints it, whose right answers come from that plan.

The text is read as any pasted plan is; numbers per loop become totals, and what a reader
overlooks in the text has a reply of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from fluxlab.book.lessons import Exercise, Question, Reply, Solution, listed
from fluxlab.errors import FluxlabError
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.reading import read_plan
from fluxlab.plans.views.words import (
    count,
    estimate_factor,
    show_ms,
    show_share,
    words_of,
)

#: A node within so much of the right one is right as well: clocks are not that exact.
_CLOSE = 0.9
#: Estimates that are off by less are as good as right.
_APART = 2
Judge = Callable[[Plan, object], Reply]


@dataclass(frozen=True, slots=True)
class Judged:
    """How answers about a plan are judged, and what the solution says."""

    judge: Judge
    solve: Callable[[Plan], Solution]


class PlanQuestion(Exercise):
    """A question about one plan, shown as text with its nodes numbered in the margin."""

    def __init__(self, question: Question, plan: Plan, judged: Judged) -> None:
        super().__init__(question)
        self.plan = plan
        self._judged = judged

    def solution(self) -> Solution:
        """Return the answer, worked out from the plan, and the plan with its totals."""
        return self._judged.solve(self.plan)

    def _judge(self, answer: object) -> Reply:
        return self._judged.judge(self.plan, answer)


def own_time(text: str) -> PlanQuestion:
    """Ask which node took the most time by itself."""
    hints = (
        "The time of a node contains that of all nodes below it. The first line always "
        "has the largest, and says only how long the whole took.",
        "Where it says loops=n, time and rows are those of one loop: multiply first, "
        "subtract what is below afterwards.",
    )
    return _asked(
        text,
        "own time",
        "Which node took the most time by itself, without the nodes below it?",
        "the number of a node, such as check(3)",
        hints,
        Judged(_judge_own_time, _solve_own_time),
    )


def thrown_away(text: str) -> PlanQuestion:
    """Ask how many rows were read and thrown away."""
    hints = (
        "Look for Rows Removed by Filter; there may be several.",
        "It counts the rows of one loop. How often did that node run?",
    )
    return _asked(
        text,
        "thrown away",
        "How many rows were read and thrown away again, in the whole execution?",
        "a number, such as check(1200)",
        hints,
        Judged(_judge_thrown_away, _solve_thrown_away),
    )


def first_misjudged(text: str) -> PlanQuestion:
    """Ask at which node the estimate goes wrong first, seen from below."""
    hints = (
        "Two numbers stand in each line: rows in the first bracket is what the planner "
        "expected, rows in the second is what came. Which differ by ten times?",
        "A plan is estimated from below: what a scan gets wrong, each node above it gets "
        "wrong too. Take the lowest that is wrong.",
    )
    return _asked(
        text,
        "first misjudged",
        "At which node does an estimate go wrong first, by ten times or more, seen from "
        "below?",
        "the number of a node, or 0 if there is none",
        hints,
        Judged(_judge_misjudged, _solve_misjudged),
    )


def numbered(text: str) -> str:
    """Write the number of each node before its line.

    >>> print(numbered("Limit\\n  ->  Seq Scan on users\\n        Filter: is_active"))
     1  Limit
     2    ->  Seq Scan on users
                Filter: is_active
    """
    lines, number = [], 0
    for position, line in enumerate(text.splitlines()):
        is_node = position == 0 or line.lstrip().startswith("->")
        number += is_node
        lines.append(f"{number:>2}  {line}" if is_node else f"    {line}".rstrip())
    return "\n".join(lines)


def _asked(
    text: str, name: str, question: str, how: str, hints: Sequence[str], judged: Judged
) -> PlanQuestion:
    plan = read_plan(text)
    if not plan.is_timed:
        raise FluxlabError(
            "This plan was not executed and timed, so nothing of it can be asked.",
            "Take one of EXPLAIN (ANALYZE).",
        )
    asked = Question(name, question, numbered(text), how, tuple(hints))
    return PlanQuestion(asked, plan, judged)


def _judge_own_time(plan: Plan, answer: object) -> Reply:
    right = _slowest(plan)
    node = _node(plan, answer)
    if isinstance(node, Reply):
        return node
    own, whole = show_ms(node.own_time_ms), show_ms(plan.execution_ms)
    if node in right:
        share = show_share(min(1.0, node.own_time_ms / plan.execution_ms))
        return Reply(
            True, f"{_named(node)} took {own} of {whole} by itself, {share}.", plan
        )
    if any(one in right for one in node.walk()):
        return Reply(
            False,
            f"{_named(node)} shows {show_ms(node.time_ms)}, and that is with all below it. "
            f"By itself it took {own}. Look further down.",
        )
    loops = (
        " Mind the loops: the time of a line is that of one of them."
        if right[0].loops > 1
        else ""
    )
    return Reply(
        False, f"{_named(node)} took {own} by itself; another one took more.{loops}"
    )


def _solve_own_time(plan: Plan) -> Solution:
    right = _slowest(plan)
    best = right[0]
    others = sorted(
        (node for node in plan.nodes if node not in right and node.is_executed),
        key=lambda node: -node.time_ms,
    )
    return Solution(
        f"{_named(best)}: {_worked_out(best)}.",
        others=tuple((_named(node), _worked_out(node)) for node in others[:4]),
        plan=plan,
    )


def _slowest(plan: Plan) -> list[PlanNode]:
    most = plan.slowest.own_time_ms
    close = [node for node in plan.nodes if node.own_time_ms >= _CLOSE * most]
    return sorted(close, key=lambda node: -node.own_time_ms)


def _worked_out(node: PlanNode) -> str:
    """Say how the own time follows from what the text shows."""
    total = show_ms(node.time_ms)
    if node.loops > 1 and node.processes == 1:
        total = f"{node['Actual Total Time']:g} ms × {node.loops:,} loops = {total}"
    below = node.time_ms - node.own_time_ms
    if not node.children:
        return f"{total}, and nothing is below it"
    return (
        f"{total}, less {show_ms(below)} of what is below it = {show_ms(node.own_time_ms)}"
    )


def _judge_thrown_away(plan: Plan, answer: object) -> Reply:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return Reply(False, "Answer with a number of rows, such as check(1200).")
    removed = _removed(plan)
    # EXPLAIN rounds what one loop threw away, so that a total may be off by half a row
    # for each of them.
    rounded = sum(node.loops for node in plan.nodes if node.rows_removed) / 2
    if abs(answer - removed) <= max(0.5, rounded):
        read = count(plan.rows_read, "row")
        return Reply(True, f"{removed:,} of {read} that were read were thrown away.", plan)
    for value, reason in _mistakes(plan):
        if round(answer) == value:
            return Reply(False, reason)
    word = "too few" if answer < removed else "too many"
    return Reply(False, f"{answer:,.0f} are {word}.")


def _mistakes(plan: Plan) -> Iterator[tuple[int, str]]:
    """Yield what a reader may count instead, each with the reply to it."""
    throwing = [node for node in plan.nodes if node.rows_removed]
    for node in throwing:
        if node.loops > 1:
            yield (
                round(node.rows_removed / node.loops),
                f"So many were thrown away in one loop of {_named(node)}, which ran "
                f"{node.loops:,} times.",
            )
    for node in throwing if len(throwing) > 1 else ():
        yield (
            node.rows_removed,
            f"That is {_named(node)} alone; {count(len(throwing), 'node')} throw rows "
            "away in this plan.",
        )
    yield (
        plan.rows_read,
        f"So many were read, and {count(sum(_kept(plan)), 'row')} of them were kept.",
    )
    yield plan.rows_kept, "So many the statement returned."


def _solve_thrown_away(plan: Plan) -> Solution:
    throwing = [node for node in plan.nodes if node.rows_removed]
    parts = [
        f"{_named(node)} threw {round(node.rows_removed / node.loops):,} away in each of "
        f"{node.loops:,} loops, {node.rows_removed:,} in all"
        if node.loops > 1
        else f"{_named(node)} threw {node.rows_removed:,} away"
        for node in throwing
    ]
    others = tuple((f"{value:,}", reason) for value, reason in _mistakes(plan))
    text = f"{_removed(plan):,} rows: {listed(parts) or 'no node threw any away'}."
    return Solution(text, others=others, plan=plan)


def _removed(plan: Plan) -> int:
    return sum(node.rows_removed for node in plan.nodes)


def _kept(plan: Plan) -> Iterator[int]:
    return (node.rows_kept for node in plan.nodes if node.relation)


def _judge_misjudged(plan: Plan, answer: object) -> Reply:
    wrong, first = _misjudged(plan)
    if answer == 0 and not isinstance(answer, bool):
        if first:
            nodes = count(len(wrong), "node")
            return Reply(False, f"{nodes} are off by ten times or more.")
        return Reply(True, "No estimate is off by ten times or more.", plan)
    node = _node(plan, answer)
    if isinstance(node, Reply):
        return node
    if node in first:
        return Reply(True, f"{_named(node)}: {words_of(plan, node).estimate}.", plan)
    if node in wrong:
        return Reply(
            False,
            f"{_named(node)} is wrong, because what is below it is: "
            f"{words_of(plan, node).estimate}. Look further down.",
        )
    return Reply(False, f"{_named(node)} is not off by ten times: {_expected(node)}.")


def _solve_misjudged(plan: Plan) -> Solution:
    wrong, first = _misjudged(plan)
    if not first:
        return Solution("0: no estimate is off by ten times or more.", plan=plan)
    text = "; ".join(f"{_named(node)}: {_expected(node)}" for node in first)
    others = tuple(
        (_named(node), f"{_expected(node)}, which follows from what is below it")
        for node in wrong
        if node not in first
    )
    fine = tuple(
        (_named(node), f"{_expected(node)}, which is not off by ten times")
        for node in plan.nodes
        if node not in wrong and node.is_executed
    )
    return Solution(f"{text}.", others=others + fine, plan=plan)


def _misjudged(plan: Plan) -> tuple[Collection[PlanNode], Collection[PlanNode]]:
    """Return the nodes whose estimate is wrong, and the lowest of them."""
    wrong = [node for node in plan.nodes if words_of(plan, node).is_misjudged]
    numbers = {node.number for node in wrong}
    first = [
        node
        for node in wrong
        if not any(one.number in numbers for child in node.children for one in child.walk())
    ]
    return wrong, first


def _expected(node: PlanNode) -> str:
    loop = " a loop" if node.loops > 1 else ""
    factor = max(estimate_factor(node), 1 / estimate_factor(node))
    apart = f", {factor:,.0f}× apart" if factor >= _APART else ""
    expected = count(node.planned_rows, "row")
    return f"{expected}{loop} expected, {node['Actual Rows']:,.10g} came{apart}"


def _node(plan: Plan, answer: object) -> PlanNode | Reply:
    """Return the node of a number, or the Reply to an answer that names none."""
    numbers = {node.number: node for node in plan.nodes}
    if isinstance(answer, int) and not isinstance(answer, bool) and answer in numbers:
        return numbers[answer]
    return Reply(
        False,
        f"Answer with the number of a node, from 1 to {len(numbers)}: it stands before "
        "its line.",
    )


def _named(node: PlanNode) -> str:
    return f"Node {node.number} ({node.label})"
