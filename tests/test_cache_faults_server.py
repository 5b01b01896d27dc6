"""The cache's server fails in every way it can; the application notices the time, once.

The books are kept by `cache_faults`; numbers are those of the list of faults.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis as redis_py
from cache_faults import (
    OPTIONS,
    USERS,
    Fault,
    costs_nothing,
    in_thread,
    is_open,
    opened,
    play,
    told,
    until,
)
from cache_servers import Valkey, free_ports, valkey

from fluxlab.caching.cache import Cache
from fluxlab.caching.keys import build_key


@pytest.fixture(scope="module", autouse=True)
def _told(say: Callable[[str], None]) -> Iterator[None]:
    with told(say, "the server"):
        yield


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server for one test: most of them break it. It starts in 40 ms."""
    with valkey() as server:
        yield server


async def fill(fault: Fault, *caches: Cache) -> None:
    """Read every user until it is a hit."""
    await fault.recovers(*caches)
    fault.has_recovered = None


def test_a_server_that_refuses_costs_nothing_and_is_used_when_it_comes(
    server: Valkey,
) -> None:
    server.kill()

    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            assert not await cache.start()
            async with fault.traffic(cache):
                await asyncio.sleep(0.3)
                assert is_open(cache)
            health = await cache.health()
            assert (health.status, health.breaker) == ("degraded", "open")
            await costs_nothing(fault, cache)
            await in_thread(server.start)
            await fault.recovers(cache)

    play(1, "refused", scene)


