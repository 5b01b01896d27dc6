-- Queries of the area "organizations": who pays, who belongs to whom, and on which plan.

-- name: org_by_id
-- what: The page of an organization, all columns.
-- weight: 15
-- cache: org:{orgId} ttl: long
-- habits: select_star
-- param organization_id: organizations.id
select *
from organizations
where id = :organization_id;

-- name: org_by_slug
-- what: The organization named in an address of the site.
-- weight: 12
-- cache: org:{orgId} ttl: long
-- habits: select_star
-- param slug: organizations.slug
select *
from organizations
where slug = :slug;

-- name: org_slug_exists
-- what: Whether a short name is taken, asked while the form is filled in.
-- weight: 0.2
-- param slug: organizations.slug
select id
from organizations
where slug = :slug;

-- name: org_for_member
-- what: The page of an organization, if the person who asks is an active member.
-- weight: 8
-- habits: select_star
-- param organization_id: organization_members.organization_id
-- param user_id: select user_id from organization_members
--     where organization_id = :organization_id
--         and is_active = true
--     order by user_id limit 1
select organizations.*, organization_members.role as member_role
from organizations
join organization_members on organizations.id = organization_members.organization_id
where organizations.id = :organization_id
    and organization_members.user_id = :user_id
    and organization_members.is_active = true;

-- name: user_organizations
-- what: The organizations to switch between, for one person.
-- weight: 15
-- cache: user:{userId}:organizations ttl: long
-- habits: select_star
-- param user_id: organization_members.user_id
select organizations.*, organization_members.role as member_role
from organizations
join organization_members on organizations.id = organization_members.organization_id
where organization_members.user_id = :user_id
    and organization_members.is_active = true
order by organizations.name;

-- name: orgs_owned_by_user
-- what: The organizations that somebody founded, newest first.
-- weight: 1
-- param user_id: organizations.created_by
select id, name, slug, subscription_tier, created_at
from organizations
where created_by = :user_id
order by created_at desc;

-- name: orgs_owned_count
-- what: How many organizations somebody founded, before one more is allowed.
-- weight: 0.2
-- param user_id: organizations.created_by
select count(*) as owned
from organizations
where created_by = :user_id;

-- name: org_members_list
-- what: The members of an organization with name and picture, in the order they joined.
-- weight: 8
-- cache: org:{orgId}:members ttl: medium
-- param organization_id: organization_members.organization_id
select
    organization_members.user_id,
    organization_members.role,
    organization_members.joined_at,
    users.name,
    users.email,
    users.avatar_url
from organization_members
join users on organization_members.user_id = users.id
where organization_members.organization_id = :organization_id
    and organization_members.is_active = true
order by organization_members.joined_at;

-- name: org_member_role
-- what: What one member may do, asked before many an action.
-- weight: 30
-- param organization_id: organization_members.organization_id
-- param user_id: select user_id from organization_members
--     where organization_id = :organization_id
--     order by user_id limit 1
select role, permissions, is_active
from organization_members
where organization_id = :organization_id
    and user_id = :user_id
limit 1;

-- name: org_role_member_count
-- what: How many members of an organization hold a role.
-- weight: 0.3
-- param organization_id: organization_members.organization_id
-- param role: one of member | admin | owner | guest
select count(*) as members
from organization_members
where organization_id = :organization_id
    and role = :role;

-- name: org_owner_memberships_all
-- what: Every owner on the platform, for a letter to all of them.
-- weight: 0.02
-- habits: unbounded
select organization_members.organization_id, users.id as user_id, users.name, users.email
from organization_members
join users on organization_members.user_id = users.id
where organization_members.role = 'owner'
    and organization_members.is_active = true;

-- name: org_active_membership_count
-- what: How many memberships are active across all organizations.
-- weight: 0.05
-- habits: low_selectivity
select count(*) as active_memberships
from organization_members
where is_active = true;

-- name: org_members_search
-- what: Members of an organization whose name contains what was typed.
-- weight: 2
-- habits: leading_wildcard_like
-- param organization_id: organization_members.organization_id
-- param fragment: one of an | smith | quill | xylofon
select users.id, users.name, users.avatar_url, organization_members.role
from organization_members
join users on organization_members.user_id = users.id
where organization_members.organization_id = :organization_id
    and users.name ilike '%' || :fragment || '%'
order by users.name
limit 20;

-- name: orgs_by_tier
-- what: The first hundred organizations on one plan, by name.
-- weight: 0.1
-- param tier: one of free | professional | enterprise | unlimited
select id, name, slug, subscription_status, created_at
from organizations
where subscription_tier = :tier
order by name
limit 100;

-- name: orgs_paying_active
-- what: The organizations that pay and are not behind.
-- weight: 0.1
select id, name, subscription_tier, billing_email
from organizations
where subscription_tier <> 'free'
    and subscription_status = 'active';

