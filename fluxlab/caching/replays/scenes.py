"""A Scene: who acts and what she looks at; and the parameters that follow from it.

A Query's parameters are found by their names, as the application would fill them in. A
name that is not known here leaves its Query out of the mix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from fluxlab.caching.replays.population import Population
from fluxlab.workload.query import Parameter, Query

T = TypeVar("T")

#: Days of activity that people look at: today, or one of the six before.
DAYS = 7
_TODAYS_SHARE = 0.7
#: Whose profile is read: in this share the reader's own, else that of a companion.
OWN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Scene:
    """One user, one organization, one project and one channel, by number.

    `draw` is a random number below 2^62, which decides what is left open.
    """

    user: int
    organization: int
    project: int
    conversation: int
    draw: int

    def pick(self, choices: Sequence[T], salt: int = 0) -> T:
        """Return one of the choices, the same each time for the same salt."""
        return choices[(self.draw // (salt + 1) + salt) % len(choices)]

    def chance(self, salt: int) -> float:
        """Return a number from 0 to 1, the same each time for the same salt."""
        return (self.draw // (salt + 1) * 2_654_435_761 % (1 << 32)) / (1 << 32)


@dataclass(frozen=True, slots=True)
class Stage:
    """The Population while it is played: who joined meanwhile is a member too.

    One that is not `is_open` lets nobody in: rates are those of the beginning.
    """

    people: Population
    is_open: bool = True
    _late: dict[tuple[str, int], set[int]] = field(default_factory=dict)

    def members(self, kind: str, number: int) -> tuple[int, ...]:
        """Return the users of a group, those who joined meanwhile included."""
        late = self._late.get((kind, number), ())
        return (*self.people.members[kind][number], *late)

    def join(self, kind: str, number: int, user: int) -> None:
        """Remember that somebody joined a group."""
        if self.is_open and user not in self.people.members[kind][number]:
            self._late.setdefault((kind, number), set()).add(user)

    def groups(self, kind: str, user: int) -> tuple[int, ...]:
        """Return the groups of a user, those joined meanwhile included."""
        late = (
            at for (of, at), users in self._late.items() if of == kind and user in users
        )
        return (*self.people.joined[kind][user], *late)


Value = Callable[[Stage, Scene], object]


def day_back(scene: Scene) -> int:
    """Return how many days ago the day lies that somebody looks at."""
    if scene.chance(5) < _TODAYS_SHARE:
        return 0
    return 1 + int(scene.chance(6) * (DAYS - 1))


def share_of_day(back: int) -> float:
    """Return how often people look at the day that lies `back` days ago."""
    return _TODAYS_SHARE if back == 0 else (1 - _TODAYS_SHARE) / (DAYS - 1)


def companion(stage: Stage, scene: Scene) -> int:
    """Return somebody of the channel; oneself where nobody is there."""
    return scene.pick(
        stage.people.members["conversation"][scene.conversation] or (scene.user,)
    )


def anybody(stage: Stage, scene: Scene) -> int:
    """Return whose profile is read."""
    return scene.user if scene.chance(3) < OWN_SHARE else companion(stage, scene)


def newcomer(stage: Stage, scene: Scene) -> int:
    """Return any user at all."""
    return scene.draw // 7 % len(stage.people.users)


def team_of(stage: Stage, scene: Scene) -> int:
    """Return a team of the user, or any where she has none; there may be none at all."""
    mine = stage.people.joined["team"][scene.user] or range(len(stage.people.teams))
    return scene.pick(mine, 2)


def _user(stage: Stage, scene: Scene) -> object:
    return stage.people.users[scene.user]


def _message(stage: Stage, scene: Scene) -> object:
    newest = stage.people.messages[scene.conversation]
    return scene.pick(newest)[0] if newest else stage.people.conversations[0]


def _file(stage: Stage, scene: Scene) -> object:
    files = stage.people.files[scene.project]
    return scene.pick(files).id if files else stage.people.projects[0]


def _ago(days: int) -> Value:
    return lambda stage, scene: stage.people.now - timedelta(days=days)


def _day(back: int) -> Value:
    return lambda stage, scene: stage.people.today - timedelta(days=back)


def _is(value: object) -> Value:
    return lambda stage, scene: value


#: What a parameter of this name is.
VALUES: Mapping[str, Value] = {
    "now": lambda stage, scene: stage.people.now,
    "today": lambda stage, scene: stage.people.today,
    "user_id": _user,
    "author_id": _user,
    "actor_id": _user,
    "client_id": _user,
    "granted_by": _user,
    "created_by": _user,
    "other_user_id": lambda stage, scene: stage.people.users[companion(stage, scene)],
    "user_ids": lambda stage, scene: [
        stage.people.users[one]
        for one in stage.people.members["conversation"][scene.conversation]
    ],
    "email": lambda stage, scene: stage.people.emails[scene.user],
    "organization_id": lambda stage, scene: stage.people.organizations[scene.organization],
    "team_id": lambda stage, scene: stage.people.teams[team_of(stage, scene)],
    "project_id": lambda stage, scene: stage.people.projects[scene.project],
    "project_ids": lambda stage, scene: [
        stage.people.projects[one] for one in stage.people.joined["project"][scene.user]
    ],
    "conversation_id": lambda stage, scene: stage.people.conversations[scene.conversation],
    "message_id": _message,
    "thread_id": _message,
    "before_id": _message,
    "message_ids": lambda stage, scene: [
        one for one, _ in stage.people.messages[scene.conversation]
    ],
    "file_id": _file,
    "day": lambda stage, scene: stage.people.today - timedelta(days=day_back(scene)),
    "first_day": _day(7),
    "last_day": _day(0),
    "since": _ago(30),
    "last_read_at": _ago(1),
    "before_created_at": _ago(1),
    "offset": _is(0),
    "permission_type": _is("read"),
    "reaction": _is("thumbs_up"),
    "category": _is("design"),
    "type": _is("mention"),
    "tag": _is("drill"),
}
#: The same by area, where a name means something else there.
OF_AREA: Mapping[tuple[str, str], Value] = {
    ("files", "status"): _is("approved"),
    ("projects", "status"): _is("active"),
}


#: The same by Query, where an id is compared as a text.
OF_QUERY: Mapping[tuple[str, str], Value] = {
    ("notifications_of_project_json", "project_id"): lambda stage, scene: str(
        stage.people.projects[scene.project]
    ),
    ("user_by_id_as_text", "user_id"): lambda stage, scene: str(
        stage.people.users[scene.user]
    ),
}


def value_of(query: Query, parameter: Parameter | None, name: str) -> Value | None:
    """Return how a parameter is filled in; None when this lab does not know."""
    if found := OF_QUERY.get((query.name, name)) or OF_AREA.get((query.area, name)):
        return found
    if found := VALUES.get(name):
        return found
    if parameter and parameter.choices:
        # The last choice is one that the data does not hold.
        choices = parameter.choices[:-1] or parameter.choices
        return lambda stage, scene: scene.pick(choices, 4)
    return None
