"""Read Plans from what EXPLAIN printed, in any format and out of any frame.

Every format becomes a document of FORMAT JSON first, and `totals` makes the Plan of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from fluxlab.errors import FluxlabError
from fluxlab.plans.formats.text import read_text
from fluxlab.plans.formats.unframe import refuse
from fluxlab.plans.formats.unwrap import Piece, unwrap
from fluxlab.plans.formats.xml import read_xml
from fluxlab.plans.formats.yaml import read_yaml
from fluxlab.plans.labels import Json
from fluxlab.plans.plan import Plan
from fluxlab.plans.totals import build_plan

_PASS = (
    "Pass the whole answer of EXPLAIN (FORMAT JSON), or of any other format, as the "
    "server, psql or its log printed it."
)
_BROKEN = (
    ValueError,
    KeyError,
    AssertionError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


def read_plan(document: str | Json) -> Plan:
    """Return the first Plan of a document; see `read_plans`.

    >>> read_plan('[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "users"}}]')
    <Plan: Seq Scan on users, not executed>
    """
    return read_plans(document)[0]


def read_plans(document: str | Json) -> tuple[Plan, ...]:
    """Return every Plan in text as it was pasted, or in JSON that was parsed.

    The text may be FORMAT TEXT, JSON, YAML or XML of PostgreSQL 13 to 18, framed by
    psql, quoted, or within the log of auto_explain, and hold several plans.
    Raises FluxlabError when it holds none, or a broken one: with the line.

    >>> read_plans("Sort  (cost=9.00..9.01 rows=3 width=4)\\n  Sort Key: id\\n"
    ...     "  ->  Seq Scan on users  (cost=0.00..8.00 rows=3 width=4)")[0].root.children
    ... # doctest: +ELLIPSIS
    (PlanNode(number=2, facts={'Node Type': 'Seq Scan', ...
    """
    if not isinstance(document, str):
        return _plans(list(_tops(document)))
    parsed = _parsed(document)
    if parsed is not None:
        return _plans(list(_tops(parsed)))
    plans = [plan for piece in unwrap(document) for plan in _plans_of_piece(piece)]
    if not plans:
        raise FluxlabError("This holds no plan.", _PASS)
    return tuple(plans)


def _parsed(text: str) -> Json:
    """Return text that is JSON as a whole, None where it is not."""
    if text.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        found: Json = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found


def _tops(parsed: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the objects with a "Plan", out of the rows that a client put them in."""
    if isinstance(parsed, Mapping):
        if "Plan" in parsed:
            yield parsed
        elif "Node Type" in parsed:
            yield {"Plan": parsed}
        elif "QUERY PLAN" in parsed:
            yield from _tops(parsed["QUERY PLAN"])
    elif isinstance(parsed, Sequence) and not isinstance(parsed, str):
        for one in parsed:
            yield from _tops(one)


def _plans(tops: Sequence[Mapping[str, Json]]) -> tuple[Plan, ...]:
    try:
        plans = tuple(build_plan(top) for top in tops)
    except _BROKEN:
        raise FluxlabError("This is not a plan, or only a part of one.", _PASS) from None
    if not plans:
        raise FluxlabError("This holds no plan.", _PASS)
    return plans


def _plans_of_piece(piece: Piece) -> tuple[Plan, ...]:
    try:
        documents = list(_documents(piece))
    except RecursionError:
        raise refuse(
            piece.lines[0], "begins a plan that is nested too deep", _PASS
        ) from None
    try:
        return tuple(build_plan(_completed(one, piece)) for one in documents)
    except _BROKEN:
        raise refuse(piece.lines[0], "begins what is no plan", _PASS) from None


def _documents(piece: Piece) -> Iterator[Mapping[str, Json]]:
    if piece.format == "text":
        yield from read_text(piece.lines)
    elif piece.format == "xml":
        yield from _tops(read_xml(piece.lines))
    elif piece.format == "yaml":
        yield from _tops(read_yaml(piece.lines))
    else:
        yield from _tops(_read_json(piece))


def _read_json(piece: Piece) -> Json:
    try:
        found: Json = json.JSONDecoder().raw_decode(piece.text.lstrip())[0]
    except json.JSONDecodeError as error:
        at = min(error.lineno, len(piece.lines)) - 1
        raise refuse(
            piece.lines[at], f"cannot be read as JSON: {error.msg.lower()}", _PASS
        ) from None
    except ValueError:
        raise refuse(piece.lines[0], "begins what cannot be read as JSON", _PASS) from None
    return found


def _completed(document: Mapping[str, Json], piece: Piece) -> Mapping[str, Json]:
    """Return a document with what the log said beside it: the statement, its time."""
    facts = dict(document)
    if piece.query is not None:
        facts.setdefault("Query Text", piece.query)
    root = facts["Plan"]
    assert isinstance(root, Mapping)
    if piece.duration_ms is not None and "Actual Rows" in root:
        facts.setdefault("Execution Time", piece.duration_ms)
    return facts
