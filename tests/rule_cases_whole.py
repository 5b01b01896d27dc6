"""Cases of the rules on the whole statement: fault, right fix, tempting wrong fix."""

from __future__ import annotations

from rule_cases import Case

#: Rows of 400 bytes, never vacuumed: no page is known to be visible to all.
WIDE = """
    create table wide (id int primary key, filler text);
    insert into wide
    select n, repeat(md5(n::text), 12) from generate_series(1, 20000) as n;
    analyze wide;
"""
TASKS = """
    create table tasks (id int, status text, note text);
    insert into tasks
    select n, case when n = 50000 then 'open' else 'done' end, md5(n::text)
    from generate_series(1, 50000) as n;
"""
#: Shared out among two workers, whatever that costs.
PARALLEL = """
    set max_parallel_workers_per_gather = 2;
    set parallel_setup_cost = 0;
    set parallel_tuple_cost = 0;
    set min_parallel_table_scan_size = 0;
"""
PARENTS = """
    create table parents (id int primary key, name text);
    insert into parents select n, md5(n::text) from generate_series(1, 300) as n;
    create table children (id int, parent_id int references parents);
    insert into children select n, 201 + n % 100 from generate_series(1, 50000) as n;
    analyze parents;
    analyze children;
"""
COLUMNS = ("id", "user_id", "team_id", "room_id", "kind", "at")
#: Six numbers a row, and an index on each.
NARROW = (
    f"create table events ({', '.join(f'{name} int' for name in COLUMNS)});"
    "insert into events select n, n % 7, n % 11, n % 13, n % 3, n"
    " from generate_series(1, 2000) as n;"
    + "".join(f"create index events_{name} on events ({name});" for name in COLUMNS)
    + "analyze events;"
)
#: Every update moves the row in the index on last_seen.
SESSIONS = """
    create table sessions (id int primary key, last_seen int, note text);
    insert into sessions select n, n, md5(n::text) from generate_series(1, 2000) as n;
    create index sessions_last_seen on sessions (last_seen);
    analyze sessions;
    update sessions set last_seen = last_seen + 1;
"""
DOCUMENTS = """
    create table documents (id int, body text);
    insert into documents
    select n, repeat(md5(n::text), 4000) from generate_series(1, 200) as n;
"""
#: Eight tables, because a join of one with itself may be dropped, and no row in any.
EMPTY = "".join(f"create table part{n} (id int primary key);" for n in range(1, 9))
EIGHT_JOINS = "select count(*) from part1" + "".join(
    f" join part{n} using (id)" for n in range(2, 9)
)

CASES = (
    Case(
        "R37",
        "counts a table that was never vacuumed",
        WIDE,
        "select count(*) from wide",
        right="vacuum wide",
        wrong="analyze wide",
        has_fix=True,
    ),
    Case(
        "R39",
        "plans for workers where none are allowed",
        TASKS + PARALLEL + "set max_parallel_workers = 0;",
        "select count(*) from tasks where note like '%abc%'",
        right="set max_parallel_workers = 8",
        wrong="set max_parallel_workers_per_gather = 4",
        has_fix=True,
    ),
    Case(
        "R40",
        "starts workers for a hundred rows",
        PARALLEL
        + "create table small (id int);"
        + "insert into small select generate_series(1, 100);"
        + "alter table small set (parallel_workers = 2); analyze small;",
        "select count(*) from small",
        right="set max_parallel_workers_per_gather = 0",
        wrong="set max_parallel_workers_per_gather = 4;"
        "alter table small set (parallel_workers = 4)",
        has_fix=True,
    ),
    Case(
        "R42",
        "plans eight joins to find nothing",
        EMPTY,
        EIGHT_JOINS,
        right=f"prepare eight as {EIGHT_JOINS}; execute eight",
        rewritten="execute eight",
        wrong="vacuum (analyze) part1",
    ),
    Case(
        "R46",
        "searches the children of each parent",
        PARENTS,
        "delete from parents where id <= 100",
        right="create index on children (parent_id)",
        wrong="create index on parents (id)",
        has_fix=True,
    ),
    Case(
        "R46",
        "calls a function for each row",
        SESSIONS
        + "create function stamp() returns trigger language plpgsql as"
        + " 'begin perform count(*) from sessions; return new; end';"
        + "create trigger stamp before update on sessions"
        + " for each row execute function stamp();",
        "update sessions set note = 'x' where id <= 50",
        right="drop trigger stamp on sessions",
        wrong="create index on sessions (note)",
    ),
    Case(
        "R47",
        "writes into six indexes for each row",
        NARROW,
        "insert into events select n, n, n, n, n, n from generate_series(1, 1000) as n",
        right="".join(f"drop index events_{name};" for name in COLUMNS[1:]),
        wrong="set synchronous_commit = off; set wal_compression = on",
    ),
    Case(
        "R48",
        "moves a session in its index at every visit",
        SESSIONS,
        "update sessions set last_seen = 0 where id <= 10",
        right="drop index sessions_last_seen",
        wrong="alter table sessions set (fillfactor = 50)",
    ),
    Case(
        "R49",
        "unpacks long documents to send them all",
        DOCUMENTS,
        "select * from documents",
        rewritten="select id from documents",
        wrong="create index on documents (id)",
    ),
    Case(
        "R52",
        "would plan for the usual status",
        TASKS + "create index on tasks (status); vacuum (analyze) tasks;",
        "select id from tasks where status = $1",
        right="set plan_cache_mode = force_custom_plan",
        wrong="analyze tasks",
        values=("open",),
        has_fix=True,
    ),
    Case(
        "R52",
        "walks to the oldest for one status and looks up the other",
        TASKS
        + "create index on tasks (id); create index on tasks (status);"
        + "vacuum (analyze) tasks;",
        "select id, note from tasks where status = $1 order by id limit 10",
        right="create index on tasks (status, id);"
        "drop index tasks_id_idx, tasks_status_idx",
        wrong="analyze tasks",
        values=("done",),
        other_values={"hot": ("done",), "rare": ("open",)},
        has_fix=True,
    ),
    Case(
        "R53",
        "believes in a table of yesterday",
        TASKS
        + "analyze tasks;"
        + "insert into tasks select n, 'new', '' from generate_series(1, 10000) as n;",
        "select count(*) from tasks where status = 'new'",
        right="analyze tasks",
        wrong="vacuum tasks",
        has_fix=True,
    ),
)
