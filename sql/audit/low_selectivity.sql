-- rule: H10
-- title: A key of few values
-- weight: medium
-- reads: statistics
-- finding: {table}.{column} has {distinct_values:value}: a search in {object} for the most
--     frequent one finds {top_share} of the rows.
-- advice: Where queries ask for a rare value, index those rows alone, with the value in
--     the predicate. Where they ask for a frequent one with an order or a second
--     condition, put both in one index. Compare the plans without this index before it
--     goes.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'distinct_values', round(
            case
                -- a negative one is a share of the rows
                when stats.n_distinct < 0 then -stats.n_distinct * table_class.reltuples
                else stats.n_distinct
            end
        ),
        'top_share', stats.most_common_freqs[1],
        'rows', table_class.reltuples::bigint
    ) as evidence,
    null as fix,
    null as undo
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
join pg_stats as stats
    on stats.schemaname = namespace.nspname
    and stats.tablename = table_class.relname
    and stats.attname = attribute.attname
    and stats.inherited = (table_class.relkind = 'p')
where index.indisvalid
    and index.indnkeyatts = 1
    and index.indpred is null  -- statistics are those of the whole table
    and method.amname in ('btree', 'hash')
    and not index_class.relispartition  -- follows the index of its parent
    and attribute.atttypid <> 'boolean'::regtype  -- a rule of its own
    and table_class.reltuples >= 100  -- in fewer rows every value is frequent
    and case
        when stats.n_distinct < 0 then -stats.n_distinct * table_class.reltuples
        else stats.n_distinct
    end <= 10
    and stats.most_common_freqs[1] > 0.2
    and not exists (  -- deletes from the referenced table look for every value
        select
        from pg_constraint
        where conrelid = index.indrelid
            and contype = 'f'
            and index.indkey[0] = any(conkey)
    )
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
