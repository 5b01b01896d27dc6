"""From what somebody gives us to a Plan with its Findings: a plan, a statement, a Query."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import psycopg

from fluxlab.errors import FluxlabError
from fluxlab.lab import Lab
from fluxlab.plans.asking import read_surroundings
from fluxlab.plans.findings import WEIGHTS, Finding, Weight
from fluxlab.plans.foreign import Asked, explain_safely
from fluxlab.plans.plan import Plan, PlanNode
from fluxlab.plans.reading import read_plans
from fluxlab.plans.rules.table import find
from fluxlab.plans.statement import read_statement
from fluxlab.plans.surroundings import NOTHING_KNOWN, Surroundings
from fluxlab.workload.catalogue import number_parameters
from fluxlab.workload.parameters import Sampler
from fluxlab.workload.query import Query


@dataclass(frozen=True, slots=True)
class Explained:
    """A Plan, what is wrong with it, and the statement where it is known."""

    plan: Plan
    findings: tuple[Finding, ...]
    statement: str | None = None

    def weighs(self, least: Weight) -> bool:
        """Whether a Finding weighs as much as `least`, or more."""
        heavy = WEIGHTS[: WEIGHTS.index(least) + 1]
        return any(finding.weight in heavy for finding in self.findings)

    def as_json(self) -> str:
        """Return plan and findings as JSON: totals, own times, the rules that fired."""
        document = {
            "statement": self.statement,
            "planning_ms": self.plan.planning_ms,
            "execution_ms": self.plan.execution_ms,
            "nodes": [_row(node) for node in self.plan.nodes],
            "findings": [asdict(finding) for finding in self.findings],
        }
        return json.dumps(document, indent=2, default=str)

    def __repr__(self) -> str:
        count = len(self.findings)
        return f"<Explained: {self.plan!r}, {count} finding{'' if count == 1 else 's'}>"


def is_statement(text: str) -> bool:
    """Whether PostgreSQL's parser reads the text; it reads no plan.

    >>> is_statement("select 1"), is_statement("Seq Scan on t  (cost=0.00..1.00 rows=1)")
    (True, False)
    """
    try:
        read_statement(number_parameters(text)[0])
    except FluxlabError:
        return False
    return True


def explained(
    plan: Plan, known: Surroundings = NOTHING_KNOWN, statement: str | None = None
) -> Explained:
    """Return a Plan with what the rules find in it."""
    return Explained(plan, find(plan, known), statement)


def explain_pasted(text: str) -> tuple[Explained, ...]:
    """Return every Plan of a paste; raises FluxlabError where there is none.

    The log of auto_explain has the statement as well, and some rules look at it.

    >>> log = '''LOG:  duration: 9.012 ms  plan:
    ... Query Text: select count(*) from users
    ... Aggregate  (cost=9.00..9.01 rows=1 width=8)
    ...   ->  Seq Scan on users  (cost=0.00..8.00 rows=300 width=0)'''
    >>> explain_pasted(log)[0].statement
    'select count(*) from users'
    """
    return tuple(_pasted(plan) for plan in read_plans(text))


def _pasted(plan: Plan) -> Explained:
    text = plan.facts.get("Query Text")
    statement = text if isinstance(text, str) else None
    # Of several statements that were sent together nobody knows which this is.
    is_one = statement is not None and is_statement(statement)
    known = Surroundings(statement=statement) if is_one else NOTHING_KNOWN
    return explained(plan, known, statement)


def explain_statement(
    connection: psycopg.Connection,
    sql: str,
    values: Mapping[str, object] | Sequence[object] = (),
    asked: Asked | None = None,
) -> Explained:
    """Explain a statement on any database, safely; see `plans.foreign`.

    Parameters are `$1 …` with a sequence of values, or `:name` with a mapping.
    """
    statement, names = number_parameters(sql)
    if isinstance(values, Mapping):
        values = _in_order(names, values)
    plan = explain_safely(connection, statement, values, asked)
    known = read_surroundings(connection, plan, statement, values)
    return explained(plan, known, sql)


def explain_query(
    lab: Lab,
    name: str,
    state: str = "baseline",
    of_class: str = "typical",
    *,
    analyze: bool = False,
) -> Explained:
    """Explain a Query of the lab with values of a class; a write is rolled back.

    It is planned with the values of the other classes too: plans may differ by them.
    """
    query = lab.workload.find(name)
    plan = lab.explain(name, state, of_class, analyze=analyze)
    sets = _values_of_classes(lab, query)
    values = sets.get(of_class) or next(iter(sets.values()))
    with lab.connection(state) as connection:
        known = read_surroundings(
            connection, plan, query.statement, values, other_values=sets
        )
    return explained(plan, known, query.sql)


def _values_of_classes(lab: Lab, query: Query) -> Mapping[str, tuple[object, ...]]:
    with lab.connection() as connection:
        sampler = Sampler(connection, lab.dataset.now, lab.settings.seed)
        return {one.of_class: one.values for one in sampler.parameter_sets(query)}


def _in_order(names: Sequence[str], values: Mapping[str, object]) -> list[object]:
    missing = [name for name in names if name not in values]
    if missing and values:
        raise FluxlabError(
            f"There is no value for :{missing[0]}.",
            f"Give one for each of {', '.join(':' + name for name in names)}.",
        )
    return [] if missing else [values[name] for name in names]


def _row(node: PlanNode) -> dict[str, object]:
    return {
        "number": node.number,
        "label": node.label,
        "role": node.role,
        "conditions": dict(node.conditions),
        "loops": node.loops,
        "processes": node.processes,
        "planned_rows": node.planned_rows,
        "rows_read": node.rows_read,
        "rows_kept": node.rows_kept,
        "time_ms": round(node.time_ms, 3),
        "own_time_ms": round(node.own_time_ms, 3),
        "blocks": node.blocks,
        "own_blocks": node.own_blocks,
        "spilled_blocks": node.spilled_blocks,
    }
