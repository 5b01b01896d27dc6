-- scene: addresses whose columns depend on each other, and orders that hang on them
-- do
set random_page_cost = 1.1;
create table addresses (
    id int primary key, city text not null, zip text not null, region text not null, country text not null, street text not null
);
insert into addresses
select n, 'City ' || n % 300, 'Z' || n % 300, 'Region ' || n % 30, case when n % 300 < 280 then 'A' else 'B' end, 'Street ' || n % 5000
from generate_series(1, 150000) as numbers (n);
create table deliveries (
    id int primary key, address_id int not null, day date not null, weight int not null, state text not null, late boolean not null
);
insert into deliveries
select n, 1 + (hashint4(n) & 2147483647) % 150000, date '2024-01-01' + n % 365, n % 3000,
    case when n % 50 = 0 then 'returned' else 'done' end, n % 50 = 0
from generate_series(1, 500000) as numbers (n);
create table couriers (id int primary key, name text not null, zone int not null);
insert into couriers select n, 'Courier ' || n, n % 100 from generate_series(1, 2000) as numbers (n);
create index addresses_city_idx on addresses (city);
create index addresses_zip_idx on addresses (zip);
create index deliveries_address_idx on deliveries (address_id);
create index deliveries_day_idx on deliveries (day);
vacuum (analyze) addresses; vacuum (analyze) deliveries; vacuum (analyze) couriers;

-- plan: city_and_zip | 18 | analyze buffers
select count(*) from addresses where city = 'City 7' and zip = 'Z7' and region = 'Region 7';
-- plan: city_and_zip_joined | 14 | analyze buffers | max_parallel_workers_per_gather=0
select addresses.street, sum(deliveries.weight)
from addresses join deliveries on deliveries.address_id = addresses.id
where city = 'City 7' and zip = 'Z7' and region = 'Region 7' and country = 'A'
group by addresses.street;
-- plan: late_returns | 17 | analyze buffers | max_parallel_workers_per_gather=0
select count(*), sum(weight) from deliveries where state = 'returned' and late and id % 10 = 0;
-- plan: weekday_guess | 16 | analyze buffers | max_parallel_workers_per_gather=0
select addresses.city, count(*)
from deliveries join addresses on addresses.id = deliveries.address_id
where extract(dow from deliveries.day) <> 9 and deliveries.weight % 3 < 5 and deliveries.weight % 7 < 9 and length(deliveries.state) > 1
group by addresses.city;
-- plan: function_rows_unknown | 18 13 | analyze buffers text
select count(*) from unnest((select array_agg(n) from generate_series(1, 30000) as numbers (n))) as wanted (id)
join deliveries on deliveries.id = wanted.id;
-- plan: street_of_city | 14 | analyze buffers text
select id, street from addresses where city = 'City 7' and street = 'Street 307';
-- plan: deliveries_of_day | 15 | analyze buffers
select addresses.city, sum(weight) from deliveries join addresses on addresses.id = deliveries.address_id
where day = '2024-05-05' group by addresses.city;
-- plan: heavy_of_day | 18 17 | analyze buffers
select id, weight from deliveries where day = '2024-05-05' and weight > 2990;
-- plan: couriers_of_zone_pairs | 18 15 | analyze buffers | max_parallel_workers_per_gather=0
select count(*) from couriers as one join couriers as other on one.zone + 1 < other.zone - 95 or one.name = other.name || '!';
-- plan: couriers_of_zone_pairs_equal | 18 15 | analyze buffers
select count(*) from couriers as one join couriers as other on one.zone = other.zone and one.id < other.id;
-- plan: last_delivery_of_each | 16 | analyze buffers | max_parallel_workers_per_gather=0, enable_sort=on
select id, street, (select max(day) from deliveries where deliveries.address_id = addresses.id) as last
from addresses where city in ('City 1', 'City 2', 'City 3');
-- plan: all_addresses_last_delivery | 18 15 | analyze buffers | max_parallel_workers_per_gather=0
select region, max(last) from (
    select region, (select max(day) from deliveries where deliveries.address_id = addresses.id) as last from addresses offset 0
) as each group by region;
-- plan: all_addresses_last_delivery_joined | 15 | analyze buffers | max_parallel_workers_per_gather=0, work_mem='64MB'
select region, max(day) from addresses left join deliveries on deliveries.address_id = addresses.id group by region;
-- do
create statistics addresses_depend (dependencies, mcv) on city, zip, region, country from addresses;
alter statistics addresses_depend set statistics 1000;
analyze addresses;
create index deliveries_day_weight_idx on deliveries (day, weight);
create index addresses_city_street_idx on addresses (city, street);
vacuum (analyze) deliveries;
-- plan: city_and_zip_with_statistics | 18 15 | analyze buffers
select count(*) from addresses where city = 'City 7' and zip = 'Z7' and region = 'Region 7';
-- plan: city_and_zip_joined_with_statistics | 14 | analyze buffers text | max_parallel_workers_per_gather=0
select addresses.street, sum(deliveries.weight)
from addresses join deliveries on deliveries.address_id = addresses.id
where city = 'City 7' and zip = 'Z7' and region = 'Region 7' and country = 'A'
group by addresses.street;
-- plan: street_of_city_composite | 14 | analyze buffers
select id, street from addresses where city = 'City 7' and street = 'Street 307';
-- plan: heavy_of_day_composite | 17 | analyze buffers text
select id, weight from deliveries where day = '2024-05-05' and weight > 2990;
-- do
insert into deliveries select n, 1 + n % 150000, '2025-06-01', 10, 'done', false from generate_series(500001, 540000) as numbers (n);
-- plan: new_day_unknown | 18 | analyze buffers | max_parallel_workers_per_gather=0
select addresses.city, count(*) from deliveries join addresses on addresses.id = deliveries.address_id
where day >= '2025-01-01' group by addresses.city;
-- do
vacuum (analyze) deliveries;
-- plan: new_day_analyzed | 15 | analyze buffers text | max_parallel_workers_per_gather=0, work_mem='16MB'
select addresses.city, count(*) from deliveries join addresses on addresses.id = deliveries.address_id
where day >= '2025-01-01' group by addresses.city;
-- plan: three_faults | 18 | analyze buffers | work_mem='256kB', max_parallel_workers_per_gather=0
select addresses.street, deliveries.day, deliveries.weight
from deliveries join addresses on addresses.id = deliveries.address_id
where deliveries.state || '' = 'returned' and addresses.region = 'Region 7' and addresses.city = 'City 7' and addresses.zip = 'Z7'
order by deliveries.weight offset 0;
-- do
drop index deliveries_day_idx; drop index deliveries_day_weight_idx;
create index deliveries_weight_day_idx on deliveries (weight, day);
vacuum (analyze) deliveries;
-- plan: day_behind_weight | 18 | analyze buffers | enable_seqscan=off, enable_bitmapscan=off, max_parallel_workers_per_gather=0
select id from deliveries where day = '2024-05-05' and state = 'returned';
-- plan: day_behind_weight_first_row | 18 | analyze buffers text | enable_seqscan=off, enable_bitmapscan=off, max_parallel_workers_per_gather=0
select id from deliveries where day = '2024-05-06';
