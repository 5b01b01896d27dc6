"""How close our loading comes to the server's own COPY of a ready file.

Both fill the same bare tables with the same rows, one transaction per table, in blocks
A B B A: A is COPY FROM a file that the server wrote itself, B is our binary COPY of
ready Arrow chunks. A third time, with the generation included, is shown beside them.

    python benchmarks/bench_load.py [--size small] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pyarrow as pa

from fluxlab.dataset import ddl
from fluxlab.dataset.databases import drop, maintenance
from fluxlab.dataset.generate import TableSource, table_sources
from fluxlab.dataset.ingest import load_tables
from fluxlab.dataset.profile import load_profile
from fluxlab.errors import FluxlabError
from fluxlab.servers import postgres
from fluxlab.servers.connections import connect, uri
from fluxlab.settings import USERS_OF_SIZE, read_settings

DATABASE = "flux_bench_load"

#: The least that a release may have.
WANTED = 0.8


@dataclass(frozen=True)
class ReadySource:
    """A table whose chunks are already made."""

    name: str
    rows: int
    schema: pa.Schema
    batches: tuple[pa.RecordBatch, ...]

    def chunks(self) -> Iterator[pa.RecordBatch]:
        """The chunks, in order."""
        return iter(self.batches)


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    settings = replace(read_settings(), size=arguments.size)
    server = postgres.start(settings)
    sources = table_sources(load_profile(), settings.users, settings.seed)
    rows = sum(source.rows for source in sources)
    with maintenance(server) as admin:
        drop(server, DATABASE)
        admin.execute(f"create database {DATABASE} template template0")
        try:
            with connect(server, DATABASE) as connection:
                connection.execute(ddl.TABLES_FILE.read_bytes())
                measured = _measure(
                    connection, uri(server, DATABASE), sources, arguments.rounds
                )
        finally:
            drop(server, DATABASE)
    _show(arguments.size, rows, server.version_text, *measured)


def _measure(
    connection: psycopg.Connection,
    address: str,
    sources: Sequence[TableSource],
    rounds: int,
) -> tuple[str, list[float], list[float], list[float]]:
    ready = [
        ReadySource(source.name, source.rows, source.schema, tuple(source.chunks()))
        for source in sources
    ]
    _load(address, ready)
    folder = _folder(connection)
    files = {source.name: folder / f"{DATABASE}_{source.name}.copy" for source in sources}
    try:
        kind = _faster_format(connection, files)
        _write_files(connection, files, kind)
        file_s, ours_s, whole_s = [], [], []
        for _ in range(rounds):
            blocks = [
                _timed(connection, lambda: _copy(connection, files, kind)),
                _timed(connection, lambda: _load(address, ready)),
                _timed(connection, lambda: _load(address, ready)),
                _timed(connection, lambda: _copy(connection, files, kind)),
            ]
            file_s.append((blocks[0] + blocks[3]) / 2)
            ours_s.append((blocks[1] + blocks[2]) / 2)
            fresh = table_sources(load_profile(), sources[0].rows, 11)
            whole_s.append(_timed(connection, lambda new=fresh: _load(address, new)))
    finally:
        for path in files.values():
            path.unlink(missing_ok=True)
    return kind, file_s, ours_s, whole_s


def _load(address: str, sources: Sequence[TableSource | ReadySource]) -> None:
    load_tables(address, sources, lambda table: None, lambda table, rows: None)


def _copy(connection: psycopg.Connection, files: dict[str, Path], kind: str) -> None:
    for table, path in files.items():
        with connection.transaction():
            connection.execute(f"truncate {table}")
            connection.execute(f"copy {table} from '{path}' (format {kind})")


def _write_files(connection: psycopg.Connection, files: dict[str, Path], kind: str) -> None:
    for table, path in files.items():
        connection.execute(f"copy {table} to '{path}' (format {kind})")


def _faster_format(connection: psycopg.Connection, files: dict[str, Path]) -> str:
    """Text or binary, whichever the server reads faster."""
    times = {}
    for kind in ("text", "binary"):
        _write_files(connection, files, kind)
        _copy(connection, files, kind)
        times[kind] = _timed(connection, lambda kind=kind: _copy(connection, files, kind))
    return min(times, key=lambda kind: times[kind])


def _timed(connection: psycopg.Connection, work: Callable[[], None]) -> float:
    # Writing out the blocks of the run before is not part of this one.
    connection.execute("checkpoint")
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _folder(connection: psycopg.Connection) -> Path:
    """A folder in which the server may write and we may delete: its own."""
    row = connection.execute("select current_setting('data_directory')").fetchone()
    folder = Path(str(row[0] if row else ""))
    if not folder.is_dir():
        raise FluxlabError(
            "The server runs on another machine, so it cannot read a file of ours.",
            "Unset DATABASE_URL and DB_HOST, and use fluxlab's own server.",
        )
    return folder


def _show(
    size: str,
    rows: int,
    version: str,
    kind: str,
    file_s: list[float],
    ours_s: list[float],
    whole_s: list[float],
) -> None:
    ratios = [file / ours for file, ours in zip(file_s, ours_s, strict=True)]
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{rows:,} rows (size {size}), PostgreSQL {version}, {os.cpu_count()} cores{load}"
    )
    labels = (
        (f"server's COPY of a ready file ({kind})", file_s),
        ("our load of ready chunks", ours_s),
        ("our load, generation included", whole_s),
    )
    for label, times in labels:
        speed = [rows / seconds for seconds in times]
        print(
            f"{label:42} {statistics.median(speed):>9,.0f} rows/s"
            f"  ({min(speed):,.0f} to {max(speed):,.0f}; {len(times)} rounds)"
        )
    ratio = statistics.median(ratios)
    print(
        f"{'ratio of our load to the file':42} {ratio:>9.2f}"
        f"         ({min(ratios):.2f} to {max(ratios):.2f}; wanted {WANTED})"
    )
    if ratio < WANTED:
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", choices=USERS_OF_SIZE, default="small")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
