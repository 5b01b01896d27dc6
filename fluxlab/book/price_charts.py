"""The figures of what indexes cost: bytes of WAL by what they are for, and the clock.

Colours and marks are those of `charts`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from fluxlab.book import charts
from fluxlab.book.charts import AFTER, BEFORE, INK, WORSE
from fluxlab.book.log_axis import log_ticks
from fluxlab.indexes.bill import Item, Look, Sum, Written

_ROW_PX = 24
_AROUND_PX = 230

#: Many intervals lie over each other.
_FAINT = {BEFORE: "rgba(138,143,152,.35)"}

Part = tuple[str, str, str, list[float]]


def writes(found: Sequence[Written], title: str) -> go.Figure:
    """Draw what each write logs in 1,000 requests, by what it is for; most at the top."""
    rows = list(reversed(found))
    parts: list[Part] = [
        ("rows and triggers", BEFORE, "", [one.weight * one.rows for one in rows]),
        ("indexes before", AFTER, "", [one.weight * one.before for one in rows]),
        ("the sprint's", WORSE, "/", [one.weight * one.sprint for one in rows]),
        ("the sprint's, later", WORSE, "x", [one.weight * one.later for one in rows]),
    ]
    return _bars([one.cost.query for one in rows], parts, title)


def indexes(found: Sequence[Item], title: str) -> go.Figure:
    """Draw what each index makes the writes of 1,000 requests log; most at the top."""
    rows = list(reversed(found))
    parts: list[Part] = [
        ("its own entries", AFTER, "", [one.own for one in rows]),
        ("its own, later", AFTER, ".", [one.later for one in rows]),
        ("entries of the others", WORSE, "/", [one.others for one in rows]),
    ]
    return _bars([one.index for one in rows], parts, title)


def _bars(names: Sequence[str], parts: Iterable[Part], title: str) -> go.Figure:
    figure = go.Figure()
    for name, colour, pattern, sizes in parts:
        if not any(sizes):
            continue
        figure.add_bar(
            x=[size / 1024 for size in sizes],
            y=names,
            orientation="h",
            name=name,
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 5},
            },
            hovertemplate="%{y}: %{x:.2f} kB<extra>" + name + "</extra>",
        )
    charts.finish(figure, title, height_px=_AROUND_PX + _ROW_PX * len(names))
    figure.update_xaxes(title="kB of WAL per 1,000 requests")
    figure.update_yaxes(automargin=True)
    _legend_below(figure)
    figure.update_layout(barmode="stack")
    return figure


def _legend_below(figure: go.Figure) -> None:
    # Names take half of a phone: title and legend begin at the edge of the page.
    figure.update_layout(
        title={"xref": "container", "x": 0.02},
        legend={
            "xref": "container",
            "x": 0.02,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        margin={"b": 125},
    )


def sums(found: Sequence[Sum], title: str) -> go.Figure:
    """Draw each write: the prices of single indexes added up over that of all at once.

    On the line the two are equal. Deletes pay nothing, and a log scale has no zero.
    """
    figure = go.Figure()
    paid = [one for one in found if one.parts > 0 and one.whole > 0]
    ends = [size for one in paid for size in (one.parts, one.whole)] or [1.0, 100.0]
    low, high = min(ends) / 1.5, max(ends) * 1.5
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": INK, "width": 1, "dash": "dash"},
        name="equal",
        hoverinfo="skip",
    )
    for operation, symbol, colour in (
        ("insert", "circle", AFTER),
        ("update", "diamond-open", WORSE),
        ("delete", "circle-open", BEFORE),
    ):
        rows = [one for one in paid if one.write.on.operation == operation]
        if rows:
            figure.add_scatter(
                x=[one.whole for one in rows],
                y=[one.parts for one in rows],
                mode="markers",
                name=f"{operation} ({len(rows)})",
                marker=charts.marker(symbol, colour, 8),
                text=[one.write.on.query for one in rows],
                hovertemplate="%{text}<br>together %{x:,.0f} bytes, added up %{y:,.0f}"
                "<extra></extra>",
            )
    charts.finish(figure, title, height_px=430)
    ticks, labels = log_ticks(low, high)
    axis = {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": labels,
    }
    figure.update_xaxes(title="bytes of WAL, all indexes at once, log scale", **axis)
    figure.update_yaxes(title="one by one, added up, log scale", automargin=True, **axis)
    return figure


def clock(found: Sequence[Look], title: str) -> go.Figure:
    """Draw how much slower each write is with an index, over the WAL that it costs.

    With the 95 % interval of each; called are those that survive the correction for all.
    """
    paid = [one.write.wal_bytes for one in found if one.write.wal_bytes > 0] or [1.0, 100.0]
    # A log scale has no zero: writes that log no more stand at the edge.
    edge = min(paid) / 2.5
    figure = go.Figure()
    for name, symbol, colour, kept in (
        ("unclear", "circle-open", BEFORE, [one for one in found if not one.is_called]),
        ("slower", "diamond", WORSE, [one for one in found if _is(one, slower=True)]),
        ("faster", "circle", AFTER, [one for one in found if _is(one, slower=False)]),
    ):
        if not kept:
            continue
        known = [(one, one.write.slowdown) for one in kept if one.write.slowdown]
        figure.add_scatter(
            x=[max(edge, one.write.wal_bytes) for one, _ in known],
            y=[speed.ratio for _, speed in known],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [speed.high - speed.ratio for _, speed in known],
                "arrayminus": [speed.ratio - speed.low for _, speed in known],
                "color": _FAINT.get(colour, colour),
                "thickness": 0.8,
                "width": 0,
            },
            mode="markers",
            name=f"{name} ({len(known)})",
            showlegend=True,
            marker={**charts.marker(symbol, colour, 7), "line": {"width": 1.5}},
            text=[f"{one.index}<br>{one.write.on.query}" for one, _ in known],
            hovertemplate="%{text}: %{y:.2f}× the time, %{x:,.0f} bytes<extra></extra>",
        )
    charts.finish(figure, title, height_px=420)
    figure.add_hline(y=1, line={"color": INK, "width": 1, "dash": "dash"})
    ticks, labels = log_ticks(min(paid) / 1.1, max(paid) * 1.1)
    figure.update_xaxes(
        title="more bytes of WAL, log scale",
        type="log",
        tickvals=[edge, *ticks],
        ticktext=["none", *labels],
    )
    ratios = [0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0]
    figure.update_yaxes(
        title="time with ÷ without, log scale",
        type="log",
        range=[math.log10(0.25), math.log10(4.0)],
        tickvals=ratios,
        ticktext=[f"{one:g}×" for one in ratios],
        automargin=True,
    )
    return figure


def _is(look: Look, *, slower: bool) -> bool:
    slowdown = look.write.slowdown
    return look.is_called and slowdown is not None and (slowdown.ratio > 1) == slower
