"""The users of the replay: who they are, what they ask, how often, and their past."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fluxlab.caching.keys import PATTERNS, build_key
from fluxlab.caching.replays import resources
from fluxlab.caching.replays.census import read_population
from fluxlab.caching.replays.mix import Mix, make_mix
from fluxlab.caching.replays.past import simulate
from fluxlab.caching.replays.population import Population, attendance
from fluxlab.caching.replays.rates import key_rates
from fluxlab.caching.replays.resources import RESOURCES, check_resources
from fluxlab.caching.replays.scenes import Scene
from fluxlab.caching.replays.traffic import Demand, Event, Traffic
from fluxlab.dataset.load import Dataset
from fluxlab.errors import FluxlabError
from fluxlab.servers.connections import connect
from fluxlab.servers.postgres import PostgresServer
from fluxlab.settings import ROOT
from fluxlab.workload.catalogue import load_workload
from fluxlab.workload.query import Workload


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load_workload(ROOT / "sql" / "queries")


@pytest.fixture(scope="module")
def mix(workload: Workload) -> Mix:
    return make_mix(workload)


@pytest.fixture(scope="module")
def people(postgres: PostgresServer, module_database: str, template: Dataset) -> Population:
    with connect(postgres, module_database) as connection:
        return read_population(connection, template.now)


def traffic_of(people: Population, mix: Mix, seed: int = 1) -> Traffic:
    return Traffic(people, mix, Demand(50), seed)


def number_of(mix: Mix, query: str) -> int:
    return next(at for at, ask in enumerate(mix.asks) if ask.query.name == query)


def test_every_pattern_of_the_report_is_filled_by_the_query_that_names_it(
    workload: Workload,
) -> None:
    check_resources(workload)

    assert set(RESOURCES) == {
        text for text, pattern in PATTERNS.items() if pattern.is_of_report
    }


def test_a_query_with_a_parameter_that_is_not_in_the_key_is_refused(
    workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = dict(RESOURCES)
    text = "org:{orgId}:projects"
    wrong[text] = replace(wrong[text], query="projects_of_org_by_status")
    monkeypatch.setattr(resources, "RESOURCES", wrong)

    with pytest.raises(FluxlabError, match="do not fit"):
        check_resources(workload)


def test_the_same_seed_gives_the_same_events_and_another_seed_others(
    people: Population, mix: Mix
) -> None:
    def drawn(seed: int) -> list[Event]:
        traffic = traffic_of(people, mix, seed)
        return traffic.events(traffic.views(-60, 60))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_mix_has_the_weights_of_the_queries_and_its_share_of_writes(
    people: Population, mix: Mix
) -> None:
    traffic = traffic_of(people, mix)
    views = traffic.views(0, 4_000)
    events = traffic.events(views)
    counts = Counter(event.ask for event in events)
    seen = {page: int((views.page == at).sum()) for at, page in enumerate(mix.views)}

    for number, ask in enumerate(mix.asks):
        expected = seen[ask.page] * mix.chance(ask)
        assert abs(counts[number] - expected) < 6 * math.sqrt(expected) + 6, ask.query.name
    writes = sum(count for at, count in counts.items() if mix.asks[at].write)
    assert 0.10 < writes / len(events) < 0.15
    assert mix.covered > 0.95


def test_every_pattern_of_the_report_is_read(people: Population, mix: Mix) -> None:
    traffic = traffic_of(people, mix)
    events = traffic.events(traffic.views(0, 2_000))
    read = {
        resource.pattern.text
        for event in events
        if (resource := mix.asks[event.ask].resource)
    }

    assert read == set(RESOURCES)


def test_within_a_view_nothing_is_asked_twice(people: Population, mix: Mix) -> None:
    assert all(mix.chance(ask) <= 1 for ask in mix.asks)


def test_five_hundred_users_ask_about_ninety_eight_times_a_second() -> None:
    assert Demand(500).rate_per_s == pytest.approx(98, abs=0.1)


def test_nobody_is_there_more_than_once_at_a_time() -> None:
    there = attendance(1_000, 500)

    assert there.max() <= 1
    assert there.sum() == pytest.approx(500)
    assert np.all(np.diff(there) <= 1e-12)  # the most active first


def test_who_is_in_nothing_still_has_something_to_look_at(people: Population) -> None:
    for reach in people.reach.values():
        assert np.all(np.diff(reach.offsets) > 0)
        sums = np.add.reduceat(reach.shares, reach.offsets[:-1])
        assert sums == pytest.approx(np.ones(len(people.users)))


def test_the_rates_of_the_keys_add_up_to_the_rate_of_their_query(
    people: Population, mix: Mix
) -> None:
    traffic = traffic_of(people, mix)
    rates = key_rates(traffic)

    for ask in mix.asks:
        if ask.resource:
            found = rates[ask.resource.pattern.text]
            assert found.reads.sum() == pytest.approx(traffic.rate_of(ask), rel=1e-3)


def test_drawn_reads_of_a_hot_key_are_as_many_as_its_rate_says(
    people: Population, mix: Mix
) -> None:
    traffic = traffic_of(people, mix, seed=5)
    rates = key_rates(traffic)["conv:{convId}:messages:page:{page}"]
    hot = int(np.argmax(rates.reads))
    number = number_of(mix, "messages_page_first")
    seconds = 30_000.0
    drawn = sum(
        event.ask == number
        and build_key.messages_page(people.conversations[event.scene.conversation], 1)
        == rates.keys[hot]
        for event in traffic.events(traffic.views(0, seconds), only_cached=True)
    )

    # Sessions bunch what is drawn: several times the spread of a Poisson process.
    expected = rates.reads[hot] * seconds
    assert abs(drawn - expected) < 8 * math.sqrt(expected) + 0.1 * expected


def test_a_closed_user_asks_what_the_mix_says_and_pauses_as_long(
    people: Population, mix: Mix
) -> None:
    traffic = traffic_of(people, mix)
    past, seats = traffic.sessions(50, 300, 400)
    asks = sum(len(seat) for seat in seats)
    cached = sum(traffic.rate_of(ask) for ask in mix.asks if ask.resource or ask.write)

    assert asks / 400 == pytest.approx(traffic.asks_per_s, rel=0.1)
    assert len(past) / 300 == pytest.approx(cached, rel=0.15)
    assert all(one.at_s <= other.at_s for one, other in pairwise(past))
    assert 350 < max(sum(event.at_s for event in seat) for seat in seats) < 400


def test_the_past_leaves_what_is_not_expired_and_not_forgotten(
    people: Population, mix: Mix
) -> None:
    def at(second: float, query: str, organization: int) -> Event:
        return Event(second, number_of(mix, query), Scene(0, organization, 0, 0, 1))

    events = [
        at(-2_500, "org_by_id", 0),  # a life is half an hour
        at(-900, "org_by_id", 1),
        at(-800, "org_by_id", 2),
        at(-700, "org_merge_settings", 2),
        at(0, "org_by_id", 1),
        at(1, "org_by_id", 2),
    ]
    found = simulate(people, mix, events, "fluxlab", jitter=0.0)
    key = build_key.organization(people.organizations[1])

    assert found.left_s == {key: pytest.approx(900)}
    assert found.hit_rates == {"org:{orgId}": 0.5}


def test_the_past_of_the_report_keeps_what_its_helper_does_not_reach(
    people: Population, mix: Mix
) -> None:
    organization = people.projects_of[0][0]
    scene = Scene(0, organization, 0, 0, 1)
    events = [
        Event(-20, number_of(mix, "projects_of_org"), scene),
        Event(-10, number_of(mix, "project_update_status"), scene),
    ]
    ours = simulate(people, mix, events, "fluxlab")
    of_report = simulate(people, mix, events, "sprint11")

    assert not ours.left_s
    assert list(of_report.left_s) == [
        build_key.organization_projects(people.organizations[organization])
    ]
