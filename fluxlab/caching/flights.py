"""Loads that several readers share.

Local flights are keyed by the key *and* the versions it is loaded under: a reader that
begins after an invalidation has other versions, and never joins a load that began before
it. Past the cache there are no versions to compare, so a reader may only share a load
that had not begun when it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from fluxlab.caching.layer import Answer, Load, Outcome
from fluxlab.caching.transport import Names

Vector = tuple[bytes, ...]
FlightKey = tuple[str, Vector]


class Flight:
    """One load under way: a task of its own, so that no caller's cancelling ends it."""

    def __init__(self, until: float) -> None:
        self.until = until  # on the loop's clock: after it others load as well
        self.outcome: Outcome = "miss"
        #: Whether a read waits that is counted as a miss for this flight.
        self.is_counted = False
        self.landed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        # Nobody may be left to hear of an error, and that is no error.
        self.landed.add_done_callback(_heard)

    def land(self, value: object) -> None:
        """Give the value to whoever waits."""
        if not self.landed.done():
            self.landed.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Give the loader's error to whoever waits."""
        if not self.landed.done():
            self.landed.set_exception(error)


def _heard(landed: asyncio.Future[object]) -> None:
    if not landed.cancelled():
        landed.exception()


class Flights:
    """The loads of this process."""

    def __init__(self, max_loads: int) -> None:
        self.by_key: dict[FlightKey, Flight] = {}
        self._tasks: dict[asyncio.Task[None], Flight] = {}
        self._max_loads = max_loads
        #: Past the cache: places for loaders by resource, and loads that wait for one.
        self._places: dict[int, asyncio.Semaphore] = {}
        self._queued: dict[str, asyncio.Future[object]] = {}

    def start(self, flight: Flight, work: Coroutine[object, object, None]) -> None:
        """Run what flies a flight until it ends or the cache is closed."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = flight
        task.add_done_callback(self._tasks.pop)

    async def past(self, names: Names, load: Load) -> Answer:
        """Load without storing; share a load that waits for its turn.

        So many loaders of a resource at most run at once: a cache that carried the load
        must not pass an outage on to the database.
        """
        names.counts.bypassed += 1
        while True:
            queued = self._queued.get(names.key)
            if queued is None:
                return Answer(await self._take_turn(names, load), "bypass")
            await asyncio.wait({queued})
            if not queued.cancelled():
                return Answer(queued.result(), "bypass")

    async def _take_turn(self, names: Names, load: Load) -> object:
        places = self._places.setdefault(
            id(names.counts), asyncio.Semaphore(self._max_loads)
        )
        if not places.locked():
            async with places:
                return await timed(names, load)
        turn: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        turn.add_done_callback(_heard)
        self._queued[names.key] = turn
        try:
            async with places:
                # From here on the load has begun, and later readers must not share it.
                self._leave_queue(names.key, turn)
                value = await timed(names, load)
        except asyncio.CancelledError:
            turn.cancel()
            raise
        except BaseException as error:
            turn.set_exception(error)
            raise
        finally:
            self._leave_queue(names.key, turn)
        turn.set_result(value)
        return value

    def _leave_queue(self, key: str, turn: asyncio.Future[object]) -> None:
        if self._queued.get(key) is turn:
            del self._queued[key]

    async def close(self, grace_s: float) -> None:
        """End every load; whoever waits for one loads by itself.

        What has landed is stored first, and its lease given back: the server's deadline
        bounds that.
        """
        landed = [task for task, flight in self._tasks.items() if flight.landed.done()]
        if landed:
            await asyncio.wait(landed, timeout=grace_s)
        for flight in self._tasks.values():
            flight.landed.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.by_key.clear()


async def timed(names: Names, load: Load) -> object:
    """Call the loader and count it."""
    clock = asyncio.get_running_loop().time
    names.counts.loads += 1
    begun = clock()
    try:
        return await load()
    finally:
        names.counts.load_s += clock() - begun
