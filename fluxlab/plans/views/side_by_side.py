"""Draw a PlanDiff: both plans side by side as HTML, one below the other as text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from fluxlab.plans.differences import Change, NodePair, PlanDiff, depths
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.views.terminal import name_of
from fluxlab.plans.views.words import sentence, words_of

#: A mark for each word; the word always stands beside it.
MARKS: dict[Change, str] = {"same": "=", "changed": "≠", "gone": "−", "new": "+"}
#: Deeper levels stand no further right.
_DEEPEST_INDENT = 12

_STYLE = """<style>
.flux-diff {
  --diff-quiet: var(--flux-quiet, color-mix(in srgb, currentColor 70%, transparent));
  --diff-line: var(--flux-line, color-mix(in srgb, currentColor 25%, transparent));
  --diff-panel: var(--flux-panel, color-mix(in srgb, currentColor 6%, transparent));
  --diff-before: var(--flux-before, #8a8f98);
  --diff-after: var(--flux-after, #0072b2);
  --diff-mono: var(--flux-mono, var(--jp-code-font-family, ui-monospace, monospace));
  container-type: inline-size; font-size: .95em; line-height: 1.45;
  overflow-wrap: anywhere;
}
.flux-diff p { margin: .3em 0; max-width: none; }
.flux-diff .diff-said { font-weight: 600; }
/* Said so often, a class outweighs JupyterLab's rules for the lists that it shows. */
.flux-diff.flux-diff.flux-diff.flux-diff ol {
  list-style: none; margin: .6em 0 0; max-width: none; padding: 0;
}
.flux-diff .diff-grid {
  display: grid; gap: 0 1em; grid-template-columns: 6.5em minmax(0, 1fr) minmax(0, 1fr);
}
.flux-diff li.diff-grid {
  border-top: 1px solid var(--diff-line); margin: 0; padding: .35em 0;
}
.flux-diff div.diff-grid { color: var(--diff-quiet); margin-top: .8em; }
.flux-diff .diff-side { padding-left: calc(var(--depth, 0) * .9em); }
.flux-diff .diff-words { color: var(--diff-quiet); display: block; font-size: .9em; }
.flux-diff .diff-what { font-size: .9em; grid-column: 2 / -1; margin-top: .15em; }
.flux-diff.flux-diff.flux-diff code {
  background: none; border: 0; color: inherit; font-family: var(--diff-mono);
  font-size: .94em; overflow-wrap: anywhere; padding: 0;
}
.flux-diff .diff-mark {
  display: inline-block; font-weight: 700; text-align: center; width: 1.2em;
}
.flux-diff .diff-same { color: var(--diff-quiet); }
.flux-diff .diff-same .diff-words, .flux-diff .diff-same .diff-state { color: inherit; }
.flux-diff .diff-gone { background: linear-gradient(to right, var(--diff-before) .3em,
  var(--diff-panel) 0); }
.flux-diff .diff-new { background: linear-gradient(to right, var(--diff-after) .3em,
  var(--diff-panel) 0); }
.flux-diff .diff-change { padding-left: .6em; }
.flux-diff .diff-state { color: var(--diff-quiet); font-size: .85em; }
.flux-diff .diff-hidden {
  clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; width: 1px;
  white-space: nowrap;
}
@container (min-width: 44.01em) {
  .flux-diff .diff-state { clip-path: inset(50%); height: 1px; overflow: hidden;
    position: absolute; width: 1px; }
}
@container (max-width: 44em) {
  .flux-diff .diff-grid { grid-template-columns: minmax(0, 1fr); gap: .1em 0; }
  .flux-diff div.diff-grid { display: none; }
  .flux-diff .diff-what { grid-column: 1; }
  .flux-diff .diff-side, .flux-diff .diff-what { margin-left: .6em; }
  .flux-diff .diff-none, .flux-diff .diff-same .diff-after { display: none; }
}
</style>"""


def diff_html(found: PlanDiff) -> str:
    """Return both plans as one list: side by side on a wide page, else stacked.

    >>> from fluxlab.plans.differences import diff
    >>> from fluxlab.plans.reading import read_plan
    >>> plan = read_plan('{"Plan": {"Node Type": "Result"}}')
    >>> "The plans are the same." in diff_html(diff(plan, plan))
    True
    """
    before, after = depths(found.before), depths(found.after)
    rows = "".join(_row(found, pair, before, after) for pair in found.pairs)
    return (
        '<div class="flux-diff" role="group" aria-label="Two query plans compared">'
        f'{_STYLE}<p class="diff-said">{escape(found.sentence)}</p>'
        f"<p>Before: {escape(sentence(found.before))}</p>"
        f"<p>After: {escape(sentence(found.after))}</p>"
        '<div class="diff-grid" aria-hidden="true"><span></span><span>before</span>'
        f'<span>after</span></div><ol aria-label="Nodes of both plans">{rows}</ol></div>'
    )


def _row(
    found: PlanDiff, pair: NodePair, before: Mapping[int, int], after: Mapping[int, int]
) -> str:
    what = "; ".join(pair.differences)
    # Where both are the same, a narrow page shows the first only.
    first = "both" if pair.change == "same" else "before"
    changed = f'<div class="diff-what">{escape(what)}</div>' if what else ""
    return (
        f'<li class="diff-grid diff-{pair.change}"><div class="diff-change">'
        f'<span class="diff-mark" aria-hidden="true">{MARKS[pair.change]}</span> '
        f"{pair.change}</div>{_side(first, found.before, pair.before, before)}"
        f"{_side('after', found.after, pair.after, after)}{changed}</li>"
    )


def _side(word: str, plan: Plan, node: PlanNode | None, depth: Mapping[int, int]) -> str:
    if node is None:
        return '<div class="diff-none"></div>'
    indent = min(depth[node.number], _DEEPEST_INDENT)
    conditions = "".join(
        f'<span class="diff-words">{escape(name)}: <code>{escape(text)}</code></span>'
        for name, text in node.conditions
    )
    return (
        f'<div class="diff-side diff-{word}" style="--depth:{indent}">'
        f'<span class="diff-state">{word}: </span><strong>{escape(name_of(node))}</strong> '
        f'<span class="diff-words">{escape(str(words_of(plan, node)))}</span>'
        f"{conditions}</div>"
    )


def diff_text(found: PlanDiff) -> str:
    """Return the sentence, and one line per node and plan: same, changed, gone, new.

    >>> from fluxlab.plans.differences import diff
    >>> from fluxlab.plans.reading import read_plan
    >>> plan = read_plan('{"Plan": {"Node Type": "Result", "Plan Rows": 1}}')
    >>> print(diff_text(diff(plan, plan)))
    The plans are the same.
    = same     → Result  about 1 row
    """
    before, after = depths(found.before), depths(found.after)
    lines = [found.sentence]
    for pair in found.pairs:
        mark = f"{MARKS[pair.change]} {pair.change:<8}"
        # A pair that is the same stands once, as it is after.
        sides = [] if pair.change == "same" else [(found.before, pair.before, before)]
        for plan, node, depth in [*sides, (found.after, pair.after, after)]:
            if node is not None:
                indent = "  " * min(depth[node.number], _DEEPEST_INDENT)
                lines.append(f"{mark} {indent}→ {name_of(node)}  {words_of(plan, node)}")
                mark = f"{'after' if pair.change == 'changed' else '':>10}"
        lines += [f"{'':>10}   {text}" for text in pair.differences]
    return "\n".join(line.rstrip() for line in lines)
