-- The indexes that nobody scanned since the counters were reset, largest first.
-- `enforces` says why a row must stay although it is never scanned. A name pattern does
-- not find that out: it spares primary keys, not unique constraints, and _ in it
-- stands for any character.
select
    usage.schemaname as schema_name,
    usage.relname as table_name,
    usage.indexrelname as index_name,
    pg_relation_size(usage.indexrelid) as size_bytes,
    case
        when index.indisprimary then 'primary key'
        when index.indisunique then 'uniqueness'
        when index.indisexclusion then 'exclusion'
        when index.indisreplident then 'replica identity'
    end as enforces
from pg_stat_user_indexes as usage
join pg_index as index
    on index.indexrelid = usage.indexrelid
where usage.schemaname = 'public'
    and usage.idx_scan = 0
order by size_bytes desc, index_name;
