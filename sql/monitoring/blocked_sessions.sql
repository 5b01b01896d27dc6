-- Which sessions wait for a lock, and whose it is.
-- `blocked_by` are the sessions that hold the lock or stand before it in the queue; end
-- the first of them, not the one that waits. It may itself wait: follow it down the list.
-- `blocker_state` "idle in transaction" is a lock that nobody is working under.
select
    waiting.pid as session_id,
    waiting.usename as account,
    round(extract(epoch from clock_timestamp() - waiting.query_start)::numeric, 1)
        as statement_s,
    pg_blocking_pids(waiting.pid) as blocked_by,
    blocker.state as blocker_state,
    (
        select string_agg(
            distinct lock.mode || coalesce(' on ' || lock.relation::regclass::text, ''),
            ', '
        )
        from pg_locks as lock
        where lock.pid = waiting.pid
            and not lock.granted
    ) as wants,
    left(regexp_replace(waiting.query, '\s+', ' ', 'g'), 200) as query,
    left(regexp_replace(blocker.query, '\s+', ' ', 'g'), 200) as blocker_query
from pg_stat_activity as waiting
left join pg_stat_activity as blocker
    on blocker.pid = (pg_blocking_pids(waiting.pid))[1]
where waiting.datname = current_database()
    and cardinality(pg_blocking_pids(waiting.pid)) > 0
order by statement_s desc, session_id;
