"""The lines below a node in FORMAT TEXT, as the facts of FORMAT JSON.

Source: the `show_…` functions of `src/backend/commands/explain.c`, PostgreSQL 13 to 18.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from fluxlab.plans.formats.text_nodes import number, unquote
from fluxlab.plans.labels import Json

Facts = dict[str, Json]

#: Facts that are lists of expressions.
LISTS = frozenset(
    (
        "Output",
        "Sort Key",
        "Presorted Key",
        "Group Key",
        "Hash Key",
        "Params Evaluated",
        "Conflict Arbiter Indexes",
    )
)
#: Facts that are text even where they look like a number or a truth value.
TEXTS = frozenset(
    (
        "Index Cond",
        "Recheck Cond",
        "TID Cond",
        "Hash Cond",
        "Merge Cond",
        "Join Filter",
        "One-Time Filter",
        "Order By",
        "Filter",
        "Cache Key",
        "Cache Mode",
        "Run Condition",
        "Conflict Filter",
        "Conflict Resolution",
        "Function Call",
        "Table Function Call",
        "Window",
        "Remote SQL",
        "Relations",
        "Storage",
        "Sort Method",
        "Replaces",
    )
)
_NUMBERED = frozenset(
    (
        "Workers Planned",
        "Workers Launched",
        "Heap Fetches",
        "Index Searches",
        "Subplans Removed",
        "Rows Removed by Filter",
        "Rows Removed by Join Filter",
        "Rows Removed by Index Recheck",
        "Rows Removed by Conflict Filter",
        "Tuples Inserted",
        "Conflicting Tuples",
        "Batch Size",
        "Planned Partitions",
        "Peak Memory Usage",
        "Disk Usage",
        "HashAgg Batches",
        "Maximum Storage",
    )
)
_TRUTHS = frozenset(("Disabled", "Single Copy", "Inner Unique"))
_PROPERTY = re.compile(r"^(?P<label>[A-Z][\w/ -]*?): +(?P<value>\S.*)$", re.DOTALL)
_NUMBER = re.compile(r"^-?\d{1,300}(?:\.\d{1,300})?$")
_PART = re.compile(r"(?P<label>[A-Z][A-Za-z -]*): (?P<value>.*?)(?=  +[A-Z]|$)", re.DOTALL)
_AMOUNT = re.compile(r"^(?P<amount>\d+)(?:kB)?(?: \(originally (?P<originally>\d+)\))?$")
_SETTING = re.compile(r"(?P<name>[\w.]+) = '(?P<value>.*?)'(?=, [\w.]+ = '|$)", re.DOTALL)
_COUNT = re.compile(r"(?P<name>[a-z ]+)=(?P<value>\d+(?:\.\d+)?)")
_NAMED_PARTS = {
    "Buckets": "Hash Buckets",
    "Memory Usage": "Peak Memory Usage",
    "Memory": "Sort Space Used",
    "Disk": "Sort Space Used",
    "Hits": "Cache Hits",
    "Misses": "Cache Misses",
    "Evictions": "Cache Evictions",
    "Overflows": "Cache Overflows",
}


def split_property(text: str) -> tuple[str, str] | None:
    """Return label and value of a line, or None where it is no property.

    >>> split_property("  Sort Key: id")
    ('Sort Key', 'id')
    """
    found = _PROPERTY.match(text.strip())
    return (found["label"], found["value"]) if found else None


def is_known_label(label: str) -> bool:
    """Whether PostgreSQL has such a property."""
    return label in _KNOWN


def read_property(label: str, value: str, node_type: str) -> Facts:
    """Return the facts of one property of a node; an unknown one keeps its name.

    >>> read_property("Sort Method", "quicksort  Memory: 25kB", "Sort")
    {'Sort Method': 'quicksort', 'Sort Space Used': 25, 'Sort Space Type': 'Memory'}
    >>> read_property("Buffers", "shared hit=3, temp written=1", "Sort")
    {'Shared Hit Blocks': 3, 'Temp Written Blocks': 1}
    """
    if reader := _READERS.get(label):
        return reader(f"{label}: {value}", node_type)
    if label in LISTS:
        return {label: list(split_list(value))}
    if label in TEXTS:
        return {label: value}
    return {label: scalar(value)}


def scalar(value: str) -> Json:
    """Return text as the number or truth value that it is, else as it stands.

    >>> scalar("12"), scalar("true"), scalar("(id = 1)")
    (12, True, '(id = 1)')
    """
    if value in ("true", "false"):
        return value == "true"
    return number(value) if _NUMBER.match(value) else value


def split_list(text: str) -> Iterator[str]:
    """Yield the parts between commas that no bracket and no quote holds.

    >>> list(split_list("a, f(b, c), 'x, y', \\"d, e\\" DESC"))
    ['a', 'f(b, c)', "'x, y'", '"d, e" DESC']
    """
    depth, quote, start = 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth <= 0 and text[place + 1 : place + 2] in (" ", "\n"):
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()


def _parts(text: str) -> Iterator[tuple[str, str]]:
    return ((part["label"], part["value"].strip()) for part in _PART.finditer(text))


def _amounts(text: str, node_type: str) -> Facts:
    """Read "Buckets: 1024  Batches: 2 (originally 1)  Memory Usage: 9kB" and its like."""
    facts: Facts = {}
    for label, value in _parts(text):
        name = _NAMED_PARTS.get(label, label)
        if label == "Batches":
            name = "Hash Batches" if node_type == "Hash" else "HashAgg Batches"
        found = _AMOUNT.match(value)
        facts[name] = int(found["amount"]) if found else value
        if found and name in ("Hash Buckets", "Hash Batches"):
            # Said only where it changed.
            facts[f"Original {name}"] = int(found["originally"] or found["amount"])
        if label in ("Memory", "Disk"):
            facts["Sort Space Type"] = label
    return facts


def _groups(text: str, node_type: str) -> Facts:
    """Read the groups of an Incremental Sort."""
    (label, count), *rest = _parts(text)
    group: Facts = {"Group Count": scalar(count)}
    for name, value in rest:
        if name.startswith("Sort Method"):
            group["Sort Methods Used"] = list(split_list(value))
            continue
        figure, _, space = name.partition(" ")
        inner = group.setdefault(f"Sort Space {space}", {})
        found = _AMOUNT.match(value)
        assert isinstance(inner, dict)
        inner[f"{figure} Sort Space Used"] = int(found["amount"]) if found else value
    return {label: group}


def _buffers(text: str, node_type: str) -> Facts:
    return {
        f"{kind.capitalize()} {name.capitalize()} Blocks": value
        for kind, name, value in _counts_by_kind(text)
    }


def _io_timings(text: str, node_type: str) -> Facts:
    """Read times of 13 to 16 ("shared/local", or no word) and of 17 on ("shared")."""
    facts: Facts = {}
    for kind, name, value in _counts_by_kind(text):
        words = "" if kind in ("", "shared/local") else f"{kind.capitalize()} "
        facts[f"{words}I/O {name.capitalize()} Time"] = value
    return facts


def _counts_by_kind(text: str) -> Iterator[tuple[str, str, int | float]]:
    """Yield kind, name and number of "shared hit=1 read=2, temp read=3"."""
    for group in text.partition(": ")[2].split(","):
        found = re.match(r"\s*(?P<kind>[a-z/]+(?= [a-z]))?", group)
        assert found is not None
        kind = found["kind"] or ""
        for count in _COUNT.finditer(group, found.end()):
            yield kind, count["name"].strip(), number(count["value"])


def _wal(text: str, node_type: str) -> Facts:
    names = {"fpi": "WAL FPI", "buffers full": "WAL Buffers Full"}
    return {
        names.get(name := one["name"].strip(), f"WAL {name.capitalize()}"): number(
            one["value"]
        )
        for one in _COUNT.finditer(text.partition(": ")[2])
    }


def _heap_blocks(text: str, node_type: str) -> Facts:
    return {
        f"{one['name'].strip().capitalize()} Heap Blocks": number(one["value"])
        for one in _COUNT.finditer(text)
    }


def _tuples(text: str, node_type: str) -> Facts:
    return {
        f"Tuples {one['name'].strip().capitalize()}": number(one["value"])
        for one in _COUNT.finditer(text.partition(": ")[2])
    }


def _memory(text: str, node_type: str) -> Facts:
    found = re.findall(r"(used|allocated)=(\d+) ?(kB|bytes)", text)
    return {
        f"Memory {name.capitalize()}": int(value) if unit == "kB" else int(value) // 1024
        for name, value, unit in found
    }


def _sampling(text: str, node_type: str) -> Facts:
    value = text.partition(": ")[2]
    found = re.match(
        r"^(?P<method>[^\s(]+) \((?P<parameters>.*?)\)(?: REPEATABLE \((?P<seed>.*)\))?$",
        value,
        re.DOTALL,
    )
    if found is None:
        return {"Sampling": value}
    facts: Facts = {
        "Sampling Method": unquote(found["method"]),
        "Sampling Parameters": list(split_list(found["parameters"])),
    }
    return facts | ({"Repeatable Seed": found["seed"]} if found["seed"] else {})


def _settings(text: str, node_type: str) -> Facts:
    found = _SETTING.finditer(text.partition(": ")[2])
    return {"Settings": {one["name"]: one["value"] for one in found}}


def _serialization(text: str, node_type: str) -> Facts:
    facts: Facts = {}
    if found := re.search(r"time=([\d.]+) ms", text):
        facts["Time"] = float(found[1])
    if found := re.search(r"output=(\d+)kB", text):
        facts["Output Volume"] = int(found[1])
    if found := re.search(r"format=(\w+)", text):
        facts["Format"] = found[1]
    return facts


def _jit_options(text: str, node_type: str) -> Facts:
    found = re.findall(r"(\w+) (true|false)", text.partition(": ")[2])
    return {"Options": {name: value == "true" for name, value in found}}


def _jit_timing(text: str, node_type: str) -> Facts:
    """Read JIT's times; Generation has a part from 17 on."""
    facts: Facts = {}
    timing = re.compile(
        r"(\w+) (\d+(?:\.\d+)?) ms(?: \((\w+) (\d+(?:\.\d+)?) ms\))?", re.DOTALL
    )
    for name, value, part, of_part in timing.findall(text.partition(": ")[2]):
        whole = float(value)
        facts[name] = {part: float(of_part), "Total": whole} if part else whole
    return {"Timing": facts}


_READERS: dict[str, Callable[[str, str], Facts]] = {
    **dict.fromkeys(
        (
            "Sort Method",
            "Buckets",
            "Batches",
            "Planned Partitions",
            "Peak Memory Usage",
            "Disk Usage",
            "HashAgg Batches",
            "Memory Usage",
            "Hits",
            "Storage",
        ),
        _amounts,
    ),
    "Full-sort Groups": _groups,
    "Pre-sorted Groups": _groups,
    "Buffers": _buffers,
    "I/O Timings": _io_timings,
    "WAL": _wal,
    "Heap Blocks": _heap_blocks,
    "Tuples": _tuples,
    "Memory": _memory,
    "Sampling": _sampling,
    "Settings": _settings,
    "Serialization": _serialization,
    "Options": _jit_options,
    "Timing": _jit_timing,
}
_KNOWN = LISTS | TEXTS | _NUMBERED | _TRUTHS | frozenset(_READERS) | {"Functions"}
