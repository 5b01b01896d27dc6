"""Cases of the rules on joins and estimates: fault, right fix, tempting wrong fix."""

from __future__ import annotations

from rule_cases import Case

#: A fifth of the tasks was opened after the statistics were taken, when none was open.
TASKS = """
    create table tasks (id int, status text, note text);
    insert into tasks
    select n, 'done', md5(n::text) from generate_series(1, 100000) as n;
    vacuum (analyze) tasks;
    update tasks set status = 'open' where id % 5 = 0;
"""
#: The same, when a few were open.
FEW_OPEN = """
    create table tasks (id int, status text, note text);
    insert into tasks
    select n, case when n % 1500 = 0 then 'open' else 'done' end, md5(n::text)
    from generate_series(1, 100000) as n;
    vacuum (analyze) tasks;
    update tasks set status = 'open' where id % 5 = 0;
"""
NOTES = """
    create table notes (id int, task_id int, body text);
    insert into notes
    select n, n * 7919 % 100000, md5(n::text) from generate_series(1, 100000) as n;
    create index notes_task on notes (task_id);
    vacuum (analyze) notes;
"""
#: A few hundred tasks, and notes that nothing leads to.
SMALL = """
    create table tasks (id int, status text);
    insert into tasks select n, 'open' from generate_series(1, 200) as n;
    create table notes (id int, task_id int);
    insert into notes select n, n % 200 from generate_series(1, 10000) as n;
    vacuum (analyze) tasks;
    vacuum (analyze) notes;
"""
#: Twenty tasks, and very many notes that nothing leads to.
FEW_TASKS = """
    create table tasks (id int, status text);
    insert into tasks select n, 'open' from generate_series(1, 20) as n;
    create table notes (id int, task_id int, body text);
    insert into notes select n, n % 5000, md5(n::text) from generate_series(1, 50000) as n;
    vacuum (analyze) tasks;
    vacuum (analyze) notes;
"""
#: Every postal code lies in one city, which the planner does not know.
ADDRESSES = """
    create table addresses (id int, city int, code int);
    insert into addresses
    select n, n % 50 / 2, n % 50 from generate_series(1, 100000) as n;
    vacuum (analyze) addresses;
"""
PEOPLE = """
    create table people (id int, mother_id int, father_id int);
    insert into people select n, n * 7 % 1000, n * 13 % 1000
    from generate_series(1, 1000) as n;
    vacuum (analyze) people;
"""
LONG_NOTES = """
    insert into notes select n, n from generate_series(1, 50000) as n;
    create index on notes (task_id);
    vacuum (analyze) notes;
"""
ONLY_LOOPS = "set enable_hashjoin = off; set enable_mergejoin = off;"
OPEN_NOTES = """
    select count(*)
    from tasks
    join notes on notes.task_id = tasks.id
    where tasks.status = 'open'
"""

