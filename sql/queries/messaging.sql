-- Queries of the area "messaging": channels, messages, threads, search, unread, reactions.

-- name: conversation_by_id
-- what: The header of one channel, with the name of whoever opened it.
-- weight: 20
-- cache: conv:{convId} ttl: medium
-- habits: select_star
-- param conversation_id: conversations.id
select
    conversations.*,
    users.name as created_by_name
from conversations
left join users on conversations.created_by = users.id
where conversations.id = :conversation_id;

-- name: conversations_open_global
-- what: Every open channel on the platform, the most active first, a page at a time.
-- weight: 0.3
-- habits: select_star, offset
-- param offset: one of 0 | 50 | 500 | 5000
select
    conversations.*,
    users.name as created_by_name
from conversations
left join users on conversations.created_by = users.id
where conversations.is_archived = false
order by conversations.last_message_at desc nulls last, conversations.created_at desc
limit 50 offset :offset;

-- name: conversations_of_org
-- what: The open channels of one organization, the most active first.
-- weight: 3
-- param organization_id: conversations.organization_id
select id, name, type, project_id, team_id, last_message_at
from conversations
where organization_id = :organization_id
    and is_archived = false
order by last_message_at desc nulls last
limit 50;

-- name: conversation_of_project
-- what: The channel that was opened first for a project.
-- weight: 5
-- habits: select_star
-- param project_id: conversations.project_id
select *
from conversations
where project_id = :project_id
    and type = 'project'
order by created_at
limit 1;

-- name: conversations_of_project_count
-- what: How many open channels a project has, for its card.
-- weight: 4
-- param project_id: conversations.project_id
select count(*) as conversations
from conversations
where project_id = :project_id
    and is_archived = false;

-- name: conversations_of_team
-- what: All channels of a team, the most active first.
-- weight: 2
-- param team_id: conversations.team_id
select id, name, type, is_archived, last_message_at
from conversations
where team_id = :team_id
order by last_message_at desc nulls last;

-- name: conversations_created_by_user
-- what: The channels that one person opened, the newest first.
-- weight: 0.5
-- param user_id: conversations.created_by
select id, name, type, is_archived, created_at
from conversations
where created_by = :user_id
order by created_at desc;

-- name: conversations_of_type
-- what: The hundred most active channels of one kind.
-- weight: 0.05
-- habits: low_selectivity
-- param type: one of direct | group | team | broadcast
select id, name, organization_id, created_by, last_message_at
from conversations
where type = :type
order by last_message_at desc nulls last
limit 100;

-- name: conversations_open_count
-- what: The number of channels that are not archived.
-- weight: 0.05
-- habits: low_selectivity
select count(*) as conversations
from conversations
where is_archived = false;

-- name: conversations_latest_activity
-- what: The twenty channels where somebody wrote last.
-- weight: 0.2
select id, name, type, organization_id, last_message_at
from conversations
order by last_message_at desc nulls last
limit 20;

-- name: direct_conversation_between
-- what: The direct channel that two people share, before a new one is opened.
-- weight: 2
-- habits: count_distinct
-- param user_id: conversation_participants.user_id
-- param other_user_id: select other.user_id
--     from conversation_participants own
--     join conversations on conversations.id = own.conversation_id
--     join conversation_participants other on other.conversation_id = own.conversation_id
--     where own.user_id = :user_id
--         and other.user_id <> own.user_id
--         and conversations.type = 'direct'
--     order by other.user_id
--     limit 1
select conversations.id
from conversations
join conversation_participants
    on conversation_participants.conversation_id = conversations.id
where conversations.type = 'direct'
    and conversation_participants.user_id in (:user_id, :other_user_id)
group by conversations.id
having count(distinct conversation_participants.user_id) = 2;

-- name: user_conversations
-- what: The inbox of a person: pinned channels first, then the most active.
-- weight: 25
-- cache: user:{userId}:conversations ttl: short
-- param user_id: conversation_participants.user_id
select
    conversations.id,
    conversations.name,
    conversations.type,
    conversations.last_message_at,
    conversation_participants.is_pinned,
    conversation_participants.is_muted,
    conversation_participants.last_read_at
from conversations
join conversation_participants
    on conversation_participants.conversation_id = conversations.id
where conversation_participants.user_id = :user_id
    and conversations.is_archived = false
order by
    conversation_participants.is_pinned desc,
    conversations.last_message_at desc nulls last
limit 30;

