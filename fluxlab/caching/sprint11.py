"""The report's cache, re-created in behaviour: a specimen. Do not use it.

It is here so that its flaws can be measured; to cache something use
`fluxlab.caching.cache`. What is wrong with it is wrong with the report's lib/cache.js, by
reading that and by running it: loads are not coalesced; a fill that follows an
invalidation is stored; a missing row becomes the text "undefined"; null is stored and
never a hit; types get lost (`sprint11_values`); KEYS and one DEL; user:12* also means
user:123; a reconnection that ends for good after about 2.8 s; no time limit for a
command; no jitter, no limit of size.

What differs: redis-py sends one command after the other on the one connection, where
node-redis sends them without waiting. And a broken connection is noticed by the next
command, not when it breaks, so without traffic the 2.8 s begin later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from fluxlab.caching.keys import TTL, facts_of
from fluxlab.caching.layer import Answer, Load, Touch
from fluxlab.caching.sprint11_values import UNDEFINED, from_text, is_truthy, to_text

#: "Exponential backoff" in the report, and in the file's own comment.
RETRIES = 10
CONNECT_TIMEOUT_S = 5.0

_AWAY = (RedisError, OSError)
_Reply = TypeVar("_Reply")


def retry_delay_s(retries: int) -> float | None:
    """Return the wait before attempt `retries`, from 0 on; None: give up for good.

    >>> [retry_delay_s(one) for one in (0, 1, 2, 10, 11)]
    [0.0, 0.05, 0.1, 0.5, None]
    """
    return None if retries > RETRIES else min(0.05 * retries, 3.0)


def address(environ: Mapping[str, str]) -> str:
    """Return where it connects to: REDIS_HOST, REDIS_PORT and REDIS_DB have no effect.

    They stand in a place where the client library does not look for them.
    """
    return environ.get("REDIS_URL") or "redis://127.0.0.1:6379"


class Sprint11:
    """The report's functions, and what a replay asks of a cache (`layer.Layer`).

    `missing_is_undefined`: a load that returns None found no row, and the report's example
    returns `rows[0]`. Every failure of the server is swallowed and looks like a miss.
    """

    def __init__(self, url: str, *, missing_is_undefined: bool = True) -> None:
        self.invalidate = Invalidate(self)
        self.gave_up_at: float | None = None
        self.url = url
        self._missing_is_undefined = missing_is_undefined
        self._client: redis.asyncio.Redis | None = None
        self._is_ready = False
        self._reconnecting: asyncio.Task[None] | None = None

    async def initialize(self) -> bool:
        """Connect, for as long as it takes to give up; tell whether it is connected."""
        if self.is_available:
            return True
        self.gave_up_at = None
        self._client = redis.asyncio.Redis.from_url(
            self.url,
            decode_responses=True,
            single_connection_client=True,
            socket_timeout=None,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        await self._reconnect(self._client)
        return self.is_available

    @property
    def is_available(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._client is not None and self._is_ready

    async def get(self, key: str) -> object:
        """GET and JSON.parse; None for a miss, for null, and when the server is away."""
        answer = await self._try(lambda client: client.get(key), None)
        return from_text(answer if isinstance(answer, str) else None)

    async def set(self, key: str, value: object, ttl: float = TTL.MEDIUM) -> bool:
        """SETEX; False when anything fails. A part of a second needs PSETEX instead.

        The report has whole seconds; compressed time does not. (redis-py wants both
        written as SET.)
        """
        try:
            text = to_text(value)
        except TypeError:
            return False
        if ttl == int(ttl):
            return bool(await self._try(lambda c: c.set(key, text, ex=int(ttl)), False))
        ttl_ms = max(1, round(ttl * 1000))
        return bool(await self._try(lambda c: c.set(key, text, px=ttl_ms), False))

    async def delete(self, key: str) -> bool:
        """DEL."""
        return await self._try(lambda client: client.delete(key), None) is not None

    async def delete_pattern(self, glob: str) -> int:
        """KEYS, which reads all names there are, and one DEL; the number of keys."""

        async def both(client: redis.asyncio.Redis) -> int:
            names = await client.keys(glob)
            if names:
                await client.delete(*names)
            return len(names)

        return await self._try(both, 0)

    async def exists(self, key: str) -> bool:
        """EXISTS."""
        return bool(await self._try(lambda client: client.exists(key), False))

    async def expire(self, key: str, ttl: int) -> bool:
        """EXPIRE."""
        return bool(await self._try(lambda client: client.expire(key, ttl), False))

    async def increment(self, key: str, by: int = 1) -> int:
        """INCRBY, without a lifetime."""
        return await self._try(lambda client: client.incrby(key, by), 0)

    async def get_all_keys(self, glob: str, *, most_turns: int) -> tuple[list[str], bool]:
        """Return keys by SCAN, and whether the loop ended; it never does.

        The cursor comes back as a number and is compared with the text "0", so a whole
        scan is followed by another one. `most_turns` is ours, or nobody would return.
        """
        names: list[str] = []
        cursor: object = 0
        turns = 0
        while cursor != "0":
            if turns == most_turns:
                return names, False
            turns += 1
            step = partial(_scan, position=int(str(cursor)), glob=glob)
            found = await self._try(step, None)
            if found is None:
                return [], True
            cursor = found[0]
            names += found[1]
        return names, True

    async def get_or_set(self, key: str, load: Load, ttl: float = TTL.MEDIUM) -> object:
        """Return what `get` has unless it is null; else load, set, and return that."""
        cached = await self.get(key)
        if cached is not None:
            return cached
        value = await load()
        await self.set(key, value, ttl)
        return value

    async def stats(self) -> dict[str, object]:
        """INFO stats and DBSIZE."""

        async def both(client: redis.asyncio.Redis) -> dict[str, object]:
            facts = await client.info("stats")
            return {"connected": True, "keys": await client.dbsize(), "stats": facts}

        return await self._try(both, {"connected": False})

    async def health(self) -> dict[str, object]:
        """PING; "unhealthy" when the server is away, although the application works on."""
        start = time.perf_counter()
        if await self._try(lambda client: client.ping(), False):
            latency_ms = (time.perf_counter() - start) * 1000
            return {"status": "healthy", "latency_ms": latency_ms}
        return {"status": "unhealthy"}

    async def flush_all(self) -> bool:
        """FLUSHDB: everybody's keys of this database, for there is no namespace."""
        return bool(await self._try(lambda client: client.flushdb(), False))

    async def close(self) -> None:
        """QUIT."""
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.gather(self._reconnecting, return_exceptions=True)
        client, self._client, self._is_ready = self._client, None, False
        if client is not None:
            await client.aclose()

    async def read(self, key: str, load: Load, ttl_s: float | None = None) -> Answer:
        """`get_or_set`, and how it was answered."""
        was_available = self.is_available
        cached = await self.get(key)
        if cached is not None:
            return Answer(cached, "hit")
        value = await load()
        is_missing = value is None and self._missing_is_undefined
        ttl = facts_of(key).pattern.ttl if ttl_s is None else ttl_s
        await self.set(key, UNDEFINED if is_missing else value, ttl)
        return Answer(value, "miss" if was_available else "bypass")

    async def forget(self, touch: Touch) -> None:
        """Call the helper of the entity; of more than that the report's cache knows not."""
        if touch.entity is None:
            return
        kind, identity = touch.entity
        if helper := getattr(self.invalidate, _HELPERS.get(kind, ""), None):
            await helper(identity)

    async def _try(
        self, command: Callable[[redis.asyncio.Redis], Awaitable[_Reply]], otherwise: _Reply
    ) -> _Reply:
        client = self._client
        if client is None or not self._is_ready:
            return otherwise
        try:
            return await command(client)
        except redis.ResponseError:
            return otherwise
        except _AWAY:
            self._lost(client)
            return otherwise

    def _lost(self, client: redis.asyncio.Redis) -> None:
        if client is not self._client or not self._is_ready:
            return
        self._is_ready = False
        self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect(client))

    async def _reconnect(self, client: redis.asyncio.Redis) -> None:
        retries = 0
        while True:
            try:
                await client.ping()
            except _AWAY:
                delay_s = retry_delay_s(retries)
                if delay_s is None:
                    break
                retries += 1
                await asyncio.sleep(delay_s)
            else:
                self._is_ready = True
                return
        # Closed for good: nothing calls `initialize` a second time.
        self.gave_up_at = time.monotonic()
        self._client = None
        await client.aclose()


