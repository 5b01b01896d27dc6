"""Names in the server, and the way there: one server, or (in `cluster`) many.

An application key `user:42` in the namespace `flux` becomes three names with the same
hash tag, so that they live in one slot of a cluster: the entry, its own version and a
lease. A tag has a version only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from redis.crc import key_slot

from fluxlab.caching.breaker import Node, Patience
from fluxlab.caching.keys import facts_of
from fluxlab.caching.stats import Counts
from fluxlab.caching.wire import Address, Away, Command, Reply, ReplyError, pack
from fluxlab.errors import FluxlabError

Debts = Callable[[Node], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Names:
    """Where one application key lives. `versions` are its own, then those of its tags.

    `fetch` is the packed request for the entry and its versions; `slots` are those of
    the entry and of every version, for a cluster.
    """

    key: str
    entry: bytes
    versions: tuple[bytes, ...]
    ttl_s: float
    counts: Counts
    fetch: bytes = field(repr=False)
    slots: tuple[int, ...] = field(repr=False)

    def lease(self, vector: tuple[bytes, ...]) -> bytes:
        """Return the name of the lease for a load under these versions."""
        digest = blake2b(b"".join(vector), digest_size=12).hexdigest()
        return self.entry[:-1] + b"l:" + digest.encode()


#: No byte of any key. A hash tag that begins with `}` would be none, and the names of one
#: key would lie in several slots.
GUARD = b"\xff"


def prefix_of(namespace: str, key: str) -> bytes:
    """Return what the names of a key begin with."""
    if not key:
        raise FluxlabError(
            "A cache key is empty.", "Make it with `build_key`, or give it a name."
        )
    text = f"{{{key}}}:".encode("utf-8", "surrogatepass")
    if key[0] == "}":
        text = b"{" + GUARD + text[1:]
    return f"{namespace}:".encode("utf-8", "surrogatepass") + text


def version_of_key(namespace: str, key: str) -> bytes:
    """Return the name of a key's own version."""
    return prefix_of(namespace, key) + b"v"


def version_of_tag(namespace: str, tag: str) -> bytes:
    """Return the name of a tag's version."""
    return prefix_of(namespace, f"t:{tag}") + b"v"


def make_names(
    namespace: str, key: str, tags: Sequence[str], counts_of: Callable[[str], Counts]
) -> Names:
    """Return the names of a key; its pattern's tags and these are what it depends on."""
    facts = facts_of(key)
    every = dict.fromkeys((*facts.tags, *tags))
    entry = prefix_of(namespace, key) + b"d"
    versions = (
        version_of_key(namespace, key),
        *(version_of_tag(namespace, tag) for tag in every),
    )
    return Names(
        key=key,
        entry=entry,
        versions=versions,
        ttl_s=float(facts.pattern.ttl),
        counts=counts_of(facts.pattern.text),
        fetch=pack([("MGET", entry, *versions)]),
        slots=tuple(key_slot(name) for name in (entry, *versions)),
    )


class Transport:
    """The way to one server."""

    def __init__(self, address: Address, patience: Patience, debts: Debts) -> None:
        self.patience = patience
        self._debts = debts
        self._node = Node(address, patience, debts)
        #: Requests that have not left yet: whoever comes now may share them, because they
        #: will be answered by what the server holds later.
        self._asked: dict[bytes, tuple[int, asyncio.Future[Reply]]] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every server that holds keys."""
        return (self._node,)

    def node_of(self, name: bytes) -> Node:
        """Return the server that holds a name."""
        return self._node

    async def start(self) -> None:
        """Open a connection. Raises Away where there is none to be had."""
        await self._node.run([("PING",)])

    async def fetch(self, names: Names) -> list[bytes | None]:
        """Return the entry and its versions, None for each that is missing, in one trip.

        Before each version stands the epoch of the server that holds it, eight bytes.
        Raises Away.
        """
        reply = await self._shared(names.fetch)
        if isinstance(reply, ReplyError):
            raise Away(f"the server said {reply.code}")
        if not isinstance(reply, list) or len(reply) != 1 + len(names.versions):
            raise Away("the server's answer makes no sense")
        epoch = self._node.wire.epoch
        return [reply[0], *(one and epoch + one for one in reply[1:])]

    async def _shared(self, request: bytes) -> Reply:
        """Ask, or share the answer to the same request that has not left yet."""
        number, told = self._asked.get(request, (None, None))
        if told is not None and number == self._node.wire.flushes and not told.done():
            try:
                reply = await told
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise  # else another one that shared it was cancelled
                return await self._node.call(request)
            if isinstance(reply, Away):
                raise Away(str(reply), counts=False)
            return reply
        told = asyncio.get_running_loop().create_future()
        self._asked[request] = (self._node.wire.flushes, told)
        try:
            reply = await self._node.call(request)
        except Away as error:
            reply = error
            raise
        except BaseException:
            told.cancel()
            raise
        finally:
            if self._asked.get(request, (0, None))[1] is told:
                del self._asked[request]
            if not told.done():
                told.set_result(reply)
        return reply

    def ask_anew(self, names: Names) -> None:
        """Let nobody share a look that was asked for before this."""
        self._asked.pop(names.fetch, None)

    @property
    def turn(self) -> int | None:
        """A number that stays while nothing leaves; None where there are many servers."""
        return self._node.wire.flushes

    async def run(self, name: bytes, commands: Sequence[Command]) -> list[Reply]:
        """Send commands to where a name lives; errors of single ones are values."""
        return await self._node.run(commands)

    async def run_all(
        self,
        commands: Sequence[tuple[bytes, Command]],
        *,
        is_probing: bool = False,
    ) -> list[Reply]:
        """Send commands, each with the name it is about; one reply for each, in order.

        `is_probing` asks although a breaker is open. Raises Away when one of them may not
        have arrived.
        """
        run = self._node.run_probing if is_probing else self._node.run
        return await run([command for _, command in commands])

    async def close(self) -> None:
        """Close every connection."""
        for node in self.nodes:
            await node.close()
