"""The table of judges: one small function for each kind of Claim."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fluxlab.book.claims import (
    AuditClaim,
    CacheClaim,
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
from fluxlab.book.judges_cache import judge_cache_key, judge_caching, judge_ttl
from fluxlab.book.judges_cache_rates import judge_hit_rate, judge_load
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
        CacheClaim: judge_caching,
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
