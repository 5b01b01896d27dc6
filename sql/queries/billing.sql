-- Queries of the area "billing": invoices, payments, time entries.

-- name: invoice_by_number
-- what: An invoice by the number printed on it.
-- weight: 1
-- habits: select_star
-- param invoice_number: invoices.invoice_number
select *
from invoices
where invoice_number = :invoice_number;

-- name: invoice_detail
-- what: The page of one invoice, with the names of payer, client and project.
-- weight: 2
-- habits: select_star
-- param invoice_id: invoices.id
select
    invoices.*,
    organizations.name as organization_name,
    users.name as client_name,
    users.email as client_email,
    projects.name as project_name
from invoices
join organizations on invoices.organization_id = organizations.id
join users on invoices.client_id = users.id
left join projects on invoices.project_id = projects.id
where invoices.id = :invoice_id;

-- name: invoices_of_org
-- what: The ledger of an organization, the newest invoice first, a page at a time.
-- weight: 2
-- habits: offset
-- param organization_id: invoices.organization_id
-- param offset: one of 50 | 0
select id, invoice_number, client_id, project_id, total_amount, currency, status, due_date
from invoices
where organization_id = :organization_id
order by created_at desc
limit 50 offset :offset;

-- name: invoices_open_of_org
-- what: What an organization still has to pay, the most urgent first.
-- weight: 2
-- param organization_id: invoices.organization_id
select id, invoice_number, total_amount, currency, status, due_date
from invoices
where organization_id = :organization_id
    and status in ('sent', 'overdue')
order by due_date nulls last;

-- name: invoices_of_client
-- what: All invoices of one client, the latest due date first.
-- weight: 1
-- param client_id: invoices.client_id
select id, invoice_number, project_id, total_amount, currency, status, due_date, paid_at
from invoices
where client_id = :client_id
order by due_date desc;

-- name: invoices_of_project
-- what: The invoices written for one project.
-- weight: 1
-- param project_id: invoices.project_id
select id, invoice_number, total_amount, currency, status, due_date, paid_at
from invoices
where project_id = :project_id;

-- name: invoices_overdue
-- what: Every overdue invoice with the address to remind, the oldest due date first.
-- weight: 0.05
select
    invoices.id,
    invoices.invoice_number,
    invoices.total_amount,
    invoices.currency,
    invoices.due_date,
    users.name as client_name,
    users.email as client_email
from invoices
join users on invoices.client_id = users.id
where invoices.status = 'overdue'
order by invoices.due_date;

-- name: invoices_due_within
-- what: The sent invoices that fall due in the next fourteen days.
-- weight: 0.1
select id, invoice_number, organization_id, client_id, total_amount, due_date
from invoices
where due_date between :today::date and :today::date + 14
    and status = 'sent'
order by due_date nulls last;

-- name: invoice_by_stripe_invoice
-- what: The invoice that a payment event names by its Stripe id.
-- weight: 0.5
-- param stripe_invoice_id: invoices.stripe_invoice_id
select id, invoice_number, organization_id, status, total_amount
from invoices
where stripe_invoice_id = :stripe_invoice_id;

-- name: invoice_by_payment_intent
-- what: The invoice that a payment intent belongs to, asked by every webhook call.
-- weight: 1
-- param payment_intent_id: invoices.stripe_payment_intent_id
select id, invoice_number, organization_id, status, total_amount
from invoices
where stripe_payment_intent_id = :payment_intent_id;

-- name: invoice_month_sequence
-- what: How many invoices carry a number of this month, from which the next one is made.
-- weight: 0.3
select count(*) as invoices
from invoices
where invoice_number like 'FS-202510-%';

-- name: invoices_revenue_by_month
-- what: The revenue paid in each month, beside the month before.
-- weight: 0.1
-- habits: window
-- param since: select :now::timestamptz - days * interval '1 day'
--     from unnest(array[365, 180, 30, 0]) days
--     order by days desc
select
    date_trunc('month', paid_at) as month,
    sum(total_amount) as revenue,
    lag(sum(total_amount)) over (order by date_trunc('month', paid_at)) as revenue_before
