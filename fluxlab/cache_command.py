"""`fluxlab cache`: one row per cache key, what the report says, what was measured."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from fluxlab.settings import Settings

if TYPE_CHECKING:
    from fluxlab.caching.results import Arrivals, Prediction, ResourceCount
    from fluxlab.lab import Lab


def add_options(parser: argparse.ArgumentParser) -> None:
    """Name what the command takes."""
    parser.add_argument(
        "--format",
        choices=("table", "csv"),
        default="table",
        help="table for the terminal, csv with every count (table)",
    )
    parser.add_argument(
        "--arrivals",
        choices=("open", "closed"),
        default="open",
        help="users who come when they come, or who wait for their answers (open)",
    )


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Print what the replays found, and return the exit code. Nothing is measured."""
    from fluxlab.lab import open_lab

    lab = open_lab(settings)
    if options.format == "csv":
        sys.stdout.write(lab.cache.table("fluxlab", options.arrivals).to_csv())
        return 0
    Console(highlight=False).print(cache_text(lab, options.arrivals))
    return 0


def cache_text(lab: Lab, arrivals: Arrivals = "open") -> RenderableType:
    """Return the rows of every key, sorted by reads, with a sentence before and after."""
    from fluxlab.book import cache_groups, hit_words

    ours = lab.cache.replay("fluxlab", arrivals)
    specimen = lab.cache.replay("sprint11", arrivals)
    reported = cache_groups.reported(lab.claims)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("key", overflow="fold")
    for name in ("report", "its cache", "ours", "theory", "reads", "stale: its", "ours"):
        table.add_column(name, justify="right")
    for pattern, one in sorted(ours.resources.items(), key=lambda item: -item[1].reads):
        said = reported.get(_group(pattern))
        theirs = specimen.resources.get(pattern)
        table.add_row(
            Text(pattern),  # or `:email:` becomes a picture of a letter
            "" if said is None else f"{said:.0%}",
            "" if theirs is None else _rate(theirs),
            _rate(one),
            _band(one.predicted),
            f"{one.reads:,}",
            "" if theirs is None else f"{theirs.stale}/{theirs.checked}",
            f"{one.stale}/{one.checked}",
        )
    return Group(
        Text(str(hit_words.asked(ours))),
        table,
        Text(str(hit_words.overall(ours, specimen))),
    )


def _group(pattern: str) -> str:
    from fluxlab.caching.keys import PATTERNS

    return PATTERNS[pattern].group


def _rate(one: ResourceCount) -> str:
    return f"{one.hit_rate:.0%}" if one.hits + one.misses else "not read"


def _band(found: Prediction | None) -> str:
    return f"{found.low:.0%}–{found.high:.0%}" if found else ""
