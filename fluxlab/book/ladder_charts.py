"""The figures of the ladder: what is left after each step, and what each step changes.

The steps stand in their order, with the name of their table below. Colours and marks are
those of `charts`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fluxlab.book import charts
from fluxlab.book.charts import AFTER, BEFORE, INK, WORSE
from fluxlab.book.ladder_words import short_name
from fluxlab.book.log_axis import log_ticks
from fluxlab.indexes.climb import Climb, Load, Rung
from fluxlab.workload.sample import show_ms

_HEIGHT_PX = 640
_MARGIN_PX = {"t": 92, "b": 165}
_LABEL_PX = 15
#: A step is marked and named where it moves the whole by such a share.
_MARKED = 0.01
_MOST_NAMED, _MOST_WORSE = 6, 3
#: From here on a name stands at the left of its step, or it would leave a narrow page.
_LEFT_FROM = 0.4
_SHADE = "rgba(128,128,128,.10)"

Amount = Literal["ms", "blocks"]
_AXES = {"ms": "1,000 requests take", "blocks": "and touch blocks"}


@dataclass(frozen=True, slots=True)
class _Group:
    """The steps of one table, from the first to the last, as places on the axis."""

    table: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where each step stands, and the groups; between two of them one place is empty."""

    places: tuple[int, ...]
    groups: tuple[_Group, ...]


def ladder(
    climbed: Climb, tables: Mapping[str, str], title: str, direct: Load | None = None
) -> go.Figure:
    """Draw what the whole Workload takes after each step: ms above, blocks below.

    `tables` has the table of each index; `direct` is what was measured with all of them.
    Steps that move the whole by 1 % are marked and named.
    """
    axis = _axis(climbed.rungs, tables)
    figure = make_subplots(
        2, 1, shared_xaxes=True, row_heights=(0.62, 0.38), vertical_spacing=0.07
    )
    charts.finish(figure, title, height_px=_HEIGHT_PX)
    _add_levels(figure, climbed, axis, "ms", direct)
    _add_levels(figure, climbed, axis, "blocks", direct)
    _add_names(figure, climbed, axis, tables)
    _finish(figure, axis)
    return figure


def steps(climbed: Climb, tables: Mapping[str, str], title: str) -> go.Figure:
    """Draw what each step changes: ms saved or lost above, plans below.

    Steps of which the clock is not sure have no mark above, and their plans below.
    """
    axis = _axis(climbed.rungs, tables)
    figure = make_subplots(
        2, 1, shared_xaxes=True, row_heights=(0.55, 0.45), vertical_spacing=0.07
    )
    charts.finish(figure, title, height_px=_HEIGHT_PX)
    _add_changes(figure, climbed, axis, tables)
    _add_plans(figure, climbed.rungs, axis)
    _finish(figure, axis)
    return figure


def _axis(rungs: Sequence[Rung], tables: Mapping[str, str]) -> _Axis:
    groups: list[_Group] = []
    places: list[int] = []
    for rung in rungs:
        table = tables[rung.index]
        place = places[-1] + 1 if places else 0
        if groups and groups[-1].table == table:
            groups[-1] = _Group(table, groups[-1].first, place)
        else:
            place += bool(groups)
            groups.append(_Group(table, place, place))
        places.append(place)
    return _Axis(tuple(places), tuple(groups))


def _finish(figure: go.Figure, axis: _Axis) -> None:
    for one in axis.groups[::2]:
        figure.add_vrect(
            x0=one.first - 0.75,
            x1=one.last + 0.75,
            fillcolor=_SHADE,
            line_width=0,
            layer="below",
            row="all",
            col=1,
        )
    figure.update_xaxes(
        range=[-2, axis.places[-1] + 3],
        tickvals=[(one.first + one.last) / 2 for one in axis.groups],
        ticktext=[one.table for one in axis.groups],
        tickangle=-90,
        tickfont={"size": 9},
        showgrid=False,
    )
    figure.update_layout(
        barmode="stack",
        bargap=0.1,
        margin=_MARGIN_PX,
        legend={
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "font": {"size": 11},
            "traceorder": "normal",
        },
    )


