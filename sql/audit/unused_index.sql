-- rule: H13
-- title: An index that nobody used
-- weight: medium
-- reads: counters
-- finding: {object} was not scanned once since the counters of this server began
--     ({counted_since}), while {table} was read {reads:time}.
-- advice: Make sure that the counters saw a whole period of the business, and that no
--     replica uses the index: each counts for itself. Then drop it. An index that keeps
--     rows unique is never listed here, although it may never be scanned either.
with described as (
    select
        index.indexrelid,
        index.indrelid,
        index_class.relname,
        index_class.relkind,
        -- a partitioned index is scanned through its partitions
        coalesce(
            (
                select sum(pg_stat_get_numscans(relid))
                from pg_partition_tree(index.indexrelid)
            ),
            pg_stat_get_numscans(index.indexrelid)
        ) as scans,
        coalesce(
            (
                select sum(seq_scan + coalesce(idx_scan, 0))
                from pg_stat_user_tables
                join pg_partition_tree(index.indrelid) as tree
                    on tree.relid = pg_stat_user_tables.relid
            ),
            (
                select seq_scan + coalesce(idx_scan, 0)
                from pg_stat_user_tables
                where relid = index.indrelid
            )
        ) as reads
    from pg_index as index
    join pg_class as index_class
        on index_class.oid = index.indexrelid
    where index.indisvalid
        and not index.indisunique
        and not index.indisexclusion
        and not index.indisclustered  -- CLUSTER follows it without a scan
        and not index_class.relispartition  -- follows the index of its parent
)

select
    namespace.nspname as schema_name,
    table_class.relname as table_name,
    'index' as object_type,
    described.relname as object_name,
    jsonb_build_object(
        'reads', described.reads,
        'counted_since', (
            select to_char(stats_reset, 'YYYY-MM-DD HH24:MI')
            from pg_stat_database
            where datname = current_database()
        ),
        'is_replica', pg_is_in_recovery()
    ) as evidence,
    format(
        'drop index %s%I.%I;',
        case when described.relkind = 'i' then 'concurrently ' end,
        namespace.nspname,
        described.relname
    ) as fix,
    replace(pg_get_indexdef(described.indexrelid), ' ON ONLY ', ' ON ') || ';' as undo
from described
join pg_class as table_class
    on table_class.oid = described.indrelid
join pg_namespace as namespace
    on namespace.oid = table_class.relnamespace
where described.scans = 0
    -- a table that is hardly read says nothing of its indexes; building them reads it, too
    and described.reads >= 100
    and namespace.nspname !~ '^(pg_|information_schema$)'
order by schema_name, table_name, object_name;
