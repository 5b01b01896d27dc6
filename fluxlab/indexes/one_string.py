"""Send a migration as an application does that reads the file: one string, one message.

PostgreSQL runs the statements of one message in one transaction, unless the text itself
begins and commits. Source: manual, "Multiple Statements in a Simple Query".
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus

from fluxlab.indexes.practices import OneString

#: Asked in the same message, so that the locks are still there.
_LOCKED = """;
select distinct relation::regclass::text
from pg_locks
where pid = pg_backend_pid()
    and mode = 'ShareLock'
    and relation in (select oid from pg_class where relkind = 'r')
order by 1
"""
_MADE = """
select count(*), count(distinct xmin::text)
from pg_class
where relname = any(%s)
    and relkind = 'i'
"""


def send_whole(
    connection: psycopg.Connection, text: str, names: Sequence[str]
) -> OneString:
    """Send the text of a migration in one message to a scratch database, and twice more.

    `names` are those of its indexes. The third time it asks for CONCURRENTLY, as a
    migration has to that must not block writes.
    """
    start = time.perf_counter()
    result = connection.pgconn.exec_((text + _LOCKED).encode())
    blocked_ms = 1_000 * (time.perf_counter() - start)
    locked = tuple(
        (result.get_value(row, 0) or b"").decode() for row in range(result.ntuples)
    )
    row = connection.execute(_MADE, (list(names),)).fetchone()
    assert row is not None
    concurrent = text.replace("create index", "create index concurrently")
    return OneString(
        wanted=len(names),
        made=int(row[0]),
        transactions=int(row[1]),
        locked=locked,
        blocked_ms=blocked_ms,
        again=_refusal(connection, text),
        concurrently=_refusal(connection, concurrent),
    )


def _refusal(connection: psycopg.Connection, text: str) -> str:
    """Return the message of the server's error; empty where it has none."""
    result = connection.pgconn.exec_(text.encode())
    if result.status != ExecStatus.FATAL_ERROR:
        return ""
    message = result.error_field(DiagnosticField.MESSAGE_PRIMARY)
    return message.decode() if message else result.get_error_message()
