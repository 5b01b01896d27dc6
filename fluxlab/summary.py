"""What `fluxlab run` says at its end: the report's rows, the verdicts, the indexes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fluxlab.book import (
    decision_words,
    hit_words,
    load_words,
    sentences,
    trial_words,
    verdict_view,
)
from fluxlab.caching.results import LayerName
from fluxlab.index_lab import SETTLED
from fluxlab.indexes.order import economy
from fluxlab.indexes.trials import Kind
from fluxlab.lab import Lab
from fluxlab.workload.measure import TimeSpent
from fluxlab.workload.sample import show_median
from fluxlab.workload.stats import show_speedup

_KINDS: tuple[Kind, ...] = ("ladder", "alone", "without", "dropped")


def show(lab: Lab, time_spent: TimeSpent, index: Path | None) -> None:
    """Print what came of a run; `index` is the first page of the book, if it was made."""
    console = Console(highlight=False)
    console.print()
    console.print(_latency_table(lab))
    console.print(verdict_view.terminal_rows(lab.ledger))
    console.print(verdict_view.terminal_counts(lab.ledger))
    console.print()
    console.print(f"{sentences.finding(lab.comparison)}.", style="bold")
    console.print(Text(sentences.noise(lab.control, lab.floor)))
    console.print(
        f"{len(lab.comparison):,} pairs of query and parameter class; this run measured "
        f"{time_spent.pairs:,} pairs for the first time, in {time_spent.rounds:,} rounds."
    )
    if time_spent.rounds:
        console.print(
            f"The server worked for {time_spent.server_s:,.0f} s; the harness added "
            f"{time_spent.overhead:.0%} to that."
        )
    for sentence in (*_of_indexes(lab), *_of_cache(lab)):
        console.print(Text(f"\n{sentence}"))
    if index is not None:
        console.print(f"\nThe book: {index}")
        console.print("JupyterLab: make lab")


def _of_cache(lab: Lab) -> Iterator[str]:
    """What the replays of the users found; nothing where there were none."""
    wanted: tuple[LayerName, ...] = ("none", "sprint11", "fluxlab")
    if any((name, "open") not in lab.cache.replays for name in wanted):
        return
    found = load_words.Three(*map(lab.cache.replay, wanted))
    yield hit_words.overall(found.ours, found.specimen)
    yield f"{load_words.overall_title(found)}. {load_words.uncovered(found)}"


def _of_indexes(lab: Lab) -> Iterator[str]:
    """What is known of single indexes; nothing where the server lets us hide none."""
    if not lab.indexes.read_notes(SETTLED):
        return
    found = lab.indexes
    yield decision_words.counts(found.decisions)
    yield decision_words.totals_sentence(found.totals)
    spared = economy(found.contributions, len(lab.run("baseline")), _KINDS)
    yield f"{trial_words.economy(spared)} `fluxlab decide` tells of each index."


def _latency_table(lab: Lab) -> Table:
    table = Table(
        title="The report's latency table, expected and measured",
        title_justify="left",
        caption="Measured are medians at the client, in brackets the 95 % interval of "
        "the ratio.",
        caption_justify="left",
        pad_edge=False,
        box=box.SIMPLE_HEAD,
    )
    table.add_column("query type and class", no_wrap=True)
    for name in ("before", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("change", no_wrap=True)
    for claim in lab.claims.latency:
        table.add_row(claim.name)
        table.add_row(
            "  the report",
            f"{claim.before_ms:g} ms",
            f"{claim.after_ms:g} ms",
            show_speedup(claim.speedup),
        )
        changes = [change for change in lab.comparison if change.query == claim.query]
        for number, change in enumerate(changes):
            table.add_row(
                f"  {change.of_class}",
                show_median(change.before.sample),
                show_median(change.after.sample),
                change.sentence,
                end_section=number == len(changes) - 1,
            )
    return table
