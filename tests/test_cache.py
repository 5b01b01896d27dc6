"""The cache's interface on a real server: what it stores, shares, forgets and refuses."""

from __future__ import annotations

import asyncio
import re
import secrets
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
import redis as redis_py

from fluxlab.caching.cache import Cache, Options, Warm
from fluxlab.caching.keys import PATTERNS, TTL, build_key, facts_of
from fluxlab.caching.layer import Touch
from fluxlab.errors import FluxlabError
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import ROOT

Play = Callable[[Cache], Awaitable[None]]


class Source:
    """A database of one row: counts its loads, and takes its time."""

    def __init__(self, value: object = "v1", seconds: float = 0.0) -> None:
        self.value = value
        self.seconds = seconds
        self.loads = 0

    async def load(self) -> object:
        self.loads += 1
        value = self.value  # read first, answered late
        await asyncio.sleep(self.seconds)
        return value


@pytest.fixture
def namespace() -> str:
    return f"test{secrets.token_hex(4)}"


@pytest.fixture
def client(redis: RedisServer) -> Iterator[redis_py.Redis]:
    with redis_py.Redis.from_url(redis.url) as client:
        yield client


@pytest.fixture
def play(redis: RedisServer, namespace: str) -> Callable[..., None]:
    """Run a scene with a cache, and look that nothing of it is left on the loop."""

    def run(scene: Play, options: Options | None = None) -> None:
        async def main() -> None:
            async with Cache.open(redis.url, namespace=namespace, options=options) as cache:
                await scene(cache)
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1

        asyncio.run(main())

    return run


@contextmanager
def refuses(words: str) -> Iterator[None]:
    with pytest.raises(FluxlabError, match=words):
        yield


async def stored(cache: Cache, key: str) -> None:
    """Wait until a value that was loaded has been stored."""
    for _ in range(200):
        if await cache.exists(key):
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{key} was never stored")


def test_a_second_read_is_a_hit_with_the_same_types(play: Callable[..., None]) -> None:
    source = Source({"id": (1, 2), "tags": [b"\0", None, 1.0]})

    async def scene(cache: Cache) -> None:
        key = build_key.user(42)
        assert (await cache.read(key, source.load)).outcome == "miss"
        await stored(cache, key)
        answer = await cache.read(key, source.load)
        assert answer.outcome == "hit"
        assert answer.value == source.value
        assert isinstance(answer.value, dict)
        assert isinstance(answer.value["id"], tuple)
        assert source.loads == 1

    play(scene)


@pytest.mark.parametrize("by", ["tag", "key", "pattern", "flush"])
def test_a_load_that_an_invalidation_overtakes_is_not_served(
    play: Callable[..., None], by: str
) -> None:
    forget: dict[str, Callable[[Cache], Awaitable[object]]] = {
        "tag": lambda cache: cache.invalidate.project(7),
        "key": lambda cache: cache.delete(build_key.project(7)),
        "pattern": lambda cache: cache.delete_pattern("project:7*"),
        "flush": lambda cache: cache.flush(),
    }

    async def scene(cache: Cache) -> None:
        source = Source("v1", seconds=0.1)
        key = build_key.project(7)
        early = asyncio.create_task(cache.read(key, source.load))
        await asyncio.sleep(0.05)
        source.value = "v2"
        await forget[by](cache)
        # A reader that begins now must not share the load that began before.
        late = await cache.read(key, source.load)
        assert (await early).value == "v1"
        assert late.value == "v2"
        await stored(cache, key)
        assert (await cache.read(key, source.load)).value == "v2"

    play(scene)


def test_five_hundred_readers_cause_one_load(play: Callable[..., None]) -> None:
    async def scene(cache: Cache) -> None:
        source = Source(seconds=0.05)
        reads = (cache.read("conv:1", source.load) for _ in range(500))
        answers = await asyncio.gather(*reads)
        assert source.loads == 1
        assert sorted({answer.outcome for answer in answers}) == ["joined", "miss"]
        counts = cache.stats().resources["conv:{convId}"]
        assert (counts.reads, counts.misses, counts.joined) == (500, 1, 499)

    play(scene)


def test_two_processes_share_a_load_by_its_lease(
    play: Callable[..., None], redis: RedisServer, namespace: str
) -> None:
    async def scene(cache: Cache) -> None:
        source = Source(seconds=0.1)
        async with Cache.open(redis.url, namespace=namespace) as other:
            both = await asyncio.gather(
                cache.read("org:1", source.load), other.read("org:1", source.load)
            )
        assert source.loads == 1
        assert sorted(answer.outcome for answer in both) == ["joined", "miss"]

    play(scene)


