-- Queries of the area "notifications": what the bell shows, and who rings it.

-- name: notifications_page
-- what: A page of somebody's notices, newest first, read or not.
-- weight: 8
-- habits: offset, select_star
-- param user_id: notifications.user_id
-- param offset: select count(*) / 100 * 50  -- the page in the middle of the list
--     from notifications
--     where user_id = :user_id
select *
from notifications
where user_id = :user_id
order by created_at desc
limit 50 offset :offset;

-- name: notifications_unread_count
-- what: The number on the bell, asked with every page.
-- weight: 60
-- param user_id: notifications.user_id
select count(*) as unread
from notifications
where user_id = :user_id
    and is_read = false;

-- name: notifications_unread_list
-- what: The newest notices that somebody has not read, as the open bell shows them.
-- weight: 12
-- param user_id: notifications.user_id
select id, type, title, message, priority, action_url, created_at
from notifications
where user_id = :user_id
    and is_read = false
order by created_at desc
limit 20;

-- name: notifications_of_type
-- what: Somebody's newest notices of one kind, such as mentions.
-- weight: 3
-- param user_id: notifications.user_id
-- param type: select type from notifications
--     where user_id = :user_id
--     group by type order by count(*) desc, type limit 1
select id, title, message, is_read, action_url, created_at
from notifications
where user_id = :user_id
    and type = :type
order by created_at desc
limit 20;

-- name: notifications_type_stats
-- what: How many notices of each kind went out, and how many of them were read.
-- weight: 0.05
-- param since: select :now::timestamptz - age
--     from (values (1, interval '90 days'), (2, interval '30 days'),
--         (3, interval '1 day'), (4, interval '1 minute')) ages (place, age)
--     order by place
select type, count(*) as sent, count(*) filter (where is_read) as read
from notifications
where created_at >= :since
group by type;

-- name: notifications_one_type_platform
-- what: The newest notices of one kind, whoever got them.
-- weight: 0.05
-- param type: notifications.type
select id, user_id, title, is_read, created_at
from notifications
where type = :type
order by created_at desc
limit 100;

-- name: notifications_urgent_unread
-- what: Urgent notices that nobody has read, with the people they wait for.
-- weight: 0.05
select
    notifications.id,
    notifications.title,
    notifications.created_at,
    users.name,
    users.email
from notifications
join users on notifications.user_id = users.id
where notifications.priority = 'urgent'
    and notifications.is_read = false
order by notifications.created_at;

-- name: notifications_unread_stale
-- what: A thousand notices that have waited for too long to be read.
-- weight: 0.02
-- param age: one of 7 days | 30 days | 180 days | 20 years
select id, user_id, type, created_at
from notifications
where read_at is null  -- says the same as is_read = false, but another index knows it
    and created_at < :now::timestamptz - :age::interval
limit 1000;

-- name: notifications_expired
-- what: A thousand notices whose time is over, for the clean-up.
-- weight: 0.05
select id
from notifications
where expires_at < :now::timestamptz
limit 1000;

-- name: notifications_newest_platform
-- what: The last fifty notices of the whole platform, for those who run it.
-- weight: 0.1
select id, user_id, type, title, priority, created_at
from notifications
order by created_at desc
limit 50;

-- name: notifications_of_project_json
-- what: Somebody's unread notices about one project, known only from their document.
-- weight: 2
-- habits: jsonb
-- param user_id: notifications.user_id
-- param project_id: select data ->> 'projectId'
--     from notifications
--     where user_id = :user_id
--         and data ->> 'projectId' is not null
--     group by data ->> 'projectId'
--     order by count(*) filter (where is_read = false) desc, data ->> 'projectId' limit 1
select id, type, title, created_at
from notifications
where user_id = :user_id
    and is_read = false
    and data ->> 'projectId' = :project_id;

-- name: notifications_dedupe_check
-- what: Whether somebody got a notice of this kind in the last ten minutes.
-- weight: 8
-- param user_id: notifications.user_id
-- param type: select type from notifications
--     where user_id = :user_id
--     order by created_at desc, id limit 1
select id
from notifications
where user_id = :user_id
    and type = :type
    and created_at > :now::timestamptz - interval '10 minutes'
limit 1;

-- name: notification_insert
-- what: Rings one person's bell.
-- weight: 8
-- param user_id: select user_id
--     from (select user_id, row_number() over (order by count(*) desc, user_id) as place,
--         count(*) over () as total from notifications group by user_id) ranked
--     where place in (1, (total + 1) / 2, total)
--     order by place
-- param type: one of mention | file_shared | payment_failed
-- param title: one of You were mentioned | A file was shared with you | A payment failed
-- param message: one of What do you think? | The new drill chart. | Try another card.
-- param data: one of {"url": "/messages"} | {"url": "/files"} | {}
-- param priority: one of medium | low | urgent
insert into notifications (user_id, type, title, message, data, priority, expires_at)
values (
    :user_id,
    :type,
    :title,
    :message,
    :data::jsonb,
    :priority,
    now() + interval '30 days'
)
returning id, created_at;

-- name: notification_fanout_project
-- what: Rings the bell of every active member of a project but the one who acted.
-- weight: 1
-- habits: insert_select, bulk
-- param project_id: project_members.project_id
-- param actor_id: select user_id from project_members
--     where project_id = :project_id
--     order by role = 'manager' desc, user_id limit 1
-- param title: one of The project has a new status
-- param message: one of The design went into review.
insert into notifications (user_id, type, title, message)
select user_id, 'project_status_changed', :title, :message
from project_members
where project_id = :project_id
    and user_id <> :actor_id  -- who acted knows
    and is_active = true;

-- name: notification_mark_one
-- what: Marks one notice as read, if it is the reader's own.
-- weight: 6
-- param user_id: notifications.user_id
-- param notification_id: select id from notifications
--     where user_id = :user_id
--     order by is_read, created_at desc, id limit 1
update notifications
set is_read = true,
    read_at = now()
where id = :notification_id
    and user_id = :user_id
returning id, is_read, read_at;

-- name: notifications_mark_all
-- what: Marks everything that somebody has not read as read.
-- weight: 1
-- habits: bulk
-- param user_id: notifications.user_id
update notifications
set is_read = true,
    read_at = now()
where user_id = :user_id
    and is_read = false;

-- name: notifications_mark_many
-- what: Marks the ticked notices of one person as read.
-- weight: 0.5
-- habits: any_array
-- param user_id: notifications.user_id
-- param notification_ids: select array_agg(id)
--     from (select id from notifications
--         where user_id = :user_id
--         order by is_read, created_at desc, id limit 20) page
update notifications
set is_read = true,
    read_at = now()
where id = any(:notification_ids::uuid[])
    and user_id = :user_id;

-- name: notifications_purge_expired
-- what: Drops every notice whose time is over.
-- weight: 0.02
-- habits: bulk
delete from notifications
where expires_at < :now::timestamptz;
