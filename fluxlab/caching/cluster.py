"""A Redis Cluster: one connection and one breaker for each primary.

The map of slots is read when it is first needed, and again in the background whenever a
server says that a key has moved, or does not answer. Replication is asynchronous, so a
failover may bring a forgotten version back; but it comes from another server, whose epoch
stands in no entry, and what was stored before is dead.

Two things it cannot see: a primary that was cut off from the others and still answers,
until the cluster's node timeout; and two failovers, there and back, while a connection was
idle, until it is opened anew.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from redis.crc import key_slot

from fluxlab.caching.breaker import Node, Patience
from fluxlab.caching.transport import Debts, Names, Transport
from fluxlab.caching.wire import Address, Away, Command, Reply, ReplyError
from fluxlab.errors import FluxlabError

_MOVED = frozenset({"MOVED", "ASK", "TRYAGAIN"})
_SLOTS = 16_384
#: Between two readings of the map, at least.
_REST_S = 0.2


class ClusterTransport(Transport):
    """The way to the primaries of a cluster; `address` is any of its servers."""

    def __init__(self, address: Address, patience: Patience, debts: Debts) -> None:
        if address.database or address.path:
            raise FluxlabError(
                "A cluster has no database numbers and no unix sockets.",
                "Write its address as redis://host:port.",
            )
        super().__init__(address, patience, debts)
        self._seed = address
        self._primaries: dict[tuple[str, int], Node] = {}
        self._slots: list[Node | None] = []
        self._mapping: asyncio.Task[bool] | None = None
        self._mapped_at = float("-inf")
        self._is_closed = False

    @property
    def turn(self) -> int | None:
        """None: what leaves for one server has not left for another."""
        return None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The primaries known; the seed until there are some."""
        found = tuple(self._primaries.values())
        return found or (self._node,)

    def node_of(self, name: bytes) -> Node:
        """Return the primary that holds a name, by the map as it is known."""
        primary = self._slots[key_slot(name)] if self._slots else None
        if primary is None:
            self._map_soon()  # a debt that lies nowhere would never be paid
        return primary or self._node

    async def start(self) -> None:
        """Read the map. Raises Away."""
        await self._have_map()

    async def fetch(self, names: Names) -> list[bytes | None]:
        """Return the entry and its versions: one trip to each primary that has some."""
        await self._have_map()
        every = (names.entry, *names.versions)
        places: dict[int, tuple[Node, list[int]]] = {}
        for at, slot in enumerate(names.slots):
            primary = self._primary(slot)
            places.setdefault(id(primary), (primary, []))[1].append(at)
        asked = [
            self._get(primary, [every[at] for at in part])
            for primary, part in places.values()
        ]
        answers = await asyncio.gather(*asked) if len(asked) > 1 else [await asked[0]]
        found: list[bytes | None] = [None] * len(every)
        for (primary, part), answer in zip(places.values(), answers, strict=True):
            epoch = primary.wire.epoch
            for at, reply in zip(part, answer, strict=True):
                found[at] = reply if at == 0 or reply is None else epoch + reply
        return found

    async def _get(self, primary: Node, names: Sequence[bytes]) -> list[bytes | None]:
        replies = await self._ask(primary, [("GET", name) for name in names])
        for reply in replies:
            if isinstance(reply, ReplyError) and reply.code != "WRONGTYPE":
                self._map_soon()
                raise Away(f"the server said {reply.code}", counts=False)
        return [reply if isinstance(reply, bytes) else None for reply in replies]

    async def run(self, name: bytes, commands: Sequence[Command]) -> list[Reply]:
        """Send commands to where a name lives, and after it when it has moved."""
        await self._have_map()
        replies = await self._ask(self._primary(key_slot(name)), commands)
        if _has_moved(replies):
            return await self._follow(replies, commands)
        return replies

    async def run_all(
        self,
        commands: Sequence[tuple[bytes, Command]],
        *,
        is_probing: bool = False,
    ) -> list[Reply]:
        """Send commands to where their names live; see `Transport.run_all`."""
        await self._have_map()
        places: dict[int, list[int]] = defaultdict(list)
        primaries: dict[int, Node] = {}
        for at, (name, _) in enumerate(commands):
            primary = self._primary(key_slot(name))
            primaries[id(primary)] = primary
            places[id(primary)].append(at)
        found: list[Reply] = [None] * len(commands)
        for at_primary, part in places.items():
            wanted = [commands[at][1] for at in part]
            primary = primaries[at_primary]
            replies = await self._ask(primary, wanted, is_probing=is_probing)
            if _has_moved(replies):
                replies = await self._follow(replies, wanted)
            for at, reply in zip(part, replies, strict=True):
                found[at] = reply
        return found

    async def close(self) -> None:
        """Close every connection."""
        self._is_closed = True
        if self._mapping is not None:
            self._mapping.cancel()
            await asyncio.gather(self._mapping, return_exceptions=True)
        for primary in self._primaries.values():
            await primary.close()
        await self._node.close()

    def _primary(self, slot: int) -> Node:
        primary = self._slots[slot] if self._slots else None
        if primary is None:
            self._map_soon()
            raise Away("no server holds this key", counts=False)
        return primary

    async def _ask(
        self, primary: Node, commands: Sequence[Command], *, is_probing: bool = False
    ) -> list[Reply]:
        run = primary.run_probing if is_probing else primary.run
        try:
            return await run(commands)
        except Away:
            self._map_soon()
            raise

    async def _follow(
        self, replies: Sequence[Reply], commands: Sequence[Command]
    ) -> list[Reply]:
        """Send what has moved, once, to where the server said it has gone."""
        self._map_soon()
        found = list(replies)
        for at, reply in enumerate(replies):
            if not isinstance(reply, ReplyError) or reply.code not in {"MOVED", "ASK"}:
                continue
            host, _, port = str(reply).split()[2].rpartition(":")
            there = self._known(host or self._seed.host, int(port))
            asked = await there.run([("ASKING",), commands[at]])
            found[at] = asked[1]
        return found

    # The map.

    async def _have_map(self) -> None:
        if not self._slots:
            self._map_soon()
            if self._mapping is not None and not self._mapping.done():
                await asyncio.wait({self._mapping}, timeout=self.patience.deadline_s)
            if not self._slots:
                raise Away("the cluster's map cannot be read")

    def _map_soon(self) -> None:
        """Read the map in the background; never more than a few times a second."""
        if not self._is_closed and (self._mapping is None or self._mapping.done()):
            self._mapping = asyncio.get_running_loop().create_task(self._read_map())

    async def _read_map(self) -> bool:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._mapped_at + _REST_S - clock()))
        self._mapped_at = clock()
        for node in (*self._primaries.values(), self._node):
            try:
                # Not past the breaker of a primary; the seed may be asked at any time.
                ask = node.run_probing if node is self._node else node.run
                (rows,) = await ask([("CLUSTER", "SLOTS")])
            except Away:
                continue
            if isinstance(rows, list) and rows:
                await self._take_map(rows)
                return True
        return False

    async def _take_map(self, rows: Sequence[Reply]) -> None:
        slots: list[Node | None] = [None] * _SLOTS
        kept: dict[tuple[str, int], Node] = {}
        for first, last, (host, port, *_), *_replicas in rows:
            address = (host.decode() if host else self._seed.host, int(port))
            primary = kept.setdefault(address, self._known(*address))
            slots[first : last + 1] = [primary] * (last + 1 - first)
        gone = [one for at, one in self._primaries.items() if at not in kept]
        self._primaries, self._slots = kept, slots
        for primary in gone:
            await primary.close()

    def _known(self, host: str, port: int) -> Node:
        if (host, port) not in self._primaries:
            address = replace(self._seed, host=host, port=port)
            self._primaries[host, port] = Node(address, self.patience, self._debts)
        return self._primaries[host, port]


def _has_moved(replies: Sequence[Reply]) -> bool:
    return any(isinstance(one, ReplyError) and one.code in _MOVED for one in replies)
