"""The eleven properties of the cache, in several processes, each with mutants it kills.

P1 no read that begins after a completed invalidation returns an older version. P2 at rest
no valid entry differs from the database. P3 no error of the cache reaches a caller, and a
loader's error exactly those who wait for it. P4 a request waits a deadline at most for
each thing it asks, and for nothing while the breaker is open. P5 one load for a key and
its versions, one more for each lease that ran out. P6 (types) stands in
`test_cache_codec`. P7 no reply reaches another request. P8 hits, joined, misses and
bypassed add up to the reads. P9 nothing is left after a close. P10 debts are paid before
the first hit. P11 the hit rate is what theory says.

A scene is a short story that holds; with its mutant it must break the property that the
mutant names. The machine tells stories of its own: the same ones each time here, and with
`FLUX_SOAK_S=600` others for so many seconds
(`FLUX_SOAK_S=600 pytest tests/test_cache_properties.py -k soak -s`). `FLUX_SOAK_MUTANT`
names a mutant for the machine to find.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from cache_books import BARRIER_S, LEASE_S, SEEN, Broken
from cache_fleet import Fleet, fleet
from cache_machine import explore
from cache_mutants import MUTANTS
from cache_world import World

from fluxlab.caching.theory.windows import predict_window

Scene = Callable[[World], None]
UNREAD = "user:1:unread:7"


@pytest.fixture(scope="module")
def clients() -> Iterator[Fleet]:
    """Three clients, each in a process, for all tests here."""
    with fleet() as made:
        yield made


def play(clients: Fleet, scene: Scene, mutant: str | None = None) -> None:
    """Play a scene to its end in a new world, and leave the server well."""
    world = World(clients, mutant, **OPTIONS_OF.get(scene, {}))
    try:
        scene(world)
        world.quiesce()
        world.end()
    finally:
        world.restore()


# P1 and P2: nothing that was to be forgotten is answered.


def a_tag_is_forgotten(world: World) -> None:
    world.through(0, UNREAD)
    assert world.through(2, UNREAD)["outcome"] != "miss"  # joined where it is being stored
    world.write(1, "messages 7")
    world.through(2, UNREAD)


def an_invalidation_overtakes_a_load(world: World) -> None:
    old = world.read(0, "user:1")
    world.write(1, "user 1")
    new = world.read(0, "user:1")
    world.finish(world.load_of(old))
    world.finish(world.load_of(new))
    world.answer_of(new)
    world.check()


def a_fill_comes_after_an_invalidation(world: World) -> None:
    old = world.read(0, "user:1")
    world.write(1, "user 1")
    world.finish(world.load_of(old))
    world.answer_of(old)
    _filled(world, 0)


def _filled(world: World, at: int) -> None:
    """Wait until a client has tried to store: it answers first."""
    end = time.monotonic() + 2
    while not (counts := world.state(at)["counts"])["stored"] + counts["rejected"]:
        assert time.monotonic() < end
        time.sleep(0.005)


def two_writers_stand_before_one_row(world: World) -> None:
    world.through(2, "user:1")
    first = world.begin(0, "user 1", with_barrier=True)
    second = world.begin(1, "user 1", with_barrier=True)
    world.leave(first)
    world.through(2, "user:1")
    world.commit(second)
    world.through(2, "user:1")
    world.check()


def a_writer_dies_after_its_commit(world: World) -> None:
    world.through(2, "user:1")
    write = world.begin(0, "user 1", with_barrier=True)
    world.commit(write)
    world.crash(0)


def a_row_is_written_while_the_server_is_dead(world: World) -> None:
    world.kill()
    old = world.read(0, "user:1")
    world.write(0, "user 1")
    new = world.read(0, "user:1")
    world.finish(world.load_of(old))
    world.wait(lambda: new.load or new.answer)
    world.check()


def an_invalidation_is_never_sent(world: World) -> None:
    world.through(1, "user:1")
    world.hang()
    world.open_breaker(0)
    assert not world.write(0, "user 1")
    world.resume()


def an_invalidation_is_refused(world: World) -> None:
    world.through(0, UNREAD)
    world.refuse()
    assert not world.write(0, "messages 7")
    world.through(0, UNREAD)
    world.check()


# P3: errors.


def the_server_is_killed(world: World) -> None:
    world.through(0, "user:1")
    world.kill()
    for at in (0, 1):
        world.through(at, "user:1")
        world.write(at, "user 1")
    world.check()


def a_loader_fails(world: World) -> None:
    first, second = world.read(0, "note"), world.read(0, "note")
    world.finish(world.load_of(first), fails=True)
    for read in (first, second):
        assert "failed" in world.answer_of(read)
    world.through(0, "note")
    world.check()


def a_read_comes_when_a_load_has_failed(world: World) -> None:
    for _ in range(40):  # it has to come within a round trip
        load = world.load_of(world.read(0, "note"))
        world.finish(load, fails=True, waits=False)
        world.through(0, "note")
        world.check()
        world.delete(0, "note")


# P4: time.


def the_breaker_is_open(world: World) -> None:
    world.through(0, "user:1")
    world.hang()
    world.open_breaker(0)
    world.resume()
    before = _commands(world)
    for _ in range(30):
        assert world.through(0, "user:1")["outcome"] in {"bypass", "hit"}
    world.check()
    if _commands(world) != before:
        world.fail("P4", "commands were sent though the breaker is open")
    world.reopen(0)  # its probe comes in half a minute


def _commands(world: World) -> int:
    """How many commands of the cache the server has seen."""
    with world.server.client() as client:
        found = client.info("commandstats")
    names = ("mget", "get", "set", "evalsha", "eval", "ping", "script|load")
    return sum(found.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names)


def the_server_hangs(world: World) -> None:
    world.through(0, "user:1")
    world.hang()
    world.through(0, "user:1")
    world.check()


# P5: loads.


def everybody_misses_at_once(world: World) -> None:
    reads = [world.read(at, "note") for at in (0, 1, 2, 0, 1, 2)]
    time.sleep(0.1)
    while any(one.answer is None for one in reads):
        for load in list(world.loads.values()):
            world.finish(load)
        world.wait(lambda: world.loads or all(one.answer for one in reads), 0.1)
    world.check()


def a_loader_takes_longer_than_its_lease(world: World) -> None:
    slow = world.read(0, "note")
    world.load_of(slow)
    time.sleep(LEASE_S + 0.05)
    next_one = world.read(1, "note")
    world.load_of(next_one)
    world.finish(world.load_of(slow), fails=True)
    third = world.read(2, "note")
    if world.wait(lambda: third.load, 0.2):
        world.fail("P5", "three loads, and one lease ran out")
    world.finish(world.load_of(next_one))
    world.answer_of(third)


def a_fill_is_dead_on_arrival(world: World) -> None:
    old = world.read(0, "note")
    world.write(1, "note")
    world.through(1, "note")
    _filled(world, 1)
    world.finish(world.load_of(old))
    world.answer_of(old)
    _filled(world, 0)
    world.through(2, "note")
    world.check()


# P7, P8, P9, P10.


def reads_are_given_up(world: World) -> None:
    keys = [f"thing {number}" for number in range(30)]
    found = world.fleet.processes[0].ask("storm", keys=keys, turns=60)
    world.counts[0]["reads"] = found["begun"]
    world.counts[0]["cancelled"] = found["begun"] - found["right"]
    world.counts[0]["hit"] = found["hits"]
    if found["wrong"]:
        world.fail("P7", f"{len(found['wrong'])} wrong answers: {found['wrong'][:3]}")
    assert found["right"] > 1_000


def a_read_joins_a_load(world: World) -> None:
    first, second = world.read(0, "note"), world.read(0, "note")
    world.finish(world.load_of(first))
    assert world.answer_of(second)["outcome"] == "joined"


def reads_outwait_a_lease(world: World) -> None:
    """One of two clients gets the lease that ran out; the other waits in vain for it."""
    slow = world.load_of(world.read(1, "note"))
    reads = [world.read(at, "note") for at in (2, 2, 2, 0, 0, 0)]
    for read in (reads[0], reads[3]):
        world.load_of(read)
    time.sleep(0.1)
    world.finish(min(set(world.loads.values()) - {slow}, key=lambda load: load.begun_s))
    time.sleep(0.1)


def a_cache_is_closed_in_an_outage(world: World) -> None:
    world.hang()
    world.open_breaker(0)
    world.reopen(0)


def a_cache_is_closed(world: World) -> None:
    world.through(0, "note")


def a_server_comes_back(world: World) -> None:
    for key in ("user:1", "note"):
        world.through(0, key)
    world.hang()
    world.open_breaker(0)
    world.write(0, "user 1")
    world.resume()
    end = time.monotonic() + 10
    while world.through(0, "note")["outcome"] != "hit":
        world.check()
        assert time.monotonic() < end, "hits never came back"
    world.check()
    assert not world.state(0)["pending"]


# P11: the hit rate.


def keys_are_read_at_random(world: World) -> None:
    rate, count, ttl_s, window_s = 8.0, 40, 0.3, 2.5
    chance = np.random.default_rng(11)
    reads = int(chance.poisson(rate * count * window_s))
    at_s = np.sort(chance.uniform(0, window_s, reads)).tolist()
    of = chance.integers(0, count, reads).tolist()
    keys = [f"sample {number}" for number in range(count)]
    process = world.fleet.processes[0]
    process.ask("arrive", keys=keys, at_s=at_s, of=of, ttl_s=ttl_s)
    counts = world.state(0)["counts"]
    rates = np.full(count, rate)
    foreseen = predict_window(rates, 0 * rates, ttl_s, 0.0, window_s)
    found = counts["hits"] / (counts["hits"] + counts["misses"])
    # A loop on busy cores reads some milliseconds late.
    if not foreseen.low - 0.02 <= found <= foreseen.high + 0.02:
        world.fail("P11", f"a hit rate of {found:.3f}, foreseen was {foreseen}")
    world.reopen(0)


SCENES: dict[str, Scene] = {
    "no version check": a_tag_is_forgotten,
    "joins by key": an_invalidation_overtakes_a_load,
    "versions after the load": a_fill_comes_after_an_invalidation,
    "first writer clears": two_writers_stand_before_one_row,
    "no barrier": a_writer_dies_after_its_commit,
    "shares begun loads": a_row_is_written_while_the_server_is_dead,
    "no debts": an_invalidation_is_never_sent,
    "reads though owed": an_invalidation_is_refused,
    "error leaks": the_server_is_killed,
    "keeps errors": a_loader_fails,
    "keeps errors for a moment": a_read_comes_when_a_load_has_failed,
    "asks though open": the_breaker_is_open,
    "no deadline": the_server_hangs,
    "no lease": everybody_misses_at_once,
    "one token": a_loader_takes_longer_than_its_lease,
    "fills anyway": a_fill_is_dead_on_arrival,
    "drops cancelled": reads_are_given_up,
    "forgets joins": a_read_joins_a_load,
    "counts late flights": reads_outwait_a_lease,
    "leaves the probe": a_cache_is_closed_in_an_outage,
    "leaves the connection": a_cache_is_closed,
    "closes before paying": a_server_comes_back,
    "lives half": keys_are_read_at_random,
}
OPTIONS_OF: dict[Scene, dict[str, object]] = {
    the_breaker_is_open: {"probe_s": (30.0, 30.0)},
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=lambda scene: scene.__name__)
def test_a_scene_holds(clients: Fleet, scene: Scene) -> None:
    play(clients, scene)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed_by_its_property(clients: Fleet, name: str) -> None:
    with pytest.raises(Broken) as broken:
        play(clients, SCENES[name], name)
    assert broken.value.name == MUTANTS[name].kills, str(broken.value)


def test_every_property_kills_a_mutant() -> None:
    ours = {f"P{number}" for number in range(1, 12)} - {"P6"}  # in test_cache_codec
    assert {one.kills for one in MUTANTS.values()} == ours
    assert set(SCENES) == set(MUTANTS)


def test_a_stale_entry_dies_with_the_barrier_of_a_dead_writer(clients: Fleet) -> None:
    def scene(world: World) -> None:
        a_writer_dies_after_its_commit(world)
        assert world.through(2, "user:1")["outcome"] == "bypass"
        end = time.monotonic() + BARRIER_S + 5
        while world.through(2, "user:1")["outcome"] != "hit":
            world.check()
            assert time.monotonic() < end, "hits never came back"
            time.sleep(0.05)

    play(clients, scene)


def test_the_machine_finds_nothing(clients: Fleet) -> None:
    assert explore(clients, examples=25, steps=40) > 400


@pytest.mark.skipif("FLUX_SOAK_S" not in os.environ, reason="a long run, asked for by name")
def test_a_long_soak_finds_nothing(clients: Fleet, say: Callable[[str], None]) -> None:
    begun, steps, seed = time.monotonic(), 0, 0
    seconds, mutant = float(os.environ["FLUX_SOAK_S"]), os.environ.get("FLUX_SOAK_MUTANT")
    while time.monotonic() - begun < seconds:
        seed += 1
        steps += explore(clients, examples=50, steps=60, mutant=mutant, seed=seed)
    seen = ", ".join(f"{count:,} {what}" for what, count in SEEN.most_common())
    say(f"Cache properties: {steps:,} steps of the machine in {seconds:.0f} s: {seen}.")
