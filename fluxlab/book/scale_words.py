"""What an index does at each size of its table, in sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from fluxlab.book.sentences import Sentence
from fluxlab.workload.sample import show_median
from fluxlab.workload.served import At, IndexScale, Served
from fluxlab.workload.stats import MARGIN, Speedup, show_speedup

#: Facts of the reference that a reader compares with her own machine.
_SHOWN_FACTS = (
    "measured on",
    "command",
    "system",
    "cpu",
    "cpus",
    "memory",
    "version",
    "shared_buffers",
    "work_mem",
    "random_page_cost",
    "placement",
    "seed",
    "a first look at each",
    "cut off at",
)


def show_count(rows: float) -> str:
    """Write a number of rows with two significant digits.

    >>> show_count(60), show_count(1_200), show_count(2_500_000)
    ('60', '1.2 k', '2.5 M')
    """
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if float(f"{rows:.2g}") >= size:
            return f"{float(f'{rows / size:.2g}'):g}{unit}"
    return f"{rows:g}"


def starts_title(found: IndexScale, of_class: str = "typical") -> Sentence:
    """Say how many statements are faster with their indexes at the ends of the scale."""
    served = found.of(of_class)
    first, last = (
        sum(one.points[end].outcome == "faster" for one in served) for end in (0, -1)
    )
    return Sentence(
        f"{first} of {len(served)} statements are faster with their indexes at "
        f"{found.users[0]:,} users, {last} at {found.users[-1]:,}"
    )


def starts(found: IndexScale, of_class: str = "typical") -> Sentence:
    """Say between which sizes of its table each statement's indexes begin to help."""
    served = found.of(of_class)
    before = [one for one in served if one.start == 0]
    between = [one for one in served if one.start]
    never = [one for one in served if one.start is None]
    parts = []
    if before:
        parts.append(
            "At the smallest size already: "
            + _listed(f"{one.name} ({_rows(one.points[0])})" for one in before)
        )
    if between:
        parts.append(
            "Later: " + _listed(f"{one.name} ({_between(one)})" for one in between)
        )
    if never:
        parts.append(
            "At no size measured: "
            + _listed(f"{one.name} (up to {_rows(one.points[-1])})" for one in never)
        )
    return Sentence(". ".join(parts) + ".")


def slopes_title(found: IndexScale, of_class: str = "typical") -> Sentence:
    """Say what ten times the rows cost the statement in the middle, on both sides."""
    served = found.of(of_class)
    without, with_ = (
        _middle(one.slope(which).exponent for one in served)
        for which in ("without", "with")
    )
    return Sentence(
        f"Ten times the rows cost {10**without:.1f} times the latency without indexes and "
        f"{10**with_:.1f} times with them, for the statement in the middle of {len(served)}"
    )


