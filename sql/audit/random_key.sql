-- rule: H36
-- title: A large index of random ids
-- weight: note
-- finding: {object} has ids drawn at random ({default}): each insert goes to another page
--     of its {pages:page}.
-- advice: Ids that grow with time keep new entries together, on a page that is in memory
--     and is written once. From PostgreSQL 18 on uuidv7() draws such ones; ids that exist
--     stay as they are.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'default', pg_get_expr(given.adbin, given.adrelid),
        'pages', pg_relation_size(index.indexrelid) / current_setting('block_size')::bigint
    ) as evidence,
    case
        when current_setting('server_version_num')::int >= 180000 then format(
            'alter table %I.%I alter column %I set default uuidv7();',
            namespace.nspname,
            table_class.relname,
            attribute.attname
        )
    end as fix,
    case
        when current_setting('server_version_num')::int >= 180000 then format(
            'alter table %I.%I alter column %I set default %s;',
            namespace.nspname,
            table_class.relname,
            attribute.attname,
            pg_get_expr(given.adbin, given.adrelid)
        )
    end as undo
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
    and attribute.atttypid = 'uuid'::regtype
join pg_attrdef as given
    on given.adrelid = attribute.attrelid
    and given.adnum = attribute.attnum
where index.indisvalid
    and index.indisunique
    and pg_get_expr(given.adbin, given.adrelid)
    ~ '\m(gen_random_uuid|uuid_generate_v4|uuidv4)\(\)$'
    and pg_relation_size(index.indexrelid) >= 1024 * 1024
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
