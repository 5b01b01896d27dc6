"""Draw a Plan: as nested, foldable HTML that needs no script, and as terminal text."""

from __future__ import annotations

from html import escape

from fluxlab.plans.plan import Plan, PlanNode

_OPEN_DEPTH = 6


def plan_html(plan: Plan) -> str:
    """Return nested `<details>`, one per node; the bar is the node's share of the time.

    Colours come from the page (`--flux-…`), with values of their own where it has none.
    """
    head = escape(_summary(plan))
    body = _node_html(plan, plan.root, 0)
    return f'<div class="flux-plan"><p>{head}</p><ul>{body}</ul></div>'


def plan_text(plan: Plan) -> str:
    """Return one line per node, indented as EXPLAIN does.

    Rows are read → kept over all loops; the estimate stands beside where it is off by
    ten or more.
    """
    lines = [_summary(plan)]
    stack = [(plan.root, 0)]
    while stack:
        node, depth = stack.pop()
        lines.append("  " * depth + f"→ {node.label}  {_numbers(plan, node)}".rstrip())
        for name, text in node.conditions:
            lines.append("  " * (depth + 1) + f"  {name}: {text}")
        stack.extend((child, depth + 1) for child in reversed(node.children))
    return "\n".join(lines)


def _summary(plan: Plan) -> str:
    if not plan.is_analyzed:
        return "Not executed: shape and estimates only."
    return (
        f"{_count(plan.rows_read, 'row')} read for {plan.rows_kept:,} kept, "
        f"{_count(plan.blocks, 'block')} touched, {plan.execution_ms:,.2f} ms "
        "under EXPLAIN ANALYZE."
    )


def _numbers(plan: Plan, node: PlanNode) -> str:
    if not plan.is_analyzed:
        return f"about {node.planned_rows:,.0f} rows"
    if not node.loops:
        return "never executed"
    rows = f"{node.rows_read:,} → {_count(node.rows_kept, 'row')}"
    loops = f" in {node.loops:,} loops" if node.loops > 1 else ""
    spill = f", {node.spilled_blocks:,} blocks spilled" if node.spilled_blocks else ""
    return (
        f"{rows}{loops}{_estimate(node)}, {_count(node.own_blocks, 'block')}, "
        f"{node.own_time_ms:,.2f} ms{spill}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _estimate(node: PlanNode) -> str:
    expected, found = max(node.planned_rows, 1.0), max(node.rows_kept / node.loops, 1.0)
    if max(expected / found, found / expected) < 10:
        return ""
    return f" (estimated {node.planned_rows:,.0f} a loop)"


def _node_html(plan: Plan, node: PlanNode, depth: int) -> str:
    total_ms = max(sum(one.own_time_ms for one in plan.walk()), 1e-9)
    share = node.own_time_ms / total_ms if plan.is_analyzed else 0.0
    bar = (
        f'<span class="flux-bar" title="{share:.0%} of the time" '
        'style="display:inline-block;'
        f"width:6em;height:.6em;margin-right:.5em;background:linear-gradient(to right,"
        f"var(--flux-after,#0072B2) {share:.1%},rgba(128,128,128,.25) {share:.1%})"
        '"></span>'
    )
    conditions = "".join(
        f"<div><small>{escape(name)}: <code>{escape(text)}</code></small></div>"
        for name, text in node.conditions
    )
    children = "".join(_node_html(plan, child, depth + 1) for child in node.children)
    below = f"<ul>{children}</ul>" if children else ""
    opened = " open" if depth < _OPEN_DEPTH else ""
    return (
        f"<li><details{opened}><summary>{bar}<strong>{escape(node.label)}</strong> "
        f"<small>{escape(_numbers(plan, node))}</small></summary>{conditions}</details>"
        f"{below}</li>"
    )
