-- Twelve tables keep updated_at themselves.

create function set_updated_at() returns trigger
language plpgsql
as $$
begin
    new.updated_at = now();
    return new;
end;
$$;

create trigger users_updated_at
    before update on users
    for each row execute function set_updated_at();
create trigger organizations_updated_at
    before update on organizations
    for each row execute function set_updated_at();
create trigger teams_updated_at
    before update on teams
    for each row execute function set_updated_at();
create trigger projects_updated_at
    before update on projects
    for each row execute function set_updated_at();
create trigger project_milestones_updated_at
    before update on project_milestones
    for each row execute function set_updated_at();
create trigger files_updated_at
    before update on files
    for each row execute function set_updated_at();
create trigger conversations_updated_at
    before update on conversations
    for each row execute function set_updated_at();
create trigger invoices_updated_at
    before update on invoices
    for each row execute function set_updated_at();
create trigger time_entries_updated_at
    before update on time_entries
    for each row execute function set_updated_at();
create trigger service_packages_updated_at
    before update on service_packages
    for each row execute function set_updated_at();
create trigger client_requests_updated_at
    before update on client_requests
    for each row execute function set_updated_at();
create trigger portfolios_updated_at
    before update on portfolios
    for each row execute function set_updated_at();
