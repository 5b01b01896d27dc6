"""Every Query with every class of parameters, on the tiny database; and in psql."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import RawCursor
from psycopg.conninfo import conninfo_to_dict

from fluxlab.dataset.load import Dataset
from fluxlab.servers.binaries import find_postgres
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT, Settings
from fluxlab.workload.catalogue import load_workload
from fluxlab.workload.parameters import CLASSES, ParameterSet, Sampler, psql_block
from fluxlab.workload.query import Query

WORKLOAD = load_workload(ROOT / "sql" / "queries")
#: Billions of rows even on tiny data: it may only run into its timeout.
ENDLESS = "analytics_platform_counts_cartesian"

Drawn = dict[str, tuple[ParameterSet, ...]]


@pytest.fixture(scope="module")
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with connect(postgres, module_database) as opened:
        yield opened


@pytest.fixture(scope="module")
def sets(connection: psycopg.Connection, template: Dataset) -> Drawn:
    sampler = Sampler(connection, template.now, seed=11)
    return {query.name: sampler.parameter_sets(query) for query in WORKLOAD.values()}


@pytest.fixture(scope="module")
def row_counts(say: Callable[[str], None]) -> Iterator[dict[tuple[str, str], int]]:
    counts: dict[tuple[str, str], int] = {}
    yield counts
    reads = [count for (name, _), count in counts.items() if not WORKLOAD[name].is_write]
    writes = [count for (name, _), count in counts.items() if WORKLOAD[name].is_write]
    found, changed = sum(map(bool, reads)), sum(map(bool, writes))
    say(
        f"{len(counts)} pairs of query and class: {found} of {len(reads)} reads returned "
        f"rows, {changed} of {len(writes)} writes changed some."
    )


def execute(connection: psycopg.Connection, query: Query, drawn: ParameterSet) -> int:
    """Run a Query and roll it back; return the rows returned or changed."""
    with connection.transaction(force_rollback=True):
        cursor = RawCursor(connection)
        cursor.execute(query.statement.encode(), list(drawn.values), prepare=False)
        return max(0, cursor.rowcount)


@pytest.mark.parametrize("name", [name for name in WORKLOAD if name != ENDLESS])
def test_a_query_runs_with_every_class_of_parameters(
    connection: psycopg.Connection,
    sets: Drawn,
    row_counts: dict[tuple[str, str], int],
    name: str,
) -> None:
    for drawn in sets[name]:
        row_counts[name, drawn.of_class] = execute(connection, WORKLOAD[name], drawn)

    assert 1 <= len(sets[name]) <= len(CLASSES)


def test_most_queries_find_something_for_hot_and_typical_parameters(
    connection: psycopg.Connection, sets: Drawn
) -> None:
    empty = [
        name
        for name, drawn in sets.items()
        if name != ENDLESS
        and not any(execute(connection, WORKLOAD[name], one) for one in drawn[:2])
    ]

    # Far pages, rare faults and traps (NOT IN with NULL) are empty for a reason.
    assert len(empty) <= 40, empty


def test_the_endless_query_is_only_for_tiny_data_and_hits_its_timeout(
    connection: psycopg.Connection, sets: Drawn
) -> None:
    assert WORKLOAD[ENDLESS].sizes == ("tiny",)
    connection.execute("set statement_timeout = 300")
    try:
        with pytest.raises(psycopg.errors.QueryCanceled):
            execute(connection, WORKLOAD[ENDLESS], sets[ENDLESS][0])
    finally:
        connection.execute("reset statement_timeout")


def test_the_same_seed_draws_the_same_values(
    connection: psycopg.Connection, template: Dataset, sets: Drawn
) -> None:
    again = Sampler(connection, template.now, seed=11)
    other = Sampler(connection, template.now, seed=12)
    names = ["message_by_id_with_author", "messages_page_first", "org_members_list"]

    assert [again.parameter_sets(WORKLOAD[name]) for name in names] == [
        sets[name] for name in names
    ]
    assert [other.parameter_sets(WORKLOAD[name]) for name in names] != [
        sets[name] for name in names
    ]


def test_hot_is_the_most_frequent_value_rare_the_least_and_absent_is_none(
    connection: psycopg.Connection, sets: Drawn
) -> None:
    counts = dict(
        connection.execute(
            "select conversation_id, count(*) from messages group by 1"
        ).fetchall()
    )
    by_class = {drawn.of_class: drawn.values[0] for drawn in sets["unread_one_by_one"]}
    ordered = sorted(counts.values())

    assert counts[by_class["hot"]] == ordered[-1]
    assert counts[by_class["rare"]] == ordered[0]
    assert ordered[0] < counts[by_class["typical"]] < ordered[-1]
    assert by_class["absent"] not in counts


def test_every_block_runs_in_psql_as_it_stands(
    postgres: PostgresServer,
    connection: psycopg.Connection,
    sets: Drawn,
    settings: Settings,
) -> None:
    blocks = [
        psql_block(connection, WORKLOAD[name], drawn)
        for name, (drawn, *_) in sets.items()
        if name != ENDLESS
    ]
    words = conninfo_to_dict(postgres.conninfo, dbname=connection.info.dbname)
    script = "begin;\n" + "\nrollback;\nbegin;\n".join(blocks) + "\nrollback;\n"

    done = subprocess.run(
        [
            find_postgres(settings).bin / "psql",
            *("-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-f", "-"),
            *("-h", str(words["host"]), "-p", str(words.get("port", 5432))),
            *("-U", str(words["user"]), "-d", connection.info.dbname),
        ],
        input=script,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PGOPTIONS": "-c statement_timeout=60s"},
    )

    assert done.stderr == ""
    assert done.returncode == 0
