-- scene: a shop that grew: 40,000 customers, 400,000 orders, 1,200,000 items
-- do
set random_page_cost = 1.1;
create table customers (
    id bigint primary key,
    email text not null,
    phone text not null,
    name text not null,
    country text not null,
    segment int not null,
    created_at timestamptz not null
);
insert into customers
select
    n,
    'c' || n || '@' || (array['example.org', 'mail.test', 'post.test'])[1 + n % 3],
    '+49' || (1000000 + n * 7919 % 9000000),
    'Customer ' || n,
    case when n % 400 = 0 then 'MT' when n % 3 = 0 then 'DE' else 'FR' end,
    (hashint4(n::int) & 1048575) % 50,
    timestamptz '2022-01-01' + n * interval '20 minutes'
from generate_series(1, 40000) as numbers (n);
create table products (
    id bigint primary key, sku text not null, name text not null,
    category int not null, price numeric(10, 2) not null
);
insert into products
select n, upper(substr(md5(n::text), 1, 10)), 'Product ' || n, n % 40, (n % 500) + 0.99
from generate_series(1, 5000) as numbers (n);
create table orders (
    id bigint primary key,
    customer_id bigint not null,
    status text not null,
    total numeric(12, 2) not null,
    placed_at timestamptz not null,
    shipped_at timestamptz,
    note text not null
);
insert into orders
select
    n,
    1 + (hashint4(n::int) & 2147483647) % 40000,
    case when n < 2000 then 'refunded' when n > 396000 then 'open' else 'shipped' end,
    (hashint4(n::int + 7) & 2147483647) % 100000 / 100.0,
    timestamptz '2023-01-01' + n * interval '2 minutes',
    case when n < 396000 then timestamptz '2023-01-03' + n * interval '2 minutes' end,
    repeat('n', 20 + (n % 60)::int)
from generate_series(1, 400000) as numbers (n);
create table order_items (
    id bigint primary key,
    order_id bigint not null,
    product_id bigint not null,
    quantity int not null,
    price numeric(10, 2) not null
);
insert into order_items
select
    n, 1 + (n - 1) / 3, 1 + (hashint4(n::int + 3) & 2147483647) % 5000, 1 + n % 5, (n % 500) + 0.99
from generate_series(1, 1200000) as numbers (n);
vacuum (analyze) customers; vacuum (analyze) products;
vacuum (analyze) orders; vacuum (analyze) order_items;

