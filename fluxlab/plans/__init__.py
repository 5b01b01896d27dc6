"""Plans: read out of anything that EXPLAIN printed, judged by rules, compared, shown.

>>> from fluxlab.plans import RULES, find, read_plan
>>> plan = read_plan('''
...  Seq Scan on users (actual time=0.010..2.000 rows=2 loops=1)
...    Filter: (name = 'Ann'::text)
...    Rows Removed by Filter: 5000
... ''')
>>> plan
<Plan: Seq Scan on users, 5,002 rows read for 2, 0 blocks, 0 ms>
>>> [finding.fix for finding in find(plan)]
['create index on users (name);']
>>> {rule.id: rule.name for rule in RULES}["R23"]
'A sort on disk'

Importing the package imports nothing else: a name is fetched when it is asked for first.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluxlab.plans.asking import read_surroundings
    from fluxlab.plans.differences import DiffRow, NodePair, PlanDiff, diff
    from fluxlab.plans.findings import Finding
    from fluxlab.plans.foreign import Asked, explain_safely
    from fluxlab.plans.plan import Amounts, Plan, PlanNode, Trigger
    from fluxlab.plans.reading import read_plan, read_plans
    from fluxlab.plans.rules.rule import Rule
    from fluxlab.plans.rules.table import RULES, find
    from fluxlab.plans.statement import Statement, read_statement
    from fluxlab.plans.surroundings import (
        KnownColumn,
        KnownIndex,
        KnownTable,
        Surroundings,
    )
    from fluxlab.plans.views.html import finding_html, plan_html
    from fluxlab.plans.views.side_by_side import diff_html, diff_text
    from fluxlab.plans.views.terminal import plan_text, plan_tree
    from fluxlab.plans.views.words import Total, by_index, by_kind, by_table, sentence

__all__ = [
    "RULES",
    "Amounts",
    "Asked",
    "DiffRow",
    "Finding",
    "KnownColumn",
    "KnownIndex",
    "KnownTable",
    "NodePair",
    "Plan",
    "PlanDiff",
    "PlanNode",
    "Rule",
    "Statement",
    "Surroundings",
    "Total",
    "Trigger",
    "by_index",
    "by_kind",
    "by_table",
    "diff",
    "diff_html",
    "diff_text",
    "explain_safely",
    "find",
    "finding_html",
    "plan_html",
    "plan_text",
    "plan_tree",
    "read_plan",
    "read_plans",
    "read_statement",
    "read_surroundings",
    "sentence",
]

#: The module of each name; none may be called as one of its names.
_HOMES = {
    "asking": "read_surroundings",
    "differences": "DiffRow NodePair PlanDiff diff",
    "findings": "Finding",
    "foreign": "Asked explain_safely",
    "plan": "Amounts Plan PlanNode Trigger",
    "reading": "read_plan read_plans",
    "rules.rule": "Rule",
    "rules.table": "RULES find",
    "statement": "Statement read_statement",
    "surroundings": "KnownColumn KnownIndex KnownTable Surroundings",
    "views.html": "finding_html plan_html",
    "views.side_by_side": "diff_html diff_text",
    "views.terminal": "plan_text plan_tree",
    "views.words": "Total by_index by_kind by_table sentence",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