-- name: orgs_tier_status_counts
-- what: How many organizations there are for every plan and status.
-- weight: 0.1
select subscription_tier, subscription_status, count(*) as organizations
from organizations
group by subscription_tier, subscription_status;

-- name: orgs_past_due
-- what: The organizations behind on payment, those left alone longest first.
-- weight: 0.05
select id, name, subscription_tier, billing_email, stripe_customer_id, updated_at
from organizations
where subscription_status = 'past_due'
order by updated_at;

-- name: org_by_stripe_customer
-- what: The organization that a message of the payment service is about.
-- weight: 0.3
-- param stripe_customer_id: organizations.stripe_customer_id
select id, name, subscription_tier, subscription_status
from organizations
where stripe_customer_id = :stripe_customer_id
limit 1;

-- name: org_stripe_id_by_id
-- what: Under which name the payment service knows an organization.
-- weight: 0.3
-- param organization_id: organizations.id
select stripe_customer_id
from organizations
where id = :organization_id;

-- name: orgs_paying_without_stripe
-- what: Organizations on a paid plan that the payment service does not know.
-- weight: 0.02
-- habits: partial_predicate_missing
select id, name, subscription_tier, billing_email
from organizations
where stripe_customer_id is null  -- the index holds only rows that have one
    and subscription_tier <> 'free';

-- name: orgs_search_name
-- what: A page of organizations whose name contains what an admin typed.
-- weight: 0.3
-- habits: leading_wildcard_like, offset
-- param fragment: one of an | smith | quill | xylofon
-- param offset: one of 0 | 20 | 0 | 0
select id, name, slug, type, subscription_tier
from organizations
where name ilike '%' || :fragment || '%'
order by name
limit 20 offset :offset;

-- name: orgs_directory_with_counts
-- what: A page of all organizations, each with its members, projects and files counted.
-- weight: 0.2
-- habits: correlated_subquery, offset
-- param offset: one of 0 | 50 | 100 | 5000
select
    organizations.id,
    organizations.name,
    organizations.slug,
    (
        select count(*)
        from organization_members
        where organization_members.organization_id = organizations.id
    ) as members,
    (
        select count(*)
        from projects
        where projects.organization_id = organizations.id
    ) as projects,
    (
        select count(*)
        from files
        where files.organization_id = organizations.id
    ) as files
from organizations
order by organizations.name
limit 50 offset :offset;

-- name: org_insert
-- what: Founds an organization.
-- weight: 0.1
-- param name: one of Lab High School | Lab University | Lab Independent
-- param description: one of Founded by a measurement and rolled back.
-- param type: one of high_school | university | independent
-- param user_id: select created_by
--     from (select created_by,
--         row_number() over (order by count(*) desc, created_by) as place,
--         count(*) over () as total from organizations group by created_by) ranked
--     where place in (1, (total + 1) / 2, total)
--     order by place
insert into organizations (name, slug, description, type, created_by)
values (
    :name,
    'lab-' || gen_random_uuid(),  -- slugs are unique
    :description,
    :type,
    :user_id
)
returning id, name, slug, created_at;

-- name: org_member_upsert
-- what: Lets somebody join an organization, or come back to it.
-- weight: 0.3
-- habits: upsert
-- param organization_id: select organization_id
--     from (select organization_id,
--         row_number() over (order by count(*) desc, organization_id) as place,
--         count(*) over () as total
--         from organization_members group by organization_id) ranked
--     where place in (1, (total + 1) / 2, total)
--     order by place
-- param user_id: select user_id
--     from (
--         (select 1 as place, user_id from organization_members
--             where organization_id = :organization_id
--             order by is_active, user_id limit 1)
--         union all
--         (select 2, id from users
--             where not exists (select 1 from organization_members
--                 where organization_id = :organization_id and user_id = users.id)
--             order by id limit 1)
--     ) picks
--     order by place
-- param role: one of member | admin | member
insert into organization_members (organization_id, user_id, role, is_active)
values (:organization_id, :user_id, :role, true)
on conflict (organization_id, user_id) do update
set role = excluded.role,
    is_active = true;

-- name: org_set_stripe_customer
-- what: Keeps the name under which the payment service knows an organization.
-- weight: 0.05
-- param organization_id: organizations.id
-- param stripe_customer_id: one of cus_Lab0000001 | cus_Lab0000002 | cus_Lab0000003
update organizations
set stripe_customer_id = :stripe_customer_id
where id = :organization_id;

-- name: org_merge_settings
-- what: Changes a few settings of an organization and leaves the others.
-- weight: 0.2
-- habits: jsonb
-- param organization_id: organizations.id
-- param changes: one of {"allow_guests": true} | {"locale": "en-GB"} | {}
update organizations
set settings = settings || :changes::jsonb
where id = :organization_id;
