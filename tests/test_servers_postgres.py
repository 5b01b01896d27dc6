"""Our own PostgreSQL: started, found again, recovered, shared, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from servers_scratch import account_of, client, scratch

from fluxlab.errors import FluxlabError
from fluxlab.servers import postgres
from fluxlab.servers.binaries import find_postgres
from fluxlab.servers.cluster import configuration
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.servers.process import is_alive, lock, processes_of, state, wait_until
from fluxlab.settings import Settings


@pytest.fixture
def fresh() -> Iterator[Settings]:
    """Settings whose PostgreSQL has still to be made, for one test alone."""
    with scratch() as settings:
        yield settings


@pytest.fixture(scope="module")
def made() -> Iterator[Settings]:
    """Settings whose PostgreSQL is there, for tests that ill-treat the server."""
    with scratch() as settings:
        postgres.start(settings)
        yield settings


@pytest.fixture
def own(made: Settings) -> Settings:
    """The same, with the server running and nothing left to tell."""
    postgres.start(made)
    return made


def data_of(settings: Settings) -> Path:
    return settings.home / "postgres" / "data"


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pid), 10)


def number_of_rows(server: PostgresServer) -> int:
    with connect(server, "postgres") as connection:
        row = connection.execute("select count(*) from kept").fetchone()
    assert row is not None
    return int(row[0])


def keep_three_rows(server: PostgresServer) -> None:
    with connect(server, "postgres") as connection:
        connection.execute("drop table if exists kept")
        connection.execute("create table kept as select generate_series(1, 3) as id")
        connection.execute("checkpoint")


def number_of_backends(server: PostgresServer) -> int:
    with connect(server, "postgres") as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity where backend_type = 'client backend'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def socket_of(server: PostgresServer, ending: str = "") -> Path:
    words = psycopg.conninfo.conninfo_to_dict(server.conninfo)
    return Path(str(words["host"])) / f".s.PGSQL.{words['port']}{ending}"


def test_the_session_s_server_is_ours_and_is_found_again(
    settings: Settings, postgres: PostgresServer
) -> None:
    from fluxlab.servers import postgres as module

    found = module.find(settings)
    assert found == postgres
    assert module.start(settings).pid == postgres.pid
    assert postgres.is_ours
    assert postgres.data_directory is not None
    with connect(postgres, "postgres") as connection:
        assert connection.info.server_version == postgres.version
        row = connection.execute("select pg_read_file('postmaster.pid')").fetchone()
    assert row is not None
    assert int(row[0].splitlines()[0]) == postgres.pid


def test_the_server_runs_with_the_configuration_that_the_measurements_need(
    postgres: PostgresServer,
) -> None:
    wanted = {
        "listen_addresses": "",
        "autovacuum": "off",
        "jit": "off",
        "wal_level": "minimal",
        "max_parallel_workers_per_gather": "0",
        "track_io_timing": "on",
        "random_page_cost": "1.1",
        "shared_preload_libraries": "pg_stat_statements",
        "TimeZone": "UTC",
        "fsync": "off",  # the tests' settings are not durable
        "server_encoding": "UTF8",
    }
    with connect(postgres, "postgres") as connection:
        found = {
            name: connection.execute("select current_setting(%s)", [name]).fetchone()
            for name in wanted
        }
        order = connection.execute("select 'Z' < 'a', lower('Ä')").fetchone()
    assert found == {name: (value,) for name, value in wanted.items()}
    assert order == (True, "ä"), "text sorts by code point and knows letters beyond ASCII"


def test_only_the_servers_of_tests_give_up_durability(settings: Settings) -> None:
    binaries = find_postgres(settings)
    durable = configuration(binaries, Path("/s"), 5432, is_durable=True)
    fragile = configuration(binaries, Path("/s"), 5432, is_durable=False)
    assert "fsync" not in durable
    assert "full_page_writes" not in durable
    assert "fsync = off" in fragile


def test_processes_that_start_it_at_once_share_one_server(fresh: Settings) -> None:
    clients = [client(fresh) for _ in range(3)]
    pids = {process.communicate(timeout=60)[0].split()[0] for process in clients}
    assert all(process.returncode == 0 for process in clients)
    server = postgres.find(fresh)
    assert server is not None
    assert pids == {str(server.pid)}


def test_the_server_outlives_ctrl_c_and_a_killed_client(own: Settings) -> None:
    process = client(own, then="time.sleep(600)")
    assert process.stdout is not None
    pid = int(process.stdout.readline().split()[0])
    os.killpg(process.pid, signal.SIGINT)  # what a terminal sends on Ctrl-C
    process.communicate(timeout=30)
    process = client(own, then="time.sleep(600)")
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    server = postgres.start(own)
    assert (server.pid, server.message) == (pid, "")


def test_a_client_killed_while_it_makes_the_cluster_leaves_nothing_half_made(
    fresh: Settings,
) -> None:
    process = client(fresh)
    making = fresh.home / "postgres"
    assert wait_until(lambda: any(making.glob("data.new-*/PG_VERSION")), 30, pause_s=0.001)
    process.kill()
    process.communicate()
    assert not data_of(fresh).exists()
    assert (fresh.home / "postgres.lock").exists(), "the lock file is left over"
    keep_three_rows(postgres.start(fresh))
    postgres.stop(fresh)
    assert number_of_rows(postgres.start(fresh)) == 3
    assert not list(making.glob("data.new-*"))


def test_a_client_killed_while_the_server_starts_leaves_one_server(own: Settings) -> None:
    postgres.stop(own)
    process = client(own)
    assert wait_until((data_of(own) / "postmaster.pid").exists, 30, pause_s=0.001)
    process.kill()
    process.communicate()
    # The file is there before its first line is.
    lines = (data_of(own) / "postmaster.pid").read_text
    assert wait_until(lambda: "\n" in lines(), 30, pause_s=0.001)
    first = int(lines().splitlines()[0])
    server = postgres.start(own)
    assert (server.pid, server.message) == (first, "")


def test_a_killed_server_recovers_with_its_rows_and_says_so(own: Settings) -> None:
    server = postgres.start(own)
    keep_three_rows(server)
    kill(server.pid)
    assert postgres.find(own) is None
    again = postgres.start(own)
    assert again.pid != server.pid
    assert "had been killed; it recovered in" in again.message
    assert number_of_rows(again) == 3
    assert postgres.start(own).message == "", "told once"


def test_a_killed_server_recovers_while_an_old_backend_is_still_busy(own: Settings) -> None:
    server = postgres.start(own)
    connection = connect(server, "postgres")
    backend = connection.info.backend_pid

    def be_busy() -> None:
        with suppress(psycopg.Error):
            connection.execute("select count(*) from generate_series(1, 1e12::bigint)")

    thread = threading.Thread(target=be_busy)
    thread.start()
    with connect(server, "postgres") as other:
        busy = "select 1 from pg_stat_activity where pid = %s and state = 'active'"
        assert wait_until(lambda: other.execute(busy, [backend]).fetchone() is not None, 10)
    kill(server.pid)
    assert is_alive(backend), "a busy backend does not notice that its server is gone"
    again = postgres.start(own)
    thread.join(10)
    connection.close()
    assert not is_alive(backend)
    assert number_of_backends(again) == 1


UNREAPED = """
import ctypes
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
settings = Settings(home=Path(sys.argv[1]), is_durable=False)
postgres.stop(settings)
print(postgres.start(settings).pid, flush=True)
time.sleep(600)
"""


def test_a_killed_server_that_nobody_reaps_does_not_block_the_next(own: Settings) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("zombies that nobody reaps are made through Linux's prctl")
    # A container's first process inherits the server and never waits for it.
    parent = client(own, then=UNREAPED)
    assert parent.stdout is not None
    first = int(parent.stdout.readline().split()[0])
    second = int(parent.stdout.readline().split()[0])
    assert second != first
    os.kill(second, signal.SIGKILL)
    assert wait_until(lambda: state(second) == "Z", 10)
    server = postgres.start(own)
    assert state(second) == "Z", "still there, still not reaped"
    assert "had been killed" in server.message
    parent.kill()
    parent.communicate()


def test_a_pid_file_whose_number_belongs_to_a_stranger_is_no_server(own: Settings) -> None:
    server = postgres.start(own)
    kill(server.pid)
    assert wait_until(lambda: not processes_of(data_of(own)), 10)
    wait_until(lambda: state(server.pid or 0) == "", 30)
    stranger = subprocess.Popen(["sleep", "600"], cwd="/", **account_of(data_of(own)))
    for path in (data_of(own) / "postmaster.pid", socket_of(server, ".lock")):
        lines = path.read_text().splitlines()
        path.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
    try:
        again = postgres.start(own)
        assert stranger.poll() is None, "the stranger is left alone"
        assert again.pid != stranger.pid
        assert again.conninfo == server.conninfo
    finally:
        stranger.kill()
        stranger.wait()


def test_a_socket_that_somebody_else_holds_is_left_to_them(own: Settings) -> None:
    server = postgres.start(own)
    path = socket_of(server)
    postgres.stop(own)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()
        other = postgres.start(own)
        assert socket_of(other) != path
        assert number_of_backends(other) == 1
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(path))  # the stranger still has its address
        assert postgres.start(own).conninfo == other.conninfo
    postgres.stop(own)
    assert postgres.start(own).conninfo == server.conninfo


def test_a_server_whose_socket_was_deleted_is_restarted(own: Settings) -> None:
    server = postgres.start(own)
    keep_three_rows(server)
    socket_of(server).unlink()
    assert postgres.find(own) is None
    again = postgres.start(own)
    assert "no longer answered" in again.message
    assert number_of_rows(again) == 3


def test_a_crashed_backend_is_waited_for(own: Settings) -> None:
    server = postgres.start(own)
    for _ in range(6):  # the server cuts off new sessions for a moment: meet it
        with connect(server, "postgres") as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            with suppress(psycopg.Error):
                connection.execute("select 1")
        assert postgres.start(own).pid == server.pid
    assert number_of_backends(server) == 1


def test_a_data_directory_of_another_version_is_refused_and_left_alone(
    own: Settings,
) -> None:
    major = postgres.start(own).version // 10_000
    postgres.stop(own)
    (data_of(own) / "PG_VERSION").write_text("14\n")
    before = sorted(path.name for path in data_of(own).iterdir())
    with pytest.raises(FluxlabError) as caught:
        postgres.start(own)
    assert "made by PostgreSQL 14" in caught.value.what
    assert f"is PostgreSQL {major}" in caught.value.what
    assert f"delete {data_of(own)}" in caught.value.do
    assert sorted(path.name for path in data_of(own).iterdir()) == before
    (data_of(own) / "PG_VERSION").write_text(f"{major}\n")
    assert postgres.start(own).version // 10_000 == major


def test_a_half_made_data_directory_is_put_aside_and_made_again(fresh: Settings) -> None:
    server = postgres.start(fresh)
    postgres.stop(fresh)
    (data_of(fresh) / "global" / "pg_control").unlink()
    again = postgres.start(fresh)
    assert "was incomplete" in again.message
    assert (fresh.home / "postgres" / "data.incomplete-1" / "PG_VERSION").exists()
    assert again.conninfo == server.conninfo


def test_a_lock_is_named_while_its_holder_lives_and_free_when_it_is_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "postgres.lock"
    holder = subprocess.Popen(
        [
            *("python3", "-c"),
            "import fcntl, os, sys, time; f = open(sys.argv[1], 'w');"
            "fcntl.flock(f, fcntl.LOCK_EX); f.write(str(os.getpid())); f.flush();"
            "print('held', flush=True); time.sleep(600)",
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(FluxlabError, match=f"pid {holder.pid}"), lock(path, "it", 0.1):
        pass
    holder.kill()
    holder.communicate()
    assert path.read_text() == str(holder.pid), "a stale lock file, with its old content"
    with lock(path, "it", 5):
        assert path.read_text() == str(os.getpid())


def test_stopping_ends_the_server_and_is_no_error_when_there_is_none(
    fresh: Settings,
) -> None:
    assert not postgres.stop(fresh)
    server = postgres.start(fresh)
    with connect(server, "postgres"):  # an open session does not hold it up
        assert postgres.stop(fresh)
    assert not processes_of(data_of(fresh))
    assert postgres.find(fresh) is None
    assert not postgres.stop(fresh)