-- name: user_conversations_global_cte
-- what: The same inbox, after finding the last message of every channel there is.
-- weight: 10
-- cache: user:{userId}:conversations ttl: short
-- habits: cte, distinct_on, offset
-- param user_id: conversation_participants.user_id
-- param offset: one of 20 | 0
with latest_messages as (
    select distinct on (messages.conversation_id)
        messages.conversation_id,
        messages.content,
        messages.created_at,
        users.name as author_name
    from messages
    left join users on messages.author_id = users.id
    order by messages.conversation_id, messages.created_at desc
)
select
    conversations.id,
    conversations.name,
    conversations.type,
    latest_messages.content as last_message,
    latest_messages.author_name as last_author,
    latest_messages.created_at as last_message_at,
    count(messages.id) as messages,
    count(case when messages.created_at > conversation_participants.last_read_at then 1 end)
        as unread
from conversations
left join conversation_participants
    on conversation_participants.conversation_id = conversations.id
left join messages on messages.conversation_id = conversations.id
left join latest_messages on latest_messages.conversation_id = conversations.id
where conversation_participants.user_id = :user_id
group by
    conversations.id,
    latest_messages.content,
    latest_messages.author_name,
    latest_messages.created_at
order by latest_messages.created_at desc nulls last
limit 20 offset :offset;

-- name: user_conversations_lateral
-- what: The same inbox, with one look at the newest message of each own channel.
-- weight: 5
-- habits: lateral
-- param user_id: conversation_participants.user_id
select
    conversations.id,
    conversations.name,
    conversations.type,
    conversation_participants.last_read_at,
    latest.content as last_message,
    latest.created_at as last_message_at
from conversation_participants
join conversations on conversation_participants.conversation_id = conversations.id
left join lateral (
    select messages.content, messages.created_at
    from messages
    where messages.conversation_id = conversations.id
        and messages.deleted_at is null
    order by messages.created_at desc
    limit 1
) latest on true
where conversation_participants.user_id = :user_id
order by latest.created_at desc nulls last
limit 30;

-- name: conversation_members_list
-- what: Everybody in a channel, with the card that the member list shows.
-- weight: 12
-- cache: conv:{convId}:participants ttl: medium
-- param conversation_id: conversation_participants.conversation_id
select
    conversation_participants.user_id,
    conversation_participants.role,
    conversation_participants.last_read_at,
    users.name,
    users.email,
    users.avatar_url
from conversation_participants
join users on conversation_participants.user_id = users.id
where conversation_participants.conversation_id = :conversation_id;

-- name: conversation_membership_check
-- what: Whether the caller may read a channel, asked before every request for it.
-- weight: 60
-- param conversation_id: conversation_participants.conversation_id
-- param user_id: select user_id from conversation_participants
--     where conversation_id = :conversation_id
--     order by user_id limit 1
select 1
from conversation_participants
where conversation_id = :conversation_id
    and user_id = :user_id;

-- name: conversation_owners_all
-- what: How many channels each owner has, over the whole platform.
-- weight: 0.05
select user_id, count(*) as conversations
from conversation_participants
where role = 'owner'
group by user_id;

-- name: participants_stale_readers
-- what: People who have left a channel unread since a date, the longest first.
-- weight: 0.05
-- param read_before: select :now::timestamptz - days * interval '1 day'
--     from unnest(array[7, 30, 180, 5000]) days
--     order by days
select conversation_id, user_id, last_read_at
from conversation_participants
where last_read_at < :read_before
order by last_read_at nulls last
limit 500;

-- name: messages_page_first
-- what: The newest page of a channel, as the chat window asks for it.
-- weight: 40
-- claim: Conversation messages
-- cache: conv:{convId}:messages:page:{page} ttl: short
-- habits: select_star
-- param conversation_id: messages.conversation_id
select
    messages.*,
    users.name as author_name,
    users.avatar_url as author_avatar
from messages
left join users on messages.author_id = users.id
where messages.conversation_id = :conversation_id
    and messages.deleted_at is null
order by messages.created_at desc
limit 50 offset 0;

-- name: messages_page_deep_offset
-- what: A page far back in a long channel, reached by counting past 10,000 messages.
-- weight: 0.5
-- claim: Conversation messages
-- cache: conv:{convId}:messages:page:{page} ttl: short
-- habits: select_star, deep_offset
-- param conversation_id: messages.conversation_id
select
    messages.*,
    users.name as author_name,
    users.avatar_url as author_avatar
from messages
left join users on messages.author_id = users.id
where messages.conversation_id = :conversation_id
    and messages.deleted_at is null
order by messages.created_at desc
limit 50 offset 10000;

