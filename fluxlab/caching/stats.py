"""What the cache counted, resource by resource, and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Counts:
    """Counters of one resource, a key pattern.

    `hits`, `joined`, `misses` and `bypassed` add up to the reads. `stored` entries,
    `rejected` ones (forgotten while they were loaded, or no room), `too_large` and
    `unfaithful` ones (a type that would not come back), `corrupt` ones that were found.
    `loads` are calls of loaders, `load_s` their time in all.
    """

    hits: int = 0
    joined: int = 0
    misses: int = 0
    bypassed: int = 0
    stored: int = 0
    rejected: int = 0
    too_large: int = 0
    unfaithful: int = 0
    corrupt: int = 0
    loads: int = 0
    load_s: float = 0.0

    @property
    def reads(self) -> int:
        """How often the resource was asked for."""
        return self.hits + self.joined + self.misses + self.bypassed

    @property
    def hit_rate(self) -> float:
        """Hits as a share of hits and misses; 0 when there were none."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counters since the cache was opened, by resource.

    `invalidations` are calls, `replayed` those that could not be told at once and were
    later, `opened` how often a breaker opened.
    """

    resources: Mapping[str, Counts] = field(default_factory=dict)
    invalidations: int = 0
    replayed: int = 0
    opened: int = 0

    @property
    def total(self) -> Counts:
        """All resources together."""
        total = Counts()
        for one in self.resources.values():
            for name in Counts.__dataclass_fields__:
                setattr(total, name, getattr(total, name) + getattr(one, name))
        return total


@dataclass(frozen=True, slots=True)
class Health:
    """How the cache is. Without its server the application works on: `degraded`.

    `rtt_ms` is the time of one PING, None when nothing was asked or answered; `pending`
    are the invalidations that the server has not been told.
    """

    status: Literal["healthy", "degraded"]
    breaker: Literal["closed", "open"]
    last_error: str
    rtt_ms: float | None
    pending: int
