"""The ladder: indexes one after another in the order of the migration, and each alone.

After each the planner is asked which pairs on its table have another plan now; only
those are measured again. What is left out would have measured the same plan twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import psycopg

from fluxlab.indexes.steps import Built, Step, apply, undo
from fluxlab.indexes.trials import Kind, Stand, Trial, TrialStore
from fluxlab.progress import Report, Tick
from fluxlab.workload.budget import Budget


def climb(
    stand: Stand,
    builder: psycopg.Connection,
    steps: Sequence[Step],
    store: TrialStore,
    budget: Budget,
    report: Report,
) -> None:
    """Build the indexes one by one and keep a Trial of each; `builder` is a third session.

    Goes on where it was stopped: what is known is built and not measured again.
    """
    for done, step in enumerate(steps):
        report(Tick("ladder", done, len(steps), step.index.name))
        built = apply(builder, step.index)
        if not store.is_done("ladder", step.index.name, budget):
            store.keep(_with(_trial(stand, "ladder", step), built))
    report(Tick("ladder", len(steps), len(steps)))


def try_alone(
    stand: Stand,
    builder: psycopg.Connection,
    steps: Sequence[Step],
    store: TrialStore,
    budget: Budget,
    report: Report,
) -> None:
    """Add each index to the baseline by itself, keep a Trial of it, and take it away."""
    for done, step in enumerate(steps):
        report(Tick("each alone", done, len(steps), step.index.name))
        if not store.is_done("alone", step.index.name, budget):
            built = apply(builder, step.index)
            store.keep(_with(_trial(stand, "alone", step), built))
            undo(builder, step.index)
    report(Tick("each alone", len(steps), len(steps)))


def try_without(
    stand: Stand,
    indexes: Sequence[tuple[str, str]],
    store: TrialStore,
    budget: Budget,
    report: Report,
) -> None:
    """Take each index, a name and its table, from all others; keep a Trial of it."""
    for done, (name, table) in enumerate(indexes):
        report(Tick("each taken away", done, len(indexes), name))
        if not store.is_done("without", name, budget):
            store.keep(stand.compare("without", name, (name,), (table,)))
    report(Tick("each taken away", len(indexes), len(indexes)))


def _trial(stand: Stand, kind: Kind, step: Step) -> Trial:
    name = step.index.name
    # A unique index cannot be hidden, and is there for another reason than speed.
    names = () if step.index.is_unique else (name,)
    return stand.compare(kind, name, names, (step.index.table,))


def _with(trial: Trial, built: Built) -> Trial:
    return replace(
        trial,
        build_ms=built.build_ms,
        size_bytes=built.size_bytes,
        wal_bytes=built.wal_bytes,
    )
