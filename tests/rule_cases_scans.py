"""Cases of the rules on scans and filters: fault, right fix, tempting wrong fix."""

from __future__ import annotations

from rule_cases import Case

FILES = """
create table files (
    id bigint primary key,
    project_id int not null,
    kind text not null,
    size int not null,
    name varchar(80) not null,
    tags text[] not null,
    facts jsonb not null,
    created_at timestamptz not null,
    deleted_at timestamptz
);
insert into files
select
    number,
    number * 7919 % 500,
    case number % 40 when 4 then 'text' when 9 then 'font' else 'image' end,
    number % 1000,
    md5(number::text),
    array['t' || number % 300, 'u' || number % 7],
    jsonb_build_object('owner', number % 400),
    timestamptz '2024-01-01' + number * interval '3 minutes',
    case when number % 3 = 0 then timestamptz '2025-01-01' end
from generate_series(1, 40000) as numbers (number);
analyze files;
"""

# Large tables are scanned through a ring of few buffers and never stay in memory.
NOTES = """
create table notes as
select number as id, repeat('x', 400) as body
from generate_series(1, 60000) as numbers (number);
analyze notes;
"""

PARTITIONS = """
create table events (id int, created_at timestamp not null) partition by range (created_at);
create table events_a partition of events for values from ('2024-01-01') to ('2024-02-01');
create table events_b partition of events for values from ('2024-02-01') to ('2024-03-01');
create table events_c partition of events for values from ('2024-03-01') to ('2024-04-01');
create table events_d partition of events for values from ('2024-04-01') to ('2024-05-01');
create table events_e partition of events for values from ('2024-05-01') to ('2024-06-01');
insert into events
select number, timestamp '2024-01-01' + number * interval '5 minutes'
from generate_series(1, 40000) as numbers (number);
analyze events;
"""

BY_DAY = """
select id from events
where created_at >= '2024-03-05' and created_at < '2024-03-06'
"""

CASES = (
    Case(
        "R01",
        "no index on the column",
        setup=FILES,
        statement="select id, size from files where project_id = 7",
        right="create index on files (project_id)",
        # Its predicate is not implied by the statement.
        wrong="create index on files (project_id) where deleted_at is null",
        has_fix=True,
    ),
    Case(
        "R01",
        "the right column comes with a sort",
        setup=FILES,
        statement="select id from files where project_id = 7 order by created_at desc",
        right="create index on files (project_id, created_at desc)",
        wrong="create index on files (size)",
        has_fix=True,
        is_pasted=True,
    ),
    Case(
        "R02",
        "most rows are kept",
        setup=FILES,
        statement="select sum(size) from files where kind = 'image'",
        right="create index on files (kind)",
        rewritten="select sum(size) from files where kind = 'font'",
        wrong="create index on files (kind)",
    ),
    Case(
        "R02",
        "most rows are counted, and nothing else is asked of them",
        setup=FILES,
        statement="select count(*) from files where kind = 'image'",
        right="create index on files (kind); vacuum files",
        wrong="create index on files (size); vacuum files",
    ),
    Case(
        "R03",
        "a function around the column",
        setup=FILES + "create index on files (name)",
        statement="select id from files where upper(name) = 'NONE'",
        right="create index on files (upper(name))",
        wrong="create index on files (name desc, id)",
        has_fix=True,
    ),
    Case(
        "R03",
        "a day cut out of a time with a zone",
        setup=FILES + "create index on files (created_at)",
        statement="select id from files where created_at::date = '2024-02-05'",
        rewritten="select id from files"
        " where created_at >= '2024-02-05' and created_at < '2024-02-06'",
        wrong="create index on files (created_at desc)",
    ),
    Case(
        "R03",
        "a key of a document",
        setup=FILES,
        statement="select id from files where facts ->> 'owner' = '7'",
        right="create index on files ((facts ->> 'owner')); analyze files",
        wrong="create index on files using gin (facts)",
        has_fix=True,
    ),
    Case(
        "R04",
        "a pattern that begins with anything",
        setup=FILES,
        statement="select id from files where name like '%abc12%'",
        right="create extension pg_trgm;"
        "create index on files using gin (name gin_trgm_ops)",
        wrong="create index on files (name text_pattern_ops)",
        has_fix=True,
    ),
    Case(
        "R04",
        "a pattern in any case",
        setup=FILES,
        statement="select id from files where name ilike 'ABC12%'",
        right="create extension pg_trgm;"
        "create index on files using gin (name gin_trgm_ops)",
        wrong="create index on files (lower(name))",
        has_fix=True,
    ),
    Case(
        "R05",
        "a prefix in a language's order",
        setup=FILES
        + """;
        alter table files alter name type text collate "C.utf8";
        create index on files (name);
        analyze files""",
        statement="select id from files where name like 'abc1%'",
        right="create index on files (name text_pattern_ops)",
        wrong="create index on files (name desc)",
        has_fix=True,
    ),
    Case(
        "R06",
        "an array that contains",
        setup=FILES,
        statement="select id from files where tags @> '{t7}'",
        right="create index on files using gin (tags)",
        wrong="create index on files (tags)",
        has_fix=True,
    ),
    Case(
        "R06",
        "a document that contains",
        setup=FILES,
        statement="""select id from files where facts @> '{"owner": 7}'""",
        right="create index on files using gin (facts)",
        wrong="create index on files (facts)",
        has_fix=True,
        is_pasted=True,
    ),
    Case(
        "R06",
        "a value sought in an array column",
        setup=FILES + "create index on files using gin (tags)",
        statement="select id from files where 't7' = any (tags)",
        rewritten="select id from files where tags @> array['t7']",
        wrong="create index on files (tags)",
    ),
    Case(
        "R18",
        "two columns joined by OR",
        setup=FILES,
        statement="select id from files where project_id = 7 or size = 9",
        right="create index on files (project_id); create index on files (size)",
        wrong="create index on files (project_id)",
        has_fix=True,
    ),
    Case(
        "R43",
        "a large table is scanned",
        setup=NOTES,
        statement="select id from notes where id = 77",
        right="create index on notes (id)",
        wrong="select count(*) from notes",
    ),
    Case(
        "R50",
        "the key of the partitions is converted",
        setup=PARTITIONS,
        statement="select id from events where created_at::date = '2024-03-05'",
        rewritten=BY_DAY,
        wrong="create index on events (created_at)",
    ),
    Case(
        "R51",
        "sequential scans are switched off",
        setup=FILES + "set enable_seqscan = off",
        statement="select sum(size) from files",
        right="set enable_seqscan = on",
        wrong="create index on files (kind)",
        has_fix=True,
    ),
    Case(
        "R54",
        "an integer compared with a numeric",
        setup=FILES,
        statement="select name from files where id = 4711::numeric",
        rewritten="select name from files where id = 4711",
        wrong="create index on files (id desc)",
    ),
    Case(
        "R54",
        "a number compared as text",
        setup=FILES,
        statement="select name from files where kind = 'image' and id::text = '4711'",
        rewritten="select name from files where kind = 'image' and id = 4711",
        wrong="create index on files (kind)",
    ),
    Case(
        "R55",
        "a random page priced too high",
        setup=FILES + "create index on files (project_id); set random_page_cost = 100",
        statement="select name from files where project_id between 0 and 14",
        right="set random_page_cost = 1.1",
        wrong="create index on files (project_id desc)",
        has_fix=True,
    ),
)
