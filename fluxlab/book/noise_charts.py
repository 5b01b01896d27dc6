"""The figures of how we measured: what this machine can see, and what misleads it.

Colours and marks are those of `charts`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import plotly.graph_objects as go

from fluxlab.book.charts import (
    AFTER,
    BEFORE,
    MS_LABELS,
    MS_TICKS,
    WORSE,
    finish,
    marker,
)
from fluxlab.workload.change import Change
from fluxlab.workload.compare import Comparison
from fluxlab.workload.luck import Stopping, lucky_counts
from fluxlab.workload.noise import NoiseFloor
from fluxlab.workload.stats import MARGIN
from fluxlab.workload.traps import Placement

#: Ratios beyond this are drawn at the edge of the chart, as a triangle.
_WIDEST = 2.0
_RATIOS = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 2.0)
_FEW_RATIOS = (0.5, 0.7, 1.0, 1.4, 2.0)
#: A quarter to four, in steps of about 7 %, with the margin among the edges.
_EDGES = tuple(MARGIN ** (0.5 * step) for step in range(-23, 24, 2))


def noise(control: Comparison, floor: NoiseFloor, title: str) -> go.Figure:
    """Draw every A/A pair by latency and ratio, with what can be called as steps."""
    known = [one for one in control if not one.speedup.is_bound]
    figure = go.Figure()
    _add_floor(figure, floor, known)
    called = [one for one in known if one.outcome in ("faster", "slower")]
    others = [one for one in known if one not in called]
    groups = (
        ("A/A pair", "circle-open", BEFORE, 6, [one for one in others if _is_in(one)]),
        (
            "off the chart",
            "triangle-up-open",
            BEFORE,
            9,
            [one for one in others if not _is_in(one)],
        ),
        ("called, falsely", "diamond", WORSE, 9, called),
    )
    for name, symbol, colour, size, changes in groups:
        if changes:
            _add_pairs(figure, changes, f"{name} ({len(changes)})", symbol, colour, size)
    finish(figure, title, height_px=440)
    # Four names would be four lines above the chart on a phone; at the fast end, below
    # 0.7, there is room.
    figure.update_layout(
        legend={
            "orientation": "v",
            "x": 0,
            "y": 0.01,
            "yanchor": "bottom",
            "font": {"size": 11},
            "bgcolor": "rgba(0,0,0,0)",
        }
    )
    _ratio_axis(figure, "y", "before ÷ after, log scale; the truth is 1×", _RATIOS)
    figure.update_xaxes(
        title="median latency at the client, log scale",
        type="log",
        tickvals=MS_TICKS,
        ticktext=MS_LABELS,
    )
    return figure


def placement(found: Placement, title: str) -> go.Figure:
    """Draw the ratio of each pair of connections, by what was done with the backends."""
    figure = go.Figure()
    looks = (("circle-open", BEFORE), ("circle", AFTER))
    modes = [
        mode for mode in (("not pinned", found.free), ("pinned", found.pinned)) if mode[1]
    ]
    for (name, ratios), (symbol, colour) in zip(modes, looks, strict=False):
        figure.add_scatter(
            x=[_clipped(ratio) for ratio in ratios],
            y=[name] * len(ratios),
            mode="markers",
            name=name,
            marker=marker(symbol, colour, 10),
            text=[f"{ratio:.2f}×" for ratio in ratios],
            hovertemplate="%{text}<extra>" + name + "</extra>",
            showlegend=False,
        )
    finish(figure, title, height_px=150 + 50 * len(modes))
    _ratio_axis(figure, "x", "ratio of a query to itself, log scale", _FEW_RATIOS)
    figure.update_yaxes(automargin=True, autorange="reversed")
    return figure


def lucky_pass(changes: Sequence[Change] | Comparison, title: str) -> go.Figure:
    """Draw which ratios one execution each would show, beside those of all rounds."""
    once, rounds = lucky_counts(changes, _EDGES)
    centres = [
        math.log10(math.sqrt(low * high)) for low, high in itertools.pairwise(_EDGES)
    ]
    figure = go.Figure()
    for name, colour, pattern, counts in (
        ("one execution each", WORSE, "/", once),
        ("all rounds", AFTER, "", rounds),
    ):
        figure.add_bar(
            x=centres,
            y=counts,
            name=name,
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 6},
            },
            hovertemplate="%{y:.0f} pairs<extra>" + name + "</extra>",
        )
    finish(figure, title, height_px=360)
    factors = (0.33, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0)
    figure.update_layout(barmode="group", bargap=0.15)
    figure.update_xaxes(
        title="before ÷ after, log scale; at the ends: beyond",
        tickvals=[math.log10(factor) for factor in factors],
        ticktext=[f"{factor:g}×" for factor in factors],
    )
    figure.update_yaxes(title="A/A pairs")
    return figure


def stopping(found: Stopping, title: str) -> go.Figure:
    """Draw how many pairs without a difference are announced, by when one stops."""
    figure = go.Figure()
    for name, shares, colour, dash, symbol in (
        ("stops early", found.peeking, WORSE, "solid", "diamond"),
        ("looks once", found.waiting, BEFORE, "dash", "circle-open"),
        (f"beyond {MARGIN:g}×", found.margin, AFTER, "solid", "circle"),
    ):
        figure.add_scatter(
            x=found.rounds,
            y=[share * 100 for share in shares],
            mode="lines+markers",
            name=name,
            line={"color": colour, "dash": dash, "width": 2},
            cliponaxis=False,
            marker={**marker(symbol, colour, 8), "maxdisplayed": 10},
            hovertemplate="%{x} rounds: %{y:.1f} %<extra>" + name + "</extra>",
        )
    finish(figure, title, height_px=380)
    figure.update_xaxes(title="rounds, at most")
    figure.update_yaxes(title="false announcements, %", rangemode="tozero")
    return figure


def _add_pairs(
    figure: go.Figure,
    changes: Sequence[Change],
    name: str,
    symbol: str,
    colour: str,
    size: int,
) -> None:
    figure.add_scatter(
        x=[one.before.sample.median_ms for one in changes],
        y=[_clipped(one.raw.ratio) for one in changes],
        mode="markers",
        name=name,
        marker={**marker(symbol, colour, size), "line": {"width": 1, "color": colour}},
        text=[f"{one.query} · {one.of_class}: {one.raw.ratio:.2f}×" for one in changes],
        hovertemplate="%{text}<extra></extra>",
    )


def _add_floor(figure: go.Figure, floor: NoiseFloor, known: Sequence[Change]) -> None:
    """Add the smallest effect of each stratum, above and below one, as one trace."""
    latencies = [one.before.sample.median_ms for one in known]
    if not latencies or not floor.strata:
        return
    least, most = min(latencies), max(latencies)
    x: list[float | None] = []
    above: list[float | None] = []
    labels: list[str] = []
    lower = least
    for stratum in floor.strata:
        upper = min(stratum.up_to_ms, most)
        if upper > lower:
            x += [lower, upper]
            above += [_clipped(stratum.smallest_effect)] * 2
            # The number stands at the line, because a line at the edge may be far beyond.
            labels += [f"{stratum.smallest_effect:.2f}×", ""]
            lower = upper
    below = [effect and 1 / effect for effect in above]
    figure.add_scatter(
        x=[*x, None, *x],
        y=[*above, None, *below],
        mode="lines+text",
        text=[*labels, *[""] * (len(below) + 1)],
        textposition="top right",
        textfont={"size": 11},
        cliponaxis=False,
        name="smallest effect called",
        line={"color": AFTER, "width": 2, "dash": "dash"},
        hoverinfo="skip",
    )


def _ratio_axis(figure: go.Figure, axis: str, title: str, ticks: Sequence[float]) -> None:
    reach = math.log10(_WIDEST) * 1.06
    figure.update_layout(
        {
            f"{axis}axis": {
                "title": title,
                "type": "log",
                "range": [-reach, reach],
                "tickvals": ticks,
                "ticktext": [f"{ratio:g}×" for ratio in ticks],
            }
        }
    )


def _is_in(change: Change) -> bool:
    return 1 / _WIDEST <= change.raw.ratio <= _WIDEST


def _clipped(ratio: float) -> float:
    return min(max(ratio, 1 / _WIDEST), _WIDEST)