-- name: messages_page_keyset
-- what: The page before the oldest message on the screen, found by its time and id.
-- weight: 10
-- claim: Conversation messages
-- habits: keyset
-- param conversation_id: messages.conversation_id
-- param before_id: select id from messages
--     where conversation_id = :conversation_id and deleted_at is null
--     order by created_at desc, id desc
--     limit 1 offset (select least(count(*) / 2, 500) from messages
--         where conversation_id = :conversation_id and deleted_at is null)
-- param before_created_at: select created_at from messages where id = :before_id
select
    messages.id,
    messages.author_id,
    messages.content,
    messages.message_type,
    messages.attachments,
    messages.reply_to_id,
    messages.edited_at,
    messages.created_at,
    users.name as author_name,
    users.avatar_url as author_avatar
from messages
left join users on messages.author_id = users.id
where messages.conversation_id = :conversation_id
    and messages.deleted_at is null
    and (messages.created_at, messages.id) < (:before_created_at, :before_id)
order by messages.created_at desc, messages.id desc
limit 50;

-- name: messages_before_message
-- what: The page before a given message, deleted ones included.
-- weight: 8
-- habits: keyset, partial_predicate_missing
-- param conversation_id: messages.conversation_id
-- param before_id: select id from messages
--     where conversation_id = :conversation_id
--     order by created_at desc, id desc
--     limit 1 offset (select least(count(*) / 2, 500) from messages
--         where conversation_id = :conversation_id)
select
    messages.id,
    messages.author_id,
    messages.content,
    messages.message_type,
    messages.attachments,
    messages.created_at,
    messages.deleted_at,
    users.name as author_name
from messages
left join users on messages.author_id = users.id
where messages.conversation_id = :conversation_id
    and messages.created_at < (select created_at from messages where id = :before_id)
order by messages.created_at desc
limit 50;

-- name: messages_page_no_soft_delete_filter
-- what: A page of a channel with deleted messages in it and a search rank on every row.
-- weight: 5
-- claim: Conversation messages
-- habits: partial_predicate_missing, offset
-- param conversation_id: messages.conversation_id
-- param term: one of guard | flagline | backsticking | xylofonist
-- param offset: one of 50 | 0
select
    messages.id,
    messages.author_id,
    messages.content,
    messages.message_type,
    messages.created_at,
    users.name as author_name,
    users.email as author_email,
    ts_rank_cd(to_tsvector('english', messages.content), plainto_tsquery('english', :term))
        as rank
from messages
left join users on messages.author_id = users.id
where messages.conversation_id = :conversation_id
group by messages.id, users.name, users.email
order by messages.created_at desc
limit 50 offset :offset;

-- name: messages_feed_global
-- what: The newest messages of the whole platform, a page at a time.
-- weight: 0.2
-- habits: select_star, offset
-- param offset: one of 0 | 50 | 500 | 5000
select
    messages.*,
    users.name as author_name
from messages
left join users on messages.author_id = users.id
order by messages.created_at desc
limit 50 offset :offset;

-- name: message_by_id_with_author
-- what: One message with the name of its author.
-- weight: 8
-- habits: select_star
-- param message_id: messages.id
select
    messages.*,
    users.name as author_name,
    users.avatar_url as author_avatar
from messages
left join users on messages.author_id = users.id
where messages.id = :message_id;

-- name: messages_of_author
-- what: What a person has written, up to 5,000 messages, for an export of personal data.
-- weight: 0.1
-- param user_id: messages.author_id
select id, conversation_id, content, message_type, attachments, created_at, edited_at
from messages
where author_id = :user_id
order by created_at desc
limit 5000;

-- name: messages_of_author_in_conversation
-- what: What one person wrote in one channel, the newest first.
-- weight: 0.5
-- param conversation_id: messages.conversation_id
-- param author_id: select author_id from messages
--     where conversation_id = :conversation_id
--     group by author_id
--     order by count(*) desc, author_id
--     limit 1
select id, content, message_type, created_at, edited_at
from messages
where conversation_id = :conversation_id
    and author_id = :author_id
    and deleted_at is null
order by created_at desc
limit 50;

-- name: messages_media_of_conversation
-- what: The images and files of a channel, as its gallery shows them.
-- weight: 2
-- param conversation_id: messages.conversation_id
select id, author_id, message_type, attachments, created_at
from messages
where conversation_id = :conversation_id
    and message_type in ('image', 'file')
    and deleted_at is null
order by created_at desc
limit 40;

-- name: messages_system_recent
-- what: The last hundred messages that the system itself wrote.
-- weight: 0.1
select id, conversation_id, content, metadata, created_at
from messages
where message_type = 'system'
order by created_at desc
limit 100;

