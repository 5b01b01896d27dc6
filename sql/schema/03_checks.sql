-- Value lists and the one rule across columns.

alter table users
    add constraint users_user_type_check
    check (user_type in ('client', 'designer', 'admin'));
alter table organization_members
    add constraint organization_members_role_check
    check (role in ('owner', 'admin', 'member'));
alter table team_members
    add constraint team_members_role_check
    check (role in ('lead', 'member', 'viewer'));
alter table projects
    add constraint projects_status_check
    check (status in ('planning', 'active', 'on-hold', 'completed', 'cancelled'));
alter table projects
    add constraint projects_priority_check
    check (priority in ('low', 'medium', 'high', 'urgent'));
alter table project_members
    add constraint project_members_role_check
    check (role in ('manager', 'contributor', 'reviewer', 'viewer'));
alter table files
    add constraint files_category_check
    check (category in ('design', 'reference', 'final', 'feedback', 'other'));
alter table files
    add constraint files_status_check
    check (status in ('draft', 'review', 'approved', 'rejected'));
alter table file_permissions
    add constraint file_permissions_permission_type_check
    check (permission_type in ('read', 'write', 'delete', 'share'));
alter table file_permissions
    add constraint file_permissions_target_check
    check ((user_id is null) <> (team_id is null));  -- exactly one of the two
alter table conversations
    add constraint conversations_type_check
    check (type in ('direct', 'group', 'project', 'team'));
alter table conversation_participants
    add constraint conversation_participants_role_check
    check (role in ('owner', 'admin', 'member'));
alter table messages
    add constraint messages_message_type_check
    check (message_type in ('text', 'file', 'image', 'system'));
alter table messages
    add constraint messages_priority_check
    check (priority in ('low', 'normal', 'high', 'urgent'));
alter table messages
    add constraint messages_status_check
    check (status in ('sent', 'delivered', 'read'));
alter table notifications
    add constraint notifications_priority_check
    check (priority in ('low', 'medium', 'high', 'urgent'));
alter table invoices
    add constraint invoices_status_check
    check (status in ('draft', 'sent', 'paid', 'overdue', 'cancelled'));
alter table client_requests
    add constraint client_requests_status_check
    check (status in ('new', 'contacted', 'quoted', 'converted', 'declined'));
