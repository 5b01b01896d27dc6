"""Decisions as Markdown, CSV and a migration that psql runs there and back."""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from index_cases import case, contribution, effect
from step_sessions import SPRINT, written

from fluxlab.indexes.decision_export import as_csv, as_markdown, as_migration, compared
from fluxlab.indexes.decisions import Decisions, Thresholds, decide_all
from fluxlab.indexes.definition import read_indexes
from fluxlab.indexes.migration import read_steps
from fluxlab.indexes.sets import Totals
from fluxlab.indexes.steps import apply_all
from fluxlab.servers.binaries import find_postgres
from fluxlab.servers.connections import connect, uri
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings

LIMITS = Thresholds(least_saved_ms=1.0)
#: What definitions may have that those of the sprint do not.
ODD = (
    'create index "Odd name; --" on users (lower(email) desc nulls last) '
    "include (id) with (fillfactor = 80) where email ~ 'it''s'",
    "create index idx_odd_pattern on users (email varchar_pattern_ops)",
)

Psql = Callable[[str], tuple[int, str]]


@pytest.fixture
def sprint(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    """A copy of the data with all indexes of the sprint, and two odd ones."""
    with connect(postgres, database) as connection:
        apply_all(connection, read_steps(SPRINT))
        for statement in ODD:
            connection.execute(statement.encode())
        yield connection


@pytest.fixture
def psql(
    postgres: PostgresServer, settings: Settings, database: str, tmp_path: Path
) -> Psql:
    """Execute a script as `psql -f` does; return the exit code and what it said."""
    program = find_postgres(settings).bin / "psql"
    url = uri(postgres, database)

    def run(script: str) -> tuple[int, str]:
        path = tmp_path / "script.sql"
        path.write_text(script)
        done = subprocess.run(
            [program, "-X", "-q", "-d", url, "-f", path], capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    return run


def decided(connection: psycopg.Connection) -> Decisions:
    """Every third index of the database is kept, and every ninth unclear."""
    found = [one.definition for one in read_indexes(connection) if not one.is_constraint]
    cases = [
        case(
            saved_ms=5.0 * (number % 3 == 0),
            could=2.0 if number % 9 == 1 else None,
            stand_ins=("another",) if number % 5 == 0 else (),
            index=index,
        )
        for number, index in enumerate(found)
    ]
    return decide_all(cases, {}, LIMITS)


def test_up_leaves_exactly_what_stays_and_down_brings_back_exactly_what_was(
    sprint: psycopg.Connection, psql: Psql
) -> None:
    before = written(sprint)
    decisions = decided(sprint)
    up, down = as_migration(decisions)
    gone = {one.index.name for one in decisions.goes}
    assert '"Odd name; --"' in up + "".join(before.values())
    assert len(gone) > 40

    assert psql(up) == (0, "")
    assert written(sprint) == {k: v for k, v in before.items() if k not in gone}
    assert psql(up) == (0, "")
    assert psql(down) == (0, "")
    assert written(sprint) == before
    assert psql(down) == (0, "")
    assert written(sprint) == before


def test_up_drops_in_nobody_s_way_and_says_of_each_why(sprint: psycopg.Connection) -> None:
    decisions = decided(sprint)
    up, down = as_migration(decisions)

    dropped = [line for line in up.splitlines() if line.startswith("drop index")]
    assert len(dropped) == len(decisions.goes)
    assert all(line.startswith("drop index concurrently if exists") for line in dropped)
    lines = up.splitlines()
    for one in decisions.goes:
        place = lines.index(f"{one.index.undo(concurrently=True)};")
        assert lines[place - 1] == f"-- {one.reason}"
    made = [line for line in down.splitlines() if line.startswith("create ")]
    assert len(made) == len(dropped)
    assert all(" concurrently if not exists " in line for line in made)


def test_what_is_unclear_is_named_and_left_alone(sprint: psycopg.Connection) -> None:
    decisions = decided(sprint)
    up, _ = as_migration(decisions)

    unclear = decisions.of("unclear")
    assert unclear
    assert f"-- {len(unclear)} stay because it is unclear" in up
    for one in unclear:
        assert f"--   {one.index.name}: {one.reason}" in up
        assert one.index.undo(concurrently=True) not in up


def test_where_nothing_goes_both_scripts_do_nothing(
    sprint: psycopg.Connection, psql: Psql
) -> None:
    before = written(sprint)
    scripts = as_migration(decide_all([case(saved_ms=9.0)], {}, LIMITS))

    for script in scripts:
        assert psql(script) == (0, "")
    assert written(sprint) == before


# --- text --------------------------------------------------------------------------------

HELPED = contribution(effect("faster", 3.0, 1.0, weight=2.5))


def some() -> Decisions:
    kept = case(saved_ms=5.0, name="idx_kept", without=HELPED, findings=("H05 x",))
    return decide_all([kept, case(name="idx_gone", build_ms=2.0)], {}, LIMITS)


def totals(**facts: float) -> Totals:
    amounts = {
        "index_bytes": 8192,
        "read_ms": 100.0,
        "read_blocks": 1_000.0,
        "write_ms": 10.0,
        "wal_bytes": 4_096.0,
        "hot_share": 0.25,
    }
    return Totals("a set", 3, **{**amounts, **facts})  # type: ignore[arg-type]


def test_markdown_has_the_rule_the_sets_and_a_row_for_each_index() -> None:
    text = as_markdown(some(), {"all": totals(cut_off=1, write_error_ms=2.0)})

    assert text.startswith("# 2 indexes: 1 go\n")
    assert "saves 1 ms in 1,000 requests" in text
    assert "| a set | 3 | 8 kB | ≥ 100 ms | ≥ 1,000 | 10 ms ± 2 ms | 4 kB | 25% |" in text
    assert text.index("## keep: 1") < text.index("## drop: 1")
    row = next(line for line in text.splitlines() if "idx_kept" in line)
    assert "1 (2.5 requests)" in row
    assert "5 ms (4.3 to 5.8 ms)" in row
    assert "`H05 x`" in row
    assert next(line for line in text.splitlines() if "idx_gone" in line).count("|") == 11
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| `")}
    assert widths == {11}


def test_markdown_says_what_was_not_measured() -> None:
    unmeasured = Totals("x", 1, 1, 1.0, 1.0, 1.0, 1.0, 0.0, unmeasured=("a_query",))

    assert "Not measured: a_query." in as_markdown(some(), {"all": unmeasured})


def test_csv_reads_back_with_every_index_and_column() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(some()))))

    assert [row["index"] for row in rows] == ["idx_kept", "idx_gone"]
    assert [row["decision"] for row in rows] == ["keep", "drop"]
    assert float(rows[0]["missed_ms"]) == 5.0
    assert float(rows[0]["helped_weight"]) == 2.5
    assert rows[1]["reason"] == "No plan changes when it is taken away."
    assert set(rows[0]) == set(some().frame().columns)


def test_the_kept_set_is_compared_with_both_others() -> None:
    sets = {
        "base": totals(),
        "all": totals(index_bytes=16_384, read_ms=50.0),
        "kept": totals(index_bytes=12_288, read_ms=50.0),
    }

    rows = {label: (base, whole) for label, base, whole in compared(sets)}
    assert rows["size"] == ("+50 %", "−25 %")
    assert rows["time of reads"] == ("−50 %", "0 %")
    assert rows["time together"] == ("−45 %", "0 %")
