"""Loaders fail: they raise, hang, are cancelled, take too long, die with the lease.

Numbers are those of the list of faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from cache_faults import (
    DEADLINE_S,
    OPTIONS,
    Fault,
    LoaderFailed,
    opened,
    play,
    told,
    until,
)
from cache_process import process
from cache_proxy import proxied
from cache_servers import Valkey, valkey

from fluxlab.caching.cache import Cache
from fluxlab.caching.keys import build_key
from fluxlab.caching.layer import Answer

USER = "1"
KEY = build_key.user(USER)
#: What waits for a lease in these scenes waits so long.
LEASE_S = 0.4


@pytest.fixture(scope="module", autouse=True)
def _told(say: Callable[[str], None]) -> Iterator[None]:
    with told(say, "loaders"):
        yield


@pytest.fixture(scope="module")
def running() -> Iterator[Valkey]:
    with valkey() as server:
        yield server


@pytest.fixture
def server(running: Valkey) -> Valkey:
    """An empty server."""
    running.say("FLUSHALL")
    return running


async def hits(fault: Fault, cache: Cache) -> bool:
    answer = await fault.read(cache, USER)
    return answer is not None and answer.outcome == "hit"


async def version_read(fault: Fault, cache: Cache) -> tuple[object, str]:
    answer = await fault.read(cache, USER)
    assert answer is not None
    assert isinstance(answer.value, list)
    return answer.value[1], answer.outcome


def test_a_caller_that_is_cancelled_does_not_take_the_load_from_the_others(
    server: Valkey,
) -> None:
    async def scene(fault: Fault) -> None:
        fault.model.load_s = 0.1
        async with opened(server.url) as (cache,):
            callers = [asyncio.create_task(fault.read(cache, USER)) for _ in range(10)]
            await asyncio.sleep(0.05)
            for gone in callers[:5]:  # the one that began it is the first of them
                gone.cancel()
            answers = await asyncio.gather(*callers, return_exceptions=True)
            assert [isinstance(one, Answer) for one in answers] == [False] * 5 + [True] * 5
            assert fault.model.loads == 1
            await until(lambda: hits(fault, cache), "a hit")
            # When all are gone the load is brought to its end, for the next.
            alone = asyncio.create_task(fault.read(cache, "2"))
            await asyncio.sleep(0.05)
            alone.cancel()
            await until(lambda: cache.exists(build_key.user("2")), "stored")
            assert fault.model.loads == 2
            fault.has_recovered = True

    play(20, "cancelled while loading", scene)


def test_what_a_loader_raises_reaches_those_who_waited_and_is_not_kept(
    server: Valkey,
) -> None:
    async def scene(fault: Fault) -> None:
        async def fail() -> object:
            fault.model.loads += 1
            await asyncio.sleep(0.05)
            raise LoaderFailed

        async with opened(server.url, 2) as (here, there):
            callers = [here.read(KEY, fail) for _ in range(20)]
            answers = await asyncio.gather(*callers, return_exceptions=True)
            assert {type(one) for one in answers} == {LoaderFailed}
            assert fault.model.loads == 1
            # Nobody is kept waiting for the lease of a load that failed.
            value = await asyncio.wait_for(version_read(fault, there), LEASE_S)
            assert value == (0, "miss")
            await until(lambda: hits(fault, here), "a hit")
            # Nor is it kept from those who read past the cache.
            async with here.writing(keys=[KEY]):
                with pytest.raises(LoaderFailed):
                    await here.read(KEY, fail)
            fault.has_recovered = True

    play(21, "loader raises", scene)


def test_a_loader_that_hangs_holds_nobody_up_for_longer_than_a_lease(
    server: Valkey,
) -> None:
    async def scene(fault: Fault) -> None:
        never = asyncio.Event()
        short = replace(OPTIONS, lease_s=LEASE_S)
        async with opened(server.url, 2, options=short) as (here, there):
            hanging = asyncio.create_task(here.read(KEY, never.wait))
            await asyncio.sleep(0.05)
            others = [_unhurried(fault, cache) for cache in (here, here, there, there)]
            took_s = await asyncio.gather(*others)
            assert max(took_s) < 2 * LEASE_S + 4 * DEADLINE_S
            assert fault.model.loads <= 2  # one in each process
            assert not hanging.done() or hanging.result().value == [USER, 0]
            await until(lambda: hits(fault, there), "a hit")
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
            fault.has_recovered = True

    play(21, "loader hangs", scene)


async def _unhurried(fault: Fault, cache: Cache) -> float:
    """Read where a lease may have to be waited for; return how long it took."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    answer = await cache.read(KEY, lambda: fault.model.load(USER))
    fault.reads += 1
    fault._judge(answer, USER, fault._told[USER])
    return clock() - begun


