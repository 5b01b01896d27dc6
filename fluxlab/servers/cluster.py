"""Make and configure a PostgreSQL cluster: initdb, and our own include file."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from fluxlab.errors import FluxlabError
from fluxlab.servers.binaries import PostgresBinaries
from fluxlab.servers.place import Place
from fluxlab.servers.process import Account, run

CONF = "fluxlab.conf"
MIB = 1024 * 1024

_CONF = """\
# Written by fluxlab at every start; changes made here are lost.

# Who may connect: processes of this machine that can enter the socket's directory.
listen_addresses = ''
unix_socket_directories = '{sockets}'
port = {port}
max_connections = 60

# Memory, from what this machine (or its container) has.
shared_buffers = {shared_mib}MB
effective_cache_size = {cache_mib}MB    # what the planner believes to be cached
maintenance_work_mem = 256MB    # index builds are half of what this lab does
work_mem = 16MB

# Bulk loads and index builds without writing everything twice; no replica reads this WAL.
wal_level = minimal
max_wal_senders = 0
max_wal_size = 8GB    # a checkpoint in the middle of a measurement would be noise
checkpoint_timeout = 30min
synchronous_commit = off    # the data can be generated again
{durability}
# Nothing may start by itself while a clock runs: fluxlab vacuums and analyses explicitly.
autovacuum = off

# Plans that mean the same on every machine.
jit = off    # compilation cost would hide the effect of an index
random_page_cost = 1.1    # solid state disks
max_parallel_workers_per_gather = 0    # one query, one process, one clock
max_parallel_maintenance_workers = 2

# Evidence.
track_io_timing = on
shared_preload_libraries = '{libraries}'
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = off    # the log goes to server.log beside the data directory
"""

_NOT_DURABLE = """\
fsync = off    # tests only: a power failure may destroy the cluster
full_page_writes = off
"""


def configuration(
    binaries: PostgresBinaries, sockets: Path, port: int, *, is_durable: bool
) -> str:
    """Return the text of our include file; valid for PostgreSQL 13 to 18."""
    memory_mib = memory_bytes() // MIB
    shared_mib = min(1024, max(64, memory_mib // 4)) if is_durable else 64
    has_statistics = binaries.has_library("pg_stat_statements")
    return _CONF.format(
        sockets=sockets,
        port=port,
        shared_mib=shared_mib,
        cache_mib=max(128, memory_mib // 2),
        durability="" if is_durable else _NOT_DURABLE,
        libraries="pg_stat_statements" if has_statistics else "",
    )


def memory_bytes() -> int:
    """Return the memory of this machine, or of the container where that is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        path = Path("/sys/fs/cgroup") / limit
        if path.exists() and (text := path.read_text().strip()).isdecimal():
            return min(whole, int(text))
    return whole


def ensure_cluster(place: Place, binaries: PostgresBinaries) -> str:
    """Make the cluster unless it is there, and return a sentence about what was repaired.

    Raises FluxlabError when the cluster was made by another major version.
    """
    note = ""
    for leftover in place.base.glob("data.new-*"):  # an initdb that was interrupted
        shutil.rmtree(leftover, ignore_errors=True)
    if (place.data / "PG_VERSION").is_file():
        _check_version(place, binaries)
    if place.data.exists() and not _is_complete(place.data):
        aside = _free_name(place.base / "data.incomplete")
        place.data.rename(aside)
        if not any(aside.iterdir()):
            aside.rmdir()
        else:
            note = (
                f"The data directory was incomplete: it is now {aside}, and a new one made."
            )
    if not place.data.exists():
        _initdb(place, binaries)
    return note


def write_configuration(place: Place, text: str) -> None:
    """Write our include file as the server's account, whose directory it is."""
    script = 'umask 077; cat > "$1.new" && mv "$1.new" "$1"'
    done = run(place.account, ["/bin/sh", "-c", script, "sh", place.data / CONF], text=text)
    if done.returncode:
        raise FluxlabError(
            f"The configuration in {place.data} cannot be written: {done.stderr.strip()}",
            "Check the owner of the directory and the space on the disk.",
        )


def _initdb(place: Place, binaries: PostgresBinaries) -> None:
    # Into another directory, renamed when complete: a data directory is whole or absent.
    fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=place.base))
    if not place.account.is_caller:
        os.chown(fresh, place.account.uid, place.account.gid)
    command: list[str | Path] = [
        *(binaries.bin / "initdb", "-D", fresh, "-U", "postgres", "--encoding=UTF8"),
        *("--auth=trust", "--no-sync", "--no-instructions"),
    ]
    if binaries.major < 14:
        command.remove("--no-instructions")
    message = ""
    for locale in _locales(binaries.major):
        done = run(place.account, [*command, *locale])
        if done.returncode == 0:
            break
        message = done.stderr.strip()
        _empty(fresh, place.account)
    else:
        shutil.rmtree(fresh, ignore_errors=True)
        raise FluxlabError(
            f"initdb could not make a cluster in {place.base}: {message}",
            "Check the space on the disk and the owner of the directory.",
        )
    include = f"\ninclude '{CONF}'\n"
    script = 'cat >> "$1/postgresql.conf" && : > "$1/' + CONF + '"'
    run(place.account, ["/bin/sh", "-c", script, "sh", fresh], text=include)
    fresh.rename(place.data)


def _locales(major: int) -> list[list[str]]:
    """Return the options to try in turn: text sorts by code point in every one of them."""
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale"]
    libc = [["--locale=C.UTF-8"], ["--no-locale"]]
    return [builtin, *libc] if major >= 17 else libc


def _check_version(place: Place, binaries: PostgresBinaries) -> None:
    made_by = (place.data / "PG_VERSION").read_text().strip()
    if made_by != str(binaries.major):
        raise FluxlabError(
            f"The data directory {place.data} was made by PostgreSQL {made_by};"
            f" the server found here is PostgreSQL {binaries.major} ({binaries.bin}).",
            f"Set FLUXLAB_PG_BIN to the programs of PostgreSQL {made_by}, or delete"
            f" {place.data}: everything in it can be generated again.",
        )


def _is_complete(data: Path) -> bool:
    return all((data / name).is_file() for name in ("PG_VERSION", "global/pg_control"))


def _free_name(path: Path) -> Path:
    number = 1
    while path.with_name(f"{path.name}-{number}").exists():
        number += 1
    return path.with_name(f"{path.name}-{number}")


def _empty(folder: Path, account: Account) -> None:
    run(account, ["/bin/sh", "-c", 'rm -rf "$1"/* "$1"/.[!.]*', "sh", folder])
