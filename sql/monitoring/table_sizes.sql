-- What each table weighs, with its indexes and its TOAST, largest first.
-- By oid, so that a name in mixed case is found as well.
select
    class.relname as table_name,
    pg_size_pretty(pg_total_relation_size(class.oid)) as total_size,
    pg_size_pretty(pg_table_size(class.oid)) as table_size,
    pg_size_pretty(pg_indexes_size(class.oid)) as indexes_size
from pg_class as class
where class.relnamespace = 'public'::regnamespace
    and class.relkind in ('r', 'p')  -- ordinary and partitioned tables
order by pg_total_relation_size(class.oid) desc;
