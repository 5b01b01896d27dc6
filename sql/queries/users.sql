-- Queries of the area "users": accounts, sign-in, profiles.

-- name: user_by_id
-- what: A profile by primary key, all columns.
-- weight: 60
-- cache: user:{userId} ttl: medium
-- habits: select_star
-- param user_id: users.id
select *
from users
where id = :user_id;

-- name: user_by_email
-- what: The whole account behind an address, read when somebody signs in.
-- weight: 6
-- claim: User by email
-- cache: user:email:{email} ttl: medium
-- habits: select_star
-- param email: users.email
select *
from users
where email = :email;

-- name: user_login_active_by_email
-- what: The password hash to check, if the account behind an address is active.
-- weight: 6
-- claim: User by email
-- param email: users.email
select id, email, name, password_hash, user_type
from users
where email = :email
    and is_active = true;

-- name: user_email_exists
-- what: Whether an address is taken, asked while a newcomer types it.
-- weight: 0.5
-- claim: User by email
-- param email: users.email
select id
from users
where email = :email
limit 1;

-- name: user_by_email_lowered
-- what: The account behind an address, whatever its capitals.
-- weight: 0.5
-- habits: function_on_column, select_star
-- param email: users.email
select *
from users
where lower(email) = lower(:email);

-- name: user_by_oauth_identity
-- what: The account that belongs to an identity at Google or another provider.
-- weight: 4
-- param oauth_provider: users.oauth_provider
-- param oauth_id: select oauth_id from users
--     where oauth_provider = :oauth_provider
--     order by id limit 1
select id, email, name, user_type, avatar_url, is_active
from users
where oauth_provider = :oauth_provider
    and oauth_id = :oauth_id
limit 1;

-- name: user_by_email_or_oauth_id
-- what: The account that an incoming identity matches by its address or its foreign id.
-- weight: 0.5
-- habits: or_condition
-- param email: users.email
-- param oauth_id: select oauth_id from users
--     where email = :email
--         and oauth_id is not null
select id, email, oauth_provider, oauth_id
from users
where (email = :email or oauth_id = :oauth_id);

-- name: users_of_oauth_provider
-- what: The fifty newest accounts that came through one sign-in provider.
-- weight: 0.05
-- param oauth_provider: users.oauth_provider
select id, email, name, oauth_id, created_at
from users
where oauth_provider = :oauth_provider
order by created_at desc
limit 50;

-- name: users_oauth_provider_counts
-- what: How many accounts each sign-in provider has brought.
-- weight: 0.05
select oauth_provider, count(*) as accounts
from users
where oauth_provider is not null  -- the others have a password
group by oauth_provider;

-- name: users_active_all
-- what: Every active account at once, newest first, as the admin page loads them.
-- weight: 0.3
-- habits: select_star, unbounded
select *
from users
where is_active = true
order by created_at desc;

-- name: users_active_count
-- what: How many accounts are active, for a tile of the admin page.
-- weight: 0.2
-- habits: low_selectivity
select count(*) as active_users
from users
where is_active = true;

-- name: users_total_count
-- what: How many accounts there are, so that the admin list can number its pages.
-- weight: 0.4
select count(*) as total
from users;

-- name: users_admin_page_by_name
-- what: A page of the admin list in the order of names, without the admin who looks.
-- weight: 0.3
-- habits: offset
-- param user_id: select id from users
--     where user_type = 'admin'
--     order by id limit 1
-- param offset: one of 0 | 50 | 500 | 5000
select id, name, email, user_type, is_active, last_login, created_at
from users
where id <> :user_id  -- the admin who asks
order by name
limit 20 offset :offset;

-- name: users_newest_page_deep_offset
-- what: Page 401 of the admin list by join date, reached by counting rows off.
-- weight: 0.05
-- habits: deep_offset, select_star
select *
from users
order by created_at desc
limit 50 offset 20000;

