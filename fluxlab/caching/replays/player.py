"""Play events against a layer on a real database, and count what happens to each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import psycopg

from fluxlab.caching.layer import Layer, Touch
from fluxlab.caching.replays.checker import Checker
from fluxlab.caching.replays.mix import Ask, Mix
from fluxlab.caching.replays.pool import Pool
from fluxlab.caching.replays.rates import names_of, touched_names
from fluxlab.caching.replays.scenes import Scene, Stage
from fluxlab.caching.replays.traffic import Event
from fluxlab.caching.results import Latency

#: Sleeping is exact to a millisecond or so; what is due by then begins now.
_DUE_S = 0.001


@dataclass(slots=True)
class Tally:
    """What happened to the reads of one pattern."""

    outcomes: Counter[str] = field(default_factory=Counter)
    loads: int = 0
    load_ms: float = 0.0
    invalidations: int = 0
    keys: set[str] = field(default_factory=set)


class Player:
    """Plays events and keeps counts. `compression` shortens lifetimes and pauses alike.

    The share `check_share` of hits is checked.
    """

    def __init__(
        self,
        mix: Mix,
        stage: Stage,
        layer: Layer,
        pool: Pool,
        checker: Checker,
        compression: float,
        check_share: float,
    ) -> None:
        self.tallies: dict[str, Tally] = {}
        self.reads_s: list[float] = []
        self.writes_s: list[float] = []
        self.errors: Counter[str] = Counter()
        self._mix = mix
        self._stage = stage
        self._layer = layer
        self._pool = pool
        self._checker = checker
        self._compression = compression
        self._check_share = check_share
        #: Which keys that were read depend on a name.
        self._readers: dict[str, set[tuple[str, str]]] = {}

    async def open(self, events: Iterable[Event], window_s: float) -> None:
        """Begin each event at its time, whether or not those before it have ended."""
        start = time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        for event in events:
            due = start + event.at_s / self._compression
            if due - start >= window_s:
                break
            wait_s = due - time.perf_counter()
            if wait_s > _DUE_S:
                await asyncio.sleep(wait_s)
            elif len(tasks) % 16 == 0:
                await asyncio.sleep(0)
            task = asyncio.get_running_loop().create_task(self._play(event, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.gather(*tasks)

    async def closed(self, seats: Sequence[Iterable[Event]], window_s: float) -> None:
        """Let each user begin the next event when the last has ended, after a pause."""
        end = time.perf_counter() + window_s

        async def sit(events: Iterable[Event]) -> None:
            for event in events:
                due = time.perf_counter() + event.at_s / self._compression
                if due >= end:
                    return
                await asyncio.sleep(due - time.perf_counter())
                await self._play(event, due)

        await asyncio.gather(*(sit(events) for events in seats))

    async def _play(self, event: Event, due: float) -> None:
        ask = self._mix.asks[event.ask]
        try:
            if ask.write is not None:
                await self._write(ask, ask.write.touch(self._stage, event.scene), event)
            elif ask.resource is not None:
                await self._read(ask, event.scene)
            else:
                (values,) = ask.values(self._stage, event.scene)
                await self._pool.fetch(ask.query, values)
        except psycopg.Error as error:
            self.errors[f"{ask.query.name}: {type(error).__name__}"] += 1
        taken_s = time.perf_counter() - due
        (self.writes_s if ask.write else self.reads_s).append(taken_s)

    async def _read(self, ask: Ask, scene: Scene) -> None:
        assert ask.resource is not None
        pattern = ask.resource.pattern
        tally = self.tallies.setdefault(pattern.text, Tally())
        key = ask.key(self._stage, scene)
        (values,) = ask.values(self._stage, scene)
        self._know(pattern.text, key, tally)

        async def load() -> object:
            tally.loads += 1
            rows, took_ms = await self._pool.fetch(ask.query, values)
            tally.load_ms += took_ms
            return rows

        begun = time.perf_counter()
        ttl_s = float(pattern.ttl) / self._compression
        answer = await self._layer.read(key, load, ttl_s)
        tally.outcomes[answer.outcome] += 1
        if answer.outcome == "hit" and scene.chance(11) < self._check_share:
            self._checker.check(pattern.text, key, answer.value, begun, ask.query, values)

    def _know(self, pattern: str, key: str, tally: Tally) -> None:
        if key not in tally.keys:
            tally.keys.add(key)
            for name in names_of(key, "fluxlab"):
                self._readers.setdefault(name, set()).add((pattern, key))

    async def _write(self, ask: Ask, touch: Touch, event: Event) -> None:
        statements = list(
            zip(ask.queries, ask.values(self._stage, event.scene), strict=True)
        )
        self._checker.under_way.begin(touch)
        try:
            await self._pool.write(statements)
            await self._layer.forget(touch)
        finally:
            self._checker.under_way.end(touch)
        touched = {
            reader
            for name in touched_names(touch, "fluxlab")
            for reader in self._readers.get(name, ())
        }
        for pattern, _ in touched:
            self.tallies[pattern].invalidations += 1


def latency_of(times_s: Sequence[float]) -> Latency:
    """Return the percentiles of times; zeros where there are none."""
    if not times_s:
        return Latency(0.0, 0.0, 0.0, 0.0)
    p50, p95, p99, most = np.percentile(times_s, [50, 95, 99, 100]) * 1_000
    return Latency(float(p50), float(p95), float(p99), float(most))
