"""Replays on a real database and a real Valkey: what hits return, and who counts them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from psycopg.conninfo import make_conninfo

from conftest import fresh_copy
from fluxlab import cache_measuring
from fluxlab.cache_lab import CacheLab, open_notes, why_outside
from fluxlab.caching.experiments.bench import own_home
from fluxlab.caching.layer import Touch
from fluxlab.caching.replays import replay as replays
from fluxlab.caching.replays.census import read_population
from fluxlab.caching.replays.checker import UnderWay, canonical
from fluxlab.caching.replays.mix import Mix, make_mix
from fluxlab.caching.replays.population import Population
from fluxlab.caching.replays.scenes import Scene, Stage
from fluxlab.caching.replays.stand import Drawn, Plan, Stand
from fluxlab.caching.replays.traffic import Demand, Event, Traffic
from fluxlab.caching.results import LayerName, Prediction, Replay
from fluxlab.dataset.load import Dataset
from fluxlab.errors import FluxlabError
from fluxlab.lab import Lab, prepare
from fluxlab.progress import Tick
from fluxlab.servers import redis as valkey
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT, Settings
from fluxlab.workload.catalogue import load_workload

#: Between a write and what comes before and after it, so that nothing is under way.
_APART_S = 0.06
_STEP_S = 0.002


@dataclass(frozen=True)
class World:
    server: PostgresServer
    url: str
    people: Population
    mix: Mix

    def play(
        self, layer: LayerName, events: list[Event], mix: Mix | None = None
    ) -> tuple[Replay, list[str]]:
        """Play events one after another, check every hit, and return the stale keys."""
        plan = Plan(layer, "open", Demand(50), 1.0, 60.0, 0.0, 1, check_share=1.0)
        with fresh_copy(self.server) as database:
            conninfo = make_conninfo(self.server.conninfo, dbname=database)
            stand = Stand(self.url, conninfo, self.people, mix or self.mix, plan)
            found = asyncio.run(stand.run(Drawn((), events, ())))
        assert not found.errors, stand.errors
        return found, list(stand.stale_keys)

    def number(self, query: str) -> int:
        return next(at for at, ask in enumerate(self.mix.asks) if ask.query.name == query)

    @property
    def cached(self) -> list[int]:
        return [at for at, ask in enumerate(self.mix.asks) if ask.resource]

    def around(self, scenes: list[Scene], *queries: str) -> list[Event]:
        """Read every key of these Scenes, and again after each write in the first."""
        events: list[Event] = []
        at_s = 0.0

        def read_all() -> None:
            nonlocal at_s
            for scene in scenes:
                for number in self.cached:
                    events.append(Event(at_s, number, scene))
                    at_s += _STEP_S

        read_all()
        for query in queries:
            at_s += _APART_S
            events.append(Event(at_s, self.number(query), scenes[0]))
            at_s += _APART_S
            read_all()
        return events

    def without(self, query: str, loses: Callable[[Touch], Touch]) -> Mix:
        """Return the mix with a Touch that misses something: the mutant."""

        def mutated(touch: Callable[[Stage, Scene], Touch]) -> Callable[..., Touch]:
            return lambda stage, scene: loses(touch(stage, scene))

        return replace(
            self.mix,
            asks=tuple(
                replace(ask, write=replace(ask.write, touch=mutated(ask.write.touch)))
                if ask.write and ask.query.name == query
                else ask
                for ask in self.mix.asks
            ),
        )


@pytest.fixture(scope="module")
def world(
    postgres: PostgresServer, module_database: str, template: Dataset, settings: Settings
) -> Iterator[World]:
    with connect(postgres, module_database) as connection:
        people = read_population(connection, template.now)
    mix = make_mix(load_workload(ROOT / "sql" / "queries"))
    with own_home(settings) as own:
        yield World(postgres, valkey.start(own).url, people, mix)


@pytest.fixture(autouse=True)
def _an_empty_cache(world: World) -> None:
    with valkey._client(world.url) as client:
        client.flushall()


def scenes_of(people: Population) -> list[Scene]:
    """One channel of a project of an organization, seen by two of its people."""
    for channel, (organization, project, _) in enumerate(people.conversations_of):
        users = people.members["conversation"][channel]
        if project >= 0 and len(users) > 1 and people.milestones[project]:
            both = [one for one in users if one in people.members["project"][project]]
            if len(both) > 1 and people.files[project]:
                return [
                    Scene(user, organization, project, channel, draw=1 << 40)
                    for user in both[:2]
                ]
    raise AssertionError("no such channel")


def test_after_any_write_no_answer_that_it_made_untrue_is_a_hit(world: World) -> None:
    scenes = scenes_of(world.people)
    writes = [ask.query.name for ask in world.mix.asks if ask.write]
    events = world.around(scenes, *writes)
    found, stale = world.play("fluxlab", events)

    assert stale == []
    assert found.writes == len(writes) > 35
    for pattern, one in found.resources.items():
        assert one.hits > len(writes), pattern
        assert one.checked > 0.9 * one.hits, pattern


@pytest.mark.parametrize(
    ("query", "loses", "pattern"),
    [
        ("message_insert", lambda touch: replace(touch, tags=()), "messages:page"),
        (
            "project_update_details",
            lambda touch: replace(
                touch, keys=tuple(key for key in touch.keys if not key.startswith("org:"))
            ),
            "org:",
        ),
        (
            "user_update_profile",
            lambda touch: replace(
                touch, keys=tuple(key for key in touch.keys if "participants" not in key)
            ),
            "participants",
        ),
    ],
)
def test_the_checker_finds_a_touch_that_misses_something(
    world: World, query: str, loses: Callable[[Touch], Touch], pattern: str
) -> None:
    events = world.around(scenes_of(world.people), query)
    _, stale = world.play("fluxlab", events, world.without(query, loses))

    assert stale
    assert any(pattern in key for key in stale)


def test_the_cache_of_the_report_serves_what_its_helpers_do_not_reach(
    world: World,
) -> None:
    events = world.around(scenes_of(world.people), "project_update_details")
    found, stale = world.play("sprint11", events)

    assert any(key.startswith("org:") and key.endswith(":projects") for key in stale)
    assert not any(key.startswith("project:") for key in stale)  # those it deletes
    assert sum(one.stale for one in found.resources.values()) == len(stale)


def test_a_replay_of_everybody_is_never_stale_and_counts_its_loads_as_the_database_does(
    world: World, settings: Settings
) -> None:
    plan = Plan("fluxlab", "open", Demand(50), 20.0, 5.0, 900.0, 3, check_share=1.0)
    traffic = Traffic(world.people, world.mix, plan.demand, plan.seed)
    drawn = replays.draw(traffic, plan)
    with fresh_copy(world.server) as database:
        conninfo = make_conninfo(world.server.conninfo, dbname=database)
        stand = Stand(world.url, conninfo, world.people, world.mix, plan)
        found = asyncio.run(stand.run(drawn))

    assert not stand.errors
    assert list(stand.stale_keys) == []
    assert sum(one.checked for one in found.resources.values()) > 50
    for pattern, one in found.resources.items():
        assert one.loads == one.statements, pattern
        assert one.reads == one.hits + one.joined + one.misses + one.bypassed
        assert one.loads == one.misses + one.bypassed
    assert found.requests == len(drawn.window)
    cached = sum(one.statements for one in found.resources.values())
    assert cached < found.statements
    assert 0 < found.uncached_ms < found.database_ms
    assert found.memory_bytes > 0
    # The cache began as full as its past left it.
    assert found.resources["org:{orgId}"].hits > found.resources["org:{orgId}"].keys / 2


def test_closed_users_are_replayed_without_a_cache_too(world: World) -> None:
    plan = Plan("none", "closed", Demand(20), 20.0, 2.0, 0.0, 3, check_share=1.0)
    traffic = Traffic(world.people, world.mix, plan.demand, plan.seed)
    with fresh_copy(world.server) as database:
        conninfo = make_conninfo(world.server.conninfo, dbname=database)
        stand = Stand(world.url, conninfo, world.people, world.mix, plan)
        found = asyncio.run(stand.run(replays.draw(traffic, plan)))

    assert not stand.errors
    assert found.requests > 20
    assert all(one.loads == one.reads for one in found.resources.values())


def test_a_hit_is_not_judged_while_a_write_to_its_key_is_under_way() -> None:
    now = iter(range(10))
    under_way = UnderWay(lambda: float(next(now)))
    touch = Touch(tags=("user:42",))
    under_way.begin(touch)

    assert under_way.since("user:42:projects", begun=0.0)
    under_way.end(touch)  # at 0
    assert under_way.since("user:42:projects", begun=0.0)
    assert not under_way.since("user:42:projects", begun=0.5)
    assert not under_way.since("user:43:projects", begun=0.0)


def test_the_order_of_rows_is_no_difference_but_a_value_is() -> None:
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": None}]

    assert canonical(rows) == canonical(rows[::-1])
    assert canonical(rows) != canonical([rows[0], {"id": 2, "name": "None"}])


class _Killed(BaseException):
    pass


@contextmanager
def lab_of(
    postgres: PostgresServer, settings: Settings, template: Dataset
) -> Iterator[Lab]:
    lab = Lab(settings, postgres, template)
    for name in ("baseline", "sprint11"):
        prepare(lab, name)
    yield lab


def test_a_killed_run_goes_on_with_the_replay_that_is_missing(
    postgres: PostgresServer, settings: Settings, template: Dataset
) -> None:
    def kill(tick: Tick) -> None:
        if tick.done == 1:
            raise _Killed

    with lab_of(postgres, settings, template) as lab:
        plan = Plan("none", "open", Demand(20), 10.0, 0.5, 0.0, settings.seed, 0.0)
        wanted = (plan, replace(plan, layer="fluxlab"))
        with pytest.raises(FluxlabError, match="make run"):
            CacheLab(lab).replay("none")
        notes = open_notes(lab)
        try:
            with pytest.raises(_Killed):
                cache_measuring.replay_all(lab, wanted, notes, kill)
            first = CacheLab(lab).replay("none")
            cache_measuring.replay_all(lab, wanted, notes, lambda tick: None)
        finally:
            notes.close()

        after = CacheLab(lab)
        assert after.replay("none") == first
        assert set(after.replays) == {("none", "open"), ("fluxlab", "open")}
        assert len(after.table()) == 20
        assert after.table()["predicted"].notna().all()
        reads, invalidations = after.rates("org:{orgId}")
        assert len(reads) == len(invalidations) > 0


def test_a_hit_rate_outside_its_band_gets_a_reason(world: World) -> None:
    found, _ = world.play("fluxlab", world.around(scenes_of(world.people)))
    one = replace(found.resources["org:{orgId}"], hits=40, misses=60)
    outside = replace(one, predicted=Prediction(0.1, 0.05, 0.2))

    assert why_outside(replace(one, predicted=Prediction(0.4, 0.3, 0.5))) == ""
    assert "in sessions" in why_outside(replace(outside, drawn_hit_rate=0.42))
    below = replace(one, predicted=Prediction(0.6, 0.5, 0.7), drawn_hit_rate=0.42)
    assert "by chance" in why_outside(below)
    assert "unclear" in why_outside(replace(outside, drawn_hit_rate=0.1))
    assert "closed" in why_outside(replace(outside, drawn_hit_rate=None))
