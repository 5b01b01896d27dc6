-- The 21 tables of Flux Studio as they were before the sprint: columns only.
-- Keys, checks, foreign keys and triggers follow in 02 to 05, after the data,
-- because loading into tables that carry them takes three to four times as long.
-- One deviation: ids default to gen_random_uuid(), built in since PostgreSQL 13,
-- instead of uuid_generate_v4() of the uuid-ossp extension. Both draw version 4.

-- People: clients, designers and a few admins.
create table users (
    id             uuid not null default gen_random_uuid(),
    email          varchar(255) not null,
    name           varchar(255) not null,
    password_hash  varchar(255),
    user_type      varchar(50) not null,
    avatar_url     text,
    phone          varchar(20),
    timezone       varchar(50) default 'America/New_York',
    preferences    jsonb default '{}',
    oauth_provider varchar(50),
    oauth_id       varchar(255),
    email_verified boolean default false,
    is_active      boolean default true,
    last_login     timestamptz,
    created_at     timestamptz default now(),
    updated_at     timestamptz default now()
);

-- Schools, universities and independent ensembles; who pays.
create table organizations (
    id                  uuid not null default gen_random_uuid(),
    name                varchar(255) not null,
    slug                varchar(255) not null,
    description         text,
    type                varchar(100) not null,
    location            text,
    contact_email       varchar(255),
    contact_phone       varchar(20),
    website             varchar(255),
    logo_url            text,
    settings            jsonb default '{}',
    subscription_tier   varchar(50) default 'free',
    subscription_status varchar(50) default 'active',
    billing_email       varchar(255),
    stripe_customer_id  varchar(255),
    created_by          uuid not null,
    created_at          timestamptz default now(),
    updated_at          timestamptz default now()
);

-- Who belongs to which organization, and as what.
create table organization_members (
    id              uuid not null default gen_random_uuid(),
    organization_id uuid not null,
    user_id         uuid not null,
    role            varchar(50) not null,
    permissions     jsonb default '[]',
    invited_by      uuid,
    joined_at       timestamptz default now(),
    is_active       boolean default true
);

-- Groups of people inside an organization.
create table teams (
    id              uuid not null default gen_random_uuid(),
    name            varchar(255) not null,
    description     text,
    slug            varchar(255) not null,
    organization_id uuid not null,
    lead_id         uuid,
    settings        jsonb default '{}',
    is_private      boolean default false,
    created_at      timestamptz default now(),
    updated_at      timestamptz default now()
);

-- Who belongs to which team.
create table team_members (
    id          uuid not null default gen_random_uuid(),
    team_id     uuid not null,
    user_id     uuid not null,
    role        varchar(50) not null,
    permissions jsonb default '[]',
    joined_at   timestamptz default now(),
    is_active   boolean default true
);

-- The work: one show, one design, one season.
create table projects (
    id               uuid not null default gen_random_uuid(),
    name             varchar(255) not null,
    description      text,
    slug             varchar(255) not null,
    organization_id  uuid not null,
    team_id          uuid,
    manager_id       uuid not null,
    client_id        uuid,
    status           varchar(50) not null default 'planning',
    priority         varchar(50) not null default 'medium',
    project_type     varchar(100) not null,
    service_category varchar(100) not null,
    service_tier     varchar(50) not null,
    ensemble_type    varchar(100) not null,
    budget           numeric(10,2),
    estimated_hours  integer,
    actual_hours     integer default 0,
    start_date       date,
    due_date         date,
    completion_date  date,
    metadata         jsonb default '{}',
    settings         jsonb default '{}',
    tags             text[] default '{}',
    is_template      boolean default false,
    template_id      uuid,
    created_at       timestamptz default now(),
    updated_at       timestamptz default now()
);

-- Who works on which project.
create table project_members (
    id          uuid not null default gen_random_uuid(),
    project_id  uuid not null,
    user_id     uuid not null,
    role        varchar(50) not null,
    permissions jsonb default '[]',
    hourly_rate numeric(8,2),
    joined_at   timestamptz default now(),
    is_active   boolean default true
);

-- Dated steps of a project.
create table project_milestones (
    id           uuid not null default gen_random_uuid(),
    project_id   uuid not null,
    name         varchar(255) not null,
    description  text,
    due_date     date,
    completed_at timestamptz,
    assigned_to  uuid,
    order_index  integer not null default 0,
    is_required  boolean default true,
    created_at   timestamptz default now(),
    updated_at   timestamptz default now()
);

-- Every upload and every revision of it.
create table files (
    id              uuid not null default gen_random_uuid(),
    name            varchar(255) not null,
    original_name   varchar(255) not null,
    description     text,
    file_path       text not null,
    file_url        text not null,
    thumbnail_url   text,
    mime_type       varchar(100) not null,
    file_size       bigint not null,
    width           integer,
    height          integer,
    duration        integer,
    pages           integer,
    category        varchar(50) not null default 'other',
    status          varchar(50) not null default 'draft',
    version         integer not null default 1,
    is_latest       boolean default true,
    parent_file_id  uuid,
    project_id      uuid,
    organization_id uuid not null,
    uploaded_by     uuid not null,
    metadata        jsonb default '{}',
    created_at      timestamptz default now(),
    updated_at      timestamptz default now()
);

-- Files shared with one person or one team, never both.
create table file_permissions (
    id              uuid not null default gen_random_uuid(),
    file_id         uuid not null,
    user_id         uuid,
    team_id         uuid,
    permission_type varchar(50) not null,
    granted_by      uuid not null,
    granted_at      timestamptz default now()
);

