"""Each cached key pattern as a case to decide: traffic, lifetimes, costs, and one word.

Rates are those of the replay's users in seconds of the application. What holds in the
long run follows from them by theory; the replay stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fluxlab.book.ttl_trials import CacheCost
from fluxlab.caching.keys import TTL
from fluxlab.caching.results import Replay, ResourceCount
from fluxlab.caching.theory.lifetimes import (
    Prices,
    TtlCurve,
    Worth,
    least_avoided,
    ttl_curve,
    worth_of,
)
from fluxlab.workload.compare import Comparison

Floats = NDArray[np.float64]
Rates = Callable[[str], tuple[Floats, Floats]]
Word = Literal["keep", "longer", "shorter", "drop", "not read"]

CLASSES: tuple[TTL, ...] = tuple(TTL)
#: Lifetimes of a curve: from a second to a week.
TTLS: Floats = np.logspace(0, np.log10(float(TTL.WEEK)), 60)
#: A lifetime is long enough when the longest would bring no more than this many hits.
ENOUGH = 0.03
#: Of fewer reads the replay says nothing of a resource.
LEAST_READS = 30


@dataclass(frozen=True)
class Case:
    """One key pattern: what was counted, its curve, and what its work takes in ms.

    `before_ms` and `load_ms` are the latency of its Query without the sprint's indexes
    and with them; `prices` has the latter. `forgets_per_s` are the writes that are told to
    the cache, shared out by the keys that they invalidate: one command may forget many,
    and of several patterns. `size_bytes` is the mean of an entry.
    """

    count: ResourceCount
    reads: Floats
    invalidations: Floats
    before_ms: float
    prices: Prices
    forgets_per_s: float
    size_bytes: float

    @property
    def pattern(self) -> str:
        """The key pattern."""
        return self.count.pattern

    @property
    def load_ms(self) -> float:
        """What a load takes with the indexes of the sprint."""
        return self.prices.load_ms

    @property
    def hit_ms(self) -> float:
        """What a hit takes."""
        return self.prices.read_ms

    @property
    def reads_per_s(self) -> float:
        """Reads of all keys in a second of the application."""
        return float(self.reads.sum())

    @property
    def strikes_per_read(self) -> float:
        """Invalidations of the keys for each read of them."""
        total = self.reads_per_s
        return float(self.invalidations.sum() / total) if total else 0.0

    @cached_property
    def curve(self) -> TtlCurve:
        """What each of `TTLS` brings and costs."""
        return self.at(TTLS)

    @cached_property
    def classes(self) -> TtlCurve:
        """The same at the report's six lifetimes."""
        return self.at([float(one) for one in CLASSES])

    @cached_property
    def now(self) -> TtlCurve:
        """The same at the lifetime that the report gives it."""
        return self.at([self.count.ttl_s])

    def at(self, ttls: Sequence[float] | Floats) -> TtlCurve:
        """What some lifetimes, in seconds, bring and cost."""
        # With the indexes: a fill takes as long as its query, and a store.
        fill_s = (self.prices.load_ms + self.prices.fill_ms) / 1000
        return ttl_curve(self.reads, self.invalidations, ttls, fill_s)

    @property
    def ceiling(self) -> float:
        """The hit rate with entries that live a week: what invalidations leave."""
        return float(self.classes.hit_rate[-1])

    @property
    def best(self) -> TTL:
        """The shortest of the six lifetimes that is within 3 points of the longest."""
        enough = self.classes.hit_rate >= self.ceiling - ENOUGH
        return CLASSES[int(np.argmax(enough))]

    def worth(self, ttl: TTL) -> Worth:
        """Return what the cache is worth with one of the six lifetimes."""
        place = CLASSES.index(ttl)
        return worth_of(
            self.reads_per_s,
            float(self.classes.loads_per_s[place]),
            self.forgets_per_s,
            float(self.classes.held[place]) * self.size_bytes,
            self.prices,
        )

    @property
    def given(self) -> TTL:
        """The lifetime of the report, one of the six."""
        return min(CLASSES, key=lambda one: abs(float(one) - self.count.ttl_s))

    @property
    def needed(self) -> float:
        """The share of reads that a cache must answer before it saves time at all."""
        return least_avoided(self.prices)

    @property
    def needed_before(self) -> float:
        """The same without the indexes of the sprint."""
        one = self.prices
        return least_avoided(
            Prices(self.before_ms, one.read_ms, one.fill_ms, one.forget_ms)
        )

    @property
    def word(self) -> Word:
        """The decision: drop what makes work even at its best, else the best lifetime."""
        if self.count.reads < LEAST_READS or not self.reads_per_s:
            return "not read"
        if self.worth(self.best).net_ms <= 0:
            return "drop"
        if self.best == self.given:
            return "keep"
        return "longer" if self.best > self.given else "shorter"