-- name: messages_with_attachments
-- what: The messages of a channel that carry at least one attachment.
-- weight: 1
-- habits: jsonb, function_on_column
-- param conversation_id: messages.conversation_id
select id, author_id, attachments, created_at
from messages
where conversation_id = :conversation_id
    and jsonb_array_length(attachments) > 0;

-- name: messages_mentioning_user
-- what: The newest messages that mention a person.
-- weight: 3
-- habits: array_contains
-- param user_id: with mentioned as (
--         select unnest(newest.mentions) as user_id
--         from (select mentions from messages
--             order by created_at desc, id
--             limit 50000) newest
--     ),
--     ranked as (
--         select user_id, count(*) over () as places,
--             row_number() over (order by count(*) desc, user_id) as place
--         from mentioned
--         group by user_id
--     )
--     select user_id
--     from (select user_id, place from ranked
--             where place in (1, (places + 1) / 2, places)
--         union all
--         select '00000000-0000-4000-8000-000000000000', 1000000000) choices
--     order by place
select id, conversation_id, author_id, content, created_at
from messages
where mentions @> array[:user_id]::uuid[]
    and deleted_at is null
order by created_at desc
limit 30;

-- name: messages_undelivered
-- what: Messages that were sent more than five minutes ago and never delivered.
-- weight: 0.1
select id, conversation_id, author_id, created_at
from messages
where status = 'sent'
    and created_at < :now::timestamptz - interval '5 minutes'
order by created_at
limit 500;

-- name: replies_of_message
-- what: The direct replies to a message, in the order they were written.
-- weight: 6
-- habits: select_star
-- param message_id: messages.reply_to_id
select
    messages.*,
    users.name as author_name,
    users.avatar_url as author_avatar
from messages
left join users on messages.author_id = users.id
where messages.reply_to_id = :message_id
order by messages.created_at
limit 50;

-- name: thread_messages
-- what: The messages of a thread, in the order they were written.
-- weight: 4
-- param thread_id: messages.thread_id
select
    messages.id,
    messages.author_id,
    messages.content,
    messages.attachments,
    messages.edited_at,
    messages.created_at,
    users.name as author_name,
    users.avatar_url as author_avatar
from messages
left join users on messages.author_id = users.id
where messages.thread_id = :thread_id
    and messages.deleted_at is null
order by messages.created_at
limit 100;

-- name: thread_or_reply_messages
-- what: The messages that belong to a thread or answer its first message directly.
-- weight: 3
-- habits: or_condition
-- param thread_id: messages.thread_id
-- param conversation_id: select conversation_id from messages
--     where thread_id = :thread_id
--     group by conversation_id
--     order by count(*) desc, conversation_id
--     limit 1
select
    messages.id,
    messages.author_id,
    messages.content,
    messages.reply_to_id,
    messages.created_at,
    users.name as author_name
from messages
left join users on messages.author_id = users.id
where messages.conversation_id = :conversation_id
    and (messages.thread_id = :thread_id or messages.reply_to_id = :thread_id)
    and messages.id <> :thread_id  -- the first message is on the screen already
order by messages.created_at
limit 50;

-- name: thread_tree_recursive
-- what: The tree of replies under a message, ten levels deep.
-- weight: 1
-- habits: cte, recursive
-- param message_id: messages.reply_to_id
with recursive reply_tree as (
    select id, author_id, content, reply_to_id, created_at, 0 as depth
    from messages
    where id = :message_id
    union all
    select
        replies.id,
        replies.author_id,
        replies.content,
        replies.reply_to_id,
        replies.created_at,
        reply_tree.depth + 1
    from messages replies
    join reply_tree on replies.reply_to_id = reply_tree.id
    where reply_tree.depth < 10
)
select
    reply_tree.id,
    reply_tree.reply_to_id,
    reply_tree.depth,
    reply_tree.content,
    reply_tree.created_at,
    users.name as author_name
from reply_tree
left join users on reply_tree.author_id = users.id
order by reply_tree.created_at
limit 50;

-- name: thread_summary
-- what: How many replies a thread has, when the last one came, and who took part.
-- weight: 3
-- param thread_id: messages.thread_id
-- param conversation_id: select conversation_id from messages
--     where thread_id = :thread_id
--     group by conversation_id
--     order by count(*) desc, conversation_id
--     limit 1
select
    count(*) as replies,
    max(created_at) as last_reply_at,
    array_agg(distinct author_id) as authors
from messages
where conversation_id = :conversation_id
    and thread_id = :thread_id;

