-- Queries of the area "portfolios": showcases of designers and the pieces in them.

-- name: portfolios_of_user
-- what: Somebody's own showcases, the one touched last on top.
-- weight: 1
-- param user_id: portfolios.user_id
select id, title, description, is_public, cover_image_url, updated_at
from portfolios
where user_id = :user_id
order by updated_at desc;

-- name: portfolios_public_page
-- what: A page of the public gallery, with the designers' names.
-- weight: 3
-- habits: offset, low_selectivity
-- param offset: one of 0 | 24 | 96 | 5000
select
    portfolios.id,
    portfolios.title,
    portfolios.cover_image_url,
    portfolios.updated_at,
    users.name as owner_name
from portfolios
join users on portfolios.user_id = users.id
where portfolios.is_public = true
order by portfolios.updated_at desc
limit 24 offset :offset;

-- name: portfolio_with_owner
-- what: The page of one showcase, with the designer who owns it.
-- weight: 5
-- habits: select_star
-- param portfolio_id: portfolios.id
select portfolios.*, users.name as owner_name, users.avatar_url as owner_avatar_url
from portfolios
join users on portfolios.user_id = users.id
where portfolios.id = :portfolio_id;

-- name: portfolios_public_with_counts
-- what: Public showcases, each with the number of its pieces.
-- weight: 1
select
    portfolios.id,
    portfolios.title,
    portfolios.cover_image_url,
    count(portfolio_items.id) as items
from portfolios
left join portfolio_items on portfolio_items.portfolio_id = portfolios.id
where portfolios.is_public = true
group by portfolios.id
limit 24;

-- name: portfolio_items_list
-- what: The pieces of a showcase in the order the designer gave them.
-- weight: 5
-- param portfolio_id: portfolio_items.portfolio_id
select id, title, description, image_url, category, tags, is_featured
from portfolio_items
where portfolio_id = :portfolio_id
order by order_index;

-- name: portfolio_items_of_project
-- what: The showcases in which a project appears.
-- weight: 0.5
-- param project_id: portfolio_items.project_id
select
    portfolio_items.id,
    portfolio_items.title,
    portfolios.id as portfolio_id,
    portfolios.title as portfolio_title
from portfolio_items
join portfolios on portfolio_items.portfolio_id = portfolios.id
where portfolio_items.project_id = :project_id;

-- name: portfolio_items_featured
-- what: The newest chosen pieces, for the front page of the site.
-- weight: 4
select
    portfolio_items.id,
    portfolio_items.title,
    portfolio_items.image_url,
    portfolios.id as portfolio_id,
    users.name as owner_name
from portfolio_items
join portfolios on portfolio_items.portfolio_id = portfolios.id
join users on portfolios.user_id = users.id
where portfolio_items.is_featured = true
    and portfolios.is_public = true
order by portfolio_items.created_at desc
limit 12;

-- name: portfolio_items_by_tag
-- what: Pieces that carry a tag, from all showcases.
-- weight: 0.5
-- habits: array_contains
-- param tag: one of drill | winter | plume | xylofon
select id, portfolio_id, title, image_url, tags
from portfolio_items
where tags @> array[:tag]::text[];

-- name: portfolio_items_by_category
-- what: A page of the public pieces of one category.
-- weight: 1
-- habits: offset
-- param category: portfolio_items.category
-- param offset: one of 0 | 24 | 48 | 0
select
    portfolio_items.id,
    portfolio_items.title,
    portfolio_items.image_url,
    portfolios.title as portfolio_title
from portfolio_items
join portfolios on portfolio_items.portfolio_id = portfolios.id
where portfolio_items.category = :category
    and portfolios.is_public = true
limit 24 offset :offset;

-- name: portfolio_items_one_by_one
-- what: The pieces of one showcase, asked again for every showcase of a page.
-- weight: 8
-- habits: n_plus_1, select_star
-- param portfolio_id: portfolio_items.portfolio_id
select *
from portfolio_items
where portfolio_id = :portfolio_id;

-- name: portfolio_insert
-- what: Opens a showcase.
-- weight: 0.05
-- param user_id: select user_id
--     from (select user_id, row_number() over (order by count(*) desc, user_id) as place,
--         count(*) over () as total from portfolios group by user_id) ranked
--     where place in (1, (total + 1) / 2, total)
--     order by place
-- param title: one of Lab showcase
-- param is_public: one of true | true | false
insert into portfolios (user_id, title, is_public)
values (:user_id, :title, :is_public)
returning id, title, created_at;

-- name: portfolio_item_insert
-- what: Adds a piece behind the last one of a showcase.
-- weight: 0.2
-- habits: insert_select
-- param portfolio_id: select portfolio_id
--     from (select portfolio_id,
--         row_number() over (order by count(*) desc, portfolio_id) as place,
--         count(*) over () as total from portfolio_items group by portfolio_id) ranked
--     where place in (1, (total + 1) / 2, total)
--     order by place
-- param project_id: select projects.id
--     from projects
--     cross join portfolios
--     where portfolios.id = :portfolio_id
--     order by projects.manager_id = portfolios.user_id desc, projects.id limit 1
-- param title: one of Lab piece
-- param tags: one of {drill,winter} | {winter} | {}
insert into portfolio_items (portfolio_id, project_id, title, tags, order_index)
select
    :portfolio_id::uuid,
    :project_id::uuid,
    :title,
    :tags::text[],
    coalesce(max(order_index), 0) + 1
from portfolio_items
where portfolio_id = :portfolio_id;

-- name: portfolio_item_toggle_featured
-- what: Puts a piece on the front page, or takes it off.
-- weight: 0.1
-- param item_id: portfolio_items.id
update portfolio_items
set is_featured = not is_featured
where id = :item_id;
