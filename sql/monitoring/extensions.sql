-- Which extensions the other files here ask for, and what each still needs.
-- `next` is the statement or setting that is missing, and null where nothing is.
-- A library of shared_preload_libraries is loaded when the server starts, and only then;
-- its settings exist as soon as it is.
select
    wanted.name as extension_name,
    wanted.asked_by,
    extension.extversion is not null as is_created,
    wanted.library_setting is null
    or current_setting(wanted.library_setting, true) is not null as is_loaded,
    case
        when available.name is null
            then 'install PostgreSQL''s contrib package on the server'
        when wanted.library_setting is not null
            and current_setting(wanted.library_setting, true) is null
            then format(
                'add %s to shared_preload_libraries and restart the server', wanted.name
            )
        when extension.extversion is null
            then format('create extension %I;', wanted.name)
    end as next
from (
    values
    ('pg_stat_statements', 'slow_queries.sql', 'pg_stat_statements.max'),
    ('pgstattuple', 'bloat_exact_tables.sql, bloat_exact_indexes.sql', null)
) as wanted (name, asked_by, library_setting)
left join pg_available_extensions as available
    on available.name = wanted.name
left join pg_extension as extension
    on extension.extname = wanted.name
order by extension_name;
