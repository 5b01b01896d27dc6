-- Queries of the area "projects": projects, who works on them, their milestones.

-- name: project_by_id
-- what: One project by primary key, all columns.
-- weight: 30
-- cache: project:{projectId} ttl: medium
-- habits: select_star
-- param project_id: projects.id
select *
from projects
where id = :project_id;

-- name: project_detail_for_member
-- what: The project page: the project, the names around it, and the role of the reader.
-- weight: 18
-- habits: select_star
-- param project_id: project_members.project_id
-- param user_id: select user_id from project_members
--     where project_id = :project_id
--         and is_active
--     order by joined_at, user_id limit 1
select
    projects.*,
    organizations.name as organization_name,
    manager.name as manager_name,
    client.name as client_name,
    project_members.role as own_role
from projects
join organizations on projects.organization_id = organizations.id
join users as manager on projects.manager_id = manager.id
left join users as client on projects.client_id = client.id
join project_members on project_members.project_id = projects.id
where projects.id = :project_id
    and project_members.user_id = :user_id
    and project_members.is_active = true;

-- name: project_detail_with_global_counts
-- what: The project page with its head count, got by counting the members of all projects.
-- weight: 8
-- habits: select_star, cte
-- param project_id: project_members.project_id
with member_counts as (
    select project_id, count(*) as member_count
    from project_members
    group by project_id
)
select
    projects.*,
    organizations.name as organization_name,
    users.name as manager_name,
    teams.name as team_name,
    coalesce(member_counts.member_count, 0) as member_count
from projects
left join organizations on projects.organization_id = organizations.id
left join users on projects.manager_id = users.id
left join teams on projects.team_id = teams.id
left join member_counts on member_counts.project_id = projects.id
where projects.id = :project_id;

-- name: projects_of_org
-- what: Every project of an organization, all columns, no limit.
-- weight: 10
-- claim: Organization projects
-- cache: org:{orgId}:projects ttl: medium
-- habits: select_star, unbounded
-- param organization_id: projects.organization_id
select *
from projects
where organization_id = :organization_id;

-- name: projects_of_org_by_status
-- what: The projects of an organization in one status, the nearest deadline first.
-- weight: 8
-- claim: Organization projects
-- param organization_id: projects.organization_id
-- param status: select status from projects
--     where organization_id = :organization_id
--     group by status
--     order by count(*) desc, status limit 3
select id, name, slug, priority, manager_id, due_date
from projects
where organization_id = :organization_id
    and status = :status
order by due_date
limit 50;

-- name: projects_of_org_status_newest
-- what: The projects of an organization in one status, the newest first, without a limit.
-- weight: 4
-- claim: Organization projects
-- habits: select_star, unbounded
-- param organization_id: projects.organization_id
-- param status: select status from projects
--     where organization_id = :organization_id
--     group by status
--     order by count(*) desc, status limit 3
select *
from projects
where organization_id = :organization_id
    and status = :status
order by created_at desc;

-- name: projects_of_org_open_by_due
-- what: The open work of an organization by deadline, work without one last.
-- weight: 6
-- claim: Organization projects
-- param organization_id: projects.organization_id
select id, name, status, priority, manager_id, due_date
from projects
where organization_id = :organization_id
    and status in ('planning', 'active', 'on-hold')  -- open: neither done nor called off
order by due_date nulls last
limit 50;

-- name: projects_of_org_due_window
-- what: The active projects of an organization that are due between two days.
-- weight: 2
-- param organization_id: projects.organization_id
-- param due_from: one of 2025-10-12 | 2025-10-12 | 2025-10-12 | 2035-01-01
-- param due_until: one of 2026-04-10 | 2025-11-11 | 2025-10-19 | 2035-01-31
select id, name, priority, manager_id, due_date
from projects
where organization_id = :organization_id
    and status = 'active'
    and due_date between :due_from::date and :due_until::date
order by due_date;

-- name: projects_of_member_page
-- what: One page of the projects that a person works on, all columns.
-- weight: 20
-- cache: user:{userId}:projects ttl: medium
-- habits: select_star, offset
-- param user_id: project_members.user_id
-- param offset: select count(*) / 100 * 50 from project_members
--     where user_id = :user_id
select
    projects.*,
    organizations.name as organization_name,
    manager.name as manager_name,
    client.name as client_name,
    project_members.role as own_role
