-- Queries of the area "analytics": dashboards, activity, reports over time.

-- name: analytics_user_activity_day
-- what: How much a person wrote, uploaded and logged on one day.
-- weight: 2
-- cache: analytics:user:{userId}:activity:{date} ttl: long
-- habits: union
-- param user_id: messages.author_id
-- param day: select created_at::date from messages
--     where author_id = :user_id
--     group by created_at::date
--     order by count(*) desc, created_at::date
--     limit 1
select 'messages' as source, count(*) as events
from messages
where messages.author_id = :user_id
    and messages.created_at >= :day::date
    and messages.created_at < :day::date + 1
union all
select 'files', count(*)
from files
where files.uploaded_by = :user_id
    and files.created_at >= :day::date  -- open at the end, as the application asks it
union all
select 'time_entries', count(*)
from time_entries
where time_entries.user_id = :user_id
    and time_entries.date = :day::date;

-- name: analytics_user_last_activity
-- what: When each member of an organization last signed in, wrote or uploaded.
-- weight: 0.5
-- habits: correlated_subquery
-- param organization_id: organization_members.organization_id
select
    greatest(
        users.last_login,
        (select max(messages.created_at) from messages where messages.author_id = users.id),
        (select max(files.created_at) from files where files.uploaded_by = users.id)
    ) as last_activity_at,
    users.id,
    users.name
from organization_members
join users on organization_members.user_id = users.id
where organization_members.organization_id = :organization_id
order by 1 desc nulls last;

-- name: analytics_project_stats
-- what: The counters of a project page, each by a subquery of its own.
-- weight: 6
-- cache: analytics:project:{projectId}:stats ttl: medium
-- habits: correlated_subquery
-- param project_id: files.project_id
select
    projects.id,
    projects.name,
    (select count(*) from files where files.project_id = projects.id) as files,
    (
        select count(*)
        from project_members
        where project_members.project_id = projects.id
    ) as members,
    (
        select array[count(project_milestones.completed_at), count(*)]
        from project_milestones
        where project_milestones.project_id = projects.id
    ) as milestones_done_and_all,
    (
        select count(*)
        from conversations
        where conversations.project_id = projects.id
    ) as conversations,
    (
        select sum(time_entries.hours)
        from time_entries
        where time_entries.project_id = projects.id
    ) as hours
from projects
where projects.id = :project_id;

-- name: analytics_project_stats_fanout
-- what: Three of the same counters by one wide join, which multiplies the rows it counts.
-- weight: 1
-- habits: count_distinct
-- param project_id: files.project_id
select
    projects.id,
    projects.name,
    count(distinct files.id) as files,
    count(distinct project_members.id) as members,
    count(distinct project_milestones.id) as milestones
from projects
left join files on files.project_id = projects.id
left join project_members on project_members.project_id = projects.id
left join project_milestones on project_milestones.project_id = projects.id
where projects.id = :project_id
group by projects.id;

-- name: analytics_org_dashboard
-- what: The whole dashboard of an organization in one statement.
-- weight: 5
-- claim: Analytics dashboard
-- cache: analytics:org:{orgId}:dashboard ttl: medium
-- habits: cte
-- param organization_id: conversations.organization_id
-- param since: select :now::timestamptz - interval '30 days'
with project_counts as (
    select
        jsonb_object_agg(statuses.status, statuses.projects) as projects_by_status,
        sum(statuses.overdue) as projects_overdue
    from (
        select
            projects.status,
            count(*) as projects,
            count(*) filter (
                where projects.due_date < :today::date
                    and projects.status not in ('completed', 'cancelled')
            ) as overdue
        from projects
        where projects.organization_id = :organization_id
        group by projects.status
    ) statuses
),
member_counts as (
    select count(*) as members
    from organization_members
    where organization_members.organization_id = :organization_id
),
file_totals as (
    select count(*) as files, sum(files.file_size) as size_bytes
    from files
    where files.organization_id = :organization_id
        and files.created_at >= :since
),
message_totals as (
    select count(*) as messages
    from messages
    join conversations on messages.conversation_id = conversations.id
    where conversations.organization_id = :organization_id
        and messages.created_at >= :since
),
invoice_totals as (
    select
        sum(invoices.total_amount) filter (where invoices.status = 'paid') as paid,
        sum(invoices.total_amount) filter (where invoices.status in ('sent', 'overdue'))
            as open
    from invoices
    where invoices.organization_id = :organization_id
)
select
    organizations.id,
    organizations.name,
    organizations.subscription_tier,
    project_counts.projects_by_status,
    project_counts.projects_overdue,
    member_counts.members,
    file_totals.files,
    file_totals.size_bytes,
    message_totals.messages,
    invoice_totals.paid,
    invoice_totals.open
