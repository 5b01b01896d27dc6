-- How much of each table is free or dead, counted by pgstattuple.
-- Exact where the visibility map does not say that a page holds only live rows, and from
-- the free space map where it does: it reads the tables, so ask it seldom and not in the
-- busy hour. bloat_tables.sql estimates the same from the catalog alone.
-- `unused_bytes` is all that is not live: dead rows, free space, and the pages that a bulk
-- load added and never filled, which pgstattuple counts under neither.
-- Error 'function pgstattuple_approx … does not exist': run extensions.sql.
-- Needs the role pg_stat_scan_tables, or a superuser.
select
    namespace.nspname as schema_name,
    class.relname as table_name,
    found.table_len as table_bytes,
    found.approx_tuple_len::bigint as live_bytes,
    found.dead_tuple_len as dead_bytes,
    found.approx_free_space::bigint as free_bytes,
    (found.table_len - found.approx_tuple_len)::bigint as unused_bytes,
    round(
        (
            100 * (found.table_len - found.approx_tuple_len) / nullif(found.table_len, 0)
        )::numeric,
        1
    ) as unused_percent
from pg_class as class
join pg_namespace as namespace
    on namespace.oid = class.relnamespace
cross join lateral pgstattuple_approx(class.oid) as found
where class.relkind in ('r', 'm')  -- what has a heap
    and class.relpersistence <> 't'
    and namespace.nspname not in ('pg_catalog', 'information_schema')
order by unused_bytes desc, table_name;
