"""The traps of measuring in sentences and tables; their figures are in noise_charts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import pandas as pd

from fluxlab.book.sentences import Sentence, strata
from fluxlab.workload.budget import BLOCK_MS, BUDGETS, executions_of
from fluxlab.workload.change import Change
from fluxlab.workload.compare import Comparison
from fluxlab.workload.luck import Luck, Stopping
from fluxlab.workload.noise import STRATA_MS, NoiseFloor
from fluxlab.workload.sample import Sample, show_ms
from fluxlab.workload.stats import FEW_ROUNDS, Outcome, show_speedup
from fluxlab.workload.traps import Alternation, ExplainClock, Placement

_WITNESSES = {
    "clock": "the client's clock",
    "cpu": "the CPU time",
    "blocks": "plan and blocks",
}


def floor(control: Comparison, found: NoiseFloor) -> pd.DataFrame:
    """Return per stratum: A/A pairs, what was called, the error, the smallest effect."""
    bounds = [0.0, *STRATA_MS]
    rows = []
    for number, one in enumerate(found.strata):
        here = [
            change
            for change in control
            if bounds[number] < change.before.sample.median_ms <= one.up_to_ms
        ]
        rows.append(
            {
                "latency": strata(found)[number],
                "A/A pairs": len(here),
                "called by the clocks": _called(change.by_clock for change in here),
                "by the whole rule": _called(change.outcome for change in here),
                "systematic error": f"{math.expm1(one.systematic):.1%}",
                "smallest effect": f"{one.smallest_effect:.2f}×",
            }
        )
    columns = ["latency", "A/A pairs", "called by the clocks", "by the whole rule"]
    columns += ["systematic error", "smallest effect"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.set_index("latency").rename_axis(index=None)


def rounds(change: Change) -> pd.DataFrame:
    """Return the rounds of a Change: the median of both blocks, and their ratio."""
    before, after = change.before.sample, change.after.sample
    return pd.DataFrame(
        {
            "order": "before, after" if number % 2 == 0 else "after, before",
            "before": show_ms(one),
            "after": show_ms(other),
            "before ÷ after": f"{one / other:.2f}",
        }
        for number, (one, other) in enumerate(
            zip(before.levels_ms, after.levels_ms, strict=False)
        )
    ).rename(index=lambda number: f"round {number + 1}")


def block() -> Sentence:
    """Say what a block is."""
    return Sentence(
        f"A block is {executions_of(BLOCK_MS)} executions in one go, or as many as last "
        f"{BLOCK_MS:g} ms; a statement that lasts longer by itself is a block of its own. "
        "An execution before each block does not count."
    )


def interval(change: Change, found: NoiseFloor) -> Sentence:
    """Say the interval of a ratio by its rounds, and what the machine adds to it."""
    raw, whole = change.raw, change.speedup
    error = math.expm1(found.systematic(change.before.sample.median_ms))
    how = "Hodges–Lehmann, bootstrap" if raw.rounds >= FEW_ROUNDS else "Student's t"
    return Sentence(
        f"`{change.query}` ({change.of_class}), before ÷ after: {raw.ratio:.2f}, by its "
        f"{raw.rounds} rounds alone between {raw.low:.2f} and {raw.high:.2f} ({how}). The "
        f"systematic error of this machine at {show_ms(change.before.sample.median_ms)} is "
        f"{error:.1%}; with it, between {whole.low:.2f} and {whole.high:.2f}. The word is "
        f"*{change.outcome}*, by {_WITNESSES[change.decided_by]}."
    )


def cut_off(comparison: Comparison) -> Sentence:
    """Say how many pairs have a side that was cut off."""
    sides = [
        (one.before.sample.is_censored, one.after.sample.is_censored) for one in comparison
    ]
    return Sentence(
        f"{sum(any(side) for side in sides)} of {len(sides):,} pairs have a side that was "
        f"cut off, {sum(all(side) for side in sides)} have two."
    )


def placement(found: Placement) -> Sentence:
    """Say between which ratios a Query came out against itself, free and pinned."""
    free = f"left alone, {_span(found.free)} over {len(found.free)} pairs of connections"
    if not found.is_possible:
        return Sentence(
            f"`{found.query}` against itself: {free}. Here nothing can be pinned, so the "
            "rounds rotate over several connections."
        )
    return Sentence(
        f"`{found.query}` against itself: {free}; pinned, {_span(found.pinned)} over "
        f"{len(found.pinned)}. {_wider(found)}"
    )


def placement_title(found: Placement) -> Sentence:
    """Say how far apart the ratios of one Query with itself lie."""
    start = f"A query against itself is off by up to {_off(found.free):.0%} left alone"
    if not found.is_possible:
        return Sentence(f"{start}; nothing can be pinned here")
    return Sentence(f"{start}, by up to {_off(found.pinned):.0%} pinned")


def alternation(found: Alternation) -> Sentence:
    """Say which speed-up each order shows, and what the fast side pays."""
    if found.slowed < 1:
        what = "This time the fast side paid nothing for running after the slow one."
    else:
        what = (
            f"Directly after the slow side the fast one takes {found.slowed:.1f} times "
            "as long as after itself."
        )
    return Sentence(
        f"`{found.query}` ({found.of_class}) is {_speedup(found, 'strict')} in strict "
        f"alternation and {_speedup(found, 'blocks')} in blocks. {what}"
    )


def orders(found: Alternation) -> pd.DataFrame:
    """Return what each order says of the fast side and of the ratio."""
    rows: list[tuple[str, Sample, str]] = [
        ("A B A B", found.after_strict, found.strict.interval),
        ("blocks, A B B A", found.after_blocks, found.blocks.interval),
    ]
    ratios = (found.strict.ratio, found.blocks.ratio)
    return pd.DataFrame(
        {
            "order": order,
            "after": str(sample),
            "speed-up": show_speedup(ratio),
            "95 %": interval,
        }
        for (order, sample, interval), ratio in zip(rows, ratios, strict=True)
    ).set_index("order")


def clocks(found: Sequence[ExplainClock]) -> pd.DataFrame:
    """Return what three clocks say of each Query."""
    return pd.DataFrame(
        {
            "query": f"{one.query} · {one.of_class}",
            "client": show_ms(one.bare.median_ms),
            "client, under EXPLAIN": show_ms(one.explained.median_ms),
            "ratio": f"{one.explained_ratio:.2f}",
            "Execution Time": show_ms(one.execution_ms),
            "ratio to client": f"{one.execution_ratio:.2f}",
        }
        for one in found
    ).set_index("query")


def explained(found: Sequence[ExplainClock]) -> Sentence:
    """Say how far the clocks of EXPLAIN ANALYZE lie from the client's."""
    adds = [one.explained_ratio for one in found]
    shows = [one.execution_ratio for one in found]
    return Sentence(
        f"EXPLAIN ANALYZE makes these {len(found)} queries {min(adds):.2f} to "
        f"{max(adds):.2f} times as long at the client, and its “Execution Time” shows "
        f"{min(shows):.2f} to {max(shows):.2f} of the latency without it."
    )


