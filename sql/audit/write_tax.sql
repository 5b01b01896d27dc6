-- rule: H28
-- title: An index that is written a thousand times for each use
-- weight: low
-- reads: counters
-- finding: {object} was written {writes:time} and scanned {scans:time}.
-- advice: Find what scans it, and what that would cost without it. It stays if the query
--     is worth more than all these writes; that it is used is no reason by itself.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'writes', written.rows,
        'scans', usage.idx_scan
    ) as evidence,
    null as fix,
    null as undo
from pg_stat_user_indexes as usage
join pg_stat_user_tables as tables
    on tables.relid = usage.relid
join pg_index as index
    on index.indexrelid = usage.indexrelid
join pg_class as index_class
    on index_class.oid = usage.indexrelid
join pg_class as table_class
    on table_class.oid = usage.relid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
cross join lateral (
    -- a HOT update leaves every index alone
    select tables.n_tup_ins + tables.n_tup_upd - tables.n_tup_hot_upd
) as written (rows)
where not index.indisunique
    and not index.indisexclusion
    and index.indpred is null  -- how many writes concern a partial one, nobody counts
    and written.rows > 1000 * usage.idx_scan
    and usage.idx_scan > 0  -- one that is never scanned is H13
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
