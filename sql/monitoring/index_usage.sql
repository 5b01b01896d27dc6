-- How often the server read each index since its counters were reset.
-- The view calls the names relname and indexrelname; tablename and indexname belong
-- to pg_indexes. An index that enforces a constraint works without ever being scanned.
select
    schemaname as schema_name,
    relname as table_name,
    indexrelname as index_name,
    idx_scan as scans,
    idx_tup_read as entries_read,
    idx_tup_fetch as rows_fetched
from pg_stat_user_indexes
where schemaname = 'public'
order by scans desc, index_name;
