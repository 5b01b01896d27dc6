"""Read the Population from a database, once: twelve questions.

How active people are stands in no database. Users, organizations, projects and channels
are active by Zipf's law here, by the rank of what they hold: members, files, messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
import psycopg

from fluxlab.caching.replays.population import (
    File,
    Floats,
    Groups,
    Numbers,
    Population,
    Reach,
    zipf,
)
from fluxlab.errors import FluxlabError

Row = tuple[Any, ...]
T = TypeVar("T")

#: Messages of a channel that a reader may point at.
_NEWEST = 5
#: Of what somebody is shown who has nothing of a kind.
_LENT = 5
_OF_NOBODY = -1

_USERS = "select id, email from users order by id"
_ORGANIZATIONS = "select id from organizations order by id"
_TEAMS = "select id, organization_id from teams order by id"
_PROJECTS = "select id, organization_id, manager_id, client_id from projects order by id"
_CONVERSATIONS = """
select id, organization_id, project_id, created_by
from conversations
where not is_archived
order by id
"""
_MEMBERS = """
select {0}, user_id
from {1}
where is_active
order by {0}, user_id
"""
_PARTICIPANTS = """
select conversation_id, user_id
from conversation_participants
order by conversation_id, user_id
"""
_AUTHORS = "select distinct conversation_id, author_id from messages order by 1, 2"
_UPLOADERS = """
select distinct project_id, uploaded_by
from files
where project_id is not null
order by 1, 2
"""
#: A file that others are revisions of cannot be deleted.
_FILES = """
select listed.project_id, listed.id, listed.uploaded_by,
    exists (select 1 from files as revision where revision.parent_file_id = listed.id)
from projects
cross join lateral (
    select id, project_id, uploaded_by
    from files
    where files.project_id = projects.id
    order by created_at desc, id
    limit 20
) listed
order by 1, 2
"""
_MILESTONES = "select project_id, id from project_milestones order by project_id, id"
_MESSAGES = f"""
select newest.conversation_id, newest.id, newest.author_id
from conversations
cross join lateral (
    select id, conversation_id, author_id
    from messages
    where messages.conversation_id = conversations.id
        and deleted_at is null
    order by created_at desc, id
    limit {_NEWEST}
) newest
order by 1, 2
"""
_TIMES = """
select distinct on (user_id) user_id, id, project_id
from time_entries
order by user_id, date desc, id
"""
_NOTICES = """
select distinct on (user_id) user_id, id
from notifications
order by user_id, created_at desc, id
"""
_INVOICES = """
select organization_id, stripe_payment_intent_id
from invoices
where stripe_payment_intent_id is not null
order by 1, 2
"""
_COUNTS = "select {0}, count(*) from {1} where {0} is not null group by {0}"


def read_population(connection: psycopg.Connection, now: datetime) -> Population:
    """Read everybody from a database; `now` is the clock of the data.

    Raises FluxlabError where there is nobody.
    """
    return _Census(connection).take(now)


class _Census:
    """The numbers of everybody, and the questions that use them."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._users = self._rows(_USERS)
        self._organizations = self._rows(_ORGANIZATIONS)
        self._teams = self._rows(_TEAMS)
        self._projects = self._rows(_PROJECTS)
        self._conversations = self._rows(_CONVERSATIONS)
        kinds = {
            "user": self._users,
            "organization": self._organizations,
            "team": self._teams,
            "project": self._projects,
            "conversation": self._conversations,
        }
        if not all(rows for kind, rows in kinds.items() if kind != "team"):
            raise FluxlabError(
                "There is nobody in this database to replay.", "Load the data first."
            )
        self._number: dict[str, dict[UUID | None, int]] = {
            kind: {row[0]: at for at, row in enumerate(rows)}
            for kind, rows in kinds.items()
        }

    def take(self, now: datetime) -> Population:
        user, organization = self._number["user"], self._number["organization"]
        project = self._number["project"]
        members = self._members()
        joined = {kind: _turned(groups, len(user)) for kind, groups in members.items()}
        times = self._grouped(_TIMES, "user", lambda row: (row[1], project[row[2]]))
        notices = self._grouped(_NOTICES, "user", lambda row: row[1])
        return Population(
            now=now,
            users=[row[0] for row in self._users],
            emails=[row[1] for row in self._users],
            organizations=[row[0] for row in self._organizations],
            teams=[row[0] for row in self._teams],
            projects=[row[0] for row in self._projects],
            conversations=[row[0] for row in self._conversations],
            teams_of=[organization[row[1]] for row in self._teams],
            projects_of=[
                (organization[row[1]], user[row[2]], user.get(row[3], -1))
                for row in self._projects
            ],
            conversations_of=[
                (organization.get(row[1], -1), project.get(row[2], -1), user[row[3]])
                for row in self._conversations
            ],
            members=members,
            joined=joined,
            reach=self._reach(joined),
            ranks=_ranks([len(groups) for groups in joined["conversation"]]),
            files=self._grouped(
                _FILES, "project", lambda row: File(row[1], user[row[2]], not row[3])
            ),
            milestones=self._grouped(_MILESTONES, "project", lambda row: row[1]),
            messages=self._grouped(
                _MESSAGES, "conversation", lambda row: (row[1], user[row[2]])
            ),
            times=[found[0] if found else None for found in times],
            notices=[found[0] if found else None for found in notices],
            intents=self._grouped(_INVOICES, "organization", lambda row: row[1]),
        )

    def _rows(self, statement: str) -> list[Row]:
        return self._connection.execute(statement.encode(), prepare=False).fetchall()

    def _grouped(
        self, statement: str, kind: str, make: Callable[[Row], T]
    ) -> list[list[T]]:
        """Return what `make` makes of each row, by the number of what its id names."""
        number = self._number[kind]
        groups: list[list[T]] = [[] for _ in number]
        for row in self._rows(statement):
            if row[0] in number:
                groups[number[row[0]]].append(make(row))
        return groups

    def _members(self) -> dict[str, Groups]:
        user = self._number["user"]

        def people(statement: str, kind: str) -> list[list[int]]:
            return self._grouped(statement, kind, lambda row: user[row[1]])

        return {
            "organization": people(
                _MEMBERS.format("organization_id", "organization_members"), "organization"
            ),
            "team": people(_MEMBERS.format("team_id", "team_members"), "team"),
            "project": people(_MEMBERS.format("project_id", "project_members"), "project"),
            "conversation": people(_PARTICIPANTS, "conversation"),
            "author": people(_AUTHORS, "conversation"),
            "uploader": people(_UPLOADERS, "project"),
            "creator": [[user[row[3]]] for row in self._conversations],
            "head": [
                sorted({user[one] for one in row[2:4] if one in user})
                for row in self._projects
            ],
        }

    def _reach(self, joined: Mapping[str, Groups]) -> dict[str, Reach]:
        projects = [
            sorted({*member, *head})
            for member, head in zip(joined["project"], joined["head"], strict=True)
        ]
        organizations = joined["organization"]
        owners = {
            "organization": list(range(len(self._organizations))),
            "project": [self._organization(row[1]) for row in self._projects],
            "conversation": [self._organization(row[1]) for row in self._conversations],
        }
        wanted = (
            ("organization", organizations, "organization_id", "organization_members"),
            ("project", projects, "project_id", "files"),
            ("conversation", joined["conversation"], "conversation_id", "messages"),
        )
        found: dict[str, Reach] = {}
        for kind, mine, column, table in wanted:
            activity = self._activity(kind, column, table)
            lent = _most_active(owners[kind], activity, len(self._organizations))
            found[kind] = _shared(_filled(mine, organizations, lent), activity)
        return found

    def _organization(self, identity: UUID | None) -> int:
        return self._number["organization"].get(identity, _OF_NOBODY)

    def _activity(self, kind: str, column: str, table: str) -> Floats:
        """Return Zipf's share of each by the rank of its rows in a table."""
        number = self._number[kind]
        counts = [0] * len(number)
        for key, count in self._rows(_COUNTS.format(column, table)):
            if key in number:
                counts[number[key]] = count
        return zipf(len(number))[_ranks(counts)]


