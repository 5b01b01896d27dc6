-- Queries of the area "files": uploads, their revisions, and who may see them.

-- name: file_by_id
-- what: One file by primary key, all columns.
-- weight: 25
-- habits: select_star
-- param file_id: files.id
select *
from files
where id = :file_id;

-- name: file_access_check
-- what: A file, if the reader uploaded it or contributes to its project.
-- weight: 12
-- habits: select_star, or_condition
-- param file_id: files.id
-- param user_id: select user_id from (
--         select uploaded_by as user_id, 1 as place
--         from files
--         where id = :file_id
--         union all
--         (
--             select project_members.user_id, 2
--             from files
--             join project_members on project_members.project_id = files.project_id
--             where files.id = :file_id
--                 and project_members.role in ('manager', 'contributor')
--             order by project_members.joined_at, project_members.id limit 1
--         )
--     ) readers
--     order by place
select files.*
from files
left join project_members on files.project_id = project_members.project_id
    and project_members.user_id = :user_id
where files.id = :file_id
    and (
        files.uploaded_by = :user_id
        or project_members.role in ('manager', 'contributor')
    );

-- name: files_of_project
-- what: The files of a project as its page lists them, the newest first.
-- weight: 15
-- claim: Project files list
-- cache: project:{projectId}:files ttl: short
-- habits: select_star
-- param project_id: files.project_id
select
    files.*,
    users.name as uploader_name
from files
join users on files.uploaded_by = users.id
where files.project_id = :project_id
order by files.created_at desc
limit 50 offset 0;

-- name: files_of_project_latest_only
-- what: The files of a project without the revisions that newer ones replaced.
-- weight: 6
-- claim: Project files list
-- param project_id: files.project_id
select id, name, mime_type, file_size, category, status, version, uploaded_by, created_at
from files
where project_id = :project_id
    and is_latest = true
order by created_at desc
limit 50;

-- name: files_of_project_by_category
-- what: The files of one category in a project, the newest first.
-- weight: 4
-- claim: Project files list
-- param project_id: files.project_id
-- param category: select category from files
--     where project_id = :project_id
--     group by category
--     order by count(*) desc, category limit 3
select id, name, mime_type, file_size, status, version, uploaded_by, created_at
from files
where project_id = :project_id
    and category = :category
order by created_at desc
limit 50;

-- name: files_of_project_category_status
-- what: The files of one category and review state in a project.
-- weight: 2
-- param project_id: files.project_id
-- param category: select category from files
--     where project_id = :project_id
--     group by category
--     order by count(*) desc, category limit 3
-- param status: select status from files
--     where project_id = :project_id
--         and category = :category
--     group by status
--     order by count(*) desc, status limit 3
select id, name, mime_type, version, uploaded_by, created_at
from files
where project_id = :project_id
    and category = :category
    and status = :status;

-- name: files_of_project_status_only
-- what: The files of a project that wait for a review.
-- weight: 2
-- param project_id: files.project_id
select id, name, mime_type, category, version, uploaded_by, created_at
from files
where project_id = :project_id
    and status = 'review';

-- name: files_of_project_count
-- what: The number of files on the card of a project.
-- weight: 10
-- param project_id: files.project_id
select count(*) as file_count
from files
where project_id = :project_id;

-- name: files_of_org
-- what: One page of the files of an organization, all columns.
-- weight: 4
-- habits: select_star, offset
-- param organization_id: files.organization_id
-- param offset: select count(*) / 100 * 50 from files
--     where organization_id = :organization_id
select *
from files
where organization_id = :organization_id
order by created_at desc
limit 50 offset :offset;

-- name: files_of_org_project_recent
-- what: The newest files of a project, asked for together with its organization.
-- weight: 3
-- claim: Project files list
-- param project_id: files.project_id
-- param organization_id: select organization_id from files
--     where project_id = :project_id
--     group by organization_id
--     order by count(*) desc, organization_id limit 1
select id, name, mime_type, file_size, category, status, uploaded_by, created_at
from files
where organization_id = :organization_id
    and project_id = :project_id
order by created_at desc
limit 20;

-- name: files_of_org_in_projects_recent
-- what: The newest files of an organization that belong to some project.
-- weight: 2
-- param organization_id: files.organization_id
select id, name, project_id, mime_type, file_size, uploaded_by, created_at
from files
where organization_id = :organization_id
    and project_id is not null
order by created_at desc
limit 20;

