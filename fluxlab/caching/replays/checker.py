"""The checker: is what a hit returned what the database has committed?

It asks the database again, outside of all statistics, and compares. A hit is left
unchecked when a write that touches its key was under way between the begin of the read
and the end of the check, from before its commit until the cache was told: either answer
is right then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from fluxlab.caching.layer import Touch
from fluxlab.caching.replays.pool import Pool, Values
from fluxlab.caching.replays.rates import names_of, touched_names
from fluxlab.workload.query import Query

#: What a layer makes of a value that it stored, in the form in which hits return it.
AsSeen = Callable[[object], object]


@dataclass(slots=True)
class Checks:
    """Counters of one pattern."""

    checked: int = 0
    stale: int = 0
    left_out: int = 0


class UnderWay:
    """Which names a write is touching, or touched last, and when."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._active: dict[str, int] = {}
        self._ended: dict[str, float] = {}

    def begin(self, touch: Touch) -> None:
        """A transaction is about to begin."""
        for name in touched_names(touch, "fluxlab"):
            self._active[name] = self._active.get(name, 0) + 1

    def end(self, touch: Touch) -> None:
        """It is committed and the cache was told, or it is rolled back."""
        for name in touched_names(touch, "fluxlab"):
            self._active[name] -= 1
            self._ended[name] = self._clock()

    def since(self, key: str, begun: float) -> bool:
        """Whether a write to a key is under way, or was at any time since `begun`."""
        return any(
            self._active.get(name) or self._ended.get(name, float("-inf")) >= begun
            for name in names_of(key, "fluxlab")
        )


class Checker:
    """Checks hits in the background, each on an uncounted connection."""

    def __init__(self, pool: Pool, clock: Callable[[], float], as_seen: AsSeen) -> None:
        self.under_way = UnderWay(clock)
        self.stale_keys: list[str] = []
        self._pool = pool
        self._as_seen = as_seen
        self._counts: dict[str, Checks] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, pattern: str) -> Checks:
        """Return the counters of a pattern."""
        return self._counts.setdefault(pattern, Checks())

    def check(
        self,
        pattern: str,
        key: str,
        value: object,
        begun: float,
        query: Query,
        values: Values,
    ) -> None:
        """Compare a hit of a read that began at `begun`."""
        task = asyncio.get_running_loop().create_task(
            self._compare(self.of(pattern), key, value, begun, query, values)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for the checks that are under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _compare(
        self,
        counts: Checks,
        key: str,
        value: object,
        begun: float,
        query: Query,
        values: Values,
    ) -> None:
        if self.under_way.since(key, begun):
            counts.left_out += 1
            return
        fresh, _ = await self._pool.fetch(query, values)
        if self.under_way.since(key, begun):
            counts.left_out += 1
            return
        counts.checked += 1
        if canonical(value) != canonical(self._as_seen(fresh)):
            counts.stale += 1
            self.stale_keys.append(key)


def canonical(value: object) -> str:
    """Return a text that is equal for equal answers, in whatever order their rows come.

    The order of rows that SQL leaves open changes without a write, and so does the zone
    in which a time is given.

    >>> canonical([{"a": 1}, {"a": 2}]) == canonical([{"a": 2}, {"a": 1}])
    True
    """
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return "\n".join(sorted(_text(row) for row in value))
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, dict):
        items: Iterable[tuple[object, object]] = value.items()
        return (
            "{"
            + ",".join(
                f"{key}:{_text(one)}"
                for key, one in sorted(items, key=lambda item: str(item[0]))
            )
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ",".join(_text(one) for one in value) + "]"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    return repr(value)
