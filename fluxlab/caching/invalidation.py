"""What to tell the cache after a write, or around it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from fluxlab.caching.forgetting import Forgetter
from fluxlab.caching.keys import build_key
from fluxlab.caching.scripts import BAR
from fluxlab.caching.transport import Transport, version_of_key, version_of_tag
from fluxlab.caching.wire import Away, ReplyError

Forget = Callable[[Iterable[str], Iterable[str]], Awaitable[bool]]


def versions_of(
    namespace: str, tags: Iterable[str], keys: Iterable[str]
) -> tuple[bytes, ...]:
    """Return the names of the versions that tags and keys stand under, each once."""
    names = [version_of_tag(namespace, tag) for tag in tags]
    names += [version_of_key(namespace, key) for key in keys]
    return tuple(dict.fromkeys(names))


class Invalidation:
    """`await cache.invalidate(tags=…, keys=…)`, and the report's helpers by entity.

    Each returns whether the server was told; else it is owed and told later, and this
    process reads past the cache until then.
    """

    def __init__(self, forget: Forget) -> None:
        self._forget = forget

    async def __call__(self, tags: Iterable[str] = (), keys: Iterable[str] = ()) -> bool:
        """Forget what depends on these tags, and these keys."""
        return await self._forget(tags, keys)

    async def user(self, user_id: object, emails: Iterable[str] = ()) -> bool:
        """Forget a person: every key under `user:{userId}` and `analytics:user:{userId}`.

        `emails` are the addresses before and after the write: those keys do not name the
        person. Lists of members that show the name are forgotten by their own keys.
        """
        keys = [build_key.user_by_email(email) for email in emails]
        return await self._forget([_tag("user", user_id)], keys)

    async def organization(self, organization_id: object) -> bool:
        """Forget an organization: its keys, its dashboard too."""
        return await self._forget([_tag("org", organization_id)], [])

    async def project(self, project_id: object) -> bool:
        """Forget a project: its keys, its statistics too."""
        return await self._forget([_tag("project", project_id)], [])

    async def file(self, file_id: object, project_id: object | None = None) -> bool:
        """Forget a file, and the list of its project where that is named."""
        keys = [] if project_id is None else [build_key.project_files(project_id)]
        return await self._forget([_tag("file", file_id)], keys)

    async def conversation(self, conversation_id: object) -> bool:
        """Forget a conversation: header, pages, participants, every unread count."""
        tag = _tag("conv", conversation_id)
        return await self._forget([tag, f"{tag}:messages"], [])


def _tag(kind: str, of: object) -> str:
    key = {
        "user": build_key.user,
        "org": build_key.organization,
        "project": build_key.project,
        "conv": build_key.conversation,
        "file": build_key.file,
    }[kind]
    return key(of)


class Writing:
    """A barrier around a transaction and its commit; see `Cache.writing`.

    Where the server is away no barrier can stand: `is_barred` is False, the write goes
    on, and what it made untrue is owed.
    """

    def __init__(
        self,
        transport: Transport,
        forgetter: Forgetter,
        versions: Sequence[bytes],
        barrier_s: float,
    ) -> None:
        self._transport = transport
        self._forgetter = forgetter
        self._versions = versions
        self._barrier = b"!" + secrets.token_bytes(8)
        self._life_s = barrier_s
        self._renewing: asyncio.Task[None] | None = None
        self.is_barred = False

    async def __aenter__(self) -> Self:
        try:
            self.is_barred = await self._raise()
        except BaseException:
            await self._lift()
            raise
        self._renewing = asyncio.get_running_loop().create_task(self._renew())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        await self._lift()

    async def _lift(self) -> None:
        # Also after an error: the transaction may have been committed all the same.
        await self._forgetter.forget((name, self._barrier) for name in self._versions)

    async def _raise(self) -> bool:
        life_ms = max(1, round(self._life_s * 1_000))
        commands = [
            (name, BAR.call(name, self._barrier, life_ms)) for name in self._versions
        ]
        try:
            replies = await self._transport.run_all(commands)
            lost = [
                (name, BAR.whole(command))
                for (name, command), reply in zip(commands, replies, strict=True)
                if isinstance(reply, ReplyError)
            ]
            if lost:
                replies = await self._transport.run_all(lost)
        except Away:
            return False
        return all(reply == 1 for reply in replies)

    async def _renew(self) -> None:
        """Keep the barrier up while a long transaction lasts."""
        while True:
            await asyncio.sleep(self._life_s / 3)
            self.is_barred = await self._raise()
