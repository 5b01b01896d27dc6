"""Sentences with measured numbers, so that no chapter types one by hand."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from fluxlab.book.claims import AuditClaim, LatencyClaim
from fluxlab.dataset.load import Dataset
from fluxlab.indexes.catalog import Catalog
from fluxlab.workload.compare import Change, Comparison
from fluxlab.workload.stats import SAME_BAND, show_ms, show_speedup


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
        "A difference counts when the whole 95 percent interval of the ratio lies beyond "
        f"{SAME_BAND:g} and the two plans differ, in shape or in the blocks they touch. "
        "The plan of a write leaves out its triggers and foreign keys, so there the clock "
        "alone decides."
    )


def dataset(found: Dataset) -> Sentence:
    """Say how much data there is."""
    return Sentence(
        f"The data set of size {found.size} has {sum(found.rows.values()):,} rows in "
        f"{len(found.rows)} tables, drawn with seed {found.seed}: the same seed gives the "
        "same bytes on any machine."
    )
