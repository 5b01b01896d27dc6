"""What a database knows of an index definition: how it reads it, and whether it has it.

PostgreSQL fills in what a definition leaves open (casts, operator classes, collations)
when the index is made. So a definition from a file is made too, on an empty temporary
copy of its table in a transaction that is rolled back, and read back from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import psycopg

from fluxlab.errors import FluxlabError
from fluxlab.indexes.definition import IndexDef, KnownIndex, parse_index, read_indexes
from fluxlab.plans.rules.expressions import quoted

_TABLE = """
select namespace.nspname, class.relkind
from pg_class as class
join pg_namespace as namespace
    on namespace.oid = class.relnamespace
where class.oid = to_regclass(%s)
"""
#: Whatever has the name that an index would get: all of these share one space of names.
_SAME_NAME = """
select coalesce(pg_index.indrelid::regclass, pg_class.oid::regclass)::text, relkind
from pg_class
left join pg_index
    on pg_index.indexrelid = pg_class.oid
where pg_class.relname = %s
    and pg_class.relnamespace = to_regnamespace(%s)
"""
#: Reading what it wrote itself changes nothing but the form of lists.
_MOST_READINGS = 4
_TABLES = {"r": "table", "p": "table", "m": "materialized view"}


_REMEDIES: tuple[tuple[type[psycopg.Error], str], ...] = (
    (
        psycopg.errors.InsufficientPrivilege,
        "Connect as the owner of the table, who may make temporary tables too.",
    ),
    (
        psycopg.errors.UniqueViolation,
        "Remove the duplicates first, or leave UNIQUE out.",
    ),
    (
        psycopg.errors.ReadOnlySqlTransaction,
        "Connect to the primary, with a session that may write.",
    ),
    (
        psycopg.errors.FeatureNotSupported,
        "Build it in place; on a partitioned table there is no other way.",
    ),
    (
        psycopg.OperationalError,
        "Run the same again when the server is well: it goes on from there.",
    ),
)
_OTHERWISE = "Correct its definition."


@dataclass(frozen=True, slots=True)
class Presence:
    """How far a database is with one index.

    `known` is what it has under the name and with the definition, None without. `debris`
    are the invalid `…_ccnew` and `…_ccold` that a failed REINDEX CONCURRENTLY left.
    """

    known: KnownIndex | None
    debris: tuple[IndexDef, ...] = ()

    @property
    def is_built(self) -> bool:
        """Whether the index is there and nothing has to be done."""
        return self.known is not None and self.known.is_valid and not self.debris

    @property
    def leftovers(self) -> tuple[IndexDef, ...]:
        """What has to go before the index can be built."""
        is_broken = self.known is not None and not self.known.is_valid
        return (
            *([self.known.definition] if self.known and is_broken else []),
            *self.debris,
        )


def located(connection: psycopg.Connection, index: IndexDef) -> IndexDef:
    """Return the definition with the schema that its table has in this session.

    Raises FluxlabError where there is no such table.
    """
    row = connection.execute(_TABLE, (index.relation,)).fetchone()
    if row is None or row[1] not in _TABLES:
        raise FluxlabError(
            f"There is no table {index.relation} in {connection.info.dbname}, which "
            f"{index.name} is for.",
            "Look at the name of the database, and at its search_path.",
        )
    return replace(index, schema=str(row[0]))


def settled(
    connection: psycopg.Connection, definitions: Iterable[IndexDef]
) -> tuple[IndexDef, ...]:
    """Return definitions as this server writes them, so that equal ones are equal text.

    Also those that come from the catalog: what the server wrote of `e in ('x', 'y')` it
    writes otherwise when it reads that again, as after a dump. Changes nothing: what is
    made is rolled back. Needs the right to make temporary tables. Raises FluxlabError for
    a definition that the server refuses.
    """
    return tuple(_settled(connection, located(connection, one)) for one in definitions)


def _settled(connection: psycopg.Connection, index: IndexDef) -> IndexDef:
    for _ in range(_MOST_READINGS):
        before, index = index, _read_back(connection, index)
        if index == before:
            break
    return index


def _read_back(connection: psycopg.Connection, index: IndexDef) -> IndexDef:
    # Under the same name, which an expression may repeat.
    copy = replace(index, schema="pg_temp", tablespace=None, is_only=False)
    try:
        with connection.transaction(force_rollback=True):
            like = f"{quoted(index.table)} (like {index.relation})"
            connection.execute(f"create temporary table {like}".encode())
            connection.execute(copy.ddl().encode())
            row = connection.execute(
                "select pg_get_indexdef(to_regclass(%s))", (copy.qualified_name,)
            ).fetchone()
    except psycopg.OperationalError:
        raise  # nothing against the definition: no lock, or no server
    except psycopg.Error as error:
        raise refusal(index, error) from None
    assert row is not None
    return replace(
        parse_index(row[0]),
        name=index.name,
        schema=index.schema,
        tablespace=index.tablespace,
        is_only=index.is_only,
    )


def find_presence(connection: psycopg.Connection, index: IndexDef) -> Presence:
    """Return how far the database is with an index whose table `located` has found.

    Raises FluxlabError where something else has its name, showing both.
    """
    debris = re.compile(rf"{re.escape(index.name)}_cc(new|old)\d*")
    known, left = None, []
    for one in read_indexes(connection, index.relation):
        if one.definition.name == index.name:
            known = one
        elif debris.fullmatch(one.definition.name) and not one.is_valid:
            left.append(one.definition)
    if known is None:
        _refuse_taken(connection, index)
    elif not _is_wanted(connection, index, known.definition):
        raise FluxlabError(
            f"{connection.info.dbname} has another index {index.name} than the one that is "
            f"wanted.\n  There: {known.definition.ddl()}\n  Wanted: {index.ddl()}\n",
            "Give one of them another name, or drop the one that is there yourself.",
        )
    return Presence(known, tuple(left))


def _is_wanted(connection: psycopg.Connection, index: IndexDef, known: IndexDef) -> bool:
    # Most are written as the server writes them: then it need not be asked.
    if index.same_as(known):
        return True
    wanted, there = settled(connection, [index, known])
    return wanted.same_as(there)


def _refuse_taken(connection: psycopg.Connection, index: IndexDef) -> None:
    names = (index.name, quoted(index.schema or ""))
    row = connection.execute(_SAME_NAME, names).fetchone()
    if row is not None:
        what = f"an index on {row[0]}" if row[1] in ("i", "I") else "no index"
        raise FluxlabError(
            f"{index.name} is to be an index on {index.table}, and in "
            f"{connection.info.dbname} that name belongs to {what}.",
            "Give the new index another name.",
        )


def refusal(index: IndexDef, error: psycopg.Error) -> FluxlabError:
    """Return what the server says against an index, in one sentence and what to do."""
    detail = error.diag.message_detail
    said = error.diag.message_primary or " ".join(str(error).split())
    said = f"{said} ({detail.rstrip('.')})" if detail else said.rstrip(".")
    do = next((do for kind, do in _REMEDIES if isinstance(error, kind)), _OTHERWISE)
    return FluxlabError(f"The server refuses {index.name}: {said}.", do)
