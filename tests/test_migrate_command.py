"""`fluxlab migrate`: on a database of one's own, on a copy, and as a script for psql."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from step_sessions import SPRINT, held, known, tidy_session, written

from fluxlab import migrate_command
from fluxlab.dataset.databases import maintenance
from fluxlab.errors import FluxlabError
from fluxlab.indexes.definition import parse_index
from fluxlab.indexes.migration import read_steps
from fluxlab.indexes.steps import apply_all
from fluxlab.lab import open_lab
from fluxlab.servers.binaries import find_postgres
from fluxlab.servers.connections import uri
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import Settings

Migrate = Callable[..., str]

OWN = """\
-- for one
create index one on users (is_active) where is_active;

-- for two
create index two on messages (lower(content)) where deleted_at is null;
"""


@pytest.fixture
def connection(
    postgres: PostgresServer, module_database: str
) -> Iterator[psycopg.Connection]:
    with tidy_session(postgres, module_database) as opened:
        yield opened


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.sql"
    path.write_text(OWN)
    return str(path)


@pytest.fixture
def migrate(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Migrate:
    """Run the command as a terminal does; return what it printed."""

    def run(*arguments: str) -> str:
        parser = argparse.ArgumentParser()
        migrate_command.add_options(parser)
        assert migrate_command.run(settings, parser.parse_args(arguments)) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def url(postgres: PostgresServer, connection: psycopg.Connection) -> str:
    """The database's address with a password in it, which nobody asks for."""
    return f"{uri(postgres, connection.info.dbname)}&password=hunter2"


def words(printed: str) -> list[str]:
    return [step["was"] for step in json.loads(printed)["steps"]]


def test_it_changes_no_database_that_was_not_named(
    migrate: Migrate, own: str, settings: Settings, postgres: PostgresServer
) -> None:
    open_lab(settings)

    with pytest.raises(FluxlabError, match="which database to change"):
        migrate(own)
    for state in ("flux_template", "flux_baseline", "flux_sprint11"):
        with pytest.raises(FluxlabError, match=f"{state} is a database that the lab"):
            migrate(own, "--dsn", uri(postgres, state))


def test_a_database_of_one_s_own_is_migrated_and_back(
    migrate: Migrate, own: str, url: str, connection: psycopg.Connection
) -> None:
    before = known(connection)
    to = (own, "--dsn", url, "--format", "json")

    assert words(migrate(*to, "--dry-run")) == ["would be built"] * 2
    assert known(connection) == before
    first = migrate(*to)
    assert words(first) == ["built", "built"]
    assert json.loads(first)["concurrently"] is True
    assert words(migrate(*to, "--in-place")) == ["there", "there"]
    assert words(migrate(*to, "--undo", "--dry-run")) == ["would be dropped"] * 2
    assert set(known(connection)) == {*before, "one", "two"}
    assert words(migrate(*to, "--undo", "--only", "two")) == ["dropped"]
    assert words(migrate(*to, "--undo")) == ["dropped", "not there"]
    assert known(connection) == before


def test_json_says_what_each_step_took_and_why(
    migrate: Migrate, own: str, url: str, connection: psycopg.Connection
) -> None:
    printed = migrate(own, "--dsn", url, "--format", "json")

    assert "hunter2" not in printed
    document = json.loads(printed)
    assert document["database"] == connection.info.dbname
    first, second = document["steps"]
    assert (first["index"], first["table"], first["reason"]) == ("one", "users", "for one")
    assert second["size_bytes"] == known(connection)["two"].size_bytes
    assert second["build_ms"] > 0
    assert second["wal_bytes"] > 0
    assert parse_index(second["ddl"]).name == "two"


def test_people_get_a_table_and_a_sum(migrate: Migrate, own: str, url: str) -> None:
    printed = migrate(own, "--dsn", url)

    assert "2 indexes in" in printed
    assert ", concurrently" in printed
    assert "2 built; " in printed
    assert "of WAL" in printed
    assert "hunter2" not in printed


def test_a_copy_of_the_lab_is_migrated_and_dropped(
    migrate: Migrate, postgres: PostgresServer, settings: Settings
) -> None:
    lab = open_lab(settings)
    before = lab.catalog("baseline").fingerprint, lab.catalog("sprint11").fingerprint

    there = migrate(str(SPRINT), "--scratch", "--format", "json")
    back = migrate(str(SPRINT), "--scratch", "--undo", "--format", "json")

    assert words(there) == ["built"] * 90
    assert json.loads(there)["concurrently"] is False
    assert words(back) == ["dropped"] * 90
    assert before == (
        lab.catalog("baseline").fingerprint,
        lab.catalog("sprint11").fingerprint,
    )
    with maintenance(postgres) as keeper:
        left = "select from pg_database where datname like '%scratch%'"
        assert keeper.execute(left).fetchall() == []


