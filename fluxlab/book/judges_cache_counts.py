"""Judges of how the report's cache counts its own hits."""

from __future__ import annotations

from fluxlab.book.claims import CacheClaim
from fluxlab.book.judges_cache_parts import of_layer
from fluxlab.book.verdicts import Verdict, Word, verdict
from fluxlab.caching.checks.checked import Checks
from fluxlab.caching.experiments.found import Experiments

#: Hit rates that are further apart are not the same, in points of a percent.
_SAME_POINTS = 1.0


def judge_stats(claim: CacheClaim, checks: Checks) -> Verdict:
    """Compare the statistics with the reads that were made."""
    theirs, ours = (of_layer(checks.counted, one)[0] for one in ("sprint11", "fluxlab"))
    is_right = (theirs.said_hits, theirs.said_misses) == (theirs.hits, theirs.misses)
    is_alike = theirs.said_hits >= theirs.hits and theirs.said_misses >= theirs.misses
    return verdict(
        claim,
        "held" if is_right else "fell short" if is_alike else "refuted",
        f"The cache had {theirs.hits} hits and {theirs.misses} misses while somebody else "
        f"read {theirs.others} keys of another database; its statistics say "
        f"{theirs.said_hits} and {theirs.said_misses}: they are the whole server's. Ours "
        f"say {ours.said_hits} and {ours.said_misses}, by kind of key.",
        expected="the cache's numbers",
        measured=f"{theirs.said_hits} hits of {theirs.hits}",
    )


def judge_hit_counter(claim: CacheClaim, experiments: Experiments) -> Verdict:
    """Read values through the report's counter that could be hits each time but once."""
    counted = experiments.details.counted
    wrong = [one for one in counted if one.hits_of_report < one.reads - 1]
    word: Word = "fell short" if wrong else "held"
    if len(wrong) == len(counted):
        word = "refuted"
    text = f"All {len(counted)} cached values are counted as hits"
    if wrong:
        text = (
            f"{len(wrong)} of {len(counted)} cached values are not counted: "
            + ", ".join(
                f"`{one.value}` has {one.hits_of_report} hits in {one.reads} reads"
                for one in wrong
            )
            + "; each of those reads loads and stores again"
        )
    missed = sum(one.hits_of_ours < one.reads - 1 for one in counted)
    return verdict(
        claim,
        word,
        f"{text}. Ours miscounts {missed}.",
        expected="every hit counted",
        measured=f"{len(counted) - len(wrong)} of {len(counted)} values",
    )


def judge_hit_log(claim: CacheClaim, experiments: Experiments) -> Verdict:
    """Compare the rate that is logged with that of the reads that were made."""
    counted = experiments.details.counted
    reads = max(1, sum(one.reads for one in counted))
    logged = 100 * sum(one.hits_of_report for one in counted) / reads
    true = 100 * sum(one.reads - 1 for one in counted) / reads
    word: Word = "held" if abs(logged - true) <= _SAME_POINTS else "fell short"
    if true and not logged:
        word = "refuted"
    return verdict(
        claim,
        word,
        f"The log says {logged:.2f} % where {true:.2f} % of the reads could be hits, and "
        "one number for every kind of key since the application started.",
        expected=f"{true:.2f} %",
        measured=f"{logged:.2f} %",
    )


def judge_measurable(
    claim: CacheClaim, checks: Checks, experiments: Experiments
) -> Verdict:
    """Ask whether anything in the report tells the cache's own hit rate."""
    stats = judge_stats(claim, checks)
    counter = judge_hit_counter(claim, experiments)
    rights = [one.word == "held" for one in (stats, counter)]
    return verdict(
        claim,
        "held" if all(rights) else "fell short" if any(rights) else "refuted",
        f"The statistics are "
        f"{'those of the cache' if rights[0] else 'those of everybody on the server'}, the "
        f"counter that the report advises "
        f"{'counts every hit' if rights[1] else 'misses hits'}, and neither tells one kind "
        "of key from another. Ours counts hits, joined reads, misses and loads by key "
        "pattern.",
        expected="the cache's own hit rate",
        measured=f"{sum(rights)} of 2 ways right",
    )
