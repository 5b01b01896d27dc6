"""Part of bench_cache.py: what a hit costs, and how large an entry is."""

from __future__ import annotations

import asyncio
import gc
import pickle
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson  # type: ignore[import-not-found]
from cache_peers import (
    Aiocache,
    Cashews,
    Dogpile,
    Flux,
    Part,
    Peer,
    Place,
    RedisPy,
    Target,
)

from fluxlab.caching.codec import encode

KEYS = 200
TASKS = 50
#: Of the client CPU of redis-py and orjson, with 50 tasks.
HIT_RATIO = 0.6
BASE = "redis-py GET + orjson"


def document() -> dict[str, object]:
    """A user's profile as an API has it: about 1.2 kB of JSON."""
    return {
        "id": "7f3c1f0e-5a52-4d0b-9f3e-3b9f4f6f0b11",
        "email": "ann.example@flux.test",
        "name": "Ann Example",
        "bio": "Draws plans for a living and reads them for fun. " * 8,
        "created_at": "2026-01-02T03:04:05.678901+00:00",
        "is_active": True,
        "last_seen": None,
        "settings": {"theme": "dark", "language": "en", "digest": [1, 3, 5], "size": 1.25},
        "teams": [
            {"id": 1_000 + n, "name": f"Team number {n}", "role": "member", "share": n / 7}
            for n in range(6)
        ],
        "counts": {"projects": 12, "files": 345, "messages": 67_890},
    }


@dataclass(slots=True)
class Row:
    """One way of reading, and its cost a hit in each round, in seconds."""

    name: str
    peer: Peer
    read: Callable[[str], Awaitable[object]]
    tasks: tuple[int, ...] = (1, TASKS)
    wall_s: dict[int, list[float]] = field(default_factory=lambda: {1: [], TASKS: []})
    cpu_s: dict[int, list[float]] = field(default_factory=lambda: {1: [], TASKS: []})


async def _never() -> object:
    raise AssertionError("this was to be a hit")


def _rows(place: Place) -> list[Row]:
    raw, cashews, aiocache = RedisPy(place), Cashews(place), Aiocache(place)
    # A deadline that a busy machine does not reach: here a hit is priced, not an outage.
    dogpile, flux = Dogpile(place), Flux(place, timeout_s=2.0)

    async def by_dogpile(key: str) -> object:
        return dogpile.read_blocking(key, _never)

    return [
        Row(BASE, raw, raw.get),
        Row("cashews get", cashews, cashews.get),
        Row("cashews @cache", cashews, lambda key: cashews.read(key, _never)),
        Row("aiocache get", aiocache, aiocache.get),
        Row("aiocache @cached", aiocache, lambda key: aiocache.read(key, _never)),
        Row("dogpile get_or_create (blocks)", dogpile, by_dogpile, tasks=(1,)),
        Row("fluxlab get", flux, flux.get),
        Row("fluxlab get_or_set", flux, lambda key: flux.read(key, _never)),
    ]


async def measure(place: Place, rounds: int, reads: int) -> Part:
    """Read `reads` hits a round and row, the rows of a round in an order of its own."""
    rows, value = _rows(place), document()
    keys = [f"user:{number}" for number in range(KEYS)]
    peers = {id(row.peer): row.peer for row in rows}.values()
    for peer in peers:
        await peer.open()
        for key in keys:
            await peer.put(key, value)
    order = random.Random(1)
    for number in range(-1, rounds):
        for tasks in (1, TASKS):
            for row in order.sample(rows, len(rows)):
                if tasks in row.tasks:
                    await _time(row, tasks, keys, reads, is_counted=number >= 0)
    for row in rows:
        assert await row.read(keys[0]) == value
    for peer in peers:
        await peer.close()
    return _report(rows, rounds, reads, len(orjson.dumps(value)))


