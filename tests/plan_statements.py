"""Statements over the template database whose plans have every sort of node.

Each has the settings under which the planner chooses the nodes it is named after.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from fluxlab.plans.plan import Plan
from fluxlab.plans.reading import read_plan

PARALLEL = (
    "max_parallel_workers_per_gather = 2",
    "parallel_setup_cost = 0",
    "parallel_tuple_cost = 0",
    "min_parallel_table_scan_size = 0",
    "min_parallel_index_scan_size = 0",
)
#: Name, settings of the session, statement.
STATEMENTS: dict[str, tuple[tuple[str, ...], str]] = {
    "filter": ((), "select id from users where name = 'Nobody'"),
    "hash join": (
        ("enable_nestloop = off", "enable_mergejoin = off"),
        "select m.id from messages m join users u on u.id = m.author_id",
    ),
    "left join": (
        ("enable_nestloop = off",),
        "select u.id, f.id from users u left join files f on f.uploaded_by = u.id",
    ),
    "full join": (
        (),
        "select u.id, f.id from users u full join files f on f.uploaded_by = u.id",
    ),
    "semi join": (
        (),
        "select id from users u where exists "
        "(select from messages m where m.author_id = u.id)",
    ),
    "anti join": (
        (),
        "select id from users u where not exists "
        "(select from messages m where m.author_id = u.id)",
    ),
    "merge join with rescans": (
        ("enable_nestloop = off", "enable_hashjoin = off"),
        "select count(*) from (select author_id from messages limit 900) a "
        "join (select author_id from messages limit 900) b using (author_id)",
    ),
    "nested loop over an index": (
        ("enable_hashjoin = off", "enable_mergejoin = off", "enable_memoize = off"),
        "select m.id, u.name from messages m join users u on u.id = m.author_id",
    ),
    "memoize": (
        ("enable_hashjoin = off", "enable_mergejoin = off"),
        "select m.id, u.name from messages m join users u on u.id = m.author_id",
    ),
    "materialized inner side": (
        (
            "enable_hashjoin = off",
            "enable_mergejoin = off",
            "enable_indexscan = off",
            "enable_bitmapscan = off",
            "enable_indexonlyscan = off",
            "enable_memoize = off",
        ),
        "select p.id from projects p join users u on u.id > p.manager_id limit 500",
    ),
    "hash aggregate": ((), "select author_id, count(*) from messages group by author_id"),
    "hash aggregate that spills": (
        ("work_mem = '64kB'", "enable_sort = off"),
        "select id, count(*) from messages group by id",
    ),
    "sort that spills": (
        ("work_mem = '64kB'",),
        "select id, content from messages order by content desc nulls last, id",
    ),
    "top sort": ((), 'select id, name from users order by name collate "C", id limit 3'),
    "incremental sort": (
        ("enable_seqscan = off", "enable_sort = on"),
        "select id from (select id, name from users order by id limit 90) u "
        "order by id, name",
    ),
    "grouping sets": (
        (),
        "select message_type, priority, status, count(*) from messages "
        "group by grouping sets ((message_type, priority), (priority), (status), ())",
    ),
    "rollup": (
        ("enable_hashagg = off",),
        "select message_type, priority, count(*) from messages "
        "group by rollup (message_type, priority)",
    ),
    "sorted grouping sets": (
        ("enable_hashagg = off",),
        "select message_type, priority, status, count(*) from messages "
        "group by grouping sets ((message_type, priority), (priority), (status))",
    ),
    "window": (
        (),
        "select id, row_number() over (partition by author_id order by created_at), "
        "sum(length(content)) over (order by id) from messages",
    ),
    "set operations": (
        (),
        "(select author_id from messages intersect select id from users) "
        "except all select uploaded_by from files",
    ),
    "append": (
        (),
        "select id from users union all select id from projects "
        "union all select id from files where mime_type = 'a, b'",
    ),
    "distinct": ((), "select distinct status, priority from messages"),
    "cte used twice": (
        (),
        "with talkers as materialized (select author_id, count(*) as n from messages "
        "group by author_id) select * from talkers a join talkers b using (n)",
    ),
    "cte within a cte": (
        (),
        "with a as materialized (select id, author_id from messages), "
        "b as materialized (select author_id, count(*) n from a group by 1) "
        "select (select max(n) from b), count(*) from a",
    ),
    "recursive cte": (
        (),
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50) "
        "select sum(i) from n",
    ),
    "initplan": (
        (),
        "select id from messages where created_at = (select max(created_at) from messages)",
    ),
    "initplan within an initplan": (
        (),
        "select id from users where created_at >= (select min(created_at) from projects "
        "where created_at > (select avg(extract(epoch from created_at)) from files "
        "where file_size > 10)::int * interval '1 second' + 'epoch'::timestamptz)",
    ),
    "correlated subplan": (
        (),
        "select name, (select count(*) from files f where f.project_id = p.id) "
        "from projects p",
    ),
    "hashed subplan": (
        (),
        "select id from users where id not in (select uploaded_by from files)",
    ),
    "never executed": (
        ("enable_hashjoin = off", "enable_mergejoin = off"),
        "select u.id from users u join files f on f.uploaded_by = u.id "
        "where u.email = 'nobody@nowhere'",
    ),
    "bitmaps": (
        ("enable_seqscan = off", "enable_indexscan = off"),
        "select id from messages where id = gen_random_uuid() or id in "
        "(select id from messages limit 20)",
    ),
    "one-time filter": ((), "select id from users where current_user = 'nobody'"),
    "values": ((), "select * from (values (1, 'a'), (2, 'b, c')) as t(n, \"Two Words\")"),
    "functions": (
        (),
        "select * from generate_series(1, 30) as g(n), rows from "
        "(unnest(array[1, 2]), unnest(array['x'])) as r(a, b), "
        "json_table('[1]'::jsonb, '$[*]' columns (v int path '$')) as j",
    ),
    "sample": ((), "select id from messages tablesample bernoulli (50) repeatable (1)"),
    "tid": ((), "select id from users where ctid = '(0,1)' or ctid = '(0,2)'"),
    "quoted text": (
        (),
        "select id from users where name in ('a', 'b: c', 'it''s (x, y)', '->  Sort')",
    ),
    "disabled": (("enable_seqscan = off",), "select content from messages"),
    "parallel": (PARALLEL, "select count(*) from messages where content like '%a%'"),
    "parallel without its leader": (
        (*PARALLEL, "parallel_leader_participation = off"),
        "select author_id, count(*) from messages group by author_id",
    ),
    "parallel join": (
        PARALLEL,
        "select u.name, count(*) from messages m join users u on u.id = m.author_id "
        "group by u.name order by 2 desc, 1",
    ),
    "parallel merge": (
        (*PARALLEL, "enable_hashagg = off"),
        "select id, content from messages order by content, id",
    ),
    "parallel with an initplan": (
        PARALLEL,
        "select count(*) from messages where created_at < (select max(created_at) "
        "from users) and author_id <> (select min(id::text)::uuid from projects)",
    ),
    "insert": (
        (),
        "insert into conversations (type, created_by) select 'direct', id from users "
        "limit 5 on conflict (id) do nothing",
    ),
    "update with triggers": ((), "update users set name = name where email like 'a%'"),
    "delete with foreign keys": (
        (),
        "delete from files where id in (select id from files limit 3)",
    ),
    "merge": (
        (),
        "merge into users u using (select id from users limit 9) s on s.id = u.id "
        "when matched then update set phone = '1' when not matched then do nothing",
    ),
    "cte that writes": (
        (),
        "with moved as (update users set phone = '1' where email like 'b%' returning id) "
        "select count(*) from moved",
    ),
    "cte that writes unseen": (
        (),
        "with moved as (update users set phone = '1' returning id) select 1",
    ),
}


@contextmanager
def prepared(connection: psycopg.Connection, name: str) -> Iterator[str]:
    """A transaction with the settings of a statement; what it writes is undone."""
    changed, statement = STATEMENTS[name]
    with connection.transaction(force_rollback=True):
        for setting in changed:
            connection.execute(f"set local {setting}".encode())
        yield statement


def answer(connection: psycopg.Connection, options: str, statement: str) -> str:
    rows = connection.execute(f"explain ({options}) {statement}".encode()).fetchall()
    if "format json" in options:
        return json.dumps(rows[0][0])
    return "\n".join(["QUERY PLAN", *(row[0] for row in rows)])


def analyzed(connection: psycopg.Connection, name: str) -> Plan:
    with prepared(connection, name) as statement:
        text = answer(connection, "analyze, buffers, wal, format json", statement)
    return read_plan(text)
