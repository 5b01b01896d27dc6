-- rule: H35
-- title: An index that a skip scan may replace
-- weight: note
-- since: 180000
-- reads: statistics
-- finding: {other} on {other_keys} can find {column} as well as {object}: its first
--     column has {distinct_values:value}, and PostgreSQL 18 searches behind each of them.
-- advice: Hide it from the planner and compare its queries. A skip scan searches once for
--     each value of the first column, so the short index pays where it is used often.
select distinct on (namespace.nspname, table_class.relname, single_class.relname)
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    single_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'other', long_class.relname,
        'other_keys', (
            select jsonb_agg(pg_get_indexdef(long.indexrelid, place, false) order by place)
            from generate_series(1, long.indnkeyatts) as place
        ),
        'distinct_values', stats.n_distinct
    ) as evidence,
    null as fix,
    null as undo
from pg_index as single
join pg_class as single_class
    on single_class.oid = single.indexrelid
join pg_am as method
    on method.oid = single_class.relam
join pg_index as long
    on long.indrelid = single.indrelid
    and long.indisvalid
    and long.indpred is null
    and long.indnkeyatts > 1
    and long.indkey[1] = single.indkey[0]
    and long.indclass[1] = single.indclass[0]
    and long.indcollation[1] = single.indcollation[0]
join pg_class as long_class
    on long_class.oid = long.indexrelid
    and long_class.relam = method.oid
join pg_class as table_class
    on table_class.oid = single.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
join pg_attribute as attribute
    on attribute.attrelid = single.indrelid
    and attribute.attnum = single.indkey[0]
join pg_attribute as first
    on first.attrelid = single.indrelid
    and first.attnum = long.indkey[0]
join pg_stats as stats
    on stats.schemaname = namespace.nspname
    and stats.tablename = table_class.relname
    and stats.attname = first.attname
    and stats.inherited = (table_class.relkind = 'p')
where method.amname = 'btree'
    and single.indisvalid
    and single.indnatts = 1
    and single.indpred is null
    and not single.indisunique
    and stats.n_distinct between 1 and 50  -- a negative one is a share of the rows
    and table_class.reltuples >= 1000
    and not exists (  -- deletes from the referenced table deserve the short way
        select
        from pg_constraint
        where conrelid = single.indrelid
            and contype = 'f'
            and single.indkey[0] = any(conkey)
    )
    and not single_class.relispartition  -- follows the index of its parent
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by
    namespace.nspname,
    table_class.relname,
    single_class.relname,
    stats.n_distinct,
    long.indexrelid;