from projects
join project_members on project_members.project_id = projects.id
join organizations on projects.organization_id = organizations.id
join users as manager on projects.manager_id = manager.id
left join users as client on projects.client_id = client.id
where project_members.user_id = :user_id
    and project_members.is_active = true
order by projects.created_at desc
limit 50 offset :offset;

-- name: projects_of_member_filtered
-- what: The projects that a person works on, in one organization and one status.
-- weight: 6
-- habits: offset
-- param user_id: project_members.user_id
-- param organization_id: select projects.organization_id
--     from project_members
--     join projects on projects.id = project_members.project_id
--     where project_members.user_id = :user_id
--     group by projects.organization_id
--     order by count(*) desc, projects.organization_id limit 1
-- param status: select projects.status
--     from project_members
--     join projects on projects.id = project_members.project_id
--     where project_members.user_id = :user_id
--         and projects.organization_id = :organization_id
--     group by projects.status
--     order by count(*) desc, projects.status limit 1
-- param offset: select count(*) / 100 * 50 from project_members
--     where user_id = :user_id
select
    projects.id,
    projects.name,
    projects.status,
    projects.priority,
    projects.due_date,
    organizations.name as organization_name,
    users.name as manager_name,
    project_members.role as own_role
from projects
join project_members on project_members.project_id = projects.id
join organizations on projects.organization_id = organizations.id
join users on projects.manager_id = users.id
where project_members.user_id = :user_id
    and project_members.is_active = true
    and projects.organization_id = :organization_id
    and projects.status = :status
order by projects.created_at desc
limit 50 offset :offset;

-- name: projects_managed_or_member
-- what: The projects a person manages or works on, with head counts.
-- weight: 12
-- habits: select_star, offset, cte, or_condition, exists
-- param user_id: project_members.user_id
-- param seen_at: one of 2025-10-12 12:00+00 | 2025-10-05 12:00+00 | 2025-10-12 09:00+00
-- param offset: select count(*) / 100 * 50 from project_members
--     where user_id = :user_id
with member_counts as (
    select project_id, count(*) as member_count
    from project_members
    group by project_id
)
select distinct
    projects.*,
    organizations.name as organization_name,
    users.name as manager_name,
    teams.name as team_name,
    coalesce(member_counts.member_count, 0) as member_count
from projects
left join organizations on projects.organization_id = organizations.id
left join users on projects.manager_id = users.id
left join teams on projects.team_id = teams.id
left join member_counts on member_counts.project_id = projects.id
where (
        projects.manager_id = :user_id
        or exists (
            select 1
            from project_members
            where project_members.project_id = projects.id
                and project_members.user_id = :user_id
        )
    )
    and projects.created_at <= :seen_at::timestamptz  -- later pages do not shift
order by projects.updated_at desc
limit 50 offset :offset;

-- name: projects_managed_or_member_union
-- what: The projects a person manages or works on, each half asked for on its own.
-- weight: 2
-- habits: union
-- param user_id: project_members.user_id
select id, name, status, priority, due_date, updated_at
from projects
where manager_id = :user_id
union
select
    projects.id,
    projects.name,
    projects.status,
    projects.priority,
    projects.due_date,
    projects.updated_at
from projects
join project_members on project_members.project_id = projects.id
where project_members.user_id = :user_id
order by updated_at desc
limit 50;

-- name: projects_managed_by
-- what: Every project that a person manages, the newest first.
-- weight: 3
-- param user_id: projects.manager_id
select id, name, slug, status, priority, due_date, created_at
from projects
where manager_id = :user_id
order by created_at desc;

-- name: projects_managed_open_count
-- what: How many projects count against the quota of a manager.
-- weight: 3
-- param user_id: projects.manager_id
select count(*) as project_count
from projects
where manager_id = :user_id
    and status <> 'cancelled';

-- name: projects_of_client
-- what: One page of the projects that a client ordered, the last changed first.
-- weight: 5
-- habits: offset
-- param client_id: projects.client_id
-- param offset: select count(*) / 40 * 20 from projects
--     where client_id = :client_id
select id, name, status, service_category, service_tier, due_date, updated_at
from projects
where client_id = :client_id
order by updated_at desc
limit 20 offset :offset;

-- name: projects_of_client_search
-- what: The projects of a client whose name or description holds what was typed.
-- weight: 1
-- habits: leading_wildcard_like, or_condition
-- param client_id: projects.client_id
-- param fragment: one of an | winter | aurelian | xylofon
select
    projects.id,
    projects.name,
    projects.description,
    projects.status,
    users.name as client_name,
    projects.updated_at
