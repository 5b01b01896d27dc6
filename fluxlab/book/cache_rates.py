"""Hit rates and load reductions of a replay, each with its 95 % band."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fluxlab.book.verdicts import Word
from fluxlab.caching.keys import PATTERNS
from fluxlab.caching.results import Replay, ResourceCount

EVERYTHING = "everything"
FREQUENT = "frequently accessed data"
#: A cache that answers fewer reads than this gains nothing.
_NOTHING = 0.05
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Rate:
    """A share from 0 to 1, its band, and of how many it is."""

    share: float
    low: float
    high: float
    of: int

    @property
    def interval(self) -> str:
        """The band in words."""
        return f"{percent(self.low)} to {percent(self.high)}"

    def __str__(self) -> str:
        return f"{percent(self.share)} ({self.interval})"


def percent(part: float) -> str:
    """Write a share with one digit, which a threshold may need.

    >>> percent(0.6996)
    '70.0 %'
    """
    return f"{100 * part:.1f} %".replace("-", "−")


def resources_of(replay: Replay, what: str) -> tuple[ResourceCount, ...]:
    """Return the resources behind a line of the report: a group, everything, the frequent.

    Frequently accessed are the patterns that are read most and together make half of
    all reads with a key; the report does not say what it means.
    """
    found = tuple(replay.resources.values())
    if what == EVERYTHING:
        return found
    if what == FREQUENT:
        return _most_read(found)
    return tuple(one for one in found if _group(one) == what)


def _group(one: ResourceCount) -> str:
    pattern = PATTERNS.get(one.pattern)
    return pattern.group if pattern else "other"


def _most_read(resources: Sequence[ResourceCount]) -> tuple[ResourceCount, ...]:
    half = sum(one.reads for one in resources) / 2
    taken: list[ResourceCount] = []
    for one in sorted(resources, key=lambda one: one.reads, reverse=True):
        if sum(other.reads for other in taken) >= half:
            break
        taken.append(one)
    return tuple(taken)


def hit_rate(resources: Iterable[ResourceCount]) -> Rate | None:
    """Return hits as a share of hits and misses; None when nobody asked."""
    found = tuple(resources)
    asked = sum(one.hits + one.misses for one in found)
    if not asked:
        return None
    rate = sum(one.hits for one in found) / asked
    half = chance(found) / asked
    return Rate(rate, max(0.0, rate - half), min(1.0, rate + half), asked)


def chance(resources: Iterable[ResourceCount]) -> float:
    """Return by how many hits chance moves a replay: half of the 95 % band.

    Patterns are independent of each other, so their halves add up in squares.
    """
    return math.sqrt(
        sum(((one.hits + one.misses) * _half_band(one)) ** 2 for one in resources)
    )


def _half_band(one: ResourceCount) -> float:
    """Half of the band that theory has for this window; where it has none, Wilson's.

    Hits of one key come in runs, which theory knows and Wilson (JASA 22, 1927) does not.
    """
    if one.predicted is not None:
        return (one.predicted.high - one.predicted.low) / 2
    asked = one.hits + one.misses
    if not asked:
        return 0.0
    rate, square = one.hit_rate, _Z**2
    root = math.sqrt(rate * (1 - rate) / asked + square / (4 * asked**2))
    return _Z * root / (1 + square / asked)


def saved_of(none: Iterable[ResourceCount], cached: Iterable[ResourceCount]) -> Rate | None:
    """Return which share of a group's statements a cache spares, read by read.

    The server counted them, without the cache and with it. None when it had none.
    """
    before, after = tuple(none), tuple(cached)
    reads = sum(one.reads for one in before), sum(one.reads for one in after)
    statements = sum(one.statements for one in before), sum(one.statements for one in after)
    if not (all(reads) and statements[0]):
        return None
    expected = statements[0] / reads[0] * reads[1]
    return _saved(expected, statements[1], chance(after), statements[0])


def saved_overall(none: Replay, cached: Replay) -> Rate | None:
    """Return which share of all statements a cache spares, request by request.

    Writes, and reads that no key covers, are among them.
    """
    if not (none.statements and none.requests and cached.requests):
        return None
    expected = none.statements / none.requests * cached.requests
    half = chance(cached.resources.values())
    return _saved(expected, cached.statements, half, none.statements)


def _saved(expected: float, seen: float, half: float, of: int) -> Rate:
    share = 1 - seen / expected
    return Rate(share, share - half / expected, min(1.0, share + half / expected), of)


def word_of(rate: Rate, wanted: float) -> Word:
    """Return the word on a share that is to be reached; *unclear* within the band."""
    if rate.low >= wanted:
        return "held"
    if rate.high >= wanted:
        return "unclear"
    return "refuted" if rate.high < _NOTHING else "fell short"
