"""Decisions on indexes in sentences and tables.

Amounts are per 1,000 requests to the application, sizes are on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from fluxlab.book.ladder_words import named
from fluxlab.book.sentences import Sentence
from fluxlab.book.whole import Tables
from fluxlab.indexes.amounts import show_bytes, show_change, show_ms
from fluxlab.indexes.decision_export import MEANINGS, compared, rule_of, show_saved
from fluxlab.indexes.decisions import Decision, Decisions, Thresholds
from fluxlab.indexes.pareto import Point, knee, largest_steps
from fluxlab.indexes.sets import Totals
from fluxlab.indexes.settle import Settlement


def counts(found: Decisions) -> Sentence:
    """Say how many indexes stay and go, and what the largest group is of."""
    stays, goes = len(found.stays), len(found.goes)
    unclear = len(found.of("unclear"))
    text = (
        f"Of {len(found.rows)} indexes {goes} go: {len(found.of('drop'))} that nobody "
        f"needs and {len(found.of('replace'))} whose work others do as well. {stays} stay"
    )
    if unclear:
        text += (
            f", {len(found.of('keep'))} because they are worth it and {unclear} because "
            "the clock is not sure yet"
        )
    return Sentence(f"{text}.")


def rule(found: Decisions) -> Sentence:
    """Say the rule with its thresholds."""
    return Sentence(rule_of(found.limits))


def by_table(found: Decisions) -> pd.DataFrame:
    """Return how many indexes of each table got which word, the largest tables first."""
    rows = [(one.index.table, one.word) for one in found.rows]
    frame = pd.DataFrame(rows, columns=["table", "word"])
    table = pd.crosstab(frame["table"], frame["word"], margins=True, margins_name="all")
    order = table.drop(index="all").sort_values("all", ascending=False, kind="stable")
    words = [word for word in (*MEANINGS, "all") if word in table]
    return table.loc[[*order.index, "all"], words].rename_axis(index=None, columns="table")


def telling(found: Decisions, most: int = 3) -> Tables:
    """Return the indexes that tell most: those of each word that move most.

    Of what is kept those that save most, of what goes those that cost writes most.
    """
    rows: list[Decision] = []
    for word in MEANINGS:
        gives = word in ("keep", "unclear")
        ranked = sorted(found.of(word), key=_given if gives else _taken, reverse=True)
        rows += ranked[:most]
    return Tables((("", table(rows)),))


def _given(one: Decision) -> float:
    return one.case.missed.most.saved_ms


def _taken(one: Decision) -> float:
    return one.wal_bytes


def table(rows: Iterable[Decision]) -> pd.DataFrame:
    """Return Decisions as a table to read, in the order given."""
    columns = ["index", "decision", "why", "missed for", "log of writes", "size"]
    frame = pd.DataFrame(
        (
            (
                one.index.name,
                one.word,
                one.reason,
                show_ms(one.case.missed.sure.saved_ms),
                show_bytes(one.wal_bytes),
                show_bytes(one.case.size_bytes),
            )
            for one in rows
        ),
        columns=columns,
    )
    return named(frame, "index")


def everything(found: Decisions) -> Tables:
    """Return all Decisions, a folded table for each word with every column."""
    return Tables(
        tuple(
            (
                f"{word}: {len(rows)}, {meaning}",
                whole_table(sorted(rows, key=_given, reverse=True)),
            )
            for word, meaning in MEANINGS.items()
            if (rows := found.of(word))
        )
    )


def whole_table(rows: Iterable[Decision]) -> pd.DataFrame:
    """Return Decisions with everything that helps and everything that costs."""
    frame = pd.DataFrame(
        {
            "index": one.index.name,
            "helps": len(one.case.without.helped) if one.case.without else 0,
            "requests": f"{one.helped_weight:.3g}",
            "saves (95 %)": show_saved(one),
            "missed": show_ms(one.case.missed.sure.saved_ms),
            "longest wait": show_ms(one.case.missed.sure.waits_ms),
            "writes": show_ms(one.write_ms),
            "log of 1,000 writes": ""
            if one.wal_of_writes is None
            else show_bytes(one.wal_of_writes),
            "HOT lost": f"{one.hot_lost:.2g}",
            "size": show_bytes(one.case.size_bytes),
            "build": show_ms(one.case.build_ms) if one.case.build_ms else "",
            "audit": ", ".join(one.case.findings),
            "why": one.reason,
        }
        for one in rows
    )
    return named(frame, "index")


def chart_title(found: Decisions) -> Sentence:
    """Say what the kept are missed for, and what those that go make writes log."""
    kept = [one.case.missed.sure.saved_ms for one in found.of("keep")]
    log = sum(one.wal_bytes for one in found.rows)
    gone = sum(one.wal_bytes for one in found.goes)
    part = gone / log if log else 0.0
    if not kept:
        start = "No index is missed for more than the rule asks for"
    elif len(kept) == 1:
        start = f"1 index is missed for {show_ms(kept[0])} in 1,000 requests"
    else:
        start = (
            f"{len(kept)} of {len(found.rows)} indexes are missed for {show_ms(min(kept))} "
            f"to {show_ms(max(kept))} in 1,000 requests"
        )
    return Sentence(
        f"{start}; the {len(found.goes)} that go are {part:.0%} of what indexes make "
        "writes log"
    )


def replaced(found: Decisions) -> Tables:
    """Return who stands in for whom, and whether the audit sees it in the catalog alone."""
    frame = pd.DataFrame(
        (
            (
                one.index.name,
                ", ".join(one.case.stand_ins),
                show_ms(one.case.missed.sure.saved_ms),
                ", ".join(one.case.findings),
            )
            for one in found.of("replace")
        ),
        columns=["goes", "who serves instead", "missed for", "what the audit says"],
    )
    return Tables((("", named(frame, "goes")),))


def replaced_sentence(found: Decisions) -> Sentence:
    """Say how many of those that go have another in their place, and how many of an audit.

    The catalog alone shows duplicates and prefixes; that another index is as good for
    these statements only their plans show.
    """
    rows = found.of("replace")
    if not rows:
        return Sentence("No index that goes has another one in its place.")
    seen = sum(bool(one.case.findings) for one in rows)
    return Sentence(
        f"{len(rows)} indexes go because others do their work. The catalog says something "
        f"against {seen} of them; of the others only the plans of the queries show it."
    )


def settlement(found: Settlement) -> Sentence:
    """Tell what happened when all that nobody misses were dropped at once."""
    if not found.rounds:
        return Sentence("No set was tried.")
    tried = found.rounds[0].goes
    if not found.back:
        return Sentence(
            f"Taken away one by one, {tried} indexes are missed by nobody. All {tried} "
            "were hidden at once, everything whose plan changed was measured, and nothing "
            "had to come back."
        )
    back = len(found.back)
    noun = "index" if back == 1 else "indexes"
    return Sentence(
        f"Taken away one by one, {tried} indexes are missed by nobody. Hidden all at once, "
        f"they are: {back} {noun} came back in {len(found.rounds)} rounds, and "
        f"{len(found.goes)} go."
    )


def came_back(found: Settlement, decisions: Decisions) -> pd.DataFrame:
    """Return what came back in which round, and what it is missed for."""
    frame = pd.DataFrame(
        (
            (
                name,
                f"{number}",
                show_ms(loss.sure.saved_ms),
                show_ms(loss.most.saved_ms),
                show_ms(loss.most.waits_ms),
                decisions.find(name).word,
            )
            for number, one in enumerate(found.rounds, 1)
            for name, loss in one.back.items()
        ),
        columns=["index", "round", "missed for", "at most", "longest wait", "decision"],
    )
    return named(frame, "index")


def totals(found: Mapping[str, Totals]) -> pd.DataFrame:
    """Return the sets side by side; what is cut off makes a sum a lower bound."""
    frame = pd.DataFrame(
        {
            "set": one.name,
            "indexes": one.indexes,
            "size": show_bytes(one.index_bytes),
            "reads": _bound(one) + show_ms(one.read_ms),
            "blocks read": f"{_bound(one)}{one.read_blocks:,.0f}",
            "writes": show_ms(one.write_ms)
            + (f" ± {show_ms(one.write_error_ms)}" if one.write_error_ms else ""),
            "log": show_bytes(one.wal_bytes),
            "HOT updates": f"{one.hot_share:.0%}",
        }
        for one in found.values()
    )
    return named(frame, "set")


def _bound(one: Totals) -> str:
    return "≥ " if one.cut_off else ""


def totals_sentence(found: Mapping[str, Totals]) -> Sentence:
    """Say what the kept set saves of the time and what of the cost, and what is open."""
    base, whole, kept = found["base"], found["all"], found["kept"]
    text = (
        f"The {kept.indexes} that stay take {show_ms(kept.read_ms)} for the reads of 1,000 "
        f"requests, all {whole.indexes} take {show_ms(whole.read_ms)} and the "
        f"{base.indexes} of the baseline {show_ms(base.read_ms)}. Against all, size "
        f"changes by {show_change(kept.index_bytes, whole.index_bytes)} and the log of "
        f"writes by {show_change(kept.wal_bytes, whole.wal_bytes)}; {kept.hot_share:.0%} "
        f"of the updates are HOT instead of {whole.hot_share:.0%}."
    )
    if whole.cut_off or base.cut_off:
        pairs = max(base.cut_off, whole.cut_off)
        were = "pair was" if pairs == 1 else "pairs were"
        text += f" {pairs} {were} cut off by the timeout: those sums are lower bounds."
    missing = sorted({name for one in found.values() for name in one.unmeasured})
    if missing:
        text += f" Not measured: {', '.join(missing)}."
    return Sentence(text)


def curve_title(points: Sequence[Point], found: Mapping[str, Totals]) -> Sentence:
    """Say how few of the added indexes save nearly all, and what the kept set takes."""
    added, few = len(points) - 1, knee(points)
    number = few.indexes - points[0].indexes
    verb = "saves" if number == 1 else "save"
    kept = found["kept"]
    return Sentence(
        f"{number} of {added} added indexes {verb} 95 % of what any of these sets saves, "
        f"with {show_bytes(few.index_bytes)}; the kept set has {kept.indexes} indexes and "
        f"{show_bytes(kept.index_bytes)}"
    )


def curve_notes(points: Sequence[Point], found: Mapping[str, Totals]) -> Sentence:
    """Say how sure the curve is: what was never measured, and where it ends."""
    most = max(points, key=lambda one: one.high_ms - one.low_ms)
    text = (
        f"The curve ends at {show_ms(points[-1].read_ms)}, and all measured directly take "
        f"{show_ms(found['all'].read_ms)}: the curve has no planning in it, which takes "
        "longer with every index, and counts a ratio that is not clear as none."
    )
    if most.unknown:
        pairs = "pair has" if most.unknown == 1 else "pairs have"
        text += (
            f" At most {most.unknown} {pairs} a plan there that no trial met, which leaves "
            f"{show_ms(most.high_ms - most.low_ms)} open."
        )
    return Sentence(text)


def curve_steps(points: Sequence[Point], most: int = 8) -> pd.DataFrame:
    """Return the steps of the curve that save most."""
    before = dict(zip(points[1:], points, strict=False))
    frame = pd.DataFrame(
        {
            "adds": one.added,
            "saves": show_ms(saved),
            "then reads take": show_ms(one.read_ms),
            "size": f"+ {show_bytes(one.index_bytes - before[one].index_bytes)}",
            "log": f"+ {show_bytes(one.wal_bytes - before[one].wal_bytes)}",
        }
        for one, saved in largest_steps(points, most)
    )
    return named(frame, "adds")


def compared_table(found: Mapping[str, Totals]) -> pd.DataFrame:
    """Return what the kept set takes more or less than the base, and than all."""
    columns = ["the kept set", "against the base", "against all"]
    return named(pd.DataFrame(compared(found), columns=columns), "the kept set")


def knob(tried: Sequence[Decisions]) -> pd.DataFrame:
    """Return how the set changes with the thresholds; nothing is measured again."""
    frame = pd.DataFrame(
        {
            "to save": show_ms(one.limits.least_saved_ms),
            "times its writes": f"{one.limits.least_return:g}×",
            "or to spare a wait": show_ms(one.limits.least_wait_ms),
            **{word: len(one.of(word)) for word in MEANINGS},
            "stay": len(one.stays),
            "size of those": show_bytes(sum(row.case.size_bytes for row in one.stays)),
        }
        for one in tried
    )
    return named(frame, "to save")


def some_limits() -> tuple[Thresholds, ...]:
    """Return thresholds from lax to strict, the first knob turned and then the others."""
    return (
        Thresholds(least_saved_ms=0.1),
        Thresholds(),
        Thresholds(least_saved_ms=5.0),
        Thresholds(least_saved_ms=50.0),
        Thresholds(least_return=10.0),
        Thresholds(least_wait_ms=1.0),
        Thresholds(least_wait_ms=100.0),
    )
