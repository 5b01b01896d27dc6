-- rule: H29
-- title: An index on a table of a few pages
-- weight: note
-- finding: {table} has {pages:page} with {rows:row}: reading it whole costs no more than
--     a search in {object}.
-- advice: Leave it if the table will grow; the planner ignores it until then. Drop it
--     where the table stays as it is, such as a list of countries.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'pages', sized.pages,
        'rows', greatest(0, table_class.reltuples)::bigint
    ) as evidence,
    format(
        'drop index concurrently %I.%I;', namespace.nspname, index_class.relname
    ) as fix,
    pg_get_indexdef(index.indexrelid) || ';' as undo
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
cross join lateral (
    select pg_relation_size(index.indrelid) / current_setting('block_size')::bigint
) as sized (pages)
where index.indisvalid
    and not index.indisunique
    and not index.indisexclusion
    and index_class.relkind = 'i'
    and not index_class.relispartition  -- follows the index of its parent
    and sized.pages between 1 and 7  -- an empty table has not begun yet
    and not exists (  -- deletes from the referenced table use it whatever the size
        select
        from pg_constraint
        where conrelid = index.indrelid
            and contype = 'f'
            and index.indkey[0] = any(conkey)
    )
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
