-- The setting that logs slow statements, and when a change of it takes effect.
select
    name,
    setting,
    unit,
    context
from pg_settings
where name = 'log_min_duration_statement';
