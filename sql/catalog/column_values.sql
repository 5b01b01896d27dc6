-- How many distinct values each column has, as the planner estimates it.
-- A negative n_distinct is a share of the rows.
select
    stats.tablename as table_name,
    stats.attname as column_name,
    case
        when stats.n_distinct < 0 then -stats.n_distinct * class.reltuples
        else stats.n_distinct
    end::float8 as distinct_values
from pg_stats as stats
join pg_class as class
    on class.oid = format('%I.%I', stats.schemaname, stats.tablename)::regclass
where stats.schemaname = 'public'
order by table_name, column_name;