def _add_levels(
    figure: go.Figure, climbed: Climb, axis: _Axis, amount: Amount, direct: Load | None
) -> None:
    """Add the line of one amount, the marks of large steps, and what was measured."""
    row = 1 if amount == "ms" else 2
    loads = [climbed.start, *(one.after for one in climbed.rungs)]
    levels = [getattr(one, amount) for one in loads]
    figure.add_scatter(
        x=[-1, *axis.places, axis.places[-1] + 1],
        y=[*levels, levels[-1]],
        mode="lines",
        line={"color": BEFORE, "width": 2, "shape": "hv"},
        hoverinfo="skip",
        showlegend=False,
        row=row,
        col=1,
    )
    for name, symbol, colour, is_worse in (
        ("a step that saves 1 % or more", "circle", AFTER, False),
        ("worse: it costs 1 % or more", "diamond", WORSE, True),
    ):
        found = [
            (place, getattr(rung.after, amount), rung)
            for place, rung in zip(axis.places, climbed.rungs, strict=True)
            if _moves(rung, climbed, amount)
            and (getattr(rung.saved, amount) < 0) == is_worse
        ]
        if found:
            figure.add_scatter(
                x=[place for place, _, _ in found],
                y=[level for _, level, _ in found],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=row == 1 or not _is_in_legend(figure, name),
                marker=charts.marker(symbol, colour, 8),
                text=[f"{rung.number}: {rung.index}" for _, _, rung in found],
                hovertemplate="%{text}<br>then %{y:,.4g}<extra></extra>",
                row=row,
                col=1,
            )
    measured = [getattr(direct, amount)] if direct else []
    if measured:
        figure.add_scatter(
            x=[axis.places[-1] + 1],
            y=measured,
            mode="markers",
            name="measured with all of them",
            showlegend=row == 1,
            marker=charts.marker("x-thin-open", INK, 10),
            hovertemplate="measured: %{y:,.4g}<extra></extra>",
            row=row,
            col=1,
        )
    _log_axis(figure, row, [*levels, *measured], amount)


def _is_in_legend(figure: go.Figure, name: str) -> bool:
    return any(one.name == name for one in figure.data)


def _moves(rung: Rung, climbed: Climb, amount: Amount) -> bool:
    """Whether a step moves the whole by a share worth a mark."""
    whole = getattr(climbed.start, amount)
    return bool(abs(getattr(rung.saved, amount)) >= _MARKED * whole > 0)


def _log_axis(figure: go.Figure, row: int, levels: Sequence[float], amount: Amount) -> None:
    low, high = math.log10(min(levels)), math.log10(max(levels))
    span = max(high - low, 0.04)
    # Below the line of milliseconds there is room for the names of steps.
    ends = [low - (0.25 if row == 1 else 0.08) * span, high + 0.08 * span]
    ticks, labels = log_ticks(10 ** ends[0], 10 ** ends[1])
    figure.update_yaxes(
        type="log",
        range=ends,
        tickvals=ticks,
        ticktext=[show_ms(tick) for tick in ticks] if amount == "ms" else labels,
        title={
            "text": f"{_AXES[amount]}, log scale",
            "font": {"size": 12},
            "standoff": 8,
        },
        automargin=True,
        row=row,
        col=1,
    )


def _add_names(
    figure: go.Figure, climbed: Climb, axis: _Axis, tables: Mapping[str, str]
) -> None:
    """Name the steps that move the time most, not above each other.

    Under a falling staircase it is free at the left, above it at the right.
    """
    moving = [one for one in climbed.largest if _moves(one, climbed, "ms")]
    moving.sort(key=lambda one: -abs(one.saved.ms))
    low, high = figure.layout.yaxis.range
    height_px = 0.62 * 0.93 * (_HEIGHT_PX - _MARGIN_PX["t"] - _MARGIN_PX["b"])
    least = _LABEL_PX * (high - low) / height_px
    lowest = math.inf
    for rung in sorted(moving[:_MOST_NAMED], key=lambda one: one.number):
        place = axis.places[rung.number - 1]
        is_left = place > _LEFT_FROM * axis.places[-1]
        level = math.log10(rung.after.ms if is_left else rung.before.ms)
        if is_left:
            level = lowest = min(level, lowest - least)
        _add_name(figure, rung, tables, place, level, is_left=is_left)


