-- rule: H30
-- title: More index than table
-- weight: low
-- finding: The {indexes:index} of {table} take {index_bytes}, the table itself
--     {table_bytes}; the largest is {largest}.
-- advice: Look at each of them with the other rules of this audit. That they outweigh
--     their table is no fault by itself: a narrow table that is searched in many ways
--     needs them.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'table' as object_type,
    table_class.relname as object_name,
    jsonb_build_object(
        'indexes', (
            select count(*)
            from pg_index as index
            where index.indrelid = table_class.oid
        ),
        'index_bytes', pg_indexes_size(table_class.oid),
        'table_bytes', pg_table_size(table_class.oid),
        'largest', (
            select index_class.relname
            from pg_index as index
            join pg_class as index_class
                on index_class.oid = index.indexrelid
            where index.indrelid = table_class.oid
            order by pg_relation_size(index_class.oid) desc, index_class.relname
            limit 1
        )
    ) as evidence,
    null as fix,
    null as undo
from pg_class as table_class
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where table_class.relkind in ('r', 'm')
    and pg_indexes_size(table_class.oid) > pg_table_size(table_class.oid)
    -- each index begins with two pages, which outweighs any small table
    and pg_table_size(table_class.oid) >= 64 * current_setting('block_size')::bigint
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
