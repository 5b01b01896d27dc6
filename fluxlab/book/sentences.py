"""Sentences with measured numbers, so that no chapter types one by hand."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from scipy.special import betaincinv

from fluxlab.book.claims import AuditClaim, LatencyClaim
from fluxlab.book.ledger import Ledger
from fluxlab.dataset.load import Dataset
from fluxlab.indexes.catalog import Catalog
from fluxlab.workload.change import BLOCKS_SAVED, FEWER_BLOCKS, MANY_BLOCKS, Change
from fluxlab.workload.compare import Comparison
from fluxlab.workload.noise import NoiseFloor
from fluxlab.workload.sample import show_ms
from fluxlab.workload.scaling import Scaling, show_rows
from fluxlab.workload.stats import CONFIDENCE, MARGIN, show_speedup


class Sentence(str):
    """Prose that a notebook shows as prose."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


def finding(comparison: Comparison) -> Sentence:
    """Say how many Queries got faster, slower, stayed, or are unclear.

    A Query may be faster with one class of parameters and slower with another: then
    it counts on both sides.
    """
    found = comparison.by_query.values()
    faster = sum("faster" in outcomes for outcomes in found)
    slower = sum("slower" in outcomes for outcomes in found)
    same = sum(outcomes == {"same"} for outcomes in found)
    unclear = sum(not outcomes & {"faster", "slower"} for outcomes in found) - same
    return Sentence(
        f"{faster} of {len(found)} queries got faster with some parameters, {slower} "
        f"slower; {same} stayed the same, {unclear} are unclear"
    )


def middle(comparison: Comparison) -> Sentence:
    """Say what happened to the Query in the middle, all pairs counted alike."""
    ratios = sorted(change.speedup.ratio for change in comparison)
    low, median, high = statistics.quantiles(ratios, n=4)
    share = len(comparison.of("faster")) / len(comparison)
    return Sentence(
        f"The pair in the middle is {show_speedup(median)}; half of all {len(ratios):,} "
        f"pairs lie between {show_speedup(low)} and {show_speedup(high)}. {share:.0%} of "
        "the pairs are faster by more than our margin."
    )


def losers(comparison: Comparison) -> Sentence:
    """Say how many pairs got slower and whether their plans changed."""
    slower = comparison.of("slower")
    if not slower:
        return Sentence(
            f"None of the {len(comparison):,} pairs got slower by more than our margin."
        )
    changed = sum(change.has_new_plan for change in slower)
    worst = max(slower, key=lambda change: change.factor)
    return Sentence(
        f"{len(slower)} of {len(comparison):,} pairs got slower, {changed} of them with "
        f"another plan. The worst is `{worst.query}` ({worst.of_class}): "
        f"{before_and_after(worst)}."
    )


def slower_title(comparison: Comparison) -> Sentence:
    """Say how many pairs got slower, and that the worst come first."""
    count = len(comparison.of("slower"))
    return Sentence(
        f"{count} of {len(comparison):,} pairs became slower; the worst stand at the top"
    )


def six_rows(claims: Sequence[LatencyClaim], comparison: Comparison) -> Sentence:
    """Say how many rows of the report's latency table start where it says they do."""
    reached = 0
    for claim in claims:
        slowest = max(
            change.before.sample.median_ms
            for change in comparison
            if change.query == claim.query
        )
        reached += slowest >= claim.before_ms
    return Sentence(
        f"In {reached} of {len(claims)} rows some class of parameters was, before the "
        "sprint, as slow as the report says or slower."
    )


def before_and_after(change: Change) -> str:
    """Say one Change: both medians and the ratio."""
    before, after = change.before.sample, change.after.sample
    return f"{show_ms(before.median_ms)} → {show_ms(after.median_ms)}, {change.speedup}"


def weight(before: Catalog, after: Catalog) -> Sentence:
    """Say what the indexes weigh beside the tables, before and after."""
    table = sum(one.table_bytes for one in before.tables)
    old = sum(one.index_bytes for one in before.tables)
    new = sum(one.index_bytes for one in after.tables)
    return Sentence(
        f"The tables weigh {table / 2**20:,.0f} MiB. Their indexes weighed "
        f"{old / 2**20:,.0f} MiB before the sprint and {new / 2**20:,.0f} MiB after it: "
        f"{len(before.indexes)} indexes became {len(after.indexes)}."
    )


