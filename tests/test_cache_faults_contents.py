"""What the server holds is lost, damaged, brought back or of another kind: a miss, no more.

Numbers are those of the list of faults.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator

import pytest
from cache_faults import OPTIONS, USERS, Fault, in_thread, opened, play, told, until
from cache_servers import Valkey, valkey

from fluxlab.caching.cache import Cache
from fluxlab.caching.codec import encode
from fluxlab.caching.forgetting import escape_glob
from fluxlab.caching.keys import build_key

USER = USERS[0]
KEY = build_key.user(USER)
ENTRY, VERSION, TAG = f"flux:{{{KEY}}}:d", f"flux:{{{KEY}}}:v", f"flux:{{t:{KEY}}}:v"
HOUR_MS = 3_600_000
#: Keys that a careless program would take for patterns, for hash tags or for each other.
ODD_KEYS = (
    *("user:*", "user:?", "user:[12]", "user:[^1]", "user:\\*", "{user}:1", "us{er}:1"),
    *("user:1\0", "user:1\0\0", "\0", "}", "}user:1", "{}", "{", "a}b", "a:d", "a:v", ":"),
    *("utente:è", "utente:e\u0300", "用户:1", "🐘", "\ud800", " ", "\r\n", "user:1 "),
    *("t:user:1", "%7D", "user%3A1", "user:1:l:", "\n*1\r\n$8\r\nFLUSHALL\r\n"),
)


@pytest.fixture(scope="module", autouse=True)
def _told(say: Callable[[str], None]) -> Iterator[None]:
    with told(say, "what the server holds"):
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


async def fill(fault: Fault, *caches: Cache) -> None:
    """Read every user until it is a hit."""
    await fault.recovers(*caches)
    fault.has_recovered = None


async def hits(fault: Fault, cache: Cache, user: str = USER) -> bool:
    answer = await fault.read(cache, user)
    return answer is not None and answer.outcome == "hit"


def test_a_flush_amid_a_load_does_not_let_the_load_in(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url, 2) as (cache, other):
            fault.model.load_s = 0.1
            loading = asyncio.create_task(fault.read(cache, USER))
            await asyncio.sleep(0.05)
            server.say("FLUSHALL")
            # The versions are gone, so the other has others, and forgets under them.
            assert await fault.write(other, USER)
            await fault.read(cache, USER)  # it must not join the load under way
            await loading
            await asyncio.sleep(0.02)
            await fault.read(cache, USER)
            fault.model.load_s = 0.005
            async with fault.traffic(cache, other):
                for _ in range(20):
                    server.say("FLUSHALL")
                    await asyncio.sleep(0.015)
            await fault.recovers(cache, other)

    play(15, "FLUSHALL amid a load", scene)


@pytest.mark.parametrize("names", [(VERSION,), (TAG,), (VERSION, TAG), (ENTRY,)])
def test_a_name_that_was_evicted_is_a_miss_and_brings_nothing_back(
    server: Valkey, names: tuple[str, ...]
) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url, 2) as (cache, other):
            await fill(fault, cache, other)
            assert server.say("DEL", *names) == len(names)
            answer = await fault.read(cache, USER)
            assert answer is not None
            assert answer.outcome == "miss"
            await until(lambda: hits(fault, other), "a hit")
            # And amid a load.
            fault.model.load_s = 0.05
            assert await fault.write(cache, USER)
            loading = asyncio.create_task(fault.read(cache, USER))
            await asyncio.sleep(0.02)
            server.say("DEL", *names)
            assert await fault.write(other, USER)
            await fault.read(cache, USER)
            await loading
            await fault.recovers(cache, other)

    play(16, "evicted", scene)


def test_a_server_that_evicts_all_the_time_serves_nothing_stale() -> None:
    async def scene(fault: Fault) -> None:
        with valkey(maxmemory="8mb", maxmemory_policy="allkeys-random") as server:
            async with opened(server.url, 2) as caches:
                async with fault.traffic(*caches):
                    for _ in range(10):
                        await in_thread(lambda: _stuff(server))

                    async def has_both() -> bool:
                        await in_thread(lambda: _stuff(server))
                        evicted = (await caches[0].server_stats())["evicted_keys"]
                        return evicted > 1_000 and fault.outcomes["hit"] > 10

                    await until(has_both, "evictions and hits")
                await fault.recovers(*caches)

    play(16, "evicting under traffic", scene)


def _stuff(server: Valkey) -> None:
    with server.client() as client:
        batch = client.pipeline(transaction=False)
        for _ in range(100):
            batch.set(f"elsewhere:{random.getrandbits(64)}", "x" * 4_000)
        batch.execute()


def test_a_restart_from_an_old_snapshot_brings_no_old_entry_back(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        with valkey() as own:
            async with opened(own.url, 2) as (ours, theirs):
                await fill(fault, ours, theirs)
                before = own.say("GET", VERSION)
                own.say("SAVE")
                assert await ours.delete(KEY)
                assert await fault.write(ours, USER)
                own.kill()
                await in_thread(own.start)
                assert own.say("GET", VERSION) == before  # the hole is there
                assert own.say("EXISTS", ENTRY, TAG) == 2
                for _ in range(10):
                    await fault.read(ours, USER)
                    await fault.read(theirs, USER)
                    await asyncio.sleep(0.02)
                await fault.recovers(ours, theirs)

    play(17, "version back from a snapshot", scene)


@pytest.mark.parametrize("jump_ms", [HOUR_MS, 90 * 24 * HOUR_MS, -HOUR_MS])
def test_a_clock_that_jumps_makes_misses_or_longer_lives_and_nothing_stale(
    server: Valkey, monkeypatch: pytest.MonkeyPatch, jump_ms: int
) -> None:
    now = time.time

    async def scene(fault: Fault) -> None:
        async with opened(server.url, 2) as (cache, other):
            await fill(fault, cache, other)
            async with fault.traffic(cache, other):
                # Ours, and the server's: what it holds ends so much sooner or later.
                monkeypatch.setattr(time, "time", lambda: now() + jump_ms / 1_000)
                jump(server, jump_ms)
                await asyncio.sleep(0.1)
            # Amid a write: its barrier may be gone before its commit.
            async with cache.writing(keys=[KEY], tags=[KEY]):
                jump(server, jump_ms)
                await fault.read(other, USER)
                await asyncio.sleep(0.03)
                version = fault.model.commit(USER)
            fault.done(cache, USER, version, told=True)
            await fault.read(other, USER)
            await fault.recovers(cache, other)

    play(29, "clock jump", scene)


def jump(server: Valkey, jump_ms: int) -> None:
    """Do to every name what a jump of the server's clock does: it is so much older."""
    with server.client() as client:
        for name in client.scan_iter():
            ends_ms = client.execute_command("PEXPIRETIME", name)  # type: ignore[no-untyped-call]
            if ends_ms > 0:
                client.pexpireat(name, max(1, ends_ms - jump_ms))


