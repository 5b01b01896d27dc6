-- The 90 indexes of sprint 11, in the order of their tables.
-- Above each stands the use case of the sprint's report that it is for;
-- "none" means that the report counts the column but names no query for it.

-- users

-- use case: User Queries / OAuth provider/ID lookups
create index idx_users_oauth_provider
    on users (oauth_provider)
    where oauth_provider is not null;
-- use case: User Queries / Active users filtering
create index idx_users_is_active
    on users (is_active)
    where is_active = true;
-- use case: User Queries / User creation date sorting
create index idx_users_created_at
    on users (created_at desc);
-- use case: User Queries / Last login tracking
create index idx_users_last_login
    on users (last_login desc nulls last);

-- organizations

-- use case: Organization Queries / Owner lookups
create index idx_organizations_created_by
    on organizations (created_by);
-- use case: Organization Queries / Subscription tier filtering
create index idx_organizations_subscription_tier
    on organizations (subscription_tier);
-- use case: Organization Queries / Subscription tier filtering
create index idx_organizations_subscription_status
    on organizations (subscription_status);
-- use case: Organization Queries / Stripe customer ID lookups
create index idx_organizations_stripe_customer_id
    on organizations (stripe_customer_id)
    where stripe_customer_id is not null;

-- organization_members

-- use case: File Queries / Organization files (whose organizations a person may see)
create index idx_organization_members_user_id
    on organization_members (user_id);
-- use case: Organization Queries / Owner lookups
create index idx_organization_members_role
    on organization_members (role);
-- use case: none; the report only says "organization_members - 4 columns indexed"
create index idx_organization_members_is_active
    on organization_members (is_active)
    where is_active = true;

-- teams

-- use case: none; the report only says "teams - 4 columns indexed"
create index idx_teams_organization_id
    on teams (organization_id);
-- use case: none; the report only says "teams - 4 columns indexed"
create index idx_teams_lead_id
    on teams (lead_id)
    where lead_id is not null;
-- use case: none; the report only says "teams - 4 columns indexed"
create index idx_teams_slug
    on teams (slug);

-- team_members

-- use case: none; the report only says "team_members - 4 columns indexed"
create index idx_team_members_user_id
    on team_members (user_id);
-- use case: none; the report only says "team_members - 4 columns indexed"
create index idx_team_members_role
    on team_members (role);
-- use case: none; the report only says "team_members - 4 columns indexed"
create index idx_team_members_is_active
    on team_members (is_active)
    where is_active = true;

-- projects

-- use case: Project Queries / Due date sorting (of a team)
create index idx_projects_team_id
    on projects (team_id)
    where team_id is not null;
-- use case: Project Queries / Manager/client lookups
create index idx_projects_manager_id
    on projects (manager_id);
-- use case: Project Queries / Manager/client lookups
create index idx_projects_client_id
    on projects (client_id)
    where client_id is not null;
-- use case: Project Queries / Priority filtering
create index idx_projects_priority
    on projects (priority);
-- use case: Project Queries / Due date sorting
create index idx_projects_due_date
    on projects (due_date nulls last);
-- use case: Analytics Queries / Time-based queries (created_at indexes)
create index idx_projects_created_at
    on projects (created_at desc);
-- use case: Project Queries / Tag searches (GIN index)
create index idx_projects_tags
    on projects using gin (tags);
-- use case: Project Queries / Organization projects (composite with status)
create index idx_projects_composite_org_status
    on projects (organization_id, status, due_date);

-- project_members

-- use case: Project Queries / Organization projects (narrowed to a member)
create index idx_project_members_user_id
    on project_members (user_id);
-- use case: none; the report only says "project_members - 4 columns indexed"
create index idx_project_members_role
    on project_members (role);
-- use case: none; the report only says "project_members - 4 columns indexed"
create index idx_project_members_is_active
    on project_members (is_active)
    where is_active = true;

-- project_milestones

-- use case: Analytics Queries / Project statistics
create index idx_project_milestones_project_id
    on project_milestones (project_id);
-- use case: none; the report only says "project_milestones - 4 columns indexed"
create index idx_project_milestones_due_date
    on project_milestones (due_date nulls last);
