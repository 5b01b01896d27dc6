"""Cases of the rules on order and memory: fault, right fix, tempting wrong fix."""

from __future__ import annotations

from rule_cases import Case

#: 50,000 files of ten projects, in no order of size; names are long and all different.
FILES = """
    create table files (id int, project_id int, size int, name text);
    insert into files
    select n, n % 10, n * 7919 % 50000, repeat(md5(n::text), 2)
    from generate_series(1, 50000) as n;
    vacuum (analyze) files;
"""
#: Five days of 20,000 lines, day after day, and an index that knows the day.
LINES = """
    create table lines (day int, at int, note text);
    insert into lines
    select n / 20000, n * 7919 % 20000, md5(n::text) from generate_series(0, 99999) as n;
    create index on lines (day);
    vacuum (analyze) lines;
"""
#: The thousand open tasks are the oldest ones, and the newest are asked for.
TASKS = """
    create table tasks (id int, created_at int, status text, note text);
    insert into tasks
    select n, n, case when n <= 1000 then 'open' else 'done' end, md5(n::text)
    from generate_series(1, 100000) as n;
    create index tasks_created on tasks (created_at);
    vacuum (analyze) tasks;
"""
LITTLE_MEMORY = "set work_mem = '256kB';"
ENOUGH_MEMORY = "set work_mem = '64MB'"
#: What people raise who have read that memory was short.
OTHER_MEMORY = "set maintenance_work_mem = '512MB'; set temp_buffers = '64MB'"

CASES = (
    Case(
        "R19",
        "sorts a tenth of the table for a page of it",
        FILES,
        "select id from files where project_id = 7 order by size desc limit 60",
        right="create index on files (project_id, size)",
        wrong="create index on files (project_id)",
        has_fix=True,
    ),
    Case(
        "R19",
        "sorts the table to count what differs in each group",
        FILES,
        "select project_id, count(distinct id) from files group by project_id",
        right="create index on files (project_id, id)",
        wrong=ENOUGH_MEMORY,
        has_fix=True,
    ),
    Case(
        "R20",
        "compares thousands of rows for the first ten",
        FILES,
        "select id from files where project_id = 3 order by size limit 10",
        right="create index on files (project_id, size)",
        wrong="create index on files (project_id)",
        has_fix=True,
    ),
    Case(
        "R21",
        "sorts a whole day for its first lines",
        LINES,
        "select day, at, note from lines order by day, at limit 100",
        right="create index on lines (day, at)",
        wrong=ENOUGH_MEMORY,
        has_fix=True,
    ),
    Case(
        "R22",
        "walks from the newest task to the oldest ones",
        TASKS,
        "select id from tasks where status = 'open' order by created_at desc limit 10",
        right="create index on tasks (status, created_at)",
        wrong="create index on tasks (created_at desc)",
        has_fix=True,
    ),
    Case(
        "R23",
        "sorts long names",
        FILES + LITTLE_MEMORY,
        "select id from files order by name",
        right=ENOUGH_MEMORY,
        wrong=OTHER_MEMORY,
        has_fix=True,
    ),
    Case(
        "R24",
        "hashes a table that is larger than the memory",
        FILES
        + LITTLE_MEMORY
        + "set enable_mergejoin = off; set enable_nestloop = off;"
        + "create table links as select id, id * 3 % 50000 as file_id from files;"
        + "analyze links;",
        "select count(*) from links join files on files.id = links.file_id",
        right=ENOUGH_MEMORY,
        wrong="create index on links (file_id)",
        has_fix=True,
    ),
    Case(
        "R25",
        "groups by what is different in every row",
        FILES + LITTLE_MEMORY + "set enable_sort = off;",
        "select name, count(*) from files group by name",
        right=ENOUGH_MEMORY,
        wrong=OTHER_MEMORY,
        has_fix=True,
    ),
    Case(
        "R26",
        "writes down a WITH query to read it twice",
        FILES + LITTLE_MEMORY,
        """with listed as materialized (select id, name from files)
        select (select count(*) from listed), (select max(id) from listed)""",
        right=ENOUGH_MEMORY,
        wrong=OTHER_MEMORY,
        has_fix=True,
    ),
    Case(
        "R36",
        "turns to page two thousand",
        FILES,
        "select id from files order by id limit 10 offset 20000",
        right="create index on files (id)",
        rewritten="select id from files where id > 20000 order by id limit 10",
        wrong="create index on files (id)",
    ),
)