def test_an_entry_that_is_damaged_is_loaded_again(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            await fill(fault, cache)
            whole = server.say("GET", ENTRY)
            damaged = [whole[:length] for length in range(0, len(whole), 3)]
            damaged += [
                whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
                for at in range(0, len(whole), 2)
            ]
            # Other formats: JSON of an old release, pickle, another version of ours.
            damaged += [
                b'{"id": 1}',
                b"\x80\x04N.",
                b"\x02" + whole[1:],
                whole + b"x",
                b"\xff" * 99,
            ]
            with server.client() as client:
                for data in damaged:
                    client.set(ENTRY, data, px=60_000)
                    fault.model.commit(USER)  # as if nobody had said a word
                    fault.done(cache, USER, fault.model.committed[USER], told=True)
                    assert not await hits(fault, cache)
                    await until(lambda: _is_stored(server), "stored again")
                    whole = client.get(ENTRY)
            counts = cache.stats().resources["user:{userId}"]
            assert 0 < counts.corrupt <= len(damaged)
            assert counts.loads == counts.misses
            await fault.recovers(cache)

    play(30, "damaged entry", scene)


def _is_stored(server: Valkey) -> bool:
    data = server.say("GET", ENTRY)
    # Its load ended after the read, and it is ours: the versions stand in it.
    return isinstance(data, bytes) and server.say("GET", VERSION) in data and len(data) > 30


def test_a_value_of_exactly_one_mebibyte_is_stored_and_one_byte_more_is_not(
    server: Valkey,
) -> None:
    noise = random.Random(31).randbytes(1 << 20)
    room = OPTIONS.max_bytes - (len(encode(noise)) - len(noise))
    assert len(encode(noise[:room])) == OPTIONS.max_bytes == 1 << 20

    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            for length, is_stored in ((room, True), (room + 1, False)):
                value = noise[:length]
                key = build_key.file(length)

                async def load(value: bytes = value) -> object:
                    return value

                fault.reads += 1
                assert (await cache.read(key, load)).value == value
                await asyncio.sleep(0.1)
                assert await cache.exists(key) is is_stored
                assert await cache.set(key, value) is is_stored
                assert (await cache.read(key, load)).value == value
            counts = cache.stats().resources["file:{fileId}"]
            # By a load twice, by hand once.
            assert counts.too_large == 3
            assert counts.reads == 4
            await fault.recovers(cache)

    play(31, "one byte too many", scene)


def test_a_key_of_any_characters_is_itself_and_no_other(server: Valkey) -> None:
    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):

            async def read(key: str) -> str:
                async def load() -> object:
                    return [ODD_KEYS.index(key), versions[key]]

                fault.reads += 1
                answer = await cache.read(key, load)
                assert answer.value == [ODD_KEYS.index(key), versions[key]]
                return answer.outcome

            async def is_hit(key: str) -> bool:
                return await read(key) == "hit"

            versions = dict.fromkeys(ODD_KEYS, 1)
            assert len(versions) == len(ODD_KEYS)
            for key in ODD_KEYS:
                assert await read(key) == "miss"
            for key in ODD_KEYS:
                await until(lambda k=key: is_hit(k), "a hit")  # type: ignore[misc]
            assert sorted([key async for key in cache.keys("*")]) == sorted(ODD_KEYS)
            # Each is forgotten by itself, by name and as a pattern of itself.
            for key, by in itertools.product(ODD_KEYS, ("name", "pattern")):
                versions[key] += 1
                if by == "name":
                    assert await cache.delete(key)
                else:
                    assert await cache.delete_pattern(escape_glob(key)) == 1
                stored = {one async for one in cache.keys("*")}
                assert stored == set(ODD_KEYS) - {key}
                await until(lambda k=key: is_hit(k), "a hit")  # type: ignore[misc]
            await fault.recovers(cache)

    play(34, "odd keys", scene)


@pytest.mark.parametrize("kind", ["RPUSH", "SADD", "HSET", "ZADD", "SETBIT"])
def test_another_kind_of_value_at_our_names_is_a_miss_or_a_load(
    server: Valkey, kind: str
) -> None:
    words = {"HSET": ("f", "v"), "ZADD": (1, "x"), "SETBIT": (7, 1)}.get(kind, ("x",))

    async def scene(fault: Fault) -> None:
        async with opened(server.url) as (cache,):
            await fill(fault, cache)
            for name in (ENTRY, VERSION, TAG):
                server.say("DEL", name)
                server.say(kind, name, *words)
                for _ in range(3):
                    await fault.read(cache, USER)
                # Somebody else's value does not stand in the way of an invalidation.
                assert await fault.write(cache, USER)
                assert await cache.delete(KEY)
                await until(lambda: hits(fault, cache), "a hit")
            assert cache.stats().opened == 0
            await fault.recovers(cache)

    play(36, "another kind of value", scene)
