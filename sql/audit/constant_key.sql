-- rule: H08
-- title: A key that the predicate fixes
-- weight: medium
-- finding: {constant_keys} is the same in every entry of {object}: its predicate is
--     {predicate}, and {entries_share} of the rows of {table} pass it.
-- advice: Keep the predicate and index what those queries compare, join or sort by: a key
--     that never differs finds and orders nothing. As it is, the index is a list of the
--     rows that pass, which is worth something only where they are few.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index.indkey,
        index.indnkeyatts,
        index.indnatts,
        index_class.relname,
        index_class.relkind,
        pg_get_expr(index.indpred, index.indrelid) as predicate,
        -- with all strings blank, so that what stands in them is not read as SQL
        regexp_replace(
            pg_get_expr(index.indpred, index.indrelid),
            '''(?:[^'']|'''')*''',
            '''''',
            'g'
        ) as blanked
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    where index.indisvalid
        and index.indpred is not null
        and not index.indisunique  -- one row at most is what a constant key can ask for
        and not index_class.relispartition  -- follows the index of its parent
),

terms as (
    select
        described.indexrelid,
        term.text
    from described
    cross join lateral regexp_split_to_table(described.blanked, ' AND ') as term (text)
    -- a term below one of these is not true of every entry
    where described.blanked !~ '\m(OR|CASE)\M|NOT \(\('
),

constants as (
    select
        described.indexrelid,
        array_agg(attribute.attname::text order by attribute.attnum) as keys
    from described
    join pg_attribute as attribute
        on attribute.attrelid = described.indrelid
        and attribute.attnum = any(
            (described.indkey::int2[])[0:described.indnkeyatts - 1]
        )
    cross join lateral (
        select regexp_replace(
            quote_ident(attribute.attname), '(\W)', '\\\1', 'g'
        )
    ) as escaped (name)
    where exists (
        select
        from terms
        where terms.indexrelid = described.indexrelid
            -- c, not c, c is null, or c = one constant, with casts
            and terms.text ~ format(
                '^\(*(NOT )?\(*%s\)*$'
                '|^\(*%s\)* IS NULL\)*$'
                '|^\(*%s\)*(::[\w "]+(\(\d+\))?\)*)? = '
                '\(*(''''|[-.\d]+|true|false)\)*(::[\w "]+(\(\d+\))?)?\)*$',
                escaped.name,
                escaped.name,
                escaped.name
            )
    )
    group by described.indexrelid
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    described.relname as object_name,
    jsonb_build_object(
        'constant_keys', to_jsonb(constants.keys),
        'keys', described.indnkeyatts,
        'predicate', described.predicate,
        'entries_share', shares.entries
    ) as evidence,
    case
        -- another key may be of use, and so may a list of few rows
        when cardinality(constants.keys) = described.indnatts
            and coalesce(shares.entries, 1) >= 0.05 then format(
            'drop index %s%I.%I;',
            case when described.relkind = 'i' then 'concurrently ' end,
            namespace.nspname,
            described.relname
        )
    end as fix,
    case
        when cardinality(constants.keys) = described.indnatts
            and coalesce(shares.entries, 1) >= 0.05
            then replace(pg_get_indexdef(described.indexrelid), ' ON ONLY ', ' ON ') || ';'
    end as undo
from described
join constants
    on constants.indexrelid = described.indexrelid
join pg_class as index_class
    on index_class.oid = described.indexrelid
join pg_class as table_class
    on table_class.oid = described.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
cross join lateral (
    select least(1, index_class.reltuples / nullif(greatest(0, table_class.reltuples), 0))
) as shares (entries)
where namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
