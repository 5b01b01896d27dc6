"""Help for the tests of monitoring: run a file of `sql/monitoring/`, find a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg.rows import dict_row

from fluxlab.monitoring.panels import PANELS, number
from fluxlab.monitoring.reading import Monitor
from fluxlab.settings import ROOT

DIRECTORY = ROOT / "sql" / "monitoring"

Found = Mapping[str, object]


def ask(connection: psycopg.Connection, name: str) -> list[dict[str, object]]:
    """Run a file; the counters of this session are flushed first."""
    connection.execute("select pg_stat_force_next_flush()")
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute((DIRECTORY / f"{name}.sql").read_bytes()).fetchall()


def row_of(
    connection: psycopg.Connection, name: str, **wanted: object
) -> dict[str, object]:
    """The one row of a file's answer in which these columns have these values."""
    (found,) = [row for row in ask(connection, name) if wanted.items() <= row.items()]
    return found


def share(row: Found, part: str, whole: str) -> float:
    """One column as a share of another, 0 to 1."""
    return number(row, part) / number(row, whole)


@contextmanager
def watching(
    connect_: Callable[[], psycopg.Connection], *names: str
) -> Iterator[tuple[Monitor, Callable[[float], None]]]:
    """A monitor of some panels, and what moves its clock on."""
    seconds = [0.0]

    def move(by: float) -> None:
        seconds[0] += by

    monitor = Monitor(
        connect_, [PANELS[name] for name in names], DIRECTORY, lambda: seconds[0]
    )
    try:
        yield monitor, move
    finally:
        monitor.close()
