"""Ask the planner about a whole Workload: which plan would each pair get now?

Plain EXPLAIN without costs, several thousand a second. Its text is the plan's identity:
shape, indexes and conditions. Never through a prepared statement, which keeps a plan
that uses an index hidden since.

A DELETE has more plans than EXPLAIN shows: each foreign key that leads to its table is
checked by a statement of its own, and so on where rows are deleted along. They are part
of the identity too: an index on a foreign key serves no other statement so much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, Format

from fluxlab.errors import FluxlabError
from fluxlab.indexes.catalog import ForeignKeyFacts
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Query

Key = tuple[str, str]
_EXPLAIN = b"explain (costs off) "
#: What the check of a foreign key runs; see `RI_FKey_noaction_del` in ri_triggers.c.
_CHECK = "explain (generic_plan, costs off) select 1 from only {table} where {where}"
_GENERIC_SINCE = 160_000
_DELETES = re.compile(r"^\s*(?:->\s+)?Delete on (?:\w+\.)?(\w+)", re.M)


@dataclass(frozen=True, slots=True)
class Question:
    """One Query with one ParameterSet, ready to be asked about."""

    query: Query
    parameters: ParameterSet

    @property
    def key(self) -> Key:
        """The fingerprints of statement and parameters, as the store has them."""
        return self.query.fingerprint, self.parameters.fingerprint


class Planner:
    """One session that explains, and counts what it was asked.

    With the `foreign_keys` of the database a DELETE's plan has those of their checks
    below it.
    """

    def __init__(
        self, connection: psycopg.Connection, foreign_keys: Sequence[ForeignKeyFacts] = ()
    ) -> None:
        self.connection = connection
        self.asked = 0
        # Older servers plan no statement whose values are not known.
        is_able = connection.info.server_version >= _GENERIC_SINCE
        self._foreign_keys = foreign_keys if is_able else ()
        self._adapted: dict[Key, tuple[bytes, object, object, object]] = {}

    def plans(self, questions: Iterable[Question]) -> Mapping[Key, str]:
        """Return the plan of each pair as EXPLAIN's text, costs left out.

        Sees what the session sees: indexes hidden in its transaction do not exist.
        Raises FluxlabError when the server refuses a statement.
        """
        checks: dict[str, str] = {}
        return {one.key: self._whole_plan(one, checks) for one in questions}

    def reach(self, questions: Iterable[Question]) -> Mapping[Key, frozenset[str]]:
        """Return the tables of each pair, those included that a DELETE leads to."""
        return {
            one.key: frozenset(
                (
                    *one.query.tables,
                    *(key.table_name for key in self._checked(self._plan(one))),
                )
            )
            for one in questions
        }

    def _whole_plan(self, question: Question, checks: dict[str, str]) -> str:
        plan = self._plan(question)
        parts = [plan]
        for key in self._checked(plan):
            if key.name not in checks:
                checks[key.name] = self._check_plan(key)
            parts.append(f"foreign key {key.name}:\n{checks[key.name]}")
        return "\n".join(parts)

    def _checked(self, plan: str) -> Iterator[ForeignKeyFacts]:
        """Yield the foreign keys that the deletions of a plan lead to, each once."""
        tables, seen = _DELETES.findall(plan), set[str]()
        while tables:
            table = tables.pop()
            for key in self._foreign_keys:
                if key.referenced_table == table and key.name not in seen:
                    seen.add(key.name)
                    yield key
                    if key.cascades:
                        tables.append(key.table_name)

    def _check_plan(self, key: ForeignKeyFacts) -> str:
        where = " and ".join(f"{name} = ${n}" for n, name in enumerate(key.columns, 1))
        statement = _CHECK.format(table=key.table_name, where=where)
        self.asked += 1
        rows = self.connection.execute(statement.encode(), prepare=False).fetchall()
        return "\n".join(str(row[0]) for row in rows)

    def _plan(self, question: Question) -> str:
        statement, values, types, formats = self._adapt(question)
        result = self.connection.pgconn.exec_params(
            statement,
            values,  # type: ignore[arg-type]
            types,  # type: ignore[arg-type]
            formats,  # type: ignore[arg-type]
            Format.TEXT,
        )
        self.asked += 1
        if result.status != ExecStatus.TUPLES_OK:
            raise FluxlabError(
                f"{question.query.name} cannot be planned: {result.get_error_message()}.",
                "Correct the statement or its parameters.",
            )
        lines = (result.get_value(row, 0) or b"" for row in range(result.ntuples))
        return b"\n".join(lines).decode()

    def _adapt(self, question: Question) -> tuple[bytes, object, object, object]:
        if question.key not in self._adapted:
            adapter = Transformer(self.connection)
            given = list(question.parameters.values)
            values = adapter.dump_sequence(given, [PyFormat.AUTO] * len(given))
            statement = _EXPLAIN + question.query.statement.encode()
            adapted = statement, values, adapter.types, adapter.formats
            self._adapted[question.key] = adapted
        return self._adapted[question.key]
