"""The cache: it never serves a value that it was told to forget.

Every entry holds the versions under which it was loaded, its own and those of its tags,
and is valid while they stand. A version is random and never comes back, and it is read
*before* the load; so a load that an invalidation overtakes is dead on arrival, whoever
runs it and wherever. Without its server the cache costs a deadline or two and then
nothing: reads become loads, and what was to be forgotten is owed to the server.

What it cannot see: a loader that reads an older snapshot than the last commit (a lagging
replica, a transaction begun before). And while the server is away, what another process
was told to forget is owed by that process; `writing` closes that gap.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from functools import lru_cache
from types import TracebackType
from typing import Self, TypeVar

from fluxlab.caching.breaker import Patience
from fluxlab.caching.cluster import ClusterTransport
from fluxlab.caching.entries import Entries
from fluxlab.caching.flights import Flights
from fluxlab.caching.forgetting import Forgetter, matches_of
from fluxlab.caching.invalidation import Invalidation, Writing, versions_of
from fluxlab.caching.layer import Answer, Load, Touch
from fluxlab.caching.loading import Loading
from fluxlab.caching.options import Options
from fluxlab.caching.stats import CacheStats, Counts, Health
from fluxlab.caching.transport import GUARD, Names, Transport, make_names, prefix_of
from fluxlab.caching.warming import Warm, warm
from fluxlab.caching.wire import Away, Credentials, read_address
from fluxlab.errors import FluxlabError

__all__ = ["Cache", "Options", "Warm"]

T = TypeVar("T")


class Cache:
    """A cache on one server or a cluster, for one event loop.

    Nothing is connected before it is used. It is a context manager: `async with
    Cache.open(url) as cache`. Only the application's own errors reach the application:
    what a loader raises, and FluxlabError for an empty key or a lifetime below zero.
    """

    def __init__(
        self, transport: Transport, forgetter: Forgetter, options: Options
    ) -> None:
        self.options = options
        self.namespace = forgetter.namespace
        self._transport = transport
        self._forgetter = forgetter
        self._flights = Flights(options.max_loads)
        self._entries = Entries(transport, forgetter, options)
        self._loading = Loading(self._entries, self._flights, options)
        self._resources: dict[str, Counts] = {}
        self._invalidations = 0
        self._is_closed = False
        self._names = lru_cache(maxsize=65_536)(self._make_names)
        self.invalidate = Invalidation(self._forget)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        namespace: str = "flux",
        deadline_s: float | None = None,
        is_cluster: bool = False,
        credentials: Credentials | None = None,
        options: Options | None = None,
    ) -> Self:
        """Return a cache on `unix://`, `redis://` or `rediss://`; nothing is sent yet.

        `credentials` returns user and password, and is asked at every new connection, so
        that they can change. Raises FluxlabError when the URL cannot be read.
        """
        chosen = options or Options()
        if deadline_s is not None:
            chosen = replace(chosen, deadline_s=deadline_s)
        patience = Patience(chosen.deadline_s, chosen.failures_to_open, chosen.probe_s)
        address = read_address(url, credentials)
        forgetter = Forgetter(namespace, chosen.max_pending, chosen.probe_s)
        kind = ClusterTransport if is_cluster else Transport
        forgetter.transport = kind(address, patience, forgetter.settle)
        return cls(forgetter.transport, forgetter, chosen)

    async def start(self) -> bool:
        """Connect now; return whether the server answered. It is not an error if not."""
        try:
            await self._transport.start()
        except Away:
            return False
        return True

    # Reading.

    async def read(
        self,
        key: str,
        load: Load,
        ttl_s: float | None = None,
        tags: tuple[str, ...] = (),
    ) -> Answer:
        """Return the value of a key and how it was come by; `load` where there is none.

        `tags` are what the answer depends on beside those of the key's pattern; a key is
        read with the same tags each time. Raises what `load` raises.
        """
        names = self._names(key, tags)
        _check(ttl_s)
        found = await self._entries.prepare(names)
        if found.is_hit:
            names.counts.hits += 1
            return Answer(found.value, "hit")
        if found.vector is None:
            return await self._flights.past(names, load)
        return await self._loading.load(names, found.vector, load, ttl_s)

    async def get_or_set(
        self,
        key: str,
        load: Load,
        ttl: float | None = None,
        tags: tuple[str, ...] = (),
    ) -> object:
        """Return the value of a key, by `load` where there is none; see `read`."""
        return (await self.read(key, load, ttl, tags)).value

    async def get(self, key: str, default: T | None = None) -> object | T | None:
        """Return what is stored and valid, else the default. A None may be stored."""
        names = self._names(key, ())
        found = await self._entries.find(names)
        if found.is_hit:
            names.counts.hits += 1
            return found.value
        names.counts.misses += 1
        return default

    async def exists(self, key: str) -> bool:
        """Whether something valid is stored; nothing is counted."""
        return (await self._entries.find(self._names(key, ()))).is_hit

    async def keys(self, glob: str = "*") -> AsyncIterator[str]:
        """Go through the keys that have an entry, valid or not; for maintenance.

        What a server cannot answer is left out.
        """
        start = len(f"{self.namespace}:{{".encode())
        matches = matches_of(self.namespace, glob, "d")
        for node, match in itertools.product(self._transport.nodes, matches):
            cursor = b"0"
            while True:
                try:
                    (answer,) = await node.run([("SCAN", cursor, "MATCH", match)])
                except Away:
                    break
                if not isinstance(answer, list) or len(answer) != 2:
                    break
                cursor, found = answer
                for name in found:
                    key = name[start:-3].removeprefix(GUARD)
                    yield key.decode("utf-8", "surrogatepass")
                if cursor == b"0":
                    break

    # Writing.

    async def set(
        self,
        key: str,
        value: object,
        ttl: float | None = None,
        tags: tuple[str, ...] = (),
    ) -> bool:
        """Store a value that is at hand; return whether it was stored.

        When it was read from the database, an invalidation since then is not seen: use
        `get_or_set`, which reads the versions first.
        """
        names = self._names(key, tags)
        _check(ttl)
        body = self._entries.encoded(names, value)
        if body is None:
            return False
        vector = (await self._entries.prepare(names)).vector
        if vector is None:
            return False
        life_ms = self._entries.life_ms(names, value, ttl)
        return await self._entries.put(names, vector, body, life_ms)

    async def delete(self, *keys: str) -> bool:
        """Forget keys; return whether the server was told, else it is owed."""
        return await self.invalidate(keys=keys)

    async def delete_pattern(self, glob: str) -> int:
        """Forget every key that a glob matches; return how many entries went.

        For maintenance: it looks at every key of every primary. A tag does the same in
        one step. Loads under way are caught too.
        """
        self._invalidations += 1
        return await self._forgetter.forget_glob(glob)

    async def expire(self, key: str, ttl: float) -> bool:
        """Change how long an entry has to live; return whether there was one."""
        _check(ttl)
        return await self._entries.expire(self._names(key, ()), ttl)

    async def increment(self, key: str, by: int = 1) -> int | None:
        """Add to a counter, which is apart from the entry of the same key; None if away."""
        name = prefix_of(self.namespace, key) + b"n"
        try:
            (reply,) = await self._transport.run(name, [("INCRBY", name, by)])
        except Away:
            return None
        return reply if isinstance(reply, int) else None

    async def forget(self, touch: Touch) -> None:
        """Forget the tags and keys of a Touch."""
        await self.invalidate(tags=touch.tags, keys=touch.keys)

    def writing(self, tags: Iterable[str] = (), keys: Iterable[str] = ()) -> Writing:
        """Return a block for a transaction and its commit, `async with`.

        While it lasts, readers of these tags and keys go to the database and store
        nothing. When its process dies in it, they do so for `barrier_s`, and then
        everything older is dead: nothing stale is left, also by a crash between commit
        and invalidation. Keep the commit inside the block.
        """
        versions = versions_of(self.namespace, tags, keys)
        return Writing(self._transport, self._forgetter, versions, self.options.barrier_s)

    async def flush(self) -> int:
        """Forget everything of this namespace; return how many entries went."""
        return await self.delete_pattern("*")

    async def warm(
        self, entries: Iterable[Warm], top: int = 100, concurrency: int = 4
    ) -> int:
        """Load the entries that save most, cost times rate; return how many were loaded."""
        return await warm(self.read, entries, top, concurrency)

    # Looking.

    def stats(self) -> CacheStats:
        """Return what was counted since the cache was opened."""
        return CacheStats(
            resources=dict(self._resources),
            invalidations=self._invalidations,
            replayed=self._forgetter.replayed,
            opened=sum(node.opened for node in self._transport.nodes),
        )

    async def server_stats(self) -> dict[str, int]:
        """Return what the servers count: hits and misses of names, evictions, names held.

        A read asks for an entry and its versions, so these are not the hit rate. Empty
        when none answers.
        """
        total: dict[str, int] = {}
        for node in self._transport.nodes:
            try:
                info, size = await node.run([("INFO", "stats"), ("DBSIZE",)])
            except Away:
                continue
            if isinstance(info, bytes):
                for name in ("keyspace_hits", "keyspace_misses", "evicted_keys"):
                    total[name] = total.get(name, 0) + _of_info(info, name)
            if isinstance(size, int):
                total["names"] = total.get("names", 0) + size
        return total

    async def health(self) -> Health:
        """Ask the servers once; without them the cache is degraded, not broken."""
        clock = asyncio.get_running_loop().time
        begun, rtt_ms = clock(), None
        nodes = self._transport.nodes
        try:
            for node in nodes:
                await node.run([("PING",)])
            rtt_ms = (clock() - begun) * 1_000 / max(1, len(nodes))
        except Away:
            pass
        is_open = self._is_closed or any(node.is_open for node in nodes)
        pending = len(self._forgetter.debts)
        is_well = rtt_ms is not None and not is_open and not pending
        return Health(
            status="healthy" if is_well else "degraded",
            breaker="open" if is_open else "closed",
            last_error=next((one.last_error for one in nodes if one.last_error), ""),
            rtt_ms=rtt_ms,
            pending=pending,
        )

    async def close(self) -> None:
        """End loads, probe and connections. Readers that wait load by themselves."""
        self._is_closed = True
        await self._flights.close(2 * self.options.deadline_s)
        await self._forgetter.close()
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # How it is done.

    def _make_names(self, key: str, tags: tuple[str, ...]) -> Names:
        return make_names(self.namespace, key, tags, self._counts_of)

    def _counts_of(self, resource: str) -> Counts:
        return self._resources.setdefault(resource, Counts())

    async def _forget(self, tags: Iterable[str], keys: Iterable[str]) -> bool:
        self._invalidations += 1
        versions = versions_of(self.namespace, tags, keys)
        return await self._forgetter.forget((version, b"") for version in versions)


def _check(ttl_s: float | None) -> None:
    if ttl_s is not None and not ttl_s > 0:
        raise FluxlabError(
            f"A lifetime of {ttl_s} s is none.", "Give seconds above zero, TTL.SHORT say."
        )


def _of_info(info: bytes, name: str) -> int:
    for line in info.decode("ascii", "replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.partition(":")[2])
    return 0
