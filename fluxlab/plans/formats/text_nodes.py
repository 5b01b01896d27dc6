"""The first line of a node in FORMAT TEXT, as the facts of FORMAT JSON.

Source: `ExplainNode` in `src/backend/commands/explain.c`, PostgreSQL 13 to 18.
"""

from __future__ import annotations

import re

from fluxlab.plans.formats.unframe import SOFT
from fluxlab.plans.labels import Json

_NUMBERS = re.compile(
    r"(?:\(cost=(?P<startup>\d+\.?\d*)\.\.(?P<total>\d+\.?\d*)\s*rows=(?P<rows>\d+)"
    r"\s*width=(?P<width>\d+)\s*\))?\s*"
    r"(?:\((?:actual\s*(?:time=(?P<first_ms>\d+\.?\d*)\.\.(?P<last_ms>\d+\.?\d*)\s*)?"
    r"rows=(?P<actual_rows>\d+\.?\d*)\s*loops=(?P<loops>\d+)"
    r"|(?P<never>never\s*executed))\s*\))?\s*$"
)
_FACT_NAMES = {
    "startup": "Startup Cost",
    "total": "Total Cost",
    "rows": "Plan Rows",
    "width": "Plan Width",
    "first_ms": "Actual Startup Time",
    "last_ms": "Actual Total Time",
    "actual_rows": "Actual Rows",
    "loops": "Actual Loops",
}
_ARROW = re.compile(r"^\s*->\s*")