from organizations
cross join project_counts
cross join member_counts
cross join file_totals
cross join message_totals
cross join invoice_totals
where organizations.id = :organization_id;

-- name: analytics_org_projects_by_status
-- what: The projects of an organization by status, and how many are past their date.
-- weight: 4
-- claim: Analytics dashboard
-- param organization_id: projects.organization_id
select
    status,
    count(*) as projects,
    count(*) filter (where due_date < :today::date) as past_due_date
from projects
where organization_id = :organization_id
group by status;

-- name: analytics_org_recent_activity
-- what: The newest files, messages and finished milestones of an organization, mixed.
-- weight: 4
-- claim: Analytics dashboard
-- habits: union
-- param organization_id: conversations.organization_id
select 'file' as kind, files.id, files.name as title, files.created_at as happened_at
from files
where files.organization_id = :organization_id
union all
select 'message', messages.id, left(messages.content, 80), messages.created_at
from messages
join conversations on messages.conversation_id = conversations.id
where conversations.organization_id = :organization_id
    and messages.deleted_at is null
union all
select
    'milestone',
    project_milestones.id,
    project_milestones.name,
    project_milestones.completed_at
from project_milestones
join projects on project_milestones.project_id = projects.id
where projects.organization_id = :organization_id
    and project_milestones.completed_at is not null
order by happened_at desc
limit 30;

-- name: analytics_org_storage
-- what: The current files of an organization by category, and how large they are.
-- weight: 2
-- claim: Analytics dashboard
-- param organization_id: files.organization_id
select category, count(*) as files, sum(file_size) as size_bytes
from files
where organization_id = :organization_id
    and is_latest = true
group by category;

-- name: analytics_org_message_volume
-- what: The messages of an organization day by day, over thirty days.
-- weight: 3
-- claim: Analytics dashboard
-- param organization_id: conversations.organization_id
select
    date_trunc('day', messages.created_at) as day,
    count(*) as messages
from messages
join conversations on messages.conversation_id = conversations.id
where conversations.organization_id = :organization_id
    and messages.created_at >= :now::timestamptz - interval '30 days'
group by date_trunc('day', messages.created_at)
order by day;

-- name: analytics_signups_per_day
-- what: The sign-ups of each of the last thirty days, days without any included.
-- weight: 0.1
select
    days.day,
    count(users.id) as signups
from generate_series(:today::date - 29, :today::date, interval '1 day') as days (day)
left join users
    on date_trunc('day', users.created_at) = days.day
    and users.created_at >= :now::timestamptz - interval '30 days'
group by days.day
order by days.day;

-- name: analytics_signups_last_week
-- what: The number of sign-ups in the last seven days.
-- weight: 0.2
select count(*) as signups
from users
where created_at > :now::timestamptz - interval '7 days';

-- name: analytics_monthly_active_authors
-- what: How many different people wrote a message in the last thirty days.
-- weight: 0.1
-- habits: count_distinct
select count(distinct author_id) as authors
from messages
where created_at > :now::timestamptz - interval '30 days';

-- name: analytics_messages_last_minute
-- what: How many messages were written in the last minute.
-- weight: 2
select count(*) as messages
from messages
where created_at > :now::timestamptz - interval '1 minute';

-- name: analytics_platform_counts_cartesian
-- what: Three counters of the platform through joins without a condition.
-- weight: 0.01
-- habits: cartesian, count_distinct
-- sizes: tiny
select
    count(distinct messages.id) as messages,
    count(distinct conversations.id) as conversations,
    count(distinct conversation_participants.user_id) as participants
from messages
full join conversations on true
full join conversation_participants on true;

-- name: analytics_platform_counts_scalar
-- what: The same three counters, each by a subquery of its own.
-- weight: 0.05
select
    (select count(*) from messages) as messages,
    (select count(*) from conversations) as conversations,
    (
        select count(distinct conversation_participants.user_id)
        from conversation_participants
    ) as participants;