from projects
left join users on projects.client_id = users.id
where projects.client_id = :client_id
    and (
        projects.name ilike '%' || :fragment || '%'
        or projects.description ilike '%' || :fragment || '%'
    )
order by projects.updated_at desc
limit 20;

-- name: projects_changed_since
-- what: What changed in the projects of a client since the last digest.
-- weight: 1
-- param client_id: projects.client_id
-- param since: one of 2025-07-12 12:00+00 | 2025-09-12 12:00+00 | 2025-10-05 12:00+00
select id, name, status, due_date, updated_at
from projects
where client_id = :client_id
    and updated_at > :since::timestamptz
order by updated_at desc
limit 10;

-- name: projects_of_team
-- what: The projects given to a team, by deadline.
-- weight: 3
-- param team_id: projects.team_id
select id, name, status, priority, manager_id, due_date
from projects
where team_id = :team_id
order by due_date nulls last;

-- name: projects_by_status
-- what: The hundred projects of the platform in one status that changed last.
-- weight: 0.5
-- habits: low_selectivity
-- param status: one of completed | planning | cancelled | archived
select id, name, organization_id, manager_id, due_date, updated_at
from projects
where status = :status
order by updated_at desc
limit 100;

-- name: projects_not_cancelled_recent
-- what: The default feed of projects, with a head count asked for row by row.
-- weight: 6
-- habits: select_star, correlated_subquery
select
    projects.*,
    organizations.name as organization_name,
    users.name as manager_name,
    teams.name as team_name,
    (
        select count(*)
        from project_members
        where project_members.project_id = projects.id
    ) as member_count
from projects
left join organizations on projects.organization_id = organizations.id
left join users on projects.manager_id = users.id
left join teams on projects.team_id = teams.id
where projects.status <> 'cancelled'
order by projects.updated_at desc
limit 100;

-- name: projects_null_or_not_cancelled
-- what: The same feed for integrations, which also puts up with a missing status.
-- weight: 2
-- habits: select_star, or_condition
select
    projects.*,
    users.name as manager_name,
    users.email as manager_email
from projects
left join users on projects.manager_id = users.id
where (
        projects.status is null  -- never: the column is not null
        or projects.status <> 'cancelled'
    )
order by projects.updated_at desc nulls last
limit 100;

-- name: projects_urgent_open
-- what: Urgent work in progress on the whole platform, by deadline.
-- weight: 1
select id, name, organization_id, manager_id, due_date
from projects
where priority = 'urgent'
    and status = 'active'
order by due_date nulls last
limit 50;

-- name: projects_priority_counts_of_org
-- what: How the projects of an organization split by priority.
-- weight: 1
-- param organization_id: projects.organization_id
select priority, count(*) as project_count
from projects
where organization_id = :organization_id
group by priority;

-- name: projects_high_priority_of_manager
-- what: The pressing projects of a manager, by deadline.
-- weight: 2
-- param user_id: projects.manager_id
select id, name, status, priority, due_date
from projects
where manager_id = :user_id
    and priority in ('high', 'urgent')
order by due_date nulls last;

-- name: projects_due_soon
-- what: Unfinished projects of the platform that are due within so many days.
-- weight: 0.5
-- param days: one of 90 | 30 | 7 | 0
select id, name, organization_id, manager_id, status, due_date
from projects
where due_date between :today::date and :today::date + :days::int
    and status not in ('completed', 'cancelled')  -- still to be done
order by due_date nulls last
limit 100;

-- name: projects_overdue
-- what: Every unfinished project whose deadline has passed.
-- weight: 0.3
select id, name, organization_id, manager_id, status, due_date
from projects
where due_date < :today::date
    and status not in ('completed', 'cancelled')  -- still to be done
order by due_date nulls last;

-- name: projects_by_due_page
-- what: One page of all projects by deadline, all columns.
-- weight: 0.5
-- habits: select_star, offset
-- param offset: one of 0 | 50 | 500 | 5000
select *
from projects
order by due_date nulls last
limit 50 offset :offset;

-- name: projects_newest
-- what: The twenty latest projects of the platform.
-- weight: 0.5
select id, name, organization_id, manager_id, status, created_at
from projects
order by created_at desc
limit 20;

