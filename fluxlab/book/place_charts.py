"""The figure of an index at its three places: alone, in the ladder, taken from all.

Colours and marks are those of `charts`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from fluxlab.book import charts
from fluxlab.book.charts import AFTER, BEFORE, WORSE
from fluxlab.book.log_axis import log_ticks
from fluxlab.indexes.contribution import Contribution
from fluxlab.indexes.order import PLACES, Standing

_ROW_PX = 26
_PLACE_LOOKS = {
    "alone": ("alone", "circle-open", BEFORE),
    "ladder": ("in the ladder", "line-ns-open", AFTER),
    "without": ("taken from all", "circle", AFTER),
}


def three_places(found: Sequence[Standing], title: str) -> go.Figure:
    """Draw what each index saves alone, in the ladder and taken from all, on a log scale.

    At the left edge stand those that save nothing as far as the clock is sure, and those
    that make something slower.
    """
    rows = list(reversed(found))
    names = [one.index for one in rows]
    amounts = [one.saved_ms(place) for one in rows for place in PLACES]
    clear = [amount for amount in amounts if amount > 0] or [1.0]
    edge = 10 ** (math.floor(math.log10(min(clear))) - 0.6)
    figure = go.Figure()
    for one in rows:
        ends = [max(edge, one.saved_ms(place)) for place in PLACES]
        figure.add_scatter(
            x=[min(ends), max(ends)],
            y=[one.index, one.index],
            mode="lines",
            line={"color": BEFORE, "width": 2},
            opacity=0.4,
            hoverinfo="skip",
            showlegend=False,
        )
    for place in PLACES:
        name, symbol, colour = _PLACE_LOOKS[place]
        figure.add_scatter(
            x=[max(edge, one.saved_ms(place)) for one in rows],
            y=names,
            mode="markers",
            name=name,
            marker=charts.marker(symbol, colour, 12 if place != "without" else 7),
            text=[_said(one.by_place[place]) for one in rows],
            hovertemplate="%{y}<br>%{text}<extra>" + name + "</extra>",
        )
    _add_worse(figure, rows, edge)
    charts.finish(figure, title, height_px=190 + _ROW_PX * len(rows))
    decades, _ = log_ticks(min(clear) / 1.5, 1.5 * max(clear), least=2)
    figure.update_xaxes(
        title="ms saved, log scale",
        type="log",
        range=[math.log10(edge) - 0.3, math.log10(max(clear)) + 0.3],
        tickvals=[edge, *decades],
        ticktext=["none", *(f"{tick:g}" for tick in decades)],
    )
    figure.update_yaxes(automargin=True, range=[-0.7, len(rows) - 0.3])
    figure.update_layout(
        title={"xref": "container", "x": 0.02},
        legend={
            "xref": "container",
            "x": 0.02,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
        margin={"b": 110},
    )
    return figure


def _add_worse(figure: go.Figure, rows: Sequence[Standing], edge: float) -> None:
    worse = [
        (one.index, _PLACE_LOOKS[place][0], one.saved_ms(place))
        for one in rows
        for place in PLACES
        if one.saved_ms(place) < 0
    ]
    if worse:
        figure.add_scatter(
            x=[edge] * len(worse),
            y=[name for name, _, _ in worse],
            mode="markers",
            name="worse: it costs time",
            marker=charts.marker("diamond", WORSE, 8),
            text=[f"{place}: {ms:.2g} ms" for _, place, ms in worse],
            hovertemplate="%{y}<br>%{text}<extra>worse</extra>",
        )


def _said(one: Contribution) -> str:
    words = [
        f"{len(one.of(word))} {word}"
        for word in ("faster", "slower", "same", "unclear")
        if one.of(word)
    ]
    return f"{one.saved_ms:.3g} ms saved; {', '.join(words) or 'no plan changes'}"