CASES = (
    Case(
        "R27",
        "expects no open task",
        TASKS,
        "select count(*) from tasks where status = 'open'",
        right="analyze tasks",
        wrong="create index on tasks (status)",
        has_fix=True,
    ),
    Case(
        "R28",
        "multiplies the shares of city and code",
        ADDRESSES,
        "select count(*) from addresses where city = 5 and code = 10",
        right="create statistics addresses_together on city, code from addresses;"
        "analyze addresses",
        wrong="create index on addresses (city, code); analyze addresses",
        has_fix=True,
    ),
    Case(
        "R29",
        "looks up the notes of one open task",
        TASKS + NOTES,
        OPEN_NOTES,
        right="analyze tasks",
        wrong="create index on tasks (status)",
        has_fix=True,
    ),
    Case(
        "R30",
        "looks up the notes of a few open tasks",
        FEW_OPEN + NOTES,
        OPEN_NOTES,
        right="analyze tasks",
        wrong="create index on notes (task_id, body)",
        has_fix=True,
    ),
    Case(
        "R31",
        "reads all notes to find the first of each task",
        SMALL,
        """select tasks.id, first.id
        from tasks
        cross join lateral (
            select notes.id from notes where notes.task_id = tasks.id order by id limit 1
        ) as first""",
        right="create index on notes (task_id)",
        wrong="create index on tasks (id)",
        has_fix=True,
    ),
    Case(
        "R57",
        "reads all notes to find those of twenty tasks",
        FEW_TASKS,
        "select notes.body from tasks join notes on notes.task_id = tasks.id",
        right="create index on notes (task_id)",
        wrong="create index on tasks (id)",
        has_fix=True,
    ),
    Case(
        "R57",
        "reads all notes to find tasks without any",
        FEW_TASKS,
        """select id from tasks
        where not exists (select from notes where notes.task_id = tasks.id)""",
        right="create index on notes (task_id)",
        wrong="create index on tasks (id)",
        has_fix=True,
        is_pasted=True,
    ),
    Case(
        "R32",
        "remembers keys that never come again",
        NOTES
        + ONLY_LOOPS
        + "create table links (id int, task_id int);"
        + "insert into links select n, n % 10 from generate_series(1, 20000) as n;"
        + "analyze links;"
        + "update links set task_id = id;",
        "select count(*) from links join notes on notes.task_id = links.task_id",
        right="analyze links",
        wrong="set work_mem = '64MB'",
        has_fix=True,
    ),
    Case(
        "R32",
        "forgets keys before they come again",
        ONLY_LOOPS
        + "create table pages (id int primary key, body text);"
        + "insert into pages select n, repeat(md5(n::text), 8)"
        + " from generate_series(0, 1999) as n;"
        + "create table visits (page_id int);"
        + "insert into visits select n % 2000 from generate_series(1, 40000) as n;"
        + "alter table visits alter column page_id set (n_distinct = 50);"
        + "vacuum (analyze) pages; vacuum (analyze) visits;"
        + "set work_mem = '64kB'; set hash_mem_multiplier = 1;",
        "select max(body) from visits join pages on pages.id = visits.page_id",
        right="set work_mem = '16MB'",
        wrong="create index on visits (page_id)",
        has_fix=True,
    ),
    Case(
        "R33",
        "tests every pair of people for being a parent",
        PEOPLE,
        """select count(*)
        from people as child
        join people as parent
            on parent.id = child.mother_id or parent.id = child.father_id""",
        rewritten="""select count(*)
        from (
            select child.id, parent.id
            from people as child
            join people as parent on parent.id = child.mother_id
            union
            select child.id, parent.id
            from people as child
            join people as parent on parent.id = child.father_id
        ) as pairs (child_id, parent_id)""",
        wrong="create index on people (mother_id)",
    ),
    Case(
        "R34",
        "reads all notes for the latest of each task",
        SMALL,
        "select id, (select max(id) from notes where task_id = tasks.id) from tasks",
        right="create index on notes (task_id)",
        wrong="create index on tasks (id)",
        has_fix=True,
    ),
    Case(
        "R34",
        "asks ten thousand times for one note",
        FEW_OPEN + NOTES,
        "select id, (select max(id) from notes where task_id = tasks.id) from tasks",
        rewritten="""select tasks.id, latest.id
        from tasks
        left join (
            select task_id, max(id) as id from notes group by task_id
        ) as latest on latest.task_id = tasks.id""",
        wrong="create index on notes (task_id, id)",
    ),
    Case(
        "R35",
        "sorts both sides",
        NOTES
        + "create table tasks as select n * 31 % 100000 as id"
        + " from generate_series(1, 100000) as n;"
        + "drop index notes_task; vacuum (analyze) tasks;"
        + "set enable_hashjoin = off; set enable_nestloop = off;",
        "select count(*) from tasks join notes on notes.task_id = tasks.id",
        right="create index on tasks (id); create index on notes (task_id)",
        wrong="set work_mem = '256MB'",
        has_fix=True,
    ),
    Case(
        "R38",
        "makes fifty copies of each task",
        SMALL,
        "select distinct tasks.id from tasks join notes on notes.task_id = tasks.id",
        rewritten="""select tasks.id
        from tasks
        where exists (select from notes where notes.task_id = tasks.id)""",
        wrong="create index on notes (task_id)",
    ),
)