-- name: projects_created_in_month_text
-- what: The projects begun in October 2025, found by turning each time into text.
-- weight: 0.05
-- habits: implicit_cast, function_on_column
select id, name, organization_id, project_type, created_at
from projects
where created_at::text like '2025-10%';

-- name: projects_tag_contains
-- what: The newest projects that carry a tag.
-- weight: 2
-- habits: array_contains
-- param tag: select tag from (
--         select tag, place
--         from (
--             select tag,
--                 row_number() over (order by count(*) desc, tag) as place,
--                 count(*) over () as places
--             from projects
--             cross join unnest(tags) as tag
--             group by tag
--         ) ranked
--         where place in (1, (places + 1) / 2, places)
--         union all
--         select 'xylofon', null
--     ) terms
--     order by place nulls last
select id, name, organization_id, tags, created_at
from projects
where tags @> array[:tag]
order by created_at desc
limit 50;

-- name: projects_tag_overlap
-- what: The projects of an organization that carry either of two tags.
-- weight: 1
-- habits: array_overlap
-- param organization_id: projects.organization_id
-- param tag: select tag
--     from projects
--     cross join unnest(tags) as tag
--     where organization_id = :organization_id
--     group by tag
--     order by count(*) desc, tag limit 3
-- param other_tag: one of drill | guard | quickstep | xylofon
select id, name, status, tags
from projects
where tags && array[:tag, :other_tag]
    and organization_id = :organization_id;

-- name: projects_tag_any_scalar
-- what: The projects that carry a tag, written so that no index on the tags can serve.
-- weight: 0.5
-- habits: any_array
-- param tag: select tag from (
--         select tag, place
--         from (
--             select tag,
--                 row_number() over (order by count(*) desc, tag) as place,
--                 count(*) over () as places
--             from projects
--             cross join unnest(tags) as tag
--             group by tag
--         ) ranked
--         where place in (1, (places + 1) / 2, places)
--         union all
--         select 'xylofon', null
--     ) terms
--     order by place nulls last
select id, name, organization_id, tags
from projects
where :tag = any(tags);

-- name: projects_tag_counts
-- what: The tag cloud of an organization.
-- weight: 1
-- param organization_id: projects.organization_id
select tag, count(*) as project_count
from projects
cross join unnest(projects.tags) as tag
where projects.organization_id = :organization_id
group by tag
order by count(*) desc
limit 30;

-- name: projects_templates_of_org
-- what: The gallery of project templates of an organization.
-- weight: 1
-- param organization_id: select organization_id from (
--         select organization_id,
--             row_number() over (order by count(*) desc, organization_id) as place,
--             count(*) over () as places
--         from projects
--         where is_template
--         group by organization_id
--     ) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
select id, name, description, service_category, project_type, estimated_hours
from projects
where organization_id = :organization_id
    and is_template = true
order by name;

-- name: projects_from_template
-- what: The projects that were copied from a template.
-- weight: 0.2
-- param template_id: projects.template_id
select id, name, organization_id, status, created_at
from projects
where template_id = :template_id;

-- name: project_slug_taken
-- what: Whether the short name of a project is still free in its organization.
-- weight: 1
-- param organization_id: projects.organization_id
-- param slug: select slug from projects
--     where organization_id = :organization_id
--     order by created_at, id limit 1
select id
from projects
where organization_id = :organization_id
    and slug = :slug;

-- name: projects_by_offering
-- what: The newest projects of one service line, tier and kind of ensemble.
-- weight: 0.5
-- param service_category: projects.service_category
-- param service_tier: select service_tier from projects
--     where service_category = :service_category
--     group by service_tier
--     order by count(*) desc, service_tier
--     limit 3
-- param ensemble_type: select ensemble_type from projects
--     where service_category = :service_category
--         and service_tier = :service_tier
--     group by ensemble_type
--     order by count(*) desc, ensemble_type
--     limit 3
select id, name, organization_id, project_type, status, budget, created_at
from projects
where service_category = :service_category
    and service_tier = :service_tier
    and ensemble_type = :ensemble_type
order by created_at desc
limit 50;

