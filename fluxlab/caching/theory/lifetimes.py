"""What a TTL brings and costs: hit rate, loads, room in memory, age of the answers.

All in the long run, by the formulas of `theory`. A lifetime of ours never shows a value
older than an invalidation, so age matters where nobody invalidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from fluxlab.caching.theory.shares import (
    JITTER,
    key_shares,
    life,
    mean_life,
    over_jitter,
    stored_share,
)

Floats = NDArray[np.float64]

#: Rates that are closer than this, in parts, are told apart before they are subtracted.
_APART = 1e-6


@dataclass(frozen=True, slots=True)
class TtlCurve:
    """A resource in the long run at each of some TTLs, in seconds.

    `alive` are entries that can answer, `held` those that take room: an entry that was
    invalidated stays until its TTL ends or the next fill replaces it. `age_s` is the mean
    over all reads, a load counting as 0.
    """

    ttls_s: Floats
    hit_rate: Floats
    avoided: Floats
    loads_per_s: Floats
    alive: Floats
    held: Floats
    age_s: Floats


def ttl_curve(
    rates: Floats,
    invalidations: Floats,
    ttls: Sequence[float] | Floats,
    fill_s: float = 0.0,
    jitter: float = JITTER,
) -> TtlCurve:
    """Return what each TTL does to a resource whose keys have these rates.

    `rates` are reads and `invalidations` are invalidations of each key per second.

    >>> many = np.full(1_000, 0.01)
    >>> curve = ttl_curve(many, 0 * many, [60.0, 600.0])
    >>> curve.hit_rate.round(3).tolist(), curve.alive.round().tolist()
    ([0.363, 0.851], [363.0, 851.0])
    """
    at = [_at(rates, invalidations, float(ttl_s), fill_s, jitter) for ttl_s in ttls]
    columns = np.array(at, dtype=float).reshape(len(at), 6).T
    return TtlCurve(np.asarray(ttls, dtype=float), *columns)


def _at(
    rates: Floats, invalidations: Floats, ttl_s: float, fill_s: float, jitter: float
) -> tuple[float, ...]:
    total = float(rates.sum())
    if total == 0.0:
        return (0.0,) * 6
    shares = key_shares(rates, ttl_s, invalidations, fill_s, jitter)
    loads = rates * shares.miss
    stored = loads * stored_share(invalidations, fill_s)
    alive = stored * mean_life(ttl_s, invalidations, jitter)
    held = stored * _mean_stay(ttl_s, invalidations, rates, jitter)
    ages = stored * rates * _mean_age_sum(ttl_s, invalidations, jitter)
    hits, misses = float((rates * shares.hit).sum()), float(loads.sum())
    return (
        hits / (hits + misses),
        1 - misses / total,
        misses,
        float(alive.sum()),
        float(held.sum()),
        float(ages.sum()) / total,
    )


def _mean_stay(ttl_s: float, invalidations: Floats, rates: Floats, jitter: float) -> Floats:
    """Return how long an entry takes room: min(T, until struck + until the next read).

    The mean of the minimum is the integral of the chance that the sum of two exponential
    times is longer; the fill of the next entry is left out.
    """
    is_close = np.abs(rates - invalidations) <= _APART * rates
    struck = np.where(is_close, invalidations * (1 + 2 * _APART), invalidations)
    ttls, weights = over_jitter(np.full(rates.shape, ttl_s), jitter)
    with np.errstate(divide="ignore", invalid="ignore"):
        stay = rates * life(ttls, struck) - struck * life(ttls, rates)
        stay = np.where(rates > 0, stay / (rates - struck), 0.0)
    return np.asarray((weights * stay).sum(axis=0))


def _mean_age_sum(ttl_s: float, invalidations: Floats, jitter: float) -> Floats:
    """Return the integral of the age over a mean life: E[life²] ÷ 2."""
    ttls, weights = over_jitter(np.full(invalidations.shape, ttl_s), jitter)
    is_struck = invalidations * ttls > 1e-9
    safe = np.where(invalidations > 0, invalidations, 1.0)
    # The incomplete gamma function is 1 − e^−x (1 + x), without its cancellation.
    half = np.where(is_struck, gammainc(2.0, safe * ttls) / safe / safe, ttls**2 / 2)
    return np.asarray((weights * half).sum(axis=0))


@dataclass(frozen=True, slots=True)
class Prices:
    """What one of each takes, in milliseconds: load, cache read, fill, invalidation."""

    load_ms: float
    read_ms: float
    fill_ms: float
    forget_ms: float


@dataclass(frozen=True, slots=True)
class Worth:
    """What caching a resource saves and costs, in ms of work per second, and its room."""

    saved_ms: float
    cost_ms: float
    room_bytes: float

    @property
    def net_ms(self) -> float:
        """What is left in each second; below zero the cache makes work."""
        return self.saved_ms - self.cost_ms

    @property
    def per_gb(self) -> float:
        """What a GB of memory earns, in ms per second; ∞ for what takes no room."""
        if not self.room_bytes:
            return float("inf") if self.net_ms > 0 else 0.0
        return self.net_ms / self.room_bytes * 1e9


def worth_of(
    reads_per_s: float,
    loads_per_s: float,
    invalidations_per_s: float,
    room_bytes: float,
    prices: Prices,
) -> Worth:
    """Return what a cached resource is worth.

    Loads avoided × load, against reads × cache read + loads × fill + invalidations ×
    invalidation. A miss pays the cache read too: that is what a cold cache costs.

    >>> prices = Prices(load_ms=2.0, read_ms=0.1, fill_ms=0.1, forget_ms=0.1)
    >>> worth = worth_of(100.0, 20.0, 5.0, 1e6, prices)
    >>> worth.saved_ms, worth.cost_ms, round(worth.net_ms, 1)
    (160.0, 12.5, 147.5)
    """
    return Worth(
        saved_ms=(reads_per_s - loads_per_s) * prices.load_ms,
        cost_ms=reads_per_s * prices.read_ms
        + loads_per_s * prices.fill_ms
        + invalidations_per_s * prices.forget_ms,
        room_bytes=room_bytes,
    )


def least_avoided(prices: Prices) -> float:
    """Return the share of reads that has to be avoided before a cache pays at all.

    Without invalidations: a load must save more than the cache read that every read pays,
    and the fill of each miss. Above 1 no hit rate is high enough.

    >>> least_avoided(Prices(load_ms=0.1, read_ms=0.09, fill_ms=0.1, forget_ms=0.1))
    0.95
    >>> least_avoided(Prices(load_ms=0.05, read_ms=0.09, fill_ms=0.0, forget_ms=0.1)) > 1
    True
    """
    return (prices.read_ms + prices.fill_ms) / (prices.load_ms + prices.fill_ms)