async def _scan(
    client: redis.asyncio.Redis, position: int, glob: str
) -> tuple[int, list[str]] | None:
    cursor, names = await client.scan(position, match=glob, count=100)
    return cursor, [str(name) for name in names]


class Invalidate:
    """The report's helpers: a prefix of the id, and whatever else begins like it."""

    def __init__(self, cache: Sprint11) -> None:
        self._cache = cache

    async def user(self, user_id: object) -> int:
        """`user:{id}*`, so user 123 as well as user 12."""
        return await self._cache.delete_pattern(f"user:{user_id}*")

    async def organization(self, organization_id: object) -> int:
        """`org:{id}*`."""
        return await self._cache.delete_pattern(f"org:{organization_id}*")

    async def project(self, project_id: object) -> int:
        """`project:{id}*`."""
        return await self._cache.delete_pattern(f"project:{project_id}*")

    async def file(self, file_id: object) -> int:
        """`file:{id}*`."""
        return await self._cache.delete_pattern(f"file:{file_id}*")

    async def conversation(self, conversation_id: object) -> int:
        """`conv:{id}*`."""
        return await self._cache.delete_pattern(f"conv:{conversation_id}*")


_HELPERS = {
    "user": "user",
    "org": "organization",
    "organization": "organization",
    "project": "project",
    "file": "file",
    "conv": "conversation",
    "conversation": "conversation",
}


@dataclass(slots=True)
class HitCounter:
    """The report's advice for counting hits: one pair of counters for all resources."""

    hits: int = field(default=0)
    misses: int = field(default=0)

    @property
    def hit_rate(self) -> str:
        """The rate as the report prints it, in percent with two digits."""
        total = self.hits + self.misses
        return f"{self.hits / total * 100:.2f}" if total else "0"


async def get_cached_data(
    cache: Sprint11, key: str, load: Load, counter: HitCounter
) -> object:
    """Read as the report's monitoring does: `if (cached)`, so 0 and false are no hits."""
    cached = await cache.get(key)
    if is_truthy(cached):
        counter.hits += 1
        return cached
    counter.misses += 1
    value = await load()
    await cache.set(key, value)
    return value
