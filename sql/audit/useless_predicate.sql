-- rule: H09
-- title: A predicate that leaves nothing out
-- weight: low
-- finding: {object} holds every row of {table}: its predicate asks for {column} is not
--     null, and the column is declared not null.
-- advice: Build it without the predicate. As it is, a query has to compare that column
--     before the planner may use the index for anything else; from PostgreSQL 17 on not
--     even the words is not null help, because the planner drops what is always true.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indisunique,
        index_class.relname,
        index_class.relkind,
        pg_get_expr(index.indpred, index.indrelid) as predicate,
        substr(
            pg_get_indexdef(index.indexrelid),
            length(
                format(
                    'CREATE %sINDEX %I ON ',
                    case when index.indisunique then 'UNIQUE ' end,
                    index_class.relname
                )
            ) + 1
        ) as target
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    where index.indisvalid
        and index.indpred is not null
        and not index_class.relispartition  -- follows the index of its parent
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    described.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'predicate', described.predicate
    ) as evidence,
    format(
        E'create %sindex %son %s;\ndrop index %s%I.%I;',
        case when described.indisunique then 'unique ' end,
        case when described.relkind = 'i' then 'concurrently ' end,
        regexp_replace(
            replace(described.target, format(' WHERE %s', described.predicate), ''),
            '^ONLY ',
            ''
        ),
        case when described.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        described.relname
    ) as fix,
    replace(pg_get_indexdef(described.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from described
join pg_attribute as attribute
    on attribute.attrelid = described.indrelid
    and attribute.attnotnull
    and described.predicate = format('(%I IS NOT NULL)', attribute.attname)
join pg_class as table_class
    on table_class.oid = described.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where not exists (  -- from PostgreSQL 18 on it may be declared and not yet true
        select
        from pg_constraint
        where conrelid = described.indrelid
            and contype = 'n'
            and conkey = array[attribute.attnum]
            and not convalidated
    )
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
