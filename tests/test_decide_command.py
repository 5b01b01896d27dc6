"""`fluxlab decide`: the table in a terminal, and what it writes."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from index_cases import case, contribution, effect, price
from rich.console import Console

from fluxlab import decide_command
from fluxlab.errors import FluxlabError
from fluxlab.indexes.decisions import Case, Decisions, Thresholds, decide_all
from fluxlab.indexes.sets import Totals
from fluxlab.lab import open_lab
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings

HELPED = contribution(effect("faster", 3.0, 1.0, weight=2.5))
LONG = "idx_conversation_participants_last_read_at"
CASES: tuple[Case, ...] = (
    case(saved_ms=5.0, name="idx_kept", without=HELPED, price=price(0.1)),
    case(name=LONG),
    case(name="idx_gone_too"),
    case(name="idx_served", effects=(effect("same", 1.0, 1.0),), stand_ins=("idx_kept",)),
    case(could=0.9, name="idx_perhaps"),
)
SETS = {
    name: Totals(name, 3, 10_000_000, 12_345.6, 1e6, 1_234.5, 9e6, 0.5, 123.4, 1)
    for name in ("base", "all", "kept")
}
Decide = Callable[..., str]


class Indexes:
    """What the command asks of an IndexLab."""

    limits = Thresholds()
    totals = SETS

    def decide(self, limits: Thresholds) -> Decisions:
        return decide_all(CASES, {"send": 1.0}, limits)


@pytest.fixture
def decide(monkeypatch: pytest.MonkeyPatch, settings: Settings, capsys: object) -> Decide:
    """Run the command as a terminal does, on cases made by hand; return its output."""
    lab = SimpleNamespace(indexes=Indexes())
    monkeypatch.setattr("fluxlab.lab.open_lab", lambda settings: lab)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> str:
        parser = argparse.ArgumentParser()
        decide_command.add_options(parser)
        assert decide_command.run(settings, parser.parse_args(arguments)) == 0
        return str(capsys.readouterr().out)  # type: ignore[attr-defined]

    return run


def test_a_terminal_of_eighty_columns_shows_every_index_and_every_reason(
    decide: Decide,
) -> None:
    printed = decide()

    assert max(map(len, printed.splitlines())) <= 80
    for one in CASES:
        assert printed.count(one.index.name) >= 1
    assert "● keep (1)" in printed
    assert "? unclear (1)" in printed
    assert "◐ replace (1)" in printed
    assert "○ drop (2)" in printed
    assert "5 indexes, 3 go" in printed
    assert printed.index("● keep") < printed.index("? unclear") < printed.index("○ drop")
    # A reason that several share is said once.
    assert printed.count("No plan changes when it is taken away.") == 1
    assert "≥ 12,346 ms" in printed


def test_a_narrow_terminal_loses_no_name() -> None:
    out = io.StringIO()
    Console(file=out, width=48).print(
        decide_command.decision_text(decide_all(CASES, {}, Thresholds()), SETS)
    )

    words = "".join(out.getvalue().split())
    assert LONG in words


def test_thresholds_change_the_set_and_are_said(decide: Decide) -> None:
    strict = decide("--least-saved", "6")
    lax = decide("--least-saved", "0", "--least-return", "0", "--least-wait", "99")

    # One stays although nobody misses it: who would serve instead goes as well.
    assert "5 indexes, 4 go" in strict
    assert "6 ms in 1,000 requests" in " ".join(strict.split())
    assert "5 indexes, 0 go" in lax


@pytest.mark.parametrize("value", ["-1", "soon", "inf", "nan"])
def test_a_threshold_is_an_amount(decide: Decide, value: str) -> None:
    with pytest.raises(SystemExit):
        decide(f"--least-saved={value}")


@pytest.mark.parametrize(
    ("how", "start"),
    [
        ("markdown", "# 5 indexes: 3 go"),
        ("csv", "index,table,family"),
        ("up", "-- 3 of 5 indexes go."),
        ("down", "\\set ON_ERROR_STOP on"),
        ("table", "5 indexes, 3 go"),
    ],
)
def test_every_format_is_printed_or_written_the_same(
    decide: Decide, tmp_path: Path, how: str, start: str
) -> None:
    path = tmp_path / "decisions"

    printed = decide("--format", how)
    silent = decide("--format", how, "--output", str(path))

    assert printed.startswith(start)
    assert silent == ""
    assert path.read_text().startswith(start)
    assert "\x1b" not in path.read_text()
    if how != "table":
        assert path.read_text() == printed


def test_a_file_that_cannot_be_written_is_named(decide: Decide, tmp_path: Path) -> None:
    with pytest.raises(FluxlabError, match="cannot be written"):
        decide("--format", "up", "--output", str(tmp_path / "nowhere" / "up.sql"))


def test_without_measurements_it_says_what_makes_them(
    settings: Settings, postgres: PostgresServer, redis: RedisServer
) -> None:
    open_lab(settings)
    parser = argparse.ArgumentParser()
    decide_command.add_options(parser)

    with pytest.raises(FluxlabError) as caught:
        decide_command.run(settings, parser.parse_args([]))

    assert "make run" in caught.value.do
