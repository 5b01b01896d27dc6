"""The template database: generated, loaded, keyed, indexed and analysed, once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

import psycopg
from adbc_driver_postgresql import dbapi
from psycopg import sql

from fluxlab.dataset import ddl
from fluxlab.dataset.checksums import table_checksums
from fluxlab.dataset.databases import (
    clone,
    drop,
    exists,
    maintenance,
    read_comment,
    write_comment,
)
from fluxlab.dataset.finish import Finisher
from fluxlab.dataset.generate import TableSource, table_sources
from fluxlab.dataset.ingest import load_tables
from fluxlab.dataset.profile import PROFILE_PATH, load_profile
from fluxlab.dataset.progress import Phase, Progress, silent
from fluxlab.dataset.words import WORDS_PATH
from fluxlab.errors import FluxlabError
from fluxlab.servers.alone import alone
from fluxlab.servers.connections import connect, uri
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings

__all__ = ["Dataset", "build_template", "clone", "fingerprint_of", "table_checksums"]

TEMPLATE = "flux_template"
BUILDING = "flux_template_building"

#: Any number that nobody else uses: one build at a time per server.
_LOCK_KEY = 0x666C7578


#: VACUUM marks no page all-visible while the commit record of its rows, or of one of the
#: 32 transactions beside theirs, has not reached the disk (transam/clog.c).
_WAIT_FOR_DISK = "set synchronous_commit = on"


@dataclass(frozen=True, slots=True)
class Dataset:
    """What stands in the template database and how long each phase of it took.

    `fingerprint` changes with the profile, the schema, the generator, the seed and the
    size; equal fingerprints mean equal rows.
    """

    fingerprint: str
    size: str
    users: int
    seed: int
    now: datetime
    rows: Mapping[str, int]
    build_seconds: Mapping[str, float]


def build_template(
    server: PostgresServer, settings: Settings, progress: Progress | None = None
) -> Dataset:
    """Find the template database by its fingerprint, or build it.

    It is built under another name and renamed when it is complete, so a build that was
    killed leaves nothing that could be mistaken for a template. Processes that ask at
    the same time wait for the first. Raises FluxlabError where somebody measures what
    would be replaced.
    """
    fingerprint = fingerprint_of(settings)
    with maintenance(server) as connection:
        connection.execute("select pg_advisory_lock(%s)", (_LOCK_KEY,))
        facts = read_comment(connection, TEMPLATE)
        if facts is not None and facts.get("fingerprint") == fingerprint:
            return _dataset(facts)
        if facts is None and exists(connection, TEMPLATE):
            raise FluxlabError(
                f"A database {TEMPLATE} exists that fluxlab did not build.",
                "Rename or drop it, then start again.",
            )
        with alone(server, "building"):
            facts = _replace_template(connection, server, settings, progress or silent)
        return _dataset(facts)


def _replace_template(
    connection: psycopg.Connection,
    server: PostgresServer,
    settings: Settings,
    progress: Progress,
) -> dict[str, object]:
    drop(server, BUILDING)
    connection.execute(f"create database {BUILDING} template template0 encoding 'UTF8'")
    write_comment(connection, BUILDING, {"kind": "building"})
    facts = _build(server, settings, fingerprint_of(settings), progress)
    write_comment(connection, BUILDING, facts)
    drop(server, TEMPLATE)
    connection.execute(f"alter database {BUILDING} rename to {TEMPLATE}")
    return facts


def fingerprint_of(settings: Settings) -> str:
    """A name for exactly these rows in exactly this schema."""
    digest = hashlib.blake2b(f"{settings.seed}/{settings.users}".encode(), digest_size=12)
    generator = sorted(Path(__file__).parent.glob("*.py"))
    for path in (PROFILE_PATH, WORDS_PATH, *ddl.SCHEMA_FILES, *generator):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _build(
    server: PostgresServer, settings: Settings, fingerprint: str, progress: Progress
) -> dict[str, object]:
    profile = load_profile()
    sources = table_sources(profile, settings.users, settings.seed)
    started = time.perf_counter()
    with connect(server, BUILDING) as connection:
        connection.execute(ddl.TABLES_FILE.read_bytes())
    loaded = _load(server, sources, progress)
    finished = time.perf_counter()
    with connect(server, BUILDING) as connection:
        connection.execute(_WAIT_FOR_DISK)
        connection.execute(ddl.TRIGGERS_FILE.read_bytes())
    _vacuum(server, sources, progress)
    ended = time.perf_counter()
    seconds = {
        "load": loaded - started,
        "constraints": finished - loaded,
        "vacuum": ended - finished,
    }
    return {
        "kind": "template",
        "fingerprint": fingerprint,
        "size": settings.size,
        "users": settings.users,
        "seed": settings.seed,
        "now": profile.now.isoformat(),
        "rows": {source.name: source.rows for source in sources},
        "build_seconds": {name: round(value, 2) for name, value in seconds.items()},
    }


def _load(
    server: PostgresServer, sources: Sequence[TableSource], progress: Progress
) -> float:
    """Load every table while finished ones get their keys; tell when loading ended."""
    statements = ddl.after_data()
    total = sum(source.rows for source in sources)
    rows, executed, lock = 0, 0, Lock()

    def copied(table: str, count: int) -> None:
        nonlocal rows
        with lock:
            rows += count
            progress(Phase("load", rows, total, "rows", table))

    def finished(statement: ddl.Statement) -> None:
        nonlocal executed
        detail = ", ".join(sorted(statement.tables))
        with lock:
            executed += 1
            progress(Phase("constraints", executed, len(statements), "statements", detail))

    with Finisher(lambda: connect(server, BUILDING), statements, finished) as finisher:
        try:
            load_tables(uri(server, BUILDING), sources, finisher.loaded, copied)
        except dbapi.Error as error:
            raise FluxlabError(
                f"Loading the data failed: {' '.join(str(error).split())[:300]}.",
                "See the server's log; if its disk is full, choose a smaller size.",
            ) from None
        return time.perf_counter()


def _vacuum(
    server: PostgresServer, sources: Sequence[TableSource], progress: Progress
) -> None:
    """Visibility maps and statistics, the largest tables first, two at a time."""
    tables = [s.name for s in sorted(sources, key=lambda source: -source.rows)]
    done, lock = 0, Lock()

    def vacuum(table: str) -> None:
        nonlocal done
        with connect(server, BUILDING) as connection:
            connection.execute(_WAIT_FOR_DISK)
            connection.execute(sql.SQL("vacuum (analyze) {}").format(sql.Identifier(table)))
        with lock:
            done += 1
            progress(Phase("vacuum", done, len(tables), "tables", table))

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(vacuum, table) for table in tables]:
            future.result()


def _dataset(facts: Mapping[str, object]) -> Dataset:
    rows, seconds = facts["rows"], facts["build_seconds"]
    assert isinstance(rows, dict)
    assert isinstance(seconds, dict)
    return Dataset(
        fingerprint=str(facts["fingerprint"]),
        size=str(facts["size"]),
        users=int(str(facts["users"])),
        seed=int(str(facts["seed"])),
        now=datetime.fromisoformat(str(facts["now"])),
        rows=rows,
        build_seconds=seconds,
    )
