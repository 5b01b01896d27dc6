"""The network between the cache and its server fails; what is left is a load.

The proxy stands before a real server. Numbers are those of the list of faults.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from cache_faults import (
    DEADLINE_S,
    USERS,
    Fault,
    costs_nothing,
    in_thread,
    is_open,
    open_breaker,
    opened,
    play,
    told,
    until,
)
from cache_proxy import CERTIFICATE, Proxy, proxied
from cache_servers import Valkey, valkey

from fluxlab.caching.cache import Cache
from fluxlab.errors import FluxlabError


@pytest.fixture(scope="module", autouse=True)
def _told(say: Callable[[str], None]) -> Iterator[None]:
    with told(say, "the network"):
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as server:
        yield server


@pytest.fixture
def proxy(server: Valkey) -> Iterator[Proxy]:
    """A proxy before an empty server."""
    server.say("FLUSHALL")
    with proxied(server.socket) as proxy:
        yield proxy


async def fill(fault: Fault, *caches: Cache) -> None:
    """Read every user until it is a hit."""
    await fault.recovers(*caches)
    fault.has_recovered = None


async def asks_nothing(fault: Fault, cache: Cache, proxy: Proxy) -> None:
    """While the breaker is open, no read sends anything, and none waits."""
    before = proxy.asked
    await costs_nothing(fault, cache)
    assert proxy.asked == before


def test_a_server_that_accepts_and_never_answers_is_asked_no_more(proxy: Proxy) -> None:
    async def scene(fault: Fault) -> None:
        proxy.mode = "swallow"
        async with opened(proxy.url) as (cache,):
            async with fault.traffic(cache):
                await until(lambda: is_open(cache), "the breaker opens")
            await asks_nothing(fault, cache, proxy)
            proxy.mode = "pass"
            await fault.recovers(cache)

    play(4, "never answers", scene)


def test_a_connection_that_is_dead_without_a_word_is_given_up(proxy: Proxy) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(proxy.url) as (cache,):
            await fill(fault, cache)
            proxy.mode = "swallow"
            await open_breaker(fault, cache)
            await asks_nothing(fault, cache, proxy)
            proxy.mode = "pass"
            async with fault.traffic(cache):
                await fault.recovers(cache)
            # Those that were given up are closed, not left behind.
            await until(lambda: proxy.alive == 1, "one connection")

    play(5, "half open", scene)


def test_replies_of_200_ms_open_the_breaker_until_they_are_quick_again(
    proxy: Proxy,
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(proxy.url) as (cache,):
            await fill(fault, cache)
            proxy.delay_s = 0.2
            async with fault.traffic(cache):
                await until(lambda: is_open(cache), "the breaker opens")
                await asyncio.sleep(0.4)
            await asks_nothing(fault, cache, proxy)
            assert is_open(cache)  # probes are slow as well
            proxy.delay_s = 0.0
            await fault.recovers(cache)

    play(6, "slow replies", scene)


def test_one_late_reply_opens_nothing_and_reaches_nobody_else(proxy: Proxy) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(proxy.url) as (cache,):
            await fill(fault, cache)
            for _ in range(5):
                proxy.delay_s = DEADLINE_S * 1.3
                late = await fault.read(cache, USERS[0])
                assert late is not None
                assert late.outcome == "bypass"
                proxy.delay_s = 0.0
                await asyncio.sleep(DEADLINE_S / 2)
                for user in USERS:
                    await fault.read(cache, user)
            assert cache.stats().opened == 0
            assert proxy.connections == 1
            await fault.recovers(cache)

    play(6, "one late reply", scene)


@pytest.mark.parametrize("length", [1, 4, 12, 60])
def test_half_a_reply_and_the_end_of_the_connection_is_no_answer(
    proxy: Proxy, length: int
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(proxy.url) as (cache,):
            await fill(fault, cache)
            proxy.half_bytes = length
            proxy.mode = "half"
            async with fault.traffic(cache):
                await asyncio.sleep(0.2)
                proxy.mode = "pass"
                await fault.recovers(cache)

    play(7, "half a reply", scene)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n", b"*0\r\n", b"$-1\r\n"),
        *(b"$2\r\nxx\r\n", b"*1\r\n*1\r\n:1\r\n", b"*-1\r\n", b"%1\r\n+a\r\n:1\r\n"),
        *(b"-ERR unknown command\r\n", b"-\r\n", b"-LOADING wait\r\n", b"-MOVED 1\r\n"),
    ],
)
def test_an_answer_that_makes_no_sense_reaches_no_caller(
    proxy: Proxy, answer: bytes
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(proxy.url) as (cache,):
            await fill(fault, cache)
            proxy.answer = answer
            proxy.mode = "answer"
            for user in USERS[:3]:
                await fault.read(cache, user)
            await fault.write(cache, USERS[0])
            await _everything_else(cache)
            await fault.read(cache, USERS[0])
            await asyncio.sleep(0.1)
            proxy.mode = "pass"
            await fault.recovers(cache)

    play(7, "nonsense", scene)


async def _everything_else(cache: Cache) -> None:
    """Call what no read calls; nothing may be raised."""
    assert await cache.get("user:elsewhere") is None
    await cache.set("user:elsewhere", 1)
    await cache.exists("user:elsewhere")
    await cache.expire("user:elsewhere", 10)
    await cache.increment("counter")
    await cache.delete_pattern("nothing*")
    assert [key async for key in cache.keys("nothing*")] == []
    async with cache.writing(tags=["elsewhere"]):
        pass
    await cache.server_stats()
    await cache.health()


def test_a_reset_amid_the_traffic_costs_the_requests_under_way(proxy: Proxy) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(proxy.url) as (cache,), fault.traffic(cache):
            for _ in range(10):
                await asyncio.sleep(0.03)
                await in_thread(proxy.cut)
            await in_thread(proxy.refuse)
            await until(lambda: is_open(cache), "the breaker opens")
            await costs_nothing(fault, cache)
            await in_thread(proxy.listen)
            await fault.recovers(cache)

    play(1, "reset and refused", scene)


def test_five_hundred_callers_share_one_connection_and_one_load(proxy: Proxy) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(proxy.url) as (cache,):
            crowd = [fault.read(cache, "crowd") for _ in range(500)]
            await asyncio.gather(*crowd)
            assert fault.model.loads == 1
            await asyncio.gather(*(fault.read(cache, str(1000 + at)) for at in range(500)))
            assert fault.model.loads == 501
            assert fault.outcomes["bypass"] == 0
            assert proxy.connections == 1
            # And when nothing answers, they wait one deadline together, not 500.
            proxy.mode = "swallow"
            clock = asyncio.get_running_loop().time
            begun = clock()
            await asyncio.gather(*(fault.read(cache, "crowd") for _ in range(500)))
            assert fault.outcomes["bypass"] == 500
            assert clock() - begun < 10 * DEADLINE_S
            assert not is_open(cache)
            proxy.mode = "pass"
            await fault.recovers(cache)

    play(18, "500 callers", scene)


def test_a_caller_that_is_cancelled_leaves_its_reply_to_nobody(proxy: Proxy) -> None:
    choose = random.Random(19)

    async def scene(fault: Fault) -> None:
        async with opened(proxy.url) as (cache,):
            users = [str(at) for at in range(100)]
            for _ in range(2):
                await asyncio.gather(*(fault.read(cache, user) for user in users))
            proxy.delay_s = 0.03
            for _ in range(10):
                crowd = [asyncio.create_task(fault.read(cache, user)) for user in users]
                await asyncio.sleep(choose.choice([0, 0.01, 0.028, 0.032]))
                gone = [one for one in crowd if choose.random() < 0.5 and one.cancel()]
                await asyncio.gather(*crowd, return_exceptions=True)
                assert all(one.cancelled() for one in gone)
            proxy.delay_s = 0.0
            assert fault.outcomes["hit"] > 100
            assert proxy.connections == 1
            await fault.recovers(cache)

    play(19, "cancelled while reading", scene)


def test_a_loop_that_is_blocked_does_not_blame_the_server(proxy: Proxy) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(proxy.url) as (cache,):
            await fill(fault, cache)
            for _ in range(4):
                proxy.delay_s = 0.01  # the replies come while the loop is blocked
                reading = [asyncio.create_task(fault.read(cache, user)) for user in USERS]
                await asyncio.sleep(0.002)
                time.sleep(0.3)
                await asyncio.gather(*reading)
            # Also while it connects.
            for _ in range(4):
                await in_thread(proxy.cut)
                reading = [asyncio.create_task(fault.read(cache, user)) for user in USERS]
                await asyncio.sleep(0.002)
                time.sleep(0.3)
                await asyncio.gather(*reading)
            assert cache.stats().opened == 0
            proxy.delay_s = 0.0
            await fault.recovers(cache)

    play(32, "loop blocked", scene)


def test_tls_is_spoken_and_a_stranger_s_certificate_is_not_taken(server: Valkey) -> None:
    server.say("FLUSHALL")

    async def scene(fault: Fault) -> None:
        with proxied(server.socket, tls=True) as proxy:
            known = f"{proxy.url}?ssl_ca_certs={quote(str(CERTIFICATE))}"
            async with opened(known) as (cache,):
                await fill(fault, cache)
                async with fault.traffic(cache):
                    await in_thread(proxy.cut)
                    await fault.recovers(cache)
            async with opened(proxy.url) as (stranger,):
                await open_breaker(fault, stranger)
                assert "TLS" in (await stranger.health()).last_error
                assert stranger.stats().total.hits == 0

    play(33, "TLS", scene)


def test_the_address_names_user_password_and_database(server: Valkey) -> None:
    secret = "p@ss:w/rd?#% ü" + secrets.token_hex(4)
    user = "a:pp@ü"
    server.say("ACL", "SETUSER", user, "on", f">{secret}", "~*", "&*", "+@all")

    async def scene(fault: Fault) -> None:
        with proxied(server.socket) as proxy:
            who = f"{quote(user, safe='')}:{quote(secret, safe='')}"
            address = proxy.url.replace("redis://", f"redis://{who}@")
            async with opened(f"{address}/3") as (cache,):
                await fill(fault, cache)
                with server.client(db=3) as third, server.client(db=4) as fourth:
                    assert third.keys("flux:{user:1}:d") == [b"flux:{user:1}:d"]
                    assert fourth.dbsize() == 0
                # And at every new connection again.
                await in_thread(proxy.cut)
                await fault.recovers(cache)

    play(33, "user and database", scene)


@pytest.mark.parametrize("is_right", [True, False])
def test_the_password_is_in_no_log_no_message_and_no_representation(
    server: Valkey, caplog: pytest.LogCaptureFixture, is_right: bool
) -> None:
    secret = secrets.token_hex(16)
    server.say("ACL", "SETUSER", "quiet", "reset", "on", f">{secret}", "~*", "+@all")
    wrong = secret[::-1]
    shown: list[str] = []

    async def scene(fault: Fault) -> None:
        with proxied(server.socket) as proxy:
            password = secret if is_right else wrong
            url = proxy.url.replace("redis://", f"redis://quiet:{password}@")
            async with opened(url) as (cache,):
                await cache.start()
                await fault.read(cache, "1")
                if not is_right:
                    await open_breaker(fault, cache)
                proxy.mode, proxy.answer = (
                    "answer",
                    b"-WRONGPASS " + secret.encode() + b"\r\n",
                )
                await in_thread(proxy.cut)
                await open_breaker(fault, cache)
                shown.extend([repr(cache), repr(cache.stats()), repr(await cache.health())])
                for node in cache._transport.nodes:
                    shown.extend([repr(node), repr(node.wire.address), node.last_error])
                shown.extend(repr(task) for task in asyncio.all_tasks())

    with caplog.at_level(logging.DEBUG):
        play(33, "password hidden", scene)
    for url in (f"redis://quiet:{secret}@host:port/0", f"what://quiet:{secret}@host"):
        with pytest.raises(FluxlabError) as error:
            Cache.open(url)
        shown.extend([str(error.value), repr(error.value), repr(error.value.__cause__)])
        shown.append(repr(error.value.__context__) * (not error.value.__suppress_context__))
    text = "\n".join([*shown, caplog.text])
    assert "WRONGPASS" in text
    assert secret not in text
    assert wrong not in text
