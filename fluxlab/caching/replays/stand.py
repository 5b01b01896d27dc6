"""One replay on its servers: fill the layer with its past, play the window, count."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import redis.asyncio

from fluxlab.caching.experiments.bench import make_layer, start_layer
from fluxlab.caching.layer import Layer
from fluxlab.caching.options import Options
from fluxlab.caching.replays.checker import Checker
from fluxlab.caching.replays.mix import Ask, Mix
from fluxlab.caching.replays.past import Simulated, simulate
from fluxlab.caching.replays.player import Player, Tally, latency_of
from fluxlab.caching.replays.pool import Counted, Pool, Statements, Values
from fluxlab.caching.replays.population import Population
from fluxlab.caching.replays.resources import RESOURCES, Resource
from fluxlab.caching.replays.scenes import Scene, Stage
from fluxlab.caching.replays.sizes import mean_sizes
from fluxlab.caching.replays.traffic import Demand, Event
from fluxlab.caching.results import Arrivals, LayerName, Replay, ResourceCount
from fluxlab.caching.sprint11_values import from_text, to_text
from fluxlab.workload.query import Query

#: Ours shortens lifetimes by up to this share, so that they do not end together.
JITTER: Mapping[LayerName, float] = {"none": 0.0, "sprint11": 0.0, "fluxlab": 0.1}
_CONNECTIONS = 8
_CHECKERS = 2
#: Filling one entry takes about so long; those with little time left come last.
_FILL_S = 0.002


@dataclass(frozen=True, slots=True)
class Plan:
    """How to replay: `window_s` in our seconds, `past_s` in those of the application.

    `check_share` of the hits are compared with the database.
    """

    layer: LayerName
    arrivals: Arrivals
    demand: Demand
    compression: float
    window_s: float
    past_s: float
    seed: int
    check_share: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """What users do: in the past, and in the window: all together, or seat by seat."""

    past: Sequence[Event]
    window: Sequence[Event]
    seats: Sequence[Sequence[Event]]


class Stand:
    """One replay: its layer, its connections, its counts."""

    def __init__(
        self, url: str, conninfo: str, people: Population, mix: Mix, plan: Plan
    ) -> None:
        self._url = url
        self._conninfo = conninfo
        self._people = people
        self._mix = mix
        self._plan = plan
        self._simulated = Simulated({}, {})
        #: Keys that hits were stale of, and errors, for who looks for the reason.
        self.stale_keys: Sequence[str] = ()
        self.errors: Mapping[str, int] = {}

    async def run(self, drawn: Drawn) -> Replay:
        """Fill the layer with its past, play the window, read all counters."""
        plan = self._plan
        pool = await Pool.open(self._conninfo, _CONNECTIONS)
        uncounted = await Pool.open(self._conninfo, _CHECKERS, counted=False)
        layer = self._layer(JITTER[plan.layer])
        client = redis.asyncio.Redis.from_url(self._url)
        try:
            async with uncounted.take() as connection:
                statements = Statements(connection)
                await statements.prepare(self._examples())
            empty_bytes = await _memory(client)
            await start_layer(layer)
            if plan.layer != "none":
                self._simulated = simulate(
                    self._people,
                    self._mix,
                    (*drawn.past, *drawn.window),
                    plan.layer,
                    jitter=JITTER[plan.layer],
                    seed=plan.seed,
                )
                await self._fill(drawn, uncounted)
            checker = Checker(uncounted, time.perf_counter, self._as_seen)
            player = Player(
                self._mix,
                Stage(self._people),
                layer,
                pool,
                checker,
                plan.compression,
                plan.check_share,
            )
            await statements.reset()
            if plan.arrivals == "open":
                await player.open(drawn.window, plan.window_s)
            else:
                await player.closed(drawn.seats, plan.window_s)
            await checker.finish()
            counted = await statements.read()
            memory_bytes = max(0, await _memory(client) - empty_bytes)
            sizes = await mean_sizes(client, plan.layer)
        finally:
            await layer.close()
            await client.aclose()
            await pool.close()
            await uncounted.close()
        self.stale_keys, self.errors = checker.stale_keys, player.errors
        return self._result(player, checker, counted, memory_bytes, sizes)

    def _layer(self, jitter: float) -> Layer:
        return make_layer(self._plan.layer, self._url, Options(ttl_jitter=jitter))

    def _as_seen(self, value: object) -> object:
        """Return what a hit would return, were it right: the report's loses types."""
        return from_text(to_text(value)) if self._plan.layer == "sprint11" else value

    def _examples(self) -> Iterator[tuple[Query, Values]]:
        """Go through every Query with some parameters."""
        stage = Stage(self._people, is_open=False)
        scene = Scene(0, 0, 0, 0, draw=1 << 40)
        for ask in self._mix.asks:
            yield from zip(ask.queries, ask.values(stage, scene), strict=True)

    async def _fill(self, drawn: Drawn, pool: Pool) -> None:
        """Store what the past left and the window reads, with the life that it has left.

        The values are those of now, so what the report's cache would have kept of before
        a write is not in it: of its stale reads only those of the window are seen.
        """
        plan = self._plan
        left_s = self._simulated.left_s
        wanted = [
            (left_s[key], key, ask, values)
            for key, (ask, values) in self._reads_of(drawn).items()
            if key in left_s
        ]
        wanted.sort(key=lambda one: -one[0])
        begins = time.perf_counter() + 0.2 + _FILL_S * len(wanted)
        # A life that has been shortened once must not be shortened again.
        layer = self._layer(0.0)
        await start_layer(layer)

        async def store(queue: Iterator[tuple[float, str, Ask, Values]]) -> None:
            for life_s, key, ask, values in queue:
                query, given = ask.query, values

                async def load(query: Query = query, given: Values = given) -> object:
                    return (await pool.fetch(query, given))[0]

                wait_s = max(0.0, begins - time.perf_counter())
                await layer.read(key, load, life_s / plan.compression + wait_s)

        queue = iter(wanted)
        await asyncio.gather(*(store(queue) for _ in range(_CHECKERS)))
        await asyncio.sleep(max(0.0, begins - time.perf_counter()))
        await layer.close()

    def _reads_of(self, drawn: Drawn) -> dict[str, tuple[Ask, Values]]:
        """Return every key that is read in the window, with what loads it."""
        stage = Stage(self._people, is_open=False)
        found: dict[str, tuple[Ask, Values]] = {}
        events = (event for part in (drawn.window, *drawn.seats) for event in part)
        for event in events:
            ask = self._mix.asks[event.ask]
            if ask.resource is not None:
                key = ask.key(stage, event.scene)
                if key not in found:
                    (values,) = ask.values(stage, event.scene)
                    found[key] = ask, values
        return found

    def _result(
        self,
        player: Player,
        checker: Checker,
        counted: Counted,
        memory_bytes: int,
        sizes: Mapping[str, float],
    ) -> Replay:
        plan = self._plan
        cached = {one.query for one in RESOURCES.values()}
        resources = {
            pattern: _count(
                one,
                player.tallies.get(pattern, Tally()),
                checker,
                counted,
                sizes.get(pattern, 0.0),
                # Closed arrivals have no times before they are played.
                self._simulated.hit_rates.get(pattern) if plan.arrivals == "open" else None,
            )
            for pattern, one in RESOURCES.items()
        }
        return Replay(
            layer=plan.layer,
            arrivals=plan.arrivals,
            users=plan.demand.users,
            rate_per_s=plan.demand.rate_per_s,
            compression=plan.compression,
            window_s=plan.window_s,
            past_s=plan.past_s,
            seed=plan.seed,
            requests=len(player.reads_s) + len(player.writes_s),
            writes=len(player.writes_s),
            errors=sum(player.errors.values()),
            statements=sum(counted.calls.values()),
            database_ms=sum(counted.time_ms.values()),
            uncached_ms=sum(
                spent_ms for name, spent_ms in counted.time_ms.items() if name not in cached
            ),
            read_latency=latency_of(player.reads_s),
            write_latency=latency_of(player.writes_s),
            memory_bytes=memory_bytes,
            resources=resources,
        )


def _count(
    resource: Resource,
    tally: Tally,
    checker: Checker,
    counted: Counted,
    size_bytes: float,
    drawn_hit_rate: float | None,
) -> ResourceCount:
    outcomes: Counter[str] = tally.outcomes
    checks = checker.of(resource.pattern.text)
    return ResourceCount(
        pattern=resource.pattern.text,
        query=resource.query,
        ttl_s=float(resource.pattern.ttl),
        reads=outcomes.total(),
        hits=outcomes["hit"],
        joined=outcomes["joined"],
        misses=outcomes["miss"],
        bypassed=outcomes["bypass"],
        loads=tally.loads,
        load_ms=tally.load_ms,
        statements=counted.calls.get(resource.query, 0),
        invalidations=tally.invalidations,
        checked=checks.checked,
        stale=checks.stale,
        size_bytes=size_bytes,
        keys=len(tally.keys),
        drawn_hit_rate=drawn_hit_rate,
    )


async def _memory(client: redis.asyncio.Redis) -> int:
    facts = await client.info("memory")
    return int(facts["used_memory"])
