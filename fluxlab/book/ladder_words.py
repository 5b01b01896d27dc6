"""What each step of the ladder changes, in sentences and tables.

Amounts are per 1,000 requests to the application; times are ms at the client.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from fluxlab.book.folded import Folded
from fluxlab.book.sentences import Sentence
from fluxlab.indexes.climb import CLEAR, Climb, Load, Rung, climb, load_of
from fluxlab.indexes.contribution import Contribution, Contributions, Effect
from fluxlab.indexes.order import Economy
from fluxlab.indexes.planner import Key
from fluxlab.workload.sample import show_ms
from fluxlab.workload.stats import Outcome
from fluxlab.workload.store import Measurement

#: So much of what the ladder saves is nearly all of it.
_NEARLY_ALL = 0.95
_WORDS = get_args(Outcome)
_KINDS = {
    "ladder": "each added to those before it",
    "alone": "each added to the baseline",
    "without": "each taken from all others",
    "dropped": "all that may go taken at once",
}


def short_name(index: str, table: str) -> str:
    """Return what tells an index from the others of its table.

    >>> short_name("idx_messages_thread_id", "messages"), short_name("by_time", "messages")
    ('thread_id', 'by_time')
    """
    return index.removeprefix(f"idx_{table}_").removeprefix("idx_")


def heaviest(contribution: Contribution) -> Effect:
    """Return the pair that saves most blocks with an index, of those whose plan changes.

    Blocks, because no clock has a part in them. Raises ValueError where no plan changes.
    """
    return max(contribution.effects, key=lambda one: one.saved_blocks)


def ladder_title(climbed: Climb) -> Sentence:
    """Say how few steps do nearly all of it, and what is left at the end."""
    start, end = show_ms(climbed.start.ms), show_ms(climbed.end.ms)
    saving = [one.saved.ms for one in climbed.largest if one.saved.ms > 0]
    if not saving:
        return Sentence(
            f"None of {len(climbed.rungs)} steps saves time as far as the clock is sure: "
            f"1,000 requests take {start} before the ladder and {end} after it"
        )
    few = next(
        few
        for few in range(1, len(saving) + 1)
        if sum(saving[:few]) >= _NEARLY_ALL * sum(saving)
    )
    share = sum(saving[:few]) / sum(saving)
    verb = "does" if few == 1 else "do"
    return Sentence(
        f"{few} of {len(climbed.rungs)} steps {verb} {_share(share)} of it: 1,000 requests "
        f"take {start} before the ladder and {end} after it"
    )


def steps(climbed: Climb) -> Sentence:
    """Say in how many steps some plan changes, and what became of those plans."""
    changing = [one for one in climbed.rungs if one.contribution.effects]
    counts = {
        word: sum(len(one.contribution.of(word)) for one in climbed.rungs)
        for word in _WORDS
    }
    plans = sum(counts.values())
    words = ", ".join(f"{plans_:,} {word}" for word, plans_ in counts.items())
    helping = sum(bool(one.contribution.helped) for one in climbed.rungs)
    hurting = sum(bool(one.contribution.hurt) for one in climbed.rungs)
    unclear = ""
    if counts["unclear"] > plans / 2:
        unclear = (
            " Most of them the clock cannot call: between those and nothing no difference "
            "is claimed here, and the blocks are what is left to look at."
        )
    return Sentence(
        f"{len(changing)} of {len(climbed.rungs)} steps change a plan, {plans:,} plans in "
        f"all: {words}. {helping} steps make some query faster, {hurting} some query "
        f"slower.{unclear}"
    )


def steps_title(climbed: Climb) -> Sentence:
    """Say how many steps save time, how many cost some, and how many change no plan."""
    saving = sum(one.saved.ms > 0 for one in climbed.rungs)
    costing = sum(one.saved.ms < 0 for one in climbed.rungs)
    idle = sum(not one.contribution.effects for one in climbed.rungs)
    rest = len(climbed.rungs) - saving - costing - idle
    costs = "costs" if costing == 1 else "cost"
    return Sentence(
        f"{saving} of {len(climbed.rungs)} steps save time, {costing} {costs} some, and "
        f"{idle} change no plan; of the other {rest} only the plans are clear"
    )


def step_table(rungs: Iterable[Rung], tables: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per step: what changed, what it saves, what building it took.

    The brackets add the 95 % intervals of its ratios up, which is wider than 95 %.
    """
    frame = pd.DataFrame(
        {
            "step": f"{one.number}",
            "index": one.index,
            "table": tables[one.index],
            "plans": len(one.contribution.effects),
            **{word: len(one.contribution.of(word)) for word in _WORDS},
            "ms saved": _saved(one),
            "blocks saved": f"{one.saved.blocks:,.0f}".replace("-", "−"),
            "build ms": f"{one.contribution.trial.build_ms:,.2g}",
            "size kB": f"{one.contribution.trial.size_bytes / 1024:,.0f}",
            "WAL kB": f"{one.contribution.trial.wal_bytes / 1024:,.0f}",
        }
        for one in rungs
    )
    return named(frame, "step")


