-- How often an index's blocks were found in shared buffers, since the counters were reset.
-- The hit rate is hits / (hits + misses) of block requests, and null where nobody asked.
-- The upper levels of a B-tree are asked for at every descent and always hit, so a large
-- index that is too big for the buffers still shows a rate that looks good: one below
-- about 95 % is worth a look at its size and at who scans it.
select
    schemaname as schema_name,
    relname as table_name,
    indexrelname as index_name,
    idx_blks_hit as blocks_hit,
    idx_blks_read as blocks_missed,
    round(
        100.0 * idx_blks_hit / nullif(idx_blks_hit + idx_blks_read, 0), 2
    ) as hit_rate_percent
from pg_statio_user_indexes
order by blocks_missed desc, blocks_hit desc, index_name;
