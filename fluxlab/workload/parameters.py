"""ParameterSets: values for a Query, taken from the data, in four classes.

*hot* is the most frequent value of a column, *typical* the one in the middle of all
distinct values ordered by frequency, *rare* the last, *absent* one that the column
does not hold. Ties are broken by a hash with the seed, so that the same data and the
same seed give the same values.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import psycopg
from psycopg import RawCursor
from psycopg.sql import SQL, Composed, Identifier, Literal

from fluxlab.errors import FluxlabError
from fluxlab.workload.catalogue import number_parameters
from fluxlab.workload.query import Parameter, Query

CLASSES = ("hot", "typical", "rare", "absent")
#: Where classes coincide, the earliest name of this order speaks for all of them.
_NAMING_ORDER = ("typical", "hot", "rare", "absent")


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """Concrete values for a Query, in the order of `Query.names`."""

    query: str
    of_class: str
    values: tuple[object, ...]

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change when a value changes."""
        return hashlib.sha256(repr(self.values).encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        shown = ", ".join(str(value) for value in self.values)
        return f"<ParameterSet {self.query}, {self.of_class}: {shown}>"


class Sampler:
    """Draws ParameterSets from one database; every column is sampled once.

    `now` is the clock of the data, bound to `:now` and, as a date, to `:today`.
    """

    def __init__(self, connection: psycopg.Connection, now: datetime, seed: int) -> None:
        self._connection = connection
        self._clock: dict[str, object] = {"now": now, "today": now.date()}
        self._seed = seed
        self._columns: dict[tuple[str, str], tuple[object, ...]] = {}

    def parameter_sets(self, query: Query) -> tuple[ParameterSet, ...]:
        """Return one ParameterSet per class; classes with equal values count once.

        A Query without parameters has one set, called typical.
        """
        drawn = dict(zip(CLASSES, self._draw(query), strict=True))
        kept: dict[tuple[object, ...], str] = {}
        for of_class in _NAMING_ORDER:
            kept.setdefault(_hashable(drawn[of_class]), of_class)
        return tuple(
            ParameterSet(query.name, of_class, drawn[of_class])
            for of_class in CLASSES
            if of_class in kept.values()
        )

    def _draw(self, query: Query) -> Iterator[tuple[object, ...]]:
        for rank, _ in enumerate(CLASSES):
            values = dict(self._clock)
            for parameter in query.parameters:
                values[parameter.name] = self._value(query, parameter, rank, values)
            yield tuple(values[name] for name in query.names)

    def _value(
        self, query: Query, parameter: Parameter, rank: int, known: dict[str, object]
    ) -> object:
        if parameter.column:
            return self._of_column(*parameter.column)[rank]
        if parameter.choices:
            return _pick(parameter.choices, rank)
        return self._of_select(query, parameter, rank, known)

    def _of_column(self, table: str, column: str) -> tuple[object, ...]:
        key = (table, column)
        if key not in self._columns:
            rows = self._connection.execute(self._frequencies(table, column)).fetchall()
            if not rows:
                raise FluxlabError(
                    f"The column {table}.{column} holds no values to sample.",
                    "Load the data first.",
                )
            values = [row[0] for row in rows]
            hot, typical, rare = values[0], values[len(values) // 2], values[-1]
            self._columns[key] = (hot, typical, rare, absent_like(hot, self._seed))
        return self._columns[key]

    def _frequencies(self, table: str, column: str) -> Composed:
        """Return the select of the first, the middle and the last value by frequency."""
        return SQL(
            """
            with frequencies as (
                select {column} as value, row_number() over (
                    order by count(*) desc, md5({column}::text || {seed})) as rank
                from {table}
                where {column} is not null
                group by {column}
            ),
            ends as (select max(rank) as last from frequencies)
            select value
            from frequencies, ends
            where rank in (1, (last + 1) / 2, last)
            order by rank
            """
        ).format(
            column=Identifier(column),
            table=Identifier(table),
            seed=Literal(str(self._seed)),
        )

    def _of_select(
        self, query: Query, parameter: Parameter, rank: int, known: dict[str, object]
    ) -> object:
        statement, names = number_parameters(parameter.sql or "")
        cursor = RawCursor(self._connection)
        try:
            cursor.execute(
                statement.encode(),
                [known[name] for name in names],
                prepare=False,
            )
            rows = cursor.fetchall()
        except (psycopg.Error, KeyError) as error:
            raise FluxlabError(
                f"{query.path.name}:{query.line}: the sampler of :{parameter.name} in "
                f"{query.name} failed: {str(error).splitlines()[0]}.",
                "Correct its select; it may use only parameters above it.",
            ) from None
        if len(rows) > len(CLASSES) or (rows and len(rows[0]) != 1):
            raise FluxlabError(
                f"{query.path.name}:{query.line}: the sampler of :{parameter.name} "
                f"returned {len(rows)} rows of {len(rows[0])} columns.",
                "Expected one column and at most four rows: hot, typical, rare, absent.",
            )
        if rows and any(row[0] is not None for row in rows):
            return _pick([row[0] for row in rows], rank)
        assert cursor.description is not None
        return _absent_of_type(cursor.description[0].type_display, self._seed)


def _pick(values: list[object] | tuple[object, ...], rank: int) -> object:
    return values[min(rank, len(values) - 1)]


def _hashable(values: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(repr(value) for value in values)


def absent_like(value: object, seed: int) -> object:
    """Return a value of the same type that no column of the data holds.

    >>> absent_like("guard", 1)
    'absent-1'
    """
    match value:
        case bool():
            return None
        case uuid.UUID():
            return uuid.UUID(
                bytes=hashlib.sha256(str(seed).encode()).digest()[:16], version=4
            )
        case str():
            return f"absent-{seed}"
        case int():
            return 2_000_000_000
        case Decimal() | float():
            return Decimal(-1)
        case datetime():
            return datetime(1970, 1, 1, tzinfo=value.tzinfo)
        case date():
            return date(1970, 1, 1)
        case time() | timedelta():
            return type(value).min
        case list():
            return [absent_like(item, seed) for item in value[:1]]
        case _:
            return None


def _absent_of_type(type_name: str, seed: int) -> object:
    if type_name == "uuid[]":
        return [absent_like(uuid.UUID(int=0), seed)]
    if type_name == "uuid":
        return absent_like(uuid.UUID(int=0), seed)
    if type_name.startswith(("timestamp", "date")):
        return absent_like(datetime.min, seed) if "stamp" in type_name else date(1970, 1, 1)
    if type_name.startswith(("int", "bigint", "smallint")):
        return absent_like(0, seed)
    if type_name.startswith(("text", "varchar", "character")):
        return absent_like("", seed)
    return None


def psql_block(
    connection: psycopg.Connection, query: Query, parameters: ParameterSet
) -> str:
    r"""Return a Query as psql takes it: one `\set` per parameter, then the statement."""
    lines = [f"-- {query.name}, {parameters.of_class}: {query.what}"]
    for name, value in zip(query.names, parameters.values, strict=True):
        literal = Literal(value).as_string(connection).strip()
        quoted = literal.replace("\\", "\\\\").replace("'", "\\'")
        lines.append(f"\\set {name} '{quoted}'")
    return "\n".join([*lines, query.sql])
