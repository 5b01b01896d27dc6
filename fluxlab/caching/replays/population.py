"""The users of a data set: who they are, what each can reach, how active each is.

`census` reads them from the database. Everything is numbered in the order of its id, so
that the same rows and the same seed give the same traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Groups = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class File:
    """A file, who uploaded it and whether it may be deleted."""

    id: UUID
    uploader: int
    is_original: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """What each user can reach of a kind, and the share of each in what she looks at.

    Those of user `u` stand from `offsets[u]` to `offsets[u + 1]`; their shares add to 1.
    """

    offsets: Numbers
    objects: Numbers
    shares: Floats

    def draw(self, users: Numbers, random: np.random.Generator) -> Numbers:
        """Draw one object for each of these users, by share."""
        ends = np.concatenate([[0.0], np.cumsum(self.shares)])
        low, high = ends[self.offsets[users]], ends[self.offsets[users + 1]]
        found = np.searchsorted(ends, low + (high - low) * random.random(len(users)))
        last = self.offsets[users + 1] - 1
        chosen = self.objects[np.clip(found - 1, self.offsets[users], last)]
        return np.asarray(chosen, dtype=np.int64)

    def totals(self, activity: Floats, count: int) -> Floats:
        """Return the share of each of `count` objects in what all users look at."""
        owners = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        weights = activity[owners] * self.shares
        shares = np.bincount(self.objects, weights=weights, minlength=count)
        return np.asarray(shares, dtype=float)


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody and everything, by number; ids are those of the database.

    `teams` have their organization, `projects` organization, manager and client,
    `conversations` organization, project and creator; -1 is none. `members` are the users
    of a group, `joined` the groups of a user; `ranks` has 0 for the most active user.
    """

    now: datetime
    users: Sequence[UUID]
    emails: Sequence[str]
    organizations: Sequence[UUID]
    teams: Sequence[UUID]
    projects: Sequence[UUID]
    conversations: Sequence[UUID]
    teams_of: Sequence[int]
    projects_of: Sequence[tuple[int, int, int]]
    conversations_of: Sequence[tuple[int, int, int]]
    members: Mapping[str, Groups]
    files: Sequence[Sequence[File]]
    milestones: Sequence[Sequence[UUID]]
    messages: Sequence[Sequence[tuple[UUID, int]]]
    times: Sequence[tuple[UUID, int] | None]
    notices: Sequence[UUID | None]
    intents: Sequence[Sequence[str]]
    reach: Mapping[str, Reach]
    ranks: Numbers
    joined: Mapping[str, Groups]

    @property
    def today(self) -> date:
        """The day on which the data stands still."""
        return self.now.date()


def zipf(count: int, exponent: float = 1.0) -> Floats:
    """Return the shares of `count` ranks under Zipf's law; they add to 1.

    >>> [round(float(share), 3) for share in zipf(3)]
    [0.545, 0.273, 0.182]
    """
    weights = np.arange(1, count + 1, dtype=float) ** -exponent
    return np.asarray(weights / weights.sum(), dtype=float)


def attendance(count: int, present: int) -> Floats:
    """Return how often the user of each rank is there when `present` are, on average.

    By Zipf's law, but nobody is there more than once at a time: who would be is there
    always, and the rest is shared by the others.
    """
    wanted = zipf(count) * present
    for _ in range(count):
        over = wanted >= 1.0
        rest = present - int(over.sum())
        if over.all() or rest <= 0:
            break
        scaled = np.where(over, 1.0, wanted * rest / wanted[~over].sum())
        if np.allclose(scaled, wanted):
            break
        wanted = scaled
    return np.minimum(wanted, 1.0)
