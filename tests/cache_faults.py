"""What every test of a fault counts: errors that leaked, stale reads, time added, recovery.

A `Model` is a database in this process, with versions in the order of their commits. A
`Fault` reads and writes through caches and keeps the books: a read is stale when its value
is older than the last version whose invalidation had completed before it began.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from fluxlab.caching.cache import Cache, Options
from fluxlab.caching.keys import build_key
from fluxlab.caching.layer import Answer, Outcome

#: For the tests: a deadline that busy cores keep, and probes that are soon there.
DEADLINE_S = 0.1
OPTIONS = Options(deadline_s=DEADLINE_S, probe_s=(0.03, 0.2), lease_s=2.0, barrier_s=1.5)
#: A read fetches, makes missing versions, fetches again and asks for a lease.
REQUESTS_OF_A_READ = 4
RECOVERY_S = 15.0
USERS = tuple(str(number) for number in range(8))


class LoaderFailed(Exception):  # noqa: N818 - said as an event
    """The application's own error, which has to reach it."""


class Model:
    """A database: every user has a version, and a load takes a while after it has read."""

    def __init__(self, load_s: float = 0.005) -> None:
        self.load_s = load_s
        self.committed: dict[str, int] = defaultdict(int)
        self.loads = 0

    def commit(self, user: str) -> int:
        self.committed[user] += 1
        return self.committed[user]

    async def load(self, user: str) -> list[object]:
        self.loads += 1
        row: list[object] = [user, self.committed[user]]
        await asyncio.sleep(self.load_s)
        return row


@dataclass
class Fault:
    """The books of one fault; `number` is that of the list of faults in research."""

    number: int
    what: str
    model: Model = field(default_factory=Model)
    reads: int = 0
    leaked: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    #: Reads that are older, as is documented for what another process is owed.
    within_limits: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=lambda: defaultdict(int))
    added_s: float = 0.0
    lag_s: float = 0.0
    has_recovered: bool | None = None
    _told: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _own: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))

    async def read(self, cache: Cache, user: str) -> Answer | None:
        """Read a user, and judge the answer."""
        clock = asyncio.get_running_loop().time
        told, own = self._told[user], self._own[id(cache), user]
        loading_s = 0.0

        async def load() -> object:
            nonlocal loading_s
            begun = clock()
            try:
                return await self.model.load(user)
            finally:
                loading_s += clock() - begun

        self.reads += 1
        begun = clock()
        try:
            answer = await cache.read(build_key.user(user), load)
        except Exception as error:
            self.leaked.append(repr(error))
            return None
        took_s = clock() - begun
        if answer.outcome == "joined" or (answer.outcome == "bypass" and not loading_s):
            loading_s = self.model.load_s  # somebody else's
        self.added_s = max(self.added_s, took_s - loading_s)
        self.outcomes[answer.outcome] += 1
        self._judge(answer, user, max(told, own))
        return answer

    def _judge(self, answer: Answer, user: str, least: int) -> None:
        value = answer.value
        if not isinstance(value, list) or len(value) != 2 or value[0] != user:
            self.stale.append(f"user {user} was answered {value!r}")
        elif value[1] < least:
            self.stale.append(
                f"user {user}: version {value[1]} after {least} ({answer.outcome})"
            )

    async def write(self, cache: Cache, user: str) -> bool:
        """Commit a new version and invalidate it; return whether the server was told."""
        version = self.model.commit(user)
        try:
            told = await cache.invalidate.user(user)
        except Exception as error:
            self.leaked.append(repr(error))
            return False
        self.done(cache, user, version, told)
        return told

    def done(self, cache: Cache, user: str, version: int, told: bool) -> None:
        """Note a completed invalidation; what is owed binds the one who owes it."""
        if told:
            self._told[user] = max(self._told[user], version)
        self._own[id(cache), user] = max(self._own[id(cache), user], version)

    def settled(self) -> None:
        """From now on what was owed binds everybody."""
        for (_, user), version in self._own.items():
            self._told[user] = max(self._told[user], version)

    @asynccontextmanager
    async def traffic(
        self, *caches: Cache, readers: int = 8, pause_s: float = 0.002, writes: bool = True
    ) -> AsyncIterator[None]:
        """Read and write all the time while the block lasts, by every cache."""
        is_over = False

        async def one(cache: Cache, seed: int) -> None:
            choose = random.Random(seed)
            while not is_over:
                user = choose.choice(USERS)
                if writes and seed == 0 and choose.random() < 0.3:
                    await self.write(cache, user)
                else:
                    await self.read(cache, user)
                await asyncio.sleep(pause_s)

        tasks = [
            asyncio.create_task(one(cache, seed))
            for cache in caches
            for seed in range(readers)
        ]
        try:
            yield
        finally:
            is_over = True
            await asyncio.wait_for(asyncio.gather(*tasks), RECOVERY_S)

    async def recovers(self, *caches: Cache) -> None:
        """Wait until every cache is healthy, owes nothing and answers with hits."""
        for cache in caches:
            await until(lambda c=cache: _is_healthy(c), "healthy again")  # type: ignore[misc]
        self.settled()
        for cache in caches:
            for user in USERS:
                await until(lambda c=cache, u=user: self._hits(c, u), "a hit")  # type: ignore[misc]
        self.has_recovered = True

    async def _hits(self, cache: Cache, user: str) -> bool:
        answer = await self.read(cache, user)
        return answer is not None and answer.outcome == "hit"

    def check(self) -> None:
        """Nothing leaked, nothing stale, and no read waited longer than its requests."""
        assert self.reads > 0
        assert self.leaked == []
        assert self.stale == []
        assert self.has_recovered is not False
        # Two cores are shared: what the loop itself was late is not the cache's.
        bound_s = REQUESTS_OF_A_READ * DEADLINE_S + 3 * self.lag_s + 0.2
        assert self.added_s < bound_s, f"{self.added_s:.3f} s were added"