def lucky(found: Sequence[Luck]) -> pd.DataFrame:
    """Return what one execution each announces, on average, per word of our rule."""
    return pd.DataFrame(
        {
            "our rule says": one.truth,
            "pairs": one.pairs,
            "one pass: faster": f"{one.faster:.0f}",
            "slower": f"{one.slower:.0f}",
            "nothing": f"{one.same:.0f}",
        }
        for one in found
    ).set_index("our rule says")


def lucky_title(found: Luck) -> Sentence:
    """Say how often one execution each announces a change that is none."""
    return Sentence(
        f"One execution each announces a change in {found.announced:.0%} of "
        f"{found.pairs:,} pairs that have none; our rule calls {found.called}"
    )


def stopping(found: Stopping) -> Sentence:
    """Say how often a difference is announced that is none, by when one stops."""
    if not found.rounds:
        return Sentence("No A/A pair has enough rounds to simulate with.")
    return Sentence(
        f"Who stops as soon as it looks good announces a difference in "
        f"{found.peeking[-1]:.0%} of pairs that have none within {found.rounds[-1]} "
        f"rounds; who looks once, in {found.waiting[-1]:.0%}; who stops only beyond our "
        f"margin, in {found.margin[-1]:.1%}"
    )


def stopping_title(found: Stopping) -> Sentence:
    """Say how often stopping when it looks good announces what is not there."""
    if not found.rounds:
        return Sentence("No A/A pair has enough rounds to watch anybody with")
    share = found.peeking[-1]
    return Sentence(
        f"Who stops as soon as it looks good announces a difference in {share:.0%} of "
        "pairs that have none"
    )


def budgets() -> pd.DataFrame:
    """Return what a budget gives to each pair, and to all."""
    return pd.DataFrame(
        {
            "budget": one.name,
            "clocks run for": f"{one.seconds / 60:g} min",
            "rounds of a pair, at most": one.max_rounds,
            "cut off after": f"{one.timeout_ms / 1_000:g} s",
        }
        for one in BUDGETS.values()
    ).set_index("budget")


def decided(comparison: Comparison) -> pd.DataFrame:
    """Return how many words rest on which evidence."""
    frame = comparison.frame()
    return pd.crosstab(frame["outcome"], frame["decided_by"])


def _called(outcomes: Iterable[Outcome]) -> int:
    return sum(outcome in ("faster", "slower") for outcome in outcomes)


def _speedup(found: Alternation, order: str) -> str:
    one = found.strict if order == "strict" else found.blocks
    return f"{show_speedup(one.ratio)} ({one.interval})"


def _span(ratios: Sequence[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def _off(ratios: Sequence[float]) -> float:
    return max(max(ratio, 1 / ratio) for ratio in ratios) - 1


def _wider(found: Placement) -> str:
    spreads = [
        statistics.pstdev([math.log(ratio) for ratio in ratios])
        for ratios in (found.free, found.pinned)
    ]
    if spreads[0] < spreads[1]:
        return "This time the free ones spread less: luck, of which no run is sure."
    return f"The spread left alone is {spreads[0] / spreads[1]:.1f} times as wide."
