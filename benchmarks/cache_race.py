"""Part of bench_cache.py: a fill that is overtaken by an invalidation."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping

from cache_peers import (
    Aiocache,
    AiocacheStampede,
    Cashews,
    CashewsClientSide,
    CashewsLock,
    CashewsTags,
    Dogpile,
    DogpileLock,
    DogpileRegion,
    Flux,
    FluxTags,
    Part,
    Peer,
    Place,
    RedisPy,
    Target,
)

CONTESTANTS: Mapping[str, type[Peer]] = {
    "redis-py, get or set": RedisPy,
    "cashews @cache, delete": Cashews,
    "cashews lock=True, delete": CashewsLock,
    "cashews tags, delete_tags": CashewsTags,
    "cashews client_side, delete": CashewsClientSide,
    "aiocache @cached, delete": Aiocache,
    "aiocache @cached_stampede, delete": AiocacheStampede,
    "dogpile, delete": Dogpile,
    "dogpile distributed_lock, delete": DogpileLock,
    "dogpile, region.invalidate(hard)": DogpileRegion,
    "fluxlab, delete": Flux,
    "fluxlab, invalidate.user": FluxTags,
}
LOAD_S, COMMIT_AT_S = 0.1, 0.05
#: Users that no other part has read.
_numbers = itertools.count(2_000_000)


class Row:
    """A row in a database: a load takes a snapshot and then its time."""

    def __init__(self) -> None:
        self.version = 1

    async def load(self) -> object:
        seen = self.version
        await asyncio.sleep(LOAD_S)
        return seen


async def race(peer: Peer, *, has_reader: bool) -> tuple[object, object]:
    """Return what a reader in between (or None) and a later one are told.

    The load begins at 0 and ends at 100 ms; the commit, the invalidation, and the reader
    in between come at 50 ms.
    """
    row, key = Row(), f"user:{next(_numbers)}"
    overtaken = asyncio.create_task(peer.read(key, row.load))
    await asyncio.sleep(COMMIT_AT_S)
    row.version = 2
    await peer.forget(key)
    between = await peer.read(key, row.load) if has_reader else None
    await overtaken
    await asyncio.sleep(COMMIT_AT_S)  # a fill may be on its way still
    return between, await peer.read(key, row.load)


async def measure(place: Place, rounds: int) -> Part:
    """Let every contestant race `rounds` times, with and without a reader in between."""
    part = Part(
        f"(d) A fill overtaken by an invalidation, {rounds} times: stale answers",
        f"{'':<34} {'later reader':>14} {'reader in between':>18} {'later reader':>14}",
    )
    fresh: dict[str, bool] = {}
    for name, kind in CONTESTANTS.items():
        peer = kind(place)
        await peer.open()
        alone = [await race(peer, has_reader=False) for _ in range(rounds)]
        between = [await race(peer, has_reader=True) for _ in range(rounds)]
        await peer.close()
        stale = [
            sum(later != 2 for _, later in alone),
            sum(first != 2 for first, _ in between),
            sum(later != 2 for _, later in between),
        ]
        fresh[name] = not any(stale)
        one, two, three = (f"{count} of {rounds}" for count in stale)
        part.rows.append(f"{name:<34} {one:>14} {two:>18} {three:>14}")
        if peer.is_ours:
            part.targets.append(Target(f"{name}: nothing stale", fresh[name]))
    is_ours_fresh = all(fresh[name] for name in fresh if name.startswith("fluxlab"))
    part.ahead = [
        name
        for name, is_fresh in fresh.items()
        if is_fresh and not is_ours_fresh and not name.startswith("fluxlab")
    ]
    return part
