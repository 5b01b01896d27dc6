-- rule: H14
-- title: Few scans that each read much
-- weight: low
-- reads: counters
-- finding: {object} was scanned {scans:time} and read {entries_per_scan:entry} at each,
--     {read_share} of its table.
-- advice: Do not drop it because it is seldom used: a scan that reads so much may be a
--     report that would take far longer without it. Find the query first, and see whether
--     a sequential scan or a longer key serves it better.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'scans', usage.idx_scan,
        'entries_per_scan', usage.idx_tup_read / usage.idx_scan,
        'read_share', least(1, usage.idx_tup_read / usage.idx_scan / table_class.reltuples),
        'rows', table_class.reltuples::bigint
    ) as evidence,
    null as fix,
    null as undo
from pg_stat_user_indexes as usage
join pg_class as index_class
    on index_class.oid = usage.indexrelid
join pg_class as table_class
    on table_class.oid = usage.relid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where usage.idx_scan > 0
    and table_class.reltuples >= 1000
    and usage.idx_tup_read / usage.idx_scan > 0.2 * table_class.reltuples
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
