-- rule: H15
-- title: An index that is not valid
-- weight: high
-- finding: {object} is left over from a build that failed, and no query uses it. Do
--     writes maintain it all the same? {is_ready}.
-- advice: Build it anew, or drop it. A name that ends in _ccnew or _ccold belongs to a
--     rebuild that was cut short; there the index of the plain name is still in use.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'is_valid', index.indisvalid,
        'is_ready', index.indisready,
        'is_live', index.indislive,
        'definition', pg_get_indexdef(index.indexrelid)
    ) as evidence,
    case
        -- of a partitioned one, the index of some partition is missing
        when index_class.relkind = 'I' then null
        when index_class.relname ~ '_cc(new|old)\d*$' or not index.indislive
            then format(
                'drop index concurrently %I.%I;', namespace.nspname, index_class.relname
            )
        else format(
            'reindex index concurrently %I.%I;', namespace.nspname, index_class.relname
        )
    end as fix,
    null as undo
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where not (index.indisvalid and index.indisready and index.indislive)
    and not exists (  -- one that is being built right now
        select
        from pg_stat_progress_create_index as progress
        where progress.index_relid = index.indexrelid
    )
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
