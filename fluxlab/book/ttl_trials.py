"""What a cache hit costs: every cached answer read from a server of its own, by the clock.

One client at a time, as the latencies of the queries were measured. The answers are those
of the Queries themselves, with typical parameters, so that size and types are right.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import psycopg
from psycopg.rows import dict_row

from fluxlab.caching.cache import Cache
from fluxlab.caching.codec import encode
from fluxlab.caching.experiments.bench import own_home
from fluxlab.caching.replays.resources import RESOURCES
from fluxlab.servers import redis as valkey
from fluxlab.settings import Settings
from fluxlab.workload.parameters import ParameterSet
from fluxlab.workload.query import Workload
from fluxlab.workload.sample import Block, Sample

#: A block is taken in one go, resource after resource; then the next one of each.
_BLOCKS, _TIMES = 7, 30
#: No answer of the trial may end while it is timed.
_TTL_S = 3_600.0


class Source(Protocol):
    """What the trial needs of a Lab."""

    @property
    def settings(self) -> Settings: ...

    @property
    def workload(self) -> Workload: ...

    def parameters(self, query: str, of_class: str = "typical") -> ParameterSet: ...

    def connection(
        self, state: str = "baseline"
    ) -> AbstractContextManager[psycopg.Connection]: ...


@dataclass(frozen=True, slots=True)
class CacheCost:
    """What it takes to read one cached answer, to store it and to forget it; its size."""

    read: Sample
    store: Sample
    forget: Sample
    size_bytes: int


def cache_costs(source: Source) -> Mapping[str, CacheCost]:
    """Time reading, storing and forgetting the answer of each key pattern.

    Takes about three seconds. Starts a Valkey and stops it again; raises FluxlabError
    where none can be started. An answer that the cache refuses, because it is too large,
    is left out.
    """
    answers = _answers(source)
    with own_home(source.settings) as own, ThreadPoolExecutor(1) as pool:
        # A notebook has an event loop already, so this one is in a thread.
        return pool.submit(asyncio.run, _measure(valkey.start(own).url, answers)).result()


def _answers(source: Source) -> dict[str, tuple[str, list[object]]]:
    """Return a key and what it answers, by pattern."""
    found: dict[str, tuple[str, list[object]]] = {}
    with source.connection("sprint11") as connection:
        for pattern, resource in RESOURCES.items():
            query = source.workload.find(resource.query)
            values = source.parameters(resource.query).values
            cursor = psycopg.RawCursor(connection, row_factory=dict_row)
            rows = cursor.execute(query.statement.encode(), values).fetchall()
            key = resource.key(dict(zip(query.names, values, strict=True)))
            found[pattern] = key, list(rows)
    return found


async def _measure(
    url: str, answers: Mapping[str, tuple[str, list[object]]]
) -> dict[str, CacheCost]:
    # A deadline that a busy machine may miss would make a read a miss.
    cache = Cache.open(url, namespace="ttl", deadline_s=5.0)
    async with cache:
        kept = {
            pattern: answer
            for pattern, answer in answers.items()
            if await cache.set(*answer, _TTL_S)
        }
        blocks: dict[str, tuple[list[Block], list[Block], list[Block]]] = {}
        for _ in range(_BLOCKS):
            for pattern, (key, rows) in kept.items():
                taken = await _round(cache, key, rows)
                known = blocks.setdefault(pattern, ([], [], []))
                for block, one in zip(taken, known, strict=True):
                    one.append(block)
    found: dict[str, CacheCost] = {}
    for pattern, known in blocks.items():
        # The first block warms connection, scripts and caches of the processor.
        read, store, forget = (Sample(tuple(one[1:])) for one in known)
        size_bytes = len(encode(answers[pattern][1]))
        found[pattern] = CacheCost(read, store, forget, size_bytes)
    return found


async def _round(cache: Cache, key: str, rows: list[object]) -> tuple[Block, Block, Block]:
    store = await _timed(lambda: cache.set(key, rows, _TTL_S), _TIMES // 3)
    read = await _timed(lambda: cache.get(key), _TIMES)
    forget = await _timed(lambda: cache.delete(key), _TIMES // 3)
    return read, store, forget


async def _timed(act: Callable[[], Awaitable[object]], times: int) -> Block:
    taken: list[float] = []
    for _ in range(times):
        begin = time.perf_counter()
        await act()
        taken.append((time.perf_counter() - begin) * 1000)
    return Block(tuple(taken))
