"""The icicle of a plan: every node as wide as its share, with those below it beneath."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Literal

import plotly.graph_objects as go

from fluxlab.book import charts
from fluxlab.book.charts import AFTER, BEFORE
from fluxlab.errors import FluxlabError
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.views.words import count, show_ms, show_share, words_of

By = Literal["time", "blocks"]

_LEVEL_PX = 46
#: Ink on the house's blue and on its grey, 5.2:1 and 6.5:1.
_INK = {AFTER: "#ffffff", BEFORE: "#000000"}


def icicle(plan: Plan, by: By = "time") -> go.Figure:
    """Draw what each node took by itself, of the time or of the blocks.

    A node is as wide as it and all below it took; what is not covered by its children
    is its own. The one that took most by itself is blue and says "most". Raises
    FluxlabError for a plan that was not executed, or not timed.

    >>> from fluxlab.plans.reading import read_plan
    >>> scan = {"Node Type": "Seq Scan", "Actual Loops": 1, "Shared Hit Blocks": 8}
    >>> icicle(read_plan({"Plan": scan}), by="blocks").layout.title.text
    'Seq Scan touches all 8 blocks'
    """
    own = {node.number: _own(node, by) for node in plan.nodes}
    whole = _whole(plan, by)
    if not any(own.values()):
        raise FluxlabError(
            f"This plan says nothing of the {by} of its nodes.",
            "Take one of EXPLAIN (ANALYZE, BUFFERS), with TIMING on for the time.",
        )
    most = max(plan.nodes, key=lambda node: own[node.number])
    # What takes no part of the whole has no width.
    drawn = [node for node in plan.nodes if sum(own[one.number] for one in node.walk()) > 0]
    texts = [_text(own[node.number], whole, by, node is most) for node in drawn]
    figure = go.Figure(_trace(plan, drawn, most, [own[node.number] for node in drawn]))
    figure.update_traces(text=texts)
    charts.finish(
        figure,
        _title(most, own[most.number], whole, by),
        height_px=_LEVEL_PX * _levels(plan, drawn) + 120,
    )
    figure.update_layout(
        margin={"l": 10, "r": 10, "b": 20}, uniformtext={"minsize": 10, "mode": "hide"}
    )
    return figure


def _trace(
    plan: Plan, drawn: Sequence[PlanNode], most: PlanNode, own: Sequence[float]
) -> go.Icicle:
    colours = [AFTER if node is most else BEFORE for node in drawn]
    inks = [_INK[colour] for colour in colours]
    return go.Icicle(
        ids=[str(node.number) for node in drawn],
        labels=[_escaped(node.label) for node in drawn],
        parents=[_above(plan, node) for node in drawn],
        values=own,
        branchvalues="remainder",
        customdata=[_hover(plan, node) for node in drawn],
        texttemplate="%{label}<br>%{text}",
        hovertemplate="%{customdata}<extra></extra>",
        marker={"colors": colours, "line": {"width": 1, "color": "#ffffff"}},
        insidetextfont={"color": inks},
        outsidetextfont={"color": inks},
        tiling={"orientation": "v"},
        leaf={"opacity": 1},
        pathbar={"visible": False},
        sort=False,
        root={"color": "rgba(0,0,0,0)"},
    )


def _own(node: PlanNode, by: By) -> float:
    return node.own_time_ms if by == "time" else float(node.own_blocks)


def _above(plan: Plan, node: PlanNode) -> str:
    above = plan.parents.get(node.number)
    return str(above.number) if above else ""


def _levels(plan: Plan, drawn: list[PlanNode]) -> int:
    depth = {plan.root.number: 1}
    for node in drawn[1:]:
        depth[node.number] = depth[plan.parents[node.number].number] + 1
    return max(depth.values())


def _amount(amount: float, by: By) -> str:
    return show_ms(amount) if by == "time" else count(amount, "block")


def _text(own: float, whole: float, by: By, is_most: bool) -> str:
    most = ", most" if is_most else ""
    return f"{_amount(own, by)}, {show_share(own / whole)}{most}"


def _hover(plan: Plan, node: PlanNode) -> str:
    total = f"with all below: {show_ms(node.time_ms)}, {count(node.blocks, 'block')}"
    return (
        f"<b>{_escaped(node.label)}</b> (node {node.number})<br>"
        f"{words_of(plan, node)}<br>{total}"
    )


def _escaped(text: str) -> str:
    """Plotly reads labels and hover texts as a little HTML."""
    return escape(text, quote=False)


def _title(most: PlanNode, amount: float, whole: float, by: By) -> str:
    name = _escaped(most.label)
    verb = "takes" if by == "time" else "touches"
    if amount == whole:
        return f"{name} {verb} all {_amount(whole, by)}"
    return f"{name} {verb} {show_share(amount / whole)} of the {_amount(whole, by)}"


def _whole(plan: Plan, by: By) -> float:
    """Return what shares are of: all blocks, or the time of the execution."""
    own = sum(_own(node, by) for node in plan.nodes)
    return max(own, plan.execution_ms) if by == "time" else own
