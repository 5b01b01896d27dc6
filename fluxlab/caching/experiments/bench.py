"""What all experiments share: a server of their own, layers by name, keys, percentiles."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fluxlab.caching.cache import Cache
from fluxlab.caching.keys import build_key
from fluxlab.caching.layer import Layer, NoCache, Touch
from fluxlab.caching.options import Options
from fluxlab.caching.results import LayerName
from fluxlab.caching.sprint11 import Sprint11
from fluxlab.servers import redis as valkey
from fluxlab.servers.process import is_alive
from fluxlab.settings import Settings

CACHES: tuple[LayerName, ...] = ("sprint11", "fluxlab")
_PREFIX, _OWNER = "flux-cache-", "owner"


@contextmanager
def own_home(settings: Settings) -> Iterator[Settings]:
    """Settings of a Valkey that nobody else knows; it and its files are gone afterwards.

    What a killed process left of its own is ended first.
    """
    _sweep(settings)
    home = Path(tempfile.mkdtemp(prefix=_PREFIX))
    home.chmod(0o755)
    (home / _OWNER).write_text(str(os.getpid()))
    own = replace(settings, home=home, redis_url=None)
    try:
        yield own
    finally:
        valkey.erase(own)
        shutil.rmtree(home, ignore_errors=True)


def _sweep(settings: Settings) -> None:
    for home in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if home.lstat().st_uid != os.geteuid():
                continue
            owner = int((home / _OWNER).read_text())
        except (OSError, ValueError):
            continue  # gone meanwhile, or just being made
        if not is_alive(owner):
            valkey.erase(replace(settings, home=home, redis_url=None))
            shutil.rmtree(home, ignore_errors=True)


def make_layer(name: LayerName, url: str, options: Options | None = None) -> Layer:
    """Make a layer by its name; nothing is connected."""
    if name == "none":
        return NoCache()
    if name == "sprint11":
        return Sprint11(url)
    return Cache.open(url, options=options)


async def start_layer(layer: Layer) -> None:
    """Connect as an application does when it starts."""
    if isinstance(layer, Sprint11):
        await layer.initialize()
    elif isinstance(layer, Cache):
        await layer.start()


def identity(what: str, number: int) -> str:
    """Return an id of fixed length, so that none is the begin of another one.

    >>> identity("race", 7)
    'race-00007'
    """
    return f"{what}-{number:05d}"


def key_of(identity: str) -> str:
    """Return the key that a row is cached under."""
    return build_key.user(identity)


def touch_of(identity: str) -> Touch:
    """Return what a write of a row makes untrue."""
    key = key_of(identity)
    return Touch(tags=(key,), keys=(key,), entity=("user", identity))


def version_in(value: object) -> int:
    """Return the version of a row that a cache answered with; 0 of anything else."""
    version = value.get("version") if isinstance(value, Mapping) else None
    return version if isinstance(version, int) else 0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of them does not exceed; 0 of none.

    >>> percentile([4, 1, 3, 2], 0.5), percentile([4, 1, 3, 2], 0.95), percentile([], 0.5)
    (2, 4, 0.0)
    """
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def options_of(facts: Mapping[str, Any] | None) -> Options | None:
    """Return Options that came as JSON."""
    return None if facts is None else Options(**facts)
