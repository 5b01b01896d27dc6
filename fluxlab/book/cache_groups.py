"""The lines of the report's table of hit rates, each several key patterns of a replay.

And what they would be with other traffic: theory through the measured point. How much the
keys of a pattern differ is set so that theory says what was measured (`key_rates`); what
is invalidated grows with the reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from fluxlab.book.cache_rates import Rate, hit_rate
from fluxlab.book.claims import Claim, HitRateClaim
from fluxlab.caching.keys import PATTERNS
from fluxlab.caching.results import Prediction, Replay, ResourceCount
from fluxlab.caching.theory import shares as theory

Floats = NDArray[np.float64]

#: The lines of the report's table, in its order; keys of no line come last.
REPORTED = ("User profiles", "Project data", "File listings", "Messages", "Analytics")
OTHER = "other"
ALL = "all keys"

#: Of how many times the traffic a curve is drawn.
FACTORS: Floats = np.logspace(-2, 3, 81)
_STEEPEST = 2.0
_UNSEEN_DECADES = 4
_HALVINGS = 30


@dataclass(frozen=True)
class Group:
    """Some key patterns of one replay, added up; `window_s` is the application's."""

    name: str
    counts: tuple[ResourceCount, ...]
    window_s: float

    @property
    def reads(self) -> int:
        """All reads, however they were answered."""
        return sum(one.reads for one in self.counts)

    @property
    def keys(self) -> int:
        """Different keys that were read."""
        return sum(one.keys for one in self.counts)

    @property
    def loads(self) -> int:
        """Calls of loaders."""
        return sum(one.loads for one in self.counts)

    @property
    def invalidations(self) -> int:
        """How often a write made one of the keys untrue."""
        return sum(one.invalidations for one in self.counts)

    @property
    def rate(self) -> Rate:
        """The hit rate with its band."""
        return hit_rate(self.counts) or Rate(0.0, 0.0, 1.0, 0)

    @property
    def hits_per_load(self) -> float:
        """How many hits a miss is good for, hits ÷ misses; ∞ where none missed."""
        misses = sum(one.misses for one in self.counts)
        hits = sum(one.hits for one in self.counts)
        return hits / misses if misses else math.inf

    @property
    def avoided(self) -> float:
        """The share of reads that caused no load."""
        return 1 - self.loads / self.reads if self.reads else 0.0

    @property
    def predicted(self) -> Prediction | None:
        """What theory expects of all patterns together; None where it says nothing.

        Patterns are independent, so half-widths of bands add up as squares.
        """
        asked = self.rate.of
        parts = [
            ((one.hits + one.misses) / asked, one.predicted)
            for one in self.counts
            if one.hits + one.misses
        ]
        known = [(part, found) for part, found in parts if found]
        if not known or len(known) < len(parts):
            return None
        rate = sum(part * found.hit_rate for part, found in known)
        below = sum((part * (found.hit_rate - found.low)) ** 2 for part, found in known)
        above = sum((part * (found.high - found.hit_rate)) ** 2 for part, found in known)
        low, high = rate - math.sqrt(below), rate + math.sqrt(above)
        return Prediction(rate, max(0.0, low), min(1.0, high))

    @cached_property
    def curve(self) -> Floats:
        """The hit rate with each of `FACTORS` times the traffic on the same keys."""
        return self.with_traffic(FACTORS)

    def with_traffic(
        self, factors: Floats, *, ttl_factor: float = 1.0, with_writes: bool = True
    ) -> Floats:
        """Return the hit rates with these times the reads and the writes, by theory.

        With lifetimes `ttl_factor` times as long; without any invalidation if
        `with_writes` is False.
        """
        hits, misses = np.zeros(len(factors)), np.zeros(len(factors))
        for one in self.counts:
            keys = key_rates(one, self.window_s)
            writes = keys.invalidations if with_writes else 0 * keys.reads
            for place, factor in enumerate(factors):
                shares = theory.resource_shares(
                    factor * keys.reads,
                    ttl_factor * one.ttl_s,
                    factor * writes,
                    keys.fill_s,
                )
                hits[place] += one.reads * float(shares.hit)
                misses[place] += one.reads * float(shares.miss)
        return np.asarray(hits / np.maximum(hits + misses, 1e-12))

    def traffic_for(self, wanted: float) -> float:
        """Return how many times the traffic makes a hit rate true; ∞ where none does."""
        reached = np.nonzero(self.curve >= wanted)[0]
        if not len(reached):
            return math.inf
        first = int(reached[0])
        if first == 0:
            return float(FACTORS[0])
        pair = slice(first - 1, first + 1)
        place = np.interp(wanted, self.curve[pair], np.log(FACTORS[pair]))
        return float(np.exp(place))