-- name: projects_metadata_contains
-- what: The projects whose metadata document holds a given entry.
-- weight: 0.2
-- habits: jsonb
-- param entry: select entry::text from (
--         select entry, row_number() over (order by found desc, entry) as place
--         from (
--             select jsonb_build_object(key, value) as entry, count(*) as found
--             from projects
--             cross join jsonb_each(metadata)
--             where jsonb_typeof(metadata) = 'object'
--             group by key, value
--             order by count(*) desc, key, value
--             limit 3
--         ) frequent
--         union all
--         select '{"xylofon": true}'::jsonb, 4
--     ) ranked
--     order by place
select id, name, organization_id, metadata
from projects
where metadata @> :entry::jsonb;

-- name: projects_search_fulltext
-- what: The best matches for a word among the projects a person manages or works on.
-- weight: 3
-- habits: leading_wildcard_like, or_condition, full_text
-- param user_id: project_members.user_id
-- param term: one of guard | winter | aurelian | xylofonist
select
    id,
    name,
    status,
    ts_rank(
        to_tsvector('english', coalesce(name, '') || ' ' || coalesce(description, '')),
        plainto_tsquery('english', :term)
    ) as rank
from projects
where (
        to_tsvector('english', coalesce(name, '') || ' ' || coalesce(description, ''))
            @@ plainto_tsquery('english', :term)
        or name ilike '%' || :term || '%'
    )
    and (
        manager_id = :user_id
        or id in (
            select project_id
            from project_members
            where user_id = :user_id
        )
    )
order by rank desc
limit 20;

-- name: project_members_list
-- what: The people who work on a project, with the cards that show them.
-- weight: 12
-- cache: project:{projectId}:members ttl: medium
-- param project_id: project_members.project_id
select
    users.id,
    users.name,
    users.email,
    users.avatar_url,
    project_members.role,
    project_members.joined_at
from project_members
join users on project_members.user_id = users.id
where project_members.project_id = :project_id
    and project_members.is_active = true
order by project_members.joined_at;

-- name: project_member_role_check
-- what: The role of a person in a project, asked for by every guarded request.
-- weight: 45
-- param project_id: project_members.project_id
-- param user_id: select user_id from project_members
--     where project_id = :project_id
--         and is_active
--     order by joined_at, user_id limit 1
select role
from project_members
where project_id = :project_id
    and user_id = :user_id
    and is_active = true
limit 1;

-- name: project_access_union
-- what: Whether a person may enter a project, as its member or as its manager.
-- weight: 20
-- habits: union
-- param project_id: project_members.project_id
-- param user_id: select user_id from project_members
--     where project_id = :project_id
--     order by joined_at, user_id limit 1
select project_id
from project_members
where project_id = :project_id
    and user_id = :user_id
union
select id
from projects
where id = :project_id
    and manager_id = :user_id;

-- name: projects_manageable_subset
-- what: Which of the chosen projects a person may change in one go.
-- weight: 0.3
-- habits: or_condition, exists, any_array
-- param user_id: projects.manager_id
-- param project_ids: select array_agg(id order by id) from (
--         select id from projects
--         order by (manager_id = :user_id) desc, id
--         limit 20
--     ) chosen
select id
from projects
where id = any(:project_ids::uuid[])
    and (
        manager_id = :user_id
        or exists (
            select 1
            from project_members
            where project_members.project_id = projects.id
                and project_members.user_id = :user_id
                and project_members.role = 'manager'
        )
    );

-- name: project_managers_all
-- what: Everyone who holds the role of a manager in some project, and in how many.
-- weight: 0.1
select users.id, users.name, count(*) as project_count
from project_members
join users on project_members.user_id = users.id
where project_members.role = 'manager'
group by users.id, users.name;

-- name: project_active_membership_count
-- what: How many project memberships are active on the platform.
-- weight: 0.05
-- habits: low_selectivity
select count(*) as membership_count
from project_members
where is_active = true;

-- name: project_collaborator_count
-- what: How many different people work on the projects of a manager.
-- weight: 1
-- habits: count_distinct
-- param user_id: projects.manager_id
select count(distinct project_members.user_id) as collaborator_count
from project_members
join projects on project_members.project_id = projects.id
where projects.manager_id = :user_id
    and project_members.user_id <> :user_id;

-- name: project_milestones_list
-- what: The milestones of a project in their order, all columns.
-- weight: 10
-- cache: project:{projectId}:milestones ttl: medium
-- habits: select_star
-- param project_id: project_milestones.project_id
select *
from project_milestones
where project_id = :project_id
order by order_index;

-- name: milestones_due_soon
-- what: The open milestones of the coming week, with the names of their projects.
-- weight: 0.5
select
    project_milestones.id,
    project_milestones.name,
    projects.name as project_name,
    project_milestones.assigned_to,
    project_milestones.due_date
