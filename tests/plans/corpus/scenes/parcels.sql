-- scene: scans of parcels, one partition a month, 720,000 rows
-- do
set random_page_cost = 1.1;
create table scans (
    id bigint not null, parcel text not null, depot int not null, kind text not null,
    scanned_at timestamp not null
) partition by range (scanned_at);
do $$ begin
    for month in 0..11 loop
        execute format('create table scans_%s partition of scans for values from (%L) to (%L)',
            month + 1, date '2024-01-01' + month * interval '1 month', date '2024-01-01' + (month + 1) * interval '1 month');
    end loop;
end $$;
insert into scans
select n, 'P' || (hashint4(n::int) & 2147483647) % 90000, (hashint4(n::int + 1) & 2147483647) % 300,
    (array['in', 'out', 'lost'])[1 + case when n % 5000 = 0 then 2 else n % 2 end],
    timestamp '2024-01-01' + n * interval '43 seconds'
from generate_series(1, 720000) as numbers (n);
create table depots (id int primary key, name text not null, region text not null);
insert into depots select n, 'Depot ' || n, 'R' || n % 12 from generate_series(0, 299) as numbers (n);
vacuum (analyze) scans; vacuum (analyze) depots;

-- plan: day_as_text | 18 15 | analyze buffers
select count(*) from scans where to_char(scanned_at, 'YYYY-MM-DD') = '2024-03-05';
-- plan: day_as_date | 17 13 | analyze buffers text | max_parallel_workers_per_gather=0
select id, parcel from scans where scanned_at::date = '2024-03-05' and depot = 7;
-- plan: month_by_extract | 16 | analyze buffers | max_parallel_workers_per_gather=0
select parcel from scans where extract(month from scanned_at) = 5 and kind = 'lost';
-- plan: one_month | 15 | analyze buffers
select kind, count(*) from scans where scanned_at >= '2024-03-01' and scanned_at < '2024-04-01' group by kind;
-- plan: parcel_anywhere | 14 | analyze buffers
select scanned_at, depot from scans where parcel = 'P4711' order by scanned_at;
-- plan: regions_of_year | 16 | analyze buffers | work_mem='16MB'
select depots.region, date_trunc('month', scanned_at) as month, count(*)
from scans join depots on depots.id = scans.depot group by 1, 2 order by 1, 2;
-- plan: lost_parcels | 15 | analyze buffers text
select parcel, scanned_at from scans where kind = 'lost' and scanned_at >= '2024-11-01' order by scanned_at desc;
-- do
create index scans_parcel_idx on scans (parcel, scanned_at);
create index scans_day_idx on scans (scanned_at, depot);
vacuum (analyze) scans;
-- plan: day_as_range | 15 | analyze buffers
select count(*) from scans where scanned_at >= '2024-03-05' and scanned_at < '2024-03-06';
-- plan: parcel_anywhere_indexed | 14 | analyze buffers text
select scanned_at, depot from scans where parcel = 'P4711' order by scanned_at;
-- plan: last_scans | 13 | analyze buffers
select parcel, depot, scanned_at from scans order by scanned_at desc limit 30;
-- plan: depots_of_parcels | 16 | analyze buffers
select depots.name, count(*) from depots join scans on scans.depot = depots.id
where scans.parcel = any (array['P1', 'P2', 'P300', 'P4000']) group by depots.name;
-- plan: pruned_at_run_time | 15 | analyze buffers text
select count(*) from scans where scanned_at = (select max(scanned_at) from scans);
-- plan: depot_day | 18 15 | analyze buffers
select id, parcel from scans where scanned_at >= '2024-02-01' and scanned_at < '2024-02-25' and depot = 17;
-- plan: export_of_year | 14 | analyze buffers | work_mem='2MB', max_parallel_workers_per_gather=0
select parcel, count(distinct depot) from scans group by parcel;
