-- Queries of the area "teams": groups of people inside an organization.

-- name: teams_all_unbounded
-- what: Every team of the platform at once, newest first.
-- weight: 0.3
-- habits: select_star, unbounded
select *
from teams
order by created_at desc;

-- name: team_by_id
-- what: The page of a team, all columns.
-- weight: 5
-- habits: select_star
-- param team_id: teams.id
select *
from teams
where id = :team_id;

-- name: teams_of_org
-- what: The teams of an organization, by name.
-- weight: 5
-- param organization_id: teams.organization_id
select id, name, slug, lead_id, is_private
from teams
where organization_id = :organization_id
order by name;

-- name: team_by_org_and_slug
-- what: The team that an address of the site names inside its organization.
-- weight: 3
-- param organization_id: teams.organization_id
-- param slug: select slug from teams
--     where organization_id = :organization_id
--     order by slug limit 1
select id, name, description, lead_id, is_private
from teams
where organization_id = :organization_id
    and slug = :slug
limit 1;

-- name: teams_by_slug_any_org
-- what: The teams of this short name, whichever organization they belong to.
-- weight: 0.2
-- param slug: teams.slug
select id, name, organization_id
from teams
where slug = :slug;

-- name: teams_led_by_user
-- what: The teams that somebody leads.
-- weight: 1
-- param user_id: teams.lead_id
select id, name, slug, organization_id
from teams
where lead_id = :user_id;

-- name: user_teams
-- what: The teams in which somebody is active, for the sidebar.
-- weight: 12
-- cache: user:{userId}:teams ttl: long
-- param user_id: team_members.user_id
select teams.id, teams.name, teams.slug, teams.organization_id, team_members.role
from teams
join team_members on teams.id = team_members.team_id
where team_members.user_id = :user_id
    and team_members.is_active = true
order by teams.name;

-- name: team_access_check
-- what: Whether the person who asks is a member of the team or leads it.
-- weight: 6
-- habits: or_condition
-- param team_id: team_members.team_id
-- param user_id: select user_id from team_members
--     where team_id = :team_id
--     order by user_id limit 1
select teams.id, team_members.role
from teams
left join team_members on team_members.team_id = teams.id
    and team_members.user_id = :user_id
where teams.id = :team_id
    and (team_members.user_id is not null or teams.lead_id = :user_id)  -- member or lead
limit 1;

-- name: team_roster
-- what: The active members of a team with name and picture, in the order they joined.
-- weight: 4
-- param team_id: team_members.team_id
select
    team_members.user_id,
    team_members.role,
    team_members.joined_at,
    users.name,
    users.avatar_url
from team_members
join users on team_members.user_id = users.id
where team_members.team_id = :team_id
    and team_members.is_active = true
order by team_members.joined_at;

-- name: team_leads_all
-- what: Everybody on the platform who leads a team.
-- weight: 0.02
select team_members.team_id, users.id as user_id, users.name, users.email
from team_members
join users on team_members.user_id = users.id
where team_members.role = 'lead';

-- name: team_active_membership_count
-- what: How many team memberships are active across the platform.
-- weight: 0.05
-- habits: low_selectivity
select count(*) as active_memberships
from team_members
where is_active = true;

-- name: teams_visible_to_user
-- what: The teams of an organization that somebody may see: the open ones and her own.
-- weight: 3
-- habits: or_condition, exists
-- param organization_id: teams.organization_id
-- param user_id: select team_members.user_id
--     from teams
--     join team_members on team_members.team_id = teams.id
--     where teams.organization_id = :organization_id
--     order by teams.is_private desc, team_members.user_id limit 1
select id, name, slug, is_private
from teams
where organization_id = :organization_id
    and (
        is_private = false
        or exists (
            select 1
            from team_members
            where team_members.team_id = teams.id
                and team_members.user_id = :user_id
        )
    )
order by name;

-- name: teams_with_member_counts
-- what: The teams of an organization, each with its size.
-- weight: 2
-- param organization_id: teams.organization_id
select teams.id, teams.name, teams.slug, count(team_members.id) as members
from teams
left join team_members on team_members.team_id = teams.id
where teams.organization_id = :organization_id
group by teams.id;

-- name: team_member_one_by_one
-- what: The size of one team, asked again for every team of a list.
-- weight: 12
-- habits: n_plus_1
-- param team_id: team_members.team_id
select count(*) as members
from team_members
where team_id = :team_id;

-- name: team_insert
-- what: Opens a team in an organization.
-- weight: 0.1
-- param organization_id: select organization_id
--     from (select organization_id,
--         row_number() over (order by count(*) desc, organization_id) as place,
--         count(*) over () as total from teams group by organization_id) ranked
--     where place in (1, (total + 1) / 2, total)
--     order by place
-- param lead_id: select created_by from organizations
--     where id = :organization_id
-- param name: one of Lab Color Guard | Lab Drumline | Lab Front Ensemble
insert into teams (name, slug, organization_id, lead_id)
values (
    :name,
    'lab-' || gen_random_uuid(),  -- unique inside the organization
    :organization_id,
    :lead_id
)
returning id, name, slug, created_at;

-- name: team_member_upsert
-- what: Adds somebody to a team, or brings a former member back.
-- weight: 0.3
-- habits: upsert
-- param team_id: select team_id
--     from (select team_id, row_number() over (order by count(*) desc, team_id) as place,
--         count(*) over () as total from team_members group by team_id) ranked
--     where place in (1, (total + 1) / 2, total)
--     order by place
-- param user_id: select user_id
--     from (
--         (select 1 as place, user_id from team_members
--             where team_id = :team_id
--             order by is_active, user_id limit 1)
--         union all
--         (select 2, organization_members.user_id
--             from teams
--             join organization_members
--                 on organization_members.organization_id = teams.organization_id
--             where teams.id = :team_id
--                 and not exists (select 1 from team_members
--                     where team_id = :team_id
--                         and team_members.user_id = organization_members.user_id)
--             order by organization_members.user_id limit 1)
--     ) picks
--     order by place
-- param role: one of member | lead | viewer
insert into team_members (team_id, user_id, role, is_active)
values (:team_id, :user_id, :role, true)
on conflict (team_id, user_id) do update
set role = excluded.role,
    is_active = true;

-- name: team_member_deactivate
-- what: Takes somebody off a team and keeps the row.
-- weight: 0.1
-- param team_id: team_members.team_id
-- param user_id: select user_id from team_members
--     where team_id = :team_id
--     order by is_active desc, user_id limit 1
update team_members
set is_active = false
where team_id = :team_id
    and user_id = :user_id;
