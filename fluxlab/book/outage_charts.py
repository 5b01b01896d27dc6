"""The figures of stale reads, stampedes and outages.

Colours and marks are those of `charts`: the report's cache is a vermilion diamond, ours a
violet square.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fluxlab.book import charts
from fluxlab.book.charts import CACHED, INK, WORSE
from fluxlab.book.load_words import LABELS
from fluxlab.book.log_axis import log_ticks
from fluxlab.caching.experiments.found import (
    Details,
    Fault,
    Outage,
    Outages,
    Scenario,
    StaleReads,
    Stampedes,
)
from fluxlab.caching.results import LayerName

_MARKS: dict[LayerName, tuple[str, str]] = {
    "sprint11": ("diamond-open", WORSE),
    "fluxlab": ("square", CACHED),
}
_SCENARIOS: dict[Scenario, str] = {
    "nobody between": "nobody reads<br>until the load ends",
    "a reader between": "somebody reads<br>in between",
}
_FAULTS: dict[Fault, str] = {
    "killed": "killed, then started again empty",
    "stopped": "stopped (SIGSTOP), then going on",
    "absent at start": "absent when the application starts",
}
_MS_TICKS = [1, 10, 100, 1_000, 10_000]
_MS_LABELS = ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]
_SHADE = "rgba(128,128,128,.16)"


def races(found: StaleReads, title: str) -> go.Figure:
    """Draw the share of races that ended stale, by when the write was committed."""
    figure = make_subplots(
        1,
        len(_SCENARIOS),
        shared_yaxes=True,
        subplot_titles=list(_SCENARIOS.values()),
        horizontal_spacing=0.06,
        x_title="commit, as a share of the load",
    )
    charts.finish(figure, title, height_px=400)
    for column, scenario in enumerate(_SCENARIOS, start=1):
        for name, (symbol, colour) in _MARKS.items():
            rows = found.of(name, scenario)
            figure.add_scatter(
                x=[one.offset for one in rows],
                y=[one.stale / one.trials for one in rows],
                mode="lines+markers",
                name=LABELS[name],
                legendgroup=name,
                showlegend=column == 1,
                line={"color": colour, "width": 2},
                marker=charts.marker(symbol, colour, 10 if name == "sprint11" else 7),
                text=[f"{one.stale} of {one.trials}" for one in rows],
                hovertemplate="committed at %{x:.0%} of the load: %{text} stale<extra>"
                + LABELS[name]
                + "</extra>",
                row=1,
                col=column,
            )
        figure.add_vline(x=1, line={"color": INK, "width": 1, "dash": "dash"}, col=column)
    figure.update_xaxes(
        range=[0, 1.4], tickvals=[0, 0.5, 1], ticktext=["0", "50 %", "100 %"]
    )
    figure.update_yaxes(
        range=[-0.06, 1.06], tickvals=[0, 0.5, 1], ticktext=["0", "50 %", "100 %"]
    )
    figure.update_yaxes(title="races that end stale", automargin=True, col=1)
    _finish_panels(figure)
    return figure


def stampedes(found: Stampedes, title: str) -> go.Figure:
    """Draw the loads of a missing key over the readers that want it at once."""
    figure = go.Figure()
    for name, (symbol, colour) in _MARKS.items():
        for processes, dash in ((1, "solid"), (4, "dash")):
            rows = found.of(name, processes)
            many = "process" if processes == 1 else "processes"
            figure.add_scatter(
                x=[one.readers for one in rows],
                y=[one.most_loads for one in rows],
                mode="lines+markers",
                name=f"{LABELS[name]}, {processes} {many}",
                line={"color": colour, "width": 2, "dash": dash},
                marker=charts.marker(symbol, colour, 9 if processes == 1 else 6),
                hovertemplate="%{x} readers: %{y} loads<extra>%{fullData.name}</extra>",
            )
    charts.finish(figure, title, height_px=420)
    most = max((one.readers for one in found.found), default=1)
    ticks = sorted({1, 10, 100, most})
    labels = [f"{tick:,}" for tick in ticks]
    figure.update_xaxes(
        title="readers at once, log scale", type="log", tickvals=ticks, ticktext=labels
    )
    figure.update_yaxes(
        title="loads, the worst turn, log scale",
        type="log",
        tickvals=ticks,
        ticktext=labels,
        range=[-0.15, math.log10(most) + 0.15],
        automargin=True,
    )
    _legend_below(figure, 110)
    return figure


def latencies(found: Outages, title: str) -> go.Figure:
    """Draw the longest wait in every 100 ms, one panel per fault; grey is the fault."""
    figure = _panels(found, title)
    for row, fault in enumerate(_FAULTS, start=1):
        for one in _of(found, fault):
            slices = [part for part in one.slices if part.requests]
            _line(
                figure,
                one,
                row,
                [part.start_s for part in slices],
                [part.max_ms for part in slices],
                "%{y:.1f} ms",
            )
    figure.update_yaxes(
        type="log", tickvals=_MS_TICKS, ticktext=_MS_LABELS, range=[-0.2, 3.9]
    )
    figure.update_yaxes(title="longest wait, log scale", row=2)
    return figure


def hits(found: Outages, title: str) -> go.Figure:
    """Draw the share of requests that hit in every half second, one panel per fault."""
    figure = _panels(found, title)
    for row, fault in enumerate(_FAULTS, start=1):
        for one in _of(found, fault):
            groups: dict[int, tuple[int, int]] = {}
            for part in one.slices:
                hits, requests = groups.get(int(part.start_s * 2 + 1e-6), (0, 0))
                groups[int(part.start_s * 2 + 1e-6)] = (
                    hits + part.hits,
                    requests + part.requests,
                )
            known = {at: share for at, share in groups.items() if share[1]}
            _line(
                figure,
                one,
                row,
                [at / 2 + 0.25 for at in known],
                [hits / requests for hits, requests in known.values()],
                "%{y:.0%} hits",
                marks=True,
            )
    figure.update_yaxes(
        range=[-0.08, 1.08], tickvals=[0, 0.5, 1], ticktext=["0", "50 %", "100 %"]
    )
    figure.update_yaxes(title="hits of all requests", row=2)
    return figure


def patterns(found: Details, title: str) -> go.Figure:
    """Draw the time of forgetting one user over the names on the server."""
    figure = go.Figure()
    keys = [one.keys for one in found.patterns]
    lines = (
        ("KEYS and DEL, the report's", "diamond-open", WORSE, "solid", "keys_ms"),
        ("a tag, ours", "square", CACHED, "solid", "version_ms"),
        ("delete_pattern, ours, for maintenance", "square-open", CACHED, "dash", "scan_ms"),
    )
    for name, symbol, colour, dash, field in lines:
        figure.add_scatter(
            x=keys,
            y=[getattr(one, field) for one in found.patterns],
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2, "dash": dash},
            marker=charts.marker(symbol, colour, 9),
            hovertemplate="%{x:,} names: %{y:.2f} ms<extra>" + name + "</extra>",
        )
    charts.finish(figure, title, height_px=400)
    costs = [
        ms for one in found.patterns for ms in (one.keys_ms, one.version_ms, one.scan_ms)
    ]
    ticks, labels = log_ticks(min(costs) / 1.3, max(costs) * 1.3)
    names, name_labels = log_ticks(min(keys), max(keys), 2)
    figure.update_xaxes(
        title="names on the server, log scale",
        type="log",
        tickvals=names,
        ticktext=name_labels,
    )
    figure.update_yaxes(
        title="ms, log scale", type="log", tickvals=ticks, ticktext=labels, automargin=True
    )
    _legend_below(figure, 110)
    return figure


def _panels(found: Outages, title: str) -> go.Figure:
    figure = make_subplots(
        len(_FAULTS),
        1,
        shared_xaxes=True,
        subplot_titles=list(_FAULTS.values()),
        vertical_spacing=0.09,
    )
    charts.finish(figure, title, height_px=620)
    for row, fault in enumerate(_FAULTS, start=1):
        for one in _of(found, fault)[:1]:
            figure.add_vrect(
                x0=one.begins_s,
                x1=one.ends_s,
                fillcolor=_SHADE,
                line_width=0,
                layer="below",
                exclude_empty_subplots=False,
                row=row,
                col=1,
            )
    figure.update_xaxes(title="seconds", row=len(_FAULTS))
    figure.update_yaxes(automargin=True)
    _finish_panels(figure)
    return figure


def _of(found: Outages, fault: Fault) -> list[Outage]:
    return [one for one in found.found if one.fault == fault]


def _line(
    figure: go.Figure,
    one: Outage,
    row: int,
    x: Iterable[float],
    y: Iterable[float],
    shown: str,
    *,
    marks: bool = False,
) -> None:
    symbol, colour = _MARKS[one.layer]
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="lines+markers" if marks else "lines",
        name=LABELS[one.layer],
        legendgroup=one.layer,
        showlegend=row == 1,
        line={
            "color": colour,
            "width": 2.4 if one.layer == "sprint11" else 1.8,
            "dash": "dot" if one.layer == "sprint11" else "solid",
        },
        marker=charts.marker(symbol, colour, 9 if one.layer == "sprint11" else 5),
        hovertemplate="%{x:.1f} s: " + shown + "<extra>" + LABELS[one.layer] + "</extra>",
        row=row,
        col=1,
    )


def _finish_panels(figure: go.Figure) -> None:
    # The titles of panels stand where a legend above would be.
    figure.update_annotations(font={"size": 13, "color": INK})
    figure.update_layout(margin={"t": int(figure.layout.margin.t) - 4})
    _legend_below(figure, 95)


def _legend_below(figure: go.Figure, bottom_px: int) -> None:
    figure.update_layout(
        title={"xref": "container", "x": 0.02},
        legend={
            "xref": "container",
            "x": 0.02,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
        margin={"b": bottom_px},
    )
