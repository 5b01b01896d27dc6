"""`fluxlab decide`: one row per index, keep or drop, and the migration that does it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fluxlab.errors import FluxlabError
from fluxlab.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fluxlab.indexes.decisions import Decision, Decisions, Thresholds, Word
    from fluxlab.indexes.sets import Totals

FORMATS = ("table", "markdown", "csv", "up", "down")
#: A mark and a style for each word; the word beside it is enough alone.
_STYLES: Mapping[Word, tuple[str, str]] = {
    "keep": ("●", "bold green"),
    "unclear": ("?", "bold yellow"),
    "replace": ("◐", "bold cyan"),
    "drop": ("○", "bold red"),
}
_BESIDE = (
    "Beside each index stand its size, and the log that 1,000 writes on its table pay."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Name what the command takes."""
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="table for the terminal, markdown for a review, csv; up drops what goes and "
        "down builds it again, both for psql (table)",
    )
    parser.add_argument(
        "--least-saved",
        type=_amount,
        metavar="MS",
        help="what an index has to save in 1,000 requests (0.5)",
    )
    parser.add_argument(
        "--least-return",
        type=_amount,
        metavar="TIMES",
        help="and how many times what its writes take longer (1)",
    )
    parser.add_argument(
        "--least-wait",
        type=_amount,
        metavar="MS",
        help="or what one statement waits longer without it (5)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write it there instead of printing it"
    )


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Decide, print or write, and return the exit code. Nothing is measured again."""
    from fluxlab.lab import open_lab

    indexes = open_lab(settings).indexes
    decisions = indexes.decide(_limits(indexes.limits, options))
    if options.format == "table":
        report = decision_text(decisions, indexes.totals)
        _show(report, options.output)
        return 0
    text = _exported(decisions, indexes.totals, options.format)
    if options.output:
        _write(options.output, text)
    else:
        sys.stdout.write(text)
    return 0


def _amount(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount; write 0 or more")
    return value


def _limits(limits: Thresholds, options: argparse.Namespace) -> Thresholds:
    from dataclasses import replace

    chosen = {
        "least_saved_ms": options.least_saved,
        "least_return": options.least_return,
        "least_wait_ms": options.least_wait,
    }
    return replace(limits, **{k: v for k, v in chosen.items() if v is not None})


def _exported(decisions: Decisions, totals: Mapping[str, Totals], how: str) -> str:
    from fluxlab.indexes.decision_export import as_csv, as_markdown, as_migration

    if how == "markdown":
        return as_markdown(decisions, totals)
    if how == "csv":
        return as_csv(decisions)
    up, down = as_migration(decisions)
    return up if how == "up" else down


def _show(report: RenderableType, path: Path | None) -> None:
    if path is None:
        Console(highlight=False).print(report)
        return
    console = Console(highlight=False, width=100, no_color=True)
    with console.capture() as captured:
        console.print(report)
    _write(path, captured.get())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise FluxlabError(
            f"{path} cannot be written: {error.strerror}.", "Name another file."
        ) from None


def decision_text(decisions: Decisions, totals: Mapping[str, Totals]) -> RenderableType:
    """Return Decisions for a terminal: the sets, then each word with its reasons."""
    from fluxlab.indexes.decision_export import MEANINGS, rule_of

    blocks: list[RenderableType] = [
        Text(f"{len(decisions.rows)} indexes, {len(decisions.goes)} go", style="bold"),
        Text(f"{rule_of(decisions.limits)} {_BESIDE}", style="dim"),
        "",
        _totals(totals),
    ]
    for word in MEANINGS:
        if rows := decisions.of(word):
            blocks += ["", *_of_word(word, rows)]
    return Group(*blocks)


def _totals(totals: Mapping[str, Totals]) -> Table:
    from fluxlab.indexes.amounts import show_bytes, show_ms

    table = Table(
        title="In 1,000 requests",
        title_justify="left",
        pad_edge=False,
        box=box.SIMPLE_HEAD,
    )
    for name in ("set", "indexes", "size", "reads", "writes", "WAL", "HOT"):
        table.add_column(name, justify="left" if name == "set" else "right", no_wrap=True)
    for one in totals.values():
        bound = "≥ " if one.cut_off else ""
        error = f" ± {one.write_error_ms:,.2g}" if one.write_error_ms else ""
        table.add_row(
            one.name,
            str(one.indexes),
            show_bytes(one.index_bytes),
            bound + show_ms(one.read_ms),
            show_ms(one.write_ms) + error,
            show_bytes(one.wal_bytes),
            f"{one.hot_share:.0%}",
        )
    return table


def _of_word(word: Word, rows: Sequence[Decision]) -> Iterator[RenderableType]:
    from fluxlab.indexes.decision_export import MEANINGS

    mark, style = _STYLES[word]
    yield Text.assemble(
        (f"{mark} {word} ", style), (f"({len(rows)}): {MEANINGS[word]}", "bold")
    )
    by_reason: dict[str, list[Decision]] = {}
    for one in sorted(rows, key=lambda one: -one.case.missed.sure.saved_ms):
        by_reason.setdefault(one.reason, []).append(one)
    for reason, same in by_reason.items():
        yield Padding(_table(same), (0, 0, 0, 2))
        yield Padding(Text(reason, style="dim"), (0, 0, 0, 4))


def _table(rows: Sequence[Decision]) -> Table:
    from fluxlab.indexes.amounts import show_bytes

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(min_width=44, overflow="fold")
    table.add_column(min_width=9, justify="right", no_wrap=True)
    table.add_column(min_width=20, no_wrap=True)
    for one in rows:
        wal = "no writes"
        if one.wal_of_writes is not None:
            wal = f"{show_bytes(one.wal_of_writes)} of WAL"
        table.add_row(Text(one.index.name), show_bytes(one.case.size_bytes), wal)
    return table
