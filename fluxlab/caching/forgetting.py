"""Forgetting: told to the server at once, or owed to it until it was told.

A version that could not be forgotten is a debt. While it stands this process reads past
the cache whatever depends on it, and the debt is paid before the breaker closes.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence

from fluxlab.caching.breaker import Node
from fluxlab.caching.scripts import FORGET, RELEASE, Script
from fluxlab.caching.transport import GUARD, Names, Transport
from fluxlab.caching.wire import Away, Command, Reply, ReplyError

#: A debt: the version to forget, and the barrier that goes with it, or nothing.
Debt = tuple[bytes, bytes]

_AT_ONCE = 256
_SCAN = 1_000


class Debts:
    """What the server has still to be told."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._versions: dict[Debt, int] = {}
        self._names: dict[bytes, int] = {}
        self._globs: dict[str, re.Pattern[str]] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._versions) + len(self._globs)

    def covers(self, names: Names) -> bool:
        """Whether what is stored under these names may be untrue."""
        return any(version in self._names for version in names.versions) or any(
            glob.fullmatch(names.key) for glob in self._globs.values()
        )

    def add(self, debts: Iterable[Debt]) -> None:
        """Owe these; when they become too many, everything is owed instead."""
        for debt in debts:
            self._serial += 1
            if debt not in self._versions:
                self._names[debt[0]] = self._names.get(debt[0], 0) + 1
            self._versions[debt] = self._serial
        if len(self._versions) > self.most:
            self.add_glob("*")
            self._versions.clear()
            self._names.clear()

    def add_glob(self, glob: str) -> None:
        """Owe whatever a pattern matches."""
        self._globs[glob] = glob_pattern(glob)

    def owed(self) -> dict[Debt, int]:
        """Return the debts, each with a number that changes when it is owed anew."""
        return dict(self._versions)

    @property
    def globs(self) -> tuple[str, ...]:
        """The patterns that are owed."""
        return tuple(self._globs)

    def paid(self, debts: Iterable[tuple[Debt, int]]) -> int:
        """Strike these out, unless they were owed anew meanwhile; return how many went."""
        count = 0
        for debt, serial in debts:
            if self._versions.get(debt) == serial:
                del self._versions[debt]
                count += 1
                self._names[debt[0]] -= 1
                if not self._names[debt[0]]:
                    del self._names[debt[0]]
        return count

    def paid_glob(self, glob: str) -> None:
        """Strike a pattern out."""
        self._globs.pop(glob, None)


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return what a Redis glob matches, `*`, `?`, `[a-c]`, `[^a]` and `\\`.

    >>> bool(glob_pattern("user:1?:*").fullmatch("user:12:projects"))
    True
    >>> bool(glob_pattern("a[^b]c").fullmatch("abc")), bool(
    ...     glob_pattern(r"a\\*").fullmatch("a*")
    ... )
    (False, True)
    """
    parts, rest = [], glob
    while rest:
        if found := re.match(r"\[(\^?)((?:\\.|[^\]\\])+)\]", rest, re.DOTALL):
            inside = re.sub(r"([\[&~|])", r"\\\1", found[2])
            parts.append(f"[{found[1]}{inside}]")
            rest = rest[found.end() :]
            continue
        first, rest = rest[0], rest[1:]
        if first == "\\" and rest:
            first, rest = rest[0], rest[1:]
            parts.append(re.escape(first))
        else:
            parts.append({"*": ".*", "?": "."}.get(first) or re.escape(first))
    return re.compile("".join(parts), re.DOTALL)


def escape_glob(text: str) -> str:
    """Return a glob that matches this text alone."""
    return re.sub(r"([*?\[\]\\^])", r"\\\1", text)


class Forgetter:
    """Tell the server to forget, and keep the debts of what could not be told.

    Raises nothing of the cache's; a debt outlives a caller that was cancelled.
    """

    def __init__(self, namespace: str, most: int, retry_s: tuple[float, float]) -> None:
        self.debts = Debts(most)
        self.replayed = 0
        self.transport: Transport  # set by the cache, which gives it our `settle`
        self.namespace = namespace
        #: Leases that could not be given back, with their tokens: others wait for them.
        self.leases: dict[bytes, bytes] = {}
        self._retry_s = retry_s
        self._paying: asyncio.Task[None] | None = None
        self._is_closed = False

    async def forget(self, debts: Iterable[Debt]) -> bool:
        """Forget versions; return whether the server was told, else they are owed."""
        wanted = list(dict.fromkeys(debts))
        told = False
        try:
            told = await self._tell(wanted, is_probing=False)
        finally:
            if not told:
                self.debts.add(wanted)
                self._pay_later()
        return told

    async def forget_glob(self, glob: str) -> int:
        """Forget what matches; return how many entries went. Owed when it fails."""
        told = False
        count = 0
        try:
            for node in self.transport.nodes:
                count += await self._purge(node, glob, is_probing=False)
            told = True
        except Away:
            pass
        finally:
            if not told:
                self.debts.add_glob(glob)
                self._pay_later()
        return count

    async def settle(self, node: Node) -> bool:
        """Pay a server that answers all it is owed; the last look is awaited by nothing."""
        if not await self._give_back(node):
            return False
        while mine := {
            debt: serial
            for debt, serial in self.debts.owed().items()
            if self.transport.node_of(debt[0]) is node
        }:
            if not await self._tell(list(mine), is_probing=True):
                return False
            self.replayed += self.debts.paid(mine.items())
        return not self.debts.globs or await self._settle_globs(node)

    def owe_lease(self, name: bytes, token: bytes) -> None:
        """Give a lease back later; the oldest are left to their end when too many."""
        self.leases[name] = token
        if len(self.leases) > self.debts.most:
            del self.leases[next(iter(self.leases))]
        self._pay_later()

    async def _give_back(self, node: Node) -> bool:
        mine = [
            (name, token)
            for name, token in self.leases.items()
            if self.transport.node_of(name) is node
        ]
        for start in range(0, len(mine), _AT_ONCE):
            part = mine[start : start + _AT_ONCE]
            commands = [
                (name, RELEASE.whole(RELEASE.call(name, token))) for name, token in part
            ]
            try:
                await self.transport.run_all(commands, is_probing=True)
            except Away:
                return False
            for name, _ in part:
                self.leases.pop(name, None)
        return True

    async def close(self) -> None:
        """End what runs in the background."""
        self._is_closed = True
        if self._paying is not None:
            self._paying.cancel()
            await asyncio.gather(self._paying, return_exceptions=True)

    async def _settle_globs(self, node: Node) -> bool:
        # A pattern lies on every server, so the last of them to come back pays it.
        others = [one for one in self.transport.nodes if one is not node]
        if any(one.is_open for one in others):
            return True
        for glob in self.debts.globs:
            try:
                for one in (node, *others):
                    await self._purge(one, glob, is_probing=one is node)
            except Away:
                return False
            self.debts.paid_glob(glob)
            self.replayed += 1
        return await self.settle(node)

    async def _tell(self, debts: Sequence[Debt], *, is_probing: bool) -> bool:
        for start in range(0, len(debts), _AT_ONCE):
            part = debts[start : start + _AT_ONCE]
            commands = [
                (name, FORGET.call(name, entry_beside(name), barrier))
                for name, barrier in part
            ]
            try:
                replies = await self._run_all(commands, is_probing=is_probing)
            except Away:
                return False
            if not all(isinstance(reply, int) for reply in replies):
                return False
        return True

    async def _run_all(
        self, commands: Sequence[tuple[bytes, Command]], *, is_probing: bool
    ) -> list[Reply]:
        replies = await self._send(commands, is_probing)
        lost = [
            at
            for at, reply in enumerate(replies)
            if isinstance(reply, ReplyError) and reply.code == "NOSCRIPT"
        ]
        if lost:
            again = [(commands[at][0], FORGET.whole(commands[at][1])) for at in lost]
            for at, reply in zip(lost, await self._send(again, is_probing), strict=True):
                replies[at] = reply
        return replies

    async def _send(
        self, commands: Sequence[tuple[bytes, Command]], is_probing: bool
    ) -> list[Reply]:
        return await self.transport.run_all(commands, is_probing=is_probing)

    async def _purge(self, node: Node, glob: str, *, is_probing: bool) -> int:
        """Forget on one server what matches; every load under way has a version there."""
        run = node.run_probing if is_probing else node.run
        return sum(
            [
                await self._purge_names(match, run)
                for match in matches_of(self.namespace, glob, "[vd]")
            ]
        )

    async def _purge_names(
        self, match: bytes, run: Callable[[Sequence[Command]], Awaitable[list[Reply]]]
    ) -> int:
        cursor, count = b"0", 0
        while True:
            (answer,) = await run([("SCAN", cursor, "MATCH", match, "COUNT", _SCAN)])
            if isinstance(answer, ReplyError):
                raise Away(f"the server said {answer.code}")
            if not isinstance(answer, list) or len(answer) != 2:
                raise Away("the server's answer makes no sense")
            cursor, found = answer
            names = list(dict.fromkeys(name[:-1] + b"v" for name in found))
            for start in range(0, len(names), _AT_ONCE):
                # By its text: here the hash is not worth a second try.
                commands = [
                    FORGET.whole(FORGET.call(name, entry_beside(name), b""))
                    for name in names[start : start + _AT_ONCE]
                ]
                replies = await run(commands)
                if not all(isinstance(reply, int) for reply in replies):
                    raise Away("a key has moved")
                count += sum(replies)
            if cursor == b"0":
                return count

    def _pay_later(self) -> None:
        if not self._is_closed and (self._paying is None or self._paying.done()):
            self._paying = asyncio.get_running_loop().create_task(self._pay())

    async def _pay(self) -> None:
        wait_s, longest_s = self._retry_s
        while self.debts or self.leases:
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, longest_s)
            for node in self.transport.nodes:
                if not node.is_open:  # an open one is paid by its probe
                    await self.settle(node)


def matches_of(namespace: str, glob: str, ending: str) -> list[bytes]:
    """Return what SCAN is to match: the names of keys that a glob matches."""
    start = f"{escape_glob(namespace)}:{{".encode("utf-8", "surrogatepass")
    rest = f"{glob}}}:{ending}".encode("utf-8", "surrogatepass")
    # A star matches the guard too; what else may stand for the brace does not.
    is_guarded = glob[:1] in {"}", "?", "[", "\\"}
    return [start + rest, *([start + GUARD + rest] if is_guarded else [])]


def entry_beside(version: bytes) -> bytes:
    """Return the name of the entry of the key whose own version this is."""
    return version[:-1] + b"d"


async def run_script(
    transport: Transport, name: bytes, script: Script, *words: bytes | str | int
) -> Reply:
    """Run a script where a name lives; errors are values. Raises Away."""
    command = script.call(*words)
    (reply,) = await transport.run(name, [command])
    if isinstance(reply, ReplyError) and reply.code == "NOSCRIPT":
        (reply,) = await transport.run(name, [script.whole(command)])
    return reply
