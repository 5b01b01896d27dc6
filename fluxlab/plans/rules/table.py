"""What is wrong with a plan, and what to try: the table of all rules.

A rule looks at one node, or once at the whole plan, and returns what it found there or
None. It reads totals only, never averages per loop: a scan in three processes that
threw away 99,000 rows each threw away 297,000.
"""

from __future__ import annotations

from fluxlab.plans.findings import WEIGHTS, Finding
from fluxlab.plans.plan import Plan
from fluxlab.plans.rules import (
    estimates,
    index_use,
    joins,
    planning,
    scans,
    sorts,
    spills,
    whole,
    writes,
)
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
            *spills.RULES,
            *whole.RULES,
            *planning.RULES,
            *writes.RULES,
        ),
        key=lambda rule: rule.id,
    )
)


#: Where the second speaks of a node, the first has nothing to add.
_SUPERSEDED = {"R07": "R22"}


def find(plan: Plan, known: Surroundings = NOTHING_KNOWN) -> tuple[Finding, ...]:
    """Return the Findings of a plan, the one that could save most time first.

    What is `known` beside the plan makes rules surer, and lets some more speak; see
    `read_surroundings`.

    >>> from fluxlab.plans import read_plan
    >>> plan = read_plan('''
    ...  Sort (actual time=90.000..99.000 rows=50000 loops=1)
    ...    Sort Key: name
    ...    Sort Method: external merge  Disk: 7112kB
    ...    ->  Seq Scan on users (actual time=0.010..20.000 rows=50000 loops=1)''')
    >>> [(finding.rule, finding.fix) for finding in find(plan)]
    [('R23', "set local work_mem = '16MB';")]
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
