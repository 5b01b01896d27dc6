"""Entries in the server: found with the versions they stand under, and stored with them."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass

from fluxlab.caching.codec import Corrupt, Unfaithful, decode, encode
from fluxlab.caching.flights import Vector
from fluxlab.caching.forgetting import Forgetter, run_script
from fluxlab.caching.options import Options
from fluxlab.caching.scripts import FILL, RELEASE
from fluxlab.caching.transport import Names, Transport
from fluxlab.caching.wire import Away, Command, Reply

_FORMAT = b"\x01"
#: Bytes of the epoch before each version.
_EPOCH = 8
#: Longer than any entry: an entry whose tag has lost its version is dead.
_TAG_LIFE_MS = 14 * 86_400_000
#: A key's own version outlives its entry and the loads of it.
_SPARE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Found:
    """What the server holds for a key.

    Without a vector it cannot be read or stored now: the server is away, the key is owed
    or being written. With one, `is_hit` tells whether `value` is there.
    """

    vector: Vector | None = None
    is_hit: bool = False
    value: object = None


@dataclass(frozen=True, slots=True)
class Lease:
    """An attempt to become the one who loads, and what was found beside it."""

    is_ours: bool
    found: Found


PAST = Found()
#: The vector where a version is missing.
_MISSING: Vector = ()


class Entries:
    """The entries of one namespace. None of its methods raises for the cache's sake."""

    def __init__(
        self, transport: Transport, forgetter: Forgetter, options: Options
    ) -> None:
        self.transport = transport
        self._forgetter = forgetter
        self._options = options
        self._storing = 0
        #: Versions that are being made, by a request that has not left yet: a look that
        #: follows it on the same connection will find them.
        self._made: dict[bytes, int | None] = {}

    def is_past(self, names: Names) -> bool:
        """Whether a key is owed an invalidation, so that nothing stored may be read."""
        debts = self._forgetter.debts
        return len(debts) > 0 and debts.covers(names)

    async def find(self, names: Names) -> Found:
        """Look for an entry, in one trip; a version that is missing is a miss."""
        if self.is_past(names):
            return PAST
        try:
            entry, *versions = await self.transport.fetch(names)
        except Away:
            return PAST
        return self._judge(names, entry, versions)

    async def prepare(self, names: Names) -> Found:
        """Look for an entry, and make the versions that are missing, for a load."""
        found = await self.find(names)
        if found.vector == _MISSING:
            found = await self._make_versions(names)
        return found

    def _judge(
        self, names: Names, entry: bytes | None, versions: list[bytes | None]
    ) -> Found:
        vector = tuple(version for version in versions if version is not None)
        if len(vector) < len(versions):
            return Found(_MISSING)
        envelope = envelope_of(vector)
        if entry is not None and entry.startswith(envelope):
            try:
                return Found(vector, True, decode(entry[len(envelope) :]))
            except Corrupt:
                names.counts.corrupt += 1
        if any(version[_EPOCH : _EPOCH + 1] == b"!" for version in vector):
            return PAST
        return Found(vector)

    async def _make_versions(self, names: Names) -> Found:
        """Make the versions that are missing and look again."""
        own, *tags = names.versions
        lives = {own: self._version_ms(names.ttl_s), **dict.fromkeys(tags, _TAG_LIFE_MS)}
        commands: list[tuple[bytes, Command]] = [
            (name, ("SET", name, b"=" + secrets.token_bytes(8), "NX", "PX", life))
            for name, life in lives.items()
        ]
        turn = self.transport.turn
        if turn is None or self._made.get(names.fetch) != turn:
            self._made[names.fetch] = turn
            self.transport.ask_anew(names)
            try:
                await self.transport.run_all(commands)
            except Away:
                return PAST
            finally:
                self._made.pop(names.fetch, None)
        found = await self.find(names)
        # Still missing: the server is full, or the name holds something else.
        return PAST if found.vector == _MISSING else found

    async def lease(self, names: Names, vector: Vector, token: bytes) -> Lease:
        """Try to become the one who loads, and look once more, in one trip."""
        name = names.lease(vector)
        life_ms = max(1, round(self._options.lease_s * 1_000))
        commands: list[Command] = [
            ("SET", name, token, "NX", "PX", life_ms),
            ("GET", names.entry),
        ]
        try:
            taken, entry = await self.transport.run(names.entry, commands)
        except Away:
            return Lease(False, PAST)
        if not isinstance(entry, bytes):  # nothing there, or not an entry
            entry = None
        is_full = taken is not None and taken != b"OK"
        found = PAST if is_full else self._judge(names, entry, list(vector))
        return Lease(taken == b"OK", found)

    async def release(self, names: Names, vector: Vector, token: bytes) -> None:
        """Give the lease back, so that another may load at once."""
        name = names.lease(vector)
        try:
            await run_script(self.transport, name, RELEASE, name, token)
        except Away:
            self._forgetter.owe_lease(name, token)

    async def fill(
        self, names: Names, vector: Vector, token: bytes, value: object, ttl_s: float | None
    ) -> None:
        """Store a loaded value, if nothing was forgotten meanwhile and the lease stands."""
        body = self.encoded(names, value)
        if body is None or self._storing >= self._options.max_storing:
            names.counts.rejected += body is not None
            await self.release(names, vector, token)
            return
        life_ms = self.life_ms(names, value, ttl_s)
        lease = names.lease(vector)
        words = (
            *(names.entry, lease, names.versions[0]),
            *(token, envelope_of(vector) + body, life_ms),
            *(vector[0][_EPOCH:], self._version_ms(life_ms / 1_000)),
        )
        self._storing += 1
        try:
            reply: Reply = await run_script(self.transport, names.entry, FILL, *words)
        except Away:
            reply = None
        finally:
            self._storing -= 1
        names.counts.stored += reply == 1
        names.counts.rejected += reply != 1
        if not isinstance(reply, int):  # else the script gave the lease back
            await self.release(names, vector, token)

    async def put(self, names: Names, vector: Vector, body: bytes, life_ms: int) -> bool:
        """Store an encoded value that no load brought; return whether it was stored."""
        entry = envelope_of(vector) + body
        commands: list[Command] = [
            ("SET", names.entry, entry, "PX", life_ms),
            self._lengthen(names, life_ms),
        ]
        try:
            reply, _ = await self.transport.run(names.entry, commands)
        except Away:
            reply = None
        names.counts.stored += reply == b"OK"
        names.counts.rejected += reply != b"OK"
        return bool(reply == b"OK")

    async def expire(self, names: Names, ttl_s: float) -> bool:
        """Change how long an entry has to live; return whether there was one."""
        life_ms = max(1, round(ttl_s * 1_000))
        commands: list[Command] = [
            ("PEXPIRE", names.entry, life_ms),
            self._lengthen(names, life_ms),
        ]
        try:
            return bool((await self.transport.run(names.entry, commands))[0] == 1)
        except Away:
            return False

    def encoded(self, names: Names, value: object) -> bytes | None:
        """Return a value's bytes; None, counted, when it cannot or must not be stored."""
        try:
            body = encode(value)
        except Unfaithful:
            names.counts.unfaithful += 1
            return None
        if len(body) > self._options.max_bytes:
            names.counts.too_large += 1
            return None
        return body

    def life_ms(self, names: Names, value: object, ttl_s: float | None) -> int:
        """Return how long a value may live: jittered, and shorter for a None."""
        life_s = names.ttl_s if ttl_s is None else ttl_s
        if value is None:
            life_s = min(life_s, self._options.negative_ttl_s)
        life_s *= 1 - self._options.ttl_jitter * random.random()
        return max(1, round(life_s * 1_000))

    def _lengthen(self, names: Names, life_ms: int) -> Command:
        return ("PEXPIRE", names.versions[0], self._version_ms(life_ms / 1_000))

    def _version_ms(self, life_s: float) -> int:
        return round(2_000 * (life_s + self._options.lease_s)) + _SPARE_MS


def envelope_of(vector: Vector) -> bytes:
    """Return what an entry loaded under these versions begins with."""
    return _FORMAT + bytes((len(vector),)) + b"".join(vector)
