-- Which tables changed much since the planner last counted them.
-- The planner estimates with statistics of the last ANALYZE; autovacuum makes new ones
-- after `due_after` modified rows, a threshold and a share of the table. `is_due` says
-- that it should have: it is off, behind, or waiting for its next round of a minute.
-- A table without `analyzed_at` has not been analysed since the counters were reset,
-- which a copy made by `create database … template` begins with.
select
    tables.schemaname as schema_name,
    tables.relname as table_name,
    greatest(class.reltuples, 0)::bigint as planner_rows,
    tables.n_live_tup as live_rows,
    tables.n_mod_since_analyze as modified_rows,
    round(
        (
            100 * tables.n_mod_since_analyze / nullif(greatest(class.reltuples, 0), 0)
        )::numeric,
        1
    ) as modified_percent,
    due.after as due_after,
    tables.n_mod_since_analyze > due.after as is_due,
    greatest(tables.last_analyze, tables.last_autoanalyze) as analyzed_at,
    options.autovacuum and current_setting('autovacuum')::bool as is_automatic
from pg_stat_user_tables as tables
join pg_class as class
    on class.oid = tables.relid
cross join lateral (
    select
        coalesce(
            max(option_value) filter (
                where option_name = 'autovacuum_analyze_threshold'
            ),
            current_setting('autovacuum_analyze_threshold')
        )::float8 as threshold,
        coalesce(
            max(option_value) filter (
                where option_name = 'autovacuum_analyze_scale_factor'
            ),
            current_setting('autovacuum_analyze_scale_factor')
        )::float8 as share,
        coalesce(
            max(option_value) filter (where option_name = 'autovacuum_enabled'), 'on'
        )::bool as autovacuum
    from pg_options_to_table(class.reloptions)
) as options
cross join lateral (
    select (options.threshold + options.share * greatest(class.reltuples, 0))::bigint
) as due (after)
order by
    tables.n_mod_since_analyze::float8 / greatest(due.after, 1) desc,
    modified_rows desc,
    table_name;
