"""Cases of the rules on scans of indexes: fault, right fix, tempting wrong fix."""

from __future__ import annotations

from rule_cases import Case

# Rows come in the order of project_id, in no order of user_id.
TASKS = """
create table tasks (
    id int not null,
    project_id int not null,
    user_id int not null,
    priority int not null,
    grade int not null,
    hours numeric(6, 2) not null,
    created_at timestamptz not null,
    title text not null
);
insert into tasks
select
    number,
    number / 5000,
    hashint4(number) & 127,
    number % 50,
    hashint4(number) & 7,
    number % 16,
    timestamptz '2024-01-01' + number * interval '3 minutes',
    'task ' || md5(number::text)
from generate_series(1, 60000) as numbers (number);
vacuum analyze tasks;
"""

# Who read the tasks of a squad last: nearly all of them are older than that.
READERS = (
    TASKS
    + """
alter table tasks add squad int, add deleted_at timestamptz;
update tasks
set squad = user_id & 15, deleted_at = case when id % 50 = 0 then created_at end;
create index on tasks (squad);
create table readers (squad int not null, seen_at timestamptz);
insert into readers values (7, '2024-05-03');
vacuum full tasks;
vacuum analyze tasks;
analyze readers;
"""
)
UNREAD = """
select count(tasks.id)
from readers
join tasks
    on tasks.squad = readers.squad
    and tasks.deleted_at is null
    and {since}
"""

# A queue: all but the last rows are done and deleted, and nobody has vacuumed.
QUEUE = """
create table queue (id int primary key, payload text);
insert into queue select number, 'job' from generate_series(1, 60000) as numbers (number);
vacuum analyze queue;
delete from queue where id <= 56000;
"""

# No visit is open any more, and the index still knows all that were.
VISITED = """
create table visits (id int, state text not null);
insert into visits select number, 'done' from generate_series(1, 60000) as numbers (number);
create index on visits (state);
vacuum analyze visits;
begin;
update visits set state = 'open' where id <= 40000;
update visits set state = 'done' where state = 'open';
commit;
set enable_seqscan = off;
"""

