"""A week of writes: the data's own last week, taken back and played again.

The rows of the last seven days are put aside, and statistics are made: that is the
database a week ago. Then the rows come back day by day, and beside them the Workload's
writes on what is there already, each as often as its weight says. The scale is the
messages: as many requests are played as those of the week stand for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from fluxlab.errors import FluxlabError
from fluxlab.workload.query import Query, Workload

DAYS = 7
#: The write that gives the scale, and the table that it fills.
_SCALE, _SCALE_TABLE = "message_insert", "messages"
_BLOCK = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)

_TIMED = """
select distinct on (class.relname) class.relname::text, attribute.attname::text
from pg_class as class
join pg_attribute as attribute
    on attribute.attrelid = class.oid
where class.relnamespace = 'public'::regnamespace
    and class.relkind = 'r'
    and attribute.attname in ('created_at', 'joined_at', 'granted_at')
order by class.relname, attribute.attname
"""
_ROWS = """
select relname::text, reltuples::bigint
from pg_class
where relnamespace = 'public'::regnamespace
    and relkind = 'r'
"""
#: What a transaction of the week takes for the time: the data's, which is not ours.
_CLOCK = """
create schema week;
create schema week_clock;
create function week_clock.now() returns timestamptz
stable
language sql
as $$ select pg_catalog.current_setting('week.now')::timestamptz $$;
"""
#: Each execution is a transaction of its own, as one of the application is.
_PLAY = """
do $play$
declare
    drawn record;
begin
    for drawn in
        select draw.*, number
        from generate_series({first}, {last}) as number
        join week.{draw} as draw
            on draw.place = 1 + (number - 1)::bigint * {draws} / {executions}
        order by number
    loop
        execute {statement} using {values};
        commit;
    end loop;
end
$play$
"""


@dataclass(frozen=True, slots=True)
class Write:
    """One Query of the week: how many executions, and how many different values."""

    query: Query
    executions: int
    draws: int


@dataclass(frozen=True, slots=True)
class Week:
    """The week that has been put aside: its first moment, its rows and its writes.

    `requests` to the application are what the week's messages stand for. By table:
    `columns` tell when a row was written, `rows` how many come back, `rows_at_start` how
    many there are without them.
    """

    start: datetime
    requests: float
    columns: Mapping[str, str]
    rows: Mapping[str, int]
    rows_at_start: Mapping[str, int]
    writes: tuple[Write, ...]

    @property
    def written(self) -> Mapping[str, int]:
        """How many writes reach each table: rows that come back, and executions."""
        found = dict(self.rows)
        for one in self.writes:
            for table in one.query.tables:
                found[table] = found.get(table, 0) + one.executions
        return found

    @property
    def executions(self) -> int:
        """How many writes are played, the rows that come back left out."""
        return sum(one.executions for one in self.writes)


def put_aside(
    connection: psycopg.Connection, now: datetime, workload: Workload, draws: Path
) -> Week:
    """Take the last week out of a scratch database, and vacuum and analyse what is left.

    `draws` is `sql/practices/week.sql`. Needs a superuser. Raises FluxlabError for a
    draw of a Query that the Workload does not have.
    """
    connection.execute(_CLOCK)
    start = now - timedelta(days=DAYS)
    columns = {str(table): str(column) for table, column in connection.execute(_TIMED)}
    # Rows that point at those of the week are as young, so no key is broken.
    connection.execute("set session_replication_role = replica")
    rows = {name: _cut(connection, name, of, start) for name, of in columns.items()}
    connection.execute("reset session_replication_role")
    connection.execute("vacuum (analyze)")
    requests = 1_000 * rows[_SCALE_TABLE] / workload[_SCALE].weight
    texts = _BLOCK.findall(draws.read_text(encoding="utf-8"))
    writes = tuple(
        _draw(connection, workload.find(name), text, requests) for name, text in texts
    )
    left = {str(name): int(count) for name, count in connection.execute(_ROWS)}
    return Week(start, requests, columns, rows, left, writes)


def play(connection: psycopg.Connection, week: Week, day: int) -> None:
    """Let one day happen, counted from 0: its rows come back, its writes are executed."""
    first = week.start + timedelta(days=day)
    last = first + timedelta(days=1)
    connection.execute("set session_replication_role = replica")
    for table, column in week.columns.items():
        connection.execute(
            SQL(
                "insert into public.{0} select * from week.{0} "
                "where {1} > {2} and {1} <= {3} order by {1}"
            ).format(Identifier(table), Identifier(column), Literal(first), Literal(last))
        )
    connection.execute("reset session_replication_role")
    connection.execute(SQL("set week.now = {}").format(Literal(last.isoformat())))
    connection.execute("set search_path = week_clock, pg_catalog, public")
    for write in week.writes:
        _play(connection, write, day)
    connection.execute("reset search_path")


def _cut(connection: psycopg.Connection, table: str, column: str, start: datetime) -> int:
    connection.execute(
        SQL("create table week.{0} (like public.{0})").format(Identifier(table))
    )
    moved = SQL(
        "with gone as (delete from public.{0} where {1} > {2} returning *) "
        "insert into week.{0} select * from gone"
    )
    names = Identifier(table), Identifier(column), Literal(start)
    return connection.execute(moved.format(*names)).rowcount


def _draw(
    connection: psycopg.Connection, query: Query, text: str, requests: float
) -> Write:
    """Keep the values of one write with their places, for as often as they are needed."""
    statement = SQL(text.strip().rstrip(";"))
    connection.execute(
        SQL(
            "create table week.{} as "
            "select row_number() over () as place, drawn.* from ({}) as drawn"
        ).format(Identifier(_table(query)), statement)
    )
    row = connection.execute(
        SQL("select count(*) from week.{}").format(Identifier(_table(query)))
    ).fetchone()
    assert row is not None
    executions = round(query.weight * requests / 1_000) if row[0] else 0
    return Write(query, executions, int(row[0]))


def _play(connection: psycopg.Connection, write: Write, day: int) -> None:
    first, last = (write.executions * one // DAYS for one in (day, day + 1))
    if first == last:
        return
    table = _table(write.query)
    drawn = {
        str(row[0])
        for row in connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass",
            (f"week.{table}",),
        )
    }
    values = SQL(", ").join(_value(write.query, name, drawn) for name in write.query.names)
    block = SQL(_PLAY).format(
        first=Literal(first + 1),
        last=Literal(last),
        draw=Identifier(table),
        draws=Literal(write.draws),
        executions=Literal(write.executions),
        statement=Literal(write.query.statement.strip().rstrip(";")),
        values=values,
    )
    connection.execute(block)


def _value(query: Query, name: str, drawn: set[str]) -> Composable:
    """Return what a parameter is in the loop: a column that is drawn, or a choice."""
    if name in drawn:
        return SQL("drawn.{}").format(Identifier(name))
    choices = next((one.choices for one in query.parameters if one.name == name), None)
    if choices is None:
        raise FluxlabError(
            f"Nothing is drawn for :{name} of {query.name}.",
            f"Give its block in week.sql a column {name}.",
        )
    return SQL("({}::text[])[1 + drawn.number % {}]").format(
        Literal(list(choices)), Literal(len(choices))
    )


def _table(query: Query) -> str:
    return f"draw_{query.name}"
