"""Fill each key of the report by its Query from PostgreSQL, and read it back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import psycopg
from psycopg import RawCursor
from psycopg.rows import dict_row

from fluxlab.caching.cache import Cache
from fluxlab.caching.checks.checked import Filled
from fluxlab.caching.keys import TTL
from fluxlab.caching.replays.resources import RESOURCES
from fluxlab.caching.results import LayerName
from fluxlab.caching.sprint11 import Sprint11
from fluxlab.workload.parameters import Sampler
from fluxlab.workload.query import Workload

_SHOWN_DIFFERENCES = 6
_STORING_S = 1.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """The answer of the Query that fills a key, and the key."""

    pattern: str
    key: str
    query: str
    ttl: TTL
    rows: tuple[Mapping[str, object], ...]


def load_all(
    connection: psycopg.Connection, workload: Workload, now: datetime, seed: int
) -> tuple[Loaded, ...]:
    """Return an answer for each of the report's patterns, for values that have rows.

    Typical values where they have some, else those of another class.
    """
    sampler = Sampler(connection, now, seed)
    found = []
    for pattern, resource in RESOURCES.items():
        query = workload.find(resource.query)
        drawn = {one.of_class: one for one in sampler.parameter_sets(query)}
        for of_class in ("typical", "hot", "rare", "absent"):
            if of_class not in drawn:
                continue
            values = dict(zip(query.names, drawn[of_class].values, strict=True))
            cursor = RawCursor(connection, row_factory=dict_row)
            cursor.execute(query.statement.encode(), drawn[of_class].values, prepare=False)
            rows = tuple(cursor.fetchall())
            if rows:
                break
        ttl = resource.pattern.ttl
        found.append(Loaded(pattern, resource.key(values), query.name, ttl, rows))
    return tuple(found)


async def fill_all(
    specimen: Sprint11, cache: Cache, answers: Sequence[Loaded]
) -> tuple[Filled, ...]:
    """Store every answer in both caches and read it back."""
    found = []
    for one in answers:
        rows = [dict(row) for row in one.rows]

        async def load(rows: object = rows) -> object:
            return rows

        is_stored = await specimen.set(one.key, rows, one.ttl)
        came = await specimen.get(one.key)
        given = [as_driver(row) for row in rows]
        found.append(_filled("sprint11", one, is_stored, came, given))
        await cache.get_or_set(one.key, load)
        await _stored(cache, one.key)
        again = await cache.read(one.key, load)
        is_stored = again.outcome == "hit"
        came = again.value if is_stored else None
        found.append(_filled("fluxlab", one, is_stored, came, rows))
    return tuple(found)


async def _stored(cache: Cache, key: str) -> None:
    """Wait until an entry is there: ours is stored after its reader has been answered."""
    clock = asyncio.get_running_loop().time
    until = clock() + _STORING_S
    while clock() < until and not await cache.exists(key):
        await asyncio.sleep(0.001)


def _filled(
    layer: LayerName, one: Loaded, is_stored: bool, came: object, given: object
) -> Filled:
    is_read = came is not None
    lost = tuple(dict.fromkeys(differences(given, came))) if is_read else ()
    return Filled(
        layer=layer,
        pattern=one.pattern,
        key=one.key,
        query=one.query,
        rows=len(one.rows),
        is_stored=is_stored,
        is_read=is_read,
        lost=lost[:_SHOWN_DIFFERENCES],
    )


def as_driver(value: object) -> object:
    """Return what the report's database driver gives: a Decimal and a UUID are texts.

    >>> as_driver({"share": Decimal("0.50"), "at": 3})
    {'share': '0.50', 'at': 3}
    """
    match value:
        case Decimal() | UUID():
            return str(value)
        case dict():
            return {name: as_driver(one) for name, one in value.items()}
        case list() | tuple():
            return [as_driver(one) for one in value]
    return value


def differences(given: object, came: object, name: str = "the answer") -> list[str]:
    """Return what came back otherwise, as `column: type given → type that came`.

    A whole number counts as the same whether it came as int or float: JSON has one kind.

    >>> from datetime import date
    >>> differences([{"day": date(2025, 1, 2)}], [{"day": "2025-01-02"}])
    ['day: date → str']
    """
    if isinstance(given, dict) and isinstance(came, dict) and given.keys() == came.keys():
        pairs = [(str(key), given[key], came[key]) for key in given]
    elif isinstance(given, list) and isinstance(came, list) and len(given) == len(came):
        pairs = [(name, *both) for both in zip(given, came, strict=True)]
    elif given == came and (type(given) is type(came) or _are_numbers(given, came)):
        return []
    else:
        types = [type(one).__name__ for one in (given, came)]
        return [f"{name}: {types[0]} → {types[1]}"]
    return [text for key, one, other in pairs for text in differences(one, other, key)]


def _are_numbers(*values: object) -> bool:
    return all(isinstance(one, int | float) and type(one) is not bool for one in values)
