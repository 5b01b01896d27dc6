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
from fluxlab.indexes.planner import Key
from fluxlab.workload.sample import show_ms
from fluxlab.workload.stats import Outcome
from fluxlab.workload.store import Measurement

#: So much of what the ladder saves is nearly all of it.
_NEARLY_ALL = 0.95
_WORDS = get_args(Outcome)


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


def asked(contribution: Contribution) -> Sentence:
    """Say how many pairs the planner was asked about in one step, and what came of it."""
    trial, changed = contribution.trial, len(contribution.effects)
    words = ", ".join(
        f"{len(contribution.of(word))} {word}" for word in _WORDS if contribution.of(word)
    )
    if not changed:
        return Sentence(
            f"The planner was asked about {trial.asked:,} pairs: no plan changes."
        )
    return Sentence(
        f"The planner was asked about {trial.asked:,} pairs of query and values; {changed} "
        f"of them have another plan with the index, and those were measured: {words}."
    )


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
    part = sum(saving[:few]) / sum(saving)
    verb = "saves" if few == 1 else "save"
    return Sentence(
        f"{few} of {len(climbed.rungs)} steps {verb} {share(part)} of what all save: 1,000 "
        f"requests take {start} before the ladder and {end} after it"
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

    >>> number(1234.5), number(-0.0123), number(0.0004), number(-0.00001)
    ('1,234', '−0.012', '0.0004', '−0.0000')
    """
    if abs(value) >= 100:
        text = f"{value:,.0f}"
    elif value and abs(value) < 0.001:
        text = f"{value:.4f}"
    else:
        text = f"{value:.2g}"
    return text.replace("-", "−")


def share(part: float) -> str:
    percent = 100 * part
    return f"{percent:.0f} %" if percent >= 1 else f"{percent:.1g} %"


def _signed(part: float) -> str:
    if not math.isfinite(part):
        return "unknown"
    percent = round(100 * part)
    return f"{percent:+d} %".replace("-", "−") if percent else "0 %"


def _apart(part: float) -> str:
    if not math.isfinite(part):
        return "which cannot be compared"
    if abs(part) < 0.005:
        return "less than 1 % apart"
    return f"{abs(100 * part):.0f} % {'more' if part > 0 else 'less'}"


def named(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Make a column the row labels, named in the head row; leave an empty frame alone."""
    if column not in frame:
        return frame
    return frame.set_index(column).rename_axis(index=None, columns=column)
