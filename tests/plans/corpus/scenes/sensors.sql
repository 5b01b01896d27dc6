-- scene: a long table of measurements in time order, wide logs, and a catalogue of twelve small tables
-- do
create table measurements (sensor int not null, at timestamptz not null, value double precision not null, flag text not null);
insert into measurements
select (hashint4(n) & 2147483647) % 2000, timestamptz '2024-01-01' + n * interval '5 seconds', n % 977, case when n % 100000 = 0 then 'fault' else 'ok' end
from generate_series(1, 1500000) as numbers (n);
create index measurements_at_brin on measurements using brin (at) with (pages_per_range = 32);
create table logs (id int primary key, level int not null, body text not null);
alter table logs alter body set storage plain;
insert into logs select n, n % 6, repeat(md5(n::text), 120) from generate_series(1, 40000) as numbers (n);
create table images (id int primary key, kind int not null, bytes text not null);
alter table images alter bytes set storage plain;
insert into images select n, n % 6, repeat(md5(n::text), 240) from generate_series(1, 42000) as numbers (n);
vacuum (analyze) images; vacuum (analyze) measurements; vacuum (analyze) logs;
do $$ begin
    for number in 1..13 loop
        execute format('create table part_%s (id int primary key, next_id int, name text)', number);
        execute format('insert into part_%s select n, 1 + n %% 50, %L || n from generate_series(1, 50) as numbers (n)', number, 'part ');
        execute format('create index on part_%s (next_id)', number);
        execute format('analyze part_%s', number);
    end loop;
end $$;
create table samples (id int primary key, run int not null, sample int not null, value numeric not null);
insert into samples select n, n % 25, n % 6, n from generate_series(1, 100000) as numbers (n);
create index samples_run_idx on samples (run);
vacuum (analyze) samples;

-- plan: an_hour_by_brin | 18 15 | analyze buffers
select avg(value) from measurements where at >= '2024-02-10 10:00' and at < '2024-02-10 14:00';
-- plan: faults_of_year | 14 | analyze buffers
select sensor, at, value from measurements where flag = 'fault';
-- plan: sensors_by_hour | 17 | analyze buffers text | work_mem='4MB', max_parallel_workers_per_gather=0
select sensor, date_trunc('hour', at) as hour, avg(value) from measurements where at < '2024-02-20' group by sensor, hour;
-- plan: sensors_by_hour_with_memory | 17 | analyze buffers | work_mem='512MB', max_parallel_workers_per_gather=0
select sensor, date_trunc('hour', at) as hour, avg(value) from measurements where at < '2024-02-20' group by sensor, hour;
-- plan: daily_average | 13 | analyze buffers | work_mem='64MB'
select date_trunc('day', at) as day, avg(value), max(value) from measurements group by day;
-- plan: count_of_all | 13 | analyze buffers text
select count(*) from measurements;
-- plan: images_from_disk | 18 17 15 | analyze buffers | track_io_timing=on, max_parallel_workers_per_gather=0
select count(*) from images where kind < 5;
-- plan: images_from_disk_by_workers | 16 | analyze buffers | track_io_timing=on
select kind, count(*), max(length(bytes)) from images group by kind;
-- plan: logs_read | 17 | analyze buffers | track_io_timing=on, max_parallel_workers_per_gather=0
select count(*) from logs where level < 5;
-- plan: one_log | 15 | analyze buffers | track_io_timing=on
select body from logs where id = 4711;
-- plan: thirteen_tables | 18 15 13 | analyze buffers | join_collapse_limit=14, geqo=off
select part_1.name, part_13.name
from part_1
join part_2 on part_2.id = part_1.next_id join part_3 on part_3.id = part_2.next_id
join part_4 on part_4.id = part_3.next_id join part_5 on part_5.id = part_4.next_id
join part_6 on part_6.id = part_5.next_id join part_7 on part_7.id = part_6.next_id
join part_8 on part_8.id = part_7.next_id join part_9 on part_9.id = part_8.next_id
join part_10 on part_10.id = part_9.next_id join part_11 on part_11.id = part_10.next_id
join part_12 on part_12.id = part_11.next_id join part_13 on part_13.id = part_12.next_id
where part_1.id = 7;
-- plan: three_tables | 18 | analyze buffers
select part_1.name, part_3.name from part_1
join part_2 on part_2.id = part_1.next_id join part_3 on part_3.id = part_2.next_id where part_1.id = 7;
-- plan: samples_in_groups | 18 15 13 | analyze buffers | enable_seqscan=off, enable_bitmapscan=off, work_mem='256kB'
select run, sample, value from samples order by run, sample, value;
-- plan: running_total | 18 14 | analyze buffers | work_mem='64kB'
select id, sum(value) over (order by run range between unbounded preceding and unbounded following) from samples;
-- plan: walk_of_numbers | 18 15 | analyze buffers | work_mem='64kB'
with recursive walk (id, depth) as (
    select 1, 0 union all select id + 1, depth + 1 from walk where id < 60000
) select max(depth) from walk;
-- plan: planned_only | 18 15 | buffers
select avg(value) from samples where run = 3;
-- plan: planned_only_text | 13 | text
select count(*) from logs join samples on samples.id = logs.id where logs.level = 2;
-- plan: values_beside_each_other | 15 | analyze buffers
select one.id, other.id from samples as one join samples as other on other.id = one.id + 1 where one.run = 3 and other.value > 90000;
-- do
create index samples_run_sample_idx on samples (run, sample, value);
create index measurements_fault_idx on measurements (at) where flag <> 'ok';
vacuum (analyze) samples; vacuum (analyze) measurements;
-- plan: samples_in_order | 13 | analyze buffers
select run, sample, value from samples order by run, sample, value limit 5000;
-- plan: faults_of_year_partial | 14 | analyze buffers
select sensor, at, value from measurements where flag <> 'ok' and flag = 'fault';
