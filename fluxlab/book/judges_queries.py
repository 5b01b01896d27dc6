"""Judges of what the Comparison decides: latency rows, coverage, the overall figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fluxlab.book.claims import CoverageClaim, LatencyClaim, OverallClaim
from fluxlab.book.evidence import Evidence
from fluxlab.book.gains import is_tried, trials_of
from fluxlab.book.phrases import (
    best,
    blocks,
    change_in_words,
    listed,
    noise_wins,
    outcomes,
    plans,
    saved,
    saved_interval,
    saved_percent,
    scan_label,
    scan_of,
    share,
)
from fluxlab.book.verdicts import Verdict, Word, verdict
from fluxlab.workload.change import Change
from fluxlab.workload.sample import show_median
from fluxlab.workload.stats import MARGIN

#: The report writes its figures with a tilde: a *before* of half as much still counts.
_TILDE = 2.0
_RESAMPLES = 2_000
_SEED = 11
_FEWEST_QUERIES = 30


def judge_latency(claim: LatencyClaim, evidence: Evidence) -> Verdict:
    """Judge a row of the latency table on before, after and percent, class by class.

    The typical class leads; *held* needs every class with rows to find.
    """
    expected = f"{claim.before_ms:g} → {claim.after_ms:g} ms, {claim.percent} %"
    changes = evidence.changes([claim.query])
    if not changes:
        return _unmeasured(claim, expected)
    lead = next((one for one in changes if one.of_class == "typical"), changes[0])
    word = _latency_word(claim, lead)
    others = [
        (change, other)
        for change in changes
        if change is not lead and (other := _latency_word(claim, change)) != word
    ]
    if word == "held" and any(change.of_class != "absent" for change, _ in others):
        word = "fell short"
    reason = f"{lead.sentence}; {plans(lead, evidence.old_indexes)}{_missed(claim, lead)}"
    differing = "; ".join(
        f"{change.of_class} values {other}: {saved(change.speedup)}, {blocks(change)}"
        for change, other in others
    )
    text = f"{reason[0].upper()}{reason[1:]}"
    crossing = evidence.crossings.get(claim.query, "")
    return verdict(
        claim,
        word,
        f"{text}."
        + (f" Otherwise {differing}." if differing else "")
        + (f" {crossing}" if crossing else ""),
        expected=expected,
        measured=f"{_medians(lead)}, {saved(lead.speedup).partition(' (')[0]}",
        interval=saved_interval(lead.speedup),
    )


def _latency_word(claim: LatencyClaim, change: Change) -> Word:
    if change.outcome == "unclear":
        return "unclear"
    if change.outcome != "faster":
        return "refuted"
    return "fell short" if _missed(claim, change) else "held"


def _missed(claim: LatencyClaim, change: Change) -> str:
    """Say which of the three figures a faster pair misses; empty when none."""
    before, after = change.before.sample, change.after.sample
    missed = []
    if before.median_ms < claim.before_ms / _TILDE:
        missed.append(f"the {claim.before_ms:g} ms before were {show_median(before)}")
    if after.median_ms > claim.after_ms:
        missed.append(f"the {claim.after_ms:g} ms after are {show_median(after)}")
    if change.outcome == "faster" and saved_percent(change.speedup.high) < claim.percent:
        missed.append(f"the {claim.percent} % are {saved(change.speedup)}")
    return "; " + ", ".join(missed) if missed else ""


def _medians(change: Change) -> str:
    return f"{show_median(change.before.sample)} → {show_median(change.after.sample)}"


def judge_coverage(claim: CoverageClaim, evidence: Evidence) -> Verdict:
    """Ask whether plans read the index of a bullet, and whether a new one made faster.

    An index that stood before has only to be read; the sprint did not add it. Half the
    queries have to be served, by this index or without a scan of its table.
    """
    expected = f"{listed(claim.indexes)} in use"
    if not any(_has_shape(name, claim.shape, evidence) for name in claim.indexes):
        return verdict(
            claim,
            "refuted",
            f"No index of this kind ({claim.shape}) is in the catalog.",
            expected=expected,
        )
    changes = evidence.changes(evidence.use_cases.get(claim.use_case, ()))
    if not changes:
        return _unmeasured(claim, expected)
    read = [change for change in changes if _reads(change, claim.indexes)]
    if not read:
        return _unread(claim, changes, expected, evidence)
    queries = {change.query for change in changes}
    served = {one.query for one in changes if _is_served(one, claim, evidence)}
    reason, word = _gain(claim, read, evidence)
    if word == "held" and 2 * len(served) < len(queries):
        word = "fell short"
    return verdict(
        claim,
        word,
        f"{reason}.",
        expected=expected,
        measured=f"{len(served)} of {len(queries)} queries served, "
        f"{len({one.query for one in read})} by it",
    )


def _gain(
    claim: CoverageClaim, read: Sequence[Change], evidence: Evidence
) -> tuple[str, Word]:
    """Say what the readers of the bullet's indexes gained, and the word for it.

    An index that has been measured by itself speaks for itself.
    """
    old = [name for name in claim.indexes if name in evidence.old_indexes]
    new = [name for name in claim.indexes if name not in evidence.old_indexes]
    if not new:
        return f"{listed(old)} stood before the sprint, and plans read it", "held"
    looks = [change for change in read if _reads(change, new)]
    gained, opening = best(looks), ""
    tried = trials_of(evidence, new, evidence.use_cases[claim.use_case])
    if tried:
        # A Trial is brief. Where it is not sure, a gain of the whole sprint counts that
        # it points to as well; any other gain is that of another index.
        backed = best(change for change in looks if _points_to(change, tried))
        alone, looks = best(tried), list(tried)
        gained = alone or backed
        opening = "With the index against without it, " if alone else ""
    if gained is not None:
        shown = plans(gained, evidence.old_indexes, new)
        return f"{opening}{change_in_words(gained)}; {shown}", "held"
    how = "is faster with it than without" if tried else "became faster with it"
    reason = f"Plans read it, and no pair {how} ({outcomes(looks or read)})"
    if any(_reads(change, old) for change in read):
        return f"{reason}; {listed(old)} stood before the sprint", "held"
    if any(one.outcome == "slower" for one in tried):
        return reason, "refuted"
    return reason, "unclear" if noise_wins(looks) else "fell short"


def _points_to(change: Change, tried: Sequence[Change]) -> bool:
    """Whether a Trial of the same pair, though not sure, says faster as well."""
    return any(
        one.outcome == "unclear" and one.speedup.ratio > MARGIN
        for one in tried
        if (one.query, one.of_class) == (change.query, change.of_class)
    )


def _is_served(change: Change, claim: CoverageClaim, evidence: Evidence) -> bool:
    if _reads(change, claim.indexes):
        return True
    tables = {evidence.shapes[name].table for name in claim.indexes}
    scans = [node for node in change.after.plan.walk() if node.relation in tables]
    return bool(scans) and all(node.kind != "Seq Scan" for node in scans)


def _reads(change: Change, indexes: Sequence[str]) -> bool:
    return bool(set(indexes).intersection(change.after.plan.indexes))


def _has_shape(name: str, shape: str, evidence: Evidence) -> bool:
    index = evidence.shapes.get(name)
    if index is None:
        return False
    return {
        "any": True,
        "unique": index.is_unique,
        "composite": index.is_composite,
        "gin": index.method == "gin",
    }[shape]


def _unread(
    claim: CoverageClaim, changes: Sequence[Change], expected: str, evidence: Evidence
) -> Verdict:
    largest = max(changes, key=lambda change: change.after.plan.blocks)
    queries = evidence.use_cases[claim.use_case]
    alone = best(trials_of(evidence, claim.indexes, queries, ("alone",)))
    return verdict(
        claim,
        "fell short",
        f"The index is there and no plan reads it: `{largest.query}` "
        f"({largest.of_class}) takes `{scan_label(scan_of(largest.after.plan))}`"
        + (f". Alone it serves {change_in_words(alone)}." if alone else "."),
        expected=expected,
        measured="no plan reads it",
    )


def judge_overall(claim: OverallClaim, evidence: Evidence) -> Verdict:
    """Ask for how many Queries the time fell by the lower figure, weighted and not.

    Each Query counts with its typical class. *Held* when most Queries reached it,
    *refuted* when most did not become faster at all, each beyond the 95 % interval:
    a percentile bootstrap over Queries (Efron & Tibshirani 1993, chapter 13).
    """
    expected = f"{claim.low_percent} % or more for most queries"
    leads = [evidence.comparison.find(query) for query in evidence.comparison.by_query]
    if len(leads) < _FEWEST_QUERIES:
        return _unmeasured(claim, expected)
    weights = np.array([evidence.workload[change.query].weight for change in leads])
    is_faster = np.array([change.outcome == "faster" for change in leads])
    percents = np.array([saved_percent(change.speedup.ratio) for change in leads])
    is_reached = is_faster & (percents >= claim.low_percent)
    low, high = _share_interval(is_reached)
    _, most_faster = _share_interval(is_faster)
    word: Word = "unclear"
    if low > 0.5:
        word = "held"
    elif high < 0.5:
        word = "refuted" if most_faster < 0.5 else "fell short"
    weighted = float(np.average(is_reached, weights=weights))
    return verdict(
        claim,
        word,
        f"{int(is_faster.sum())} of {len(leads)} queries became faster at all and "
        f"{int(is_reached.sum())} by {claim.low_percent} % or more; of 1,000 requests "
        f"{1000 * weighted:.0f} run such a query. The query in the middle "
        f"{_moved(float(np.median(percents)))}.{_by_themselves(evidence)}",
        expected=expected,
        measured=f"{share(float(is_reached.mean()))} of the queries "
        f"({share(weighted)} by weight)",
        interval=f"{share(low)} to {share(high)} of the queries",
    )


def _by_themselves(evidence: Evidence) -> str:
    """Say how many of the new indexes make any pair faster; empty where none is tried."""
    names = [shape.name for shape in evidence.new_shapes]
    if not is_tried(evidence, names):
        return ""
    found = {name: {one.outcome for one in trials_of(evidence, [name])} for name in names}
    helps = sum("faster" in words for words in found.values())
    hurts = sum("slower" in words and "faster" not in words for words in found.values())
    return (
        f" Measured by themselves, {helps} of the {len(names)} new indexes make some query "
        f"faster, and {hurts} only make some slower."
    )


def _moved(percent: float) -> str:
    """Say which way a time went."""
    return f"{'saves' if percent > 0 else 'loses'} {abs(percent):.0f} %"


def _share_interval(flags: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(_SEED)
    means = flags[rng.integers(0, len(flags), (_RESAMPLES, len(flags)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _unmeasured(
    claim: LatencyClaim | CoverageClaim | OverallClaim, expected: str
) -> Verdict:
    return verdict(
        claim,
        "not measured yet",
        f"The run holds too few of its queries; `make run` measures them for "
        f"{claim.chapter}.",
        expected=expected,
    )