def test_a_failure_says_how_far_it_went_and_hides_the_password(
    migrate: Migrate, own: str, url: str, connection: psycopg.Connection
) -> None:
    connection.execute("create index two on messages (id)")

    with pytest.raises(FluxlabError) as caught:
        migrate(own, "--dsn", url)
    assert "another index two" in caught.value.what
    assert "1 of 2 indexes are done" in caught.value.do
    assert "one" in known(connection)
    with pytest.raises(FluxlabError) as caught:
        migrate(own, "--dsn", "postgresql://ann:hunter2@127.0.0.1:1/nowhere")
    assert "hunter2" not in str(caught.value)


def test_an_unknown_name_is_an_error(migrate: Migrate, own: str, url: str) -> None:
    with pytest.raises(FluxlabError, match="no index three"):
        migrate(own, "--dsn", url, "--only", "one", "three")


@pytest.mark.parametrize(
    ("text", "seconds"), [("2s", 2), ("500ms", 0.5), ("1min", 60), ("3", 3)]
)
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    parser = argparse.ArgumentParser()
    migrate_command.add_options(parser)

    assert parser.parse_args(["f", "--lock-timeout", text]).lock_timeout == seconds
    with pytest.raises(SystemExit):
        parser.parse_args(["f", "--lock-timeout", "soon"])


# --- psql ------------------------------------------------------------------------------


@pytest.fixture
def psql(settings: Settings, url: str, tmp_path: Path) -> Callable[[str], tuple[int, str]]:
    """Execute a script as `psql -f` does; return the exit code and what it said."""
    program = find_postgres(settings).bin / "psql"

    def run(script: str) -> tuple[int, str]:
        path = tmp_path / "script.sql"
        path.write_text(script)
        done = subprocess.run(
            [program, "-X", "-q", "-d", url, "-f", path], capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("how", [[], ["--concurrently"]])
def test_its_script_for_psql_runs_twice_and_so_does_its_undoing(
    migrate: Migrate,
    psql: Callable[[str], tuple[int, str]],
    connection: psycopg.Connection,
    how: list[str],
) -> None:
    before = written(connection)
    with connection.transaction(force_rollback=True):
        apply_all(connection, read_steps(SPRINT))
        applied = written(connection)
    forth = migrate(str(SPRINT), "--sql", *how)
    back = migrate(str(SPRINT), "--sql", "--undo", *how)

    assert psql(forth) == psql(forth) == (0, "")
    assert written(connection) == applied
    statistics = "select from pg_stats where tablename = 'idx_messages_content_search'"
    assert connection.execute(statistics).fetchall()
    assert psql(back) == psql(back) == (0, "")
    assert written(connection) == before


@pytest.mark.parametrize("how", [[], ["--concurrently"]])
def test_its_script_repairs_a_broken_index(
    migrate: Migrate,
    psql: Callable[[str], tuple[int, str]],
    postgres: PostgresServer,
    connection: psycopg.Connection,
    own: str,
    how: list[str],
) -> None:
    with held(postgres, connection, "update users set name = name"):
        connection.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute(
                "create index concurrently one on users (is_active) where is_active"
            )
    assert not known(connection)["one"].is_valid

    assert psql(migrate(own, "--sql", *how)) == (0, "")
    assert known(connection)["one"].is_valid


def test_its_script_in_place_is_all_or_nothing(
    migrate: Migrate,
    psql: Callable[[str], tuple[int, str]],
    postgres: PostgresServer,
    connection: psycopg.Connection,
    own: str,
) -> None:
    before = known(connection)
    with held(postgres, connection, "lock table messages in exclusive mode"):
        code, said = psql(migrate(own, "--sql", "--lock-timeout", "100ms"))

    assert code == 3
    assert "lock timeout" in said
    assert known(connection) == before


def test_the_migration_itself_runs_in_psql(
    psql: Callable[[str], tuple[int, str]], connection: psycopg.Connection
) -> None:
    before = known(connection)

    assert psql(SPRINT.read_text()) == (0, "")
    assert len(known(connection)) == len(before) + 90
