"""The figure of several panels: the report's latency rows over the amount of data.

Colours, marks and ticks are those of `charts`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fluxlab.book import charts
from fluxlab.book.charts import AFTER, BEFORE, WORSE
from fluxlab.workload.sample import show_ms
from fluxlab.workload.scaling import Growth, Scaling

_COLUMNS = 2
_PANEL_PX = 190
_AROUND_PX = 210
_ROW_TICKS = [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]
_ROW_LABELS = ["10 k", "100 k", "1 M", "10 M", "100 M"]
#: The two classes drawn, and their lines.
_DASHES = {"typical": "solid", "hot": "dot"}

Panel = dict[str, int]


def scaling(found: Scaling, title: str) -> go.Figure:
    """Draw latency over the rows of the database, one panel per row of the report.

    *Typical* as a solid line, *hot* as a dotted one: growth shows first in the busiest
    conversation, project or organization. Rare and absent values stand in the table.
    All panels share both axes. A triangle is a statement that was cut off, a cross the
    place where the latency before is what the report says.
    """
    rows = -(-len(found.names) // _COLUMNS)
    figure = make_subplots(
        rows,
        _COLUMNS,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=found.names,
        horizontal_spacing=0.05,
        vertical_spacing=0.2 / rows,
        x_title="rows in the database, log scale",
    )
    charts.finish(figure, title, height_px=_AROUND_PX + _PANEL_PX * rows)
    for number, name in enumerate(found.names):
        panel = {"row": number // _COLUMNS + 1, "col": number % _COLUMNS + 1}
        for of_class in _DASHES:
            for growth in found.of(name):
                if growth.of_class == of_class:
                    _add_growth(figure, growth, panel, is_named=number == 0)
        _add_expected(figure, found.of(name), panel)
    _add_crossings(figure, found)
    finish(figure, rows)
    return figure


def _add_growth(figure: go.Figure, growth: Growth, panel: Panel, *, is_named: bool) -> None:
    for state, curve, symbol, colour, size in (
        ("before", growth.before, "circle-open", BEFORE, 11),
        ("after", growth.after, "circle", AFTER, 6),
    ):
        name = f"{state}, {growth.of_class}"
        samples = [point.sample for point in curve.points]
        cut_off = symbol.replace("circle", "triangle-up")
        symbols = [cut_off if one.is_censored else symbol for one in samples]
        figure.add_scatter(
            x=[point.rows for point in curve.points],
            y=[one.median_ms for one in samples],
            mode="lines+markers",
            name=name,
            legendgroup=name,
            showlegend=is_named,
            line={"color": colour, "width": 2, "dash": _DASHES[growth.of_class]},
            marker={**charts.marker(symbol, colour, size), "symbol": symbols},
            text=[str(one) for one in samples],
            hovertemplate="%{x:,} rows: %{text}<extra>" + name + "</extra>",
            **panel,
        )


def _add_expected(figure: go.Figure, growths: Sequence[Growth], panel: Panel) -> None:
    expected_ms = growths[0].expected_ms
    line = {"color": WORSE, "width": 1.5, "dash": "dash"}
    figure.add_hline(y=expected_ms, line=line, **panel)
    # The label stands at the end of the line that the curve before does not cross.
    is_right = any(one.crossing.kind in ("below", "measured") for one in growths)
    figure.add_annotation(
        text=f"report: {show_ms(expected_ms)}",
        x=0.98 if is_right else 0.02,
        xref="x domain",
        y=math.log10(expected_ms),
        xanchor="right" if is_right else "left",
        yanchor="bottom",
        showarrow=False,
        **panel,
    )


def _add_crossings(figure: go.Figure, found: Scaling) -> None:
    is_named = False
    for number, name in enumerate(found.names):
        crossings = [one.crossing for one in found.of(name) if one.of_class in _DASHES]
        places = [one.rows for one in crossings if one.kind in ("measured", "extrapolated")]
        if not places:
            continue
        figure.add_scatter(
            x=places,
            y=[found.of(name)[0].expected_ms] * len(places),
            mode="markers",
            name="before is as reported",
            showlegend=not is_named,
            marker=charts.marker("x-thin-open", WORSE, 11),
            hovertemplate="at %{x:,.2s} rows<extra></extra>",
            row=number // _COLUMNS + 1,
            col=number % _COLUMNS + 1,
        )
        is_named = True


def finish(figure: go.Figure, rows: int) -> None:
    figure.update_xaxes(type="log", tickvals=_ROW_TICKS, ticktext=_ROW_LABELS, matches="x")
    figure.update_yaxes(
        type="log",
        tickvals=charts.MS_TICKS,
        ticktext=charts.MS_LABELS,
        range=[-1.3, 4.4],
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
        legend={"y": 0, "yref": "container", "yanchor": "bottom"}, margin={"b": 140}
    )
