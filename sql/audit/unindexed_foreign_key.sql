-- rule: H17
-- title: A foreign key without an index
-- weight: high
-- finding: No index of {table} begins with {columns}, which refers to {referenced}: each
--     delete there, and each change of its key, reads all of {table} ({rows:row}).
-- advice: Index these columns where rows of the other table are ever deleted, or where
--     the two are joined. An index that has them behind another column does not find
--     them.
with keys as (
    select
        constraint_.oid,
        constraint_.conname,
        constraint_.conrelid,
        constraint_.confrelid,
        constraint_.conkey,
        constraint_.confdeltype,
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
        index.indexrelid
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

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'constraint' as object_type,
    keys.conname as object_name,
    jsonb_build_object(
        'columns', to_jsonb(keys.columns),
        'referenced', referenced.relname,
        'cascades', keys.confdeltype = 'c',
        'rows', greatest(0, table_class.reltuples)::bigint,
        'deletes_counted', pg_stat_get_tuples_deleted(keys.confrelid)
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
join pg_class as table_class
    on table_class.oid = keys.conrelid
join pg_class as referenced
    on referenced.oid = keys.confrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where not exists (  -- a partial one is a question of its own
        select
        from beginnings
        where beginnings.oid = keys.oid
    )
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
