"""`fluxlab monitor`: what a server does now, as a table that renews itself."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable

import psycopg
from rich.console import Console
from rich.live import Live

from fluxlab.errors import FluxlabError
from fluxlab.indexes.states import DATABASES
from fluxlab.monitoring.panels import PANELS, Panel
from fluxlab.monitoring.reading import Monitor
from fluxlab.monitoring.view import as_json, frame, page
from fluxlab.servers import postgres
from fluxlab.servers.connections import connect, connect_foreign
from fluxlab.settings import Settings

#: More often would measure the monitor.
_SHORTEST_S = 0.2
_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "min": 60.0}
#: A statement that lists others waits no longer for a lock, and takes no longer.
_PATIENCE = "set lock_timeout = '2s'; set statement_timeout = '30s'"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Name what the command takes."""
    parser.add_argument(
        "state",
        nargs="?",
        choices=tuple(DATABASES),
        help="of the lab: baseline or sprint11 (baseline)",
    )
    parser.add_argument(
        "--dsn", metavar="URL", help="a database of your own; nothing is changed there"
    )
    parser.add_argument(
        "--every",
        default="2s",
        metavar="TIME",
        help="how often to look, such as 2s, 500ms or 1min (2s)",
    )
    parser.add_argument("--once", action="store_true", help="print it once and stop")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PANEL",
        default=[],
        help=f"some of {', '.join(PANELS)}",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Watch until Ctrl-C, or print one Snapshot; return the exit code.

    One Snapshot is also what a pipe, a file and `--format json` get.
    """
    panels, every_s = _panels(options.only), _seconds(options.every)
    console = Console(highlight=False)
    monitor = Monitor(
        _source(settings, options),
        panels,
        settings.root / "sql" / "monitoring",
        time.monotonic,
    )
    try:
        if options.format == "json":
            print(as_json(monitor.read()))
        elif options.once or not console.is_terminal:
            console.print(page(monitor.read()))
        else:
            _watch(console, monitor, every_s)
    finally:
        monitor.close()
    return 0


def _watch(console: Console, monitor: Monitor, every_s: float) -> None:
    """Show Snapshots until somebody presses Ctrl-C, which is the way to end it."""
    last = monitor.read()
    try:
        with Live(
            console=console,
            screen=True,
            auto_refresh=False,
            vertical_overflow="crop",
            # Asked at every drawing, so that a resized terminal is filled at once.
            get_renderable=lambda: frame(last, console.width, console.height),
        ) as live:
            while True:
                live.refresh()
                time.sleep(every_s)
                last = monitor.read()
    except KeyboardInterrupt:
        pass
    console.print(page(last, rows=3))


def _source(
    settings: Settings, options: argparse.Namespace
) -> Callable[[], psycopg.Connection]:
    """Return what opens a session: read-only, in the lab as elsewhere."""
    if options.dsn:
        if options.state:
            raise FluxlabError(
                f"{options.state} is a state of the lab, and --dsn another database.",
                "Name one of the two.",
            )
        return lambda: connect_foreign(options.dsn)
    return lambda: _connect_lab(settings, options.state or "baseline")


def _connect_lab(settings: Settings, state: str) -> psycopg.Connection:
    server = postgres.find(settings)  # anew each time: a restart may move its socket
    if server is None:
        raise FluxlabError("The lab's PostgreSQL does not run.", "`fluxlab up` starts it.")
    connection = connect(server, DATABASES[state], application="fluxlab, monitor")
    if server.is_ours:
        _create_statistics(connection)
    connection.execute("set default_transaction_read_only = on")
    connection.execute(_PATIENCE)
    return connection


def _create_statistics(connection: psycopg.Connection) -> None:
    """Create the extension that lists statements, in a database that is ours.

    It is a view and some functions, no table and no index: the state is the same.
    """
    found = connection.execute(
        "select 1 from pg_available_extensions where name = 'pg_stat_statements'"
    ).fetchone()
    if found:
        connection.execute("create extension if not exists pg_stat_statements")


def _panels(names: list[str]) -> list[Panel]:
    if unknown := [name for name in names if name not in PANELS]:
        raise FluxlabError(
            f"There is no panel {unknown[0]!r}.", f"Use some of {', '.join(PANELS)}."
        )
    return [
        panel
        for panel in PANELS.values()
        if (panel.name in names if names else panel.is_default)
    ]


def _seconds(text: str) -> float:
    """Read a time such as 2s, 500ms, 1min or 2.

    >>> _seconds("500ms"), _seconds("1min"), _seconds("2")
    (0.5, 60.0, 2.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min)?\s*", text)
    seconds = float(found[1]) * _UNITS[found[2] or ""] if found else 0.0
    if seconds < _SHORTEST_S:
        raise FluxlabError(
            f"{text!r} is no time to wait between two looks.",
            f"Give {_SHORTEST_S:g}s or more, such as 2s, 500ms or 1min.",
        )
    return seconds
