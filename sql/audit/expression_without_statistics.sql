-- rule: H33
-- title: An expression whose values nobody counted
-- weight: medium
-- reads: statistics
-- finding: {object} holds {expressions}, and there are no statistics of it: the planner
--     takes a fixed guess for how many rows it finds.
-- advice: ANALYZE the table: the statistics of an expression are gathered with those of
--     its table, and not when the index is built.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'expressions', pg_get_expr(index.indexprs, index.indrelid),
        'rows', greatest(0, table_class.reltuples)::bigint
    ) as evidence,
    format('analyze %I.%I;', namespace.nspname, table_class.relname) as fix,
    null as undo
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where index.indisvalid
    and index.indexprs is not null
    and index_class.relkind = 'i'
    and pg_relation_size(index.indrelid) > 0  -- an empty table has nothing to count
    and has_table_privilege(index.indrelid, 'select')
    and pg_has_role(index_class.relowner, 'usage')  -- others do not see its statistics
    and not exists (
        select
        from pg_stats as stats
        where stats.schemaname = namespace.nspname
            and stats.tablename = index_class.relname
    )
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
