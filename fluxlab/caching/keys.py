"""The report's cache keys, lifetimes and what each key's answer depends on.

An application key is exactly the report's text, `user:42:projects`. What it needs to be
read and forgotten follows from the text alone, so a plain string is enough everywhere.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Literal
from urllib.parse import quote

from fluxlab.errors import FluxlabError

#: What stays as it is in a user's part of a key; all else, `:*?[]{}` too, becomes %XX.
_SAFE = "-._~@+"

Group = Literal[
    "User profiles", "Project data", "File listings", "Messages", "Analytics", "other"
]


class TTL(IntEnum):
    """The report's six lifetimes, in seconds."""

    SHORT = 60
    MEDIUM = 300
    LONG = 1_800
    VERY_LONG = 3_600
    DAY = 86_400
    WEEK = 604_800


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of key.

    `text` is the report's, with names in braces. `tags` are what an answer depends on
    beside its own key: telling the cache to forget a tag makes every entry that carries
    it a miss. `group` is the line of the report's table of hit rates it belongs to.
    """

    text: str
    ttl: TTL
    tags: tuple[str, ...]
    group: Group = "other"
    is_of_report: bool = True

    def key(self, *parts: str) -> str:
        """Return the key for these values, each percent-encoded where it has to be."""
        return _fill(self.text, [quote(part, safe=_SAFE) for part in parts])


def _fill(text: str, parts: list[str]) -> str:
    names = re.findall(r"\{\w+\}", text)
    if len(names) != len(parts) or not all(parts):
        raise FluxlabError(
            f"The key {text} cannot be made of {len(parts)} values.",
            f"Give one value that is not empty for each of {', '.join(names)}.",
        )
    for name, part in zip(names, parts, strict=True):
        text = text.replace(name, part, 1)
    return text


def _pattern(
    text: str, ttl: TTL, *tags: str, group: Group = "other", of_report: bool = True
) -> tuple[str, Pattern]:
    return text, Pattern(text, ttl, tags, group, of_report)


#: Every key of the report in its order, then those that the application uses beside.
PATTERNS: Mapping[str, Pattern] = types.MappingProxyType(
    dict(
        [
            _pattern("user:{userId}", TTL.MEDIUM, "user:{userId}", group="User profiles"),
            _pattern(
                "user:{userId}:projects", TTL.MEDIUM, "user:{userId}", group="Project data"
            ),
            _pattern("user:{userId}:organizations", TTL.LONG, "user:{userId}"),
            _pattern("user:{userId}:teams", TTL.LONG, "user:{userId}"),
            _pattern("user:email:{email}", TTL.MEDIUM, group="User profiles"),
            _pattern("org:{orgId}", TTL.LONG, "org:{orgId}"),
            _pattern(
                "org:{orgId}:projects", TTL.MEDIUM, "org:{orgId}", group="Project data"
            ),
            _pattern("org:{orgId}:members", TTL.MEDIUM, "org:{orgId}"),
            _pattern(
                "project:{projectId}",
                TTL.MEDIUM,
                "project:{projectId}",
                group="Project data",
            ),
            _pattern(
                "project:{projectId}:members",
                TTL.MEDIUM,
                "project:{projectId}",
                group="Project data",
            ),
            _pattern(
                "project:{projectId}:files",
                TTL.SHORT,
                "project:{projectId}",
                group="File listings",
            ),
            _pattern(
                "project:{projectId}:milestones",
                TTL.MEDIUM,
                "project:{projectId}",
                group="Project data",
            ),
            _pattern("conv:{convId}", TTL.MEDIUM, "conv:{convId}"),
            _pattern(
                "conv:{convId}:messages:page:{page}",
                TTL.SHORT,
                "conv:{convId}",
                "conv:{convId}:messages",
                group="Messages",
            ),
            _pattern("conv:{convId}:participants", TTL.MEDIUM, "conv:{convId}"),
            _pattern("user:{userId}:conversations", TTL.SHORT, "user:{userId}"),
            _pattern(
                "user:{userId}:unread:{convId}",
                TTL.SHORT,
                "user:{userId}",
                "conv:{convId}:messages",
            ),
            _pattern(
                "analytics:user:{userId}:activity:{date}",
                TTL.LONG,
                "user:{userId}",
                group="Analytics",
            ),
            _pattern(
                "analytics:project:{projectId}:stats",
                TTL.MEDIUM,
                "project:{projectId}",
                group="Analytics",
            ),
            _pattern(
                "analytics:org:{orgId}:dashboard",
                TTL.MEDIUM,
                "org:{orgId}",
                group="Analytics",
            ),
            _pattern("file:{fileId}", TTL.MEDIUM, "file:{fileId}", of_report=False),
            _pattern(
                "file:{fileId}:versions", TTL.MEDIUM, "file:{fileId}", of_report=False
            ),
            _pattern("session:{id}", TTL.DAY, of_report=False),
            _pattern("token:{token}", TTL.DAY, of_report=False),
        ]
    )
)
_OTHER = Pattern("other", TTL.MEDIUM, (), is_of_report=False)
_MATCHERS = tuple(
    (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^:]+)", re.escape(one.text))), one)
    # user:email:{email} before user:{userId}:projects: the first match wins.
    for one in sorted(PATTERNS.values(), key=lambda one: one.text.count("{"))
)


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What follows from a key's text: its pattern and its tags with values."""

    key: str
    pattern: Pattern
    tags: tuple[str, ...]


