"""The cache's times and limits."""

from __future__ import annotations

from dataclasses import dataclass

from fluxlab.caching.keys import TTL
from fluxlab.errors import FluxlabError


@dataclass(frozen=True, slots=True)
class Options:
    """The cache's times and limits; the defaults suit a server in the same room.

    `deadline_s` bounds every request to a server, connecting included; after
    `failures_to_open` in a row nothing is asked, and a probe waits between the two
    `probe_s`. `lease_s` is how long one process may load a key before others do too,
    `barrier_s` how long a writer that died keeps readers away. A None lives for
    `negative_ttl_s` at most. Encoded values of more than `max_bytes` are not stored.
    `max_loads` loaders of one resource run at once past the cache; `max_pending`
    invalidations are owed one by one; `max_storing` values are on their way at once. A
    lifetime is shortened by up to `ttl_jitter`, so that what was stored together does not
    end together.
    """

    deadline_s: float = 0.05
    lease_s: float = 10.0
    barrier_s: float = 10.0
    negative_ttl_s: float = float(TTL.SHORT)
    max_bytes: int = 1 << 20
    max_loads: int = 32
    max_pending: int = 10_000
    max_storing: int = 1_000
    ttl_jitter: float = 0.1
    failures_to_open: int = 3
    probe_s: tuple[float, float] = (0.1, 1.0)

    def __post_init__(self) -> None:
        seconds = (self.deadline_s, self.lease_s, self.barrier_s, self.negative_ttl_s)
        if min(*seconds, *self.probe_s) <= 0 or not 0 <= self.ttl_jitter < 1:
            raise FluxlabError(
                "The cache's times have to be above zero, its jitter from 0 to below 1.",
                "Correct the Options.",
            )