-- name: thread_reply_counts_batch
-- what: The number of replies under each message of a page.
-- weight: 30
-- habits: any_array
-- param conversation_id: messages.conversation_id
-- param message_ids: select coalesce(array_agg(id), array[:conversation_id]::uuid[])
--     from (select id from messages
--         where conversation_id = :conversation_id
--         order by created_at desc, id
--         limit 50) page
select reply_to_id, count(*) as replies
from messages
where reply_to_id = any(:message_ids::uuid[])
    and deleted_at is null
group by reply_to_id;

-- name: message_search_global
-- what: A ranked search over every message there is, with the hit marked in the text.
-- weight: 2
-- claim: Message search
-- habits: full_text, offset
-- param term: one of guard | backsticking | ostinato | xylofonist
-- param offset: one of 20 | 0
select
    messages.id,
    messages.conversation_id,
    messages.created_at,
    users.name as author_name,
    conversations.name as conversation_name,
    ts_rank_cd(to_tsvector('english', messages.content), plainto_tsquery('english', :term))
        as rank,
    ts_headline('english', messages.content, plainto_tsquery('english', :term)) as headline
from messages
left join users on messages.author_id = users.id
left join conversations on messages.conversation_id = conversations.id
where to_tsvector('english', messages.content) @@ plainto_tsquery('english', :term)
order by rank desc, messages.created_at desc
limit 20 offset :offset;

-- name: message_search_in_conversation
-- what: A ranked search inside one channel.
-- weight: 3
-- claim: Message search
-- habits: full_text
-- param conversation_id: messages.conversation_id
-- param term: one of guard | flagline | backsticking | xylofonist
select
    messages.id,
    messages.content,
    messages.created_at,
    users.name as author_name,
    ts_rank_cd(to_tsvector('english', messages.content), plainto_tsquery('english', :term))
        as rank
from messages
left join users on messages.author_id = users.id
where to_tsvector('english', messages.content) @@ plainto_tsquery('english', :term)
    and messages.conversation_id = :conversation_id
order by rank desc, messages.created_at desc
limit 20;

-- name: message_search_visible
-- what: A ranked search over the channels that a person belongs to.
-- weight: 3
-- claim: Message search
-- habits: full_text
-- param term: one of guard | flagline | backsticking | xylofonist
-- param user_id: conversation_participants.user_id
select
    messages.id,
    messages.conversation_id,
    messages.content,
    messages.created_at,
    conversations.name as conversation_name,
    users.name as author_name,
    ts_rank(to_tsvector('english', messages.content), plainto_tsquery('english', :term))
        as rank
from messages
left join conversations on messages.conversation_id = conversations.id
left join users on messages.author_id = users.id
where to_tsvector('english', messages.content) @@ plainto_tsquery('english', :term)
    and messages.conversation_id in (
        select conversation_participants.conversation_id
        from conversation_participants
        where conversation_participants.user_id = :user_id
    )
order by rank desc
limit 20;

-- name: message_search_recent_only
-- what: The newest live messages that match a search, without a rank.
-- weight: 1
-- habits: full_text
-- param term: one of guard | backsticking | ostinato | xylofonist
-- param since: select :now::timestamptz - interval '90 days'
select id, conversation_id, author_id, content, created_at
from messages
where to_tsvector('english', content) @@ websearch_to_tsquery('english', :term)
    and created_at >= :since
    and deleted_at is null
order by created_at desc
limit 20;

-- name: message_search_coalesced
-- what: A search that coalesces the content, which is not what the index holds.
-- weight: 0.3
-- habits: full_text
-- param term: one of guard | backsticking | ostinato | xylofonist
select id, conversation_id, author_id, content, created_at
from messages
where to_tsvector('english', coalesce(content, '')) @@ plainto_tsquery('english', :term)
limit 20;

-- name: message_search_lower_like
-- what: A search for a fragment of text inside one channel.
-- weight: 1
-- claim: Message search
-- habits: leading_wildcard_like, function_on_column, offset
-- param conversation_id: messages.conversation_id
-- param fragment: one of guard | flagline | backsticking | xylofonist
-- param offset: one of 20 | 0
select
    messages.id,
    messages.content,
    messages.created_at,
    users.name as author_name
from messages
left join users on messages.author_id = users.id
where messages.conversation_id = :conversation_id
    and lower(messages.content) like lower('%' || :fragment || '%')
order by messages.created_at desc
limit 20 offset :offset;

-- name: message_search_lower_like_global
-- what: A search for a fragment of text in every channel that a person belongs to.
-- weight: 1
-- claim: Message search
-- habits: leading_wildcard_like, function_on_column, offset
-- param user_id: conversation_participants.user_id
-- param fragment: one of guard | flagline | backsticking | xylofonist
-- param offset: one of 20 | 0
select
    messages.id,
    messages.conversation_id,
    messages.content,
    messages.created_at,
    conversations.name as conversation_name,
    users.name as author_name
