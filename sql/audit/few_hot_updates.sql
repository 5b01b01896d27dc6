-- rule: H27
-- title: Updates that have to write every index
-- weight: medium
-- reads: counters
-- finding: {hot_share} of {updates:update} of {table} were HOT; every other one wrote a
--     new entry into each of its {indexes:index}.
-- advice: Look for an indexed column among those that are changed, and drop that index if
--     it is not worth it: HOT asks that no index knows the changed column (BRIN apart).
--     Room for the new row on its page, by a lower fillfactor, helps only then.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'table' as object_type,
    table_class.relname as object_name,
    jsonb_build_object(
        'updates', tables.n_tup_upd,
        'hot_share', tables.n_tup_hot_upd::float8 / tables.n_tup_upd,
        -- from PostgreSQL 16 on: the new row stands on another page, for want of room
        'new_page_share', (to_jsonb(tables) ->> 'n_tup_newpage_upd')::float8
            / tables.n_tup_upd,
        'indexes', (
            select count(*)
            from pg_index as index
            where index.indrelid = tables.relid
        )
    ) as evidence,
    null as fix,
    null as undo
from pg_stat_user_tables as tables
join pg_class as table_class
    on table_class.oid = tables.relid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where tables.n_tup_upd >= 1000
    and tables.n_tup_hot_upd < 0.5 * tables.n_tup_upd
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
