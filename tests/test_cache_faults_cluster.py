"""A cluster fails in part: a primary dies, a range is gone, a slot moves, history is lost.

One real cluster of six servers for the module. Numbers are those of the list of faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_py
from cache_faults import USERS, Fault, in_thread, is_open, opened, play, told, until
from cache_servers import Cluster, Valkey, cluster
from redis.crc import key_slot

from fluxlab.caching.cache import Cache
from fluxlab.caching.keys import build_key

USER = USERS[0]
ENTRY = f"flux:{{{build_key.user(USER)}}}:d"
VERSION = f"flux:{{{build_key.user(USER)}}}:v"


@pytest.fixture(scope="module", autouse=True)
def _told(say: Callable[[str], None]) -> Iterator[None]:
    with told(say, "the cluster"):
        yield


@pytest.fixture(scope="module")
def _cluster() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture
def servers(_cluster: Cluster) -> Cluster:
    """The cluster, whole, empty and well again after the test before."""
    _cluster.heal()
    for node in _cluster.nodes:
        if node.say("ROLE")[0] in (b"master", "master"):
            node.say("FLUSHALL")
    return _cluster


async def fill(fault: Fault, *caches: Cache) -> None:
    """Read every user until it is a hit."""
    await fault.recovers(*caches)
    fault.has_recovered = None


async def knows(servers: Cluster, name: str, node: Valkey) -> None:
    """Wait until the cluster says that this server holds a name."""

    def is_there() -> bool:
        return all(
            Cluster([one]).primary_port_of(name) == node.port
            for one in servers.nodes
            if one.process is not None
        )

    await until(is_there, "the cluster knows")


def test_a_primary_that_is_killed_costs_its_own_keys_until_its_replica_takes_over(
    servers: Cluster,
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(servers.url, 2, is_cluster=True) as caches:
            await fill(fault, *caches)
            victim = servers.primary_of(ENTRY)
            async with fault.traffic(*caches, pause_s=0.01):
                victim.kill()
                await asyncio.sleep(0.5)
                assert any(is_open(cache) for cache in caches)
                # Whatever lies elsewhere alone is still there.
                elsewhere = [user for user in USERS if _avoids(servers, victim, user)]
                for user in elsewhere:
                    await until(lambda u=user: _hit(fault, caches[0], u), "a hit")  # type: ignore[misc]
                await fault.recovers(*caches)
            assert servers.primary_of(ENTRY).port != victim.port

    play(12, "primary killed", scene)


def _avoids(servers: Cluster, victim: Valkey, user: str) -> bool:
    names = (f"flux:{{user:{user}}}:d", f"flux:{{t:user:{user}}}:v")
    return all(servers.primary_of(name).port != victim.port for name in names)


async def _hit(fault: Fault, cache: Cache, user: str) -> bool:
    answer = await fault.read(cache, user)
    return answer is not None and answer.outcome == "hit"


def test_a_range_of_slots_that_nobody_serves_leaves_the_others_as_they_were(
    servers: Cluster,
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(servers.url, is_cluster=True) as (cache,):
            await fill(fault, cache)
            owner, slot = servers.primary_of(ENTRY), key_slot(ENTRY.encode())
            # The owner first: what it says is what the others take over from it.
            for node in sorted(servers.nodes, key=lambda one: one is not owner):
                node.say("CLUSTER", "DELSLOTS", slot)
            others = [user for user in USERS if user != USER]
            with pytest.raises(redis_py.exceptions.ClusterDownError):
                owner.say("GET", ENTRY)
            async with fault.traffic(cache, pause_s=0.01):
                await asyncio.sleep(0.5)
            answer = await fault.read(cache, USER)
            assert answer is not None
            assert answer.outcome == "bypass"
            fault.done(cache, USER, fault.model.commit(USER), told=False)
            assert not await cache.delete(build_key.user(USER))
            for user in others:
                await until(lambda u=user: _hit(fault, cache, u), "a hit")  # type: ignore[misc]
                assert await fault.write(cache, user)
            async with fault.traffic(cache, pause_s=0.01):
                owner.say("CLUSTER", "ADDSLOTS", slot)
                await fault.recovers(cache)

    play(13, "slots without a server", scene)


def test_a_version_that_a_failover_brings_back_brings_no_old_entry_back(
    servers: Cluster,
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(servers.url, 2, is_cluster=True) as (ours, theirs):
            await fill(fault, ours, theirs)
            primary, replica = servers.primary_of(ENTRY), servers.replica_of(ENTRY)
            before = primary.say("GET", VERSION)
            assert before
            await until(lambda: _raw(replica, VERSION) == before, "replicated")
            _isolate(primary, replica)
            # By key and by tag: told to the primary, and to nobody else.
            assert await ours.delete(build_key.user(USER))
            assert await fault.write(ours, USER)
            primary.kill()
            replica.resume()
            replica.say("CLUSTER", "FAILOVER", "TAKEOVER")
            assert replica.say("GET", VERSION) == before  # the hole is there
            assert _raw(replica, ENTRY)
            for _ in range(10):
                await fault.read(ours, USER)
                await fault.read(theirs, USER)
                await asyncio.sleep(0.02)
            await fault.recovers(ours, theirs)

    play(17, "version lost by a failover", scene)


def _raw(node: Valkey, name: str) -> Any:
    with node.client() as client:
        if client.info("replication")["role"] != "master":
            client.execute_command("READONLY")  # type: ignore[no-untyped-call]
            return client.get(name)
        return client.get(name)


def _isolate(primary: Valkey, replica: Valkey) -> None:
    """Stop a replica so that nothing of what its primary is told now reaches it."""
    replica.pause()
    # Else what is under way would be read from the connection by and by.
    primary.say("CLIENT", "KILL", "TYPE", "replica")


def test_a_version_that_comes_back_to_where_it_was_brings_no_old_entry_back(
    servers: Cluster,
) -> None:
    """There and back: the same process answers again, without what it was told."""

    async def scene(fault: Fault) -> None:
        async with opened(servers.url, 2, is_cluster=True) as (ours, theirs):
            await fill(fault, ours, theirs)
            first, second = servers.primary_of(ENTRY), servers.replica_of(ENTRY)
            before = first.say("GET", VERSION)
            await until(lambda: _raw(second, ENTRY) is not None, "replicated")
            _isolate(first, second)
            assert await ours.delete(build_key.user(USER))
            assert await fault.write(ours, USER)
            first.pause()
            second.resume()
            second.say("CLUSTER", "FAILOVER", "TAKEOVER")
            first.resume()
            await knows(servers, ENTRY, second)
            await until(lambda: _raw(first, VERSION) == before, "replicated back")
            # Another key of the same slot is asked for: that is how they hear of it.
            for cache in (ours, theirs):
                await cache.read(f"{build_key.user(USER)}}}", _nothing)
                await asyncio.sleep(0.3)
            await in_thread(lambda: first.say("CLUSTER", "FAILOVER"))
            await knows(servers, ENTRY, first)
            assert first.say("GET", VERSION) == before  # the hole is there
            assert _raw(first, ENTRY)
            for _ in range(10):
                await fault.read(ours, USER)
                await fault.read(theirs, USER)
                await asyncio.sleep(0.02)
            await fault.recovers(ours, theirs)

    play(17, "version lost there and back", scene)


async def _nothing() -> object:
    return None


def test_a_primary_that_steps_down_is_left_for_the_one_that_steps_up(
    servers: Cluster,
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(servers.url, 2, is_cluster=True) as caches:
            await fill(fault, *caches)
            second = servers.replica_of(ENTRY)
            async with fault.traffic(*caches, pause_s=0.005):
                await in_thread(lambda: second.say("CLUSTER", "FAILOVER"))
                await knows(servers, ENTRY, second)
                await fault.recovers(*caches)

    play(10, "primary steps down", scene)


def test_a_slot_that_moves_is_followed_and_nothing_old_moves_with_it(
    servers: Cluster,
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(servers.url, 2, is_cluster=True) as caches:
            await fill(fault, *caches)
            source = servers.primary_of(ENTRY)
            target = next(
                node
                for node in servers.nodes
                if node.port not in {source.port, servers.replica_of(ENTRY).port}
                and node.say("ROLE")[0] in (b"master", "master")
            )
            async with fault.traffic(*caches, pause_s=0.005):
                for giver, taker in ((source, target), (target, source)):
                    await in_thread(lambda g=giver, t=taker: _begin(servers, g, t))  # type: ignore[misc]
                    await asyncio.sleep(0.15)  # new names go to the taker: ASK
                    # One of two: commands with both are told to try again.
                    await in_thread(lambda g=giver, t=taker: _move(g, t, most=1))  # type: ignore[misc]
                    for _ in range(5):
                        for cache in caches:
                            await fault.write(cache, USER)
                            await fault.read(cache, USER)
                            await asyncio.sleep(0.01)
                    await in_thread(lambda g=giver, t=taker: _finish(servers, g, t))  # type: ignore[misc]
                    await fault.recovers(*caches)

    play(11, "slot moves", scene)


def _begin(servers: Cluster, giver: Valkey, taker: Valkey) -> None:
    slot = key_slot(ENTRY.encode())
    taker.say("CLUSTER", "SETSLOT", slot, "IMPORTING", servers.id_of(giver))
    giver.say("CLUSTER", "SETSLOT", slot, "MIGRATING", servers.id_of(taker))


def _move(giver: Valkey, taker: Valkey, most: int) -> int:
    names = giver.say("CLUSTER", "GETKEYSINSLOT", key_slot(ENTRY.encode()), most)
    if names:
        words = ("MIGRATE", "127.0.0.1", taker.port, "", 0, 5_000, "REPLACE", "KEYS")
        giver.say(*words, *names)
    return len(names)


def _finish(servers: Cluster, giver: Valkey, taker: Valkey) -> None:
    while _move(giver, taker, most=100):
        pass
    slot = key_slot(ENTRY.encode())
    for node in (taker, giver):
        node.say("CLUSTER", "SETSLOT", slot, "NODE", servers.id_of(taker))


@pytest.mark.parametrize("key", ["}x", "a}b", "{", "{}", "}{a}", "*?[]\0ü", "a{b}c", "}}"])
def test_a_key_of_braces_and_stars_has_its_names_in_one_slot(
    servers: Cluster, key: str
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(servers.url, is_cluster=True) as (cache,):
            version = 1

            async def load() -> object:
                return [key, version]

            async def hits() -> bool:
                fault.reads += 1
                answer = await cache.read(key, load)
                assert answer.value == [key, version]
                return answer.outcome == "hit"

            await until(hits, "a hit", 3.0)
            version = 2
            assert await cache.delete(key)
            await until(hits, "a hit", 3.0)
            assert [one async for one in cache.keys("*")] == [key]
            assert (await cache.health()).pending == 0
            fault.has_recovered = True

    play(34, "odd key in a cluster", scene)