from messages
join conversation_participants
    on conversation_participants.conversation_id = messages.conversation_id
left join conversations on messages.conversation_id = conversations.id
left join users on messages.author_id = users.id
where conversation_participants.user_id = :user_id
    and lower(messages.content) like lower('%' || :fragment || '%')
order by messages.created_at desc
limit 20 offset :offset;

-- name: unread_count_one
-- what: The number on the unread badge of one channel.
-- weight: 20
-- cache: user:{userId}:unread:{convId} ttl: short
-- param conversation_id: messages.conversation_id
-- param user_id: select user_id from conversation_participants
--     where conversation_id = :conversation_id
--     order by last_read_at nulls last, user_id
--     limit 1
select count(*) as unread
from messages
join conversation_participants
    on messages.conversation_id = conversation_participants.conversation_id
where conversation_participants.user_id = :user_id
    and conversation_participants.conversation_id = :conversation_id
    and messages.created_at > conversation_participants.last_read_at
    and messages.author_id <> :user_id  -- own messages are never unread
    and messages.deleted_at is null;

-- name: unread_counts_all
-- what: The unread badges of a whole inbox in one statement.
-- weight: 20
-- habits: or_condition
-- param user_id: conversation_participants.user_id
select
    conversation_participants.conversation_id,
    count(messages.id) as unread
from conversation_participants
left join messages
    on messages.conversation_id = conversation_participants.conversation_id
    and messages.deleted_at is null
    and (
        conversation_participants.last_read_at is null  -- never opened
        or messages.created_at > conversation_participants.last_read_at
    )
where conversation_participants.user_id = :user_id
group by conversation_participants.conversation_id;

-- name: unread_counts_by_project
-- what: The unread totals that stand on the project cards of a person.
-- weight: 6
-- habits: any_array
-- param user_id: conversation_participants.user_id
-- param project_ids: select coalesce(array_agg(project_id), array[:user_id]::uuid[])
--     from (select distinct conversations.project_id
--         from conversation_participants own
--         join conversations on conversations.id = own.conversation_id
--         where own.user_id = :user_id
--             and conversations.project_id is not null
--         order by conversations.project_id
--         limit 20) cards
select
    conversations.project_id,
    count(messages.id) as unread
from conversations
left join messages on messages.conversation_id = conversations.id
left join conversation_participants
    on conversation_participants.conversation_id = conversations.id
where conversations.project_id = any(:project_ids::uuid[])
    and conversation_participants.user_id = :user_id
    and messages.author_id <> :user_id  -- own messages are never unread
    and messages.created_at > conversation_participants.last_read_at
group by conversations.project_id;

-- name: unread_one_by_one
-- what: The unread count of one channel, asked again for every channel of the inbox.
-- weight: 60
-- habits: n_plus_1
-- param conversation_id: messages.conversation_id
-- param last_read_at: select last_read_at from conversation_participants
--     where conversation_id = :conversation_id and last_read_at is not null
--     order by last_read_at, user_id
--     limit 1
select count(*) as unread
from messages
where conversation_id = :conversation_id
    and created_at > :last_read_at
    and deleted_at is null;

-- name: messages_live_count
-- what: How many messages of the platform are not deleted.
-- weight: 0.05
-- habits: low_selectivity
select count(*) as messages
from messages
where deleted_at is null;

-- name: messages_deleted_audit
-- what: The messages that were deleted since a date, the latest deletion first.
-- weight: 0.1
-- habits: partial_predicate_missing
-- param since: select :now::timestamptz - days * interval '1 day'
--     from unnest(array[90, 30, 1, 0]) days
--     order by days desc
select id, conversation_id, author_id, created_at, deleted_at
from messages
where deleted_at is not null
    and deleted_at >= :since
order by deleted_at desc
limit 100;

-- name: reactions_of_message
-- what: Every reaction to a message, with the name of whoever left it.
-- weight: 5
-- habits: select_star
-- param message_id: message_reactions.message_id
select
    message_reactions.*,
    users.name as user_name
from message_reactions
join users on message_reactions.user_id = users.id
where message_reactions.message_id = :message_id;

-- name: reactions_grouped
-- what: The reactions to a message, counted by kind, with who left them.
-- weight: 5
-- param message_id: message_reactions.message_id
select
    reaction,
    count(*) as reactions,
    array_agg(user_id) as user_ids
from message_reactions
where message_id = :message_id
group by reaction
order by count(*) desc;

