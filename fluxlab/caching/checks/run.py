"""Small real checks of the report's cache and ours, on a server of their own.

Each is for a sentence of the report: its lifetimes, its keys, its examples, its
statistics and health. Races, stampedes and outages are experiments of their own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

import psycopg
import redis.asyncio

from fluxlab.caching.cache import Cache
from fluxlab.caching.checks.away import check_attempts, check_start
from fluxlab.caching.checks.behaviour import (
    check_burst,
    check_counting,
    check_example,
    check_lifetimes,
    check_pattern,
    endpoint_status,
    layer_of,
)
from fluxlab.caching.checks.checked import (
    Checks,
    Endpoint,
    HealthSaid,
    ServerState,
    Start,
)
from fluxlab.caching.checks.keys import Loaded, fill_all, load_all
from fluxlab.caching.experiments.bench import own_home
from fluxlab.caching.sprint11 import Sprint11, address
from fluxlab.progress import Report, Tick
from fluxlab.servers import redis as redis_server
from fluxlab.servers.redis import RedisServer
from fluxlab.settings import Settings
from fluxlab.workload.query import Workload

_PHASE = "checking the cache"
_GLOB = "user:123:*"
#: Settings as the report has them, for a server that is not where most are.
_GIVEN = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "6380", "REDIS_DB": "3"}
#: Databases of the private server: ours has its namespace, the report's has none.
_REPORTS, _ELSEWHERE = 1, 2


def run_checks(
    settings: Settings,
    connection: psycopg.Connection,
    workload: Workload,
    now: datetime,
    report: Report = lambda tick: None,
) -> Checks:
    """Run every check; about five seconds.

    `connection` is to a state's database, which is only read; `now` is the clock of its
    data. The cache's server is started for this and stopped again: its counters are the
    evidence, and one check needs it to be gone.
    """
    begun = time.perf_counter()
    answers = load_all(connection, workload, now, settings.seed)
    with own_home(settings) as private:
        server = redis_server.start(private)
        found = asyncio.run(_check(private, server, connection, answers, report))
    return replace(found, took_s=time.perf_counter() - begun)


async def _check(
    settings: Settings,
    server: RedisServer,
    connection: psycopg.Connection,
    answers: Sequence[Loaded],
    report: Report,
) -> Checks:
    attempts = asyncio.create_task(check_attempts())
    nowhere = f"unix://{quote(str(settings.home / 'nobody'))}"
    starts = asyncio.gather(
        check_start(Sprint11(nowhere)), check_start(Cache.open(nowhere))
    )
    try:
        found = await _with_server(settings, server, connection, answers, report)
        report(Tick(_PHASE, 2, 3, "starts without a server"))
        made: list[Start] = list(await starts)
        return replace(found, starts=tuple(made), attempts=await attempts)
    finally:
        attempts.cancel()
        starts.cancel()


async def _with_server(
    settings: Settings,
    server: RedisServer,
    connection: psycopg.Connection,
    answers: Sequence[Loaded],
    report: Report,
) -> Checks:
    specimen, cache = Sprint11(_url(server, _REPORTS)), Cache.open(server.url)
    both: tuple[Sprint11 | Cache, ...] = (specimen, cache)
    clients = {
        number: redis.asyncio.Redis.from_url(_url(server, number))
        for number in (0, _REPORTS, _ELSEWHERE)
    }
    beside = dict(zip(both, (clients[_REPORTS], clients[0]), strict=True))
    try:
        await specimen.initialize()
        report(Tick(_PHASE, 0, 3, "keys, lifetimes and examples"))
        # The client only says whether it was PONG.
        ping = "PONG" if await clients[0].ping() else ""
        found = Checks(
            server=f"Valkey {server.version}",
            took_s=0.0,
            ping=ping,
            given=_GIVEN,
            address=address(_GIVEN),
            lifetimes=tuple(
                [one for each in both for one in await check_lifetimes(each, beside[each])]
            ),
            filled=await fill_all(specimen, cache, answers),
            examples=tuple([await check_example(one, beside[one]) for one in both]),
            deleted=tuple([await check_pattern(one, _GLOB) for one in both]),
            counted=tuple([await check_counting(one, clients[_ELSEWHERE]) for one in both]),
            bursts=(
                await check_burst(lambda: _opened_specimen(server), clients[0]),
                await check_burst(lambda: _opened_cache(server), clients[0]),
            ),
            health=await _health(both, "running"),
            endpoint=(),
            starts=(),
            attempts=(),
        )
        report(Tick(_PHASE, 1, 3, "health without a server"))
        redis_server.stop(settings)
        health = (*found.health, *await _health(both, "stopped"))
        return replace(found, health=health, endpoint=_endpoint(connection, health))
    finally:
        for one in both:
            await one.close()
        for client in clients.values():
            await client.aclose()


async def _opened_specimen(server: RedisServer) -> Sprint11:
    specimen = Sprint11(_url(server, _REPORTS))
    await specimen.initialize()
    return specimen


async def _opened_cache(server: RedisServer) -> Cache:
    cache = Cache.open(server.url)
    await cache.start()
    return cache


async def _health(
    caches: Sequence[Sprint11 | Cache], state: ServerState
) -> tuple[HealthSaid, ...]:
    found = []
    for cache in caches:
        if isinstance(cache, Cache):
            said: str = (await cache.health()).status
        else:
            said = str((await cache.health())["status"])
        found.append(HealthSaid(layer_of(cache), state, said))
    return tuple(found)


def _endpoint(
    connection: psycopg.Connection, health: Sequence[HealthSaid]
) -> tuple[Endpoint, ...]:
    """Evaluate the report's expression on every pair of real answers."""
    caches = [one.said for one in health if one.layer == "sprint11"]
    with tempfile.TemporaryDirectory(prefix="flux-") as nobody:
        databases = [_database_health(connection), _database_health(nobody)]
    return tuple(
        Endpoint(database, cache, endpoint_status([database, cache]))
        for database in databases
        for cache in caches
    )


def _database_health(where: psycopg.Connection | str) -> str:
    """Ask a database one question; in a directory without a socket nobody answers."""
    try:
        if isinstance(where, str):
            with psycopg.connect(host=where, connect_timeout=2) as connection:
                connection.execute("select 1")
        else:
            where.execute("select 1")
    except psycopg.OperationalError:
        return "unhealthy"
    return "healthy"


def _url(server: RedisServer, database: int) -> str:
    return f"{server.url}?db={database}"
