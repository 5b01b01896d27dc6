"""The contestants of bench_cache.py: ours, redis-py, cashews, aiocache and dogpile.cache.

Each has the same few verbs and is otherwise used as its documentation shows. `timeout_s`
None leaves a library's own time limits. Read by the other files of the benchmark.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import aiocache  # type: ignore[import-not-found]
import aiocache.serializers  # type: ignore[import-not-found]
import cashews  # type: ignore[import-not-found]
import orjson  # type: ignore[import-not-found]
import redis.asyncio
from dogpile.cache import make_region  # type: ignore[import-not-found]

from fluxlab.caching.cache import Cache

#: Both log every failed command with its traceback, which would be measured.
logging.disable(logging.CRITICAL)

Load = Callable[[], Coroutine[Any, Any, Any]]
LIFE_S = 300


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens."""

    port: int
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """The server as a URL."""
        return f"redis://{self.host}:{self.port}"


class Peer:
    """A contestant: read through, put, forget. `is_ours` rows have targets."""

    is_ours = False
    #: Its calls block: it runs in threads, and alone in the sequential part.
    is_blocking = False

    def __init__(self, place: Place, timeout_s: float | None = None) -> None:
        self.place = place
        self.timeout_s = timeout_s

    async def open(self) -> None:
        """Connect."""

    async def get(self, key: str) -> object:
        """Return what is stored; None where nothing is."""
        raise NotImplementedError

    async def read(self, key: str, load: Load) -> object:
        """Return what is stored, by `load` where nothing is."""
        raise NotImplementedError

    async def put(self, key: str, value: object) -> None:
        """Store a value, as a read would."""

        async def at_hand() -> object:
            return value

        await self.read(key, at_hand)

    async def forget(self, key: str) -> None:
        """Forget a key after a commit."""
        raise NotImplementedError

    async def close(self) -> None:
        """Disconnect."""


class RedisPy(Peer):
    """redis-py's async client with orjson: get, else load and set, as the report does."""

    def make(self) -> Any:
        """The client; `from_url` takes none of redis-py 8's retries."""
        limits: dict[str, Any] = {}
        if self.timeout_s is not None:
            limits = {
                "socket_timeout": self.timeout_s,
                "socket_connect_timeout": self.timeout_s,
            }
        return redis.asyncio.Redis.from_url(self.place.url, max_connections=1_000, **limits)

    async def open(self) -> None:
        self.client = self.make()
        await self.client.ping()

    async def get(self, key: str) -> object:
        data = await self.client.get(f"raw:{key}")
        return None if data is None else orjson.loads(data)

    async def read(self, key: str, load: Load) -> object:
        try:
            if (value := await self.get(key)) is not None:
                return value
        except (redis.RedisError, OSError):
            pass
        value = await load()
        with contextlib.suppress(redis.RedisError, OSError):
            await self.client.set(f"raw:{key}", orjson.dumps(value), ex=LIFE_S)
        return value

    async def forget(self, key: str) -> None:
        await self.client.delete(f"raw:{key}")

    async def close(self) -> None:
        await self.client.aclose()


class RedisPyByHost(RedisPy):
    """The same, made by `Redis(host=…)`, which retries ten times."""

    def make(self) -> Any:
        return redis.asyncio.Redis(
            host=self.place.host, port=self.place.port, max_connections=1_000
        )


class Cashews(Peer):
    """cashews' decorator, which lets callers of one process share a call."""

    how: dict[str, Any] = {}  # noqa: RUF012 - overwritten by subclasses, never changed
    setup: dict[str, Any] = {}  # noqa: RUF012

    async def open(self) -> None:
        self.cache = cashews.Cache()
        limits = {}
        if self.timeout_s is not None:
            limits = {
                "socket_timeout": self.timeout_s,
                "socket_connect_timeout": self.timeout_s,
                "wait_for_connection_timeout": self.timeout_s,
            }
        self.cache.setup(self.place.url, **self.setup, **limits)
        name = f"{type(self).__name__}:{{key}}"

        @self.cache(ttl=LIFE_S, key=name, **self.how)  # type: ignore[untyped-decorator]
        async def reading(key: str, load: Load) -> Any:
            return await load()

        self._reading = reading
        await self.cache.ping()

    def name(self, key: str) -> str:
        """The key under which the decorator stores."""
        return f"{type(self).__name__}:{key}"

    async def get(self, key: str) -> object:
        return await self.cache.get(self.name(key))

    async def read(self, key: str, load: Load) -> object:
        return await self._reading(key, load)

    async def forget(self, key: str) -> None:
        await self.cache.delete(self.name(key))

    async def close(self) -> None:
        await self.cache.close()


class CashewsLock(Cashews):
    """With a lock in the server."""

    how = {"lock": True}  # noqa: RUF012


class CashewsAlone(Cashews):
    """Without sharing."""

    how = {"protected": False}  # noqa: RUF012