async def _time(
    row: Row, tasks: int, keys: Sequence[str], reads: int, *, is_counted: bool
) -> None:
    async def work(first: int) -> None:
        for number in range(first, reads, tasks):
            await row.read(keys[number % KEYS])

    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    if tasks == 1:
        await work(0)
    else:
        await asyncio.gather(*(work(first) for first in range(tasks)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if is_counted:
        row.wall_s[tasks].append(wall / reads)
        row.cpu_s[tasks].append(cpu / reads)


def _report(rows: Sequence[Row], rounds: int, reads: int, size: int) -> Part:
    base = next(row for row in rows if row.name == BASE)
    part = Part(
        f"(a) A hit on a JSON document of {size:,} bytes, {rounds} rounds of {reads:,}:"
        f" median ratio to {BASE} [min-max]",
        f"{'':<31} {'1 task: wall':>19} {'client CPU':>19}"
        f" {'50 tasks: wall':>19} {'client CPU':>19} {'CPU us':>7}",
    )
    medians: dict[str, dict[str, float]] = {}
    for row in rows:
        cells, medians[row.name] = [], {}
        for tasks in (1, TASKS):
            for what, kind in (("wall", "wall_s"), ("CPU", "cpu_s")):
                pairs = zip(getattr(row, kind)[tasks], getattr(base, kind)[tasks])  # noqa: B905
                ratios = [own / other for own, other in pairs]
                if not ratios:
                    cells.append("-")
                    continue
                middle = statistics.median(ratios)
                medians[row.name][f"{tasks} task(s) {what}"] = middle
                cells.append(f"{middle:.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")
        cost = statistics.median(row.cpu_s[max(row.tasks)]) * 1e6
        line = " ".join(f"{cell:>19}" for cell in cells)
        part.rows.append(f"{row.name:<31} {line} {cost:>7.0f}")
    _judge(part, medians)
    return part


def _judge(part: Part, medians: Mapping[str, Mapping[str, float]]) -> None:
    for name in ("fluxlab get", "fluxlab get_or_set"):
        ratio = medians[name][f"{TASKS} task(s) CPU"]
        what = f"{name}: {ratio:.2f} of the CPU with {TASKS} tasks, at most {HIT_RATIO}"
        part.targets.append(Target(what, ratio <= HIT_RATIO))
    for name, row in medians.items():
        if not name.startswith("fluxlab"):
            reads_through = "@" in name or "create" in name
            ours = "fluxlab get_or_set" if reads_through else "fluxlab get"
            part.ahead += [
                f"{name}, {what}: {ratio:.2f} against {medians[ours][what]:.2f} of {ours}"
                for what, ratio in row.items()
                if ratio < medians[ours][what]
            ]


def sizes() -> Part:
    """How large a page of 100 messages is, as rows of PostgreSQL."""
    draw = random.Random(1)
    words = ("alpha", "beta", "index", "plan", "query", "the", "of", "and", "cache")
    rows = [
        {
            "id": UUID(int=draw.getrandbits(128)),
            "author_id": UUID(int=draw.getrandbits(128)),
            "content": " ".join(draw.choices(words, k=draw.randint(2, 14))),
            "created_at": datetime(2026, 1, 1, tzinfo=UTC)
            + timedelta(seconds=draw.random() * 1e7),
            "reply_to": None,
            "is_edited": False,
        }
        for _ in range(100)
    ]
    data = {
        "fluxlab": encode(rows),
        "fluxlab, row by row": b"".join(encode(row)[5:] for row in rows),
        "pickle": pickle.dumps(rows, pickle.HIGHEST_PROTOCOL),
        "orjson (types are lost)": orjson.dumps(rows),
    }
    part = Part("(e) 100 rows of messages", f"{'':<31} {'bytes':>7}")
    part.rows = [f"{name:<31} {len(one):>7,}" for name, one in data.items()]
    ours = len(data["fluxlab"])
    part.ahead = [name for name, one in data.items() if len(one) < ours]
    return part
