-- Which statements the server spent its time on, since pg_stat_statements was reset.
-- The fifty with the largest total: a statement of 2 ms that runs a thousand times a
-- second weighs more than a report of 5 s at midnight. Read `share_percent` first, then
-- whether it is `calls` or `mean_ms` that makes it large. Many blocks for each row say
-- that an index is missing; temporary blocks, that a sort or hash did not fit work_mem.
-- Times are execution alone, without planning and without the way to the client.
-- Error 'relation "pg_stat_statements" does not exist', or 'must be loaded': run
-- extensions.sql, which says what is missing. Without the role pg_read_all_stats the
-- texts of other accounts are hidden.
select
    statements.queryid as query_id,
    role.rolname as account,
    statements.calls,
    round(statements.total_exec_time::numeric, 3) as total_ms,
    round(
        (
            100 * statements.total_exec_time
            / nullif(sum(statements.total_exec_time) over (), 0)
        )::numeric,
        1
    ) as share_percent,
    round(statements.mean_exec_time::numeric, 3) as mean_ms,
    round(statements.max_exec_time::numeric, 1) as slowest_ms,
    statements.rows,
    statements.shared_blks_hit as blocks_hit,
    statements.shared_blks_read as blocks_missed,
    statements.temp_blks_written as temporary_blocks,
    left(regexp_replace(statements.query, '\s+', ' ', 'g'), 200) as query
from pg_stat_statements as statements
left join pg_roles as role
    on role.oid = statements.userid
where statements.dbid = (
    select oid
    from pg_database
    where datname = current_database()
)
order by statements.total_exec_time desc
limit 50;
