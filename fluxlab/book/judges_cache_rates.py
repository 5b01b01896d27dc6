"""Judges of hit rates and of database load, on replays of the users."""

from __future__ import annotations

from collections.abc import Sequence

from fluxlab.book.cache_evidence import CacheEvidence
from fluxlab.book.cache_rates import (
    EVERYTHING,
    FREQUENT,
    Rate,
    hit_rate,
    percent,
    resources_of,
    saved_of,
    saved_overall,
    word_of,
)
from fluxlab.book.claims import CacheClaim, Claim, HitRateClaim, LoadClaim
from fluxlab.book.evidence import Evidence
from fluxlab.book.phrases import listed
from fluxlab.book.verdicts import Verdict, Word, verdict
from fluxlab.caching.results import Replay, ResourceCount

_NAMED = ("User profiles", "Project data")
#: A stale answer that lives for this share of a lifetime was ended by it.
_UNTIL_THE_END = 0.5


def unmeasured(claim: Claim, what: str, expected: str = "") -> Verdict:
    """Say what has not been measured of the cache."""
    return verdict(
        claim,
        "not measured yet",
        f"Nobody has measured {what} with this data yet; `make run` does, with servers of "
        "its own.",
        expected=expected,
    )


def judge_hit_rate(claim: HitRateClaim, evidence: Evidence) -> Verdict:
    """Count the hits of the report's cache while the users are replayed."""
    expected = f"{claim.percent} % or more"
    cache = evidence.cache or CacheEvidence()
    replay = cache.replay("sprint11")
    if replay is None:
        return unmeasured(claim, f"the hits and misses of {claim.resource}", expected)
    found = resources_of(replay, claim.resource)
    rate = hit_rate(found)
    if rate is None:
        return _nobody(claim, expected)
    word = word_of(rate, claim.percent / 100)
    return verdict(
        claim,
        word,
        f"{_traffic(replay)}, the report's cache answers {percent(rate.share)} of "
        f"{rate.of:,} reads {_of_what(claim.resource)}"
        f"{_band_said(rate, word, claim.percent)}.{_meant(claim.resource, found)}"
        f"{_predicted(found)}{_stale(found)}"
        f"{_ours(cache, claim.resource)}",
        expected=expected,
        measured=percent(rate.share),
        interval=rate.interval,
    )


def _traffic(replay: Replay) -> str:
    return (
        f"With {replay.users:,} users ({replay.arrivals} arrivals, time compressed "
        f"{replay.compression:g} times)"
    )


def _of_what(resource: str) -> str:
    return "with a key" if resource == EVERYTHING else f"of {resource}"


def _band_said(rate: Rate, word: Word, wanted: int) -> str:
    return f"; {wanted} % lie within its band" if word == "unclear" else ""


def _meant(resource: str, found: Sequence[ResourceCount]) -> str:
    if resource != FREQUENT:
        return ""
    names = listed((one.pattern for one in found), len(found))
    return (
        f" Frequently accessed means here the {len(found)} key patterns that are read "
        f"most and make half of all reads with a key: {names}."
    )


def _predicted(found: Sequence[ResourceCount]) -> str:
    """Say what theory expects, where it does of every pattern that was read."""
    read = [one for one in found if one.hits + one.misses]
    known = [(one, one.predicted) for one in read if one.predicted is not None]
    if not known or len(known) < len(read):
        return ""
    asked = sum(one.hits + one.misses for one, _ in known)
    hits = sum((one.hits + one.misses) * band.hit_rate for one, band in known)
    return f" Theory expects {percent(hits / asked)} of this traffic."


def _stale(found: Sequence[ResourceCount]) -> str:
    checked, stale = sum(one.checked for one in found), sum(one.stale for one in found)
    if not checked:
        return ""
    return f" {stale:,} of {checked:,} hits that were checked are stale."


def _ours(cache: CacheEvidence, resource: str) -> str:
    replay = cache.replay("fluxlab")
    found = resources_of(replay, resource) if replay else ()
    rate = hit_rate(found)
    if rate is None:
        return ""
    stale = sum(one.stale for one in found)
    return f" Ours answers {percent(rate.share)} of the same traffic, {stale:,} stale."


def _nobody(claim: Claim, expected: str) -> Verdict:
    reason = "Nobody read any of it in the replay; a longer one is needed."
    return verdict(claim, "unclear", reason, expected=expected, measured="no reads")


def judge_load(claim: LoadClaim, evidence: Evidence) -> Verdict:
    """Compare what the database's server counted with the report's cache and without."""
    low, high = claim.low_percent, claim.high_percent
    expected = f"{low if low == high else f'{low}–{high}'} % fewer queries"
    cache = evidence.cache or CacheEvidence()
    none, cached = cache.replay("none"), cache.replay("sprint11")
    if none is None or cached is None:
        what = f"how many statements for {claim.resource} the cache spares"
        return unmeasured(claim, what, expected)
    saved = _saved(none, cached, claim.resource)
    if saved is None:
        return _nobody(claim, expected)
    word = word_of(saved, low / 100)
    explained = (
        _overall(none, cached)
        if claim.resource == EVERYTHING
        else _of_group(none, cached, claim.resource)
    )
    ours = cache.replay("fluxlab")
    with_ours = _saved(none, ours, claim.resource) if ours else None
    return verdict(
        claim,
        word,
        f"{explained}{_band_said(saved, word, low)}."
        + (f" Ours spares {percent(with_ours.share)}." if with_ours else ""),
        expected=expected,
        measured=percent(saved.share),
        interval=saved.interval,
    )