from invoices
where status = 'paid'
    and paid_at >= :since
group by date_trunc('month', paid_at)
order by month;

-- name: invoices_balance_by_org
-- what: The twenty organizations that owe the most.
-- weight: 0.1
select
    organizations.id,
    organizations.name,
    sum(invoices.total_amount) as balance
from invoices
join organizations on invoices.organization_id = organizations.id
where invoices.status in ('sent', 'overdue')
group by organizations.id
order by sum(invoices.total_amount) desc
limit 20;

-- name: invoices_line_item_kind
-- what: The invoices on which a given line item stands.
-- weight: 0.1
-- habits: jsonb
-- param line_item: with texts as (
--         select pairs.key, pairs.value
--         from invoices
--         cross join jsonb_array_elements(invoices.line_items) items
--         cross join jsonb_each(items) pairs
--         where jsonb_typeof(pairs.value) = 'string'
--     ),
--     ranked as (
--         select key, value, count(*) over () as places,
--             row_number() over (order by count(*) desc, key, value) as place
--         from texts
--         group by key, value
--     )
--     select line_item
--     from (select place,
--                 jsonb_build_array(jsonb_build_object(key, value))::text as line_item
--             from ranked
--             where place in (1, (places + 1) / 2, places)
--         union all
--         select 1000000000, '[{"description": "Xylofon tuning"}]') choices
--     order by place
select id, invoice_number, organization_id, total_amount, status
from invoices
where line_items @> :line_item::jsonb;

-- name: projects_uninvoiced
-- what: The completed projects for which no invoice was ever written.
-- weight: 0.05
-- habits: not_exists
select projects.id, projects.name, projects.organization_id, projects.completion_date
from projects
where projects.status = 'completed'
    and not exists (
        select 1
        from invoices
        where invoices.project_id = projects.id
    );

-- name: projects_uninvoiced_not_in
-- what: The same with NOT IN: no answer as soon as one invoice has no project.
-- weight: 0.05
-- habits: not_in
select projects.id, projects.name, projects.organization_id, projects.completion_date
from projects
where projects.status = 'completed'
    and projects.id not in (select invoices.project_id from invoices);

-- name: time_of_user_range
-- what: The timesheet of a person between two days, the latest day first.
-- weight: 3
-- param user_id: time_entries.user_id
-- param first_day: select :today::date - 90
-- param last_day: select :today::date
select
    time_entries.id,
    time_entries.date,
    time_entries.hours,
    time_entries.billable,
    time_entries.task_description,
    projects.name as project_name
from time_entries
join projects on time_entries.project_id = projects.id
where time_entries.user_id = :user_id
    and time_entries.date between :first_day and :last_day
order by time_entries.date desc;

-- name: time_of_project
-- what: The last hundred entries of a project's timesheet, with who worked.
-- weight: 2
-- param project_id: time_entries.project_id
select
    time_entries.id,
    time_entries.date,
    time_entries.hours,
    time_entries.billable,
    time_entries.hourly_rate,
    time_entries.task_description,
    users.name as user_name
from time_entries
join users on time_entries.user_id = users.id
where time_entries.project_id = :project_id
order by time_entries.date desc
limit 100;

-- name: time_on_date
-- what: Everything that was logged for one day.
-- weight: 0.2
-- param day: time_entries.date
select id, user_id, project_id, task_description, hours, billable
from time_entries
where date = :day;

-- name: time_nonbillable_hours
-- what: How many hours since a day cannot be billed.
-- weight: 0.1
-- param since: select :today::date - days
--     from unnest(array[365, 90, 7, 0]) days
--     order by days desc
select sum(hours) as hours
from time_entries
where billable = false
    and date >= :since;

