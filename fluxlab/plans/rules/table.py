"""What is wrong with a plan, and what to try: the table of all rules.

A rule looks at one node, or once at the whole plan, and returns what it found there or
None. It reads totals only, never averages per loop: a scan in three processes that
threw away 99,000 rows each threw away 297,000.
"""

from __future__ import annotations

from fluxlab.plans.findings import WEIGHTS, Finding
from fluxlab.plans.plan import Plan
from fluxlab.plans.rules import estimates, index_use, joins, scans, sorts, whole
from fluxlab.plans.rules.rule import Rule, Seen
from fluxlab.plans.surroundings import NOTHING_KNOWN, Surroundings

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (
            *scans.RULES,
            *index_use.RULES,
            *estimates.RULES,
            *joins.RULES,
            *sorts.RULES,
            *whole.RULES,
        ),
        key=lambda rule: rule.id,
    )
)


#: Where the second speaks of a node, the first has nothing to add.
_SUPERSEDED = {"R07": "R22"}


def find(plan: Plan, known: Surroundings = NOTHING_KNOWN) -> tuple[Finding, ...]:
    """Return the Findings of a plan, the one that could save most time first.

    >>> from fluxlab.plans.reading import read_plan
    >>> find(read_plan('[{"Plan": {"Node Type": "Result"}}]'))
    ()
    """
    found = [
        finding
        for rule in RULES
        for node in (plan.nodes[:1] if rule.of_plan else plan.nodes)
        if (finding := rule.check(Seen(plan, node, known)))
    ]
    places = {(one.rule, one.node) for one in found}
    left = (one for one in found if (_SUPERSEDED.get(one.rule), one.node) not in places)
    return tuple(sorted(left, key=_rank))


def _rank(one: Finding) -> tuple[float, int, str, int]:
    return -one.saving_ms, WEIGHTS.index(one.weight), one.rule, one.node or 0
