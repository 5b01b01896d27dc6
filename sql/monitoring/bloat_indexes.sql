-- How much of each B-tree is more than its entries need, estimated from the catalog.
-- What VACUUM removes from an index leaves room on its page, and only a page that is
-- wholly empty is used again elsewhere: an index grows by deletes in one range of its
-- values and inserts in another. `reindex index concurrently` builds it anew.
-- The need is that of a new index. One filled in random order settles at two thirds full,
-- so a third unused is its normal state and no fault; rebuild beyond a half.
-- An estimate from the mean width of the keys and the number of their distinct values, as
-- the last VACUUM and ANALYZE saw them: equal keys share one entry from PostgreSQL 13 on.
-- bloat_exact_indexes.sql counts. Without statistics of a column the need is null.
with indexes as (
    select
        index.indexrelid as oid,
        index.indrelid as table_oid,
        index.indkey::int2[] as keys,
        index.indpred is not null as is_partial,
        namespace.nspname as schema_name,
        table_class.relname as table_name,
        index_class.relname as index_name,
        pg_relation_size(index.indexrelid) as index_bytes,
        greatest(table_class.reltuples, 0) as rows,
        greatest(index_class.reltuples, 0) as entries,
        coalesce(
            (
                select option_value::int
                from pg_options_to_table(index_class.reloptions)
                where option_name = 'fillfactor'
            ),
            90
        ) / 100.0 as fill_share,
        not index.indisunique
        and index.indnatts = index.indnkeyatts  -- no included columns
        and not exists (
            select
            from pg_options_to_table(index_class.reloptions)
            where option_name = 'deduplicate_items'
                and not option_value::bool
        )
        and not exists (  -- types of which equal values may differ in their bytes
            select
            from pg_attribute
            where attrelid = index.indexrelid
                and atttypid = any(
                    '{numeric,float4,float8,jsonb,interval}'::regtype[]::oid[]
                )
        ) as is_deduplicated
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    join pg_class as table_class
        on table_class.oid = index.indrelid
    join pg_namespace as namespace
        on namespace.oid = table_class.relnamespace
    join pg_am as method
        on method.oid = index_class.relam
    where method.amname = 'btree'
        and index_class.relkind = 'i'  -- that of a partitioned table has no pages
        and index.indisvalid
        and namespace.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
),

-- An expression has its statistics under the name of the index.
key_statistics as (
    select
        indexes.oid,
        stats.avg_width as width,
        -- mostly a partial index leaves the nulls out
        case when indexes.is_partial then 0 else stats.null_frac end as null_share,
        case
            when attribute.attlen = -1 and stats.avg_width < 127 then 0
            when attribute.attlen % 8 = 0 then 0
            else 1.5  -- half of what the alignment of four bytes can cost
        end as padding,
        case
            when stats.n_distinct < 0 then -stats.n_distinct * indexes.rows
            else stats.n_distinct
        end as distinct_values
    from indexes
    cross join lateral unnest(indexes.keys) with ordinality as key (number, place)
    cross join lateral (
        select
            case when key.number = 0 then indexes.oid else indexes.table_oid end,
            case when key.number = 0 then key.place else key.number end,
            case when key.number = 0 then indexes.index_name else indexes.table_name end
    ) as owner (oid, number, name)
    left join pg_attribute as attribute
        on attribute.attrelid = owner.oid
        and attribute.attnum = owner.number
    left join pg_stats as stats
        on stats.schemaname = indexes.schema_name
        and stats.tablename = owner.name
        and stats.attname = attribute.attname
        and not stats.inherited
),

entries as (
    select
        oid,
        -- line pointer and header
        4 + 8 + ceil(sum((1 - null_share) * (width + padding)) / 8) * 8 as bytes,
        -- combinations, as if the columns had nothing to do with each other
        exp(sum(ln(greatest(1, distinct_values)))) as distinct_values
    from key_statistics
    group by oid
    having bool_and(width is not null)
),

leaves as (
    select
        indexes.oid,
        ceil(
            case
                when indexes.is_deduplicated and entries.distinct_values < indexes.entries
                    -- one key for each value, and six bytes for each row
                    then entries.distinct_values * entries.bytes + indexes.entries * 6
                else indexes.entries * entries.bytes
            end
            / ((current_setting('block_size')::int - 40) * indexes.fill_share)
        ) as pages
    from indexes
    join entries
        on entries.oid = indexes.oid
)

select
    indexes.schema_name,
    indexes.table_name,
    indexes.index_name,
    indexes.entries::bigint as entries,
    indexes.index_bytes,
    needed.bytes::bigint as needed_bytes,
    unused.bytes::bigint as unused_bytes,
    round((100 * unused.bytes / nullif(indexes.index_bytes, 0))::numeric, 1)
        as unused_percent
from indexes
left join leaves
    on leaves.oid = indexes.oid
cross join lateral (
    select
        current_setting('block_size')::int * (
            1  -- the first page describes the index
            + leaves.pages
            + case when leaves.pages > 1 then ceil(leaves.pages / 150) else 0 end  -- above
        )
) as needed (bytes)
cross join lateral (
    select case
        when needed.bytes > indexes.index_bytes then 0
        else indexes.index_bytes - needed.bytes
    end
) as unused (bytes)
order by unused_bytes desc nulls last, index_bytes desc, index_name;
