"""The figures of hit rates: the report against measured and theory, and other traffic.

Colours and marks are those of `charts`: ours is a violet square, the report's cache a
vermilion diamond, what theory says a hollow grey circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
import plotly.graph_objects as go

from fluxlab.book import charts
from fluxlab.book.cache_groups import FACTORS, Group, groups, patterns
from fluxlab.book.charts import AFTER, BEFORE, CACHED, INK, WORSE
from fluxlab.book.hit_words import compressed
from fluxlab.caching.results import Replay

_ROW_PX = 46
_PATTERN_PX = 30
_AROUND_PX = 230
_LONG_NAME = 20
_TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1]
_LABELS = ["0", "20 %", "40 %", "60 %", "80 %", "100 %"]
#: Lines of the traffic chart differ in colour, dash and mark.
_LINES = (
    (AFTER, "solid", "circle"),
    (CACHED, "dash", "square"),
    (WORSE, "dot", "diamond"),
    (BEFORE, "dashdot", "circle-open"),
    (INK, "longdash", "square-open"),
)


def hits(
    ours: Replay, specimen: Replay, reported: Mapping[str, float], title: str
) -> go.Figure:
    """Draw the hit rate of each line of the report's table, as said and as measured."""
    rows = list(reversed(groups(ours)))
    theirs = {one.name: one for one in groups(specimen)}
    names = [one.name for one in rows]
    figure = go.Figure()
    wanted = [name for name in names if name in reported]
    figure.add_scatter(
        x=[reported[name] for name in wanted],
        y=wanted,
        mode="markers",
        name="the report says",
        marker=charts.marker("line-ns-open", INK, 16),
        hovertemplate="%{y}: %{x:.0%}<extra>the report</extra>",
    )
    _add_theory(figure, rows)
    found = [theirs[name] for name in names if name in theirs]
    _add_rates(figure, found, "the report's cache", "diamond-open", WORSE)
    _add_rates(figure, rows, "ours", "square", CACHED)
    charts.finish(figure, title, height_px=_AROUND_PX + _ROW_PX * len(rows))
    finish(figure, title, ours, names)
    _shown(figure)
    return figure


def by_pattern(ours: Replay, title: str) -> go.Figure:
    """Draw the hit rate of each key pattern and the band of theory, highest on top."""
    rows = list(reversed(patterns(ours)))
    figure = go.Figure()
    _add_theory(figure, rows)
    _add_rates(figure, rows, "ours", "square", CACHED)
    charts.finish(figure, title, height_px=_AROUND_PX + _PATTERN_PX * len(rows))
    finish(figure, title, ours, [one.name for one in rows])
    _shown(figure)
    # Names take half of a phone: three labels fit beside them.
    figure.update_xaxes(tickvals=[0, 0.5, 1], ticktext=["0", "50 %", "100 %"])
    figure.update_yaxes(tickfont={"size": 10})
    return figure


def _add_theory(figure: go.Figure, rows: Sequence[Group]) -> None:
    known = [(one.name, one.predicted) for one in rows if one.predicted]
    figure.add_scatter(
        x=[found.hit_rate for _, found in known if found],
        y=[name for name, _ in known],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [found.high - found.hit_rate for _, found in known if found],
            "arrayminus": [found.hit_rate - found.low for _, found in known if found],
            "color": BEFORE,
            "thickness": 6,
            "width": 0,
        },
        opacity=0.7,
        mode="markers",
        name="theory of ours, its band",
        marker=charts.marker("circle-open", BEFORE, 13),
        hovertemplate="%{y}: %{x:.1%}<extra>theory</extra>",
    )


def _add_rates(
    figure: go.Figure, rows: Sequence[Group], name: str, symbol: str, colour: str
) -> None:
    found = [one for one in rows if one.rate.of]
    figure.add_scatter(
        x=[one.rate.share for one in found],
        y=[one.name for one in found],
        mode="markers",
        name=name,
        marker=charts.marker(symbol, colour, 8),
        text=[f"{one.rate.of:,}" for one in found],
        hovertemplate="%{y}: %{x:.1%} of %{text}<extra>" + name + "</extra>",
    )


def traffic(ours: Replay, reported: Mapping[str, float], title: str) -> go.Figure:
    """Draw the hit rate of each line over the traffic, and where the report's is true."""
    rows = [one for one in groups(ours) if one.name in reported and one.rate.of]
    figure = go.Figure()
    for one, (colour, dash, symbol) in zip(rows, _LINES, strict=False):
        figure.add_scatter(
            x=FACTORS,
            y=one.curve,
            mode="lines",
            name=f"{one.name}",
            legendgroup=one.name,
            line={"color": colour, "width": 2, "dash": dash},
            hovertemplate="%{x:.2g} times: %{y:.0%}<extra>" + one.name + "</extra>",
        )
        factor = one.traffic_for(reported[one.name])
        if np.isfinite(factor):
            figure.add_scatter(
                x=[factor],
                y=[reported[one.name]],
                mode="markers",
                showlegend=False,
                legendgroup=one.name,
                marker=charts.marker(symbol, colour, 11),
                hovertemplate="%{y:.0%} at %{x:.2g} times<extra>the report: "
                + one.name
                + "</extra>",
            )
    charts.finish(figure, title, height_px=520)
    finish(figure, title, ours, ())
    figure.add_vline(x=1, line={"color": INK, "width": 1, "dash": "dash"})
    figure.update_xaxes(
        title={"text": "times the traffic measured, log scale"},
        type="log",
        range=[-2, 3],
        tickvals=[0.01, 0.1, 1, 10, 100, 1_000],
        ticktext=["0.01", "0.1", "1", "10", "100", "1,000"],
    )
    figure.update_yaxes(
        title="hit rate by theory", range=[0, 1.02], tickvals=_TICKS, ticktext=_LABELS
    )
    return figure


def _shown(figure: go.Figure) -> None:
    figure.update_xaxes(
        title={"text": "hits ÷ (hits + misses)"},
        range=[-0.02, 1.02],
        tickvals=_TICKS,
        ticktext=_LABELS,
        tickangle=0,
    )


def finish(figure: go.Figure, title: str, replay: Replay, names: Sequence[str]) -> None:
    """Set title, legend and names; the compression of time stands below the title.

    All begin at the edge of the page, and fit on a phone. `names` are the categories from
    the bottom, or none.
    """
    lines = wrap(title.replace(" %", "\u00a0%"), 42)
    small = f'<span style="font-size:12px">{compressed(replay)}</span>'
    figure.update_layout(
        title={"text": "<br>".join([*lines, small]), "xref": "container", "x": 0.02},
        legend={
            "xref": "container",
            "x": 0.02,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        margin={"t": 48 + 22 * len(lines), "b": 135},
    )
    figure.update_xaxes(title={"standoff": 8, "font": {"size": 12}})
    figure.update_yaxes(automargin=True)
    if names:
        # Without it they come in the order of the first trace, where one may be missing.
        figure.update_yaxes(
            categoryorder="array",
            categoryarray=list(names),
            tickvals=list(names),
            ticktext=[in_lines(name) for name in names],
        )


def in_lines(name: str) -> str:
    """Break a long key pattern in two, behind a colon.

    >>> in_lines("conv:{convId}:messages:page:{page}"), in_lines("user:{userId}")
    ('conv:{convId}:<br>messages:page:{page}', 'user:{userId}')
    """
    places = [place + 1 for place, letter in enumerate(name) if letter == ":"]
    if len(name) <= _LONG_NAME or not places:
        return name
    middle = min(places, key=lambda place: abs(len(name) / 2 - place))
    return f"{name[:middle]}<br>{name[middle:]}"
