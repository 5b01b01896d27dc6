"""What a monitor tells between two looks, and when the server goes away."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest
from monitoring_files import watching
from servers_scratch import scratch

from fluxlab.errors import FluxlabError
from fluxlab.monitoring.panels import PANELS
from fluxlab.monitoring.reading import Reading, differences
from fluxlab.servers import postgres as postgres_server
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer


def test_the_second_look_counts_what_was_done_since_the_first(
    postgres: PostgresServer, database: str
) -> None:
    with (
        connect(postgres, database) as busy,
        watching(lambda: connect(postgres, database), "slow_queries", "index_usage") as (
            monitor,
            move,
        ),
    ):
        busy.execute("create extension pg_stat_statements")
        one = busy.execute("select id from users limit 1").fetchone()
        assert one
        monitor.read()
        for _ in range(9):
            busy.execute(f"select name from users where id = '{one[0]}'".encode())
        busy.execute("select pg_stat_force_next_flush()")
        move(3.0)
        statements, indexes = monitor.read().readings
        move(3.0)
        idle = monitor.read().readings[1]

    # Our own statements are not among them.
    row = next(row for row in statements.rows if "select name" in str(row["query"]))
    assert len(statements.rows) == 2
    assert (row["calls"], row["rows"], statements.interval_s) == (9, 9, 3.0)
    assert row["mean_ms"] == pytest.approx(float(str(row["total_ms"])) / 9)
    assert sum(float(str(one["share_percent"])) for one in statements.rows) == (
        pytest.approx(100)
    )
    (scanned,) = indexes.rows
    assert (scanned["index_name"], scanned["scans"]) == ("users_pkey", 9)
    assert "9 scans of 1 indexes" in indexes.headline.text
    assert idle.rows == ()
    assert idle.whole is not None
    assert idle.whole.text != "0 scans of 0 indexes"


def reading(*rows: tuple[str, int, int]) -> Reading:
    """A reading of the tables' buffers, from name, hits and misses."""
    found = tuple(
        {
            "schema_name": "public",
            "table_name": name,
            "blocks_hit": hits,
            "blocks_missed": misses,
            "toast_blocks_hit": 0,
            "toast_blocks_missed": 0,
            "hit_rate_percent": Decimal("12.34"),
        }
        for name, hits, misses in rows
    )
    return Reading(PANELS["cache_hit_tables"], tuple(found[0]), found)


def test_ratios_are_those_of_the_interval_and_idle_rows_are_left_out() -> None:
    before = reading(("a", 1000, 0), ("b", 10, 10), ("c", 5, 5))
    after = reading(("a", 1030, 10), ("b", 10, 10), ("c", 105, 5))

    found = differences(before, after, 2.0)

    assert [
        (row["table_name"], row["blocks_hit"], row["hit_rate_percent"])
        for row in found.rows
    ] == [("a", 30, 75.0), ("c", 100, 100.0)]
    assert found.headline.text == "92.86% of 140 block requests hit"
    assert found.whole == after.headline


def test_a_counter_that_fell_was_reset_and_counts_from_nothing() -> None:
    found = differences(reading(("a", 1000, 500)), reading(("a", 7, 1)), 2.0)

    assert (found.rows[0]["blocks_hit"], found.rows[0]["blocks_missed"]) == (7, 1)


def test_a_row_that_is_new_counts_only_where_the_list_was_whole() -> None:
    panel = PANELS["slow_queries"]
    assert panel.limit == 50
    row = dict.fromkeys({*panel.keys, *panel.shown, *panel.counters}, 1)
    known = [{**row, "query_id": number} for number in range(50)]
    new = {**row, "query_id": 99}

    def found(before: int) -> int:
        earlier = Reading(panel, (), tuple(known[:before]))
        return len(differences(earlier, Reading(panel, (), (new,)), 2.0).rows)

    assert found(49) == 1
    assert found(50) == 0


def test_a_dear_panel_is_asked_for_seldom(postgres: PostgresServer, database: str) -> None:
    with (
        connect(postgres, database) as owner,
        watching(lambda: connect(postgres, database), "bloat_tables") as (monitor, move),
    ):
        first = monitor.read().readings[0].rows
        owner.execute("delete from message_reactions")
        owner.execute("analyze message_reactions")
        move(5.0)
        second = monitor.read().readings[0].rows
        move(30.0)
        third = monitor.read().readings[0].rows

    assert first == second != third


# -- The server goes away


def test_a_restart_is_told_and_survived() -> None:
    with scratch() as settings:
        postgres_server.start(settings)

        def session() -> psycopg.Connection:
            server = postgres_server.find(settings)
            if server is None:
                raise FluxlabError("It does not run.", "Wait.")
            return connect(server, "postgres")

        with watching(session, "slow_log", "index_usage") as (monitor, move):
            before = monitor.read()
            postgres_server.stop(settings)
            move(31.0)
            gone = monitor.read()
            still = monitor.read()
            postgres_server.start(settings)
            back = monitor.read()

    assert (before.lost, back.lost) == ("", "")
    assert "terminating connection" in gone.lost
    assert "It does not run" in still.lost
    # What was seen last stays on the screen.
    assert gone.readings == still.readings == before.readings
    assert [one.interval_s for one in back.readings] == [None, None]


def test_without_a_server_at_the_first_look_there_is_an_error() -> None:
    def nobody() -> psycopg.Connection:
        raise FluxlabError("It does not run.", "Start it.")

    with watching(nobody, "slow_log") as (monitor, _), pytest.raises(FluxlabError):
        monitor.read()


def test_a_statement_that_is_refused_does_not_end_the_others(
    postgres: PostgresServer, database: str
) -> None:
    def weak() -> psycopg.Connection:
        session = connect(postgres, database)
        session.execute("create extension if not exists pgstattuple")
        session.execute("set role pg_read_all_settings")
        return session

    with watching(weak, "bloat_exact_tables", "slow_log") as (monitor, _):
        refused, told = monitor.read().readings

    assert "permission denied" in refused.headline.text
    assert (told.refusal, len(told.rows)) == ("", 1)


def test_a_statement_that_takes_too_long_is_no_loss_of_the_server(
    postgres: PostgresServer, database: str
) -> None:
    def hurried() -> psycopg.Connection:
        session = connect(postgres, database)
        session.execute("set statement_timeout = '1ms'")
        return session

    with watching(hurried, "bloat_indexes") as (monitor, _):
        snapshot = monitor.read()

    assert snapshot.lost == ""
    assert "statement timeout" in snapshot.readings[0].refusal
