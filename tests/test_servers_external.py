"""Servers that somebody else runs: used, never stopped, and errors without passwords."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from servers_scratch import scratch

from fluxlab.errors import FluxlabError
from fluxlab.servers import connections, postgres, redis
from fluxlab.settings import Settings, read_settings

PASSWORD = "hunter2:p@ss/w%rd"


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The URL of a PostgreSQL that wants a password from the user ann."""
    with scratch() as settings:
        server = postgres.start(settings)
        assert server.data_directory is not None
        with connections.connect(server, "postgres") as connection:
            connection.execute(f"create role ann login superuser password '{PASSWORD}'")
            hba = server.data_directory / "pg_hba.conf"
            hba.write_text(f"local all ann scram-sha-256\n{hba.read_text()}")
            connection.execute("select pg_reload_conf()")
        words = conninfo_to_dict(server.conninfo)
        host = quote(str(words["host"]), safe="")
        yield f"postgresql://ann:{quote(PASSWORD, safe='')}@/postgres?host={host}"


@pytest.fixture(scope="module")
def guarded_redis() -> Iterator[str]:
    """The URL of a Valkey that wants a password."""
    with scratch() as settings:
        server = redis.start(settings)
        with connections.redis_client(server) as connection:
            connection.config_set("requirepass", PASSWORD)
        path = server.url.removeprefix("unix://")
        guarded_url = f"unix://:{quote(PASSWORD, safe='')}@{path}"
        yield guarded_url
        with connections.redis_client(replace(server, url=guarded_url)) as connection:
            connection.config_set("requirepass", "")


def settings_for(url: str) -> Settings:
    return replace(read_settings({}), database_url=url)


def failure(settings: Settings, module: object = postgres) -> str:
    """What a person could see of the failure: the message and the whole traceback."""
    with pytest.raises(FluxlabError) as caught:
        module.start(settings)  # type: ignore[attr-defined]
    assert caught.value.do
    return "".join(traceback.format_exception(caught.value))


def test_an_external_server_is_used_as_it_is_and_never_stopped(guarded: str) -> None:
    settings = settings_for(guarded)
    server = postgres.start(settings)
    assert (server.origin, server.is_ours, server.pid) == ("external", False, None)
    assert "hunter2" not in repr(server) + server.shown
    assert "***" in server.shown
    assert not postgres.stop(settings)
    assert postgres.find(settings) == server


def test_the_report_s_variables_name_an_external_server(guarded: str) -> None:
    words = conninfo_to_dict(guarded)
    env = {
        "DB_HOST": quote(str(words["host"]), safe=""),  # a socket directory inside a URL
        "DB_USER": "ann",
        "DB_PASSWORD": PASSWORD,
        "DB_NAME": "postgres",
    }
    server = postgres.start(read_settings(env))
    assert server.origin == "external"
    assert "hunter2" not in server.shown


def test_another_database_of_the_same_server_replaces_the_one_in_the_url(
    guarded: str,
) -> None:
    server = postgres.start(settings_for(guarded))
    with connections.connect(server, "template1") as connection:
        assert connection.info.dbname == "template1"
        assert connection.info.user == "ann"
    with psycopg.connect(connections.uri(server, "template1")) as connection:
        assert connection.info.dbname == "template1"


def test_a_wrong_password_is_said_and_not_shown(guarded: str) -> None:
    wrong = guarded.replace("hunter2", "opensesame")
    text = failure(settings_for(wrong))
    assert "refused the user name or the password" in text
    assert "***" in text
    assert "opensesame" not in text
    assert "p@ss" not in text
    assert "p%40ss" not in text


def test_a_database_that_does_not_exist_is_said(guarded: str) -> None:
    server = postgres.start(settings_for(guarded))
    with pytest.raises(FluxlabError, match="no database nowhere") as caught:
        connections.connect(server, "nowhere")
    assert "hunter2" not in str(caught.value)


def test_an_unreachable_server_is_said_with_its_address() -> None:
    text = failure(settings_for("postgresql://ann:opensesame@127.0.0.1:1/flux"))
    assert "127.0.0.1:1" in text
    assert "refused" in text
    assert "opensesame" not in text


def test_something_else_at_the_port_is_not_waited_for_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://ann:opensesame@127.0.0.1:{port}/x?connect_timeout=2"
        text = failure(settings_for(url))
    assert "timeout" in text
    assert "opensesame" not in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:open@sesame@127.0.0.1:1/x",
        "postgresql://ann:open/sesame@127.0.0.1:1/x",
        "postgresql://ann:open:sesame@127.0.0.1:1/x",
        "postgresql://ann:open?sesame@127.0.0.1:1/x",
        "postgresql://ann:open#sesame@127.0.0.1:1/x",
        "postgresql://ann:open%sesame@127.0.0.1:1/x",
        "postgresql://ann:open sesame@127.0.0.1:1/x",
        "postgresql://ann:open?x@sesame@127.0.0.1:1/x",
        "postgresql://ann@firm:open@sesame@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?user=ann&password=open%40sesame",
        "host=127.0.0.1 port=1 user=ann password='open sesame'",
        "host=127.0.0.1 port=1 user=ann password=open sesame",
    ],
)
def test_no_way_of_writing_the_password_brings_it_into_an_error(url: str) -> None:
    text = failure(settings_for(url))
    assert "sesame" not in text
    assert "open" not in text


def test_a_foreign_database_can_only_be_read(guarded: str) -> None:
    with connections.connect_foreign(guarded) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("create table mine (id int)")
        with (
            pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
            connection.transaction(),
        ):
            connection.execute("create table mine (id int)")
        limits = connection.execute(
            "select current_setting('statement_timeout'), current_setting('lock_timeout')"
        ).fetchone()
        assert limits == ("30s", "2s")


def test_a_foreign_database_is_not_waited_for_when_it_is_locked(guarded: str) -> None:
    server = postgres.start(settings_for(guarded))
    with connections.connect(server, "postgres", autocommit=False) as holder:
        holder.execute("create table held (id int)")
        holder.commit()
        holder.execute("lock table held in access exclusive mode")
        with connections.connect_foreign(guarded) as connection:
            connection.execute("set lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute("select id from held")


def test_an_external_redis_is_used_as_it_is_and_never_stopped(guarded_redis: str) -> None:
    settings = replace(read_settings({}), redis_url=guarded_redis)
    server = redis.start(settings)
    assert (server.origin, server.is_ours, server.pid) == ("external", False, None)
    assert "hunter2" not in repr(server) + server.shown
    with connections.redis_client(server) as connection:
        assert connection.ping()
    assert not redis.stop(settings)


def test_a_wrong_redis_password_is_said_and_not_shown(guarded_redis: str) -> None:
    wrong = guarded_redis.replace("hunter2", "opensesame")
    for url in (wrong, "unix://" + guarded_redis.split("@")[-1]):
        text = failure(replace(read_settings({}), redis_url=url), redis)
        assert "refused the user name or the password" in text
        assert "opensesame" not in text


@pytest.mark.parametrize(
    "url",
    [
        "redis://:opensesame@127.0.0.1:1/0",
        "redis://:open@sesame@127.0.0.1:1/0",
        "redis://:open/sesame@127.0.0.1:1/0",
        "redis://ann:open#sesame@127.0.0.1:1/0",
        "http://:opensesame@127.0.0.1:1/0",
    ],
)
def test_an_unreachable_redis_is_said_without_its_password(url: str) -> None:
    text = failure(replace(read_settings({}), redis_url=url), redis)
    assert "127.0.0.1:1" in text
    assert "sesame" not in text
