-- rule: H39
-- title: A name that says another column
-- weight: low
-- finding: {object} is named after {named}, and holds {columns}.
-- advice: Rename it, which takes no time and changes no plan. A name that lies is
--     believed in the next review, and nobody builds the index that seems to be there.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index_class.relname,
        -- without the name of the table, which may hold that of a column
        replace(index_class.relname, table_class.relname, '') as rest,
        table_class.relnamespace,
        array(  -- in the key, included, in an expression or in the predicate
            select attribute.attname::text
            from pg_attribute as attribute
            where attribute.attrelid = index.indrelid
                and attribute.attnum > 0
                and (
                    attribute.attnum = any(index.indkey::int2[])
                    or attribute.attnum in (
                        select refobjsubid
                        from pg_depend
                        where classid = 'pg_class'::regclass
                            and objid = index.indexrelid
                            and refobjid = index.indrelid
                    )
                )
            order by attribute.attnum
        ) as columns
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_class as table_class
        on table_class.oid = index.indrelid
    where not index_class.relispartition  -- follows the index of its parent
),

-- Names of columns that the name of an index can hold: those of its own table, and of any
-- table when they have two words or more. One word alone may describe something else.
names as (
    select distinct
        described.indexrelid,
        attribute.attname::text as name
    from described
    join pg_class as class
        on class.relnamespace = described.relnamespace
        and class.relkind in ('r', 'p', 'm')
    join pg_attribute as attribute
        on attribute.attrelid = class.oid
        and attribute.attnum > 0
        and not attribute.attisdropped
        and (class.oid = described.indrelid or attribute.attname ~ '_')
    -- whole words only
    where ('_' || described.rest || '_') ~ format(
        '_%s_',
        regexp_replace(attribute.attname, '(\W)', '\\\1', 'g')
    )
),

-- Of several names the longest is meant: user_id in invited_user_id is none.
longest as (
    select
        names.indexrelid,
        names.name
    from names
    where not exists (
        select
        from names as longer
        where longer.indexrelid = names.indexrelid
            and longer.name <> names.name
            and strpos(longer.name, names.name) > 0
    )
)

select distinct on (namespace.nspname, table_class.relname, described.relname)
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    described.relname as object_name,
    jsonb_build_object(
        'named', longest.name,
        'columns', to_jsonb(described.columns)
    ) as evidence,
    format(
        'alter index %I.%I rename to %I;',
        namespace.nspname,
        described.relname,
        renamed.name
    ) as fix,
    format(
        'alter index %I.%I rename to %I;',
        namespace.nspname,
        renamed.name,
        described.relname
    ) as undo
from described
join longest
    on longest.indexrelid = described.indexrelid
    and not longest.name = any(described.columns)
join pg_class as table_class
    on table_class.oid = described.indrelid
join pg_namespace as namespace
    on namespace.oid = described.relnamespace
cross join lateral (
    select left(
        replace(described.relname, longest.name, array_to_string(described.columns, '_')),
        63
    )
) as renamed (name)
where namespace.nspname !~ '^(pg_|information_schema$)'
order by
    namespace.nspname,
    table_class.relname,
    described.relname,
    length(longest.name) desc,
    longest.name;
