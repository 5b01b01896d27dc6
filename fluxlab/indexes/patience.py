"""Wait for a lock, but not for long; and let one migration run at a time.

A statement that waits for a lock on a table makes everybody wait who comes after it. So
it gives up soon, and tries again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from fluxlab.errors import FluxlabError
from fluxlab.indexes.definition import IndexDef
from fluxlab.indexes.known import refusal

T = TypeVar("T")

#: Any number that nobody else uses: one process at a time migrates a database.
_LOCK_KEY = 0x666C6D67
#: As long as the server may need to notice that a killed migration is gone.
_OTHER_S = 15.0
_POLL_S = 0.1
#: Errors that patience may cure.
_PASSING = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0

_HOLDER = """
select pid
from pg_locks
where locktype = 'advisory' and granted
    and classid = 0 and objid::bigint = %s
    and database = (select oid from pg_database where datname = current_database())
"""
#: Who holds the table, and else who has been in a transaction the longest.
_IN_THE_WAY = """
select
    activity.pid,
    coalesce(activity.state, 'working'),
    round(extract(epoch from clock_timestamp() - activity.xact_start))
from pg_stat_activity as activity
left join pg_locks as lock
    on lock.pid = activity.pid
    and lock.relation = to_regclass(%s)
    and lock.granted
where activity.datname = current_database()
    and activity.pid <> pg_backend_pid()
    and activity.xact_start is not null
order by lock.pid is null, activity.xact_start
limit 1
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for others, in seconds.

    Each of `attempts` waits `lock_timeout_s` for its table. A concurrent build then waits
    `wait_s` for transactions that are older than it; meanwhile it is in nobody's way.
    """

    lock_timeout_s: float = 2.0
    attempts: int = 5
    wait_s: float = 300.0


@contextmanager
def migrating(connection: psycopg.Connection) -> Iterator[None]:
    """Let nobody else migrate this database until the block is left.

    The lock is the server's own and ends with the session. Blocks may be nested. Raises
    FluxlabError where somebody else holds it, and where the session breaks off.
    """
    database = connection.info.dbname
    try:
        _wait_for_turn(connection)
        with _unlocked_after(connection), _without_limits(connection):
            yield
    except psycopg.OperationalError as error:
        failure = FluxlabError(
            f"The session in {database} broke off: {' '.join(str(error).split())}",
            "Run the same again when the server is well: it goes on from there.",
        )
        raise failure from None


@contextmanager
def _unlocked_after(connection: psycopg.Connection) -> Iterator[None]:
    try:
        yield
    finally:
        if _is_usable(connection):
            connection.execute("select pg_advisory_unlock(%s)", (_LOCK_KEY,))


def _wait_for_turn(connection: psycopg.Connection) -> None:
    # Asked again and again: who waits in the server holds a snapshot, and a concurrent
    # build of the one that runs would wait for that in turn.
    deadline = time.monotonic() + _OTHER_S
    while True:
        row = connection.execute("select pg_try_advisory_lock(%s)", (_LOCK_KEY,)).fetchone()
        if row and row[0]:
            return
        if time.monotonic() > deadline:
            holder = connection.execute(_HOLDER, (_LOCK_KEY,)).fetchone()
            session = f" (session {holder[0]} of the server)" if holder else ""
            raise FluxlabError(
                f"Another migration is running in {connection.info.dbname}{session}.",
                "Wait for it, or end it if it hangs, and try again.",
            )
        time.sleep(_POLL_S)


@contextmanager
def _without_limits(connection: psycopg.Connection) -> Iterator[None]:
    """Let a build take its time, and end it soon when this process is killed."""
    with setting(connection, "statement_timeout", "0"):
        if connection.info.server_version < 140_000:
            yield
            return
        with suppress(psycopg.errors.InvalidParameterValue), connection.transaction():
            # Not every system can tell.
            connection.execute("set client_connection_check_interval = '1s'")
        try:
            yield
        finally:
            if _is_usable(connection):
                connection.execute("reset client_connection_check_interval")


@contextmanager
def setting(connection: psycopg.Connection, name: str, value: str) -> Iterator[None]:
    """Set a parameter of the session for as long as the block lasts."""
    row = connection.execute("select current_setting(%s)", (name,)).fetchone()
    connection.execute("select set_config(%s, %s, false)", (name, value))
    try:
        yield
    finally:
        if _is_usable(connection):
            before = row[0] if row else ""
            connection.execute("select set_config(%s, %s, false)", (name, before))


def patiently(
    connection: psycopg.Connection,
    index: IndexDef,
    patience: Patience,
    work: Callable[[], T],
) -> T:
    """Do some work that waits for locks, again after a pause if it has to.

    The work must leave nothing behind that its repetition cannot deal with. Raises
    FluxlabError when it has been tried often enough, which names who is in the way, and
    for whatever else the server has against it.
    """
    pause_s = _FIRST_PAUSE_S
    for attempt in range(1, patience.attempts + 1):
        try:
            with _waiting(connection, patience.lock_timeout_s), _undone(connection):
                return work()
        except _PASSING:
            if attempt == patience.attempts:
                break
        except psycopg.Error as error:
            raise refusal(index, error) from None
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    tries = "once" if patience.attempts == 1 else f"{patience.attempts} times"
    raise FluxlabError(
        f"{index.relation} is locked{in_the_way(connection, index)}: {index.name} waited "
        f"{tries} for {patience.lock_timeout_s:g} s.",
        "Nothing was changed by it. Try again later, or end that session.",
    )


def _undone(connection: psycopg.Connection) -> AbstractContextManager[object]:
    """Where the caller is in a transaction, keep a failure from being the end of it."""
    is_inside = connection.info.transaction_status == TransactionStatus.INTRANS
    return connection.transaction() if is_inside else nullcontext()


@contextmanager
def waiting_for_older(connection: psycopg.Connection, patience: Patience) -> Iterator[None]:
    """Give a concurrent build the time that older transactions need to end."""
    with _waiting(connection, patience.wait_s):
        yield


def in_the_way(connection: psycopg.Connection, index: IndexDef) -> str:
    """Return words for the session that an index waits for, or nothing."""
    row = connection.execute(_IN_THE_WAY, (index.relation,)).fetchone()
    return f" by session {row[0]} ({row[1]}, {row[2]} s)" if row else ""


@contextmanager
def _waiting(connection: psycopg.Connection, seconds: float) -> Iterator[None]:
    with setting(connection, "lock_timeout", f"{max(1, round(seconds * 1000))}ms"):
        yield


def _is_usable(connection: psycopg.Connection) -> bool:
    usable = (TransactionStatus.IDLE, TransactionStatus.INTRANS)
    return not connection.closed and connection.info.transaction_status in usable
