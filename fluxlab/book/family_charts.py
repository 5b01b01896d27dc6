"""The figures of the families: what becomes of them, and both orders of two columns.

Colours and marks are those of `charts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import plotly.graph_objects as go

from fluxlab.book import charts
from fluxlab.book.charts import AFTER, BEFORE, WORSE
from fluxlab.book.family_trials import OrderTest
from fluxlab.book.family_words import blocks_of, by_family
from fluxlab.book.log_axis import log_ticks
from fluxlab.indexes.decisions import Decisions, Word

_ROW_PX = 34
_BARS: Mapping[Word, tuple[str, str]] = {
    "keep": (AFTER, ""),
    "unclear": (BEFORE, "/"),
    "replace": (WORSE, "/"),
    "drop": (WORSE, ""),
}


def families(found: Decisions, title: str) -> go.Figure:
    """Draw how many indexes of each family got which word, the largest family on top."""
    groups = dict(reversed(by_family(found).items()))
    figure = go.Figure()
    for word, (colour, pattern) in _BARS.items():
        counts = [sum(one.word == word for one in rows) for rows in groups.values()]
        if not any(counts):
            continue
        figure.add_bar(
            x=counts,
            y=list(groups),
            orientation="h",
            name=f"{word} ({len(found.of(word))})",
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fillmode": "replace", "size": 6},
            },
            hovertemplate="%{y}: %{x}<extra>" + word + "</extra>",
        )
    charts.finish(figure, title, height_px=210 + _ROW_PX * len(groups))
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title={"text": "indexes", "standoff": 8})
    figure.update_yaxes(automargin=True)
    _finish(figure, title)
    return figure


def orders(found: Sequence[OrderTest], title: str) -> go.Figure:
    """Draw the blocks of each statement without an index and with both orders."""
    rows = list(reversed(found))
    names = [
        f"{one.query} · {one.first.of_class}<br>{', '.join(one.distinct)}" for one in rows
    ]
    series = (
        ("no index", "circle-open", BEFORE, [_without(one) for one in rows]),
        (
            "most selective first",
            "diamond",
            WORSE,
            [blocks_of(one.by_maxim) for one in rows],
        ),
        (
            "the other order",
            "circle",
            AFTER,
            [blocks_of(one.against_it) for one in rows],
        ),
    )
    figure = go.Figure()
    for name, symbol, colour, blocks in series:
        figure.add_scatter(
            x=blocks,
            y=names,
            mode="markers",
            name=name,
            # The one below is seen where two are equal.
            marker={**charts.marker(symbol, colour, 15 if symbol == "diamond" else 10)},
            hovertemplate="%{x} blocks<extra>" + name + "</extra>",
        )
    charts.finish(figure, title, height_px=230 + 2 * _ROW_PX * len(rows))
    ends = [float(block) for _, _, _, blocks in series for block in blocks if block]
    ticks, labels = log_ticks(min(ends, default=1.0) / 1.5, max(ends, default=10.0) * 1.5)
    figure.update_xaxes(
        title={"text": "blocks of 8 kB, log scale", "standoff": 8},
        type="log",
        tickvals=ticks,
        ticktext=labels,
    )
    figure.update_yaxes(automargin=True, tickfont={"size": 11})
    _finish(figure, title)
    return figure


def _without(one: OrderTest) -> int:
    attempt = one.first.attempt
    return attempt.before.blocks if attempt else 0


def _finish(figure: go.Figure, title: str) -> None:
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
        margin={"t": 26 + 22 * (text.count("<br>") + 1), "b": 110},
    )