-- name: files_of_org_unattached
-- what: The files of an organization that belong to no project.
-- weight: 0.5
-- habits: partial_predicate_missing
-- param organization_id: files.organization_id
select id, name, mime_type, file_size, uploaded_by, created_at
from files
where organization_id = :organization_id
    and project_id is null;

-- name: files_all_unbounded
-- what: Every file there is, all columns, the newest first.
-- weight: 0.1
-- habits: select_star, unbounded
select *
from files
order by created_at desc;

-- name: files_newest
-- what: The latest uploads of the platform, with the names of those who sent them.
-- weight: 0.5
select
    files.id,
    files.name,
    files.mime_type,
    files.file_size,
    users.name as uploader_name,
    files.created_at
from files
left join users on files.uploaded_by = users.id
order by files.created_at desc
limit 50;

-- name: files_on_day_by_function
-- what: The uploads of one day, found by computing the day of each.
-- weight: 0.1
-- habits: function_on_column
-- param day: select day from (
--         select day, place
--         from (
--             select date(created_at) as day,
--                 row_number() over (order by count(*) desc, date(created_at)) as place,
--                 count(*) over () as places
--             from files
--             group by date(created_at)
--         ) ranked
--         where place in (1, (places + 1) / 2, places)
--         union all
--         select date '1999-12-31', null
--     ) days
--     order by place nulls last
select id, name, organization_id, uploaded_by, created_at
from files
where date(created_at) = :day::date;

-- name: files_of_uploader
-- what: Everything a person ever uploaded, for the export of her data.
-- weight: 0.3
-- habits: unbounded
-- param user_id: files.uploaded_by
select id, name, original_name, mime_type, file_size, project_id, file_url, created_at
from files
where uploaded_by = :user_id
order by created_at desc;

-- name: files_uploader_storage
-- what: The storage that a person uses, compared with her quota at every upload.
-- weight: 3
-- param user_id: files.uploaded_by
select coalesce(sum(file_size), 0) as size_bytes
from files
where uploaded_by = :user_id;

-- name: files_uploader_breakdown
-- what: The counters above the list of a person's files: all, images, documents, bytes.
-- weight: 1
-- param user_id: files.uploaded_by
select
    count(*) as file_count,
    sum(file_size) as size_bytes,
    count(*) filter (where mime_type like 'image/%') as image_count,
    count(*) filter (where mime_type = 'application/pdf') as pdf_count
from files
where uploaded_by = :user_id;

-- name: files_visible_page
-- what: One page of the files that a person uploaded or her organizations own.
-- weight: 8
-- habits: select_star, offset, or_condition
-- param user_id: files.uploaded_by
-- param offset: select count(*) / 40 * 20 from files
--     where uploaded_by = :user_id
select
    files.*,
    users.name as uploader_name,
    projects.name as project_name,
    organizations.name as organization_name
from files
left join users on files.uploaded_by = users.id
left join projects on files.project_id = projects.id
left join organizations on files.organization_id = organizations.id
where (
        files.uploaded_by = :user_id
        or files.organization_id in (
            select organization_id
            from organization_members
            where user_id = :user_id
        )
    )
order by files.created_at desc
limit 20 offset :offset;

-- name: files_visible_count
-- what: The total that stands beside that page.
-- weight: 8
-- habits: or_condition
-- param user_id: files.uploaded_by
select count(*) as file_count
from files
where (
        uploaded_by = :user_id
        or organization_id in (
            select organization_id
            from organization_members
            where user_id = :user_id
        )
    );

-- name: files_by_category_platform
-- what: The newest files of one category, whoever owns them.
-- weight: 0.3
-- habits: low_selectivity
-- param category: one of design | other | feedback | archive
select id, name, organization_id, project_id, status, created_at
from files
where category = :category
order by created_at desc
limit 100;

-- name: files_awaiting_review
-- what: The review queue: current files that wait, the oldest first.
-- weight: 0.5
select
    files.id,
    files.name,
    files.project_id,
    files.category,
    files.version,
    users.name as uploader_name,
    files.created_at
from files
join users on files.uploaded_by = users.id
where files.status = 'review'
    and files.is_latest = true
order by files.created_at
limit 100;

-- name: files_status_counts_of_org
-- what: How many files of an organization stand at each step of the review.
-- weight: 1
-- param organization_id: files.organization_id
select status, count(*) as file_count
from files
where organization_id = :organization_id
group by status;

