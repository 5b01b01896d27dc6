-- Every table of the schema: how many rows and columns, and what it weighs.
-- The row count is the planner's estimate, exact right after VACUUM.
select
    class.relname as name,
    class.reltuples::bigint as rows,
    (
        select count(*)
        from pg_attribute
        where attrelid = class.oid
            and attnum > 0
            and not attisdropped
    ) as columns,
    pg_table_size(class.oid) as table_bytes,
    pg_indexes_size(class.oid) as index_bytes
from pg_class as class
where class.relnamespace = 'public'::regnamespace
    and class.relkind in ('r', 'p')  -- ordinary and partitioned tables
order by name;