CASES = (
    Case(
        "R07",
        "the filter throws most rows away",
        setup=TASKS + "create index on tasks (project_id)",
        statement="select id, title from tasks where project_id = 7 and priority = 3",
        right="create index on tasks (project_id, priority)",
        wrong="create index on tasks (project_id) include (priority)",
        has_fix=True,
    ),
    Case(
        "R07",
        "a bitmap finds most rows for nothing",
        setup=TASKS + "create index on tasks (user_id); set enable_indexscan = off",
        statement="select id, title from tasks"
        " where user_id between 1 and 12 and title <> 'none' and priority = 3",
        right="create index on tasks (priority, user_id)",
        wrong="create index on tasks (user_id) include (priority)",
        has_fix=True,
        is_pasted=True,
    ),
    Case(
        "R07",
        "an OR over two tables throws the rows away, and not the test beside it",
        setup=READERS,
        statement=UNREAD.format(
            since="(readers.seen_at is null or tasks.created_at > readers.seen_at)"
        ),
        right="create index on tasks (squad, created_at)",
        rewritten=UNREAD.format(
            since="tasks.created_at > coalesce(readers.seen_at, '-infinity')"
        ),
        wrong="create index on tasks (squad) where deleted_at is null",
    ),
    Case(
        "R07",
        "a value of many beside a function that keeps every row",
        setup=TASKS + "create index on tasks (project_id)",
        statement="select id from tasks"
        " where project_id = 7 and user_id = 9 and length(title) > 3",
        right="create index on tasks (project_id, user_id)",
        wrong="create index on tasks (project_id) include (user_id)",
        has_fix=True,
    ),
    Case(
        "R07",
        "a range behind a range",
        setup=TASKS + "create index on tasks (user_id)",
        statement="select id from tasks where user_id < 12 and priority > 48",
        right="create index on tasks (user_id, priority)",
        wrong="create index on tasks (user_id) include (priority)",
        has_fix=True,
    ),
    Case(
        "R07",
        "a value that hardly any row has is left out, and another one sought",
        setup=TASKS + "create index on tasks (project_id)",
        statement="select id from tasks"
        " where project_id = 7 and user_id <> 9 and priority > 48",
        right="create index on tasks (project_id, priority)",
        wrong="create index on tasks (project_id) where user_id <> 9",
        has_fix=True,
    ),
    Case(
        "R08",
        "the first column is not asked for",
        setup=TASKS + "create index on tasks (created_at, id); set enable_seqscan = off",
        statement="select title from tasks where id = 777",
        right="create index on tasks (id)",
        wrong="create index on tasks (created_at desc, id)",
        has_fix=True,
    ),
    Case(
        "R08",
        "the first column is not asked for, seen in the plan alone",
        setup=TASKS + "create index on tasks (created_at, id); set enable_seqscan = off",
        statement="select title from tasks where id = 777",
        right="create index on tasks (id)",
        wrong="create index on tasks (created_at desc, id)",
        has_fix=True,
        is_pasted=True,
    ),
    Case(
        "R09",
        "a first column of few values",
        setup=TASKS + "create index on tasks (grade, id)",
        statement="select title from tasks where id = 777",
        right="create index on tasks (id)",
        wrong="create index on tasks (grade)",
    ),
    Case(
        "R09",
        "a first column of many values",
        setup=TASKS + "create index on tasks (user_id, id)",
        statement="select title from tasks where id = 777",
        right="create index on tasks (id)",
        wrong="create index on tasks (user_id)",
        has_fix=True,
    ),
    Case(
        "R10",
        "a list of many values",
        setup=TASKS + "create index on tasks (id) with (fillfactor = 10)",
        statement="select title from tasks"
        " where id = any (array(select generate_series(1, 60000, 45)))",
        rewritten="select title from tasks"
        " where id in (select * from generate_series(1, 60000, 45))",
        wrong="create unique index on tasks (id) with (fillfactor = 10)",
    ),
    Case(
        "R11",
        "a range before an equality",
        setup=TASKS + "create index on tasks (created_at, id)",
        statement="select title from tasks where created_at > '2024-02-01' and id = 50000",
        right="create index on tasks (id, created_at)",
        wrong="create index on tasks (created_at, id, user_id)",
        has_fix=True,
    ),
    Case(
        "R12",
        "an index for half the table",
        setup=TASKS + "create index on tasks (user_id)",
        statement="select sum(hours) from tasks where user_id < 64",
        right="set random_page_cost = 4",
        wrong="create index on tasks (user_id, title)",
    ),
    Case(
        "R13",
        "rows of a user lie everywhere",
        setup=TASKS + "create index by_user on tasks (user_id, created_at)",
        statement="select * from tasks where user_id = 7 order by created_at limit 400",
        right="cluster tasks using by_user; analyze tasks",
        wrong="vacuum tasks",
        has_fix=True,
    ),
    Case(
        "R14",
        "nobody has vacuumed",
        setup=TASKS + "create index on tasks (id); update tasks set hours = 1",
        statement="select sum(id) from tasks where id < 3000",
        right="vacuum tasks",
        wrong="analyze tasks",
        has_fix=True,
    ),
    Case(
        "R15",
        "one narrow column is missing",
        setup=TASKS + "create index on tasks (user_id, created_at)",
        statement="select hours from tasks where user_id = 7 order by created_at limit 400",
        right="create index on tasks (user_id, created_at) include (hours)",
        wrong="create index on tasks (hours)",
        has_fix=True,
        is_verbose=True,
    ),
    Case(
        "R16",
        "no memory for a bitmap",
        setup=TASKS
        + "create table wide as select user_id, repeat('x', 300) as filler from tasks;"
        + "create index on wide (user_id); analyze wide; set work_mem = '64kB';"
        + "set enable_indexscan = off; set enable_seqscan = off",
        statement="select max(filler) from wide where user_id < 20",
        right="set work_mem = '4MB'",
        wrong="create index on wide (user_id desc)",
        has_fix=True,
    ),
    Case(
        "R16",
        "an index that answers perhaps",
        setup=TASKS
        + "create index on tasks using brin (user_id); set enable_seqscan = off",
        statement="select title from tasks where user_id = 7",
        right="create index on tasks (user_id)",
        wrong="set work_mem = '64MB'",
    ),
    Case(
        "R17",
        "two columns, two indexes",
        setup=TASKS + "create index on tasks (user_id); create index on tasks (priority)",
        statement="select title from tasks where user_id = 7 and priority = 3",
        right="create index on tasks (user_id, priority)",
        wrong="create index on tasks (user_id) include (priority)",
        has_fix=True,
    ),
    Case(
        "R44",
        "deleted rows on the way, seen in the plan alone",
        setup=QUEUE,
        statement="select payload from queue order by id limit 1",
        right="vacuum queue",
        wrong="analyze queue",
        has_fix=True,
        is_pasted=True,
    ),
    Case(
        "R44",
        "rows that were in a state for a while, seen in the plan alone",
        setup=VISITED,
        statement="select id from visits where state = 'open'",
        right="vacuum visits",
        wrong="analyze visits",
        has_fix=True,
        is_pasted=True,
    ),
    Case(
        "R45",
        "deleted rows on the way",
        setup=QUEUE,
        statement="select payload from queue order by id limit 1",
        right="vacuum queue",
        wrong="analyze queue",
        has_fix=True,
    ),
)