def test_a_server_that_is_killed_amid_two_hundred_reads_takes_none_of_them_with_it(
    server: Valkey,
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            await fill(fault, cache)
            async with fault.traffic(cache):
                for _ in range(2):
                    crowd = [
                        asyncio.create_task(fault.read(cache, USERS[at % len(USERS)]))
                        for at in range(200)
                    ]
                    # On the loop, so that their requests are out and unanswered.
                    await asyncio.sleep(0)
                    server.kill()
                    await asyncio.gather(*crowd)
                    await asyncio.sleep(0.2)
                    await in_thread(server.start)
                    await fault.recovers(cache)

    play(2, "killed", scene)


def test_a_server_that_is_stopped_costs_a_few_deadlines_and_then_nothing(
    server: Valkey,
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            await fill(fault, cache)
            server.pause()
            async with fault.traffic(cache):
                await until(lambda: is_open(cache), "the breaker opens")
                await asyncio.sleep(0.3)
            await costs_nothing(fault, cache)
            async with fault.traffic(cache):
                server.resume()
                await fault.recovers(cache)
            assert cache.stats().opened == 1

    play(3, "stopped", scene)


def test_one_stop_shorter_than_three_deadlines_does_not_open_the_breaker(
    server: Valkey,
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            await fill(fault, cache)
            server.pause()
            crowd = [fault.read(cache, USERS[at % len(USERS)]) for at in range(100)]
            await asyncio.gather(*crowd)
            assert fault.outcomes["bypass"] == 100
            server.resume()
            # A hundred reads ran out together: that is one failure, not a hundred.
            assert not is_open(cache)
            await fault.recovers(cache)
            assert cache.stats().opened == 0

    play(3, "stopped for a moment", scene)


def test_a_server_that_loads_its_data_is_not_waited_for(server: Valkey) -> None:
    with server.client() as client:
        batch = client.pipeline(transaction=False)
        for at in range(2_000):
            batch.set(f"elsewhere:{at}", "x" * 100)
        batch.execute()
        client.save()

    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            await fill(fault, cache)
            server.kill()
            async with fault.traffic(cache):
                await in_thread(
                    lambda: server.start(
                        wait=False,
                        key_load_delay="500",
                        loading_process_events_interval_bytes="1024",
                    )
                )
                await until(lambda: is_open(cache), "the breaker opens")
                await until(lambda: _last_error(cache, "LOADING"), "LOADING is heard of")
                await costs_nothing(fault, cache)
                await fault.recovers(cache)

    play(8, "LOADING", scene)


async def _last_error(cache: Cache, word: str) -> bool:
    return word in (await cache.health()).last_error


def test_a_full_server_still_answers_and_still_forgets(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            await fill(fault, cache)
            server.say("CONFIG", "SET", "maxmemory", "1mb")
            with pytest.raises(redis_py.exceptions.OutOfMemoryError):
                server.say("SET", "elsewhere", "x")
            for user in USERS[:4]:
                assert await fault.write(cache, user)
            for user in USERS:
                answer = await fault.read(cache, user)
                assert answer is not None
                # What stands is read; what was forgotten can be loaded, and not stored.
                assert answer.outcome == ("bypass" if user in USERS[:4] else "hit")
            async with fault.traffic(cache):
                await asyncio.sleep(0.2)
            assert not is_open(cache)
            server.say("CONFIG", "SET", "maxmemory", "0")
            await fault.recovers(cache)

    play(9, "full", scene)


def test_a_server_that_became_a_replica_is_owed_what_it_refuses(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            await fill(fault, cache)
            # Its primary is out of reach, so it keeps its data and refuses writes.
            server.say("REPLICAOF", "127.0.0.1", free_ports(1)[0])
            assert not await fault.write(cache, USERS[0])
            assert (await cache.health()).pending > 0
            async with fault.traffic(cache):
                await asyncio.sleep(0.4)
                server.say("REPLICAOF", "NO", "ONE")
                await fault.recovers(cache)
            assert cache.stats().replayed > 0

    play(10, "READONLY", scene)


def test_a_server_that_lost_its_scripts_is_sent_them_again(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url, 2) as caches:
            async with fault.traffic(*caches):
                for _ in range(20):
                    server.say("SCRIPT", "FLUSH")
                    await asyncio.sleep(0.01)
            assert not any(is_open(cache) for cache in caches)
            server.say("SCRIPT", "FLUSH")
            assert await fault.write(caches[0], USERS[0])
            server.say("SCRIPT", "FLUSH")
            async with caches[0].writing(keys=[build_key.user(USERS[1])]) as writing:
                assert writing.is_barred
            await fault.recovers(*caches)
            total = caches[0].stats().total
            assert total.stored > 0

    play(14, "NOSCRIPT", scene)


def test_what_was_forgotten_while_the_server_was_away_is_owed_to_it(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url, 2) as (ours, theirs):
            await fill(fault, ours, theirs)
            server.pause()
            for user in USERS[:4]:
                assert not await fault.write(ours, user)
            server.resume()
            # The limit that is documented: the other process has not been told, so it may
            # still be answered from the server. Ours reads past it, and is never stale.
            for user in USERS:
                await fault.read(ours, user)
                await _read_within_the_limit(fault, theirs, user)
            await fault.recovers(ours, theirs)
            assert ours.stats().replayed >= 4
            assert (await ours.health()).pending == 0
            for user in USERS:
                await fault.read(theirs, user)

    play(35, "forgotten while away", scene)


async def _read_within_the_limit(fault: Fault, cache: Cache, user: str) -> None:
    """A read of a process that does not owe; the value may be the one before, no other."""
    answer = await fault.read(cache, user)
    assert answer is not None
    assert isinstance(answer.value, list)
    behind = fault.model.committed[user] - answer.value[1]
    assert 0 <= behind <= 1
    fault.within_limits += behind


def test_debts_beyond_the_limit_are_paid_by_forgetting_everything(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        few = replace(OPTIONS, max_pending=3)
        async with opened(server.url, options=few) as (cache,):
            await fill(fault, cache)
            server.pause()
            for user in USERS:
                assert not await fault.write(cache, user)
            for user in USERS:
                await fault.read(cache, user)
            assert (await cache.health()).pending <= 4
            server.resume()
            await fault.recovers(cache)

    play(35, "more forgotten than can be owed", scene)


def test_a_password_that_changes_costs_hits_until_the_new_one_is_known() -> None:
    known = {"password": secrets.token_hex(8)}

    async def scene(fault: Fault) -> None:
        with valkey(requirepass=known["password"]) as server:
            credentials = lambda: (None, known["password"])  # noqa: E731
            async with opened(server.url, credentials=credentials) as (cache,):
                await fill(fault, cache)
                rotated = secrets.token_hex(8)
                server.say("CONFIG", "SET", "requirepass", rotated)
                server.options["requirepass"] = rotated
                async with fault.traffic(cache):
                    server.say("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                    await until(lambda: is_open(cache), "the breaker opens")
                    assert "WRONGPASS" in (await cache.health()).last_error
                    known["password"] = rotated
                    await fault.recovers(cache)

    play(33, "password rotated", scene)


def test_a_user_whose_rights_are_taken_away_is_served_without_the_cache(
    server: Valkey,
) -> None:
    secret = secrets.token_hex(8)
    server.say("ACL", "SETUSER", "app", "on", f">{secret}", "~*", "&*", "+@all")
    url = f"{server.url.replace('unix://', f'unix://app:{secret}@')}"

    async def scene(fault: Fault) -> None:
        async with opened(url) as (cache,):
            await fill(fault, cache)
            async with fault.traffic(cache):
                server.say("ACL", "SETUSER", "app", "-@all")
                await until(lambda: is_open(cache), "the breaker opens")
                assert "NOPERM" in (await cache.health()).last_error
                server.say("ACL", "SETUSER", "app", "+@all")
                await fault.recovers(cache)

    play(33, "rights taken away", scene)


def test_nothing_is_left_after_close_but_the_application_goes_on(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        with server.client() as client:
            before = len(client.client_list())
            async with opened(server.url, 3) as caches:
                async with fault.traffic(*caches):
                    await asyncio.sleep(0.1)
                assert len(client.client_list()) == before + 3
                hanging = [
                    asyncio.create_task(fault.read(caches[0], str(100 + at)))
                    for at in range(20)
                ]
                fault.model.load_s = 0.05
                await asyncio.sleep(0.02)
            # Whoever waited has loaded by itself, and a closed cache still answers.
            answers = await asyncio.gather(*hanging)
            assert [one.value[0] for one in answers if one] == [  # type: ignore[index]
                str(100 + at) for at in range(20)
            ]
            after = await fault.read(caches[0], USERS[0])
            assert after is not None
            assert len(client.client_list()) == before

    play(2, "closed", scene)
