"""Small checks of what happens without a server: at the start, and to connect again."""

from __future__ import annotations

import asyncio
import tempfile
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from fluxlab.caching.cache import Cache
from fluxlab.caching.checks.behaviour import layer_of
from fluxlab.caching.checks.checked import Attempts, Start
from fluxlab.caching.options import Options
from fluxlab.caching.sprint11 import Sprint11

#: Longer than the report's cache tries before it gives up.
_LOOKING_S = 3.5


async def check_start(cache: Sprint11 | Cache) -> Start:
    """Start where no server listens, and read."""
    clock = asyncio.get_running_loop().time
    begun, raised = clock(), ""
    is_connected = False
    try:
        if isinstance(cache, Cache):
            is_connected = await cache.start()
        else:
            is_connected = await cache.initialize()
    except Exception as error:
        raised = type(error).__name__
    took_s = clock() - begun
    try:
        answer = await cache.get_or_set("user:1", _load)
    except Exception as error:
        raised, answer = raised or type(error).__name__, None
    finally:
        await cache.close()
    return Start(layer_of(cache), took_s, raised, is_connected, answer == _ROW)


_ROW = {"id": 1}


async def _load() -> object:
    return dict(_ROW)


async def check_attempts() -> tuple[Attempts, ...]:
    """Record when each cache tries to connect to a server that hangs up at once."""
    with tempfile.TemporaryDirectory(prefix="flux-") as folder:
        return tuple(
            await asyncio.gather(
                _record(Path(folder) / "report"), _record(Path(folder) / "ours")
            )
        )


async def _record(path: Path) -> Attempts:
    clock = asyncio.get_running_loop().time
    times: list[float] = []

    def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        times.append(clock())
        writer.close()

    server = await asyncio.start_unix_server(hang_up, path)
    url = f"unix://{quote(str(path))}"
    cache: Sprint11 | Cache = Sprint11(url)
    if path.name == "ours":
        # Its longest pause is lifted: what is recorded is how pauses grow until then.
        cache = Cache.open(url, options=Options(probe_s=(Options().probe_s[0], 60.0)))
    try:
        is_over = await _try_for(cache)
    finally:
        await cache.close()
        server.close()
        await server.wait_closed()
    waits = [later - earlier for earlier, later in pairwise(times)]
    return Attempts(layer_of(cache), tuple(waits), is_over)


async def _try_for(cache: Sprint11 | Cache) -> bool:
    """Let a cache try to connect; tell whether it gave up for good."""
    if isinstance(cache, Sprint11):
        await cache.initialize()
        return cache.gave_up_at is not None
    for _ in range(cache.options.failures_to_open):
        await cache.start()
        # What fails at one time is one failure.
        await asyncio.sleep(cache.options.deadline_s)
    await asyncio.sleep(_LOOKING_S)
    return False
