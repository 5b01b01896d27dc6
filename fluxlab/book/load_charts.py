"""The figures of the load off the database: as a whole, by resource, by key.

Colours and marks are those of `charts`: what keys cover is filled, the rest hatched.
"""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from fluxlab.book import charts
from fluxlab.book.cache_groups import groups
from fluxlab.book.cache_rates import saved_of
from fluxlab.book.charts import AFTER, BEFORE, CACHED, INK, WORSE
from fluxlab.book.hit_charts import finish
from fluxlab.book.load_words import HIGH, LABELS, LOW, Three, earned, load_of
from fluxlab.caching.results import Replay

_ROW_PX = 46
_KEY_PX = 32
_AROUND_PX = 230


def statements(found: Three, title: str) -> go.Figure:
    """Draw the statements of 1,000 requests with each cache, and what the report says."""
    rows = [
        (LABELS[one.layer], load.covered_statements, load.other_statements)
        for one in reversed(found.all)
        for load in (load_of(one),)
    ]
    whole = load_of(found.none).statements
    return _whole(rows, whole, "statements in 1,000 requests", title, found.ours)


def time(found: Three, title: str) -> go.Figure:
    """Draw the server's milliseconds of 1,000 requests with each cache.

    What no key covers is the mean of the three: no cache has a part in it.
    """
    loads = [load_of(one) for one in found.all]
    other_ms = sum(one.other_ms for one in loads) / len(loads)
    names = [LABELS[one.layer] for one in found.all]
    rows = [
        (name, load.covered_ms, other_ms) for name, load in zip(names, loads, strict=True)
    ]
    whole = loads[0].covered_ms + other_ms
    return _whole(rows[::-1], whole, "server ms in 1,000 requests", title, found.ours)


def _whole(
    rows: list[tuple[str, float, float]], whole: float, axis: str, title: str, ours: Replay
) -> go.Figure:
    figure = go.Figure()
    # What stays stands first, so that all begin alike and the rest can be compared.
    for name, colour, pattern, place in (
        ("writes, and reads without a key", BEFORE, "/", 2),
        ("reads that a key covers", AFTER, "", 1),
    ):
        figure.add_bar(
            x=[row[place] for row in rows],
            y=[row[0] for row in rows],
            orientation="h",
            name=name,
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fillmode": "replace", "size": 6},
            },
            hovertemplate="%{y}: %{x:,.0f}<extra>" + name + "</extra>",
        )
    figure.add_scatter(
        x=[(1 - HIGH) * whole, (1 - LOW) * whole],
        y=[rows[1][0], rows[1][0]],
        mode="markers+lines",
        name="what the report leaves",
        marker=charts.marker("line-ns-open", WORSE, 26),
        line={"color": WORSE, "width": 3, "dash": "dot"},
        hovertemplate="%{x:,.0f}<extra>the report</extra>",
    )
    charts.finish(figure, title, height_px=_AROUND_PX + _ROW_PX * len(rows))
    figure.update_layout(barmode="stack")
    finish(figure, title, ours, [row[0] for row in rows])
    figure.update_xaxes(title={"text": axis}, rangemode="tozero", nticks=5)
    return figure


def rates(found: Three, promised: Mapping[str, float], title: str) -> go.Figure:
    """Draw the hit rate of each line beside the statements that it takes off."""
    none = {one.name: one for one in groups(found.none)}
    theirs = {one.name: one for one in groups(found.specimen)}
    rows = [one for one in reversed(groups(found.ours)) if one.name in none]
    names = [one.name for one in rows]
    figure = go.Figure()
    said = [name for name in names if name in promised]
    _add(figure, "the report says", "line-ns-open", INK, 16, {n: promised[n] for n in said})
    series: list[tuple[str, str, str, int, dict[str, float]]] = [
        ("hit rate, ours", "circle-open", BEFORE, 13, {r.name: r.rate.share for r in rows}),
        ("statements spared, the report's cache", "diamond-open", WORSE, 10, {}),
        ("statements spared, ours", "square", CACHED, 8, {}),
    ]
    for one in rows:
        for place, cached in ((1, theirs.get(one.name)), (2, one)):
            saved = saved_of(none[one.name].counts, cached.counts) if cached else None
            if saved:
                series[place][4][one.name] = saved.share
    for name, symbol, colour, size, values in series:
        _add(figure, name, symbol, colour, size, values)
    charts.finish(figure, title, height_px=_AROUND_PX + 20 + _ROW_PX * len(rows))
    finish(figure, title, found.ours, names)
    every = [value for *_, values in series for value in values.values()]
    low = min(0.0, *every) if every else 0.0
    figure.update_xaxes(
        title={"text": "of the reads, of the statements"},
        range=[low - 0.02, 1.02],
        tickformat=".0%",
        nticks=6,
    )
    return figure


def _add(
    figure: go.Figure,
    name: str,
    symbol: str,
    colour: str,
    size: int,
    values: Mapping[str, float],
) -> None:
    figure.add_scatter(
        x=list(values.values()),
        y=list(values),
        mode="markers",
        name=name,
        marker=charts.marker(symbol, colour, size),
        hovertemplate="%{y}: %{x:.1%}<extra>" + name + "</extra>",
    )


def by_key(found: Three, title: str, shown: int = 12) -> go.Figure:
    """Draw the time of loads of each key pattern, what stays and what is spared."""
    rows = list(reversed(earned(found)[:shown]))
    figure = go.Figure()
    for name, colour, pattern, values in (
        ("still loaded", BEFORE, "", [min(one.after_ms, one.before_ms) for one in rows]),
        ("spared", CACHED, "/", [max(0.0, one.spared_ms) for one in rows]),
        ("more than without", WORSE, "x", [max(0.0, -one.spared_ms) for one in rows]),
    ):
        if not any(values):
            continue
        figure.add_bar(
            x=values,
            y=[one.pattern for one in rows],
            orientation="h",
            name=name,
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 5},
            },
            hovertemplate="%{y}: %{x:,.1f} ms<extra>" + name + "</extra>",
        )
    charts.finish(figure, title, height_px=_AROUND_PX + _KEY_PX * len(rows))
    figure.update_layout(barmode="stack")
    finish(figure, title, found.ours, [one.pattern for one in rows])
    figure.update_xaxes(title={"text": "ms of loads in 1,000 requests"}, nticks=5)
    figure.update_yaxes(tickfont={"size": 10})
    return figure