def cases(
    replay: Replay,
    rates: Rates,
    costs: Mapping[str, CacheCost],
    comparison: Comparison,
    of_class: str = "typical",
) -> tuple[Case, ...]:
    """Return the cases of a replay, what is read most first.

    Joins what the replay counted with the latencies of its Queries (by name) and the
    costs of the cache (by pattern).
    """
    known = {
        one.pattern: rates(one.pattern)
        for one in replay.resources.values()
        if one.pattern in costs and one.query in comparison.by_query
    }
    writes_per_s = replay.writes / max(1e-9, replay.window_s * replay.compression)
    struck = sum(float(invalidations.sum()) for _, invalidations in known.values())
    told = min(1.0, writes_per_s / struck) if struck else 0.0
    found: list[Case] = []
    for pattern, (reads, invalidations) in known.items():
        count, cost = replay.resources[pattern], costs[pattern]
        change = comparison.find(count.query, of_class)
        prices = Prices(
            load_ms=change.after.sample.median_ms,
            read_ms=cost.read.median_ms,
            fill_ms=cost.store.median_ms,
            forget_ms=cost.forget.median_ms,
        )
        found.append(
            Case(
                count,
                reads,
                invalidations,
                before_ms=change.before.sample.median_ms,
                prices=prices,
                forgets_per_s=told * float(invalidations.sum()),
                # Entries that were gone when the replay ended have no size there.
                size_bytes=count.size_bytes or float(cost.size_bytes),
            )
        )
    found.sort(key=lambda one: (-one.count.reads, one.pattern))
    return tuple(found)


def given_ttls(found: Iterable[Case]) -> list[float]:
    """Return the report's lifetimes, in seconds."""
    return [one.count.ttl_s for one in found]


def best_ttls(found: Iterable[Case]) -> list[float]:
    """Return the best of the six lifetimes for each, in seconds."""
    return [float(one.best) for one in found]


def together(found: Sequence[Case], ttls: Sequence[float]) -> tuple[float, float]:
    """Return hit rate and bytes of all cases, each with its lifetime in seconds."""
    hits = misses = held = 0.0
    for one, ttl_s in zip(found, ttls, strict=True):
        at = one.at([ttl_s])
        rate, loads = float(at.hit_rate[0]), float(at.loads_per_s[0])
        hits += loads * rate / (1 - rate) if rate < 1 else 0.0
        misses += loads
        held += float(at.held[0]) * one.size_bytes
    return (hits / (hits + misses) if misses else 0.0), held


def least_recent(found: Sequence[Case], idle_s: float) -> tuple[float, float]:
    """Return hit rate and bytes if entries go when nobody read them for so long.

    What LRU does with memory for just these entries (Che's approximation), without any
    lifetime and without writes: no lifetime can do better with the same room.
    """
    hits = reads = held = 0.0
    for one in found:
        there = -np.expm1(-one.reads * idle_s)
        hits += float((one.reads * there).sum())
        held += float(there.sum()) * one.size_bytes
        reads += one.reads_per_s
    return (hits / reads if reads else 0.0), held
