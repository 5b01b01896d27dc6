"""What the three experiments found: values that notes keep, chapter 12 draws, judges read.

Every value names the layer it is of: "sprint11" is the report's cache re-created,
"fluxlab" is ours, "none" is no cache. A read is *stale* when it began after a write had
been committed and forgotten, and still was answered with something older.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from fluxlab.caching.results import LayerName
from fluxlab.workload.notes import Facts

#: Nobody reads between the writer and the end of the load; or somebody does.
Scenario = Literal["nobody between", "a reader between"]

#: How a writer tells the cache: after its commit, or by a barrier around it.
Way = Literal["forget after commit", "writing barrier"]

#: What happens to the cache's server: SIGKILL and a restart with nothing in it; SIGSTOP
#: and SIGCONT; not there yet when the application starts.
Fault = Literal["killed", "stopped", "absent at start"]

State = Literal["missing", "expired"]

#: What is absent: a row (the report reads `rows[0]` of none), or the value of a row.
Nothing = Literal["missing row", "null"]


@dataclass(frozen=True, slots=True)
class Race:
    """A write that is committed and forgotten while a reader loads the old row.

    `offset` is when it was committed, as a share of the load's time: 0 at its begin, 1 at
    its end. In each of `trials` one later read is judged (and the one between), and in
    `stale` of them one was stale. `longest_s` is when the last stale read began, counted
    from the moment that the write had been forgotten; 0 without stale reads.
    """

    layer: LayerName
    scenario: Scenario
    offset: float
    trials: int
    stale: int
    longest_s: float


@dataclass(frozen=True, slots=True)
class Together:
    """Readers and writers of one key, all at once for `seconds`.

    `hits`, `joined`, `misses` and `bypassed` add up to `reads`. `stale` counts reads,
    `stale_writes` the writes after which at least one read was stale, `longest_s` the
    longest time after such a write at which a stale read began.
    """

    layer: LayerName
    readers: int
    writers: int
    seconds: float
    reads: int
    hits: int
    joined: int
    misses: int
    bypassed: int
    writes: int
    stale: int
    stale_writes: int
    longest_s: float


@dataclass(frozen=True, slots=True)
class Crash:
    """A writer killed between its commit and what it wanted to tell the cache.

    `trials` keys were written. A read counts as stale here when it began after the commit.
    `longest_s` is when the last stale read began, `hits_again_s` when the new row was
    first answered from the cache, both from the commit on; None: not while we looked.
    """

    layer: LayerName
    way: Way
    trials: int
    reads: int
    stale: int
    stale_keys: int
    longest_s: float
    hits_again_s: float | None


@dataclass(frozen=True, slots=True)
class StaleReads:
    """The first experiment.

    A load takes `load_s`. Entries live for `ttl_s` in the races and `crash_ttl_s` in the
    crashes, where a barrier stands for `barrier_s`; the report's lifetime is 300 s.
    `database` is "PostgreSQL" or "SQLite".
    """

    load_s: float
    ttl_s: float
    crash_ttl_s: float
    barrier_s: float
    database: str
    races: tuple[Race, ...]
    together: tuple[Together, ...]
    crashes: tuple[Crash, ...]

    def of(self, layer: LayerName, scenario: Scenario) -> tuple[Race, ...]:
        """Return the races of a layer in a scenario, by offset."""
        found = (
            one for one in self.races if (one.layer, one.scenario) == (layer, scenario)
        )
        return tuple(sorted(found, key=lambda one: one.offset))


@dataclass(frozen=True, slots=True)
class Stampede:
    """All `readers` at once, in `processes` processes, want one key that is not there.

    `loads` has the loader calls of each repetition. Latencies are of all repetitions.
    `errors` reached readers; `bypassed` readers were sent past the cache, for it had been
    too slow or away.
    """

    layer: LayerName
    state: State
    readers: int
    processes: int
    loads: tuple[int, ...]
    p50_ms: float
    p95_ms: float
    max_ms: float
    errors: int
    bypassed: int

    @property
    def most_loads(self) -> int:
        """The loader calls of the worst repetition."""
        return max(self.loads)


@dataclass(frozen=True, slots=True)
class Stampedes:
    """The second experiment: a load takes `load_ms`, each process has `connections`."""

    load_ms: float
    connections: int
    found: tuple[Stampede, ...]

    def of(
        self, layer: LayerName, processes: int, state: State = "missing"
    ) -> tuple[Stampede, ...]:
        """Return what was found of a layer, by readers."""
        rows = (
            one
            for one in self.found
            if (one.layer, one.processes, one.state) == (layer, processes, state)
        )
        return tuple(sorted(rows, key=lambda one: one.readers))


@dataclass(frozen=True, slots=True)
class Slice:
    """100 ms of requests, by when they were to start.

    Latency counts from then. Requests that had not ended when the experiment did count
    with the time until then, and are `unfinished`. `p50_ms` and `max_ms` are 0 without
    requests.
    """

    start_s: float
    requests: int
    hits: int
    errors: int
    unfinished: int
    p50_ms: float
    p95_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Outage:
    """Steady traffic of one layer while its server is away from `begins_s` to `ends_s`.

    `hits_*` are hits as a share of the requests before, during and after. `p50_ms`,
    `p99_ms` and `max_ms` are of the requests that were to start during the fault, and
    `added_*` what these waited beside their own load. `errors` reached callers. `back_s` is
    when the first hit came after the server was back; None: never while we looked.
    `gave_up_s` is when the specimen closed its client for good, after the fault began.
    `health_during` and `health_after` are what its health check said.
    """

    layer: LayerName
    fault: Fault
    begins_s: float
    ends_s: float
    rate_per_s: float
    load_p50_ms: float
    requests: int
    errors: int
    unfinished: int
    hits_before: float
    hits_during: float
    hits_after: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    added_p50_ms: float
    added_max_ms: float
    back_s: float | None
    gave_up_s: float | None
    health_during: str
    health_after: str
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Outages:
    """The third experiment."""

    slice_s: float
    found: tuple[Outage, ...]

    def of(self, layer: LayerName, fault: Fault) -> Outage:
        """Return one outage. Raises StopIteration when it was not tried."""
        return next(one for one in self.found if (one.layer, one.fault) == (layer, fault))


@dataclass(frozen=True, slots=True)
class Trip:
    """A value stored and read again. `is_same`: equal, and of the same type.

    `given` and `came` are its representations, shortened; `came` is "" when the cache
    refused the value, which `is_stored` tells.
    """

    layer: LayerName
    kind: str
    given: str
    is_stored: bool
    came: str
    came_type: str
    is_same: bool


@dataclass(frozen=True, slots=True)
class Absent:
    """A row that does not exist, read `reads` times: what came each time, and the loads."""

    layer: LayerName
    what: Nothing
    reads: int
    loads: int
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What `helper`, such as invalidate.user, did to one cached key.

    `depends` tells whether the key's answer holds something of what was changed; so it is
    wrong when `survives` equals `depends`. `key` is a pattern, or a sentence for a key of
    somebody else.
    """

    layer: LayerName
    helper: str
    key: str
    depends: bool
    survives: bool

    @property
    def is_wrong(self) -> bool:
        """A key that should have gone and stayed, or the other way round."""
        return self.depends == self.survives


