"""Imports go down only: the rooms of the house, read from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from fluxlab.settings import ROOT

FLOORS = {
    "errors": 0,
    "settings": 0,
    "progress": 0,
    "servers": 1,
    "dataset": 2,
    "plans": 2,
    "workload": 2,
    "indexes": 3,
    "caching": 3,
    "service": 4,
    "book": 4,
    "lab": 5,
    "index_lab": 5,
    "measuring": 5,
    "indexing": 5,
    "cache_lab": 5,
    "cache_command": 5,
    "cache_measuring": 5,
    "index_scale": 5,
    "index_sets": 5,
    "practices": 5,
    "decide_command": 5,
    "audit_command": 5,
    "migrate_command": 5,
    "monitor_command": 5,
    "monitoring": 5,
    "scale": 5,
    "pipeline": 5,
    "summary": 5,
    "terminal": 5,
    "explaining": 5,
    "explain_command": 5,
    "magic": 5,
    "cli": 5,
}
#: Rooms on one floor that do not know each other.
APART = {
    ("dataset", "workload"),
    ("dataset", "plans"),
    ("plans", "workload"),
    ("plans", "dataset"),
}
#: Libraries that belong to one room.
LIBRARIES = {
    "plotly": {"book"},
    "IPython": {"book", "magic"},
    "nbclient": {"book"},
    "pandas": {
        "dataset",
        "plans",
        "workload",
        "indexes",
        "caching",
        "service",
        "book",
        "lab",
        "cache_lab",
    },
}
MODULES = sorted((ROOT / "fluxlab").rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "fluxlab").with_suffix("").parts
    return parts[0]


def imports_of(source: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def faults(room: str, source: str) -> list[str]:
    found = []
    for name in imports_of(source):
        top, *rest = name.split(".")
        if top == "fluxlab" and rest and rest[0] in FLOORS and rest[0] != room:
            other = rest[0]
            if FLOORS[other] > FLOORS[room] or (room, other) in APART:
                found.append(f"{room} imports {other}")
        if top in LIBRARIES and room not in LIBRARIES[top]:
            found.append(f"{room} imports {top}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_only_from_its_floor_or_below(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    assert room in FLOORS, f"{room} has no floor: name it in FLOORS"

    assert faults(room, path.read_text()) == []


def test_an_import_that_goes_up_is_reported() -> None:
    source = "from fluxlab.book.charts import dumbbell\nimport plotly.graph_objects"

    assert faults("workload", source) == [
        "workload imports book",
        "workload imports plotly",
    ]
