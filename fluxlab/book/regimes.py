"""What else a latency depends on, in sentences and tables: values, buffers, plan modes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pandas as pd

from fluxlab.book.claims import LatencyClaim
from fluxlab.book.sentences import Sentence, before_and_after
from fluxlab.workload.change import Change
from fluxlab.workload.compare import Comparison
from fluxlab.workload.sample import show_median


def both_ways(comparison: Comparison) -> tuple[Change, ...]:
    """Return the clear Changes of the Queries that got faster and slower, by class."""
    torn = {
        query
        for query, outcomes in comparison.by_query.items()
        if {"faster", "slower"} <= outcomes
    }
    return tuple(
        change
        for change in comparison
        if change.query in torn and change.outcome in ("faster", "slower")
    )


def both_ways_sentence(comparison: Comparison) -> Sentence:
    """Say how many Queries are faster with some values and slower with others."""
    count = len({change.query for change in both_ways(comparison)})
    if not count:
        return Sentence(
            f"None of {len(comparison.by_query)} queries is faster with some values and "
            "slower with others."
        )
    return Sentence(
        f"{count} of {len(comparison.by_query)} queries are both: faster with some values, "
        "slower with others. One figure for such a query is wrong, whichever it is."
    )


def cold_sentence(cold: Comparison, warm: Comparison) -> Sentence:
    """Say what emptied shared buffers change about latencies, and about the words."""
    pairs = _beside(cold, warm)
    if not pairs:
        return Sentence(
            "No query was measured with emptied shared buffers: this server cannot empty "
            "them, or nobody asked it to."
        )
    costs = [_slower(one, other) for one, other in pairs]
    turned = sum(
        {one.outcome, other.outcome} == {"faster", "slower"} for one, other in pairs
    )
    return Sentence(
        f"{len(pairs):,} reads were measured with emptied shared buffers as well. Before "
        f"the sprint the one in the middle takes {statistics.median(costs):.1f} times as "
        f"long as with warm ones. {turned} of them are faster in one regime and slower in "
        "the other."
    )


def cold_rows(
    claims: Sequence[LatencyClaim], cold: Comparison, warm: Comparison
) -> pd.DataFrame:
    """Return the report's latency rows in both regimes, one line per class."""
    names = {claim.query: claim.name for claim in claims}
    rows = [
        (
            names[one.query],
            one.of_class,
            *(show_median(side.sample) for side in (other.before, other.after)),
            other.sentence,
            *(show_median(side.sample) for side in (one.before, one.after)),
            one.sentence,
        )
        for one, other in _beside(cold, warm)
        if one.query in names
    ]
    columns = [
        "report's row",
        "class",
        "warm before",
        "warm after",
        "warm change",
        "cold before",
        "cold after",
        "cold change",
    ]
    frame = pd.DataFrame(rows, columns=columns).set_index(columns[0])
    return frame.rename_axis(index=None, columns=columns[0])


def plan_modes_sentence(modes: Comparison) -> Sentence:
    """Say what a plan for any value does to the Queries whose plan it changes."""
    if not len(modes):
        return Sentence("No query gets another plan when it is planned for any value.")
    slower = sorted(modes.of("slower"), key=lambda change: change.factor, reverse=True)
    text = (
        f"{len(modes):,} pairs get another plan when it has to fit any value. "
        f"{len(modes.of('faster'))} of them are faster with it, because they are planned "
        f"once and not each time; {len(slower)} are slower."
    )
    if slower:
        worst = slower[0]
        text += (
            f" The worst is `{worst.query}` ({worst.of_class}): {before_and_after(worst)}."
        )
    return Sentence(text)


def _beside(cold: Comparison, warm: Comparison) -> list[tuple[Change, Change]]:
    known = {change.before.key: change for change in warm}
    return [
        (change, known[change.before.key]) for change in cold if change.before.key in known
    ]


def _slower(cold: Change, warm: Change) -> float:
    return cold.before.sample.median_ms / warm.before.sample.median_ms