FAULTS: list[Fault] = []


def play(
    number: int, what: str, scene: Callable[[Fault], Coroutine[Any, Any, None]]
) -> None:
    """Run a scene and judge it; nothing of it may be left on the loop."""
    fault = Fault(number, what)

    async def main() -> None:
        watch = asyncio.create_task(_watch_lag(fault))
        try:
            await asyncio.wait_for(scene(fault), 60)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"left on the loop: {left}"

    asyncio.run(main(), debug=False)
    FAULTS.append(fault)
    fault.check()


@contextmanager
def told(say: Callable[[str], None], where: str) -> Iterator[None]:
    """Say at the end what the faults of a module came to."""
    start = len(FAULTS)
    yield
    ours = FAULTS[start:]
    if not ours:
        return
    reads = sum(one.reads for one in ours)
    asked_back = [one for one in ours if one.has_recovered is not None]
    worst = max(ours, key=lambda one: one.added_s)
    say(
        f"Cache faults, {where}: {len(ours)} scenes of"
        f" {len({one.number for one in ours})} faults, {reads:,} reads:"
        f" {sum(len(one.leaked) for one in ours)} errors leaked,"
        f" {sum(len(one.stale) for one in ours)} stale"
        f" ({sum(one.within_limits for one in ours)} more within documented limits);"
        f" worst added latency {worst.added_s * 1_000:.0f} ms ({worst.what}),"
        f" deadline {DEADLINE_S * 1_000:.0f} ms;"
        f" hits came back in {sum(bool(one.has_recovered) for one in asked_back)}"
        f" of {len(asked_back)}."
    )


@asynccontextmanager
async def opened(url: str, count: int = 1, **how: Any) -> AsyncIterator[list[Cache]]:
    """So many caches in one namespace: to the server they are so many processes."""
    how.setdefault("options", OPTIONS)
    caches = [Cache.open(url, **how) for _ in range(count)]
    try:
        yield caches
    finally:
        for cache in caches:
            await cache.close()


async def until(
    is_true: Callable[[], Awaitable[bool] | bool], what: str, timeout_s: float = RECOVERY_S
) -> None:
    """Ask until the answer is yes."""
    clock = asyncio.get_running_loop().time
    end = clock() + timeout_s
    while True:
        answer = is_true()
        if answer if isinstance(answer, bool) else await answer:
            return
        if clock() > end:
            raise AssertionError(f"never: {what}")
        await asyncio.sleep(0.01)


async def open_breaker(fault: Fault, cache: Cache) -> None:
    """Read until the breaker is open."""
    for _ in range(10_000):
        if is_open(cache):
            return
        await fault.read(cache, random.choice(USERS))
    raise AssertionError("the breaker never opened")


async def costs_nothing(fault: Fault, cache: Cache, reads: int = 30) -> None:
    """While the breaker is open, no read waits for anything: not one deadline."""
    part = replace(fault, added_s=0.0, lag_s=0.0, outcomes=defaultdict(int))
    for at in range(reads):
        await part.read(cache, USERS[at % len(USERS)])
    assert part.leaked == [], part.leaked
    assert set(part.outcomes) == {"bypass"}
    assert part.added_s < DEADLINE_S + 3 * fault.lag_s
    fault.reads += reads


def is_open(cache: Cache) -> bool:
    """Whether a breaker of the cache is open, without asking the server."""
    return any(node.is_open for node in cache._transport.nodes)


async def in_thread(work: Callable[[], object]) -> None:
    """Do what blocks beside the loop."""
    await asyncio.get_running_loop().run_in_executor(None, work)


async def _is_healthy(cache: Cache) -> bool:
    health = await cache.health()
    return health.status == "healthy" and health.pending == 0


async def _watch_lag(fault: Fault) -> None:
    clock = asyncio.get_running_loop().time
    with suppress(asyncio.CancelledError):
        while True:
            begun = clock()
            await asyncio.sleep(0.01)
            fault.lag_s = max(fault.lag_s, clock() - begun - 0.01)