def _middle(numbers: Iterable[float]) -> float:
    known = sorted(number for number in numbers if math.isfinite(number))
    return known[len(known) // 2] if known else 0.0


def slopes(found: IndexScale) -> pd.DataFrame:
    """Return the exponents of latency and blocks on both sides, with 95 % intervals."""
    return _frame(
        {
            "statement": one.name,
            "class": one.of_class,
            "rows of the table": f"{_rows(one.points[0])} – {_rows(one.points[-1])}",
            "latency without": str(one.slope("without")),
            "latency with": str(one.slope("with")),
            "blocks without": str(one.block_slope("without")),
            "blocks with": str(one.block_slope("with")),
        }
        for one in found.served
    )


def latencies(found: IndexScale) -> pd.DataFrame:
    """Return the medians without → with at each size, and how much faster with.

    In brackets the 95 % interval of the ratio, and the number of rounds behind it.
    """
    return _frame(
        {
            "statement": one.name,
            "class": one.of_class,
            "users": f"{at.users:,}",
            "rows": _rows(at),
            "without → with": _pair(at),
            "with the indexes": _said(at),
            "rounds": min(len(side.levels_ms) for side in at.sides.values()),
            "executions": " / ".join(
                str(at.sides[which].executions) for which in ("without", "with")
            ),
        }
        for one in found.served
        for at in one.points
    )


def costs(found: IndexScale, of_class: str = "typical") -> pd.DataFrame:
    """Return what the planner expects of the indexes beside what the clock says."""
    rows: list[Mapping[str, object]] = []
    for one in found.of(of_class):
        ratios = {
            f"{at.users:,} users": f"{_ratio(_cost_ratio(at))} / {_ratio(at.speedup.ratio)}"
            for at in one.points
        }
        rows.append({"statement": one.name, **ratios})
    return _frame(rows)


def _cost_ratio(at: At) -> float:
    with_ = at.sides["with"].cost
    return at.sides["without"].cost / with_ if with_ else math.inf


def decisions(found: IndexScale, of_class: str = "typical") -> pd.DataFrame:
    """Return per statement what serves it, what that weighs, and from which size on."""
    rows: list[Mapping[str, object]] = []
    for one in found.of(of_class):
        last = one.points[-1]
        read = [name for name in last.sides["with"].indexes if name in last.hidden]
        mib = sum(last.hidden[name] for name in read) / 2**20
        rows.append(
            {
                "statement": one.name,
                "served by": ", ".join(read) or "none",
                f"MiB at {last.users:,} users": f"{mib:.1f}",
                "helps from": _from(one),
                "at the largest size": _said(last),
                "decision": _decision(one),
            }
        )
    return _frame(rows)


def _decision(one: Served) -> str:
    if one.start is None:
        return "needs another reason"
    return "keep" if one.start == 0 else "keep, for a table that grows"


def own_title(own: IndexScale, of_class: str = "typical") -> Sentence:
    """Say how many statements are faster with their indexes at the reader's own size."""
    served = own.of(of_class)
    faster = sum(one.points[-1].outcome == "faster" for one in served)
    return Sentence(
        f"In this lab, of {own.users[-1]:,} users, {faster} of {len(served)} statements "
        "are faster with their indexes"
    )


def own(reference: IndexScale, own: IndexScale, of_class: str = "typical") -> pd.DataFrame:
    """Return this lab beside the reference, at the size nearest to it."""
    rows: list[Mapping[str, object]] = []
    for one in own.of(of_class):
        here = one.points[-1]
        there = nearest(reference.find(one.query, one.of_class), here)
        rows.append(
            {
                "statement": one.name,
                "rows here": _rows(here),
                "here": _pair(here),
                "with the indexes, here": _said(here),
                "rows there": _rows(there),
                "there": _pair(there),
                "with the indexes, there": _said(there),
            }
        )
    return _frame(rows)


def agreement(
    reference: IndexScale, own: IndexScale, of_class: str = "typical"
) -> Sentence:
    """Say for how many statements this lab and the reference use the same word."""
    pairs = []
    for one in own.of(of_class):
        here = one.points[-1]
        there = nearest(reference.find(one.query, one.of_class), here)
        pairs.append((one, here, there))
    equal = sum(here.outcome == there.outcome for _, here, there in pairs)
    others = [
        f"{one.name} ({here.outcome} here, {there.outcome} there)"
        for one, here, there in pairs
        if here.outcome != there.outcome
    ]
    users = pairs[0][2].users
    text = (
        f"Beside the reference's {users:,} users this lab says the same word of {equal} of "
        f"{len(pairs)} statements"
    )
    return Sentence(f"{text}, another of {_listed(others)}." if others else f"{text}.")


def nearest(one: Served, here: At) -> At:
    """Return the size of a reference whose table is nearest to that of another At."""
    return min(one.points, key=lambda at: abs(math.log(at.rows / here.rows)))


def bends(found: IndexScale, of_class: str = "typical") -> Sentence:
    """Name the statements of which no straight line tells how they grow."""
    slopes_ = {one.name: one.slope("without") for one in found.of(of_class)}
    if not any(math.isfinite(slope.low) for slope in slopes_.values()):
        return Sentence("Two sizes do not tell whether a line is straight.")
    bent = [name for name, slope in slopes_.items() if slope.high - slope.low > 1]
    if not bent:
        return Sentence("Without its indexes every statement is near a straight line.")
    return Sentence(
        f"No straight line fits {_listed(bent)} without the indexes: the interval of the "
        "exponent is wider than 1."
    )


def margin() -> Sentence:
    """Say the rule by which a word is found."""
    return Sentence(
        f"*Faster* means that the whole 95 % interval of the ratio lies beyond "
        f"{MARGIN:.2f}; *same* that it lies within, or that the planner reads none of the "
        "indexes; *unclear* is the rest."
    )


def facts(found: IndexScale) -> pd.DataFrame:
    """Return where and how the reference was measured."""
    rows = [(name, found.facts[name]) for name in _SHOWN_FACTS if name in found.facts]
    frame = pd.DataFrame(rows, columns=["what", "value"]).set_index("what")
    return frame.rename_axis(index=None, columns="what")


def _from(one: Served) -> str:
    if one.start is None:
        return f"not up to {_rows(one.points[-1])} rows"
    if one.start == 0:
        return f"{_rows(one.points[0])} rows or fewer"
    return f"{_between(one)} rows"


def _between(one: Served) -> str:
    assert one.start
    before, after = one.points[one.start - 1], one.points[one.start]
    return f"between {_rows(before)} and {_rows(after)}"


def _rows(at: At) -> str:
    return show_count(at.rows)


def _pair(at: At) -> str:
    without, with_ = (show_median(at.sides[one].sample) for one in ("without", "with"))
    return f"{without} → {with_}"


def _said(at: At) -> str:
    if not at.hidden:
        return "not read"
    speedup = at.speedup
    if at.outcome in ("same", "unclear"):
        return f"{at.outcome} ({_interval(speedup)})"
    said = show_speedup(speedup.ratio, is_bound=speedup.is_bound)
    return f"{said} ({_interval(speedup)})"


def _interval(found: Speedup) -> str:
    """Write the 95 % interval of how many times faster; below 1 is slower."""
    low, high = _digits(found.low), _digits(found.high)
    return f"{low}–{high}" if math.isfinite(found.high) else f"from {low}"


def _digits(number: float) -> str:
    return f"{number:.2f}" if number < 10 else f"{float(f'{number:.2g}'):,.0f}"


def _ratio(ratio: float) -> str:
    return f"{ratio:.1f}×" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}×"


def _frame(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows)).set_index("statement")
    return frame.rename_axis(index=None, columns="statement")


def _listed(words: Iterable[str]) -> str:
    """Join words as a sentence does.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    found: Sequence[str] = list(words)
    return " and ".join([", ".join(found[:-1]), found[-1]]) if found[1:] else found[0]
