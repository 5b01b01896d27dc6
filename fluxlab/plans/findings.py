"""A Finding: what is wrong, or right, about one node of a plan, with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: `note` is said and asks for nothing, such as "this sequential scan is right".
Weight = Literal["high", "medium", "low", "note"]
Confidence = Literal["sure", "likely", "possible"]

WEIGHTS: tuple[Weight, ...] = ("high", "medium", "low", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact about a plan that deserves a decision.

    `node` is the number of the PlanNode it stands at, None for the plan as a whole.
    `evidence` are the numbers it rests on, totals over all loops and processes, by
    names with their unit. `saving_ms` is the most that the fix could save of the time
    of this execution; 0 where nothing was timed. `fix` is SQL that runs as it is, in
    the schema of the plan, or None where there is none.

    >>> from fluxlab.plans import find, read_plan
    >>> plan = read_plan('''
    ...  Seq Scan on users (actual time=0.010..2.000 rows=2 loops=1)
    ...    Filter: (name = 'Ann'::text)
    ...    Rows Removed by Filter: 5000''')
    >>> finding = find(plan)[0]
    >>> finding.rule, finding.node, finding.fix
    ('R01', 1, 'create index on users (name);')
    """

    rule: str
    name: str
    node: int | None
    sentence: str
    advice: str
    weight: Weight
    confidence: Confidence
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    share: float = 0.0
    saving_ms: float = 0.0
    fix: str | None = None

    def __repr__(self) -> str:
        place = f", node {self.node}" if self.node else ""
        return f"<Finding {self.rule} ({self.weight}{place}): {self.sentence}>"
