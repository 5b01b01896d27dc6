"""EXPLAIN (FORMAT TEXT) of PostgreSQL 13 to 18, made into the document of FORMAT JSON.

A line's place says whose it is: a node's name stands six columns right of its parent's,
its properties two. `text_format_nodes` reads a node's first line, and
`text_format_properties` the lines below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from fluxlab.plans.formats.text_completed import completed
from fluxlab.plans.formats.text_nodes import is_root, read_node, read_target
from fluxlab.plans.formats.text_properties import (
    Facts,
    is_known_label,
    read_property,
    split_list,
    split_property,
)
from fluxlab.plans.formats.unframe import SOFT, Line, refuse
from fluxlab.plans.labels import Json

_ARROW = re.compile(r"^ *->(?= |$)")
_HEADING = re.compile(r"^ *(?P<name>(?:InitPlan|SubPlan|CTE) [^:]+)$")
_WORKER = re.compile(r"^ *Worker (?P<number>\d{1,9}): *(?P<rest>.*)$", re.DOTALL)
_WORKER_RAN = re.compile(
    r"^actual (?:time=(?P<first>[\d.]+)\.\.(?P<last>\d+(?:\.\d+)?) )?"
    r"rows=(?P<rows>\d+(?:\.\d+)?) loops=(?P<loops>\d+)$"
)
_BLOCK = re.compile(r"^ *(?P<name>Planning|JIT)(?: for worker \d+)?:$")
_TIME = re.compile(r"^ *(?P<name>Planning|Execution) Time: (?P<ms>\d+(?:\.\d+)?) ms$")
_TRIGGER = re.compile(
    r"^ *Trigger(?: (?P<name>(?!for constraint )\S.*?))?"
    r"(?: for constraint (?P<constraint>.+?))?(?: on (?P<relation>.+?))?: "
    r"(?:time=(?P<ms>\d+(?:\.\d+)?) )?calls=(?P<calls>\d+)$"
)
_WHOLE = re.compile(
    r"^ *(?P<label>Settings|Query Identifier|Serialization|Planning Time|Execution Time)"
    r": (?P<value>\S.*)$",
    re.DOTALL,
)


@dataclass
class _Place:
    """A node or the heading of a subplan, by the column of its arrow or its name."""

    column: int
    line: Line
    facts: Facts
    heading: str | None = None

    @property
    def below(self) -> int:
        """The column where the arrows of its children stand."""
        return self.column + (2 if self.heading is not None else 6)


@dataclass
class _Reading:
    """What is known while the lines go by: one document, and where we stand in it."""

    document: Facts = field(default_factory=dict)
    stack: list[_Place] = field(default_factory=list)
    #: What the next property belongs to: a node, one of its workers, or a block.
    sink: Facts = field(default_factory=dict)
    worker_column: int | None = None
    node: Facts = field(default_factory=dict)
    sets: list[Facts] = field(default_factory=list)
    sort_column: int | None = None
    is_over: bool = False


def read_text(lines: Sequence[Line]) -> list[Facts]:
    """Return the documents of plans in FORMAT TEXT, one for each root.

    Raises FluxlabError for a line that is none of a plan, with its number.
    """
    readings: list[_Reading] = []
    for line in _whole_lines(lines):
        if not readings or _begins_another(line, readings[-1]):
            readings.append(_Reading())
        _take(line, readings[-1])
    return [completed(reading.document) for reading in readings]


def _begins_another(line: Line, reading: _Reading) -> bool:
    if not reading.stack or _ARROW.match(line.text):
        return False
    root = reading.stack[0]
    is_written = read_target(line.text) is not None and "(" not in line.text
    return is_root(line.text, needs_numbers=is_written or line.column > root.column + 8)


def _whole_lines(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines, each joined with what a terminal or a mail broke off it."""
    widest = max((len(line.text) for line in lines), default=0)
    whole: Line | None = None
    last, broken, column = None, 0, 0
    for line in lines:
        if line.is_blank:
            continue
        if whole is not None and _TIME.match(whole.text) and not _begins(line, column):
            continue  # What was written below a plan.
        if whole is None or (_begins(line, column) and not _is_cut(whole, line)):
            if whole is not None:
                yield whole
            whole, broken = line, 0
            if _ARROW.match(line.text):
                column = line.column + 6
            elif last is None or read_node(line.text):
                column = line.column + 2
        else:
            is_full = last is not None and len(last.text) == widest
            joint = SOFT if _is_node(whole) else ("" if is_full and widest > 60 else " ")
            whole = replace(whole, text=whole.text.rstrip() + joint + line.text.strip())
            broken += 1
        last = line
    if whole is not None:
        yield whole