-- use case: Analytics Queries / Time-based queries
create index idx_project_milestones_completed_at
    on project_milestones (completed_at nulls last);

-- files

-- use case: File Queries / Uploader lookups
create index idx_files_uploaded_by
    on files (uploaded_by);
-- use case: File Queries / Category/status filtering
create index idx_files_category
    on files (category);
-- use case: File Queries / Category/status filtering
create index idx_files_status
    on files (status);
-- use case: File Queries / Version control (parent/version/is_latest)
create index idx_files_parent_file_id
    on files (parent_file_id)
    where parent_file_id is not null;
-- use case: File Queries / Version control (parent/version/is_latest)
create index idx_files_version
    on files (version);
-- use case: File Queries / Version control (parent/version/is_latest)
create index idx_files_is_latest
    on files (is_latest)
    where is_latest = true;
-- use case: File Queries / Recent files sorting
create index idx_files_created_at
    on files (created_at desc);
-- use case: File Queries / MIME type filtering
create index idx_files_mime_type
    on files (mime_type);
-- use case: File Queries / Organization files
create index idx_files_composite_org_project
    on files (organization_id, project_id, created_at desc)
    where project_id is not null;
-- use case: File Queries / Project files (composite with category)
create index idx_files_composite_project_category
    on files (project_id, category, status)
    where project_id is not null;

-- file_permissions

-- use case: none; the report only says "file_permissions - 4 columns indexed"
create index idx_file_permissions_user_id
    on file_permissions (user_id)
    where user_id is not null;
-- use case: none; the report only says "file_permissions - 4 columns indexed"
create index idx_file_permissions_team_id
    on file_permissions (team_id)
    where team_id is not null;
-- use case: none; the report only says "file_permissions - 4 columns indexed"
create index idx_file_permissions_permission_type
    on file_permissions (permission_type);

-- conversations

-- use case: Analytics Queries / Organization dashboards
create index idx_conversations_organization_id
    on conversations (organization_id)
    where organization_id is not null;
-- use case: Analytics Queries / Project statistics
create index idx_conversations_project_id
    on conversations (project_id)
    where project_id is not null;
-- use case: none; the report only says "conversations - 8 columns indexed"
create index idx_conversations_team_id
    on conversations (team_id)
    where team_id is not null;
-- use case: none; the report only says "conversations - 8 columns indexed"
create index idx_conversations_created_by
    on conversations (created_by);
-- use case: none; the report only says "conversations - 8 columns indexed"
create index idx_conversations_type
    on conversations (type);
-- use case: none; the report only says "conversations - 8 columns indexed"
create index idx_conversations_is_archived
    on conversations (is_archived)
    where is_archived = false;
-- use case: Analytics Queries / Time-based queries
create index idx_conversations_last_message_at
    on conversations (last_message_at desc nulls last);

-- conversation_participants

-- use case: Messaging Queries / User conversations
create index idx_conversation_participants_user_id
    on conversation_participants (user_id);
-- use case: none; the report only says "conversation_participants - 4 columns indexed"
create index idx_conversation_participants_role
    on conversation_participants (role);
-- use case: Messaging Queries / Unread message tracking
create index idx_conversation_participants_last_read_at
    on conversation_participants (last_read_at nulls last);

-- messages

-- use case: Analytics Queries / User activity tracking
create index idx_messages_author_id
    on messages (author_id);
-- use case: Messaging Queries / Conversation messages (media of a channel)
create index idx_messages_message_type
    on messages (message_type);
-- use case: Messaging Queries / Thread navigation (reply_to_id, thread_id)
create index idx_messages_reply_to_id
    on messages (reply_to_id)
    where reply_to_id is not null;
-- use case: Messaging Queries / Thread navigation (reply_to_id, thread_id)
create index idx_messages_thread_id
    on messages (thread_id)
    where thread_id is not null;
-- use case: Messaging Queries / Unread message tracking
create index idx_messages_status
    on messages (status);
-- use case: Messaging Queries / Soft delete support (deleted_at)
create index idx_messages_deleted_at
    on messages (deleted_at)
    where deleted_at is null;
-- use case: Messaging Queries / Conversation messages (composite with created_at)
create index idx_messages_composite_conv_created
    on messages (conversation_id, created_at desc)
    where deleted_at is null;