-- name: reactions_batch
-- what: The reaction counters of every message on a page.
-- weight: 30
-- habits: any_array
-- param conversation_id: messages.conversation_id
-- param message_ids: select coalesce(array_agg(id), array[:conversation_id]::uuid[])
--     from (select id from messages
--         where conversation_id = :conversation_id
--         order by created_at desc, id
--         limit 50) page
select message_id, reaction, count(*) as reactions
from message_reactions
where message_id = any(:message_ids::uuid[])
group by message_id, reaction;

-- name: reactions_of_user
-- what: The last fifty reactions of a person, with the messages they are on.
-- weight: 0.3
-- param user_id: message_reactions.user_id
select
    message_reactions.reaction,
    message_reactions.created_at,
    messages.id as message_id,
    messages.conversation_id,
    messages.content
from message_reactions
join messages on message_reactions.message_id = messages.id
where message_reactions.user_id = :user_id
order by message_reactions.created_at desc
limit 50;

-- name: reaction_exists
-- what: Whether a person has left this reaction already, so that a click takes it back.
-- weight: 4
-- param message_id: message_reactions.message_id
-- param user_id: select user_id from message_reactions
--     where message_id = :message_id
--     order by created_at, id
--     limit 1
-- param reaction: select reaction from message_reactions
--     where message_id = :message_id and user_id = :user_id
--     order by created_at, id
--     limit 1
select id
from message_reactions
where message_id = :message_id
    and user_id = :user_id
    and reaction = :reaction;

-- name: message_insert
-- what: A message is sent to a channel.
-- weight: 15
-- param conversation_id: select conversation_id
--     from (select conversation_id, count(*) over () as places,
--             row_number() over (order by count(*) desc, conversation_id) as place
--         from (select conversation_id from messages
--             order by created_at desc, id
--             limit 20000) newest
--         group by conversation_id) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param author_id: select author_id from messages
--     where conversation_id = :conversation_id
--     order by created_at desc, id
--     limit 1
-- param content: one of Please bring the guard flags to the rehearsal tonight
insert into messages (
    conversation_id, author_id, content, message_type, priority, attachments, metadata
)
values (:conversation_id, :author_id, :content, 'text', 'normal', '[]', '{}')
returning id, conversation_id, author_id, content, created_at;

-- name: message_edit
-- what: The author corrects a message.
-- weight: 1
-- param conversation_id: messages.conversation_id
-- param message_id: select id from messages
--     where conversation_id = :conversation_id and deleted_at is null
--     order by created_at desc, id
--     limit 1
-- param author_id: select author_id from messages where id = :message_id
-- param content: one of The guard flags are already in the truck
update messages
set content = :content,
    edited_at = now()
where id = :message_id
    and author_id = :author_id
returning id, content, edited_at;

-- name: message_soft_delete
-- what: A message is hidden, and stays in the table.
-- weight: 0.5
-- param conversation_id: messages.conversation_id
-- param message_id: select id from messages
--     where conversation_id = :conversation_id and deleted_at is null
--     order by created_at desc, id
--     limit 1
update messages
set deleted_at = now()
where id = :message_id
returning id, conversation_id, deleted_at;

-- name: messages_mark_read
-- what: Every message of a channel that others wrote becomes read.
-- weight: 12
-- habits: bulk
-- param conversation_id: messages.conversation_id
-- param user_id: select user_id from conversation_participants
--     where conversation_id = :conversation_id
--     order by last_read_at nulls last, user_id
--     limit 1
update messages
set status = 'read'
where conversation_id = :conversation_id
    and author_id <> :user_id
    and status <> 'read';

-- name: messages_purge_deleted
-- what: Messages that were hidden before a date are removed for good.
-- weight: 0.01
-- habits: bulk
-- param deleted_before: with hidden as (
--         select id, conversation_id, deleted_at from messages
--         where deleted_at is not null
--         order by deleted_at
--         fetch first 13 rows with ties
--     ),
--     answered as (
--         select hidden.deleted_at,
--             max(case when replies.id is not null
--                 then coalesce(replies.deleted_at, 'infinity') end) as needed_until
--         from hidden
--         left join messages replies on replies.reply_to_id = hidden.id
--         group by hidden.id, hidden.deleted_at
--     ),
--     cutoffs as (
--         select distinct
--             deleted_at + interval '1 microsecond' as cutoff,
--             max(needed_until) over (order by deleted_at) as needed_until
--         from answered
--     ),
--     possible as (
--         select cutoff, count(*) over () as places,
--             row_number() over (order by cutoff desc) as place
--         from cutoffs
--         where needed_until is null or needed_until < cutoff
--     )
--     select cutoff
--     from (select cutoff from possible
--             where place in (1, (places + 1) / 2, places)
--         union all
--         select min(deleted_at) from hidden) choices
--     order by cutoff desc
delete from messages
where deleted_at < :deleted_before;

