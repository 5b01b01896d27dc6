-- Foreign keys. PostgreSQL builds no index on the referencing side.

alter table organizations
    add constraint organizations_created_by_fkey
    foreign key (created_by) references users (id);
alter table organization_members
    add constraint organization_members_organization_id_fkey
    foreign key (organization_id) references organizations (id)
    on delete cascade;
alter table organization_members
    add constraint organization_members_user_id_fkey
    foreign key (user_id) references users (id)
    on delete cascade;
alter table organization_members
    add constraint organization_members_invited_by_fkey
    foreign key (invited_by) references users (id);
alter table teams
    add constraint teams_organization_id_fkey
    foreign key (organization_id) references organizations (id)
    on delete cascade;
alter table teams
    add constraint teams_lead_id_fkey
    foreign key (lead_id) references users (id);
alter table team_members
    add constraint team_members_team_id_fkey
    foreign key (team_id) references teams (id)
    on delete cascade;
alter table team_members
    add constraint team_members_user_id_fkey
    foreign key (user_id) references users (id)
    on delete cascade;
alter table projects
    add constraint projects_organization_id_fkey
    foreign key (organization_id) references organizations (id)
    on delete cascade;
alter table projects
    add constraint projects_team_id_fkey
    foreign key (team_id) references teams (id);
alter table projects
    add constraint projects_manager_id_fkey
    foreign key (manager_id) references users (id);
alter table projects
    add constraint projects_client_id_fkey
    foreign key (client_id) references users (id);
alter table projects
    add constraint projects_template_id_fkey
    foreign key (template_id) references projects (id);
alter table project_members
    add constraint project_members_project_id_fkey
    foreign key (project_id) references projects (id)
    on delete cascade;
alter table project_members
    add constraint project_members_user_id_fkey
    foreign key (user_id) references users (id)
    on delete cascade;
alter table project_milestones
    add constraint project_milestones_project_id_fkey
    foreign key (project_id) references projects (id)
    on delete cascade;
alter table project_milestones
    add constraint project_milestones_assigned_to_fkey
    foreign key (assigned_to) references users (id);
alter table files
    add constraint files_parent_file_id_fkey
    foreign key (parent_file_id) references files (id);
alter table files
    add constraint files_project_id_fkey
    foreign key (project_id) references projects (id)
    on delete cascade;
alter table files
    add constraint files_organization_id_fkey
    foreign key (organization_id) references organizations (id)
    on delete cascade;
alter table files
    add constraint files_uploaded_by_fkey
    foreign key (uploaded_by) references users (id);
alter table file_permissions
    add constraint file_permissions_file_id_fkey
    foreign key (file_id) references files (id)
    on delete cascade;
alter table file_permissions
    add constraint file_permissions_user_id_fkey
    foreign key (user_id) references users (id)
    on delete cascade;
alter table file_permissions
    add constraint file_permissions_team_id_fkey
    foreign key (team_id) references teams (id)
    on delete cascade;
alter table file_permissions
    add constraint file_permissions_granted_by_fkey
    foreign key (granted_by) references users (id);
alter table conversations
    add constraint conversations_organization_id_fkey
    foreign key (organization_id) references organizations (id)
    on delete cascade;
alter table conversations
    add constraint conversations_project_id_fkey
    foreign key (project_id) references projects (id)
    on delete cascade;
alter table conversations
    add constraint conversations_team_id_fkey
    foreign key (team_id) references teams (id)
    on delete cascade;
alter table conversations
    add constraint conversations_created_by_fkey
    foreign key (created_by) references users (id);
alter table conversation_participants
    add constraint conversation_participants_conversation_id_fkey
    foreign key (conversation_id) references conversations (id)
    on delete cascade;
alter table conversation_participants
    add constraint conversation_participants_user_id_fkey
    foreign key (user_id) references users (id)
    on delete cascade;
alter table messages
    add constraint messages_conversation_id_fkey
    foreign key (conversation_id) references conversations (id)
    on delete cascade;
alter table messages
    add constraint messages_author_id_fkey
    foreign key (author_id) references users (id);
alter table messages
    add constraint messages_reply_to_id_fkey
    foreign key (reply_to_id) references messages (id);
alter table message_reactions
    add constraint message_reactions_message_id_fkey
    foreign key (message_id) references messages (id)
    on delete cascade;
alter table message_reactions
    add constraint message_reactions_user_id_fkey
    foreign key (user_id) references users (id)
    on delete cascade;
alter table notifications
    add constraint notifications_user_id_fkey
    foreign key (user_id) references users (id)
    on delete cascade;
alter table invoices
    add constraint invoices_organization_id_fkey
    foreign key (organization_id) references organizations (id);
alter table invoices
    add constraint invoices_client_id_fkey
    foreign key (client_id) references users (id);
alter table invoices
    add constraint invoices_project_id_fkey
    foreign key (project_id) references projects (id);
alter table time_entries
    add constraint time_entries_user_id_fkey
    foreign key (user_id) references users (id);
alter table time_entries
    add constraint time_entries_project_id_fkey
    foreign key (project_id) references projects (id);
alter table client_requests
    add constraint client_requests_assigned_to_fkey
    foreign key (assigned_to) references users (id);
alter table portfolios
    add constraint portfolios_user_id_fkey
    foreign key (user_id) references users (id);
alter table portfolio_items
    add constraint portfolio_items_portfolio_id_fkey
    foreign key (portfolio_id) references portfolios (id)
    on delete cascade;
alter table portfolio_items
    add constraint portfolio_items_project_id_fkey
    foreign key (project_id) references projects (id);
