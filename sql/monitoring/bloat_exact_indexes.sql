-- How full the pages of each B-tree are, counted by pgstattuple.
-- It reads the indexes from end to end, so ask it seldom and not in the busy hour;
-- bloat_indexes.sql estimates from the catalog alone. A new index is 90 % full, one filled
-- in random order about 70 %. `deleted_pages` are empty ones that wait to be used again.
-- Error 'function pgstatindex … does not exist': run extensions.sql.
-- Needs the role pg_stat_scan_tables, or a superuser.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    index_class.relname as index_name,
    found.index_size as index_bytes,
    found.leaf_pages,
    found.empty_pages + found.deleted_pages as deleted_pages,
    nullif(found.avg_leaf_density, 'NaN') as full_percent  -- no leaf, no density
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = index_class.relnamespace
join pg_am as method
    on method.oid = index_class.relam
cross join lateral pgstatindex(index.indexrelid::regclass) as found
where method.amname = 'btree'
    and index_class.relkind = 'i'  -- that of a partitioned table has no pages
    and index_class.relpersistence <> 't'
    and index.indisvalid
    and namespace.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
order by
    found.index_size * (100 - coalesce(nullif(found.avg_leaf_density, 'NaN'), 0)) desc,
    index_name;
