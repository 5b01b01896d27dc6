"""Ask a server for the Plan of a statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import LiteralString

import psycopg
from psycopg import RawCursor
from psycopg.sql import SQL, Identifier, Literal

from fluxlab.errors import FluxlabError
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan

_PREPARED = "fluxlab_explained"


def explain_text(
    connection: psycopg.Connection,
    statement: str,
    values: Sequence[object] = (),
    *,
    analyze: bool = False,
) -> str:
    """Return EXPLAIN's JSON for a statement with parameters `$1 …`, as text.

    With `analyze` the statement is executed: the caller rolls a write back.
    Raises psycopg.errors.QueryCanceled when the statement timeout strikes, and
    FluxlabError for any other refusal of the server.
    """
    return _answer(
        connection, f"explain ({_options(analyze)}) {statement}".encode(), list(values)
    )


def explain_prepared(
    connection: psycopg.Connection,
    statement: str,
    values: Sequence[object] = (),
    *,
    analyze: bool = False,
) -> str:
    """Return EXPLAIN's JSON of the statement prepared and executed with the values.

    Whether it is planned for these values or for any follows from the session's
    `plan_cache_mode`. Raises as `explain_text` does.
    """
    connection.execute("deallocate all")
    connection.execute(f"prepare {_PREPARED} as {statement}".encode())
    execute = SQL("explain ({}) execute {}").format(
        SQL(_options(analyze)), Identifier(_PREPARED)
    )
    if values:
        literals = SQL(", ").join(Literal(value) for value in values)
        execute = SQL("{} ({})").format(execute, literals)
    return _answer(connection, execute.as_bytes(connection), [])


def _options(analyze: bool) -> LiteralString:
    return f"{'analyze, buffers, wal, ' if analyze else ''}settings, format json"


def _answer(connection: psycopg.Connection, statement: bytes, values: list[object]) -> str:
    cursor = RawCursor(connection)
    try:
        cursor.execute(statement, values, prepare=False)
    except psycopg.errors.QueryCanceled:
        raise
    except psycopg.Error as error:
        raise FluxlabError(
            f"The server refuses to explain: {str(error).splitlines()[0]}.",
            "Correct the statement or its parameters.",
        ) from None
    row = cursor.fetchone()
    assert row is not None
    return json.dumps(row[0], separators=(",", ":"))


def explain(
    connection: psycopg.Connection,
    statement: str,
    values: Sequence[object] = (),
    *,
    analyze: bool = False,
) -> Plan:
    """Return the Plan of a statement; see `explain_text`."""
    return read_plan(explain_text(connection, statement, values, analyze=analyze))
