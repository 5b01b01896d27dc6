-- rule: H12
-- title: An index of nulls
-- weight: low
-- reads: statistics
-- finding: {null_share} of the entries of {object} are null in {column}, its only key.
-- advice: Index only the rows where it is not null, unless a query looks for those where
--     it is. Every comparison with = implies that predicate, so the planner goes on using
--     the index for them; a foreign key is served as well.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indkey[0] as attnum,
        index_class.relname,
        index_class.relkind,
        substr(
            pg_get_indexdef(index.indexrelid),
            length(format('CREATE INDEX %I ON ', index_class.relname)) + 1
        ) as target
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_am as method
        on method.oid = index_class.relam
    where index.indisvalid
        and index.indnkeyatts = 1
        and index.indpred is null
        and not index.indisunique
        and method.amname in ('btree', 'hash')
        and not index_class.relispartition  -- follows the index of its parent
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    described.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'null_share', stats.null_frac,
        'rows', table_class.reltuples::bigint
    ) as evidence,
    format(
        E'create index %son %s where %I is not null;\ndrop index %s%I.%I;',
        case when described.relkind = 'i' then 'concurrently ' end,
        regexp_replace(described.target, '^ONLY ', ''),
        attribute.attname,
        case when described.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        described.relname
    ) as fix,
    replace(pg_get_indexdef(described.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from described
join pg_class as table_class
    on table_class.oid = described.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
join pg_attribute as attribute
    on attribute.attrelid = described.indrelid
    and attribute.attnum = described.attnum
join pg_stats as stats
    on stats.schemaname = namespace.nspname
    and stats.tablename = table_class.relname
    and stats.attname = attribute.attname
    and stats.inherited = (table_class.relkind = 'p')
where stats.null_frac > 0.5
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