def test_a_hung_loader_holds_nobody_up_longer_than_a_lease(
    play: Callable[..., None],
) -> None:
    async def scene(cache: Cache) -> None:
        hung = asyncio.create_task(cache.read("org:1", lambda: asyncio.sleep(60)))
        await asyncio.sleep(0.02)
        source = Source("fresh")
        answer = await asyncio.wait_for(cache.read("org:1", source.load), 5)
        assert answer.value == "fresh"
        hung.cancel()

    play(scene, Options(lease_s=0.2))


def test_a_loader_slower_than_its_lease_still_answers_everybody(
    play: Callable[..., None],
) -> None:
    async def scene(cache: Cache) -> None:
        source = Source(seconds=0.35)
        reads = [asyncio.create_task(cache.read("org:1", source.load)) for _ in range(5)]
        answers = await asyncio.wait_for(asyncio.gather(*reads), 3)
        assert {answer.value for answer in answers} == {"v1"}
        assert source.loads <= 1 + 4  # one, and one more for each lease that ran out

    play(scene, Options(lease_s=0.1))


def test_a_caller_that_is_cancelled_leaves_the_load_to_the_others(
    play: Callable[..., None],
) -> None:
    async def scene(cache: Cache) -> None:
        source = Source(seconds=0.1)
        first = asyncio.create_task(cache.read("org:1", source.load))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(cache.read("org:1", source.load))
        await asyncio.sleep(0.02)
        first.cancel()
        assert (await second).value == "v1"
        assert source.loads == 1

    play(scene)


def test_a_loaders_error_reaches_its_readers_and_is_not_stored(
    play: Callable[..., None],
) -> None:
    async def scene(cache: Cache) -> None:
        async def fail() -> object:
            await asyncio.sleep(0.02)
            raise LookupError("no such row")

        reads = (cache.read("org:1", fail) for _ in range(3))
        errors = await asyncio.gather(*reads, return_exceptions=True)
        assert [type(error) for error in errors] == [LookupError] * 3
        source = Source()
        assert (await cache.read("org:1", source.load)).value == "v1"

    play(scene)


def test_a_missing_row_is_remembered_for_a_minute_at_most(
    play: Callable[..., None], client: redis_py.Redis, namespace: str
) -> None:
    async def scene(cache: Cache) -> None:
        source = Source(None)
        await cache.read("org:1", source.load)
        await stored(cache, "org:1")
        assert (await cache.read("org:1", source.load)).outcome == "hit"
        assert await cache.get("org:1", "absent") is None
        assert 0 < client.pttl(f"{namespace}:{{org:1}}:d") <= TTL.SHORT * 1_000

    play(scene)


@pytest.mark.parametrize("ttl", list(TTL))
def test_a_lifetime_is_the_reports_shortened_by_at_most_a_tenth(
    play: Callable[..., None], client: redis_py.Redis, namespace: str, ttl: TTL
) -> None:
    async def scene(cache: Cache) -> None:
        assert await cache.set("user:1", "v", ttl)
        lives = client.pttl(f"{namespace}:{{user:1}}:d")
        assert 0.9 * ttl * 1_000 - 5_000 <= lives <= ttl * 1_000
        # Or the entry would die with its version.
        assert client.pttl(f"{namespace}:{{user:1}}:v") > lives

    play(scene)


def test_what_is_too_large_or_would_change_is_answered_and_not_stored(
    play: Callable[..., None],
) -> None:
    async def scene(cache: Cache) -> None:
        large = Source(secrets.token_bytes(1 << 20))
        odd = Source(object())
        for _ in range(2):
            assert (await cache.read("org:1", large.load)).value is large.value
            assert (await cache.read("org:2", odd.load)).value is odd.value
            await asyncio.sleep(0.02)
        assert (large.loads, odd.loads) == (2, 2)
        counts = cache.stats().resources["org:{orgId}"]
        assert (counts.too_large, counts.unfaithful, counts.stored) == (2, 2, 0)
        assert await cache.set("org:3", object()) is False

    play(scene)


