"""`fluxlab migrate`: a file of CREATE INDEX in, the indexes and what each took out."""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fluxlab.errors import FluxlabError
from fluxlab.settings import Settings
from fluxlab.terminal import Reporter

if TYPE_CHECKING:
    import psycopg

    from fluxlab.indexes.migration import Step
    from fluxlab.indexes.steps import Built
    from fluxlab.progress import Report, Tick

_COPY = "migrate"
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|min|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "": 1.0}


@dataclass(frozen=True, slots=True)
class Row:
    """One index of the answer: what became of it, or would, and what that took."""

    step: int
    index: str
    table: str
    was: str
    ddl: str
    reason: str
    build_ms: float = 0.0
    size_bytes: int = 0
    wal_bytes: int = 0
    wal_of: str = ""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Name what the command takes."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="CREATE INDEX statements, nothing else"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--dsn", metavar="URL", help="a database of your own, which this changes"
    )
    where.add_argument(
        "--scratch",
        action="store_true",
        help="a copy of the lab's data, dropped afterwards: what would it take?",
    )
    where.add_argument(
        "--sql",
        action="store_true",
        help="print a script for psql instead, which may be run twice",
    )
    parser.add_argument("--undo", action="store_true", help="drop them, the last one first")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="of these indexes only"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--concurrently",
        action="store_const",
        const=True,
        dest="is_concurrent",
        help="while others write (with --dsn that is the rule)",
    )
    how.add_argument(
        "--in-place",
        action="store_const",
        const=False,
        dest="is_concurrent",
        help="faster, while writers of the table wait (elsewhere that is the rule)",
    )
    parser.add_argument("--dry-run", action="store_true", help="look, and change nothing")
    parser.add_argument(
        "--lock-timeout",
        type=_duration,
        default=2.0,
        metavar="2s",
        help="how long to wait for a lock at a time; five times in all (2s)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Migrate, print, and return the exit code."""
    from fluxlab.indexes.migration import read_steps

    steps = _chosen(read_steps(options.file), options.only)
    is_concurrent = bool(options.dsn)
    if options.is_concurrent is not None:
        is_concurrent = options.is_concurrent
    if options.sql:
        print(_script(steps, options, is_concurrent=is_concurrent), end="")
        return 0
    with _database(settings, options) as connection:
        where = connection.info.dbname
        if options.dry_run:
            rows = list(_foreseen(connection, steps, is_undo=options.undo))
        else:
            rows = _done(connection, steps, options, is_concurrent=is_concurrent)
    if options.format == "json":
        print(_as_json(where, rows, is_concurrent=is_concurrent))
    else:
        _print(rows, where, is_concurrent=is_concurrent)
    return 0


def _duration(text: str) -> float:
    """Read a duration in seconds: "2s", "500ms", "1min" or a number of seconds."""
    found = _DURATION.fullmatch(text.strip())
    if not found or float(found["number"]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 2s or 500ms")
    return float(found["number"]) * _SECONDS[found["unit"]]


def _chosen(steps: Sequence[Step], names: Sequence[str]) -> tuple[Step, ...]:
    if unknown := set(names) - {step.index.name for step in steps}:
        raise FluxlabError(
            f"The file makes no index {', '.join(sorted(unknown))}.",
            "Take a name from it as it stands there.",
        )
    return tuple(step for step in steps if not names or step.index.name in names)


def _script(
    steps: Sequence[Step], options: argparse.Namespace, *, is_concurrent: bool
) -> str:
    from fluxlab.indexes.script import apply_script, undo_script

    write = undo_script if options.undo else apply_script
    return write(steps, concurrently=is_concurrent, lock_timeout_s=options.lock_timeout)


@contextmanager
def _database(
    settings: Settings, options: argparse.Namespace
) -> Iterator[psycopg.Connection]:
    """Open the database that was named, and none by accident."""
    from fluxlab.indexes.hiding import scratch
    from fluxlab.indexes.sandbox import TEMPLATE
    from fluxlab.indexes.states import DATABASES
    from fluxlab.lab import open_lab
    from fluxlab.servers.connections import connect
    from fluxlab.servers.dial import dial

    if options.dsn:
        with dial(options.dsn, application="fluxlab migrate") as connection:
            _refuse_states(connection)
            yield connection
        return
    if not options.scratch:
        raise FluxlabError(
            "Say which database to change: none is chosen for you.",
            "Name your own with --dsn, or take --scratch for a copy of the lab's; --sql "
            "prints a script instead.",
        )
    server = open_lab(settings).server
    source = DATABASES["sprint11"] if options.undo else TEMPLATE
    with (
        scratch(server, _COPY, source) as name,
        connect(server, name, application="fluxlab migrate") as connection,
    ):
        yield connection


def _refuse_states(connection: psycopg.Connection) -> None:
    from fluxlab.dataset.databases import read_comment
    from fluxlab.indexes.sandbox import TEMPLATE
    from fluxlab.indexes.states import DATABASES

    name = connection.info.dbname
    is_state = name in (TEMPLATE, *DATABASES.values())
    if is_state and read_comment(connection, name) is not None:
        raise FluxlabError(
            f"{name} is a database that the lab measures, and must stay as it is.",
            "Take --scratch for a copy of it.",
        )


def _foreseen(
    connection: psycopg.Connection, steps: Sequence[Step], *, is_undo: bool
) -> Iterator[Row]:
    from fluxlab.indexes.steps import outlook

    words = {
        "there": "would be dropped" if is_undo else "there",
        "missing": "not there" if is_undo else "would be built",
        "broken": "would be dropped" if is_undo else "would be repaired",
    }
    found = outlook(connection, steps)
    for step, presence in zip(steps, found, strict=True):
        yield _row(step, words[presence])


def _done(
    connection: psycopg.Connection,
    steps: Sequence[Step],
    options: argparse.Namespace,
    *,
    is_concurrent: bool,
) -> list[Row]:
    with Reporter(Console(stderr=True, highlight=False)) as reporter:
        progress = _Progress(reporter)
        change = _dropped if options.undo else _built
        try:
            return change(connection, steps, is_concurrent, options.lock_timeout, progress)
        except FluxlabError as error:
            raise FluxlabError(error.what, f"{error.do} {progress.said}") from None


def _built(
    connection: psycopg.Connection,
    steps: Sequence[Step],
    is_concurrent: bool,
    lock_timeout_s: float,
    report: Report,
) -> list[Row]:
    from fluxlab.indexes.steps import apply_all

    made = apply_all(
        connection,
        steps,
        concurrently=is_concurrent,
        lock_timeout_s=lock_timeout_s,
        report=report,
    )
    return [_row(step, one.was, one) for step, one in zip(steps, made, strict=True)]


def _dropped(
    connection: psycopg.Connection,
    steps: Sequence[Step],
    is_concurrent: bool,
    lock_timeout_s: float,
    report: Report,
) -> list[Row]:
    from fluxlab.indexes.steps import undo_all

    were_there = undo_all(
        connection,
        steps,
        concurrently=is_concurrent,
        lock_timeout_s=lock_timeout_s,
        report=report,
    )
    return [
        _row(step, "dropped" if was_there else "not there")
        for step, was_there in zip(steps, were_there, strict=True)
    ]


class _Progress:
    """Hands each Tick on, and remembers how far it went."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last: Tick | None = None

    def __call__(self, tick: Tick) -> None:
        self._last = tick
        self._report(tick)

    @property
    def said(self) -> str:
        """How far it went, in a sentence, and nothing where it did not begin."""
        if self._last is None:
            return ""
        done, total = self._last.done, self._last.total
        return f"{done} of {total} indexes are done; the same command goes on from there."


def _row(step: Step, was: str, built: Built | None = None) -> Row:
    index = step.index
    row = Row(step.number, index.name, index.relation, was, index.ddl(), step.reason)
    if built is None:
        return row
    return replace(
        row,
        build_ms=round(built.build_ms, 3),
        size_bytes=built.size_bytes,
        wal_bytes=built.wal_bytes,
        wal_of=built.wal_of,
    )


def _as_json(database: str, rows: Sequence[Row], *, is_concurrent: bool) -> str:
    document = {
        "database": database,
        "concurrently": is_concurrent,
        "steps": [asdict(row) for row in rows],
    }
    return json.dumps(document, indent=2)


def _print(rows: Sequence[Row], database: str, *, is_concurrent: bool) -> None:
    console = Console(highlight=False)
    how = "concurrently" if is_concurrent else "in place"
    is_measured = any(row.wal_of for row in rows)
    noun = "index" if len(rows) == 1 else "indexes"
    console.print(f"{len(rows)} {noun} in {database}, {how}", style="italic")
    table = Table(pad_edge=False, box=box.SIMPLE_HEAD)
    table.add_column("step", justify="right")
    table.add_column("index", overflow="fold")
    table.add_column("was" if is_measured else "", no_wrap=True)
    for name in ("build", "size", "WAL") if is_measured else ():
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        measures = _measures(row) if is_measured else ()
        table.add_row(*map(Text, (str(row.step), row.index, row.was, *measures)))
    console.print(table)
    counts = Counter(row.was for row in rows)
    said = ", ".join(f"{count} {was}" for was, count in counts.most_common())
    console.print(Text(f"{said}{_total(rows) if is_measured else ''}."))


def _measures(row: Row) -> tuple[str, str, str]:
    from fluxlab.monitoring.panels import show_bytes

    size = show_bytes(row.size_bytes)
    if row.was == "there":
        return "", size, ""
    wal = show_bytes(row.wal_bytes) + (" *" if row.wal_of == "server" else "")
    return f"{row.build_ms:,.1f} ms", size, wal


def _total(rows: Sequence[Row]) -> str:
    from fluxlab.monitoring.panels import show_bytes

    build_s = sum(row.build_ms for row in rows) / 1000
    size = show_bytes(sum(row.size_bytes for row in rows))
    wal = show_bytes(sum(row.wal_bytes for row in rows))
    others = any(row.wal_of == "server" for row in rows)
    note = " (* with what others wrote meanwhile)" if others else ""
    return f"; {build_s:,.1f} s of building, {size} of indexes, {wal} of WAL{note}"
