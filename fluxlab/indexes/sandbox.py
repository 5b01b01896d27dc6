"""A Sandbox: a copy of the data in which a notebook may try what it likes.

Each kernel has its own, made when it is first needed and dropped when the kernel ends.
What is tried runs in a transaction that is rolled back, so that the next try starts
where this one did; the two states of the lab are never touched.
"""

from __future__ import annotations

import atexit
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import RawCursor

from fluxlab.dataset.databases import clone, drop, maintenance
from fluxlab.errors import FluxlabError
from fluxlab.indexes.hiding import SCRATCH
from fluxlab.plans.explain import explain
from fluxlab.plans.plan import Plan
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

PREFIX = f"{SCRATCH}sandbox_"
#: The data with the 11 indexes that stood before the sprint; nobody holds it open.
TEMPLATE = "flux_template"
#: Nobody waits longer for a notebook's experiment.
TIMEOUT_S = 60
#: Any number that nobody else uses: who makes or clears away sandboxes does so alone.
_LOCK_KEY = 0x666C7862

#: A sandbox lives as long as its session: without one its kernel is gone.
_ABANDONED = """
select datname
from pg_database
where starts_with(datname, %s)
    and not exists (select 1 from pg_stat_activity where datid = pg_database.oid)
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement with parameters `$1 …` and their values."""

    statement: str
    values: tuple[object, ...] = ()


class Sandbox:
    """A copy of a database for one process; every try in it is rolled back.

    It is made at the first try and dropped at the end of the process, or of a `with`
    block. Its session is held open: that tells others that it is in use, and what a
    killed process left behind is dropped by whoever makes the next one.
    """

    def __init__(self, server: PostgresServer, source: str = TEMPLATE) -> None:
        self.server = server
        self.source = source
        self._name: str | None = None
        self._connection: psycopg.Connection | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def database(self) -> str | None:
        """The name of the copy, None while there is none."""
        return self._name

    @contextmanager
    def attempt(self, setup: Sequence[str] = ()) -> Iterator[psycopg.Connection]:
        """Open a transaction on the copy, run `setup` in it, and roll everything back.

        Raises FluxlabError where the server refuses the setup, or anything in the block.
        """
        connection = self._open()
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(f"set local statement_timeout = '{TIMEOUT_S}s'")
                for statement in setup:
                    connection.execute(statement.encode())
                yield connection
        except psycopg.Error as error:
            raise _refusal(error) from None

    def explain(self, asked: Asked, setup: Sequence[str] = ()) -> Plan:
        """Execute a statement after the setup and return its Plan."""
        with self.attempt(setup) as connection:
            return explain(connection, asked.statement, asked.values, analyze=True)

    def explain_as_psql(self, asked: Asked, setup: Sequence[str] = ()) -> str:
        """Execute a statement after the setup and return the plan as psql shows it.

        It is executed once before, so that the blocks are in memory.
        """
        statement = f"explain (analyze, buffers) {asked.statement}"
        for _ in range(2):
            lines = self.rows(Asked(statement, asked.values), setup)
        return "\n".join(str(line) for (line,) in lines)

    def rows(self, asked: Asked, setup: Sequence[str] = ()) -> list[tuple[object, ...]]:
        """Execute a statement after the setup and return its rows."""
        with self.attempt(setup) as connection:
            cursor = RawCursor(connection)
            cursor.execute(asked.statement.encode(), list(asked.values), prepare=False)
            return [tuple(row) for row in cursor.fetchall()]

    def keep(self, statements: Sequence[str]) -> None:
        """Run statements for good, until the copy is renewed."""
        connection = self._open()
        try:
            for statement in statements:
                connection.execute(statement.encode())
        except psycopg.Error as error:
            raise _refusal(error) from None

    def renew(self) -> None:
        """Drop the copy; the next try makes another.

        For after what was kept, and after writes: rolled back, they leave dead rows, and
        pages that are no longer known to be visible to all.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        name, self._name = self._name, None
        if name is not None:
            drop(self.server, name)

    def close(self) -> None:
        """Drop the copy; does nothing where there is none, or the server is gone."""
        atexit.unregister(self.close)
        with suppress(FluxlabError, psycopg.Error):
            self.renew()

    def _open(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            # A server that was restarted has ended the session.
            self.close()
            name = f"{PREFIX}{uuid.uuid4().hex[:12]}"
            self._connection = self._made(name)
            self._name = name
            atexit.register(self.close)
        return self._connection

    def _made(self, name: str) -> psycopg.Connection:
        # Between the copy and its session nobody may take it for abandoned.
        with maintenance(self.server) as keeper:
            keeper.execute("select pg_advisory_lock(%s)", (_LOCK_KEY,))
            for (abandoned,) in keeper.execute(_ABANDONED, (PREFIX,)).fetchall():
                # On somebody else's server one without our comment is not ours to drop.
                with suppress(FluxlabError):
                    drop(self.server, abandoned)
            clone(self.server, name, source=self.source)
            return connect(self.server, name, application="fluxlab sandbox")

    def __repr__(self) -> str:
        return f"<Sandbox: {self.database or 'not made yet'}, a copy of {self.source}>"


def _refusal(error: psycopg.Error) -> FluxlabError:
    if isinstance(error, psycopg.errors.QueryCanceled):
        return FluxlabError(
            f"That took longer than {TIMEOUT_S} s and was stopped.",
            "Nothing was changed; try something smaller.",
        )
    message = error.diag.message_primary or str(error) or type(error).__name__
    first = message.splitlines()[0].rstrip(".")
    return FluxlabError(f"The server refuses: {first}.", "Nothing was changed; correct it.")