-- name: file_version_chain
-- what: A file and the revisions that point at it, the newest first.
-- weight: 3
-- habits: select_star, or_condition
-- param file_id: files.parent_file_id
select *
from files
where (
        id = :file_id
        or parent_file_id = :file_id
    )
order by version desc;

-- name: file_children
-- what: The revisions that point at a file.
-- weight: 2
-- param file_id: files.parent_file_id
select id, name, version, is_latest, status, uploaded_by, created_at
from files
where parent_file_id = :file_id
order by version desc;

-- name: file_max_version
-- what: The highest version among the revisions of a file, before the next is stored.
-- weight: 1
-- param file_id: files.parent_file_id
select max(version) as last_version
from files
where parent_file_id = :file_id;

-- name: file_version_tree
-- what: A file and all revisions that descend from it, however many steps away.
-- weight: 1
-- habits: cte, recursive
-- param file_id: with recursive tips as (
--         select id, place
--         from (
--             select id,
--                 row_number() over (order by version desc, id) as place,
--                 count(*) over () as places
--             from files
--             where parent_file_id is not null
--                 and is_latest
--         ) ranked
--         where place in (1, (places + 1) / 2, places)
--     ),
--     ascent as (
--         select files.id, files.parent_file_id, tips.place
--         from tips
--         join files on files.id = tips.id
--         union all
--         select files.id, files.parent_file_id, ascent.place
--         from ascent
--         join files on files.id = ascent.parent_file_id
--     )
--     select id from ascent
--     where parent_file_id is null
--     order by place
with recursive revisions as (
    select id, parent_file_id, name, version, is_latest, created_at
    from files
    where id = :file_id
    union all
    select
        files.id,
        files.parent_file_id,
        files.name,
        files.version,
        files.is_latest,
        files.created_at
    from files
    join revisions on files.parent_file_id = revisions.id
)
select id, parent_file_id, name, version, is_latest, created_at
from revisions
order by version;

-- name: files_heavily_revised
-- what: The files that went through the most revisions.
-- weight: 0.1
-- param version: one of 2 | 5 | 20 | 1000
select id, name, project_id, version, is_latest, created_at
from files
where version >= :version::int
order by version desc
limit 50;

-- name: files_latest_count
-- what: How many current files the platform holds, and how large they are.
-- weight: 0.05
-- habits: low_selectivity
select count(*) as file_count, sum(file_size) as size_bytes
from files
where is_latest = true;

-- name: files_pdf_of_project
-- what: The documents of a project.
-- weight: 2
-- param project_id: files.project_id
select id, name, pages, file_size, version, created_at
from files
where project_id = :project_id
    and mime_type = 'application/pdf';

-- name: files_by_exact_mime
-- what: The newest files of one media type.
-- weight: 0.3
-- param mime_type: files.mime_type
select id, name, organization_id, file_size, created_at
from files
where mime_type = :mime_type
order by created_at desc
limit 50;

-- name: files_by_mime_prefix
-- what: The newest images, whatever their format.
-- weight: 1
select id, name, mime_type, thumbnail_url, width, height, created_at
from files
where mime_type like 'image/%'
order by created_at desc
limit 50;

-- name: files_mime_histogram
-- what: The media types in use, how often and how large on average.
-- weight: 0.05
select mime_type, count(*) as file_count, avg(file_size) as mean_size_bytes
from files
group by mime_type
order by count(*) desc;

-- name: files_search_fragment
-- what: The files of an organization whose name or description holds what was typed.
-- weight: 3
-- habits: offset, leading_wildcard_like, or_condition
-- param organization_id: files.organization_id
-- param fragment: one of an | guard | coversheet | xylofon
-- param offset: one of 50 | 0 | 0 | 0
select
    files.id,
    files.name,
    files.description,
    files.mime_type,
    files.file_size,
    users.name as uploader_name,
    files.created_at
from files
join users on files.uploaded_by = users.id
where (
        files.name ilike '%' || :fragment || '%'
        or files.description ilike '%' || :fragment || '%'
    )
    and files.organization_id = :organization_id
order by files.created_at desc
limit 50 offset :offset;

-- name: files_search_fulltext
-- what: The best matches for a word among the files of a person's projects.
-- weight: 3
-- habits: union, full_text
-- param user_id: project_members.user_id
-- param term: one of guard | coversheet | palimpsest | xylofonist
select
    files.id,
    files.name,
    files.mime_type,
    projects.name as project_name,
    ts_rank(
        to_tsvector(
            'english', coalesce(files.name, '') || ' ' || coalesce(files.description, '')
        ),
        plainto_tsquery('english', :term)
    ) as rank
