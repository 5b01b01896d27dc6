"""The figures of lifetimes: curves per key, memory against hit rate, cache after index.

Colours and marks are those of `charts`: the cache is a violet square.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fluxlab.book import charts
from fluxlab.book.charts import AFTER, BEFORE, CACHED
from fluxlab.book.hit_words import compressed
from fluxlab.book.log_axis import log_ticks
from fluxlab.book.ttl_cases import (
    CLASSES,
    TTLS,
    Case,
    best_ttls,
    given_ttls,
    least_recent,
    together,
)
from fluxlab.book.ttl_words import span
from fluxlab.caching.results import Replay

_COLUMNS = 2
_PANEL_PX = 135
_AROUND_PX = 290
_ROW_PX = 30
_SPANS = [1, 60, 3_600, 86_400]
_SPAN_LABELS = ["1 s", "1 min", "1 h", "1 day"]
_SHARES = [0, 0.5, 1]
_SHARE_LABELS = ["0", "50 %", "100 %"]
_MIB = 2**20
#: Labels of points that are not this many times apart would overlap.
_CLOSE = 2.0


def hit_rates(found: Sequence[Case], replay: Replay, title: str) -> go.Figure:
    """Draw the hit rate over the lifetime, a panel per key: theory, and what was measured.

    Its band is what chance does to a window as short as the replay's, by theory.
    """
    figure, rows = _panels(found, title)
    for number, one in enumerate(found):
        panel = _place(number)
        _add_curve(figure, one, one.curve.hit_rate, "%{y:.0%}", panel, number)
        band = one.count.predicted
        if band:
            figure.add_scatter(
                x=[one.count.ttl_s] * 2,
                y=[band.low, band.high],
                mode="lines",
                line={"color": BEFORE, "width": 14},
                opacity=0.7,
                name="theory of this window, 95 %",
                legendgroup="band",
                showlegend=number == 0,
                hovertemplate="%{y:.1%}<extra>band of theory</extra>",
                **panel,
            )
        if one.count.hits + one.count.misses:
            figure.add_scatter(
                x=[one.count.ttl_s],
                y=[one.count.hit_rate],
                mode="markers",
                name="measured",
                legendgroup="measured",
                showlegend=number == 0,
                marker=charts.marker("square", CACHED, 8),
                hovertemplate="%{y:.1%}<extra>measured, the report's lifetime</extra>",
                **panel,
            )
    figure.update_yaxes(range=[-0.03, 1.06], tickvals=_SHARES, ticktext=_SHARE_LABELS)
    _name_axes(figure, rows, "hits ÷ (hits + misses)", compressed(replay))
    return figure


def ages(found: Sequence[Case], title: str) -> go.Figure:
    """Draw the mean age of an answer over the lifetime, a panel per key."""
    figure, rows = _panels(found, title)
    for number, one in enumerate(found):
        panel = _place(number)
        known = np.where(one.curve.age_s > 0, one.curve.age_s, np.nan)
        _add_curve(figure, one, known, "%{y:.2g} s", panel, number)
        figure.add_scatter(
            x=[one.count.ttl_s],
            y=one.now.age_s,
            mode="markers",
            name="the report's lifetime",
            legendgroup="given",
            showlegend=number == 0,
            marker=charts.marker("square", CACHED, 8),
            hovertemplate="%{y:.2g} s<extra>with the report's lifetime</extra>",
            **panel,
        )
    figure.update_yaxes(
        type="log", tickvals=_SPANS, ticktext=_SPAN_LABELS, range=[-1.3, 5.6]
    )
    _name_axes(figure, rows, "mean age of an answer, log scale", "theory, no clock")
    return figure


def _panels(found: Sequence[Case], title: str) -> tuple[go.Figure, int]:
    rows = max(1, -(-len(found) // _COLUMNS))
    figure = make_subplots(
        rows,
        _COLUMNS,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[_folded(one.pattern) for one in found],
        horizontal_spacing=0.05,
        vertical_spacing=0.36 / rows,
    )
    charts.finish(figure, title, height_px=_AROUND_PX + _PANEL_PX * rows)
    _at_edge(figure, title, 130)
    figure.update_annotations(font={"size": 11})
    figure.update_xaxes(
        type="log",
        range=[0, np.log10(TTLS[-1])],
        tickvals=_SPANS,
        ticktext=_SPAN_LABELS,
        tickangle=0,
        matches="x",
    )
    return figure, rows


def _folded(pattern: str) -> str:
    """Break a long key before its middle word, for a narrow panel."""
    if len(pattern) <= 24:
        return pattern
    places = [place for place, letter in enumerate(pattern) if letter == ":"]
    middle = min(places, key=lambda place: abs(place - len(pattern) / 2))
    return f"{pattern[: middle + 1]}<br>{pattern[middle + 1 :]}"


def _place(number: int) -> dict[str, int]:
    return {"row": number // _COLUMNS + 1, "col": number % _COLUMNS + 1}


def _add_curve(
    figure: go.Figure,
    one: Case,
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    form: str,
    panel: dict[str, int],
    number: int,
) -> None:
    figure.add_scatter(
        x=TTLS,
        y=values,
        mode="lines",
        name="theory, in the long run",
        legendgroup="curve",
        showlegend=number == 0,
        line={"color": AFTER, "width": 2},
        hovertemplate="%{x:.3g} s: " + form + f"<extra>{one.pattern}</extra>",
        **panel,
    )


def _name_axes(figure: go.Figure, rows: int, above: str, below: str) -> None:
    figure.update_yaxes(
        title={"text": above, "standoff": 8, "font": {"size": 12}},
        row=(rows + 1) // 2,
        col=1,
    )
    figure.add_annotation(
        text=f"lifetime, log scale; {below}",
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        yshift=-32,
        yanchor="top",
        xanchor="left",
        showarrow=False,
        font={"size": 12},
    )


def memory(found: Sequence[Case], replay: Replay, title: str) -> go.Figure:
    """Draw the hit rate of all keys over the memory they take, for several policies."""
    figure = go.Figure()
    idle = [least_recent(found, float(time_s)) for time_s in np.logspace(-1, 7, 80)]
    figure.add_scatter(
        x=[room / _MIB for _, room in idle],
        y=[rate for rate, _ in idle],
        mode="lines",
        name="no lifetime, no writes: the bound of LRU",
        line={"color": BEFORE, "width": 2, "dash": "dot"},
        hovertemplate="%{x:.2g} MiB: %{y:.0%}<extra>LRU</extra>",
    )
    same = [together(found, [float(ttl_s)] * len(found)) for ttl_s in TTLS]
    figure.add_scatter(
        x=[room / _MIB for _, room in same],
        y=[rate for rate, _ in same],
        mode="lines",
        name="one lifetime for all keys",
        line={"color": AFTER, "width": 2},
        hovertemplate="%{x:.2g} MiB: %{y:.0%}<extra>one for all</extra>",
    )
    six = [together(found, [float(ttl)] * len(found)) for ttl in CLASSES]
    figure.add_scatter(
        x=[room / _MIB for _, room in six],
        y=[rate for rate, _ in six],
        mode="markers+text",
        text=_labels([room for _, room in six]),
        textposition="bottom center",
        textfont={"size": 10},
        name="the six lifetimes, each for all",
        marker=charts.marker("circle", AFTER, 6),
        customdata=[ttl.name for ttl in CLASSES],
        hovertemplate="%{customdata}: %{x:.2g} MiB, %{y:.0%}<extra></extra>",
    )
    for name, symbol, ttls in (
        ("as the report gives them", "square", given_ttls(found)),
        ("the best of the six for each", "square-open", best_ttls(found)),
    ):
        rate, room = together(found, ttls)
        figure.add_scatter(
            x=[room / _MIB],
            y=[rate],
            mode="markers",
            name=name,
            marker=charts.marker(symbol, CACHED, 12),
            hovertemplate="%{x:.2g} MiB: %{y:.1%}<extra>" + name + "</extra>",
        )
    charts.finish(figure, title, height_px=560)
    _at_edge(figure, title, 190)
    rooms = [room / _MIB for _, room in same if room > 0]
    low, high = min(rooms, default=0.01), max(rooms, default=1.0) * 3
    ticks, labels = log_ticks(low, high)
    figure.update_xaxes(
        title={
            "text": "entries × their size, in MiB, log scale<br>"
            f"theory with the replay's traffic: {replay.users:,} users",
            "standoff": 8,
            "font": {"size": 12},
        },
        type="log",
        range=[np.log10(low), np.log10(high)],
        tickvals=ticks,
        ticktext=labels,
    )
    figure.update_yaxes(
        title="hit rate of all keys",
        range=[0, 1.03],
        tickformat=".0%",
    )
    return figure


def _labels(rooms: Sequence[float]) -> list[str]:
    """Label the six lifetimes; those that stand close together share a label."""
    ends: list[tuple[int, int]] = []
    for place, room in enumerate(rooms):
        if ends and room < _CLOSE * rooms[place - 1]:
            ends[-1] = (ends[-1][0], place)
        else:
            ends.append((place, place))
    labels = [""] * len(rooms)
    for first, last in ends:
        names = dict.fromkeys(span(float(CLASSES[place])) for place in (first, last))
        # A line further down, clear of the marks.
        labels[(first + last) // 2] = "<br>" + " to ".join(names)
    return labels


def after_index(found: Sequence[Case], title: str) -> go.Figure:
    """Draw the latency of each cached Query: without indexes, with them, and as a hit.

    Where the cache gives most stands on top.
    """
    rows = sorted(found, key=lambda one: one.load_ms / one.hit_ms)
    names = [one.count.query for one in rows]
    figure = go.Figure()
    for name, one in zip(names, rows, strict=True):
        figure.add_scatter(
            x=[one.before_ms, one.load_ms, one.hit_ms],
            y=[name] * 3,
            mode="lines",
            line={"color": BEFORE, "width": 1},
            opacity=0.6,
            hoverinfo="skip",
            showlegend=False,
        )
    for label, symbol, colour, times in (
        ("11 indexes", "circle-open", BEFORE, [one.before_ms for one in rows]),
        ("101 indexes", "circle", AFTER, [one.load_ms for one in rows]),
        ("a cache hit", "square", CACHED, [one.hit_ms for one in rows]),
    ):
        figure.add_scatter(
            x=times,
            y=names,
            mode="markers",
            name=label,
            marker=charts.marker(symbol, colour, 11 if "open" in symbol else 7),
            text=[one.pattern for one in rows],
            hovertemplate="%{text}: %{x:.2g} ms<extra>" + label + "</extra>",
        )
    charts.finish(figure, title, height_px=210 + _ROW_PX * len(rows))
    _at_edge(figure, title, 110)
    figure.update_xaxes(
        title={
            "text": "median latency at the client, log scale",
            "standoff": 8,
            "font": {"size": 12},
        },
        type="log",
        tickvals=charts.MS_TICKS,
        ticktext=charts.MS_LABELS,
        tickangle=0,
    )
    figure.update_yaxes(automargin=True, tickfont={"size": 10}, range=[-0.7, len(rows)])
    return figure


def _at_edge(figure: go.Figure, title: str, bottom_px: int) -> None:
    # Title and legend begin at the edge of the page, and fit on a phone.
    text = "<br>".join(wrap(title.replace(" %", "\u00a0%"), 44))
    lines = text.count("<br>") + 1
    figure.update_layout(
        title={"text": text, "xref": "container", "x": 0.02},
        legend={
            "xref": "container",
            "x": 0.02,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        margin={"t": 46 + 22 * lines, "b": bottom_px},
    )
