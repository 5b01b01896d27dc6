"""The figures. Each is a function of values, and its title is the finding.

Colours have one meaning each and never carry it alone: before is a hollow grey
circle, after a filled blue one, worse a vermilion diamond. Text takes its colour from
the page, so every figure reads on white and on dark paper.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from fluxlab.book.claims import AuditClaim
from fluxlab.book.ledger import Ledger
from fluxlab.book.verdicts import Word
from fluxlab.indexes.catalog import Catalog
from fluxlab.workload.change import Change
from fluxlab.workload.compare import Comparison
from fluxlab.workload.stats import show_speedup

BEFORE, AFTER, WORSE, CACHED = "#8A8F98", "#0072B2", "#D55E00", "#8A3FFC"
#: Where no page says otherwise: 4.5:1 on white, 4.2:1 on JupyterLab's dark paper.
INK = "#767676"
_GRID = "rgba(128,128,128,.25)"
_ROW_PX = 22
MS_TICKS = [0.01, 0.1, 1, 10, 100, 1_000, 10_000, 100_000]
MS_LABELS = ["0.01 ms", "0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"]


def dumbbell(changes: Sequence[Change], title: str) -> go.Figure:
    """Draw one line per Query from before to after, in the order given, on a log scale.

    The ratio stands in a column of its own at the right; a censored end says "over".
    """
    rows = list(reversed(changes))
    names = [_name(change) for change in rows]
    figure = go.Figure()
    for name, change in zip(names, rows, strict=True):
        figure.add_scatter(
            x=[change.before.sample.median_ms, change.after.sample.median_ms],
            y=[name, name],
            mode="lines",
            line={"color": _colour(change), "width": 2},
            opacity=0.5,
            hoverinfo="skip",
            showlegend=False,
        )
    _add_ends(figure, rows, names, "before")
    _add_ends(figure, rows, names, "after")
    _add_ends(figure, rows, names, "after, slower")
    for name, change in zip(names, rows, strict=True):
        figure.add_annotation(
            x=1.01,
            xref="paper",
            y=name,
            text=show_speedup(change.speedup.ratio, is_bound=change.speedup.is_bound),
            showarrow=False,
            xanchor="left",
            font={"size": 12},
        )
    finish(figure, title, height_px=150 + _ROW_PX * len(rows))
    figure.update_xaxes(
        title="median latency at the client, log scale",
        type="log",
        tickvals=MS_TICKS,
        ticktext=MS_LABELS,
    )
    figure.update_layout(margin={"r": 140, "l": 10})
    figure.update_yaxes(
        automargin=True, tickfont={"size": 11}, range=[-0.7, len(rows) - 0.3]
    )
    return figure


def _add_ends(
    figure: go.Figure, rows: Sequence[Change], names: Sequence[str], which: str
) -> None:
    symbol, colour = {
        "before": ("circle-open", BEFORE),
        "after": ("circle", AFTER),
        "after, slower": ("diamond", WORSE),
    }[which]
    kept = [
        (name, change)
        for name, change in zip(names, rows, strict=True)
        if which == "before" or (_is_worse(change) == (which == "after, slower"))
    ]
    if not kept:
        return
    ends = [change.before if which == "before" else change.after for _, change in kept]
    figure.add_scatter(
        x=[end.sample.median_ms for end in ends],
        y=[name for name, _ in kept],
        mode="markers",
        name=which,
        marker=marker(symbol, colour, 10),
        text=[f"{end.sample}, {end.plan.blocks:,} blocks" for end in ends],
        hovertemplate="%{y}<br>" + which + ": %{text}<extra></extra>",
    )


def distribution(comparison: Comparison, title: str) -> go.Figure:
    """Draw how many pairs changed by which factor; bars stacked by outcome."""
    edges = np.arange(-1.5, 4.51, 0.125)
    figure = go.Figure()
    for outcome, colour, pattern in (
        ("faster", AFTER, ""),
        ("same", BEFORE, ""),
        ("unclear", BEFORE, "/"),
        ("slower", WORSE, "x"),
    ):
        changes = [change for change in comparison if change.outcome == outcome]
        logs = np.clip(
            [np.log10(change.speedup.ratio) for change in changes],
            edges[0],
            edges[-1] - 1e-9,
        )
        counts, _ = np.histogram(logs, edges)
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=0.125,
            name=f"{outcome} ({len(changes)})",
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 6},
            },
            hovertemplate="%{y} pairs<extra>" + outcome + "</extra>",
        )
    finish(figure, title, height_px=380)
    factors = [0.1, 1, 10, 100, 1_000, 10_000]
    figure.update_layout(barmode="stack", bargap=0)
    figure.update_xaxes(
        title="times faster, log scale (below 1: slower)",
        tickvals=[float(np.log10(factor)) for factor in factors],
        ticktext=[f"{factor:g}×" for factor in factors],
        zeroline=True,
        zerolinecolor=BEFORE,
        range=[-1.3, min(4.5, _top(comparison) + 0.3)],
    )
    figure.update_yaxes(title="query and parameter class, pairs")
    return figure


def _top(comparison: Comparison) -> float:
    return max(
        (float(np.log10(change.speedup.ratio)) for change in comparison), default=1.0
    )


def table_sizes(before: Catalog, after: Catalog, title: str) -> go.Figure:
    """Draw what each table weighs: rows, indexes before, indexes added; largest first."""
    added = {table.name: table.index_bytes for table in after.tables}
    tables = sorted(before.tables, key=lambda table: table.table_bytes + added[table.name])
    names = [table.name for table in tables]
    figure = go.Figure()
    parts = (
        ("table", BEFORE, "", [table.table_bytes for table in tables]),
        ("indexes before", AFTER, "", [table.index_bytes for table in tables]),
        (
            "indexes added by the sprint",
            WORSE,
            "/",
            [max(0, added[table.name] - table.index_bytes) for table in tables],
        ),
    )
    for name, colour, pattern, sizes in parts:
        figure.add_bar(
            x=[size / 2**20 for size in sizes],
            y=names,
            orientation="h",
            name=name,
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 5},
            },
            hovertemplate="%{y}: %{x:.2f} MiB<extra>" + name + "</extra>",
        )
    finish(figure, title, height_px=160 + _ROW_PX * len(names))
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="size on disk in MiB")
    figure.update_yaxes(automargin=True)
    return figure


def indexed_columns(
    claims: Sequence[AuditClaim], before: Catalog, after: Catalog, title: str
) -> go.Figure:
    """Draw indexed columns per table: before and after the sprint, and as reported."""
    rows = sorted(claims, key=lambda claim: len(after.indexed_columns(claim.table)))
    names = [claim.table for claim in rows]
    figure = go.Figure()
    for name, symbol, colour, counts in (
        (
            "before",
            "circle-open",
            BEFORE,
            [len(before.indexed_columns(table)) for table in names],
        ),
        ("after", "circle", AFTER, [len(after.indexed_columns(table)) for table in names]),
        ("the report says", "line-ns-open", WORSE, [claim.columns for claim in rows]),
    ):
        figure.add_scatter(
            x=counts,
            y=names,
            mode="markers",
            name=name,
            marker=marker(symbol, colour, 11),
            hovertemplate="%{y}: %{x} columns<extra>" + name + "</extra>",
        )
    finish(figure, title, height_px=160 + _ROW_PX * len(names))
    figure.update_xaxes(
        title="columns in the key of some index", rangemode="tozero", dtick=2
    )
    figure.update_yaxes(automargin=True)
    return figure


def finish(figure: go.Figure, title: str, *, height_px: int) -> None:
    text = _wrapped(title)
    figure.update_layout(
        title={
            "text": text,
            "x": 0,
            "xref": "paper",
            "y": 1 - 18 / height_px,
            "yref": "container",
            "yanchor": "top",
            "font": {"size": 16},
        },
        height=height_px,
        template="none",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.0,
            "yanchor": "bottom",
            "xanchor": "left",
        },
        margin={"l": 60, "r": 20, "t": 46 + 22 * (text.count("<br>") + 1), "b": 60},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=_GRID, zeroline=False)


def marker(symbol: str, colour: str, size: int) -> dict[str, object]:
    return {
        "symbol": symbol,
        "color": colour,
        "size": size,
        "line": {"width": 2, "color": colour},
    }


def _wrapped(title: str, width: int = 72) -> str:
    lines = [""]
    for word in title.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines)


def _name(change: Change) -> str:
    return f"{change.query} · {change.of_class}"


def _is_worse(change: Change) -> bool:
    return change.speedup.ratio < 1


def _colour(change: Change) -> str:
    return WORSE if _is_worse(change) else AFTER


#: Colour and pattern of each verdict; the words that decide nothing are grey.
_WORDS: tuple[tuple[Word, str, str], ...] = (
    ("held", AFTER, ""),
    ("fell short", WORSE, "/"),
    ("refuted", WORSE, ""),
    ("unclear", BEFORE, "/"),
    ("not measured yet", BEFORE, "."),
    ("not testable", BEFORE, ""),
)


def verdicts(ledger: Ledger, title: str) -> go.Figure:
    """Draw how many claims of each section got which word, in the report's order."""
    counts = ledger.frame().groupby(["section", "verdict"]).size()
    sections = list(dict.fromkeys(ledger.section(one) for one in ledger))
    labels = [_wrapped(section, 30) for section in sections]
    figure = go.Figure()
    for word, colour, pattern in _WORDS:
        found = [int(counts.get((section, word), 0)) for section in sections]
        if not any(found):
            continue
        figure.add_bar(
            x=found,
            y=labels,
            orientation="h",
            name=f"{word} ({sum(found)})",
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": pattern, "fillmode": "replace", "size": 6},
            },
            hovertemplate="%{y}: %{x} claims<extra>" + word + "</extra>",
        )
    finish(figure, title, height_px=240 + 32 * len(sections))
    # Below the bars, where it may take as many lines as a narrow page needs.
    legend = {"traceorder": "normal", "y": -0.14, "yanchor": "top"}
    text = _wrapped(title, 46)
    figure.update_layout(
        barmode="stack",
        legend=legend,
        title={"text": text, "xref": "container", "x": 0.02},
        margin={"t": 26 + 22 * (text.count("<br>") + 1), "b": 110},
    )
    figure.update_xaxes(title="claims of the report")
    figure.update_yaxes(automargin=True, autorange="reversed")
    return figure
