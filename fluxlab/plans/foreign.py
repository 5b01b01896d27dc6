"""Explain a statement on a database that is not ours, and change nothing there.

The session is read-only and waits for nothing long. The statement is planned, not
executed, unless that is asked for; one that writes is executed only where its author
says so, and rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus

from fluxlab.errors import FluxlabError
from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan
from fluxlab.plans.statement import Statement, read_statement

#: The first version that knows an option, with or without ANALYZE, and with it only.
_SINCE = {"settings": 120_000, "memory": 170_000}
_SINCE_ANALYZED = {"buffers": 90_000, "wal": 130_000, "serialize": 170_000}
_GENERIC_SINCE = 160_000


@dataclass(frozen=True, slots=True)
class Asked:
    """How a statement is explained: what is executed, and for how long at most.

    With `analyze` it is executed. `may_write` lets a statement that writes be executed
    and rolled back: sequences, and what functions send elsewhere, are not undone.

    >>> Asked(analyze=True, timeout_s=5)
    Asked(analyze=True, may_write=False, verbose=False, timeout_s=5, lock_timeout_s=2.0)
    """

    analyze: bool = False
    may_write: bool = False
    verbose: bool = False
    timeout_s: float = 30.0
    lock_timeout_s: float = 2.0


def explain_safely(
    connection: psycopg.Connection,
    sql: str,
    values: Sequence[object] = (),
    asked: Asked | None = None,
) -> Plan:
    """Return the Plan of one statement with parameters `$1 …`, and leave no trace.

    Without values a statement with parameters gets its generic plan, from PostgreSQL 16
    on. The connection must be in no transaction. Raises FluxlabError for text that is not
    one statement, for a write that nobody allowed to be executed, and for whatever the
    server refuses.

    >>> explain_safely(connection, "select name from users where id = $1", [7])
    <Plan: Index Scan using users_pkey on users, not executed>
    >>> explain_safely(connection, "delete from users", (), Asked(analyze=True))
    Traceback (most recent call last):
    fluxlab.errors.FluxlabError: This statement writes or locks, and EXPLAIN ANALYZE ...
    """
    asked = asked or Asked()
    statement = read_statement(sql)
    _check(statement, values, asked, connection.info.server_version)
    is_generic = statement.parameters > 0 and not values
    options = _options(connection.info.server_version, asked, is_generic=is_generic)
    text = f"explain ({options}) {statement.sql}".encode()
    with _transaction(connection, statement, asked):
        try:
            return read_plan(_answer(connection, text, values, is_generic=is_generic))
        except psycopg.Error as error:
            raise _refusal(error, asked) from None


def _answer(
    connection: psycopg.Connection,
    text: bytes,
    values: Sequence[object],
    *,
    is_generic: bool,
) -> str:
    """Return what the server answers to one statement.

    By the extended protocol, which takes one statement only: a server that reads strings
    otherwise than the parser might find a second. But there a parameter needs a value,
    and with a value the plan is not generic; strings read alike by then.
    """
    if is_generic:
        result = connection.pgconn.exec_(text)
    else:
        adapter = Transformer(connection)
        dumped = adapter.dump_sequence(list(values), [PyFormat.AUTO] * len(values))
        result = connection.pgconn.exec_params(text, dumped, adapter.types, adapter.formats)
    if result.status != ExecStatus.TUPLES_OK:
        raise psycopg.errors.error_from_result(result)
    return (result.get_value(0, 0) or b"").decode()


def _check(
    statement: Statement, values: Sequence[object], asked: Asked, version: int
) -> None:
    if asked.analyze and statement.is_write and not asked.may_write:
        raise FluxlabError(
            "This statement writes or locks, and EXPLAIN ANALYZE would execute it.",
            "Leave ANALYZE out, or allow the write with --rollback-writes: it is rolled "
            "back, but sequences and what triggers send elsewhere are not undone.",
        )
    if values and len(values) != statement.parameters:
        raise FluxlabError(
            f"The statement has {statement.parameters} parameters, and {len(values)} "
            "values were given.",
            "Give one value for each, in the order $1, $2 …",
        )
    if not statement.parameters or values:
        return
    if asked.analyze:
        raise FluxlabError(
            "A statement with parameters cannot be executed without their values.",
            "Give the values, or leave ANALYZE out for its generic plan.",
        )
    if version < _GENERIC_SINCE:
        raise FluxlabError(
            f"PostgreSQL {version // 10_000} has no EXPLAIN (GENERIC_PLAN).",
            "Give values for the parameters; from PostgreSQL 16 on none are needed.",
        )


def _options(version: int, asked: Asked, *, is_generic: bool) -> str:
    known = dict(_SINCE)
    words = []
    if asked.analyze:
        words.append("analyze")
        known |= _SINCE_ANALYZED
    if asked.verbose:
        words.append("verbose")
    if is_generic:
        words.append("generic_plan")
    words += [option for option, since in known.items() if version >= since]
    return ", ".join([*words, "format json"])


@contextmanager
def _transaction(
    connection: psycopg.Connection, statement: Statement, asked: Asked
) -> Iterator[None]:
    """Hold a transaction of its own, read-only where nothing is to be written, undone."""
    is_writing = asked.analyze and statement.is_write
    mode = "read write" if is_writing else "read only"
    try:
        connection.execute(f"begin {mode}".encode())
    except psycopg.Error as error:
        raise _refusal(error, asked) from None
    try:
        for name, seconds in (
            ("statement_timeout", asked.timeout_s),
            ("lock_timeout", asked.lock_timeout_s),
        ):
            connection.execute(f"set local {name} = {round(seconds * 1000)}".encode())
        connection.execute("set local standard_conforming_strings = on")
        yield
    finally:
        if not connection.closed:
            connection.execute("rollback")


def _refusal(error: psycopg.Error, asked: Asked) -> FluxlabError:
    first = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return FluxlabError(
            f"Somebody holds a lock on what the statement reads, for longer than "
            f"{asked.lock_timeout_s:g} s.",
            "Try again later; nothing was changed.",
        )
    if isinstance(error, psycopg.errors.QueryCanceled):
        return FluxlabError(
            f"The statement took longer than {asked.timeout_s:g} s and was stopped.",
            "Give it more time with --timeout, or leave ANALYZE out.",
        )
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return FluxlabError(
            f"The statement writes through a function: {first}.",
            "Leave ANALYZE out; in a read-only session it cannot be executed.",
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return FluxlabError(
            f"The account may not do this: {first}.",
            "Use one that may read these tables; ANALYZE and EXPLAIN need no more.",
        )
    return FluxlabError(
        f"The server refuses to explain: {first}.",
        "Correct the statement or its parameters.",
    )
