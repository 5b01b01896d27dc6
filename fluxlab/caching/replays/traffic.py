"""Traffic: who asks for what and when, drawn from a Population and a mix with a seed.

Users come in sessions. A session looks at pages with pauses between, each view asks a few
things of one organization, project or channel, and then the user leaves. Times are in
seconds of the application; a replay compresses them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fluxlab.caching.replays.mix import REQUESTS_A_VIEW, Ask, Mix
from fluxlab.caching.replays.population import Floats, Numbers, Population, attendance
from fluxlab.caching.replays.scenes import Scene
from fluxlab.caching.replays.writes import Part

#: Views of a session, on average; their number is geometric.
VIEWS_A_SESSION = 20
#: One request of the report's users takes this long beside their pause.
_ANSWER_S = 0.1
#: The requests of one view begin within this time.
_VIEW_S = 0.3
_PARTS: tuple[Part, ...] = ("organization", "project", "conversation")


@dataclass(frozen=True, slots=True)
class Demand:
    """How many `users` are there at a time, and their pause before each request.

    500 users who think for 5 s ask 98 times in a second, as N = X (R + Z) says (Little).
    """

    users: int
    think_s: float = 5.0

    @property
    def rate_per_s(self) -> float:
        """Requests of all users in a second of the application."""
        return self.users / (self.think_s + _ANSWER_S)


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody asks something, `at_s` seconds after the window begins (before: below 0).

    `ask` is its number in the mix.
    """

    at_s: float
    ask: int
    scene: Scene


@dataclass(frozen=True, slots=True)
class Views:
    """Views of pages in the order of their time; every array has one item a view."""

    at_s: Floats
    session: Numbers
    users: Numbers
    page: Numbers
    parts: tuple[Numbers, Numbers, Numbers]

    def parted(self, at_s: float) -> tuple[Views, Views]:
        """Return the views before a time, and the others."""
        cut = int(np.searchsorted(self.at_s, at_s))
        every = np.arange(len(self.at_s))
        return self.taken(every[:cut]), self.taken(every[cut:])

    def taken(self, which: Numbers) -> Views:
        """Return some of the views, in this order."""
        first, second, third = self.parts
        return Views(
            self.at_s[which],
            self.session[which],
            self.users[which],
            self.page[which],
            (first[which], second[which], third[which]),
        )


