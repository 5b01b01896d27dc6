"""Small experiments, each for a sentence of the report or a weakness of its cache."""

from __future__ import annotations

import asyncio
import math
import random
import statistics
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

import redis.asyncio
from psycopg.types.range import Range

from fluxlab.caching.cache import Cache
from fluxlab.caching.experiments.forgotten import email_is_stale, forgotten
from fluxlab.caching.experiments.found import (
    Absent,
    Counted,
    Details,
    Nothing,
    PatternCost,
    SizeCost,
    Trip,
)
from fluxlab.caching.experiments.rows import Source
from fluxlab.caching.keys import build_key
from fluxlab.caching.layer import Layer, Touch
from fluxlab.caching.results import LayerName
from fluxlab.caching.sprint11 import HitCounter, Sprint11, get_cached_data

#: What a row of PostgreSQL may hold, and what an answer may be.
VALUES: Mapping[str, object] = {
    "text": "Ann",
    "text of digits": "0042",
    "text of a number": "42",
    "text of JSON": '{"a": 1}',
    "empty text": "",
    "integer": 42,
    "integer of 70 bits": 2**70,
    "numeric": Decimal("1.50"),
    "not a number": math.nan,
    "boolean": False,
    "null": None,
    "uuid": UUID("00000000-0000-4000-8000-000000000011"),
    "timestamp with time zone": datetime(2025, 10, 1, 12, 30, 0, 123456, tzinfo=UTC),
    "timestamp": datetime(2025, 10, 1, 12, 30),
    "date": date(2025, 10, 1),
    "interval": timedelta(days=1, seconds=2),
    "bytea": b"\x00\xff",
    "row": {"id": 1, "at": datetime(2025, 10, 1, tzinfo=UTC), "share": Decimal("0.10")},
    "row with a bigint": {"id": 2**60},
    "rows as tuples": [(1, "a"), (2, "b")],
    "set of texts": {"a", "b"},
    "int4range": Range(1, 5),
}

_MISSING = object()
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class DetailPlan:
    """How many names there are beside, how large values are, how often each is tried."""

    keys: tuple[int, ...] = (1_000, 10_000, 100_000)
    sizes_bytes: tuple[int, ...] = (
        1_000,
        10_000,
        100_000,
        1_000_000,
        2_000_000,
        10_000_000,
    )
    repetitions: int = 5


async def details(url: str, source: Source, plan: DetailPlan) -> Details:
    """Run the small experiments on a server of the Redis protocol."""
    source.create(())
    bench = _Bench(url)
    await bench.start()
    try:
        turns, zero = await bench.endless(500), await bench.zero_ttl_is_swallowed()
        return Details(
            trips=await bench.trips(),
            absent=await bench.absent(source),
            forgotten=await forgotten(bench.report, bench.ours),
            email_is_stale=await email_is_stale(bench.report, bench.ours),
            counted=await bench.counted(),
            sizes=await bench.sizes(plan),
            patterns=tuple([await bench.pattern(count, plan) for count in plan.keys]),
            endless_keys=500,
            endless_turns=turns,
            zero_ttl_is_swallowed=zero,
        )
    finally:
        await bench.close()