@lru_cache(maxsize=65_536)
def facts_of(key: str) -> KeyFacts:
    """Return the pattern and the tags of a key; any other text is `other`, without tags.

    >>> facts_of("user:42:unread:7").tags
    ('user:42', 'conv:7:messages')
    >>> facts_of("feature flags").pattern.text
    'other'
    """
    for matcher, pattern in _MATCHERS:
        if found := matcher.fullmatch(key):
            values = found.groupdict()
            return KeyFacts(
                key, pattern, tuple(tag.format(**values) for tag in pattern.tags)
            )
    return KeyFacts(key, _OTHER, ())


class BuildKey:
    """Make the report's keys: `build_key.user(user_id)` and so on.

    >>> build_key.user_projects("42"), build_key.messages_page("7", 1)
    ('user:42:projects', 'conv:7:messages:page:1')
    >>> build_key.user("4*:2")
    'user:4%2A%3A2'
    """

    def user(self, user_id: object) -> str:
        """`user:{userId}`"""
        return PATTERNS["user:{userId}"].key(str(user_id))

    def user_projects(self, user_id: object) -> str:
        """`user:{userId}:projects`"""
        return PATTERNS["user:{userId}:projects"].key(str(user_id))

    def user_organizations(self, user_id: object) -> str:
        """`user:{userId}:organizations`"""
        return PATTERNS["user:{userId}:organizations"].key(str(user_id))

    def user_teams(self, user_id: object) -> str:
        """`user:{userId}:teams`"""
        return PATTERNS["user:{userId}:teams"].key(str(user_id))

    def user_by_email(self, email: str) -> str:
        """`user:email:{email}`"""
        return PATTERNS["user:email:{email}"].key(email)

    def organization(self, organization_id: object) -> str:
        """`org:{orgId}`"""
        return PATTERNS["org:{orgId}"].key(str(organization_id))

    def organization_projects(self, organization_id: object) -> str:
        """`org:{orgId}:projects`"""
        return PATTERNS["org:{orgId}:projects"].key(str(organization_id))

    def organization_members(self, organization_id: object) -> str:
        """`org:{orgId}:members`"""
        return PATTERNS["org:{orgId}:members"].key(str(organization_id))

    def project(self, project_id: object) -> str:
        """`project:{projectId}`"""
        return PATTERNS["project:{projectId}"].key(str(project_id))

    def project_members(self, project_id: object) -> str:
        """`project:{projectId}:members`"""
        return PATTERNS["project:{projectId}:members"].key(str(project_id))

    def project_files(self, project_id: object) -> str:
        """`project:{projectId}:files`"""
        return PATTERNS["project:{projectId}:files"].key(str(project_id))

    def project_milestones(self, project_id: object) -> str:
        """`project:{projectId}:milestones`"""
        return PATTERNS["project:{projectId}:milestones"].key(str(project_id))

    def conversation(self, conversation_id: object) -> str:
        """`conv:{convId}`"""
        return PATTERNS["conv:{convId}"].key(str(conversation_id))

    def messages_page(self, conversation_id: object, page: int) -> str:
        """`conv:{convId}:messages:page:{page}`"""
        return PATTERNS["conv:{convId}:messages:page:{page}"].key(
            str(conversation_id), str(page)
        )

    def conversation_participants(self, conversation_id: object) -> str:
        """`conv:{convId}:participants`"""
        return PATTERNS["conv:{convId}:participants"].key(str(conversation_id))

    def user_conversations(self, user_id: object) -> str:
        """`user:{userId}:conversations`"""
        return PATTERNS["user:{userId}:conversations"].key(str(user_id))

    def unread(self, user_id: object, conversation_id: object) -> str:
        """`user:{userId}:unread:{convId}`"""
        return PATTERNS["user:{userId}:unread:{convId}"].key(
            str(user_id), str(conversation_id)
        )

    def user_activity(self, user_id: object, date: object) -> str:
        """`analytics:user:{userId}:activity:{date}`"""
        return PATTERNS["analytics:user:{userId}:activity:{date}"].key(
            str(user_id), str(date)
        )

    def project_stats(self, project_id: object) -> str:
        """`analytics:project:{projectId}:stats`"""
        return PATTERNS["analytics:project:{projectId}:stats"].key(str(project_id))

    def organization_dashboard(self, organization_id: object) -> str:
        """`analytics:org:{orgId}:dashboard`"""
        return PATTERNS["analytics:org:{orgId}:dashboard"].key(str(organization_id))

    def file(self, file_id: object) -> str:
        """`file:{fileId}`"""
        return PATTERNS["file:{fileId}"].key(str(file_id))

    def file_versions(self, file_id: object) -> str:
        """`file:{fileId}:versions`"""
        return PATTERNS["file:{fileId}:versions"].key(str(file_id))

    def session(self, session_id: str) -> str:
        """`session:{id}`"""
        return PATTERNS["session:{id}"].key(session_id)

    def token(self, token: str) -> str:
        """`token:{token}`"""
        return PATTERNS["token:{token}"].key(token)


build_key = BuildKey()