from files
left join projects on files.project_id = projects.id
where to_tsvector(
        'english', coalesce(files.name, '') || ' ' || coalesce(files.description, '')
    ) @@ plainto_tsquery('english', :term)
    and files.project_id in (
        select id
        from projects
        where manager_id = :user_id
        union
        select project_id
        from project_members
        where user_id = :user_id
    )
order by rank desc
limit 20;

-- name: files_metadata_key
-- what: The files for which the virus scan came to a given verdict.
-- weight: 0.1
-- habits: jsonb
-- param verdict: one of clean | pending | infected | unheard
select id, name, organization_id, uploaded_by, created_at
from files
where metadata->>'scanStatus' = :verdict;

-- name: files_largest_of_org
-- what: The twenty largest files of an organization.
-- weight: 0.3
-- param organization_id: files.organization_id
select id, name, mime_type, file_size, project_id, uploaded_by
from files
where organization_id = :organization_id
order by file_size desc
limit 20;

-- name: files_of_user_projects
-- what: The newest current files of all the projects that a person works on.
-- weight: 6
-- param user_id: project_members.user_id
select
    files.id,
    files.name,
    files.mime_type,
    files.status,
    projects.name as project_name,
    files.created_at
from files
join project_members on files.project_id = project_members.project_id
join projects on files.project_id = projects.id
where project_members.user_id = :user_id
    and project_members.is_active = true
    and files.is_latest = true
order by files.created_at desc
limit 30;

-- name: file_grants_of_file
-- what: Who may see a file, for the dialog that shares it.
-- weight: 2
-- param file_id: file_permissions.file_id
select
    file_permissions.id,
    file_permissions.user_id,
    file_permissions.team_id,
    file_permissions.permission_type,
    users.name as user_name,
    file_permissions.granted_at
from file_permissions
left join users on file_permissions.user_id = users.id
where file_permissions.file_id = :file_id;

-- name: file_grant_check
-- what: Whether a person holds a right on a file, herself or through a team.
-- weight: 15
-- habits: or_condition
-- param file_id: file_permissions.file_id
-- param permission_type: select permission_type from file_permissions
--     where file_id = :file_id
--     group by permission_type
--     order by count(*) desc, permission_type limit 1
-- param user_id: select coalesce(file_permissions.user_id, team_members.user_id)
--     from file_permissions
--     left join team_members on team_members.team_id = file_permissions.team_id
--     where file_permissions.file_id = :file_id
--         and file_permissions.permission_type = :permission_type
--         and coalesce(file_permissions.user_id, team_members.user_id) is not null
--     order by file_permissions.granted_at, file_permissions.id, team_members.id limit 1
select id
from file_permissions
where file_id = :file_id
    and permission_type = :permission_type
    and (
        user_id = :user_id
        or team_id in (
            select team_id
            from team_members
            where user_id = :user_id
        )
    )
limit 1;

-- name: files_shared_with_user
-- what: The files that others shared with a person, the latest share first.
-- weight: 3
-- param user_id: file_permissions.user_id
select
    files.id,
    files.name,
    files.mime_type,
    file_permissions.permission_type,
    users.name as granted_by_name,
    file_permissions.granted_at
from file_permissions
join files on file_permissions.file_id = files.id
left join users on file_permissions.granted_by = users.id
where file_permissions.user_id = :user_id
order by file_permissions.granted_at desc
limit 50;

-- name: files_shared_with_teams_of_user
-- what: The files that a person sees because her teams may.
-- weight: 2
-- param user_id: team_members.user_id
select distinct
    files.id,
    files.name,
    files.mime_type,
    files.file_size,
    files.created_at
from file_permissions
join team_members on file_permissions.team_id = team_members.team_id
join files on file_permissions.file_id = files.id
where team_members.user_id = :user_id
    and team_members.is_active = true;

-- name: file_share_rights_audit
-- what: Who may pass files on, the latest grants first.
-- weight: 0.05
select
    files.id,
    files.name,
    users.name as user_name,
    file_permissions.team_id,
    file_permissions.granted_at
from file_permissions
left join users on file_permissions.user_id = users.id
join files on file_permissions.file_id = files.id
where file_permissions.permission_type = 'share'
order by file_permissions.granted_at desc
limit 200;

