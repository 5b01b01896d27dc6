"""The report's cache re-created: each of its weaknesses, on a real Valkey.

The numbers are those of the table of weaknesses that the specimen was made after.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import pytest
from servers_scratch import scratch

from fluxlab.caching.layer import Layer, Load, Touch
from fluxlab.caching.sprint11 import (
    HitCounter,
    Sprint11,
    address,
    get_cached_data,
    retry_delay_s,
)
from fluxlab.caching.sprint11_values import UNDEFINED, first_row
from fluxlab.servers import redis as valkey
from fluxlab.servers.connections import redis_client
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings

T = TypeVar("T")


@pytest.fixture
def server(redis: RedisServer) -> Iterator[RedisServer]:
    """The session's server, emptied afterwards of what a test stored."""
    yield redis
    with redis_client(redis) as client:
        client.flushdb()


@pytest.fixture
def own() -> Iterator[Settings]:
    """Settings whose Valkey belongs to one test alone."""
    with scratch() as settings:
        yield settings


def with_cache(server: RedisServer, test: Callable[[Sprint11], Awaitable[T]]) -> T:
    async def run() -> T:
        cache = Sprint11(server.url)
        assert await cache.initialize()
        try:
            return await test(cache)
        finally:
            await cache.close()

    return asyncio.run(run())


def counted(value: object, wait_s: float = 0) -> tuple[list[int], Load]:
    calls: list[int] = []

    async def load() -> object:
        calls.append(1)
        await asyncio.sleep(wait_s)
        return value

    return calls, load


def test_1_a_fill_that_an_invalidation_overtakes_is_stored_and_stays(
    server: RedisServer,
) -> None:
    async def test(cache: Sprint11) -> object:
        row = {"name": "old"}

        async def load() -> object:
            seen = dict(row)
            await asyncio.sleep(0.05)
            return seen

        reading = asyncio.create_task(cache.get_or_set("user:1", load))
        await asyncio.sleep(0.02)
        row["name"] = "new"
        await cache.invalidate.user("1")
        await reading
        return await cache.get("user:1")

    assert with_cache(server, test) == {"name": "old"}


def test_2_a_hundred_readers_of_a_missing_key_load_it_a_hundred_times(
    server: RedisServer,
) -> None:
    calls, load = counted({"id": 1}, wait_s=0.1)

    async def test(cache: Sprint11) -> None:
        await asyncio.gather(*(cache.get_or_set("user:1", load) for _ in range(100)))

    with_cache(server, test)
    assert len(calls) == 100


def test_3_a_missing_row_becomes_a_text_that_is_true(server: RedisServer) -> None:
    calls, load = counted(first_row([]))

    async def test(cache: Sprint11) -> list[object]:
        return [await cache.get_or_set("user:404", load) for _ in range(2)]

    assert with_cache(server, test) == [UNDEFINED, "undefined"]
    assert len(calls) == 1


def test_3_a_reader_of_a_layer_gets_the_text_as_well(server: RedisServer) -> None:
    calls, load = counted(None)

    async def test(cache: Sprint11) -> list[object]:
        return [(await cache.read("user:404", load)).value for _ in range(2)]

    assert with_cache(server, test) == [None, "undefined"]
    assert len(calls) == 1


def test_4_null_is_stored_and_never_a_hit(server: RedisServer) -> None:
    calls, load = counted(None)

    async def test(cache: Sprint11) -> tuple[object, bool]:
        answers = [await cache.get_or_set("user:1:teams", load) for _ in range(2)]
        return answers, await cache.exists("user:1:teams")

    assert with_cache(server, test) == ([None, None], True)
    assert len(calls) == 2


