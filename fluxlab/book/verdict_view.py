"""Verdicts to read: in the chapter, in the README and in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from rich import box
from rich.table import Table

from fluxlab.book.claims import LatencyClaim
from fluxlab.book.ledger import Ledger
from fluxlab.book.verdicts import JUDGED, Verdict, Word

_STYLES: dict[Word, str] = {"held": "green", "refuted": "red", "fell short": "yellow"}
#: A quote is cut to so many letters; its line says where the rest stands.
_QUOTE_LETTERS = 72
_MARKUP = re.compile(r"[|*`]+")
_CODE = re.compile(r"`([^`]+)`")
# JupyterLab sets every cell to the right.
_LEFT = "text-align:left;vertical-align:top"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts that wraps its long cells, which a frame of pandas does not."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def markdown(self) -> str:
        """The table as GitHub reads it."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _repr_html_(self) -> str:
        head = _html_row("th", self.head)
        body = "\n".join(_html_row("td", row) for row in self.rows)
        return (
            f'<table class="docutils">\n<thead>{head}</thead>\n'
            f"<tbody>\n{body}\n</tbody>\n</table>"
        )

    def __repr__(self) -> str:
        return f"<Grid of {len(self.rows)} rows: {', '.join(self.head)}>"


def _html_row(tag: str, cells: Sequence[str]) -> str:
    """Write a row; the last cell, where the reasons stand, keeps a width on a phone."""
    styles = [_LEFT] * (len(cells) - 1) + [f"{_LEFT};min-width:14rem"]
    texts = [_CODE.sub(r"<code>\1</code>", escape(cell, quote=False)) for cell in cells]
    pairs = zip(styles, texts, strict=True)
    row = "".join(f'<{tag} style="{style}">{text}</{tag}>' for style, text in pairs)
    return f"<tr>{row}</tr>"


def row_verdicts(ledger: Ledger) -> Grid:
    """Return the latency table's rows: expected, measured for typical values, verdict."""
    return Grid(
        ("report's row", "expected", "measured", "verdict"),
        tuple((_name(one), one.expected, one.measured, one.word) for one in ledger.rows),
    )


def row_reasons(ledger: Ledger) -> Grid:
    """Return the latency table's rows with interval and reason."""
    return Grid(
        ("report's row", "verdict", "saving, 95 %", "reason"),
        tuple((_name(one), one.word, one.interval, one.reason) for one in ledger.rows),
    )


def reasons(verdicts: Iterable[Verdict]) -> Grid:
    """Return Verdicts in the order given, each with its line, its quote and its reason."""
    return Grid(
        ("line", "the report says", "expected", "measured", "reason"),
        tuple(
            (str(one.claim.line), _quote(one), one.expected, one.measured, one.reason)
            for one in verdicts
        ),
    )


def _name(verdict: Verdict) -> str:
    assert isinstance(verdict.claim, LatencyClaim)
    return verdict.claim.name


def _quote(verdict: Verdict) -> str:
    text = " ".join(_MARKUP.sub(" ", verdict.claim.quote).split())
    return text if len(text) <= _QUOTE_LETTERS else f"{text[: _QUOTE_LETTERS - 2]} …"


def terminal_rows(ledger: Ledger) -> Table:
    """Return the latency table's rows with their verdicts."""
    table = _table("The report's latency table, expected and measured")
    table.add_column("query type", no_wrap=True)
    table.add_column("expected", no_wrap=True)
    table.add_column("measured, typical values", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for one in ledger.rows:
        table.add_row(_name(one), one.expected, one.measured, _styled(one.word))
    return table


def terminal_counts(ledger: Ledger) -> Table:
    """Return how many claims got which word, and where the rest will be judged."""
    table = _table(f"The {len(ledger)} claims of the report")
    table.add_column("verdict", no_wrap=True)
    table.add_column("claims", justify="right")
    table.add_column("judged in")
    for word, count in ledger.counts.items():
        places = sorted({one.claim.chapter for one in ledger.of(word)})
        where = ", ".join(places) if word not in (*JUDGED, "not testable") else ""
        table.add_row(_styled(word), str(count), where)
    return table


def _styled(word: Word) -> str:
    return f"[{_STYLES.get(word, 'none')}]{word}[/]"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
