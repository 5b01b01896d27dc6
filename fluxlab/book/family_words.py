"""The families of indexes in sentences and tables: what they save, and live experiments.

Amounts are per 1,000 requests; an index counts in every family that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from fluxlab.book.family_trials import OrderTest, Try
from fluxlab.book.ladder_words import named
from fluxlab.book.phrases import best, change_in_words
from fluxlab.book.sentences import Sentence
from fluxlab.book.whole import Tables
from fluxlab.indexes.amounts import show_bytes, show_ms
from fluxlab.indexes.decision_export import MEANINGS
from fluxlab.indexes.decisions import Decision, Decisions
from fluxlab.workload.sample import Sample, show_median
from fluxlab.workload.stats import Speedup

#: Blocks that are closer than this share are equal but for how pages are filled.
_SAME_BLOCKS = 1.1
#: Of fewer indexes a share says nothing.
_LEAST = 5


def by_family(found: Decisions) -> dict[str, list[Decision]]:
    """Return the Decisions of each family, the largest family first."""
    groups: dict[str, list[Decision]] = {}
    for one in found.rows:
        for family in one.index.families:
            groups.setdefault(family, []).append(one)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def families(found: Decisions) -> pd.DataFrame:
    """Return what each family saves and costs, and what becomes of it."""
    frame = pd.DataFrame(
        {
            "family": family,
            "indexes": len(rows),
            **{word: sum(one.word == word for one in rows) for word in MEANINGS},
            "missed for": show_ms(_saved(rows)),
            "log of writes": show_bytes(sum(one.wal_bytes for one in rows)),
            "size": show_bytes(sum(one.case.size_bytes for one in rows)),
            "best": max(rows, key=_missed).index.name if _saved(rows) else "",
        }
        for family, rows in by_family(found).items()
    )
    return named(frame, "family")


def _missed(one: Decision) -> float:
    return one.case.missed.sure.saved_ms


def _saved(rows: Iterable[Decision]) -> float:
    return sum(max(0.0, _missed(one)) for one in rows)


def families_title(found: Decisions) -> Sentence:
    """Say of which family the largest share is kept, and how many of the plain ones."""
    groups = by_family(found)
    shares = {
        family: sum(one.word == "keep" for one in rows) / len(rows)
        for family, rows in groups.items()
        if len(rows) >= _LEAST
    }
    family = max(shares, key=lambda name: (shares[name], name), default="")
    if not family or not shares[family]:
        return Sentence("No family has an index that is clearly worth its place")
    rows = groups[family]
    kept = sum(one.word == "keep" for one in rows)
    plain = groups.get("single", [])
    text = f"Of the {family} indexes {kept} of {len(rows)} are kept"
    if plain and family != "single":
        stays = sum(one.word == "keep" for one in plain)
        text += f", of the plain ones on a single column {stays} of {len(plain)}"
    return Sentence(text)


def tries(found: Iterable[Try]) -> Tables:
    """Return what each index that was tried does to its statement."""
    frame = pd.DataFrame(_row(one) for one in found)
    for name in ("searches", "WAL records"):
        if name in frame and not frame[name].astype(bool).any():
            frame = frame.drop(columns=name)
    return Tables((("", named(frame, "statement")),))


def _row(one: Try) -> dict[str, object]:
    row: dict[str, object] = {"statement": one.query, "index": one.keys}
    attempt = one.attempt
    if attempt is None:
        return row | {"used": "refused", **dict.fromkeys(_AMOUNTS, "")}
    after = attempt.after
    return row | {
        "used": "yes" if attempt.is_used else "no",
        "blocks": f"{attempt.before.blocks:,} → {after.blocks:,}",
        "rows read": f"{after.rows_read:,}",
        "kept": f"{after.rows_kept:,}",
        "sorts": "yes" if one.sorts else "no",
        "searches": "" if one.searches is None else f"{one.searches:,}",
        "size": show_bytes(attempt.size_bytes),
        "WAL records": f"{attempt.records_more:+,}" if attempt.records_after else "",
    }


_AMOUNTS = ("blocks", "rows read", "kept", "sorts", "searches", "size", "WAL records")


def blocks_of(one: Try) -> int:
    """Return the blocks that the statement touches with the index."""
    return one.attempt.after.blocks if one.attempt else 0


def orders(found: Iterable[OrderTest]) -> Tables:
    """Return both orders of each statement, and which of them the maxim asks for."""
    rows = []
    for test in found:
        for one in (test.first, test.second):
            first = one.keys.strip("()").partition(",")[0]
            row = _row(one)
            rows.append(
                {
                    "statement": test.query,
                    "class": one.of_class,
                    "index": one.keys,
                    "values of the first": f"{test.distinct[first]:,}",
                    "the maxim's": "yes" if one is test.by_maxim else "",
                    "used": row["used"],
                    "blocks": row["blocks"],
                    "rows read": row["rows read"],
                    "sorts": row["sorts"],
                }
            )
    return Tables((("", named(pd.DataFrame(rows), "statement")),))


def orders_title(found: Sequence[OrderTest]) -> Sentence:
    """Say for how many the maxim's order touches more blocks, and by how much."""
    ratios = [blocks_of(one.by_maxim) / max(1, blocks_of(one.against_it)) for one in found]
    worse = [ratio for ratio in ratios if ratio > _SAME_BLOCKS]
    better = sum(ratio < 1 / _SAME_BLOCKS for ratio in ratios)
    equal = len(found) - len(worse) - better
    if not worse:
        return Sentence(
            f'"Most selective first" is the better order for {better or "none"} of '
            f"{len(found)} cases, and makes no difference for {equal or 'none'}"
        )
    return Sentence(
        f'"Most selective first" touches up to {max(worse):.1f} times the blocks: it is '
        f"the worse order for {len(worse)} of {len(found)} cases, the better one for "
        f"{better or 'none'}, and makes no difference for {equal or 'none'}"
    )


