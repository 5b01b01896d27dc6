"""Ask a server for the Plan of a statement."""

from __future__ import annotations

import json
from collections.abc import Sequence

import psycopg
from psycopg import RawCursor

from fluxlab.errors import FluxlabError
from fluxlab.plans.plan import Plan, read_plan


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
    options = "settings, format json"
    if analyze:
        options = f"analyze, buffers, wal, {options}"
    cursor = RawCursor(connection)
    try:
        cursor.execute(
            f"explain ({options}) {statement}".encode(),
            list(values),
            prepare=False,
        )
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
