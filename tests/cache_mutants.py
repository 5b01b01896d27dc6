"""Mutants of the cache: each breaks one promise, and a property must notice.

A mutant is applied inside a client's process (`cache_client`) and taken away again when
the next cache is opened there. `kills` names the property that fails, `breaks` says how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from fluxlab.caching import entries, forgetting
from fluxlab.caching.breaker import Node
from fluxlab.caching.codec import decode
from fluxlab.caching.entries import Entries, Found, Lease
from fluxlab.caching.flights import Flights, timed
from fluxlab.caching.forgetting import Debts, Forgetter
from fluxlab.caching.invalidation import Writing
from fluxlab.caching.loading import Loading
from fluxlab.caching.scripts import Script
from fluxlab.caching.stats import Counts
from fluxlab.caching.wire import Wire, _Session

#: Of an envelope: a format, a count, and so many versions with their epoch.
_VERSION_BYTES = 17


@dataclass(frozen=True, slots=True)
class Mutant:
    """One line of the cache, changed for the worse."""

    kills: str
    breaks: str
    patches: Callable[[], list[Any]]

    def apply(self, stack: ExitStack) -> None:
        """Mutate this process until the stack is closed."""
        for one in self.patches():
            stack.enter_context(one)


def _no_version_check() -> list[Any]:
    judge = Entries._judge

    def any_entry(self: Any, names: Any, entry: Any, versions: Any) -> Found:
        found = judge(self, names, entry, versions)
        if entry is None or found.vector is None:
            return found
        return Found(found.vector, True, decode(entry[2 + _VERSION_BYTES * entry[1] :]))

    return [patch.object(Entries, "_judge", any_entry)]


class _ByKey(dict[Any, Any]):
    """Flights that forget under which versions they load."""

    def __getitem__(self, name: Any) -> Any:
        return super().__getitem__(name[0])

    def __setitem__(self, name: Any, flight: Any) -> None:
        super().__setitem__(name[0], flight)

    def __delitem__(self, name: Any) -> None:
        super().__delitem__(name[0])

    def get(self, name: Any, default: Any = None) -> Any:
        return super().get(name[0], default)


def _joins_by_key() -> list[Any]:
    make = Flights.__init__

    def other(self: Any, max_loads: int) -> None:
        make(self, max_loads)
        self.by_key = _ByKey()

    return [patch.object(Flights, "__init__", other)]


def _versions_after_load() -> list[Any]:
    async def fill(
        self: Any, names: Any, vector: Any, token: Any, value: Any, ttl_s: Any
    ) -> None:
        await self.release(names, vector, token)
        now = (await self.prepare(names)).vector
        if now is not None:
            body = self.encoded(names, value)
            await self.put(names, now, body, self.life_ms(names, value, ttl_s))

    return [patch.object(Entries, "fill", fill)]


def _fills_anyway() -> list[Any]:
    text = (
        "redis.call('DEL', KEYS[2]) redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])"
        " return 1"
    )
    return [patch.object(entries, "FILL", Script(text, keys=3))]


def _first_writer_clears() -> list[Any]:
    text = "redis.call('DEL', KEYS[1]) return redis.call('UNLINK', KEYS[2])"
    return [patch.object(forgetting, "FORGET", Script(text, keys=2))]


def _no_barrier() -> list[Any]:
    async def raised(self: Any) -> bool:
        return True

    return [patch.object(Writing, "_raise", raised)]


def _no_debts() -> list[Any]:
    return [patch.object(Debts, "add", lambda self, debts: None)]


def _reads_though_owed() -> list[Any]:
    return [patch.object(Entries, "is_past", lambda self, names: False)]


def _closes_before_paying() -> list[Any]:
    async def settle(self: Any, node: Any) -> bool:
        return True

    return [patch.object(Forgetter, "settle", settle)]


def _shares_begun_loads() -> list[Any]:
    async def take_turn(self: Any, names: Any, load: Any) -> object:
        turn = asyncio.get_running_loop().create_future()
        self._queued[names.key] = turn
        try:
            value = await timed(names, load)
        finally:
            self._leave_queue(names.key, turn)
        turn.set_result(value)
        return value

    return [patch.object(Flights, "_take_turn", take_turn)]


def _error_leaks() -> list[Any]:
    async def find(self: Any, names: Any) -> Found:
        entry, *versions = await self.transport.fetch(names)
        found: Found = self._judge(names, entry, versions)
        return found

    return [patch.object(Entries, "find", find)]


def _keeps_errors() -> list[Any]:
    return [patch.object(Loading, "_leave", lambda self, flight, names, vector: None)]


def _keeps_errors_a_moment() -> list[Any]:
    leave = Loading._leave

    def late(self: Any, flight: Any, names: Any, vector: Any) -> None:
        if flight.landed.done():
            leave(self, flight, names, vector)

    return [patch.object(Loading, "_leave", late)]


def _asks_though_open() -> list[Any]:
    return [patch.object(Node, "call", Node.ask)]


def _no_deadline() -> list[Any]:
    make = Wire.__init__

    def patient(self: Any, address: Any, deadline_s: float) -> None:
        make(self, address, 1.5)

    return [patch.object(Wire, "__init__", patient)]


def _no_lease() -> list[Any]:
    lease = Entries.lease

    async def granted(self: Any, names: Any, vector: Any, token: bytes) -> Lease:
        await self.transport.run(names.entry, [("DEL", names.lease(vector))])
        return await lease(self, names, vector, token)

    return [patch.object(Entries, "lease", granted)]


def _one_token() -> list[Any]:
    lease, release = Entries.lease, Entries.release

    async def same(self: Any, names: Any, vector: Any, token: bytes) -> Lease:
        return await lease(self, names, vector, b"everyone")

    async def freed(self: Any, names: Any, vector: Any, token: bytes) -> None:
        await release(self, names, vector, b"everyone")

    return [patch.object(Entries, "lease", same), patch.object(Entries, "release", freed)]


def _drops_cancelled() -> list[Any]:
    receive = _Session.data_received

    def received(self: Any, data: bytes) -> None:
        while self.sent and self.sent[0][0].cancelled():
            self.sent.popleft()
        receive(self, data)

    return [patch.object(_Session, "data_received", received)]


def _forgets_joins() -> list[Any]:
    nothing = property(lambda self: 0, lambda self, value: None)
    return [patch.object(Counts, "joined", nothing)]


def _counts_late_flights() -> list[Any]:
    def land(self: Any, flight: Any, names: Any, found: Found) -> None:
        names.counts.misses -= 1
        names.counts.joined += 1
        flight.outcome = "joined"
        flight.land(found.value)

    return [patch.object(Loading, "_land_from_afar", land)]


def _leaves_probe() -> list[Any]:
    async def close(self: Any) -> None:
        self.is_open = True
        self.wire.close()

    return [patch.object(Node, "close", close)]


def _leaves_connection() -> list[Any]:
    return [patch.object(Wire, "close", lambda self: None)]


def _lives_half() -> list[Any]:
    life_ms = Entries.life_ms

    def half(self: Any, names: Any, value: Any, ttl_s: Any) -> int:
        return life_ms(self, names, value, ttl_s) // 2

    return [patch.object(Entries, "life_ms", half)]


MUTANTS = {
    "no version check": Mutant(
        "P1", "an entry answers whatever it was loaded under", _no_version_check
    ),
    "joins by key": Mutant(
        "P1",
        "a read joins a load that began before an invalidation",
        _joins_by_key,
    ),
    "versions after the load": Mutant(
        "P2", "a fill carries the versions of its end", _versions_after_load
    ),
    "first writer clears": Mutant(
        "P1", "the barrier goes with the first of two writers", _first_writer_clears
    ),
    "shares begun loads": Mutant(
        "P1", "past the cache a read shares a load under way", _shares_begun_loads
    ),
    "no barrier": Mutant(
        "P2", "a writer that dies after its commit leaves stale entries", _no_barrier
    ),
    "no debts": Mutant(
        "P2", "an invalidation that was not told is forgotten itself", _no_debts
    ),
    "error leaks": Mutant(
        "P3", "a read raises what the server's absence raises", _error_leaks
    ),
    "keeps errors": Mutant(
        "P3",
        "a loader's error reaches who came after it",
        _keeps_errors,
    ),
    "keeps errors for a moment": Mutant(
        "P3", "a failed load is joined until its lease is back", _keeps_errors_a_moment
    ),
    "asks though open": Mutant(
        "P4", "a request tries the server that is known to be away", _asks_though_open
    ),
    "no deadline": Mutant("P4", "a read waits for a server that hangs", _no_deadline),
    "no lease": Mutant("P5", "every process loads", _no_lease),
    "one token": Mutant(
        "P5", "who was too slow takes the next one's lease away", _one_token
    ),
    "fills anyway": Mutant(
        "P5", "a fill that is dead overwrites one that lives", _fills_anyway
    ),
    "drops cancelled": Mutant(
        "P7", "a request that is given up loses its place in the queue", _drops_cancelled
    ),
    "forgets joins": Mutant("P8", "a read that joins is not counted", _forgets_joins),
    "counts late flights": Mutant(
        "P8", "a load that no read was counted for is counted back", _counts_late_flights
    ),
    "leaves the probe": Mutant("P9", "the probe outlives the cache", _leaves_probe),
    "leaves the connection": Mutant(
        "P9", "the connection outlives the cache", _leaves_connection
    ),
    "reads though owed": Mutant(
        "P1", "what is owed is read from the cache", _reads_though_owed
    ),
    "closes before paying": Mutant(
        "P10", "the breaker closes before the debts are paid", _closes_before_paying
    ),
    "lives half": Mutant("P11", "an entry lives half as long as it was given", _lives_half),
}
