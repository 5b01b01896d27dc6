"""A walk from the base to all indexes, one by one in any order, with the planner asked.

Nothing is executed but updates that lose their HOT: at each step the planner tells which
plan each pair would have, and `pareto` knows what most of those plans take from Trials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from fluxlab.indexes.catalog import ForeignKeyFacts
from fluxlab.indexes.hiding import hidden
from fluxlab.indexes.planner import Key, Planner, Question
from fluxlab.indexes.pricing import hot_share
from fluxlab.progress import Report, Tick
from fluxlab.workload.notes import Facts

PHASE = "best first"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What the planner says at each step of a walk, and which updates stay HOT.

    `order` are the indexes that are added. `plans` and `hot` have one entry more: first
    every pair's plan by its digest, and every update's share; then what a step changes.
    """

    order: tuple[str, ...]
    plans: tuple[Mapping[Key, str], ...]
    hot: tuple[Mapping[str, float], ...]

    @property
    def facts(self) -> Facts:
        """What a note of it says; `read_foreseen` is the inverse."""
        plans = [[[*key, digest] for key, digest in step.items()] for step in self.plans]
        return {"order": list(self.order), "plans": plans, "hot": list(self.hot)}

    def __repr__(self) -> str:
        changed = sum(len(step) for step in self.plans[1:])
        return f"<Foreseen: {len(self.order)} steps, {changed:,} plans change>"


def read_foreseen(facts: Facts) -> Foreseen:
    """Return the walk that a note is about."""
    plans = tuple(
        {(query, parameters): digest for query, parameters, digest in step}
        for step in facts["plans"]
    )
    return Foreseen(tuple(facts["order"]), plans, tuple(facts["hot"]))


def digest_of(plan: str) -> str:
    """Return twelve hex digits that tell a plan's text from any other."""
    return hashlib.sha256(plan.encode()).hexdigest()[:12]


def foresee_plans(
    connection: psycopg.Connection,
    foreign_keys: Sequence[ForeignKeyFacts],
    questions: Sequence[Question],
    order: Sequence[str],
    tables: Mapping[str, str],
    report: Report,
) -> tuple[dict[Key, str], ...]:
    """Ask for the plans of all pairs without any index of `order`, then after each.

    `connection` is an idle session of a scratch database with all indexes. Only pairs on
    the table of a step are asked again.
    """
    planner = Planner(connection, foreign_keys)
    reach = planner.reach(questions)
    current: dict[Key, str] = {}
    steps: list[dict[Key, str]] = []
    for done in range(len(order) + 1):
        report(Tick(PHASE, done, len(order) + 1))
        wanted = questions
        if done:
            table = tables[order[done - 1]]
            wanted = [one for one in questions if table in reach[one.key]]
        with hidden(connection, order[done:]):
            found = planner.plans(wanted)
        digests = {key: digest_of(plan) for key, plan in found.items()}
        steps.append({k: v for k, v in digests.items() if current.get(k) != v})
        current |= digests
    report(Tick(PHASE, len(order) + 1, len(order) + 1))
    return tuple(steps)


def foresee_hot(
    connection: psycopg.Connection,
    updates: Mapping[str, Iterable[Question]],
    order: Sequence[str],
    tables: Mapping[str, str],
) -> tuple[dict[str, float], ...]:
    """Execute updates after each step, roll them back, and say which share is HOT.

    `updates` are by table, and only those that lose it somewhere on the way. The tables
    have room for new versions of rows, as `pricing.make_room` gives it.
    """
    current: dict[str, float] = {}
    steps: list[dict[str, float]] = []
    for done in range(len(order) + 1):
        wanted: Collection[str] = updates
        if done:
            wanted = {tables[order[done - 1]]} & updates.keys()
        found: dict[str, float] = {}
        if wanted:
            with hidden(connection, order[done:], from_executor=True):
                for table in wanted:
                    for one in updates[table]:
                        found[one.query.name] = hot_share(connection, table, one)
        steps.append({k: v for k, v in found.items() if current.get(k) != v})
        current |= found
    return tuple(steps)
