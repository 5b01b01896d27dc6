"""What a replay found, as values: notes keep, chapters draw and judges read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

LayerName = Literal["none", "sprint11", "fluxlab"]
Arrivals = Literal["open", "closed"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The hit rate that theory expects of a resource, with a 95 % band.

    The band holds what chance does to a window of this length, not what the model
    leaves out.
    """

    hit_rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ResourceCount:
    """One key pattern in one replay. `ttl_s` is the application's, not compressed.

    `reads` = hits + joined + misses + bypassed. `loads` are calls of the loader, `load_ms`
    their time in all, `statements` what pg_stat_statements counted for its query.
    `invalidations` are the times that a write made one of its keys untrue. A hit is
    `checked` when the checker could compare it, and `stale` when it was older than what
    had been committed and forgotten before the read began. `size_bytes` is the mean of
    an encoded entry, `keys` how many different ones were read. `drawn_hit_rate` is what
    these very events give a dictionary without faults: where it leaves the band of the
    prediction too, it is the users' habits that theory leaves out, not the cache.
    """

    pattern: str
    query: str
    ttl_s: float
    reads: int
    hits: int
    joined: int
    misses: int
    bypassed: int
    loads: int
    load_ms: float
    statements: int
    invalidations: int
    checked: int
    stale: int
    size_bytes: float
    keys: int
    predicted: Prediction | None = None
    drawn_hit_rate: float | None = None

    @property
    def hit_rate(self) -> float:
        """Hits as a share of hits and misses; 0 when nothing was read."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0

    @property
    def avoided(self) -> float:
        """The share of reads that caused no load."""
        return 1 - self.loads / self.reads if self.reads else 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of a request, in milliseconds, timed from when it was to start."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay of the users against one layer.

    `compression` scales lifetimes and rates alike: at 10, ten seconds of the application
    pass in one of ours. `past_s` seconds of the application (not compressed) went before
    the window without servers, to leave the cache as full as they would have.
    `statements` and `database_ms` are calls and execution time that pg_stat_statements
    counted in the window, reads and writes; `uncached_ms` is the part of it that no key
    of the report covers (writes and reads without a key). `memory_bytes` is what the
    cache's server held at the end.
    """

    layer: LayerName
    arrivals: Arrivals
    users: int
    rate_per_s: float
    compression: float
    window_s: float
    past_s: float
    seed: int
    requests: int
    writes: int
    errors: int
    statements: int
    database_ms: float
    uncached_ms: float
    read_latency: Latency
    write_latency: Latency
    memory_bytes: int
    resources: Mapping[str, ResourceCount]
