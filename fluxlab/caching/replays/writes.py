"""What users write: transactions of one or two Queries, each with its Touch."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fluxlab.caching.layer import Touch
from fluxlab.caching.replays import touches
from fluxlab.caching.replays.scenes import Scene, Stage, Value, companion, newcomer

Part = Literal["user", "organization", "project", "conversation"]


@dataclass(frozen=True, slots=True)
class Write:
    """A transaction: its Queries, and the Touch that follows from who does what.

    The first Query has the weight. The Touch depends on these `parts` of a Scene, and on
    its draw where `is_drawn`. `values` differ from those that a parameter of this name
    has elsewhere.
    """

    queries: tuple[str, ...]
    parts: tuple[Part, ...]
    touch: Callable[[Stage, Scene], Touch]
    values: Mapping[str, Value] = field(default_factory=dict)
    is_drawn: bool = False

    @property
    def name(self) -> str:
        """The name of the first Query."""
        return self.queries[0]


def _someone(choose: Callable[[Stage, Scene], int]) -> Mapping[str, Value]:
    return {"user_id": lambda stage, scene: stage.people.users[choose(stage, scene)]}


def _own_message(stage: Stage, scene: Scene) -> object:
    newest = stage.people.messages[scene.conversation]
    return stage.people.users[scene.pick(newest)[1] if newest else scene.user]


def _organization_of_project(stage: Stage, scene: Scene) -> object:
    return stage.people.organizations[stage.people.projects_of[scene.project][0]]


def _milestone(stage: Stage, scene: Scene) -> object:
    found = stage.people.milestones[scene.project]
    return scene.pick(found) if found else stage.people.projects[scene.project]


def _deletable(stage: Stage, scene: Scene) -> object:
    files = [one for one in stage.people.files[scene.project] if one.is_original]
    return scene.pick(files).id if files else stage.people.projects[scene.project]


def _intent(stage: Stage, scene: Scene) -> object:
    found = stage.people.intents[scene.organization]
    return scene.pick(found) if found else "none"


def _notice(stage: Stage, scene: Scene) -> object:
    return stage.people.notices[scene.user] or stage.people.users[scene.user]


def _time_entry(stage: Stage, scene: Scene) -> object:
    found = stage.people.times[scene.user]
    return found[0] if found else stage.people.users[scene.user]


def _me(stage: Stage, scene: Scene) -> object:
    return stage.people.users[scene.user]


def _write(
    queries: str,
    parts: str,
    touch: Callable[[Stage, Scene], Touch] = touches.nothing,
    values: Mapping[str, Value] | None = None,
    *,
    is_drawn: bool = False,
) -> Write:
    named: dict[str, Part] = {
        "user": "user",
        "organization": "organization",
        "project": "project",
        "conversation": "conversation",
    }
    chosen = tuple(named[part] for part in parts.split())
    return Write(tuple(queries.split()), chosen, touch, values or {}, is_drawn)


_OF_PROJECT: Mapping[str, Value] = {"organization_id": _organization_of_project}
#: Every write that users make, by the name of its first Query. Left out: nightly jobs,
#: bulk changes, and what ends an account, a project or a membership for good.
WRITES: Mapping[str, Write] = types.MappingProxyType(
    {
        one.name: one
        for one in (
            _write(
                "message_insert conversation_touch",
                "user conversation",
                touches.message_sent,
            ),
            _write("participant_mark_read", "user conversation", touches.marker_moved),
            _write("messages_mark_read", "conversation", touches.page_changed),
            _write(
                "message_edit",
                "conversation",
                touches.page_changed,
                {"author_id": _own_message},
            ),
            _write("message_soft_delete", "conversation", touches.message_hidden),
            _write("reaction_add", "conversation"),
            _write("reaction_remove", "conversation"),
            _write("conversation_insert", "project", touches.counters_changed, _OF_PROJECT),
            _write(
                "participant_add",
                "conversation",
                touches.channel_entered,
                _someone(newcomer),
                is_drawn=True,
            ),
            _write(
                "participant_remove",
                "conversation",
                touches.channel_left,
                _someone(companion),
                is_drawn=True,
            ),
            _write("notification_insert", "user"),
            _write(
                "notification_mark_one",
                "user",
                touches.nothing,
                {"notification_id": _notice},
            ),
            _write("notifications_mark_all", "user"),
            _write("notification_fanout_project", "project"),
            _write("user_touch_last_login", "user", touches.account_changed),
            _write("user_update_preferences", "user", touches.account_changed),
            _write("user_update_profile", "user", touches.profile_changed),
            _write("user_insert_password", "user"),
            _write(
                "org_member_upsert",
                "organization",
                touches.organization_joined,
                _someone(newcomer),
                is_drawn=True,
            ),
            _write("org_merge_settings", "organization", touches.organization_changed),
            _write(
                "team_member_upsert",
                "organization",
                touches.team_joined,
                _someone(newcomer),
                is_drawn=True,
            ),
            _write(
                "project_insert",
                "organization",
                touches.project_founded,
                {"manager_id": _me},
            ),
            _write(
                "project_member_upsert",
                "project",
                touches.project_joined,
                _someone(newcomer),
                is_drawn=True,
            ),
            _write("project_update_status", "project", touches.project_changed),
            _write("project_update_details", "project", touches.project_changed),
            _write("project_recompute_hours", "project", touches.project_changed),
            _write(
                "milestone_complete",
                "project",
                touches.milestone_closed,
                {"milestone_id": _milestone},
            ),
            _write("file_insert", "user project", touches.file_uploaded, _OF_PROJECT),
            _write("file_set_status", "project", touches.file_changed),
            _write("file_merge_metadata", "project", touches.file_changed),
            _write("file_demote_previous", "project", touches.file_changed),
            _write(
                "file_delete",
                "project",
                touches.file_deleted,
                {"file_id": _deletable},
                is_drawn=True,
            ),
            _write("file_grant_insert", "project", touches.nothing, _someone(companion)),
            _write("time_entry_insert", "user project", touches.time_logged),
            _write(
                "time_entry_update",
                "user",
                touches.time_corrected,
                {"time_entry_id": _time_entry},
            ),
            _write("invoice_insert", "project", touches.nothing, _OF_PROJECT),
            _write(
                "invoice_mark_paid_by_intent",
                "organization",
                touches.invoice_paid,
                {"payment_intent_id": _intent},
            ),
        )
    }
)
