-- Queries of the area "services": the price list, and leads from the public form.

-- name: packages_active
-- what: The public price list, by service and price.
-- weight: 4
select id, name, slug, service_category, service_tier, base_price, estimated_hours
from service_packages
where is_active = true
order by service_category, base_price;

-- name: packages_of_category
-- what: What is on offer for one service, cheapest first.
-- weight: 2
-- param category: service_packages.service_category
select id, name, slug, service_tier, base_price, deliverables
from service_packages
where service_category = :category
    and is_active = true
order by base_price;

-- name: packages_of_tier
-- what: What is on offer at one level, across all services.
-- weight: 1
-- param tier: service_packages.service_tier
select id, name, slug, service_category, base_price
from service_packages
where service_tier = :tier;

-- name: package_by_slug
-- what: The page of one package, all columns.
-- weight: 3
-- habits: select_star
-- param slug: service_packages.slug
select *
from service_packages
where slug = :slug;

-- name: packages_price_range_by_category
-- what: The lowest, highest and average price of every service.
-- weight: 0.3
select
    service_category,
    min(base_price) as lowest_price,
    max(base_price) as highest_price,
    avg(base_price) as average_price
from service_packages
where is_active = true
group by service_category;

-- name: packages_projects_sold
-- what: How many projects were sold with each package.
-- weight: 0.05
select service_packages.id, service_packages.name, count(projects.id) as projects_sold
from service_packages
left join projects on projects.service_category = service_packages.service_category
    and projects.service_tier = service_packages.service_tier  -- no foreign key ties them
group by service_packages.id;

-- name: requests_by_status
-- what: One column of the board on which leads move, newest on top.
-- weight: 1
-- param status: one of converted | contacted | new | archived
select id, name, organization_name, service_category, budget_range, assigned_to, created_at
from client_requests
where status = :status
order by created_at desc
limit 50;

-- name: requests_of_assignee
-- what: The open leads that one person looks after, newest first.
-- weight: 1
-- param user_id: client_requests.assigned_to
select id, name, email, service_category, status, created_at
from client_requests
where assigned_to = :user_id
    and status in ('new', 'contacted', 'quoted')  -- neither won nor lost yet
order by created_at desc;

-- name: requests_unassigned_new
-- what: New leads that nobody has taken, those waiting longest first.
-- weight: 0.5
-- habits: partial_predicate_missing
select id, name, email, service_category, budget_range, created_at
from client_requests
where assigned_to is null  -- the index holds only rows that have an assignee
    and status = 'new'
order by created_at;

-- name: requests_of_ensemble
-- what: The newest leads from one kind of ensemble.
-- weight: 0.1
-- param ensemble_type: client_requests.ensemble_type
select id, name, organization_name, service_category, status, created_at
from client_requests
where ensemble_type = :ensemble_type
order by created_at desc
limit 50;

-- name: requests_newest
-- what: A page of all leads, newest first, all columns.
-- weight: 0.5
-- habits: offset, select_star
-- param offset: one of 0 | 20 | 200 | 5000
select *
from client_requests
order by created_at desc
limit 20 offset :offset;

-- name: requests_by_email
-- what: What an address has asked for before.
-- weight: 0.5
-- param email: client_requests.email
select id, service_category, status, budget_range, created_at
from client_requests
where email = :email;

-- name: requests_existing_users
-- what: Leads from addresses that already have an account.
-- weight: 0.05
-- habits: function_on_column
select client_requests.id, client_requests.email, users.id as user_id, users.name
from client_requests
join users on lower(client_requests.email) = lower(users.email);

-- name: requests_funnel_by_month
-- what: How many leads came in each month, and how many of them became clients.
-- weight: 0.05
-- param since: select :now::timestamptz - age
--     from (values (1, interval '24 months'), (2, interval '12 months'),
--         (3, interval '1 month'), (4, interval '1 minute')) ages (place, age)
--     order by place
select
    date_trunc('month', created_at) as month,
    count(*) as requests,
    count(*) filter (where status = 'converted') as converted
from client_requests
where created_at >= :since
group by date_trunc('month', created_at)
order by month;

-- name: request_insert
-- what: Keeps what somebody sent through the public form.
-- weight: 0.2
-- param name: one of Maya Okafor | Tom Lindqvist | Rosa Quillen
-- param email: one of lab-lead@example.test
-- param ensemble_type: one of marching-band | winter-guard | pep-band
-- param category: one of performance-design | visual-production | full-season
-- param budget_range: one of $2,500-5,000 | $5,000-10,000 | $15,000+
-- param timeline: one of This season | Within a month | As soon as possible
insert into client_requests (
    name, email, ensemble_type, service_category, budget_range, timeline
)
values (:name, :email, :ensemble_type, :category, :budget_range, :timeline)
returning id, status, created_at;

-- name: request_assign
-- what: Gives a lead to somebody, who counts as having called.
-- weight: 0.2
-- param request_id: client_requests.id
-- param user_id: select id from users
--     where is_active = true
--     order by user_type = 'designer' desc, id limit 3
update client_requests
set assigned_to = :user_id,
    status = 'contacted'
where id = :request_id;

-- name: package_update_price
-- what: Changes the price of a package.
-- weight: 0.02
-- param package_id: service_packages.id
-- param price: one of 1650.00 | 3750.00 | 12500.00
update service_packages
set base_price = :price
where id = :package_id;
