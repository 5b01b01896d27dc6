"""When memory is short, and when a refresh comes early: LRU, reuse distances, XFetch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fluxlab.errors import FluxlabError

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

#: A prime number of hash values, so that a share of them is a share of the keys.
_HASHES = 16_777_213


def lru_time(popularity: Floats, entries: float) -> float:
    """Return after how many reads an LRU cache of `entries` forgets a key, or ∞.

    Che's approximation: the time t in which as many different keys come as there is
    room, Σ(1 − e^−pt) = C (Che, Tung and Wang, IEEE JSAC 20(7), 2002).
    """
    shares = popularity[popularity > 0] / popularity.sum()
    if entries <= 0:
        return 0.0
    if entries >= len(shares):
        return float("inf")

    low, high = entries, 2 * entries
    while _different(shares, high) < entries:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _different(shares, middle) < entries else (low, middle)
        )
    return high


def _different(shares: Floats, reads: float) -> float:
    """Return how many different keys are among so many reads, on average."""
    return float(-np.expm1(-shares * reads).sum())


def lru_hit_rate(popularity: Floats, entries: float) -> float:
    """Return the hit rate of an LRU cache with room for so many entries of one size.

    H = Σ p(1 − e^−pt), with t of `lru_time`. No TTL, no invalidations: an upper bound.

    >>> from fluxlab.caching.theory.shares import popularity
    >>> [round(lru_hit_rate(popularity(2_000), room), 3) for room in (20, 200, 2_000)]
    [0.273, 0.612, 1.0]
    """
    shares = popularity / popularity.sum()
    return float((shares * -np.expm1(-shares * lru_time(popularity, entries))).sum())


def refresh_chance(remaining_s: float, fill_s: float, beta: float = 1.0) -> float:
    """Return the chance that one read refreshes early, so long before the expiry.

    XFetch refreshes when −βd ln U ≥ the time left: e^(−r ÷ βd) (Vattani, Chierichetti
    and Lowenstein, PVLDB 8(8), 2015).

    >>> f"{refresh_chance(10.0, 0.4):.1e}"
    '1.4e-11'
    """
    return float(np.exp(-remaining_s / (beta * fill_s)))


def expiry_chance(rate: float, ttl_s: float, fill_s: float, beta: float = 1.0) -> float:
    """Return the chance that an entry reaches its expiry without an early refresh.

    e^(−lβd(1 − e^(−T ÷ βd))): early refreshes come as a Poisson process with the rate of
    reads × `refresh_chance`. Only keys read about three times per fill are helped.

    >>> [round(expiry_chance(rate, 60.0, 0.4), 3) for rate in (0.1, 1.0, 20.0)]
    [0.961, 0.67, 0.0]
    """
    scale_s = beta * fill_s
    return float(np.exp(rate * scale_s * np.expm1(-ttl_s / scale_s)))


def lru_hit_curve(
    references: Numbers, rooms: Sequence[float] | Floats, share: float = 1.0
) -> Floats:
    """Return the hit rate an LRU cache of each size would have had with these reads.

    `references` are keys as numbers, in the order read. A read hits if fewer different
    keys than there is room came since the last read of its key (Mattson et al., IBM
    Systems Journal 9(2), 1970). With a `share` below 1 only that share of the keys is
    looked at and distances grow by 1 ÷ share; what the sample has too many or too few
    reads is put right at distance 0 (SHARDS-adj, Waldspurger et al., FAST 2015).

    Raises FluxlabError when the share is not from above 0 to 1.

    >>> lru_hit_curve(np.array([1, 2, 1, 2, 3, 1]), [1, 2, 3]).round(2).tolist()
    [0.0, 0.33, 0.5]
    """
    if not 0.0 < share <= 1.0:
        raise FluxlabError(
            f"A share of {share:g} of the keys cannot be sampled.",
            "Take one from above 0 to 1.",
        )
    sampled = references[_hashed(references) < share * _HASHES]
    expected = len(references) * share
    distances = np.fromiter(_distances(sampled.tolist()), dtype=float) / share
    distances.sort()
    hits = np.searchsorted(distances, np.asarray(rooms, dtype=float), side="left")
    amended = hits + (expected - len(sampled))
    return np.clip(amended / max(expected, 1.0), 0.0, 1.0)


def _hashed(keys: Numbers) -> Numbers:
    """Return a number below _HASHES for each key, the same in every process: splitmix64."""
    mixed = keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) % np.uint64(_HASHES)).astype(np.int64)


def _distances(references: Sequence[int]) -> Iterator[int]:
    """Yield, for each read of a key seen before, how many others came since.

    A Fenwick tree counts the keys by where they were read last.
    """
    size = len(references)
    tree = [0] * (size + 1)
    last: dict[int, int] = {}

    def add(place: int, amount: int) -> None:
        while place <= size:
            tree[place] += amount
            place += place & -place

    def up_to(place: int) -> int:
        total = 0
        while place:
            total += tree[place]
            place &= place - 1
        return total

    for now, key in enumerate(references, start=1):
        if before := last.get(key):
            yield len(last) - up_to(before)
            add(before, -1)
        last[key] = now
        add(now, 1)
