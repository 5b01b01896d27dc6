"""Progress where nobody watches: one line per phase, and now and then one within it."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from fluxlab import terminal
from fluxlab.progress import Tick
from fluxlab.terminal import Reporter


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """The lines of a Reporter, one for each Tick."""
    monkeypatch.setattr(terminal, "_LOG_EVERY_SECONDS", -1.0)
    return StringIO()


def lines(said: StringIO, *ticks: Tick) -> list[str]:
    with Reporter(Console(file=said, width=80)) as report:
        for tick in ticks:
            report(tick)
    return [line.rstrip() for line in said.getvalue().splitlines()]


def test_a_phase_is_counted_and_its_end_is_said_once(said: StringIO) -> None:
    first, last, again = lines(
        said,
        Tick("reads", 3, 1_200, "user_by_email"),
        Tick("reads", 1_200, 1_200),
        Tick("reads", 1_200, 1_200, "Nothing was left to measure."),
    )

    assert first.startswith("  reads: 3 of 1,200")
    assert last.startswith("✓ reads: 1,200 in ")
    assert again == "Nothing was left to measure."


def test_a_phase_that_ends_by_the_clock_says_the_time_it_has_left(said: StringIO) -> None:
    first, last = lines(
        said,
        Tick("more reads", 37, 0, "user_by_email", left_s=75.0),
        Tick("more reads", 412, 412),
    )

    assert first == "  more reads: 37, 1 min 15 s left"
    assert last.startswith("✓ more reads: 412 in ")
