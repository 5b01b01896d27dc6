-- Which sessions have had a transaction open, the oldest first.
-- While one is open VACUUM removes no row that it could still see, in any table of the
-- database: bloat begins here. `state` "idle in transaction" with a large `open_s` is an
-- application that forgot to commit; "active" is a statement that takes long.
-- Without the role pg_read_all_stats the state and texts of other accounts are hidden.
select
    pid as session_id,
    usename as account,
    application_name as application,
    state,
    round(extract(epoch from clock_timestamp() - xact_start)::numeric, 1) as open_s,
    round(extract(epoch from clock_timestamp() - query_start)::numeric, 1) as statement_s,
    wait_event_type || ': ' || wait_event as waits_for,
    age(backend_xmin) as holds_back_transactions,
    left(regexp_replace(query, '\s+', ' ', 'g'), 200) as query
from pg_stat_activity
where datname = current_database()
    and xact_start is not null
    and pid <> pg_backend_pid()  -- this very statement
order by open_s desc, session_id;