def _saved(none: Replay, cached: Replay, resource: str) -> Rate | None:
    if resource == EVERYTHING:
        return saved_overall(none, cached)
    return saved_of(resources_of(none, resource), resources_of(cached, resource))


def _overall(none: Replay, cached: Replay) -> str:
    covered = sum(one.statements for one in none.resources.values())
    spent = [one.database_ms / max(1, one.requests) for one in (none, cached)]
    return (
        f"The database executed {none.statements:,} statements for {none.requests:,} "
        f"requests without a cache and {cached.statements:,} for {cached.requests:,} with "
        f"the report's; its time fell by {percent(1 - spent[1] / (spent[0] or 1))}. "
        f"{percent(1 - covered / none.statements)} of the statements are writes, or reads "
        "without a key of the report, which no cache spares"
    )


def _of_group(none: Replay, cached: Replay, resource: str) -> str:
    before, after = (resources_of(one, resource) for one in (none, cached))
    rate = hit_rate(after)
    text = (
        f"For {sum(one.reads for one in before):,} reads of {resource} the database "
        f"executed {sum(one.statements for one in before):,} statements without a cache, "
        f"and {sum(one.statements for one in after):,} for "
        f"{sum(one.reads for one in after):,} with the report's"
    )
    return text + (f", whose hit rate is {percent(rate.share)}" if rate else "")


def judge_frequent(claim: CacheClaim, cache: CacheEvidence) -> Verdict:
    """Ask whether what is read most is what a cache answers most, and what is named."""
    replay = cache.replay("sprint11")
    if replay is None:
        return unmeasured(claim, "hit rates by resource")
    most = resources_of(replay, FREQUENT)
    rest = [one for one in replay.resources.values() if one not in most]
    rates = hit_rate(most), hit_rate(rest)
    named = {name: hit_rate(resources_of(replay, name)) for name in _NAMED}
    if rates[0] is None or rates[1] is None:
        return _nobody(claim, "more hits for what is read more")
    word: Word = "unclear"
    if rates[0].high < rates[1].low:
        word = "refuted"
    elif rates[0].low > rates[1].high:
        worse = [one for one in named.values() if one and one.high < rates[1].low]
        word = "fell short" if worse else "held"
    said = ", ".join(
        f"{name} {percent(rate.share)}" for name, rate in named.items() if rate
    )
    return verdict(
        claim,
        word,
        f"{_traffic(replay)}, the report's cache answers {rates[0]} of the reads of the "
        f"{len(most)} patterns that are read most and {rates[1]} of the {len(rest)} others;"
        f" of those that it names {said}.",
        expected="more hits for what is read more",
        measured=f"{percent(rates[0].share)} against {percent(rates[1].share)}",
    )


def judge_fitting(claim: CacheClaim, cache: CacheEvidence) -> Verdict:
    """Ask what a short lifetime spares, stale answers, and what it costs, hits."""
    replay = cache.replay("sprint11")
    if replay is None or cache.experiments is None:
        return unmeasured(claim, "hits and stale answers by lifetime")
    stale = cache.experiments.stale
    longest_s = max(
        (one.longest_s for one in stale.races if one.layer == "sprint11"), default=0.0
    )
    is_bound = longest_s >= _UNTIL_THE_END * stale.ttl_s
    by_ttl = {
        ttl: [one for one in replay.resources.values() if one.ttl_s == ttl]
        for ttl in sorted({one.ttl_s for one in replay.resources.values()})
    }
    rates = {ttl: rate for ttl, found in by_ttl.items() if (rate := hit_rate(found))}
    if len(rates) < 2:
        return _nobody(claim, "fewer stale answers; more hits")
    short, long = rates[min(rates)], rates[max(rates)]
    is_longer_better = long.low > short.high
    word: Word = "refuted" if short.low > long.high else "unclear"
    if is_bound or is_longer_better:
        word = "held" if is_bound and is_longer_better else "fell short"
    said = ", ".join(
        f"{ttl:,.0f} s {percent(rate.share)}{_stale_share(by_ttl[ttl])}"
        for ttl, rate in rates.items()
    )
    return verdict(
        claim,
        word,
        f"An old row that the report's cache stored by a race was served for "
        f"{longest_s:.2g} s of a lifetime of {stale.ttl_s:g} s, so the lifetime "
        f"{'is what ends it' if is_bound else 'did not have to end it'}. Hit rates by "
        f"lifetime: {said}.{_no_stale_ours(cache)}",
        expected="fewer stale answers by a short one, more hits by a long one",
        measured=f"{percent(short.share)} to {percent(long.share)} hits",
    )


def _stale_share(found: Sequence[ResourceCount]) -> str:
    checked, stale = sum(one.checked for one in found), sum(one.stale for one in found)
    return f" ({percent(stale / checked)} stale)" if checked else ""


def _no_stale_ours(cache: CacheEvidence) -> str:
    ours = cache.replay("fluxlab")
    if ours is None:
        return ""
    checked = sum(one.checked for one in ours.resources.values())
    stale = sum(one.stale for one in ours.resources.values())
    return (
        f" Of {checked:,} hits of ours {stale:,} are stale, whatever the lifetime: it does "
        "not need one to end what was forgotten."
    )