-- name: users_newest_keyset
-- what: The next page of the list by join date, found from the last row already shown.
-- weight: 0.3
-- habits: keyset
-- param after_created_at: select created_at
--     from (select created_at,
--         row_number() over (order by created_at desc, id desc) as place,
--         count(*) over () as total from users) ranked
--     where place in (total / 10, total / 2, total - 1, total)
--     order by place
-- param after_id: select id from users
--     where created_at = :after_created_at
--     order by id desc limit 1
select id, email, name, user_type, created_at
from users
where (created_at, id) < (:after_created_at, :after_id)
order by created_at desc, id desc
limit 50;

-- name: users_search_name_or_email
-- what: People whose name or address contains what was typed so far.
-- weight: 6
-- habits: leading_wildcard_like, or_condition
-- param fragment: one of an | marigold | zephyrine | xylofon
select id, name, email, avatar_url
from users
where (name ilike '%' || :fragment || '%' or email ilike '%' || :fragment || '%')
order by name
limit 20;

-- name: users_by_id_list
-- what: The cards of all authors on a page, fetched in one go.
-- weight: 15
-- habits: any_array
-- param user_ids: with newest as (
--         select id, row_number() over (order by created_at desc, id) as place from users
--     )
--     select coalesce(array_agg(id order by place) filter (where id is not null),
--         array['ffffffff-ffff-4fff-bfff-ffffffffffff']::uuid[])
--     from (values (50), (20), (1), (0)) sizes (size)
--     left join newest on place <= size
--     group by size
--     order by size desc
select id, name, avatar_url, user_type
from users
where id = any(:user_ids::uuid[]);

-- name: user_name_one_by_one
-- what: One display name, asked again for every row of a list.
-- weight: 40
-- habits: n_plus_1
-- param user_id: users.id
select name
from users
where id = :user_id;

-- name: user_by_id_as_text
-- what: A profile by an id that the caller holds as text.
-- weight: 1
-- habits: implicit_cast, function_on_column
-- param user_id: with picked as (
--         select id::text as id from users order by users.id limit 3
--     )
--     select id from picked
--     union all
--     select 'ffffffff-ffff-4fff-bfff-ffffffffffff'
--     order by id
select id, email, name, user_type
from users
where id::text = :user_id;

-- name: users_recent_logins
-- what: The last hundred people who signed in within a window of time.
-- weight: 0.1
-- param window: one of 30 days | 7 days | 1 day | 1 minute
select id, name, email, last_login
from users
where last_login >= :now::timestamptz - :window::interval
order by last_login desc nulls last
limit 100;

-- name: users_dormant
-- what: Active accounts that nobody has used for a while, or ever.
-- weight: 0.02
-- habits: or_condition
-- param idle_since: select :now::timestamptz - idle
--     from (values (1, interval '30 days'), (2, interval '90 days'),
--         (3, interval '365 days'), (4, interval '20 years')) ages (place, idle)
--     order by place
select id, email, name, last_login, created_at
from users
where (last_login is null or last_login < :idle_since)  -- null: never signed in
    and is_active = true
order by last_login desc nulls last
limit 500;

-- name: users_never_logged_in
-- what: Accounts that were opened some time ago and never used.
-- weight: 0.05
-- param created_before: select :now::timestamptz - age
--     from (values (1, interval '7 days'), (2, interval '90 days'),
--         (3, interval '365 days'), (4, interval '20 years')) ages (place, age)
--     order by place
select id, email, name, created_at
from users
where last_login is null  -- never signed in
    and created_at < :created_before;

-- name: users_designers_active
-- what: The designers to choose from when work is handed out.
-- weight: 2
-- habits: low_selectivity
select id, name, avatar_url
from users
where user_type = 'designer'
    and is_active = true
order by name;

-- name: users_unverified_old
-- what: Addresses that nobody confirmed, oldest first.
-- weight: 0.02
-- param created_before: select :now::timestamptz - age
--     from (values (1, interval '7 days'), (2, interval '90 days'),
--         (3, interval '365 days'), (4, interval '20 years')) ages (place, age)
--     order by place
select id, email, name, created_at
from users
where email_verified = false
    and created_at < :created_before
