-- The 11 indexes that stood before the sprint, beside those of the constraints.

create index idx_users_email
    on users (email);
create index idx_users_oauth
    on users (oauth_provider, oauth_id);
create index idx_organizations_slug
    on organizations (slug);
create index idx_projects_organization
    on projects (organization_id);
create index idx_projects_status
    on projects (status);
create index idx_files_project
    on files (project_id);
create index idx_files_organization
    on files (organization_id);
create index idx_messages_conversation
    on messages (conversation_id);
create index idx_messages_created_at
    on messages (created_at);
create index idx_notifications_user
    on notifications (user_id);
create index idx_notifications_unread
    on notifications (user_id, is_read);
