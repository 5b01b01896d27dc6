"""Warming: load beforehand what saves most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from fluxlab.caching.layer import Answer, Load


@dataclass(frozen=True, slots=True)
class Warm:
    """A key worth loading beforehand: what a load costs, and how often it is read."""

    key: str
    load: Load
    cost_ms: float
    rate_per_s: float
    ttl_s: float | None = None


async def warm(
    read: Callable[[str, Load, float | None], Awaitable[Answer]],
    entries: Iterable[Warm],
    top: int,
    concurrency: int,
) -> int:
    """Read the `top` entries by cost times rate, so many at once; return the loads.

    A load that fails is left to whoever needs the value. Raises FluxlabError for a key
    that is no key.
    """
    ranked = sorted(entries, key=lambda one: -one.cost_ms * one.rate_per_s)[: max(0, top)]
    places = asyncio.Semaphore(max(1, concurrency))
    loaded = 0

    async def one(entry: Warm) -> None:
        nonlocal loaded
        called = False

        async def load() -> object:
            nonlocal called
            value = await entry.load()
            called = True
            return value

        async with places:
            try:
                await read(entry.key, load, entry.ttl_s)
            except Exception:
                return
            loaded += called

    await asyncio.gather(*(one(entry) for entry in ranked))
    return loaded
