"""Where things are and what was asked for: read once from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fluxlab.errors import FluxlabError

#: Rows follow from the number of users; the messages are two thirds of them.
USERS_OF_SIZE = {"tiny": 100, "small": 1_000, "medium": 10_000, "large": 100_000}

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says; every path is absolute.

    `database_url` and `redis_url` name servers that somebody else runs; where they
    are None fluxlab starts its own. `is_durable=False` turns fsync off: tests only.
    `size` is a name of USERS_OF_SIZE, or a number of users in digits, between them.
    """

    home: Path
    root: Path = ROOT
    database_url: str | None = None
    redis_url: str | None = None
    postgres_bin: Path | None = None
    redis_bin: Path | None = None
    size: str = "small"
    seed: int = 11
    is_durable: bool = True
    results: Path | None = None

    @property
    def users(self) -> int:
        """The number of users in the data set of this size."""
        return USERS_OF_SIZE.get(self.size) or int(self.size)

    @property
    def results_path(self) -> Path:
        """The SQLite file that holds every Measurement; in the home unless named."""
        return self.results or self.home / "results.sqlite"


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read FLUXLAB_*, DATABASE_URL or DB_*, and REDIS_URL or REDIS_*.

    Raises FluxlabError for a size, seed or port that does not exist.
    """
    env = os.environ if environ is None else environ
    size = env.get("FLUXLAB_SIZE", "small")
    if size not in USERS_OF_SIZE:
        raise FluxlabError(
            f"There is no size {size!r}.", f"Use one of {', '.join(USERS_OF_SIZE)}."
        )
    return Settings(
        home=Path(env.get("FLUXLAB_HOME", ROOT / ".fluxlab")).expanduser().resolve(),
        database_url=_database_url(env),
        redis_url=_redis_url(env),
        postgres_bin=_path(env, "FLUXLAB_PG_BIN"),
        redis_bin=_path(env, "FLUXLAB_REDIS_BIN"),
        size=size,
        seed=_number(env, "FLUXLAB_SEED", 11),
        is_durable=env.get("FLUXLAB_DURABLE", "on") != "off",
    )


def _database_url(env: Mapping[str, str]) -> str | None:
    if url := env.get("DATABASE_URL"):
        return url
    if not (host := env.get("DB_HOST")):
        return None
    user = quote(env.get("DB_USER", "postgres"), safe="")
    password = env.get("DB_PASSWORD")
    login = f"{user}:{quote(password, safe='')}" if password else user
    port = _number(env, "DB_PORT", 5432)
    return f"postgresql://{login}@{host}:{port}/{env.get('DB_NAME', 'postgres')}"


def _redis_url(env: Mapping[str, str]) -> str | None:
    if url := env.get("REDIS_URL"):
        return url
    if not (host := env.get("REDIS_HOST")):
        return None
    password = env.get("REDIS_PASSWORD")
    login = f":{quote(password, safe='')}@" if password else ""
    port, database = _number(env, "REDIS_PORT", 6379), _number(env, "REDIS_DB", 0)
    return f"redis://{login}{host}:{port}/{database}"


def _path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]).expanduser().resolve() if env.get(name) else None


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal():
        raise FluxlabError(f"{name} is {text!r}.", "Set it to a whole number.")
    return int(text)
