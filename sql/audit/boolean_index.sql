-- rule: H11
-- title: An index on a boolean
-- weight: medium
-- reads: statistics
-- finding: {object} has the boolean {column} as its only key; {rarer_share} of the rows
--     hold the rarer value.
-- advice: Index what the queries look for among those rows, with the boolean as
--     predicate. The entries of the frequent value are maintained and never worth
--     reading.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'rarer_share', least(
            stats.most_common_freqs[1], 1 - stats.null_frac - stats.most_common_freqs[1]
        ),
        'null_share', stats.null_frac,
        'rows', table_class.reltuples::bigint
    ) as evidence,
    null as fix,
    null as undo
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
join pg_attribute as attribute
    on attribute.attrelid = index.indrelid
    and attribute.attnum = index.indkey[0]
    and attribute.atttypid = 'boolean'::regtype
join pg_stats as stats
    on stats.schemaname = namespace.nspname
    and stats.tablename = table_class.relname
    and stats.attname = attribute.attname
    and stats.inherited = (table_class.relkind = 'p')
where index.indisvalid
    and index.indnkeyatts = 1
    and index.indpred is null
    and not index.indisunique
    and not index_class.relispartition  -- follows the index of its parent
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
