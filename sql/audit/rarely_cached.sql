-- rule: H37
-- title: An index that is read from disk
-- weight: low
-- reads: counters
-- finding: {missed_share} of the {reads:page} of {object} that were asked for were not in
--     the server's memory.
-- advice: A search should find its upper pages there at least. Make the index smaller (a
--     predicate, fewer columns), or give the server more memory. Building it again helps
--     only where it is bloated.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'missed_share', io.idx_blks_read::float8 / (io.idx_blks_read + io.idx_blks_hit),
        'reads', io.idx_blks_read + io.idx_blks_hit
    ) as evidence,
    null as fix,
    null as undo
from pg_statio_user_indexes as io
join pg_class as index_class
    on index_class.oid = io.indexrelid
join pg_class as table_class
    on table_class.oid = io.relid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where io.idx_blks_read >= 100  -- each page is read once, when the server is young
    and io.idx_blks_read > 0.1 * (io.idx_blks_read + io.idx_blks_hit)
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