-- name: analytics_team_workload
-- what: How many active projects and open milestones each member of a team has.
-- weight: 0.5
-- param team_id: projects.team_id
select
    users.id,
    users.name,
    count(distinct projects.id) as projects,
    count(project_milestones.id) filter (where projects.id is not null) as milestones
from team_members
join users on team_members.user_id = users.id
left join project_milestones
    on project_milestones.assigned_to = users.id
    and project_milestones.completed_at is null
left join projects
    on project_milestones.project_id = projects.id
    and projects.team_id = :team_id
    and projects.status = 'active'
where team_members.team_id = :team_id
group by users.id;

-- name: analytics_project_access_and_health
-- what: The project of the health page, if the caller is a member, manager or owner.
-- weight: 2
-- habits: or_condition
-- param project_id: project_members.project_id
-- param user_id: select user_id from project_members
--     where project_id = :project_id
--     order by user_id
--     limit 1
select
    projects.id,
    projects.name,
    projects.status,
    projects.due_date,
    projects.estimated_hours,
    projects.actual_hours
from projects
left join project_members
    on project_members.project_id = projects.id
    and project_members.user_id = :user_id
left join organizations on organizations.id = projects.organization_id
where projects.id = :project_id
    and (
        project_members.user_id is not null
        or projects.manager_id = :user_id
        or organizations.created_by = :user_id
    )
limit 1;

-- name: analytics_manager_load
-- what: The twenty managers with the most open projects, and the budget they answer for.
-- weight: 0.1
select
    users.id,
    users.name,
    count(*) as projects,
    sum(projects.budget) as budget
from projects
join users on projects.manager_id = users.id
where projects.status in ('planning', 'active')
group by users.id
order by count(*) desc
limit 20;

-- name: analytics_top_projects_by_files
-- what: The three projects of each organization that received the most files since a date.
-- weight: 0.05
-- habits: window
-- param since: select :now::timestamptz - days * interval '1 day'
--     from unnest(array[90, 30, 7, 0]) days
--     order by days desc
select organization_id, project_id, files, place
from (
    select
        projects.organization_id,
        projects.id as project_id,
        count(*) as files,
        rank() over (partition by projects.organization_id order by count(*) desc) as place
    from files
    join projects on files.project_id = projects.id
    where files.created_at >= :since
    group by projects.organization_id, projects.id
) ranked_projects
where place <= 3;

-- name: analytics_response_time
-- what: The median time between two messages of a channel.
-- weight: 0.2
-- habits: window
-- param conversation_id: messages.conversation_id
select percentile_cont(0.5) within group (order by gap) as median_gap
from (
    select created_at - lag(created_at) over (order by created_at) as gap
    from messages
    where conversation_id = :conversation_id
        and deleted_at is null
) gaps;

-- name: analytics_message_rolling_mean
-- what: The messages of each of the last ninety days, with the mean of seven days.
-- weight: 0.05
-- habits: window
select
    date_trunc('day', created_at) as day,
    count(*) as messages,
    avg(count(*)) over (
        order by date_trunc('day', created_at)
        rows between 6 preceding and current row
    ) as messages_rolling_mean
from messages
where created_at >= :now::timestamptz - interval '90 days'
group by date_trunc('day', created_at)
order by day;

-- name: analytics_service_mix
-- what: The projects since a date by service line and ensemble, with subtotals.
-- weight: 0.05
-- habits: rollup
-- param since: select :now::timestamptz - days * interval '1 day'
--     from unnest(array[365, 90, 7, 0]) days
--     order by days desc
select
    service_category,
    ensemble_type,
    count(*) as projects,
    avg(budget) as mean_budget
from projects
where created_at >= :since
group by rollup (service_category, ensemble_type);

-- name: analytics_user_type_last_login
-- what: The accounts of each kind, and how many signed in within thirty days.
-- weight: 0.05
select
    user_type,
    count(*) as users,
    count(*) filter (where last_login >= :now::timestamptz - interval '30 days')
        as users_active
from users
group by user_type;

-- name: analytics_org_growth
-- what: How the membership of an organization grew, month by month.
-- weight: 0.3
-- habits: window
-- param organization_id: organization_members.organization_id
select
    date_trunc('month', joined_at) as month,
    sum(count(*)) over (order by date_trunc('month', joined_at)) as members
from organization_members
where organization_id = :organization_id
group by date_trunc('month', joined_at)
order by month;
