"""Evidence on the cache made by hand: a report's cache without a flaw, to be given some."""

from __future__ import annotations

from dataclasses import replace

from fluxlab.book.cache_evidence import CacheEvidence
from fluxlab.caching.checks.checked import (
    Attempts,
    Burst,
    Checks,
    Counting,
    Endpoint,
    Example,
    Filled,
    HealthSaid,
    Lifetime,
    PatternDeleted,
    Start,
)
from fluxlab.caching.experiments.found import (
    Absent,
    Counted,
    Crash,
    Details,
    Experiments,
    Fault,
    Forgotten,
    Outage,
    Outages,
    PatternCost,
    Race,
    SizeCost,
    StaleReads,
    Stampede,
    Stampedes,
    Together,
    Trip,
)
from fluxlab.caching.keys import PATTERNS, TTL
from fluxlab.caching.results import (
    Latency,
    LayerName,
    Prediction,
    Replay,
    ResourceCount,
)

BOTH: tuple[LayerName, LayerName] = ("sprint11", "fluxlab")
FAULTS: tuple[Fault, ...] = ("killed", "stopped", "absent at start")
KEYS = ("user:123:projects", "user:123:teams")


def lifetime(ttl: TTL, layer: LayerName = "sprint11", left: float = 1.0) -> Lifetime:
    return Lifetime(layer, ttl.name.lower(), int(ttl), round(1_000 * int(ttl) * left))


def filled(pattern: str, layer: LayerName = "sprint11", **changes: object) -> Filled:
    key = pattern.replace("{", "").replace("}", "")
    made = Filled(layer, pattern, key, "some_query", 2, True, True, ())
    return replace(made, **changes)  # type: ignore[arg-type]


CHECKS = Checks(
    server="Valkey 9",
    took_s=4.0,
    ping="PONG",
    given={"REDIS_PORT": "6380", "REDIS_DB": "3"},
    address="redis://127.0.0.1:6380/3",
    lifetimes=tuple(
        lifetime(ttl, layer, left)
        for layer, left in zip(BOTH, (1.0, 0.95), strict=True)
        for ttl in TTL
    ),
    filled=tuple(
        filled(one.text, layer)
        for layer in BOTH
        for one in PATTERNS.values()
        if one.is_of_report
    ),
    examples=tuple(
        Example(layer, True, 299_990, True, 1, True, True, True) for layer in BOTH
    ),
    deleted=tuple(
        PatternDeleted(layer, "user:123:*", KEYS, KEYS, ("user:123",)) for layer in BOTH
    ),
    counted=tuple(Counting(layer, 12, 3, 20, 12, 3, True) for layer in BOTH),
    health=(
        HealthSaid("sprint11", "running", "healthy"),
        HealthSaid("fluxlab", "running", "healthy"),
        HealthSaid("sprint11", "stopped", "unhealthy"),
        HealthSaid("fluxlab", "stopped", "degraded"),
    ),
    endpoint=(
        Endpoint("healthy", "healthy", "healthy"),
        Endpoint("healthy", "unhealthy", "degraded"),
    ),
    starts=tuple(Start(layer, 0.1, "", False, True) for layer in BOTH),
    bursts=(Burst("sprint11", 50, 10), Burst("fluxlab", 50, 1)),
    attempts=tuple(Attempts(layer, (0.1, 0.2, 0.4, 0.8, 1.6), False) for layer in BOTH),
)