from project_milestones
join projects on project_milestones.project_id = projects.id
where project_milestones.due_date between :today::date and :today::date + 7
    and project_milestones.completed_at is null  -- still open
order by project_milestones.due_date nulls last
limit 100;

-- name: milestones_assigned_overdue
-- what: The milestones that a person should have reached by now.
-- weight: 2
-- param user_id: project_milestones.assigned_to
select id, project_id, name, due_date
from project_milestones
where assigned_to = :user_id
    and completed_at is null  -- still open
    and due_date < :today::date;

-- name: milestones_completed_recently
-- what: The milestones reached in the last days, the latest first.
-- weight: 0.5
-- param window: one of 30 days | 7 days | 1 day | 1 minute
select id, project_id, name, assigned_to, completed_at
from project_milestones
where completed_at >= :now::timestamptz - :window::interval
order by completed_at desc
limit 50;

-- name: milestone_progress_of_org
-- what: How far each project of an organization has come, in milestones.
-- weight: 2
-- param organization_id: projects.organization_id
select
    projects.id,
    count(*) filter (where project_milestones.completed_at is not null) as done_count,
    count(*) as milestone_count
from project_milestones
join projects on project_milestones.project_id = projects.id
where projects.organization_id = :organization_id
group by projects.id;

-- name: milestone_next_per_project
-- what: The next open milestone of each project of an organization.
-- weight: 2
-- habits: lateral
-- param organization_id: projects.organization_id
select
    projects.id,
    projects.name,
    upcoming.name as milestone_name,
    upcoming.due_date as milestone_due_date
from projects
left join lateral (
    select project_milestones.name, project_milestones.due_date
    from project_milestones
    where project_milestones.project_id = projects.id
        and project_milestones.completed_at is null  -- still open
    order by project_milestones.due_date
    limit 1
) upcoming on true
where projects.organization_id = :organization_id;

-- name: milestones_one_by_one
-- what: The milestones of one project, asked for again for every project of a list.
-- weight: 25
-- habits: select_star, n_plus_1
-- param project_id: project_milestones.project_id
select *
from project_milestones
where project_id = :project_id;

-- name: project_insert
-- what: Create a project.
-- weight: 0.5
-- param organization_id: select organization_id from (
--         select organization_id,
--             row_number() over (order by count(*) desc, organization_id) as place,
--             count(*) over () as places
--         from projects
--         group by organization_id
--     ) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param manager_id: select manager_id from projects
--     where organization_id = :organization_id
--     order by created_at, id limit 1
-- param client_id: select id from users
--     where user_type = 'client'
--     order by created_at, id limit 3
-- param project_name: one of Lab field show | Lab winter show | Lab parade
-- param due_date: one of 2026-02-14 | 2026-04-11 | 2026-09-05
-- param tags: one of {drill,winter} | {drill} | {}
insert into projects (
    name,
    slug,
    organization_id,
    manager_id,
    client_id,
    project_type,
    service_category,
    service_tier,
    ensemble_type,
    due_date,
    tags
)
values (
    :project_name,
    'lab-' || gen_random_uuid(),
    :organization_id,
    :manager_id,
    :client_id,
    'drill-design',
    'performance-design',
    'premium',
    'marching-band',
    :due_date::date,
    :tags::text[]
)
returning id, slug, status, created_at;

-- name: project_member_upsert
-- what: Add a person to a project, or take her back with a new role.
-- weight: 0.5
-- habits: upsert
-- param project_id: select project_id from (
--         select project_id,
--             row_number() over (order by count(*) desc, project_id) as place,
--             count(*) over () as places
--         from project_members
--         group by project_id
--     ) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param user_id: select id from (
--         select user_id as id, 1 as place
--         from project_members
--         where project_id = :project_id
--         union all
--         select id, 2
--         from users
--         where id not in (
--             select user_id from project_members where project_id = :project_id
--         )
--     ) candidates
--     order by row_number() over (partition by place order by id), place
--     limit 2
-- param role: one of contributor | viewer | reviewer
insert into project_members (project_id, user_id, role, is_active)
values (:project_id, :user_id, :role, true)
on conflict (project_id, user_id) do update
set role = excluded.role,
    is_active = excluded.is_active;

