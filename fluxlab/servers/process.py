"""Processes, accounts and locks: what both servers need from the operating system."""

from __future__ import annotations

import fcntl
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fluxlab.errors import FluxlabError

LOCK_TIMEOUT_S = 180.0
PROGRAM_TIMEOUT_S = 300
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Account:
    """The account of the operating system that a server runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_caller(self) -> bool:
        """Whether it is the account that runs this process."""
        return self.uid == os.geteuid()


def myself() -> Account:
    """Return the account that runs this process."""
    uid = os.geteuid()
    return Account(_name(uid), uid, os.getegid())


def account_for(data: Path) -> Account:
    """Name the account that runs, or shall run, the PostgreSQL server of `data`.

    PostgreSQL refuses to run as root. For root it is the owner of an existing data
    directory, else `postgres` where that account exists, else `nobody`.
    """
    if os.geteuid() != 0:
        return myself()
    if data.is_dir() and (owner := data.stat().st_uid) != 0:
        return Account(_name(owner), owner, _group(owner))
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise FluxlabError(
        "PostgreSQL refuses to run as root, and this machine has neither an account"
        " postgres nor nobody.",
        "Create one (useradd --system postgres), or run fluxlab as a normal user.",
    )


def run(
    account: Account, arguments: Sequence[str | Path], *, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program that ends by itself as `account`, with `text` as its input."""
    user, group, groups = _changes(account)
    try:
        return subprocess.run(
            [str(argument) for argument in arguments],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROGRAM_TIMEOUT_S,
            env=environment(),
            cwd="/",
            check=False,
            start_new_session=True,  # Ctrl-C in the terminal is for us, not for initdb
            user=user,
            group=group,
            extra_groups=groups,
        )
    except subprocess.TimeoutExpired:
        raise FluxlabError(
            f"{arguments[0]} did not end within {PROGRAM_TIMEOUT_S} s.",
            "Look at the load and the disk of this machine, and try again.",
        ) from None


def run_silently(account: Account, arguments: Sequence[str | Path]) -> int:
    """Run a program that leaves a server behind, and return its exit code.

    Its output goes nowhere: the server would inherit a pipe, and we would wait for ever.
    The server gets a session of its own, so that Ctrl-C and hang-ups do not reach it.
    """
    user, group, groups = _changes(account)
    return subprocess.run(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=PROGRAM_TIMEOUT_S,
        env=environment(),
        cwd="/",
        check=False,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=groups,
    ).returncode


def environment() -> dict[str, str]:
    """Give a server nothing of the caller's PG* variables and locale."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


@contextmanager
def lock(path: Path, what: str, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Let one process at a time start or stop `what`.

    The kernel drops a flock when its holder dies, even by SIGKILL: a lock file that is
    left over never blocks anybody, so it is never deleted.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:
        raise FluxlabError(
            f"{path.parent} belongs to another account.",
            "Use that account, or set FLUXLAB_HOME to a directory of your own.",
        ) from None
    try:
        if not wait_until(lambda: _has_locked(descriptor), timeout_s):
            holder = (
                os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            )
            raise FluxlabError(
                f"Another process (pid {holder}) is starting or stopping {what}.",
                "Wait for it, or end it if it hangs, and try again.",
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def wait_until(
    is_true: Callable[[], bool], timeout_s: float, pause_s: float = 0.02
) -> bool:
    """Ask until the answer is yes; return False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True


def state(pid: int) -> str:
    """Return the state of a process: "" when there is none, "Z" for a zombie."""
    if PROC.joinpath("self").exists():
        return _stat(pid)[1]
    answer = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()[:1]


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is more than a zombie."""
    return state(pid) not in ("", "Z", "X")


def is_server_of(pid: int, data: Path) -> bool:
    """Tell whether `pid` is a living process of the PostgreSQL server of `data`.

    A pid alone proves nothing: after a restart of a container the same small number
    belongs to something else. Every PostgreSQL process works in its data directory.
    """
    if not is_alive(pid):
        return False
    if not PROC.joinpath("self").exists():
        answer = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return "postgres" in answer.stdout
    try:
        here = (PROC / str(pid) / "cwd").stat()
        return _stat(pid)[0] == "postgres" and os.path.samestat(here, data.stat())
    except OSError:
        return False  # ended meanwhile, or of an account that we may not look at


def is_postgres(pid: int) -> bool:
    """Tell whether a living process calls itself postgres."""
    return is_alive(pid) and (
        not PROC.joinpath("self").exists() or _stat(pid)[0] == "postgres"
    )


def processes_of(data: Path) -> list[int]:
    """Return the pids of all PostgreSQL processes of `data` (Linux; elsewhere none)."""
    if not PROC.joinpath("self").exists():
        return []
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())
    return sorted(pid for pid in pids if is_server_of(pid, data))


def _changes(account: Account) -> tuple[int | None, int | None, list[int] | None]:
    if account.is_caller:
        return None, None, None
    return account.uid, account.gid, []  # no group of root's either


def _stat(pid: int) -> tuple[str, str]:
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return "", ""
    # pid (name) state ...; the name may itself hold parentheses and spaces
    name = text[text.index("(") + 1 : text.rindex(")")]
    return name, text[text.rindex(")") + 2 : text.rindex(")") + 3]


def _has_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid
