"""Read a Plan from what EXPLAIN printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from fluxlab.errors import FluxlabError
from fluxlab.plans.labels import Json
from fluxlab.plans.plan import Plan
from fluxlab.plans.totals import build_plan


def read_plan(document: str | Json) -> Plan:
    """Return the first Plan of a document; see `read_plans`.

    >>> read_plan('[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "users"}}]')
    <Plan: Seq Scan on users, not executed>
    """
    return read_plans(document)[0]


def read_plans(document: str | Json) -> tuple[Plan, ...]:
    """Return every Plan of the answer of EXPLAIN (FORMAT JSON), text or parsed.

    Raises FluxlabError when the document holds none.
    """
    try:
        parsed = json.loads(document) if isinstance(document, str) else document
        tops = parsed if isinstance(parsed, Sequence) else [parsed]
        plans = []
        for top in tops:
            assert isinstance(top, Mapping)
            plans.append(build_plan(top))
        assert plans
    except (ValueError, KeyError, AssertionError, TypeError):
        raise FluxlabError(
            "This is not a plan in JSON.",
            "Use EXPLAIN (FORMAT JSON) and pass its whole answer.",
        ) from None
    return tuple(plans)
