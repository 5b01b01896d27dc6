-- rule: H23
-- title: A GIN index that is written more than read
-- weight: low
-- reads: counters
-- finding: {table} was written {writes:time} while {object} was scanned {scans:time};
--     each new row adds an entry for every word or element in it.
-- advice: Measure what the index costs a write before it stays. Where words are looked
--     for seldom, a scan of the table may be the cheaper answer; turning fastupdate off
--     only moves the work from the vacuum to the write.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'writes', written.rows,
        'scans', usage.idx_scan,
        'fastupdate', coalesce(
            (
                select option_value::boolean
                from pg_options_to_table(index_class.reloptions)
                where option_name = 'fastupdate'
            ),
            true
        )
    ) as evidence,
    null as fix,
    null as undo
from pg_stat_user_indexes as usage
join pg_stat_user_tables as tables
    on tables.relid = usage.relid
join pg_class as index_class
    on index_class.oid = usage.indexrelid
join pg_am as method
    on method.oid = index_class.relam
join pg_class as table_class
    on table_class.oid = usage.relid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
cross join lateral (
    -- a HOT update leaves every index alone
    select tables.n_tup_ins + tables.n_tup_upd - tables.n_tup_hot_upd
) as written (rows)
where method.amname = 'gin'
    and written.rows >= 1000
    and written.rows > 10 * usage.idx_scan
    and usage.idx_scan > 0  -- one that is never scanned is H13
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
