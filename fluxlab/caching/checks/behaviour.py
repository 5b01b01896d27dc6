"""Small checks of what the report's cache and ours do while their server answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from fnmatch import fnmatchcase

import redis.asyncio

from fluxlab.caching.cache import Cache
from fluxlab.caching.checks.checked import (
    Burst,
    Counting,
    Example,
    Lifetime,
    PatternDeleted,
)
from fluxlab.caching.keys import TTL, build_key
from fluxlab.caching.results import LayerName
from fluxlab.caching.sprint11 import Sprint11

#: The value of the report's example.
_JOHN = {"name": "John", "email": "john@example.com"}
#: Keys of user 123, and two that only look like it.
_KEYS = ("user:123", "user:123:projects", "user:123:unread:7", "user:1234:projects")
_OF_OTHER_KIND = "analytics:user:123:activity:2025-10-12"
_READERS = 50
_HITS, _MISSES, _OTHERS = 12, 3, 20


def name_of(cache: Sprint11 | Cache, key: str) -> str:
    """Return the server's name for the entry of a key."""
    return key if isinstance(cache, Sprint11) else f"{cache.namespace}:{{{key}}}:d"


def layer_of(cache: Sprint11 | Cache) -> LayerName:
    """Return the name of a layer."""
    return "sprint11" if isinstance(cache, Sprint11) else "fluxlab"


async def check_lifetimes(
    cache: Sprint11 | Cache, server: redis.asyncio.Redis
) -> tuple[Lifetime, ...]:
    """Store a value under each of the six lifetimes and ask the server for its PTTL."""
    found = []
    for ttl in TTL:
        key = f"lifetime:{ttl.name}"
        await cache.set(key, _JOHN, ttl)
        left_ms = int(await server.pttl(name_of(cache, key)))
        found.append(Lifetime(layer_of(cache), ttl.name.lower(), int(ttl), left_ms))
    return tuple(found)


async def check_example(cache: Sprint11 | Cache, server: redis.asyncio.Redis) -> Example:
    """Do what the report's examples do, for a user who exists."""
    key, other = build_key.user(123), build_key.user_projects(123)
    loads = 0

    async def load() -> object:
        nonlocal loads
        loads += 1
        return dict(_JOHN)

    is_set = await cache.set(key, _JOHN, TTL.MEDIUM)
    left_ms = int(await server.pttl(name_of(cache, key)))
    came = await cache.get(key)
    fresh = build_key.user(124)
    loaded = [await cache.get_or_set(fresh, load, TTL.MEDIUM) for _ in range(2)]
    await cache.set(other, [_JOHN])
    await cache.delete(key)
    return Example(
        layer=layer_of(cache),
        is_set=is_set,
        left_ms=left_ms,
        is_same=came == _JOHN,
        loads=loads,
        is_loaded_same=loaded == [_JOHN, _JOHN],
        is_deleted=await cache.get(key) is None,
        is_other_left=await cache.get(other) == [_JOHN],
    )


async def check_pattern(cache: Sprint11 | Cache, glob: str) -> PatternDeleted:
    """Delete by the report's pattern, and look which keys are left."""
    keys = (*_KEYS, _OF_OTHER_KIND)
    for key in keys:
        await cache.set(key, _JOHN)
    await cache.delete_pattern(glob)
    left = [key for key in keys if await cache.exists(key)]
    return PatternDeleted(
        layer=layer_of(cache),
        glob=glob,
        matching=tuple(key for key in keys if fnmatchcase(key, glob)),
        removed=tuple(key for key in keys if key not in left),
        left=tuple(left),
    )


async def check_counting(
    cache: Sprint11 | Cache, elsewhere: redis.asyncio.Redis
) -> Counting:
    """Read some keys that are there and some that are not, beside another application."""
    await cache.set("counted:here", _JOHN)
    await elsewhere.set("somebody's", "1")
    before = await _said(cache)
    for _ in range(_HITS):
        await cache.get("counted:here")
    for number in range(_MISSES):
        await cache.get(f"counted:{number}")
    for _ in range(_OTHERS):
        await elsewhere.get("somebody's")
    after = await _said(cache)
    return Counting(
        layer=layer_of(cache),
        hits=_HITS,
        misses=_MISSES,
        others=_OTHERS,
        said_hits=after[0] - before[0],
        said_misses=after[1] - before[1],
        is_by_resource=isinstance(cache, Cache),
    )


async def _said(cache: Sprint11 | Cache) -> tuple[int, int]:
    """Return hits and misses as the cache's own statistics have them."""
    if isinstance(cache, Cache):
        total = cache.stats().total
        return total.hits, total.misses
    facts = (await cache.stats()).get("stats")
    assert isinstance(facts, dict)
    return int(facts["keyspace_hits"]), int(facts["keyspace_misses"])


async def check_burst(
    connect: Callable[[], Awaitable[Sprint11 | Cache]], server: redis.asyncio.Redis
) -> Burst:
    """Open a cache, let many read at once, and count the connections it made."""
    before = await _connections(server)
    cache = await connect()
    try:
        await asyncio.gather(*(cache.get(f"burst:{one}") for one in range(_READERS)))
        opened = await _connections(server) - before
        return Burst(layer_of(cache), _READERS, opened)
    finally:
        await cache.close()


async def _connections(server: redis.asyncio.Redis) -> int:
    return int((await server.info("stats"))["total_connections_received"])


def endpoint_status(healths: Sequence[str]) -> str:
    """Return what the report's health endpoint makes of the answers of its services."""
    return "healthy" if all(one == "healthy" for one in healths) else "degraded"
