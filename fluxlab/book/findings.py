"""What the rules find in the plans of a whole Workload: how often, and what weighs most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fluxlab.book.sentences import Sentence
from fluxlab.plans.findings import Finding
from fluxlab.plans.plan import Plan
from fluxlab.plans.rules.table import find
from fluxlab.plans.views.words import show_ms
from fluxlab.workload.compare import Comparison
from fluxlab.workload.query import Workload

Side = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Found:
    """A Finding in one plan of the store."""

    query: str
    of_class: str
    side: Side
    plan: Plan
    finding: Finding

    @property
    def is_note(self) -> bool:
        """Whether the Finding asks for nothing."""
        return self.finding.weight == "note"


def survey(comparison: Comparison) -> tuple[Found, ...]:
    """Return what every rule finds in every plan that was measured.

    The rules see the plans alone, as if they were pasted: those that have to ask the
    server for indexes or statistics are silent, or less sure.
    """
    return tuple(
        Found(change.query, change.of_class, side, plan, finding)
        for change in comparison
        for side, plan in _sides(change.before.plan, change.after.plan)
        for finding in find(plan)
    )


def _sides(before: Plan, after: Plan) -> Iterable[tuple[Side, Plan]]:
    return ("before", before), ("after", after)


def by_rule(found: Iterable[Found]) -> pd.DataFrame:
    """Return the rules that fired: queries before and after, most of them first."""
    queries: dict[str, dict[Side, set[str]]] = {}
    for one in found:
        sides = queries.setdefault(one.finding.name, {"before": set(), "after": set()})
        sides[one.side].add(one.query)
    rows = [
        (name, len(sides["before"]), len(sides["after"])) for name, sides in queries.items()
    ]
    rows.sort(key=lambda row: (-row[1], -row[2], row[0]))
    frame = pd.DataFrame(rows, columns=["finding", "queries before", "after"])
    return _named(frame, "finding")


def common(found: Iterable[Found], comparison: Comparison) -> Sentence:
    """Say in how many Queries a rule finds something, and which one most often."""
    found = tuple(found)
    frame = by_rule(found)
    if frame.empty:
        return Sentence("No rule finds anything in any plan.")
    before, after = (
        len(
            {
                one.query
                for one in found
                if one.side == side and one.finding.weight != "note"
            }
        )
        for side in ("before", "after")
    )
    name, row = str(frame.index[0]), frame.iloc[0]
    return Sentence(
        f"In {before} of {len(comparison.by_query)} queries some rule finds something to "
        f"look at before the sprint, and in {after} after it. Most often it is *{name}*: "
        f"in {row['queries before']} queries before, and in {row['after']} after."
    )


def worth(found: Iterable[Found], workload: Workload, side: Side = "after") -> pd.DataFrame:
    """Return the Findings that could save most in 1,000 requests, one for each query.

    What a fix could save at most, times how often the query is called; typical values.
    """
    best: dict[str, tuple[float, Found]] = {}
    for one in found:
        if one.side != side or one.of_class != "typical":
            continue
        saving = one.finding.saving_ms * workload.find(one.query).weight
        if saving > best.get(one.query, (0.0, one))[0]:
            best[one.query] = saving, one
    rows = [
        {
            "query": query,
            "finding": one.finding.name,
            "calls in 1,000": f"{workload.find(query).weight:g}",
            "one call": _ms(one.plan.execution_ms),
            "at most saved in 1,000": _ms(saving),
        }
        for query, (saving, one) in sorted(best.items(), key=lambda item: -item[1][0])
    ]
    columns = ["query", "finding", "calls in 1,000", "one call", "at most saved in 1,000"]
    return _named(pd.DataFrame(rows, columns=columns), "query")


def _ms(time_ms: float) -> str:
    """Return a time for a cell of a table, which keeps its unit on the line."""
    return show_ms(time_ms).replace(" ", "\N{NO-BREAK SPACE}")


def _named(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame.set_index(column).rename_axis(index=None, columns=column)
