-- rule: H18
-- title: A foreign key with a part of an index
-- weight: medium
-- finding: {other} has the columns of {object} only for rows where {predicate}; a delete
--     from {referenced} looks for all of them, and reads {table} whole.
-- advice: Build an index without that predicate. The predicate is not null on the column
--     itself would do: a comparison with = implies it.
with keys as (
    select
        constraint_.oid,
        constraint_.conname,
        constraint_.conrelid,
        constraint_.confrelid,
        constraint_.conkey,
        array(
            select attribute.attname::text
            from unnest(constraint_.conkey) with ordinality as key (number, place)
            join pg_attribute as attribute
                on attribute.attrelid = constraint_.conrelid
                and attribute.attnum = key.number
            order by key.place
        ) as columns
    from pg_constraint as constraint_
    where constraint_.contype = 'f'
        and constraint_.conparentid = 0  -- that of a partition follows its parent's
),

-- Every index that begins with the columns of a key, in any order.
beginnings as (
    select
        keys.oid,
        index_class.relname,
        index_class.reltuples,
        pg_get_expr(index.indpred, index.indrelid) as predicate,
        -- one term for each column, or for some of them, that it is not null
        coalesce(
            pg_get_expr(index.indpred, index.indrelid) ~ format(
                '^\(*(%1$s) IS NOT NULL\)( AND \((%1$s) IS NOT NULL\))*\)*$',
                (
                    select string_agg(
                        regexp_replace(
                            quote_ident(name), '(\W)', '\\\1', 'g'
                        ),
                        '|'
                    )
                    from unnest(keys.columns) as column_ (name)
                )
            ),
            true
        ) as is_implied
    from keys
    join pg_index as index
        on index.indrelid = keys.conrelid
        and index.indisvalid
        and index.indnkeyatts >= cardinality(keys.conkey)
        and (index.indkey::int2[])[0:cardinality(keys.conkey) - 1] @> keys.conkey
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_am as method
        on method.oid = index_class.relam
    where method.amname in ('btree', 'hash')
)

select distinct on (namespace.nspname, table_class.relname, keys.conname)
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'constraint' as object_type,
    keys.conname as object_name,
    jsonb_build_object(
        'columns', to_jsonb(keys.columns),
        'referenced', referenced.relname,
        'other', beginnings.relname,
        'predicate', beginnings.predicate,
        'rows', greatest(0, table_class.reltuples)::bigint
    ) as evidence,
    format(
        'create index %son %I.%I (%s);',
        case when table_class.relkind = 'r' then 'concurrently ' end,
        namespace.nspname,
        table_class.relname,
        (
            select string_agg(format('%I', name), ', ' order by place)
            from unnest(keys.columns) with ordinality as column_ (name, place)
        )
    ) as fix,
    null as undo
from keys
join beginnings
    on beginnings.oid = keys.oid
join pg_class as table_class
    on table_class.oid = keys.conrelid
join pg_class as referenced
    on referenced.oid = keys.confrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where not exists (
        select
        from beginnings as whole
        where whole.oid = keys.oid
            and whole.is_implied
    )
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by
    namespace.nspname,
    table_class.relname,
    keys.conname,
    beginnings.reltuples desc,
    beginnings.relname;
