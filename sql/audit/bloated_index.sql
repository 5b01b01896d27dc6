-- rule: H16
-- title: An index that takes twice its room
-- weight: low
-- reads: statistics
-- finding: {object} has {real_bytes} for {entries:entry}, which need {needed_bytes} at
--     most.
-- advice: Rebuild it once the entries are gone that filled it. If it grows again, vacuum
--     the table more often. The room is estimated from the mean width of its columns;
--     loose_leaves counts it, where pgstattuple is installed.
with described as (
    select
        index.indexrelid,
        index_class.relname,
        index_class.relnamespace,
        index.indrelid,
        index_class.reltuples,
        pg_relation_size(index.indexrelid) as real_bytes,
        (
            -- 8 bytes of header and 4 of line pointer, keys to a multiple of 8
            select 12 + ceil(sum(coalesce(stats.avg_width, 32)) / 8.0) * 8
            from pg_attribute as attribute
            join pg_attribute as column_
                on column_.attrelid = index.indrelid
                and column_.attnum = index.indkey[attribute.attnum - 1]
            join pg_class as table_class
                on table_class.oid = index.indrelid
            join pg_namespace as namespace
                on namespace.oid = table_class.relnamespace
            left join pg_stats as stats
                on stats.schemaname = namespace.nspname
                and stats.tablename = table_class.relname
                and stats.attname = column_.attname
                and not stats.inherited
            where attribute.attrelid = index.indexrelid
        ) as entry_bytes
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_am as method
        on method.oid = index_class.relam
    where index.indisvalid
        and method.amname = 'btree'
        and index.indexprs is null  -- how wide an expression is, nobody may know
        and pg_relation_size(index.indexrelid) >= 1024 * 1024
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    described.relname as object_name,
    jsonb_build_object(
        'real_bytes', described.real_bytes,
        'needed_bytes', (described.reltuples * described.entry_bytes / 0.9)::bigint,
        'entries', described.reltuples::bigint
    ) as evidence,
    format(
        'reindex index concurrently %I.%I;', namespace.nspname, described.relname
    ) as fix,
    null as undo
from described
join pg_class as table_class
    on table_class.oid = described.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where described.reltuples >= 0
    -- pages are built 90 % full; equal entries share a list, and need less than this
    and described.real_bytes > 2 * described.reltuples * described.entry_bytes / 0.9
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