@dataclass(frozen=True, slots=True)
class PatternCost:
    """Forgetting one user's keys among `keys` keys, in ms (the median of a few).

    `keys_ms` is the report's KEYS and DEL, `version_ms` our forgetting of a tag,
    `scan_ms` our delete_pattern, which is for maintenance. `*_waits_ms` is the longest
    that a GET of somebody else took meanwhile.
    """

    keys: int
    keys_ms: float
    version_ms: float
    scan_ms: float
    keys_waits_ms: float
    scan_waits_ms: float


@dataclass(frozen=True, slots=True)
class SizeCost:
    """Storing and reading a text of `size_bytes`; ms are medians, 0 when not stored."""

    layer: LayerName
    size_bytes: int
    is_stored: bool
    set_ms: float
    get_ms: float


@dataclass(frozen=True, slots=True)
class Counted:
    """A value read `reads` times through the report's counter and through ours.

    The first read loads; all others could be hits.
    """

    value: str
    reads: int
    hits_of_report: int
    hits_of_ours: int


@dataclass(frozen=True, slots=True)
class Details:
    """Small experiments, each for a sentence of the report or a weakness of its cache.

    `email_is_stale` says for each layer whether the row of before is still found under
    the old address after a change of address. `endless_turns` is after how many turns of
    its SCAN loop over `endless_keys` keys we stopped the report's get_all_keys, which has
    no end; 0 when it ended. `zero_ttl_is_swallowed`: a lifetime of 0 makes set fail, and
    nobody is told.
    """

    trips: tuple[Trip, ...]
    absent: tuple[Absent, ...]
    forgotten: tuple[Forgotten, ...]
    email_is_stale: Mapping[str, bool]
    patterns: tuple[PatternCost, ...]
    sizes: tuple[SizeCost, ...]
    counted: tuple[Counted, ...]
    endless_keys: int
    endless_turns: int
    zero_ttl_is_swallowed: bool


@dataclass(frozen=True, slots=True)
class Experiments:
    """Everything that was found, with what it ran on.

    `scale` is seconds_scale: 1 for the usual lengths. `took_s` is how long it all took.
    """

    server: str
    scale: float
    took_s: float
    stale: StaleReads
    stampedes: Stampedes
    outages: Outages
    details: Details


_Value = TypeVar("_Value")


def facts_of(found: Experiments) -> Facts:
    """Return the Experiments as a note has them."""
    return asdict(found)


def experiments_of(facts: Facts) -> Experiments:
    """Return the Experiments of a note."""
    return rebuilt(Experiments, facts)


def rebuilt(of: type[_Value], facts: Any) -> _Value:
    """Return a value of a class, or tuple of such, from what JSON made of it."""
    return cast(_Value, _rebuilt(of, facts))


def _rebuilt(of: Any, facts: Any) -> Any:
    if is_dataclass(of) and isinstance(of, type):
        hints = get_type_hints(of)
        return of(
            **{one.name: _rebuilt(hints[one.name], facts[one.name]) for one in fields(of)}
        )
    origin, arguments = get_origin(of), get_args(of)
    if origin is tuple:
        return tuple(_rebuilt(arguments[0], one) for one in cast(Iterable[Any], facts))
    if origin in (Union, types.UnionType) and facts is not None:
        inner = next(one for one in arguments if one is not type(None))
        return _rebuilt(inner, facts)
    return facts
