-- rule: H22
-- title: An index that carries much along
-- weight: low
-- reads: statistics
-- finding: {object} carries {included} in every entry, {included_bytes} beside
--     {key_bytes} of keys.
-- advice: Include what spares most queries the visit to the table, and no more: a wide
--     entry makes every scan of the index longer, and each change of those columns writes
--     a new entry in every index of the table.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indnkeyatts,
        index_class.relname,
        sum(stats.avg_width)
            filter (where entry.place > index.indnkeyatts) as included_bytes,
        sum(stats.avg_width)
            filter (where entry.place <= index.indnkeyatts) as key_bytes,
        jsonb_agg(attribute.attname order by entry.place)
            filter (where entry.place > index.indnkeyatts) as included
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_class as table_class
        on table_class.oid = index.indrelid
    join pg_namespace as namespace
        on namespace.oid = table_class.relnamespace
    cross join generate_series(1, index.indnatts) as entry (place)
    join pg_attribute as attribute
        on attribute.attrelid = index.indrelid
        and attribute.attnum = index.indkey[entry.place - 1]
    join pg_stats as stats
        on stats.schemaname = namespace.nspname
        and stats.tablename = table_class.relname
        and stats.attname = attribute.attname
        and stats.inherited = (table_class.relkind = 'p')
    where index.indisvalid
        and index.indnatts > index.indnkeyatts
        and not index_class.relispartition  -- follows the index of its parent
    group by index.indexrelid, index.indrelid, index.indnkeyatts, index_class.relname
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    described.relname as object_name,
    jsonb_build_object(
        'included', described.included,
        'included_bytes', described.included_bytes,
        'key_bytes', coalesce(described.key_bytes, 0)
    ) as evidence,
    null as fix,
    null as undo
from described
join pg_class as table_class
    on table_class.oid = described.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where described.included_bytes > 64
    and described.included_bytes > 2 * coalesce(described.key_bytes, 0)
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