def _ranks(counts: Sequence[int]) -> Numbers:
    """Return the rank of each by its count, 0 for the largest."""
    order = np.argsort(-np.array(counts, dtype=np.int64), kind="stable")
    ranks = np.empty(len(counts), dtype=np.int64)
    ranks[order] = np.arange(len(counts))
    return ranks


def _turned(groups: Groups, count: int) -> list[list[int]]:
    """Return for each of `count` users the groups that she is in."""
    found: list[list[int]] = [[] for _ in range(count)]
    for at, group in enumerate(groups):
        for user in group:
            found[user].append(at)
    return found


def _most_active(owners: Sequence[int], activity: Floats, count: int) -> Groups:
    """Return the few most active of each of `count` organizations; last, of all."""
    order = np.argsort(-activity, kind="stable").tolist()
    found: list[list[int]] = [[] for _ in range(count + 1)]
    for at in order:
        for group in (owners[at], count):
            if group != _OF_NOBODY and len(found[group]) < _LENT:
                found[group].append(at)
    return found


def _filled(mine: Groups, organizations: Groups, lent: Groups) -> Groups:
    """Let who has nothing of a kind look at what is busiest in the own organizations."""
    found: list[Sequence[int]] = []
    for own, of_user in zip(mine, organizations, strict=True):
        others = sorted({at for one in of_user for at in lent[one]})
        found.append(own or others or lent[-1])
    return found


def _shared(of_users: Groups, activity: Floats) -> Reach:
    """Share each user's attention by activity."""
    found = np.array([at for mine in of_users for at in mine], dtype=np.int64)
    lengths = [len(mine) for mine in of_users]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    weights = activity[found]
    totals = np.add.reduceat(weights, starts[:-1])
    return Reach(starts, found, weights / np.repeat(totals, lengths))
