-- rule: H03
-- title: An index that is the beginning of another
-- weight: medium
-- finding: {object} on {keys} is the beginning of {other} on {other_keys}
--     ({other_bytes}), which finds and orders rows as well.
-- advice: Drop it when the longer index is not much larger: a search there is as deep, a
--     scan of many entries reads more. Hide it from the planner first and compare what
--     its queries cost.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indisunique,
        index_class.relname,
        index_class.relkind,
        index.indnkeyatts,
        coalesce(pg_get_expr(index.indpred, index.indrelid), '') as predicate,
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
            from generate_series(1, index.indnatts) as place
            order by place
        ) as columns,
        -- 1 is descending, 2 is nulls first; both turned round is the same read backwards
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
    join pg_am as method
        on method.oid = index_class.relam
    where index.indisvalid
        and method.amname = 'btree'  -- in others the order of columns means nothing
        and not index_class.relispartition  -- follows the index of its parent
)

select distinct on (namespace.nspname, table_class.relname, short.relname)
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    short.relname as object_name,
    jsonb_build_object(
        'keys', to_jsonb(short.columns[:short.indnkeyatts]),
        'other', long.relname,
        'other_keys', to_jsonb(long.columns[:long.indnkeyatts]),
        'other_is_unique', long.indisunique,
        'other_bytes', pg_relation_size(long.indexrelid)
    ) as evidence,
    format(
        'drop index %s%I.%I;',
        case when short.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        short.relname
    ) as fix,
    replace(pg_get_indexdef(short.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from described as short
join described as long
    on long.indrelid = short.indrelid
    and long.keys[:short.indnkeyatts] = short.keys
    and long.directions[:short.indnkeyatts] in (short.directions, short.reversed)
    and long.columns @> short.columns  -- what the short one includes, too
    and long.predicate = short.predicate  -- a whole one beside a partial is H06
join pg_class as table_class
    on table_class.oid = short.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where cardinality(long.columns) > cardinality(short.columns)
    and not short.indisunique  -- it forbids more than the longer one
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by
    namespace.nspname,
    table_class.relname,
    short.relname,
    long.indisunique desc,  -- that one stays in any case
    pg_relation_size(long.indexrelid),
    long.indexrelid;
