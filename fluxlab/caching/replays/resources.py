"""Which Query fills which key of the report.

Every answer is a function of the database and of the clock of the data, which stands
still: it changes by writes and by nothing else, so that a checker can compare.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass

from fluxlab.caching.keys import PATTERNS, Pattern
from fluxlab.errors import FluxlabError
from fluxlab.workload.query import Query, Workload

#: The newest page of a channel: the only one that anybody reads twice.
FIRST_PAGE = 1
#: Names in the report's keys, and the parameters of the Queries that they stand for.
_PARAMETERS = {
    "userId": "user_id",
    "orgId": "organization_id",
    "projectId": "project_id",
    "convId": "conversation_id",
    "email": "email",
    "date": "day",
}
#: Parameters that stand still, so that they need no place in a key.
_FIXED = frozenset({"now", "today", "since", "offset"})


@dataclass(frozen=True, slots=True)
class Resource:
    """One key pattern and the Query that fills it.

    `others` are Queries that name the same key and are not asked; `why` says why not.
    """

    pattern: Pattern
    query: str
    others: tuple[str, ...] = ()
    why: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of the Query that make the key, in the order of its text."""
        return tuple(_PARAMETERS[name] for name in _names_in(self.pattern.text))

    def key(self, values: Mapping[str, object]) -> str:
        """Return the key for the parameters of the Query."""
        parts = [
            str(values[_PARAMETERS[name]]) if name in _PARAMETERS else str(FIRST_PAGE)
            for name in _names_in(self.pattern.text, with_page=True)
        ]
        return self.pattern.key(*parts)


def _names_in(text: str, *, with_page: bool = False) -> tuple[str, ...]:
    names = (part.partition("}")[0] for part in text.split("{")[1:])
    return tuple(name for name in names if with_page or name != "page")


def _resource(pattern: str, query: str, others: str = "", why: str = "") -> Resource:
    return Resource(PATTERNS[pattern], query, tuple(others.split()), why)


#: All twenty patterns of the report, in its order, by their text.
RESOURCES: Mapping[str, Resource] = types.MappingProxyType(
    {
        one.pattern.text: one
        for one in (
            _resource("user:{userId}", "user_by_id"),
            _resource("user:{userId}:projects", "projects_of_member_page"),
            _resource("user:{userId}:organizations", "user_organizations"),
            _resource("user:{userId}:teams", "user_teams"),
            _resource("user:email:{email}", "user_by_email"),
            _resource(
                "org:{orgId}",
                "org_by_id",
                "org_by_slug",
                "A slug names no id before the row is there, so it cannot make this key.",
            ),
            _resource("org:{orgId}:projects", "projects_of_org"),
            _resource("org:{orgId}:members", "org_members_list"),
            _resource("project:{projectId}", "project_by_id"),
            _resource("project:{projectId}:members", "project_members_list"),
            _resource("project:{projectId}:files", "files_of_project"),
            _resource("project:{projectId}:milestones", "project_milestones_list"),
            _resource("conv:{convId}", "conversation_by_id"),
            _resource(
                "conv:{convId}:messages:page:{page}",
                "messages_page_first",
                "messages_page_deep_offset",
                "Page 201 exists in a handful of channels and is asked once in eighty"
                " times; as another page of the same key it would not change the rate.",
            ),
            _resource("conv:{convId}:participants", "conversation_members_list"),
            _resource(
                "user:{userId}:conversations",
                "user_conversations",
                "user_conversations_global_cte",
                "Both answer the inbox. The other reads every message of the platform"
                " first: what a cache saved there, an ordinary query saves too.",
            ),
            _resource("user:{userId}:unread:{convId}", "unread_count_one"),
            _resource(
                "analytics:user:{userId}:activity:{date}", "analytics_user_activity_day"
            ),
            _resource("analytics:project:{projectId}:stats", "analytics_project_stats"),
            _resource("analytics:org:{orgId}:dashboard", "analytics_org_dashboard"),
        )
    }
)


def check_resources(workload: Workload) -> None:
    """Check that each Query names the key it fills and has no other moving parameter.

    Raises FluxlabError for the first that does not.
    """
    for one in RESOURCES.values():
        query = workload.find(one.query)
        moving = set(query.names) - set(one.names) - _FIXED
        named = {name for name in workload if _names_key(workload[name], one)}
        if moving or named != {one.query, *one.others}:
            raise FluxlabError(
                f"The key {one.pattern.text} and the query {one.query} do not fit.",
                f"Correct caching/replays/resources.py or {query.path.name}:{query.line}.",
            )


def _names_key(query: Query, resource: Resource) -> bool:
    return query.cache is not None and query.cache.key == resource.pattern.text


def weight_of(resource: Resource, workload: Workload) -> float:
    """Return how often the key is asked for in 1,000 requests, by whichever Query."""
    return sum(workload[name].weight for name in (resource.query, *resource.others))
