"""Steps that are killed, locked out or run twice at once: the end state is right."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from step_sessions import ACTIVE, SPRINT, held, known, tidy_session, written

from fluxlab.errors import FluxlabError
from fluxlab.indexes import patience
from fluxlab.indexes.steps import (
    Step,
    apply,
    apply_all,
    outlook,
    read_steps,
    undo,
    undo_all,
)
from fluxlab.servers.connections import connect, uri
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT

RUNS = """
import sys
from pathlib import Path
from fluxlab.indexes.steps import apply_all, read_steps
from fluxlab.servers.dial import dial

steps = read_steps(Path(sys.argv[2]))
with dial(sys.argv[1], application="to be killed") as connection:
    apply_all(
        connection, steps, concurrently=sys.argv[3] == "concurrently",
        report=lambda tick: print(tick.done, flush=True),
    )
"""


@pytest.fixture(scope="module")
def steps() -> tuple[Step, ...]:
    return read_steps(SPRINT)


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with tidy_session(postgres, module_database) as opened:
        yield opened


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def start(url: str, path: Path, how: str) -> subprocess.Popen[str]:
    """Apply a file in another process, which says how many steps are done."""
    return subprocess.Popen(
        [sys.executable, "-c", RUNS, url, str(path), how],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.parametrize("how", ["in place", "concurrently"])
def test_killed_at_random_points_and_run_again_it_ends_as_an_unbroken_run(
    postgres: PostgresServer,
    connection: psycopg.Connection,
    steps: tuple[Step, ...],
    how: str,
) -> None:
    apply_all(connection, steps)
    unbroken = written(connection)
    undo_all(connection, steps)
    chance = random.Random(2026)
    points = sorted(chance.sample(range(1, 90), 3))
    counts = []

    # Late ones last: each run finds what the killed ones before it have built.
    for point in points:
        process = start(uri(postgres, connection.info.dbname), SPRINT, how)
        assert process.stdout
        while process.stdout.readline().strip() != str(point):
            assert process.poll() is None
        time.sleep(chance.uniform(0, 0.01))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        counts.append(sum(name in written(connection) for name in unbroken))
    last = start(uri(postgres, connection.info.dbname), SPRINT, how)
    output, _ = last.communicate()

    assert last.returncode == 0
    assert output.split()[-1] == "90"
    assert len(unbroken) > counts[-1] >= counts[0] > 0
    assert written(connection) == unbroken
    assert all(one.is_valid for one in known(connection).values())
    statistics = (
        "select count(*) from pg_stats where tablename = 'idx_messages_content_search'"
    )
    assert connection.execute(statistics).fetchone() == (1,)


def test_killed_in_a_concurrent_build_it_leaves_a_broken_index_which_is_repaired(
    postgres: PostgresServer, connection: psycopg.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "one.sql"
    path.write_text(f"{ACTIVE.ddl()};")
    with held(postgres, connection, "update users set name = name") as other:
        process = start(uri(postgres, connection.info.dbname), path, "concurrently")
        wait_until(lambda: "active" in known(connection))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        # The server sees within a second or so that nobody waits for the answer.
        sessions = "select from pg_stat_activity where application_name = 'to be killed'"
        wait_until(lambda: not connection.execute(sessions).fetchall())
        assert not known(connection)["active"].is_valid
        assert outlook(connection, read_steps(path)) == ("broken",)
        other.execute("rollback")

    assert apply(connection, ACTIVE, concurrently=True).was == "repaired"
    assert known(connection)["active"].is_valid
    assert apply(connection, ACTIVE, concurrently=True).was == "there"


@pytest.mark.parametrize("concurrently", [False, True])
def test_what_a_failed_reindex_left_behind_is_cleared_away(
    postgres: PostgresServer, connection: psycopg.Connection, concurrently: bool
) -> None:
    apply(connection, ACTIVE)
    with held(postgres, connection, "update users set name = name"):
        connection.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("reindex index concurrently active")
    left = {name for name in known(connection) if name.startswith("active_cc")}
    assert left

    assert apply(connection, ACTIVE, concurrently=concurrently).was == "repaired"
    assert left.isdisjoint(known(connection))
    assert known(connection)["active"].is_valid


def test_undo_takes_a_broken_index_away(
    postgres: PostgresServer, connection: psycopg.Connection
) -> None:
    before = known(connection)
    with held(postgres, connection, "update users set name = name"):
        connection.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute(ACTIVE.ddl(concurrently=True).encode())
    assert not known(connection)["active"].is_valid

    assert undo(connection, ACTIVE, concurrently=True)
    assert known(connection) == before


# --- locked out --------------------------------------------------------------------------


@pytest.mark.parametrize("concurrently", [False, True])
def test_a_lock_that_is_not_to_be_had_is_an_error_that_names_its_holder(
    postgres: PostgresServer, connection: psycopg.Connection, concurrently: bool
) -> None:
    before = known(connection)
    with held(
        postgres, connection, "lock table users in share update exclusive mode"
    ) as other:
        other.execute("lock table users in row exclusive mode")
        with pytest.raises(FluxlabError) as caught:
            apply(
                connection,
                ACTIVE,
                concurrently=concurrently,
                lock_timeout_s=0.05,
                attempts=2,
                wait_s=1,
            )

        assert f"by session {other.info.backend_pid} (idle in transaction" in str(
            caught.value
        )
        assert "2 times" in str(caught.value)
        assert known(connection) == before

    assert apply(connection, ACTIVE, concurrently=concurrently).was == "built"


def test_a_lock_that_is_given_back_is_waited_for(
    postgres: PostgresServer, connection: psycopg.Connection
) -> None:
    with (
        held(postgres, connection, "lock table users in exclusive mode") as other,
        ThreadPoolExecutor(1) as pool,
    ):
        applied = pool.submit(apply, connection, ACTIVE, lock_timeout_s=0.05, attempts=9)
        time.sleep(0.3)  # the first attempt has failed by then
        assert not applied.done()
        other.execute("rollback")

        assert applied.result().was == "built"


def test_an_old_transaction_stops_a_concurrent_build_which_the_next_call_repairs(
    postgres: PostgresServer, connection: psycopg.Connection
) -> None:
    with held(postgres, connection, "update users set name = name") as other:
        with pytest.raises(FluxlabError, match="older transactions") as caught:
            apply(connection, ACTIVE, concurrently=True, lock_timeout_s=0.1, wait_s=0.1)
        assert f"by session {other.info.backend_pid} " in str(caught.value)
        assert not known(connection)["active"].is_valid
        other.execute("rollback")

    assert apply(connection, ACTIVE, concurrently=True).was == "repaired"
    assert known(connection)["active"].is_valid


def test_two_migrations_at_once_take_turns(
    postgres: PostgresServer, connection: psycopg.Connection, steps: tuple[Step, ...]
) -> None:
    with (
        connect(postgres, connection.info.dbname) as other,
        ThreadPoolExecutor(2) as pool,
    ):
        both = [
            pool.submit(apply_all, one, steps[:20], concurrently=True)
            for one in (connection, other)
        ]
        words = sorted([{built.was for built in one.result()} for one in both], key=str)

    assert words == [{"built"}, {"there"}]


def test_a_migration_that_does_not_end_is_named(
    postgres: PostgresServer,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "_OTHER_S", 0.2)
    with connect(postgres, connection.info.dbname) as other, patience.migrating(other):
        holder = rf"session {other.info.backend_pid} of the server"
        with pytest.raises(FluxlabError, match=re.escape(holder)):
            apply(connection, ACTIVE)

    assert apply(connection, ACTIVE).was == "built"
