"""Draw a Plan in a terminal: in colour with rich, or as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from fluxlab.plans.findings import Finding, Weight
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.views.words import (
    NodeWords,
    Scale,
    certainty,
    extras,
    of_nodes,
    sentence,
    show_share,
    words_of,
)

#: A mark, a word and a style for each weight; the word alone is enough.
_STYLES: dict[Weight, tuple[str, str]] = {
    "high": ("◆", "bold red"),
    "medium": ("◇", "yellow"),
    "low": ("○", "cyan"),
    "note": ("□", "dim"),
}
_BAR_COLUMNS = 8
#: Deeper levels stand no further right, so that 80 columns hold any plan.
_DEEPEST_INDENT = 40
#: However narrow the terminal is, a word or two stand on a line.
_LEAST_ROOM = 16


def plan_text(plan: Plan, findings: Iterable[Finding] = ()) -> str:
    """Return one line per node, indented as EXPLAIN does, as plain text.

    Rows are read → kept over all loops; the estimate stands beside where it is off by
    ten or more. Findings stand below their node.

    >>> from fluxlab.plans.reading import read_plan
    >>> scan = {"Node Type": "Seq Scan", "Relation Name": "users", "Plan Rows": 5}
    >>> print(plan_text(read_plan({"Plan": scan})))
    Not executed: shape and estimates only. The planner expects 5 rows.
    → Seq Scan on users  about 5 rows
    """
    by_node = of_nodes(findings)
    lines = [sentence(plan), *_finding_lines(by_node.get(None, ()), "")]
    for node, depth in in_depth(plan):
        indent = "  " * depth
        lines.append(f"{indent}→ {name_of(node)}  {words_of(plan, node)}".rstrip())
        lines += [f"{indent}    {name}: {text}" for name, text in node.conditions]
        lines += _finding_lines(by_node.get(node.number, ()), f"{indent}    ")
    return "\n".join(lines)


def _finding_lines(findings: Iterable[Finding], indent: str) -> Iterator[str]:
    for one in findings:
        yield f"{indent}{one.weight}: {one.sentence}"
        yield f"{indent}  " + f"{one.advice} ({certainty(one)})".strip()
        if one.fix:
            yield from (f"{indent}  {line}" for line in one.fix.splitlines())


def in_depth(plan: Plan) -> Iterator[tuple[PlanNode, int]]:
    """Yield every node with its depth, parents first; the root has depth 0."""
    stack = [(plan.root, 0)]
    while stack:
        node, depth = stack.pop()
        yield node, depth
        stack.extend((child, depth + 1) for child in reversed(node.children))


def name_of(node: PlanNode) -> str:
    """Return the label of a node, behind the name of the subplan that it begins."""
    subplan = node.text("Subplan Name")
    return f"{subplan}: {node.label}" if subplan else node.label


def plan_tree(plan: Plan, findings: Iterable[Finding] = ()) -> RenderableType:
    """Return what `rich.console.Console.print` draws: a bar, the node, its findings.

    The bar is the node's share of the time by itself, of the blocks where nothing was
    timed. Colour repeats what a word says; 80 columns are enough.

    >>> from fluxlab.plans import read_plan
    >>> plan = read_plan({"Plan": {"Node Type": "Result", "Plan Rows": 1}})
    >>> Console(width=72).print(plan_tree(plan))
    Not executed: shape and estimates only. The planner expects 1 row.
    → Result  about 1 row
    """
    return _Tree(plan, of_nodes(findings), Scale.of(plan))


@dataclass(frozen=True, slots=True)
class _Tree:
    """What rich draws, wrapped by ourselves: a table of 500 rows takes it too long."""

    plan: Plan
    findings: Mapping[int | None, Sequence[Finding]]
    scale: Scale

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        head = [Text(sentence(self.plan))]
        for one in self.findings.get(None, ()):
            head += _finding_lines_of(one)
        has_bars = self.scale.unit != "nothing"
        if has_bars:
            head.append(Text(f"share of the {self.scale.unit}, by itself", style="dim"))
        for line in head:
            yield from _wrapped(console, line, (), 0, width)
        for node, depth in in_depth(self.plan):
            indent = min(2 * depth, _DEEPEST_INDENT)
            bar = _bar(self.scale.share(node)) if has_bars else ()
            column = indent + sum(len(part.text) for part in bar)
            first, *rest = _node_lines(self.plan, node, self.findings.get(node.number, ()))
            yield from _wrapped(
                console, first, (*bar, Segment(" " * indent)), column, width
            )
            # Only the first line has the bar; what belongs to it stands further in.
            for line in rest:
                blank = Segment(" " * (column + 2))
                yield from _wrapped(console, line, (blank,), column + 2, width)


def _wrapped(
    console: Console, line: Text, begin: Sequence[Segment], column: int, width: int
) -> Iterator[Segment]:
    """Yield the lines of a paragraph from a column on, all but the first further in."""
    room = max(_LEAST_ROOM, width - column - 2)
    parts = [line] if line.cell_len <= room else line.wrap(console, room)
    blank = (Segment(" " * (column + 2)),)
    for number, part in enumerate(parts):
        part.rstrip()
        yield from blank if number else begin
        yield from part.render(console, end="\n")


def _bar(share: float) -> tuple[Segment, ...]:
    filled = round(share * _BAR_COLUMNS)
    return (
        Segment(f"{show_share(share):>5} "),
        Segment("█" * filled, Style.parse("blue")),
        Segment("─" * (_BAR_COLUMNS - filled), Style.parse("dim")),
        Segment(" "),
    )


def _node_lines(plan: Plan, node: PlanNode, findings: Sequence[Finding]) -> Iterator[Text]:
    is_idle = plan.is_analyzed and not node.is_executed
    first = Text("→ ", style="dim" if is_idle else "")
    first.append(name_of(node), style="" if is_idle else "bold")
    first.append("  ")
    first.append_text(_coloured(words_of(plan, node)))
    yield first
    for name, condition in node.conditions:
        yield Text(f"{name}: {condition}", style="dim")
    if more := "; ".join(f"{name}: {value}" for name, value in extras(node)):
        yield Text(more, style="dim")
    for one in findings:
        yield from _finding_lines_of(one)


def _coloured(words: NodeWords) -> Text:
    parts = [Text(f"{words.rows} {words.loops}".strip())]
    style = "yellow" if words.is_misjudged else ""
    parts += [Text(words.estimate, style=style)] if words.estimate else []
    parts += [Text(part) for part in (words.blocks, words.time) if part]
    parts += [Text(words.spill, style="yellow")] if words.spill else []
    return Text(", ").join(parts)


def _finding_lines_of(one: Finding) -> Iterator[Text]:
    mark, style = _STYLES[one.weight]
    first = Text.assemble((f"{mark} {one.weight}: ", style), one.sentence)
    first.append(f" {one.advice}" if one.advice else "")
    first.append(f" ({certainty(one)})", style="dim")
    yield first
    for line in (one.fix or "").splitlines():
        yield Text(f"  {line}", style="bold")
