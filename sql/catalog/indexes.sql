-- Every index of the schema: what it covers, what enforces it, what it weighs.
-- A column counts when it stands in a key, also inside an expression.
select
    index_class.relname as name,
    table_class.relname as table_name,
    pg_get_indexdef(index.indexrelid) as definition,
    array(
        select attname::text
        from pg_attribute
        where attrelid = index.indrelid
            and attnum > 0
            and (
                -- a key, not an included column
                attnum = any((index.indkey::int2[])[0:index.indnkeyatts - 1])
                or (  -- inside an expression, which pg_depend alone does not tell
                    attname = any(
                        regexp_split_to_array(
                            pg_get_expr(index.indexprs, index.indrelid), '\W+'
                        )
                    )
                    and attnum in (
                        select refobjsubid
                        from pg_depend
                        where classid = 'pg_class'::regclass
                            and objid = index.indexrelid
                            and refobjid = index.indrelid
                    )
                )
            )
        order by attname
    ) as columns,
    index.indisunique as is_unique,
    exists (
        select
        from pg_constraint
        where conindid = index.indexrelid
            and contype in ('p', 'u', 'x')  -- primary key, unique, exclusion
    ) as is_constraint,
    index.indpred is not null as is_partial,
    pg_relation_size(index.indexrelid) as size_bytes
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_class as table_class
    on table_class.oid = index.indrelid
where table_class.relnamespace = 'public'::regnamespace
order by table_name, name;