def test_5_deleting_a_pattern_asks_for_keys_and_sends_one_del(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> int:
        for number in range(5):
            await cache.set(f"user:7:{number}", 1)
        with redis_client(server) as client:
            client.config_resetstat()
        removed = await cache.delete_pattern("user:7:*")
        with redis_client(server) as client:
            calls = client.info("commandstats")
        assert calls["cmdstat_keys"]["calls"] == 1
        assert calls["cmdstat_del"]["calls"] == 1
        assert "cmdstat_scan" not in calls
        return removed

    assert with_cache(server, test) == 5


def test_6_the_list_of_all_keys_has_no_end(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> tuple[list[str], bool]:
        await cache.set("token:a", 1)
        return await cache.get_all_keys("token:*", most_turns=20)

    names, has_ended = with_cache(server, test)
    assert not has_ended
    assert names.count("token:a") > 1


def test_7_forgetting_one_user_forgets_every_user_that_begins_alike(
    server: RedisServer,
) -> None:
    async def test(cache: Sprint11) -> list[bool]:
        for user in ("12", "123", "21"):
            await cache.set(f"user:{user}", {"id": user})
        await cache.invalidate.user("12")
        return [await cache.exists(f"user:{user}") for user in ("12", "123", "21")]

    assert with_cache(server, test) == [False, False, True]


def test_8_a_star_in_an_id_forgets_everybody(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> bool:
        await cache.set("user:somebody", 1)
        await cache.invalidate.user("*")
        return await cache.exists("user:somebody")

    assert with_cache(server, test) is False


@pytest.mark.parametrize(
    ("given", "came"),
    [
        ({"at": datetime(2025, 10, 1, 12, tzinfo=UTC)}, {"at": "2025-10-01T12:00:00.000Z"}),
        ({"share": math.nan}, {"share": None}),
        ("0123", "0123"),
        ("123", 123),
        ("true", True),
        ('{"a": 1}', {"a": 1}),
        ({"total": Decimal("1.50")}, {"total": "1.50"}),
        ({"file": b"\x01"}, {"file": {"type": "Buffer", "data": [1]}}),
        ({"tags": {"a"}}, {"tags": {}}),
        ("", None),
        (2**60, float(2**60)),
    ],
    ids=str,
)
def test_9_a_value_comes_back_as_something_else(
    server: RedisServer, given: object, came: object
) -> None:
    async def test(cache: Sprint11) -> object:
        assert await cache.set("k", given)
        return await cache.get("k")

    found = with_cache(server, test)
    assert (found, type(found)) == (came, type(came))


def test_9_a_big_number_in_an_object_is_not_stored_and_nobody_hears_of_it(
    server: RedisServer,
) -> None:
    calls, load = counted({"id": 2**60})

    async def test(cache: Sprint11) -> None:
        assert not await cache.set("k", {"id": 2**60})
        for _ in range(3):
            await cache.get_or_set("k", load)

    with_cache(server, test)
    assert len(calls) == 3


def test_10_a_lifetime_of_zero_is_an_error_that_is_swallowed(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> tuple[bool, object]:
        return await cache.set("k", 1, 0), await cache.get("k")

    assert with_cache(server, test) == (False, None)


def test_11_and_12_the_old_address_keeps_serving_the_old_row(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> list[object]:
        for key in ("user:1", "user:email:old@x"):
            await cache.set(key, {"email": "old@x"})
        await cache.invalidate.user("1")
        await cache.delete("user:email:new@x")
        return [await cache.get("user:1"), await cache.get("user:email:old@x")]

    assert with_cache(server, test) == [None, {"email": "old@x"}]


def test_invalidation_leaves_what_does_not_begin_with_the_entity(
    server: RedisServer,
) -> None:
    kept = ["analytics:org:5:dashboard", "user:1:organizations"]

    async def test(cache: Sprint11) -> list[bool]:
        for key in ("org:5", "org:5:members", *kept):
            await cache.set(key, 1)
        await cache.forget(Touch(entity=("org", "5")))
        return [await cache.exists(key) for key in ("org:5", "org:5:members", *kept)]

    assert with_cache(server, test) == [False, False, True, True]


def test_what_a_write_names_exactly_is_not_understood(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> bool:
        await cache.set("user:1", 1)
        await cache.forget(Touch(tags=("user:1",), keys=("user:1",)))
        return await cache.exists("user:1")

    assert with_cache(server, test)


@pytest.mark.parametrize("value", [0, False, math.nan])
def test_the_report_s_counter_does_not_see_hits_of_what_is_false(
    server: RedisServer, value: object
) -> None:
    counter = HitCounter()
    calls, load = counted(value)

    async def test(cache: Sprint11) -> None:
        for _ in range(4):
            await get_cached_data(cache, "user:1:unread:2", load, counter)

    with_cache(server, test)
    expected = 3 if isinstance(value, float) else 0  # NaN comes back as the text "NaN"
    assert (counter.hits, len(calls)) == (expected, 4 - expected)
    assert counter.hit_rate == f"{expected / 4 * 100:.2f}"


def test_entries_end_by_their_own_lifetime_and_by_no_jitter(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> set[int]:
        _, load = counted({"id": 1})
        for number in range(20):
            await cache.read(f"user:{number}", load)
            await cache.read(f"project:{number}:files", load, ttl_s=0.05)
        with redis_client(server) as client:
            lives = {client.ttl(f"user:{number}") for number in range(20)}
        await asyncio.sleep(0.1)
        assert not await cache.exists("project:1:files")
        return lives

    assert with_cache(server, test) <= {299, 300}


def test_two_megabytes_are_stored_like_anything_else(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> bool:
        return await cache.set("k", "x" * 2_000_000)

    assert with_cache(server, test)


def test_the_small_functions_do_what_their_commands_do(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> None:
        assert await cache.increment("n") == 1
        assert await cache.increment("n", 4) == 5
        assert await cache.expire("n", 60)
        assert not await cache.expire("none", 60)
        assert (await cache.stats())["keys"] == 1
        assert (await cache.health())["status"] == "healthy"
        assert await cache.delete("n")
        assert not await cache.exists("n")
        assert await cache.flush_all()

    with_cache(server, test)


def test_host_port_and_database_are_ignored() -> None:
    asked = {"REDIS_HOST": "elsewhere", "REDIS_PORT": "7000", "REDIS_DB": "3"}
    assert address(asked) == "redis://127.0.0.1:6379"
    assert address({"REDIS_URL": "redis://h:1"}) == "redis://h:1"


def test_the_delay_grows_by_the_same_step_and_ends_before_three_seconds() -> None:
    delays = [retry_delay_s(number) for number in range(11)]
    known = [one for one in delays if one is not None]
    steps = {round(later - earlier, 6) for earlier, later in itertools.pairwise(known)}
    assert steps == {0.05}
    assert math.isclose(sum(known), 2.75)
    assert retry_delay_s(11) is None


def test_a_server_that_is_absent_at_start_is_given_up_for_good(own: Settings) -> None:
    async def run() -> None:
        cache = Sprint11(f"unix://{own.home}/nobody.sock")
        start = time.monotonic()
        assert not await cache.initialize()
        assert time.monotonic() - start >= 2.75
        assert cache.gave_up_at is not None
        calls, load = counted({"id": 1})
        answers = [await cache.read("user:1", load) for _ in range(3)]
        assert [one.outcome for one in answers] == ["bypass"] * 3
        assert len(calls) == 3
        assert (await cache.health())["status"] == "unhealthy"
        assert (await cache.stats()) == {"connected": False}
        assert await cache.invalidate.user("1") == 0

    asyncio.run(run())


def test_a_short_outage_is_survived_and_a_longer_one_ends_the_cache(own: Settings) -> None:
    async def run() -> None:
        server = valkey.start(own)
        cache = Sprint11(server.url)
        assert await cache.initialize()
        _, load = counted({"id": 1})
        for wait_s, comes_back in ((0.3, True), (3.3, False)):
            await cache.read("user:1", load)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            assert (await cache.read("user:1", load)).value == {"id": 1}
            await asyncio.sleep(wait_s)
            server = await asyncio.to_thread(valkey.start, own)
            await asyncio.sleep(0.7)
            outcomes = [(await cache.read("user:1", load)).outcome for _ in range(2)]
            assert ("hit" in outcomes) == comes_back
            assert (cache.gave_up_at is None) == comes_back
        await cache.close()

    asyncio.run(run())


def test_a_stalled_server_stalls_every_reader(own: Settings) -> None:
    async def run() -> None:
        server = valkey.start(own)
        cache = Sprint11(server.url)
        assert await cache.initialize()
        _, load = counted({"id": 1})
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            reading = [asyncio.create_task(cache.read("user:1", load)) for _ in range(5)]
            done, _ = await asyncio.wait(reading, timeout=1.0)
            assert not done
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await asyncio.gather(*reading)
        await cache.close()

    asyncio.run(run())


def test_what_a_load_raises_reaches_the_reader(server: RedisServer) -> None:
    async def fails() -> object:
        raise ValueError(uuid.uuid4().hex)

    async def test(cache: Sprint11) -> None:
        with pytest.raises(ValueError, match=r"^[0-9a-f]{32}$"):
            await cache.get_or_set("user:1", fails)

    with_cache(server, test)


def test_it_is_a_layer_like_the_others(server: RedisServer) -> None:
    async def test(cache: Sprint11) -> list[str]:
        layer: Layer = cache
        _, load = counted({"id": 1})
        before = [(await layer.read("user:1", load)).outcome for _ in range(2)]
        await layer.forget(Touch(entity=("user", "1")))
        return [*before, (await layer.read("user:1", load)).outcome]

    assert with_cache(server, test) == ["miss", "hit", "miss"]
