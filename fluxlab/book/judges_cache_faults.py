"""Judges of the report's cache without its server: outages, starts, health."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fluxlab.book.claims import CacheClaim
from fluxlab.book.judges_cache_parts import is_wrong, of_layer, tells
from fluxlab.book.verdicts import Verdict, Word, verdict
from fluxlab.caching.checks.checked import Checks
from fluxlab.caching.experiments.found import (
    Experiments,
    Fault,
    Outage,
)
from fluxlab.caching.options import Options
from fluxlab.caching.results import LayerName
from fluxlab.workload.sample import show_ms

#: Waits that double grow by 2; with our jitter of a half, by about that.
_EXPONENTIAL = 1.5
#: What an experiment notes when a health check did not return.
_SILENT = "no answer"
#: A request that waits for this share of an outage waits for its end.
_STALLED = 0.5


def outage_of(experiments: Experiments, layer: LayerName, fault: Fault) -> Outage | None:
    """Return an outage; None when it was not tried."""
    found = (
        one for one in experiments.outages.found if (one.layer, one.fault) == (layer, fault)
    )
    return next(found, None)


def is_stalled(outage: Outage) -> bool:
    """Whether requests waited for the server to come back."""
    length_ms = (outage.ends_s - outage.begins_s) * 1_000
    return outage.unfinished > 0 or outage.added_max_ms > _STALLED * length_ms


def growth(waits_s: Sequence[float]) -> float:
    """Return the mean factor between the later half of some waits.

    >>> round(growth([0.1, 0.2, 0.4, 0.8]), 2), growth([])
    (2.0, 0.0)
    """
    later = [one for one in waits_s[len(waits_s) // 2 - 1 :] if one > 0]
    if len(later) < 2:
        return 0.0
    return math.exp(math.log(later[-1] / later[0]) / (len(later) - 1))


def judge_reconnection(
    claim: CacheClaim, checks: Checks, experiments: Experiments
) -> Verdict:
    """Look at the waits between attempts, and for hits after an outage."""
    waits, ours = (
        of_layer(checks.attempts, one)[0].waits_s for one in ("sprint11", "fluxlab")
    )
    is_exponential = growth(waits) >= _EXPONENTIAL
    outages = of_layer(experiments.outages.found, "sprint11")
    lost = [one for one in outages if one.back_s is None]
    rights = (is_exponential, not lost)
    return verdict(
        claim,
        "held" if all(rights) else "fell short" if any(rights) else "refuted",
        f"The server was {_backs(outages)}. The waits between {len(waits) + 1} attempts "
        f"grow to {show_ms(1_000 * waits[-1])}, the later ones by a factor of "
        f"{growth(waits):.2f} each, which is "
        f"{'exponential' if is_exponential else 'not exponential'}. With ours by "
        f"{growth(ours):.2f} up to {Options().probe_s[1]:g} s, and the server "
        f"{_backs(of_layer(experiments.outages.found, 'fluxlab'))}.",
        expected="back after each outage; waits that double",
        measured=f"back after {len(outages) - len(lost)} of {len(outages)}; "
        f"× {growth(waits):.2f}",
    )


def _backs(outages: Sequence[Outage]) -> str:
    """Say for each outage how long the server was away and when the first hit came."""
    parts = []
    for one in outages:
        text = f"{one.fault} for {one.ends_s - one.begins_s:.1f} s, "
        text += (
            "no hit any more" if one.back_s is None else f"a hit {one.back_s:.2g} s after"
        )
        if one.gave_up_s is not None:
            text += f" (it gave up for good after {one.gave_up_s:.1f} s)"
        parts.append(text)
    return "; ".join(parts)


def judge_degradation(claim: CacheClaim, experiments: Experiments) -> Verdict:
    """Send the same requests with the server killed, stopped, and never there."""
    outages = of_layer(experiments.outages.found, "sprint11")
    failed = [one for one in outages if one.errors]
    stalled = [one for one in outages if is_stalled(one)]
    borne = [one for one in outages if not one.errors and not is_stalled(one)]
    word: Word = "fell short" if stalled else "held"
    if failed or (outages and len(stalled) == len(outages)):
        word = "refuted"
    ours = of_layer(experiments.outages.found, "fluxlab")
    return verdict(
        claim,
        word,
        f"{_outages_said(outages)} Ours: {sum(one.errors for one in ours)} errors, "
        f"{sum(one.unfinished for one in ours)} not ended, at most "
        f"{show_ms(max((one.added_max_ms for one in ours), default=0.0))} added.",
        expected="every request answered by the database",
        measured=f"{len(borne)} of {len(outages)} faults borne",
    )


def _outages_said(outages: Sequence[Outage]) -> str:
    return (
        "; ".join(
            f"{one.fault}: {one.errors} errors, {one.unfinished} of {one.requests:,} "
            f"requests not ended, p50 {show_ms(one.p50_ms)}, worst {show_ms(one.max_ms)}"
            for one in outages
        ).capitalize()
        + "."
    )


def judge_errors(claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    """List what is not handled: one hole is enough against *comprehensive*."""
    holes = holes_of(checks, experiments)
    return verdict(
        claim,
        "refuted" if holes else "held",
        f"{_listed(holes) or 'No fault that was tried reached a caller'}.",
        expected="every fault handled",
        measured=f"{len(holes)} that are not",
    )


def holes_of(checks: Checks, experiments: Experiments) -> list[str]:
    """Return the faults that the report's cache does not handle, in words."""
    details, holes = experiments.details, []
    outages = of_layer(experiments.outages.found, "sprint11")
    if errors := sum(one.errors for one in outages):
        holes.append(f"{errors} errors reach callers while the server is away")
    if any(is_stalled(one) for one in outages):
        holes.append("a server that stops answering stalls requests until it goes on")
    if any(one.back_s is None for one in outages):
        holes.append("after an outage it does not come back")
    if any(is_wrong(one) for one in details.absent if one.layer == "sprint11"):
        holes.append("a row that is not there is answered with a text the next time")
    if details.zero_ttl_is_swallowed:
        holes.append("a `set` that fails tells nobody")
    if details.endless_turns:
        holes.append("its listing of keys never ends")
    if not tells(checks):
        holes.append("its health check does not notice that the server is gone")
    return holes