-- name: file_insert
-- what: Register an upload.
-- weight: 3
-- param project_id: select project_id from (
--         select project_id,
--             row_number() over (order by count(*) desc, project_id) as place,
--             count(*) over () as places
--         from files
--         where project_id is not null
--         group by project_id
--     ) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param organization_id: select organization_id from projects
--     where id = :project_id
-- param user_id: select manager_id from projects
--     where id = :project_id
-- param file_name: one of drill-chart.pdf | opening-set.pdf | closing-set.pdf
-- param category: one of design | reference | final
insert into files (
    name,
    original_name,
    file_path,
    file_url,
    mime_type,
    file_size,
    category,
    project_id,
    organization_id,
    uploaded_by,
    metadata
)
values (
    :file_name,
    :file_name,
    'uploads/lab-' || gen_random_uuid(),
    '/files/lab-' || gen_random_uuid(),
    'application/pdf',
    1258291,
    :category,
    :project_id,
    :organization_id,
    :user_id,
    '{"scanStatus": "pending"}'
)
returning id, name, version, created_at;

-- name: file_demote_previous
-- what: Mark a revision as no longer the current one.
-- weight: 0.8
-- param file_id: select id from files
--     where is_latest
--     order by version desc, id limit 3
update files
set is_latest = false
where id = :file_id;

-- name: file_attach_revision
-- what: Tie a new upload to the file that it revises.
-- weight: 0.8
-- param parent_file_id: select id from files
--     where is_latest
--     order by version desc, id limit 3
-- param version: select version + 1 from files
--     where id = :parent_file_id
-- param file_id: select upload.id
--     from files as upload
--     cross join files as parent
--     where parent.id = :parent_file_id
--         and upload.id <> parent.id
--         and upload.parent_file_id is null
--     order by (upload.project_id is not distinct from parent.project_id) desc,
--         (upload.organization_id = parent.organization_id) desc,
--         upload.created_at desc, upload.id
--     limit 1
update files
set parent_file_id = :parent_file_id,
    version = :version,
    is_latest = true
where id = :file_id;

-- name: file_set_status
-- what: Approve a file, or send it back.
-- weight: 1
-- param status: one of approved | rejected
-- param file_id: select id from files
--     where status = 'review'
--     order by created_at, id limit 3
update files
set status = :status
where id = :file_id;

-- name: file_merge_metadata
-- what: Keep the verdict of the virus scan with the file.
-- weight: 3
-- habits: jsonb
-- param file_id: files.id
-- param verdict: one of clean | clean | infected
update files
set metadata = coalesce(metadata, '{}') || jsonb_build_object('scanStatus', :verdict::text)
where id = :file_id;

-- name: file_delete
-- what: Remove a file that has no revisions, with its shares.
-- weight: 0.4
-- habits: cascade
-- param file_id: select files.id
--     from files
--     left join (
--         select file_id, count(*) as grants
--         from file_permissions
--         group by file_id
--     ) shares on shares.file_id = files.id
--     where not exists (
--         select 1 from files as revision where revision.parent_file_id = files.id
--     )
--     order by shares.grants desc nulls last, files.id limit 3
delete from files
where id = :file_id;

-- name: file_grant_insert
-- what: Share a file with a person.
-- weight: 1
-- param file_id: select file_id from (
--         select file_id,
--             row_number() over (order by count(*) desc, file_id) as place,
--             count(*) over () as places
--         from file_permissions
--         group by file_id
--     ) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param granted_by: select uploaded_by from files
--     where id = :file_id
-- param user_id: select id from users
--     where id <> :granted_by
--     order by created_at, id limit 3
-- param permission_type: one of read | write | share
insert into file_permissions (file_id, user_id, permission_type, granted_by)
values (:file_id, :user_id, :permission_type, :granted_by);

-- name: file_grant_revoke
-- what: Take back what was shared with a person.
-- weight: 0.2
-- param user_id: select user_id from (
--         select user_id,
--             row_number() over (order by count(*) desc, user_id) as place,
--             count(*) over () as places
--         from file_permissions
--         where user_id is not null
--         group by user_id
--     ) ranked
--     where place in (1, (places + 1) / 2, places)
--     order by place
-- param file_id: select file_id from file_permissions
--     where user_id = :user_id
--     order by granted_at, id limit 1
delete from file_permissions
where file_id = :file_id
    and user_id = :user_id;
