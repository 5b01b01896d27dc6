"""What a cache would hold when the window begins: its past, simulated without servers.

Lifetimes are up to half an hour, so a window of seconds would begin with an empty cache
and end before any long entry did. The past is played through a dictionary: when each key
was filled, and when what it depends on was forgotten.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fluxlab.caching.layer import Touch
from fluxlab.caching.replays.mix import Mix
from fluxlab.caching.replays.population import Population
from fluxlab.caching.replays.rates import names_of, touched_names
from fluxlab.caching.replays.scenes import Stage
from fluxlab.caching.replays.traffic import Event
from fluxlab.caching.results import LayerName


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a dictionary does with events.

    `left_s` are the keys that are cached at time 0 and the seconds each has left.
    `hit_rates` are those from then on, by pattern: what the events as they were drawn
    give a cache without faults, in which a load takes no time.
    """

    left_s: Mapping[str, float]
    hit_rates: Mapping[str, float]


def simulate(
    people: Population,
    mix: Mix,
    events: Iterable[Event],
    layer: LayerName,
    *,
    jitter: float = 0.1,
    seed: int = 0,
) -> Simulated:
    """Play events in the order of time. A life is shortened by up to the share `jitter`."""
    stage = Stage(people)
    store = _Dictionary(layer, jitter, seed)
    left_s: Mapping[str, float] | None = None
    hits: Counter[str] = Counter()
    reads: Counter[str] = Counter()
    for event in events:
        if left_s is None and event.at_s >= 0:
            left_s = store.alive(0.0)
        ask = mix.asks[event.ask]
        if ask.write is not None:
            store.forget(ask.write.touch(stage, event.scene), event.at_s)
        elif ask.resource is not None:
            pattern = ask.resource.pattern
            key = ask.key(stage, event.scene)
            is_hit = store.read(key, float(pattern.ttl), event.at_s)
            if event.at_s >= 0:
                reads[pattern.text] += 1
                hits[pattern.text] += is_hit
    return Simulated(
        store.alive(0.0) if left_s is None else left_s,
        {pattern: hits[pattern] / count for pattern, count in reads.items()},
    )


class _Dictionary:
    """When each key was filled and ends, and when each name was forgotten."""

    def __init__(self, layer: LayerName, jitter: float, seed: int) -> None:
        self._layer = layer
        self._lives = 1 - jitter * np.random.default_rng(seed).random(1 << 16)
        self._fills = 0
        self._filled: dict[str, tuple[float, float]] = {}
        self._forgotten: dict[str, float] = {}
        self._depends = lru_cache(maxsize=None)(lambda key: names_of(key, layer))

    def forget(self, touch: Touch, at_s: float) -> None:
        for name in touched_names(touch, self._layer):
            self._forgotten[name] = at_s

    def read(self, key: str, ttl_s: float, at_s: float) -> bool:
        """Return whether it is a hit; a miss fills the key."""
        since, until = self._filled.get(key, (-math.inf, -math.inf))
        if until > at_s and self._last(key) < since:
            return True
        life_s = ttl_s * float(self._lives[self._fills % len(self._lives)])
        self._fills += 1
        self._filled[key] = at_s, at_s + life_s
        return False

    def alive(self, at_s: float) -> dict[str, float]:
        """Return the keys that are valid, and the seconds each has left."""
        return {
            key: until - at_s
            for key, (since, until) in self._filled.items()
            if until > at_s and self._last(key) < since
        }

    def _last(self, key: str) -> float:
        return max(self._forgotten.get(name, -math.inf) for name in self._depends(key))
