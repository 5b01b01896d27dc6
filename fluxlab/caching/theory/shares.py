"""How often a cache can be right: hit rates from rates, lifetimes and invalidations.

A key is read as a Poisson process, an entry lives for a TTL or until it is invalidated,
and reads that come while it is being filled join that load. Then every load begins a
cycle of three parts: the fill, the life, and the wait for the next read. Its parts are
the shares of reads (renewal theory; Jung, Berger and Balakrishnan, INFOCOM 2003, without
invalidations). Times are in seconds, rates per second, and all may be arrays. Finite
windows stand in `windows`, what a TTL costs in `lifetimes`, eviction in `eviction`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Number = float | Floats

#: The most of a TTL that is left away at random: what began together ends apart.
JITTER = 0.1
#: Nodes of the mean over the jitter: exact to ten digits for lifetimes of any length.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True, slots=True)
class Shares:
    """How the reads of a key, or of a whole resource, are answered; they add up to 1."""

    hit: Floats
    joined: Floats
    miss: Floats

    @property
    def hit_rate(self) -> Floats:
        """Hits as a share of hits and misses, as everywhere in the book."""
        return np.asarray(self.hit / (self.hit + self.miss))

    @property
    def avoided(self) -> Floats:
        """The load reduction, 1 − loads ÷ reads: joined reads load nothing either.

        Only misses load. The hit rate is another number: joined reads are not in it.
        """
        return np.asarray(1.0 - self.miss)


def life(ttl_s: Number, invalidations: Number) -> Floats:
    """Return the mean life of an entry: its TTL, or until an invalidation comes first.

    L = (1 − e^−uT) ÷ u, and T where nothing invalidates.

    >>> round(float(life(300.0, 0.01)), 2), float(life(300.0, 0.0))
    (95.02, 300.0)
    """
    ttl, rate = np.broadcast_arrays(np.asarray(ttl_s, float), np.asarray(invalidations))
    # Below this, e^−uT is 1 to the last digit.
    is_struck = rate * ttl > 1e-12
    safe = np.where(is_struck, rate, 1.0)
    return np.where(is_struck, -np.expm1(-safe * ttl) / safe, ttl)


def over_jitter(ttl_s: Number, jitter: float = JITTER) -> tuple[Floats, Floats]:
    """Return lifetimes between (1 − jitter) T and T, and what each counts in the mean.

    Gauss–Legendre nodes, in a new first axis. The mean of a function of the lifetime is
    the weighted sum of its values there.

    >>> ttls, weights = over_jitter(100.0)
    >>> round(float((ttls * weights).sum()), 9)
    95.0
    """
    ttl = np.asarray(ttl_s, float)
    shape = (-1,) + (1,) * ttl.ndim
    shares = 1.0 - jitter * (1.0 - _NODES.reshape(shape)) / 2.0
    return shares * ttl, _WEIGHTS.reshape(shape) / 2.0


def mean_life(ttl_s: Number, invalidations: Number, jitter: float = JITTER) -> Floats:
    """Return the mean life when every TTL is drawn from (1 − jitter) T to T.

    >>> round(float(mean_life(300.0, 0.0)), 6), round(float(mean_life(300.0, 0.01)), 2)
    (285.0, 94.19)
    """
    rate = np.asarray(invalidations, float)
    ttl = np.broadcast_to(np.asarray(ttl_s, float), np.broadcast(ttl_s, rate).shape)
    ttls, weights = over_jitter(ttl, jitter)
    return np.asarray((weights * life(ttls, rate)).sum(axis=0))


def stored_share(invalidations: Number, fill_s: Number) -> Floats:
    """Return the share of fills that no invalidation strikes while they load: e^−ud.

    A fill that was struck is thrown away, so its life is empty.
    """
    return np.exp(-np.asarray(invalidations, float) * fill_s)


def key_shares(
    rate: Number,
    ttl_s: Number,
    invalidations: Number = 0.0,
    fill_s: Number = 0.0,
    jitter: float = JITTER,
) -> Shares:
    """Return how the reads of one key are answered, or of many with a rate each.

    With L' the mean life times e^−ud: hit = l L' ÷ (1 + l (d + L')), joined = l d ÷ the
    same, miss = 1 ÷ the same. The misses are the loads.

    >>> shares = key_shares(20.0, 5.0, invalidations=0.5, fill_s=0.2, jitter=0.0)
    >>> [round(float(one), 4) for one in (shares.hit, shares.joined, shares.miss)]
    [0.8692, 0.1047, 0.0262]
    """
    reads = np.asarray(rate, float)
    lives = mean_life(ttl_s, invalidations, jitter) * stored_share(invalidations, fill_s)
    cycle = 1.0 + reads * (fill_s + lives)
    return Shares(reads * lives / cycle, np.asarray(reads * fill_s / cycle), 1.0 / cycle)


def resource_shares(
    rates: Floats,
    ttl_s: float,
    invalidations: Number = 0.0,
    fill_s: float = 0.0,
    jitter: float = JITTER,
) -> Shares:
    """Return how the reads of a resource are answered: its keys, weighted by their rates.

    Resources that nobody reads have shares of 0, 0 and 1: the first read would miss.

    >>> rates = 50 * popularity(2_000)
    >>> round(float(resource_shares(rates, 300.0, jitter=0.0).hit), 4)
    0.9099
    """
    total = float(rates.sum())
    if total == 0.0:
        return Shares(np.float64(0.0), np.float64(0.0), np.float64(1.0))  # type: ignore[arg-type]
    keys = key_shares(rates, ttl_s, invalidations, fill_s, jitter)
    parts = ((rates * part).sum() / total for part in (keys.hit, keys.joined, keys.miss))
    return Shares(*parts)


def popularity(count: int, exponent: float = 1.0) -> Floats:
    """Return the shares of `count` keys in all reads by Zipf's law; they add up to 1."""
    weights = np.arange(1, count + 1, dtype=float) ** -exponent
    return np.asarray(weights / weights.sum())


def reads_per_life_needed(hit_rate: float) -> float:
    """Return how many reads a key has to get in one life for a hit rate: h ÷ (1 − h).

    The report's rates, the other way round: 85 % of a key needs 5.7 reads of that key
    in every lifetime, invalidations included. ∞ for a hit rate of 1.

    >>> [round(reads_per_life_needed(rate), 1) for rate in (0.7, 0.75, 0.85, 0.9)]
    [2.3, 3.0, 5.7, 9.0]
    """
    return hit_rate / (1.0 - hit_rate) if hit_rate < 1.0 else float("inf")


def traffic_needed(
    hit_rate: float,
    rates: Floats,
    invalidations: Floats,
    ttl_s: float,
    fill_s: float = 0.0,
    jitter: float = JITTER,
) -> float:
    """Return how many times the reads would have to be for a hit rate to be true.

    Reads and writes come from the same users, so invalidations grow with the reads. ∞
    where no traffic gets there: an invalidation for every few reads stays that. Found by
    halving an interval of factors from 10^−9 to 10^9; 0 below it.

    >>> few = 0.01 * popularity(100)
    >>> factor = traffic_needed(0.85, few, 0 * few, 300.0)
    >>> round(float(resource_shares(factor * few, 300.0).hit_rate), 6)
    0.85
    """

    def reached(factor: float) -> bool:
        grown = (factor * rates, ttl_s, factor * invalidations, fill_s, jitter)
        return bool(resource_shares(*grown).hit_rate >= hit_rate)

    return _first_true(reached, -9.0, 9.0)


def ttl_needed(
    hit_rate: float,
    rates: Floats,
    invalidations: Floats,
    fill_s: float = 0.0,
    jitter: float = JITTER,
) -> float:
    """Return the TTL with which a hit rate would be true; ∞ where no TTL gets there.

    >>> few = 0.01 * popularity(100)
    >>> ttl = ttl_needed(0.85, few, 0 * few)
    >>> round(float(resource_shares(few, ttl).hit_rate), 6)
    0.85
    """

    def reached(ttl_s: float) -> bool:
        shares = resource_shares(rates, ttl_s, invalidations, fill_s, jitter)
        return bool(shares.hit_rate >= hit_rate)

    return _first_true(reached, -9.0, 9.0)


def _first_true(is_true: Callable[[float], bool], low: float, high: float) -> float:
    """Return the smallest 10^x from which something is true, x from `low` to `high`.

    It is looked for in steps of half a decade, so it may become false again later: with
    too many invalidations no fill ends before the next one.
    """
    steps = np.arange(low, high + 0.5, 0.5)
    first = next((step for step in steps if is_true(10.0**step)), None)
    if first is None:
        return float("inf")
    if first == low:
        return 0.0
    low, high = float(first) - 0.5, float(first)
    for _ in range(36):
        middle = (low + high) / 2
        low, high = (low, middle) if is_true(10.0**middle) else (middle, high)
    return float(10.0**high)
