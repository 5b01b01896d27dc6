"""A process of its own that uses the cache and is killed: `cache_process.py what url …`.

It says a word when it has come to where it is to be killed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from cache_faults import OPTIONS

from fluxlab.caching.cache import Cache
from fluxlab.caching.keys import build_key


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Start one, wait until it has come there, and kill it in the end at the latest."""
    started = subprocess.Popen(
        [sys.executable, __file__, *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
        start_new_session=True,
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "there\n"
        yield started
    finally:
        started.kill()
        started.wait()
        if started.stdout is not None:
            started.stdout.close()


async def _stay() -> None:
    print("there", flush=True)
    await asyncio.sleep(60)


async def _load_for_ever(url: str) -> None:
    async with Cache.open(url, options=OPTIONS) as cache:
        await cache.read(build_key.user("1"), _stay)


async def _write(url: str, conninfo: str, update: str, commits: bool) -> None:
    connection = await psycopg.AsyncConnection.connect(conninfo)
    cache = Cache.open(url, options=OPTIONS)
    async with connection, cache.writing(tags=[build_key.user("1")]) as writing:
        assert writing.is_barred
        await connection.execute(update)
        if commits:
            await connection.commit()
        await _stay()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["loads", url]:
            asyncio.run(_load_for_ever(url))
        case ["writes", url, conninfo, update]:
            asyncio.run(_write(url, conninfo, update, commits=False))
        case ["commits", url, conninfo, update]:
            asyncio.run(_write(url, conninfo, update, commits=True))