class Traffic:
    """What a Population does; every draw follows from the seed."""

    def __init__(self, people: Population, mix: Mix, demand: Demand, seed: int) -> None:
        self.people = people
        self.mix = mix
        self.demand = demand
        present = min(demand.users, len(people.users))
        #: The share of each user in everything.
        self.activity: Floats = attendance(len(people.users), present)[people.ranks]
        self.activity = self.activity / self.activity.sum()
        self._random = np.random.default_rng(seed)
        self._pages: tuple[Part, ...] = tuple(mix.views)
        shares = np.array([mix.views[page] for page in self._pages])
        self._shares = shares / shares.sum()

    @property
    def views_per_s(self) -> float:
        """Views of pages in a second of the application."""
        return self.demand.rate_per_s * sum(self.mix.views.values()) / 1_000

    @property
    def asks_per_s(self) -> float:
        """Reads and writes in a second of the application."""
        return self.demand.rate_per_s * self.mix.weight / 1_000

    def rate_of(self, ask: Ask) -> float:
        """Return how often something is asked in a second of the application."""
        return self.demand.rate_per_s * ask.weight / 1_000

    def views(self, start_s: float, end_s: float) -> Views:
        """Draw the views between two times, of sessions that began long before or in it."""
        random = self._random
        pause_s = self.demand.users / self.views_per_s
        first_s = start_s - 5 * VIEWS_A_SESSION * pause_s
        expected = self.views_per_s / VIEWS_A_SESSION * (end_s - first_s)
        count = int(random.poisson(expected))
        lengths = random.geometric(1 / VIEWS_A_SESSION, count)
        session = np.repeat(np.arange(count), lengths)
        pauses = random.exponential(pause_s, len(session))
        begins = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        passed = np.cumsum(pauses)
        passed -= np.repeat(passed[begins], lengths)
        at_s = np.repeat(random.uniform(first_s, end_s, count), lengths) + passed
        users = random.choice(len(self.activity), size=count, p=self.activity)[session]
        kept = (at_s >= start_s) & (at_s < end_s)
        at_s, session, users = at_s[kept], session[kept], users[kept]
        order = np.argsort(at_s, kind="stable")
        at_s, session, users = at_s[order], session[order], users[order]
        parts = self._parts(users)
        page = random.choice(len(self._pages), size=len(users), p=self._shares)
        return Views(at_s, session, users, page, parts)

    def events(self, views: Views, *, only_cached: bool = False) -> list[Event]:
        """Draw what is asked in each view, in the order of time.

        With `only_cached`, reads with a key and writes alone: what a past consists of.
        """
        found: list[tuple[Numbers, Numbers]] = []
        for number, page in enumerate(self._pages):
            asks = [
                at
                for at, ask in enumerate(self.mix.asks)
                if ask.page == page and (not only_cached or ask.resource or ask.write)
            ]
            chances = np.array([self.mix.chance(self.mix.asks[at]) for at in asks])
            here = np.flatnonzero(views.page == number)
            view, ask = np.nonzero(self._random.random((len(here), len(asks))) < chances)
            found.append((here[view], np.array(asks, dtype=np.int64)[ask]))
        view, ask = (np.concatenate(parts) for parts in zip(*found, strict=True))
        at_s = views.at_s[view] + self._random.uniform(0, _VIEW_S, len(view))
        draws = self._random.integers(1 << 62, size=len(view))
        order = np.argsort(at_s, kind="stable")
        columns = (views.users, *views.parts)
        numbers = [column[view[order]].tolist() for column in columns]
        scenes = map(Scene, *numbers, draws[order].tolist())
        times, asked = at_s[order].tolist(), ask[order].tolist()
        return list(map(Event, times, asked, scenes))

    def sessions(
        self, count: int, past_s: float, length_s: float
    ) -> tuple[list[Event], list[list[Event]]]:
        """Draw what each of `count` users does one after another, for closed arrivals.

        Return what they asked through the cache in the past, by time, and for each what
        comes in the next `length_s`; there `at_s` is the pause before each event.
        A user who leaves is replaced by another at once.
        """
        pause_s = self.demand.users / self.views_per_s
        expected = (past_s + length_s) / pause_s
        views = math.ceil(expected + 6 * math.sqrt(expected)) + 10
        random = self._random
        users = self._users_of_seats(count, views)
        at_s = np.cumsum(random.exponential(pause_s, (count, views)), axis=1) - past_s
        drawn = Views(
            at_s.ravel(),
            np.repeat(np.arange(count), views),
            users,
            random.choice(len(self._pages), size=count * views, p=self._shares),
            self._parts(users),
        )
        is_past = drawn.at_s < 0
        by_time = np.flatnonzero(is_past)[np.argsort(drawn.at_s[is_past], kind="stable")]
        past = self.events(drawn.taken(by_time), only_cached=True)
        # Nobody is faster than the pauses, so no later view is ever reached.
        is_next = ~is_past & (drawn.at_s < length_s)
        return past, self._seated(count, drawn.taken(np.flatnonzero(is_next)))

    def _seated(self, count: int, views: Views) -> list[list[Event]]:
        """Draw the events of views that stand seat by seat; times become pauses."""
        places = np.arange(len(views.at_s), dtype=float)  # keeps that order
        seats: list[list[Event]] = [[] for _ in range(count)]
        last = [(-1, 0.0)] * count
        for event in self.events(replace(views, at_s=places)):
            view = int(event.at_s)
            seat, time_s = int(views.session[view]), float(views.at_s[view])
            known, before_s = last[seat]
            pause_s = 0.0 if view == known else time_s - before_s
            seats[seat].append(Event(pause_s, event.ask, event.scene))
            last[seat] = view, time_s
        return seats

    def _parts(self, users: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        organization, project, conversation = (
            self.people.reach[part].draw(users, self._random) for part in _PARTS
        )
        return organization, project, conversation

    def _users_of_seats(self, count: int, views: int) -> Numbers:
        random = self._random
        users: list[Numbers] = []
        for _ in range(count):
            leaves = random.random(views) < 1 / VIEWS_A_SESSION
            session = np.cumsum(leaves)
            drawn = random.choice(len(self.activity), size=session[-1] + 1, p=self.activity)
            users.append(drawn[session])
        return np.concatenate(users)


def describe(demand: Demand, mix: Mix) -> Sequence[tuple[str, float]]:
    """Return what there is to say of the traffic beside its rates, for a table."""
    return (
        ("users at a time", demand.users),
        ("requests a second", demand.rate_per_s),
        ("reads and writes a second", demand.rate_per_s * mix.weight / 1_000),
        ("views of a page a second", demand.rate_per_s / REQUESTS_A_VIEW),
        ("writes, share of all", mix.write_share),
        ("reads with a key, share of reads", mix.cached_share),
        ("reads' weight that is replayed, share", mix.covered),
    )
