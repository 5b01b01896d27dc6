-- rule: H26
-- title: A BRIN index on values in no order
-- weight: medium
-- reads: statistics
-- finding: {object} notes the least and the greatest {column} of each range of pages, but
--     the values lie in no order there (correlation {correlation}): every range holds
--     nearly all values.
-- advice: Take a B-tree, or order the table. Smaller ranges make the index larger and
--     leave the values where they are.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'correlation', round(stats.correlation::numeric, 3)
    ) as evidence,
    format(
        E'create index %1$son %2$I.%3$I (%4$I);\ndrop index %1$s%2$I.%5$I;',
        case when index_class.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        table_class.relname,
        attribute.attname,
        index_class.relname
    ) as fix,
    replace(pg_get_indexdef(index.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_am as method
    on method.oid = index_class.relam
join pg_opclass as opclass
    on opclass.oid = index.indclass[0]
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
join pg_attribute as attribute
    on attribute.attrelid = index.indrelid
    and attribute.attnum = index.indkey[0]
join pg_stats as stats
    on stats.schemaname = namespace.nspname
    and stats.tablename = table_class.relname
    and stats.attname = attribute.attname
    and stats.inherited = (table_class.relkind = 'p')
where index.indisvalid
    and method.amname = 'brin'
    and index.indnatts = 1
    and opclass.opcname ~ '_minmax_ops$'  -- bloom and minmax_multi bear disorder
    and abs(stats.correlation) < 0.5
    and not index_class.relispartition  -- follows the index of its parent
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
