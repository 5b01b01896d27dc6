-- rule: H20
-- title: A time in front of other keys
-- weight: low
-- finding: {object} has the time {column} before {later}; after a range of times the keys
--     behind it no longer narrow the search.
-- advice: Put what is compared by = first and the time last, if that is how it is asked.
--     Adding a third index does not mend this one. Right as it stands only where each
--     query compares the time by =.
select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    index_class.relname as object_name,
    jsonb_build_object(
        'column', attribute.attname,
        'place', key.place,
        'later', (
            select jsonb_agg(pg_get_indexdef(index.indexrelid, later, false) order by later)
            from generate_series(key.place + 1, index.indnkeyatts) as later
        )
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
cross join lateral (
    select
        min(place) as place
    from generate_series(1, index.indnkeyatts) as place
    join pg_attribute
        on attrelid = index.indrelid
        and attnum = index.indkey[place - 1]
    where atttypid in ('timestamp'::regtype, 'timestamptz'::regtype, 'date'::regtype)
) as key
join pg_attribute as attribute
    on attribute.attrelid = index.indrelid
    and attribute.attnum = index.indkey[key.place - 1]
where index.indisvalid
    and not index.indisunique  -- there the order of columns may be what it has to be
    and method.amname = 'btree'
    and key.place < index.indnkeyatts
    -- more times behind it, such as (starts_at, ends_at), are what a sort asks for
    and exists (
        select
        from generate_series(key.place + 1, index.indnkeyatts) as later
        left join pg_attribute
            on attrelid = index.indrelid
            and attnum = index.indkey[later - 1]
        where coalesce(atttypid, 0) not in (
                'timestamp'::regtype, 'timestamptz'::regtype, 'date'::regtype
            )
            -- an id at the end breaks ties in keyset pagination
            and not exists (
                select
                from pg_index as identity
                where identity.indrelid = index.indrelid
                    and identity.indisunique
                    and identity.indkey::text = attnum::text
            )
    )
    and not index_class.relispartition  -- follows the index of its parent
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
