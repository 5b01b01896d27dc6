-- rule: H05
-- title: A direction that changes nothing
-- weight: note
-- finding: {object} is descending in {keys}, all of its keys, and serves what an
--     ascending index serves.
-- advice: Leave it, or leave the direction out when it is built next: a B-tree is read
--     backwards as fast as forwards. A direction matters where an order mixes ascending
--     and descending columns, and where it moves the nulls to the other end.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'keys', (
            select jsonb_agg(pg_get_indexdef(index.indexrelid, place, false) order by place)
            from generate_series(1, index.indnkeyatts) as place
        ),
        'definition', pg_get_indexdef(index.indexrelid)
    ) as evidence,
    null as fix,
    null as undo
from pg_index as index
join pg_class as index_class
    on index_class.oid = index.indexrelid
join pg_class as table_class
    on table_class.oid = index.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where index.indisvalid
    and not index_class.relispartition  -- follows the index of its parent
    and 3 = all (index.indoption::int2[])  -- descending, nulls first: the mirror image
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
