-- How much of each table is more than its rows need, estimated from the catalog.
-- Dead rows and free space together: VACUUM makes dead rows reusable and the table stays
-- as long as it is. A table that is updated or deleted from holds some, and refills it;
-- worry about large `unused_bytes` that grow from day to day.
-- An estimate, because it reads no table: rows times their mean width, as the last
-- ANALYZE saw it, against the pages on disk. bloat_exact_tables.sql counts.
-- Columns that this account may not read, and tables never analysed, have no statistics:
-- then the need is not known and the last three columns are null.
with tables as (
    select
        class.oid,
        namespace.nspname as schema_name,
        class.relname as table_name,
        pg_relation_size(class.oid) as table_bytes,
        coalesce(
            (
                select option_value::int
                from pg_options_to_table(class.reloptions)
                where option_name = 'fillfactor'
            ),
            100
        ) / 100.0 as fill_share,
        case
            -- the server has counted since the last VACUUM or ANALYZE
            when coalesce(
                usage.last_vacuum, usage.last_autovacuum,
                usage.last_analyze, usage.last_autoanalyze
            ) is not null then usage.n_live_tup
            -- its counters began later than that, as those of a copied database do
            else greatest(0, class.reltuples + usage.n_tup_ins - usage.n_tup_del)
        end as rows
    from pg_class as class
    join pg_namespace as namespace
        on namespace.oid = class.relnamespace
    join pg_stat_user_tables as usage
        on usage.relid = class.oid
    where class.relkind in ('r', 'm')  -- what has a heap
),

columns as (
    select
        tables.oid,
        attribute.attisdropped as is_dropped,
        stats.avg_width as width,
        stats.null_frac as null_share,
        case
            when attribute.attlen = -1 and stats.avg_width < 127
                then 0  -- a short text stands anywhere
            when lag(attribute.attlen) over in_order > 0
                and lag(alignment.bytes) over in_order >= alignment.bytes
                then 0  -- what stands before is aligned as well
            else (alignment.bytes - 1) / 2.0  -- half of the most that it can cost
        end as padding
    from tables
    join pg_attribute as attribute
        on attribute.attrelid = tables.oid
        and attribute.attnum > 0
    left join pg_stats as stats
        on stats.schemaname = tables.schema_name
        and stats.tablename = tables.table_name
        and stats.attname = attribute.attname
        and not stats.inherited
    cross join lateral (
        select case attribute.attalign
            when 'd' then 8
            when 'i' then 4
            when 's' then 2
            else 1
        end
    ) as alignment (bytes)
    window in_order as (partition by tables.oid order by attribute.attnum)
),

widths as (
    select
        oid,
        23 + case when max(null_share) > 0 then ceil(count(*) / 8.0) else 0 end
            as header_bytes,
        sum((1 - null_share) * (width + padding)) as data_bytes
    from columns
    group by oid
    having bool_and(width is not null or is_dropped)
),

needs as (
    select
        widths.oid,
        -- both parts end on a multiple of 8; the data does so half a step later, on average
        4 + ceil(widths.header_bytes / 8) * 8 + widths.data_bytes + 3.5 as row_bytes,
        current_setting('block_size')::int - 24 as page_bytes
    from widths
)

select
    tables.schema_name,
    tables.table_name,
    tables.rows::bigint as rows,
    tables.table_bytes,
    needed.bytes::bigint as needed_bytes,
    unused.bytes::bigint as unused_bytes,
    round((100 * unused.bytes / nullif(tables.table_bytes, 0))::numeric, 1)
        as unused_percent
from tables
left join needs
    on needs.oid = tables.oid
cross join lateral (
    select
        current_setting('block_size')::int * ceil(
            -- the end of a page that no further row fits in: half a row
            tables.rows * needs.row_bytes
            / (needs.page_bytes * tables.fill_share - needs.row_bytes / 2)
        )
) as needed (bytes)
cross join lateral (
    -- not greatest(), for which an unknown need is none
    select case
        when needed.bytes > tables.table_bytes then 0
        else tables.table_bytes - needed.bytes
    end
) as unused (bytes)
order by unused_bytes desc nulls last, table_bytes desc, table_name;
