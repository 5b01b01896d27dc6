-- scene: 60,000 articles with tags, a document of facts, and long texts
-- do
set random_page_cost = 1.1;
create extension if not exists pg_trgm;
create table authors (id int primary key, name text not null, country text not null);
insert into authors select n, 'Author ' || n, (array['de', 'fr', 'it', 'mt'])[1 + n % 4]
from generate_series(1, 3000) as numbers (n);
create table articles (
    id int primary key,
    author_id int not null,
    title varchar(120) not null,
    slug text not null,
    tags text[] not null,
    facts jsonb not null,
    body text not null,
    score int,
    published_on date not null,
    reference varchar(20) not null
);
insert into articles
select
    n, 1 + (hashint4(n) & 2147483647) % 3000,
    initcap((array['slow', 'fast', 'plain', 'odd', 'late'])[1 + n % 5]) || ' notes on '
        || (array['gardens', 'rivers', 'bridges', 'plans', 'indexes', 'harbours', 'trains'])[1 + n % 7] || ' ' || md5(n::text),
    'article-' || md5((n + 5)::text),
    array['t' || n % 400, 'kind' || n % 3, 'year' || n % 20],
    jsonb_build_object('reviewer', n % 900, 'pages', n % 31, 'open', n % 2 = 0),
    repeat(md5(n::text) || ' ', 12) || case when n % 2000 = 0 then 'lighthouse' else 'house' end,
    case when n % 10 = 0 then null else n % 100 end,
    date '2010-01-01' + n % 5000,
    n::text
from generate_series(1, 60000) as numbers (n);
create index articles_slug_idx on articles (slug);
create index articles_reference_idx on articles (reference);
create index articles_published_idx on articles (published_on);
create table readings (id bigint primary key, article_id int not null, seconds int not null, read_at timestamptz not null);
insert into readings
select n, 1 + (hashint4(n::int) & 2147483647) % 60000, n % 600, timestamptz '2024-01-01' + n * interval '1 minute'
from generate_series(1, 300000) as numbers (n);
vacuum (analyze) authors; vacuum (analyze) articles; vacuum (analyze) readings;

-- plan: title_contains | 15 | analyze buffers
select id, title from articles where title ilike '%bridges 00ab%';
-- plan: slug_ends | 17 14 | analyze buffers text
select id from articles where slug like '%ffe0';
-- plan: title_begins | 18 16 14 | analyze buffers
select id, title from articles where title like 'Odd Notes On Trains 00%';
-- plan: body_matches_words | 13 | analyze buffers
select id, title from articles where to_tsvector('english', body) @@ to_tsquery('english', 'lighthouse');
-- plan: tag_anywhere | 16 | analyze buffers
select id, title from articles where tags @> array['t77'];
-- plan: tag_equals_any | 15 | analyze buffers text
select id, title from articles where 't77' = any (tags) and score > 10;
-- plan: facts_contain | 18 14 | analyze buffers
select id, title from articles where facts @> '{"reviewer": 321}';
-- plan: facts_by_key | 17 | analyze buffers
select id, title from articles where (facts ->> 'reviewer')::int = 321;
-- plan: reference_as_number | 16 | analyze buffers
select id, title from articles where reference::int = 4711;
-- plan: month_of_publication | 18 | analyze buffers
select id, title from articles where to_char(published_on, 'YYYY-MM') = '2012-05';
-- plan: score_or_default | 13 | analyze buffers
select count(*) from articles where coalesce(score, 0) = 77 and author_id + 0 < 50;
-- plan: title_or_slug | 16 | analyze buffers
select id from articles where title = 'Slow notes on rivers' or slug = 'article-00d8d3f11739d2f3537099982b4674c2' or author_id = 17;
-- plan: most_are_scored | 14 | analyze buffers
select avg(score) from articles where score is not null;
-- plan: readings_of_author | 15 | analyze buffers
select authors.name, count(*), sum(readings.seconds)
from authors
join articles on articles.author_id = authors.id
join readings on readings.article_id = articles.id
where authors.id = 42 group by authors.name;
-- plan: unread_by_not_in | 15 | analyze buffers | work_mem='64kB', max_parallel_workers_per_gather=0
select count(*) from authors where id not in (select author_id from articles where score > 97) and id < 130;
-- plan: two_faults_in_search | 18 17 | analyze buffers | work_mem='1MB', max_parallel_workers_per_gather=0
select id, title, body from articles where title ilike '%notes%' order by title offset 20000 limit 10;
-- do
create index articles_title_trgm on articles using gin (title gin_trgm_ops);
create index articles_tags_gin on articles using gin (tags);
create index articles_facts_gin on articles using gin (facts jsonb_path_ops);
create index articles_words_gin on articles using gin (to_tsvector('english', body));
create index articles_reviewer_idx on articles (((facts ->> 'reviewer')::int));
create index articles_author_idx on articles (author_id);
create index readings_article_idx on readings (article_id);
vacuum (analyze) articles; vacuum (analyze) readings;
-- plan: title_contains_trigrams | 15 | analyze buffers
select id, title from articles where title ilike '%bridges 00ab%';
-- plan: title_short_pattern | 18 | analyze buffers
select id, title from articles where title ilike '%odd notes on trains%' and score = 4;
-- plan: body_matches_words_indexed | 18 13 | analyze buffers
select id, title from articles where to_tsvector('english', body) @@ to_tsquery('english', 'lighthouse');
-- plan: tag_anywhere_indexed | 18 16 | analyze buffers
select id, title from articles where tags @> array['t77'];
-- plan: facts_contain_indexed | 18 14 | analyze buffers
select id, title from articles where facts @> '{"reviewer": 321}';
-- plan: facts_by_key_indexed | 17 | analyze buffers text
select id, title from articles where (facts ->> 'reviewer')::int = 321;
-- plan: reference_as_text | 18 16 | analyze buffers
select id, title from articles where reference = '4711';
-- plan: month_as_range | 15 | analyze buffers
select id, title from articles where published_on >= '2012-05-01' and published_on < '2012-06-01';
-- plan: readings_of_author_indexed | 18 15 | analyze buffers
select authors.name, count(*), sum(readings.seconds)
from authors
join articles on articles.author_id = authors.id
join readings on readings.article_id = articles.id
where authors.id = 42 group by authors.name;
-- plan: slug_exact | 14 | analyze buffers
select id, title from articles where slug = 'article-00d8d3f11739d2f3537099982b4674c2';
-- plan: whole_text_sent | 18 17 | analyze buffers serialize
select * from articles where published_on >= '2020-01-01';
-- plan: few_columns_sent | 17 | analyze buffers serialize
select id from articles where published_on >= '2020-01-01';
-- plan: authors_ranked | 18 15 | analyze buffers | work_mem='32MB'
select authors.name, count(*) as written, rank() over (order by count(*) desc)
from authors join articles on articles.author_id = authors.id
group by authors.name order by written desc limit 10;
-- plan: authors_ranked_compiled | 15 | analyze buffers | jit_above_cost=1000, jit_inline_above_cost=1000, jit_optimize_above_cost=1000, work_mem='32MB'
select authors.name, count(*) as written, rank() over (order by count(*) desc)
from authors join articles on articles.author_id = authors.id
group by authors.name order by written desc limit 10;
-- do
create index articles_title_pattern on articles (title text_pattern_ops);
vacuum (analyze) articles;
-- plan: title_begins_by_pattern | 18 16 | analyze buffers
select id, title from articles where title like 'Odd Notes On Trains 00%';
