"""What asking the planner spared, and what some index hurts, in sentences and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from fluxlab.book.ladder_words import named, share
from fluxlab.book.sentences import Sentence
from fluxlab.indexes.contribution import Contributions, Effect
from fluxlab.indexes.order import Economy
from fluxlab.indexes.trials import Kind
from fluxlab.plans.differences import PlanDiff

_KINDS = {
    "ladder": "each added to those before it",
    "alone": "each added to the baseline",
    "without": "each taken from all others",
    "dropped": "all that may go taken at once",
}


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
        f"of plans were measured: {share(measured / brute)} of brute force. The others of "
        "those that changed were known from an earlier trial."
    )


def hurts_table(found: Contributions, kinds: Sequence[Kind]) -> pd.DataFrame:
    """Return every pair that an index makes slower, with the trials that found it."""
    places: dict[tuple[str, str], list[str]] = {}
    effects: dict[tuple[str, str], Effect] = {}
    for kind in kinds:
        for one in found.all(kind):
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


def hurts(found: Contributions, kinds: Sequence[Kind]) -> Sentence:
    """Say how many pairs some index makes slower, and how many it makes faster."""
    effects = {
        (one.subject, effect.switch): effect
        for kind in kinds
        for one in found.all(kind)
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


def worst_hurt(found: Contributions, kinds: Sequence[Kind]) -> PlanDiff | Sentence:
    """Return both plans of the pair that an index costs most in 1,000 requests."""
    slower = [
        effect for kind in kinds for one in found.all(kind) for effect in one.of("slower")
    ]
    if not slower:
        return Sentence("No plan to show: nothing gets clearly slower.")
    change = min(slower, key=lambda one: one.saved_ms).change
    return change.before.plan.diff(change.after.plan)
