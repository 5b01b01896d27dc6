"""Who builds or measures on a server does so alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fluxlab.errors import FluxlabError
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer

#: Any number that nobody else uses.
_LOCK_KEY = 0x666C756D

_HOLDER = """
select pid
from pg_locks
where locktype = 'advisory' and granted
    and classid = 0 and objid::bigint = %s
    and database = (select oid from pg_database where datname = current_database())
"""


@contextmanager
def alone(server: PostgresServer, activity: str) -> Iterator[None]:
    """Hold the server for one `activity`, such as "measuring", until the block is left.

    Two that measure at the same time would measure each other, and who replaces the data
    meanwhile would have other rows measured than a Run says. The lock is the server's
    own: it holds between homes and machines, and ends with its session.

    Raises FluxlabError where somebody else holds it.
    """
    name = f"fluxlab, {activity}"
    # Advisory locks are those of one database.
    with connect(server, "postgres", application=name) as keeper:
        row = keeper.execute("select pg_try_advisory_lock(%s)", (_LOCK_KEY,)).fetchone()
        if not (row and row[0]):
            holder = keeper.execute(_HOLDER, (_LOCK_KEY,)).fetchone()
            session = f" (session {holder[0]} of the server)" if holder else ""
            raise FluxlabError(
                f"Another process is building or measuring on this server{session}.",
                "Wait for it, or end it if it hangs, and try again.",
            )
        yield
