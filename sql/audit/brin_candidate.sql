-- rule: H26
-- title: A B-tree where BRIN would be a thousandth of it
-- weight: note
-- reads: statistics
-- finding: The rows of {table} lie in the order of {column} (correlation {correlation}),
--     so that a BRIN index could find its ranges in a thousandth of the room of {object}.
-- advice: Try it where queries read ranges of it, and look at every plan before the
--     B-tree goes: BRIN finds no single row quickly, sorts nothing, and may keep the
--     planner from combining two other indexes.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'correlation', round(stats.correlation::numeric, 3),
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
    and index.indnatts = 1
    and index.indpred is null
    and not index.indisunique
    and method.amname = 'btree'
    -- below 128 pages, one range, there is nothing to leave out
    and table_class.relpages >= 10 * 128
    and attribute.atttypid in (
        'timestamp'::regtype,
        'timestamptz'::regtype,
        'date'::regtype,
        'bigint'::regtype,
        'integer'::regtype
    )
    and abs(stats.correlation) > 0.95
    -- a value in many rows is looked for by =, as that of a foreign key
    and (stats.n_distinct < -0.1 or stats.n_distinct > 1000)
    and not exists (
        select
        from pg_index as brin
        join pg_class as brin_class
            on brin_class.oid = brin.indexrelid
        join pg_am as brin_method
            on brin_method.oid = brin_class.relam
        where brin.indrelid = index.indrelid
            and brin.indkey[0] = index.indkey[0]
            and brin_method.amname = 'brin'
    )
    and not index_class.relispartition  -- follows the index of its parent
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
