-- How many updates of each table were HOT, and so touched none of its indexes.
-- An update is heap-only (HOT) when it changes no indexed column and its page has room;
-- any other writes an entry into every index of the table. A low share with many updates
-- is the price of an index on a column that changes, or of full pages: try a fillfactor
-- below 100. `other_page` counts the updates that found no room on their page
-- (PostgreSQL 16 and newer, null before), so the two causes can be told apart.
select
    tables.schemaname as schema_name,
    tables.relname as table_name,
    tables.n_tup_upd as updates,
    tables.n_tup_hot_upd as hot_updates,
    round(
        100.0 * tables.n_tup_hot_upd / nullif(tables.n_tup_upd, 0), 1
    ) as hot_percent,
    -- through JSON, where a column that an older server lacks is null
    (to_jsonb(tables) ->> 'n_tup_newpage_upd')::bigint as other_page,
    coalesce(
        (
            select option_value::int
            from pg_options_to_table(class.reloptions)
            where option_name = 'fillfactor'
        ),
        100
    ) as fillfactor,
    (
        select count(*)
        from pg_index
        where indrelid = class.oid
    ) as indexes
from pg_stat_user_tables as tables
join pg_class as class
    on class.oid = tables.relid
order by tables.n_tup_upd - tables.n_tup_hot_upd desc, tables.n_tup_upd desc, table_name;