def groups(replay: Replay) -> tuple[Group, ...]:
    """Return the lines of the report's table, in its order, then all other keys."""
    found: dict[str, list[ResourceCount]] = {name: [] for name in (*REPORTED, OTHER)}
    for one in replay.resources.values():
        if one.reads:
            found[PATTERNS[one.pattern].group].append(one)
    return tuple(_group(replay, name, of) for name, of in found.items() if of)


def patterns(replay: Replay) -> tuple[Group, ...]:
    """Return each key pattern that was read, the highest hit rate first."""
    found = [
        _group(replay, one.pattern, [one]) for one in replay.resources.values() if one.reads
    ]
    return tuple(sorted(found, key=lambda one: (-one.rate.share, one.name)))


def whole(replay: Replay) -> Group:
    """Return all keys of a replay as one group."""
    return _group(replay, ALL, [one for one in replay.resources.values() if one.reads])


def _group(replay: Replay, name: str, counts: Iterable[ResourceCount]) -> Group:
    # The window is one of our clock, in which `compression` times as much happens.
    window_s = replay.window_s * replay.compression
    return Group(name, tuple(counts), window_s)


def reported(claims: Iterable[Claim]) -> Mapping[str, float]:
    """Return the hit rate that the report expects of each line of its table."""
    return {
        claim.resource: claim.percent / 100
        for claim in claims
        if isinstance(claim, HitRateClaim) and claim.resource in REPORTED
    }


@dataclass(frozen=True)
class KeyRates:
    """Reads and invalidations of each key of a pattern per second, and a load's seconds."""

    reads: Floats
    invalidations: Floats
    fill_s: float


@lru_cache(maxsize=256)
def key_rates(one: ResourceCount, window_s: float) -> KeyRates:
    """Return the rates of keys with which theory says what was measured.

    One number is found by halving. From 0 to 1 all keys are read alike, of ever fewer
    that nobody happened to read; from 1 to 2 ever less alike, by Zipf's law; from there on
    writes avoid more and more what is cached, as in sessions that read before they
    write. Each step makes more hits.
    """
    low, high = 0.0, 3.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        keys = _rates(one, window_s, middle)
        shares = theory.resource_shares(
            keys.reads, one.ttl_s, keys.invalidations, keys.fill_s
        )
        low, high = (middle, high) if shares.hit_rate < one.hit_rate else (low, middle)
    return _rates(one, window_s, (low + high) / 2)


def _rates(one: ResourceCount, window_s: float, fit: float) -> KeyRates:
    unseen = 10 ** (_UNSEEN_DECADES * max(0.0, 1 - fit))
    exponent = _STEEPEST * min(1.0, max(0.0, fit - 1))
    reads = one.reads / window_s / unseen * theory.popularity(max(1, one.keys), exponent)
    written = one.invalidations / one.reads * min(1.0, 3 - fit) if one.reads else 0.0
    # Loads are not compressed, and take as long here as in the application.
    fill_s = one.load_ms / 1000 / one.loads if one.loads else 0.0
    return KeyRates(reads, written * reads, fill_s)