def _is_cut(whole: Line, line: Line) -> bool:
    """Whether a node's first line breaks off, so that this one must be its end."""
    if _ARROW.match(line.text) or read_node(whole.text) is not None:
        return False
    return bool(_ARROW.match(whole.text)) or is_root(whole.text, needs_numbers=True)


def _is_node(line: Line) -> bool:
    return _ARROW.match(line.text) is not None or line.text.count("(cost=") > 0


def _begins(line: Line, column: int) -> bool:
    """Whether a line is one of its own; an unknown property must stand in its column."""
    text = line.text
    if any(
        one.match(text) for one in (_ARROW, _HEADING, _WORKER, _BLOCK, _WHOLE, _TRIGGER)
    ):
        return True
    if (found := split_property(text)) is not None:
        return is_known_label(found[0]) or line.column == column
    return read_target(text) is not None or is_root(text, needs_numbers=False)


def _take(line: Line, reading: _Reading) -> None:
    """Put one line where it belongs."""
    text = line.text.replace(SOFT, " ")
    if _ARROW.match(text) or not reading.stack:
        _take_node(line, reading)
    elif found := _HEADING.match(text):
        _climb(line, line.column, reading)
        place = _Place(line.column, line, reading.stack[-1].facts, found["name"].strip())
        reading.stack.append(place)
    elif found := _WORKER.match(text):
        _take_worker(line, int(found["number"]), found["rest"], reading)
    elif found := _BLOCK.match(text):
        reading.sink, reading.worker_column = {}, None
        owner = reading.document if found["name"] == "Planning" else _owner(line, reading)
        owner[found["name"]] = reading.sink
    elif found := _TRIGGER.match(text):
        _take_trigger(found, reading)
    elif found := _WHOLE.match(text):
        _take_whole(line, found["label"], found["value"], reading)
    elif (target := read_target(text)) is not None and line.column > 0:
        tables = reading.node.setdefault("Target Tables", [])
        assert isinstance(tables, list)
        tables.append(target)
    elif (found_property := split_property(text)) is not None:
        _take_property(line, *found_property, reading)
    else:
        raise refuse(line, "is no line of a plan", _AGAIN)


_AGAIN = (
    "Expected a node, a property of the node above, or the end; paste the whole answer "
    "of EXPLAIN, with its spaces, or use EXPLAIN (FORMAT JSON)."
)


def _owner(line: Line, reading: _Reading) -> Facts:
    """Return whose block this is: a node's, for one of its workers, or the plan's."""
    return reading.sink if line.column > reading.stack[0].column + 8 else reading.document


def _take_node(line: Line, reading: _Reading) -> None:
    facts = read_node(line.text)
    if facts is None:
        raise refuse(
            line,
            "is no node",
            "Expected one such as “Seq Scan on users  (cost=0.00..9.00 rows=9 width=4)”; "
            + _AGAIN.partition("; ")[2],
        )
    arrow = _ARROW.match(line.text)
    column = line.column if arrow else line.column - 4
    if not reading.stack:
        reading.document["Plan"] = facts
    else:
        _climb(line, column, reading)
        _adopt(reading.stack[-1], facts)
    reading.stack.append(_Place(column, line, facts))
    reading.node = reading.sink = facts
    reading.worker_column, reading.sort_column = None, None


def _climb(line: Line, column: int, reading: _Reading) -> None:
    """Leave the nodes that a line does not stand below."""
    while len(reading.stack) > 1 and reading.stack[-1].column >= column:
        reading.stack.pop()
    above = reading.stack[-1]
    # Copying loses a space before the first line more often than not.
    slack = 1 if len(reading.stack) == 1 else 0
    if column > above.below + slack:
        raise refuse(
            line,
            "is indented deeper than any node above",
            f"A line between {above.line.number} and {line.number} is missing; "
            + _AGAIN.partition("; ")[2],
        )
    if column < above.below - slack:
        raise refuse(
            line,
            "stands beside no node and under none",
            "A line above it is missing, or its spaces; " + _AGAIN.partition("; ")[2],
        )


