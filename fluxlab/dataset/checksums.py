"""One number per table that changes with any cell and not with the order of rows."""

from __future__ import annotations

import psycopg
from psycopg import sql

_TABLES = """
select relname
from pg_class
where relnamespace = 'public'::regnamespace
    and relkind = 'r'
order by relname
"""

# The text of a row depends on these; a transaction sets them and gives them back.
_TEXT_SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}

_SUM = """
select count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)
from only {table} as t
"""


def table_checksums(connection: psycopg.Connection) -> dict[str, str]:
    """Rows and checksum of every table of the schema public, by name.

    Equal before and after writes that were rolled back; equal for the same seed and size.
    """
    with connection.cursor() as cursor:
        before = {name: _setting(cursor, name) for name in _TEXT_SETTINGS}
        try:
            for name, value in _TEXT_SETTINGS.items():
                cursor.execute("select set_config(%s, %s, false)", (name, value))
            tables = [str(row[0]) for row in cursor.execute(_TABLES).fetchall()]
            return {table: _checksum(cursor, table) for table in tables}
        finally:
            for name, value in before.items():
                cursor.execute("select set_config(%s, %s, false)", (name, value))


def _checksum(cursor: psycopg.Cursor, table: str) -> str:
    query = sql.SQL(_SUM).format(table=sql.Identifier(table))
    row = cursor.execute(query).fetchone()
    assert row is not None
    return str(row[0])


def _setting(cursor: psycopg.Cursor, name: str) -> str:
    row = cursor.execute("select current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])
