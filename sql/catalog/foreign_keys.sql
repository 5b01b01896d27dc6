-- Every foreign key, with an index that can find its referencing rows, if any.
-- Deleting a referenced row looks for rows that refer to it: `where key = $1`.
-- That is served by an index that begins with the key's columns, and by a partial
-- one whose predicate `key is not null` the comparison implies.
select
    constraint_.conname as name,
    table_class.relname as table_name,
    array(
        select attname::text
        from unnest(constraint_.conkey) with ordinality as key (number, position)
        join pg_attribute
            on attrelid = constraint_.conrelid
            and attnum = key.number
        order by key.position
    ) as columns,
    referenced_class.relname as referenced_table,
    constraint_.confdeltype = 'c' as cascades,
    (
        select index_class.relname
        from pg_index as index
        join pg_class as index_class
            on index_class.oid = index.indexrelid
        where index.indrelid = constraint_.conrelid
            and index.indisvalid
            and index.indnkeyatts >= cardinality(constraint_.conkey)
            and constraint_.conkey <@ (index.indkey::int2[])[0:cardinality(constraint_.conkey) - 1]
            and (
                index.indpred is null
                or pg_get_expr(index.indpred, index.indrelid) = format(
                    '(%I IS NOT NULL)',
                    (
                        select attname
                        from pg_attribute
                        where attrelid = constraint_.conrelid
                            and attnum = constraint_.conkey[1]
                    )
                )
            )
        order by index.indnatts, index_class.relname
        limit 1
    ) as supporting_index
from pg_constraint as constraint_
join pg_class as table_class
    on table_class.oid = constraint_.conrelid
join pg_class as referenced_class
    on referenced_class.oid = constraint_.confrelid
where constraint_.contype = 'f'
    and table_class.relnamespace = 'public'::regnamespace
order by table_name, columns;
