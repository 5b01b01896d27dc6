"""The table of judges: one small function for each kind of Claim."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fluxlab.book.claims import (
    AuditClaim,
    CacheKeyClaim,
    Claim,
    CountClaim,
    CoverageClaim,
    DefinitionClaim,
    ExampleClaim,
    FamilyClaim,
    HitRateClaim,
    LatencyClaim,
    LaterClaim,
    LoadClaim,
    MigrationClaim,
    MonitoringClaim,
    OverallClaim,
    PracticeClaim,
    TargetClaim,
    TtlClaim,
    UntestableClaim,
)
from fluxlab.book.evidence import Evidence
from fluxlab.book.judges_advice import judge_monitoring, judge_practice
from fluxlab.book.judges_families import judge_family
from fluxlab.book.judges_queries import judge_coverage, judge_latency, judge_overall
from fluxlab.book.judges_structure import (
    judge_audited,
    judge_count,
    judge_definition,
    judge_example,
    judge_migration,
)
from fluxlab.book.verdicts import Verdict, verdict


def judge_later(claim: LaterClaim, evidence: Evidence) -> Verdict:
    """Name the lab that will judge the claim, and what it will look at."""
    return _wait(claim, claim.evidence)


def judge_hit_rate(claim: HitRateClaim, evidence: Evidence) -> Verdict:
    """Wait for the hits that the cache counts."""
    return _wait(
        claim, f"hits and misses of {claim.resource}", f"{claim.percent} % or more"
    )


def judge_load(claim: LoadClaim, evidence: Evidence) -> Verdict:
    """Wait for the statements that the server counts with the cache and without."""
    span = f"{claim.low_percent}–{claim.high_percent}"
    if claim.low_percent == claim.high_percent:
        span = f"{claim.low_percent}"
    what = f"the statements for {claim.resource} with the cache and without"
    return _wait(claim, what, f"{span} % fewer queries")


def judge_ttl(claim: TtlClaim, evidence: Evidence) -> Verdict:
    """Wait for the lifetime that the server reports."""
    return _wait(claim, f"how long a {claim.name} entry lives", f"{claim.seconds:,} s")


def judge_cache_key(claim: CacheKeyClaim, evidence: Evidence) -> Verdict:
    """Wait for the key, and say which Queries already name it."""
    uses = [
        query.name
        for query in evidence.workload.values()
        if query.cache and query.cache.key == claim.pattern
    ]
    return _wait(claim, f"the key of {len(uses)} queries", f"`{claim.pattern}`")


def judge_target(claim: TargetClaim, evidence: Evidence) -> Verdict:
    """Wait for users."""
    return _wait(claim, claim.of, claim.bound)


def judge_untestable(claim: UntestableClaim, evidence: Evidence) -> Verdict:
    """Say why nothing here can judge the claim."""
    return verdict(claim, "not testable", f"{claim.why[0].upper()}{claim.why[1:]}.")


def _wait(claim: Claim, what: str, expected: str = "") -> Verdict:
    return verdict(
        claim,
        "not measured yet",
        f"{claim.chapter[0].upper()}{claim.chapter[1:]} will look at {what}.",
        expected=expected,
    )


#: Each judge takes its own kind of Claim, so only the pair of both has one type.
JUDGES: Mapping[type[Claim], Callable[[Any, Evidence], Verdict]] = types.MappingProxyType(
    {
        LatencyClaim: judge_latency,
        AuditClaim: judge_audited,
        CountClaim: judge_count,
        ExampleClaim: judge_example,
        DefinitionClaim: judge_definition,
        FamilyClaim: judge_family,
        CoverageClaim: judge_coverage,
        OverallClaim: judge_overall,
        MonitoringClaim: judge_monitoring,
        PracticeClaim: judge_practice,
        MigrationClaim: judge_migration,
        HitRateClaim: judge_hit_rate,
        LoadClaim: judge_load,
        TtlClaim: judge_ttl,
        CacheKeyClaim: judge_cache_key,
        TargetClaim: judge_target,
        LaterClaim: judge_later,
        UntestableClaim: judge_untestable,
    }
)


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    """Return the Verdict on one Claim."""
    return JUDGES[type(claim)](claim, evidence)


def judge_all(claims: Iterable[Claim], evidence: Evidence) -> tuple[Verdict, ...]:
    """Return the Verdicts on many Claims, in their order."""
    return tuple(judge(claim, evidence) for claim in claims)