-- plan: customer_orders | 14 | analyze buffers
select id, status, total from orders where customer_id = 4711;
-- plan: customer_orders_serial | 17 | analyze buffers text | max_parallel_workers_per_gather=0
select id, status, total, placed_at from orders where customer_id = 4711 order by placed_at desc;
-- plan: order_with_items | 13 | analyze buffers
select orders.id, order_items.product_id, order_items.quantity
from orders join order_items on order_items.order_id = orders.id
where orders.id = 123456;
-- plan: items_of_late_orders | 16 | analyze buffers
select orders.id, sum(order_items.quantity * order_items.price)
from orders join order_items on order_items.order_id = orders.id
where orders.placed_at >= '2024-07-08' group by orders.id;
-- plan: newest_orders | 17 | analyze buffers
select id, customer_id, total from orders order by placed_at desc limit 50;
-- plan: newest_orders_parallel | 15 | analyze buffers text
select id, customer_id, total from orders order by placed_at desc limit 20;
-- plan: mail_in_any_case | 18 16 | analyze buffers
select id, name from customers where lower(email) = 'c777@mail.test';
-- plan: orders_of_a_day_truncated | 17 15 | analyze buffers
select count(*), sum(total) from orders where date_trunc('day', placed_at) = '2023-06-01';
-- plan: order_by_numeric_id | 14 | analyze buffers
select id, status from orders where id = 4711.0;
-- plan: sku_ends_with | 18 | analyze buffers
select id, sku from products where sku like '%AB7';
-- plan: customer_by_mail_or_phone | 18 13 | analyze buffers text
select id, name from customers where email = 'c7@mail.test' or phone = '+491055433';
-- plan: count_items | 15 | analyze buffers
select count(*) from order_items;
-- plan: orders_per_maltese_customer | 16 | analyze buffers | max_parallel_workers_per_gather=0
select name, (
    select count(*) from products where products.category = customers.segment
) as offered
from customers where country = 'MT';
-- plan: last_orders_lateral | 18 15 | analyze buffers
select customers.name, latest.total
from customers
cross join lateral (
    select total from orders where orders.customer_id = customers.id
    order by placed_at desc limit 3
) as latest
where customers.id between 100 and 115;
-- plan: merge_with_sorts | 18 14 | analyze buffers settings | enable_hashjoin=off, enable_nestloop=off, max_parallel_workers_per_gather=0, work_mem='256MB'
select customers.country, sum(orders.total) from orders join customers on customers.id = orders.customer_id group by customers.country;
-- plan: latest_per_customer | 18 15 | analyze buffers | max_parallel_workers_per_gather=0, work_mem='4MB'
select distinct on (customer_id) customer_id, id, placed_at from orders order by customer_id, placed_at desc;
-- plan: report_by_country | 13 | analyze buffers text
select country, count(*), sum(total)
from orders join customers on customers.id = orders.customer_id
group by country;
-- plan: report_by_status | 17 14 | analyze buffers text
select status, count(*), avg(total) from orders group by status;
-- plan: product_page | 16 | analyze buffers
select id, name, price from products where id = 42;
-- plan: revenue_by_category | 18 15 | analyze buffers | work_mem='64MB'
select products.category, sum(order_items.quantity * order_items.price)
from order_items join products on products.id = order_items.product_id
group by products.category order by 2 desc;
-- plan: above_average_orders | 15 | analyze buffers
select count(*) from orders where total > (select avg(total) from orders);
-- plan: export_sorted | 14 | analyze buffers text | work_mem='4MB', max_parallel_workers_per_gather=0
select id, customer_id, total, note from orders order by total;
-- plan: export_sorted_in_memory | 18 14 | analyze buffers | work_mem='256MB', max_parallel_workers_per_gather=0
select id, customer_id, total, note from orders order by total;
-- plan: export_sorted_by_workers | 15 | analyze buffers | work_mem='4MB'
select id, customer_id, total from orders order by total;
-- plan: baskets_joined | 18 13 | analyze buffers | work_mem='4MB', max_parallel_workers_per_gather=0
select count(*), sum(orders.total)
from order_items join orders on orders.id = order_items.order_id
where orders.note <> '' and order_items.quantity > 1;
-- plan: baskets_joined_in_memory | 18 13 | analyze buffers | work_mem='256MB', max_parallel_workers_per_gather=0
select count(*), sum(orders.total)
from order_items join orders on orders.id = order_items.order_id
where orders.note <> '' and order_items.quantity > 1;
-- plan: baskets_joined_by_workers | 16 | analyze buffers settings | work_mem='2MB'
select count(*), sum(orders.total)
from order_items join orders on orders.id = order_items.order_id;
-- plan: spent_per_order | 15 18 | analyze buffers | work_mem='1MB', max_parallel_workers_per_gather=0, enable_sort=off
select order_id, sum(price) from order_items group by order_id;
-- plan: spent_per_order_in_memory | 18 | analyze buffers text | work_mem='256MB', max_parallel_workers_per_gather=0
select order_id, sum(price) from order_items group by order_id;
-- plan: bands_without_equality | 18 14 | analyze buffers | max_parallel_workers_per_gather=0
select bands.number, count(*)
from generate_series(0, 40) as bands (number)
join customers on customers.created_at >= timestamptz '2022-01-01' + bands.number * interval '2 days'
    and customers.created_at < timestamptz '2022-01-01' + (bands.number + 1) * interval '2 days'
group by bands.number;
-- plan: bands_by_number | 18 | analyze buffers
select floor(extract(epoch from created_at - timestamptz '2022-01-01') / 172800) as band, count(*)
from customers group by band;
-- plan: customers_with_orders | 18 15 | analyze buffers verbose text | work_mem='64MB'
select distinct customers.id, customers.name
from customers join orders on orders.customer_id = customers.id
where customers.country = 'DE';
-- plan: customers_with_orders_exists | 18 15 | analyze buffers verbose | work_mem='64MB'
select customers.id, customers.name from customers
where customers.country = 'DE'
    and exists (select from orders where orders.customer_id = customers.id);
-- plan: materialized_items | 17 15 | analyze buffers | work_mem='4MB', max_parallel_workers_per_gather=0
with items as materialized (select * from order_items)
select count(*) filter (where price < 10), max(quantity) from items;
-- plan: materialized_items_inlined | 17 | analyze buffers text | work_mem='4MB', max_parallel_workers_per_gather=0
with items as not materialized (select * from order_items where price < 10)
select count(*), max(quantity) from items;
-- plan: rank_in_order | 18 | analyze buffers | work_mem='4MB', max_parallel_workers_per_gather=0
select order_id, product_id, rank() over (partition by order_id order by price desc)
from order_items where order_id <= 100000;
-- plan: forbidden_scan | 18 15 | analyze buffers settings | enable_seqscan=off
select count(*) from customers where name like 'Customer 1%';
-- plan: forbidden_scan_allowed | 18 15 | analyze buffers settings text
select count(*) from customers where name like 'Customer 1%';
-- plan: waiting_for_workers | 18 16 15 | analyze buffers settings | max_parallel_workers=0, max_parallel_workers_per_gather=2
select sum(quantity * price) from order_items;
-- plan: workers_for_little | 17 15 | analyze buffers settings | parallel_setup_cost=0, parallel_tuple_cost=0, min_parallel_table_scan_size=0
select count(*) from products where category < 30;
-- plan: compiled_report | 15 | analyze buffers | jit_above_cost=10, jit_inline_above_cost=10, jit_optimize_above_cost=10
select segment, country, count(*), min(created_at), max(length(email)) from customers group by segment, country;
-- plan: compiled_report_plain | 15 | analyze buffers | jit=off
select segment, country, count(*), min(created_at), max(length(email)) from customers group by segment, country;
-- plan: compiled_large | 15 | analyze buffers text
select product_id, count(*), sum(price * quantity) from order_items
where price between 1 and 480 group by product_id having count(*) > 10;