-- name: messages_anonymise_author
-- what: The words of somebody who left are blanked, and the messages stay.
-- weight: 0.02
-- habits: bulk
-- param user_id: messages.author_id
update messages
set content = '[removed]'
where author_id = :user_id;

-- name: conversation_insert
-- what: A channel is opened for a project.
-- weight: 1
-- param project_id: select project_id
--     from (select project_id, count(*) over () as places,
--             row_number() over (order by count(*) desc, project_id) as place
--         from project_members
--         group by project_id) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param organization_id: select organization_id from projects where id = :project_id
-- param created_by: select manager_id from projects where id = :project_id
-- param name: one of Show design
insert into conversations (name, type, organization_id, project_id, team_id, created_by)
values (:name, 'project', :organization_id, :project_id, null, :created_by)
returning id, name, type, created_at;

-- name: conversation_touch
-- what: A new message moves its channel to the top of every inbox.
-- weight: 15
-- param conversation_id: messages.conversation_id
update conversations
set last_message_at = now()
where id = :conversation_id;

-- name: conversations_archive_idle
-- what: Channels that have been silent since a date are archived.
-- weight: 0.01
-- habits: bulk
-- param silent_since: select :now::timestamptz - days * interval '1 day'
--     from unnest(array[30, 90, 180, 5000]) days
--     order by days
update conversations
set is_archived = true
where is_archived = false
    and last_message_at < :silent_since;

-- name: participant_add
-- what: A person joins a channel, unless already in it.
-- weight: 1
-- habits: upsert
-- param conversation_id: select conversation_id
--     from (select conversation_id, count(*) over () as places,
--             row_number() over (order by count(*) desc, conversation_id) as place
--         from conversation_participants
--         group by conversation_id) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param user_id: select user_id
--     from ((select 1 as kind, id as user_id from users
--             where not exists (select from conversation_participants present
--                 where present.conversation_id = :conversation_id
--                     and present.user_id = users.id)
--             order by id
--             limit 2)
--         union all
--         (select 2, user_id from conversation_participants
--             where conversation_id = :conversation_id
--             order by user_id
--             limit 1)) people
--     order by kind, user_id
insert into conversation_participants (conversation_id, user_id, role)
values (:conversation_id, :user_id, 'member')
on conflict (conversation_id, user_id) do nothing;

-- name: participant_remove
-- what: A person leaves a channel.
-- weight: 0.3
-- param conversation_id: conversation_participants.conversation_id
-- param user_id: select user_id from conversation_participants
--     where conversation_id = :conversation_id
--     order by role desc, user_id
--     limit 1
delete from conversation_participants
where conversation_id = :conversation_id
    and user_id = :user_id;

-- name: participant_mark_read
-- what: The read marker of a person moves to now.
-- weight: 15
-- param conversation_id: conversation_participants.conversation_id
-- param user_id: select user_id from conversation_participants
--     where conversation_id = :conversation_id
--     order by last_read_at nulls last, user_id
--     limit 1
update conversation_participants
set last_read_at = now()
where conversation_id = :conversation_id
    and user_id = :user_id;

-- name: reaction_add
-- what: A person reacts to a message, unless the same reaction is there already.
-- weight: 4
-- habits: upsert
-- param message_id: select message_id
--     from (select message_id, count(*) over () as places,
--             row_number() over (order by count(*) desc, message_id) as place
--         from message_reactions
--         where message_id in (select id from messages
--             order by created_at desc, id
--             limit 5000)
--         group by message_id) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param user_id: select conversation_participants.user_id
--     from conversation_participants
--     join messages on messages.conversation_id = conversation_participants.conversation_id
--     where messages.id = :message_id
--     order by conversation_participants.user_id
--     limit 1
-- param reaction: select reaction from message_reactions
--     where message_id = :message_id
--     order by reaction
--     limit 1
insert into message_reactions (message_id, user_id, reaction)
values (:message_id, :user_id, :reaction)
on conflict (message_id, user_id, reaction) do nothing;

-- name: reaction_remove
-- what: A person takes a reaction back.
-- weight: 1
-- param message_id: message_reactions.message_id
-- param user_id: select user_id from message_reactions
--     where message_id = :message_id
--     order by created_at, id
--     limit 1
-- param reaction: select reaction from message_reactions
--     where message_id = :message_id and user_id = :user_id
--     order by created_at, id
--     limit 1
delete from message_reactions
where message_id = :message_id
    and user_id = :user_id
    and reaction = :reaction;
