"""A node in EXPLAIN's own words: "Parallel Hash Left Join", "Index Scan using i on t"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = Mapping[str, "Json"] | Sequence["Json"] | str | float | int | bool | None

_AGGREGATES = {
    "Plain": "Aggregate",
    "Sorted": "GroupAggregate",
    "Hashed": "HashAggregate",
    "Mixed": "MixedAggregate",
}
#: What a node reads or writes, under whichever name it has one.
_TARGETS = (
    "Relation Name",
    "Function Name",
    "CTE Name",
    "Tuplestore Name",
    "Table Function Name",
)


def label_of(facts: Mapping[str, Json]) -> str:
    """Return a node of FORMAT JSON as FORMAT TEXT begins it, without its schema.

    >>> label_of({"Node Type": "Hash Join", "Join Type": "Left"})
    'Hash Left Join'
    >>> label_of({"Node Type": "Seq Scan", "Relation Name": "users", "Alias": "u"})
    'Seq Scan on users u'

    Source: `ExplainNode` in `src/backend/commands/explain.c`.
    """
    words = kind_of(facts)
    if facts.get("Scan Direction") == "Backward":
        words += " Backward"
    index = facts.get("Index Name")
    if index is not None:
        is_bitmap = facts["Node Type"] == "Bitmap Index Scan"
        words += f" on {index}" if is_bitmap else f" using {index}"
    target = next((facts[name] for name in _TARGETS if name in facts), None)
    alias = facts.get("Alias")
    if target is None:
        # A scan of VALUES or of a subquery has its alias only.
        return words if alias is None else f"{words} on {alias}"
    return f"{words} on {target}" + (f" {alias}" if alias not in (None, target) else "")


def kind_of(facts: Mapping[str, Json]) -> str:
    """Return the node type as FORMAT TEXT writes it: strategy, join type and all.

    >>> kind_of({"Node Type": "Aggregate", "Strategy": "Hashed", "Partial Mode": "Partial"})
    'Partial HashAggregate'
    """
    kind = str(facts["Node Type"])
    if kind == "Aggregate":
        kind = _AGGREGATES.get(str(facts.get("Strategy")), kind)
    elif kind == "SetOp":
        hashed = "Hash" if facts.get("Strategy") == "Hashed" else ""
        kind = f"{hashed}SetOp {facts.get('Command', '')}".rstrip()
    elif kind == "ModifyTable":
        kind = str(facts.get("Operation", kind))
    join = facts.get("Join Type", "Inner")
    if join != "Inner":
        # "Hash Left Join", but "Nested Loop Left Join".
        kind = f"{kind.removesuffix(' Join')} {join} Join"
    mode = facts.get("Partial Mode", "Simple")
    if mode != "Simple":
        kind = f"{mode} {kind}"
    if facts.get("Parallel Aware") is True:
        kind = f"Parallel {kind}"
    return f"Async {kind}" if facts.get("Async Capable") is True else kind