def test_a_key_is_forgotten_with_its_entity_and_others_are_not(
    play: Callable[..., None],
) -> None:
    async def scene(cache: Cache) -> None:
        of_user = ["user:12", "user:12:projects", "user:12:unread:5"]
        of_user += ["analytics:user:12:activity:2025-10-12"]
        others = ["user:123", "user:1", "user:email:a@b.c", "org:12", "conv:5"]
        for key in of_user + others:
            await cache.set(key, key)
        assert await cache.invalidate.user(12)
        assert [key for key in of_user if await cache.exists(key)] == []
        assert [key for key in others if await cache.exists(key)] == others
        assert await cache.invalidate.user(12, emails=["a@b.c"])
        assert not await cache.exists("user:email:a@b.c")

    play(scene)


def test_a_new_message_forgets_pages_and_unread_counts_but_not_the_header(
    play: Callable[..., None],
) -> None:
    async def scene(cache: Cache) -> None:
        gone = ["conv:7:messages:page:1", "user:1:unread:7", "user:1:conversations"]
        for key in [*gone, "conv:7", "conv:7:participants"]:
            await cache.set(key, key)
        await cache.forget(Touch(("conv:7:messages",), ("user:1:conversations",)))
        assert [key for key in gone if await cache.exists(key)] == []
        assert await cache.exists("conv:7")
        assert await cache.invalidate.conversation(7)
        assert not await cache.exists("conv:7:participants")

    play(scene)


def test_tags_of_the_callers_own_are_forgotten_too(play: Callable[..., None]) -> None:
    async def scene(cache: Cache) -> None:
        source = Source()
        await cache.get_or_set("report", source.load, tags=("table:users",))
        await asyncio.sleep(0.02)
        await cache.invalidate(tags=["table:users"])
        source.value = "v2"
        answer = await cache.read("report", source.load, tags=("table:users",))
        assert (answer.value, answer.outcome) == ("v2", "miss")

    play(scene)


def test_a_pattern_takes_what_it_matches_and_nothing_else(
    play: Callable[..., None],
) -> None:
    async def scene(cache: Cache) -> None:
        odd = build_key.user("1*[x]?{y}:\0é")
        for key in ["user:123:projects", "user:123:teams", "user:12:teams", odd]:
            await cache.set(key, key)
        assert await cache.delete_pattern("user:123:*") == 2
        assert [key async for key in cache.keys("user:12*")] == ["user:12:teams"]
        assert await cache.get(odd) == odd
        assert await cache.delete(odd)
        assert not await cache.exists(odd)

    play(scene)


def test_readers_go_past_the_cache_while_a_writer_is_in_its_transaction(
    play: Callable[..., None],
) -> None:
    async def scene(cache: Cache) -> None:
        source = Source()
        await cache.set("project:1", "v1")
        async with cache.writing(tags=["project:1"]) as writing:
            assert writing.is_barred
            assert (await cache.read("project:1", source.load)).outcome == "bypass"
            source.value = "v2"
            assert not await cache.exists("project:1")
        assert (await cache.read("project:1", source.load)).value == "v2"
        await stored(cache, "project:1")

    play(scene)


def test_the_barrier_of_one_writer_outlasts_another(play: Callable[..., None]) -> None:
    async def scene(cache: Cache) -> None:
        source = Source()
        first = cache.writing(keys=["org:1"])
        await first.__aenter__()
        async with cache.writing(keys=["org:1"]):
            pass
        # The first may still commit, and may die before it says so.
        assert (await cache.read("org:1", source.load)).outcome == "bypass"
        await first.__aexit__(None, None, None)
        assert (await cache.read("org:1", source.load)).outcome == "miss"

    play(scene)


def test_a_writer_that_dies_leaves_nothing_stale(
    play: Callable[..., None], redis: RedisServer, namespace: str
) -> None:
    async def scene(cache: Cache) -> None:
        await cache.set("org:1", "v1")
        options = Options(barrier_s=0.2)
        async with Cache.open(redis.url, namespace=namespace, options=options) as other:
            writing = other.writing(keys=["org:1"])
            await writing.__aenter__()
            assert writing._renewing is not None
            writing._renewing.cancel()  # it commits, and never comes to the end
        source = Source("v2")
        assert (await cache.read("org:1", source.load)).outcome == "bypass"
        await asyncio.sleep(0.3)
        assert (await cache.read("org:1", source.load)).outcome == "miss"
        assert source.loads == 2

    play(scene)