-- do
create index orders_customer_id_idx on orders (customer_id);
create index order_items_order_id_idx on order_items (order_id);
create index orders_placed_at_idx on orders (placed_at);
create index customers_lower_idx on customers (lower(email));
create index customers_email_idx on customers (email);
create index customers_phone_idx on customers (phone);
create index products_category_idx on products (category);
vacuum (analyze) orders; vacuum (analyze) customers; vacuum (analyze) products; vacuum (analyze) order_items;

-- plan: customer_orders_indexed | 18 14 | analyze buffers
select id, status, total from orders where customer_id = 4711;
-- plan: order_with_items_indexed | 13 | analyze buffers
select orders.id, order_items.product_id, order_items.quantity
from orders join order_items on order_items.order_id = orders.id
where orders.id = 123456;
-- plan: items_of_late_orders_indexed | 16 | analyze buffers
select orders.id, sum(order_items.quantity * order_items.price)
from orders join order_items on order_items.order_id = orders.id
where orders.placed_at >= '2024-07-08' group by orders.id;
-- plan: newest_orders_indexed | 17 | analyze buffers
select id, customer_id, total from orders order by placed_at desc limit 50;
-- plan: mail_in_any_case_indexed | 16 | analyze buffers
select id, name from customers where lower(email) = 'c777@mail.test';
-- plan: orders_of_a_day_range | 17 | analyze buffers text
select count(*), sum(total) from orders where placed_at >= '2023-06-01' and placed_at < '2023-06-02';
-- plan: order_by_id | 14 | analyze buffers
select id, status from orders where id = 4711;
-- plan: customer_by_mail_or_phone_indexed | 18 13 | analyze buffers
select id, name from customers where email = 'c7@mail.test' or phone = '+491055433';
-- plan: orders_per_maltese_customer_joined | 18 16 | analyze buffers
select name, coalesce(offered, 0)
from customers left join (
    select category, count(*) as offered from products group by category
) as counted on counted.category = customers.segment
where country = 'MT';
-- plan: last_orders_lateral_indexed | 15 | analyze buffers
select customers.name, latest.total
from customers
cross join lateral (
    select total from orders where orders.customer_id = customers.id
    order by placed_at desc limit 3
) as latest
where customers.id between 100 and 115;
-- plan: deep_page | 18 13 | analyze buffers text
select id, total from orders order by placed_at desc limit 20 offset 150000;
-- plan: deep_page_text | 16 | analyze buffers text
select id, total from orders order by placed_at limit 50 offset 50000;
-- plan: next_page | 13 | analyze buffers
select id, total from orders where placed_at < '2023-12-15' order by placed_at desc limit 20;
-- plan: refunds_first | 15 | analyze buffers text
select id, total from orders where status = 'refunded' order by placed_at desc limit 10;
-- plan: open_first | 18 | analyze buffers
select id, total from orders where status = 'open' order by placed_at desc limit 10;
-- plan: large_orders_of_customer | 18 17 | analyze buffers
select id, total from orders where customer_id in (1, 5, 9) and total > 900;
-- plan: day_and_customers | 15 | analyze buffers text
select id from orders
where placed_at >= '2023-06-01' and placed_at < '2023-06-15' and customer_id between 100 and 600;
-- plan: day_and_customers_bitmaps | 18 | analyze buffers text | enable_indexscan=off
select id from orders
where placed_at >= '2023-06-01' and placed_at < '2023-08-15' and customer_id between 100 and 1400;
-- plan: merge_presorted | 18 14 | analyze buffers | enable_hashjoin=off, enable_nestloop=off, max_parallel_workers_per_gather=0
select count(*), sum(orders.total) from orders join order_items on order_items.order_id = orders.id where orders.id < 20000;
-- plan: loop_by_force | 17 15 | analyze buffers settings | enable_hashjoin=off, enable_mergejoin=off, max_parallel_workers_per_gather=0, enable_memoize=off
select count(*), sum(products.price) from order_items join products on products.id = order_items.product_id where order_items.order_id < 40000;
-- plan: loop_by_force_13 | 13 | analyze buffers settings | enable_hashjoin=off, enable_mergejoin=off, max_parallel_workers_per_gather=0
select count(*), sum(products.price) from order_items join products on products.id = order_items.product_id where order_items.order_id < 40000;
-- plan: joined_by_choice | 17 | analyze buffers
select count(*), sum(products.price) from order_items join products on products.id = order_items.product_id where order_items.order_id < 40000;
-- plan: customer_of_order_item | 18 16 | analyze buffers text
select customers.email, orders.total, products.name
from order_items
join orders on orders.id = order_items.order_id
join customers on customers.id = orders.customer_id
join products on products.id = order_items.product_id
where order_items.id in (5, 77, 1200, 90000);
-- plan: presorted_by_customer | 18 | analyze buffers | enable_seqscan=off, max_parallel_workers_per_gather=0
select customer_id, total from orders order by customer_id, total limit 300;
-- plan: long_list | 18 | analyze buffers
select id, price from order_items where id = any ((select array_agg(n * 750) from generate_series(1, 1600) as numbers (n))::bigint[]);
-- plan: long_list_summed | 18 | analyze buffers
select sum(quantity) from order_items where id = any (array(select generate_series(1, 1150000, 900)::bigint));
-- plan: long_list_joined | 18 | analyze buffers
select order_items.id, price from unnest((select array_agg(n * 750) from generate_series(1, 1600) as numbers (n))::bigint[]) as wanted (id) join order_items using (id);
-- plan: shipped_since_verbose | 18 17 | analyze buffers verbose | enable_bitmapscan=off
select customer_id, total from orders where customer_id between 500 and 900;
-- do
create index orders_customer_total_idx on orders (customer_id) include (total);
create index orders_latest_idx on orders (customer_id, placed_at desc) include (id);
create index orders_status_idx on orders (status, placed_at);
create index orders_day_customer_idx on orders (placed_at, customer_id);
vacuum (analyze) orders;
-- plan: shipped_since_verbose_covered | 18 17 | analyze buffers verbose
select customer_id, total from orders where customer_id between 500 and 900;
-- plan: refunds_first_composite | 18 15 | analyze buffers
select id, total from orders where status = 'refunded' order by placed_at desc limit 10;
-- plan: latest_per_customer_indexed | 15 | analyze buffers | max_parallel_workers_per_gather=0
select distinct on (customer_id) customer_id, id, placed_at from orders order by customer_id, placed_at desc;
-- plan: statuses_counted | 15 | analyze buffers
select count(*) from orders where status = 'open';
-- do
drop index orders_latest_idx; drop index orders_customer_total_idx; drop index orders_customer_id_idx; drop index orders_placed_at_idx;
-- plan: range_then_customer | 17 15 | analyze buffers
select id, total from orders where placed_at >= '2023-03-01' and placed_at < '2024-02-01' and customer_id = 4711;
-- do
drop index orders_day_customer_idx;
create index orders_customer_day_idx on orders (customer_id, placed_at);
vacuum (analyze) orders;
-- plan: customer_then_range | 17 | analyze buffers text
select id, total from orders where placed_at >= '2023-03-01' and placed_at < '2024-02-01' and customer_id = 4711;
-- do
update orders set total = total + 1 where id % 7 = 0;
-- plan: stale_visibility | 18 16 | analyze buffers | enable_seqscan=off, enable_bitmapscan=off, max_parallel_workers_per_gather=0
select count(*) from orders where customer_id between 1000 and 3000;
-- do
vacuum orders;
-- plan: fresh_visibility | 16 | analyze buffers | enable_seqscan=off, enable_bitmapscan=off, max_parallel_workers_per_gather=0
select count(*) from orders where customer_id between 1000 and 3000;
-- plan: bitmap_too_small | 18 15 | analyze buffers | work_mem='64kB', enable_indexscan=off, enable_seqscan=off, max_parallel_workers_per_gather=0
select sum(total) from orders where customer_id between 1000 and 9000 and shipped_at is not null;
-- plan: bitmap_large_enough | 15 | analyze buffers | work_mem='16MB', enable_indexscan=off, enable_seqscan=off, max_parallel_workers_per_gather=0
select sum(total) from orders where customer_id between 1000 and 9000 and shipped_at is not null;
-- plan: worst_of_shop | 18 15 | analyze buffers | work_mem='1MB', max_parallel_workers_per_gather=0
select customers.name, orders.note, sum(order_items.price) as spent
from customers
join orders on orders.customer_id = customers.id
join order_items on order_items.order_id = orders.id
where lower(customers.name) like '%77%' or orders.note = 'x'
group by customers.name, orders.note
order by spent desc offset 1500 limit 10;
