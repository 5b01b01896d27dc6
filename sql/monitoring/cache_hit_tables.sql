-- How often a table's blocks were found in shared buffers, since the counters were reset.
-- The hit rate is hits / (hits + misses) of block requests, and null where nobody asked.
-- A miss was perhaps still in the operating system's cache: it is no proof of a disk.
-- A rate of 99 % says little by itself, because a scan of a hot table that reads far too
-- much raises it; look for tables with many misses, they come first.
select
    schemaname as schema_name,
    relname as table_name,
    heap_blks_hit as blocks_hit,
    heap_blks_read as blocks_missed,
    round(
        100.0 * heap_blks_hit / nullif(heap_blks_hit + heap_blks_read, 0), 2
    ) as hit_rate_percent,
    coalesce(toast_blks_hit, 0) as toast_blocks_hit,
    coalesce(toast_blks_read, 0) as toast_blocks_missed
from pg_statio_user_tables
order by blocks_missed desc, blocks_hit desc, table_name;
