"""Judges of upkeep: ANALYZE, VACUUM and REINDEX after a week of writes."""

from __future__ import annotations

from collections.abc import Mapping

from fluxlab.book.claims import PracticeClaim
from fluxlab.book.evidence import Evidence
from fluxlab.book.phrases import (
    best,
    change_in_words,
    noise_wins,
    outcomes,
    share,
)
from fluxlab.book.verdicts import Verdict, Word, untried, verdict
from fluxlab.indexes.practices import Growth, Practices

#: A share of blocks spared from here on is worth a chore.
_WORTH, _READS_WORTH = 0.1, 0.05


def judge_analyze(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    """Ask what a week changes that ANALYZE puts right, and who else would have done it."""
    practices = evidence.practices or Practices()
    found = practices.statistics
    if found is None:
        return untried(claim)
    changes = practices.of(found.pairs)
    faster = [one for one in changes if one.outcome == "faster"]
    slower = [one for one in changes if one.outcome == "slower"]
    right = [one for one in found.estimates if one.is_put_right]
    word: Word = "held" if len(faster) > len(slower) else "fell short"
    if not faster and not right:
        word = "unclear" if changes and noise_wins(changes) else "refuted"
    off = sum(one.is_off for one in found.estimates)
    written = [table for table, count in found.written.items() if count]
    top = best(faster)
    helped = [
        one for one in faster if set(evidence.workload[one.query].tables) <= set(found.due)
    ]
    return verdict(
        claim,
        word,
        f"After a week of writes ANALYZE gives {len(changes)} of {found.asked} pairs "
        f"another plan, {found.flickering} that change by chance left out: "
        f"{outcomes(changes)}"
        + (f"; most {change_in_words(top)}" if top else "")
        + f". Of {len(found.estimates)} reads executed {off} had an estimate off by a "
        f"factor of ten or more, and ANALYZE puts {len(right)} of them right. Autovacuum, "
        f"where it is on, would have analysed {len(found.due)} of the {len(written)} "
        "tables written to by itself before the week was over"
        + (
            f"; {len(helped)} of the {len(faster)} faster pairs read no others"
            if faster
            else ""
        )
        + ".",
        expected="better plans or estimates",
        measured=f"{len(changes)} new plans: {outcomes(changes)}",
    )


def judge_bloat(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    """Rebuild the indexes that grew most in the week, and ask whether reads notice."""
    found = (evidence.practices or Practices()).upkeep
    if found is None or not found.rebuilt:
        return untried(claim)
    before, after = (sum(one[side] for one in found.rebuilt.values()) for side in (0, 1))
    reads = [one for one in found.reads if set(one.indexes) & set(found.rebuilt)]
    touched = sum(one.after_vacuum for one in reads)
    spared = touched - sum(one.after_reindex for one in reads)
    word: Word = "refuted"
    if before - after >= _WORTH * before:
        word = "held" if spared >= _READS_WORTH * touched else "fell short"
    worst = max(found.rebuilt, key=lambda name: _lost(*found.rebuilt[name]))
    return verdict(
        claim,
        word,
        f"REINDEX takes the {len(found.rebuilt)} B-trees that a week of writes made grow "
        f"most from {before:,} to {after:,} blocks, `{worst}` from "
        f"{found.rebuilt[worst][0]:,} to {found.rebuilt[worst][1]:,}; the {len(reads)} "
        f"reads that use them touch {touched - spared:,} blocks instead of {touched:,}.",
        expected="smaller, and fewer blocks to read",
        measured=f"{share(_lost(before, after))} of their blocks, "
        f"{share(spared / max(1, touched))} of those touched",
    )


def _lost(before: int, after: int) -> float:
    return (before - after) / max(1, before)


def judge_vacuum(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    """Play the week with VACUUM each day and without; the claim is on tables."""
    found = (evidence.practices or Practices()).upkeep
    if found is None:
        return untried(claim)
    tables, indexes = _grown(found.tables), _grown(found.indexes)
    touched = sum(one.after_week for one in found.reads)
    after = sum(one.after_vacuum for one in found.reads)
    is_noticed = (
        indexes[0] - indexes[1] >= _WORTH * indexes[0] > 0
        or touched - after >= _READS_WORTH * touched > 0
    )
    word: Word = "fell short" if is_noticed else "refuted"
    if tables[0] - tables[1] >= _WORTH * tables[0] > 0:
        word = "held"
    return verdict(
        claim,
        word,
        f"In a week of writes the tables grow by {tables[0]:,} blocks without VACUUM and "
        f"by {tables[1]:,} with one each day, their indexes by {indexes[0]:,} and "
        f"{indexes[1]:,}; after VACUUM {len(found.reads)} reads touch {after:,} blocks "
        f"instead of {touched:,}.",
        expected="tables that grow less",
        measured=f"{share(1 - tables[1] / max(1, tables[0]))} less growth of tables, "
        f"{share(1 - indexes[1] / max(1, indexes[0]))} of indexes",
    )


def _grown(growths: Mapping[str, Growth]) -> tuple[int, int]:
    """Return by how many blocks they grow without VACUUM and with it."""
    return (
        sum(one.never - one.start for one in growths.values()),
        sum(one.daily - one.start for one in growths.values()),
    )