def all_steps(climbed: Climb, tables: Mapping[str, str]) -> Folded:
    """Return every step, folded."""
    return Folded(f"All {len(climbed.rungs)} steps", step_table(climbed.rungs, tables))


def table_table(climbed: Climb, tables: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per table: its steps added up, those that save most first."""
    groups: dict[str, list[Rung]] = {}
    for one in climbed.rungs:
        groups.setdefault(tables[one.index], []).append(one)
    rows = sorted(groups.items(), key=lambda item: -sum(one.saved.ms for one in item[1]))
    frame = pd.DataFrame(
        {
            "table": table,
            "steps": len(rungs),
            "change a plan": sum(bool(one.contribution.effects) for one in rungs),
            "make something faster": sum(bool(one.contribution.helped) for one in rungs),
            "slower": sum(bool(one.contribution.hurt) for one in rungs),
            "ms saved": number(sum(one.saved.ms for one in rungs)),
            "blocks saved": number(sum(one.saved.blocks for one in rungs)),
            "size MiB": sum(one.contribution.trial.size_bytes for one in rungs) / 2**20,
        }
        for table, rungs in rows
    )
    return named(frame, "table")


@dataclass(frozen=True, slots=True)
class End:
    """Where the ladder ends for some pairs, beside what was measured directly."""

    name: str
    start: Load
    ladder: Load
    direct: Load

    @property
    def apart(self) -> float:
        """How much more was measured than the ladder ends at, as a share of that."""
        return self.direct.ms / self.ladder.ms - 1 if self.ladder.ms else math.nan


def ends(
    before: Sequence[Measurement],
    after: Sequence[Measurement],
    found: Contributions,
    writes: Collection[str],
) -> tuple[End, ...]:
    """Follow reads and writes up the ladder alone; `writes` are names of Queries.

    Only pairs that were measured in both states count.
    """
    keys: set[Key] = {one.key for one in before} & {one.key for one in after}
    ladder = found.all("ladder")
    result = []
    for name, wanted in (("reads", (False,)), ("writes", (True,)), ("both", (False, True))):
        start, direct = (
            [one for one in side if one.key in keys and (one.query in writes) in wanted]
            for side in (before, after)
        )
        climbed = climb(start, ladder, found.weights)
        result.append(End(name, climbed.start, climbed.end, load_of(direct, found.weights)))
    return tuple(result)


def ends_table(found: Iterable[End]) -> pd.DataFrame:
    """Return the ladder's end beside what was measured with all indexes."""
    frame = pd.DataFrame(
        {
            "requests": one.name,
            "before": show_ms(one.start.ms),
            "the ladder ends at": show_ms(one.ladder.ms),
            "measured with all": show_ms(one.direct.ms),
            "measured − ladder": _signed(one.apart),
            "blocks before": f"{one.start.blocks:,.0f}",
            "ladder's end": f"{one.ladder.blocks:,.0f}",
            "measured": f"{one.direct.blocks:,.0f}",
        }
        for one in found
    )
    return named(frame, "requests")


def ends_sentence(found: Iterable[End]) -> Sentence:
    """Say how far the ladder's end is from what was measured directly."""
    by_name = {one.name: one for one in found}
    reads, writes = by_name["reads"], by_name["writes"]
    text = (
        f"For reads the ladder ends at {show_ms(reads.ladder.ms)} in 1,000 requests; "
        f"measured with all indexes they take {show_ms(reads.direct.ms)}, "
        f"{_apart(reads.apart)}. For writes it ends at {show_ms(writes.ladder.ms)}, and "
        f"{show_ms(writes.direct.ms)} were measured, {_apart(writes.apart)}."
    )
    if writes.direct.ms > writes.ladder.ms:
        text += (
            " A ladder of plans cannot see what a write pays for one index more: its plan "
            "stays the same."
        )
    return Sentence(text)


def economy_table(found: Iterable[Economy]) -> pd.DataFrame:
    """Return what was measured beside what brute force would have."""
    frame = pd.DataFrame(
        {
            "trials": _KINDS[one.kind],
            "number": f"{one.trials:,}",
            "all pairs, each time": f"{one.brute:,}",
            "the planner was asked": f"{one.asked:,}",
            "plans changed": f"{one.changed:,}",
            "newly measured": f"{one.measured:,}",
        }
        for one in found
        if one.trials
    )
    return named(frame, "trials")


def economy(found: Iterable[Economy]) -> Sentence:
    """Say how many pairs were measured, of those that brute force would have."""
    known = list(found)
    brute = sum(one.brute for one in known)
    asked = sum(one.asked for one in known)
    changed = sum(one.changed for one in known)
    measured = sum(one.measured for one in known)
    return Sentence(
        f"Measuring every pair in every trial would be {brute:,} comparisons. The planner "
        f"was asked {asked:,} times, {changed:,} plans were others, and {measured:,} pairs "
        f"of plans were measured: {_share(measured / brute)} of brute force. The others of "
        "those that changed were known from an earlier trial."
    )


def hurts_table(found: Contributions, kinds: Sequence[str]) -> pd.DataFrame:
    """Return every pair that an index makes slower, with the trials that found it."""
    places: dict[tuple[str, str], list[str]] = {}
    effects: dict[tuple[str, str], Effect] = {}
    for kind in kinds:
        for one in found.all(kind):  # type: ignore[arg-type]
            for effect in one.of("slower"):
                key = one.subject, effect.switch
                places.setdefault(key, []).append(kind)
                effects[key] = effect
    rows = sorted(effects.items(), key=lambda item: item[1].saved_ms)
    columns = ["index", "query", "class", "without it", "with it", "change", "blocks", "in"]
    frame = pd.DataFrame(
        (
            (
                index,
                one.change.query,
                one.change.of_class,
                str(one.change.before.sample),
                str(one.change.after.sample),
                one.change.sentence,
                f"{one.change.before.plan.blocks:,} → {one.change.after.plan.blocks:,}",
                ", ".join(places[index, switch]),
            )
            for (index, switch), one in rows
        ),
        columns=columns,
    )
    return named(frame, "index")


def hurts(found: Contributions, kinds: Sequence[str]) -> Sentence:
    """Say how many pairs some index makes slower, and how many it makes faster."""
    effects = {
        (one.subject, effect.switch): effect
        for kind in kinds
        for one in found.all(kind)  # type: ignore[arg-type]
        for effect in one.effects
    }
    slower = [key for key, one in effects.items() if one.outcome == "slower"]
    faster = sum(one.outcome == "faster" for one in effects.values())
    if not slower:
        return Sentence(
            f"No index makes any of the {len(effects):,} changed plans clearly slower; "
            f"{faster:,} are faster."
        )
    by_blocks = sum(effects[key].change.decided_by == "blocks" for key in slower)
    indexes = len({index for index, _ in slower})
    return Sentence(
        f"Of {len(effects):,} plans that some index changes somewhere, {faster:,} are "
        f"faster with it and {len(slower):,} slower, {by_blocks} of those by blocks alone: "
        f"{indexes} {'index' if indexes == 1 else 'indexes'} of "
        f"{len({index for index, _ in effects}):,} that change a plan."
    )


def worst_hurt(found: Contributions, kinds: Sequence[str]) -> Effect | None:
    """Return the pair that an index costs most time in 1,000 requests, if there is one."""
    slower = [
        effect
        for kind in kinds
        for one in found.all(kind)  # type: ignore[arg-type]
        for effect in one.of("slower")
    ]
    return min(slower, key=lambda one: one.saved_ms, default=None)


def _saved(one: Rung) -> str:
    if not any(len(one.contribution.of(word)) for word in CLEAR):
        return "0"
    low, high = one.between_ms
    ends_ = " to ".join(
        "any" if math.isinf(end) or math.isnan(end) else number(end) for end in (low, high)
    )
    return f"{number(one.saved.ms)} ({ends_})"


def number(value: float) -> str:
    """Write an amount with two or three digits and a true minus.

    >>> number(1234.5), number(-0.0123), number(0.0004)
    ('1,234', '−0.012', '4e−04')
    """
    if abs(value) >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.2g}" if abs(value) >= 0.001 or not value else f"{value:.0e}"
    return text.replace("-", "−")


def _share(part: float) -> str:
    percent = 100 * part
    return f"{percent:.0f} %" if percent >= 1 else f"{percent:.1g} %"


def _signed(part: float) -> str:
    if not math.isfinite(part):
        return "unknown"
    return f"{100 * part + 0.0:+.0f} %".replace("-", "−").replace("−0 ", "0 ")


def _apart(part: float) -> str:
    if not math.isfinite(part):
        return "which cannot be compared"
    if abs(part) < 0.005:
        return "less than 1 % apart"
    return f"{abs(100 * part):.0f} % {'more' if part > 0 else 'less'}"


def named(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Make a column the row labels, named in the head row; an empty frame stays as it is."""
    if column not in frame:
        return frame
    return frame.set_index(column).rename_axis(index=None, columns=column)
