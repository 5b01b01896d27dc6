-- How many entries each index has, and how many rows its table.
-- Both are counted when the index is built and at each VACUUM.
select
    index_class.relname as name,
    index_class.reltuples::bigint as entries,
    table_class.reltuples::bigint as rows
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_class as table_class
    on table_class.oid = index.indrelid
where table_class.relnamespace = 'public'::regnamespace
order by name;