class CashewsTags(Cashews):
    """Forgets by a tag."""

    how = {"tags": ["tag:{key}"]}  # noqa: RUF012

    async def forget(self, key: str) -> None:
        await self.cache.delete_tags(f"tag:{key}")


class CashewsClientSide(Cashews):
    """With a copy in the process, which the server tells to forget."""

    setup = {"client_side": True}  # noqa: RUF012


class Aiocache(Peer):
    """aiocache's decorator."""

    decorator: Any = aiocache.cached
    how: dict[str, Any] = {}  # noqa: RUF012

    async def open(self) -> None:
        limits: dict[str, Any] = {}
        if self.timeout_s is not None:
            limits = {
                "timeout": self.timeout_s,
                "create_connection_timeout": self.timeout_s,
                "connection_pool_kwargs": {"socket_timeout": self.timeout_s},
            }

        @self.decorator(  # type: ignore[untyped-decorator]
            ttl=LIFE_S,
            key_builder=lambda _, key, __: self.name(key),
            cache=aiocache.RedisCache,
            serializer=aiocache.serializers.JsonSerializer(),
            endpoint=self.place.host,
            port=self.place.port,
            **self.how,
            **limits,
        )
        async def reading(key: str, load: Load) -> Any:
            return await load()

        self._reading = reading
        await self._reading.cache.get("nothing")

    def name(self, key: str) -> str:
        """The key under which the decorator stores."""
        return f"{type(self).__name__}:{key}"

    async def get(self, key: str) -> object:
        return await self._reading.cache.get(self.name(key))

    async def read(self, key: str, load: Load) -> object:
        return await self._reading(key, load)

    async def forget(self, key: str) -> None:
        await self._reading.cache.delete(self.name(key))

    async def close(self) -> None:
        await self._reading.cache.close()


class AiocacheStampede(Aiocache):
    """With its lock."""

    decorator: Any = aiocache.cached_stampede
    how = {"lease": 2}  # noqa: RUF012


class Dogpile(Peer):
    """dogpile.cache, which is for threads; the loader's coroutine runs in the thread."""

    is_blocking = True
    how: dict[str, Any] = {}  # noqa: RUF012

    async def open(self) -> None:
        limits = {}
        if self.timeout_s is not None:
            limits = {
                "socket_timeout": self.timeout_s,
                "socket_connect_timeout": self.timeout_s,
            }
        arguments = {"url": self.place.url, "thread_local_lock": False}
        self.region = make_region().configure(
            "dogpile.cache.redis",
            expiration_time=LIFE_S,
            arguments={**arguments, **self.how, **limits},
        )
        self._threads = ThreadPoolExecutor(500)

    def name(self, key: str) -> str:
        """The key under which the region stores."""
        return f"{type(self).__name__}:{key}"

    def read_blocking(self, key: str, load: Load) -> object:
        """Read in this thread."""
        return self.region.get_or_create(self.name(key), lambda: asyncio.run(load()))

    async def get(self, key: str) -> object:
        return self.region.get(self.name(key))

    async def read(self, key: str, load: Load) -> object:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.read_blocking, key, load)

    async def forget(self, key: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self.region.delete, self.name(key))

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class DogpileLock(Dogpile):
    """With a lock in the server."""

    how = {"distributed_lock": True}  # noqa: RUF012


class DogpileRegion(DogpileLock):
    """Forgets the whole region, which only this process hears of."""

    async def forget(self, key: str) -> None:
        self.region.invalidate(hard=True)


class Flux(Peer):
    """fluxlab's cache; the key of a user's profile has its own version and one tag."""

    is_ours = True

    async def open(self) -> None:
        self.cache = Cache.open(self.place.url, deadline_s=self.timeout_s)
        await self.cache.start()

    async def get(self, key: str) -> object:
        return await self.cache.get(key)

    async def read(self, key: str, load: Load) -> object:
        return await self.cache.get_or_set(key, load)

    async def put(self, key: str, value: object) -> None:
        await self.cache.set(key, value, LIFE_S)

    async def forget(self, key: str) -> None:
        await self.cache.delete(key)

    async def close(self) -> None:
        await self.cache.close()


class FluxTags(Flux):
    """Forgets by the tag of the user."""

    async def forget(self, key: str) -> None:
        await self.cache.invalidate.user(key.partition(":")[2])


@dataclass(frozen=True, slots=True)
class Target:
    """What ours has to reach, and whether it did."""

    what: str
    is_met: bool


@dataclass(slots=True)
class Part:
    """One table of the benchmark, what it asks of ours, and where a library is ahead."""

    title: str
    header: str
    rows: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        marks = {True: "met   ", False: "MISSED"}
        lines = [self.title, self.header, *self.rows]
        lines += [f"  target {marks[one.is_met]} {one.what}" for one in self.targets]
        ahead = self.ahead or ["nowhere"]
        return "\n".join([*lines, *(f"  a library is ahead: {one}" for one in ahead)])