def unindexed(before: Catalog, after: Catalog) -> Sentence:
    """Say how many foreign keys lack an index in each state."""
    return Sentence(
        f"{len(before.unindexed_foreign_keys)} of {len(before.foreign_keys)} foreign keys "
        f"had no index before the sprint, {len(after.unindexed_foreign_keys)} have none "
        "after it."
    )


def audited(claims: Sequence[AuditClaim], after: Catalog) -> Sentence:
    """Say for how many tables the report's count of indexed columns is right."""
    off = [
        claim
        for claim in claims
        if len(after.indexed_columns(claim.table)) != claim.columns
    ]
    over = sum(claim.columns > len(after.indexed_columns(claim.table)) for claim in off)
    return Sentence(
        f"{len(claims) - len(off)} of {len(claims)} counts are exact. {over} name more "
        f"columns than any index has, {len(off) - over} name fewer."
    )


def heaviest(before: Catalog, after: Catalog) -> Sentence:
    """Say which table weighs most with its indexes, and its share of what was added."""
    old = {table.name: table.index_bytes for table in before.tables}
    added = {table.name: table.index_bytes - old[table.name] for table in after.tables}
    weights = {table.name: table.table_bytes + table.index_bytes for table in after.tables}
    name = max(weights, key=lambda table: weights[table])
    return Sentence(
        f"The table {name} has {weights[name] / sum(weights.values()):.0%} of the weight "
        f"and {added[name] / sum(added.values()):.0%} of what the sprint added"
    )


def margin() -> Sentence:
    """Say when a difference counts."""
    return Sentence(
        f"A difference counts from {MARGIN - 1:.0%} on: the whole 95 percent interval of "
        "the ratio, widened by the systematic error of this machine, lies beyond it, and "
        f"the look survives the correction for all other looks (Benjamini–Hochberg at "
        f"{1 - CONFIDENCE:.0%}). *Same* means that the whole interval lies within it. "
        "Reads with the same plan over as many rows and blocks are *same* where the clocks "
        f"are unclear, and from {MANY_BLOCKS} blocks on whatever they say: the memory of "
        "two copies is not equally fast. Where the work differs and "
        "neither clock decides, the blocks do, if one state touches "
        f"{FEWER_BLOCKS:g} times fewer and at least {BLOCKS_SAVED} fewer, and the word "
        "says “by blocks”."
    )


def dataset(found: Dataset) -> Sentence:
    """Say how much data there is."""
    return Sentence(
        f"The data set of size {found.size} has {sum(found.rows.values()):,} rows in "
        f"{len(found.rows)} tables, drawn with seed {found.seed}: the same seed gives the "
        "same bytes on any machine."
    )


def verdicts(ledger: Ledger) -> Sentence:
    """Say how many claims are judged, and with which words."""
    counts = ledger.counts
    return Sentence(
        f"{len(ledger.judged)} of the report's {len(ledger)} claims are judged: "
        f"{counts['held']} held, {counts['fell short']} fell short, {counts['refuted']} "
        f"are refuted and {counts['unclear']} unclear. {counts['not measured yet']} are "
        f"not measured yet and {counts['not testable']} not testable."
    )


def verdicts_title(ledger: Ledger) -> Sentence:
    """Say which section of the report has most claims that did not hold."""
    missed = Counter(
        ledger.section(one) for one in (*ledger.of("refuted"), *ledger.of("fell short"))
    )
    held = len(ledger.of("held"))
    if not missed:
        return Sentence(f"All {held} claims that are decided hold")
    section, most = missed.most_common(1)[0]
    return Sentence(
        f"{held} of {held + missed.total()} decided claims hold; of the others most, "
        f"{most}, stand under “{section}”"
    )


def six_verdicts(ledger: Ledger) -> Sentence:
    """Say the words on the rows of the report's latency table."""
    found = Counter(one.word for one in ledger.rows)
    counts = ", ".join(f"{count} {word}" for word, count in found.most_common())
    return Sentence(f"Of the {len(ledger.rows)} rows of the latency table: {counts}.")


