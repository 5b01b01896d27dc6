-- rule: H05
-- title: The same index in the other direction
-- weight: high
-- finding: {object} is {other} with every direction turned round.
-- advice: Drop one of the two. A B-tree is read backwards as fast as forwards, so both
--     serve the same orders.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indisunique,
        index_class.relname,
        index_class.relkind,
        coalesce(pg_get_expr(index.indpred, index.indrelid), '') as predicate,
        index.indnkeyatts,
        array(
            select format(
                '%s %s %s',
                pg_get_indexdef(index.indexrelid, place, false),
                index.indclass[place - 1],
                index.indcollation[place - 1]
            )
            from generate_series(1, index.indnkeyatts) as place
            order by place
        ) as keys,
        array(
            select pg_get_indexdef(index.indexrelid, place, false)
            from generate_series(index.indnkeyatts + 1, index.indnatts) as place
            order by 1
        ) as included,
        -- 1 is descending, 2 is nulls first
        array(
            select index.indoption[place - 1]
            from generate_series(1, index.indnkeyatts) as place
            order by place
        ) as directions,
        array(
            select (index.indoption[place - 1] # 3)::int2
            from generate_series(1, index.indnkeyatts) as place
            order by place
        ) as reversed
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    where index.indisvalid
        and not index.indisunique  -- beside a unique one it is H02
        and not index_class.relispartition  -- follows the index of its parent
)

select distinct on (namespace.nspname, table_class.relname, twin.relname)
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    twin.relname as object_name,
    jsonb_build_object(
        'other', first.relname,
        'definition', pg_get_indexdef(twin.indexrelid),
        'other_definition', pg_get_indexdef(first.indexrelid)
    ) as evidence,
    format(
        'drop index %s%I.%I;',
        case when twin.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        twin.relname
    ) as fix,
    replace(pg_get_indexdef(twin.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from described as twin
join described as first
    on first.indrelid = twin.indrelid
    and first.keys = twin.keys
    and first.included = twin.included
    and first.predicate = twin.predicate
    and first.directions = twin.reversed
    and first.indexrelid < twin.indexrelid  -- the older stays
join pg_class as table_class
    on table_class.oid = twin.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where namespace.nspname !~ '^(pg_|information_schema$)'
order by namespace.nspname, table_class.relname, twin.relname, first.indexrelid;