def outage(layer: LayerName, fault: Fault = "killed", **changes: object) -> Outage:
    made = Outage(
        layer=layer,
        fault=fault,
        begins_s=1.0,
        ends_s=6.0,
        rate_per_s=100.0,
        load_p50_ms=5.0,
        requests=900,
        errors=0,
        unfinished=0,
        hits_before=0.9,
        hits_during=0.0,
        hits_after=0.9,
        p50_ms=6.0,
        p99_ms=20.0,
        max_ms=60.0,
        added_p50_ms=0.0,
        added_max_ms=50.0,
        back_s=0.5,
        gave_up_s=None,
        health_during="degraded",
        health_after="healthy",
        slices=(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def race(layer: LayerName, stale: int = 0, longest_s: float = 0.0) -> Race:
    return Race(layer, "nobody between", 0.5, 4, stale, longest_s)


def together(layer: LayerName, stale: int = 0) -> Together:
    return Together(layer, 8, 2, 1.0, 400, 300, 40, 60, 0, 20, stale * 9, stale, 0.0)


def crash(stale_keys: int = 0) -> Crash:
    return Crash("sprint11", "forget after commit", 5, 90, 9, stale_keys, 0.5, 0.6)


def stampede(layer: LayerName, loads: int) -> Stampede:
    return Stampede(
        layer=layer,
        state="missing",
        readers=500,
        processes=1,
        loads=(loads, 1),
        p50_ms=60.0,
        p95_ms=90.0,
        max_ms=99.0,
        errors=0,
        bypassed=0,
    )


def forgotten(key: str, depends: bool, survives: bool, helper: str = "user") -> Forgotten:
    return Forgotten("sprint11", f"invalidate.{helper}", key, depends, survives)


STALE = StaleReads(
    load_s=0.1,
    ttl_s=0.5,
    crash_ttl_s=0.5,
    barrier_s=0.3,
    database="PostgreSQL",
    races=tuple(race(layer) for layer in BOTH),
    together=tuple(together(layer) for layer in BOTH),
    crashes=(crash(),),
)
DETAILS = Details(
    trips=tuple(Trip(layer, "text", "'a'", True, "'a'", "str", True) for layer in BOTH),
    absent=tuple(
        Absent(layer, "missing row", 3, 1, ("None", "None", "None")) for layer in BOTH
    ),
    forgotten=tuple(
        forgotten(key, depends, not depends, helper)
        for helper in ("user", "organization", "project")
        for key, depends in (("its own", True), ("another's", False))
    ),
    email_is_stale={"sprint11": False, "fluxlab": False},
    patterns=(
        PatternCost(1_000, 0.2, 0.1, 1.0, 0.1, 0.1),
        PatternCost(100_000, 0.2, 0.1, 50.0, 0.1, 0.1),
    ),
    sizes=tuple(
        SizeCost(layer, size, True, ms, ms)
        for layer in BOTH
        for size, ms in ((1_000, 0.05), (900_000, 2.0))
    ),
    counted=(Counted("a row", 10, 9, 9), Counted("0", 10, 9, 9)),
    endless_keys=100,
    endless_turns=0,
    zero_ttl_is_swallowed=False,
)
EXPERIMENTS = Experiments(
    server="Valkey 9",
    scale=1.0,
    took_s=30.0,
    stale=STALE,
    stampedes=Stampedes(50.0, 10, tuple(stampede(layer, 1) for layer in BOTH)),
    outages=Outages(0.1, tuple(outage(one, fault) for one in BOTH for fault in FAULTS)),
    details=DETAILS,
)


def experiments(**changes: object) -> Experiments:
    """Experiments in which a part is another one, or a field of its details is."""
    parts = {name: one for name, one in changes.items() if hasattr(EXPERIMENTS, name)}
    rest = {name: one for name, one in changes.items() if name not in parts}
    made = replace(EXPERIMENTS, **parts)  # type: ignore[arg-type]
    return replace(made, details=replace(DETAILS, **rest)) if rest else made  # type: ignore[arg-type]


def count(
    pattern: str, reads: int, hits: int, *, band: float = 0.02, **changes: object
) -> ResourceCount:
    """A pattern of which every read that is no hit is a load."""
    predicted = None
    if band:
        rate = hits / max(1, reads)
        predicted = Prediction(rate, rate - band, rate + band)
    made = ResourceCount(
        pattern=pattern,
        query="some_query",
        ttl_s=float(PATTERNS[pattern].ttl),
        reads=reads,
        hits=hits,
        joined=0,
        misses=reads - hits,
        bypassed=0,
        loads=reads - hits,
        load_ms=1.0,
        statements=reads - hits,
        invalidations=0,
        checked=hits,
        stale=0,
        size_bytes=100.0,
        keys=10,
        predicted=predicted,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def replay(layer: LayerName, *counts: ResourceCount, uncovered: int = 0) -> Replay:
    """A replay in which `uncovered` statements are of no key."""
    statements = sum(one.statements for one in counts) + uncovered
    latency = Latency(1.0, 2.0, 3.0, 4.0)
    return Replay(
        layer=layer,
        arrivals="open",
        users=1_000,
        rate_per_s=50.0,
        compression=10.0,
        window_s=60.0,
        past_s=600.0,
        seed=11,
        requests=sum(one.reads for one in counts) + uncovered,
        writes=uncovered,
        errors=0,
        statements=statements,
        database_ms=float(statements),
        uncached_ms=float(uncovered),
        read_latency=latency,
        write_latency=latency,
        memory_bytes=1_000,
        resources={one.pattern: one for one in counts},
    )


def cache(
    *replays: Replay,
    checks: Checks | None = CHECKS,
    experiments: Experiments | None = EXPERIMENTS,
) -> CacheEvidence:
    return CacheEvidence(replays, experiments, checks)
