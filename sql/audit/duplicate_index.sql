-- rule: H01
-- title: Two indexes that are the same
-- weight: high
-- finding: {object} has the same keys, order and predicate as {other}.
-- advice: Drop one of the two. No plan changes, and every write of the table maintains
--     one index less. The one that CLUSTER follows stays.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indisclustered,
        index_class.relname,
        index_class.relkind,
        -- all behind the name but storage parameters, which no plan depends on
        regexp_replace(
            substr(
                pg_get_indexdef(index.indexrelid),
                length(format('CREATE INDEX %I ON ', index_class.relname)) + 1
            ),
            ' WITH \([^)]*\)',
            ''
        ) as target
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    where index.indisvalid
        and not index.indisunique
        and not index.indisexclusion
        and not index_class.relispartition  -- follows the index of its parent
),

ranked as (
    select
        indexrelid,
        indrelid,
        relname,
        relkind,
        target,
        first_value(relname) over same_target as other,
        row_number() over same_target as place
    from described
    window same_target as (
        partition by indrelid, target
        order by indisclustered desc, indexrelid
    )
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    ranked.relname as object_name,
    jsonb_build_object('other', ranked.other, 'target', ranked.target) as evidence,
    format(
        'drop index %s%I.%I;',
        case when ranked.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        ranked.relname
    ) as fix,
    replace(pg_get_indexdef(ranked.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from ranked
join pg_class as table_class
    on table_class.oid = ranked.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where ranked.place > 1
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
