-- rule: H25
-- title: A hash index on a short key
-- weight: low
-- finding: {object} is a hash index on {column}, a {type} of {key_bytes}: it finds equal
--     values only, and is no smaller than a B-tree.
-- advice: Take a B-tree, which also sorts, finds ranges, keeps values unique and answers
--     from the index alone. A hash index pays on long text that is compared by = only.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'type', format_type(attribute.atttypid, attribute.atttypmod),
        'key_bytes', type.typlen
    ) as evidence,
    format(
        E'create index %1$son %2$I.%3$I (%4$I)%5$s;\ndrop index %1$s%2$I.%6$I;',
        case when index_class.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        table_class.relname,
        attribute.attname,
        ' where ' || pg_get_expr(index.indpred, index.indrelid),
        index_class.relname
    ) as fix,
    replace(pg_get_indexdef(index.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
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
where index.indisvalid
    and method.amname = 'hash'
    and type.typlen > 0  -- of fixed length: 1 to 16 bytes
    and not index_class.relispartition  -- follows the index of its parent
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
