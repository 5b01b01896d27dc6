-- rule: H31
-- title: A pattern operator class that is not needed
-- weight: low
-- finding: {object} has {column} with {operator_class}, and the column is sorted by code
--     points ({collation}) as it is.
-- advice: Take the default operator class. In this collation it serves LIKE 'abc%' and
--     sorts as well; an index of the pattern class does not serve < and order by.
with default_collation as (
    select
        case to_jsonb(database) ->> 'datlocprovider'
            when 'b' then 'C'  -- the built-in ones all sort by code point
            when 'i' then 'icu'
            else database.datcollate
        end as name
    from pg_database as database
    where database.datname = current_database()
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'operator_class', opclass.opcname,
        'collation', sorted.name
    ) as evidence,
    format(
        E'create index %1$son %2$s;\ndrop index %1$s%3$I.%4$I;',
        case when index_class.relkind = 'i' then 'concurrently ' end,
        replace(
            regexp_replace(
                substr(
                    pg_get_indexdef(index.indexrelid),
                    length(format('CREATE INDEX %I ON ', index_class.relname)) + 1
                ),
                '^ONLY ',
                ''
            ),
            format(' %s', opclass.opcname),
            ''
        ),
        namespace.nspname,
        index_class.relname
    ) as fix,
    replace(pg_get_indexdef(index.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_opclass as opclass
    on opclass.oid = index.indclass[0]
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
join pg_attribute as attribute
    on attribute.attrelid = index.indrelid
    and attribute.attnum = index.indkey[0]
join pg_collation as collation_
    on collation_.oid = index.indcollation[0]
cross join default_collation
cross join lateral (
    select
        case
            when collation_.collname = 'default' then default_collation.name
            when collation_.collprovider = 'b' then 'C'
            when collation_.collprovider = 'c' then collation_.collcollate
            else collation_.collname
        end
) as sorted (name)
where index.indisvalid
    and index.indnatts = 1
    and not index.indisunique
    and opclass.opcname in (
        'text_pattern_ops', 'varchar_pattern_ops', 'bpchar_pattern_ops'
    )
    and sorted.name in ('C', 'POSIX')
    and not index_class.relispartition  -- follows the index of its parent
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
