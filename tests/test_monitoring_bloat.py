"""Bloat as the catalog lets one estimate it, against what pgstattuple counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from monitoring_files import ask, row_of, share

from fluxlab.monitoring.panels import number
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT

BLOCK = 8192


@pytest.fixture
def connection(postgres: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    with connect(postgres, database) as opened:
        opened.execute("create extension pgstattuple")
        yield opened


def test_the_estimate_of_every_table_of_the_lab_is_near_the_count(
    connection: psycopg.Connection, say: Callable[[str], None]
) -> None:
    counted = {row["table_name"]: row for row in ask(connection, "bloat_exact_tables")}
    found = {row["table_name"]: row for row in ask(connection, "bloat_tables")}
    errors = {
        name: number(row, "unused_bytes") - number(counted[name], "unused_bytes")
        for name, row in found.items()
    }

    assert len(errors) == 21
    for name, error in errors.items():
        # The end of a page is free, but no row fits in.
        slack = 2 * BLOCK + 0.03 * number(found[name], "table_bytes")
        assert abs(error) <= slack, name
    off = errors["messages"] / number(found["messages"], "table_bytes")
    say(f"The estimated bloat of messages is off by {off:+.1%} of the table.")


def test_bloat_of_a_table_rises_with_deletes_and_falls_when_it_is_rewritten(
    connection: psycopg.Connection,
) -> None:
    def estimated() -> float:
        found = row_of(connection, "bloat_tables", table_name="messages")
        return share(found, "unused_bytes", "table_bytes")

    connection.execute("delete from message_reactions")
    connection.execute("update messages set reply_to_id = null, thread_id = null")
    connection.execute("vacuum full analyze messages")
    packed = estimated()
    connection.execute("delete from messages where get_byte(uuid_send(id), 15) % 4 > 0")
    deleted = estimated()
    connection.execute("vacuum analyze messages")
    vacuumed = estimated()
    exact = row_of(connection, "bloat_exact_tables", table_name="messages")
    connection.execute("vacuum full analyze messages")

    assert packed < 0.05
    assert 0.7 < deleted < 0.8
    assert vacuumed == pytest.approx(share(exact, "unused_bytes", "table_bytes"), abs=0.05)
    assert estimated() < 0.05


def test_what_was_never_analysed_has_no_estimate_and_is_not_called_tidy(
    connection: psycopg.Connection,
) -> None:
    connection.execute("create table unknown as select generate_series(1, 5000) as id")
    connection.execute("create index on unknown (id)")

    table = row_of(connection, "bloat_tables", table_name="unknown")
    index = row_of(connection, "bloat_indexes", table_name="unknown")

    assert (table["unused_bytes"], table["unused_percent"]) == (None, None)
    assert (index["unused_bytes"], index["unused_percent"]) == (None, None)


def test_the_estimate_of_every_new_index_is_near_its_size(
    connection: psycopg.Connection,
) -> None:
    migration = ROOT / "sql" / "migrations" / "005_performance_optimization_indexes.sql"
    connection.execute(migration.read_bytes())
    connection.execute("reindex database")
    connection.execute("vacuum analyze")
    far = [
        row
        for row in ask(connection, "bloat_indexes")
        # Nothing is unused in a new index: two pages, or a sixth.
        if number(row, "unused_bytes") > max(2 * BLOCK, number(row, "index_bytes") / 6)
    ]

    assert len(ask(connection, "bloat_indexes")) > 100
    assert far == []


def test_bloat_of_an_index_rises_with_deletes_and_falls_when_it_is_built_anew(
    connection: psycopg.Connection,
) -> None:
    connection.execute(
        "create table keyed as select n as id, n % 50 as kind "
        "from generate_series(1, 100000) n"
    )
    connection.execute("create index keyed_id on keyed (id)")
    connection.execute("create index keyed_kind on keyed (kind)")

    def estimated(index: str) -> float:
        connection.execute("vacuum analyze keyed")
        found = row_of(connection, "bloat_indexes", index_name=index)
        return share(found, "unused_bytes", "index_bytes")

    new = [estimated(index) for index in ("keyed_id", "keyed_kind")]
    connection.execute("delete from keyed where id % 4 > 0")
    bloated = [estimated(index) for index in ("keyed_id", "keyed_kind")]
    exact = row_of(connection, "bloat_exact_indexes", index_name="keyed_id")
    connection.execute("reindex table keyed")
    again = [estimated(index) for index in ("keyed_id", "keyed_kind")]

    assert max(new) < 0.1
    assert min(bloated) > 0.6
    # A new index is filled to 90 %.
    assert bloated[0] == pytest.approx(1 - number(exact, "full_percent") / 90, abs=0.05)
    assert max(again) < 0.1
