"""A miss: one load per key and versions, in this process and in all of them."""

from __future__ import annotations

import asyncio
import random
import secrets

from fluxlab.caching.entries import Entries, Found
from fluxlab.caching.flights import Flight, Flights, Vector, timed
from fluxlab.caching.layer import Answer, Load
from fluxlab.caching.options import Options
from fluxlab.caching.transport import Names

#: Whoever waits for another process's load looks after so many seconds, then less often.
_LOOK_S = (0.004, 0.05)


class Loading:
    """Load what is missing: the first of this process flies, the others join it."""

    def __init__(self, entries: Entries, flights: Flights, options: Options) -> None:
        self._entries = entries
        self._flights = flights
        self._lease_s = options.lease_s

    async def load(
        self, names: Names, vector: Vector, load: Load, ttl_s: float | None
    ) -> Answer:
        """Return the value of a key that was missing under these versions.

        A loader that takes longer than the lease does not hold the others up: one of
        them loads as well, and whoever is first serves all.
        """
        clock = asyncio.get_running_loop().time
        flight = self._flights.by_key.get((names.key, vector))
        is_first = flight is None or flight.until <= clock()
        if flight is None or is_first:
            names.counts.misses += 1
            flight = self._start(names, vector, load, ttl_s)
            flight.is_counted = True
        else:
            names.counts.joined += 1
        boarded, is_mine = [flight], is_first
        while not any(one.landed.done() for one in boarded):
            rest_s = None if is_mine else max(0.0, boarded[-1].until - clock())
            landings = [one.landed for one in boarded]
            await asyncio.wait(
                landings, timeout=rest_s, return_when=asyncio.FIRST_COMPLETED
            )
            if rest_s is not None and boarded[-1].until <= clock():
                late = self._flights.by_key.get((names.key, vector))
                is_mine = late is None or late.until <= clock()
                if late is None or is_mine:
                    late = self._start(names, vector, load, ttl_s)
                boarded.append(late)
        done = next(one for one in boarded if one.landed.done())
        if is_first:  # its read is answered, as it is counted
            flight.is_counted = False
        if done.landed.cancelled():  # the cache was closed
            return Answer(await timed(names, load), "bypass")
        return Answer(done.landed.result(), flight.outcome if is_first else "joined")

    def _start(
        self, names: Names, vector: Vector, load: Load, ttl_s: float | None
    ) -> Flight:
        flight = Flight(asyncio.get_running_loop().time() + self._lease_s)
        self._flights.by_key[names.key, vector] = flight
        self._flights.start(flight, self._fly(flight, names, vector, load, ttl_s))
        return flight

    async def _fly(
        self,
        flight: Flight,
        names: Names,
        vector: Vector,
        load: Load,
        ttl_s: float | None,
    ) -> None:
        token = secrets.token_bytes(8)
        try:
            has_lease = await self._wait_for_lease(flight, names, vector, token)
            if flight.landed.done():  # another process brought it
                return
            try:
                value = await timed(names, load)
            except Exception as error:
                # Whoever comes from now on did not wait for this load: it is not joined.
                self._leave(flight, names, vector)
                flight.fail(error)
                if has_lease:
                    await self._entries.release(names, vector, token)
                return
            flight.land(value)
            if has_lease:
                await self._entries.fill(names, vector, token, value, ttl_s)
        finally:
            if not flight.landed.done():
                flight.landed.cancel()
            self._leave(flight, names, vector)

    def _leave(self, flight: Flight, names: Names, vector: Vector) -> None:
        if self._flights.by_key.get((names.key, vector)) is flight:
            del self._flights.by_key[names.key, vector]

    async def _wait_for_lease(
        self, flight: Flight, names: Names, vector: Vector, token: bytes
    ) -> bool:
        """Return whether this process holds the lease; land when another one loaded.

        When the server cannot say, or the versions have changed, or the holder takes
        longer than a lease, the load is ours, and is not stored.
        """
        wait_s, longest_s = _LOOK_S
        clock = asyncio.get_running_loop().time
        while True:
            lease = await self._entries.lease(names, vector, token)
            if lease.found.is_hit:
                self._land_from_afar(flight, names, lease.found)
                if lease.is_ours:
                    await self._entries.release(names, vector, token)
                return False
            if lease.is_ours:
                return True
            if lease.found.vector is None or clock() >= flight.until:
                return False
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 1.6, longest_s)
            found = await self._entries.find(names)
            if found.is_hit and found.vector == vector:
                self._land_from_afar(flight, names, found)
            if found.is_hit or found.vector != vector:
                return False

    def _land_from_afar(self, flight: Flight, names: Names, found: Found) -> None:
        """Another process loaded it: this read joined that load after all."""
        if flight.is_counted:
            names.counts.misses -= 1
            names.counts.joined += 1
            flight.outcome = "joined"
        flight.land(found.value)
