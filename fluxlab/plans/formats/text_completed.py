"""What a plan in text says only as a whole: relations, times of what never ran.

`text_format` reads the lines; this is the last step to the document of FORMAT JSON.
"""

from __future__ import annotations

from collections.abc import Iterator

from fluxlab.plans.formats.text_properties import Facts

_MEMBERS = ("Append", "Merge Append", "BitmapAnd", "BitmapOr")


def completed(document: Facts) -> Facts:
    """Add to a document what its lines say only together; return it.

    >>> plan = {"Plan": {"Node Type": "Hash", "Plans": [{"Node Type": "Result"}]}}
    >>> completed(plan)["Plan"]["Plans"]
    [{'Node Type': 'Result', 'Parent Relationship': 'Outer'}]
    """
    root = document["Plan"]
    assert isinstance(root, dict)
    nodes = list(_walk(root))
    is_timed = any("Actual Total Time" in node for node in nodes)
    for node in nodes:
        if is_timed and node.get("Actual Loops") == 0 and "Actual Total Time" not in node:
            node |= {"Actual Startup Time": 0.0, "Actual Total Time": 0.0}
        sets = node.get("Grouping Sets")
        if isinstance(sets, list) and len(sets) == 1 and "Group Keys" in sets[0]:
            keys = sets[0]["Group Keys"]
            if len(keys) == 1 and keys[0] and "Sort Key" not in sets[0]:
                # One key is no grouping set.
                node["Group Key"] = keys[0]
                del node["Grouping Sets"]
    _relate(root)
    if "Actual Rows" in root:
        document.setdefault("Triggers", [])
    return document


def _walk(facts: Facts) -> Iterator[Facts]:
    yield facts
    children = facts.get("Plans")
    if isinstance(children, list):
        for child in children:
            yield from _walk(child)


def _relate(facts: Facts) -> None:
    """Say what each child is to its parent, all being known."""
    children = facts.get("Plans")
    if not isinstance(children, list):
        return
    rows = [one for one in children if "Parent Relationship" not in one]
    kind = facts["Node Type"]
    for place, child in enumerate(rows):
        if kind in _MEMBERS or (kind == "ModifyTable" and len(rows) > 1):
            child["Parent Relationship"] = "Member"
        elif kind == "Subquery Scan":
            child["Parent Relationship"] = "Subquery"
        elif kind == "Custom Scan":
            child["Parent Relationship"] = "child" if len(rows) == 1 else "children"
        else:
            child["Parent Relationship"] = "Outer" if place == 0 else "Inner"
    for child in children:
        _relate(child)
