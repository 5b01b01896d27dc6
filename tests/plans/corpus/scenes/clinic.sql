-- scene: a clinic's database as it is often met: primary keys, few other indexes, reports
-- do
create table staff (id int primary key, name text not null, role text not null, team int not null);
insert into staff select n, 'Staff ' || n, (array['doctor', 'nurse', 'desk'])[1 + n % 3], n % 8 from generate_series(1, 60) as numbers (n);
create table rooms (id int primary key, name text not null, floor int not null);
insert into rooms select n, 'Room ' || n, n % 5 from generate_series(1, 40) as numbers (n);
create table patients (
    id int primary key, name text not null, born_on date not null, city text not null,
    insurance text not null, email text, deleted_at timestamptz
);
insert into patients
select n, 'Patient ' || md5(n::text), date '1930-01-01' + (hashint4(n) & 2147483647) % 30000, 'City ' || n % 80,
    (array['A', 'B', 'C', 'private'])[1 + case when n % 25 = 0 then 3 else n % 3 end], 'p' || n || '@mail.test',
    case when n % 40 = 0 then timestamptz '2024-01-01' end
from generate_series(1, 30000) as numbers (n);
create table appointments (
    id int primary key, patient_id int not null references patients, staff_id int not null references staff, room_id int not null references rooms,
    starts_at timestamptz not null, state text not null, reason text not null
);
insert into appointments
select n, 1 + (hashint4(n) & 2147483647) % 30000, 1 + (hashint4(n + 1) & 2147483647) % 60, 1 + (hashint4(n + 2) & 2147483647) % 40,
    timestamptz '2022-01-03 08:00' + n * interval '5 minutes', case when n % 30 = 0 then 'missed' when n > 249000 then 'planned' else 'kept' end,
    'reason ' || n % 200
from generate_series(1, 250000) as numbers (n);
create table treatments (id int primary key, appointment_id int not null, code text not null, minutes int not null, price numeric(10, 2) not null);
insert into treatments select n, 1 + (hashint4(n) & 2147483647) % 250000, 'T' || (hashint4(n + 9) & 2147483647) % 600, 5 + n % 60, n % 300
from generate_series(1, 400000) as numbers (n);
create table invoices (id int primary key, patient_id int not null, issued_on date not null, total numeric(10, 2) not null, state text not null);
insert into invoices select n, 1 + (hashint4(n + 4) & 2147483647) % 30000, date '2022-01-03' + n % 880, n % 1500,
    case when n % 60 = 0 then 'overdue' when n % 9 = 0 then 'open' else 'paid' end
from generate_series(1, 120000) as numbers (n);
create table payments (id int primary key, invoice_id int not null, paid_on date not null, amount numeric(10, 2) not null);
insert into payments select n, n, date '2022-02-01' + n % 880, n % 1500 from generate_series(1, 110000) as numbers (n);
vacuum (analyze) staff; vacuum (analyze) rooms; vacuum (analyze) patients; vacuum (analyze) appointments;
vacuum (analyze) treatments; vacuum (analyze) invoices; vacuum (analyze) payments;

-- plan: patient_history | 18 | analyze buffers
select appointments.starts_at, staff.name, treatments.code, treatments.price
from patients
join appointments on appointments.patient_id = patients.id
join staff on staff.id = appointments.staff_id
left join treatments on treatments.appointment_id = appointments.id
where patients.id = 4711 order by appointments.starts_at desc;
-- plan: todays_rooms | 15 | analyze buffers
select rooms.name, count(*) filter (where state = 'kept') as kept, count(*)
from rooms left join appointments on appointments.room_id = rooms.id
    and starts_at >= '2024-05-01' and starts_at < '2024-05-02'
group by rooms.name order by rooms.name;
-- plan: open_balance | 16 | analyze buffers | work_mem='16MB'
select patients.name, sum(invoices.total) - coalesce(sum(payments.amount), 0) as owed
from patients join invoices on invoices.patient_id = patients.id
left join payments on payments.invoice_id = invoices.id
where invoices.state <> 'paid' group by patients.name
having sum(invoices.total) - coalesce(sum(payments.amount), 0) > 100 order by owed desc limit 20;
-- plan: staff_load | 18 | analyze buffers | work_mem='16MB'
select staff.name, date_trunc('month', starts_at) as month, count(*), sum(minutes)
from staff join appointments on appointments.staff_id = staff.id
join treatments on treatments.appointment_id = appointments.id
where staff.team = 3 group by staff.name, month order by month, staff.name;
-- plan: patients_without_visit | 17 | analyze buffers
select count(*) from patients
where deleted_at is null and not exists (
    select from appointments where appointments.patient_id = patients.id and starts_at > '2024-01-01');
-- plan: next_free_slot | 14 | analyze buffers
select starts_at from appointments where staff_id = 17 and starts_at > '2024-05-10' order by starts_at limit 1;
-- plan: search_patient | 15 | analyze buffers text
select id, name, born_on from patients where upper(name) like 'PATIENT ABC%' and deleted_at is null limit 20;
-- plan: birthday_list | 18 | analyze buffers
select id, name from patients where extract(month from born_on) = 5 and extract(day from born_on) = 17;
-- plan: dashboard_counts | 18 | analyze buffers
select (select count(*) from patients where deleted_at is null) as patients,
    (select count(*) from appointments where state = 'planned') as planned,
    (select sum(total) from invoices where state = 'overdue') as overdue;
-- plan: overdue_letter | 13 | analyze buffers
select patients.name, patients.email, invoices.total, invoices.issued_on
from invoices join patients on patients.id = invoices.patient_id
where invoices.state = 'overdue' and issued_on between '2024-01-01' and '2024-01-14' and insurance = 'private';
-- plan: ranked_codes | 17 | analyze buffers | work_mem='8MB'
select code, total, rank() over (order by total desc) from (
    select code, sum(price) as total from treatments group by code) as sums