def _listed(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def judge_start(claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    """Start without the server, read, and look whether the cache connects later."""
    theirs, ours = (of_layer(checks.starts, one)[0] for one in ("sprint11", "fluxlab"))
    outage = outage_of(experiments, "sprint11", "absent at start")
    comes = outage is not None and outage.back_s is not None
    word: Word = "held" if comes else "fell short"
    if theirs.raised or not theirs.is_answered:
        word = "refuted"
    logged = "“Cache initialized”, though it is not" if not theirs.raised else theirs.raised
    return verdict(
        claim,
        word,
        f"Without its server the start takes {theirs.took_s:.1f} s and logs {logged}; "
        f"reads are {'' if theirs.is_answered else 'not '}answered by the database, and "
        "when the server comes the cache "
        f"{'connects' if comes else 'does not connect any more'}. "
        f"Ours starts in {show_ms(1_000 * ours.took_s)}.",
        expected="a start with a cache, or without one",
        measured=f"{theirs.took_s:.1f} s",
    )


def judge_health(claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    """Ask the health check with the server running, gone, and stopped."""
    said = {one.server: one.said for one in of_layer(checks.health, "sprint11")}
    ours = {one.server: one.said for one in of_layer(checks.health, "fluxlab")}
    hung = outage_of(experiments, "sprint11", "stopped")
    answers = hung is None or hung.health_during != _SILENT
    word: Word = "held" if answers else "fell short"
    if not tells(checks):
        word = "refuted"
    text = (
        f"It says {said.get('running')} with the server and {said.get('stopped')} without"
    )
    if hung is not None:
        text += f"; with a server that accepts and does not answer: {hung.health_during}"
    return verdict(
        claim,
        word,
        f"{text}. Ours says {ours.get('running')} and {ours.get('stopped')}: the "
        "application works without it.",
        expected="an answer in each state",
        measured=f"{said.get('running')}, {said.get('stopped')}",
    )


def judge_endpoint(claim: CacheClaim, checks: Checks, experiments: Experiments) -> Verdict:
    """Evaluate the report's expression on real answers of both servers."""
    wrong = [
        one
        for one in checks.endpoint
        if (one.says == "healthy") != ((one.database, one.cache) == ("healthy", "healthy"))
    ]
    hung = outage_of(experiments, "sprint11", "stopped")
    answers = hung is None or hung.health_during != _SILENT
    word: Word = "held" if answers else "fell short"
    if wrong or not checks.endpoint:
        word = "refuted"
    said = "; ".join(
        f"database {one.database} and cache {one.cache}: {one.says}"
        for one in checks.endpoint
    )
    return verdict(
        claim,
        word,
        f"From real answers, {said}"
        + ("" if answers else "; no answer at all while the cache's server hangs")
        + ". The endpoint sets no other status than 200.",
        expected="healthy only when both are",
        measured=f"{len(checks.endpoint) - len(wrong)} of {len(checks.endpoint)} right",
    )
