"""A server and whether it is worth asking: a breaker that does no I/O while it is open.

After a few failures in a row nobody asks the server any more, so an outage costs a few
deadlines and then nothing. One task in the background finds out when it is back, never a
request of the application.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fluxlab.caching.wire import Address, Away, Command, Reply, ReplyError, Wire, pack

#: Replies that mean: this server cannot serve now. Others are about one request.
_AWAY_CODES = frozenset(
    {
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "NOAUTH",
        "NOPERM",
        "NOREPLICAS",
        "READONLY",
        "WRONGPASS",
    }
)
#: Of those, the ones that a new session may cure.
_SESSION_CODES = frozenset({"NOAUTH", "WRONGPASS", "READONLY"})
_PING = pack([("PING",)])
_OPENED = "the breaker opened"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server, and when to stop.

    `deadline_s` bounds every request, connecting included. After `failures_to_open`
    failures in a row nothing is asked; a probe waits between `probe_s[0]` and, doubling,
    `probe_s[1]` seconds.
    """

    deadline_s: float = 0.05
    failures_to_open: int = 3
    probe_s: tuple[float, float] = (0.1, 1.0)


class Node:
    """One server behind a breaker.

    `before_close` is awaited when the server answers again: what it is owed is told
    first. It returns whether that succeeded.
    """

    def __init__(
        self,
        address: Address,
        patience: Patience,
        before_close: Callable[[Node], Awaitable[bool]],
    ) -> None:
        self.wire = Wire(address, patience.deadline_s)
        self.is_open = False
        self.last_error = ""
        self.opened = 0  # how many times
        self._patience = patience
        self._before_close = before_close
        self._failures = 0
        self._failed_at = 0.0
        self._probing: asyncio.Task[None] | None = None

    async def call(self, data: bytes, count: int = 1) -> Reply:
        """Send packed commands; return their reply, or a list of `count`.

        Raises Away at once while the breaker is open, else after one deadline at most.
        """
        if self.is_open:
            raise Away("the breaker is open")
        return await self.ask(data, count)

    async def ask(self, data: bytes, count: int = 1) -> Reply:
        """Send packed commands though the breaker may be open: for the probe alone."""
        try:
            reply = await self.wire.call(data, count)
        except Away as error:
            self.failed(error)
            raise
        first = reply[0] if count > 1 else reply
        if isinstance(first, ReplyError) and first.code in _AWAY_CODES:
            if first.code in _SESSION_CODES:
                self.wire.drop(f"the server said {first.code}")
            refused = Away(f"the server said {first.code}")
            self.failed(refused)
            raise refused
        self._failures = 0
        return reply

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands in one write; return one reply for each, errors as values."""
        reply = await self.call(pack(commands), len(commands))
        return reply if len(commands) > 1 else [reply]

    async def run_probing(self, commands: Sequence[Command]) -> list[Reply]:
        """Do the same though the breaker may be open: for the probe alone."""
        reply = await self.ask(pack(commands), len(commands))
        return reply if len(commands) > 1 else [reply]

    def failed(self, error: Away) -> None:
        """Count a failure; open the breaker at the last one that is borne."""
        if str(error) != _OPENED:  # what was under way then says nothing of the cause
            self.last_error = str(error)
        now = asyncio.get_running_loop().time()
        # What ran out at one time, however many waited, is one failure.
        is_same = (
            self._failures > 0 and now - self._failed_at < self._patience.deadline_s / 2
        )
        if not error.counts or self.is_open or is_same:
            return
        self._failed_at = now
        self._failures += 1
        if self._failures >= self._patience.failures_to_open:
            self.open()

    def open(self) -> None:
        """Stop asking, and find out in the background when the server is back."""
        self.is_open = True
        self.opened += 1
        self.wire.drop(_OPENED)
        if self._probing is None:
            self._probing = asyncio.get_running_loop().create_task(self._probe())

    async def _probe(self) -> None:
        wait_s, longest_s = self._patience.probe_s
        while True:
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, longest_s)
            try:
                await self.ask(_PING)
                if not await self._before_close(self):
                    continue
            except Away:
                self.wire.drop("the probe failed")
                continue
            # Nothing is awaited from here on: no request slips in between.
            self._failures = 0
            self.is_open = False
            self._probing = None
            return

    async def close(self) -> None:
        """End the probe and the connection; whoever asks from now on is told Away."""
        self.is_open = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
            self._probing = None
        self.wire.close()
