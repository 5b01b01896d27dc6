"""The files of `sql/monitoring/`: each against a count made another way."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pglast
import psycopg
import pytest
from monitoring_files import DIRECTORY, Found, ask, row_of
from servers_scratch import scratch

from fluxlab.monitoring.panels import PANELS, number
from fluxlab.monitoring.reading import Monitor
from fluxlab.servers import postgres as postgres_server
from fluxlab.servers.binaries import find_postgres
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings

FILES = sorted(DIRECTORY.glob("*.sql"))


@pytest.fixture
def connection(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    with connect(postgres, database) as opened:
        opened.execute("create extension pg_stat_statements")
        opened.execute("create extension pgstattuple")
        yield opened


def explained_blocks(connection: psycopg.Connection, statement: str) -> tuple[int, int]:
    """Blocks hit and read of a statement, by EXPLAIN."""
    row = connection.execute(
        f"explain (analyze, buffers, format json) {statement}".encode()
    ).fetchone()
    assert row
    plan = row[0][0]["Plan"]
    return plan["Shared Hit Blocks"], plan["Shared Read Blocks"]


# -- The files themselves


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_says_what_it_answers_and_is_one_statement_in_lower_case(
    path: Path,
) -> None:
    text = path.read_text()
    code = re.sub(r"--.*|'[^']*'", "", text)

    assert text.startswith("-- ")
    assert text.splitlines()[1].startswith("-- ") or path.stem == "slow_log"
    assert len(pglast.parse_sql(text)) == 1
    assert not [
        line
        for line in code
        if line.split("--")[0].split("'")[0] != line.split("--")[0].split("'")[0].lower()
    ]
    assert max(map(len, text.splitlines())) <= 92
    assert "select *" not in text


def test_every_file_is_a_panel_whose_columns_it_has(
    connection: psycopg.Connection,
) -> None:
    assert set(PANELS) == {path.stem for path in FILES}
    for panel in PANELS.values():
        cursor = connection.execute((DIRECTORY / f"{panel.name}.sql").read_bytes())
        columns = {column.name for column in cursor.description or ()}
        named = {*panel.keys, *panel.shown, *panel.counters}
        named |= {ratio.column for ratio in panel.ratios}
        named |= {panel.weight} if panel.weight else set()
        assert named <= columns, panel.name


def test_every_file_runs_in_psql(
    settings: Settings, postgres: PostgresServer, connection: psycopg.Connection
) -> None:
    program = find_postgres(settings).bin / "psql"
    target = f"{postgres.conninfo} dbname={connection.info.dbname}"
    for path in FILES:
        done = subprocess.run(
            [program, "-X", "-v", "ON_ERROR_STOP=1", "-d", target, "-f", path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), path.name
        assert "row" in done.stdout.splitlines()[-2]


# -- Statements


def test_slow_queries_count_the_calls_and_rows_that_were_made(
    connection: psycopg.Connection,
) -> None:
    connection.execute("select pg_stat_statements_reset()")
    for limit in range(7):
        connection.execute(f"select id from users limit {limit}".encode())
    connection.execute("select count(*) from messages, generate_series(1, 20)")
    rows = ask(connection, "slow_queries")

    first = next(row for row in rows if "from users limit" in str(row["query"]))
    assert (first["calls"], first["rows"]) == (7, sum(range(7)))
    # The slow one stands before the many fast ones, and the shares are of all.
    assert "generate_series" in str(rows[0]["query"])
    assert [row["total_ms"] for row in rows] == sorted(
        (row["total_ms"] for row in rows), reverse=True
    )
    assert 99 <= sum(number(row, "share_percent") for row in rows) <= 101
    assert rows[0]["account"] == "postgres"
    hits, misses = explained_blocks(connection, "select count(*) from messages")
    assert rows[0]["blocks_hit"] + rows[0]["blocks_missed"] == hits + misses


def test_slow_queries_are_those_of_this_database_and_fifty(
    postgres: PostgresServer, connection: psycopg.Connection
) -> None:
    connection.execute("select pg_stat_statements_reset()")
    with connect(postgres, "postgres") as elsewhere:
        elsewhere.execute("select 'not from here' as elsewhere")
    for count in range(60):
        columns = ", ".join(["1"] * (count + 1))
        connection.execute(f"select {columns}".encode())
    rows = ask(connection, "slow_queries")

    assert len(rows) == 50
    assert not [row for row in rows if "elsewhere" in str(row["query"])]
    share = sum(number(row, "share_percent") for row in rows)
    assert share < 100  # of all sixty, not of the fifty


def test_without_the_extension_the_answer_says_what_is_missing(
    postgres: PostgresServer, database: str
) -> None:
    with connect(postgres, database) as bare:
        with pytest.raises(psycopg.errors.UndefinedTable, match="pg_stat_statements"):
            ask(bare, "slow_queries")
        wanted = {row["extension_name"]: row for row in ask(bare, "extensions")}
        assert wanted["pg_stat_statements"]["is_loaded"] is True
        for row in wanted.values():
            assert row["is_created"] is False
            bare.execute(str(row["next"]).encode())  # doing what it says is enough

        assert [row["next"] for row in ask(bare, "extensions")] == [None, None]
        assert ask(bare, "slow_queries")
        assert ask(bare, "bloat_exact_tables")


def test_a_library_that_is_not_loaded_is_told_from_an_extension_that_is_not_created() -> (
    None
):
    with scratch() as settings:
        server = postgres_server.start(settings)
        with connect(server, "postgres") as owner:
            owner.execute("create extension pg_stat_statements")
            owner.execute("alter system set shared_preload_libraries = 'auto_explain'")
        postgres_server.stop(settings)
        server = postgres_server.start(settings)
        with connect(server, "postgres") as without:
            missing = row_of(without, "extensions", extension_name="pg_stat_statements")
            with pytest.raises(psycopg.Error, match="must be loaded"):
                ask(without, "slow_queries")
            monitor = watch(without, "slow_queries")
            (reading,) = monitor.read().readings

        assert (missing["is_created"], missing["is_loaded"]) == (True, False)
        assert missing["next"] == (
            "add pg_stat_statements to shared_preload_libraries and restart the server"
        )
        assert reading.headline.text == f"not there: {missing['next']}"


def watch(connection: psycopg.Connection, *names: str) -> Monitor:
    """A monitor of one session that is there already."""
    panels = [PANELS[name] for name in names]
    return Monitor(lambda: connection, panels, DIRECTORY, time.monotonic)


# -- Buffers


def test_the_hit_rate_of_a_table_is_that_of_the_blocks_that_explain_counts(
    connection: psycopg.Connection,
) -> None:
    connection.execute(
        "create table scanned as select repeat('x', 500) from generate_series(1, 1000)"
    )
    connection.execute("create extension pg_buffercache")
    connection.execute("select pg_buffercache_evict_relation('scanned')")
    before = row_of(connection, "cache_hit_tables", table_name="scanned")
    scans = [explained_blocks(connection, "select * from scanned") for _ in range(4)]
    after = row_of(connection, "cache_hit_tables", table_name="scanned")

    hits, misses = (sum(counts) for counts in zip(*scans, strict=True))
    assert misses > 50
    assert moved(before, after, "blocks_hit") == hits
    assert moved(before, after, "blocks_missed") == misses
    whole = number(after, "blocks_hit") + number(after, "blocks_missed")
    assert number(after, "hit_rate_percent") == round(
        100 * number(after, "blocks_hit") / whole, 2
    )


def moved(before: Found, after: Found, column: str) -> float:
    return number(after, column) - number(before, column)


def test_an_index_is_asked_for_one_block_of_each_level(
    connection: psycopg.Connection,
) -> None:
    one = connection.execute("select id from messages limit 1").fetchone()
    assert one
    lookup = f"select from messages where id = '{one[0]}'".encode()
    connection.execute(lookup)  # reads the page that describes the index
    (level,) = connection.execute(
        "select tree_level + 1 from pgstatindex('messages_pkey')"
    ).fetchone() or (0,)
    before = row_of(connection, "cache_hit_indexes", index_name="messages_pkey")
    for _ in range(30):
        connection.execute(lookup)
    after = row_of(connection, "cache_hit_indexes", index_name="messages_pkey")

    assert level >= 2
    assert moved(before, after, "blocks_hit") == 30 * level
    assert moved(before, after, "blocks_missed") == 0


def test_a_table_that_nobody_read_has_no_hit_rate(connection: psycopg.Connection) -> None:
    connection.execute("create table untouched (number int)")

    found = row_of(connection, "cache_hit_tables", table_name="untouched")

    assert found["hit_rate_percent"] is None


# -- Updates and statistics


def test_hot_updates_are_those_of_columns_without_an_index_while_there_is_room(
    connection: psycopg.Connection,
) -> None:
    connection.execute(
        "create table warm (id int primary key, known int, free int) with (fillfactor = 40)"
    )
    connection.execute("create index on warm (known)")
    connection.execute("insert into warm select n, n, n from generate_series(1, 1000) n")
    connection.execute("update warm set free = free + 1 where id <= 100")
    connection.execute("update warm set known = known + 1 where id <= 40")
    found = row_of(connection, "hot_updates", table_name="warm")

    assert (found["updates"], found["hot_updates"]) == (140, 100)
    assert number(found, "hot_percent") == round(100 * 100 / 140, 1)
    assert (found["fillfactor"], found["indexes"], found["other_page"]) == (40, 2, 0)


def test_an_update_without_room_goes_to_another_page_and_is_not_hot(
    connection: psycopg.Connection,
) -> None:
    connection.execute("create table full_pages (id int, free text)")
    connection.execute("alter table full_pages alter free set storage plain")
    connection.execute(
        "insert into full_pages select n, repeat('x', 3000) from generate_series(1, 10) n"
    )
    connection.execute("update full_pages set free = repeat('y', 3000)")
    found = row_of(connection, "hot_updates", table_name="full_pages")

    pages = connection.execute(
        "select count(*) from full_pages where (ctid::text::point)[0] >= 5"
    ).fetchone()  # ten rows filled five pages
    assert found["updates"] == 10
    assert found["other_page"] == 10 - number(found, "hot_updates")
    assert pages
    assert found["other_page"] == pages[0]


def test_statistics_are_due_beyond_the_threshold_and_the_share(
    connection: psycopg.Connection,
) -> None:
    connection.execute("create table counted (number int)")
    connection.execute("insert into counted select generate_series(1, 1000)")
    never = row_of(connection, "stale_statistics", table_name="counted")
    connection.execute("analyze counted")
    fresh = row_of(connection, "stale_statistics", table_name="counted")
    connection.execute("update counted set number = 0 where number <= 150")
    at_limit = row_of(connection, "stale_statistics", table_name="counted")
    connection.execute("delete from counted where number = 500")
    beyond = row_of(connection, "stale_statistics", table_name="counted")

    assert never["analyzed_at"] is None
    assert (fresh["modified_rows"], fresh["is_due"]) == (0, False)
    assert fresh["analyzed_at"] is not None
    # The manual: 50 rows and a tenth of the table.
    assert at_limit["due_after"] == 50 + 1000 // 10
    assert (at_limit["modified_rows"], at_limit["is_due"]) == (150, False)
    assert (beyond["modified_rows"], beyond["is_due"]) == (151, True)
    assert number(beyond, "modified_percent") == 15.1
    assert beyond["is_automatic"] is False  # autovacuum is off in the lab


def test_a_table_may_have_a_threshold_of_its_own(connection: psycopg.Connection) -> None:
    connection.execute(
        "create table strict (number int) with "
        "(autovacuum_analyze_threshold = 3, "
        "autovacuum_analyze_scale_factor = 0)"
    )
    connection.execute("insert into strict select generate_series(1, 4)")
    found = row_of(connection, "stale_statistics", table_name="strict")

    assert (found["due_after"], found["is_due"]) == (3, True)
    first = ask(connection, "stale_statistics")[0]
    assert first["is_due"] is True  # what is due stands first


# -- Sessions


def test_a_transaction_that_is_left_open_is_listed_until_it_ends(
    postgres: PostgresServer, connection: psycopg.Connection
) -> None:
    database = connection.info.dbname
    with connect(postgres, database, application="forgetful") as other:
        session = other.info.backend_pid
        other.execute("begin")
        other.execute("select count(*) from users")
        found = ask(connection, "long_transactions")
        other.execute("commit")
        afterwards = ask(connection, "long_transactions")

    assert [(row["session_id"], row["state"]) for row in found] == [
        (session, "idle in transaction")
    ]
    assert (found[0]["application"], found[0]["query"]) == (
        "forgetful",
        "select count(*) from users",
    )
    assert afterwards == []


@contextmanager
def waiting(postgres: PostgresServer, database: str, statement: bytes) -> Iterator[int]:
    """A session in which a statement runs in a thread of its own."""
    with connect(postgres, database) as session:
        thread = threading.Thread(target=session.execute, args=(statement,))
        thread.start()
        yield session.info.backend_pid
        thread.join(10)
        assert not thread.is_alive()


def test_who_waits_for_a_lock_stands_beside_who_holds_it(
    postgres: PostgresServer, connection: psycopg.Connection
) -> None:
    database = connection.info.dbname
    with connect(postgres, database) as holder:
        holding = holder.info.backend_pid
        holder.execute("begin")
        holder.execute("update users set name = name")
        update = b"update users set name = 'other'"
        with waiting(postgres, database, update) as waiting_session:
            deadline = time.monotonic() + 10
            while not (found := ask(connection, "blocked_sessions")):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            holder.execute("rollback")
    (row,) = found

    assert row["session_id"] == waiting_session
    assert row["blocked_by"] == [holding]
    assert row["blocker_state"] == "idle in transaction"
    assert row["query"] == update.decode()
    assert row["blocker_query"] == "update users set name = name"
    assert "ShareLock" in str(row["wants"])
    assert ask(connection, "blocked_sessions") == []
