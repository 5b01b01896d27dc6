"""The running PostgreSQL server of a data directory: find it, start it, stop it."""

from __future__ import annotations

import os
import re
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fluxlab.errors import FluxlabError
from fluxlab.servers.binaries import PostgresBinaries
from fluxlab.servers.place import Place
from fluxlab.servers.process import (
    is_postgres,
    is_server_of,
    processes_of,
    run_silently,
    state,
    wait_until,
)

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 120
ORPHAN_TIMEOUT_S = 2
FIRST_PORT = 5432  # on a unix socket the port is only the ending of a file's name
LAST_PORT = 5441
_COMPLAINT = re.compile(r"(?:FATAL|PANIC|HINT|DETAIL|pg_ctl|postgres): .*")


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The lines of postmaster.pid; the later ones are missing while it starts."""

    pid: int
    port: int
    sockets: str
    status: str

    @property
    def is_ready(self) -> bool:
        """Whether it said that it accepts connections."""
        return self.status == "ready"


def read_pid_file(data: Path) -> Postmaster | None:
    """Read postmaster.pid, whether or not its process is alive."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise FluxlabError(
            f"The data directory {data} belongs to another account.",
            "Use that account, or set FLUXLAB_HOME to a directory of your own.",
        ) from None
    lines += [""] * (8 - len(lines))
    pid = lines[0].strip().lstrip("-")  # a single-user backend writes a negative pid
    if not pid.isdecimal():
        return None
    port = int(lines[3]) if lines[3].strip().isdecimal() else 0
    return Postmaster(int(pid), port, lines[4].strip(), lines[7].strip())


def find_postmaster(data: Path) -> Postmaster | None:
    """Return the living postmaster of a data directory."""
    found = read_pid_file(data)
    return found if found is not None and is_server_of(found.pid, data) else None


def wait_for_postmaster(data: Path) -> Postmaster | None:
    """Return the living postmaster when it is ready; None when there is none.

    One that starts (its client was killed meanwhile) or stops is waited for.
    """
    wait_until(lambda: (p := find_postmaster(data)) is None or p.is_ready, START_TIMEOUT_S)
    found = find_postmaster(data)
    if found is not None and not found.is_ready:
        raise FluxlabError(
            f"The PostgreSQL server (pid {found.pid}) has been {found.status or 'starting'}"
            f" for more than {START_TIMEOUT_S} s.",
            f"Read {data.parent / 'server.log'}; wait, or end it with fluxlab down.",
        )
    return found


def clear_leftovers(data: Path) -> bool:
    """Remove what a killed postmaster left behind; tell whether there was anything.

    PostgreSQL refuses to start while the old pid exists (a zombie nobody has reaped, or
    another process with the same number) or while old backends are attached. Call it
    under the lock, when `find_postmaster` found none.
    """
    old = read_pid_file(data)
    orphans = processes_of(data)
    if old is None and not orphans:
        return False
    if not wait_until(lambda: not processes_of(data), ORPHAN_TIMEOUT_S):
        _end(data)  # a backend in the middle of a query does not notice that it is orphaned
    if old is not None and state(old.pid):
        # A zombie, or a stranger with the same number. No process of this cluster is
        # left, so the file protects nothing any more.
        (data / "postmaster.pid").unlink(missing_ok=True)
    return True


def free_port(sockets: Path) -> int:
    """Return the first number whose socket no living server holds."""
    for port in range(FIRST_PORT, LAST_PORT + 1):
        if not _is_taken(sockets / f".s.PGSQL.{port}"):
            return port
    raise FluxlabError(
        f"Every socket from {FIRST_PORT} to {LAST_PORT} in {sockets} is in use.",
        "Stop the servers that hold them, or set FLUXLAB_HOME to another directory.",
    )


def launch(place: Place, binaries: PostgresBinaries) -> Postmaster:
    """Start the server and wait until it accepts connections."""
    command: list[str | Path] = [binaries.bin / "pg_ctl", "-D", place.data, "-l", place.log]
    code = run_silently(
        place.account, [*command, "-w", "-t", str(START_TIMEOUT_S), "start"]
    )
    # Asked even after a failure: a client killed at the wrong moment may have left a
    # server that won the race against ours.
    found = wait_for_postmaster(place.data)
    if found is None:
        raise FluxlabError(
            f"PostgreSQL did not start (exit code {code}): {_last_words(place.log)}",
            f"Read {place.log}. If the data directory is damaged, delete {place.data}:"
            " everything in it can be generated again.",
        )
    return found


def halt(data: Path) -> bool:
    """Stop the server, with its sessions; tell whether there was one."""
    found = find_postmaster(data)
    if found is None:
        return False
    for what in (
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGKILL,
    ):  # fast, immediate, by force
        with suppress(ProcessLookupError):
            os.kill(found.pid, what)
        if wait_until(lambda: not is_server_of(found.pid, data), STOP_TIMEOUT_S):
            return True
    raise FluxlabError(
        f"The PostgreSQL server (pid {found.pid}) does not stop.",
        "It may hang in a disk request; look at the machine's log.",
    )


def _end(data: Path) -> None:
    for what in (signal.SIGQUIT, signal.SIGKILL):
        for pid in processes_of(data):
            with suppress(ProcessLookupError):
                os.kill(pid, what)
        if wait_until(lambda: not processes_of(data), ORPHAN_TIMEOUT_S):
            return
    pids = ", ".join(map(str, processes_of(data)))
    raise FluxlabError(
        f"Processes of a killed PostgreSQL server do not end (pids {pids}).",
        "They may hang in a disk request; look at the machine's log.",
    )


def _is_taken(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True
        except OSError:
            pass
        else:
            return True
    lock = Path(f"{path}.lock")
    with suppress(OSError, ValueError, IndexError):
        pid = int(lock.read_text().splitlines()[0])
        if is_postgres(pid):
            return True
        if state(pid):
            # A zombie, or a stranger with its number: PostgreSQL would believe the file.
            lock.unlink()
    return False


def _last_words(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()[-20:]
        found = [m[0] for line in lines if (m := _COMPLAINT.search(line))]
        return " ".join(found[-3:]) or "its log holds no error"
    return "it left no log"
