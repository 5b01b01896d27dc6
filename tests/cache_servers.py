"""Servers of the cache's own for its tests: killed, stopped, loading, full, a cluster.

The wheel has a server and no client program, and no TLS: what a cluster is made of is sent
here, and `cache_proxy` can stand before a server with TLS.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from fluxlab.servers.binaries import find_redis
from fluxlab.servers.process import environment, wait_until
from fluxlab.settings import Settings

START_S = 20
#: What a server is started with unless a test says otherwise.
PLAIN = {"save": "", "appendonly": "no", "enable-debug-command": "no"}
#: Long enough for two busy cores not to fail over by themselves.
NODE_TIMEOUT_MS = 2000
SLOTS = 16_384


@dataclass
class Valkey:
    """One server, on a unix socket, or with `port` on loopback; started where it stood."""

    folder: Path
    options: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    @property
    def url(self) -> str:
        if self.port:
            return f"redis://127.0.0.1:{self.port}"
        return f"unix://{quote(str(self.socket))}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self, *, wait: bool = True, **more: str) -> Valkey:
        """Start the server; with `wait` until it serves, else until it listens."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": "" if self.port else str(self.socket),
            "dir": str(self.folder),
            "logfile": str(self.folder / "log"),
            **PLAIN,
            **self.options,
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen(
            [str(find_redis(Settings(home=self.folder)).path), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
            cwd="/",
            start_new_session=True,
        )
        if not wait_until(self._serves if wait else self._listens, START_S, 0.01):
            raise AssertionError(f"the server did not start:\n{self.log[-2000:]}")
        return self

    def kill(self) -> None:
        """End the server as a power failure would; its data is gone."""
        if self.process is not None:
            # A stopped process dies of SIGKILL as well.
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Stop the server where it is: connections stand, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def client(self, **how: Any) -> Iterator[redis.Redis]:
        """A plain client, for what the cache's own would not do."""
        made = redis.Redis.from_url(
            self.url,
            socket_timeout=10,
            socket_connect_timeout=10,
            retry=Retry(NoBackoff(), 0),
            password=self.options.get("requirepass"),
            **how,
        )
        try:
            yield made
        finally:
            made.close()

    def say(self, *words: str | int | bytes) -> Any:
        """Send one command."""
        with self.client() as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]

    def _signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def _listens(self) -> bool:
        kind, where = (
            (socket.AF_INET, ("127.0.0.1", self.port))
            if self.port
            else (socket.AF_UNIX, str(self.socket))
        )
        with socket.socket(kind) as probe:
            return probe.connect_ex(where) == 0

    def _serves(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended:\n{self.log[-2000:]}")
        try:
            return bool(self.say("PING"))
        except redis.RedisError:
            return False


@contextlib.contextmanager
def valkey(port: int = 0, **options: str) -> Iterator[Valkey]:
    """A server that is gone afterwards; `maxmemory_policy="noeviction"` and so on."""
    with folder() as place:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        server = Valkey(place, named, port)
        try:
            yield server.start()
        finally:
            server.kill()


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A directory with a short name: a unix socket's path is limited to 100 bytes."""
    place = Path(tempfile.mkdtemp(prefix="fc-"))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ask the kernel for ports that nobody uses."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@dataclass
class Cluster:
    """Three primaries with a replica each; roles are asked for, since they change."""

    nodes: list[Valkey]

    @property
    def url(self) -> str:
        return self.nodes[0].url

    def primary_of(self, name: str) -> Valkey:
        """The server that holds the slot of a name now."""
        return self._at(self._row(name)[2])

    def replica_of(self, name: str) -> Valkey:
        """The replica of that server."""
        return self._at(self._row(name)[3])

    def primary_port_of(self, name: str) -> int:
        """Its port, when one that is not of these servers may hold it."""
        return int(self._row(name)[2][1])

    def id_of(self, node: Valkey) -> str:
        return str(node.say("CLUSTER", "MYID").decode())

    def is_well(self) -> bool:
        """Whether every server runs, and agrees on three primaries with a replica each."""
        seen = []
        for node in self.nodes:
            try:
                state = node.say("CLUSTER", "INFO")
                rows = _slots_of(node)
                linked = _is_linked(node)
            except redis.RedisError:
                return False
            if isinstance(state, bytes):
                state = dict(
                    line.split(":", 1) for line in state.decode().split("\r\n") if line
                )
            if state["cluster_state"] != "ok" or not linked:
                return False
            seen.append(sorted(_ports(row) for row in rows))
        ports = {port for row in seen[0] for port in row[2]}
        covered = sum(last - first + 1 for first, last, _ in seen[0])
        is_whole = covered == SLOTS and len(ports) == len(self.nodes)
        return is_whole and all(one == seen[0] for one in seen)

    def heal(self) -> None:
        """Start what was killed, let go on what was stopped, and wait until all is well."""
        for node in self.nodes:
            if node.process is None:
                node.start(wait=False)
            node.resume()
        if not wait_until(self.is_well, 30, 0.05):
            raise AssertionError("the cluster did not recover")

    def _row(self, name: str) -> list[Any]:
        slot = key_slot(name.encode())
        for node in self.nodes:
            with contextlib.suppress(redis.RedisError):
                rows = [row for row in _slots_of(node) if row[0] <= slot <= row[1]]
                return list(rows[0])
        raise AssertionError("no server knows the map")

    def _at(self, place: list[Any]) -> Valkey:
        return next(node for node in self.nodes if node.port == int(place[1]))


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster of six servers on loopback, in about three seconds."""
    with folder() as place:
        ports = free_ports(12)
        nodes = []
        for at, (port, bus) in enumerate(zip(ports[:6], ports[6:], strict=True)):
            (place / str(at)).mkdir()
            options = {
                "cluster-enabled": "yes",
                "cluster-config-file": "nodes.conf",
                "cluster-port": str(bus),
                "cluster-node-timeout": str(NODE_TIMEOUT_MS),
                "cluster-require-full-coverage": "no",
                "cluster-allow-replica-migration": "no",
                "repl-diskless-sync-delay": "0",
            }
            nodes.append(Valkey(place / str(at), options, port))
        try:
            for node in nodes:
                node.start()
            _join(nodes, ports[6:])
            yield Cluster(nodes)
        finally:
            for node in nodes:
                node.kill()


def _join(nodes: list[Valkey], buses: list[int]) -> None:
    """Make a cluster of empty servers: what `redis-cli --cluster create` sends."""
    share = SLOTS // 3
    for at, node in enumerate(nodes):
        node.say("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        if at < 3:
            last = SLOTS - 1 if at == 2 else (at + 1) * share - 1
            node.say("CLUSTER", "ADDSLOTSRANGE", at * share, last)
    for node, bus in zip(nodes[1:], buses[1:], strict=True):
        nodes[0].say("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
    _wait(lambda: all(_known(node) == len(nodes) for node in nodes), "did not meet")
    made = Cluster(nodes)
    for primary, replica in zip(nodes[:3], nodes[3:], strict=True):
        name = made.id_of(primary)
        _wait(lambda r=replica, n=name: _follows(r, n), "did not take a replica")
    _wait(made.is_well, "did not agree")


def _follows(replica: Valkey, name: str) -> bool:
    try:
        replica.say("CLUSTER", "REPLICATE", name)
    except redis.ResponseError:
        return False  # it has not heard of that server yet
    return True


def _known(node: Valkey) -> int:
    found = node.say("CLUSTER", "NODES")
    return len(found) if isinstance(found, dict) else found.count(b"connected")


def _slots_of(node: Valkey) -> list[Any]:
    with node.client() as client:
        client.response_callbacks.pop("CLUSTER SLOTS", None)  # as it was sent
        return list(client.execute_command("CLUSTER SLOTS"))  # type: ignore[no-untyped-call]


def _ports(row: list[Any]) -> tuple[int, int, tuple[int, ...]]:
    first, last, *places = row
    return int(first), int(last), tuple(int(place[1]) for place in places)


def _is_linked(node: Valkey) -> bool:
    """Whether a replica follows its primary without a break; a primary always does."""
    with node.client() as client:
        facts = client.info("replication")
    if facts["role"] == "master":
        return int(facts["connected_slaves"]) >= 1
    return bool(facts["master_link_status"] == "up")


def _wait(is_true: Any, failed: str) -> None:
    if not wait_until(is_true, START_S, 0.03):
        raise AssertionError(f"the servers of the cluster {failed}")


def now_ms() -> int:
    """The wall clock, as a server's lifetimes count it."""
    return round(time.time() * 1_000)
