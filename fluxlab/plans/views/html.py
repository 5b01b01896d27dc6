"""Draw a Plan as nested, foldable HTML that needs no script; as text in `terminal_view`.

A bar shows what a node took by itself, and the words beside it say the same. Marks and
words carry what colour carries. There are no headings, because a plan cannot know at
which level of its page it stands: folded parts are named by their summaries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

from fluxlab.plans.findings import WEIGHTS, Finding, Weight
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.views.terminal import plan_text
from fluxlab.plans.views.words import (
    Scale,
    Total,
    by_index,
    by_kind,
    by_table,
    certainty,
    count,
    extras,
    of_nodes,
    sentence,
    show_ms,
    show_share,
    words_of,
)

__all__ = ["finding_html", "plan_html", "plan_text"]

#: A plan of more nodes starts with its deep levels closed.
_OPEN_NODES = 60
_OPEN_DEPTH = 4
#: What is closed at first has no node with a larger share, and no heavy Finding.
_CLOSED_SHARE = 0.05

_MARKS: dict[Weight, str] = {"high": "◆", "medium": "◇", "low": "○", "note": "□"}

#: Colours come from the book's page, or are shades of the page's own ink, which are right
#: on light and on dark paper: JupyterLab's own greys leave too little contrast to the
#: house colours. A class said three times outweighs JupyterLab's rules for what it shows.
_STYLE = """<style>
.flux-plan {
  --plan-quiet: var(--flux-quiet, color-mix(in srgb, currentColor 70%, transparent));
  --plan-line: var(--flux-line, color-mix(in srgb, currentColor 25%, transparent));
  --plan-panel: var(--flux-panel, color-mix(in srgb, currentColor 6%, transparent));
  --plan-after: var(--flux-after, #0072b2);
  --plan-worse: var(--flux-worse, #d55e00);
  --plan-before: var(--flux-before, #8a8f98);
  --plan-mono: var(--flux-mono, var(--jp-code-font-family, ui-monospace, monospace));
  container-type: inline-size; font-size: .95em; line-height: 1.45;
  overflow-wrap: anywhere; position: relative;
}
.flux-plan p { margin: .3em 0; max-width: 60em; }
.flux-plan ul.plan-tree, .flux-plan .plan-tree ul, .flux-plan ul.plan-findings {
  list-style: none; margin: 0; max-width: none; padding: 0;
}
.flux-plan ul.plan-tree { margin-top: .5em; padding-left: 8.5em; }
.flux-plan ul.plan-plain { padding-left: 0; }
.flux-plan .plan-tree li { margin: 0; padding: 0; }
.flux-plan .plan-tree details > ul:not(.plan-findings) {
  border-left: 1px solid var(--plan-line); margin-left: .35em; padding-left: 1em;
}
.flux-plan details { border: 0; margin: .15em 0; padding: 0; }
.flux-plan summary { cursor: pointer; margin: 0; padding: .1em .2em; }
.flux-plan summary:hover { background: var(--plan-panel); }
.flux-plan summary:focus-visible { outline: 3px solid var(--plan-after); }
.flux-plan .plan-gutter {
  display: inline-flex; gap: .5em; left: 0; position: absolute; width: 8em;
}
.flux-plan .plan-share { text-align: right; width: 3.2em; white-space: nowrap; }
.flux-plan .plan-bar {
  align-self: center; border: 1px solid var(--plan-line); flex: 1; height: .6em;
  background: linear-gradient(to right, var(--plan-after)
    calc(var(--share) * 100%), transparent 0) padding-box no-repeat;
}
.flux-plan .plan-quiet, .flux-plan .plan-never { color: var(--plan-quiet); }
.flux-plan .plan-never .plan-quiet, .flux-plan .plan-never .plan-number { color: inherit; }
.flux-plan .plan-number { color: var(--plan-quiet); font-size: .85em; }
.flux-plan .plan-words { white-space: normal; }
.flux-plan .plan-off { text-decoration: underline dotted var(--plan-worse) 2px; }
.flux-plan .plan-facts { font-size: .88em; margin: 0 0 .2em 1.4em; }
.flux-plan .plan-facts p { margin: 0; max-width: none; }
.flux-plan.flux-plan.flux-plan code {
  background: none; border: 0; color: inherit; font-family: var(--plan-mono);
  font-size: .94em; overflow-wrap: anywhere; padding: 0;
}
.flux-plan .plan-findings > li {
  border-left: .3em solid var(--plan-colour, var(--plan-before));
  background: var(--plan-panel); margin: .35em 0 .5em; padding: .3em .7em;
}
.flux-plan .plan-tree .plan-findings > li { margin-left: 1.4em; padding: .3em .7em; }
.flux-plan .plan-high, .flux-plan .plan-medium { --plan-colour: var(--plan-worse); }
.flux-plan .plan-low { --plan-colour: var(--plan-after); }
.flux-plan .plan-weight {
  border: 1px solid var(--plan-colour, var(--plan-before)); border-radius: .2em;
  font-size: .85em; padding: 0 .35em; white-space: nowrap;
}
.flux-plan .plan-mark { color: var(--plan-colour, var(--plan-before)); }
.flux-plan.flux-plan.flux-plan pre {
  background: none; border: 1px solid var(--plan-line); color: inherit; margin: .3em 0;
  padding: .35em .6em; white-space: pre-wrap;
}
.flux-plan table { border-collapse: collapse; font-size: .9em; margin: .6em 0; }
.flux-plan caption { font-weight: 600; text-align: left; }
.flux-plan th, .flux-plan td {
  border-bottom: 1px solid var(--plan-line); padding: .15em .6em;
  text-align: right; vertical-align: top; white-space: nowrap;
}
.flux-plan th:first-child { font-weight: 400; text-align: left; white-space: normal; }
.flux-plan .plan-hidden {
  clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; width: 1px;
  white-space: nowrap;
}
@container (max-width: 36em) {
  .flux-plan ul.plan-tree { padding-left: 0; }
  .flux-plan .plan-gutter { position: static; width: 6.5em; }
  .flux-plan .plan-share { width: 2.9em; }
  .flux-plan .plan-tree details > ul:not(.plan-findings) {
    margin-left: .2em; padding-left: .5em;
  }
  .flux-plan .plan-facts, .flux-plan .plan-tree .plan-findings > li { margin-left: .6em; }
  .flux-plan th, .flux-plan td { padding: .15em .3em; }
}
</style>"""


def plan_html(plan: Plan, findings: Iterable[Finding] = ()) -> str:
    """Return nested `<details>`, one per node, with its Findings beside it.

    Findings of the whole plan stand on top, totals per table, index and kind of node at
    the end. All is open, but the deep levels of a plan with more than 60 nodes.

    >>> from fluxlab.plans.reading import read_plan
    >>> plan = read_plan('{"Plan": {"Node Type": "Result"}}')
    >>> "<strong>Result</strong>" in plan_html(plan)
    True
    """
    drawn = _Drawn(plan, of_nodes(findings))
    name = f"Query plan, {count(len(plan.nodes), 'node')}"
    return (
        f'<div class="flux-plan" role="group" aria-label="{name}">{_STYLE}'
        f"<p>{_prose(sentence(plan))}</p>{_overview(drawn)}"
        f"{_findings(drawn.findings.get(None, ()))}{_tree(drawn)}{_totals(plan)}</div>"
    )


def finding_html(finding: Finding) -> str:
    """Return a Finding that stands alone: its weight, what it says, and the fix.

    >>> from fluxlab.plans import Finding
    >>> shown = finding_html(Finding("R23", "A sort on disk", 2, "It did not fit.",
    ...     "Give it more work_mem.", "high", "sure", fix="set local work_mem = '16MB';"))
    >>> "It did not fit." in shown, "16MB" in shown
    (True, True)
    """
    place = f", node {finding.node}" if finding.node else ""
    return (
        f'<div class="flux-plan" role="group" aria-label="Finding{place}">{_STYLE}'
        f"{_findings([finding])}</div>"
    )


@dataclass(frozen=True)
class _Drawn:
    """A plan that is being drawn, and what all of its nodes need."""

    plan: Plan
    findings: dict[int | None, list[Finding]]

    @cached_property
    def scale(self) -> Scale:
        return Scale.of(self.plan)

    @cached_property
    def open_nodes(self) -> frozenset[int]:
        """The numbers of the nodes that start open."""
        plan = self.plan
        if len(plan.nodes) <= _OPEN_NODES:
            return frozenset(node.number for node in plan.nodes)
        depth = {plan.root.number: 0}
        wanted = set()
        for node in plan.nodes:
            above = plan.parents.get(node.number)
            if above is not None:
                depth[node.number] = depth[above.number] + 1
            if depth[node.number] < _OPEN_DEPTH or self._is_notable(node):
                while above is not None and above.number not in wanted:
                    wanted.add(above.number)
                    above = plan.parents.get(above.number)
                wanted |= {node.number} if self.findings.get(node.number) else set()
        return frozenset(wanted)

    @cached_property
    def sizes(self) -> dict[int, int]:
        """How many nodes each node is, with all below it, by its number."""
        found: dict[int, int] = {}
        for node in reversed(self.plan.nodes):
            found[node.number] = 1 + sum(found[one.number] for one in node.children)
        return found

    def _is_notable(self, node: PlanNode) -> bool:
        found = self.findings.get(node.number, ())
        is_heavy = any(one.weight in ("high", "medium") for one in found)
        return is_heavy or self.scale.share(node) >= _CLOSED_SHARE


def _prose(text: str) -> str:
    """Escape a sentence, and keep a number and its percent sign on one line."""
    return escape(text).replace(" %", "&nbsp;%")


def _overview(drawn: _Drawn) -> str:
    """Say how many Findings of which weight there are, and at which nodes."""
    found = [one for several in drawn.findings.values() for one in several]
    if not found:
        return ""
    parts = []
    for weight in WEIGHTS:
        places = [one.node for one in found if one.weight == weight]
        if places:
            numbers = sorted({place for place in places if place is not None})
            where = f" (node {', '.join(map(str, numbers))})" if numbers else ""
            parts.append(f"{len(places)} {weight}{where}")
    return f"<p>{count(len(found), 'finding')}: {escape('; '.join(parts))}.</p>"


def _tree(drawn: _Drawn) -> str:
    """Draw the nodes without recursion: a plan may be deeper than Python's stack."""
    css = "plan-tree" + (" plan-plain" if drawn.scale.unit == "nothing" else "")
    parts = [f'<ul class="{css}" aria-label="Nodes, each with those below it">']
    stack: list[PlanNode | str] = [drawn.plan.root]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            parts.append(one)
            continue
        body = _facts(one) + _findings(drawn.findings.get(one.number, ()))
        below = bool(one.children)
        parts.append(_opening(drawn, one, is_foldable=bool(body) or below))
        parts += [body, "<ul>"] if below else [body]
        stack.append("</details></li>" if body or below else "</div></li>")
        stack += ["</ul>", *reversed(one.children)] if below else []
    return "".join([*parts, "</ul>"])


def _opening(drawn: _Drawn, node: PlanNode, *, is_foldable: bool) -> str:
    plan = drawn.plan
    is_idle = plan.is_analyzed and not node.is_executed
    line = (
        f'{_gutter(drawn, node)}<span class="plan-number">'
        f'<span class="plan-hidden">node </span>{node.number}</span> '
        f"{_subplan(node)}<strong>{escape(node.label)}</strong> "
        f"{_tags(drawn.findings.get(node.number, ()))}{_words(plan, node)}"
    )
    item = '<li class="plan-never">' if is_idle else "<li>"
    if not is_foldable:
        return f"{item}<div>{line}"
    if node.number in drawn.open_nodes:
        return f"{item}<details open><summary>{line}</summary>"
    hidden = drawn.sizes[node.number] - 1
    inside = f' <span class="plan-quiet">({count(hidden, "node")} below)</span>'
    return f"{item}<details><summary>{line}{inside if hidden else ''}</summary>"


def _gutter(drawn: _Drawn, node: PlanNode) -> str:
    scale = drawn.scale
    if scale.unit == "nothing":
        return ""
    share = scale.share(node)
    return (
        f'<span class="plan-gutter"><span class="plan-share">{show_share(share)}'
        f'<span class="plan-hidden"> of the {scale.unit}, </span></span>'
        f'<span class="plan-bar" style="--share:{share:.3f}" aria-hidden="true"></span>'
        "</span> "
    )


def _subplan(node: PlanNode) -> str:
    name = node.text("Subplan Name")
    return f'<span class="plan-weight">{escape(name)}</span> ' if name else ""


def _tags(findings: Sequence[Finding]) -> str:
    weights = dict.fromkeys(one.weight for one in findings)
    return "".join(f"{_weight(weight)} " for weight in weights)


def _weight(weight: Weight) -> str:
    return (
        f'<span class="plan-weight plan-{weight}"><span class="plan-mark" '
        f'aria-hidden="true">{_MARKS[weight]}</span> {weight}</span>'
    )


def _words(plan: Plan, node: PlanNode) -> str:
    words = words_of(plan, node)
    parts = [escape(f"{words.rows} {words.loops}".strip())]
    for text, css in (
        (words.estimate, "plan-off" if words.is_misjudged else ""),
        (words.blocks, ""),
        (words.time, ""),
        (words.spill, "plan-off"),
    ):
        if text:
            shown = escape(text)
            parts.append(f'<span class="{css}">{shown}</span>' if css else shown)
    return f'<span class="plan-words">{", ".join(parts)}</span>'


def _facts(node: PlanNode) -> str:
    lines = [
        f"{escape(name)}: <code>{escape(text)}</code>" for name, text in node.conditions
    ]
    if more := "; ".join(f"{name}: {value}" for name, value in extras(node)):
        lines.append(escape(more))
    if node.children and node.is_executed and (node.blocks or node.time_ms):
        parts = [show_ms(node.time_ms)] if node.time_ms else []
        parts += [count(node.blocks, "block")] if node.blocks else []
        lines.append(f'<span class="plan-quiet">with all below: {", ".join(parts)}</span>')
    if not lines:
        return ""
    return f'<div class="plan-facts">{"".join(f"<p>{line}</p>" for line in lines)}</div>'


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    return f'<ul class="plan-findings">{"".join(map(_finding, findings))}</ul>'


def _finding(one: Finding) -> str:
    fix = f"<pre><code>{escape(one.fix)}</code></pre>" if one.fix else ""
    return (
        f'<li class="plan-{one.weight}"><p>{_weight(one.weight)} '
        f"{escape(one.sentence)}</p><p>{escape(one.advice)} "
        f'<span class="plan-quiet">({escape(certainty(one))})</span></p>{fix}</li>'
    )


def _totals(plan: Plan) -> str:
    if not plan.is_analyzed:
        return ""
    tables = (
        ("Per table", "no table", by_table(plan)),
        ("Per index", "no index", by_index(plan)),
        ("Per kind of node", "none", by_kind(plan)),
    )
    drawn = "".join(_table(plan, *one) for one in tables)
    return (
        "<details><summary>Totals per table, per index and per kind of node</summary>"
        f"{drawn}{_triggers(plan)}</details>"
    )


def _table(plan: Plan, caption: str, nameless: str, totals: Sequence[Total]) -> str:
    whole_ms = plan.execution_ms or 1.0
    rows = [
        (
            one.name or nameless,
            f"{one.nodes:,}",
            f"{one.rows_read:,} → {one.rows_kept:,}",
            f"{one.blocks:,}",
            f"{show_ms(one.time_ms)} ({show_share(min(1.0, one.time_ms / whole_ms))})"
            if plan.is_timed
            else "not timed",
        )
        for one in totals
    ]
    heads = ("", "nodes", "rows read → kept", "blocks", "own time")
    return _grid(caption, heads, rows)


def _triggers(plan: Plan) -> str:
    rows = [(one.name, f"{one.calls:,}", show_ms(one.time_ms)) for one in plan.triggers]
    return _grid("Triggers", ("", "calls", "time"), rows) if rows else ""


def _grid(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(one) or "name"}</th>' for one in heads)
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(_rows(rows))}</tbody></table>"
    )


def _rows(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        yield f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