def test_what_costs_most_is_warmed_first(play: Callable[..., None]) -> None:
    async def scene(cache: Cache) -> None:
        source = Source()

        async def fail() -> object:
            raise LookupError

        entries = [
            Warm("org:1", source.load, cost_ms=1, rate_per_s=1),
            Warm("org:2", source.load, cost_ms=9, rate_per_s=1),
            Warm("org:3", source.load, cost_ms=2, rate_per_s=5),
            Warm("org:4", fail, cost_ms=99, rate_per_s=1),
        ]
        assert await cache.warm(entries, top=3) == 2
        await stored(cache, "org:2")
        await stored(cache, "org:3")
        assert not await cache.exists("org:1")
        assert await cache.warm(entries, top=3) == 0

    play(scene)


def test_a_counter_is_apart_from_the_entry_of_its_key(play: Callable[..., None]) -> None:
    async def scene(cache: Cache) -> None:
        await cache.set("logins", "v")
        assert [await cache.increment("logins"), await cache.increment("logins", 4)] == [
            1,
            5,
        ]
        assert await cache.get("logins") == "v"
        assert await cache.expire("logins", 0.05)
        await asyncio.sleep(0.1)
        assert await cache.get("logins") is None
        assert not await cache.expire("logins", 60)

    play(scene)


def test_a_wrong_key_or_lifetime_is_said_to_be_wrong(play: Callable[..., None]) -> None:
    async def scene(cache: Cache) -> None:
        with refuses("A cache key is empty"):
            await cache.get("")
        with refuses("A lifetime of 0 s"):
            await cache.set("user:1", "v", 0)
        with refuses("cannot be made of 1 values"):
            build_key.user("")

    play(scene)
    with refuses("cannot be read"):
        Cache.open("http://localhost")
    with refuses("no database numbers"):
        Cache.open("redis://localhost/3", is_cluster=True)
    with refuses("above zero"):
        Options(deadline_s=0)


def test_a_password_is_in_no_text_of_the_cache() -> None:
    async def main() -> None:
        url = "redis://someone:s3cret@127.0.0.1:1/0"
        async with Cache.open(url, deadline_s=0.2) as cache:
            assert await cache.start() is False
            health = await cache.health()
            assert health.status == "degraded"
            assert "s3cret" not in f"{health} {cache.stats()} {vars(cache)}"

    asyncio.run(main())
    with pytest.raises(FluxlabError) as caught:
        Cache.open("redis://someone:s3cret@host:port/0")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_every_key_of_the_report_is_made_and_read_back_as_its_pattern() -> None:
    values = {"{date}": "2025-10-12", "{email}": "a@b.c", "{page}": "3"}
    for pattern in PATTERNS.values():
        names = [part for part in pattern.text.split(":") if part.startswith("{")]
        key = pattern.key(*(values.get(name, f"id-{at}") for at, name in enumerate(names)))
        facts = facts_of(key)
        assert facts.pattern is pattern
        assert not any("{" in tag for tag in facts.tags)
    assert sum(pattern.is_of_report for pattern in PATTERNS.values()) == 20


def test_the_example_in_the_readme_runs(redis: RedisServer) -> None:
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert found
    body = textwrap.indent(found[1].replace("redis://localhost", redis.url), "    ")
    source = Source("Bea")

    async def rename_person(name: str) -> None:
        source.value = name

    names: dict[str, object] = {
        "read_person": source.load,
        "rename_person": rename_person,
    }
    exec(f"async def example():\n{body}    return person", names)
    example = names["example"]
    assert callable(example)
    assert asyncio.run(example()) == "Ann"
    assert source.loads >= 1


def test_readers_of_one_turn_share_a_request_and_survive_whoever_asked(
    play: Callable[..., None], client: redis_py.Redis
) -> None:
    async def scene(cache: Cache) -> None:
        assert await cache.set("org:1", ["v1"])
        before = client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]
        readers = [asyncio.create_task(cache.get("org:1")) for _ in range(50)]
        await asyncio.sleep(0)  # all have asked, and nothing has come back
        readers[0].cancel()
        readers[7].cancel()
        answers = await asyncio.gather(*readers, return_exceptions=True)
        kinds = [type(answer).__name__ for answer in answers]
        assert kinds.count("CancelledError") == 2
        values = [answer for answer in answers if isinstance(answer, list)]
        assert values == [["v1"]] * 48
        assert len({id(value) for value in values}) == 48  # each has its own
        # One for all; when it is cancelled the others ask for themselves.
        after = client.info("commandstats")["cmdstat_mget"]["calls"]
        assert after - before <= 50
        await asyncio.gather(*(cache.get("org:1") for _ in range(50)))
        assert client.info("commandstats")["cmdstat_mget"]["calls"] == after + 1

    play(scene)