def noise(control: Comparison, floor: NoiseFloor) -> Sentence:
    """Say what an A/A run called that is no difference, and what it can call.

    Intervals are exact (Clopper & Pearson, Biometrika 26, 1934).
    """
    by_clock = sum(one.by_clock in ("faster", "slower") for one in control)
    by_rule = len(control.of("faster")) + len(control.of("slower"))
    return Sentence(
        f"Of {len(control):,} pairs of the baseline and its own copy, where the truth is "
        f"no difference, the clocks alone call {_rate(by_clock, len(control))} faster or "
        f"slower, the whole rule {_rate(by_rule, len(control))}. {_visible(floor)}"
    )


def noise_title(control: Comparison, floor: NoiseFloor) -> Sentence:
    """Say how many A/A pairs are called, and the smallest effect of the best stratum."""
    called = len(control.of("faster")) + len(control.of("slower"))
    start = f"{called} of {len(control):,} pairs without a difference are called different"
    if not floor.strata:
        return Sentence(f"{start}; that is too few to know what this machine sees")
    if floor.is_blind:
        return Sentence(f"{start}; this machine is too noisy to call much")
    return Sentence(f"{start}; {floor.smallest_effect:.2f}× is the least this machine sees")


def _visible(floor: NoiseFloor) -> str:
    """Say the smallest effect of each stratum, or that there is next to none."""
    if not floor.strata:
        return (
            "That is too little to know what this machine can see: until there are more "
            "pairs, verdicts rest on blocks."
        )
    if floor.is_blind:
        return (
            "This machine is too noisy for its clocks to call anything below "
            f"{floor.smallest_effect:.1f}×: verdicts rest on blocks."
        )
    effects = [
        f"{one.smallest_effect:.2f}× {reach}"
        for one, reach in zip(floor.strata, strata(floor), strict=True)
        if one.pairs
    ]
    return f"The smallest effect called in half of the cases is {', '.join(effects)}."


def strata(floor: NoiseFloor) -> list[str]:
    """Name the strata by the latencies they hold."""
    names, lower = [], 0.0
    for one in floor.strata:
        if math.isfinite(one.up_to_ms):
            names.append(f"up to {one.up_to_ms:g} ms")
        else:
            names.append(f"above {lower:g} ms")
        lower = one.up_to_ms
    return names


def _rate(count: int, total: int) -> str:
    if not total:
        return "0"
    tail = (1 - CONFIDENCE) / 2
    low = betaincinv(count, total - count + 1, tail) if count else 0.0
    high = betaincinv(count + 1, total - count, 1 - tail) if count < total else 1.0
    return f"{count} ({count / total:.1%}; 95 percent {low:.1%}–{high:.1%})"


def scaling_title(found: Scaling) -> Sentence:
    """Say how many rows of the report are as slow as it says at any size measured."""
    firsts = [found.first(name) for name in found.names]
    reached = sum(one.crossing.kind in ("below", "measured") for one in firsts)
    return Sentence(
        f"{reached} of the report's {len(firsts)} latencies “before” can be found at some "
        f"size up to {show_rows(found.sizes[-1][1])} rows"
    )


def scaling(found: Scaling) -> Sentence:
    """Say on how much data the report's latencies before the sprint are true.

    Each row counts with the class of parameters that gets there first. Where sizes are
    missing, the command that measures them stands at the end.
    """
    firsts = [found.first(name) for name in found.names]
    places = "; ".join(f"{one.name}, {one.of_class}: {one.sentence}" for one in firsts)
    sizes = [f"{show_rows(rows)} rows" for _, rows in found.sizes]
    text = (
        "The data on which the report's “before” is true, with the class of parameters "
        f"that gets there first. {places}. Measured at {_listed(sizes)}."
    )
    if found.missing:
        users = _listed([f"{count:,}" for count in found.missing])
        text += f" `make run BUDGET=standard` measures {users} users as well."
    return Sentence(text)


def _listed(words: Sequence[str]) -> str:
    """Join words as a sentence does.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if words[1:] else words[0]
