-- What the planner knows of some tables: their rows, columns and indexes.
-- Which ones, says the setting fluxlab.tables, a JSON array of names as SQL writes them:
-- set fluxlab.tables = '["users", "public.files"]'. Without it, all along the search path.
-- Needs no rights beyond those of an ordinary account: statistics of columns that it may
-- not read are null. Runs on PostgreSQL 13 to 18.
with wanted as (
    select
        class.oid,
        class.relname,
        class.relnamespace,
        class.relkind,
        class.reltuples,
        class.relpages
    from pg_class as class
    where class.relkind in ('r', 'p', 'm', 'f')  -- what has rows
        and case
            when nullif(current_setting('fluxlab.tables', true), '') is null
                then pg_table_is_visible(class.oid)
                    and class.relnamespace <> 'pg_catalog'::regnamespace
            else class.oid in (
                select to_regclass(name)
                from jsonb_array_elements_text(
                    current_setting('fluxlab.tables', true)::jsonb
                ) as named (name)
            )
        end
),

-- Columns that came with later versions are read through JSON, where a missing one is null.
default_collation as (
    select
        case to_jsonb(database) ->> 'datlocprovider'
            when 'b' then 'C'  -- the built-in ones all sort by code point
            when 'i' then coalesce(
                to_jsonb(database) ->> 'datlocale',
                to_jsonb(database) ->> 'daticulocale',
                'icu'
            )
            else database.datcollate
        end as name
    from pg_database as database
    where database.datname = current_database()
),

known_columns as (
    select
        attribute.attrelid as oid,
        jsonb_agg(
            jsonb_build_object(
                'name', attribute.attname,
                'type', format_type(attribute.atttypid, attribute.atttypmod),
                'n_distinct', stats.n_distinct,
                'correlation', stats.correlation,
                'null_share', stats.null_frac,
                'mean_width', stats.avg_width,
                'collation', case
                    when attribute.attcollation = 0 then null
                    when collation_.collname = 'default' then default_collation.name
                    when collation_.collprovider = 'b' then 'C'
                    when collation_.collprovider = 'c' then collation_.collcollate
                    else collation_.collname
                end
            )
            order by attribute.attnum
        ) as columns
    from wanted
    join pg_namespace as namespace
        on namespace.oid = wanted.relnamespace
    join pg_attribute as attribute
        on attribute.attrelid = wanted.oid
        and attribute.attnum > 0
        and not attribute.attisdropped
    cross join default_collation
    left join pg_collation as collation_
        on collation_.oid = attribute.attcollation
    left join pg_stats as stats
        on stats.schemaname = namespace.nspname
        and stats.tablename = wanted.relname
        and stats.attname = attribute.attname
        and stats.inherited = (wanted.relkind = 'p')
    group by attribute.attrelid
),

known_indexes as (
    select
        index.indrelid as oid,
        jsonb_agg(
            jsonb_build_object(
                'name', index_class.relname,
                'keys', (
                    select jsonb_agg(
                        pg_get_indexdef(index.indexrelid, place, true) order by place
                    )
                    from generate_series(1, index.indnkeyatts) as keys (place)
                ),
                'included', (
                    select coalesce(
                        jsonb_agg(
                            pg_get_indexdef(index.indexrelid, place, true) order by place
                        ),
                        '[]'
                    )
                    from generate_series(
                        index.indnkeyatts + 1, index.indnatts::int
                    ) as included (place)
                ),
                'predicate', pg_get_expr(index.indpred, index.indrelid, true),
                'method', method.amname,
                'is_unique', index.indisunique,
                'size_bytes', coalesce(pg_relation_size(index.indexrelid), 0)
            )
            order by index_class.relname
        ) as indexes
    from wanted
    join pg_index as index
        on index.indrelid = wanted.oid
        and index.indisvalid  -- the planner uses no other
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_am as method
        on method.oid = index_class.relam
    group by index.indrelid
)

select
    wanted.relname as name,
    namespace.nspname as schema,
    greatest(wanted.reltuples, 0)::float8 as rows,
    wanted.relpages as pages,
    pg_stat_get_live_tuples(wanted.oid) as live_rows,
    pg_stat_get_dead_tuples(wanted.oid) as dead_rows,
    pg_stat_get_mod_since_analyze(wanted.oid) as modified_rows,
    (
        pg_stat_get_last_analyze_time(wanted.oid) is not null
        or pg_stat_get_last_autoanalyze_time(wanted.oid) is not null
        or exists (  -- analysed before the counters were reset
            select
            from jsonb_array_elements(known_columns.columns) as facts
            where facts -> 'n_distinct' <> 'null'
        )
        -- what we may not read may have been analysed
        or not has_table_privilege(wanted.oid, 'select')
    ) as is_analyzed,
    pg_stat_get_tuples_updated(wanted.oid) as updates,
    pg_stat_get_tuples_hot_updated(wanted.oid) as hot_updates,
    coalesce(known_columns.columns, '[]') as columns,
    coalesce(known_indexes.indexes, '[]') as indexes
from wanted
join pg_namespace as namespace
    on namespace.oid = wanted.relnamespace
left join known_columns
    on known_columns.oid = wanted.oid
left join known_indexes
    on known_indexes.oid = wanted.oid
order by schema, name;