def test_a_loader_slower_than_its_lease_stores_nothing_over_a_newer_value(
    server: Valkey,
) -> None:
    async def scene(fault: Fault) -> None:
        short = replace(OPTIONS, lease_s=LEASE_S)
        async with opened(server.url, 2, options=short) as (here, there):

            async def slow() -> object:
                row = await fault.model.load(USER)
                await asyncio.sleep(2.5 * LEASE_S)
                return row

            late = asyncio.create_task(here.read(KEY, slow))
            await asyncio.sleep(0.05)
            # The other process waits for the lease, and then loads as well.
            await _unhurried(fault, there)
            assert fault.model.loads == 2
            await until(lambda: hits(fault, there), "a hit")
            assert await fault.write(there, USER)
            await until(lambda: hits(fault, there), "a hit")
            assert (await late).value == [USER, 0]  # it began before the write
            await asyncio.sleep(0.05)
            assert await version_read(fault, there) == (1, "hit")
            assert await version_read(fault, here) == (1, "hit")
            fault.has_recovered = True

    play(22, "loader slower than its lease", scene)


def test_a_process_that_dies_with_the_lease_is_waited_for_no_longer_than_it(
    server: Valkey,
) -> None:
    async def scene(fault: Fault) -> None:
        with process("loads", server.url) as holder:
            holder.kill()
            async with opened(server.url) as (cache,):
                took_s = await _unhurried(fault, cache)
                assert took_s < OPTIONS.lease_s + 4 * DEADLINE_S
                assert fault.model.loads == 1
                # Whoever had no lease stores nothing; the next has it.
                await until(lambda: hits(fault, cache), "a hit")
                fault.has_recovered = True

    play(23, "lease holder killed", scene)


def test_a_lease_that_could_not_be_given_back_holds_nobody_up_after_an_outage(
    server: Valkey,
) -> None:
    async def scene(fault: Fault) -> None:
        long = replace(OPTIONS, lease_s=30.0)
        with proxied(server.socket) as proxy:
            async with (
                opened(proxy.url, options=long) as (here,),
                opened(server.url, options=long) as (there,),
            ):
                for outage_s in (0.15, 1.0):  # too short for the breaker, and not
                    await here.delete(KEY)
                    fault.model.load_s = 0.1
                    loading = asyncio.create_task(fault.read(here, USER))
                    await asyncio.sleep(0.05)
                    proxy.mode = "swallow"
                    await asyncio.sleep(outage_s)
                    await loading
                    for user in ("2", "3", "4"):
                        await fault.read(here, user)
                    proxy.mode = "pass"
                    await until(lambda: _has_no_lease(server), "the lease is back")
                    fault.model.load_s = 0.005
                    assert await version_read(fault, there) == (0, "miss")
                await until(lambda: hits(fault, here), "a hit")
                fault.has_recovered = True

    play(23, "lease not given back", scene)


def _has_no_lease(server: Valkey) -> bool:
    return not server.say("KEYS", "*:l:*")
