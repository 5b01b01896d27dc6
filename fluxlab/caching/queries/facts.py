"""What the server says of a session and of the names in a statement, in one round trip.

The answer is part of a cached result's key: after ALTER TABLE, GRANT, CREATE POLICY or
CREATE OR REPLACE FUNCTION it is another one, and what was stored before is not found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from fluxlab.caching.queries.text import Names, Parameters, Uncached

Connection = psycopg.AsyncConnection[TupleRow]

#: Settings that change what a statement answers or how its values are written.
_SETTINGS = """
search_path role row_security TimeZone timezone_abbreviations DateStyle IntervalStyle
extra_float_digits bytea_output client_encoding standard_conforming_strings array_nulls
lc_monetary lc_numeric lc_time default_text_search_config transform_null_equals xmlbinary
xmloption quote_all_identifiers gin_fuzzy_search_limit pg_trgm.similarity_threshold
pg_trgm.word_similarity_threshold pg_trgm.strict_word_similarity_threshold
"""

#: Built-in functions that are stable only because they obey those settings.
_STEADY = """
age array_agg array_to_json array_to_string concat concat_ws date date_add date_part
date_subtract date_trunc extract format generate_series interval json_agg
json_agg_strict json_build_array json_build_object json_object_agg
json_object_agg_strict jsonb_agg jsonb_agg_strict jsonb_build_array jsonb_build_object
jsonb_object_agg length numeric overlaps phraseto_tsquery plainto_tsquery quote_literal
quote_nullable row_to_json string_agg text time timestamp timestamptz timetz timezone
to_char to_date to_json to_jsonb to_number to_timestamp to_tsquery to_tsvector
ts_headline websearch_to_tsquery
"""

_FACTS = """
with recursive read(oid) as (
    select to_regclass(name)::oid from unnest(%(relations)s::text[]) as asked(name)
    where to_regclass(name) is not null
    union
    select near.oid
    from read, lateral (
        select inhparent from pg_inherits where inhrelid = read.oid
        union all
        select inhrelid from pg_inherits where inhparent = read.oid
        union all
        select depend.refobjid
        from pg_class as view
            join pg_rewrite as rule on rule.ev_class = view.oid
            join pg_depend as depend on depend.objid = rule.oid
        where view.oid = read.oid
            and view.relkind = 'v'
            and depend.classid = 'pg_rewrite'::regclass
            and depend.refclassid = 'pg_class'::regclass
    ) as near(oid)
),
relations as (
    select
        class.oid::bigint,
        nspname as schema,
        relname as name,
        relkind as kind,
        relpersistence as persistence,
        relacl::text as rights,
        has_any_column_privilege(class.oid, 'select') as is_readable,
        case when relkind = 'v' then pg_get_viewdef(class.oid) end as definition,
        (
            select array_agg(concat_ws(
                ' ', attnum, attname, atttypid, atttypmod, attcollation, attisdropped,
                attacl,
                (select string_agg(enumlabel, ',' order by enumsortorder)
                 from pg_enum where enumtypid = atttypid)
            ) order by attnum)
            from pg_attribute where attrelid = class.oid and attnum > 0
        ) as columns,
        case when relrowsecurity then row_security_active(class.oid) end as is_guarded,
        case when relrowsecurity then (
            select jsonb_agg(jsonb_build_array(
                polpermissive, polroles::text, 'select ' || pg_get_expr(polqual, polrelid)
            ) order by polname)
            from pg_policy where polrelid = class.oid and polcmd in ('r', '*')
        ) end as policies
    from pg_class as class join pg_namespace as space on space.oid = relnamespace
    where class.oid in (select oid from read)
),
functions as (
    select
        proname as name,
        nspname as schema,
        lanname as language,
        max(provolatile::text) as volatility,
        bool_or(proname <> all(%(functions)s::text[])) as is_hidden,
        md5(string_agg(
            case when nspname = 'pg_catalog' then proc.oid::text else proc::text end,
            ' ' order by proc.oid
        )) as source
    from pg_proc as proc
        join pg_namespace as space on space.oid = pronamespace
        join pg_language as lang on lang.oid = prolang
    where proname = any(%(functions)s::text[])
        or (proname = any(%(columns)s::text[]) and pronargs = 1
            and exists (select from pg_type where oid = proargtypes[0] and typtype = 'c'))
        or proc.oid in (
            select oprcode from pg_operator
            where oprname = any(%(operators)s::text[])
                and oprnamespace <> 'pg_catalog'::regnamespace
        )
    group by proname, nspname, lanname
)
select
    jsonb_build_object(
        'database', current_database(), 'user', session_user, 'role', current_user,
        'schemas', current_schemas(true), 'standby', pg_is_in_recovery(),
        'settings', (
            select jsonb_object_agg(name, current_setting(name, true))
            from unnest(%(settings)s::text[]) as name
        )
    )::text,
    array(
        select name from unnest(%(relations)s::text[]) as name
        where to_regclass(name) is null
    ),
    (select coalesce(jsonb_agg(to_jsonb(one) order by oid), '[]')::text
     from relations as one),
    (select coalesce(jsonb_agg(to_jsonb(one) order by name, schema, language), '[]')::text
     from functions as one)
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server answered about `names`, as JSON: the session, and what it found.

    `missing` are the relations that do not exist.
    """

    names: Names
    session: str
    missing: frozenset[str]
    relations: str
    functions: str

    @property
    def schema(self) -> str:
        """What the result depends on beside the rows."""
        return json.dumps([sorted(self.missing), self.relations, self.functions])

    def definitions(self) -> Iterator[str]:
        """Go through the queries of views and the conditions of policies."""
        for one in json.loads(self.relations):
            if one["definition"]:
                yield one["definition"]
            for _, _, condition in one["policies"] or ():
                if condition:
                    yield condition

    @property
    def read(self) -> frozenset[tuple[str, str]]:
        """Return schema and name of everything that is read, views and partitions too."""
        return frozenset((one["schema"], one["name"]) for one in json.loads(self.relations))

    def check(self, names: Names, *, is_vouched: bool) -> None:
        """Raise Uncached where a result could change without a table's being written.

        `is_vouched`: the caller named the tables, so what may hide some is allowed.
        """
        session = json.loads(self.session)
        if session["standby"]:
            raise Uncached("a standby may lag behind")
        if session["settings"]["standard_conforming_strings"] != "on":
            raise Uncached("standard_conforming_strings is off")
        for relation in json.loads(self.relations):
            _check_relation(relation, is_vouched)
        functions = json.loads(self.functions)
        for function in functions:
            _check_function(function, is_vouched)
        if unknown := names.functions - {one["name"] for one in functions}:
            raise Uncached(f"there is no function {min(unknown)}")


def _check_relation(one: Mapping[str, Any], is_vouched: bool) -> None:
    name = one["name"]
    if one["schema"] in ("pg_catalog", "information_schema", "pg_toast"):
        raise Uncached("it reads the catalog")
    if one["persistence"] == "t":
        raise Uncached(f"{name} is a temporary table")
    if one["kind"] == "S":
        raise Uncached(f"{name} is a sequence")
    if one["kind"] == "f" and not is_vouched:
        raise Uncached(f"{name} is a foreign table, and its tables were not named")


def _check_function(one: Mapping[str, Any], is_vouched: bool) -> None:
    name, is_builtin = one["name"], one["schema"] == "pg_catalog"
    if one["volatility"] == "v":
        raise Uncached(f"the function {name} is volatile")
    if is_builtin and (
        one["volatility"] == "i" or one["is_hidden"] or name in _STEADY.split()
    ):
        return
    if is_builtin:
        raise Uncached(f"the function {name} reads more than its arguments")
    is_plain = one["language"] in ("c", "internal") and one["volatility"] == "i"
    if not (is_plain or is_vouched):
        raise Uncached(f"the function {name} may hide tables, and they were not named")


async def ask(connection: Connection, names: Names) -> Facts:
    """Ask the server of a session and of these names."""
    wanted = {
        "relations": sorted(names.relations),
        "functions": sorted(names.functions),
        "operators": sorted(names.operators),
        "columns": sorted(names.columns),
        "settings": _SETTINGS.split(),
    }
    cursor = await connection.execute(_FACTS, wanted)
    row = await cursor.fetchone()
    assert row is not None
    session, missing, relations, functions = row
    return Facts(names, session, frozenset(missing), relations, functions)


async def planned(
    connection: Connection, sql: str, values: Parameters
) -> frozenset[tuple[str, str]]:
    """Return schema and name of the relations in the plan of a statement."""
    text = f"explain (format json, verbose) {sql}".encode()
    cursor = await connection.execute(text, values or None)
    row = await cursor.fetchone()
    assert row is not None
    return frozenset(_relations_in(row[0]))


def _relations_in(plan: object) -> Iterator[tuple[str, str]]:
    if isinstance(plan, list):
        for inner in plan:
            yield from _relations_in(inner)
    elif isinstance(plan, dict):
        if name := plan.get("Relation Name"):
            yield str(plan.get("Schema", "")), str(name)
        for inner in plan.values():
            yield from _relations_in(inner)
