-- rule: H06
-- title: A partial index beside a whole one
-- weight: low
-- finding: {object} holds {entries_share} of the entries of {other}, which begins with the
--     same keys and has no predicate.
-- advice: Drop one of the two. The partial one pays only where it is much smaller; if its
--     predicate stands in every query, the whole one is the one to drop.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indisunique,
        index_class.relname,
        index_class.relkind,
        index_class.reltuples,
        index.indnkeyatts,
        pg_get_expr(index.indpred, index.indrelid) as predicate,
        array(
            select format(
                '%s %s %s',
                pg_get_indexdef(index.indexrelid, place, false),
                index.indclass[place - 1],
                index.indcollation[place - 1]
            )
            from generate_series(1, index.indnkeyatts) as place
            order by place
        ) as keys,
        array(
            select pg_get_indexdef(index.indexrelid, place, false)
            from generate_series(1, index.indnatts) as place
            order by place
        ) as columns,
        -- 1 is descending, 2 is nulls first; both turned round is the same read backwards
        array(
            select index.indoption[place - 1]
            from generate_series(1, index.indnkeyatts) as place
            order by place
        ) as directions,
        array(
            select (index.indoption[place - 1] # 3)::int2
            from generate_series(1, index.indnkeyatts) as place
            order by place
        ) as reversed
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_am as method
        on method.oid = index_class.relam
    where index.indisvalid
        and method.amname = 'btree'
        and not index_class.relispartition  -- follows the index of its parent
)

select distinct on (namespace.nspname, table_class.relname, partial.relname)
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    partial.relname as object_name,
    jsonb_build_object(
        'keys', to_jsonb(partial.columns[:partial.indnkeyatts]),
        'predicate', partial.predicate,
        'other', whole.relname,
        'entries_share', partial.reltuples / whole.reltuples,
        'other_bytes', pg_relation_size(whole.indexrelid)
    ) as evidence,
    format(
        'drop index %s%I.%I;',
        case when partial.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        partial.relname
    ) as fix,
    replace(pg_get_indexdef(partial.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from described as partial
join described as whole
    on whole.indrelid = partial.indrelid
    and whole.keys[:partial.indnkeyatts] = partial.keys
    and whole.directions[:partial.indnkeyatts] in (partial.directions, partial.reversed)
    and whole.columns @> partial.columns
join pg_class as table_class
    on table_class.oid = partial.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where whole.predicate is null
    and whole.reltuples > 0
    and partial.predicate is not null
    and not partial.indisunique  -- it forbids what the whole one allows
    and partial.reltuples >= whole.reltuples * case
        -- leaves out nothing that a search by the key could find
        when partial.predicate = format('(%s IS NOT NULL)', partial.columns[1]) then 0.1
        else 0.5
    end
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by
    namespace.nspname,
    table_class.relname,
    partial.relname,
    whole.indisunique desc,  -- that one stays in any case
    pg_relation_size(whole.indexrelid),
    whole.indexrelid;