def _add_name(
    figure: go.Figure,
    rung: Rung,
    tables: Mapping[str, str],
    place: int,
    level: float,
    *,
    is_left: bool,
) -> None:
    is_worse = rung.saved.ms < 0
    word = "worse: " if is_worse else ""
    figure.add_annotation(
        x=place + (-1.4 if is_left else 1.4),
        y=level,
        text=f"{word}{short_name(rung.index, tables[rung.index])}",
        showarrow=False,
        xanchor="right" if is_left else "left",
        yanchor="middle",
        font={"size": 11, "color": WORSE} if is_worse else {"size": 11},
        row=1,
        col=1,
    )


def _add_changes(
    figure: go.Figure, climbed: Climb, axis: _Axis, tables: Mapping[str, str]
) -> None:
    placed = list(zip(axis.places, climbed.rungs, strict=True))
    moved = [abs(one.saved.ms) for one in climbed.largest]
    for name, symbol, colour, is_worse in (
        ("saves time", "circle", AFTER, False),
        ("worse: costs time", "diamond", WORSE, True),
    ):
        found = [
            (place, rung)
            for place, rung in placed
            if rung.saved.ms and (rung.saved.ms < 0) == is_worse
        ]
        if found:
            figure.add_scatter(
                x=[place for place, _ in found],
                y=[abs(rung.saved.ms) for _, rung in found],
                mode="markers",
                name=f"{name} ({len(found)})",
                marker=charts.marker(symbol, colour, 7),
                text=[f"{rung.number}: {rung.index}" for _, rung in found],
                hovertemplate="%{text}: %{y:.3g} ms<extra>" + name + "</extra>",
                row=1,
                col=1,
            )
    for place, rung in sorted(placed, key=lambda one: one[1].saved.ms)[:_MOST_WORSE]:
        if rung.saved.ms < 0:
            is_left = place > _LEFT_FROM * axis.places[-1]
            level = math.log10(-rung.saved.ms)
            _add_name(figure, rung, tables, place, level, is_left=is_left)
    low, high = (min(moved), max(moved)) if moved else (0.1, 10.0)
    ticks, _ = log_ticks(low / 1.5, high * 1.5)
    figure.update_yaxes(
        type="log",
        range=[math.log10(low) - 0.4, math.log10(high) + 0.4],
        tickvals=ticks,
        ticktext=[f"{tick:g} ms" for tick in ticks],
        title={"text": "by each step, log scale", "font": {"size": 12}, "standoff": 8},
        automargin=True,
        row=1,
        col=1,
    )


def _add_plans(figure: go.Figure, rungs: Iterable[Rung], axis: _Axis) -> None:
    known = list(rungs)
    for word, colour, pattern in (
        ("faster", AFTER, ""),
        ("slower", WORSE, "x"),
        ("same", BEFORE, ""),
        ("unclear", BEFORE, "/"),
    ):
        counts = [len(one.contribution.of(word)) for one in known]  # type: ignore[arg-type]
        figure.add_bar(
            x=axis.places,
            y=counts,
            name=f"{word} ({sum(counts)})",
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 4},
            },
            text=[f"{one.number}: {one.index}" for one in known],
            textposition="none",
            hovertemplate="%{text}<br>%{y} plans<extra>" + word + "</extra>",
            row=2,
            col=1,
        )
    figure.update_yaxes(
        title={"text": "plans changed", "font": {"size": 12}}, automargin=True, row=2, col=1
    )