-- use case: Messaging Queries / Full-text message search (GIN index)
create index idx_messages_content_search
    on messages using gin (to_tsvector('english', content));

-- message_reactions

-- use case: Analytics Queries / User activity tracking
create index idx_message_reactions_user_id
    on message_reactions (user_id);

-- notifications

-- use case: none; the report only says "notifications - 6 columns indexed"
create index idx_notifications_type
    on notifications (type);
-- use case: none; the report only says "notifications - 6 columns indexed"
create index idx_notifications_priority
    on notifications (priority);
-- use case: none; the report only says "notifications - 6 columns indexed"
create index idx_notifications_read_at
    on notifications (read_at)
    where read_at is null;
-- use case: none; the report only says "notifications - 6 columns indexed"
create index idx_notifications_expires_at
    on notifications (expires_at)
    where expires_at is not null;
-- use case: Analytics Queries / Time-based queries (created_at indexes)
create index idx_notifications_created_at
    on notifications (created_at desc);

-- invoices

-- use case: Analytics Queries / Organization dashboards
create index idx_invoices_organization_id
    on invoices (organization_id);
-- use case: none; the report only says "invoices - 7 columns indexed"
create index idx_invoices_client_id
    on invoices (client_id);
-- use case: none; the report only says "invoices - 7 columns indexed"
create index idx_invoices_project_id
    on invoices (project_id)
    where project_id is not null;
-- use case: Analytics Queries / Organization dashboards (outstanding balance)
create index idx_invoices_status
    on invoices (status);
-- use case: none; the report only says "invoices - 7 columns indexed"
create index idx_invoices_due_date
    on invoices (due_date nulls last);
-- use case: none; the report only says "invoices - 7 columns indexed"
create index idx_invoices_stripe_customer_id
    on invoices (stripe_invoice_id)
    where stripe_invoice_id is not null;

-- time_entries

-- use case: Analytics Queries / User activity tracking
create index idx_time_entries_user_id
    on time_entries (user_id);
-- use case: Analytics Queries / Project statistics
create index idx_time_entries_project_id
    on time_entries (project_id);
-- use case: Analytics Queries / Time-based queries
create index idx_time_entries_date
    on time_entries (date desc);
-- use case: none; the report only says "time_entries - 5 columns indexed"
create index idx_time_entries_billable
    on time_entries (billable);

-- service_packages

-- use case: none; the report only says "service_packages - 4 columns indexed"
create index idx_service_packages_service_category
    on service_packages (service_category);
-- use case: none; the report only says "service_packages - 4 columns indexed"
create index idx_service_packages_service_tier
    on service_packages (service_tier);
-- use case: none; the report only says "service_packages - 4 columns indexed"
create index idx_service_packages_is_active
    on service_packages (is_active)
    where is_active = true;

-- client_requests

-- use case: none; the report only says "client_requests - 5 columns indexed"
create index idx_client_requests_status
    on client_requests (status);
-- use case: none; the report only says "client_requests - 5 columns indexed"
create index idx_client_requests_assigned_to
    on client_requests (assigned_to)
    where assigned_to is not null;
-- use case: none; the report only says "client_requests - 5 columns indexed"
create index idx_client_requests_ensemble_type
    on client_requests (ensemble_type);
-- use case: Analytics Queries / Time-based queries (created_at indexes)
create index idx_client_requests_created_at
    on client_requests (created_at desc);

-- portfolios

-- use case: none; the report only says "portfolios - 3 columns indexed"
create index idx_portfolios_user_id
    on portfolios (user_id);
-- use case: none; the report only says "portfolios - 3 columns indexed"
create index idx_portfolios_is_public
    on portfolios (is_public)
    where is_public = true;

-- portfolio_items

-- use case: none; the report only says "portfolio_items - 4 columns indexed"
create index idx_portfolio_items_portfolio_id
    on portfolio_items (portfolio_id);
-- use case: none; the report only says "portfolio_items - 4 columns indexed"
create index idx_portfolio_items_project_id
    on portfolio_items (project_id)
    where project_id is not null;
-- use case: none; the report only says "portfolio_items - 4 columns indexed"
create index idx_portfolio_items_is_featured
    on portfolio_items (is_featured)
    where is_featured = true;
