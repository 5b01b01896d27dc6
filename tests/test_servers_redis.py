"""Our own Valkey: started, found again, replaced after a crash, shared, stopped."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers_scratch import client, scratch

from fluxlab.errors import FluxlabError
from fluxlab.servers import redis as valkey
from fluxlab.servers.connections import redis_client
from fluxlab.servers.process import is_alive, wait_until
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings


@pytest.fixture
def own() -> Iterator[Settings]:
    """Settings whose Valkey belongs to one test alone."""
    with scratch() as settings:
        yield settings


def test_the_session_s_server_is_ours_and_is_found_again(
    settings: Settings, redis: RedisServer
) -> None:
    assert valkey.find(settings) == redis
    assert redis.is_ours
    with redis_client(redis) as connection:
        facts = connection.info("server")
        assert facts["process_id"] == redis.pid
        assert redis.version in (facts.get("valkey_version"), facts["redis_version"])


def test_it_is_a_bounded_cache_that_writes_no_file_and_opens_no_port(
    redis: RedisServer,
) -> None:
    wanted = {
        "port": "0",
        "save": "",
        "appendonly": "no",
        "maxmemory": str(64 * 1024 * 1024),
        "maxmemory-policy": "allkeys-lfu",
    }
    with redis_client(redis) as connection:
        found = connection.config_get(*wanted)
    assert found == wanted


def test_processes_that_start_it_at_once_share_one_server(own: Settings) -> None:
    clients = [client(own, "redis") for _ in range(3)]
    pids = {process.communicate(timeout=60)[0].split()[0] for process in clients}
    server = valkey.find(own)
    assert server is not None
    assert pids == {str(server.pid)}


def test_the_server_outlives_ctrl_c_and_a_killed_client(own: Settings) -> None:
    pids = []
    for what in (signal.SIGINT, signal.SIGKILL):
        process = client(own, "redis", then="time.sleep(600)")
        assert process.stdout is not None
        pids.append(int(process.stdout.readline().split()[0]))
        os.killpg(process.pid, what)
        process.communicate(timeout=30)
    server = valkey.start(own)
    assert pids == [server.pid, server.pid]
    assert server.message == ""


def test_a_killed_server_is_replaced_by_an_empty_one_and_says_so(own: Settings) -> None:
    server = valkey.start(own)
    with redis_client(server) as connection:
        connection.set("kept", 1)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(server.pid or 0), 10)
    assert valkey.find(own) is None
    again = valkey.start(own)
    assert "had been killed" in again.message
    assert again.url == server.url
    with redis_client(again) as connection:
        assert connection.get("kept") is None
    assert valkey.stop(own)
    assert valkey.start(own).message == "", "a server that was stopped did not crash"


def test_a_socket_that_somebody_else_holds_is_left_to_them(own: Settings) -> None:
    path = Path(valkey.start(own).url.removeprefix("unix://"))
    valkey.stop(own)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()
        stranger.settimeout(0.1)
        stranger.close()  # a stale socket file, which nobody listens at any more
    server = valkey.start(own)
    other_home = Settings(home=own.home / "other")
    (own.home / "other" / "redis").mkdir(parents=True, mode=0o700)
    (own.home / "other" / "redis" / "valkey.sock").symlink_to(path)
    with pytest.raises(FluxlabError, match="does not answer as the lab's Valkey"):
        valkey.start(other_home)
    assert valkey.find(own) == server


def test_stopping_ends_the_server_and_is_no_error_when_there_is_none(own: Settings) -> None:
    assert not valkey.stop(own)
    server = valkey.start(own)
    assert valkey.stop(own)
    assert not is_alive(server.pid or 0)
    assert valkey.find(own) is None
    assert not valkey.stop(own)