-- name: time_project_totals
-- what: The hours of each project of an organization, and the worth of the billable ones.
-- weight: 1
-- param organization_id: projects.organization_id
select
    projects.id,
    projects.name,
    sum(time_entries.hours) as hours,
    sum(time_entries.hours * time_entries.hourly_rate)
        filter (where time_entries.billable) as billable_value
from time_entries
join projects on time_entries.project_id = projects.id
where projects.organization_id = :organization_id
group by projects.id;

-- name: time_user_weekly_window
-- what: The hours of a person week by week, with the mean of the last five weeks.
-- weight: 0.5
-- habits: window
-- param user_id: time_entries.user_id
-- param since: select :today::date - 182
select
    date_trunc('week', date) as week,
    sum(hours) as hours,
    avg(sum(hours)) over (
        order by date_trunc('week', date)
        rows between 4 preceding and current row
    ) as hours_rolling_mean
from time_entries
where user_id = :user_id
    and date >= :since
group by date_trunc('week', date)
order by week;

-- name: time_month_by_extract
-- what: The hours of one month, found by taking every date apart.
-- weight: 0.1
-- habits: function_on_column
-- param year: one of 2025 | 2025 | 2025 | 1999
-- param month: one of 9 | 6 | 1 | 1
select sum(hours) as hours
from time_entries
where extract(year from date) = :year::int
    and extract(month from date) = :month::int;

-- name: invoice_insert
-- what: An invoice is written for a project.
-- weight: 0.3
-- param project_id: select project_id
--     from (select project_id, count(*) over () as places,
--             row_number() over (order by count(*) desc, project_id) as place
--         from project_members
--         group by project_id) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param organization_id: select organization_id from projects where id = :project_id
-- param client_id: select coalesce(client_id, manager_id) from projects
--     where id = :project_id
insert into invoices (
    invoice_number,
    organization_id,
    client_id,
    project_id,
    amount,
    total_amount,
    line_items,
    stripe_payment_intent_id
)
values (
    'FS-202510-L' || substr(gen_random_uuid()::text, 1, 8),
    :organization_id,
    :client_id,
    :project_id,
    6000.00,
    6000.00,
    '[{"description": "Drill design", "quantity": 1, "amount": 6000.00}]',
    'pi_lab_' || gen_random_uuid()
)
returning id, invoice_number, status, created_at;

-- name: invoice_mark_paid_by_intent
-- what: The payment service reports success, and the invoice is marked as paid.
-- weight: 0.3
-- param payment_intent_id: invoices.stripe_payment_intent_id
update invoices
set status = 'paid',
    paid_at = now()
where stripe_payment_intent_id = :payment_intent_id;

-- name: invoices_flag_overdue
-- what: Every night the sent invoices whose due date has passed become overdue.
-- weight: 0.01
-- habits: bulk
update invoices
set status = 'overdue'
where status = 'sent'
    and due_date < :today::date;

-- name: time_entry_insert
-- what: A member of a project logs an hour and a half.
-- weight: 3
-- param project_id: select project_id
--     from (select project_id, count(*) over () as places,
--             row_number() over (order by count(*) desc, project_id) as place
--         from project_members
--         group by project_id) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param user_id: select user_id from project_members
--     where project_id = :project_id
--     order by user_id limit 1
insert into time_entries (user_id, project_id, task_description, hours, billable, date)
values (:user_id, :project_id, 'Drill chart revision', 1.5, true, :today::date)
returning id, hours, date;

-- name: time_entry_update
-- what: A person corrects the newest of the own entries.
-- weight: 0.5
-- param user_id: time_entries.user_id
-- param time_entry_id: select id from time_entries
--     where user_id = :user_id
--     order by date desc, id
--     limit 1
update time_entries
set hours = 2.25,
    billable = false
where id = :time_entry_id
    and user_id = :user_id;
