-- rule: H16
-- title: Leaves that are half empty
-- weight: low
-- needs: pgstattuple
-- finding: The leaf pages of {object} are {density_share} full.
-- advice: Rebuild it once the entries are gone that filled it, and vacuum the table more
--     often. An index built afresh fills nine tenths; one whose new keys fall anywhere
--     between the old ones settles near two thirds, and that is no fault.
with btrees as materialized (  -- others would make pgstatindex fail
    select
        index.indexrelid,
        index.indrelid,
        index_class.relname
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_am as method
        on method.oid = index_class.relam
    where index.indisvalid
        and method.amname = 'btree'
        -- all of it is read, which a small one is not worth
        and pg_relation_size(index.indexrelid) >= 1024 * 1024
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    btrees.relname as object_name,
    jsonb_build_object(
        'density_share', leaves.avg_leaf_density / 100,
        'leaf_pages', leaves.leaf_pages,
        'deleted_pages', leaves.deleted_pages
    ) as evidence,
    format('reindex index concurrently %I.%I;', namespace.nspname, btrees.relname) as fix,
    null as undo
from btrees
join pg_class as table_class
    on table_class.oid = btrees.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
cross join lateral pgstatindex(btrees.indexrelid::regclass) as leaves
where leaves.avg_leaf_density < 50
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