-- name: project_update_status
-- what: Move a project to another status.
-- weight: 1.5
-- param status: one of active | completed | on-hold
-- param project_id: select id from projects
--     where status <> :status
--     order by id limit 3
update projects
set status = :status
where id = :project_id
returning id, status, updated_at;

-- name: project_update_details
-- what: Save the form in which several fields of a project are edited.
-- weight: 2
-- param project_id: projects.id
-- param project_name: one of Lab field show | Lab winter show | Lab parade
-- param priority: one of medium | high | urgent
-- param due_date: one of 2026-02-14 | 2026-04-11 | 2026-09-05
-- param tags: one of {drill,winter} | {drill} | {}
update projects
set name = :project_name,
    description = 'As agreed with the ensemble.',
    priority = :priority,
    due_date = :due_date::date,
    tags = :tags::text[]
where id = :project_id
returning id, name, description, priority, due_date, tags, updated_at;

-- name: projects_bulk_update
-- what: Give many projects the same priority.
-- weight: 0.1
-- habits: any_array, bulk
-- param priority: one of high | urgent | low
-- param project_ids: select array_agg(id order by id) from (
--         select id, row_number() over (order by id) as place
--         from projects
--         where priority <> :priority
--     ) listed
--     cross join (values (50), (20), (1)) as lists (length)
--     where place <= length
--     group by length
--     order by length desc
update projects
set priority = :priority
where id = any(:project_ids::uuid[]);

-- name: project_delete
-- what: Delete a project for good, with its members, milestones, files and channels.
-- weight: 0.05
-- habits: cascade
-- param project_id: select id from (
--         -- Few messages: with no index on messages.reply_to_id, the foreign key
--         -- looks through all messages for each one that falls.
--         select free.id, (
--             select count(*)
--             from conversations
--             join messages on messages.conversation_id = conversations.id
--             where conversations.project_id = free.id
--         ) as message_count
--         from (
--             select id
--             from projects
--             where not exists (
--                     select 1 from invoices where project_id = projects.id
--                 )
--                 and not exists (
--                     select 1 from time_entries where project_id = projects.id
--                 )
--                 and not exists (
--                     select 1 from portfolio_items where project_id = projects.id
--                 )
--                 and not exists (
--                     select 1 from projects as copy where copy.template_id = projects.id
--                 )
--                 and not exists (
--                     select 1
--                     from files as original
--                     join files as revision on revision.parent_file_id = original.id
--                     where original.project_id = projects.id
--                         and revision.project_id is distinct from original.project_id
--                 )
--             order by id limit 30
--         ) free
--         order by message_count, free.id limit 3
--     ) quiet
--     order by message_count desc, id
delete from projects
where id = :project_id;

-- name: milestone_complete
-- what: Close a milestone.
-- weight: 1
-- param milestone_id: select id from project_milestones
--     where completed_at is null
--     order by due_date nulls last, id limit 3
update project_milestones
set completed_at = now()
where id = :milestone_id;

-- name: milestones_reorder
-- what: Write the new places of three milestones that were dragged.
-- weight: 0.2
-- habits: bulk
-- param project_id: select project_id from (
--         select project_id,
--             row_number() over (order by count(*) desc, project_id) as place,
--             count(*) over () as places
--         from project_milestones
--         group by project_id
--         having count(*) >= 3
--     ) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param first_id: select id from project_milestones
--     where project_id = :project_id
--     order by order_index, id limit 1
-- param second_id: select id from project_milestones
--     where project_id = :project_id
--     order by order_index, id limit 1 offset 1
-- param third_id: select id from project_milestones
--     where project_id = :project_id
--     order by order_index, id limit 1 offset 2
update project_milestones
set order_index = places.place
from (
    values (:second_id::uuid, 0), (:third_id::uuid, 1), (:first_id::uuid, 2)
) as places (id, place)
where project_milestones.id = places.id
    and project_milestones.project_id = :project_id;

-- name: project_recompute_hours
-- what: Add up the hours worked on a project and keep the sum with it.
-- weight: 0.3
-- habits: update_from
-- param project_id: select project_id from (
--         select project_id,
--             row_number() over (order by count(*) desc, project_id) as place,
--             count(*) over () as places
--         from time_entries
--         group by project_id
--     ) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
update projects
set actual_hours = tracked.hours
from (
    select project_id, round(sum(hours))::int as hours
    from time_entries
    group by project_id
) tracked
where projects.id = tracked.project_id
    and projects.id = :project_id;
