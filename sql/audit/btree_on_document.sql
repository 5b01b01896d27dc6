-- rule: H24
-- title: A B-tree on a document
-- weight: medium
-- reads: statistics
-- finding: {object} sorts {table} by {column}, of type {type} and {mean_bytes} wide on
--     average: it finds only what is equal as a whole.
-- advice: For what stands inside a document or an array, take GIN with the operators that
--     ask for it (@>, ?, @@). For long text that is compared by =, index a hash of it. An
--     entry of a B-tree may have 2,704 bytes; a longer value cannot be inserted at all.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'type', format_type(attribute.atttypid, attribute.atttypmod),
        'mean_bytes', coalesce(stats.avg_width, 0)
    ) as evidence,
    case
        when index.indnatts = 1 and (is_array or type.typname in ('jsonb', 'tsvector'))
            then format(
                E'create index %1$son %2$I.%3$I using gin (%4$I);\n'
                'drop index %1$s%2$I.%5$I;',
                case when index_class.relkind = 'i' then 'concurrently ' end,
                namespace.nspname,
                table_class.relname,
                attribute.attname,
                index_class.relname
            )
    end as fix,
    case
        when index.indnatts = 1 and (is_array or type.typname in ('jsonb', 'tsvector'))
            then replace(pg_get_indexdef(index.indexrelid), ' ON ONLY ', ' ON ') || ';'
    end as undo
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_am as method
    on method.oid = index_class.relam
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
join pg_attribute as attribute
    on attribute.attrelid = index.indrelid
    and attribute.attnum = index.indkey[0]
join pg_type as type
    on type.oid = attribute.atttypid
cross join lateral (select type.typcategory = 'A') as kind (is_array)
left join pg_stats as stats
    on stats.schemaname = namespace.nspname
    and stats.tablename = table_class.relname
    and stats.attname = attribute.attname
    and stats.inherited = (table_class.relkind = 'p')
where index.indisvalid
    and not index.indisunique  -- it asks for equality as a whole
    and method.amname = 'btree'
    and (is_array or type.typname in ('jsonb', 'tsvector') or stats.avg_width > 500)
    and not index_class.relispartition  -- follows the index of its parent
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
