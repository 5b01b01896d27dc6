"""Steps on a real server: from a file, twice, undone, and what counts as the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from step_sessions import ACTIVE, SPRINT, known, tidy_session, written

from fluxlab.errors import FluxlabError
from fluxlab.indexes.definition import parse_index
from fluxlab.indexes.steps import (
    Step,
    apply,
    apply_all,
    outlook,
    read_steps,
    undo,
    undo_all,
)
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def steps() -> tuple[Step, ...]:
    return read_steps(SPRINT)


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with tidy_session(postgres, module_database) as opened:
        yield opened


# --- the file ------------------------------------------------------------------------


def test_a_step_has_the_comment_right_above_it_as_its_reason(
    steps: tuple[Step, ...], tmp_path: Path
) -> None:
    path = tmp_path / "own.sql"
    path.write_text(
        "\\set ON_ERROR_STOP on\n-- A heading.\n\n-- It is\n-- sörted.\n"
        "create index i on t (a);\n"
        "create index j on t (b); -- a remark\n\n-- for c\ncreate index k on t (c)"
    )

    assert len(steps) == 90
    assert steps[60].reason.startswith(
        "use case: Messaging Queries / Conversation messages"
    )
    assert [step.reason for step in read_steps(path)] == ["It is sörted.", "", "for c"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("create index i on t (a);\n\nanalyze t;", "line 3: analyze t … is not"),
        ("create index i on t (a); create index i on t (b);", "makes i more than once"),
        ("create indx i", "cannot be read as SQL"),
        ("-- nothing", "holds no statement"),
    ],
)
def test_a_file_of_anything_else_is_an_error_that_names_the_place(
    tmp_path: Path, text: str, what: str
) -> None:
    path = tmp_path / "own.sql"
    path.write_text(text)

    with pytest.raises(FluxlabError, match=what):
        read_steps(path)


# --- again and back ------------------------------------------------------------------


@pytest.mark.parametrize("concurrently", [False, True])
def test_applied_twice_it_does_nothing_the_second_time_and_undone_it_is_gone(
    connection: psycopg.Connection, steps: tuple[Step, ...], concurrently: bool
) -> None:
    before = written(connection)

    first = apply_all(connection, steps, concurrently=concurrently)
    after = written(connection)
    again = apply_all(connection, steps, concurrently=concurrently)

    assert {one.was for one in first} == {"built"}
    assert {one.was for one in again} == {"there"}
    assert len(after) == len(before) + 90
    assert written(connection) == after
    assert outlook(connection, steps) == ("there",) * 90
    assert undo_all(connection, steps, concurrently=concurrently) == (True,) * 90
    assert undo_all(connection, steps, concurrently=concurrently) == (False,) * 90
    assert written(connection) == before
    assert outlook(connection, steps) == ("missing",) * 90


def test_a_step_records_what_it_took(connection: psycopg.Connection) -> None:
    built = apply(connection, parse_index("create index i on messages (id)"))
    apart = apply(
        connection, parse_index("create index j on messages (id)"), concurrently=True
    )
    there = apply(connection, parse_index("create index i on messages (id)"))

    assert built.build_ms > 0 == there.build_ms
    assert built.size_bytes == there.size_bytes == known(connection)["i"].size_bytes
    assert built.size_bytes == apart.size_bytes > 100_000
    # Built by itself it goes through the WAL whole, whatever wal_level is.
    assert apart.wal_bytes > 0.8 * apart.size_bytes
    assert there.wal_bytes == 0
    is_18 = connection.info.server_version >= 180_000
    assert built.wal_of == ("session" if is_18 else "server")


def test_the_wal_of_a_step_is_that_of_its_own_session(
    postgres: PostgresServer, connection: psycopg.Connection
) -> None:
    if connection.info.server_version < 180_000:
        pytest.skip("only PostgreSQL 18 counts WAL by session")
    (before,) = connection.execute("select pg_current_wal_insert_lsn()").fetchone() or ("",)
    with connect(postgres, connection.info.dbname) as other, ThreadPoolExecutor(1) as pool:
        other.execute("create table noise (id int, text text)")
        noise = "insert into noise select g, md5(g::text) from generate_series(1, 200000) g"
        writing = pool.submit(other.execute, noise)
        while not writing.done():
            built = apply(connection, parse_index("create index i on users (name, id)"))
            undo(connection, built.index)
        other.execute("drop table noise")
    difference = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)"
    (everything,) = connection.execute(difference, (before,)).fetchone() or (0,)

    assert everything > 5_000_000
    assert 0 < built.wal_bytes < 100_000


def test_an_index_on_an_expression_gets_statistics_also_when_it_was_there(
    connection: psycopg.Connection,
) -> None:
    index = parse_index("create index loud on users (upper(name))")
    asks = "select count(*) from pg_stats where tablename = 'loud'"
    # As if the process had been killed between the two.
    connection.execute("create index loud on users (upper(name))")
    assert connection.execute(asks).fetchone() == (0,)

    built = apply(connection, index)

    assert built.was == "there"
    assert connection.execute(asks).fetchone() == (1,)


def test_in_a_transaction_of_the_caller_everything_can_be_rolled_back(
    connection: psycopg.Connection, steps: tuple[Step, ...]
) -> None:
    before = written(connection)

    with connection.transaction(force_rollback=True):
        built = apply_all(connection, steps[:3])
        assert {one.was for one in built} == {"built"}
        assert len(written(connection)) == len(before) + 3
        with pytest.raises(FluxlabError, match="part of a transaction"):
            apply_all(connection, steps[:3], concurrently=True)

    assert written(connection) == before


def test_the_session_is_left_as_it_was(connection: psycopg.Connection) -> None:
    connection.execute("set lock_timeout = '7s'; set statement_timeout = '9s'")

    apply(connection, ACTIVE, concurrently=True)

    for name, value in (("lock_timeout", "7s"), ("statement_timeout", "9s")):
        assert connection.execute(f"show {name}".encode()).fetchone() == (value,)
    locks = "select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
    assert connection.execute(locks).fetchall() == []


# --- the same and not the same -----------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ("create index i on users (email) where name = 'x'", "(email) where name = 'x'"),
        (
            "create index i on users (email) where name in ('x', 'y')",
            "(email) where name in ('x', 'y')",
        ),
        (
            "create index i on users (is_active) where is_active",
            "(is_active) where is_active = true",
        ),
        ("create index i on users using btree ((email) text_ops)", "(email)"),
        ("create index i on public.users (lower(email))", "(lower(email::text))"),
        ("create index i on users (created_at desc)", "(created_at desc nulls first)"),
        (
            "create index i on users (id) where created_at > '2026-01-01'",
            "(id) where created_at > '2026-01-01'",
        ),
    ],
)
def test_an_index_written_otherwise_is_the_same(
    connection: psycopg.Connection, there: str, wanted: str
) -> None:
    connection.execute(there.encode())
    # And as a dump writes it, which is not as the server wrote it first.
    dumped = known(connection)["i"].definition.ddl()

    assert (
        apply(connection, parse_index(f"create index i on users {wanted}")).was == "there"
    )
    connection.execute("drop index i")
    connection.execute(dumped.encode())
    assert (
        apply(connection, parse_index(f"create index i on users {wanted}")).was == "there"
    )


@pytest.mark.parametrize(
    "wanted",
    [
        "create index i on users (name)",
        "create index i on users (email desc)",
        "create unique index i on users (email)",
        "create index i on users (email) where is_active",
        "create index i on users (email text_pattern_ops)",
        "create index i on users (lower(email))",
        "create index i on users (email) include (name)",
    ],
)
@pytest.mark.parametrize("change", [apply, undo])
def test_the_same_name_with_another_definition_is_an_error_that_shows_both(
    connection: psycopg.Connection, wanted: str, change: Callable[..., object]
) -> None:
    connection.execute("create index i on users (email)")
    before = written(connection)

    with pytest.raises(FluxlabError) as caught:
        change(connection, parse_index(wanted))

    assert "create index i on public.users (email)\n" in str(caught.value)
    assert parse_index(wanted).ddl().replace("users", "public.users") in str(caught.value)
    assert written(connection) == before


@pytest.mark.parametrize(
    ("ddl", "what"),
    [
        ("create index messages on users (id)", "belongs to no index"),
        (
            "create index idx_messages_created_at on users (id)",
            "belongs to an index on messages",
        ),
        ("create index i on nothing (id)", "no table nothing"),
        ("create index i on users (nothing)", 'column "nothing" does not exist'),
    ],
)
def test_what_cannot_be_built_is_an_error_with_the_reason(
    connection: psycopg.Connection, ddl: str, what: str
) -> None:
    for concurrently in (False, True):
        with pytest.raises(FluxlabError, match=what):
            apply(connection, parse_index(ddl), concurrently=concurrently)


def test_an_index_of_a_constraint_is_not_undone(connection: psycopg.Connection) -> None:
    index = known(connection)["users_pkey"].definition

    assert apply(connection, index).was == "there"
    with pytest.raises(FluxlabError, match="belongs to a constraint"):
        undo(connection, index)
    assert "users_pkey" in written(connection)


@pytest.mark.parametrize("concurrently", [False, True])
def test_duplicates_keep_a_unique_index_from_being_built_and_nothing_is_left(
    connection: psycopg.Connection, concurrently: bool
) -> None:
    before = known(connection)

    with pytest.raises(FluxlabError, match="is duplicated") as caught:
        apply(
            connection,
            parse_index("create unique index i on messages (status)"),
            concurrently=concurrently,
        )

    assert "Remove the duplicates" in caught.value.do
    assert known(connection) == before
