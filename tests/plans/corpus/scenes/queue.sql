-- scene: a queue of jobs, taken from its head, and tenants of very different sizes
-- do
set random_page_cost = 1.1;
create table jobs (
    id bigint primary key, tenant_id int not null, queue text not null, state text not null,
    priority int not null, payload text not null, run_at timestamptz not null
);
insert into jobs
select n, case when n % 10 < 6 then 1 else 2 + (hashint4(n::int) & 2147483647) % 800 end,
    (array['mail', 'push', 'bill', 'scan'])[1 + n % 4],
    case when n <= 297000 then 'done' else 'ready' end, n % 5, repeat('p', 60), timestamptz '2024-01-01' + n * interval '10 seconds'
from generate_series(1, 300000) as numbers (n);
create index jobs_queue_run_idx on jobs (queue, run_at);
create index jobs_run_idx on jobs (run_at);
create index jobs_state_idx on jobs (state);
create table tenants (id int primary key, name text not null, plan text not null);
insert into tenants select n, 'Tenant ' || n, case when n = 1 then 'large' else 'small' end from generate_series(1, 802) as numbers (n);
vacuum (analyze) jobs; vacuum (analyze) tenants;

-- plan: jobs_of_minute | 18 | analyze buffers
select id, payload from jobs where run_at = '2024-01-20 10:00';
-- plan: ready_by_priority | 18 15 | analyze buffers
select id, payload from jobs where state = 'ready' and tenant_id = 77 order by priority desc, run_at limit 10;
-- plan: tenant_jobs | 16 | analyze buffers | max_parallel_workers_per_gather=0
select count(*) from jobs where tenant_id = 77;
-- plan: tenants_with_few_jobs | 15 | analyze buffers
select tenants.name, count(*) from tenants join jobs on jobs.tenant_id = tenants.id
where tenants.plan = 'small' and jobs.state = 'ready' group by tenants.name order by 2 desc limit 5;
-- plan: oldest_ready | 13 | analyze buffers
select id from jobs where state = 'ready' order by run_at limit 1;
-- plan: paged_by_queue | 17 | analyze buffers
select id from jobs where queue = 'mail' order by run_at offset 40000 limit 20;
-- plan: take_next | 18 15 | analyze buffers rollback
update jobs set state = 'done' where id = (select id from jobs where queue = 'mail' and run_at >= '2024-02-01' order by run_at limit 1 for update skip locked);
-- do
create index jobs_tenant_run_idx on jobs (tenant_id, run_at);
create index jobs_ready_idx on jobs (tenant_id, priority desc, run_at) where state = 'ready';
drop index jobs_run_idx; drop index jobs_queue_run_idx;
vacuum (analyze) jobs;
-- plan: ready_by_priority_partial | 15 | analyze buffers text
select id, payload from jobs where state = 'ready' and tenant_id = 77 order by priority desc, run_at limit 10;
-- plan: tenant_jobs_indexed | 18 16 | analyze buffers | max_parallel_workers_per_gather=0
select count(*) from jobs where tenant_id = 77;
-- plan: lead_missing | 17 15 14 | analyze buffers | enable_seqscan=off, enable_bitmapscan=off, max_parallel_workers_per_gather=0
select id from jobs where run_at = '2024-01-20 10:00';
-- plan: skipped_through_many | 18 | analyze buffers | enable_seqscan=off, enable_bitmapscan=off, max_parallel_workers_per_gather=0
select id from jobs where run_at = '2024-01-20 10:00';
-- do
create index jobs_priority_id_idx on jobs (priority, run_at);
vacuum (analyze) jobs;
-- plan: skipped_through_few | 18 | analyze buffers
select id, payload from jobs where run_at = '2024-01-20 10:00';
-- do
create index jobs_run_again_idx on jobs (run_at);
vacuum (analyze) jobs;
delete from jobs where id <= 280000;
-- plan: head_of_dead_rows | 18 15 | analyze buffers | enable_seqscan=off
select id, payload from jobs order by run_at limit 1;
-- plan: dead_rows_counted | 16 | analyze buffers | enable_seqscan=off, enable_bitmapscan=off
select id, payload from jobs where run_at < '2024-02-02 12:00';
-- do
vacuum (analyze) jobs;
-- plan: head_after_vacuum | 15 | analyze buffers
select id, payload from jobs order by run_at limit 1;
-- do
create table visits (id int primary key, page_id int not null, at timestamptz not null);
insert into visits select n, (hashint4(n) & 2147483647) % 60000, timestamptz '2024-01-01' + n * interval '1 second' from generate_series(1, 120000) as numbers (n);
create table pages (id int primary key, title text not null, filler text not null);
insert into pages select n, 'Page ' || n, repeat('f', 300) from generate_series(0, 60000) as numbers (n);
analyze visits; vacuum (analyze) pages;
alter table visits alter page_id set (n_distinct = 40);
analyze visits;
-- plan: cache_without_hits | 18 15 | analyze buffers | enable_hashjoin=off, enable_mergejoin=off, max_parallel_workers_per_gather=0
select count(pages.title) from visits join pages on pages.id = visits.page_id where visits.id < 20000;
-- do
alter table visits alter page_id reset (n_distinct);
update visits set page_id = page_id % 50;
vacuum (analyze) visits;
-- plan: cache_with_hits | 18 15 | analyze buffers text | enable_hashjoin=off, enable_mergejoin=off, max_parallel_workers_per_gather=0
select count(pages.title) from visits join pages on pages.id = visits.page_id where visits.id < 20000;
