"""Judges of practices that a small experiment can contradict: `indexes.practices`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fluxlab.book.claims import FamilyClaim, MigrationClaim, PracticeClaim
from fluxlab.book.evidence import Evidence
from fluxlab.book.judges_upkeep import judge_analyze, judge_bloat, judge_vacuum
from fluxlab.book.phrases import (
    best,
    change_in_words,
    listed,
    outcomes,
    share,
)
from fluxlab.book.verdicts import Verdict, Word, untried, verdict
from fluxlab.indexes.amounts import show_bytes
from fluxlab.indexes.decisions import sure_ms
from fluxlab.indexes.practices import Practices
from fluxlab.indexes.price import Price
from fluxlab.workload.change import Change
from fluxlab.workload.sample import show_ms

#: Two plans touch as many blocks where they differ by no more than this.
_AS_MANY = 0.1
#: Blocks of many plans together differ a little from run to run, by hint bits.
_SAME_BLOCKS = 0.02


def judge_one_string(claim: MigrationClaim, evidence: Evidence) -> Verdict:
    """Send the file as the application does, and look what is there and what waited."""
    found = _practices(evidence).one_string
    if found is None:
        return untried(claim)
    word: Word = "held" if found.made == found.wanted else "fell short"
    if not found.made:
        word = "refuted"
    how = "one transaction" if found.transactions == 1 else "several transactions"
    text = (
        f"{found.made} of {found.wanted} indexes are there, made by {how}: until its end, "
        f"after {show_ms(found.blocked_ms)}, nobody could write to {len(found.locked)} "
        f"tables"
    )
    if found.again:
        text += f". Sent once more the server says: {found.again}"
    if found.concurrently:
        text += f". With CONCURRENTLY it says: {found.concurrently}"
    return verdict(
        claim,
        word,
        f"{text}.",
        expected=f"{found.wanted} indexes",
        measured=f"{found.made} in {how}",
    )


def judge_partial_faster(claim: FamilyClaim, evidence: Evidence) -> Verdict:
    """Compare each partial index with a full one on its keys, by whoever reads either.

    Where the clock is unsure, a pair that touches as many blocks with either is no gain.
    """
    practices = _practices(evidence)
    if practices.twins is None:
        return untried(claim)
    changes = practices.of([pair for twin in practices.twins for pair in twin.pairs])
    faster = _of("faster", changes)
    slower = _of("slower", changes)
    alike = [
        one
        for one in changes
        if one.outcome == "same" or (one.outcome == "unclear" and _touches_as_many(one))
    ]
    word: Word = "refuted" if 2 * len(alike + slower) > len(changes) else "unclear"
    if len(faster) > len(slower):
        word = "held" if 2 * len(faster) > len(changes) else "fell short"
    sizes = [sum(getattr(one, of) for one in practices.twins) for of in _SIZES]
    top = best(faster)
    return verdict(
        claim,
        word,
        f"Of {len(changes)} pairs that read a partial index or a full one on the same "
        f"keys {len(faster)} are faster with the partial one, {len(slower)} slower, and "
        f"{len(alike)} are as fast or touch as many blocks"
        + (f"; most {change_in_words(top)}" if top else "")
        + f". All {len(practices.twins)} partial indexes have "
        f"{share(sizes[0] / max(1, sizes[1]))} of the size of the full ones.",
        expected="faster than a full index",
        measured=outcomes(changes),
    )


_SIZES = ("size_bytes", "full_bytes")


def _touches_as_many(change: Change) -> bool:
    before, after = change.before.plan.blocks, change.after.plan.blocks
    return abs(before - after) <= _AS_MANY * max(before, after)


def _select_star(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    """Let the clocks decide: the rows stand in as many blocks, whatever is asked."""
    practices = _practices(evidence)
    if practices.narrowed is None:
        return untried(claim)
    changes = practices.of([one.pair for one in practices.narrowed if one.pair])
    wide, slim = (
        sum(one.answer_bytes[side] for one in practices.narrowed) for side in (0, 1)
    )
    return verdict(
        claim,
        _word_by_clock(changes),
        f"{len(practices.narrowed)} queries that ask for all columns, asked for those that "
        f"two other queries read, answer with {show_bytes(slim)} instead of "
        f"{show_bytes(wide)}. Of the {len(changes)} asked most often or with the largest "
        f"answers: {_by_clock(changes)}{_most_by_clock(changes)}; "
        f"{_blocks_said(changes)}.",
        expected="faster with fewer columns",
        measured=f"{_by_clock(changes)}; {share(1 - slim / max(1, wide))} fewer bytes",
    )


def _blocks_said(changes: Sequence[Change]) -> str:
    before = sum(one.before.plan.blocks for one in changes)
    after = sum(one.after.plan.blocks for one in changes)
    if abs(before - after) <= _SAME_BLOCKS * before:
        return f"they touch as many blocks, {before:,}"
    return f"they touch {after:,} blocks instead of {before:,}"


def _prepared(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    """Weigh the planning that is spared against the plans that fit no value well."""
    practices = _practices(evidence)
    found = practices.preparing
    if found is None:
        return untried(claim)
    changes = practices.of(found.pairs)
    modes = [one for one in evidence.plan_modes or () if one.query in found.generic]
    traps = _of("slower", modes)
    word = _word_by_clock(changes)
    if word == "held" and traps:
        word = "fell short"
    text = (
        f"Of the {len(changes)} reads asked most often, prepared against planned each "
        f"time: {_by_clock(changes)}"
        f"{_most_by_clock(changes)}. The server stops planning {len(found.generic)} of "
        f"{found.asked} reads for their values, and for {len(found.differing)} of them "
        f"some value has another plan of its own; of {len(modes)} such pairs measured "
        f"{len(traps)} are slower with the plan for any value"
    )
    if traps:
        worst = min(traps, key=lambda one: one.speedup.ratio)
        text += f", most {change_in_words(worst)}"
    return verdict(
        claim,
        word,
        f"{text}.",
        expected="faster prepared, and none slower",
        measured=f"{_by_clock(changes)}; {len(traps)} slower by a general plan",
    )


def _unused_price(claim: PracticeClaim, evidence: Evidence) -> Verdict:
    """Ask what writes pay for the indexes that no plan misses."""
    trials = evidence.indexes.trials.get("without", {}) if evidence.indexes else {}
    idle = [name for name, one in trials.items() if not one.switches]
    prices = [evidence.prices[name] for name in idle if name in evidence.prices]
    if not trials or (idle and not prices):
        return untried(claim)
    weights = {name: query.weight for name, query in evidence.workload.items()}
    amounts = {one.subject: _wal_bytes(one, weights) for one in prices}
    paid = [name for name, amount in amounts.items() if amount > 0]
    lost = sum(one.per_thousand(weights, lambda write: write.hot_lost) for one in prices)
    slow = [one for one in prices if any(sure_ms(write) > 0 for write in one.writes)]
    word: Word = "held" if slow else "fell short"
    if not paid:
        word = "refuted"
    dearest = max(amounts, key=lambda name: amounts[name], default="")
    return verdict(
        claim,
        word,
        f"No plan changes when one of {len(idle)} indexes is taken away. In 1,000 requests "
        f"they cost {show_bytes(sum(amounts.values()))} of WAL and {lost:.1f} HOT updates"
        + (f", `{dearest}` most with {show_bytes(amounts[dearest])}" if paid else "")
        + (
            f"; the clock sees a write slowed down by {len(slow)} of them: "
            f"{listed(one.subject for one in slow)}."
            if slow
            else "; the clock sees no write slowed down."
        ),
        expected="slower writes with them",
        measured=f"{len(paid)} of {len(idle)} cost WAL, {len(slow)} time",
    )


def _wal_bytes(price: Price, weights: Mapping[str, float]) -> float:
    return price.per_thousand(weights, lambda write: write.wal_bytes)


def _practices(evidence: Evidence) -> Practices:
    return evidence.practices or Practices()


def _of(outcome: str, changes: Sequence[Change]) -> list[Change]:
    return [one for one in changes if one.outcome == outcome]


def _word_by_clock(changes: Sequence[Change]) -> Word:
    """*Held* where most are faster by the clocks; blocks say nothing of the rest."""
    counts = {word: sum(one.by_clock == word for one in changes) for word in _WORDS}
    if counts["faster"] > counts["slower"]:
        return "held" if 2 * counts["faster"] > len(changes) else "fell short"
    return "unclear" if 2 * counts["unclear"] > len(changes) else "refuted"


_WORDS = ("faster", "slower", "same", "unclear")


def _by_clock(changes: Sequence[Change]) -> str:
    counts = {word: sum(one.by_clock == word for one in changes) for word in _WORDS}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "none"


def _most_by_clock(changes: Sequence[Change]) -> str:
    """Say which pair the clocks call faster by most; empty where there is none.

    Its sentence would not do: where the same blocks are read, it goes by them.
    """
    faster = [one for one in changes if one.by_clock == "faster"]
    if not faster:
        return ""
    top = max(faster, key=lambda one: one.speedup.ratio)
    return f"; most `{top.query}` ({top.of_class}): {top.speedup} ({top.speedup.interval})"


PRACTICES: Mapping[str, Callable[[PracticeClaim, Evidence], Verdict]] = {
    "analyze": judge_analyze,
    "bloat": judge_bloat,
    "prepared": _prepared,
    "select star": _select_star,
    "unused price": _unused_price,
    "vacuum": judge_vacuum,
}
