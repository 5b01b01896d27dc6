"""Prepared statements: which of them the server stops planning for their values.

A prepared statement is planned for its values five times. Then the server plans it once
for any values, and stays with that generic plan where its estimate is not dearer than
those before, their planning included. Source: manual, PREPARE, Notes;
`choose_custom_plan` in `src/backend/utils/cache/plancache.c`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composed, Literal

from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query

#: Five with the values, one in which the server makes its choice, one to see it.
_EXECUTIONS = 7
_CHOSEN = "select generic_plans from pg_prepared_statements where name = 'fluxlab_choice'"
#: The view counts plans since then.
_COUNTED_SINCE = 140_000


@dataclass(frozen=True, slots=True)
class Choice:
    """What the server does with a Query once it is prepared.

    `is_generic`: it stays with one plan for any values. `differing` are the classes whose
    own plan would be another one.
    """

    query: str
    is_generic: bool
    differing: tuple[str, ...] = ()


def can_tell(connection: psycopg.Connection) -> bool:
    """Whether this server counts the plans of prepared statements: PostgreSQL 14."""
    return connection.info.server_version >= _COUNTED_SINCE


def choose(
    connection: psycopg.Connection, query: Query, sets: Sequence[ParameterSet]
) -> Choice:
    """Prepare a Query and ask for its plan with its values in turn; nothing is executed."""
    if not query.names:
        return Choice(query.name, is_generic=False)
    connection.execute("set plan_cache_mode = auto")
    connection.execute("deallocate all")
    connection.execute(f"prepare fluxlab_choice as {query.statement}".encode())
    for number in range(_EXECUTIONS):
        _explain(connection, sets[number % len(sets)])
    row = connection.execute(_CHOSEN).fetchone()
    if row is None or not row[0]:
        return Choice(query.name, is_generic=False)
    (generic,) = {_explain(connection, one) for one in sets}
    connection.execute("set plan_cache_mode = force_custom_plan")
    differing = tuple(one.of_class for one in sets if _explain(connection, one) != generic)
    connection.execute("set plan_cache_mode = auto")
    return Choice(query.name, is_generic=True, differing=differing)


def _explain(connection: psycopg.Connection, values: ParameterSet) -> str:
    """Return the nodes of the plan that EXECUTE would take with these values.

    Without their conditions, where a generic plan has `$1` and a custom one the value.
    """
    execute = SQL("explain (costs off) execute fluxlab_choice({})").format(
        _literals(values)
    )
    first, *others = connection.execute(execute, prepare=False).fetchall()
    nodes = (str(row[0]) for row in others if "->" in str(row[0]))
    return "\n".join((str(first[0]), *nodes))


def _literals(values: ParameterSet) -> Composed:
    return SQL(", ").join(Literal(one) for one in values.values)
