"""The two states of the lab: the database before the sprint, and with its 90 indexes.

Each is a clone of the template, so both hold the same rows in the same places with
the same statistics. A state is found again by the comment on its database, which is
written last: whatever a kill leaves half-made has no comment and is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pglast
import psycopg
from psycopg.sql import SQL, Identifier

from fluxlab.dataset.databases import clone, maintenance, read_comment, write_comment
from fluxlab.dataset.load import Dataset
from fluxlab.errors import FluxlabError
from fluxlab.indexes.catalog import read_catalog
from fluxlab.servers.alone import alone
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.workload.store import State

#: State name and its database.
DATABASES = {"baseline": "flux_baseline", "sprint11": "flux_sprint11"}
#: Settings that say where things are, not how the server behaves.
_PLACES = (
    "application_name|client_encoding|config_file|data_directory|DateStyle"
    "|default_text_search_config|hba_file|ident_file|external_pid_file|lc_.*|listen_addresses|log_.*|logging_collector"
    "|unix_socket_.*|port|TimeZone|cluster_name|search_path|krb_.*|ssl.*"
)

Report = Callable[[int, int, str], None]

#: Any number that nobody else uses: one process at a time makes states.
_LOCK_KEY = 0x666C7379


def silent(done: int, total: int, what: str) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Migration:
    """The statements of a migration file, in order."""

    path: Path
    statements: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over the statements."""
        return hashlib.sha256("\n".join(self.statements).encode()).hexdigest()[:16]


def read_migration(path: Path) -> Migration:
    """Split a file into its statements with PostgreSQL's own parser."""
    return Migration(path, pglast.split(path.read_text()))


def prepare_state(
    server: PostgresServer,
    dataset: Dataset,
    name: str,
    migration: Migration | None,
    report: Report = silent,
) -> None:
    """Clone the template as the database of a state and apply the migration to it.

    Does nothing when that state is there already. After indexes on expressions the
    table is analysed: only then has the planner statistics on the expression.
    """
    database = DATABASES[name]
    mark: dict[str, object] = {
        "kind": "state",
        "name": name,
        "dataset": dataset.fingerprint,
        "migration": migration.fingerprint if migration else "",
    }
    with maintenance(server) as keeper:
        # Kernels that ask at the same time wait for the first.
        keeper.execute("select pg_advisory_lock(%s)", (_LOCK_KEY,))
        known = read_comment(keeper, database) or {}
        if mark.items() <= known.items():
            return
        with alone(server, "building"):
            clone(server, database)
            with connect(server, database) as connection:
                _apply(connection, migration.statements if migration else (), report)
            write_comment(keeper, database, mark)


def _apply(
    connection: psycopg.Connection, statements: tuple[str, ...], report: Report
) -> None:
    for done, statement in enumerate(statements):
        first_line = statement.partition("\n")[0]
        report(done, len(statements), first_line.removeprefix("create index "))
        connection.execute(statement.encode())
    if statements:
        report(len(statements), len(statements), "")
    for table in _tables_with_expressions(connection):
        connection.execute(SQL("analyze {}").format(Identifier(table)))
    connection.execute("checkpoint")


def read_state(
    server: PostgresServer, dataset: Dataset, name: str, catalog_directory: Path
) -> State:
    """Return the fingerprints of a state as its database and the server tell them.

    Raises FluxlabError when another data set has taken the place of this one.
    """
    with connect(server, DATABASES[name]) as connection:
        known = read_comment(connection, DATABASES[name]) or {}
        if known.get("dataset") != dataset.fingerprint:
            raise FluxlabError(
                f"The database {DATABASES[name]} holds other data than size "
                f"{dataset.size}, seed {dataset.seed} by now.",
                "Open the lab again.",
            )
        catalog = read_catalog(connection, catalog_directory)
        facts = server_facts(connection)
    text = json.dumps(facts)
    return State(
        name=name,
        dataset=dataset.fingerprint,
        indexes=catalog.fingerprint,
        server=hashlib.sha256(text.encode()).hexdigest()[:16],
        facts=facts,
    )


def server_facts(connection: psycopg.Connection) -> tuple[tuple[str, str], ...]:
    """Return what a Run records of its server: version, machine, settings not default."""
    rows = connection.execute(
        "select name, current_setting(name) from pg_settings "
        "where source not in ('default', 'client', 'session') and name !~ %s order by name",
        (f"^({_PLACES})$",),
    ).fetchall()
    version = connection.info.server_version
    return (
        ("version", f"{version // 10_000}.{version % 10_000}"),
        ("cpu", _cpu()),
        ("cpus", str(os.cpu_count())),
        *((str(name), str(value)) for name, value in rows),
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _tables_with_expressions(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "select distinct indrelid::regclass::text from pg_index "
        "where indexprs is not null and indrelid::regclass::text !~ '^pg_'"
    )
    return [str(row[0]) for row in rows]