class _Bench:
    """Both caches, and a client that looks at the server itself."""

    def __init__(self, url: str) -> None:
        self.report = Sprint11(url)
        self.ours = Cache.open(url)
        self.server = redis.asyncio.Redis.from_url(url)

    async def start(self) -> None:
        await asyncio.gather(self.report.initialize(), self.ours.start())

    async def close(self) -> None:
        await asyncio.gather(self.report.close(), self.ours.close(), self.server.aclose())

    async def trips(self) -> tuple[Trip, ...]:
        """Store each of VALUES and read it again."""
        found = []
        for kind, value in VALUES.items():
            key = f"trip:{kind}"
            is_stored = await self.report.set(key, value)
            came = await self.report.get(key)
            found.append(_trip("sprint11", kind, value, is_stored, came))
            is_stored = await self.ours.set(key, value)
            came = await self.ours.get(key, _MISSING)
            found.append(_trip("fluxlab", kind, value, is_stored, came))
        return tuple(found)

    async def absent(self, source: Source) -> tuple[Absent, ...]:
        """Read a row that is not there, and a null, a few times each."""
        rows = await source.open(1)
        plain = partial(_answer, None)
        report_with_nulls = Sprint11(self.report.url, missing_is_undefined=False)
        await report_with_nulls.initialize()
        missing = partial(rows.read, "nobody-00000")
        found = (
            await _absent("sprint11", "missing row", self.report, missing),
            await _absent("fluxlab", "missing row", self.ours, missing),
            await _absent("sprint11", "null", report_with_nulls, plain),
            await _absent("fluxlab", "null", self.ours, plain),
        )
        await report_with_nulls.close()
        await rows.close()
        return found

    async def counted(self) -> tuple[Counted, ...]:
        """Read some values through the report's counter of hits and through ours."""
        found = []
        values: tuple[object, ...] = ("Ann", 7, 0, False, [], None)
        for number, value in enumerate(values):
            counter, load = HitCounter(), partial(_answer, value)
            hits = 0
            for _ in range(10):
                await get_cached_data(self.report, f"count:{number}", load, counter)
                answer = await self.ours.read(f"count:{number}", load)
                hits += answer.outcome == "hit"
            found.append(Counted(repr(value), 10, counter.hits, hits))
        return tuple(found)

    async def endless(self, names: int) -> int:
        """Return after how many turns we stopped a loop that does not end; 0 if it did."""
        turns = 50
        for number in range(names):
            await self.report.set(f"token:{number:05d}", number)
        _, has_ended = await self.report.get_all_keys("token:*", most_turns=turns)
        return 0 if has_ended else turns

    async def zero_ttl_is_swallowed(self) -> bool:
        """Whether a lifetime of 0 ends in False and no word."""
        return not await self.report.set("zero", 1, 0)

    async def sizes(self, plan: DetailPlan) -> tuple[SizeCost, ...]:
        """Store and read texts of growing size."""
        caches: tuple[tuple[LayerName, Sprint11 | Cache], ...] = (
            ("sprint11", self.report),
            ("fluxlab", self.ours),
        )
        return tuple(
            [
                await _size(name, cache, size, plan.repetitions)
                for size in plan.sizes_bytes
                for name, cache in caches
            ]
        )

    async def pattern(self, count: int, plan: DetailPlan) -> PatternCost:
        """Forget one user's keys among so many names that are nobody's business."""
        await self._fill(count)
        user = f"pattern-{count:07d}"
        keys = [
            build_key.user(user),
            build_key.user_projects(user),
            build_key.user_teams(user),
        ]

        async def store(cache: Sprint11 | Cache) -> None:
            for key in keys:
                await cache.set(key, {"id": user})

        by_keys, waits_keys = await self._timed(
            partial(store, self.report), lambda: self.report.invalidate.user(user), plan
        )
        touch = Touch(tags=(build_key.user(user),))
        by_version, _ = await self._timed(
            partial(store, self.ours), lambda: self.ours.forget(touch), plan
        )
        by_scan, waits_scan = await self._timed(
            partial(store, self.ours),
            lambda: self.ours.delete_pattern(f"user:{user}*"),
            plan,
        )
        return PatternCost(count, by_keys, by_version, by_scan, waits_keys, waits_scan)

    async def _fill(self, count: int) -> None:
        await self.server.flushdb()
        for start in range(0, count, 2_000):
            names = range(start, min(start + 2_000, count))
            await self.server.mset({f"session:{one:08d}": b"x" for one in names})

    async def _timed(
        self,
        prepare: Callable[[], Awaitable[object]],
        act: Callable[[], Awaitable[object]],
        plan: DetailPlan,
    ) -> tuple[float, float]:
        """Return the median of an act in ms, and the longest wait of a GET meanwhile."""
        took_ms, waits_ms = [], [0.0]
        for _ in range(plan.repetitions):
            await prepare()
            is_over = asyncio.Event()
            watching = asyncio.create_task(self._watch(waits_ms, is_over))
            await asyncio.sleep(0.005)
            begun = time.perf_counter()
            await act()
            took_ms.append((time.perf_counter() - begun) * 1000)
            is_over.set()
            await watching
        return statistics.median(took_ms), max(waits_ms)

    async def _watch(self, waits_ms: list[float], is_over: asyncio.Event) -> None:
        # Not cancelled but told to stop: a client that is cancelled drops its connection.
        while not is_over.is_set():
            begun = time.perf_counter()
            await self.server.get("session:00000000")
            waits_ms.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(0.0005)


async def _answer(value: object) -> object:
    return value


def _trip(name: LayerName, kind: str, given: object, is_stored: bool, came: object) -> Trip:
    if not is_stored or came is _MISSING:
        return Trip(name, kind, _shown(given), is_stored, "", "", False)
    is_same = type(came) is type(given) and repr(came) == repr(given)
    return Trip(name, kind, _shown(given), True, _shown(came), type(came).__name__, is_same)


def _shown(value: object) -> str:
    text = repr(sorted(value) if isinstance(value, set) else value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


async def _absent(
    name: LayerName, what: Nothing, layer: Layer, load: Callable[[], Awaitable[object]]
) -> Absent:
    loads, answers = 0, []

    async def counting() -> object:
        nonlocal loads
        loads += 1
        return await load()

    for _ in range(3):
        answer = await layer.read(f"absent:{what}", counting)
        answers.append(repr(answer.value))
        await asyncio.sleep(0.02)  # a fill may be on its way still
    return Absent(name, what, 3, loads, tuple(answers))


async def _size(
    name: LayerName, cache: Sprint11 | Cache, size_bytes: int, repetitions: int
) -> SizeCost:
    # Text without repetition, because our layer compresses.
    noise = random.Random(11).randbytes(size_bytes * 3 // 4)
    value = {"id": size_bytes, "body": b64encode(noise).decode()}
    set_ms, get_ms, is_stored = [], [], True
    for _ in range(repetitions):
        begun = time.perf_counter()
        is_stored = await cache.set("size", value, 60) and is_stored
        middle = time.perf_counter()
        is_stored = await cache.get("size") is not None and is_stored
        set_ms.append((middle - begun) * 1000)
        get_ms.append((time.perf_counter() - middle) * 1000)
        await cache.delete("size")
    if not is_stored:
        return SizeCost(name, size_bytes, False, 0.0, 0.0)
    return SizeCost(
        name, size_bytes, True, statistics.median(set_ms), statistics.median(get_ms)
    )
