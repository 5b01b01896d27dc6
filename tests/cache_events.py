"""One cached key, event by event: what the formulas of the cache are tested against.

Nothing of `fluxlab` is used here. Reads and invalidations are drawn as times, walked in
order, and counted.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass
class Count:
    """What was counted of reads from time 0 on, and areas over time in seconds."""

    hits: int = 0
    joined: int = 0
    misses: int = 0
    alive_s: float = 0.0
    held_s: float = 0.0
    ages_s: float = 0.0

    @property
    def reads(self) -> int:
        return self.hits + self.joined + self.misses

    @property
    def hit_rate(self) -> float:
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0

    def add(self, other: Count) -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class Key:
    """Reads and invalidations per second, lifetime, time to fill, jitter."""

    rate: float
    ttl_s: float
    invalidations: float = 0.0
    fill_s: float = 0.0
    jitter: float = 0.0


def poisson(
    rate: float, start_s: float, end_s: float, dice: random.Random
) -> Iterator[float]:
    """Go through the times of a Poisson process."""
    if rate <= 0:
        return
    at = start_s + dice.expovariate(rate)
    while at < end_s:
        yield at
        at += dice.expovariate(rate)


def walk(key: Key, window_s: float, dice: random.Random, past_s: float = 0.0) -> Count:
    """Walk through the events of a key, empty at −past, and count from time 0 on."""
    count = Count()
    loading_until, is_struck = math.inf, False
    stored_at = alive_until = held_until = -math.inf

    def close(now: float) -> None:
        """Count what the entry was until now, when it is replaced or all ends."""
        begin = max(stored_at, 0.0)
        count.alive_s += max(0.0, min(now, alive_until) - begin)
        count.held_s += max(0.0, min(now, held_until) - begin)

    reads = ((at, 1) for at in poisson(key.rate, -past_s, window_s, dice))
    strikes = ((at, 0) for at in poisson(key.invalidations, -past_s, window_s, dice))
    for at, is_read in heapq.merge(reads, strikes, [(window_s, 2)]):
        if loading_until <= at:
            if not is_struck:
                close(loading_until)
                stored_at = loading_until
                ttl_s = key.ttl_s * (1 - key.jitter * dice.random())
                alive_until = held_until = stored_at + ttl_s
            loading_until = math.inf
        if is_read == 2:
            break
        if not is_read:
            is_struck = True
            alive_until = min(at, alive_until)
            continue
        if at < alive_until:
            outcome = "hits"
        elif loading_until < math.inf:
            outcome = "joined"
        else:
            outcome, loading_until, is_struck = "misses", at + key.fill_s, False
        if at >= 0:
            setattr(count, outcome, getattr(count, outcome) + 1)
            count.ages_s += at - stored_at if outcome == "hits" else 0.0
    close(window_s)
    return count


def walk_all(keys: Sequence[Key], window_s: float, seed: int, past_s: float = 0.0) -> Count:
    """Count all keys of a resource together."""
    dice, total = random.Random(seed), Count()
    for key in keys:
        total.add(walk(key, window_s, dice, past_s))
    return total


class Lru:
    """A cache with room for so many keys, that forgets what was used longest ago."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._keys: OrderedDict[int, None] = OrderedDict()

    def read(self, key: int) -> bool:
        """Return whether the key was there."""
        is_hit = key in self._keys
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > self.room:
            self._keys.popitem(last=False)
        return is_hit
