-- rule: H34
-- title: Equal keys that are stored one by one
-- weight: low
-- finding: {object} has deduplicate_items off, and is not unique: each row has an entry
--     with the whole key.
-- advice: Turn it on and rebuild the index. Rows with equal keys then share one entry,
--     which makes an index of many equal keys about a third of the size.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object('options', to_jsonb(index_class.reloptions)) as evidence,
    format(
        E'alter index %1$I.%2$I reset (deduplicate_items);\n'
        'reindex index concurrently %1$I.%2$I;',
        namespace.nspname,
        index_class.relname
    ) as fix,
    format(
        'alter index %I.%I set (deduplicate_items = off);',
        namespace.nspname,
        index_class.relname
    ) as undo
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_am as method
    on method.oid = index_class.relam
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where index.indisvalid
    and not index.indisunique
    and method.amname = 'btree'
    and index_class.relkind = 'i'
    and exists (
        select
        from pg_options_to_table(index_class.reloptions)
        where option_name = 'deduplicate_items'
            and option_value in ('off', 'false', 'no', '0')
    )
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
