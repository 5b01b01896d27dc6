"""EXPLAIN (FORMAT XML), made into the documents of FORMAT JSON."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from fluxlab.plans.formats.text_properties import LISTS, TEXTS, scalar
from fluxlab.plans.formats.unframe import Line, refuse
from fluxlab.plans.labels import Json

_WHOLE = "Paste EXPLAIN's whole answer, or use EXPLAIN (FORMAT JSON)."
#: Elements whose children are a list, besides those made of items.
_OF_MANY = (
    frozenset(
        (
            "Plans",
            "Workers",
            "Triggers",
            "Target Tables",
            "Grouping Sets",
            "Hash Keys",
            "Group Keys",
            "Sort Methods Used",
            "Sampling Parameters",
            "Params Evaluated",
            "Conflict Arbiter Indexes",
        )
    )
    | LISTS
)
_NAMES = (
    frozenset(
        (
            "Node Type",
            "Strategy",
            "Partial Mode",
            "Operation",
            "Command",
            "Join Type",
            "Parent Relationship",
            "Subplan Name",
            "Custom Plan Provider",
            "Scan Direction",
            "Relation Name",
            "Schema",
            "Alias",
            "Index Name",
            "CTE Name",
            "Function Name",
            "Table Function Name",
            "Tuplestore Name",
            "Trigger Name",
            "Constraint Name",
            "Relation",
            "Query Text",
            "Query Parameters",
            "Repeatable Seed",
            "Sampling Method",
        )
    )
    | TEXTS
)
#: Names in which a sign that is no space became a dash.
_DASHED = {
    name.replace(" ", "-").replace("/", "-"): name
    for name in (
        "One-Time Filter",
        "Full-sort Groups",
        "Pre-sorted Groups",
        "I/O Read Time",
        "I/O Write Time",
        *(
            f"{kind} I/O {way} Time"
            for kind in ("Shared", "Local", "Temp")
            for way in ("Read", "Write")
        ),
    )
}


def read_xml(lines: Sequence[Line]) -> list[Json]:
    """Return the documents; raises FluxlabError with the line that it fails at.

    A DOCTYPE is refused, and with it every entity that it could declare.
    """
    for line in lines:
        if "<!DOCTYPE" in line.text or "<!ENTITY" in line.text:
            raise refuse(line, "declares a document type, which EXPLAIN does not", _WHOLE)
    text = "\n".join(line.text for line in lines).strip()
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        at = min(max(error.position[0], 1), len(lines)) - 1
        raise refuse(lines[at], "cannot be read as XML", _WHOLE) from None
    except (ValueError, LookupError):
        raise refuse(lines[0], "begins what cannot be read as XML", _WHOLE) from None
    queries = [one for one in root if _name(one) == "Query"]
    # auto_explain writes no element around the one query.
    return [_value(one) for one in queries or [root]]


def _name(element: ElementTree.Element) -> str:
    tag = element.tag.rpartition("}")[2]
    return _DASHED.get(tag, tag.replace("-", " "))


def _value(element: ElementTree.Element) -> Json:
    name = _name(element)
    children = list(element)
    if name in _OF_MANY or (children and all(_name(one) == "Item" for one in children)):
        return [_value(one) for one in children]
    if name == "Settings":
        return {one.tag.rpartition("}")[2]: one.text or "" for one in children}
    if children:
        return _object(children)
    text = element.text or ""
    return text if name in _NAMES or name == "Item" else scalar(text)


def _object(children: Sequence[ElementTree.Element]) -> Json:
    """Return elements by their names, those of one name by the names that XML drops."""
    facts: dict[str, Json] = {}
    for one in children:
        name = _name(one)
        names = _SAME.get(name, (name,))
        facts[next((each for each in names if each not in facts), name)] = _value(one)
    return facts


#: Elements that XML gives one name for what the other formats tell apart, in its order.
_SAME = {
    "Incremental Sort Groups": ("Full-sort Groups", "Pre-sorted Groups"),
    "Sort Space": ("Sort Space Memory", "Sort Space Disk"),
}
