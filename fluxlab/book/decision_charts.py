"""The figures of Decisions: what each index gives and costs, and what each set does.

Colours and marks are those of `charts`; a word has a mark of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import wrap

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fluxlab.book import charts
from fluxlab.book.charts import AFTER, BEFORE, INK, WORSE
from fluxlab.book.ladder_words import short_name
from fluxlab.book.log_axis import log_ticks
from fluxlab.indexes.amounts import show_bytes, show_ms
from fluxlab.indexes.decisions import Decision, Decisions, Word
from fluxlab.indexes.pareto import Point, largest_steps
from fluxlab.indexes.sets import Totals

_MARKS: Mapping[Word, tuple[str, str]] = {
    "keep": ("circle", AFTER),
    "unclear": ("circle-open", BEFORE),
    "replace": ("diamond-open", WORSE),
    "drop": ("diamond", WORSE),
}
#: Where everything stands that saves nothing for sure: a log scale has no zero.
_NOTHING_MS = 0.001
_NOTHING_BYTES = 1.0
_MOST_NAMED = 12
#: Names that are closer than this, in powers of ten, would lie on each other.
_WIDE, _HIGH = 1.8, 0.2
_BYTES = [1.0, 10.0, 100.0, *(1024.0 * 10**power for power in range(7))]


def worth(found: Decisions, title: str) -> go.Figure:
    """Draw every index: what it is missed for, against what it costs the log.

    Both are per 1,000 requests on log scales; a dotted line is what the rule asks for.
    """
    figure = go.Figure()
    charts.finish(figure, title, height_px=520)
    for word, (symbol, colour) in _MARKS.items():
        rows = found.of(word)
        if rows:
            figure.add_scatter(
                x=[_given(one) for one in rows],
                y=[max(_NOTHING_BYTES, one.wal_bytes) for one in rows],
                mode="markers",
                name=f"{word} ({len(rows)})",
                marker=charts.marker(symbol, colour, 9),
                text=[f"{one.index.name}<br>{one.reason}" for one in rows],
                hovertemplate="%{text}<extra>" + word + "</extra>",
            )
    _name_few(figure, found)
    least = found.limits.least_saved_ms
    if least > _NOTHING_MS:
        figure.add_vline(x=least, line={"color": INK, "width": 1, "dash": "dot"})
    ticks, labels = log_ticks(0.01, max([10.0, *map(_given, found.rows)]))
    figure.update_xaxes(
        title={"text": "ms missed in 1,000 requests, log scale", "standoff": 10},
        type="log",
        tickvals=[_NOTHING_MS, *ticks],
        ticktext=["nothing", *labels],
    )
    figure.update_yaxes(
        title={"text": "WAL per 1,000 requests, log scale", "standoff": 12},
        type="log",
        tickvals=_BYTES,
        ticktext=[show_bytes(tick) for tick in _BYTES],
    )
    _finish(figure, title, 120)
    return figure


def _given(one: Decision) -> float:
    return max(_NOTHING_MS, one.case.missed.sure.saved_ms)


def _name_few(figure: go.Figure, found: Decisions) -> None:
    """Name the kept indexes that save most, where their names have room at the left."""
    places = {one.index.name: _place(one) for one in found.rows}
    kept = sorted(found.of("keep"), key=_given, reverse=True)[:_MOST_NAMED]
    for one in kept:
        x, y = _place(one)
        in_the_way = (
            x - _WIDE < left <= x and abs(y - low) < _HIGH
            for name, (left, low) in places.items()
            if name != one.index.name
        )
        if not any(in_the_way):
            figure.add_annotation(
                x=x,
                y=y,
                text=short_name(one.index.name, one.index.table),
                showarrow=False,
                xanchor="right",
                xshift=-9,
                font={"size": 11},
            )


def _place(one: Decision) -> tuple[float, float]:
    return math.log10(_given(one)), math.log10(max(_NOTHING_BYTES, one.wal_bytes))


def pareto(points: Sequence[Point], totals: Mapping[str, Totals], title: str) -> go.Figure:
    """Draw read time against the size of a set, and against the log of its writes.

    A line goes from the base to all, best return first; the measured sets are marked.
    """
    figure = make_subplots(2, 1, vertical_spacing=0.16)
    charts.finish(figure, title, height_px=740)
    amounts = ("index_bytes", 2**20, "MB"), ("wal_bytes", 1024, "kB")
    for row, (name, unit, word) in enumerate(amounts, 1):
        _add_curve(figure, points, name, unit, row)
        _add_sets(figure, totals, name, unit, row)
        label = "size of all indexes" if row == 1 else "WAL per 1,000 requests"
        figure.update_xaxes(
            title={"text": f"{label} in {word}", "standoff": 8},
            rangemode="tozero",
            row=row,
            col=1,
        )
        figure.update_yaxes(
            title={"text": "ms of reads", "standoff": 10},
            rangemode="tozero",
            row=row,
            col=1,
        )
    _add_steps(figure, points)
    _finish(figure, title, 130)
    return figure


def _add_curve(
    figure: go.Figure, points: Sequence[Point], name: str, unit: float, row: int
) -> None:
    x = [getattr(one, name) / unit for one in points]
    if any(one.unknown for one in points):
        ends = [one.low_ms for one in points], [one.high_ms for one in points]
        figure.add_scatter(
            x=[*x, *reversed(x)],
            y=[*ends[0], *reversed(ends[1])],
            fill="toself",
            fillcolor="rgba(138,143,152,.35)",
            line={"width": 0},
            hoverinfo="skip",
            name="plans never measured",
            legendgroup="unknown",
            showlegend=row == 1,
            row=row,
            col=1,
        )
    figure.add_scatter(
        x=x,
        y=[one.read_ms for one in points],
        mode="lines+markers",
        line={"color": AFTER, "width": 1.5},
        marker={"color": AFTER, "size": 4},
        name="one index more, best first",
        legendgroup="curve",
        showlegend=row == 1,
        text=[_told(one) for one in points],
        hovertemplate="%{text}<extra></extra>",
        row=row,
        col=1,
    )


def _told(one: Point) -> str:
    added = f"+ {one.added}" if one.added else "the base"
    return (
        f"{added}<br>{one.indexes} indexes, {show_bytes(one.index_bytes)}, "
        f"{show_bytes(one.wal_bytes)} of WAL<br>{show_ms(one.read_ms)}"
    )


def _add_sets(
    figure: go.Figure, totals: Mapping[str, Totals], name: str, unit: float, row: int
) -> None:
    marks = {
        "base": ("circle-open", BEFORE),
        "all": ("diamond", WORSE),
        "kept": ("circle", AFTER),
    }
    for label, one in totals.items():
        symbol, colour = marks[label]
        figure.add_scatter(
            x=[getattr(one, name) / unit],
            y=[one.read_ms],
            mode="markers",
            marker=charts.marker(symbol, colour, 13),
            name=f"{label}, measured ({one.indexes})",
            legendgroup=label,
            showlegend=row == 1,
            hovertemplate=f"{label}: {show_ms(one.read_ms)}<extra></extra>",
            row=row,
            col=1,
        )


def _add_steps(figure: go.Figure, points: Sequence[Point]) -> None:
    """Name the largest steps above the first curve, where there is room for a name."""
    named: list[Point] = []
    width, height = points[-1].index_bytes, points[0].read_ms
    for one, _ in largest_steps(points, 3):
        if any(
            abs(one.index_bytes - other.index_bytes) < 0.4 * width
            and abs(one.read_ms - other.read_ms) < 0.1 * height
            for other in named
        ):
            continue
        named.append(one)
        figure.add_annotation(
            x=one.index_bytes / 2**20,
            y=one.read_ms,
            text=(one.added or "").removeprefix("idx_"),
            showarrow=False,
            xanchor="left",
            xshift=10,
            yshift=10,
            font={"size": 11},
            row=1,
            col=1,
        )


def _finish(figure: go.Figure, title: str, bottom_px: int) -> None:
    # Title and legend begin at the edge of the page, and fit on a phone.
    text = "<br>".join(wrap(title, 42))
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
        margin={"t": 26 + 22 * (text.count("<br>") + 1), "b": bottom_px},
    )