-- Channels: direct, group, of a project, of a team.
create table conversations (
    id              uuid not null default gen_random_uuid(),
    name            varchar(255),
    description     text,
    type            varchar(50) not null,
    organization_id uuid,
    project_id      uuid,
    team_id         uuid,
    created_by      uuid not null,
    last_message_at timestamptz,
    metadata        jsonb default '{}',
    settings        jsonb default '{}',
    is_archived     boolean default false,
    created_at      timestamptz default now(),
    updated_at      timestamptz default now()
);

-- Who reads which channel, and how far.
create table conversation_participants (
    id              uuid not null default gen_random_uuid(),
    conversation_id uuid not null,
    user_id         uuid not null,
    role            varchar(50) not null default 'member',
    joined_at       timestamptz default now(),
    last_read_at    timestamptz,
    is_muted        boolean default false,
    is_pinned       boolean default false
);

-- Two thirds of all rows.
create table messages (
    id              uuid not null default gen_random_uuid(),
    conversation_id uuid not null,
    author_id       uuid not null,
    content         text,
    message_type    varchar(50) not null default 'text',
    priority        varchar(50) not null default 'normal',
    status          varchar(50) not null default 'sent',
    reply_to_id     uuid,
    thread_id       uuid,
    mentions        uuid[] default '{}',
    attachments     jsonb default '[]',
    metadata        jsonb default '{}',
    edited_at       timestamptz,
    deleted_at      timestamptz,
    created_at      timestamptz default now()
);

-- One row per person, message and reaction.
create table message_reactions (
    id         uuid not null default gen_random_uuid(),
    message_id uuid not null,
    user_id    uuid not null,
    reaction   varchar(50) not null,
    created_at timestamptz default now()
);

-- What the bell shows.
create table notifications (
    id         uuid not null default gen_random_uuid(),
    user_id    uuid not null,
    type       varchar(100) not null,
    title      varchar(255) not null,
    message    text not null,
    data       jsonb default '{}',
    priority   varchar(50) not null default 'medium',
    is_read    boolean default false,
    read_at    timestamptz,
    action_url text,
    expires_at timestamptz,
    created_at timestamptz default now()
);

-- What was billed.
create table invoices (
    id                       uuid not null default gen_random_uuid(),
    invoice_number           varchar(50) not null,
    organization_id          uuid not null,
    client_id                uuid not null,
    project_id               uuid,
    amount                   numeric(10,2) not null,
    tax_amount               numeric(10,2) default 0,
    total_amount             numeric(10,2) not null,
    currency                 varchar(3) default 'USD',
    status                   varchar(50) not null default 'draft',
    due_date                 date,
    paid_at                  timestamptz,
    stripe_invoice_id        varchar(255),
    stripe_payment_intent_id varchar(255),
    line_items               jsonb not null,
    notes                    text,
    created_at               timestamptz default now(),
    updated_at               timestamptz default now()
);

-- Hours worked.
create table time_entries (
    id               uuid not null default gen_random_uuid(),
    user_id          uuid not null,
    project_id       uuid not null,
    task_description text not null,
    hours            numeric(5,2) not null,
    billable         boolean default true,
    hourly_rate      numeric(8,2),
    date             date not null,
    start_time       time,
    end_time         time,
    created_at       timestamptz default now(),
    updated_at       timestamptz default now()
);

-- The price list: 24 rows, whatever the size.
create table service_packages (
    id               uuid not null default gen_random_uuid(),
    name             varchar(255) not null,
    slug             varchar(255) not null,
    description      text,
    service_category varchar(100) not null,
    service_tier     varchar(50) not null,
    base_price       numeric(10,2) not null,
    estimated_hours  integer,
    deliverables     jsonb not null,
    inclusions       jsonb default '[]',
    exclusions       jsonb default '[]',
    is_active        boolean default true,
    created_at       timestamptz default now(),
    updated_at       timestamptz default now()
);

-- Leads from the public form.
create table client_requests (
    id                  uuid not null default gen_random_uuid(),
    name                varchar(255) not null,
    email               varchar(255) not null,
    phone               varchar(20),
    organization_name   varchar(255),
    ensemble_type       varchar(100) not null,
    service_category    varchar(100) not null,
    service_tier        varchar(50),
    project_description text,
    budget_range        varchar(50),
    timeline            varchar(100),
    status              varchar(50) not null default 'new',
    assigned_to         uuid,
    notes               text,
    metadata            jsonb default '{}',
    created_at          timestamptz default now(),
    updated_at          timestamptz default now()
);

-- Showcases of designers.
create table portfolios (
    id              uuid not null default gen_random_uuid(),
    user_id         uuid not null,
    title           varchar(255) not null,
    description     text,
    is_public       boolean default true,
    cover_image_url text,
    settings        jsonb default '{}',
    created_at      timestamptz default now(),
    updated_at      timestamptz default now()
);

-- Pieces of a showcase.
create table portfolio_items (
    id           uuid not null default gen_random_uuid(),
    portfolio_id uuid not null,
    project_id   uuid,
    title        varchar(255) not null,
    description  text,
    image_url    text,
    category     varchar(100),
    tags         text[] default '{}',
    order_index  integer not null default 0,
    is_featured  boolean default false,
    created_at   timestamptz default now()
);