def _adopt(parent: _Place, facts: Facts) -> None:
    children = parent.facts.setdefault("Plans", [])
    assert isinstance(children, list)
    if parent.heading is not None:
        name = parent.heading
        facts["Parent Relationship"] = "SubPlan" if name[:3] == "Sub" else "InitPlan"
        facts["Subplan Name"] = name
    children.append(facts)


def _take_worker(line: Line, number: int, rest: str, reading: _Reading) -> None:
    workers = reading.node.setdefault("Workers", [])
    assert isinstance(workers, list)
    worker = next((one for one in workers if one["Worker Number"] == number), None)
    if worker is None:
        worker = {"Worker Number": number}
        workers.append(worker)
    reading.sink, reading.worker_column = worker, line.column
    if ran := _WORKER_RAN.match(rest):
        if ran["first"]:
            worker["Actual Startup Time"] = float(ran["first"])
            worker["Actual Total Time"] = float(ran["last"])
        worker["Actual Rows"] = (
            float(ran["rows"]) if "." in ran["rows"] else int(ran["rows"])
        )
        worker["Actual Loops"] = int(ran["loops"])
    elif rest == "JIT:":
        reading.sink = {}
        worker["JIT"] = reading.sink
    elif (found := split_property(rest)) is not None:
        worker |= read_property(*found, str(reading.node["Node Type"]))
    elif rest:
        raise refuse(line, "is no line of a worker", _AGAIN)


def _take_trigger(found: re.Match[str], reading: _Reading) -> None:
    trigger: Facts = {}
    for group, name in (
        ("name", "Trigger Name"),
        ("constraint", "Constraint Name"),
        ("relation", "Relation"),
    ):
        if found[group]:
            trigger[name] = found[group]
    if found["ms"]:
        trigger["Time"] = float(found["ms"])
    trigger["Calls"] = int(found["calls"])
    triggers = reading.document.setdefault("Triggers", [])
    assert isinstance(triggers, list)
    triggers.append(trigger)


def _take_whole(line: Line, label: str, value: str, reading: _Reading) -> None:
    """Take a line that is about the whole plan."""
    if label in ("Planning Time", "Execution Time"):
        found = _TIME.match(line.text.replace(SOFT, " "))
        if found is None:
            raise refuse(line, "is no time", "Expected milliseconds, such as “0.123 ms”.")
        reading.document[label] = float(found["ms"])
        reading.sink = {}
        return
    facts = read_property(label, value, "")
    if label == "Serialization":
        reading.sink, reading.worker_column = facts, None
        reading.document[label] = facts
    else:
        reading.document |= facts


def _take_property(line: Line, label: str, value: str, reading: _Reading) -> None:
    if reading.worker_column is not None and line.column <= reading.worker_column:
        reading.sink, reading.worker_column = reading.node, None
    kind = str(reading.node["Node Type"])
    if kind == "Aggregate" and label in ("Group Key", "Hash Key", "Sort Key"):
        _take_grouping(line, label, value, reading)
    else:
        reading.sink |= read_property(label, value, kind)


def _take_grouping(line: Line, label: str, value: str, reading: _Reading) -> None:
    """Collect the keys of a node that aggregates; `completed` says what they make."""
    keys: list[Json] = [] if value == "()" else list(split_list(value))
    sets = reading.node.setdefault("Grouping Sets", [])
    assert isinstance(sets, list)
    if label == "Sort Key":
        sets.append({"Sort Key": keys, "Group Keys": []})
        reading.sort_column = line.column
        return
    is_nested = reading.sort_column is not None and line.column > reading.sort_column
    if label == "Hash Key":
        sets.append({"Hash Keys": [keys]})
    elif sets and "Group Keys" in sets[-1] and is_nested == ("Sort Key" in sets[-1]):
        sets[-1]["Group Keys"].append(keys)
    else:
        sets.append({"Group Keys": [keys]})