_AGGREGATES = {
    "Aggregate": "Plain",
    "GroupAggregate": "Sorted",
    "HashAggregate": "Hashed",
    "MixedAggregate": "Mixed",
}
_JOIN = re.compile(
    r"^(?P<kind>Hash|Merge|Nested Loop)(?: (?P<type>Left|Full|Right|Semi|Anti|"
    r"Right Semi|Right Anti))?(?P<join> Join)?$"
)
_SET_OPERATION = re.compile(r"^(?P<hash>Hash)?SetOp (?P<command>\w+(?: All)?)$")
_WRITE = re.compile(r"^(?P<foreign>Foreign )?(?P<operation>Insert|Update|Delete|Merge)$")
_CUSTOM = re.compile(r"^(?P<kind>Custom Scan) \((?P<provider>.*)\)$")
_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[^\s".()]+)'
_INDEX = re.compile(
    rf"^(?P<kind>.+?)(?: (?P<back>Backward))? using (?P<index>{_IDENTIFIER})$"
)
_TARGET = re.compile(
    rf"^(?P<kind>.+?) on (?:(?P<schema>{_IDENTIFIER})\.)?(?P<name>{_IDENTIFIER})"
    rf"(?: (?P<alias>{_IDENTIFIER}))?$",
    re.DOTALL,
)
#: Under which name FORMAT JSON has what a scan reads; None where it has an alias only.
_TARGETS: dict[str, str | None] = {
    "Function Scan": "Function Name",
    "Table Function Scan": "Table Function Name",
    "CTE Scan": "CTE Name",
    "WorkTable Scan": "CTE Name",
    "Named Tuplestore Scan": "Tuplestore Name",
    "Bitmap Index Scan": "Index Name",
    "Values Scan": None,
    "Subquery Scan": None,
}
_SCANS = (
    *_TARGETS,
    "Seq Scan",
    "Sample Scan",
    "Index Scan",
    "Index Only Scan",
    "Bitmap Heap Scan",
    "Tid Scan",
    "Tid Range Scan",
    "Foreign Scan",
    "Custom Scan",
)
_OTHERS = (
    *_AGGREGATES,
    "Result",
    "ProjectSet",
    "Append",
    "Merge Append",
    "Recursive Union",
    "BitmapAnd",
    "BitmapOr",
    "Gather",
    "Gather Merge",
    "Materialize",
    "Memoize",
    "Sort",
    "Incremental Sort",
    "Group",
    "WindowAgg",
    "Unique",
    "SetOp",
    "LockRows",
    "Limit",
    "Hash",
)
_KNOWN = frozenset(
    (*_SCANS, *_OTHERS, "ModifyTable", "Hash Join", "Merge Join", "Nested Loop")
)
_NAME = re.compile(r"^[A-Z][A-Za-z]*(?: [A-Za-z()]+)*$")
_BEGINNINGS = re.compile(
    r"^(?:(?:Parallel|Async|Partial|Finalize|Foreign) )*(?:"
    + "|".join(
        re.escape(name)
        for name in (*_SCANS, *_OTHERS, "HashSetOp", "Hash", "Merge", "Nested Loop")
    )
    + r"|(?:Insert|Update|Delete|Merge) on)\b"
)


def is_root(text: str, *, needs_numbers: bool) -> bool:
    """Whether a line begins a plan; without numbers its node must be a known one.

    >>> is_root(" Sort  (cost=1.00..2.00 rows=3 width=4)", needs_numbers=True)
    True
    >>> is_root("Sort Key: id", needs_numbers=False)
    False
    """
    is_arrow = _ARROW.match(text) is not None
    has_numbers = any(one in text for one in ("(cost=", "(actual ", "(never executed)"))
    if needs_numbers and not has_numbers and not is_arrow:
        return False
    if not is_arrow and not _BEGINNINGS.match(text.strip()):
        return False
    # One that a terminal broke within its numbers is one, too.
    return has_numbers or read_node(text) is not None


def read_node(text: str) -> dict[str, Json] | None:
    """Return the facts of a node's first line, or None where it is none.

    >>> facts = read_node("  ->  Hash Left Join  (cost=1.00..2.50 rows=3 width=4)")
    >>> facts["Node Type"], facts["Join Type"], facts["Total Cost"]
    ('Hash Join', 'Left', 2.5)
    """
    for joint in (" ", "") if SOFT in text else (" ",):
        # Both ways for a line that was broken: between words, and within one.
        whole = _ARROW.sub("", text.replace(SOFT, joint)).strip()
        place = _start_of_numbers(whole)
        found = _NUMBERS.fullmatch(whole, place)
        if found is None:
            continue
        facts = _facts_of_name(whole[:place].rstrip(), is_known=place == len(whole))
        if facts is not None:
            facts.update(_facts_of_numbers(found))
            return facts
    return None


def read_target(text: str) -> dict[str, Json] | None:
    """Return the table of a line such as "Update on part_1 p", else None."""
    found = _TARGET.match(text.replace(SOFT, " ").strip())
    if found is None or not _WRITE.match(found["kind"]):
        return None
    return _names(found, "Relation Name")


def _start_of_numbers(whole: str) -> int:
    places = (
        whole.find(one)
        for one in ("(cost=", "(actual time=", "(actual rows=", "(never executed)")
    )
    return min((place for place in places if place >= 0), default=len(whole))


def _facts_of_numbers(found: re.Match[str]) -> dict[str, Json]:
    facts: dict[str, Json] = {
        name: number(found[group])
        for group, name in _FACT_NAMES.items()
        if found[group] is not None
    }
    if found["never"]:
        facts |= {"Actual Rows": 0, "Actual Loops": 0}
    return facts


def number(text: str) -> int | float:
    """Return a number as FORMAT JSON has it: whole, or with its decimals.

    >>> number("3"), number("0.50")
    (3, 0.5)
    """
    return float(text) if "." in text else int(text)


def _facts_of_name(name: str, *, is_known: bool) -> dict[str, Json] | None:
    """Return the facts of a node's name; `is_known` asks for one that PostgreSQL has."""
    facts: dict[str, Json] = {"Node Type": "", "Parallel Aware": False}
    facts["Async Capable"] = False
    for prefix, fact in (("Parallel ", "Parallel Aware"), ("Async ", "Async Capable")):
        if name.startswith(prefix):
            name, facts[fact] = name.removeprefix(prefix), True
    if name.startswith(("Partial ", "Finalize ")):
        mode, _, name = name.partition(" ")
        facts["Partial Mode"] = mode
    kind = _take_target(name, facts) if " on " in name or " using " in name else name
    facts |= _facts_of_kind(kind)
    node_type = str(facts["Node Type"])
    if node_type not in _KNOWN and (is_known or not _NAME.match(node_type)):
        return None
    if node_type == "Aggregate":
        facts.setdefault("Partial Mode", "Simple")
    if node_type in ("Index Scan", "Index Only Scan"):
        facts.setdefault("Scan Direction", "Forward")
    return facts


def _take_target(name: str, facts: dict[str, Json]) -> str:
    """Move what a node reads from its name into its facts; return the rest."""
    found = _TARGET.match(name)
    kind = name
    if found is not None:
        kind = found["kind"]
        base = kind.partition(" using ")[0].removesuffix(" Backward")
        target = _TARGETS.get(base, "Relation Name")
        facts |= _names(found, target)
        if base == "Bitmap Index Scan":
            facts.pop("Alias", None)
    if by_index := _INDEX.match(kind):
        kind = by_index["kind"]
        facts["Scan Direction"] = "Backward" if by_index["back"] else "Forward"
        facts["Index Name"] = unquote(by_index["index"])
    return kind


def _names(found: re.Match[str], target: str | None) -> dict[str, Json]:
    name = unquote(found["name"])
    if target is None:
        return {"Alias": name}
    names: dict[str, Json] = {target: name}
    if found["schema"]:
        names["Schema"] = unquote(found["schema"])
    return names | {"Alias": unquote(found["alias"]) if found["alias"] else name}


def unquote(identifier: str) -> str:
    """Return an identifier without its quotes.

    >>> unquote('"a ""b"" c"'), unquote("one")
    ('a "b" c', 'one')
    """
    if identifier.startswith('"'):
        return identifier[1:-1].replace('""', '"')
    return identifier


def _facts_of_kind(kind: str) -> dict[str, Json]:
    if kind in _AGGREGATES:
        return {"Node Type": "Aggregate", "Strategy": _AGGREGATES[kind]}
    if found := _SET_OPERATION.match(kind):
        strategy = "Hashed" if found["hash"] else "Sorted"
        return {"Node Type": "SetOp", "Strategy": strategy, "Command": found["command"]}
    if found := _WRITE.match(kind):
        node_type = "Foreign Scan" if found["foreign"] else "ModifyTable"
        return {"Node Type": node_type, "Operation": found["operation"]}
    if found := _CUSTOM.match(kind):
        return {"Node Type": found["kind"], "Custom Plan Provider": found["provider"]}
    if kind == "Foreign Scan":
        return {"Node Type": kind, "Operation": "Select"}
    if kind != "Hash" and (found := _JOIN.match(kind)):
        base, join = found["kind"], found["type"] or "Inner"
        is_loop = base == "Nested Loop"
        if is_loop != (found["join"] is None) and not (is_loop and found["type"]):
            return {"Node Type": kind}
        return {"Node Type": base if is_loop else f"{base} Join", "Join Type": join}
    return {"Node Type": kind}