order by created_at;

-- name: users_digest_recipients
-- what: Who gets the weekly mail: active managers with a project that moved this month.
-- weight: 0.01
-- habits: jsonb, exists
select id, email, name, timezone
from users
where is_active = true
    and coalesce(preferences ->> 'weekly_digest', 'true') <> 'false'  -- on unless refused
    and exists (
        select 1
        from projects
        where projects.manager_id = users.id
            and projects.updated_at > :now::timestamptz - interval '30 days'
    )
order by id;

-- name: users_without_organization
-- what: Accounts that belong to no organization.
-- weight: 0.05
-- habits: not_in
select id, email, name, created_at
from users
where id not in (
    select user_id
    from organization_members
);

-- name: user_insert_password
-- what: Opens an account that signs in with a password.
-- weight: 0.3
-- param name: one of Maya Okafor | Tom Lindqvist | Rosa Quillen
-- param password_hash: one of not-a-hash-but-as-long-as-one-of-bcrypt-which-has-60-letters
-- param user_type: one of client | designer | admin
-- param phone: one of +1 555 0100 | +1 555 0101 | +1 555 0102
-- param timezone: one of America/New_York | America/Chicago | Europe/Berlin
insert into users (email, name, password_hash, user_type, phone, timezone)
values (
    'lab-' || gen_random_uuid() || '@example.test',  -- addresses are unique
    :name,
    :password_hash,
    :user_type,
    :phone,
    :timezone
)
returning id, email, name, user_type, created_at;

-- name: user_upsert_oauth
-- what: Opens an account for an identity at a provider, or refreshes the one there is.
-- weight: 1.5
-- habits: upsert
-- param email: select email
--     from (
--         (select 1 as place, id, email from users
--             where oauth_provider is not null order by id limit 3)
--         union all
--         select 2, null, 'lab-newcomer@example.test'
--     ) picks
--     order by place, id
-- param oauth_provider: one of google | google | facebook | google
-- param oauth_id: select oauth_id from users
--     where email = :email
-- param name: one of Maya Okafor | Tom Lindqvist | Rosa Quillen | Ida Newcomb
-- param avatar_url: one of https://avatars.example.test/lab.png
insert into users (
    email, name, user_type, avatar_url, oauth_provider, oauth_id, email_verified
)
values (:email, :name, 'client', :avatar_url, :oauth_provider, :oauth_id, true)
on conflict (email) do update
set name = excluded.name,
    avatar_url = excluded.avatar_url,
    oauth_provider = excluded.oauth_provider,
    email_verified = true,  -- the provider vouches for the address
    oauth_id = excluded.oauth_id;

-- name: user_touch_last_login
-- what: Notes when somebody signed in.
-- weight: 6
-- param user_id: users.id
update users
set last_login = now()
where id = :user_id;

-- name: user_update_profile
-- what: Saves the name, phone number and picture that somebody edited.
-- weight: 0.8
-- param user_id: users.id
-- param name: one of Maya Okafor | Tom Lindqvist | Rosa Quillen
-- param phone: one of +1 555 0100 | +1 555 0101 | +1 555 0102
-- param avatar_url: one of https://avatars.example.test/lab.png
update users
set name = :name,
    phone = :phone,
    avatar_url = :avatar_url
where id = :user_id
returning id, email, name, phone, avatar_url, updated_at;

-- name: user_update_preferences
-- what: Replaces the whole document of somebody's preferences.
-- weight: 1
-- habits: jsonb
-- param user_id: users.id
-- param preferences: one of {"weekly_digest": "true"} | {"theme": "light"} | {}
update users
set preferences = :preferences::jsonb
where id = :user_id;

-- name: user_anonymise
-- what: Erases who somebody was and keeps the row that other rows point at.
-- weight: 0.02
-- param user_id: users.id
update users
set name = 'Deleted user',
    email = 'deleted-' || id || '@example.test',  -- stays unique
    avatar_url = null,
    is_active = false
where id = :user_id;