order by total desc limit 15;
-- plan: revenue_by_month_and_team | 16 | analyze buffers | work_mem='32MB'
select staff.team, date_trunc('month', starts_at) as month, sum(price)
from treatments join appointments on appointments.id = treatments.appointment_id
join staff on staff.id = appointments.staff_id
group by grouping sets ((staff.team, date_trunc('month', starts_at)), (staff.team), ());
-- plan: same_time_clash | 14 | analyze buffers | work_mem='64MB'
select one.id, other.id from appointments as one join appointments as other
on one.staff_id = other.staff_id and one.starts_at = other.starts_at and one.id < other.id
where one.starts_at >= '2024-04-01';
-- plan: paid_and_open | 18 | analyze buffers text
select id, total from invoices where state = 'overdue' and total > 1490
union all select invoice_id, amount from payments where amount > 1495 and paid_on > '2024-01-01';
-- plan: invoice_page_40 | 15 | analyze buffers | work_mem='1MB'
select invoices.id, patients.name, invoices.total from invoices join patients on patients.id = invoices.patient_id
order by invoices.issued_on desc, invoices.id offset 20000 limit 50;
-- plan: last_visit_per_patient | 16 | analyze buffers | max_parallel_workers_per_gather=0
select id, name, (select max(starts_at) from appointments where patient_id = patients.id) as last_visit
from patients where city = 'City 7' and insurance = 'private';
-- plan: mail_duplicates | 18 | analyze buffers | work_mem='1MB'
select lower(email), count(*) from patients group by lower(email) having count(*) > 1;
-- plan: recent_missed | 17 | analyze buffers
select appointments.id, patients.name from appointments join patients on patients.id = appointments.patient_id
where appointments.state = 'missed' order by starts_at desc limit 25;
-- plan: cancel_old | 18 | analyze buffers rollback
update appointments set state = 'missed' where state = 'planned' and starts_at < '2024-05-15';
-- plan: purge_patients | 18 | analyze buffers rollback
delete from patients where id between 29990 and 29999 and not exists (select from invoices where patient_id = patients.id);
-- plan: purge_patients_on_15 | 15 | analyze buffers text rollback
delete from rooms where id = 41 or name = 'Room 99';
-- do
set random_page_cost = 1.1;
create index on appointments (patient_id); create index on appointments (staff_id, starts_at); create index on appointments (starts_at);
create index on treatments (appointment_id); create index on invoices (patient_id); create index on payments (invoice_id);
create index invoices_due on invoices (issued_on) where state <> 'paid';
create index on appointments (starts_at) where state = 'missed';
vacuum (analyze) appointments; vacuum (analyze) treatments; vacuum (analyze) invoices; vacuum (analyze) payments;
-- plan: patient_history_indexed | 18 | analyze buffers
select appointments.starts_at, staff.name, treatments.code, treatments.price
from patients
join appointments on appointments.patient_id = patients.id
join staff on staff.id = appointments.staff_id
left join treatments on treatments.appointment_id = appointments.id
where patients.id = 4711 order by appointments.starts_at desc;
-- plan: todays_rooms_indexed | 15 | analyze buffers
select rooms.name, count(*) filter (where state = 'kept') as kept, count(*)
from rooms left join appointments on appointments.room_id = rooms.id
    and starts_at >= '2024-05-01' and starts_at < '2024-05-02'
group by rooms.name order by rooms.name;
-- plan: next_free_slot_indexed | 14 | analyze buffers
select starts_at from appointments where staff_id = 17 and starts_at > '2024-05-10' order by starts_at limit 1;
-- plan: recent_missed_indexed | 17 | analyze buffers
select appointments.id, patients.name from appointments join patients on patients.id = appointments.patient_id
where appointments.state = 'missed' order by starts_at desc limit 25;
-- plan: overdue_letter_indexed | 13 | analyze buffers
select patients.name, patients.email, invoices.total, invoices.issued_on
from invoices join patients on patients.id = invoices.patient_id
where invoices.state = 'overdue' and issued_on between '2024-01-01' and '2024-01-14' and insurance = 'private';
-- plan: last_visit_per_patient_indexed | 16 | analyze buffers
select id, name, (select max(starts_at) from appointments where patient_id = patients.id) as last_visit
from patients where city = 'City 7' and insurance = 'private';
-- plan: visits_of_cohort | 18 | analyze buffers | work_mem='16MB'
select patients.city, count(*) from patients join appointments on appointments.patient_id = patients.id
where patients.born_on between '1950-01-01' and '1950-03-01' group by patients.city;
-- plan: cte_used_twice | 15 | analyze buffers | work_mem='32MB'
with busy as (select staff_id, count(*) as visits from appointments where starts_at >= '2024-01-01' group by staff_id)
select one.staff_id, other.staff_id from busy as one join busy as other on one.visits = other.visits and one.staff_id < other.staff_id;
-- plan: either_key | 13 | analyze buffers
select id, total from invoices where patient_id = 4711 or id = 99;
-- plan: full_comparison | 18 | analyze buffers | work_mem='32MB'
select count(*) from invoices full join payments on payments.invoice_id = invoices.id where invoices.id is null or payments.id is null;
-- plan: purge_patients_indexed | 18 | analyze buffers rollback
delete from patients where id between 29990 and 29999 and not exists (select from invoices where patient_id = patients.id);
-- plan: top_payers_of_city | 16 | analyze buffers
select patients.id, patients.name, sum(invoices.total) from patients join invoices on invoices.patient_id = patients.id
where patients.id between 5000 and 5200 group by patients.id order by 3 desc limit 10;
