"""The figures of what an index does at each size of its table.

Colours and marks are those of `charts`: without the index stands for *before*.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fluxlab.book import charts
from fluxlab.book.charts import AFTER, BEFORE, WORSE
from fluxlab.workload.sample import show_ms
from fluxlab.workload.served import At, IndexScale, Served, Which

_COLUMNS = 2
_PANEL_PX = 165
_AROUND_PX = 255
_ROW_PX = 40
_ROW_TICKS = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000]
_ROW_LABELS = ["100", "1 k", "10 k", "100 k", "1 M", "10 M"]
_COLOURS: dict[Which, str] = {"without": BEFORE, "with": AFTER}
_SYMBOLS: dict[Which, str] = {"without": "circle-open", "with": "circle"}
#: How a size is drawn in the chart of starts, by its word.
_MARKS = {
    "faster": ("circle", AFTER, "faster with its index"),
    "same": ("circle-open", BEFORE, "the same"),
    "unclear": ("line-ns-open", BEFORE, "unclear"),
    "slower": ("diamond", WORSE, "slower with its index"),
}


def latencies(
    reference: IndexScale, own: IndexScale, title: str, of_class: str = "typical"
) -> go.Figure:
    """Draw latency over the rows of the table, one panel per statement.

    Lines are the reference, crosses the reader's own lab at its size. All panels share
    both axes, because what counts is the size of the table. A triangle is a statement
    that was cut off.
    """
    served = reference.of(of_class)
    rows = -(-len(served) // _COLUMNS)
    figure = make_subplots(
        rows,
        _COLUMNS,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=["<br>".join(textwrap.wrap(one.name, 14)) for one in served],
        horizontal_spacing=0.05,
        vertical_spacing=0.35 / rows,
        x_title="rows of the table, log scale",
    )
    charts.finish(figure, title, height_px=_AROUND_PX + _PANEL_PX * rows)
    for number, one in enumerate(served):
        panel = {"row": number // _COLUMNS + 1, "col": number % _COLUMNS + 1}
        for which in _COLOURS:
            _add_line(figure, one, which, panel, is_named=number == 0)
        for which in _COLOURS:
            _add_own(figure, own, one, which, panel, is_named=number == 0)
    seen = [*served, *own.of(of_class)]
    _finish_panels(
        figure,
        rows,
        [ms for one in seen for which in _COLOURS for ms in one.latencies_ms(which)],
    )
    return figure


def _add_line(
    figure: go.Figure, one: Served, which: Which, panel: dict[str, int], *, is_named: bool
) -> None:
    samples = [at.sides[which].sample for at in one.points]
    symbol, name = _SYMBOLS[which], f"{which} its index"
    cut_off = symbol.replace("circle", "triangle-up")
    figure.add_scatter(
        x=[at.rows for at in one.points],
        y=[sample.median_ms for sample in samples],
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=is_named,
        line={"color": _COLOURS[which], "width": 2},
        marker={
            **charts.marker(symbol, _COLOURS[which], 10 if which == "without" else 6),
            "symbol": [cut_off if one.is_censored else symbol for one in samples],
        },
        text=[_said(at, which) for at in one.points],
        hovertemplate="%{x:,} rows: %{text}<extra>" + name + "</extra>",
        **panel,
    )


def _add_own(
    figure: go.Figure,
    own: IndexScale,
    one: Served,
    which: Which,
    panel: dict[str, int],
    *,
    is_named: bool,
) -> None:
    found = own.find(one.query, one.of_class).points
    name = f"{which}, this lab"
    figure.add_scatter(
        x=[at.rows for at in found],
        y=[at.sides[which].median_ms for at in found],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=is_named,
        marker=charts.marker(
            "x-thin-open" if which == "without" else "cross-thin-open",
            _COLOURS[which],
            13,
        ),
        text=[_said(at, which) for at in found],
        hovertemplate="%{x:,} rows: %{text}<extra>" + name + "</extra>",
        **panel,
    )


def _said(at: At, which: Which) -> str:
    side = at.sides[which]
    sample = side.sample
    bound = "over " if sample.is_censored else ""
    return f"{bound}{show_ms(sample.median_ms)}, {side.blocks:,} blocks"


def _finish_panels(figure: go.Figure, rows: int, seen_ms: Sequence[float]) -> None:
    figure.update_xaxes(
        type="log",
        tickvals=_ROW_TICKS[::2],  # a phone has no room for every decade
        ticktext=_ROW_LABELS[::2],
        tickangle=0,
        matches="x",
    )
    figure.update_yaxes(
        type="log",
        tickvals=charts.MS_TICKS,
        ticktext=charts.MS_LABELS,
        range=[math.log10(min(seen_ms)) - 0.3, math.log10(max(seen_ms)) + 0.3],
        automargin=True,
    )
    figure.update_yaxes(
        title={
            "text": "median latency at the client, log scale",
            "standoff": 8,
            "font": {"size": 12},
        },
        row=(rows + 1) // 2,
        col=1,
    )
    figure.update_annotations(font={"size": 12})
    figure.update_layout(
        legend={"y": 0, "yref": "container", "yanchor": "bottom"}, margin={"b": 175}
    )


def starts(reference: IndexScale, title: str, of_class: str = "typical") -> go.Figure:
    """Draw at which rows of its table an index makes each statement faster.

    One line per statement, sorted by what the index gives at the largest size. Over its
    two ends stands how many times faster the statement is with it.
    """
    served = sorted(reference.of(of_class), key=lambda one: one.points[-1].speedup.ratio)
    names = [one.name for one in served]
    figure = go.Figure()
    for one in served:
        figure.add_scatter(
            x=[at.rows for at in one.points],
            y=[one.name] * len(one.points),
            mode="lines",
            line={"color": BEFORE, "width": 1},
            opacity=0.6,
            hoverinfo="skip",
            showlegend=False,
        )
    for word, (symbol, colour, name) in _MARKS.items():
        _add_starts(figure, served, word, symbol, colour, name)
    charts.finish(figure, title, height_px=210 + _ROW_PX * len(names))
    # The names take half of a phone: title and legend begin at the edge of the page.
    figure.update_layout(
        title={"xref": "container", "x": 0.02},
        legend={
            "xref": "container",
            "x": 0.02,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
        margin={"b": 120},
    )
    figure.update_xaxes(
        title="table rows, log scale",
        type="log",
        tickvals=_ROW_TICKS[::2],
        ticktext=_ROW_LABELS[::2],
        tickangle=0,
    )
    figure.update_yaxes(automargin=True, range=[-0.6, len(names) - 0.3])
    return figure


def _add_starts(
    figure: go.Figure,
    served: Sequence[Served],
    word: str,
    symbol: str,
    colour: str,
    name: str,
) -> None:
    found = [(one, at) for one in served for at in one.points if at.outcome == word]
    if not found:
        return
    figure.add_scatter(
        x=[at.rows for _, at in found],
        y=[one.name for one, _ in found],
        mode="markers+text",
        name=name,
        marker=charts.marker(symbol, colour, 11),
        text=[_times(one, at) for one, at in found],
        textposition="top center",
        cliponaxis=False,
        textfont={"size": 11},
        customdata=[
            [f"{at.rows:,}", _said(at, "without"), _said(at, "with")] for _, at in found
        ],
        hovertemplate="%{y}, %{customdata[0]} rows<br>without: %{customdata[1]}<br>"
        "with: %{customdata[2]}<extra>" + name + "</extra>",
    )


def _times(one: Served, at: At) -> str:
    """Write the ratio of a size at an end; on a phone those between would collide."""
    if at not in (one.points[0], one.points[-1]):
        return ""
    ratio = at.speedup.ratio
    return f"{ratio:.1f}×" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}×"
