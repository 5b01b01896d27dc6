-- Whom the writes of a week reach: for each of them the values that it is sent with, in
-- the order of time. Most come from the rows of the data's own last week, which stand in
-- the schema `week` while it is played. A block bears the name of a query of
-- sql/queries/, its columns those of the parameters; a parameter without a column is
-- drawn from its choices. How often a query is sent follows from its weight.
--
-- Left out is what is asked less than once in 1,000 requests; what inserts, because the
-- rows of the week themselves do; and what marks all as read, because it would change in
-- one go what nobody has read in two years.

-- name: conversation_touch
select conversation_id
from week.messages
order by created_at, id;

-- name: participant_mark_read
select participants.conversation_id, participants.user_id
from week.messages
join conversation_participants as participants
    on participants.conversation_id = messages.conversation_id
order by messages.created_at, md5(messages.id::text || participants.user_id::text);

-- name: message_edit
select id as message_id, author_id
from week.messages
order by created_at, id;

-- name: reaction_remove
select message_id, user_id, reaction
from week.message_reactions
order by created_at, id;

-- name: notification_mark_one
select id as notification_id, user_id
from week.notifications
order by created_at, id;

-- name: file_merge_metadata
select id as file_id
from week.files
order by created_at, id;

-- name: file_set_status
select id as file_id
from week.files
order by created_at, id;

-- name: project_update_status
select id as project_id
from projects
where status not in ('completed', 'cancelled')  -- only what goes on is changed
order by md5(id::text);

-- name: project_update_details
select id as project_id
from projects
where status not in ('completed', 'cancelled')  -- as above
order by md5(id::text || 'details');

-- name: milestone_complete
select id as milestone_id
from project_milestones
where completed_at is null
order by due_date, id;

-- name: user_touch_last_login
select author_id as user_id
from week.messages
order by created_at, id;

-- name: user_update_preferences
select id as user_id
from users
where is_active = true  -- nobody else signs in
order by md5(id::text);