def skipped(found: Sequence[Try]) -> Sentence:
    """Say how often an index was searched whose first column was not asked for."""
    direct, *others = found
    told = [one for one in others if one.searches is not None]
    if not told:
        return Sentence(
            "This server does not count searches, as PostgreSQL does from version 18 on."
        )
    skipping = [one for one in told if (one.searches or 0) > 1]
    if not skipping:
        return Sentence(
            "None of these indexes was searched more than once: the planner read them from "
            "end to end, or did not take them."
        )
    words = ", ".join(
        f"`{one.keys}` was searched {one.searches} times for {blocks_of(one):,} blocks"
        for one in skipping
    )
    whole = [one for one in told if one not in skipping]
    rest = f"; {len(whole)} were read in one go from end to end" if whole else ""
    return Sentence(
        f"Without a condition on its first column {words}, where `{direct.keys}` takes "
        f"{blocks_of(direct):,}{rest}."
    )


def partial(
    found: Sequence[Try], contest: tuple[Speedup, tuple[Sample, Sample]]
) -> Sentence:
    """Say what a partial index spares against a full one, and whether it is faster."""
    full, part = found
    speedup, (before, after) = contest
    assert full.attempt is not None
    assert part.attempt is not None
    share = part.attempt.size_bytes / max(1, full.attempt.size_bytes)
    blocks = f"{blocks_of(part):,} blocks instead of {blocks_of(full):,}"
    if blocks_of(part) == blocks_of(full):
        blocks = f"as many blocks, {blocks_of(part):,}"
    return Sentence(
        f"The partial index has {share:.0%} of the size of the full one, and the statement "
        f"touches {blocks}. By the clock it takes {show_median(before)} with the full one "
        f"and {show_median(after)} with the partial one: {_contest_word(speedup)} (95 %: "
        f"{speedup.low:.2g} to {speedup.high:.2g} times as fast)."
    )


def _contest_word(speedup: Speedup) -> str:
    if speedup.is_within():
        return "no difference worth a decision"
    if speedup.is_beyond():
        return "faster" if speedup.ratio > 1 else "slower"
    return "unclear"


def gin(found: Decisions) -> Tables:
    """Return each GIN index: what it serves best, and what it costs beside a B-tree.

    A B-tree is the median of those on the same table.
    """
    rows = []
    for one in by_family(found).get("gin", []):
        changes = one.case.without.effects if one.case.without else ()
        top = best(effect.change for effect in changes)
        rows.append(
            {
                "index": one.index.name,
                "decision": one.word,
                "serves best": change_in_words(top) if top else "nothing for sure",
                "size": show_bytes(one.case.size_bytes),
                "build": show_ms(one.case.build_ms),
                "log of 1,000 writes": _log(one),
                "of a B-tree there": _log(_usual(found, one)),
            }
        )
    return Tables((("", named(pd.DataFrame(rows), "index")),))


def _usual(found: Decisions, gin: Decision) -> Decision | None:
    beside = [
        one
        for one in found.rows
        if one.index.table == gin.index.table and one.index.method == "btree"
    ]
    beside.sort(key=lambda one: one.wal_of_writes or 0.0)
    return beside[len(beside) // 2] if beside else None


def _log(one: Decision | None) -> str:
    if one is None or one.wal_of_writes is None:
        return ""
    return show_bytes(one.wal_of_writes)


def refusals(found: Iterable[Try]) -> Sentence:
    """Say which index the server refused, and in which words."""
    refused = [one for one in found if one.attempt is None]
    if not refused:
        return Sentence("The server refused none of them.")
    return Sentence(
        " ".join(f"`{one.keys}` on {one.query}: {one.refusal}" for one in refused)
    )


def overlaps(found: Decisions) -> Sentence:
    """Say how many indexes belong to more than one family."""
    several = sum(len(one.index.families) > 1 for one in found.rows)
    return Sentence(
        f"{several} of {len(found.rows)} indexes belong to more than one family, and count "
        "in each."
    )
