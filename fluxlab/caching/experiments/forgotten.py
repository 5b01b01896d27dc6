"""Does a helper forget what it should, and only that? The report's helpers and ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from fluxlab.caching.cache import Cache
from fluxlab.caching.experiments.found import Forgotten
from fluxlab.caching.keys import PATTERNS
from fluxlab.caching.results import LayerName
from fluxlab.caching.sprint11 import Sprint11

_VALUES = {
    "userId": "12",
    "orgId": "12",
    "projectId": "12",
    "convId": "12",
    "fileId": "12",
    "email": "old@example.com",
    "page": "1",
    "date": "2025-10-01",
    "id": "s",
    "token": "t",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A helper, the keys whose answers hold something of its entity, and a neighbour.

    `neighbour` is the key of somebody whose id begins alike: nobody changed them.
    """

    helper: str
    depends: tuple[str, ...]
    neighbour: str


#: Lists of members and participants show names; lists of projects show theirs.
CASES = (
    Case(
        "user",
        (
            "user:{userId}",
            "user:{userId}:projects",
            "user:{userId}:organizations",
            "user:{userId}:teams",
            "user:{userId}:conversations",
            "user:{userId}:unread:{convId}",
            "user:email:{email}",
            "analytics:user:{userId}:activity:{date}",
            "org:{orgId}:members",
            "project:{projectId}:members",
            "conv:{convId}:participants",
        ),
        "user:123",
    ),
    Case(
        "organization",
        (
            "org:{orgId}",
            "org:{orgId}:projects",
            "org:{orgId}:members",
            "analytics:org:{orgId}:dashboard",
            "user:{userId}:organizations",
        ),
        "org:123",
    ),
    Case(
        "project",
        (
            "project:{projectId}",
            "project:{projectId}:members",
            "project:{projectId}:files",
            "project:{projectId}:milestones",
            "analytics:project:{projectId}:stats",
            "analytics:org:{orgId}:dashboard",
            "org:{orgId}:projects",
            "user:{userId}:projects",
        ),
        "project:123",
    ),
    Case(
        "file",
        ("file:{fileId}", "file:{fileId}:versions", "project:{projectId}:files"),
        "file:123",
    ),
    Case(
        "conversation",
        (
            "conv:{convId}",
            "conv:{convId}:messages:page:{page}",
            "conv:{convId}:participants",
            "user:{userId}:conversations",
            "user:{userId}:unread:{convId}",
        ),
        "conv:123",
    ),
)


def _key(pattern: str) -> str:
    return pattern.format(**_VALUES)


async def forgotten(report: Sprint11, ours: Cache) -> tuple[Forgotten, ...]:
    """Store every key, call a helper, and look which are left; helper after helper."""
    theirs: Mapping[str, Callable[[object], Awaitable[object]]] = {
        one.helper: getattr(report.invalidate, one.helper) for one in CASES
    }
    mine: Mapping[str, Callable[[], Awaitable[object]]] = {
        "user": lambda: ours.invalidate.user("12", emails=(_VALUES["email"],)),
        "organization": lambda: ours.invalidate.organization("12"),
        "project": lambda: ours.invalidate.project("12"),
        "file": lambda: ours.invalidate.file("12", project_id="12"),
        "conversation": lambda: ours.invalidate.conversation("12"),
    }
    found: list[Forgotten] = []
    for case in CASES:
        for cache in (report, ours):
            for pattern in PATTERNS:
                await cache.set(_key(pattern), {"of": pattern}, 60)
            await cache.set(case.neighbour, {"of": "neighbour"}, 60)
        await theirs[case.helper]("12")
        await mine[case.helper]()
        found += await _left("sprint11", report, case)
        found += await _left("fluxlab", ours, case)
    return tuple(found)


async def _left(name: LayerName, cache: Sprint11 | Cache, case: Case) -> list[Forgotten]:
    helper = f"invalidate.{case.helper}"
    rows = [
        Forgotten(name, helper, one, True, await cache.exists(_key(one)))
        for one in case.depends
    ]
    stays = await cache.exists(case.neighbour)
    rows.append(Forgotten(name, helper, case.neighbour, False, stays))
    return rows


async def email_is_stale(report: Sprint11, ours: Cache) -> dict[str, bool]:
    """Change an address as each application would; is the old one still answered?"""
    old, new = "user:email:old@example.com", "user:email:new@example.com"
    for cache in (report, ours):
        await cache.set(old, {"email": "old@example.com"}, 60)
    # The report's application deletes the key of the row that it has: the new one.
    await report.invalidate.user("12")
    await report.delete(new)
    await ours.invalidate.user("12", emails=("old@example.com", "new@example.com"))
    stays = await asyncio.gather(report.exists(old), ours.exists(old))
    return dict(zip(("sprint11", "fluxlab"), stays, strict=True))
