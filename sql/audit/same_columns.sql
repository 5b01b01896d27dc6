-- rule: H04
-- title: The same columns in another order
-- weight: low
-- finding: {object} on {keys} and {other} on {other_keys} hold the same columns; the
--     first was scanned {scans:time}, the second {other_scans:time}.
-- advice: Keep the one whose first column is compared by = more often, unless queries
--     really find rows by either column alone. From PostgreSQL 18 on the planner may skip
--     through a first column of few values, and one order is enough more often.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indisunique,
        index_class.relname,
        index.indnkeyatts,
        coalesce(pg_get_expr(index.indpred, index.indrelid), '') as predicate,
        coalesce(usage.idx_scan, 0) as scans,
        array(
            select pg_get_indexdef(index.indexrelid, place, false)
            from generate_series(1, index.indnkeyatts) as place
            order by place
        ) as keys,
        array(
            select pg_get_indexdef(index.indexrelid, place, false)
            from generate_series(1, index.indnkeyatts) as place
            order by pg_get_indexdef(index.indexrelid, place, false)
        ) as sorted_keys
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_am as method
        on method.oid = index_class.relam
    left join pg_stat_user_indexes as usage
        on usage.indexrelid = index.indexrelid
    where index.indisvalid
        and method.amname = 'btree'
        and not index_class.relispartition  -- follows the index of its parent
),

ranked as (
    select
        indexrelid,
        indrelid,
        indisunique,
        relname,
        keys,
        scans,
        first_value(indexrelid) over same_columns as other
    from described
    window same_columns as (
        partition by indrelid, sorted_keys, predicate
        order by indisunique desc, scans desc, indexrelid
    )
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    ranked.relname as object_name,
    jsonb_build_object(
        'keys', to_jsonb(ranked.keys),
        'scans', ranked.scans,
        'other', other.relname,
        'other_keys', to_jsonb(other.keys),
        'other_scans', other.scans
    ) as evidence,
    null as fix,
    null as undo
from ranked
join described as other
    on other.indexrelid = ranked.other
    and other.keys <> ranked.keys
join pg_class as table_class
    on table_class.oid = ranked.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where not ranked.indisunique
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
