-- rule: H02
-- title: An index that a unique one makes superfluous
-- weight: high
-- finding: {object} has the keys of {other}, which keeps them unique and stays.
-- advice: Drop it. The unique index serves the same searches and orders, and the planner
--     knows more of it: that there is one row at most.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indisunique,
        index.indpred,
        index_class.relname,
        index_class.relkind,
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
    where index.indisvalid
        and not index_class.relispartition  -- follows the index of its parent
)

select distinct on (namespace.nspname, table_class.relname, plain.relname)
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    plain.relname as object_name,
    jsonb_build_object(
        'other', unique_.relname,
        'keys', to_jsonb(plain.columns)
    ) as evidence,
    format(
        'drop index %s%I.%I;',
        case when plain.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        plain.relname
    ) as fix,
    replace(pg_get_indexdef(plain.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from described as plain
join described as unique_
    on unique_.indrelid = plain.indrelid
    and unique_.keys = plain.keys
    and unique_.directions in (plain.directions, plain.reversed)
    and unique_.columns @> plain.columns  -- what the plain one includes, too
join pg_class as table_class
    on table_class.oid = plain.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where unique_.indisunique
    and unique_.indpred is null
    and not plain.indisunique
    and plain.indpred is null
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by namespace.nspname, table_class.relname, plain.relname, unique_.indexrelid;
