"""Do readers get what was forgotten? A race, a crowd, and a writer that dies."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from fluxlab.caching.experiments.bench import (
    CACHES,
    identity,
    key_of,
    make_layer,
    start_layer,
    touch_of,
    version_in,
)
from fluxlab.caching.experiments.found import (
    Crash,
    Race,
    Scenario,
    StaleReads,
    Together,
    Way,
)
from fluxlab.caching.experiments.process import Helper
from fluxlab.caching.experiments.rows import Rows, Source
from fluxlab.caching.layer import Answer, Layer
from fluxlab.caching.options import Options
from fluxlab.caching.results import LayerName

#: When the write is committed, as shares of the load that it races.
OFFSETS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3)
SCENARIOS: tuple[Scenario, ...] = ("nobody between", "a reader between")
CRASHES: tuple[tuple[LayerName, Way], ...] = (
    ("sprint11", "forget after commit"),
    ("fluxlab", "forget after commit"),
    ("fluxlab", "writing barrier"),
)

_CONNECTIONS = 24
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class StalePlan:
    """How long and how often; times in seconds."""

    trials: int = 5
    load_s: float = 0.06
    ttl_s: float = 0.5
    together_s: float = 1.5
    readers: int = 8
    writers: int = 2
    crash_ttl_s: float = 1.5
    barrier_s: float = 0.8
    crashed_keys: int = 5


async def stale_reads(url: str, source: Source, plan: StalePlan) -> StaleReads:
    """Run the first experiment on a server of the Redis protocol."""
    source.create(_identities(plan))
    rows = await source.open(_CONNECTIONS)
    try:
        races = [one for name in CACHES for one in await _races(name, url, rows, plan)]
        names: tuple[LayerName, ...] = ("none", *CACHES)
        together = [await _together(name, url, rows, plan) for name in names]
        crashes = await _crashes(url, source, rows, plan)
    finally:
        await rows.close()
    return StaleReads(
        load_s=plan.load_s,
        ttl_s=plan.ttl_s,
        crash_ttl_s=plan.crash_ttl_s,
        barrier_s=plan.barrier_s,
        database=source.name,
        races=tuple(races),
        together=tuple(together),
        crashes=tuple(crashes),
    )


def _identities(plan: StalePlan) -> list[str]:
    races = len(CACHES) * len(SCENARIOS) * len(OFFSETS) * plan.trials
    crashes = len(CRASHES) * plan.crashed_keys
    return [
        *(identity("race", number) for number in range(races)),
        *(identity("crash", number) for number in range(crashes)),
        *(identity(f"crowd.{name}", 0) for name in ("none", *CACHES)),
    ]


async def _races(name: LayerName, url: str, rows: Rows, plan: StalePlan) -> list[Race]:
    reader, writer = make_layer(name, url), make_layer(name, url)
    await asyncio.gather(start_layer(reader), start_layer(writer))
    first = CACHES.index(name) * len(SCENARIOS) * len(OFFSETS) * plan.trials
    numbers = iter(range(first, first + len(SCENARIOS) * len(OFFSETS) * plan.trials))
    cases: list[tuple[Scenario, float]] = []
    running = []
    # One round after the other, so that no load waits for a connection; what a round
    # leaves stale is watched while the next ones run.
    for turn in range(len(SCENARIOS) * plan.trials):
        for offset in OFFSETS:
            scenario = SCENARIOS[turn % len(SCENARIOS)]
            race = _OneRace(reader, writer, rows, identity("race", next(numbers)), plan)
            cases.append((scenario, offset))
            running.append(race.run(scenario, offset, turn * 2.5 * plan.load_s))
    found = await asyncio.gather(*running)
    await asyncio.gather(reader.close(), writer.close())
    return [
        _judged(name, scenario, offset, mine)
        for scenario in SCENARIOS
        for offset in OFFSETS
        if (
            mine := [
                lasted
                for case, lasted in zip(cases, found, strict=True)
                if case == (scenario, offset)
            ]
        )
    ]


def _judged(
    name: LayerName, scenario: Scenario, offset: float, lasted: list[float | None]
) -> Race:
    stale = [one for one in lasted if one is not None]
    return Race(name, scenario, offset, len(lasted), len(stale), max(stale, default=0.0))


class _OneRace:
    """One reader whose load a write overtakes, and those who read after it."""

    def __init__(
        self, reader: Layer, writer: Layer, rows: Rows, identity: str, plan: StalePlan
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._rows = rows
        self._identity = identity
        self._plan = plan

    async def run(self, scenario: Scenario, offset: float, wait_s: float) -> float | None:
        """Return when the last stale read began, after the forgetting; None without."""
        await asyncio.sleep(wait_s)
        first = asyncio.create_task(self._read(self._plan.load_s))
        await asyncio.sleep(offset * self._plan.load_s)
        version = await self._rows.write(self._identity)
        await self._writer.forget(touch_of(self._identity))
        forgotten, last = time.monotonic(), None
        if scenario == "a reader between":
            begun = time.monotonic()
            if version_in((await self._read(self._plan.load_s)).value) < version:
                last = begun - forgotten
        await first
        await asyncio.sleep(_POLL_S)  # a fill may be on its way still
        ends = time.monotonic() + 2 * self._plan.ttl_s + 1
        while (begun := time.monotonic()) < ends:
            if version_in((await self._read(0)).value) >= version:
                return last
            last = begun - forgotten
            await asyncio.sleep(_POLL_S)
        return last

    async def _read(self, load_s: float) -> Answer:
        load = partial(self._rows.read, self._identity, load_s)
        return await self._reader.read(key_of(self._identity), load, self._plan.ttl_s)


@dataclass(slots=True)
class _Checker:
    """Which versions had been forgotten when, and which reads were older than that."""

    forgotten: dict[int, float] = field(default_factory=dict)
    floor: int = 1
    outcomes: list[str] = field(default_factory=list)
    stale: int = 0
    stale_writes: set[int] = field(default_factory=set)
    longest_s: float = 0.0

    def forget(self, version: int) -> None:
        self.forgotten[version] = time.monotonic()
        self.floor = max(self.floor, version)

    def judge(self, answer: Answer, begun: float, floor: int) -> None:
        self.outcomes.append(answer.outcome)
        version = version_in(answer.value)
        if version >= floor:
            return
        missed = {
            one: at
            for one, at in self.forgotten.items()
            if version < one <= floor and at <= begun
        }
        self.stale += 1
        self.stale_writes |= missed.keys()
        self.longest_s = max(self.longest_s, begun - min(missed.values()))


async def _together(name: LayerName, url: str, rows: Rows, plan: StalePlan) -> Together:
    reader, writer = make_layer(name, url), make_layer(name, url)
    await asyncio.gather(start_layer(reader), start_layer(writer))
    one, checker, chance = identity(f"crowd.{name}", 0), _Checker(), random.Random(11)
    ends = time.monotonic() + plan.together_s

    async def reads() -> None:
        while time.monotonic() < ends:
            floor, begun = checker.floor, time.monotonic()
            load = partial(rows.read, one, plan.load_s / 6)
            answer = await reader.read(key_of(one), load, plan.ttl_s)
            checker.judge(answer, begun, floor)
            await asyncio.sleep(chance.uniform(0, 0.004))

    async def writes() -> None:
        while time.monotonic() < ends:
            await asyncio.sleep(chance.expovariate(1 / 0.04))
            version = await rows.write(one)
            await writer.forget(touch_of(one))
            checker.forget(version)

    begun = time.monotonic()
    await asyncio.gather(
        *(reads() for _ in range(plan.readers)), *(writes() for _ in range(plan.writers))
    )
    seconds = time.monotonic() - begun
    await asyncio.gather(reader.close(), writer.close())
    outcomes = checker.outcomes
    return Together(
        layer=name,
        readers=plan.readers,
        writers=plan.writers,
        seconds=seconds,
        reads=len(outcomes),
        hits=outcomes.count("hit"),
        joined=outcomes.count("joined"),
        misses=outcomes.count("miss"),
        bypassed=outcomes.count("bypass"),
        writes=len(checker.forgotten),
        stale=checker.stale,
        stale_writes=len(checker.stale_writes),
        longest_s=checker.longest_s,
    )


async def _crashes(url: str, source: Source, rows: Rows, plan: StalePlan) -> list[Crash]:
    helpers = [await Helper.start() for _ in CRASHES]
    options = replace(Options(), barrier_s=plan.barrier_s)
    try:
        await asyncio.gather(
            *(
                helper.ask(
                    "open",
                    source=asdict(source),
                    connections=1,
                    layers=[name],
                    url=url,
                    options=asdict(options),
                )
                for helper, (name, _) in zip(helpers, CRASHES, strict=True)
            )
        )
        watched = [
            _watched(helper, case, url, rows, plan)
            for helper, case in zip(helpers, enumerate(CRASHES), strict=True)
        ]
        return list(await asyncio.gather(*watched))
    finally:
        await asyncio.gather(*(helper.end() for helper in helpers))


Seen = tuple[str, float, Answer]


async def _watched(
    helper: Helper,
    case: tuple[int, tuple[LayerName, Way]],
    url: str,
    rows: Rows,
    plan: StalePlan,
) -> Crash:
    number, (name, way) = case
    layer = make_layer(name, url)
    await start_layer(layer)
    first = number * plan.crashed_keys
    names = [identity("crash", first + one) for one in range(plan.crashed_keys)]
    seen: list[Seen] = []

    async def look(one: str) -> None:
        begun = time.monotonic()
        load = partial(rows.read, one)
        answer = await layer.read(key_of(one), load, plan.crash_ttl_s)
        seen.append((one, begun, answer))

    for one in names:
        await look(one)
    await asyncio.sleep(_POLL_S)
    died = await helper.ask("crash", identities=names, has_barrier=way == "writing barrier")
    committed = float(died["committed"])
    while time.monotonic() < committed + plan.crash_ttl_s * 1.2:
        await asyncio.gather(*(look(one) for one in names))
        await asyncio.sleep(_POLL_S)
    await layer.close()
    return _crash(name, way, [one for one in seen if one[1] > committed], committed)


def _crash(name: LayerName, way: Way, seen: list[Seen], committed: float) -> Crash:
    stale = [one for one in seen if version_in(one[2].value) < 2]
    hits = [
        begun - committed
        for _, begun, answer in seen
        if answer.outcome == "hit" and version_in(answer.value) >= 2
    ]
    return Crash(
        layer=name,
        way=way,
        trials=len({one for one, _, _ in seen}),
        reads=len(seen),
        stale=len(stale),
        stale_keys=len({one for one, _, _ in stale}),
        longest_s=max((begun - committed for _, begun, _ in stale), default=0.0),
        hits_again_s=min(hits, default=None),
    )
